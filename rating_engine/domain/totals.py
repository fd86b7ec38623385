"""What an installation's database holds, in figures by which a copy is held against it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Totals:
    """Numbers of things, and by currency what all accounts have (`balances`) and their open calls hold (`held`)."""

    accounts: int
    logins: int
    tariffs: int
    rates: int
    open_calls: int
    ended_calls: int
    ledger_entries: int
    balances: dict[str, Decimal]
    held: dict[str, Decimal]
