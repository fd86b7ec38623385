"""Money between accounts, and codes that carry some."""
