"""A tenant as an operator makes it, with a token and lines; and its surface asked over HTTP."""

from __future__ import annotations

from typing import Any

import httpx

from rating_engine.api.tenant.contract import SCOPES
from rating_engine.domain.account import NewAccount
from rating_engine.domain.api_key import NewKey
from rating_engine.domain.outcomes import Allowed, CallKey, FinishCall, PrepareCall, Saved
from rating_engine.domain.party import NewParty, PartyKind
from rating_engine.domain.principal import OPERATOR
from rating_engine.engine.engine import Engine

RATE: dict[str, Any] = {
    "prefix": "370", "type": "LOCAL", "free_seconds": 1, "grace_period": 1, "interval_1": 1, "interval_n": 1,
    "connect_fee": 1, "postcall_surcharge": 1, "price_1": 1, "price_n": 1, "description": "text",
}  # fmt: skip


def client_of(engine: Engine, token: str = "") -> httpx.AsyncClient:
    """Asks an engine's HTTP server, with a token if there is one."""
    assert engine.http is not None
    host, port = engine.http.address
    headers = {"authorization": f"Bearer {token}"} if token else {}
    return httpx.AsyncClient(base_url=f"http://{host}:{port}", headers=headers)


async def make_tenant(engine: Engine, login: str, *lines: str, scopes: tuple[str, ...] = SCOPES) -> str:
    """A tenant with lines, each with an account of its own; its token."""
    asked = engine.services.of(OPERATOR)
    tenant = await asked.parties.create(NewParty(login, PartyKind.TENANT))
    assert tenant.tariff is not None
    for line in lines:
        await asked.accounts.create(NewAccount(line, tenant.tariff, owner=login))
    return (await asked.keys.add(NewKey(f"{login}-token", owner=login, scopes=scopes))).secret


async def called(engine: Engine, name: str, login: str, destination: str, seconds: int) -> Saved:
    """A whole call that is allowed."""
    key = CallKey("pbx", name)
    allowed = await engine.charging.prepare_call(PrepareCall(key, login, destination))
    assert isinstance(allowed, Allowed), allowed
    return await finished(engine, key, login, destination, seconds)


async def finished(engine: Engine, key: CallKey, login: str, destination: str, seconds: int) -> Saved:
    """The end of a call that is taken."""
    saved = await engine.charging.finish_call(FinishCall(key, login, destination, seconds, "ANSWER", 16))
    assert isinstance(saved, Saved), saved
    return saved
