"""Rows of a deck with conditions and rarer terms, from the table to the rate of a call."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from structlog.testing import capture_logs

from rating_engine.domain.errors import InvalidRequest, NotFound
from rating_engine.domain.tariff import RateMatch, Tariff
from rating_engine.rating.rate import Tier
from rating_engine.services.calls.quote import quote
from rating_engine.services.facts.rate_lookup import RateDecks
from rating_engine.storage.decks import rate_decks as store
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.tariffs.tariffs import CLOCKS_APART
from tests.support.decks import BLOCKED, DeckRow, cache_of, deck_now, make_tariff, publish_rows, replace_deck

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    await database.open()
    yield database
    await database.close()


@pytest.fixture
async def tariff_id(database: Database) -> int:
    return await make_tariff(database)


@pytest.fixture(autouse=True)
def nothing_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_told", set())


async def tariff_of(decks: RateDecks, tariff_id: int, at: datetime | None = None) -> Tariff:
    tariff = await decks.tariff(tariff_id, at)
    assert tariff is not None
    return tariff


async def match(decks: RateDecks, tariff_id: int, number: str, *, at: datetime = NOON, **who: str) -> RateMatch | None:
    return await decks.match_rate(await tariff_of(decks, tariff_id, at), number, at=at, **who)


async def price(decks: RateDecks, tariff_id: int, number: str = "79010000001", **how: object) -> str | None:
    found = await match(decks, tariff_id, number, **how)  # type: ignore[arg-type]
    return None if found is None else str(found.rate.price_1)


# --- conditions


async def test_one_answer_that_is_kept_serves_callers_bands_and_dates_that_differ(
    database: Database, tariff_id: int
) -> None:
    rows = [
        DeckRow("79", "0.1"),
        DeckRow("79", "0.2", origin="49"),
        DeckRow("79", "0.3", band="night"),
        DeckRow("790", "0.4", since=NOON),
    ]
    await publish_rows(database, tariff_id, rows, effective_from=LONG_AGO)
    levels: list[str] = []
    decks = RateDecks(database, observe_lookup=lambda level: levels.append(level.value))
    before = {"at": NOON - SECOND}
    assert await price(decks, tariff_id, **before) == "0.1"
    assert await price(decks, tariff_id, origin="4930", **before) == "0.2"
    assert await price(decks, tariff_id, band="night", **before) == "0.3"
    assert await price(decks, tariff_id, origin="4930", band="night", at=NOON) == "0.4"
    assert levels == ["postgresql", "memory", "memory", "memory"]


async def test_a_number_whose_rows_do_not_count_for_the_call_is_served_by_no_rate(
    database: Database, tariff_id: int
) -> None:
    await publish_rows(database, tariff_id, [DeckRow("79", "0.2", origin="49")], effective_from=LONG_AGO)
    decks = RateDecks(database)
    assert await price(decks, tariff_id, origin="33") is None
    assert await price(decks, tariff_id, origin="4930") == "0.2"


async def test_a_blocked_row_that_wins_declines_and_can_be_told_from_none(database: Database, tariff_id: int) -> None:
    rows = [DeckRow("7", "0.1"), DeckRow("79", BLOCKED, band="night")]
    await publish_rows(database, tariff_id, rows, effective_from=LONG_AGO)
    decks = RateDecks(database)
    assert await price(decks, tariff_id, band="night") is None
    assert await price(decks, tariff_id, band="day") == "0.1"
    tariff = await tariff_of(decks, tariff_id)
    row = await decks.choose_row(tariff, "79010000001", at=NOON, band="night")
    assert row is not None
    assert (row.prefix, row.blocked) == ("79", True)
    assert await decks.choose_row(tariff, "33100000000", at=NOON) is None
    assert await decks.choose_row(tariff, "79010000001", at=LONG_AGO - SECOND) is None


async def test_asking_for_the_row_before_the_rate_counts_one_lookup_where_it_was_made(
    database: Database, tariff_id: int
) -> None:
    await publish_rows(database, tariff_id, [DeckRow("79", "0.1")], effective_from=LONG_AGO)
    levels: list[str] = []
    decks = RateDecks(database, observe_lookup=lambda level: levels.append(level.value))
    tariff = await tariff_of(decks, tariff_id)
    for _ in range(2):
        await decks.choose_row(tariff, "7901", at=NOON)
    assert levels == ["postgresql"]
    await decks.choose_row(tariff, "44", at=NOON)
    assert levels == ["postgresql", "none"]
    assert await price(decks, tariff_id, "7901") == "0.1"
    assert levels == ["postgresql", "none", "memory"]


async def test_the_currency_is_that_of_the_tariff_as_it_was_asked(database: Database, tariff_id: int) -> None:
    await replace_deck(database, tariff_id, {"79": "0.1"})
    decks, now = RateDecks(database), datetime.now(UTC)
    before = await match(decks, tariff_id, "7901", at=now)
    await database.fetch("UPDATE tariffs SET currency = 'USD'")
    decks.forget_tariff(tariff_id)
    after = await match(decks, tariff_id, "7901", at=now)
    assert (before and before.currency, after and after.currency) == ("EUR", "USD")


# --- the timeline


async def test_a_deck_published_ahead_prices_calls_from_its_second_on_without_being_read_again(
    database: Database, tariff_id: int
) -> None:
    switch = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    await replace_deck(database, tariff_id, {"79": "0.1"})
    await publish_rows(database, tariff_id, [DeckRow("79", "0.7")], effective_from=switch)
    decks = RateDecks(database)
    tariff = await tariff_of(decks, tariff_id)
    found = [await decks.match_rate(tariff, "7901", at=switch + shift) for shift in (-SECOND, 0 * SECOND, SECOND)]
    assert [each and str(each.rate.price_1) for each in found] == ["0.1", "0.7", "0.7"]


async def test_a_call_of_long_ago_is_priced_by_the_deck_of_its_day(database: Database, tariff_id: int) -> None:
    now = datetime.now(UTC)
    await publish_rows(database, tariff_id, [DeckRow("79", "0.3")], effective_from=LONG_AGO)
    await publish_rows(database, tariff_id, [DeckRow("79", "0.1")], effective_from=now - 3 * CLOCKS_APART)
    decks = RateDecks(database)
    assert (await tariff_of(decks, tariff_id)).deck_at(LONG_AGO + SECOND) is None  # what is remembered begins later
    assert await price(decks, tariff_id, at=LONG_AGO + SECOND) == "0.3"
    assert await price(decks, tariff_id, at=LONG_AGO - SECOND) is None
    assert await price(decks, tariff_id, at=now) == "0.1"


# --- rarer terms


async def test_the_minimum_charge_and_rarer_terms_of_a_row_are_in_its_rate(database: Database, tariff_id: int) -> None:
    deck_id = await replace_deck(database, tariff_id, {"79": "0.1", "44": "0.1"})
    extras = '{"surcharge_unit":"percent","tiers":[{"step_charge":"0.5","price":"0.2","seconds":60,"increment":1}]}'
    await database.fetch(
        "UPDATE rates SET minimum_charge = 0.05, extras = $2 WHERE deck_id = $1 AND prefix = '79'", deck_id, extras
    )
    decks = RateDecks(database)
    rare = await match(decks, tariff_id, "7901", at=datetime.now(UTC))
    plain = await match(decks, tariff_id, "4420", at=datetime.now(UTC))
    assert rare is not None
    assert plain is not None
    assert (rare.rate.minimum_charge, rare.rate.surcharge_unit.value) == (Decimal("0.05"), "percent")
    assert [isinstance(tier, Tier) for tier in rare.rate.tiers] == [True]
    assert (plain.rate.minimum_charge, plain.rate.tiers) == (0, ())


BAD_EXTRAS = {
    "no JSON": "surcharge_after: 3",
    "nested without end": "[" * 100_000,
    "no object": "[1]",
    "a field that no rate has": '{"free_beer": 1}',
    "a number of another kind": '{"surcharge_after": 1.5}',
    "an amount that is null": '{"block_charge": null}',
    "an amount that is a float": '{"block_charge": 0.1}',
    "a list for a choice": '{"surcharge_unit": ["percent"]}',
    "an object for parts": '{"tiers": {"seconds": 60}}',
    "parts of another shape": '{"tiers": [1]}',
    "a term that has a column": '{"price_1": "9"}',
    "a condition": '{"band": "night"}',
    "two terms that do not fit": '{"round_up_above": 10, "round_up_to": 5}',
}


@pytest.mark.parametrize("extras", BAD_EXTRAS.values(), ids=BAD_EXTRAS.keys())
async def test_terms_that_no_rate_can_have_decline_calls_and_are_logged_once(
    database: Database, redis_url: str, tariff_id: int, extras: str
) -> None:
    deck_id = await replace_deck(database, tariff_id, {"7": "0.1", "79": "0.1", "44": "0.1", "4420": "0.1"})
    await database.fetch("UPDATE rates SET extras = $1 WHERE prefix IN ('79', '4420')", extras)
    cache = cache_of(redis_url, database, timeout_seconds=5)
    await cache.open()
    now = datetime.now(UTC)
    with capture_logs() as logs:
        for _ in range(2):  # a process that knows nothing finds no more in Redis
            decks = RateDecks(database, cache)
            numbers = ("7901", "7902", "442012", "7101", "4410")
            assert [await price(decks, tariff_id, number, at=now) for number in numbers] == [None] * 3 + ["0.1"] * 2
            await cache.find(await deck_now(database, tariff_id), ["-"])
    await cache.close()
    told = [entry for entry in logs if entry["event"] == "rate_unusable"]
    assert [(entry["deck_id"], entry["prefix"]) for entry in told] == [(deck_id, "79")]


async def test_a_blocked_row_declines_whatever_its_terms_say(database: Database, tariff_id: int) -> None:
    await replace_deck(database, tariff_id, {"79": BLOCKED})
    await database.fetch("UPDATE rates SET extras = 'x'")
    with capture_logs() as logs:
        assert await price(RateDecks(database), tariff_id, at=datetime.now(UTC)) is None
    assert not [entry for entry in logs if entry["event"] == "rate_unusable"]


# --- more rows than a number may have


def origins(prefix: str, count: int) -> list[DeckRow]:
    return [DeckRow(prefix, "0.2", origin=str(number)) for number in range(1, count + 1)]


async def test_as_many_rows_as_there_may_be_are_chosen_from(database: Database, tariff_id: int) -> None:
    rows = [*origins("790", store.MAX_CANDIDATES - 1), DeckRow("79", "0.1")]
    await publish_rows(database, tariff_id, rows, effective_from=LONG_AGO)
    decks = RateDecks(database)
    assert await price(decks, tariff_id, origin="7") == "0.2"
    assert await price(decks, tariff_id, origin="") == "0.1"


async def test_a_number_with_more_rows_is_declined_and_never_served_by_the_wrong_one(
    database: Database, tariff_id: int
) -> None:
    rows = [*origins("790", store.MAX_CANDIDATES), DeckRow("79", "0.1"), DeckRow("7901", "0.3"), DeckRow("44", "0.4")]
    deck_id = await publish_rows(database, tariff_id, rows, effective_from=LONG_AGO)
    decks = RateDecks(database)
    with capture_logs() as logs:
        assert await price(decks, tariff_id, "79020000000", origin="7") is None
        assert await price(decks, tariff_id, "79020000000") is None
    assert [entry["deck_id"] for entry in logs if entry["event"] == "rate_unusable"] == [deck_id]
    # A row without conditions hides the shorter prefixes, however many rows these have.
    assert await price(decks, tariff_id, "79010000000", origin="7") == "0.3"
    assert await price(decks, tariff_id, "79110000000") == "0.1"
    assert await price(decks, tariff_id, "44200000000") == "0.4"


async def test_answers_of_many_rows_take_the_room_of_as_many_answers(database: Database, tariff_id: int) -> None:
    rows = [*origins("79", 10), DeckRow("44", "0.1"), DeckRow("33", "0.1")]
    await publish_rows(database, tariff_id, rows, effective_from=LONG_AGO)
    levels: list[str] = []
    decks = RateDecks(database, memory_entries=11, observe_lookup=lambda level: levels.append(level.value))
    for number in ("7901", "4420", "7901", "33", "4420", "7901"):
        await price(decks, tariff_id, number, origin="1")
    assert levels == ["postgresql", "postgresql", "memory", "postgresql", "postgresql", "postgresql"]


# --- what a call would cost


async def test_a_quote_goes_by_the_deck_the_band_and_the_caller_of_its_instant(
    database: Database, tariff_id: int
) -> None:
    rows = [DeckRow("79", "0.60"), DeckRow("79", "0.30", band="night"), DeckRow("79", "1.20", origin="49")]
    await publish_rows(database, tariff_id, [DeckRow("79", "6")], effective_from=LONG_AGO)
    await publish_rows(database, tariff_id, rows, effective_from=NOON)
    await database.fetch(
        "INSERT INTO tariff_bands VALUES ($1, 1, 'night', '{1,2,3,4,5,6,7}', '20:00', '08:00')", tariff_id
    )
    await database.fetch("UPDATE tariffs SET multiplier = 2, band_mode = 'split'")

    async def cost(at: datetime | None, origin: str = "") -> str:
        found = await quote(database, "retail", "+7901", 120, international_prefix="", at=at, origin=origin)
        return str(found.charge.cost.normalize())

    assert await cost(NOON - SECOND) == str(Decimal(24).normalize())
    assert await cost(NOON) == "2.4"
    assert await cost(NOON, "+49 30 1") == "4.8"
    assert await cost(NOON + timedelta(hours=9)) == "1.2"
    assert await cost(NOON + timedelta(hours=7, minutes=59)) == "1.8"
    with pytest.raises(NotFound, match="no rates before 2020-01-01 00:00:00 UTC"):
        await cost(LONG_AGO - SECOND)
    with pytest.raises(InvalidRequest) as refused:
        await cost(None, "nobody")
    assert refused.value.field == "caller"


async def test_a_quote_says_that_a_rate_cannot_be_used(database: Database, tariff_id: int) -> None:
    await replace_deck(database, tariff_id, {"79": "0.1"})
    await database.fetch("UPDATE rates SET extras = 'x'")
    with pytest.raises(NotFound, match="the rate of prefix 79 cannot be used"):
        await quote(database, "retail", "7901", 60, international_prefix="")
