"""Where a call would go is explained as calls do go, and every route that is left out says why."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest

from rating_engine.domain.errors import InvalidRequest, NotFound
from rating_engine.domain.outcomes import CallKey, Declined, DeclineReason, PrepareCall
from rating_engine.rating.rate import Rate
from rating_engine.services.calls.hold import ChargingPolicy
from rating_engine.services.calls.plan import Planning
from rating_engine.services.calls.route import Attempts
from rating_engine.services.calls.route_trial import Trial, try_call
from rating_engine.services.facts.memory import CallMemory
from rating_engine.storage.postgres.pool import Database
from tests.support.operators import Routes
from tests.support.world import add_account, publish_deck

NUMBER = "4930123456"
SOLD = "0.60"  # a minute, by the rate of the tariff `retail`


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    await database.open()
    await publish_deck(database)
    yield database
    await database.close()


async def costs(database: Database, name: str, price: str, prefix: str = "49") -> str:
    """A cost tariff of one rate a minute."""
    await publish_deck(database, name, {prefix: Rate(price_1=price, price_unit="minute", interval_1=1, interval_n=1)})
    return name


async def tried(database: Database, number: str = NUMBER, **given: object) -> Trial:
    # The deck of the world came into force a moment ago, by the clock of the server.
    at = datetime.now(UTC) + timedelta(seconds=1)
    return await try_call(database, number, **{"tariff": "retail", "at": at, **given})  # type: ignore[arg-type]


def places(trial: Trial) -> list[str]:
    return [verdict.route.name for verdict in trial.verdicts if verdict.place]


def reasons(trial: Trial) -> dict[str, str]:
    return {verdict.route.name: verdict.reason for verdict in trial.verdicts if not verdict.place}


async def test_every_route_has_its_place_with_cost_and_margin_or_says_why_it_has_none(database):
    routes = Routes(database)
    settings = {
        "dear": {"cost_tariff": await costs(database, "dear", "0.40")},
        "cheap": {"cost_tariff": await costs(database, "cheap", "0.10")},
        "unknown": {},
        "losing": {"cost_tariff": await costs(database, "losing", "0.61")},
        "elsewhere": {"cost_tariff": await costs(database, "elsewhere", "0.10", prefix="44")},
        "russian": {"number_prefix": "7"},
        "blocking": {},
        "closed": {},
        "national": {"callerid_policy": "national", "country_code": "7"},
        "off": {},
    }
    for position, (name, given) in enumerate(settings.items(), start=1):
        await routes.add(name, {"position": str(position), **given})
    await routes.rule_prefixes("blocking", ["4930"], False)
    yesterday = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")[(datetime.now(UTC).weekday() - 2) % 7]
    await routes.add_window("closed", days=yesterday, starts="00:00", ends="01:00")
    await routes.set_enabled("off", False)
    await database.fetch("UPDATE tariffs SET route_order = 'cost' WHERE name = 'retail'")

    trial = await tried(database, callerid="4930999999")

    assert trial.sell_minute == Fraction(SOLD)
    assert [(each.route.name, each.minute_cost, each.margin) for each in trial.verdicts if each.place] == [
        ("cheap", Fraction("0.1"), Fraction("0.5")),
        ("dear", Fraction("0.4"), Fraction("0.2")),
        ("unknown", None, None),
    ]
    assert reasons(trial) == {
        "losing": "costs_more",
        "elsewhere": "not_in_cost_deck",
        "russian": "number_prefix",
        "blocking": "blocked_prefix",
        "closed": "closed",
        "national": "callerid",
        "off": "disabled",
    }


async def test_a_tariff_that_allows_loss_takes_the_route_that_costs_more(database):
    await Routes(database).add("losing", {"position": "1", "cost_tariff": await costs(database, "losing", "0.61")})
    await database.fetch("UPDATE tariffs SET allow_loss = true WHERE name = 'retail'")
    (verdict,) = (await tried(database)).verdicts
    assert (verdict.place, verdict.margin) == (1, Fraction("-0.01"))


async def test_a_route_that_costs_just_what_the_call_is_sold_for_is_taken(database):
    await Routes(database).add("even", {"position": "1", "cost_tariff": await costs(database, "even", SOLD)})
    assert places(await tried(database)) == ["even"]


async def test_the_cost_is_that_of_the_instant_of_the_call(database):
    """The cost deck moves before the sell deck: from then on the route loses money, and not a second earlier."""
    name = await costs(database, "moving", "0.10")
    moves = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    await Routes(database).add("moving", {"position": "1", "cost_tariff": name})
    await costs(database, name, "0.70")
    await database.fetch(
        "UPDATE rate_decks SET effective_from = $1 WHERE version = 2 AND tariff_id = "
        "(SELECT tariff_id FROM tariffs WHERE name = 'moving')",
        moves,
    )
    assert places(await tried(database, at=moves - timedelta(microseconds=1))) == ["moving"]
    assert reasons(await tried(database, at=moves)) == {"moving": "costs_more"}


async def test_a_tariffs_list_says_which_routes_there_are(database):
    routes = Routes(database)
    for name in ("a", "b", "c"):
        await routes.add(name, {"position": "1"})
    await routes.set_tariff_routes("retail", ["c", "a"])
    await database.fetch("UPDATE tariffs SET route_order = 'manual' WHERE name = 'retail'")
    trial = await tried(database)
    assert places(trial) == ["c", "a"]
    assert reasons(trial) == {"b": "not_listed"}


async def test_without_a_call_in_particular_no_route_is_left_out_by_its_percentage(database):
    await Routes(database).add("some", {"position": "1", "percentage": "50"})
    assert places(await tried(database)) == ["some"]
    of_calls = [reasons(await tried(database, call_seed=f"pbx/{call}")) for call in range(20)]
    assert {"some": "percentage"} in of_calls
    assert {} in of_calls


async def test_the_attempts_of_a_call_take_the_routes_as_explained(database):
    await add_account(database, balance="10")
    routes = Routes(database)
    for position, name in enumerate(("a", "b", "c", "d", "e", "f"), start=1):
        await routes.add(name, {"position": str(position // 4), "weight": str(position), "percentage": "70"})
    await routes.change("b", {"cost_tariff": await costs(database, "dear", "5")})
    memory = CallMemory(database)
    planning = Planning(memory.sources, ChargingPolicy())
    at = datetime.now(UTC) + timedelta(seconds=1)
    orders = set()
    for number in range(8):
        explained = places(await tried(database, call_seed=f"pbx/{number}", at=at))
        orders.add(tuple(explained))
        taken: list[str] = []
        for attempt in range(1, len(explained) + 1):
            call = PrepareCall(CallKey("pbx", str(number), attempt), "1001", NUMBER)
            plan = await planning.plan(call, at, Attempts(taken))
            assert not isinstance(plan, Declined)
            taken.append(plan.route.name)
        assert taken == explained
        last = PrepareCall(CallKey("pbx", str(number), len(explained) + 1), "1001", NUMBER)
        plan = await planning.plan(last, at, Attempts(taken))
        assert isinstance(plan, Declined)
        assert plan.reason is DeclineReason.NO_ROUTE
    assert len(orders) > 4


async def test_a_call_takes_no_route_whose_policy_refuses_its_caller_id(database):
    await add_account(database, balance="10", callerid="101")
    await Routes(database).add("carrier1", {"position": "1", "callerid_policy": "international"})
    planning = Planning(CallMemory(database).sources, ChargingPolicy())
    at = datetime.now(UTC) + timedelta(seconds=1)
    key = CallKey("pbx", "1")
    refused = await planning.plan(PrepareCall(key, "1001", NUMBER), at)
    assert isinstance(refused, Declined)
    assert refused.reason is DeclineReason.NO_ROUTE
    plan = await planning.plan(PrepareCall(key, "1001", NUMBER, callerid="+4930999999"), at)
    assert not isinstance(plan, Declined)
    assert plan.route.name == "carrier1"


async def test_what_cannot_be_called_is_refused(database):
    with pytest.raises(NotFound, match="tariff 'nothing' does not exist"):
        await tried(database, tariff="nothing")
    with pytest.raises(NotFound, match="no rate of the tariff retail serves 7901"):
        await tried(database, "7901")
    with pytest.raises(InvalidRequest, match=r"^number: "):
        await tried(database, "call me")


async def test_without_routes_there_is_nothing_to_say_of_them(database):
    assert (await tried(database)).verdicts == ()
