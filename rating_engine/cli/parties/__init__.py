"""Accounts, their logins, and what tariffs these have."""
