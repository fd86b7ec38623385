"""Subscribers, routes and numbering in process memory.

Law: a cached copy is for speed alone. reserve() is told the version it was made from and refuses a stale one; then
the copy is dropped and read again. An announcement of a change drops it at once.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Generic, TypeVar

from rating_engine.domain.account import Subscriber
from rating_engine.domain.party import AllowedCalls
from rating_engine.domain.route_plan import NO_ROUTE, KnownPlans, RoutePlan
from rating_engine.domain.tariff import Route, RouteOrder
from rating_engine.rating.numbering import NumberingPlan

Value = TypeVar("Value")

DEFAULT_ENTRIES: Final = 100_000  # about 60 MB of subscribers at the most


class SubscriberDirectory:
    """The subscribers that called lately, the least lately used one leaving first."""

    def __init__(self, load: Callable[[str], Awaitable[Subscriber | None]], *, entries: int = DEFAULT_ENTRIES) -> None:
        self._load = load
        self._entries = entries
        self._known: OrderedDict[str, Subscriber] = OrderedDict()
        self._generation = 0

    async def find(self, login: str) -> Subscriber | None:
        """The subscriber of a login.

        One that is not there, may not call all by its party, or is called back, is not remembered: one may be made, or
        let call again, any moment, and reserve() would not be asked.
        """
        subscriber = self._known.get(login)
        if subscriber is not None:
            self._known.move_to_end(login)
            return subscriber
        generation = self._generation
        subscriber = await self._load(login)
        if subscriber is not None and _may_call(subscriber) and generation == self._generation:
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


def _may_call(subscriber: Subscriber) -> bool:
    return subscriber.calls is AllowedCalls.ALL and not subscriber.callback_to


class Remembered(Generic[Value]):
    """One value that changes seldom, such as all routes, until it is forgotten.

    Nothing else tells a stale one, so it is remembered only while changes are heard (`may_remember`).
    """

    def __init__(
        self, load: Callable[[], Awaitable[Value]], *, may_remember: Callable[[], bool] = lambda: True
    ) -> None:
        self._load = load
        self._may_remember = may_remember
        self._value: Value | None = None
        self._generation = 0

    async def get(self) -> Value:
        """The value as last announced. Errors: Unavailable where it has to be read and cannot be."""
        if self._value is not None:
            return self._value
        generation = self._generation
        value = await self._load()
        if generation == self._generation and self._may_remember():
            self._value = value
        return value

    def forget(self) -> None:
        """Read it anew the next time."""
        self._generation += 1
        self._value = None


class RouteBook(Remembered[tuple[Route, ...]]):
    """Every enabled route, by position; the default route where none is configured, not even a disabled one."""

    def __init__(
        self,
        load: Callable[[], Awaitable[tuple[Route, ...] | None]],
        default: Route,
        *,
        may_remember: Callable[[], bool] = lambda: True,
    ) -> None:
        async def load_or_default() -> tuple[Route, ...]:
            loaded = await load()
            return (default,) if loaded is None else loaded

        super().__init__(load_or_default, may_remember=may_remember)


class PlanBook(Remembered[KnownPlans]):
    """Every route plan, and the blacklist of everybody, as last announced."""

    async def plan_of(self, plan_id: int) -> RoutePlan:
        """The plan of that number; one without routes where there is none. Errors: Unavailable.

        One that is not known came after the others were read, since nobody points to one that is not there.
        """
        plan = (await self.get()).plans.get(plan_id)
        if plan is None:
            self.forget()
            plan = (await self.get()).plans.get(plan_id)
        return RoutePlan(plan_id, "", RouteOrder.MANUAL, NO_ROUTE) if plan is None else plan


Numbering = tuple[Mapping[str, NumberingPlan], Mapping[str, str]]  # plans by name, and everybody's aliases


class NumberingBook:
    """Numbering plans by name, and the aliases that everybody has."""

    def __init__(
        self,
        load: Callable[[], Awaitable[Numbering]],
        default: NumberingPlan,
        *,
        may_remember: Callable[[], bool] = lambda: True,
    ) -> None:
        self._default = default
        self._known = Remembered(load, may_remember=may_remember)

    async def plan_of(self, name: str | None) -> NumberingPlan:
        """The plan of an account; None: that of the settings. Errors: Unavailable.

        One that is not known came after the others were read, since no account has a plan that is not there: its
        announcement is on its way, and numbers read by another plan would be other numbers.
        """
        if name is None:
            return self._default
        plan = (await self._known.get())[0].get(name)
        if plan is None:
            self._known.forget()
            plan = (await self._known.get())[0].get(name)
        return self._default if plan is None else plan

    async def aliases_of(self, own: Mapping[str, str]) -> Mapping[str, str]:
        """Everybody's aliases with a subscriber's own before them. Errors: Unavailable."""
        everybodys = (await self._known.get())[1]
        return {**everybodys, **own} if own else everybodys

    async def known(self) -> Numbering:
        """All of it. Errors: Unavailable."""
        return await self._known.get()

    def as_known(self, known: Callable[[], Awaitable[Numbering]]) -> NumberingBook:
        """The same book, as somebody else remembers it."""
        return NumberingBook(known, self._default, may_remember=lambda: False)

    def forget(self) -> None:
        """Read everything anew the next time."""
        self._known.forget()
