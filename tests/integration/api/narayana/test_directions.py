"""Prices by direction and attempt as Narayana's methods set them, by what the next call costs and where it goes."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from rating_engine.domain.account import NewAccount, NewSubscriber
from rating_engine.domain.errors import NotAllowed, NotFound, Refused
from rating_engine.domain.page import Cursor
from rating_engine.domain.party import PartyChanges
from rating_engine.domain.principal import principal_of
from rating_engine.domain.rate_edit import RateKey
from rating_engine.domain.tariff import Direction, RouteChanges
from rating_engine.rating.rate import Rate
from rating_engine.services.cdrs.rerating import RerateRequest
from tests.support.narayana import Narayana, narayana_on

_numbers = itertools.count()  # of calls, each with a key of its own


@pytest.fixture
async def narayana(database_url: str) -> AsyncIterator[Narayana]:
    """Two directions, two routes for tariffs that name them, and boss's line 3001."""
    async with narayana_on(database_url) as narayana:
        use = narayana.operator
        await use.directions.set(Direction("mobile", "Russia Mobile - Megafon", 11, 11), ["7927", "7928"])
        await use.directions.set(Direction("russia", "Russia", 11, 11), ["7"])
        for position, name in enumerate(("one", "two"), start=1):
            await use.routes.add(name, RouteChanges(dial_prefix=f"{name}/", position=position))
        await use.accounts.create(NewAccount("3001", "retail", balance=Decimal(10), owner="boss", callerid="49301"))
        yield narayana


async def directions_of(narayana: Narayana) -> dict[str, str]:
    """Their numbers by their names."""
    return {each["direction"]: str(each["id"]) for each in await narayana.ask("getDirections")}


async def routes_of(narayana: Narayana) -> dict[str, str]:
    """The numbers of routes by their names."""
    return {each.route.name: str(each.route.route_id) for each in (await narayana.operator.routes.page(Cursor())).items}


async def new_tariff(narayana: Narayana, name: str, login: str = "boss", **more: str) -> str:
    """A tariff of somebody; its number."""
    await narayana.ask("addRates", login=login, table="t", name=name, **more)
    return str(next(each["id"] for each in await narayana.ask("getRatesList", login=login) if each["name"] == name))


async def call(narayana: Narayana, login: str, number: str, prior: int = 1, seconds: int = 60) -> tuple[str, str] | str:
    """The route and the cost of a call, or why there is none."""
    asked = {"login": login, "destination": number, "callid": f"call-{next(_numbers)}", "prior": str(prior)}
    words = (await narayana.raw("callPrepare", key="lines", **asked)).text.split()
    if words[0] != "Allowed":
        return words[1]
    finish = {**asked, "length": str(seconds), "status": "16ANSWER"}
    done = (await narayana.raw("callFinish", key="lines", **finish)).text.split()
    return words[6], done[6]


async def test_the_directory_says_which_direction_a_number_belongs_to(narayana):
    ids = await directions_of(narayana)
    for select, wanted in (("direction", "Russia Mobile - Megafon"), ("code", "7927"),
                           ("id", ids["Russia Mobile - Megafon"])):  # fmt: skip
        assert await narayana.ask("resolveDirection", key="client", number="79271871234", select=select) == wanted
    assert await narayana.code("resolveDirection", number="1212") == "E_NOT_EXIST"
    assert await narayana.code("resolveDirection", number="x" * 5000) == "E_DATA_ABORT"
    codes = [each["code"] for each in await narayana.ask("getDirections", key="client", distinct="false")]
    assert {7, 7927, 7928} <= set(codes)


