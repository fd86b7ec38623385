"""What a tenant reads besides its document: its own accounts, lines and calls, and not what its calls cost us."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from rating_engine.api.tenant.beyond import BEYOND, CALL
from rating_engine.api.tenant.contract import SCOPES
from rating_engine.api.tenant.reading import call_id, id_of
from rating_engine.domain.api_key import NewKey
from rating_engine.domain.outcomes import Allowed, CallKey, PrepareCall
from rating_engine.domain.principal import OPERATOR
from rating_engine.engine.engine import Engine
from rating_engine.services.watch import orders
from rating_engine.storage.calls.exchange_watch import say_watched
from tests.support.engines import engine_on
from tests.support.scripted_exchange import ScriptedExchange
from tests.support.tenants import RATE, called, client_of, make_tenant

READS = (*SCOPES, "accounts:read", "calls:read", "invoices:read")


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[Engine]:
    """acme has the lines 101 and 102, with three calls that are over and one that lasts; other has 201, with one."""
    async with engine_on(database_url) as engine:
        token = await make_tenant(engine, "acme", "101", "102", scopes=READS)
        await make_tenant(engine, "other", "201")
        async with client_of(engine, token) as client:
            assert (await client.post("/api/call_rates", json=RATE)).status_code == 200
            assert (await client.post("/api/tenant/billing", json={"enabled": True})).status_code == 200
        for name, login in (("a", "101"), ("b", "102"), ("c", "102"), ("d", "201")):
            await called(engine, name, login, "3705551", 10)
        lasting = await engine.charging.prepare_call(PrepareCall(CallKey("pbx", "e"), "101", "3705551"))
        assert isinstance(lasting, Allowed)
        yield engine


@pytest.fixture
async def client(engine: Engine) -> AsyncIterator[httpx.AsyncClient]:
    secret = await _token(engine, "acme", READS)
    async with client_of(engine, secret) as client:
        yield client


async def _token(engine: Engine, owner: str, scopes: tuple[str, ...]) -> str:
    return (
        await engine.services.of(OPERATOR).keys.add(NewKey(f"{owner}-{len(scopes)}-more", owner=owner, scopes=scopes))
    ).secret


async def read(client: httpx.AsyncClient, path: str, **query: Any) -> Any:
    answer = await client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_tenant_reads_what_is_its_own(client):
    accounts, lines = await read(client, "/api/accounts"), await read(client, "/api/subscribers")
    account = await read(client, "/api/accounts/102")
    live, calls = await read(client, "/api/calls"), await read(client, "/api/cdrs")

    assert {item["owner"] for item in accounts["items"]} == {"acme"}
    assert [item["login"] for item in lines["items"]] == ["101", "102"]
    assert (account["balance"], account["available"], account["tariff"]) == (-33, None, "call_rates:acme")
    assert [item["uniqueid"] for item in live["items"]] == ["e"]
    assert [item["uniqueid"] for item in calls["items"]] == ["c", "b", "a"]
    assert [item["cost"] for item in calls["items"]] == [11, 11, 11]
    assert not any("carrier" in name or "margin" in name for item in calls["items"] for name in item)


async def test_invoices_are_listed_and_printed_and_those_of_others_are_not_there(client, engine):
    await engine.office.fetch("UPDATE accounts SET created_at = '2020-01-01'")
    use = engine.services.of(OPERATOR)
    own, theirs = await use.invoices.monthly_of("101"), await use.invoices.monthly_of("201")
    (item,) = (await read(client, "/api/invoices"))["items"]

    assert (item["number"], item["owner"], item["id"]) == (own.label, "acme", id_of(own.invoice_id))
    printed = await client.get(f"/api/invoices/{item['id']}/pdf")
    assert (printed.headers["content-type"], printed.content[:5]) == ("application/pdf", b"%PDF-")
    for unknown in (id_of(theirs.invoice_id), id_of(4711), "x"):
        assert (await client.get(f"/api/invoices/{unknown}/pdf")).status_code == 404


async def test_calls_come_in_pages_and_as_one_file(client):
    first = await read(client, "/api/cdrs", limit=2)
    rest = await read(client, "/api/cdrs", limit=2, after=first["next"])
    of_one = await read(client, "/api/cdrs", login="101")
    file = await client.get("/api/cdrs/export")

    assert [item["uniqueid"] for item in (*first["items"], *rest["items"])] == ["c", "b", "a"]
    assert rest["next"] is None
    assert [item["uniqueid"] for item in of_one["items"]] == ["a"]
    rows = list(csv.DictReader(io.StringIO(file.text)))
    assert [row["uniqueid"] for row in rows] == ["c", "b", "a"]
    assert list(rows[0]) == [each.name for each in CALL]
    assert file.headers["content-type"] == "application/octet-stream"


@pytest.mark.parametrize(
    ("path", "status", "field"),
    [
        ("/api/accounts/201", 404, None),
        ("/api/accounts/nobody", 404, None),
        ("/api/cdrs?login=201", 404, None),
        ("/api/cdrs/export?login=nobody", 404, None),
        ("/api/calls?login=201", 404, None),
        ("/api/cdrs?since=yesterday", 400, "since"),
        ("/api/cdrs?until=2026-01-01T00:00:00", 400, "until"),
        ("/api/cdrs?since=2020-01-01T00:00:00Z", 400, "since"),
        ("/api/cdrs?since=0001-01-01T00:00:00%2B14:00", 400, "since"),
        ("/api/cdrs?until=0001-01-01T00:00:00Z", 400, "until"),
        ("/api/cdrs?login=%00", 400, "login"),
        ("/api/cdrs?prefix=x", 400, "prefix"),
        ("/api/cdrs?limit=0", 400, "limit"),
        ("/api/cdrs?after=x", 400, "after"),
        ("/api/accounts?limit=1001", 400, "limit"),
    ],
)
async def test_what_is_wrong_or_somebody_else_s_is_answered_in_the_one_form(client, path, status, field):
    answer = await client.get(path)

    assert answer.status_code == status, answer.text
    assert field is None or answer.json()["error"]["field"] == field


async def test_each_of_them_takes_its_scope(engine):
    async with client_of(engine, await _token(engine, "other", SCOPES)) as client:
        for operation in BEYOND:
            path = operation.path.replace("{login}", "201").replace("{id}", call_id(CallKey("pbx", "d")))
            query = {"login": "201", "number": "3705551"} if operation.name == "quote_call" else None
            body = {"amount": 1, "idempotency_key": "a"} if operation.body else None
            answer = await client.request(operation.method, f"/api{path}", params=query, json=body)
            assert answer.status_code == 403, operation.name


async def test_a_quote_is_what_the_call_would_cost_and_how_long_it_would_last(client, engine):
    quoted = await read(client, "/api/quote", login="101", number="3705551")

    assert (quoted["prefix"], quoted["currency"], quoted["reason"]) == ("370", "EUR", "")
    ended = await called(engine, "q", "101", "3705551", 60)
    assert quoted["first_minute"] == ended.cost
    assert quoted["rate"]["interval_1"] == RATE["interval_1"]
    held = await engine.charging.prepare_call(PrepareCall(CallKey("pbx", "q2"), "101", "3705551"))
    assert isinstance(held, Allowed)
    assert quoted["max_seconds"] == held.max_seconds

    declined = await read(client, "/api/quote", login="101", number="999")
    assert (declined["reason"], declined["rate"], declined["first_minute"]) == ("no_rate", None, None)
    for query, status, field in (
        ({"login": "201", "number": "3705551"}, 404, "login"),
        ({"login": "101"}, 400, "number"),
        ({"number": "1"}, 400, "login"),
        ({"login": "101", "number": "1" * 81}, 400, "number"),
    ):
        answer = await client.get("/api/quote", params=query)
        assert (answer.status_code, answer.json()["error"].get("field")) == (status, field), query
    assert (await read(client, "/api/calls"))["items"][0]["uniqueid"] == "e"


async def test_a_tenant_ends_its_own_calls_and_no_others(client, engine):
    (call,) = (await read(client, "/api/calls"))["items"]
    path = f"/api/calls/{call['id']}/hangup"
    assert (await client.post(path)).status_code == 403  # it may read
    theirs = await engine.charging.prepare_call(PrepareCall(CallKey("pbx", "theirs"), "201", "3705551"))
    assert isinstance(theirs, Allowed)

    async with client_of(engine, await _token(engine, "acme", ("calls:write", *SCOPES))) as writer:
        away = await writer.post(path)
        assert (away.status_code, away.json()["error"]["code"]) == (503, "unavailable")
        for wrong in (call_id(theirs.call_key), call_id(CallKey("pbx", "gone")), "x", "%FF", "cGJ4"):
            answer = await writer.post(f"/api/calls/{wrong}/hangup")
            assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found"), wrong
        await say_watched(engine.office, ["pbx"], 600)
        exchange = ScriptedExchange("pbx")
        exchange.talk("e")

        async def lead() -> None:
            while True:
                await orders.carry_out(engine.office, [exchange])
                await asyncio.sleep(0)

        leader = asyncio.create_task(lead())
        try:
            assert (await writer.post(path)).json() == {"outcome": "done"}
        finally:
            leader.cancel()
        assert exchange.hung_up == ["SIP/e"]
