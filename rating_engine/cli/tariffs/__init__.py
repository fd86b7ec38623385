"""Tariffs and what belongs to them, as commands."""
