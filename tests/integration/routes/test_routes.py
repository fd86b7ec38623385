"""Routes as operators set them and engines read them: checked, whole, and effective at once."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from rating_engine.domain.errors import AlreadyExists, InvalidRequest, NotFound
from rating_engine.domain.tariff import Route
from rating_engine.rating.schedule import Schedule, Window
from rating_engine.services.facts.books import RouteBook
from rating_engine.storage.postgres.announcements import Announcements
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.routes.routes import MAX_PREFIX_RULES, enabled_routes
from rating_engine.storage.tariffs.tariffs import load_named_tariff
from tests.support.operators import Routes
from tests.support.waiting import until
from tests.support.world import publish_deck

DEFAULT = Route("default", "", "", 1)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    await database.open()
    await publish_deck(database)
    yield database
    await database.close()


@pytest.fixture
def routes(database: Database) -> Routes:
    return Routes(database)


async def names(database: Database) -> list[str] | None:
    enabled = await enabled_routes(database)
    return None if enabled is None else [route.name for route in enabled]


async def test_a_route_is_read_as_it_was_set(database, routes):
    deck = await publish_deck(database, "costs")
    await routes.add("carrier1", {"position": "10"})
    settings = {
        "position": "-5", "dial_prefix": "99#", "number_prefix": "7", "weight": "3", "percentage": "40",
        "max_calls": "30", "max_calls_per_second": "5", "callerid_policy": "national", "country_code": "7",
        "default_allowed": "no", "time_zone": "Europe/Berlin", "cost_tariff": "costs",
    }  # fmt: skip
    listed = await routes.change("carrier1", settings)
    await routes.rule_prefixes("carrier1", ["7495", "7499"], True)
    await routes.rule_prefixes("carrier1", ["74951"], False)
    await routes.add_window("carrier1", days="mon-fri", starts="08:00", ends="24:00")
    await routes.add_window("carrier1", days="sat,sun", starts="22:00", ends="06:00")
    (route,) = await enabled_routes(database) or ()
    assert listed.cost_tariff == "costs"
    assert route == Route(
        "carrier1", "99#", "7", -5, route_id=route.route_id, weight=3, percentage=40, max_calls=30,
        max_calls_per_second=5, cost_tariff_id=deck.tariff_id, callerid_policy=1, country_code="7",
        prefixes={"7495": True, "7499": True, "74951": False}, default_allowed=False,
        windows=Schedule(
            (Window("open", frozenset({1, 2, 3, 4, 5}), 480, 1440), Window("open", frozenset({6, 7}), 1320, 360)),
            zone="Europe/Berlin",
        ),
    )  # fmt: skip


async def test_what_was_set_can_be_taken_away(database, routes):
    await publish_deck(database, "costs")
    given = {"position": "1", "percentage": "40", "max_calls": "0", "max_calls_per_second": "5", "cost_tariff": "costs"}
    await routes.add("carrier1", given)
    await routes.rule_prefixes("carrier1", ["7495"], False)
    await routes.add_window("carrier1", days="mon", starts="08:00", ends="09:00")
    await routes.change("carrier1", dict.fromkeys(("percentage", "max_calls", "max_calls_per_second"), "none"))
    await routes.change("carrier1", {"cost_tariff": "none"})
    await routes.rule_prefixes("carrier1", ["7495"], None)
    await routes.clear_windows("carrier1")
    (route,) = await enabled_routes(database) or ()
    assert route == Route("carrier1", "", "", 1, route_id=route.route_id)


async def test_routes_are_read_by_position_and_only_while_enabled(database, routes):
    await routes.add("second", {"position": "20"})
    await routes.add("first", {"position": "10"})
    assert await names(database) == ["first", "second"]
    await routes.set_enabled("first", False)
    assert await names(database) == ["second"]
    assert [(each.route.name, each.enabled) for each in await routes.list()] == [("first", False), ("second", True)]
    await routes.remove("second")
    assert await names(database) == []
    with pytest.raises(AlreadyExists):
        await routes.add("first", {"position": "1"})
    for change in (routes.remove("second"), routes.set_enabled("second", True), routes.show("second")):
        with pytest.raises(NotFound):
            await change


async def test_a_call_takes_the_default_route_only_where_there_is_no_route_not_even_a_disabled_one(database, routes):
    book = RouteBook(lambda: enabled_routes(database), DEFAULT, may_remember=lambda: False)
    assert await book.get() == (DEFAULT,)
    await routes.add("carrier1", {"position": "1"})
    await routes.set_enabled("carrier1", False)
    assert await book.get() == ()


@pytest.mark.parametrize("change", ["disable", "block", "window", "percentage", "cost"])
async def test_an_engine_that_remembers_routes_hears_of_a_change_at_once(database, database_url, routes, change):
    await routes.add("carrier1", {"position": "1"})
    await routes.add("carrier2", {"position": "2"})
    book = RouteBook(lambda: enabled_routes(database), DEFAULT)
    heard = Announcements(database_url, on_change=lambda kind, _: book.forget(), on_lost=lambda: None)
    heard.start()
    try:
        assert await heard.wait_listening(5)
        before = await book.get()
        assert await book.get() is before
        await {
            "disable": lambda: routes.set_enabled("carrier1", False),
            "block": lambda: routes.rule_prefixes("carrier1", ["881"], False),
            "window": lambda: routes.add_window("carrier1", days="mon", starts="08:00", ends="18:00"),
            "percentage": lambda: routes.change("carrier1", {"percentage": "50"}),
            "cost": lambda: routes.change("carrier1", {"cost_tariff": "retail"}),
        }[change]()

        async def changed() -> bool:
            return await book.get() != before

        await until(changed)
        assert await book.get() == await enabled_routes(database)
    finally:
        await heard.stop()


@pytest.mark.parametrize(
    ("field", "name", "settings"),
    [
        ("name", "a,b", {"position": "1"}),
        ("name", "", {"position": "1"}),
        ("position", "a", {}),
        ("position", "a", {"position": "first"}),
        ("position", "a", {"position": str(2**31)}),
        ("dial_prefix", "a", {"position": "1", "dial_prefix": "${X}"}),
        ("number_prefix", "a", {"position": "1", "number_prefix": "+7"}),
        ("weight", "a", {"position": "1", "weight": "0"}),
        ("weight", "a", {"position": "1", "weight": "none"}),
        ("percentage", "a", {"position": "1", "percentage": "101"}),
        ("percentage", "a", {"position": "1", "percentage": "0"}),
        ("max_calls", "a", {"position": "1", "max_calls": "-1"}),
        ("max_calls_per_second", "a", {"position": "1", "max_calls_per_second": "0"}),
        ("callerid_policy", "a", {"position": "1", "callerid_policy": "1"}),
        ("country_code", "a", {"position": "1", "callerid_policy": "national"}),
        ("country_code", "a", {"position": "1", "country_code": "07"}),
        ("default_allowed", "a", {"position": "1", "default_allowed": "none"}),
        ("time_zone", "a", {"position": "1", "time_zone": "Mars/Olympus"}),
    ],
)
async def test_a_wrong_setting_is_refused_by_name_and_there_is_no_route(routes, field, name, settings):
    with pytest.raises(InvalidRequest, match=f"^{field}: "):
        await routes.add(name, settings)
    assert await routes.list() == []


async def test_a_change_that_is_refused_changes_nothing(routes):
    before = await routes.add("carrier1", {"position": "1"})
    for settings in ({"weight": "2", "callerid_policy": "national"}, {"weight": "2", "percentage": "x"}):
        with pytest.raises(InvalidRequest):
            await routes.change("carrier1", settings)
    with pytest.raises(NotFound, match="tariff 'nothing'"):
        await routes.change("carrier1", {"weight": "2", "cost_tariff": "nothing"})
    assert await routes.show("carrier1") == before


@pytest.mark.parametrize(
    ("field", "window"),
    [
        ("days", {"days": "mon-someday", "starts": "08:00", "ends": "18:00"}),
        ("days", {"days": "holiday", "starts": "08:00", "ends": "18:00"}),
        ("starts", {"days": "mon", "starts": "8", "ends": "18:00"}),
        ("starts", {"days": "mon", "starts": "24:00", "ends": "18:00"}),
        ("ends", {"days": "mon", "starts": "08:00", "ends": "25:00"}),
    ],
)
async def test_a_window_that_names_no_time_is_refused(routes, field, window):
    await routes.add("carrier1", {"position": "1"})
    with pytest.raises(InvalidRequest, match=f"^{field}: "):
        await routes.add_window("carrier1", **window)


async def test_a_window_of_the_same_days_and_start_takes_the_place_of_the_other(routes):
    await routes.add("carrier1", {"position": "1"})
    await routes.add_window("carrier1", days="mon-fri", starts="08:00", ends="18:00")
    listed = await routes.add_window("carrier1", days="mon-fri", starts="08:00", ends="20:00")
    assert [(window.starts, window.ends) for window in listed.route.windows.windows] == [(480, 1200)]


async def test_a_prefix_is_digits_and_a_route_has_a_bounded_number_of_them(routes):
    await routes.add("carrier1", {"position": "1"})
    with pytest.raises(InvalidRequest, match=r"^prefix: "):
        await routes.rule_prefixes("carrier1", ["7495", "+49"], True)
    with pytest.raises(InvalidRequest, match=r"^prefix: "):
        await routes.rule_prefixes("carrier1", [str(10_000 + n) for n in range(MAX_PREFIX_RULES + 1)], True)
    assert (await routes.show("carrier1")).route.prefixes == {}


async def test_a_tariffs_list_is_read_with_the_tariff_in_its_order_and_makes_a_new_version_of_it(database, routes):
    for name in ("a", "b", "c"):
        await routes.add(name, {"position": "1"})
    before = await load_named_tariff(database, "retail")
    await routes.set_tariff_routes("retail", ["c", "a"])
    after = await load_named_tariff(database, "retail")
    assert before is not None
    assert after is not None
    ids = {listed.route.name: listed.route.route_id for listed in await routes.list()}
    assert sorted(after.routes, key=lambda route_id: after.routes[route_id]) == [ids["c"], ids["a"]]
    assert after.version > before.version
    assert await routes.tariff_routes("retail") == ["c", "a"]
    await routes.set_tariff_routes("retail", [])
    assert await routes.tariff_routes("retail") == []


async def test_a_list_that_cannot_be_is_refused_whole(routes):
    await routes.add("a", {"position": "1"})
    await routes.set_tariff_routes("retail", ["a"])
    with pytest.raises(NotFound, match="route 'b'"):
        await routes.set_tariff_routes("retail", ["a", "b"])
    with pytest.raises(InvalidRequest, match=r"^name: 'a' is named twice"):
        await routes.set_tariff_routes("retail", ["a", "a"])
    with pytest.raises(NotFound, match="tariff 'nothing'"):
        await routes.set_tariff_routes("nothing", ["a"])
    assert await routes.tariff_routes("retail") == ["a"]


async def test_the_only_route_a_tariff_lists_stays_since_without_it_every_route_would_be_the_tariffs(routes):
    for name in ("a", "b"):
        await routes.add(name, {"position": "1"})
    await routes.set_tariff_routes("retail", ["a", "b"])
    await routes.remove("b")
    with pytest.raises(InvalidRequest, match="the only route that tariff 'retail' lists"):
        await routes.remove("a")
    assert await routes.tariff_routes("retail") == ["a"]
