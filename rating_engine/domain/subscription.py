"""What is paid for besides calls: services with a price, and who takes one from when to when.

Laws: the periods of a subscription follow each other without a gap, and each is charged once; what a period costs is
the price by the share of it that counts, rounded once. All in the account's own calendar: a day begins at its midnight.
"""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Final
from zoneinfo import ZoneInfo

from rating_engine.domain.change import LEAVE, Leave
from rating_engine.domain.checks import (
    check_amount,
    check_currency,
    check_line,
    check_login,
    check_name,
    check_reference,
    check_text,
    check_whole,
)
from rating_engine.domain.errors import InvalidRequest
from rating_engine.rating.money import AMOUNT_DECIMALS, MAX_AMOUNT, quantise_fraction

MAX_QUANTITY: Final = 1_000_000
MAX_MINUTES: Final = 1_000_000  # of a flat rate in a month, which has 44,640
MAX_GRACE: Final = 3_650  # days

_MONTHS: Final = {"month": 1, "year": 12}
_DAYS: Final = {"day": 1, "week": 7}


class ServiceKind(StrEnum):
    """PERIODIC: each period costs. ONE_TIME: once. FLAT_RATE: each period costs, and a line has an option meanwhile."""

    PERIODIC = "periodic"
    ONE_TIME = "one_time"
    FLAT_RATE = "flat_rate"


