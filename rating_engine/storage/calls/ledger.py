"""Every money transition of a call, batched: reserve, settle, and finding a call by its key.

Law: what these methods answer has been committed. `Unavailable` means that the outcome is not known: asking again
with the same call key is safe, and tells.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal
from operator import attrgetter
from typing import Any, Final

import asyncpg

from rating_engine.domain.outcomes import CallKey
from rating_engine.domain.reservation import (
    EndedCall,
    ExtendAnswer,
    ExtendOutcome,
    ExtendRequest,
    OpenCall,
    ReserveAnswer,
    ReserveOutcome,
    ReserveRequest,
    SettleAnswer,
    SettleOutcome,
    SettleRequest,
    SettleSource,
    Suspicion,
)
from rating_engine.storage.calls.call_details import (
    PROVISIONAL,
    columns_of,
    details_args,
    details_from_row,
    packages_args,
)
from rating_engine.storage.calls.first_statements import (
    FUNCTIONS,
    FUNCTIONS_OF_BUCKETS,
    RESERVE_AND_SETTLE,
    RESERVE_AND_SETTLE_OF_BUCKETS,
)
from rating_engine.storage.calls.locked_accounts import LockedAccounts, Request
from rating_engine.storage.postgres.batching import DEFAULT_BATCH_MAX, DEFAULT_QUEUE_MAX, Answer, Batcher
from rating_engine.storage.postgres.pool import Database

# A batch that met a concurrent one (a key taken meanwhile, a deadlock with an operator's own statement) is asked
# again: each try sees what the other committed, so more than a few mean something else is wrong.
SERIALIZATION_TRIES: Final = 4
EXPIRE_BATCH: Final = 500  # keeps the sweep's row locks as short as a call's batch

_RETRY = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError, asyncpg.UniqueViolationError)

_FIND: Final = f"""
    SELECT call_key, account_id, {columns_of("open_calls", "$1")}, granted, quota OR steered AS quota, cap_seconds,
           route_prefix, answered_at, resellers_granted, NULL AS source, NULL AS seconds, NULL AS billed_seconds,
           NULL AS cost,
           NULL AS disposition, NULL AS cause, NULL AS rerate_id, NULL AS seen_seconds, NULL AS said_seconds
    FROM open_calls WHERE bucket = $1 AND call_key = ANY ($2)
    UNION ALL
    SELECT call_key, account_id, {columns_of("call_records", "$1")}, NULL, NULL, NULL, NULL, NULL, NULL,
           source, seconds, billed_seconds, cost, disposition, cause, rerate_id, seen_seconds, said_seconds
    FROM call_records WHERE bucket = $1 AND call_key = ANY ($2)
