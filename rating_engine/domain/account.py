"""Subscribers (who calls) and accounts (whose money)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from rating_engine.rating.numbering import NO_ALIASES


class AccountKind(StrEnum):
    """Prepaid spends its balance (and overdraft); postpaid runs up a debt to its credit limit, if it has one."""

    PREPAID = "prepaid"
    POSTPAID = "postpaid"


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
class Subscriber:
    """What callPrepare needs to know of a login. `version` grows with every change of it.

    `max_seconds`: the subscriber's own longest call, in place of the setting. `max_call_seconds`: the account's,
    which nothing exceeds. `quota`: reserve in slices; None: as the settings say. `options`: by their position.
    `numbering_plan`: how its phones write numbers; None: as the settings say. `aliases`: its own short numbers.
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


@dataclass(frozen=True, slots=True)
class AccountState:
    """An account with its subscriber, as shown to people. `overdraft` None: unlimited credit."""

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

    @property
    def available(self) -> Decimal | None:
        """What new calls may spend; None where credit is unlimited."""
        return None if self.overdraft is None else self.balance + self.overdraft - self.reserved


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One change of a balance, with the balance after it. `amount` is signed: a charge is negative.

    `subject`: what a fee was for; '' for the rest.
    """

    entry_id: int
    kind: str
    amount: Decimal
    balance_after: Decimal
    call_key: str | None
    reference: str | None
    subject: str
    created_at: datetime
