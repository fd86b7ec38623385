"""What a permission group lets its members manage."""

from __future__ import annotations

from enum import StrEnum


class Permission(StrEnum):
    """What a group lets its members manage. Append only: their names are kept."""

    CALLING_CARDS = "calling_cards"
    DEVICES = "devices"
    DIDS = "dids"
    USERS = "users"
    INVOICES = "invoices"
    FINANCIAL_DATA = "financial_data"  # payments, balances, credit notes: what moves money
    SERVICES = "services"  # and subscriptions to them
    TARIFFS = "tariffs"
    MESSAGES = "messages"  # SMS and mail
