"""A tariff as the call path reads it: every part of it; and every change of any part is a new version, announced."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from types import MappingProxyType

import asyncpg
import pytest

from rating_engine.domain.tariff import BandMode, Package, PackageKind, Period, RouteOrder, Tariff
from rating_engine.rating.rate import DurationRounding, IncrementMode
from rating_engine.rating.schedule import Schedule, Window
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.tariffs.tariffs import load_named_tariff, load_tariff

NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)
WORKDAYS = frozenset({1, 2, 3, 4, 5})


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A database with a tariff `bare`, 1, and an untouched tariff `other`, 2."""
    database = Database(database_url)
    await database.open()
    await database.fetch("INSERT INTO tariffs (name, currency) VALUES ('bare', 'USD'), ('other', 'EUR')")
    await database.fetch("INSERT INTO directions (code, name) VALUES ('fixed', 'Fixed'), ('mobile', 'Mobile')")
    yield database
    await database.close()


async def loaded(database: Database, since: datetime | None = None) -> Tariff:
    tariff = await load_tariff(database, 1, since)
    assert tariff is not None
    return tariff


async def add_deck(database: Database, version: int, since: datetime, state: str = "published") -> int:
    deck_id: int = await database.fetchval(
        "INSERT INTO rate_decks (tariff_id, version, state, effective_from, longest_prefix, published_at) "
        "VALUES (1, $1, $2, $3, 4, $3) RETURNING deck_id",
        version, state, since,
    )  # fmt: skip
    return deck_id


async def test_a_tariff_without_anything_has_the_neutral_settings_of_its_table(database):
    assert await loaded(database) == Tariff(1, 1, "bare", "USD", schedule=Schedule())
    assert await load_named_tariff(database, "bare") == await loaded(database)


async def test_a_tariff_that_is_not_there_is_none(database):
    assert await load_tariff(database, 99) is None
    assert await load_named_tariff(database, "nix") is None


async def test_every_setting_is_read(database):
    await database.fetch(
        "UPDATE tariffs SET multiplier = 1.2, decimals = 2, increment_mode = 'total', duration_rounding = 'nearest', "
        "minimum_charge = 0.00000001, time_zone = 'Asia/Kathmandu', band_mode = 'split', by_routing_number = true, "
        "route_order = 'quality', allow_loss = true WHERE tariff_id = 1"
    )

    assert await loaded(database) == Tariff(
        1,
        2,
        "bare",
        "USD",
        multiplier=Decimal("1.2"),
        decimals=2,
        increment_mode=IncrementMode.TOTAL,
        duration_rounding=DurationRounding.NEAREST,
        minimum_charge=Decimal("0.00000001"),
        schedule=Schedule(zone="Asia/Kathmandu"),
        band_mode=BandMode.SPLIT,
        by_routing_number=True,
        route_order=RouteOrder.QUALITY,
        allow_loss=True,
    )


async def test_bands_come_in_their_order_with_the_holidays_of_the_tariffs_calendar_alone(database):
    await database.fetch(
        "INSERT INTO tariff_bands VALUES (1, 2, 'night', '{1,2,3,4,5,6,7,8}', '22:30', '06:00'), "
        "(1, 1, 'peak', '{1,2,3,4,5}', '08:00', '20:00'), (1, 3, 'feast', '{8}', '00:00', '24:00'), "
        "(2, 1, 'else', '{1}', '00:00', '24:00')"
    )
    await database.fetch("INSERT INTO holidays VALUES ('de', '2026-10-03'), ('de', '2026-12-25'), ('fr', '2026-07-14')")
    await database.fetch("UPDATE tariffs SET holiday_calendar = 'de' WHERE tariff_id = 1")

    assert (await loaded(database)).schedule == Schedule(
        (
            Window("peak", WORKDAYS, 480, 1200),
            Window("night", frozenset(range(1, 9)), 1350, 360),
            Window("feast", frozenset({8}), 0, 1440),
        ),
        frozenset({date(2026, 10, 3), date(2026, 12, 25)}),
    )


