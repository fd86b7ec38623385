"""What periods leave to one another: the closed form of package_allowance equals going through them one by one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.servers import SessionServers

FIRST = datetime(2026, 1, 10, 12, tzinfo=UTC)  # a Saturday
PERIODS = 30
SECONDS = 600


def starts(period: str) -> list[date]:
    """When the periods begin, the first being the one that holds FIRST."""
    if period == "month":
        return [date(2026 + index // 12, index % 12 + 1, 1) for index in range(PERIODS)]
    first, length = (FIRST.date(), 1) if period == "day" else (date(2026, 1, 5), 7)
    return [first + timedelta(days=index * length) for index in range(PERIODS)]


def allowances(carry_over: str, demands: dict[int, int]) -> list[int]:
    """The allowance of every period where each demand is met as far as its period allows; nothing clever."""
    carried, found = 0, []
    for index in range(PERIODS):
        allowance = SECONDS + carried
        found.append(allowance)
        left = allowance - min(demands.get(index, 0), allowance)
        carried = {"none": 0, "next": min(left, SECONDS), "all": left}[carry_over]
    return found


class Books:
    """A subscriber, a package of its tariff, and a connection on which every example is rolled back."""

    def __init__(self, runner: asyncio.Runner, connection: asyncpg.Connection) -> None:
        self._runner = runner
        self._connection = connection

    def allowances(self, period: str, carry_over: str, demands: dict[int, int]) -> list[int]:
        """The same by the database, where only periods with a demand have a row."""
        return self._runner.run(self._allowances(period, carry_over, demands))

    async def _allowances(self, period: str, carry_over: str, demands: dict[int, int]) -> list[int]:
        found = []
        transaction = self._connection.transaction()
        await transaction.start()
        try:
            await self._connection.execute("UPDATE packages SET period = $1, carry_over = $2", period, carry_over)
            for index, start in enumerate(starts(period)):
                allowance = await self._connection.fetchval("SELECT package_allowance(0::smallint, 1, 1, $1)", start)
                found.append(allowance)
                if index in demands:
                    await self._connection.execute(
                        "INSERT INTO package_usage VALUES (0, 1, 1, 1, $1, $2, $3)", start, allowance,
                        min(demands[index], allowance),
                    )  # fmt: skip
        finally:
            await transaction.rollback()
        return found


@pytest.fixture(scope="module")
def books(session_servers: SessionServers) -> Iterator[Books]:
    with session_servers.database() as url, asyncio.Runner() as runner:
        connection = runner.run(asyncpg.connect(url))
        runner.run(
            connection.execute(f"""
            INSERT INTO tariffs (name, currency) VALUES ('retail', 'EUR');
            INSERT INTO accounts (currency) VALUES ('EUR');
            INSERT INTO subscribers (login, bucket, account_id, tariff_id, tariff_since)
                VALUES ('1', 0, 1, 1, '{FIRST}');
            INSERT INTO packages (tariff_id, name, kind, seconds, created_at)
                VALUES (1, 'p', 'free', {SECONDS}, '2020-01-01')""")
        )
        yield Books(runner, connection)
        runner.run(connection.close())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    period=st.sampled_from(["day", "week", "month"]),
    carry_over=st.sampled_from(["none", "next", "all"]),
    demands=st.dictionaries(st.integers(0, PERIODS - 1), st.integers(0, 3 * SECONDS), max_size=12),
)
def test_the_allowance_of_a_period_is_what_going_through_all_before_it_gives(books, period, carry_over, demands):
    assert books.allowances(period, carry_over, demands) == allowances(carry_over, demands)
