"""What a deck would have earned: by the rules that charge, and without a trace in the database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rating_engine.domain.account import Subscriber
from rating_engine.domain.errors import InvalidRequest, NotFound
from rating_engine.domain.principal import OPERATOR
from rating_engine.rating.rate import Rate
from rating_engine.services.cdrs.rerating import post
from rating_engine.services.cdrs.simulation import CallSpan, Simulation, SimulationProgress, SimulationRequest, simulate
from rating_engine.storage.calls import rerates as store
from rating_engine.storage.postgres.pool import Database
from tests.support.commands import Commands
from tests.support.decks import write_deck
from tests.support.past_calls import NOON, Past, charge_calls, preview
from tests.support.world import Deck, add_account, publish_deck

MARCH = CallSpan(datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC))
HALF_A_CENT = Rate(price_1="0.30", price_unit="minute")


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, timeout_seconds=60)
    await database.open()
    yield database
    await database.close()


@pytest.fixture
async def deck(database: Database) -> Deck:
    return await publish_deck(database)


@pytest.fixture
async def subscriber(database: Database, deck: Deck) -> Subscriber:
    return await add_account(database, balance="100")


async def earned(
    database: Database, database_url: str, deck: Path | int, calls: Path | CallSpan = MARCH, **request: Any
) -> Simulation:
    asked = SimulationRequest("retail", deck, calls, **request)
    return await simulate(database, database_url, asked, international_prefix="00")


async def everything_stored(database: Database) -> list[Any]:
    tables = ("rate_decks", "rates", "directions", "cdrs", "ledger_entries", "rerates")
    return [await database.fetch(f"SELECT * FROM {table} ORDER BY 1, 2") for table in tables]


async def test_a_file_is_priced_beside_what_the_calls_earned_and_nothing_is_written(
    database, database_url, deck, subscriber, tmp_path
):
    await charge_calls(
        database, subscriber, deck,
        [Past("1", 60), Past("2", 30, "4412"), Past("3", 60, "4999"), Past("4", 0), Past("5", 10, "33")],
    )  # fmt: skip
    await database.fetch("UPDATE cdrs SET margin = 0.5 WHERE call_key LIKE 'test/1/%'")
    file = write_deck(tmp_path, ["49,Germany,0.90", "44,Britain,0.10", "4999,Premium,blocked"])
    before = await everything_stored(database)

    result = await earned(database, database_url, file)

    assert [(line.name, line.calls, line.seconds, line.then, line.by_deck) for line in result.largest(10)] == [
        ("Germany", 1, 60, Decimal("0.6"), Decimal("0.9")),
        ("Britain", 1, 30, Decimal("0.3"), Decimal("0.05")),
    ]
    (total,) = result.totals()
    assert (total.calls, total.difference) == (2, Decimal("0.05"))
    assert (total.margin_calls, total.margin_then, total.margin_by_deck) == (1, Decimal("0.5"), Decimal("0.8"))
    assert {problem: line.then for (_, problem), line in result.unserved.items()} == {
        "no_rate": Decimal("0.1"),
        "blocked": Decimal("0.6"),
    }
    assert result.unanswered == 1
    assert await everything_stored(database) == before


async def test_a_version_earns_what_a_rerating_by_it_would_have_charged(database, database_url, deck, subscriber):
    await charge_calls(database, subscriber, deck, [Past(str(n), n * 7, f"49{n}") for n in range(1, 30)])
    await publish_deck(database, rates={"49": HALF_A_CENT, "491": Rate(price_1="1", interval_1=60, interval_n=60)})

    (simulated,) = (await earned(database, database_url, 2)).totals()
    rerate = await preview(database)
    (rerated,) = (await store.sums_of(database, rerate.rerate_id, 10)).totals
    await post(database, OPERATOR, rerate.rerate_id)

    assert (simulated.calls, simulated.then, simulated.by_deck) == (rerated.calls, rerated.old_cost, rerated.new_cost)
    assert simulated.by_deck == await database.fetchval("SELECT sum(cost) FROM cdrs")


async def test_rates_that_begin_ahead_count_as_of_when_the_deck_comes_into_force_or_of_the_instant_said(
    database, database_url, deck, subscriber, tmp_path
):
    await charge_calls(database, subscriber, deck, [Past("1", 60)])
    file = write_deck(
        tmp_path,
        ["49,Germany,0.90,2026-01-01,2099-01-01", "49,Germany,0.70,2099-01-01,"],
        "prefix,direction,price,effective_from,effective_to",
    )

    assert (await earned(database, database_url, file)).totals()[0].by_deck == Decimal("0.9")
    assert (await earned(database, database_url, file, at=datetime(2099, 6, 1, tzinfo=UTC))).totals()[
        0
    ].by_deck == Decimal("0.7")


async def test_calls_of_a_file_earned_what_the_deck_in_force_at_their_start_made_them_cost(
    database, database_url, deck, subscriber, tmp_path
):
    await database.fetch("UPDATE rate_decks SET effective_from = $1", NOON)
    calls = tmp_path / "calls.csv"
    calls.write_text(
        "Start Time;dst;billsec;src;accountcode\n"
        "2026-03-02 12:00:00;+49 30 1234;60;;\n"
        "2026-03-02 11:59:59;4930;60;;\n"  # nothing was served then
        "2026-03-02 12:00:00;4930;30;;1001\n"
        "2026-03-02 12:00:00;4930;0;;\n"
        "\n"
        "tomorrow;4930;60;;\n"
        "2026-03-02 12:00:00;abc;60;;\n"
        "2026-03-02 12:00:00;4930;1.5;;\n"
        "2026-03-02 12:00:00;4930;60;;nobody\n"
    )
    file = write_deck(tmp_path, ["49,Germany,0.90"])

    result = await earned(database, database_url, file, calls)

    (total,) = result.totals()
    assert (total.calls, total.then, total.by_deck) == (3, Decimal("0.9"), Decimal("2.25"))
    assert (result.unanswered, result.unpriced_then) == (1, 1)
    assert [(bad.line, bad.problem.split(":")[0]) for bad in result.bad] == [
        (7, "start"), (8, "destination"), (9, "seconds"), (10, "login"),
    ]  # fmt: skip
    (own,) = (await earned(database, database_url, file, calls, login="1001")).totals()
    assert own.calls == 1


async def test_what_cannot_be_simulated_is_refused_by_name(database, database_url, deck, tmp_path):
    calls = tmp_path / "calls.csv"
    calls.write_text("when,who\n")
    with pytest.raises(InvalidRequest, match="no column start and no destination and no seconds"):
        await earned(database, database_url, 1, calls)
    with pytest.raises(InvalidRequest, match="No such file"):
        await earned(database, database_url, 1, tmp_path / "none.csv")
    with pytest.raises(NotFound, match="no version 9"):
        await earned(database, database_url, 9)
    file = write_deck(tmp_path, ["49,Germany,0.90"])
    with pytest.raises(NotFound, match="no tariff other"):
        await simulate(database, database_url, SimulationRequest("other", file, MARCH), international_prefix="00")


async def test_a_simulation_says_how_far_it_is(database, database_url, deck, subscriber):
    await charge_calls(database, subscriber, deck, [Past("1", 60)])
    said: list[SimulationProgress] = []

    await simulate(
        database, database_url, SimulationRequest("retail", 1, MARCH), international_prefix="00",
        on_progress=said.append,
    )  # fmt: skip

    assert [(each.done, each.calls) for each in said] == [(1, 1)]


async def test_the_command_shows_tables_and_tells_machines_the_same(database, database_url, deck, subscriber, tmp_path):
    later = NOON + timedelta(days=1)
    await charge_calls(database, subscriber, deck, [Past("1", 90), Past("2", 60, "44"), Past("3", started_at=later)])
    write_deck(tmp_path, ["49,Germany,0.90", "49,Germany,0.80"])
    commands = Commands(tmp_path, database_url=database_url)
    asked = ("simulate", "deck.csv", "--tariff", "retail", "--from", "2026-03-02", "--to", "2026-03-03")

    shown = await asyncio.to_thread(commands.run, *asked)
    assert shown.returncode == 2, shown.stderr  # a row contradicts another one
    for words in ("Germany", "1.5", "1.35", "0.45", "the deck has no rate", "rows of the deck not taken: 1"):
        assert words in shown.stdout
    found = await asyncio.to_thread(
        commands.json, "simulate", "1", "--tariff", "retail", "--from", "2026-03-02", "--to", "2026-03-03"
    )
    assert [(each["calls"], each["then"], each["by_deck"]) for each in found["totals"]] == [(1, "0.9", "0.9")]
    assert found["not_served"][0]["problem"] == "no_rate"
    assert "say which calls" in await asyncio.to_thread(commands.refused, "simulate", "1", "--tariff", "retail")
