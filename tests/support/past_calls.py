"""Calls of the past for tests: charged as a finish charges them, and re-rated as an operator does it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from rating_engine.domain.account import Subscriber
from rating_engine.domain.principal import OPERATOR
from rating_engine.domain.rerate import Rerate
from rating_engine.rating.charge import charge
from rating_engine.rating.rate import Rate
from rating_engine.services.cdrs.rerating import RerateRequest, begin, post, read
from rating_engine.storage.calls.ledger import Ledger
from rating_engine.storage.postgres.pool import Database
from tests.support.operators import instant
from tests.support.world import CENT_A_SECOND, Deck, details_of, settle_request

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)  # a Monday
AT_ONCE = 500  # calls asked of the ledger at a time


@dataclass(frozen=True, slots=True)
class Past:
    """A call that was made at `started_at` and charged at `rate` (None: it had none)."""

    name: str
    seconds: int = 60
    destination: str = "4912345"
    rate: Rate | None = CENT_A_SECOND
    started_at: datetime = NOON
    callerid: str = "100"


async def charge_calls(database: Database, subscriber: Subscriber, deck: Deck, calls: Iterable[Past]) -> None:
    """Settle them, none of them having been reserved."""
    ledger = Ledger(database)
    requests = []
    for call in calls:
        details = replace(details_of(subscriber, deck, call.destination), callerid=call.callerid)
        charged = None if call.rate is None else charge(call.rate, call.seconds)
        request = settle_request(
            subscriber,
            call.name,
            seconds=call.seconds,
            cost="0" if charged is None else str(charged.cost),
            details=replace(details, rate="" if call.rate is None else call.rate.to_json()),
        )
        requests.append(replace(request, ended_at=call.started_at + timedelta(seconds=call.seconds)))
    for first in range(0, len(requests), AT_ONCE):
        await asyncio.gather(*map(ledger.settle, requests[first : first + AT_ONCE]))


async def preview(
    database: Database,
    *,
    calls_from: str = "2026-03-01",
    calls_to: str = "2026-04-01",
    version: int | None = None,
    login: str | None = None,
    prefix: str = "",
) -> Rerate:
    """A re-rating of the tariff retail, read whole."""
    begins, ends = [await instant(database, "retail", text) for text in (calls_from, calls_to)]
    request = RerateRequest("retail", begins, ends, version, login, prefix)
    return await read(database, await begin(database, OPERATOR, request), international_prefix="00")


async def rerate(database: Database, **request: str) -> int:
    """Read and post; how many calls were corrected."""
    rerate = await preview(database, **request)  # type: ignore[arg-type]
    return (await post(database, OPERATOR, rerate.rerate_id)).corrected


async def balance_of(database: Database, subscriber: Subscriber) -> Decimal:
    """Of its account."""
    return Decimal(await database.fetchval("SELECT balance FROM accounts WHERE account_id = $1", subscriber.account_id))


async def costs(database: Database) -> dict[str, Decimal]:
    """Of every CDR, by the name of its call."""
    rows = await database.fetch("SELECT split_part(call_key, '/', 2) AS name, cost FROM cdrs")
    return {row["name"]: row["cost"].normalize() for row in rows}
