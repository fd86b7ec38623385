"""Exchanges and the phones of lines: made, changed, deleted, and told to Asterisk."""
