"""Ended calls listed in pages, shown whole, and summed up."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from rating_engine.domain.cdr import CdrFilter, Dimension
from rating_engine.domain.errors import InvalidRequest, NotAllowed, NotFound, NotYours
from rating_engine.domain.live_call import LiveCallFilter
from rating_engine.domain.outcomes import CallKey
from rating_engine.domain.page import Cursor
from rating_engine.domain.party import NewParty, PartyKind
from rating_engine.domain.principal import OPERATOR, principal_of
from rating_engine.engine.engine import Engine
from rating_engine.rating.rate import Rate
from rating_engine.services.cdrs.listing import Cdrs
from rating_engine.storage.calls import cdrs as store
from tests.support.calls import finish, key_of, prepare
from tests.support.engines import engine_on
from tests.support.world import CENT_A_SECOND, add_account, publish_deck

CALLS = [
    ("a", "1001", "4912345", 10),
    ("b", "1001", "4912346", 0),
    ("c", "1002", "4312345", 30),
    ("d", "1001", "4312", 5),
]
DAY = timedelta(days=1)
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[Engine]:
    """Four calls of two logins to two countries, the one named last ended last."""
    async with engine_on(database_url) as engine:
        await publish_deck(engine.office, rates={"49": CENT_A_SECOND, "43": Rate(price_1="1.20", price_unit="minute")})
        for login in ("1001", "1002"):
            await add_account(engine.office, login, balance="100")
        for name, login, destination, seconds in CALLS:
            await engine.charging.prepare_call(prepare(name, destination, login=login))
            await engine.charging.finish_call(finish(name, seconds, destination, login=login))
        yield engine


@pytest.fixture
def cdrs(engine: Engine) -> Cdrs:
    return Cdrs(engine.office)


def lately(**wanted: object) -> CdrFilter:
    now = datetime.now(UTC)
    return CdrFilter(now - DAY, now + DAY, **wanted)  # type: ignore[arg-type]


async def names(cdrs: Cdrs, limit: int = 50, after: str | None = None, **wanted: object) -> list[str]:
    page = await cdrs.page(lately(**wanted), Cursor(limit, after))
    return [cdr.call_key.uniqueid for cdr in page.items]


async def test_the_latest_come_first_and_a_cursor_goes_on_where_a_page_ended(cdrs):
    seen: list[str] = []
    after = None
    for size in (1, 2, 2):
        page = await cdrs.page(lately(), Cursor(size, after))
        seen += [cdr.call_key.uniqueid for cdr in page.items]
        after = page.next
    assert (seen, after) == (["d", "c", "b", "a"], None)


async def test_a_call_that_ends_between_two_pages_is_not_shown_twice_nor_hides_another(cdrs, engine):
    first = await cdrs.page(lately(), Cursor(2))
    await engine.charging.prepare_call(prepare("e"))
    await engine.charging.finish_call(finish("e", 1))
    assert await names(cdrs, after=first.next) == ["b", "a"]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"login": "1001"}, ["d", "b", "a"]),
        ({"account_of": "1002"}, ["c"]),
        ({"prefix": "43"}, ["d", "c"]),
        ({"prefix": "4912346"}, ["b"]),
        ({"answered": True}, ["d", "c", "a"]),
        ({"answered": False}, ["b"]),
        ({"direction": "Somewhere", "login": "1002"}, ["c"]),
        ({"direction": "nowhere"}, []),
        ({"route": "default", "prefix": "49"}, ["b", "a"]),
    ],
)
async def test_what_is_asked_for_is_found_and_nothing_else(cdrs, wanted, found):
    assert await names(cdrs, **wanted) == found


async def test_calls_of_another_time_are_not_shown(cdrs):
    now = datetime.now(UTC)
    page = await cdrs.page(CdrFilter(now - 3 * DAY, now - 2 * DAY), Cursor())
    assert page.items == ()


async def test_one_call_is_shown_with_the_rate_that_was_frozen_for_it(cdrs):
    found = await cdrs.show(key_of("a"))
    assert (found.cdr.login, found.cdr.seconds, found.cdr.cost) == ("1001", 10, Decimal("0.1"))
    assert Rate.from_json(found.rate) == CENT_A_SECOND
    with pytest.raises(NotFound, match="test/nobody/1"):
        await cdrs.show(CallKey("test", "nobody"))


async def test_sums_equal_the_calls(cdrs):
    by_login = await cdrs.sums(lately(), [Dimension.LOGIN])
    assert [(one.login, one.calls, one.answered, one.seconds, one.cost) for one in by_login] == [
        ("1001", 3, 2, 15, Decimal("0.2")),
        ("1002", 1, 1, 30, Decimal("0.6")),
    ]
    (whole,) = await cdrs.sums(lately(), [])
    assert (whole.calls, whole.cost) == (4, Decimal("0.8"))
    by_all = await cdrs.sums(lately(prefix="43"), list(Dimension))
    assert sum(one.calls for one in by_all) == 2


async def test_days_are_those_of_the_time_zone_that_is_asked_for(cdrs, engine):
    await engine.office.fetch("UPDATE cdrs SET ended_at = '2026-03-01 23:30+00' WHERE destination = '4912345'")
    wanted = CdrFilter(datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 3, tzinfo=UTC))
    for zone, day in (("UTC", "2026-03-01"), ("Europe/Berlin", "2026-03-02")):
        (one,) = await cdrs.sums(wanted, [Dimension.DAY], time_zone=zone)
        assert str(one.day) == day


async def test_more_groups_than_an_answer_may_have_are_refused_and_never_cut(cdrs, monkeypatch):
    monkeypatch.setattr(store, "MAX_SUMS", 1)
    with pytest.raises(InvalidRequest, match="more than 1 groups"):
        await cdrs.sums(lately(), [Dimension.LOGIN])


@pytest.mark.parametrize(
    ("field", "wanted"),
    [
        ("until", {"since": datetime(2026, 1, 2, tzinfo=UTC), "until": datetime(2026, 1, 1, tzinfo=UTC)}),
        ("since", {"since": datetime(2024, 1, 2, tzinfo=UTC), "until": datetime(2026, 1, 1, tzinfo=UTC)}),
        ("since", {"since": datetime(2026, 1, 1), "until": datetime(2026, 1, 2, tzinfo=UTC)}),  # noqa: DTZ001
        (
            "prefix",
            {"since": datetime(2026, 1, 1, tzinfo=UTC), "until": datetime(2026, 1, 2, tzinfo=UTC), "prefix": "4x"},
        ),
    ],
)
def test_a_filter_that_makes_no_sense_is_refused_by_its_field(field, wanted):
    with pytest.raises(InvalidRequest) as refused:
        CdrFilter(**wanted)
    assert refused.value.field == field


async def test_a_login_that_is_not_there_is_named(cdrs):
    with pytest.raises(NotFound, match="'nobody'"):
        await names(cdrs, login="nobody")


async def test_a_time_zone_or_a_dimension_that_cannot_be_is_refused(cdrs):
    with pytest.raises(InvalidRequest) as refused:
        await cdrs.sums(lately(), [Dimension.DAY], time_zone="Mars/Base")
    assert refused.value.field == "time_zone"
    with pytest.raises(InvalidRequest) as refused:
        await cdrs.sums(lately(), [Dimension.DAY, Dimension.DAY])
    assert refused.value.field == "dimensions"


async def test_calls_of_a_user_are_those_of_every_account_of_it_and_of_all_below_it(cdrs, engine):
    asked = engine.services.of(OPERATOR)
    await asked.parties.create(NewParty("firm", PartyKind.RESELLER))
    await asked.parties.create(NewParty("anna", owner="firm"))
    await asked.parties.create(NewParty("berta", owner="firm"))
    await asked.accounts.give("1001", "anna")

    assert await names(cdrs, owner="anna") == await names(cdrs, owner="firm") == ["d", "b", "a"]
    assert await names(cdrs, owner="berta") == []
    assert [row.calls for row in await cdrs.sums(lately(owner="firm"), ())] == [3]
    await asked.accounts.give("1002", "berta")
    assert await names(cdrs, owner="firm") == ["d", "c", "b", "a"]
    with pytest.raises(NotFound):
        await names(cdrs, owner="nobody")


async def test_a_reseller_lists_the_calls_of_its_own_and_of_nobody_else(engine):
    asked = engine.services.of(OPERATOR)
    firm = await asked.parties.create(NewParty("firm", PartyKind.RESELLER))
    await asked.parties.create(NewParty("other", PartyKind.RESELLER))
    await asked.accounts.give("1001", "firm")
    await engine.charging.prepare_call(prepare("open", "4912345", login="1001"))
    await engine.charging.prepare_call(prepare("open-2", "4912345", login="1002"))
    mine = engine.services.of(principal_of(firm, "test"))

    assert len((await mine.cdrs.page(lately(owner="firm"), Cursor())).items) == 3
    live = await mine.live_calls.page(LiveCallFilter(owner="firm"), Cursor())
    assert [call.call_key.uniqueid for call in live.items] == ["open"]
    for wanted in (lately(owner="other"), lately(login="1002"), lately(owner="firm", account_of="1002")):
        with pytest.raises(NotYours):
            await mine.cdrs.page(wanted, Cursor())
    with pytest.raises(NotAllowed):
        await mine.cdrs.page(lately(), Cursor())
    with pytest.raises(NotAllowed):
        await mine.live_calls.page(LiveCallFilter(), Cursor())
