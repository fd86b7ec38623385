"""Messages over real servers: charged, handed over, given back."""
