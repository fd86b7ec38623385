"""Subscribers (who calls) and accounts (whose money)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import IntEnum, StrEnum

from rating_engine.domain.change import LEAVE, Leave
from rating_engine.domain.checks import (
    check_amount,
    check_callerid,
    check_currency,
    check_login,
    check_prefix,
    check_reason,
    check_text,
    check_whole,
    check_zone,
)
from rating_engine.domain.errors import InvalidRequest
from rating_engine.domain.party import SYSTEM, AllowedCalls
from rating_engine.domain.route_plan import BlacklistMode
from rating_engine.rating.money import MAX_PRICE, PRICE_DECIMALS
from rating_engine.rating.numbering import NO_ALIASES


class AccountKind(StrEnum):
    """Prepaid spends its balance (and overdraft); postpaid runs up a debt to its credit limit, if it has one."""

    PREPAID = "prepaid"
    POSTPAID = "postpaid"


class RefillAllowed(IntEnum):
    """By what money of an account may move but by calls and by an operator's hand."""

    NOTHING = 0
    ANONYMOUS = 1  # codes and payments
    EVERYTHING = 2  # transfers too


class PartyStatus(StrEnum):
    """A blocked subscriber or account starts no calls; calls that run go on."""

    ACTIVE = "active"
    BLOCKED = "blocked"


@dataclass(frozen=True, slots=True)
class SubscriberOption:
    """An option that a subscriber has beside its tariff, in [effective_from, effective_to)."""

    tariff_id: int
    effective_from: datetime
    effective_to: datetime


@dataclass(frozen=True, slots=True)
class Reseller:
    """Who pays for a subscriber's calls besides, by its own tariff. `prepaid`: its account's money is paid ahead."""

    account_id: int
    tariff_id: int
    currency: str
    prepaid: bool


@dataclass(frozen=True, slots=True)
class Subscriber:
    """What callPrepare needs to know of a login. `version` grows with every change of it.

    `max_seconds`: the subscriber's own longest call, in place of the setting. `max_call_seconds`: the account's,
    which nothing exceeds. `quota`: reserve in slices; None: as the settings say. `prepaid`: its account's money is paid
    ahead. `options`: by their position.
    `numbering_plan`: how its phones write numbers; None: as the settings say. `aliases`: its own short numbers.
    `party_id`: whose line it is; `calls`: what that party's state leaves it. `resellers`: the nearest first.
    `allow_loss`: whether its calls may go by routes that cost more than they bring; None: as its tariff has it.
    `callback_to`: the number that is called, and then whom the line has dialled, in place of its own call; '': none.
    `warn_below`: callers hear so before a call where the balance is below it, in the system's currency; None: never.
    `warn_sound`: the sound file that they hear then; '': what the exchange has for it.
    `has_destination_list`: whether its party has a list of whom it may call, or may not.
    `route_plan_id`: by which its calls go, None: as its tariff has it; `dynamic_blacklist`: whether suspected ones go
    by another, and of ON, from which `score_threshold` on by which (`blacklist_plan_id`).
    """

    subscriber_id: int
    version: int
    login: str
    bucket: int
    account_id: int
    tariff_id: int
    currency: str
    callerid: str
    max_seconds: int | None
    max_call_seconds: int | None
    quota: bool | None
    numbering_plan: str | None = None
    options: tuple[SubscriberOption, ...] = ()
    aliases: Mapping[str, str] = field(default_factory=lambda: NO_ALIASES)
    party_id: int = SYSTEM
    calls: AllowedCalls = AllowedCalls.ALL
    prepaid: bool = True
    resellers: tuple[Reseller, ...] = ()
    allow_loss: bool | None = None
    callback_to: str = ""
    has_destination_list: bool = False
    warn_below: Decimal | None = None
    warn_sound: str = ""
    route_plan_id: int | None = None
    dynamic_blacklist: BlacklistMode = BlacklistMode.GLOBAL
    score_threshold: int | None = None
    blacklist_plan_id: int | None = None


@dataclass(frozen=True, slots=True)
class OwnAccount:
    """What a user is charged on: its number, the money on it, and the name of its clock."""

    number: int
    balance: Decimal
    currency: str
    time_zone: str


