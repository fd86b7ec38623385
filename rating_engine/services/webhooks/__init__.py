"""Webhooks: managed, filled from the ledger, delivered."""
