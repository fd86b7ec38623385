"""Calling cards and the groups that they are of: what they cost, how long they count, and what is told of their money.

Laws: a card is worth what its price is without its tax; what is told of its balance and minutes is never what calls may
spend, and changes none of it; a day is charged once, by its midnight in UTC.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from fractions import Fraction
from typing import Final

from rating_engine.domain.change import LEAVE, Leave
from rating_engine.domain.checks import (
    check_amount,
    check_currency,
    check_email,
    check_line,
    check_name,
    check_reference,
    check_text,
    check_whole,
)
from rating_engine.domain.errors import InvalidRequest, Refused
from rating_engine.rating.money import AMOUNT_DECIMALS, quantise_fraction

NUMBER_LENGTHS: Final = (6, 20)  # shorter ones are guessed, longer ones nobody keys in
PIN_LENGTHS: Final = (0, 10)  # 0: the number alone opens a card
MAX_CARDS: Final = 10_000  # made by one request: two encryptions each, some seconds of one processor
MAX_SOLD: Final = 1_000  # by one request: each is given its money by a statement of its own
WRONG_PINS: Final = 5  # of one card, within and for CARD_LOCK_SECONDS
CARD_LOCK_SECONDS: Final = 15 * 60.0
WRONG_OF_CALLER: Final = 10  # of one caller's number, whatever cards it names, within and for CALLER_LOCK_SECONDS
CALLER_LOCK_SECONDS: Final = 3600.0
WRONG_OF_NOBODY: Final = 100  # of all callers of one exchange who show no number
PERCENT_DECIMALS: Final = 4
MAX_PERCENT: Final = Decimal("99999.9999")
A_DAY: Final = timedelta(days=1)

_LANGUAGE: Final = re.compile("[A-Za-z_-]{0,20}")
_CONTEXT: Final = re.compile("[A-Za-z0-9_-]{0,79}")
_DIGITS: Final = re.compile("[0-9]+")
_CENT: Final = Decimal("0.01")


class NoFreeCards(Refused):
    """A group has fewer cards left than were asked for; none was sold."""

    code = "no_free_cards"


class PinTooShort(Refused):
    """PINs of so many digits are fewer than the cards."""

    code = "pin_too_short"


@dataclass(frozen=True, slots=True)
class GroupTerms:
    """What a group of cards says of its cards. Amounts in the currency of its tariff.

    `tax_id` None: no tax. `valid_to` None: for good. `days_after_first_use` 0: no such limit.
    `ghost_balance_percent`: the share of the balance that is told; `ghost_min_percent`: how much longer the time is
    that is told. `tell_currency` '': the tariff's. `numbering_plan` None: as the settings say. `max_calls`
    None: no limit. `route_plan` None: as its owner's, or its tariff. Tariff and numbering plan by name, or by number.
    Raises InvalidRequest naming the field.
    """

    name: str | Leave = LEAVE
    tariff: str | int | Leave = LEAVE
    description: str | Leave = LEAVE
    image: str | Leave = LEAVE
    price_with_tax: Decimal | Leave = LEAVE
    tax_id: int | Leave | None = LEAVE
    setup_fee: Decimal | Leave = LEAVE
    daily_charge: Decimal | Leave = LEAVE
    numbering_plan: str | int | Leave | None = LEAVE
    dialplan: str | Leave = LEAVE
    valid_from: datetime | Leave = LEAVE
    valid_to: datetime | Leave | None = LEAVE
    days_after_first_use: int | Leave = LEAVE
    ghost_balance_percent: Decimal | Leave = LEAVE
    ghost_min_percent: Decimal | Leave = LEAVE
    tell_cents: bool | Leave = LEAVE
    tell_currency: str | Leave = LEAVE
    max_calls: int | Leave | None = LEAVE
    external_function: bool | Leave = LEAVE
    allow_loss: bool | Leave = LEAVE
    solo_pinless: bool | Leave = LEAVE
    disable_voucher: bool | Leave = LEAVE
    callerid_leave: bool | Leave = LEAVE
    hidden: bool | Leave = LEAVE
    route_plan: str | Leave | None = LEAVE

    def __post_init__(self) -> None:
        self._check_words()
        for name in ("price_with_tax", "setup_fee", "daily_charge"):
            if (amount := getattr(self, name)) is not LEAVE:
                check_amount(amount, name)
        if self.ghost_balance_percent is not LEAVE:
            check_amount(self.ghost_balance_percent, "ghost_balance_percent", PERCENT_DECIMALS, MAX_PERCENT)
        if self.ghost_min_percent is not LEAVE:
            check_amount(
                self.ghost_min_percent, "ghost_min_percent", PERCENT_DECIMALS, MAX_PERCENT, allow_negative=True
            )
            if self.ghost_min_percent < -100:
                raise InvalidRequest("ghost_min_percent", "must not be below -100")
        for name in ("days_after_first_use", "max_calls"):
            if (number := getattr(self, name)) is not LEAVE:
                check_whole(number, name)
        if isinstance(self.valid_from, datetime) and isinstance(self.valid_to, datetime):
            check_span(self.valid_from, self.valid_to)

    def _check_words(self) -> None:
        if self.name is not LEAVE:
            check_name(self.name)
        for name in ("description", "image"):
            if (text := getattr(self, name)) is not LEAVE:
                check_text(text, name)
        if self.tell_currency is not LEAVE and self.tell_currency:
            check_currency(self.tell_currency, "tell_currency")
        if self.dialplan is not LEAVE and not _CONTEXT.fullmatch(self.dialplan):
            raise InvalidRequest("dialplan", "is a context of the exchange: letters, digits, - and _")


def check_span(valid_from: datetime, valid_to: datetime | None) -> None:
    """Whether a group is valid before it ends. Raises InvalidRequest."""
    if valid_to is not None and valid_to < valid_from:
        raise InvalidRequest("valid_to", "is before valid_from")


@dataclass(frozen=True, slots=True)
class NewCardGroup:
    """A group to be made: its terms, of which name and tariff are needed, and what never changes.

    `owner` None: whose it is who makes it. Raises InvalidRequest naming the field.
    """

    terms: GroupTerms
    number_length: int = 10
    pin_length: int = 4
    owner: str | int | None = None

    def __post_init__(self) -> None:
        for name in ("name", "tariff"):
            if getattr(self.terms, name) is LEAVE:
                raise InvalidRequest(name, "has to be given")
        check_whole(self.number_length, "number_length", least=NUMBER_LENGTHS[0], most=NUMBER_LENGTHS[1])
        check_whole(self.pin_length, "pin_length", least=PIN_LENGTHS[0], most=PIN_LENGTHS[1])


@dataclass(frozen=True, slots=True)
class CardGroup:
    """A group as it is kept. `free`: its cards that nobody has bought; `cards`: all that it has."""

    group_id: int
    name: str
    owner: str
    owner_id: int
    number_length: int
    pin_length: int
    tariff: str
    currency: str
    description: str
    image: str
    price_with_tax: Decimal
    tax_id: int | None
    tax_percent: Decimal
    setup_fee: Decimal
    daily_charge: Decimal
    numbering_plan: str | None
    dialplan: str
    valid_from: datetime
    valid_to: datetime | None
    days_after_first_use: int
    ghost_balance_percent: Decimal
    ghost_min_percent: Decimal
    tell_cents: bool
    tell_currency: str
    max_calls: int | None
    external_function: bool
    allow_loss: bool
    solo_pinless: bool
    disable_voucher: bool
    callerid_leave: bool
    hidden: bool
    route_plan: str | None
    cards: int = 0
    free: int = 0

    @property
    def price_without_tax(self) -> Decimal:
        """What a card of it is worth: the price without its tax, rounded once to six decimals."""
        return self.without_tax(self.price_with_tax)

    def with_tax(self, net: Decimal) -> Decimal:
        """What is to be paid for so much, tax included."""
        return quantise_fraction(Fraction(net) * (100 + Fraction(self.tax_percent)) / 100, AMOUNT_DECIMALS)

    def without_tax(self, paid: Decimal) -> Decimal:
        """What is left of a payment without its tax, rounded once to six decimals."""
        return quantise_fraction(Fraction(paid) * 100 / (100 + Fraction(self.tax_percent)), AMOUNT_DECIMALS)

    @property
    def pins(self) -> int:
        """How many PINs there are; 0: its cards have none."""
        return 10**self.pin_length if self.pin_length else 0

    def is_valid(self, at: datetime, first_used_at: datetime | None) -> bool:
        """Whether a card that was first used then (None: never) counts at an instant."""
        ends = self.ends_at(first_used_at)
        return self.valid_from <= at and (ends is None or at < ends)

    def ends_at(self, first_used_at: datetime | None) -> datetime | None:
        """When such a card counts no more; None: never."""
        by_use = None
        if first_used_at is not None and self.days_after_first_use:
            by_use = first_used_at + self.days_after_first_use * A_DAY
        return min((end for end in (self.valid_to, by_use) if end is not None), default=None)

    def told_balance(self, balance: Decimal) -> Decimal:
        """What a caller is told: the share of it, downwards to cents or whole units."""
        share = Fraction(balance) * Fraction(self.ghost_balance_percent) / 100
        told = quantise_fraction(share, AMOUNT_DECIMALS)
        return told.quantize(_CENT if self.tell_cents else Decimal(1), ROUND_DOWN)

    def told_seconds(self, seconds: int) -> int:
        """How long a caller is told that a call lasts."""
        return int(seconds * (100 + Fraction(self.ghost_min_percent)) / 100)


@dataclass(frozen=True, slots=True)
class CardChanges:
    """What is to be changed of a card. `distributor` None: nobody. Raises InvalidRequest naming the field."""

    number: str | Leave = LEAVE
    pin: str | Leave = field(default=LEAVE, repr=False)
    name: str | Leave = LEAVE
    batch: str | Leave = LEAVE
    callerid: str | Leave = LEAVE
    min_balance: Decimal | Leave = LEAVE
    daily_paid_to: datetime | Leave = LEAVE
    language: str | Leave = LEAVE
    distributor: str | int | Leave | None = LEAVE

    def __post_init__(self) -> None:
        for name in ("name", "batch"):
            if (text := getattr(self, name)) is not LEAVE:
                check_line(text, name, empty=True)
        if self.min_balance is not LEAVE:
            check_amount(self.min_balance, "min_balance")
        if self.language is not LEAVE and not _LANGUAGE.fullmatch(self.language):
            raise InvalidRequest("language", "is a language of the exchange's sounds, such as en")
        if self.callerid is not LEAVE:
            check_callers_number(self.callerid)


def check_callers_number(callerid: str) -> None:
    """A caller's number by which a card is opened; '': none. Raises InvalidRequest."""
    if callerid and (not _DIGITS.fullmatch(callerid) or len(callerid) > NUMBER_LENGTHS[1]):
        raise InvalidRequest("callerid", f"is 1 to {NUMBER_LENGTHS[1]} digits")


