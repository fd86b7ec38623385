"""Pure arithmetic of prices, numbers and prefixes: no I/O, no clock, no settings."""