class Period(StrEnum):
    """How long what is charged at a time counts."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"


class SubscriptionState(StrEnum):
    """UNPAID: the money of a period is missing; it stays owed, and what it gives is not given.

    ENDED: before its time, as somebody wanted or since it stayed unpaid. REMOVED: ended, and no longer listed.
    """

    ACTIVE = "active"
    UNPAID = "unpaid"
    ENDED = "ended"
    REMOVED = "removed"


class MoneyBack(StrEnum):
    """What is given back of a subscription that ends: nothing, what is left of its last period, or all it ever cost."""

    NONE = "none"
    REST = "rest"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Service:
    """Something that costs `price` times `quantity` a `period`, and `setup_price` to begin with, in `currency`.

    `option`: the option tariff that a line has while it is paid. `self_cost`: what it costs us, for reports.
    `grace_days`: so long unpaid it ends by itself; None: it waits, and owes. `is_public`: users may take it themselves.
    """

    service_id: int
    owner: str
    party_id: int
    name: str
    kind: ServiceKind
    period: Period
    price: Decimal
    setup_price: Decimal
    self_cost: Decimal
    quantity: int
    currency: str
    minutes: int | None
    option_id: int | None
    option: str | None
    grace_days: int | None
    is_public: bool

    @property
    def cost(self) -> Decimal:
        """Of a whole period."""
        return self.price * self.quantity


@dataclass(frozen=True, slots=True)
class NewService:
    """A service to be made. `currency` None: the system's. Of a flat rate `option`, or `minutes` a month that cost
    nothing, for which an option is made. Raises InvalidRequest naming the field.
    """

    name: str
    kind: ServiceKind = ServiceKind.PERIODIC
    price: Decimal = Decimal(0)
    period: Period = Period.MONTH
    setup_price: Decimal = Decimal(0)
    self_cost: Decimal = Decimal(0)
    quantity: int = 1
    currency: str | None = None
    minutes: int | None = None
    option: str | None = None
    grace_days: int | None = None
    is_public: bool = False

    def __post_init__(self) -> None:
        _check_service(self)
        if self.currency is not None:
            check_currency(self.currency)
        gives = self.minutes is not None or self.option is not None
        if gives != (self.kind is ServiceKind.FLAT_RATE):
            raise InvalidRequest("kind", "a flat rate has minutes or an option, and no other kind has")
        if self.minutes is not None and self.option is not None:
            raise InvalidRequest("minutes", "are of the option that is made for them: give one of the two")
        check_whole(self.minutes, "minutes", least=1, most=MAX_MINUTES)


@dataclass(frozen=True, slots=True)
class ServiceChanges:
    """What is to be changed of a service; LEAVE: as it is. It counts from the next period of every subscription on."""

    name: str | Leave = LEAVE
    price: Decimal | Leave = LEAVE
    period: Period | Leave = LEAVE
    setup_price: Decimal | Leave = LEAVE
    self_cost: Decimal | Leave = LEAVE
    quantity: int | Leave = LEAVE
    grace_days: int | Leave | None = LEAVE
    is_public: bool | Leave = LEAVE

    def __post_init__(self) -> None:
        _check_service(self)


@dataclass(frozen=True, slots=True)
class Subscription:
    """Who takes a service, from when to when. `ends_at` None: until it is ended.

    `paid_to`: so far it is charged; None: for good. `line`: who has what it gives. `is_calendar`: its periods are those
    of the calendar, the first and the last by their share; else they are counted from its start.
    """

    subscription_id: int
    bucket: int
    account_id: int
    party_id: int
    owner: str
    line: str | None
    number: str | None
    service: Service
    memo: str
    state: SubscriptionState
    starts_at: datetime
    ends_at: datetime | None
    is_calendar: bool
    paid_to: datetime | None
    account_currency: str
    time_zone: str

    @property
    def counts(self) -> bool:
        """Whether anything of it may still be charged."""
        return self.state in (SubscriptionState.ACTIVE, SubscriptionState.UNPAID)

    def is_due(self, now: datetime) -> bool:
        """Whether a period that begins by now is not charged yet."""
        if not self.counts or self.paid_to is None or self.paid_to > now:
            return False
        return self.ends_at is None or self.paid_to < self.ends_at


@dataclass(frozen=True, slots=True)
class NewSubscription:
    """A service to be taken by a user, on the account of one of its lines or its own.

    `starts_at` None: now. `pay_now`: the first period is paid or nothing is done; else what is missing is owed.
    `reference`: an idempotency key of the account. Raises InvalidRequest naming the field.
    """

    who: str | int
    service_id: int
    line: str | None = None
    number: str | None = None
    memo: str = ""
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    is_calendar: bool = False
    pay_now: bool = True
    reference: str | None = None

    def __post_init__(self) -> None:
        if self.line is not None:
            check_login(self.line, "line")
        check_text(self.memo, "memo")
        check_reference(self.reference)
        _check_span(self.starts_at, self.ends_at)


@dataclass(frozen=True, slots=True)
class SubscriptionChanges:
    """What is to be changed of a subscription; LEAVE: as it is. Its start only while nothing of it is charged."""

    memo: str | Leave = LEAVE
    starts_at: datetime | Leave = LEAVE
    ends_at: datetime | Leave | None = LEAVE
    is_calendar: bool | Leave = LEAVE

    def __post_init__(self) -> None:
        if self.memo is not LEAVE:
            check_text(self.memo, "memo")


@dataclass(frozen=True, slots=True)
class SubscriptionFilter:
    """Which subscriptions: of a user, a service, an account, with words of the memo, beginning in [since, until]."""

    who: str | int | None = None
    service_id: int | None = None
    account: tuple[int, int] | None = None
    memo: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    until_canceled: bool | None = None

    def __post_init__(self) -> None:
        if self.memo is not None:
            check_line(self.memo, "memo", empty=True)


@dataclass(frozen=True, slots=True)
class Charge:
    """What is charged at a time: [begins, ends), which is `share` of a whole period. `ends` None: for good."""

    begins: datetime
    ends: datetime | None
    share: Fraction = Fraction(1)

    def fee(self, cost: Decimal, exchange_rate: Decimal = Decimal(1)) -> Decimal:
        """In the account's currency, rounded once. Raises InvalidRequest for more than an amount can be."""
        fee = quantise_fraction(Fraction(cost) * Fraction(exchange_rate) * self.share, AMOUNT_DECIMALS)
        check_amount(fee, "price", AMOUNT_DECIMALS, MAX_AMOUNT)
        return fee


