"""Tariffs that are priced by directions, attempt by attempt, as their owners see and change them.

Laws: a change of many prices is one or none; of an attempt there is one price at most, and one that is moved pushes no
other away.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, NamedTuple

from rating_engine.domain.change import LEAVE, Leave
from rating_engine.domain.checks import check_amount, check_currency, check_factor, check_name, check_text, check_whole
from rating_engine.domain.errors import AlreadyExists, InvalidRequest, NotFound
from rating_engine.rating.money import EXACT, MAX_PRICE, PRICE_DECIMALS, quantise

ATTEMPT_MAX: Final = 99  # of a call: more trunks than that nobody waits for
LABEL_MAX: Final = 100  # characters
SECONDS_MAX: Final = 86_400
PRICES_MAX: Final = 100_000  # of a tariff: some thousand directions with as many attempts as anybody has trunks
BY_MINUTE: Final = "byminute"

_BILL_TYPE: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class PriceKey(NamedTuple):
    """Which price of a tariff: that of a direction, by its code, when a call is tried for the n-th time."""

    direction: str
    attempt: int


class Price(NamedTuple):
    """What a minute costs, in the tariff's currency, and the route it is sold by."""

    cost: Decimal
    route_id: int

    def times(self, factor: Decimal) -> Price:
        """Multiplied, and rounded half up to the decimals that a price has."""
        return Price(quantise(EXACT.multiply(self.cost, factor), PRICE_DECIMALS), self.route_id)


class ListedPrice(NamedTuple):
    """A price as it is shown. `direction_id`, `name`: of the direction; `cost`: without the tariff's multiplier.

    `attempt` 0 and `route_id` None: of a deck that was imported, which sells by any route.
    """

    direction_id: int
    name: str
    attempt: int
    cost: Decimal
    route_id: int | None
    route: str


@dataclass(frozen=True, slots=True)
class PriceChange:
    """What is to be changed of one price; None: as it is. `direction_id`: the number of a direction.

    Raises InvalidRequest naming the field.
    """

    direction_id: int
    attempt: int = 1
    cost: Decimal | None = None
    route_id: int | None = None
    to_attempt: int | None = None

    def __post_init__(self) -> None:
        check_whole(self.attempt, "prior", least=1, most=ATTEMPT_MAX)
        check_whole(self.to_attempt, "priority", least=1, most=ATTEMPT_MAX)
        check_amount(self.cost, "cost", PRICE_DECIMALS, MAX_PRICE)


def changed(prices: Mapping[PriceKey, Price], changes: Iterable[tuple[PriceKey, PriceChange]]) -> dict[PriceKey, Price]:
    """All prices after all changes, done at once: two that change places do. Raises NotFound, AlreadyExists,
    InvalidRequest (one is named twice)."""
    after = dict(prices)
    moved: dict[PriceKey, Price] = {}
    seen: set[PriceKey] = set()
    for key, change in changes:
        if key in seen:
            raise InvalidRequest("directions", f"attempt {key.attempt} of {key.direction} is named twice")
        seen.add(key)
        old = after.pop(key, None)
        if old is None:
            raise NotFound(f"{key.direction} has no price of attempt {key.attempt}", field="direction")
        to = key if change.to_attempt is None else PriceKey(key.direction, change.to_attempt)
        if to in moved:
            raise AlreadyExists(f"{key.direction} has a price of attempt {to.attempt}", field="priority")
        moved[to] = Price(
            old.cost if change.cost is None else change.cost,
            old.route_id if change.route_id is None else change.route_id,
        )
    if taken := after.keys() & moved.keys():
        direction, attempt = min(taken)
        raise AlreadyExists(f"{direction} has a price of attempt {attempt}", field="priority")
    return after | moved


def marked_up(prices: Mapping[PriceKey, Price], factor: Decimal) -> dict[PriceKey, Price]:
    """Every price times a factor, rounded half up to eight decimals. Raises InvalidRequest (one gets too large)."""
    after = {key: price.times(factor) for key, price in prices.items()}
    if any(price.cost > MAX_PRICE for price in after.values()):
        raise InvalidRequest("markup", f"makes a price that is above the limit of {MAX_PRICE}")
    return after


@dataclass(frozen=True, slots=True)
class PriceList:
    """A tariff as its owner sees it. `name`: in the whole engine; `title`: as the owner gave it. `owner`: its login."""

    tariff_id: int
    name: str
    owner_id: int
    owner: str
    label: str
    currency: str
    description: str
    is_option: bool
    is_public: bool
    bill_type: str | None
    multiplier: Decimal
    did_multiplier: Decimal
    switch_price: Decimal

    @property
    def title(self) -> str:
        """Its name without that of its owner."""
        return self.name.removeprefix(f"{self.owner}/")


@dataclass(frozen=True, slots=True)
class PriceListChanges:
    """What is to be set of such a tariff; LEAVE: as it is. `switch_price`: in its currency.

    Raises InvalidRequest naming the field.
    """

    name: str | Leave = LEAVE
    label: str | Leave = LEAVE
    description: str | Leave = LEAVE
    is_option: bool | Leave = LEAVE
    is_public: bool | Leave = LEAVE
    bill_type: str | Leave = LEAVE
    multiplier: Decimal | Leave = LEAVE
    did_multiplier: Decimal | Leave = LEAVE
    switch_price: Decimal | Leave = LEAVE

    def __post_init__(self) -> None:
        if self.name is not LEAVE:
            check_name(self.name)
        if self.label is not LEAVE and (len(self.label) > LABEL_MAX or not self.label.isprintable()):
            raise InvalidRequest("table", f"may have {LABEL_MAX} printable characters at most")
        if self.description is not LEAVE:
            check_text(self.description, "description")
        for name in ("multiplier", "did_multiplier"):
            if (factor := getattr(self, name)) is not LEAVE:
                check_factor(factor, name)
        if self.switch_price is not LEAVE:
            check_amount(self.switch_price, "switch_price")


@dataclass(frozen=True, slots=True)
class BillType:
    """How calls are counted: nothing up to `free_threshold` seconds, else by steps of so many seconds.

    Raises InvalidRequest naming the field.
    """

    name: str
    free_threshold: int
    step: int

    def __post_init__(self) -> None:
        if not _BILL_TYPE.fullmatch(self.name):
            raise InvalidRequest("bill_type", "has 1 to 64 of letters, digits and _ . -")
        check_whole(self.free_threshold, "free_threshold", most=SECONDS_MAX)
        check_whole(self.step, "step", least=1, most=SECONDS_MAX)


@dataclass(frozen=True, slots=True)
class ListedDirection:
    """A direction in the directory. `code`: leading digits of its numbers. Lengths in digits; None: any."""

    direction_id: int
    code: str
    name: str
    min_len: int | None
    max_len: int | None


@dataclass(frozen=True, slots=True)
class Currency:
    """A currency. `sign`: as people write it. Amounts are in the system's currency.

    `course`: how many of it one of the system's currency is, None: nobody said. Raises InvalidRequest naming the field.
    """

    code: str
    sign: str
    enabled: bool = True
    transfer_fee: Decimal = Decimal(0)
    referral_reward: Decimal = Decimal(0)
    course: Decimal | None = None

    def __post_init__(self) -> None:
        check_currency(self.code)
        if len(self.sign) > 8 or not self.sign.isprintable():
            raise InvalidRequest("sign", "may have 8 printable characters at most")
        check_amount(self.transfer_fee, "transfer_fee")
        check_amount(self.referral_reward, "referral_reward")
