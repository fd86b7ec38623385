"""Tariffs, rates as they are found, and routes."""

from __future__ import annotations

from dataclasses import dataclass

from rating_engine.rating.rate import Rate


@dataclass(frozen=True, slots=True)
class Direction:
    """A named group of prefixes. Lengths are of the whole destination, in digits; None: any."""

    code: str
    name: str
    min_len: int | None = None
    max_len: int | None = None

    def accepts_length_of(self, destination: str) -> bool:
        """Whether a number of this direction can be as long as `destination`."""
        return (self.min_len or 0) <= len(destination) and (self.max_len is None or len(destination) <= self.max_len)


@dataclass(frozen=True, slots=True)
class RateMatch:
    """The rate of the longest prefix of a destination, in the deck that was published when it was looked up."""

    tariff_id: int
    deck_id: int
    currency: str
    prefix: str
    direction: Direction
    rate: Rate


@dataclass(frozen=True, slots=True)
class Route:
    """Where a call may be sent. `position` orders the attempts; `number_prefix` limits what it serves."""

    name: str
    dial_prefix: str
    number_prefix: str
    position: int


@dataclass(frozen=True, slots=True)
class ListedRoute:
    """A route as shown to people: a disabled one takes no calls."""

    route: Route
    enabled: bool
