"""Reservations, the ledger, CDRs and what is watched of open calls."""
