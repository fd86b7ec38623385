"""Which routes a call may take, and in which order they are tried.

Laws: the order is total, and depends on the call and the routes alone, not on how they are listed: every attempt of a
call, on any engine, sees the same. Taking a route away leaves the order of the others, but for `quality`, where it
moves those of which too little is known.

The margin guard: unless loss is allowed, no route is tried whose minute costs more than the call is sold for. Compared
is the price that is really sold: with volumes, and with fees (the first minute has them on both sides). Where the price
changes while the call lasts, no minute after a change may be sold for less than a minute costs there either. Seconds
that a package makes free count at the price they would have: the package has paid for them. A cost that nobody knows
passes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from fractions import Fraction
from itertools import groupby
from types import MappingProxyType
from typing import Final, Generic, Protocol, TypeAlias, TypeVar

from rating_engine.rating.fast_frozen import fast_frozen
from rating_engine.rating.numbering import is_international, national
from rating_engine.rating.schedule import Schedule
from rating_engine.rating.shares import arrival, is_within

JUDGED_FROM: Final = 30  # attempts; of fewer, the share that was answered says little (30: plus or minus 9 per cent)

# Values of a route's caller-ID policy: the words of the Narayana billing API.
NATIONAL_CALLERID: Final = 1
INTERNATIONAL_CALLERID: Final = 2
ANY_CALLERID: Final = 99

NO_LIST: Final[Mapping[int, int]] = MappingProxyType({})


class Quality(Protocol):
    """How calls went by a route lately."""

    @property
    def attempts(self) -> int:
        """Calls that were sent there."""

    @property
    def answered(self) -> int:
        """Those that were answered."""

    @property
    def seconds(self) -> int:
        """How long these lasted, together."""


class Candidate(Protocol):
    """What the choice needs to know of a route."""

    @property
    def route_id(self) -> int:
        """Which no other route has."""

    @property
    def number_prefix(self) -> str:
        """The first digits of the destinations it serves; empty for all."""

    @property
    def prefixes(self) -> Mapping[str, bool]:
        """Destinations it serves (True) or not, by their longest prefix."""

    @property
    def default_allowed(self) -> bool:
        """Whether it serves those that no prefix names."""

    @property
    def windows(self) -> Schedule:
        """When it is used; without any window, always."""

    @property
    def callerid_policy(self) -> int:
        """Of which caller ids it takes calls: 1 whole numbers of `country_code`, 2 whole numbers, 99 any and none."""

    @property
    def country_code(self) -> str:
        """Whose caller ids are national."""

    @property
    def position(self) -> int:
        """Its priority: the lowest is tried first."""

    @property
    def weight(self) -> int:
        """Its share of the calls among routes that are equal otherwise; 1 or more."""

    @property
    def percentage(self) -> int | None:
        """Of the calls, how many per cent it may serve; None: all."""

    @property
    def quality(self) -> Quality | None:
        """How calls went there lately; None: not known."""


RouteT_co = TypeVar("RouteT_co", bound=Candidate, covariant=True)


class Refusal(StrEnum):
    """Why a route is not tried."""

    NOT_LISTED = "not_listed"  # the tariff names its routes, and this is none of them
    NUMBER = "number_prefix"
    BLOCKED = "blocked_prefix"
    CALLERID = "callerid"
    CLOSED = "closed"
    PERCENTAGE = "percentage"
    LOSS = "costs_more"


@fast_frozen
class Offer(Generic[RouteT_co]):
    """A route for a call, and what its first minute costs us by it, fees included, in the account's currency.

    `later_cost`: of a minute past the first, without fees; None: as the first. `minute_cost` None: not known.
    """

    route: RouteT_co
    minute_cost: Fraction | None = None
    later_cost: Fraction | None = None


OfferT = TypeVar("OfferT", bound=Offer[Candidate])


# -- which ------------------------------------------------------------------------------------------------------


def serves(route: Candidate, *, destination: str, callerid: str, at: datetime) -> bool:
    """Whether the route takes calls of this caller to this destination at this time; its shares and cost aside."""
    return _unfit(route, destination, callerid, at) is None


def refusal(
    route: Candidate,
    *,
    destination: str,
    callerid: str,
    at: datetime,
    call_seed: str,
    listed: Mapping[int, int] = NO_LIST,
) -> Refusal | None:
    """The first reason why the route is not for the call, its cost aside; None: it is.

    `destination`: E.164 digits. `callerid`: as it will be sent. `at`: the call's start, with a time zone. `call_seed`
    names the call, and is the same for all its attempts. `listed`: the routes of the call's tariff by id, with their
    places; empty: every route.
    """
    if listed and route.route_id not in listed:
        return Refusal.NOT_LISTED
    unfit = _unfit(route, destination, callerid, at)
    if unfit is None and route.percentage is not None and not in_percentage(route, call_seed):
        return Refusal.PERCENTAGE
    return unfit


def in_percentage(route: Candidate, call_seed: str) -> bool:
    """Whether the call is among those the route's percentage lets it serve."""
    return route.percentage is None or is_within(route.percentage, call_seed, route.route_id)


def admits(
    offer: Offer[Candidate], sell_minute: Fraction, allow_loss: bool, sell_changed: Fraction | None = None
) -> bool:
    """The margin guard: no to a route whose minute costs more than the call is sold for; unless loss is allowed.

    `sell_minute`: the price of the first minute, fees included; `sell_changed`: of the cheapest minute after a change
    of price within the call, None: none changes. All are of the account's currency. A route whose cost is not known
    passes: nobody said that it loses money.
    """
    return covers(offer.minute_cost, offer.later_cost, sell_minute, allow_loss, sell_changed)


