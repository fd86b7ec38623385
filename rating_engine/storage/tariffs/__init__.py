"""Tariffs, their bands, options, packages, directions and exchange rates."""
