"""Tariffs as the call path reads them: settings, bands, packages, routes and the timeline of decks, in one statement.

Law: the answer is of one moment (a statement sees one snapshot), so that its version stands for all of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

import asyncpg
import orjson

from rating_engine.domain.route_plan import NO_ROUTE
from rating_engine.domain.tariff import BandMode, Package, PackageKind, Period, PublishedDeck, RouteOrder, Tariff
from rating_engine.rating.matching import FOR_EVER, RateEdit
from rating_engine.rating.rate import DurationRounding, IncrementMode
from rating_engine.rating.schedule import Schedule, Window
from rating_engine.storage.decks.rate_decks import RATE_COLUMNS
from rating_engine.storage.decks.rate_edits import edits_by_prefix
from rating_engine.storage.postgres.pool import Questions

# An engine's clock may be behind the database's: so much earlier a deck that was replaced still prices calls.
CLOCKS_APART: Final = timedelta(hours=1)

NO_EDITS: Final[Mapping[str, tuple[RateEdit, ...]]] = MappingProxyType({})
AMOUNTS: Final = ("price_1", "price_n", "connect_fee", "postcall_surcharge", "minimum_charge")
# Single rates of a deck that were edited, those of the past too, since the past is priced as well. Amounts as text: the
# numbers of JSON are not exact.
EDITS: Final = f"""
    SELECT removed, {", ".join(f"{name}::text" if name in AMOUNTS else name for name in RATE_COLUMNS)}
    FROM rate_edits r WHERE r.deck_id = deck.deck_id"""  # noqa: S608  # made of constants

NO_ROUTES: Final = f"json_build_object({min(NO_ROUTE)}, 0)"
# Lists come as JSON, so that one row is one tariff. Decks: the one in force at
# $2 (NULL: now by the database's clock, less CLOCKS_APART), and all that come after it.
_TARIFF: Final = f"""
    SELECT t.tariff_id, t.version, t.name, t.currency, t.multiplier, t.decimals, t.increment_mode, t.duration_rounding,
           t.minimum_charge, t.time_zone, t.band_mode, t.by_routing_number, t.allow_loss,
           COALESCE((SELECT route_order FROM route_plans p WHERE p.plan_id = t.route_plan_id), t.route_order)
               AS route_order,
           (SELECT json_agg(json_build_object('band', band, 'days', days, 'starts', starts, 'ends', ends)
                            ORDER BY position) FROM tariff_bands b WHERE b.tariff_id = t.tariff_id)::text AS bands,
           (SELECT array_agg(day) FROM holidays WHERE calendar = t.holiday_calendar) AS holidays,
           (SELECT json_agg(json_build_object(
                       'package_id', package_id, 'tariff_id', p.tariff_id, 'name', p.name, 'kind', kind,
                       'seconds', seconds, 'period', period, 'waives_fees', waives_fees, 'position', position,
                       'directions', CASE WHEN direction_group <> '' THEN (
                           SELECT COALESCE(json_agg(direction), '[]') FROM direction_groups g
                           WHERE g.name = p.direction_group) END,
                       'steps', (SELECT json_agg(json_build_array(after_seconds, multiplier::text)
                                                 ORDER BY after_seconds)
                                 FROM package_steps s WHERE s.package_id = p.package_id)) ORDER BY position, package_id)
            FROM packages p WHERE p.tariff_id = t.tariff_id)::text AS packages,
           CASE WHEN t.route_plan_id IS NULL
                THEN (SELECT json_object_agg(route_id, position) FROM tariff_routes r WHERE r.tariff_id = t.tariff_id)
                -- A plan without routes has none, as {NO_ROUTES} says: a list that is empty would be no list.
                ELSE (SELECT COALESCE(json_object_agg(route_id, position), {NO_ROUTES}) FROM route_plan_routes r
                      WHERE r.plan_id = t.route_plan_id) END::text AS routes,
           (SELECT json_agg(json_build_object(
                       'deck_id', deck_id, 'version', version, 'longest_prefix', longest_prefix,
                       'effective_from', effective_from,
                       'edits', (SELECT json_agg(to_jsonb(e)) FROM ({EDITS}) AS e),
                       'key', deck_id || '.' || COALESCE((extract(epoch FROM published_at) * 1000000)::bigint, 0)))
            FROM (
                SELECT * FROM rate_decks d
                WHERE d.tariff_id = t.tariff_id AND d.state = 'published'
                  AND d.effective_from >= COALESCE(
                      (SELECT effective_from FROM rate_decks WHERE deck_id = deck_at(
                           t.tariff_id, COALESCE($2, now() - interval '{CLOCKS_APART.total_seconds()} seconds'))),
                      '-infinity')
                ORDER BY d.effective_from DESC, d.version DESC) AS deck)::text AS decks
    FROM tariffs t WHERE {{condition}}"""  # noqa: S608  # made of constants
BY_ID: Final = _TARIFF.format(condition="t.tariff_id = $1")
BY_NAME: Final = _TARIFF.format(condition="t.name = $1")


async def load_tariff(database: Questions, tariff_id: int, since: datetime | None = None) -> Tariff | None:
    """The tariff with its decks from the one in force at `since` on (None: about now), or None.

    Errors: Unavailable.
    """
    return _tariff_from_row(await database.fetchrow(BY_ID, tariff_id, since))


async def load_named_tariff(database: Questions, name: str, since: datetime | None = None) -> Tariff | None:
    """The same by the tariff's name."""
    return _tariff_from_row(await database.fetchrow(BY_NAME, name, since))


