"""Parties: the people and firms that ask, in one tree of owners, and what their lines may call by how they stand.

Laws: the root is the system, which owns what nobody else has; an owner is older than what it owns and stays it: there
is no circle; nobody gets a level above that of who gives it; a party is closed and not deleted, and keeps its money.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import Final

from rating_engine.domain.change import LEAVE, Leave
from rating_engine.domain.checks import (
    MAX_INTEGER,
    check_amount,
    check_currency,
    check_email,
    check_login,
    check_name,
    check_text,
    check_whole,
)
from rating_engine.domain.errors import InvalidRequest
from rating_engine.domain.permission import Permission
from rating_engine.domain.route_plan import BlacklistMode, check_threshold
from rating_engine.domain.tax import PartyTax

MAX_NOTICE_DAYS: Final = 90  # before a number ends
SYSTEM: Final = 1  # the party_id of the root
UTC_OFFSET_MIN: Final = -720  # minutes: from Baker Island
UTC_OFFSET_MAX: Final = 840  # to Kiribati
RESERVED_LOGINS: Final = frozenset({"system", "operator", "engine"})
PASSWORD_MIN: Final = 8  # characters; what is shorter is guessed from a stolen hash however it was hashed
PASSWORD_MAX: Final = 256  # more is no password but an attempt to keep a processor busy

BILLING: Final = ("billing_name", "billing_address", "billing_email", "billing_bank_account")
ROUTING: Final = ("route_plan", "dynamic_blacklist", "score_threshold", "blacklist_plan")  # where its calls go
ON_PAPER: Final = (*BILLING, "tax_number", "tax_id", "taxes")  # what stands on invoices of a party and to it

_LANGUAGE: Final = re.compile("(?:[a-z]{2,3})?")


class Level(IntEnum):
    """What a party, or a key, may do at the most; the numbers are those that surfaces speak of.

    SERVER to SYSTEM_SERVER are of keys alone. OPERATOR can read the settings file, and needs nobody's leave.
    """

    ANYBODY = 0
    SIMPLE_USER = 10
    USER = 11
    RESELLER = 22
    PARTNER = 25
    ADMIN = 33
    ROOT_ADMIN = 44
    SERVER = 50
    MAINTENANCE = 90
    SYSTEM_SERVER = 95
    OPERATOR = 99
    ENGINE = 100

    @property
    def word(self) -> str:
        """As it stands in the audit log: root_admin."""
        return self.name.lower()


class PartyKind(StrEnum):
    """What a party is. Who manages (admin, accountant) does it with what is their owner's; others own for themselves.

    An accountant reads all of that and moves no money. A tenant is a firm with lines of its own, seen as one customer.
    """

    SYSTEM = "system"
    ADMIN = "admin"
    ACCOUNTANT = "accountant"
    RESELLER = "reseller"
    USER = "user"
    TENANT = "tenant"

    @property
    def manages(self) -> bool:
        """Whether what it works with is its owner's."""
        return self in (PartyKind.ADMIN, PartyKind.ACCOUNTANT)

    @property
    def may_own(self) -> bool:
        """Whether there may be parties below it."""
        return self in (PartyKind.SYSTEM, PartyKind.RESELLER, PartyKind.TENANT)


# The levels that a kind may have, the usual one first.
LEVELS_OF: Final[Mapping[PartyKind, tuple[Level, ...]]] = {
    PartyKind.SYSTEM: (Level.ROOT_ADMIN,),
    PartyKind.ADMIN: (Level.ADMIN, Level.ROOT_ADMIN),
    PartyKind.ACCOUNTANT: (Level.ADMIN, Level.RESELLER),
    PartyKind.RESELLER: (Level.RESELLER, Level.PARTNER),
    PartyKind.USER: (Level.USER, Level.SIMPLE_USER),
    PartyKind.TENANT: (Level.RESELLER,),
}


class PartyState(StrEnum):
    """How a party stands. LOCKED may do nothing at all; who is deactivated or blocked may ask, and not call.

    EXTERNAL_BLOCKED calls lines of its own. PROTECTED is active, and nothing that works by itself changes that.
    """

    LOCKED = "locked"
    DEACTIVATED = "deactivated"
    ACTIVE = "active"
    EXTERNAL_BLOCKED = "external_blocked"
    ALL_BLOCKED = "all_blocked"
    PROTECTED = "protected"


