"""Packages as operators sell them and see them used, and the groups of directions they are for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from rating_engine.domain.errors import AlreadyExists, InvalidRequest, NotFound
from rating_engine.domain.tariff import PackageKind, Period
from rating_engine.domain.tariff_card import CarryOver, ListedPackage
from rating_engine.rating.schedule import period_start
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.tariffs import packages as store
from tests.support.operators import Options, Packages, Tariffs
from tests.support.world import add_account, publish_deck

HUNDRED = ListedPackage(
    tariff="retail", name="hundred", kind=PackageKind.FREE, group="near", seconds=6000, period=Period.WEEK,
    carry_over=CarryOver.NEXT, waives_fees=True, position=3,
)  # fmt: skip


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """`1001` has the tariff `retail`; the group `near` is one of two directions."""
    database = Database(database_url)
    await database.open()
    await publish_deck(database, "retail")
    await add_account(database)
    await database.fetch("INSERT INTO directions (code, name) VALUES ('fixed', 'Fixed'), ('mobile', 'Mobile')")
    await Packages(database).set_group("near", ["fixed", "mobile"])
    yield database
    await database.close()


async def use(database: Database, package: str, *, allowance: int | None, used: int, held: int = 0) -> None:
    """What calls would have left behind in the present period."""
    await database.fetch(
        "INSERT INTO package_usage SELECT s.bucket, s.account_id, s.subscriber_id, p.package_id, "
        "date_trunc(p.period, now() AT TIME ZONE t.time_zone)::date, $2, $3, $4 "
        "FROM subscribers s, packages p JOIN tariffs t USING (tariff_id) WHERE p.name = $1",
        package, allowance, used, held,
    )  # fmt: skip


async def test_free_minutes_are_added_and_listed_as_they_were_given(database):
    packages = Packages(database)
    added = await packages.add(
        "retail", "hundred", minutes=100, group="near", period="week", carry_over="next", waives_fees=True, position=3
    )

    assert added == HUNDRED
    assert list(await packages.list()) == list(await packages.list("retail")) == [HUNDRED]


async def test_a_volume_has_its_steps_in_ascending_order_whatever_order_they_came_in(database):
    packages = Packages(database)
    added = await packages.add_volume("retail", "loyal", steps=["5000:0.8", "1000:0.95"])

    assert added.steps == ((60_000, Decimal("0.95")), (300_000, Decimal("0.8")))
    assert (added.kind, added.seconds, added.group) == (PackageKind.VOLUME, None, "")
    assert list(await packages.list("retail")) == [added]


async def test_packages_are_listed_in_the_order_in_which_they_are_used_up(database):
    packages = Packages(database)
    for name, position in (("late", 9), ("first", 1), ("second", 1)):
        await packages.add("retail", name, minutes=1, position=position)

    assert [package.name for package in await packages.list()] == ["first", "second", "late"]


async def test_a_package_is_removed_and_its_name_is_free_again(database):
    packages = Packages(database)
    await packages.add("retail", "p", minutes=1)
    with pytest.raises(AlreadyExists, match="has a package 'p'"):
        await packages.add("retail", "p", minutes=2)

    await packages.remove("retail", "p")

    assert list(await packages.list()) == []
    await packages.add("retail", "p", minutes=2)
    with pytest.raises(NotFound, match="has no package 'q'"):
        await packages.remove("retail", "q")


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("name", {"name": ""}),
        ("minutes", {"minutes": 0}),
        ("minutes", {"minutes": 2**31 // 60 + 1}),
        ("group", {"group": "nowhere"}),
        ("period", {"period": "year"}),
        ("carry_over", {"carry_over": "some"}),
        ("position", {"position": -1}),
    ],
)
async def test_free_minutes_that_cannot_be_are_refused_by_name(database, field, wrong):
    right = {"name": "p", "minutes": 1}
    with pytest.raises(InvalidRequest, match=f"^{field}: "):
        await Packages(database).add("retail", **{**right, **wrong})


@pytest.mark.parametrize(
    "steps", [[], ["1000"], ["1000:"], ["x:0.9"], ["0:0.9"], ["1000:0"], ["1000:-1"], ["1:0.9", "01:0.8"], ["1:2"] * 51]
)
async def test_steps_that_cannot_be_are_refused(database, steps):
    with pytest.raises(InvalidRequest, match=r"^step: "):
        await Packages(database).add_volume("retail", "loyal", steps=steps)
    assert list(await Packages(database).list()) == []


async def test_a_tariff_has_so_many_packages_and_no_more(database, monkeypatch):
    monkeypatch.setattr(store, "MAX_PACKAGES", 2)
    for name in ("a", "b"):
        await Packages(database).add("retail", name, minutes=1)

    with pytest.raises(InvalidRequest, match="may have 2 packages"):
        await Packages(database).add("retail", "c", minutes=1)


async def test_a_package_that_nobody_has_used_yet_is_left_whole(database):
    await Packages(database).add("retail", "hundred", minutes=100, period="day")

    (usage,) = await Packages(database).usage("1001")

    assert (usage.allowance, usage.carried, usage.used, usage.held, usage.left) == (6000, 0, 0, 0, 6000)
    assert usage.ends - usage.begins == timedelta(days=1)


@pytest.mark.breaks_books
async def test_what_was_carried_used_and_is_held_is_told_apart(database):
    await Packages(database).add("retail", "hundred", minutes=100, carry_over="all")
    await use(database, "hundred", allowance=9000, used=2000, held=500)

    (usage,) = await Packages(database).usage("1001")

    assert (usage.allowance, usage.carried, usage.used, usage.held, usage.left) == (9000, 3000, 2000, 500, 6500)


async def test_what_will_be_carried_is_shown_before_the_first_call_of_a_period(database):
    await Packages(database).add("retail", "hundred", minutes=100, carry_over="next", period="day")
    await database.fetch("UPDATE packages SET created_at = now() - interval '3 days'")
    await database.fetch("UPDATE subscribers SET tariff_since = now() - interval '3 days'")

    (usage,) = await Packages(database).usage("1001")

    assert (usage.allowance, usage.carried) == (12_000, 6_000)


@pytest.mark.breaks_books
@pytest.mark.parametrize(("used", "factor"), [(0, "1"), (599, "1"), (600, "0.9"), (1199, "0.9"), (1200, "0.8")])
async def test_of_a_volume_the_price_of_the_next_call_is_shown(database, used, factor):
    await Packages(database).add_volume("retail", "loyal", steps=["10:0.9", "20:0.8"])
    await use(database, "loyal", allowance=None, used=used)

    (usage,) = await Packages(database).usage("1001")

    assert (usage.multiplier, usage.used, usage.allowance, usage.left) == (Decimal(factor), used, None, None)


@pytest.mark.parametrize("period", ["day", "week", "month"])
async def test_the_present_period_is_the_one_that_calls_are_counted_in(database, period):
    await Tariffs(database).set("retail", {"time_zone": "Pacific/Kiritimati"})  # 14 hours ahead of UTC
    await Packages(database).add("retail", "p", minutes=1, period=period)

    before = period_start(datetime.now(UTC), "Pacific/Kiritimati", period)
    (usage,) = await Packages(database).usage("1001")

    assert usage.begins in (before, period_start(datetime.now(UTC), "Pacific/Kiritimati", period))


async def test_packages_of_options_in_force_count_and_those_of_others_do_not(database):
    for option in ("weekend", "never"):
        await Tariffs(database).add(option, {"is_option": "yes"})
        await Packages(database).add(option, f"of {option}", minutes=1)
    await Packages(database).add("weekend", "last of weekend", minutes=1, position=9)
    await Packages(database).add("retail", "own", minutes=1)
    await Options(database).grant("1001", "weekend")
    await Options(database).grant("1001", "never", begins="2999-01-01")

    # In the order in which calls use them up: those of options first.
    used = [one.package.name for one in await Packages(database).usage("1001")]
    assert used == ["of weekend", "last of weekend", "own"]
    with pytest.raises(NotFound, match="login 'nobody'"):
        await Packages(database).usage("nobody")


async def test_a_group_has_the_directions_it_was_last_given(database):
    packages = Packages(database)
    await packages.set_group("far", ["mobile", "mobile"])
    await packages.set_group("near", ["mobile", "somewhere"])

    assert await packages.groups() == {"far": ["mobile"], "near": ["mobile", "somewhere"]}


async def test_a_direction_that_no_deck_knows_is_refused_and_the_group_stays(database):
    with pytest.raises(InvalidRequest, match=r"^directions: 'moon' is no direction"):
        await Packages(database).set_group("near", ["fixed", "moon"])
    with pytest.raises(InvalidRequest, match=r"^directions: "):
        await Packages(database).set_group("near", [])
    assert await Packages(database).groups() == {"near": ["fixed", "mobile"]}


async def test_a_group_is_removed_only_while_no_package_is_for_it(database):
    packages = Packages(database)
    await packages.add("retail", "p", minutes=1, group="near")
    with pytest.raises(InvalidRequest, match=r"^name: the package 'p' of 'retail' is for this group"):
        await packages.remove_group("near")
    await packages.remove("retail", "p")

    await packages.remove_group("near")

    assert await packages.groups() == {}
    with pytest.raises(NotFound):
        await packages.remove_group("near")
