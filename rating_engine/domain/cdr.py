"""Calls that are over, as people read of them: one by one, and summed up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final

from rating_engine.domain.errors import InvalidRequest
from rating_engine.domain.outcomes import CallKey

MAX_RANGE: Final = timedelta(days=366)  # of one question: what is summed up is read whole
MAX_PREFIX: Final = 32  # digits of a destination


@dataclass(frozen=True, slots=True)
class CdrFilter:
    """Which calls are meant: those that ended in [since, until), of a login, an account, a direction, a prefix ...

    `login`: of this one alone; `account_of`: of every login on its account; `owner`: of every account of this user, by
    login or number, and of all below it. None: any. Raises InvalidRequest naming the
    field.
    """

    since: datetime
    until: datetime
    login: str | None = None
    account_of: str | None = None
    direction: str | None = None
    prefix: str | None = None
    route: str | None = None
    answered: bool | None = None
    owner: str | int | None = None

    def __post_init__(self) -> None:
        for field, moment in (("since", self.since), ("until", self.until)):
            if moment.tzinfo is None:
                raise InvalidRequest(field, "has no time zone")
        if self.since >= self.until:
            raise InvalidRequest("until", "must be after since")
        if self.until - self.since > MAX_RANGE:
            raise InvalidRequest("since", f"must be at most {MAX_RANGE.days} days before until")
        if self.prefix is not None and not (
            self.prefix.isascii() and self.prefix.isdigit() and len(self.prefix) <= MAX_PREFIX
        ):
            raise InvalidRequest("prefix", f"is not 1 to {MAX_PREFIX} digits")


@dataclass(frozen=True, slots=True)
class Cdr:
    """One ended call. `state`, `source`, `disposition`: the words of the CDR; amounts in `currency`.

    `carrier_cost` is in `carrier_currency`; it and `margin`: None where the route's cost was not known. `login`: ''
    where it is gone; `tariff`: its name. The last four: its origin, as its exchange said (outcomes.Origin).
    """

    call_key: CallKey
    login: str
    state: str
    source: str
    callerid: str
    destination: str
    direction: str
    prefix: str
    tariff: str
    route: str
    seconds: int
    billed_seconds: int
    cost: Decimal
    currency: str
    overrun: Decimal
    carrier_cost: Decimal | None
    carrier_currency: str
    margin: Decimal | None
    disposition: str
    cause: int
    prepared_at: datetime
    answered_at: datetime | None
    ended_at: datetime
    from_originate: str
    source_address: str
    originated_by: str
    is_did: str


class Disposition(StrEnum):
    """How a call ended for who placed it, in Asterisk's words for CDRs."""

    ANSWERED = "ANSWERED"
    BUSY = "BUSY"
    FAILED = "FAILED"
    NO_ANSWER = "NO ANSWER"


_UNANSWERED: Final = frozenset({"NOANSWER", "CANCEL", "DONTCALL", "TORTURE", ""})


def disposition_of(cdr: Cdr) -> Disposition:
    """How it ended, as storage/calls/call_reports filters by it."""
    if cdr.seconds > 0 or cdr.disposition == "ANSWER":
        return Disposition.ANSWERED
    if cdr.disposition == "BUSY":
        return Disposition.BUSY
    return Disposition.NO_ANSWER if cdr.disposition in _UNANSWERED else Disposition.FAILED


@dataclass(frozen=True, slots=True)
class CallReport:
    """Calls of a span of time: of all of them how many and how many seconds, and some of them in their order."""

    count: int
    seconds: int
    calls: tuple[Cdr, ...]


@dataclass(frozen=True, slots=True)
class ResellerLine:
    """What a call cost a reseller above its caller. `account`: a login of its own; the rest as of a Cdr."""

    account: str
    tariff: str
    billed_seconds: int
    cost: Decimal
    currency: str
    margin: Decimal | None
    rate: str


@dataclass(frozen=True, slots=True)
class CdrDetail:
    """One ended call with the rate that was frozen for it, as text (rating/rate), '' where there was none.

    `resellers`: who paid for it besides, the nearest first; then its margin is what that one earned.
    """

    cdr: Cdr
    rate: str
    resellers: tuple[ResellerLine, ...] = ()


class Dimension(StrEnum):
    """What calls are summed up by."""

    DAY = "day"
    LOGIN = "login"
    DIRECTION = "direction"
    ROUTE = "route"
    CAUSE = "cause"


@dataclass(frozen=True, slots=True)
class CallSum:
    """Calls of one day, login, direction, route and cause (None: not summed up by it) in one currency.

    `margin` is that of the `costed` calls among them, whose carrier's cost is known.
    """

    currency: str
    day: date | None
    login: str | None
    direction: str | None
    route: str | None
    cause: int | None
    calls: int
    answered: int
    seconds: int
    billed_seconds: int
    cost: Decimal
    costed: int
    margin: Decimal