async def test_a_price_is_of_a_direction_and_an_attempt_and_the_next_call_has_it(narayana):
    ids, routes = await directions_of(narayana), await routes_of(narayana)
    mobile, russia = ids["Russia Mobile - Megafon"], ids["Russia"]
    tariff = await new_tariff(narayana, "vip")
    for direction, cost, route, prior in (
        (mobile, "0.15", "one", 1), (mobile, "0.25", "two", 2), (russia, "0.5", "one", 1), (russia, "0.6", "two", 2),
        (russia, "0.7", "one", 3),
    ):  # fmt: skip
        await narayana.ask(
            "addDirection", login="boss", rates=tariff, direction=direction, cost=cost, route=routes[route],
            priority=str(prior),
        )  # fmt: skip
    assert await narayana.code(
        "addDirection", login="boss", rates=tariff, direction=mobile, cost="1", route=routes["one"]
    ) == "E_DATA_ABORT"  # fmt: skip
    await narayana.ask("switchRates", login="boss", id=tariff, sip_extension="3001")
    assert await narayana.code("switchRates", login="boss", id=tariff) == "E_ALREADY_ON_THIS_TARIFF"

    assert await call(narayana, "3001", "79271234567") == ("one", "0.15")
    assert await call(narayana, "3001", "79271234567", 2) == ("two", "0.25")
    assert await call(narayana, "3001", "79271234567", 3) == "E_UNROUTABLE"  # though Russia has a third
    assert await call(narayana, "3001", "79011234567", 3) == ("one", "0.7")
    assert await call(narayana, "3001", "4912345") == "E_UNROUTABLE"
    assert await call(narayana, "3001", "79271234567", seconds=61) == ("one", "0.3")  # by the minute

    use = narayana.operator
    quoted = [await use.quotes.quote("vip", "79271234567", 60, attempt=attempt) for attempt in (1, 2)]
    assert [quote.charge.cost for quote in quoted] == [Decimal("0.15"), Decimal("0.25")]
    with pytest.raises(NotFound, match="attempt 3"):
        await use.quotes.quote("vip", "79271234567", 60, attempt=3)
    tried = await use.route_trials.try_call("79271234567", tariff="vip", at=datetime.now(UTC), attempt=2)
    assert (tried.sell_minute, [verdict.route.name for verdict in tried.verdicts if verdict.place]) == (
        Decimal("0.25"), ["two"],
    )  # fmt: skip
    with pytest.raises(NotFound, match="attempt 3"):
        await use.route_trials.try_call("79271234567", tariff="vip", at=datetime.now(UTC), attempt=3)

    prices = {key: each for each in await narayana.ask("getRates", login="boss", id=tariff) for key in each}
    assert prices[mobile]["routing"] == [
        {"routename": "one", "route": int(routes["one"]), "displaycost": 0.15, "priority": 1, "cost": 0.15},
        {"routename": "two", "route": int(routes["two"]), "displaycost": 0.25, "priority": 2, "cost": 0.25},
    ]
    assert await narayana.ask("getCurrentRates", login="boss") == await narayana.ask(
        "getRates", login="boss", id=tariff
    )

    await narayana.ask(
        "updateDirection", login="boss", rates=tariff, direction=mobile, cost="0.18", route=routes["two"]
    )
    assert await call(narayana, "3001", "79281234567") == ("two", "0.18")
    await narayana.ask("updateMarkup", login="boss", rates=tariff, markup="1.5")
    assert await call(narayana, "3001", "79281234567") == ("two", "0.27")
    await narayana.ask("deleteDirection", login="boss", rates=tariff, direction=mobile, prior="2")
    assert await call(narayana, "3001", "79281234567", 2) == "E_UNROUTABLE"

    await narayana.operator.routes.set_enabled("two", False)
    narayana.engine.memory.forget_all()  # as the announcement does, a moment later
    assert await call(narayana, "3001", "79281234567") == "E_UNROUTABLE"
    assert await narayana.code("deleteRates", login="boss", id=tariff) == "E_DATA_ABORT"


