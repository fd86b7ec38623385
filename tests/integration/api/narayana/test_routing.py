"""Routes as Narayana's methods make them, by where the next call goes and what the exchange is told of the trunk."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest
from cryptography.fernet import Fernet

from agi.pjsip_check import check_trunks
from rating_engine.domain.account import NewAccount
from rating_engine.domain.exchanges import NewExchange
from rating_engine.domain.page import Cursor
from rating_engine.domain.tariff import Direction
from rating_engine.services.routes.pjsip_trunks import trunk_sections
from rating_engine.storage.postgres.pool import Database
from tests.integration.api.narayana.test_directions import call, directions_of, new_tariff
from tests.support.narayana import Narayana, narayana_on

ROUTE = {"type": "sip", "sip_server": "pbx", "prefix": "outline1/"}


@pytest.fixture
async def narayana(database_url: str) -> AsyncIterator[Narayana]:
    async with narayana_on(database_url, secret_keys=(Fernet.generate_key().decode(),)) as narayana:
        await narayana.operator.exchanges.add(NewExchange("pbx", dns_name="sip.example.org"))
        await narayana.operator.directions.set(Direction("mobile", "Mobile"), ["7927"])
        await narayana.operator.accounts.create(NewAccount("3001", "retail", balance=Decimal(10), owner="boss"))
        yield narayana


async def test_a_route_is_added_priced_used_switched_off_and_deleted(narayana, database_url):
    given = {"login": "boss", "route": "carrier", "host": "sip.carrier.example:5070", "user": "acme", "pass": "s3;cret"}
    await narayana.ask("addRoute", **given, **ROUTE, fromuser="true", callerid="99")
    (route,) = await narayana.ask("getRoutes", login="boss")
    assert route == {
        "id": route["id"], "prefix": "outline1/", "cli": "99", "route": "carrier", "owner": "system", "enabled": "1",
        "type": "sip", "lastupdate": None, "clientlastupdate": None, "balance": None,
    }  # fmt: skip
    assert await narayana.ask("getRouteInfo", login="boss", id=route["id"]) == route
    assert await call(narayana, "3001", "4912345") == ("default", "0.6")  # other tariffs go where they went

    tariff, ids = await new_tariff(narayana, "vip"), await directions_of(narayana)
    price = {"login": "boss", "rates": tariff, "direction": ids["Mobile"]}
    await narayana.ask("addDirection", **price, cost="0.2", route=route["id"])
    await narayana.ask("switchRates", login="boss", id=tariff)
    assert await call(narayana, "3001", "79271234567") == ("carrier", "0.2")

    await narayana.ask("updateRoute", login="boss", id=route["id"], route="renamed", prefix="x/", callerid="1")
    assert await call(narayana, "3001", "79271234567") == "E_UNROUTABLE"  # its caller id is none of that country
    await narayana.ask("updateRoute", login="boss", id=route["id"], callerid="2")
    await narayana.ask("updateRouteState", login="boss", id=route["id"], state="false")
    assert await call(narayana, "3001", "79271234567") == "E_UNROUTABLE"
    await narayana.ask("updateRouteState", login="boss", id=route["id"], state="true")
    assert await narayana.code("deleteRoute", login="boss", id=route["id"]) == "E_DATA_ABORT"

    text = trunk_sections(await narayana.operator.gateways.trunks("pbx"))
    assert "[renamed]\ntype=endpoint" in text
    assert "password=s3\\;cret\n" in text
    assert "from_user=acme\n" in text
    assert check_trunks(text, ["renamed"]) == []
    database = Database(database_url)
    await database.open()
    kept = await database.fetch("SELECT secret FROM gateways")
    told = await database.fetch("SELECT detail::text AS detail FROM catalogue_audit WHERE action LIKE 'route.%'")
    await database.close()
    assert b"s3;" not in kept[0]["secret"]
    assert told
    assert not any("s3;" in row["detail"] for row in told)

    await narayana.ask("deleteDirection", login="boss", rates=tariff, direction=ids["Mobile"])
    await narayana.ask("deleteRoute", login="boss", id=route["id"])
    assert await narayana.ask("getRoutes", login="boss") == []


async def test_a_resellers_route_is_its_own(narayana):
    for login in ("firm", "other"):
        await narayana.ask("addRoute", login=login, route="mine", **ROUTE)
    (route,) = await narayana.ask("getRoutes", login="firm")
    assert (route["route"], route["owner"]) == ("mine", "firm")
    assert await narayana.code("addRoute", login="firm", route="mine", **ROUTE) == "E_DATA_ABORT"
    assert await narayana.ask("getRoutes", login="boss") == []
    assert len(await narayana.ask("getRoutes", login="boss", all="true")) == 2
    assert await narayana.code("getRoutes", login="anna") == "E_INSUFFICIENT_ACCESS"
    (theirs,) = await narayana.ask("getRoutes", login="other")
    own = await new_tariff(narayana, "own", login="firm")
    price = {"login": "firm", "rates": own, "direction": (await directions_of(narayana))["Mobile"], "cost": "1"}
    assert await narayana.code("addDirection", **price, route=theirs["id"]) == "E_DOES_NOT_BELONG_TO_YOU"
    await narayana.ask("addDirection", **price, route=route["id"])
    assert await call(narayana, "1001", "4912345") == ("default", "0.6")  # nobody else's calls go there


NO_ROUTES = (
    ({"sip_server": "nowhere"}, "E_SIP_SERVER_NOT_EXIST"),
    ({"type": "carrier-pigeon"}, "E_INVALID_ARGUMENT"),
    ({"route": ""}, "E_MISSING_ARGUMENT"),
    ({"route": "with blanks"}, "E_DATA_ABORT"),
    ({"route": "x" * 5000}, "E_DATA_ABORT"),
    ({"prefix": "a,b"}, "E_DATA_ABORT"),
    ({"host": "a host\n[x]"}, "E_DATA_ABORT"),
    ({"user": "u\nsecret=x"}, "E_DATA_ABORT"),
    ({"pass": "p\n[evil]"}, "E_DATA_ABORT"),
    ({"callerid": "3"}, "E_DATA_ABORT"),
    ({"callerid": "1e3"}, "E_INVALID_ARGUMENT"),
    ({"fromuser": "maybe"}, "E_INVALID_ARGUMENT"),
    ({"balance_password": "x" * 300}, "E_DATA_ABORT"),
)


async def test_what_makes_no_route_is_refused_and_makes_none(narayana):
    for given, code in NO_ROUTES:
        assert await narayana.code("addRoute", **{"login": "boss", "route": "r", **ROUTE, **given}) == code, given
    assert (await narayana.operator.gateways.page(Cursor())).items == ()