def next_charge(
    service: Service, paid_to: datetime, starts_at: datetime, ends_at: datetime | None, *, is_calendar: bool, zone: str
) -> Charge:
    """What has to be paid next of a subscription that is charged up to `paid_to`."""
    if service.kind is ServiceKind.ONE_TIME:
        return Charge(paid_to, None)
    whole_begin, whole_end = _whole_period(service.period, paid_to, None if is_calendar else starts_at, ZoneInfo(zone))
    ends = whole_end if ends_at is None else min(whole_end, ends_at)
    share = Fraction(_microseconds(ends - paid_to), _microseconds(whole_end - whole_begin))
    return Charge(paid_to, ends, min(share, Fraction(1)))


def charge_of(subscription: Subscription) -> Charge:
    """The same of one that is there, and owes something still."""
    assert subscription.paid_to is not None
    return next_charge(
        subscription.service,
        subscription.paid_to,
        subscription.starts_at,
        subscription.ends_at,
        is_calendar=subscription.is_calendar,
        zone=subscription.time_zone,
    )


def charge_reference(subscription_id: int, begins: datetime) -> str:
    """What names the fee of a period in the ledger, once however often it is asked for."""
    return f"subscription:{subscription_id}:{begins.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


def _whole_period(
    period: Period, within: datetime, anchor: datetime | None, zone: ZoneInfo
) -> tuple[datetime, datetime]:
    """The period that an instant is in, counted from an anchor, or (None) as the calendar has it."""
    local = within.astimezone(zone).replace(tzinfo=None)
    origin = _calendar_origin(period, local) if anchor is None else anchor.astimezone(zone).replace(tzinfo=None)
    if period in _DAYS:
        count = (local - origin) // timedelta(days=_DAYS[period])
    else:
        count = ((local.year - origin.year) * 12 + local.month - origin.month) // _MONTHS[period] - 1
    # Local hours that come twice or never may put a boundary on the other side: the first that is behind it is the end.
    while _boundary(period, origin, count, zone) <= within:
        count += 1
    return _boundary(period, origin, count - 1, zone), _boundary(period, origin, count, zone)


def _calendar_origin(period: Period, local: datetime) -> datetime:
    midnight = datetime.combine(local.date(), time())
    if period is Period.WEEK:
        return midnight - timedelta(days=midnight.weekday())
    if period is Period.MONTH:
        return midnight.replace(day=1)
    return midnight.replace(month=1, day=1) if period is Period.YEAR else midnight


def _boundary(period: Period, origin: datetime, count: int, zone: ZoneInfo) -> datetime:
    """Where the period `count` begins: the 31st is the last day of a shorter month, and the 31st again after it."""
    if period in _DAYS:
        local = origin + timedelta(days=_DAYS[period] * count)
    else:
        year, month = divmod(origin.year * 12 + origin.month - 1 + _MONTHS[period] * count, 12)
        last = calendar.monthrange(year, month + 1)[1]
        local = origin.replace(year=year, month=month + 1, day=min(origin.day, last))
    return local.replace(tzinfo=zone).astimezone(UTC)


def _microseconds(span: timedelta) -> int:
    return span // timedelta(microseconds=1)


def _check_span(starts_at: datetime | None, ends_at: datetime | None) -> None:
    if starts_at is not None and ends_at is not None and ends_at <= starts_at:
        raise InvalidRequest("ends_at", "must be after the start")


def _check_service(service: NewService | ServiceChanges) -> None:
    if service.name is not LEAVE:
        check_name(service.name)
    for field in ("price", "setup_price", "self_cost"):
        amount = getattr(service, field)
        if amount is not LEAVE:
            check_amount(amount, field)
    if service.quantity is not LEAVE:
        check_whole(service.quantity, "quantity", least=1, most=MAX_QUANTITY)
    if service.grace_days is not LEAVE:
        check_whole(service.grace_days, "grace_days", most=MAX_GRACE)