async def test_many_prices_change_all_or_none_and_are_one_version_of_the_deck(narayana):
    ids, routes = await directions_of(narayana), await routes_of(narayana)
    mobile, russia = ids["Russia Mobile - Megafon"], ids["Russia"]
    tariff = await new_tariff(narayana, "many")
    for direction in (mobile, russia):
        for prior in (1, 2):
            await narayana.ask(
                "addDirection", login="boss", rates=tariff, direction=direction, cost=f"0.{prior}",
                route=routes["one"], priority=str(prior),
            )  # fmt: skip
    await narayana.ask("switchRates", login="boss", id=tariff, sip_extension="3001")

    async def versions() -> int:
        page = await narayana.operator.decks.versions(Cursor())
        return max(each.version for each in page.items if each.tariff == "many")

    async def post(body: object, **given: str) -> dict[str, object]:
        path = f"/billing/api/2.2/{narayana.keys['server']}/updateDirections"
        sent = json.dumps(body) if not isinstance(body, str) else body
        return (await narayana.http.post(path, params={"login": "boss", "rates": tariff, **given}, content=sent)).json()

    before, had = await narayana.ask("getRates", login="boss", id=tariff), await versions()
    good = {"direction": int(mobile), "cost": 0.3}
    for bad, code in (
        ({"direction": 999999, "cost": 1}, "E_NOT_EXIST"), ({"direction": russia, "prior": 7}, "E_NOT_EXIST"),
        ({"direction": russia, "route": 999999}, "E_NOT_EXIST"), ({"direction": russia, "cost": -1}, "E_DATA_ABORT"),
        ({"direction": russia, "priority": 2}, "E_DATA_ABORT"), (good, "E_DATA_ABORT"),
        ({"direction": russia, "priority": 100}, "E_DATA_ABORT"), ({"cost": 1}, "E_MISSING_ARGUMENT"),
        ({"direction": "x"}, "E_INVALID_ARGUMENT"), ({"direction": russia, "cost": 1e400}, "E_INVALID_ARGUMENT"),
        ({"direction": russia, "cost": True}, "E_INVALID_ARGUMENT"), (5, "E_INVALID_ARGUMENT"),
    ):  # fmt: skip
        answer = await post([good, bad])
        assert (answer["result"], answer["response"]) == (False, code), bad
    for body, code in (("[", "E_INVALID_ARGUMENT"), ("[]", "E_DATA_ABORT"), ("[" * 5000, "E_INVALID_ARGUMENT")):
        assert (await post(body))["response"] == code
    assert await narayana.code("updateDirections", login="boss", rates=tariff, directions="{}") == "E_INVALID_ARGUMENT"
    assert (await narayana.ask("getRates", login="boss", id=tariff), await versions()) == (before, had)

    swap = [{"direction": russia, "prior": 1, "priority": 2}, {"direction": russia, "prior": 2, "priority": 1}]
    assert (await post([good, *swap])) == {"result": True}
    assert await call(narayana, "3001", "79281234567") == ("one", "0.3")
    assert await call(narayana, "3001", "79011234567") == ("one", "0.2")
    assert await versions() == had + 1


async def test_a_reseller_sells_on_what_it_buys_by_a_tariff_of_its_own(narayana):
    ids, routes = await directions_of(narayana), await routes_of(narayana)
    mobile = ids["Russia Mobile - Megafon"]
    bought = await new_tariff(narayana, "wholesale", multiplier="2")
    await narayana.ask("addDirection", login="boss", rates=bought, direction=mobile, cost="0.1", route=routes["one"])
    own = await new_tariff(narayana, "wholesale", login="firm")  # the same name is another's
    given = {"login": "firm", "rates": own, "direction": mobile, "cost": "0.4"}
    assert await narayana.code("addDirection", **given, route=routes["one"]) == "E_DOES_NOT_BELONG_TO_YOU"
    assert await narayana.code("copyDirections", login="firm", rates=bought) == "E_DOES_NOT_BELONG_TO_YOU"

    await narayana.operator.options.switch_tariff("1001", "wholesale")
    await narayana.operator.parties.change("firm", PartyChanges(tariff="wholesale"))
    await narayana.ask("copyDirections", login="firm", rates=own)
    assert (await narayana.ask("getRates", login="firm", id=own))[0]["routing"][0]["cost"] == 0.2
    await narayana.ask("addDirection", **given, route=routes["one"], priority="2")  # it buys there
    assert await narayana.code("addDirection", **given, route=routes["two"], priority="3") == "E_DOES_NOT_BELONG_TO_YOU"
    for login in ("other", "anna"):
        assert await narayana.code("getRates", login=login, id=own) == "E_DOES_NOT_BELONG_TO_YOU"
    assert await narayana.code("switchRates", login="anna", id=own) == "E_DOES_NOT_BELONG_TO_YOU"
    await narayana.ask("updateRates", login="firm", id=own, is_public="true", name="dear", switch_price="3")
    info = await narayana.ask("getRatesInfo", login="anna", id=own)
    assert (info["name"], info["owner"], info["switch_price"], info["is_public"]) == ("dear", "firm", 3, True)
    assert await narayana.code("getRatesInfo", login="otto", id=own) == "E_DOES_NOT_BELONG_TO_YOU"

    assert await narayana.code("switchRates", login="anna", id=own) == "E_DOES_NOT_BELONG_TO_YOU"
    line = NewAccount("firm-main", "wholesale", balance=Decimal(5), owner="firm")
    await narayana.operator.accounts.create(line)
    await narayana.operator.parties.change("firm", PartyChanges(account="firm-main"))  # now it pays for anna's calls
    await narayana.ask("switchRates", login="anna", id=own)
    assert await narayana.ask("getValue", login="anna", property="balance") == "7.00"
    assert await call(narayana, "1001", "79271234567") == ("one", "0.2")
    assert await narayana.ask("getValue", login="firm", property="balance") == "4.80"
    assert await call(narayana, "1001", "79271234567", 2) == "E_UNROUTABLE"  # which it does not buy itself


