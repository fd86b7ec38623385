"""How often may be asked over HTTP, and who it is that asks where a proxy stands before the port."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from rating_engine.domain.api_key import KeyChanges, KeyKind, NewKey
from rating_engine.domain.errors import NotAllowed
from rating_engine.domain.party import Level, NewParty, PartyKind
from rating_engine.domain.principal import Principal
from tests.support.narayana import Narayana, narayana_on
from tests.support.waiting import until

AWAY = "192.0.2.7"
MANY = 20


@pytest.fixture
async def narayana(database_url: str, redis_url: str) -> AsyncIterator[Narayana]:
    """Who asks through a proxy on this machine, with limits that are soon reached."""
    settings = {
        "http_trusted_proxies": ("127.0.0.1/32",),
        "address_requests_per_minute": 10,
        "client_key_requests_per_minute": 6,
        "redis_timeout_ms": 2_000,
        "ban_wrong_keys": 3,
    }
    async with narayana_on(database_url, redis_url=redis_url, **settings) as narayana:
        yield narayana


async def asked(narayana: Narayana, path: str, times: int = 1, **headers: str) -> list[httpx.Response]:
    said = {name.replace("_", "-"): value for name, value in headers.items()}
    return [await narayana.http.get(path, headers=said) for _ in range(times)]


def path(narayana: Narayana, key: str, method: str = "getInfo") -> str:
    return f"/billing/api/2.2/{narayana.keys.get(key, key)}/{method}?login=anna"


def counts(responses: list[httpx.Response]) -> dict[int, int]:
    statuses = [response.status_code for response in responses]
    return {status: statuses.count(status) for status in set(statuses)}


async def test_each_surface_tells_who_asks_too_often_when_to_come_again(narayana):
    use = narayana.operator
    await use.parties.create(NewParty("company", PartyKind.TENANT))
    for name, owner in (("exchange", "boss"), ("company", "company")):
        level = Level.SERVER if owner == "boss" else Level.RESELLER
        await narayana.add_key(NewKey(name, KeyKind.SERVER, level, owner=owner, rate_limit=4))

    told = await asked(narayana, path(narayana, "exchange"), 6)
    assert counts(told) == {200: 4, 429: 2}
    assert told[-1].json() == {
        "result": False, "response": "E_INSUFFICIENT_ACCESS",
        "description": f"too many queries: ask again in {told[-1].headers['retry-after']} s",
    }  # fmt: skip
    (prepare,) = await asked(narayana, path(narayana, "exchange", "callPrepare"))
    assert (prepare.status_code, prepare.json()["response"]) == (429, "Declined E_INSUFFICIENT_ACCESS")

    bearer = {"authorization": f"Bearer {narayana.keys['company']}"}
    told = await asked(narayana, "/api/tenant/billing", 6, **bearer)
    assert counts(told) == {200: 4, 429: 2}
    assert told[-1].json()["error"]["code"] == "too_many_requests"
    assert all(1 <= int(each.headers["retry-after"]) <= 60 for each in told if each.status_code == 429)

    # The others go on; whoever restarts or scrapes the engine is never told to wait.
    assert counts(await asked(narayana, path(narayana, "server"), MANY)) == {200: MANY}
    assert counts(await asked(narayana, "/healthz", MANY)) == {200: MANY}
    metrics = (await asked(narayana, "/metrics"))[0].text
    assert 'rating_http_limited_total{by="key"} 5.0' in metrics


async def test_an_address_is_limited_whatever_it_asks_and_others_are_not(narayana):
    assert counts(await asked(narayana, "/api/openapi.json", MANY, x_forwarded_for=AWAY)) == {200: 10, 429: 10}
    assert counts(await asked(narayana, "/api/call_rates", 2, x_forwarded_for=AWAY)) == {429: 2}
    assert counts(await asked(narayana, path(narayana, "client"), 2, x_forwarded_for=AWAY)) == {429: 2}
    assert counts(await asked(narayana, path(narayana, "server"), 2, x_forwarded_for="192.0.2.8")) == {200: 2}
    # A server key counts for itself: its address is not held against it once it is known, nor it against its address.
    assert counts(await asked(narayana, path(narayana, "server"), MANY, x_forwarded_for=AWAY)) == {200: MANY}
    assert counts(await asked(narayana, "/api/docs", MANY, x_forwarded_for="192.0.2.8")) == {200: 9, 429: 11}


async def test_a_public_key_counts_for_its_address_and_for_itself(narayana):
    told = [
        (await asked(narayana, path(narayana, "client"), x_forwarded_for=f"192.0.2.{n}"))[0].status_code
        for n in range(8)
    ]
    assert told == [200] * 6 + [429] * 2


async def test_what_a_key_may_ask_is_for_administrators_to_say_and_counts_at_once(narayana):
    keys = narayana.operator.keys
    await keys.change("lines", KeyChanges(rate_limit=1))
    assert counts(await asked(narayana, path(narayana, "lines"), 3)) == {200: 1, 429: 2}

    firm = await narayana.operator.parties.show("firm")
    reseller = narayana.engine.services.of(
        Principal("firm", Level.RESELLER, "test", party_id=firm.party_id, realm=firm.party_id)
    )
    with pytest.raises(NotAllowed):
        await reseller.keys.add(NewKey("own", owner="firm", rate_limit=0))
    await reseller.keys.add(NewKey("own", owner="firm"))
    with pytest.raises(NotAllowed):
        await reseller.keys.change("own", KeyChanges(rate_limit=None))


async def test_behind_a_proxy_the_real_client_counts_for_keys_bans_and_limits(narayana):
    await narayana.add_key(NewKey("https", KeyKind.SERVER, Level.SERVER, owner="boss", secure_only=True))
    await narayana.add_key(NewKey("office", KeyKind.SERVER, Level.SERVER, owner="boss", sources=(AWAY,)))

    async def status(key: str, **headers: str) -> int:
        return (await asked(narayana, path(narayana, key), **headers))[0].status_code

    assert await status("https") == 403
    assert await status("https", x_forwarded_for=AWAY, x_forwarded_proto="http") == 403
    assert await status("https", x_forwarded_for=AWAY, x_forwarded_proto="https, http") == 403
    assert await status("https", x_forwarded_for=AWAY, x_forwarded_proto="https") == 200
    assert await status("office", x_forwarded_for=AWAY) == 200
    assert await status("office") == 403
    assert await status("office", x_forwarded_for=f"{AWAY}, 192.0.2.8") == 403  # the client wrote the left one
    assert await status("office", forwarded=f"for={AWAY}") == 403

    # Wrong keys ban who shows them, and never the proxy that everybody comes by.
    for secret in ("wrong-key-one", "wrong-key-two", "wrong-key-three"):
        await asked(narayana, path(narayana, secret), x_forwarded_for="192.0.2.66")
        await asked(narayana, path(narayana, secret))

    async def is_banned() -> bool:
        return (await asked(narayana, "/healthz", x_forwarded_for="192.0.2.66"))[0].status_code == 403

    await until(is_banned)
    assert await status("server", x_forwarded_for="192.0.2.66") == 403
    assert await status("server", x_forwarded_for=f"{AWAY}, 192.0.2.66") == 403
    assert await status("server", x_forwarded_for=AWAY) == 200
    assert await status("server") == 200


async def test_without_trusted_proxies_nobodys_header_is_believed(database_url):
    async with narayana_on(database_url) as narayana:
        await narayana.add_key(NewKey("https", KeyKind.SERVER, Level.SERVER, owner="boss", secure_only=True))
        await narayana.add_key(NewKey("office", KeyKind.SERVER, Level.SERVER, owner="boss", sources=(AWAY,)))
        said = {"x_forwarded_for": AWAY, "x_forwarded_proto": "https", "forwarded": f"for={AWAY};proto=https"}
        for key in ("https", "office"):
            assert counts(await asked(narayana, path(narayana, key), **said)) == {403: 1}
