"""Tenants: how the calls of a firm are charged, and what it charges for them.

Laws: a call rate says the price of an interval, not of a minute; amounts have five decimals at most; of one prefix a
tenant has one rate. Sources: the tenant billing REST document.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from rating_engine.domain.change import LEAVE, Leave
from rating_engine.domain.checks import MAX_INTEGER, check_amount, check_whole
from rating_engine.domain.errors import InvalidRequest
from rating_engine.domain.tariff import MAX_NUMBER
from rating_engine.rating.checks import MAX_INTERVAL_SECONDS
from rating_engine.rating.rate import PriceUnit, Rate

CALL_RATES_MAX: Final = 10_000  # of a tenant: one change may copy them all (storage/decks/rate_edits.EDITS_MAX)
MAX_PREFIX: Final = 64  # digits, as documented; no number has more than MAX_NUMBER
MAX_DESCRIPTION: Final = 1_024  # characters
RATE_DECIMALS: Final = 5
MAX_RATE_AMOUNT: Final = Decimal("9999999999.99999")  # what a price column holds, with so many decimals

AMOUNTS: Final = ("connect_fee", "postcall_surcharge", "price_1", "price_n")
WHOLES: Final = (("free_seconds", 0), ("grace_period", 0), ("interval_1", 1), ("interval_n", 1))  # and the least

_PREFIX: Final = re.compile(r"[0-9]{1,64}")


class ChargedAccount(StrEnum):
    """Whose account is charged: the company's, or the private one of who calls."""

    TENANT = "TENANT"
    USER = "USER"


class Charging(StrEnum):
    """OFFLINE: a call is charged when it has ended, on credit. ONLINE: its money is held before it starts."""

    OFFLINE = "OFFLINE"
    ONLINE = "ONLINE"


class CallRateType(StrEnum):
    """What kind of calls a rate is for; the direction of its calls in CDRs, packages and reports."""

    LOCAL = "LOCAL"
    NATIONAL = "NATIONAL"
    INTERNATIONAL = "INTERNATIONAL"
    MOBILE = "MOBILE"


@dataclass(frozen=True, slots=True)
class TenantBilling:
    """How the calls of a tenant are charged. `enabled` False: they are recorded and cost nothing."""

    enabled: bool = False
    account: ChargedAccount = ChargedAccount.TENANT
    type: Charging = Charging.OFFLINE


@dataclass(frozen=True, slots=True)
class BillingChanges:
    """What is to be changed of it; LEAVE: as it is."""

    enabled: bool | Leave = LEAVE
    account: ChargedAccount | Leave = LEAVE
    type: Charging | Leave = LEAVE


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCallRate:
    """A rate to be made. Seconds are whole and at most int32, amounts from 0 on with five decimals at most.

    A leading + of the prefix is for `clean_prefix` to take off. Raises InvalidRequest naming the field.
    """

    prefix: str
    type: CallRateType = CallRateType.LOCAL
    free_seconds: int
    grace_period: int
    interval_1: int
    interval_n: int
    connect_fee: Decimal
    postcall_surcharge: Decimal
    price_1: Decimal
    price_n: Decimal
    description: str = ""

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRateChanges:
    """What is to be changed of a rate; LEAVE: as it is. Raises InvalidRequest naming the field."""

    prefix: str | Leave = LEAVE
    type: CallRateType | Leave = LEAVE
    free_seconds: int | Leave = LEAVE
    grace_period: int | Leave = LEAVE
    interval_1: int | Leave = LEAVE
    interval_n: int | Leave = LEAVE
    connect_fee: Decimal | Leave = LEAVE
    postcall_surcharge: Decimal | Leave = LEAVE
    price_1: Decimal | Leave = LEAVE
    price_n: Decimal | Leave = LEAVE
    description: str | Leave = LEAVE

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRate:
    """One rate of a tenant, its fields in the documented order."""

    rate_id: int
    prefix: str
    type: CallRateType
    free_seconds: int
    grace_period: int
    interval_1: int
    interval_n: int
    connect_fee: Decimal
    postcall_surcharge: Decimal
    price_1: Decimal
    price_n: Decimal
    description: str

    @property
    def is_reachable(self) -> bool:
        """Whether a number can begin with its prefix at all."""
        return len(self.prefix) <= MAX_NUMBER

    def counted(self, name: str) -> int:
        """Its seconds of that name as they count: what is longer than any call is as long as the longest."""
        return min(int(getattr(self, name)), MAX_INTERVAL_SECONDS)

    def rate(self) -> Rate:
        """Its price as calls are charged by."""
        seconds: dict[str, Any] = {name: self.counted(name) for name, _ in WHOLES}
        amounts: dict[str, Any] = {name: getattr(self, name) for name in AMOUNTS}
        return Rate(price_unit=PriceUnit.INTERVAL, **amounts, **seconds)


RATE_FIELDS: Final = tuple(field.name for field in fields(NewCallRate))  # in the documented order


def clean_prefix(text: str) -> str:
    """The prefix that is meant by what was written: + says that a number is international, as all here are."""
    return text.removeprefix("+")


def _check(rate: Any) -> None:
    if rate.prefix is not LEAVE and not _PREFIX.fullmatch(rate.prefix):
        raise InvalidRequest("prefix", f"{rate.prefix[:70]!r} is not 1 to {MAX_PREFIX} digits")
    for name, least in WHOLES:
        if (seconds := getattr(rate, name)) is not LEAVE:
            check_whole(seconds, name, least=least, most=MAX_INTEGER)
    for name in AMOUNTS:
        if (amount := getattr(rate, name)) is not LEAVE:
            check_amount(amount, name, RATE_DECIMALS, MAX_RATE_AMOUNT)
    if rate.description is not LEAVE:
        _check_description(rate.description)


def _check_description(text: str) -> None:
    if len(text) > MAX_DESCRIPTION:
        raise InvalidRequest("description", f"may have {MAX_DESCRIPTION} characters at most")
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise InvalidRequest("description", "has a NUL or half a character, which no text can have")