class AllowedCalls(StrEnum):
    """What a line may call by how its party and those above it stand. INTERNAL: other lines of the same party."""

    NONE = "none"
    INTERNAL = "internal"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Party:
    """One party. `owner` and `tariff` by name; `calls`: by its own state and its owners'. `utc_offset` in minutes.

    `allowed_tariffs`: numbers of those that it may change to beside the public ones.

    `account`: a login of the one that it is charged on, by its tariff, for the calls of all below it; None: it is not.
    `permissions`: of its permission group.
    `hidden`: it was closed. `notify_email`: where its mail goes; '': nowhere. `notify_ticket`: whether tickets' does;
    `notify_balance`: whether it is told that its balance is below `notify_balance_limit`, in the system's currency;
    `warn_calls`: whether its callers hear of that before a call;
    `notify_did`: how many days before a number of its ends; 0: never.
    `taxes`: what is put on what it pays, each by itself; `tax_id`: of `tax list`, where it is one of those.
    `warn_sound`: the number of the sound that its callers hear then; None: what the exchange has for it. `notify_hour`:
    by its clock, when it is told by mail that its balance is low; None: at once. `unlisted`: lists leave it out.
    `route_plan`: by which calls of it and of all below it go, by name; None: none of its own. `dynamic_blacklist`:
    whether its suspected calls go by another one, and where it is ON, above which `score_threshold` by which.
    """

    party_id: int
    owner_id: int | None
    owner: str | None
    kind: PartyKind
    level: Level
    login: str
    name: str
    status: PartyState
    calls: AllowedCalls
    hidden: bool
    language: str
    utc_offset: int
    currency: str
    tariff: str | None
    tariff_id: int | None
    allowed_tariffs: tuple[int, ...]
    account: str | None
    comment: str
    notify_email: str
    notify_ticket: bool
    has_password: bool
    created_at: datetime
    invites: int = 0
    billing_name: str = ""
    billing_address: str = ""
    billing_email: str = ""
    billing_bank_account: str = ""
    tax_number: str = ""
    tax_id: int | None = None
    taxes: tuple[PartyTax, ...] = ()
    permissions: frozenset[Permission] = frozenset()
    notify_balance: bool = False
    notify_balance_limit: Decimal = Decimal(0)
    warn_calls: bool = False
    notify_did: int = 0
    warn_sound: int | None = None
    notify_hour: int | None = None
    unlisted: bool = False
    route_plan: str | None = None
    dynamic_blacklist: BlacklistMode = BlacklistMode.GLOBAL
    score_threshold: int | None = None
    blacklist_plan: str | None = None

    @property
    def realm(self) -> int:
        """The party whose tree it works with: its own, or of who manages, the owner's."""
        return self.owner_id if self.kind.manages and self.owner_id is not None else self.party_id


@dataclass(frozen=True, slots=True)
class NewParty:
    """A party to be made. `owner` None: who asks. `level` None: the usual one of its kind.

    Raises InvalidRequest naming the field.
    """

    login: str
    kind: PartyKind = PartyKind.USER
    level: Level | None = None
    owner: str | int | None = None
    name: str = ""
    language: str = ""
    utc_offset: int = 0
    currency: str = ""
    tariff: str | None = None
    comment: str = ""

    def __post_init__(self) -> None:
        check_login(self.login)
        if self.login.lower() in RESERVED_LOGINS:
            raise InvalidRequest("login", f"{self.login!r} stands in the audit log for the engine's own work")
        if self.kind is PartyKind.SYSTEM:
            raise InvalidRequest("kind", "there is one system, and it is there")
        if self.access_level not in LEVELS_OF[self.kind]:
            raise InvalidRequest("level", _levels_in_words(self.kind))
        _check_about(self)

    @property
    def access_level(self) -> Level:
        """Its level, given or usual."""
        return LEVELS_OF[self.kind][0] if self.level is None else self.level


