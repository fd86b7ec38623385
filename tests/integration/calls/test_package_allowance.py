"""What a package gives in a period: its seconds, and what earlier periods left, by the carry-over it was sold with."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, date, datetime

import pytest

from rating_engine.storage.postgres.pool import Database
from tests.support.world import add_account, publish_deck

HUNDRED_MINUTES = 6_000
JANUARY, FEBRUARY, MARCH, APRIL, MAY = (date(2026, month, 1) for month in range(1, 6))


@dataclass(frozen=True, slots=True)
class Stage:
    """A subscriber of the tariff `retail` since 10 January 2026, when its package was added."""

    database: Database
    tariff_id: int
    subscriber_id: int

    async def package(self, carry_over: str, *, seconds: int | None = HUNDRED_MINUTES, period: str = "month") -> int:
        package_id: int = await self.database.fetchval(
            "INSERT INTO packages (tariff_id, name, kind, seconds, period, carry_over, created_at) "
            "VALUES ($1, 'p', CASE WHEN $2::integer IS NULL THEN 'volume' ELSE 'free' END, $2, $3, $4, '2026-01-10') "
            "RETURNING package_id",
            self.tariff_id, seconds, period, carry_over,
        )  # fmt: skip
        return package_id

    async def usage(self, package_id: int, start: date, *, used: int, held: int = 0, allowance: int) -> None:
        await self.database.fetchval(
            "INSERT INTO package_usage SELECT bucket, account_id, subscriber_id, $2, $3, $4, $5, $6 "
            "FROM subscribers WHERE subscriber_id = $1 RETURNING 1",
            self.subscriber_id, package_id, start, allowance, used, held,
        )  # fmt: skip

    async def allowance(self, package_id: int, start: date) -> int | None:
        answer: int | None = await self.database.fetchval(
            "SELECT package_allowance(0::smallint, $1, $2, $3)", self.subscriber_id, package_id, start
        )
        return answer


@pytest.fixture
async def stage(database_url: str) -> AsyncIterator[Stage]:
    database = Database(database_url)
    await database.open()
    deck = await publish_deck(database)
    subscriber = await add_account(database)
    await database.fetch("UPDATE subscribers SET tariff_since = '2026-01-10 12:00Z'")
    yield Stage(database, deck.tariff_id, subscriber.subscriber_id)
    await database.close()


async def test_a_volume_has_no_allowance_and_a_package_that_is_gone_gives_nothing(stage):
    assert await stage.allowance(await stage.package("none", seconds=None), MARCH) is None
    assert await stage.allowance(4711, MARCH) == 0


@pytest.mark.parametrize("carry_over", ["none", "next", "all"])
async def test_the_first_period_has_the_packages_own_seconds_whole(stage, carry_over):
    assert await stage.allowance(await stage.package(carry_over), JANUARY) == HUNDRED_MINUTES


@pytest.mark.breaks_books
@pytest.mark.parametrize(("carry_over", "expected"), [("none", 6_000), ("next", 8_000), ("all", 8_000)])
async def test_the_second_period_is_given_what_was_left_less_what_calls_still_hold(stage, carry_over, expected):
    package_id = await stage.package(carry_over)
    await stage.usage(package_id, JANUARY, allowance=6_000, used=3_900, held=100)

    assert await stage.allowance(package_id, FEBRUARY) == expected


@pytest.mark.breaks_books
@pytest.mark.parametrize(
    ("used", "to_next", "to_all"),
    [
        (0, 12_000, 16_000),  # the carried 4000 are lost, or carried on
        (3_000, 12_000, 13_000),  # a part of the carried ones alone was used
        (4_000, 12_000, 12_000),
        (7_000, 9_000, 9_000),
        (10_000, 6_000, 6_000),
    ],
)
async def test_what_was_carried_is_used_first_and_next_carries_it_no_further(stage, used, to_next, to_all):
    for carry_over, expected in (("next", to_next), ("all", to_all)):
        await stage.database.fetch("DELETE FROM packages")
        package_id = await stage.package(carry_over)
        await stage.usage(package_id, FEBRUARY, allowance=10_000, used=used)

        assert await stage.allowance(package_id, MARCH) == expected


@pytest.mark.parametrize(("carry_over", "expected"), [("none", 6_000), ("next", 12_000), ("all", 5 * 6_000)])
async def test_a_subscriber_who_never_called_carries_the_whole_seconds_since_it_has_the_tariff(
    stage, carry_over, expected
):
    assert await stage.allowance(await stage.package(carry_over), MAY) == expected


@pytest.mark.breaks_books
async def test_all_carries_the_rest_of_the_last_used_period_and_the_skipped_ones(stage):
    package_id = await stage.package("all")
    await stage.usage(package_id, JANUARY, allowance=6_000, used=6_000)
    await stage.usage(package_id, FEBRUARY, allowance=6_000, used=5_000)

    assert await stage.allowance(package_id, MAY) == 1_000 + 2 * 6_000 + 6_000


@pytest.mark.breaks_books
async def test_next_carries_a_skipped_period_whole_and_nothing_of_those_before_it(stage):
    package_id = await stage.package("next")
    await stage.usage(package_id, FEBRUARY, allowance=12_000, used=12_000)

    assert await stage.allowance(package_id, APRIL) == 12_000
    assert await stage.allowance(package_id, MARCH) == 6_000


@pytest.mark.parametrize(
    ("period", "start", "skipped"),
    [
        ("day", date(2026, 1, 13), 3),
        ("week", date(2026, 1, 26), 3),  # 10 January was a Saturday: the week of the 5th is the first
        ("month", date(2027, 1, 1), 12),
    ],
)
async def test_periods_are_counted_as_the_calendar_has_them(stage, period, start, skipped):
    package_id = await stage.package("all", period=period)

    assert await stage.allowance(package_id, start) == 6_000 * (skipped + 1)


async def test_the_first_period_is_the_one_of_the_tariffs_own_clock(stage):
    await stage.database.fetch("UPDATE tariffs SET time_zone = 'Pacific/Auckland'")
    await stage.database.fetch("UPDATE subscribers SET tariff_since = '2026-01-31 12:00Z'")  # 1 February there
    package_id = await stage.package("next")

    assert await stage.allowance(package_id, FEBRUARY) == 6_000
    assert await stage.allowance(package_id, MARCH) == 12_000


async def test_nothing_is_carried_from_before_the_package_was_added(stage):
    package_id = await stage.package("all")
    await stage.database.fetch("UPDATE packages SET created_at = '2026-03-05'")

    assert await stage.allowance(package_id, APRIL) == 12_000


async def test_a_package_that_was_left_alone_for_ages_gives_no_more_than_an_integer_holds(stage):
    package_id = await stage.package("all", seconds=2_000_000_000)

    assert await stage.allowance(package_id, MAY) == 2**31 - 1


async def option(stage: Stage, *grants: tuple[str, str]) -> int:
    """The subscriber has the package's tariff as an option for these spans, and another one as its own."""
    await publish_deck(stage.database, "own")
    await stage.database.fetch("UPDATE subscribers SET tariff_id = (SELECT tariff_id FROM tariffs WHERE name = 'own')")
    for begins, ends in grants:
        await stage.database.fetch(
            "INSERT INTO subscriber_options VALUES (0, $1, $2, 0, $3, $4)", stage.subscriber_id, stage.tariff_id,
            *(datetime.fromisoformat(each).replace(tzinfo=UTC) for each in (begins, ends)),
        )  # fmt: skip
    return await stage.package("all")


async def test_an_option_that_is_renewed_without_a_gap_carries_on(stage):
    package_id = await option(
        stage, ("2026-01-15", "2026-02-15"), ("2026-02-15", "2026-03-15"), ("2026-03-15", "2026-04-15")
    )

    assert await stage.allowance(package_id, MARCH) == 18_000
    assert await stage.allowance(package_id, APRIL) == 24_000


@pytest.mark.breaks_books
async def test_who_takes_an_option_again_begins_anew(stage):
    package_id = await option(stage, ("2026-01-15", "2026-02-15"), ("2026-03-20", "2026-06-01"))
    await stage.usage(package_id, JANUARY, allowance=6_000, used=1_000)

    assert await stage.allowance(package_id, FEBRUARY) == 11_000
    assert await stage.allowance(package_id, MARCH) == 6_000
    assert await stage.allowance(package_id, APRIL) == 12_000


async def test_who_has_the_tariff_no_more_carries_nothing(stage):
    assert await stage.allowance(await option(stage), MAY) == 6_000
