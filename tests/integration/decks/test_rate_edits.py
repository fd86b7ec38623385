"""Single rates of a deck: set, blocked, removed and taken back while calls come, without another version of it."""

from __future__ import annotations

import csv
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rating_engine.domain.errors import InvalidRequest, NotFound
from rating_engine.domain.outcomes import Allowed
from rating_engine.domain.principal import OPERATOR
from rating_engine.domain.rate_edit import RateKey
from rating_engine.engine.engine import Engine
from rating_engine.rating.rate import Rate
from rating_engine.services.decks.edits import RateEdits
from rating_engine.services.decks.export import export_deck
from rating_engine.services.decks.versions import Kind, compare_versions, history, roll_back
from rating_engine.storage.decks import rate_edits as store
from rating_engine.storage.decks.deck_versions import every_version
from rating_engine.storage.postgres.pool import Database
from tests.support.calls import NUMBER, finish, prepare
from tests.support.decks import price_at
from tests.support.engines import engine_on, hear_nothing
from tests.support.world import add_account, publish_deck

MOBILE = RateKey("4915")
CHEAP = Rate(price_1="0.06", price_unit="minute")
DEAR = Rate(price_1="6", price_unit="minute", connect_fee="0.5", surcharge_after=30, postcall_surcharge="0.1")


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, timeout_seconds=60)
    await database.open()
    await publish_deck(database, rates={"49": Rate(price_1="0.60", price_unit="minute")})
    yield database
    await database.close()


@pytest.fixture
def edits(database: Database) -> RateEdits:
    return RateEdits(database, OPERATOR)


async def price_now(database: Database, number: str) -> str | None:
    return await price_at(database, datetime.now(UTC), number)


async def charged(engine: Engine, name: str, destination: str) -> str:
    allowed = await engine.charging.prepare_call(prepare(name, destination))
    assert isinstance(allowed, Allowed), allowed
    ended = await engine.charging.finish_call(finish(name, 60, destination))
    return str(ended.cost)


async def test_the_next_call_is_priced_by_it_whether_or_not_it_was_announced(database, edits, database_url, redis_url):
    await add_account(database, balance="100")
    async with engine_on(database_url, redis_url) as engine:
        assert await charged(engine, "a", "4915123") == "0.60000"
        hear_nothing(engine)
        await edits.set_rate("retail", MOBILE, CHEAP, direction="Mobile")
        assert await charged(engine, "b", "4915123") == "0.06000"
        assert await charged(engine, "c", NUMBER) == "0.60000", "other numbers stay as they are"


async def test_a_call_is_charged_by_the_rate_it_was_allowed_with(database, edits, database_url):
    await add_account(database, balance="100")
    async with engine_on(database_url) as engine:
        assert isinstance(await engine.charging.prepare_call(prepare("a", "4915123")), Allowed)
        await edits.set_rate("retail", MOBILE, CHEAP, direction="Mobile")
        assert str((await engine.charging.finish_call(finish("a", 60, "4915123"))).cost) == "0.60000"


async def test_terms_of_every_kind_are_kept_as_they_were_set(database, edits):
    kept = await edits.set_rate("retail", MOBILE, DEAR, direction="Mobile")

    assert [kept] == await edits.list_edits("retail")
    assert kept.rate == DEAR


async def test_a_blocked_one_declines_and_a_removed_one_gives_way_to_the_shorter_prefix(database, edits):
    await edits.set_rate("retail", MOBILE, None, direction="Mobile")
    assert await price_now(database, "4915123") is None
    await edits.remove_rate("retail", MOBILE)
    assert await price_now(database, "4915123") == "0.6"
    await edits.remove_rate("retail", RateKey("49"))
    assert await price_now(database, "4915123") is None, "nothing is left that serves it"


async def test_one_that_is_still_ahead_counts_from_its_instant_and_may_be_taken_back(database, edits):
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    await edits.set_rate("retail", MOBILE, DEAR, direction="Mobile", since=tomorrow)
    await edits.set_rate("retail", MOBILE, CHEAP, direction="Mobile")

    assert await price_now(database, "4915123") == "0.06"
    assert await price_at(database, tomorrow, "4915123") == "6"
    await edits.cancel("retail", MOBILE, tomorrow)
    assert await price_at(database, tomorrow, "4915123") == "0.06"
    with pytest.raises(NotFound, match="no change of 4915 ahead"):
        await edits.cancel("retail", MOBILE, tomorrow)