def check_digits(text: str, field: str, length: int) -> None:
    """A number or a PIN of so many digits. Raises InvalidRequest."""
    if len(text) != length or (length and not (text.isascii() and text.isdigit())):
        raise InvalidRequest(field, f"has {length} digits")


@dataclass(frozen=True, slots=True)
class NewCards:
    """Cards to be made: all numbers from the first to the last. Raises InvalidRequest naming the field."""

    group_id: int
    first: str
    last: str
    batch: str = ""
    min_balance: Decimal = Decimal(0)
    language: str = ""
    distributor: str | int | None = None

    def __post_init__(self) -> None:
        CardChanges(batch=self.batch, min_balance=self.min_balance, language=self.language)
        for name in ("first", "last"):
            if not _DIGITS.fullmatch(getattr(self, name)):
                raise InvalidRequest(name, "is not a number of digits")
        if int(self.last) < int(self.first):
            raise InvalidRequest("first", "must not be greater than the last number")

    @property
    def count(self) -> int:
        """How many numbers that are."""
        return int(self.last) - int(self.first) + 1


@dataclass(frozen=True, slots=True)
class Made:
    """How many cards were made of how many that were asked for; the others had numbers that were there."""

    made: int
    asked: int


@dataclass(frozen=True, slots=True)
class Card:
    """A calling card. `number`, `pin`: None where the key of their encryption is not there; pin '' where it has none.

    `balance`: what its account has, and of a card that was not sold what it is worth. `line`: by what login it calls;
    '': it was never used. `language` '': the exchange's.
    """

    card_id: int
    group_id: int
    group: str
    number: str | None = field(repr=False)
    pin: str | None = field(repr=False)
    name: str
    batch: str
    callerid: str
    balance: Decimal
    currency: str
    min_balance: Decimal
    first_used_at: datetime | None
    daily_paid_to: datetime
    sold_at: datetime | None
    language: str
    distributor: str
    distributor_name: str
    blocked: bool
    line: str


