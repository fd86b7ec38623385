"""A small installation that is asked by MOR's surface over real HTTP, and what asks it."""

from __future__ import annotations

import base64
import contextlib
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal
from xml.etree.ElementTree import Element, fromstring

import httpx

from rating_engine.api.mor.declared import NAMED
from rating_engine.api.mor.query import plain_name
from rating_engine.api.mor.signing import signed_texts
from rating_engine.domain.account import NewAccount
from rating_engine.domain.party import NewParty, PartyKind
from rating_engine.domain.permission import Permission
from rating_engine.domain.permission_group import NewPermissionGroup
from rating_engine.domain.principal import OPERATOR
from rating_engine.engine.engine import Engine
from rating_engine.services.catalogue import UseCases
from rating_engine.storage.postgres.pool import Database
from tests.support.engines import engine_on
from tests.support.world import publish_deck

SECRET_KEY = base64.urlsafe_b64encode(bytes(32)).decode()
SECRET = "secret"
WORD = "correct horse"


def hash_of(function: str, given: dict[str, str], secret: str = SECRET) -> str:
    """What signs a request, as a client works it out."""
    plain = {plain_name(name): value for name, value in given.items()}
    texts = signed_texts(NAMED[function], plain) or ("",)
    return hashlib.sha1((texts[0] + secret).encode()).hexdigest()  # as the document demands


@dataclass
class Mor:
    """The engine, a client of it, and the secrets of who has one of its own."""

    engine: Engine
    http: httpx.AsyncClient
    database: Database
    secrets: dict[str, str]

    @property
    def operator(self) -> UseCases:
        """The use cases, asked by the operator."""
        return self.engine.services.of(OPERATOR)

    async def raw(self, function: str, *, u: str = "admin", **given: object) -> httpx.Response:
        """What is answered, as it is."""
        texts = {name: str(value) for name, value in given.items()}
        texts.setdefault("hash", hash_of(function, texts, self.secrets.get(u, SECRET)))
        return await self.http.post(f"/billing/api/{function}", data={"u": u, **texts})

    async def ask(self, function: str, *, u: str = "admin", **given: object) -> Element:
        """The root of the answer."""
        response = await self.raw(function, u=u, **given)
        assert response.status_code == 200, response.text
        return fromstring(response.content)

    async def text(self, function: str, path: str, *, u: str = "admin", **given: object) -> str:
        """One text of the answer. Fails where there is none."""
        root = await self.ask(function, u=u, **given)
        found = root.findtext(path)
        assert found is not None, [each.text for each in root.iter() if each.text and each.text.strip()]
        return found

    async def error(self, function: str, *, u: str = "admin", **given: object) -> str:
        """The error text. Fails where it was done."""
        return await self.text(function, "status/error", u=u, **given)

    async def done(self, function: str, *, u: str = "admin", **given: object) -> str:
        """The text of the success. Fails where it was not done."""
        return await self.text(function, "status/success", u=u, **given)


@contextlib.asynccontextmanager
async def mor_on(database_url: str, **settings: object) -> AsyncIterator[Mor]:
    """An engine with a deck, and people: `admin`; the accountants `acc` (in no group) and `acc2` (of all permissions);
    the resellers `firm` and `other` with a user each, `anna` (line 10001) and `otto` (20001); `user1` of the system's
    (30001). The system's secret is `secret`, that of firm `firmsecret`, that of other `othersecret`.
    """
    async with engine_on(database_url, **{"secret_keys": (SECRET_KEY,), **settings}) as engine:
        database = Database(database_url)
        await database.open()
        await publish_deck(database)
        host, port = engine.http.address if engine.http is not None else ("", 0)
        async with httpx.AsyncClient(base_url=f"http://{host}:{port}", timeout=30) as http:
            mor = Mor(engine, http, database, {})
            await _settle_people(mor)
            yield mor
        await database.close()


async def _settle_people(mor: Mor) -> None:
    use = mor.operator
    await use.parties.create(NewParty("admin", PartyKind.ADMIN))
    for login in ("acc", "acc2"):
        await use.parties.create(NewParty(login, PartyKind.ACCOUNTANT))
    await use.permission_groups.add(NewPermissionGroup("all", PartyKind.ACCOUNTANT, frozenset(Permission)))
    await use.permission_groups.add(NewPermissionGroup("cards", PartyKind.RESELLER, frozenset(Permission)))
    await use.permission_groups.give("acc2", "all")
    await use.parties.create(NewParty("user1", tariff="retail"), password=WORD)
    await use.accounts.create(NewAccount("30001", "retail", balance=Decimal(10), owner="user1"))
    await use.hash_secrets.put("system", SECRET)
    for firm, user, login in (("firm", "anna", "10001"), ("other", "otto", "20001")):
        await use.parties.create(NewParty(firm, PartyKind.RESELLER, tariff="retail"))
        await use.permission_groups.give(firm, "cards")
        await use.parties.create(NewParty(user, owner=firm), password=WORD)
        await use.accounts.create(NewAccount(login, "retail", balance=Decimal(10), owner=user, callerid="49301"))
        mor.secrets |= {firm: f"{firm}secret", user: f"{firm}secret"}
        await use.hash_secrets.put(firm, f"{firm}secret")
