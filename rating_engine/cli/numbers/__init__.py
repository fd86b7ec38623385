"""How phones write numbers, as commands."""
