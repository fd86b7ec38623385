"""Two engine processes over one database: money for seven calls allows exactly seven of three hundred."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest

from agi.fastagi.client import agi_call
from rating_engine.process.engine_process import HOST, EngineProcess
from rating_engine.rating.rate import Rate
from rating_engine.services.doctor import ledger_balanced
from rating_engine.storage.postgres.pool import Database
from tests.support.calls import NUMBER
from tests.support.world import add_account, publish_deck

CALLS = 300
AFFORDABLE = 7
EURO_A_CALL = Rate(price_1="1", interval_1=3600, interval_n=3600)


@pytest.fixture
async def engines(database_url: str, redis_url: str, tmp_path: Path) -> AsyncIterator[list[EngineProcess]]:
    """Two engines that serve the same database."""
    settings = {"database_url": database_url, "redis_url": redis_url}
    both = [EngineProcess(name, tmp_path, settings) for name in ("one", "two")]
    async with contextlib.AsyncExitStack() as stack:
        for engine in both:
            stack.push_async_callback(engine.stop)
        await asyncio.gather(*(engine.start() for engine in both))
        yield both


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """With money for seven calls on account 1001."""
    database = Database(database_url)
    await database.open()
    await publish_deck(database, rates={"49": EURO_A_CALL})
    await add_account(database, balance=f"{AFFORDABLE}.99")
    yield database
    await database.close()


async def ask(engine: EngineProcess, script: str, name: str, *more: str) -> dict[str, str]:
    """Both engines hear it as from one exchange, so that a call has one key wherever it is asked."""
    return await agi_call(HOST, engine.fastagi_port, script, ["1001", NUMBER, *more], uniqueid=name, timeout=30)


@pytest.mark.parametrize("times", [1, 2], ids=["each call asked once", "each call asked of both engines"])
async def test_money_for_seven_allows_exactly_seven_of_three_hundred(database, engines, times):
    turns = itertools.cycle(engines)
    asked = [(str(n), next(turns)) for n in range(CALLS)]
    if times == 2:
        asked += [(name, engines[1 - engines.index(engine)]) for name, engine in asked]

    answers = await asyncio.gather(*(ask(engine, "callPrepare", name) for name, engine in asked))

    heard: dict[str, list[str]] = {}
    for (name, _), answer in zip(asked, answers, strict=True):
        heard.setdefault(name, []).append(f"{answer['RATING_REASON']} {answer['RATING_MAX_SECONDS']}".strip())
    allowed = [name for name, words in heard.items() if words == ["3600"] * times]
    declined = [name for name, words in heard.items() if words == ["insufficient_funds 0"] * times]
    assert (len(allowed), len(declined)) == (AFFORDABLE, CALLS - AFFORDABLE)
    assert await database.fetchval("SELECT open_calls FROM accounts") == AFFORDABLE
    assert await database.fetchval("SELECT reserved FROM accounts") == AFFORDABLE
    assert await ledger_balanced(database) == []


async def test_each_call_is_charged_once_although_both_engines_are_told_its_end_at_once(database, engines):
    names = [str(n) for n in range(AFFORDABLE)]
    await asyncio.gather(*(ask(engines[0], "callPrepare", name) for name in names))

    told = [ask(engine, "callFinish", name, "60", "16ANSWER") for name in names for engine in engines for _ in range(3)]
    answers = await asyncio.gather(*told)

    assert {(answer["RATING_STATUS"], Decimal(answer["RATING_COST"])) for answer in answers} == {("SAVED", Decimal(1))}
    assert await database.fetchval("SELECT balance FROM accounts") == Decimal("0.99")
    assert await database.fetchval("SELECT count(*) FROM ledger_entries WHERE kind = 'charge'") == AFFORDABLE
    assert await ledger_balanced(database) == []


async def test_calls_that_begin_and_end_on_both_engines_leave_the_ledger_balanced(database, engines):
    async def one(name: str) -> Decimal:
        first, second = engines if int(name) % 2 else reversed(engines)
        prepared = await ask(first, "callPrepare", name)
        if prepared["RATING_STATUS"] != "ALLOWED":
            return Decimal(0)
        finished = await ask(second, "callFinish", name, "5" if int(name) % 3 else "0", "16ANSWER")
        return Decimal(finished["RATING_COST"])

    costs = await asyncio.gather(*(one(str(n)) for n in range(CALLS)))

    assert sum(costs) > 0
    assert await database.fetchval("SELECT balance FROM accounts") == Decimal(f"{AFFORDABLE}.99") - sum(costs)
    assert await database.fetchval("SELECT reserved FROM accounts") == 0
    assert await ledger_balanced(database) == []
