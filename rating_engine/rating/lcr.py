"""Which route a call attempt takes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar


class Candidate(Protocol):
    """What the choice needs to know of a route: the destinations it serves, by their first digits."""

    @property
    def number_prefix(self) -> str:
        """The first digits of the destinations it serves; empty for all."""


RouteT = TypeVar("RouteT", bound=Candidate)


def route_for_attempt(routes: Iterable[RouteT], destination: str, attempt: int) -> RouteT | None:
    """The route of the `attempt`th try (from 1) among those that serve `destination`, in their order; or None."""
    left = attempt
    for route in routes:
        if destination.startswith(route.number_prefix):
            left -= 1
            if left == 0:
                return route
    return None
