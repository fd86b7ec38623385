"""Calls that have ended, as they are priced again: by a corrected deck (re-rating), or by one to come (simulation)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class CallRange:
    """Calls priced by a tariff that were prepared in [calls_from, calls_to): of a subscriber (None: everybody's), to
    destinations that begin with `prefix` ('': to all)."""

    tariff_id: int
    calls_from: datetime
    calls_to: datetime
    subscriber_id: int | None = None
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class CallPosition:
    """A place in the order of CDRs, which is that of their primary key."""

    bucket: int = -1
    call_key: str = ""


@dataclass(frozen=True, slots=True)
class PastCall:
    """What pricing a call again depends on, and what it cost. `currency`: of its account, as are the amounts.

    `provisional`: how it ended is only assumed; a finish may still come. `rate`: as frozen, '' where there was none.
    `covered_seconds`: what free packages paid. `margin` None: what the carrier charges is not known. `login` '': not
    known.
    """

    bucket: int
    call_key: str
    account_id: int
    subscriber_id: int
    login: str
    currency: str
    numbering_plan: str | None
    callerid: str
    destination: str
    routing_number: str
    direction: str
    started_at: datetime
    seconds: int
    cost: Decimal
    rate: str
    provisional: bool
    covered_seconds: int = 0
    margin: Decimal | None = None
    attempt: int = 1