async def test_what_calls_cost_that_were_made_does_not_change(database, edits):
    past = datetime.now(UTC) - timedelta(seconds=1)
    with pytest.raises(InvalidRequest) as refused:
        await edits.set_rate("retail", MOBILE, CHEAP, direction="Mobile", since=past)
    assert refused.value.field == "since"

    before = datetime.now(UTC)
    await edits.set_rate("retail", RateKey("49"), CHEAP, direction="Germany")
    assert await price_at(database, before, NUMBER) == "0.6"


async def test_a_tariff_without_a_deck_gets_one_by_its_first_rate(database, edits):
    await database.fetch("INSERT INTO tariffs (name, currency) VALUES ('new', 'EUR')")
    await edits.set_rate("new", RateKey("7"), CHEAP, direction="Russia")

    assert await price_at(database, datetime.now(UTC), "79161234567", tariff="new") == "0.06"
    assert await price_at(database, datetime.now(UTC), "4912345", tariff="new") is None


@pytest.mark.parametrize(
    ("key", "direction", "field"),
    [
        (RateKey(""), "x", "prefix"),
        (RateKey("49a"), "x", "prefix"),
        (RateKey("4" * 33), "x", "prefix"),
        (RateKey("49", "+43"), "x", "origin"),
        (RateKey("49", band="No Band"), "x", "band"),
        (RateKey("49"), "", "direction"),
        (RateKey("49"), "a\nb", "direction"),
    ],
)
async def test_what_cannot_be_a_rate_is_refused_by_its_field(edits, key, direction, field):
    with pytest.raises(InvalidRequest) as refused:
        await edits.set_rate("retail", key, CHEAP, direction=direction)
    assert refused.value.field == field


async def test_a_tariff_that_is_not_there_is_named(edits):
    with pytest.raises(NotFound, match="nowhere"):
        await edits.set_rate("nowhere", MOBILE, CHEAP, direction="Mobile")


async def test_who_changed_what_is_in_the_audit_log(database, edits):
    await edits.set_rate("retail", MOBILE, CHEAP, direction="Mobile")

    row = (await database.fetch("SELECT party, action, subject, detail::text FROM audit_log"))[0]
    assert (row["party"], row["action"], row["subject"]) == ("operator", "rate.set", "retail/4915")
    assert "0.06" in row["detail"]


async def test_when_there_are_too_many_the_deck_is_published_anew_with_them(database, edits, monkeypatch):
    monkeypatch.setattr(store, "EDITS_MAX", 3)
    for number in range(4):
        await edits.set_rate("retail", RateKey(f"491{number}"), CHEAP, direction="Mobile")

    assert len(await edits.list_edits("retail")) == 1
    assert [version.rates for version in await every_version(database, "retail")] == [4, 1]
    assert [await price_now(database, f"491{number}00") for number in range(5)] == ["0.06"] * 4 + ["0.6"]


async def test_an_export_a_rollback_a_comparison_and_a_history_know_it(database, edits, database_url, tmp_path: Path):
    await edits.set_rate("retail", MOBILE, CHEAP, direction="Mobile")
    exported = tmp_path / "deck.csv"
    await export_deck(database, "retail", None, exported)
    with exported.open(encoding="utf-8-sig", newline="") as file:
        assert [(row["prefix"], row["price_1"]) for row in csv.DictReader(file)] == [("49", "0.6"), ("4915", "0.06")]
    assert await database.fetchval("SELECT count(*) FROM rates") == 1, "and leaves nothing behind"

    await publish_deck(database, rates={"49": Rate(price_1="0.50", price_unit="minute")})
    _, _, difference = await compare_versions(database, "retail", 1, 2, shown=10, by_percent=False)
    assert (difference.counts[Kind.FALL], difference.counts[Kind.GONE]) == (1, 1)
    assert await price_now(database, "4915123") == "0.5", "another deck brings its own rates"

    await roll_back(database_url, "retail", 1)
    assert await price_now(database, "4915123") == "0.06"
    _, found = await history(database, "retail", "4915123", international_prefix="00")
    assert [match.matched.prefix for match in found if match.matched] == ["4915", "49", "4915"]