async def test_packages_come_in_the_order_of_use_with_their_directions_and_steps(database):
    await database.fetch("INSERT INTO direction_groups VALUES ('near', 'fixed'), ('near', 'mobile'), ('far', 'mobile')")
    await database.fetch(
        "INSERT INTO packages (tariff_id, name, kind, direction_group, seconds, period, waives_fees, position) VALUES "
        "(1, 'last', 'volume', '', NULL, 'week', false, 7), (1, 'first', 'free', 'near', 6000, 'day', true, 1), "
        "(1, 'of nobody', 'free', 'empty', 60, 'month', false, 2), (2, 'another', 'free', '', 60, 'month', false, 0)"
    )
    await database.fetch("INSERT INTO package_steps VALUES (1, 300000, 0.8), (1, 60000, 0.95)")

    assert (await loaded(database)).packages == (
        Package(2, 1, "first", PackageKind.FREE, frozenset({"fixed", "mobile"}), 6000, Period.DAY, True, 1),
        Package(3, 1, "of nobody", PackageKind.FREE, frozenset(), 60, Period.MONTH, False, 2),
        Package(
            1, 1, "last", PackageKind.VOLUME, None, None, Period.WEEK, False, 7,
            ((60000, Decimal("0.95")), (300000, Decimal("0.8"))),
        ),
    )  # fmt: skip


async def test_routes_come_with_their_manual_positions(database):
    await database.fetch("INSERT INTO routes (name, position) VALUES ('a', 1), ('b', 2), ('c', 3)")
    await database.fetch("INSERT INTO tariff_routes VALUES (1, 3, 10), (1, 1, 20), (2, 2, 1)")

    assert (await loaded(database)).routes == MappingProxyType({3: 10, 1: 20})


async def test_the_timeline_is_the_deck_in_force_and_what_is_ahead_without_withdrawn_and_loading_ones(database):
    await add_deck(database, 1, NOW - 9 * DAY)
    in_force = await add_deck(database, 2, NOW - 5 * DAY)
    ahead = await add_deck(database, 3, NOW + DAY)
    await add_deck(database, 4, NOW + 2 * DAY, "withdrawn")
    await add_deck(database, 5, NOW - DAY, "loading")
    further = await add_deck(database, 6, NOW + 3 * DAY)

    tariff = await loaded(database)

    assert [deck.deck_id for deck in tariff.decks] == [further, ahead, in_force]
    chosen = [tariff.deck_at(NOW + days * DAY) for days in (-6, -5, 0, 1, 2, 3)]
    assert [deck and deck.version for deck in chosen] == [None, 2, 2, 3, 3, 6]
    assert tariff.decks[1].longest_prefix == 4
    assert tariff.decks[1].effective_from == NOW + DAY


async def test_asked_since_an_earlier_instant_the_deck_of_then_is_there_too(database):
    for version, days in ((1, -9), (2, -5), (3, -1)):
        await add_deck(database, version, NOW + days * DAY)

    tariff = await loaded(database, NOW - 6 * DAY)

    assert [deck.version for deck in tariff.decks] == [3, 2, 1]


async def test_a_deck_that_was_replaced_just_now_is_kept_for_an_engine_whose_clock_is_behind(database):
    await add_deck(database, 1, NOW - DAY)
    await add_deck(database, 2, NOW - timedelta(seconds=1))

    deck = (await loaded(database)).deck_at(NOW - timedelta(minutes=5))

    assert deck is not None
    assert deck.version == 1


async def test_of_decks_from_the_same_instant_the_newest_version_is_in_force(database):
    for version in (1, 2, 3):
        await add_deck(database, version, NOW - DAY)

    deck = (await loaded(database)).deck_at(NOW)

    assert deck is not None
    assert deck.version == 3
    assert deck.deck_id == await database.fetchval("SELECT deck_at(1, now())")


async def test_instants_are_read_to_the_microsecond_and_the_key_changes_with_the_publishing(database):
    instant = NOW - DAY + timedelta(microseconds=120)
    deck_id = await add_deck(database, 1, instant)

    (deck,) = (await loaded(database)).decks

    assert deck.effective_from == instant
    assert deck.key == f"{deck_id}.{(instant - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)}"


async def test_many_decks_ahead_do_not_push_out_the_one_in_force(database):
    await add_deck(database, 1, NOW - DAY)
    for version in range(2, 150):
        await add_deck(database, version, NOW + version * DAY)

    deck = (await loaded(database)).deck_at(NOW)

    assert deck is not None
    assert deck.version == 1


