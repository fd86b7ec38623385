"""Exchanges and the phones of lines, as they are kept."""
