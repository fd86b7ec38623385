"""Tariffs as products: settings, bands, options, packages, currencies, and how numbers are written."""
