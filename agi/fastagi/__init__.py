"""FastAGI: Asterisk asks the engine over a TCP connection, one request each."""
