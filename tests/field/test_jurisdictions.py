"""Decks of North America by jurisdiction: what a call costs, and earns, goes by both numbers; never by a guess."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest

from rating_engine.domain.outcomes import Allowed, Declined, DeclineReason, Saved
from rating_engine.domain.principal import ENGINE
from rating_engine.engine.engine import Engine
from rating_engine.rating.rate import Rate
from rating_engine.services.decks.importing import DeckFileOptions, ImportReport, import_deck
from rating_engine.services.doctor import ledger_balanced
from tests.support.calls import finish, prepare
from tests.support.engines import engine_on
from tests.support.world import add_account, publish_deck

CALLED = "12012001234"  # New Jersey
NEWARK, NEW_YORK, TORONTO, TOLL_FREE = "19732001234", "12122001234", "14162001234", "18002001234"
DECK = "NPANXX,Inter,Intra,Indeterminate,Increment\n201200,0.0040,0.0061,0.0063,6/6\n201201,0.0042,0.0065,0.0065,6/6\n"


@pytest.fixture
async def engine(database_url: str, redis_url: str) -> AsyncIterator[Engine]:
    async with engine_on(database_url, redis_url) as engine:
        await publish_deck(engine.office)
        await add_account(engine.office, balance="100")
        yield engine
        assert await ledger_balanced(engine.office) == []


class Decks:
    def __init__(self, engine: Engine, url: str, directory: Path) -> None:
        self._engine = engine
        self._url = url
        self._directory = directory

    async def take(self, text: str, tariff: str = "retail", **options: object) -> ImportReport:
        path = self._directory / f"{tariff}.csv"
        path.write_text(text)
        report = await import_deck(self._url, path, tariff, options=DeckFileOptions(force=True, **options))  # type: ignore[arg-type]
        self._engine.memory.forget_all()
        return report


@pytest.fixture
def decks(engine: Engine, database_url: str, tmp_path: Path) -> Decks:
    return Decks(engine, database_url, tmp_path)


async def charged(engine: Engine, name: str, callerid: str, called: str = CALLED) -> Decimal:
    """What a call of a minute comes to."""
    outcome = await engine.charging.prepare_call(prepare(name, called, callerid=callerid))
    assert isinstance(outcome, Allowed), outcome
    done = await engine.charging.finish_call(finish(name, 60, called))
    assert isinstance(done, Saved), done
    return done.cost


async def test_a_call_costs_what_its_jurisdiction_does(engine: Engine, decks: Decks) -> None:
    report = await decks.take(DECK)
    assert (report.rejected, report.rates) == (0, 6)
    for name, caller, price in (
        ("inter", NEW_YORK, "0.0040"),
        ("intra", NEWARK, "0.0061"),
        ("abroad", TORONTO, "0.0063"),
        ("toll-free", TOLL_FREE, "0.0063"),
        ("unknown", "anonymous", "0.0063"),
        ("written", "+1 (973) 200-1234", "0.0061"),
        ("too-short", "9732001234", "0.0063"),  # ten digits are of North America where the account's plan says so
    ):
        assert await charged(engine, name, caller) == Decimal(price), name


async def test_ten_digits_are_a_number_of_north_america_by_the_ready_plan(engine: Engine, decks: Decks) -> None:
    await decks.take(DECK)
    await engine.services.of(ENGINE).numbering.add_ready("nanp")
    await engine.office.fetch("UPDATE accounts SET numbering_plan = 'nanp'")
    engine.memory.forget_all()
    assert await charged(engine, "both", "973 200 1234", "201 200 1234") == Decimal("0.0061")


async def test_without_a_price_for_unknown_callers_theirs_is_the_dearer_and_that_is_said(
    engine: Engine, decks: Decks
) -> None:
    report = await decks.take("NPANXX,Inter Rate,Intra Rate\n201200,0.0040,0.0061\n")
    assert [what for what, _, _ in report.notes] == [
        "1 was put before codes",
        "calls of no certain jurisdiction were given the dearest price",
    ]
    assert [await charged(engine, name, caller) for name, caller in (("a", NEW_YORK), ("b", NEWARK), ("c", "?"))] == [
        Decimal("0.0040"),
        Decimal("0.0061"),
        Decimal("0.0061"),
    ]


async def test_a_jurisdiction_without_a_price_is_blocked_for_its_calls_alone(engine: Engine, decks: Decks) -> None:
    await decks.take("NPANXX,Inter,Intra,Indeterminate\n201200,0.0040,N/A,0.0061\n")
    assert await charged(engine, "inter", NEW_YORK) == Decimal("0.0040")
    outcome = await engine.charging.prepare_call(prepare("intra", CALLED, callerid=NEWARK))
    assert isinstance(outcome, Declined)
    assert outcome.reason is DeclineReason.NO_RATE


async def test_the_margin_guard_goes_by_what_the_carrier_takes_for_that_caller(engine: Engine, decks: Decks) -> None:
    await publish_deck(engine.office, "retail", {"1": Rate(price_1="0.0050", price_unit="minute")})
    await decks.take(DECK, "carrier")
    await engine.office.fetch(
        "INSERT INTO routes (name, position, cost_tariff_id)"
        " SELECT 'carrier', 1, tariff_id FROM tariffs WHERE name = 'carrier'"
    )
    engine.memory.forget_all()
    allowed = await engine.charging.prepare_call(prepare("inter", CALLED, callerid=NEW_YORK))
    assert isinstance(allowed, Allowed)
    for name, caller in (("intra", NEWARK), ("unknown", TOLL_FREE)):
        outcome = await engine.charging.prepare_call(prepare(name, CALLED, callerid=caller))
        assert isinstance(outcome, Declined)
        assert outcome.reason is DeclineReason.NO_ROUTE


async def test_a_delta_changes_the_price_of_one_jurisdiction_alone(engine: Engine, decks: Decks) -> None:
    await decks.take(DECK)
    await decks.take("prefix,origin,price\n1201200,intra,0.0099\n", delta=True)
    assert await charged(engine, "intra", NEWARK) == Decimal("0.0099")
    assert await charged(engine, "inter", NEW_YORK) == Decimal("0.0040")
