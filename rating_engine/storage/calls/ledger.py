"""Every money transition of a call, batched: reserve, settle, and finding a call by its key.

Law: what these methods answer has been committed. `Unavailable` means that the outcome is not known: asking again
with the same call key is safe, and tells.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Final

import asyncpg

from rating_engine.domain.outcomes import CallKey
from rating_engine.domain.reservation import (
    CallDetails,
    EndedCall,
    ExtendAnswer,
    ExtendOutcome,
    ExtendRequest,
    OpenCall,
    PackageUse,
    ReserveAnswer,
    ReserveOutcome,
    ReserveRequest,
    SettleAnswer,
    SettleOutcome,
    SettleRequest,
)
from rating_engine.storage.calls.locked_accounts import LockedAccounts, Request
from rating_engine.storage.postgres.batching import DEFAULT_BATCH_MAX, DEFAULT_QUEUE_MAX, Answer, Batcher, Item
from rating_engine.storage.postgres.pool import Database

# A batch that met a concurrent one (a key taken meanwhile, a deadlock with an operator's own statement) is asked
# again: each try sees what the other committed, so more than a few mean something else is wrong.
SERIALIZATION_TRIES: Final = 4
EXPIRE_BATCH: Final = 500  # keeps the sweep's row locks as short as a call's batch

# Sources of CDRs that were written without a finish (schema.sql, settle): expired and not heard of, settled from what
# was seen of the channel, or never started.
PROVISIONAL: Final = frozenset({"expired", "reconciled", "abandoned"})

_RETRY = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError)

_RESERVE: Final = "SELECT reserve_v2($1, $2::reserve_request_v2[])"
_EXTEND: Final = "SELECT extend_v2($1, $2::extend_request_v2[])"
_SETTLE: Final = "SELECT settle_v2($1, $2::settle_request_v2[])"
_EXPIRE: Final = "SELECT expire_v2($1, $2)"
_DETAILS: Final = (
    "subscriber_id, exchange, attempt, callerid, destination, direction, prefix, tariff_id, deck_id, rate, route_name, "
    "routing_number, carrier_rate, carrier_currency, carrier_exchange, packages"
)
_FIND: Final = f"""
    SELECT call_key, account_id, {_DETAILS}, granted, quota, cap_seconds, route_prefix,
           NULL AS source, NULL AS seconds, NULL AS billed_seconds, NULL AS cost, NULL AS disposition, NULL AS cause,
           NULL AS rerate_id
    FROM reservations WHERE bucket = $1 AND call_key = ANY ($2)
    UNION ALL
    SELECT call_key, account_id, {_DETAILS}, NULL, NULL, NULL, NULL,
           source, seconds, billed_seconds, cost, disposition, cause, rerate_id
    FROM cdrs WHERE bucket = $1 AND call_key = ANY ($2)