def covers(
    minute_cost: Fraction | None,
    later_cost: Fraction | None,
    sell_minute: Fraction,
    allow_loss: bool,
    sell_changed: Fraction | None = None,
) -> bool:
    """The same of any cost, such as what a reseller pays in turn; costs as in Offer, prices as above."""
    if allow_loss or minute_cost is None:
        return True
    if sell_changed is not None:
        later = minute_cost if later_cost is None else later_cost
        if later > sell_changed:
            return False
    return minute_cost <= sell_minute


def _unfit(route: Candidate, destination: str, callerid: str, at: datetime) -> Refusal | None:
    if not destination.startswith(route.number_prefix):
        return Refusal.NUMBER
    if (route.prefixes or not route.default_allowed) and not _allows(route, destination):
        return Refusal.BLOCKED
    if route.callerid_policy != ANY_CALLERID and not _takes_callerid(route, callerid):
        return Refusal.CALLERID
    if route.windows.windows and not route.windows.band_at(at):
        return Refusal.CLOSED
    return None


def _takes_callerid(route: Candidate, callerid: str) -> bool:
    if route.callerid_policy == NATIONAL_CALLERID:
        return national(callerid, route.country_code)
    return route.callerid_policy != INTERNATIONAL_CALLERID or is_international(callerid)


def _allows(route: Candidate, destination: str) -> bool:
    """Whether the longest of the route's prefixes that the destination has allows it."""
    if route.prefixes:
        for length in range(len(destination), 0, -1):
            allowed = route.prefixes.get(destination[:length])
            if allowed is not None:
                return allowed
    return route.default_allowed


# -- in which order ---------------------------------------------------------------------------------------------

_Key: TypeAlias = tuple[object, ...]


def ordered(offers: Iterable[OfferT], order: str, call_seed: str, listed: Mapping[int, int] = NO_LIST) -> list[OfferT]:
    """The offers in the order they are tried; of those the tariff lists (`listed`: place by route id), if it lists any.

    `order`: a value of domain.tariff.RouteOrder.
    cost: the cheapest first, those of unknown cost last. quality: by the share of calls answered (ASR) in whole per
    cent, then by how long those last on average (ACD) in whole seconds, the best first. manual: as listed.
    Then, and for `priority` at once: by position. Among those equal in all this the weights decide, call by call.
    """
    usable = [offer for offer in offers if not listed or offer.route.route_id in listed]
    if len(usable) < 2:
        return usable
    first = _ORDERS[order](usable, listed)

    def key(offer: OfferT) -> _Key:
        return (*first(offer), offer.route.position)

    def drawn(offer: OfferT) -> _Key:
        route = offer.route
        return (arrival(route.weight, call_seed, route.route_id), route.route_id)

    result: list[OfferT] = []
    for _, group in groupby(sorted(usable, key=key), key):
        equals = list(group)
        result.extend(equals if len(equals) == 1 else sorted(equals, key=drawn))
    return result


def tried(
    offers: Iterable[OfferT],
    order: str,
    call_seed: str,
    listed: Mapping[int, int] = NO_LIST,
    *,
    sell_minute: Fraction,
    allow_loss: bool,
    sell_changed: Fraction | None = None,
) -> list[OfferT]:
    """The offers of routes that are for the call, as they are tried: those the margin guard admits, in order."""
    admitted = [offer for offer in offers if admits(offer, sell_minute, allow_loss, sell_changed)]
    return ordered(admitted, order, call_seed, listed)


def _by_position(_offers: object, _listed: object) -> Callable[[Offer[Candidate]], _Key]:
    return lambda offer: ()


def _by_cost(_offers: object, _listed: object) -> Callable[[Offer[Candidate]], _Key]:
    return lambda offer: (offer.minute_cost is None, offer.minute_cost or Fraction(0))


def _by_list(_offers: object, listed: Mapping[int, int]) -> Callable[[Offer[Candidate]], _Key]:
    return lambda offer: (listed.get(offer.route.route_id, 0),)


def _by_quality(offers: Iterable[Offer[Candidate]], _listed: object) -> Callable[[Offer[Candidate]], _Key]:
    """A route of too few attempts counts as all the others together: it goes neither before a good nor after a bad."""
    judged = [quality for offer in offers if (quality := offer.route.quality) and quality.attempts >= JUDGED_FROM]
    others = _figures(
        sum(quality.attempts for quality in judged),
        sum(quality.answered for quality in judged),
        sum(quality.seconds for quality in judged),
    )

    def key(offer: Offer[Candidate]) -> _Key:
        quality = offer.route.quality
        if quality is None or quality.attempts < JUDGED_FROM:
            return others
        return _figures(quality.attempts, quality.answered, quality.seconds)

    return key


def _figures(attempts: int, answered: int, seconds: int) -> _Key:
    """Less is better."""
    return (-(100 * answered // attempts) if attempts else 0, -(seconds // answered) if answered else 0)


_ORDERS: Final[
    Mapping[str, Callable[[Iterable[Offer[Candidate]], Mapping[int, int]], Callable[[Offer[Candidate]], _Key]]]
] = {"priority": _by_position, "cost": _by_cost, "quality": _by_quality, "manual": _by_list}
