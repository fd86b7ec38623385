"""Calls that last, as people read of them, and what can be asked of the exchange that has one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from rating_engine.domain.outcomes import CallKey


@dataclass(frozen=True, slots=True)
class LiveCallFilter:
    """Which open calls are meant: of a login, an account, a user and all below it, an exchange; None: any."""

    login: str | None = None
    account_of: str | None = None
    exchange: str | None = None
    owner: str | int | None = None


@dataclass(frozen=True, slots=True)
class LiveCall:
    """An open call. `held` is what its account cannot spend elsewhere meanwhile; `granted` what it may cost so far.

    `answered_at`, `last_seen_at`: by the exchange's word; None: not seen. `seconds_left`: until what it was granted is
    used up, counted from the answer; None: not seen answered.
    """

    call_key: CallKey
    login: str
    callerid: str
    destination: str
    direction: str
    route_name: str
    quota: bool
    held: Decimal
    granted: Decimal
    currency: str
    prepared_at: datetime
    answered_at: datetime | None
    last_seen_at: datetime | None
    expires_at: datetime
    seconds_left: int | None


@dataclass(frozen=True, slots=True)
class SuspiciousCall:
    """A call whose end a person should look at, and why (a Suspicion).

    `seconds` are charged, `cost` for them; `said_seconds`: as the finish had it; `seen_seconds`: as the exchange was
    seen to say, None: not seen whole. `granted`: what it might have cost.
    """

    call_key: CallKey
    login: str
    destination: str
    suspicion: str
    seconds: int
    said_seconds: int
    seen_seconds: int | None
    granted: Decimal
    cost: Decimal
    currency: str
    disposition: str
    ended_at: datetime


@dataclass(frozen=True, slots=True)
class UnfinishedCall:
    """A call that ended without a finish. `state`, `source`, `disposition`: the words of its CDR."""

    call_key: CallKey
    login: str
    destination: str
    state: str
    source: str
    disposition: str
    seconds: int
    cost: Decimal
    currency: str
    prepared_at: datetime
    ended_at: datetime


class OrderOutcome(StrEnum):
    """What became of an order to an exchange. Append only: it is stored."""

    DONE = "done"
    ALREADY_ENDED = "already_ended"  # the exchange has no such channel any more
    NO_ANSWER = "no_answer"  # the exchange did not answer in time: not known whether it was done


@dataclass(frozen=True, slots=True)
class HungUp:
    """Of how many calls the exchange was told to end them, and of how many it could not be."""

    told: int
    untold: int


@dataclass(frozen=True, slots=True)
class ExchangeOrder:
    """An order that waits for the engine which follows its exchange."""

    order_id: int
    call_key: CallKey
