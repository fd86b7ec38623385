"""`rating-engine rerate` as an operator runs it, and as a machine that dies runs it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import asyncpg
import pytest

from rating_engine.rating.rate import Rate
from rating_engine.services.doctor import ledger_balanced
from rating_engine.storage.calls.rerates import POST_BATCH
from rating_engine.storage.postgres.pool import Database
from tests.support.commands import COMMAND, Commands, environment
from tests.support.past_calls import NOON, Past, charge_calls
from tests.support.waiting import until
from tests.support.world import add_account, publish_deck

HALF_A_CENT = Rate(price_1="0.30", price_unit="minute")
MARCH = ("--tariff", "retail", "--from", "2026-03-01", "--to", "2026-04-01")


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, timeout_seconds=60)
    await database.open()
    yield database
    assert await ledger_balanced(database) == []
    await database.close()


@pytest.fixture
def commands(database_url: str, tmp_path: Path) -> Commands:
    return Commands(tmp_path, database_url=database_url)


async def test_calls_are_previewed_listed_posted_and_shown(database, commands):
    deck = await publish_deck(database)
    subscriber = await add_account(database, balance="100")
    await charge_calls(database, subscriber, deck, [Past("1", 60), Past("2", 60, "4912"), Past("3", 60, "4412")])
    await publish_deck(database, rates={"49": HALF_A_CENT})

    shown = await asyncio.to_thread(commands.run, "rerate", "preview", *MARCH)
    assert shown.returncode == 0, shown.stderr
    assert "rating-engine rerate resume 1" in shown.stderr
    for words in ("to be corrected", "by direction", "by login", "the deck has no rate", "-0.6"):
        assert words in shown.stdout
    found = await asyncio.to_thread(commands.json, "rerate", "show", "1")
    assert found["totals"] == [{"currency": "EUR", "calls": 2, "before": "1.2", "by_deck": "0.6", "difference": "-0.6"}]
    assert found["unpriced"] == {"no_rate": 1}
    assert await database.fetchval("SELECT balance FROM accounts") == Decimal("98.20")

    posted = await asyncio.to_thread(commands.json, "rerate", "post", "1")
    assert posted == {"id": 1, "corrected": 2, "left_alone": 0}
    assert await database.fetchval("SELECT balance FROM accounts") == Decimal("98.80")
    listed = await asyncio.to_thread(commands.json, "rerate", "list")
    assert [(each["id"], each["state"], each["calls"]) for each in listed["rerates"]] == [(1, "posted", 3)]
    assert "posted" in (await asyncio.to_thread(commands.run, "rerate", "list")).stdout
    assert "corrections stand" in await asyncio.to_thread(commands.refused, "rerate", "discard", "1")


async def test_a_posting_says_by_its_exit_status_that_calls_were_left_alone(database, commands):
    deck = await publish_deck(database)
    subscriber = await add_account(database, balance="100")
    await charge_calls(database, subscriber, deck, [Past("1", 60)])
    await publish_deck(database, rates={"49": HALF_A_CENT})
    for _ in range(2):
        await asyncio.to_thread(commands.json, "rerate", "preview", *MARCH)
    await asyncio.to_thread(commands.json, "rerate", "post", "1")

    done = await asyncio.to_thread(commands.run, "rerate", "post", "2")

    assert done.returncode == 2
    assert "Left alone: 1," in done.stdout


async def test_a_posting_that_is_killed_goes_on_and_corrects_every_account_exactly_once(
    database, database_url, commands, tmp_path
):
    """It is held by a lock on the account of a later batch, killed there, and run again."""
    deck = await publish_deck(database)
    logins = [f"10{number:02}" for number in range(4)]
    per_login = POST_BATCH
    for number, login in enumerate(logins):
        subscriber = await add_account(database, login, balance="1000")
        calls = [Past(f"{number}-{call:04}", 60, started_at=NOON) for call in range(per_login)]
        await charge_calls(database, subscriber, deck, calls)
    await publish_deck(database, rates={"49": HALF_A_CENT})
    await asyncio.to_thread(commands.json, "rerate", "preview", *MARCH)

    async def posted() -> int:
        return int(await database.fetchval("SELECT count(*) FROM rerate_items WHERE posted_at IS NOT NULL"))

    connection = await asyncpg.connect(database_url)
    async with connection.transaction():
        await connection.execute(
            "SELECT FROM accounts a JOIN subscribers USING (bucket, account_id) WHERE login = $1 FOR UPDATE OF a",
            logins[2],
        )
        process = await asyncio.create_subprocess_exec(
            *COMMAND, "rerate", "post", "1", env=environment(database_url=database_url), cwd=tmp_path,
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip

        async def waits_for_the_lock() -> bool:
            assert process.returncode is None
            return bool(await database.fetchval("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"))

        await until(waits_for_the_lock)
        process.kill()
        await process.wait()
    await connection.close()
    assert 0 < await posted() < len(logins) * per_login

    async def is_over() -> bool:
        return not await database.fetchval(
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE '%correct_calls_v2(%' AND state = 'active'"
            " AND pid <> pg_backend_pid())"
        )

    await until(is_over)
    before = await posted()
    assert await ledger_balanced(database) == []

    done = await asyncio.to_thread(commands.json, "rerate", "post", "1")

    assert done["corrected"] == len(logins) * per_login - before
    assert await posted() == len(logins) * per_login
    for login in logins:
        state = await database.fetchrow(
            "SELECT balance, count(*) AS corrections FROM subscribers s JOIN accounts a USING (bucket, account_id)"
            " JOIN ledger_entries e USING (bucket, account_id) WHERE login = $1 AND e.kind = 'correction' GROUP BY 1",
            login,
        )
        assert tuple(state) == (1000 - Decimal("0.30") * per_login, per_login)
