"""Routes: added, changed, listed, switched on and off; what they serve, when, and for which tariffs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from rating_engine.domain.change import LEAVE, given
from rating_engine.domain.checks import check_prefix
from rating_engine.domain.errors import InvalidRequest
from rating_engine.domain.page import Cursor, Page
from rating_engine.domain.principal import Principal
from rating_engine.domain.tariff import ListedRoute, Route, RouteChanges, check_route_name
from rating_engine.rating.schedule import HOLIDAY, MINUTES_PER_DAY, Schedule, Window
from rating_engine.storage.audit_log import record
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.routes import routes as store


class Routes:
    """What one principal does with routes. Each change is used from the next call on."""

    def __init__(self, database: Database, principal: Principal) -> None:
        self._database = database
        self._principal = principal

    async def add(self, name: str, settings: RouteChanges) -> ListedRoute:
        """A route; of its settings `position` must be given.

        Errors: InvalidRequest naming the field, NotFound (the cost tariff), AlreadyExists, Unavailable.
        """
        check_route_name(name)
        if settings.position is LEAVE:
            raise InvalidRequest("position", "must be given: the lowest is tried first")
        values = given(settings)
        columns = {field: value for field, value in values.items() if field not in ("cost_tariff", "time_zone")}
        enabled = columns.pop("enabled", True)
        route = Route(name, dial_prefix="", number_prefix="", position=columns.pop("position"))
        route = replace(route, **columns, windows=Schedule(zone=values.get("time_zone", "UTC")))
        async with self._database.transaction(self._principal) as tx:
            await store.add_route(tx, route, cost_tariff=values.get("cost_tariff"))
            if not enabled:
                await store.change_route(tx, name, {"enabled": False})
            await record(tx, "route.add", name, values)
        return await self.show(name)

    async def change(self, name: str, settings: RouteChanges) -> ListedRoute:
        """Change settings. Errors: InvalidRequest naming the field, NotFound, Unavailable; then nothing has changed."""
        values = given(settings)
        async with self._database.transaction(self._principal) as tx:
            await store.change_route(tx, name, values)
            await record(tx, "route.change", name, values)
        return await self.show(name)

    async def page(self, cursor: Cursor) -> Page[ListedRoute]:
        """Routes by position. Errors: InvalidRequest (after), Unavailable."""
        return await store.list_routes(self._database, cursor)

    async def show(self, name: str) -> ListedRoute:
        """One route. Errors: NotFound, Unavailable."""
        return await store.find_route(self._database, name)

    async def set_enabled(self, name: str, enabled: bool) -> ListedRoute:
        """Use a route, or no more: calls that run go on. Errors: NotFound, Unavailable."""
        return await self.change(name, RouteChanges(enabled=enabled))

    async def remove(self, name: str) -> None:
        """Errors: NotFound, InvalidRequest (it is the only one a tariff lists), Unavailable."""
        async with self._database.transaction(self._principal) as tx:
            await store.remove_route(tx, name)
            await record(tx, "route.remove", name)

    async def rule_prefixes(self, name: str, rules: Mapping[str, bool | None]) -> ListedRoute:
        """Serve destinations that begin so, or don't; None: as if nothing had been said of them.

        The longest prefix of a destination counts. Errors: InvalidRequest, NotFound, Unavailable.
        """
        for prefix in rules:
            check_prefix(prefix)
        async with self._database.transaction(self._principal) as tx:
            await store.change_prefixes(tx, name, rules)
            await record(tx, "route.prefixes", name, dict(rules))
        return await self.show(name)

    async def add_window(self, name: str, *, days: frozenset[int], starts: int, ends: int) -> ListedRoute:
        """Use the route in one more window, minutes of the day, and outside its windows no more.

        One that ends at or before its start goes on into the next day. Errors: InvalidRequest, NotFound, Unavailable.
        """
        if HOLIDAY in days:
            raise InvalidRequest("days", "a route knows no holidays, days of the week alone")
        if starts == MINUTES_PER_DAY:
            raise InvalidRequest("starts", "24:00 is the end of a day; say 00:00 of the next")
        window = Window(store.OPEN, days, starts, ends)
        async with self._database.transaction(self._principal) as tx:
            await store.add_window(tx, name, window)
            await record(tx, "route.window", name, {"days": sorted(days), "starts": starts, "ends": ends})
        return await self.show(name)

    async def clear_windows(self, name: str) -> None:
        """Use the route at all times. Errors: NotFound, Unavailable."""
        async with self._database.transaction(self._principal) as tx:
            await store.clear_windows(tx, name)
            await record(tx, "route.always", name)

    async def set_tariff_routes(self, tariff: str, names: Sequence[str]) -> None:
        """The routes of a tariff's calls, in manual order; none: every route.

        Errors: InvalidRequest (one named twice), NotFound, Unavailable.
        """
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise InvalidRequest("name", f"{twice!r} is named twice")
        async with self._database.transaction(self._principal) as tx:
            await store.set_tariff_routes(tx, tariff, names)
            await record(tx, "tariff.routes", tariff, {"routes": list(names)})

    async def tariff_routes(self, tariff: str) -> Sequence[str]:
        """The routes a tariff lists, in order; empty: it may use every route. Errors: NotFound, Unavailable."""
        return await store.tariff_routes(self._database, tariff)
