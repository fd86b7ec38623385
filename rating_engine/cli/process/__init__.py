"""The engine itself, its demo and its doctor, as commands."""