async def test_what_a_reseller_buys_by_an_imported_deck_it_copies_as_it_is_sold_and_marks_up(narayana):
    await narayana.operator.directions.set(Direction("somewhere", "Somewhere"), ["49"])
    ids, routes = await directions_of(narayana), await routes_of(narayana)
    somewhere = {"login": "boss", "direction": ids["Somewhere"], "cost": "9"}
    tariff, more = await new_tariff(narayana, "copied", login="boss"), {"route": routes["one"]}
    await narayana.ask("addDirection", **somewhere, **more, rates=tariff, priority="2")
    await narayana.engine.office.fetch("UPDATE tariffs SET multiplier = 2 WHERE name = 'retail'")

    for _ in range(2):  # the same again changes nothing
        await narayana.ask("copyDirections", login="boss", rates=tariff)
        copied, sold = [await narayana.ask("getRates", login="boss", id=each) for each in (tariff, "1")]
        assert copied == sold
    await narayana.ask("updateMarkup", login="boss", rates=tariff, markup="1.5")
    costs = [(await narayana.ask("getRates", login="boss", id=each))[0]["routing"][0]["cost"] for each in (tariff, "1")]
    assert costs == [1.8, 1.2]


async def test_past_calls_are_priced_again_by_their_attempt(narayana):
    ids, routes = await directions_of(narayana), await routes_of(narayana)
    mobile = ids["Russia Mobile - Megafon"]
    tariff = await new_tariff(narayana, "again")
    price = {"login": "boss", "rates": tariff, "direction": mobile, "route": routes["one"]}
    for prior in ("1", "2"):
        await narayana.ask("addDirection", **price, cost=f"0.{prior}", priority=prior)
    await narayana.ask("switchRates", login="boss", id=tariff)
    for prior in (1, 2):
        assert await call(narayana, "3001", "79271234567", prior) == ("one", f"0.{prior}")
    await narayana.ask("updateDirection", login="boss", rates=tariff, direction=mobile, prior="2", cost="0.5")

    now = datetime.now(UTC)
    request = RerateRequest("again", now - timedelta(hours=1), now + timedelta(hours=1))
    found = await narayana.operator.rerates.begin(request)
    await narayana.operator.rerates.read(found)
    (calls,) = (await narayana.operator.rerates.show(found.rerate_id, 10)).sums.totals
    assert (calls.calls, calls.difference) == (1, Decimal("0.3"))


async def test_an_import_would_take_the_prices_of_directions_away_and_is_refused(narayana):
    ids, routes = await directions_of(narayana), await routes_of(narayana)
    retail = next(each["id"] for each in await narayana.ask("getRatesList", login="boss") if each["name"] == "retail")
    price = {"login": "boss", "rates": str(retail), "route": routes["one"], "cost": "0.4"}
    await narayana.ask("addDirection", **price, direction=ids["Russia Mobile - Megafon"])
    assert await call(narayana, "3001", "4912345") == ("one", "0.6")  # what the deck had of other numbers stays
    assert await call(narayana, "3001", "79271234567") == ("one", "0.4")
    with pytest.raises(Refused):
        await narayana.operator.rate_edits.set_rate("retail", RateKey("49"), Rate(price_1=1), direction="somewhere")
    await narayana.ask("updateMarkup", login="boss", rates=str(retail), markup="2")
    assert await call(narayana, "3001", "4912345") == ("one", "1.2")
    assert await call(narayana, "3001", "79271234567") == ("one", "0.8")


