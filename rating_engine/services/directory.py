"""Subscribers and routes in process memory.

Law: a cached copy is for speed alone. reserve() is told the version it was made from and refuses a stale one; then
the copy is dropped and read again. An announcement of a change drops it at once.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final

from rating_engine.domain.account import Subscriber
from rating_engine.domain.tariff import Route

DEFAULT_ENTRIES: Final = 100_000  # about 60 MB of subscribers at the most


class SubscriberDirectory:
    """The subscribers that called lately, the least lately used one leaving first."""

    def __init__(self, load: Callable[[str], Awaitable[Subscriber | None]], *, entries: int = DEFAULT_ENTRIES) -> None:
        self._load = load
        self._entries = entries
        self._known: OrderedDict[str, Subscriber] = OrderedDict()
        self._generation = 0

    async def find(self, login: str) -> Subscriber | None:
        """The subscriber of a login; unknown logins are not remembered, since one may be created any moment."""
        subscriber = self._known.get(login)
        if subscriber is not None:
            self._known.move_to_end(login)
            return subscriber
        generation = self._generation
        subscriber = await self._load(login)
        if subscriber is not None and generation == self._generation:
            self._known[login] = subscriber
            if len(self._known) > self._entries:
                self._known.popitem(last=False)
        return subscriber

    def forget(self, login: str) -> None:
        """Read this login anew the next time, also where a read of it is under way."""
        self._generation += 1
        self._known.pop(login, None)

    def forget_all(self) -> None:
        """Read everything anew."""
        self._generation += 1
        self._known.clear()


class RouteBook:
    """Every enabled route, in the order of attempts; the default route where none is configured.

    Nothing else tells a stale route, so they are remembered only while changes are heard (`may_remember`).
    """

    def __init__(
        self,
        load: Callable[[], Awaitable[tuple[Route, ...]]],
        default: Route,
        *,
        may_remember: Callable[[], bool] = lambda: True,
    ) -> None:
        self._load = load
        self._default = (default,)
        self._may_remember = may_remember
        self._routes: tuple[Route, ...] | None = None
        self._generation = 0

    async def routes(self) -> tuple[Route, ...]:
        """The routes as last announced."""
        if self._routes is not None:
            return self._routes
        generation = self._generation
        routes = await self._load() or self._default
        if generation == self._generation and self._may_remember():
            self._routes = routes
        return routes

    def forget(self) -> None:
        """Read the routes anew the next time."""
        self._generation += 1
        self._routes = None