"""  # noqa: S608  the only text put in is the constants above
_EXPIRE: Final = "SELECT expire_v2($1, $2)"

# In the order of reseller_hold and reseller_charge of schema.sql.
_hold_values: Final = attrgetter("minimum", "maximum", "share_least", "price_per_minute")
_charge_values: Final = attrgetter("account_id", "billed_seconds", "cost", "margin")

# The words of the server's answers. A call has three: an enum takes 0.3 us to find the member of one, this 0.03.
_RESERVED: Final = {outcome.value: outcome for outcome in ReserveOutcome}
_SETTLED: Final = {outcome.value: outcome for outcome in SettleOutcome}
_SUSPICIONS: Final = {suspicion.value: suspicion for suspicion in Suspicion}

_Request = ReserveRequest | ExtendRequest | SettleRequest
FindAnswer = OpenCall | EndedCall | None
BatchObserver = Callable[[str, int, float], None]  # operation, items, seconds


class Ledger:
    """Batch queues for all buckets of a server: their requests share its transactions and its disk.

    Usual calls that begin and that end share one queue too: a statement, and a commit, takes both (measured at 8 at a
    time: a fifth more calls a second, 0.7 of the server's CPU). What locks more than accounts has a queue of its own.
    """

    def __init__(
        self,
        database: Database,
        *,
        batch_max: int = DEFAULT_BATCH_MAX,
        queue_max: int = DEFAULT_QUEUE_MAX,
        observe: BatchObserver = lambda operation, items, seconds: None,
    ) -> None:
        self._database = database
        self._observe = observe
        self._locked = LockedAccounts(database, patience_seconds=database.timeout_seconds, waiting_max=queue_max)
        limits = {"batch_max": batch_max, "queue_max": queue_max}
        self._usual: Batcher[Any, Any] = Batcher("call", self._sparing(self._usual_batch), _key_of, **limits)
        self._reserve = Batcher("reserve", self._sparing(self._reserve_batch), _key_of, **limits)
        self._extend = Batcher("extend", self._sparing(self._extend_batch), _key_of, **limits)
        self._settle = Batcher("settle", self._sparing(self._settle_batch), _key_of, **limits)
        self._find = Batcher("find", self._find_batch, _itself, **limits)

    def _sparing(
        self, execute: Callable[[Sequence[Request]], Awaitable[Sequence[Answer]]]
    ) -> Callable[[Sequence[Request]], Awaitable[Sequence[Answer | Exception]]]:
        """`execute`, where an account that is locked holds nobody else back."""

        async def spare(requests: Sequence[Request]) -> Sequence[Answer | Exception]:
            return await self._locked.spare_others(requests, execute)

        return spare

    async def reserve(self, request: ReserveRequest) -> ReserveAnswer:
        """Hold money for a call.

        Errors: Unavailable (outcome unknown), Overloaded, AccountLocked (nothing done).
        """
        queue: Batcher[Any, Any] = self._usual if request.limited_route is None else self._reserve
        return await self._locked.submit(request, queue.submit)

    async def extend(self, request: ExtendRequest) -> ExtendAnswer:
        """Hold more money for a call.

        Errors: Unavailable (outcome unknown), Overloaded, AccountLocked (nothing done).
        """
        return await self._locked.submit(request, self._extend.submit)

    async def settle(self, request: SettleRequest) -> SettleAnswer:
        """Charge a call and free the rest.

        Errors: Unavailable (outcome unknown), Overloaded, AccountLocked (nothing done).
        """
        queue: Batcher[Any, Any] = (
            self._usual if request.details is None and request.source is SettleSource.FINISH else self._settle
        )
        return await self._locked.submit(request, queue.submit)

    async def find(self, bucket: int, call_key: CallKey) -> FindAnswer:
        """The call as stored, open or ended, or None. Errors: Unavailable, Overloaded."""
        return await self._find.submit((bucket, call_key))

    async def expire(self, bucket: int) -> int:
        """Free the money of calls whose finish never came; returns how many. Errors: Unavailable."""
        return int(await self._database.fetchval(_EXPIRE, bucket, EXPIRE_BATCH))

    async def drain(self) -> None:
        """Wait until nothing is queued or in flight."""
        for queue in (self._usual, self._reserve, self._extend, self._settle, self._find):
            await queue.drain()
        await self._locked.stop()

    async def _reserve_batch(self, requests: Sequence[ReserveRequest]) -> list[ReserveAnswer]:
        return [_reserved(row) for row in await self._call("reserve", requests, [_reserve_args(r) for r in requests])]

    async def _extend_batch(self, requests: Sequence[ExtendRequest]) -> list[ExtendAnswer]:
        rows = await self._call("extend", requests, [_extend_args(r) for r in requests])
        return [ExtendAnswer(ExtendOutcome(outcome), granted, tuple(of or ())) for outcome, granted, of in rows]

    async def _settle_batch(self, requests: Sequence[SettleRequest]) -> list[SettleAnswer]:
        return [_settled(row) for row in await self._call("settle", requests, [_settle_args(r) for r in requests])]

    async def _usual_batch(
        self, requests: Sequence[ReserveRequest | SettleRequest]
    ) -> Sequence[ReserveAnswer | SettleAnswer]:
        """Calls that begin and calls that end, in one statement where there are both."""
        begun: list[ReserveRequest] = []
        ended: list[SettleRequest] = []
        for request in requests:
            if isinstance(request, ReserveRequest):
                begun.append(request)
            else:
                ended.append(request)
        if not ended:
            return await self._reserve_batch(begun)
        if not begun:
            return await self._settle_batch(ended)
        of_begun, of_ended = await self._reserve_and_settle(begun, ended)
        reserved, settled = map(_reserved, of_begun), map(_settled, of_ended)
        return [next(reserved) if isinstance(request, ReserveRequest) else next(settled) for request in requests]

    async def _reserve_and_settle(self, begun: Sequence[ReserveRequest], ended: Sequence[SettleRequest]) -> Any:
        holds, charges = [_reserve_args(r) for r in begun], [_settle_args(r) for r in ended]
        of_begun, of_ended = [r.bucket for r in begun], [r.bucket for r in ended]
        sizes = {"reserve": len(begun), "settle": len(ended)}
        bucket = of_begun[0]
        if {*of_begun, *of_ended} == {bucket}:
            return await self._ask(sizes, RESERVE_AND_SETTLE, bucket, holds, charges)
        return await self._ask(sizes, RESERVE_AND_SETTLE_OF_BUCKETS, bucket, of_begun, holds, of_ended, charges)

    async def _find_batch(self, wanted: Sequence[tuple[int, CallKey]]) -> list[FindAnswer]:
        names = [(bucket, str(key)) for bucket, key in wanted]
        found: dict[tuple[int, str], FindAnswer] = {}
        for bucket in {bucket for bucket, _ in names}:
            for row in await self._database.fetch(_FIND, bucket, [name for at, name in names if at == bucket]):
                found[bucket, row["call_key"]] = _call_from_row(row)
        return [found.get(name) for name in names]

    async def _call(self, operation: str, requests: Sequence[_Request], items: list[Any]) -> Any:
        """The answers of the SQL function of that name: of one bucket by itself, of several at once."""
        buckets = [request.bucket for request in requests]
        sizes = {operation: len(items)}
        if len(set(buckets)) == 1:
            return await self._ask(sizes, f"SELECT {FUNCTIONS[operation]}($1, $2)", buckets[0], items)
        query = f"SELECT {FUNCTIONS_OF_BUCKETS[operation]}($1, $2, $3)"
        return await self._ask(sizes, query, buckets[0], buckets, items)

    async def _ask(self, sizes: Mapping[str, int], query: str, *args: Any) -> Any:
        """What one statement answers. `sizes`: how many requests of each operation are in it."""
        started = time.perf_counter()
        for attempt in range(1, SERIALIZATION_TRIES + 1):
            try:
                answers = await self._database.fetchval(query, *args)
            except _RETRY:
                if attempt == SERIALIZATION_TRIES:
                    raise
            else:
                seconds = time.perf_counter() - started
                for operation, size in sizes.items():
                    self._observe(operation, size, seconds)
                return answers
        raise AssertionError("unreachable")


def _reserved(row: Sequence[Any]) -> ReserveAnswer:
    outcome, granted, of_resellers = row
    return ReserveAnswer(_RESERVED[outcome], granted, tuple(of_resellers or ()))


def _settled(row: Sequence[Any]) -> SettleAnswer:
    outcome, overrun, why = row
    return SettleAnswer(_SETTLED[outcome], overrun, _SUSPICIONS[why])


def _key_of(request: _Request) -> CallKey:
    return request.call_key


def _itself(wanted: tuple[int, CallKey]) -> tuple[int, CallKey]:
    return wanted


def _reserve_args(request: ReserveRequest) -> tuple[Any, ...]:
    """One reserve_request of schema.sql."""
    return (
        str(request.call_key),
        request.account_id,
        request.subscriber_version,
        [tariff_id for tariff_id, _ in request.tariffs],
        [version for _, version in request.tariffs],
        request.minimum,
        request.maximum,
        request.share,
        request.share_least,
        request.price_per_minute,
        request.quota,
        request.steered,
        request.cap_seconds,
        request.lifetime_seconds,
        request.prepared_at,
        request.route_prefix,
        request.limited_route,
        request.claim,
        [_hold_values(hold) for hold in request.resellers] if request.resellers else None,
        details_args(request.details),
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
        [account_id for account_id, _ in request.resellers] or None,
        [maximum for _, maximum in request.resellers] or None,
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
        request.source,
        request.said_seconds,
        request.seen_seconds,
        request.cost_before,
        request.ended_at,
        request.carrier_cost,
        request.margin,
        request.covered_seconds,
        packages_args(request.packages),
        request.claim,
        request.rerate_id,
        request.channel,
        request.is_did,
        [_charge_values(charge) for charge in request.resellers] if request.resellers else None,
        None if request.details is None else details_args(request.details),
    )


def _is_assumed(row: asyncpg.Record) -> bool:
    """Whether its finish was not believed, and its end is nobody's word either."""
    return row["source"] == "finish" and row["said_seconds"] is not None and row["seen_seconds"] is None


def _call_from_row(row: asyncpg.Record) -> OpenCall | EndedCall:
    if row["source"] is None:
        return OpenCall(
            account_id=row["account_id"],
            granted=Decimal(row["granted"]),
            quota=row["quota"],
            cap_seconds=row["cap_seconds"],
            route_prefix=row["route_prefix"],
            details=details_from_row(row),
            answered_at=row["answered_at"],
            resellers_granted=tuple(row["resellers_granted"] or ()),
        )
    return EndedCall(
        account_id=row["account_id"],
        provisional=row["source"] in PROVISIONAL or _is_assumed(row),
        seconds=row["seconds"],
        billed_seconds=row["billed_seconds"],
        cost=Decimal(row["cost"]),
        disposition=row["disposition"],
        cause=row["cause"],
        details=details_from_row(row),
        rerate_id=row["rerate_id"],
        seen_seconds=row["seen_seconds"],
        said_seconds=row["said_seconds"],
    )
