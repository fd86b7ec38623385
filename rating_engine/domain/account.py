"""Subscribers (who calls) and accounts (whose money)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType


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
    """A tariff that a subscriber has beside its own, in [effective_from, effective_to)."""

    tariff_id: int
    effective_from: datetime
    effective_to: datetime

    def holds_at(self, at: datetime) -> bool:
        """Whether the subscriber has it at an instant."""
        return self.effective_from <= at < self.effective_to


@dataclass(frozen=True, slots=True)
class Subscriber:
    """What callPrepare needs to know of a login. `version` grows with every change of it.

    `max_seconds`: the subscriber's own longest call, in place of the setting. `max_call_seconds`: the account's,
    which nothing exceeds. `quota`: reserve in slices; None: as the settings say. `options`: those in force and ahead,
    in the order in which they count. `numbering_plan`: the account's; None: as the settings say. `aliases`: its own
    short numbers, each with what it stands for.
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
    options: tuple[SubscriberOption, ...] = ()
    numbering_plan: str | None = None
    aliases: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), hash=False)


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
