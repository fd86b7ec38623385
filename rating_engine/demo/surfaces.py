"""Both HTTP surfaces, as a company uses them: it sets a rate by REST, and a call over HTTP is priced by it."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.parse
import urllib.request
from decimal import Decimal
from typing import Any, Final

from rating_engine.demo.errors import DemoFailedError
from rating_engine.domain.account import NewAccount
from rating_engine.domain.api_key import AuthBy, KeyKind, NewKey
from rating_engine.domain.party import Level, NewParty, PartyKind
from rating_engine.services.catalogue import UseCases

COMPANY: Final = "acme"
LINE: Final = "301"
NUMBER: Final = "442079460123"
SECONDS: Final = 60
RATE: Final = {
    "prefix": "4420", "type": "INTERNATIONAL", "free_seconds": 0, "grace_period": 0, "interval_1": 1, "interval_n": 1,
    "connect_fee": 0, "postcall_surcharge": 0, "price_1": 0.02, "price_n": 0.02, "description": "London",
}  # fmt: skip
COST: Final = Decimal("1.20")
PATIENCE_SECONDS: Final = 30.0


async def show_surfaces(asked: UseCases, host: str, port: int) -> str:
    """What was asked and answered, in a line. Errors: DemoFailedError, and those of the services."""
    company = await asked.parties.create(NewParty(COMPANY, PartyKind.TENANT))
    await asked.accounts.create(NewAccount(LINE, company.tariff or "", balance=Decimal(5), owner=COMPANY))
    scopes = ("call_rates:write", "tenant_billing:write")
    token = (await asked.keys.add(NewKey(f"{COMPANY}-rest", owner=COMPANY, scopes=scopes))).secret
    key = NewKey(f"{COMPANY}-exchange", KeyKind.SERVER, Level.SERVER, AuthBy.SIP_EXTENSION)
    secret = (await asked.keys.add(key)).secret

    base, bearer = f"http://{host}:{port}", {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    for path, body in (("call_rates", RATE), ("tenant/billing", {"enabled": True, "type": "ONLINE"})):
        await _post(f"{base}/api/{path}", json.dumps(body).encode(), bearer)
    call = {"login": LINE, "destination": NUMBER, "callid": "demo"}
    end = {**call, "length": str(SECONDS), "status": "16ANSWER"}
    said = [
        await _post(f"{base}/billing/api/2.2/{secret}/{method}", urllib.parse.urlencode(given).encode(), {})
        for method, given in (("callPrepare", call), ("callFinish", end))
    ]
    cost = Decimal(5) - (await asked.accounts.show(LINE)).balance
    if not (said[0].startswith("Allowed") and said[1].startswith("Saved") and cost == COST):
        raise DemoFailedError(f"over HTTP: {said}, and it cost {cost}, not {COST}")
    set_by = f"by REST: {RATE['price_1']} a second to {RATE['prefix']}"
    return f"{set_by}; over HTTP, callPrepare and callFinish: {SECONDS} s cost {cost:.2f}"


async def _post(url: str, body: bytes, headers: dict[str, str]) -> str:
    """What is answered. Errors: DemoFailedError; the address is not said, since a key stands in it."""

    def ask() -> str:
        request: Any = urllib.request.Request(url, body, headers)
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
            text: str = answer.read().decode()
            return text

    try:
        return await asyncio.to_thread(ask)
    except urllib.error.HTTPError as error:
        raise DemoFailedError(f"over HTTP: {error.code} {error.read()[:300].decode(errors='replace')}") from None
    except OSError as error:
        raise DemoFailedError(f"over HTTP: {error}") from None
