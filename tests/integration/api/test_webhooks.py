"""Webhooks of a tenant: made over HTTP, heard of by a real server, signed, and kept from where they may not go."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import httpx
import pytest
from cryptography.fernet import Fernet

from rating_engine.adapters.webhook_http import WebhookPoster
from rating_engine.api.tenant.contract import SCOPES
from rating_engine.domain.page import Cursor
from rating_engine.domain.principal import OPERATOR
from rating_engine.engine.engine import Engine
from rating_engine.services.phones.secrets import SecretBox
from rating_engine.services.webhooks import delivering
from rating_engine.services.webhooks.delivering import NotTaken, WebhookDelivery
from tests.support.engines import engine_on
from tests.support.tenants import RATE, called, client_of, make_tenant

KEY = Fernet.generate_key().decode()
SCOPES_OF_ALL = (*SCOPES, "webhooks:write")


@dataclass
class Receiver:
    """A server that takes deliveries, or answers as a test says."""

    status: str = "204 No Content"
    taken: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}/hook"

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.taken]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
        body = await reader.readexactly(int(headers["content-length"]))
        self.taken.append((headers, body))
        writer.write(f"HTTP/1.1 {self.status}\r\nlocation: {self.url}/elsewhere\r\ncontent-length: 0\r\n\r\n".encode())
        await writer.drain()
        writer.close()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    receiver.port = server.sockets[0].getsockname()[1]
    yield receiver
    server.close()


@pytest.fixture
async def engine(database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Engine]:
    """acme (101) and other (201), charged; no turn of its own sends anything in a test's time."""
    monkeypatch.setattr("rating_engine.engine.leading.WEBHOOK_SECONDS", 3_600.0)
    async with engine_on(database_url, secret_keys=(KEY,), webhook_private_hosts=("localhost",)) as engine:
        for tenant, line in (("acme", "101"), ("other", "201")):
            token = await make_tenant(engine, tenant, line, scopes=SCOPES_OF_ALL)
            async with client_of(engine, token) as client:
                assert (await client.post("/api/call_rates", json=RATE)).status_code == 200
                assert (await client.post("/api/tenant/billing", json={"enabled": True})).status_code == 200
            engine.token = token if tenant == "acme" else engine.token  # type: ignore[attr-defined]
        yield engine


@pytest.fixture
async def client(engine: Engine) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(engine, engine.token) as client:  # type: ignore[attr-defined]
        yield client


async def turn(engine: Engine, hosts: tuple[str, ...] = ("localhost",)) -> None:
    await WebhookDelivery(engine.office, SecretBox((KEY,)), WebhookPoster(hosts)).turn()


def signs(secret: str, headers: dict[str, str], body: bytes) -> bool:
    mark = hmac.new(secret.encode(), headers["webhook-timestamp"].encode() + b"." + body, hashlib.sha256).hexdigest()
    return f"v1={mark}" in headers["webhook-signature"].split(",")


async def test_what_is_entered_after_it_was_made_is_told_signed_and_once(engine, client, receiver):
    await called(engine, "before", "101", "3705551", 10)
    made = (await client.post("/api/webhooks", json={"url": receiver.url, "low_balance": -20})).json()
    await called(engine, "a", "101", "3705551", 10)
    await called(engine, "theirs", "201", "3705551", 10)
    await engine.services.of(OPERATOR).accounts.top_up("101", Decimal(5), reference="t-1")
    for _ in range(3):
        await turn(engine)

    told = {event["event"]: event for event in receiver.events}
    assert sorted(event["event"] for event in receiver.events) == ["balance.low", "balance.topup", "call.charged"]
    call = told["call.charged"]
    assert (Decimal(call["amount"]), Decimal(call["balance"]), call["currency"]) == (-11, -22, "EUR")
    assert (call["call"]["call"], call["call"]["login"], call["call"]["seconds"]) == ("pbx/a/1", "101", 10)
    assert "carrier" not in json.dumps(receiver.events)
    assert all(signs(made["secret"], *each) for each in receiver.taken)
    assert {headers["webhook-id"] for headers, _ in receiver.taken} == {event["id"] for event in receiver.events}
    stored = await engine.office.fetchval("SELECT secret FROM webhooks")
    assert made["secret"].encode() not in stored