def _tariff_from_row(row: asyncpg.Record | None) -> Tariff | None:
    if row is None:
        return None
    windows = tuple(
        Window(each["band"], frozenset(each["days"]), _minute(each["starts"]), _minute(each["ends"]))
        for each in _list(row["bands"])
    )
    return Tariff(
        tariff_id=row["tariff_id"],
        version=row["version"],
        name=row["name"],
        currency=row["currency"],
        multiplier=row["multiplier"],
        decimals=row["decimals"],
        increment_mode=IncrementMode(row["increment_mode"]),
        duration_rounding=DurationRounding(row["duration_rounding"]),
        minimum_charge=row["minimum_charge"],
        schedule=Schedule(windows, frozenset(row["holidays"] or ()), row["time_zone"]),
        band_mode=BandMode(row["band_mode"]),
        by_routing_number=row["by_routing_number"],
        route_order=RouteOrder(row["route_order"]),
        allow_loss=row["allow_loss"],
        packages=tuple(_package(each) for each in _list(row["packages"])),
        routes=MappingProxyType(
            {int(route): position for route, position in orjson.loads(row["routes"] or "{}").items()}
        ),
        decks=tuple(_deck(each) for each in _list(row["decks"])),
    )


def _package(values: dict[str, Any]) -> Package:
    return Package(
        package_id=values["package_id"],
        tariff_id=values["tariff_id"],
        name=values["name"],
        kind=PackageKind(values["kind"]),
        directions=None if values["directions"] is None else frozenset(values["directions"]),
        seconds=values["seconds"],
        period=Period(values["period"]),
        waives_fees=values["waives_fees"],
        position=values["position"],
        steps=tuple((after, Decimal(multiplier)) for after, multiplier in values["steps"] or ()),
    )


def _deck(values: dict[str, Any]) -> PublishedDeck:
    return PublishedDeck(
        deck_id=values["deck_id"],
        version=values["version"],
        effective_from=datetime.fromisoformat(values["effective_from"]),
        longest_prefix=values["longest_prefix"],
        key=values["key"],
        edits=_edits(values["deck_id"], values["edits"]) if values["edits"] else NO_EDITS,
    )


def _edits(deck_id: int, rows: list[dict[str, Any]]) -> Mapping[str, tuple[RateEdit, ...]]:
    for row in rows:
        for name in AMOUNTS:
            row[name] = Decimal(row[name])
        for name in ("effective_from", "effective_to"):
            row[name] = _instant(row[name])
    return edits_by_prefix(deck_id, rows)


def _instant(text: str) -> datetime:
    return FOR_EVER if text == "infinity" else datetime.fromisoformat(text).astimezone(UTC)


def _list(json: str | None) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = orjson.loads(json or "[]")
    return found


def _minute(clock: str) -> int:
    """The minute of the day of `HH:MM:SS`, 1440 for 24:00."""
    hours, minutes, *_ = clock.split(":")
    return int(hours) * 60 + int(minutes)