@dataclass(frozen=True, slots=True)
class CardFilter:
    """Which cards are listed; None: any. All together. `pin`, `number`: whole."""

    group_id: int | None = None
    number: str | None = field(default=None, repr=False)
    pin: str | None = field(default=None, repr=False)
    name: str | None = None
    batch: str | None = None
    min_balance: Decimal | None = None
    max_balance: Decimal | None = None
    callerid: str | None = None
    language: str | None = None
    sold: bool | None = None
    distributor: str | int | None = None
    sale_id: int | None = None


@dataclass(frozen=True, slots=True)
class CardSale:
    """Cards to be sold: `quantity` free ones of a group, or the one of that number.

    `email`: where numbers and PINs are mailed to besides; '': nowhere. `reference`: whoever says it again is answered
    the same cards. `worth`: what each is given; None: what the group says. Raises InvalidRequest naming the field.
    """

    group_id: int
    quantity: int = 1
    number: str | None = field(default=None, repr=False)
    email: str = ""
    reference: str | None = None
    worth: Decimal | None = None

    def __post_init__(self) -> None:
        check_amount(self.worth, "worth")
        check_whole(self.quantity, "quantity", least=1, most=MAX_SOLD)
        check_reference(self.reference)
        if self.email:
            check_email(self.email, "email")


@dataclass(frozen=True, slots=True)
class SoldCards:
    """What was sold. `price`: of each card, tax included; `net`: what each was given. `currency`: of both."""

    sale_id: int
    cards: tuple[Card, ...]
    price: Decimal
    net: Decimal
    tax_percent: Decimal
    currency: str


@dataclass(frozen=True, slots=True)
class Told:
    """What a caller by a card is told: a balance in a currency, and of a call how long it would last."""

    balance: Decimal
    currency: str
    lasts: int | None = None


def pin_text(pin: str) -> str:
    """What a PIN is hashed as: never the same as a number."""
    return f"pin {pin}"


def midnight(at: datetime) -> datetime:
    """The beginning of the day of an instant, in UTC."""
    return at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def days_due(paid_to: datetime, first_used_at: datetime, at: datetime) -> list[datetime]:
    """The days, by their midnights, that a card used first then has to pay at an instant, this one too."""
    day = max(midnight(paid_to), midnight(first_used_at))
    if day < paid_to:
        day += A_DAY
    days = []
    while day <= at:
        days.append(day)
        day += A_DAY
    return days
