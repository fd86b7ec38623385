"""The exchange watched over its manager interface."""