"""  # noqa: S608  the only text put in is the constant above

FindAnswer = OpenCall | EndedCall | None
BatchObserver = Callable[[str, int, float], None]  # operation, items, seconds


class Ledger:
    """One batch queue per bucket and operation."""

    def __init__(
        self,
        database: Database,
        *,
        buckets: int = 1,
        batch_max: int = DEFAULT_BATCH_MAX,
        queue_max: int = DEFAULT_QUEUE_MAX,
        observe: BatchObserver = lambda operation, items, seconds: None,
    ) -> None:
        self._database = database
        self._observe = observe
        self._locked = LockedAccounts(database, patience_seconds=database.timeout_seconds, waiting_max=queue_max)
        self._limits = {"batch_max": batch_max, "queue_max": queue_max}
        buckets_range = range(buckets)
        self._reserve = [self._queue("reserve", n, self._sparing(self._reserve_batch), _key_of) for n in buckets_range]
        self._extend = [self._queue("extend", n, self._sparing(self._extend_batch), _key_of) for n in buckets_range]
        self._settle = [self._queue("settle", n, self._sparing(self._settle_batch), _key_of) for n in buckets_range]
        self._find = [self._queue("find", n, self._find_batch, _itself) for n in buckets_range]

    def _queue(
        self,
        name: str,
        bucket: int,
        execute: Callable[[int, Sequence[Item]], Awaitable[Sequence[Answer | Exception]]],
        key: Callable[[Item], CallKey],
    ) -> Batcher[Item, Answer]:
        return Batcher(f"{name}-{bucket}", lambda items: execute(bucket, items), key, **self._limits)

    def _sparing(
        self, execute: Callable[[int, Sequence[Request]], Awaitable[Sequence[Answer]]]
    ) -> Callable[[int, Sequence[Request]], Awaitable[Sequence[Answer | Exception]]]:
        """`execute`, where an account that is locked holds nobody else back."""

        async def spare(bucket: int, requests: Sequence[Request]) -> Sequence[Answer | Exception]:
            return await self._locked.spare_others(requests, lambda some: execute(bucket, some))

        return spare

    async def reserve(self, request: ReserveRequest) -> ReserveAnswer:
        """Hold money for a call.

        Errors: Unavailable (outcome unknown), Overloaded, AccountLocked (nothing done).
        """
        return await self._locked.submit(request, self._reserve[request.bucket].submit)

    async def extend(self, request: ExtendRequest) -> ExtendAnswer:
        """Hold more money for a call.

        Errors: Unavailable (outcome unknown), Overloaded, AccountLocked (nothing done).
        """
        return await self._locked.submit(request, self._extend[request.bucket].submit)

    async def settle(self, request: SettleRequest) -> SettleAnswer:
        """Charge a call and free the rest.

        Errors: Unavailable (outcome unknown), Overloaded, AccountLocked (nothing done).
        """
        return await self._locked.submit(request, self._settle[request.bucket].submit)

    async def find(self, bucket: int, call_key: CallKey) -> FindAnswer:
        """The call as stored, open or ended, or None. Errors: Unavailable, Overloaded."""
        return await self._find[bucket].submit(call_key)

    async def expire(self, bucket: int) -> int:
        """Free the money of calls whose finish never came; returns how many. Errors: Unavailable."""
        return int(await self._database.fetchval(_EXPIRE, bucket, EXPIRE_BATCH))

    async def drain(self) -> None:
        """Wait until nothing is queued or in flight."""
        for queues in (self._reserve, self._extend, self._settle, self._find):
            for queue in queues:
                await queue.drain()
        await self._locked.stop()

    async def _reserve_batch(self, bucket: int, requests: Sequence[ReserveRequest]) -> list[ReserveAnswer]:
        rows = await self._call("reserve", _RESERVE, bucket, [_reserve_args(r) for r in requests])
        return [ReserveAnswer(ReserveOutcome(outcome), granted) for outcome, granted in rows]

    async def _extend_batch(self, bucket: int, requests: Sequence[ExtendRequest]) -> list[ExtendAnswer]:
        rows = await self._call("extend", _EXTEND, bucket, [_extend_args(r) for r in requests])
        return [ExtendAnswer(ExtendOutcome(outcome), granted) for outcome, granted in rows]

    async def _settle_batch(self, bucket: int, requests: Sequence[SettleRequest]) -> list[SettleAnswer]:
        rows = await self._call("settle", _SETTLE, bucket, [_settle_args(r) for r in requests])
        return [SettleAnswer(SettleOutcome(outcome), overrun) for outcome, overrun in rows]

    async def _find_batch(self, bucket: int, keys: Sequence[CallKey]) -> list[FindAnswer]:
        names = [str(key) for key in keys]
        found = {row["call_key"]: row for row in await self._database.fetch(_FIND, bucket, names)}
        return [_call_from_row(found[name]) if name in found else None for name in names]

    async def _call(self, operation: str, query: str, bucket: int, items: list[Any]) -> Any:
        started = time.perf_counter()
        for attempt in range(1, SERIALIZATION_TRIES + 1):
            try:
                answers = await self._database.fetchval(query, bucket, items)
            except _RETRY:
                if attempt == SERIALIZATION_TRIES:
                    raise
            else:
                self._observe(operation, len(items), time.perf_counter() - started)
                return answers
        raise AssertionError("unreachable")


def _key_of(request: ReserveRequest | ExtendRequest | SettleRequest) -> CallKey:
    return request.call_key


def _itself(call_key: CallKey) -> CallKey:
    return call_key


def _details_args(details: CallDetails) -> tuple[Any, ...]:
    d = details
    return (
        d.subscriber_id,
        d.exchange,
        d.attempt,
        d.callerid,
        d.destination,
        d.direction,
        d.prefix,
        d.tariff_id,
        d.deck_id,
        d.rate,
        d.route_name,
        d.routing_number,
        d.carrier_rate,
        d.carrier_currency,
        d.carrier_exchange,
    )


_NO_DETAILS: Final = (None,) * 15


def _packages_args(packages: Sequence[PackageUse]) -> list[tuple[int, date, int]]:
    return [(use.package_id, use.period_start, use.seconds) for use in packages]


def _reserve_args(request: ReserveRequest) -> tuple[Any, ...]:
    """One reserve_request of schema.sql."""
    d = request.details
    return (
        str(request.call_key),
        request.account_id,
        d.subscriber_id,
        request.subscriber_version,
        [tariff_id for tariff_id, _ in request.tariffs],
        [version for _, version in request.tariffs],
        request.minimum,
        request.maximum,
        request.price_per_minute,
        request.quota,
        request.cap_seconds,
        request.lifetime_seconds,
        d.exchange,
        d.attempt,
        d.callerid,
        d.destination,
        d.direction,
        d.prefix,
        d.tariff_id,
        d.deck_id,
        d.rate,
        d.route_name,
        request.route_prefix,
        request.prepared_at,
        d.routing_number,
        d.carrier_rate,
        d.carrier_currency,
        d.carrier_exchange,
        _packages_args(d.packages),
        request.limited_route,
        request.claim,
    )


def _extend_args(request: ExtendRequest) -> tuple[Any, ...]:
    """One extend_request of schema.sql."""
    return (
        str(request.call_key),
        request.account_id,
        request.maximum,
        request.give_back,
        request.lifetime_seconds,
        request.answered_at,
    )


def _settle_args(request: SettleRequest) -> tuple[Any, ...]:
    """One settle_request of schema.sql."""
    return (
        str(request.call_key),
        request.account_id,
        request.seconds,
        request.billed_seconds,
        request.cost,
        request.disposition,
        request.cause,
        request.source.value,
        request.ended_at,
        *(_NO_DETAILS if request.details is None else _details_args(request.details)),
        request.carrier_cost,
        request.margin,
        request.covered_seconds,
        _packages_args(request.packages),
        request.claim,
        request.rerate_id,
    )


def _call_from_row(row: asyncpg.Record) -> OpenCall | EndedCall:
    details = CallDetails(
        subscriber_id=row["subscriber_id"],
        exchange=row["exchange"],
        attempt=row["attempt"],
        callerid=row["callerid"],
        destination=row["destination"],
        direction=row["direction"],
        prefix=row["prefix"],
        tariff_id=row["tariff_id"],
        deck_id=row["deck_id"],
        rate=row["rate"],
        route_name=row["route_name"],
        routing_number=row["routing_number"],
        carrier_rate=row["carrier_rate"],
        carrier_currency=row["carrier_currency"],
        carrier_exchange=row["carrier_exchange"],
        packages=tuple(PackageUse(*use) for use in row["packages"]),
    )
    if row["source"] is None:
        return OpenCall(
            account_id=row["account_id"],
            granted=Decimal(row["granted"]),
            quota=row["quota"],
            cap_seconds=row["cap_seconds"],
            route_prefix=row["route_prefix"],
            details=details,
        )
    return EndedCall(
        account_id=row["account_id"],
        provisional=row["source"] in PROVISIONAL,
        seconds=row["seconds"],
        billed_seconds=row["billed_seconds"],
        cost=Decimal(row["cost"]),
        disposition=row["disposition"],
        cause=row["cause"],
        details=details,
        rerate_id=row["rerate_id"],
    )
