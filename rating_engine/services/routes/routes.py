"""Routes: what an operator may say of them. Settings come as text, and are checked here."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from rating_engine.domain.errors import InvalidRequest, NotFound
from rating_engine.domain.tariff import ListedRoute, Route
from rating_engine.rating.lcr import ANY_CALLERID, INTERNATIONAL_CALLERID, NATIONAL_CALLERID
from rating_engine.rating.schedule import (
    HOLIDAY,
    InvalidSchedule,
    Schedule,
    Window,
    parse_clock,
    parse_days,
    zone_named,
)
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.routes import routes as store

NO_LIMIT: Final = "none"
CALLERID_POLICIES: Final = {
    "any": ANY_CALLERID, "national": NATIONAL_CALLERID, "international": INTERNATIONAL_CALLERID,
}  # fmt: skip
MAX_INTEGER: Final = 2**31 - 1  # of the columns

_NAME: Final = re.compile(r"[A-Za-z0-9_.@:/+-]{1,64}")  # what reaches a dialplan variable as it is
_DIAL_PREFIX: Final = re.compile(r"[A-Za-z0-9_.@:/*#+-]{0,64}")
_DIGITS: Final = re.compile(r"[0-9]{0,32}")
_COUNTRY: Final = re.compile(r"[1-9][0-9]{0,3}|")
_PREFIX: Final = re.compile(r"[0-9]{1,32}")


class Routes:
    """The use cases of `rating-engine routes`. Each change is used from the next call on."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, name: str, settings: Mapping[str, str]) -> ListedRoute:
        """A route; of its settings (see `change`) `position` must be given.

        Errors: InvalidRequest naming the field, NotFound (the cost tariff), AlreadyExists, Unavailable.
        """
        if not _NAME.fullmatch(name):
            raise InvalidRequest("name", "must be 1 to 64 of letters, digits and _ . @ : / + -")
        if "position" not in settings:
            raise InvalidRequest("position", "must be given: the lowest is tried first")
        columns = {field: _column(field, text) for field, text in settings.items()}
        cost_tariff = columns.pop("cost_tariff", None)
        zone = columns.pop("time_zone", "UTC")
        route = Route(name, dial_prefix="", number_prefix="", position=columns.pop("position"))
        route = replace(route, **columns, windows=Schedule(zone=zone))
        await store.add_route(self._database, route, cost_tariff=cost_tariff)
        return await self.show(name)

    async def change(self, name: str, settings: Mapping[str, str]) -> ListedRoute:
        """Set what is given, as text: position, dial_prefix, number_prefix, weight, percentage, max_calls,
        max_calls_per_second (`none` takes these three away), callerid_policy (any, national, international),
        country_code, default_allowed (yes, no), time_zone, cost_tariff (a name, or `none`).

        Errors: InvalidRequest naming the field, NotFound, Unavailable; after any nothing has changed.
        """
        columns = {field: _column(field, text) for field, text in settings.items()}
        await store.change_route(self._database, name, columns)
        return await self.show(name)

    async def list(self) -> list[ListedRoute]:
        """Every route by position. Errors: Unavailable."""
        return await store.list_routes(self._database)

    async def show(self, name: str) -> ListedRoute:
        """One route. Errors: NotFound, Unavailable."""
        found = next((listed for listed in await self.list() if listed.route.name == name), None)
        if found is None:
            raise NotFound(f"route {name!r} does not exist")
        return found

    async def set_enabled(self, name: str, enabled: bool) -> None:
        """Use a route, or no more: calls that run go on. Errors: NotFound, Unavailable."""
        await store.change_route(self._database, name, {"enabled": enabled})

    async def remove(self, name: str) -> None:
        """Errors: NotFound, InvalidRequest (it is the only one a tariff lists), Unavailable."""
        await store.remove_route(self._database, name)

    async def rule_prefixes(self, name: str, prefixes: Iterable[str], allowed: bool | None) -> ListedRoute:
        """Serve destinations that begin so, or don't; None: as if nothing had been said of them.

        The longest prefix of a destination counts. Errors: InvalidRequest, NotFound, Unavailable.
        """
        rules = dict.fromkeys(prefixes, allowed)
        for prefix in rules:
            if not _PREFIX.fullmatch(prefix):
                raise InvalidRequest("prefix", f"{prefix[:40]!r} is not 1 to 32 digits")
        await store.change_prefixes(self._database, name, rules)
        return await self.show(name)

    async def add_window(self, name: str, *, days: str, starts: str, ends: str) -> ListedRoute:
        """Use the route in one more window (mon-fri, 08:00, 18:00), and outside its windows no more.

        One that ends at or before its start goes on into the next day. Errors: InvalidRequest, NotFound, Unavailable.
        """
        weekdays = _read("days", parse_days, days)
        if HOLIDAY in weekdays:
            raise InvalidRequest("days", "a route knows no holidays, days of the week alone")
        window = Window(store.OPEN, weekdays, _read("from", parse_clock, starts), _read("to", parse_clock, ends))
        if window.starts == 24 * 60:
            raise InvalidRequest("from", "24:00 is the end of a day; say 00:00 of the next")
        await store.add_window(self._database, name, window)
        return await self.show(name)

    async def clear_windows(self, name: str) -> None:
        """Use the route at all times. Errors: NotFound, Unavailable."""
        await store.clear_windows(self._database, name)

    async def set_tariff_routes(self, tariff: str, names: Iterable[str]) -> None:
        """The routes of a tariff's calls, in manual order; none: every route.

        Errors: InvalidRequest (one named twice), NotFound, Unavailable.
        """
        listed = list(names)
        if twice := next((name for name in listed if listed.count(name) > 1), None):
            raise InvalidRequest("name", f"{twice!r} is named twice")
        await store.set_tariff_routes(self._database, tariff, listed)

    async def tariff_routes(self, tariff: str) -> list[str]:  # type: ignore[valid-type]  # `list` is a method here
        """The routes a tariff lists, in order; empty: it may use every route. Errors: NotFound, Unavailable."""
        return await store.tariff_routes(self._database, tariff)


