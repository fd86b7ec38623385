"""One account asked by all four APIs at once: topped up by one, called on by FastAGI, it is the same to all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from agi.fastagi.client import agi_call
from rating_engine.domain.account import NewAccount
from rating_engine.domain.api_key import KeyKind, NewKey
from rating_engine.domain.party import Level, NewParty, PartyKind
from tests.support.engines import engine_on
from tests.support.mor import SECRET, SECRET_KEY, Mor
from tests.support.narayana import Narayana
from tests.support.servers import breaches
from tests.support.teleum import Teleum
from tests.support.tenants import RATE, client_of

FREE = ("free_seconds", "grace_period", "connect_fee", "postcall_surcharge")
CENT = RATE | dict.fromkeys(FREE, 0) | {"prefix": "49", "price_1": 0.01, "price_n": 0.01}  # a second
WORD, USER, LINE = "correct horse", "anna@example.org", "10000"
SCOPES = ("accounts:read", "calls:read", "tenant_billing:write", "call_rates:write")


async def test_an_account_is_the_same_to_every_api_and_every_call(database_url, tmp_path):
    """anna, a tenant's user, has nothing at first; a call is 60 cents a minute."""
    async with engine_on(database_url, secret_keys=(SECRET_KEY,)) as engine, client_of(engine) as http:
        mor = Mor(engine, http, engine.office, {})
        narayana, teleum = Narayana(engine, http), Teleum(engine, engine.office, http, tmp_path)
        use = mor.operator
        await use.parties.create(NewParty("admin", PartyKind.ADMIN))
        firm = await use.parties.create(NewParty("firm", PartyKind.TENANT))
        await use.parties.create(NewParty(USER, owner="firm"), password=WORD)
        await use.accounts.create(NewAccount(LINE, firm.tariff, owner=USER))
        await use.hash_secrets.put("system", SECRET)
        await narayana.add_key(NewKey("server", KeyKind.SERVER, Level.SERVER, owner="admin"))
        token = (await use.keys.add(NewKey("firm-token", owner="firm", scopes=SCOPES))).secret
        billing = {"enabled": True, "account": "USER", "type": "ONLINE"}
        async with client_of(engine, token) as tenant:
            assert (await tenant.post("/api/tenant/billing", json=billing)).status_code < 300
            assert (await tenant.post("/api/call_rates", json=CENT)).status_code < 300
        await teleum.login(USER, WORD)
        user = teleum.sessions[USER]["vivaid"]

        async def by_tenant() -> str:
            async with client_of(engine, token) as tenant:
                return f"{(await tenant.get(f'/api/accounts/{LINE}')).json()['balance']:.2f}"

        async def by_narayana() -> str:
            return str(await narayana.ask("getValue", login=USER, property="balance"))

        async def by_mor() -> str:
            return f"{float(await mor.text('user_balance_get', 'balance', username=USER)):.2f}"

        async def by_teleum() -> str:
            return str((await teleum.ask("balance", who=USER))["balance"])

        readers: tuple[Callable[[], Awaitable[str]], ...] = (by_tenant, by_narayana, by_mor, by_teleum)

        async def shown() -> set[str]:
            return set(await asyncio.gather(*(read() for read in readers)))

        async def call(name: str, seconds: int) -> str:
            port = engine.fastagi.port
            said = await agi_call("127.0.0.1", port, "callPrepare", (LINE, "4930123456"), uniqueid=name)
            if said["RATING_STATUS"] == "ALLOWED":
                end = (LINE, "4930123456", str(seconds), "16ANSWER")
                await agi_call("127.0.0.1", port, "callFinish", end, uniqueid=name)
            return said["RATING_STATUS"]

        assert await call("1.1", 60) == "DECLINED"
        assert await shown() == {"0.00"}
        await mor.ask("user_balance_update", user_id=user, balance="10")
        assert await shown() == {"10.00"}
        assert await call("1.2", 60) == "ALLOWED"
        assert await shown() == {"9.40"}
        await narayana.ask("updateAccount", login="admin", account=await number_of(teleum), balance="5")
        assert await shown() == {"5.00"}
        calls = [call(f"2.{n}", 30) for n in range(4)]
        _, *said = await asyncio.gather(shown(), *calls)
        assert await shown() == {f"{5 - 0.3 * said.count('ALLOWED'):.2f}"}
    assert await breaches(database_url) == []


async def number_of(teleum: Teleum) -> str:
    return str(int((await teleum.ask("balance", who=USER))["account"]))
