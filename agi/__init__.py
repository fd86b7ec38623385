"""How telephone exchanges reach the engine: FastAGI, and what is watched through AMI."""
