"""A small installation that is asked by Narayana's surface over real HTTP, and what asks it."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import httpx

from rating_engine.domain.account import NewAccount
from rating_engine.domain.api_key import AuthBy, KeyKind, NewKey
from rating_engine.domain.exchanges import NewExchange
from rating_engine.domain.party import Level, NewParty, PartyKind
from rating_engine.domain.principal import OPERATOR
from rating_engine.engine.engine import Engine
from rating_engine.services.catalogue import UseCases
from rating_engine.services.parties.passwords import md5_of
from rating_engine.storage.postgres.pool import Database
from tests.support.engines import engine_on
from tests.support.gateway import Gateway
from tests.support.world import publish_deck

SECRET_KEY = base64.urlsafe_b64encode(bytes(32)).decode()
WORD = "correct horse"
MD5 = md5_of(WORD)


@dataclass
class Narayana:
    """The engine, a client of it, and keys by their names."""

    engine: Engine
    http: httpx.AsyncClient
    keys: dict[str, str] = field(default_factory=dict)
    gateway: Gateway | None = None  # of providers and carriers, where a test has one

    @property
    def operator(self) -> UseCases:
        """The use cases, asked by the operator."""
        return self.engine.services.of(OPERATOR)

    async def add_key(self, new: NewKey) -> str:
        """A key; its secret is kept by its name."""
        self.keys[new.name] = (await self.operator.keys.add(new)).secret
        return self.keys[new.name]

    async def raw(self, method: str, *, key: str = "server", version: str = "2.2", **given: str) -> httpx.Response:
        """What is answered, as it is. `key`: by its name, or a secret that is none of ours."""
        return await self.http.get(f"/billing/api/{version}/{self.keys.get(key, key)}/{method}", params=given)

    async def ask(self, method: str, *, key: str = "server", **given: str) -> Any:
        """The response of a method that is done; True where it has none. Fails where it is not done."""
        response = await self.raw(method, key=key, **given)
        envelope = response.json()
        assert envelope["result"] is True, envelope
        return envelope.get("response", True)

    async def code(self, method: str, *, key: str = "server", **given: str) -> str:
        """The code of a method that failed."""
        envelope = (await self.raw(method, key=key, **given)).json()
        assert envelope["result"] is False, envelope
        return str(envelope["response"])


@contextlib.asynccontextmanager
async def narayana_on(database_url: str, **settings: object) -> AsyncIterator[Narayana]:
    """An engine with a deck, an admin `boss`, two firms `firm` and `other` with a user each, `anna` (1001) and `otto`
    (2001), and the keys `server` (level 50, of boss), `lines` (the same, by extension) and `client` (public).
    """
    async with engine_on(database_url, **{"secret_keys": (SECRET_KEY,), **settings}) as engine:
        database = Database(database_url)
        await database.open()
        await publish_deck(database)
        await database.close()
        host, port = engine.http.address if engine.http is not None else ("", 0)
        async with httpx.AsyncClient(base_url=f"http://{host}:{port}", timeout=30) as http:
            narayana = Narayana(engine, http)
            await _settle_people(narayana)
            yield narayana


async def _settle_people(narayana: Narayana) -> None:
    use = narayana.operator
    await use.parties.create(NewParty("boss", PartyKind.ADMIN))
    await use.exchanges.add(NewExchange("pbx1", "192.0.2.10", "sip.example.com"))
    for firm, user, login in (("firm", "anna", "1001"), ("other", "otto", "2001")):
        await use.parties.create(NewParty(firm, PartyKind.RESELLER, tariff="retail"))
        await use.parties.create(NewParty(user, owner=firm, utc_offset=60), password=WORD)
        await use.accounts.create(NewAccount(login, "retail", balance=Decimal(10), owner=user, callerid="49301"))
    await narayana.add_key(NewKey("server", KeyKind.SERVER, Level.SERVER, owner="boss"))
    await narayana.add_key(NewKey("lines", KeyKind.SERVER, Level.SERVER, AuthBy.SIP_EXTENSION, owner="boss"))
    await narayana.add_key(NewKey("client", owner="boss"))