BEFORE = """
    TRUNCATE routes, route_load, tariff_bands, holidays, direction_groups, packages, package_steps, rate_decks,
        package_terms, route_limits RESTART IDENTITY CASCADE;
    INSERT INTO routes (name, position) VALUES ('a', 1), ('b', 2);
    INSERT INTO tariff_routes VALUES (1, 1, 1);
    INSERT INTO tariff_bands VALUES (1, 1, 'peak', '{1}', '08:00', '20:00');
    INSERT INTO holidays VALUES ('de', '2026-10-03', 'x');
    UPDATE tariffs SET holiday_calendar = 'de' WHERE tariff_id = 1;
    INSERT INTO direction_groups VALUES ('near', 'fixed'), ('unused', 'fixed');
    INSERT INTO packages (tariff_id, name, kind, direction_group, seconds) VALUES (1, 'p', 'free', 'near', 60);
    INSERT INTO packages (tariff_id, name, kind) VALUES (1, 'v', 'volume');
    INSERT INTO package_steps VALUES (2, 60, 0.9);
    INSERT INTO rate_decks (tariff_id, version, state, effective_from)
        VALUES (1, 1, 'published', now() + interval '1 d');
    INSERT INTO rate_decks (tariff_id, version) VALUES (1, 2);
"""
CHANGES = [
    "UPDATE tariffs SET multiplier = 2 WHERE tariff_id = 1",
    "INSERT INTO tariff_bands VALUES (1, 2, 'night', '{1}', '20:00', '24:00')",
    "UPDATE tariff_bands SET ends = '19:00'",
    "DELETE FROM tariff_bands",
    "INSERT INTO holidays VALUES ('de', '2026-12-25', '')",
    "UPDATE holidays SET day = '2026-10-04'",
    "UPDATE holidays SET calendar = 'fr'",
    "DELETE FROM holidays",
    "INSERT INTO packages (tariff_id, name, kind, seconds) VALUES (1, 'q', 'free', 60)",
    "UPDATE packages SET seconds = 120 WHERE name = 'p'",
    "DELETE FROM packages WHERE name = 'p'",
    "DELETE FROM packages WHERE name = 'v'",
    "INSERT INTO package_steps VALUES (2, 120, 0.8)",
    "UPDATE package_steps SET multiplier = 0.5",
    "DELETE FROM package_steps",
    "INSERT INTO direction_groups VALUES ('near', 'mobile')",
    "UPDATE direction_groups SET direction = 'mobile' WHERE name = 'near'",
    "UPDATE direction_groups SET name = 'far' WHERE name = 'near'",
    "DELETE FROM direction_groups WHERE name = 'near'",
    "INSERT INTO tariff_routes VALUES (1, 2, 2)",
    "UPDATE tariff_routes SET position = 9",
    "DELETE FROM tariff_routes",
    "DELETE FROM routes WHERE name = 'a'",
    "UPDATE rate_decks SET state = 'withdrawn' WHERE version = 1",
    "UPDATE rate_decks SET effective_from = now() WHERE version = 1",
    "UPDATE rate_decks SET state = 'published', effective_from = now() WHERE version = 2",
    "INSERT INTO rate_decks (tariff_id, version, state, effective_from) VALUES (1, 3, 'published', now())",
]
NO_CHANGES = [
    "INSERT INTO rate_decks (tariff_id, version) VALUES (1, 3)",
    "UPDATE rate_decks SET rate_count = 7 WHERE version = 2",
    "DELETE FROM rate_decks WHERE version = 2",
    "INSERT INTO holidays VALUES ('fr', '2026-07-14', '')",
    "INSERT INTO direction_groups VALUES ('unused', 'mobile')",
    "UPDATE tariffs SET multiplier = 2 WHERE tariff_id = 2",
    "INSERT INTO tariff_bands VALUES (2, 2, 'night', '{1}', '20:00', '24:00')",
]


Change = Callable[[str], Awaitable[tuple[bool, bool]]]


@pytest.fixture
async def change(database: Database, database_url: str) -> AsyncIterator[Change]:
    """Runs a statement on a tariff that has everything: whether its version grew, and whether `tariff 1` was heard."""
    listener = await asyncpg.connect(database_url)
    heard: list[str] = []
    await listener.add_listener("rating_engine", lambda *said: heard.append(str(said[3])))

    async def change(statement: str) -> tuple[bool, bool]:
        async with database.connection() as connection:
            await connection.execute(BEFORE)
        before = (await loaded(database)).version
        await listener.execute("NOTIFY rating_engine, 'begin'")
        heard.clear()
        await database.fetch(statement)
        await listener.execute("NOTIFY rating_engine, 'end'")  # comes after whatever the statement announced
        assert "end" in heard
        return (await loaded(database)).version > before, "tariff 1" in heard

    yield change
    await listener.close()


async def test_every_change_of_any_part_is_a_new_version_and_is_announced(change):
    assert {statement: await change(statement) for statement in CHANGES} == dict.fromkeys(CHANGES, (True, True))


async def test_what_changes_nothing_of_a_tariff_leaves_its_version_alone(change):
    assert {statement: await change(statement) for statement in NO_CHANGES} == dict.fromkeys(NO_CHANGES, (False, False))
