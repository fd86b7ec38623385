"""Accounts, subscribers, and what is kept of them for an outage."""
