"""The least that the calls of a user cost in a month (seed MOR: minimal charge); what they cost less is a fee."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class MinimumSpend:
    """`amount` of a month, in the system's currency. `next_month`: the first day of the month that is settled next."""

    party_id: int
    user: str
    amount: Decimal
    since: date
    next_month: date


def first_month(since: date) -> date:
    """The first day of the first whole month from a day on."""
    return since if since.day == 1 else month_after(since)


def month_after(day: date) -> date:
    """The first day of the month after that of a day."""
    return date(day.year + day.month // 12, day.month % 12 + 1, 1)
