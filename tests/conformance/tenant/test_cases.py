"""Every request and reply of cases.json, which follow from the tenant billing REST document and what was decided."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from rating_engine.domain.outcomes import Allowed, CallKey, PrepareCall
from rating_engine.domain.principal import OPERATOR
from rating_engine.domain.tenant import AMOUNTS, CallRateType, NewCallRate
from rating_engine.engine.engine import Engine
from rating_engine.storage.tenants.call_rates import add_rate
from tests.support.engines import engine_on
from tests.support.servers import SessionServers
from tests.support.tenants import RATE, called, client_of, make_tenant

CASES: list[dict[str, Any]] = json.loads(Path(__file__).with_name("cases.json").read_text(encoding="utf-8"))
HTTP = [case for case in CASES if case["request"]["method"] != "FASTAGI"]
CALLS = {case["id"]: case for case in CASES if case["request"]["method"] == "FASTAGI"}
EXAMPLE = RATE | {
    "interval_1": 30, "interval_n": 6, "price_1": 0.10, "price_n": 0.02, "connect_fee": 0.05,
    "postcall_surcharge": 0.01, "free_seconds": 0, "grace_period": 0,
}  # fmt: skip
ENABLED = {"enabled": True, "account": "TENANT", "type": "OFFLINE"}
# What a setup says, as the bodies of the rates that there are then.
SETUPS: dict[str, list[dict[str, Any]]] = {
    "the rate of the create example": [RATE],
    "that rate alone": [RATE],
    "that rate": [RATE],
    "that rate; then GET answers 404": [RATE],
    "a rate of type MOBILE; then its type is MOBILE": [RATE | {"type": "MOBILE"}],
    "150 rates": [RATE | {"prefix": str(1000 + number)} for number in range(150)],
    "rates for 7, 1 and 44": [RATE | {"prefix": prefix} for prefix in ("7", "1", "44")],
    'one of three rates has the description "Vilnius"': [
        RATE | {"prefix": prefix, "description": text} for prefix, text in (("1", "a"), ("2", "Vilnius"), ("3", "c"))
    ],
    "one of three rates is MOBILE": [
        RATE | {"prefix": prefix, "type": kind} for prefix, kind in (("1", "LOCAL"), ("2", "MOBILE"), ("3", "LOCAL"))
    ],
}
FEW = 10  # rates that are made as a tenant makes them; of more the lists alone are asked, and not calls
_numbers = itertools.count()

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass(frozen=True)
class Asking:
    """A new tenant: its token, its line, and the id of its rate if it has just one."""

    engine: Engine
    tenant: str
    token: str
    line: str
    client: httpx.AsyncClient
    rate_id: str = "OTk5OTk5"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(session_servers: SessionServers) -> AsyncIterator[Engine]:
    with session_servers.database() as url:
        async with engine_on(url, ban_wrong_keys=100) as engine:
            yield engine


@pytest_asyncio.fixture(loop_scope="module")
async def asking(engine: Engine, request: pytest.FixtureRequest) -> AsyncIterator[Asking]:
    number = next(_numbers)
    tenant, line = f"tenant-{number}", f"line-{number}"
    token = await make_tenant(engine, tenant, line)
    async with client_of(engine, token) as client:
        yield Asking(engine, tenant, token, line, client)


async def made(asking: Asking, rates: list[dict[str, Any]]) -> str:
    """The id of the last of the rates that were made."""
    found = asking.rate_id
    if len(rates) > FEW:
        await keep(asking.engine, asking.tenant, rates)
        rates = []
    for rate in rates:
        answer = await asking.client.post("/api/call_rates", json=rate)
        assert answer.status_code == 200, answer.text
        found = answer.json()["id"]
    return found


async def keep(engine: Engine, tenant: str, rates: list[dict[str, Any]]) -> None:
    party = await engine.services.of(OPERATOR).parties.show(tenant)
    async with engine.office.transaction(OPERATOR) as tx:
        for rate in rates:
            amounts = {name: Decimal(rate[name]) for name in AMOUNTS}
            await add_rate(tx, party.party_id, NewCallRate(**{**rate, **amounts, "type": CallRateType(rate["type"])}))


@pytest.mark.parametrize("case", HTTP, ids=[f"{case['id']} {case['name']}" for case in HTTP])
async def test_a_request_is_answered_as_documented(asking: Asking, case: dict[str, Any]):
    rate_id = await made(asking, SETUPS.get(case["setup"], []))
    asked = case["request"]
    headers = {name: value.replace("{token}", asking.token) for name, value in asked["headers"].items()}
    body = asked["body"]
    content = None if body is None else body if isinstance(body, str) else json.dumps(body)
    path = asked["path"].replace("{id}", rate_id)

    async with client_of(asking.engine) as client:
        answer = await client.request(asked["method"], path, params=asked["query"], headers=headers, content=content)

    check(case["expect"], answer)
    await check_after(case["setup"], asking, rate_id, body)


def check(expect: dict[str, Any], answer: httpx.Response) -> None:
    assert answer.status_code == expect["status"], answer.text
    known = {"status", "body", "body_contains", "json", "json_subset", "json_keys", "item_keys", "headers",
             "array_lengths", "items_order"}  # fmt: skip
    assert expect.keys() <= known
    assert answer.text == expect.get("body", answer.text)
    assert expect.get("body_contains", "") in answer.text
    for name, value in expect.get("headers", {}).items():
        assert answer.headers[name].lower().startswith(value)
    if set(expect) <= {"status", "body", "body_contains", "headers"}:
        return
    found = answer.json()
    assert found == expect.get("json", found)
    assert found == found | expect.get("json_subset", {})
    assert set(expect.get("json_keys", ())) <= found.keys()
    for name, keys in expect.get("item_keys", {}).items():
        assert set(keys) <= found[name][0].keys()
    for name, length in expect.get("array_lengths", {}).items():
        assert len(found[name]) == length
    for name, values in expect.get("items_order", {}).items():
        assert [item[name] for item in found["items"]] == values


async def check_after(setup: str, asking: Asking, rate_id: str, body: Any) -> None:
    """What a setup says of afterwards."""
    if setup == "then GET answers the same":
        assert (await asking.client.get("/api/tenant/billing")).json() == body
    elif setup == "that rate; then GET answers 404":
        assert (await asking.client.get(f"/api/call_rates/{rate_id}")).status_code == 404
    elif setup == "then the type is LOCAL":
        assert (await asking.client.get("/api/call_rates")).json()["items"][0]["type"] == "LOCAL"
    elif setup == "a rate of type MOBILE; then its type is MOBILE":
        assert (await asking.client.get(f"/api/call_rates/{rate_id}")).json()["type"] == "MOBILE"


async def test_offline_billing_allows_a_call_without_money(asking: Asking):
    assert CALLS["tenant-473"]["expect"]["variables"]["STATUS"] == "ALLOWED"
    await made(asking, [EXAMPLE])
    assert (await asking.client.post("/api/tenant/billing", json=ENABLED)).status_code == 200

    outcome = await asking.engine.charging.prepare_call(
        PrepareCall(CallKey("pbx", asking.line), asking.line, "3705551")
    )

    assert isinstance(outcome, Allowed)


@pytest.mark.parametrize(
    ("case", "billing", "rate", "seconds"),
    [
        ("tenant-474", ENABLED | {"enabled": False}, EXAMPLE, 60),
        ("tenant-545", ENABLED, EXAMPLE, 61),
        ("tenant-546", ENABLED, EXAMPLE | {"grace_period": 3}, 3),
    ],
)
async def test_a_call_costs_what_the_rate_says(asking: Asking, case: str, billing: Any, rate: Any, seconds: int):
    await made(asking, [rate])
    assert (await asking.client.post("/api/tenant/billing", json=billing)).status_code == 200

    saved = await called(asking.engine, case, asking.line, "3705551", seconds)

    assert saved.cost == Decimal(CALLS[case]["expect"]["variables"]["COST"])


async def test_every_case_is_tried():
    assert len(HTTP) + len(CALLS) == len(CASES) == 59
    assert CALLS.keys() == {"tenant-473", "tenant-474", "tenant-545", "tenant-546"}