@dataclass(frozen=True, slots=True)
class AccountState:
    """An account with one of its subscribers, as shown to people. `overdraft` None: unlimited credit.

    `status` is the account's, of all its logins; `subscriber_status` that of this login alone. `closed_at`: None where
    it was not closed. `owner`: whose it is, by login; `calls`: what that user's state leaves this login.
    """

    login: str
    tariff: str
    currency: str
    balance: Decimal
    reserved: Decimal
    overdraft: Decimal | None
    kind: AccountKind
    status: PartyStatus
    max_calls: int | None
    open_calls: int
    callerid: str
    max_call_seconds: int | None
    max_price: Decimal | None
    daily_limit: Decimal | None
    monthly_limit: Decimal | None
    day_spent: Decimal
    month_spent: Decimal
    time_zone: str
    quota: bool | None
    default_allowed: bool
    numbering_plan: str | None
    subscriber_status: PartyStatus
    closed_at: datetime | None
    owner: str
    calls: AllowedCalls
    refill_allowed: RefillAllowed = RefillAllowed.EVERYTHING
    allow_loss: bool | None = None

    @property
    def may_call(self) -> bool:
        """Whether this login starts calls: neither it nor its account is blocked, nor whose it is."""
        return self.status is self.subscriber_status is PartyStatus.ACTIVE and self.calls is not AllowedCalls.NONE

    @property
    def available(self) -> Decimal | None:
        """What new calls may spend; None where credit is unlimited."""
        return None if self.overdraft is None else self.balance + self.overdraft - self.reserved


@dataclass(frozen=True, slots=True)
class ListedAccount:
    """An account in a list, by its first login of `logins` so many. `overdraft` None: unlimited credit.

    `closed_at`: None where it was not closed. `owner`: whose it is, by login.
    """

    bucket: int
    account_id: int
    login: str
    logins: int
    currency: str
    balance: Decimal
    reserved: Decimal
    overdraft: Decimal | None
    kind: AccountKind
    status: PartyStatus
    open_calls: int
    max_calls: int | None
    closed_at: datetime | None
    owner: str
    refill_allowed: RefillAllowed = RefillAllowed.EVERYTHING
    max_call_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class ListedSubscriber:
    """A login in a list. `status` is its own, `account_status` that of the account which pays."""

    login: str
    account_id: int
    tariff: str
    callerid: str
    max_calls: int | None
    max_seconds: int | None
    status: PartyStatus
    account_status: PartyStatus


@dataclass(frozen=True, slots=True)
class NewAccount:
    """An account and its one subscriber, as they are to be created together.

    `currency` None: the tariff's. `overdraft` None: unlimited credit, of a postpaid account only; LEAVE: nothing of a
    prepaid one, unlimited of a postpaid one. `owner`: the user whose it is; None: of who asks.
    Raises InvalidRequest naming the field.
    """

    login: str
    tariff: str
    currency: str | None = None
    balance: Decimal = Decimal(0)
    overdraft: Decimal | Leave | None = LEAVE
    kind: AccountKind = AccountKind.PREPAID
    max_calls: int | None = None
    callerid: str = ""
    owner: str | int | None = None

    def __post_init__(self) -> None:
        check_login(self.login)
        if self.currency is not None:
            check_currency(self.currency)
        check_amount(self.balance, "balance", allow_negative=self.kind is AccountKind.POSTPAID)
        if self.overdraft is not LEAVE:
            check_amount(self.overdraft, "overdraft")
        if self.credit is None and self.kind is AccountKind.PREPAID:
            raise InvalidRequest("overdraft", "only a postpaid account can have unlimited credit")
        check_whole(self.max_calls, "max_calls")
        check_callerid(self.callerid)

    @property
    def credit(self) -> Decimal | None:
        """How far below zero it may go; None: unlimited."""
        if self.overdraft is LEAVE:
            return Decimal(0) if self.kind is AccountKind.PREPAID else None
        return self.overdraft