async def test_bill_types_say_how_calls_are_counted(narayana):
    ids, routes = await directions_of(narayana), await routes_of(narayana)
    for bad in ({"free_threshold": "-1", "step": "1"}, {"free_threshold": "0", "step": "0"},
                {"free_threshold": "0", "step": "86401"}):  # fmt: skip
        assert await narayana.code("addBillType", login="boss", bill_type="x", **bad) == "E_DATA_ABORT"
    assert await narayana.code("addBillType", login="firm", bill_type="x", free_threshold="0", step="1") == (
        "E_INSUFFICIENT_ACCESS"
    )
    await narayana.ask("addBillType", login="boss", bill_type="tens", free_threshold="5", step="10")
    tariff = await new_tariff(narayana, "counted", bill_type="tens")
    assert await narayana.code("addRates", login="boss", table="t", name="no", bill_type="none") == "E_NOT_EXIST"
    await narayana.ask(
        "addDirection", login="boss", rates=tariff, direction=ids["Russia"], cost="0.6", route=routes["one"]
    )
    await narayana.ask("switchRates", login="boss", id=tariff)
    costs = [(await call(narayana, "3001", "79011234567", seconds=seconds))[1] for seconds in (5, 6, 11)]
    assert costs == ["0", "0.1", "0.2"]
    await narayana.ask("updateBillType", login="boss", bill_type="tens", free_threshold="0", step="30")
    assert (await call(narayana, "3001", "79011234567", seconds=5))[1] == "0.3"
    await narayana.ask("updateRates", login="boss", id=tariff, bill_type="by_second", multiplier="2")
    assert (await call(narayana, "3001", "79011234567", seconds=5))[1] == "0.1"
    assert await narayana.code("deleteBillType", login="boss", bill_type="by_second") == "E_DATA_ABORT"
    await narayana.ask("deleteBillType", login="boss", bill_type="tens")
    assert {each["type"] for each in await narayana.ask("getBillTypes", login="firm")} == {"byminute", "by_second"}


async def test_nobody_gives_itself_a_tariff_that_it_made(narayana):
    """Or a reseller's own calls would cost what it likes, and the operator would pay the carrier."""
    own = await new_tariff(narayana, "free", login="firm", is_public="true")
    use = narayana.operator
    await use.accounts.create(NewAccount("firm-main", "retail", balance=Decimal(5), owner="firm"))
    await use.parties.change("firm", PartyChanges(account="firm-main"))
    firm = narayana.engine.services.of(principal_of(await use.parties.show("firm"), "test"))
    for given in (
        firm.parties.change("firm", PartyChanges(tariff="firm/free")),
        firm.accounts.create(NewAccount("firm-two", "firm/free", owner="firm")),
        firm.accounts.create(NewAccount("firm-two", "firm/free")),
        firm.accounts.add_subscriber(NewSubscriber("firm-three", "firm-main", tariff="firm/free")),
    ):
        with pytest.raises(NotAllowed):
            await given
    assert await narayana.code("switchRates", login="firm", id=own) == "E_DOES_NOT_BELONG_TO_YOU"
    await firm.accounts.create(NewAccount("anna-two", "firm/free", owner="anna"))
    await firm.parties.change("anna", PartyChanges(tariff="firm/free"))
    await narayana.ask("switchRates", login="anna", id=own, sip_extension="1001")


async def test_a_user_changes_to_what_it_is_allowed_and_who_owns_it_sets_all_its_lines(narayana):
    allowed, other = await new_tariff(narayana, "gold", switch_price="2"), await new_tariff(narayana, "silver")
    assert await narayana.code("switchRates", login="anna", id=allowed) == "E_DOES_NOT_BELONG_TO_YOU"
    for given, code in (
        ({"allowed_rates": "1,x"}, "E_INVALID_ARGUMENT"),
        ({"allowed_rates": "999999"}, "E_NOT_EXIST"),
        ({"rates": other, "active": "1"}, "E_DATA_ABORT"),
        ({"rates": "x"}, "E_INVALID_ARGUMENT"),
    ):
        assert await narayana.code("updateUser", login="boss", user="anna", **given) == code
    for login, user in (("firm", "anna"), ("anna", "anna")):
        for name in ("allowed_rates", "rates"):
            assert await narayana.code("updateUser", login=login, user=user, **{name: allowed}) in (
                "E_DOES_NOT_BELONG_TO_YOU", "E_INSUFFICIENT_ACCESS",
            )  # fmt: skip
    await narayana.ask("updateUser", login="boss", user="anna", allowed_rates=allowed)
    assert await narayana.ask("getValue", login="anna", property="allowed_rates") == allowed
    assert [str(each["id"]) for each in await narayana.ask("getRatesList", login="anna")][-1] == allowed
    await narayana.ask("switchRates", login="anna", id=allowed)
    assert await narayana.ask("getValue", login="anna", property="balance") == "8.00"

    await narayana.operator.accounts.add_subscriber(NewSubscriber("1009", "1001"))
    await narayana.ask("updateUser", login="boss", user="anna", rates=other)
    assert {line.tariff for line in await narayana.operator.accounts.lines("anna")} == {"silver"}
    assert await narayana.ask("getValue", login="anna", property="rates") == other
