"""Programs that ask both HTTP surfaces while exchanges call by FastAGI, on the same accounts, by two engines: the money
laws hold, nobody spends what it has not, and nothing fails.

`make soak` asks ten thousand things.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from decimal import Decimal

import httpx
import pytest

from agi.fastagi.client import agi_call
from rating_engine.domain.api_key import AuthBy, KeyKind, NewKey
from rating_engine.domain.party import Level
from rating_engine.engine.engine import Engine
from tests.support.engines import engine_on
from tests.support.narayana import Narayana, narayana_on
from tests.support.servers import breaches
from tests.support.tenants import RATE, make_tenant

LINES = ("1001", "2001")  # 10 EUR each, at one cent a second
CALLED = "4912345"
AT_A_TIME = 8


class Load:
    """What is asked, and what was answered."""

    def __init__(self, narayana: Narayana, engines: list[Engine], token: str, seed: int) -> None:
        self.narayana, self.engines, self.token = narayana, engines, token
        self.chance = random.Random(seed)
        self.told: Counter[str] = Counter()
        self.number = 0
        self.clients = [httpx.AsyncClient(base_url=_url(engine), timeout=60) for engine in engines]

    async def worker(self, steps: int) -> None:
        for _ in range(steps):
            self.number += 1
            await self.chance.choice((self.by_http, self.by_agi, self.asked, self.of_tenant))(f"m{self.number}")

    async def by_http(self, name: str) -> None:
        call = {"login": self.chance.choice(LINES), "destination": CALLED, "callid": name}
        said = (await self.narayana_asks("callPrepare", call)).text.split()
        if said[0] == "Allowed":  # and cut by the exchange when its seconds are over
            length = str(self.chance.randrange(min(60, int(said[1]) + 1)))
            await self.narayana_asks("callFinish", call | {"length": length, "status": "16ANSWER"})

    async def by_agi(self, name: str) -> None:
        login, port = self.chance.choice(LINES), self.chance.choice(self.engines).fastagi.port
        said = await agi_call("127.0.0.1", port, "callPrepare", (login, CALLED), uniqueid=name, timeout=60)
        self.told[f"agi {said['RATING_STATUS']}"] += 1
        if said["RATING_STATUS"] == "ALLOWED":
            seconds = self.chance.randrange(min(60, int(said["RATING_MAX_SECONDS"]) + 1))
            end = (login, CALLED, str(seconds), "16ANSWER")
            port = self.chance.choice(self.engines).fastagi.port
            said = await agi_call("127.0.0.1", port, "callFinish", end, uniqueid=name, timeout=60)
            assert said["RATING_STATUS"] == "SAVED", said

    async def asked(self, name: str) -> None:
        method = self.chance.choice(("getTextBalance", "resolveCallerid", "getInfo", "getStats", "getAliases"))
        await self.narayana_asks(method, {"login": self.chance.choice(LINES)})

    async def of_tenant(self, name: str) -> None:
        bearer = {"authorization": f"Bearer {self.token}"}
        client = self.chance.choice(self.clients)
        path = self.chance.choice(("call_rates?top=5", "tenant/billing", "subscribers", "cdrs", "call_rates"))
        body = RATE | {"prefix": f"37{self.number}"} if path == "call_rates" else None
        method = "GET" if body is None else "POST"
        answer = await client.request(method, f"/api/{path}", headers=bearer, json=body)
        assert answer.status_code == 200, answer.text
        self.told["tenant"] += 1

    async def narayana_asks(self, method: str, given: dict[str, str]) -> httpx.Response:
        secret = self.narayana.keys["exchange"]
        answer = await self.chance.choice(self.clients).post(f"/billing/api/2.2/{secret}/{method}", data=given)
        assert answer.status_code == 200, (method, answer.text)
        self.told[method] += 1
        return answer


def _url(engine: Engine) -> str:
    assert engine.http is not None
    return f"http://127.0.0.1:{engine.http.address[1]}"


async def load(database_url: str, redis_url: str, requests: int) -> None:
    unlimited = {f"{each}_requests_per_minute": 0 for each in ("address", "client_key", "server_key")}
    async with (
        narayana_on(database_url, redis_url=redis_url, **unlimited) as narayana,
        engine_on(database_url, redis_url, **unlimited) as other,
    ):
        await narayana.add_key(NewKey("exchange", KeyKind.SERVER, Level.SERVER, AuthBy.SIP_EXTENSION, owner="boss"))
        token = await make_tenant(other, "acme", "301", scopes=(
            "call_rates:write", "tenant_billing:read", "accounts:read", "calls:read"))  # fmt: skip
        mixed = Load(narayana, [narayana.engine, other], token, seed=requests)
        await asyncio.gather(*(mixed.worker(requests // AT_A_TIME) for _ in range(AT_A_TIME)))
        for client in mixed.clients:
            await client.aclose()
        assert len(mixed.told) >= 8, mixed.told
        for line in LINES:
            state = await narayana.operator.accounts.show(line)
            assert state.reserved == 0
            assert Decimal(0) <= state.balance < Decimal(10)
    assert await breaches(database_url) == []


async def test_the_laws_hold_while_programs_and_exchanges_ask_at_once(database_url, redis_url):
    await load(database_url, redis_url, 240)


@pytest.mark.soak
async def test_they_do_for_ten_thousand_things(database_url, redis_url):
    await load(database_url, redis_url, 10_000)
