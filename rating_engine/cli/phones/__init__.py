"""Exchanges and phones."""
