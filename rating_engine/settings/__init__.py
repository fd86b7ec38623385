"""Every setting with unit, bounds and reason, and where its value came from."""