async def test_what_is_not_taken_is_told_again_later_and_given_up_in_the_end(engine, client, receiver, monkeypatch):
    await client.post("/api/webhooks", json={"url": receiver.url, "events": "call.charged"})
    await called(engine, "a", "101", "3705551", 10)
    receiver.status = "302 Found"
    await turn(engine)
    await turn(engine)  # not due yet
    assert len(receiver.taken) == 1  # and the redirect was not followed
    (listed,) = (await client.get("/api/webhooks")).json()["items"]
    assert (listed["queued"], listed["failed"], listed["error"]) == (1, 0, "answered 302")

    monkeypatch.setattr(delivering, "MAX_ATTEMPTS", 2)
    await engine.office.fetch("UPDATE webhook_deliveries SET due_at = now()")
    receiver.status = "500 Oops"
    await turn(engine)
    (listed,) = (await client.get("/api/webhooks")).json()["items"]
    assert (listed["queued"], listed["failed"], listed["error"]) == (0, 1, "answered 500")
    assert receiver.taken[0][1] == receiver.taken[1][1]

    path = f"/api/webhooks/{listed['id']}/deliveries"
    (failed,) = (await client.get(path, params={"state": "failed"})).json()["items"]
    assert (failed["event"], failed["state"], failed["attempts"], failed["error"]) == (
        "call.charged", "failed", 2, "answered 500",
    )  # fmt: skip
    assert failed["event_id"] == receiver.taken[0][0]["webhook-id"]
    assert (await client.get(path, params={"state": "sent"})).json() == {"items": [], "next": None}
    assert (await client.get(path, params={"state": "lost"})).status_code == 400
    receiver.status = "204 No Content"
    for status in (204, 404):  # what waits already is not queued once more
        assert (await client.post(f"{path}/{failed['id']}/again")).status_code == status
    await turn(engine)
    (sent,) = (await client.get(path)).json()["items"]
    assert (sent["state"], sent["due_at"], sent["event_id"]) == ("sent", None, failed["event_id"])
    assert receiver.taken[2][1] == receiver.taken[0][1]

    operator = engine.services.of(OPERATOR).webhooks
    (every,) = await operator.every()
    assert [each.state for each in (await operator.deliveries(every.webhook_id, Cursor())).items] == ["sent"]
    other = await make_tenant(engine, "third", "301", scopes=SCOPES_OF_ALL)
    async with client_of(engine, other) as stranger:
        assert (await stranger.get(path)).status_code == 404
        assert (await stranger.post(f"{path}/{failed['id']}/again")).status_code == 404


async def test_beyond_what_may_wait_the_rest_stays_in_the_ledger_and_comes_later(engine, client, receiver, monkeypatch):
    monkeypatch.setattr(delivering, "MAX_QUEUED", 0)
    await client.post("/api/webhooks", json={"url": receiver.url})
    await called(engine, "a", "101", "3705551", 10)
    await turn(engine)
    assert receiver.taken == []

    monkeypatch.setattr(delivering, "MAX_QUEUED", 10)
    await turn(engine)
    assert sorted(event["event"] for event in receiver.events) == ["balance.low", "call.charged"]


async def test_another_secret_signs_beside_the_old_one_and_what_is_destroyed_hears_nothing(engine, client, receiver):
    made = (await client.post("/api/webhooks", json={"url": receiver.url, "events": "call.charged"})).json()
    rotated = (await client.post(f"/api/webhooks/{made['id']}/rotate")).json()
    await called(engine, "a", "101", "3705551", 10)
    await turn(engine)
    assert [signs(secret, *receiver.taken[0]) for secret in (made["secret"], rotated["secret"])] == [True, True]

    await engine.office.fetch("UPDATE webhooks SET rotated_at = now() - interval '2 days'")
    await called(engine, "b", "101", "3705551", 10)
    await turn(engine)
    assert [signs(secret, *receiver.taken[1]) for secret in (made["secret"], rotated["secret"])] == [False, True]

    assert (await client.post(f"/api/webhooks/{made['id']}/destroy")).status_code == 204
    await called(engine, "c", "101", "3705551", 10)
    await turn(engine)
    assert len(receiver.taken) == 2
    for path in ("rotate", "destroy"):
        assert (await client.post(f"/api/webhooks/{made['id']}/{path}")).status_code == 404


@pytest.mark.parametrize(
    ("body", "status", "named"),
    [
        ({}, 400, "url"),
        ({"url": "ftp://example.org/"}, 400, "url"),
        ({"url": "https://user:pass@example.org/"}, 400, "url"),
        ({"url": "https://example.org/" + "x" * 2000}, 400, "url"),
        ({"url": "https://[::1"}, 400, "url"),
        ({"url": "http://example.org/"}, 400, "url"),
        ({"url": "https://10.0.0.1/"}, 400, "url"),
        ({"url": "https://example.org/", "events": "call.begun"}, 400, "events"),
        ({"url": "https://example.org/", "low_balance": "5"}, 400, "low_balance"),
    ],
)
async def test_a_webhook_that_cannot_be_is_refused_by_its_field(client, body, status, named):
    answer = await client.post("/api/webhooks", json=body)
    assert (answer.status_code, answer.json()["error"]["field"]) == (status, named)


async def test_ten_are_enough_and_each_is_its_tenants_own(engine, client):
    for _ in range(10):
        assert (await client.post("/api/webhooks", json={"url": "https://example.org/"})).status_code == 200
    assert (await client.post("/api/webhooks", json={"url": "https://example.org/"})).status_code == 409
    ours = (await client.get("/api/webhooks")).json()["items"]
    assert len(ours) == 10
    other = await engine.services.of(OPERATOR).parties.show("other")
    assert await engine.office.fetchval("SELECT count(*) FROM webhooks WHERE party_id = $1", other.party_id) == 0


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://example.org/", "is not https"),
        ("https://127.0.0.1/", "has no public address"),
        ("https://localhost/", "has no public address"),
        ("https://[::1]/", "has no public address"),
        ("https://[::ffff:10.0.0.1]/", "has no public address"),
        ("https://169.254.169.254/latest", "has no public address"),
        ("https://100.64.0.1/", "has no public address"),
        ("https://224.0.0.1/", "has no public address"),
        ("https://0.0.0.0/", "has no public address"),
    ],
)
async def test_no_webhook_reaches_what_only_this_machine_does(url, problem):
    with pytest.raises(NotTaken, match=problem):
        await WebhookPoster().post(url, b"{}", {})