@dataclass(frozen=True, slots=True)
class PartyChanges:
    """What is to be changed of a party; LEAVE: as it is. `tariff` None: it is said of each line. `account`: of a
    reseller, a login of the account that is charged by its tariff for calls of those below it; None: nothing is.

    Raises InvalidRequest naming the field.
    """

    level: Level | Leave = LEAVE
    name: str | Leave = LEAVE
    language: str | Leave = LEAVE
    utc_offset: int | Leave = LEAVE
    currency: str | Leave = LEAVE
    tariff: str | Leave | None = LEAVE
    account: str | Leave | None = LEAVE
    comment: str | Leave = LEAVE
    notify_email: str | Leave = LEAVE
    notify_ticket: bool | Leave = LEAVE
    notify_balance: bool | Leave = LEAVE
    notify_balance_limit: Decimal | Leave = LEAVE
    warn_calls: bool | Leave = LEAVE
    notify_did: int | Leave = LEAVE
    invites: int | Leave = LEAVE
    billing_name: str | Leave = LEAVE
    billing_address: str | Leave = LEAVE
    billing_email: str | Leave = LEAVE
    billing_bank_account: str | Leave = LEAVE
    tax_number: str | Leave = LEAVE
    tax_id: int | Leave | None = LEAVE
    taxes: tuple[PartyTax, ...] | Leave = LEAVE
    warn_sound: int | Leave | None = LEAVE
    notify_hour: int | Leave | None = LEAVE
    unlisted: bool | Leave = LEAVE
    route_plan: str | Leave | None = LEAVE
    dynamic_blacklist: BlacklistMode | Leave = LEAVE
    score_threshold: int | Leave | None = LEAVE
    blacklist_plan: str | Leave | None = LEAVE

    def __post_init__(self) -> None:
        if self.taxes is not LEAVE:
            _check_taxes(self)
        if self.warn_sound is not LEAVE:
            check_whole(self.warn_sound, "warn_sound", least=1, most=MAX_INTEGER)
        if self.notify_hour is not LEAVE:
            check_whole(self.notify_hour, "notify_hour", most=23)
        if self.score_threshold is not LEAVE:
            check_threshold(self.score_threshold, "score_threshold")
        if self.invites is not LEAVE:
            check_whole(self.invites, "invites")
        for name in (*BILLING, "tax_number"):
            if (text := getattr(self, name)) is not LEAVE:
                check_text(text, name)
        _check_about(self)
        if self.notify_balance_limit is not LEAVE:
            check_amount(self.notify_balance_limit, "notify_balance_limit", allow_negative=True)
        if self.notify_did is not LEAVE:
            check_whole(self.notify_did, "notify_did", most=MAX_NOTICE_DAYS)
        for name in ("notify_email", "billing_email"):  # mail goes there
            if (address := getattr(self, name)) is not LEAVE and address:
                check_email(address, name)


@dataclass(frozen=True, slots=True)
class PartyFilter:
    """Which parties of a list: below one (by login or number), of a kind, in a state; `hidden`: closed ones too,
    `unlisted`: those too that lists leave out."""

    owner: str | int | None = None
    kind: PartyKind | None = None
    status: PartyState | None = None
    hidden: bool = False
    unlisted: bool = False


def check_level_of(kind: PartyKind, level: Level) -> None:
    """Whether a party of that kind may have that level. Raises InvalidRequest."""
    if level not in LEVELS_OF[kind]:
        raise InvalidRequest("level", _levels_in_words(kind))


def check_password(password: str) -> None:
    """A password that a party may take. Raises InvalidRequest."""
    if not PASSWORD_MIN <= len(password) <= PASSWORD_MAX:
        raise InvalidRequest("password", f"must have {PASSWORD_MIN} to {PASSWORD_MAX} characters")


def _check_taxes(changes: PartyChanges) -> None:
    taxes = () if changes.taxes is LEAVE else changes.taxes
    if changes.tax_id is not LEAVE:
        raise InvalidRequest("taxes", "are said beside the number of one: say either")
    if len({tax.position for tax in taxes}) != len(taxes) or len({tax.name for tax in taxes}) != len(taxes):
        raise InvalidRequest("taxes", "each has a name and a place of its own")


def _levels_in_words(kind: PartyKind) -> str:
    return f"of this kind is {' or '.join(str(int(level)) for level in LEVELS_OF[kind])}"


def _check_about(party: NewParty | PartyChanges) -> None:
    if party.name is not LEAVE and party.name:
        check_name(party.name)
    if party.language is not LEAVE and not _LANGUAGE.fullmatch(party.language):
        raise InvalidRequest("language", f"{party.language[:40]!r} is no ISO 639 code such as en")
    if party.utc_offset is not LEAVE:
        check_whole(party.utc_offset, "utc_offset", least=UTC_OFFSET_MIN, most=UTC_OFFSET_MAX)
    if party.currency is not LEAVE and party.currency:
        check_currency(party.currency)
    if party.comment is not LEAVE:
        check_text(party.comment, "comment")