def _column(field: str, text: str) -> Any:
    """What `text` means for the setting `field`."""
    if field in _LIMITS and text == NO_LIMIT:
        return None
    if field in _INTEGERS:
        return _integer(field, text, *_INTEGERS[field])
    if field in _TEXTS:
        pattern, says = _TEXTS[field]
        if not pattern.fullmatch(text):
            raise InvalidRequest(field, f"{text[:70]!r}: {says}")
        return text
    match field:
        case "cost_tariff":
            return text
        case "time_zone":
            return _read(field, zone_named, text).key
        case "callerid_policy" if text in CALLERID_POLICIES:
            return CALLERID_POLICIES[text]
        case "callerid_policy":
            raise InvalidRequest(field, f"{text[:40]!r} is none of {', '.join(CALLERID_POLICIES)}")
        case "default_allowed" if text in ("yes", "no"):
            return text == "yes"
        case "default_allowed":
            raise InvalidRequest(field, f"{text[:40]!r} is neither yes nor no")
        case _:
            raise InvalidRequest(field, "is no setting of a route")


_LIMITS: Final = ("percentage", "max_calls", "max_calls_per_second", "cost_tariff")
_INTEGERS: Final = {
    "position": (-MAX_INTEGER, MAX_INTEGER),
    "weight": (1, MAX_INTEGER),
    "percentage": (1, 100),
    "max_calls": (0, MAX_INTEGER),
    "max_calls_per_second": (1, MAX_INTEGER),
}
_TEXTS: Final = {
    "dial_prefix": (_DIAL_PREFIX, "may have letters, digits and _ . @ : / * # + - only"),
    "number_prefix": (_DIGITS, "may have digits only, 32 at most"),
    "country_code": (_COUNTRY, "must be 1 to 4 digits that don't begin with 0, or empty"),
}


def _integer(field: str, text: str, least: int, most: int) -> int:
    if not re.fullmatch(r"-?[0-9]{1,10}", text) or not least <= int(text) <= most:
        raise InvalidRequest(field, f"{text[:40]!r} is not a whole number from {least} to {most}")
    return int(text)


def _read(field: str, parse: Callable[[str], Any], text: str) -> Any:
    try:
        return parse(text)
    except InvalidSchedule as error:
        raise InvalidRequest(field, str(error)) from None
