"""Accounts and who uses them."""