@dataclass(frozen=True, slots=True)
class NewSubscriber:
    """One more login on the account of another. `tariff` None: the other's. Raises InvalidRequest naming the field."""

    login: str
    account_of: str
    tariff: str | None = None
    callerid: str = ""
    max_calls: int | None = None
    max_seconds: int | None = None

    def __post_init__(self) -> None:
        check_login(self.login)
        check_callerid(self.callerid)
        check_whole(self.max_calls, "max_calls")
        check_whole(self.max_seconds, "max_seconds", least=1)


@dataclass(frozen=True, slots=True)
class AccountChanges:
    """What is to be changed of an account; LEAVE: as it is, None: no limit.

    `quota` and `numbering_plan` None: as the engine's settings say; `allow_loss` None: as the tariff has it.
    Raises InvalidRequest naming the field.
    """

    max_calls: int | Leave | None = LEAVE
    max_call_seconds: int | Leave | None = LEAVE
    max_price: Decimal | Leave | None = LEAVE
    daily_limit: Decimal | Leave | None = LEAVE
    monthly_limit: Decimal | Leave | None = LEAVE
    default_allowed: bool | Leave = LEAVE
    quota: bool | Leave | None = LEAVE
    time_zone: str | Leave = LEAVE
    overdraft: Decimal | Leave | None = LEAVE
    status: PartyStatus | Leave = LEAVE
    numbering_plan: str | Leave | None = LEAVE
    kind: AccountKind | Leave = LEAVE
    refill_allowed: RefillAllowed | int | Leave = LEAVE
    allow_loss: bool | Leave | None = LEAVE

    def __post_init__(self) -> None:
        if self.refill_allowed is not LEAVE:
            check_whole(self.refill_allowed, "refill_allowed", most=max(RefillAllowed))
        if self.max_calls is not LEAVE:
            check_whole(self.max_calls, "max_calls")
        if self.max_call_seconds == 0:
            raise InvalidRequest("max_call_seconds", "must be above zero; block the account to allow no calls")
        if self.max_call_seconds is not LEAVE:
            check_whole(self.max_call_seconds, "max_call_seconds", least=1)
        if self.max_price is not LEAVE:
            check_amount(self.max_price, "max_price", PRICE_DECIMALS, MAX_PRICE)
        for name in ("daily_limit", "monthly_limit", "overdraft"):
            if (amount := getattr(self, name)) is not LEAVE:
                check_amount(amount, name)
        if self.time_zone is not LEAVE:
            check_zone(self.time_zone)
        if self.numbering_plan is not LEAVE and self.numbering_plan is not None:
            check_text(self.numbering_plan, "numbering_plan")


def check_prefix_rules(rules: Mapping[str, bool | None]) -> None:
    """Rules for destinations by how they begin: allowed, not, or (None) forgotten. Raises InvalidRequest."""
    for prefix in rules:
        check_prefix(prefix)


@dataclass(frozen=True, slots=True)
class Posting:
    """The answer to a top-up or an adjustment. `posted` False: its reference was posted before, and nothing changed."""

    balance: Decimal
    posted: bool


class Settlement(StrEnum):
    """What became of the balance that an account had as it was closed."""

    PAID_OUT = "paid out"
    WRITTEN_OFF = "written off"


@dataclass(frozen=True, slots=True)
class Closing:
    """How the balance of an account is brought to 0 as it is closed, and the reference or reason that its entry has.

    What is above zero is paid out or written off, what is below zero written off. Raises InvalidRequest naming the
    field (`paid_out`, `written_off`).
    """

    settlement: Settlement
    reason: str

    def __post_init__(self) -> None:
        check_reason(self.reason, self.settlement.name.lower())

    @property
    def subject(self) -> str:
        """What the ledger's entry says."""
        return f"closed, {self.settlement}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Closed:
    """The answer to a closing. `settled`: the balance that the account had, in its currency, which is 0 now.

    `repeated`: it had been closed before, and nothing was done.
    """

    state: AccountState
    settled: Decimal
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One change of a balance, with the balance after it. `amount` is signed: a charge is negative.

    `subject`: what a fee was for, why an adjustment was made; '' for the rest.
    """

    entry_id: int
    kind: str
    amount: Decimal
    balance_after: Decimal
    call_key: str | None
    reference: str | None
    subject: str
    created_at: datetime
