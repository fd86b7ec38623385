"""Calls of the old release that come in the moment in which the tables change wait, and go on by the new functions."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest

from rating_engine.storage.postgres.migrate import migrate
from rating_engine.storage.postgres.release import MARK, Release, Step, shipped, statements
from tests.support.waiting import until
from tests.upgrade.old_release import OldRelease

FILL = Path(__file__).with_name("fill.py")

# What an engine of the old release sends, made of a call's name.
RESERVE = """
    SELECT ARRAY[(
        'pbx/' || $1::text || '/1', s.account_id, s.subscriber_id, s.version, ARRAY[s.tariff_id],
        ARRAY(SELECT version FROM tariffs t WHERE t.tariff_id = s.tariff_id), 0.01, 1, 0.6, false, 100, 700, 'pbx', 1,
        '100', '4912345', 'Somewhere', '49', s.tariff_id, 1, '{"price_1":"0.6","price_unit":"minute"}', 'default', '',
        now(), '', '', '', NULL, '{}', NULL, 7)::reserve_request] FROM subscribers s WHERE login = '1003'"""
SETTLE = """
    SELECT ARRAY[(
        'pbx/' || $1::text || '/1', s.account_id, 10, 10, 0.1, 'ANSWER', 16, 'finish', NULL, NULL, NULL, NULL, NULL,
        NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, '{}', NULL,
        NULL)::settle_request] FROM subscribers s WHERE login = '1003'"""
EXTEND = """
    SELECT ARRAY[('pbx/' || $1::text || '/1', s.account_id, 2, false, 700, NULL)::extend_request]
    FROM subscribers s WHERE login = '1003'"""
REFERENCE = "SELECT $1::text"
LIMIT = "SELECT length($1::text)"

ASKED = {  # how it asks, of what made of which names: before, and in the moment; what is answered
    "reserve": ("SELECT reserve(0::smallint, $1::reserve_request[])", RESERVE, "new-1", "new-2", "reserved"),
    "settle": ("SELECT settle(0::smallint, $1::settle_request[])", SETTLE, "held-1", "held-2", "settled"),
    "extend": ("SELECT extend(0::smallint, $1::extend_request[])", EXTEND, "held-3", "held-4", "extended"),
    "post_entry": ("SELECT post_entry(0::smallint, 3::bigint, 'topup', 1, $1)", REFERENCE, "r-1", "r-2", "posted"),
    "expire": ("SELECT expire(0::smallint, $1)", LIMIT, "ten", "ten", 0),
}


@pytest.fixture
async def nearly_url(old_release: OldRelease, old_database_url: str) -> str:
    """Filled by the old release, with four calls more that are open, and migrated up to the change-over."""
    old_release.run(FILL, old_database_url)
    connection = await asyncpg.connect(old_database_url)
    for number in range(1, 5):
        await connection.fetchval(ASKED["reserve"][0], await made(connection, RESERVE, f"held-{number}"))
    await connection.close()
    before = [step for step in shipped().steps if step.version < change_over().version]
    await migrate(old_database_url, release=Release(f"{MARK}\n", before))  # functions come with the change-over
    return old_database_url


async def made(connection: asyncpg.Connection, make: str, name: str) -> object:
    """An argument, in the form in which the driver takes it."""
    value = await connection.fetchval(make, name)
    return [tuple(record) for record in value] if isinstance(value, list) else value


def change_over() -> Step:
    [step] = [step for step in shipped().steps if step.name == "change_over"]
    return step


@dataclass
class Asking:
    """A session of the old release that has asked before, and what it asks in the moment."""

    connection: asyncpg.Connection
    question: str
    argument: object

    async def ask(self) -> object:
        """The outcome alone."""
        answer = await self.connection.fetchval(self.question, self.argument)
        answer = answer[0] if isinstance(answer, list) else answer
        return answer if isinstance(answer, int) else answer["outcome"]


@contextlib.asynccontextmanager
async def sessions(url: str) -> AsyncIterator[dict[str, Asking]]:
    """One a question."""
    opened = {}
    try:
        for name, (question, make, before, now, expected) in ASKED.items():
            connection = await asyncpg.connect(url)
            opened[name] = Asking(connection, question, await made(connection, make, before))
            assert await opened[name].ask() == expected
            opened[name].argument = await made(connection, make, now)
        yield opened
    finally:
        for asking in opened.values():
            await asking.connection.close()


async def test_who_comes_in_the_moment_of_the_change_over_waits_and_is_served_by_the_new_functions(nearly_url):
    changing = await asyncpg.connect(nearly_url)
    async with sessions(nearly_url) as opened:
        async with changing.transaction():
            await changing.execute(change_over().sql)
            for step in shipped().steps:
                if step.for_functions and step.version > change_over().version:
                    await changing.execute(step.sql)
            asked = {name: asyncio.create_task(asking.ask()) for name, asking in opened.items()}
            await until(lambda: _wait(changing, len(asked)))
            for statement in statements(shipped().functions) + statements(shipped().kept[1]):
                await changing.execute(statement)
        outcomes = {name: await task for name, task in asked.items()}
        reserved = await changing.fetchval("SELECT count(*) FROM open_calls WHERE call_key = 'pbx/new-2/1'")
        settled = await changing.fetchval("SELECT cost FROM call_records WHERE call_key = 'pbx/held-2/1'")
    await changing.close()

    assert outcomes == {name: expected for name, (*_, expected) in ASKED.items()}
    assert (reserved, float(settled)) == (1, 0.1)


async def _wait(connection: asyncpg.Connection, sessions: int) -> bool:
    """Whether so many sessions wait, for whatever."""
    waiting = await connection.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    return int(waiting) == sessions
