"""Routes, as commands."""
