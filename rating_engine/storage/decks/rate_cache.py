"""Answers of rate decks kept in Redis, for every engine process to share.

An answer is every row of the deck that may price a call to a number, whenever it is made and by whom: as the deck never
changes, neither does it.

Laws: Redis is for speed alone. Down, slow, flushed or full of garbage, it makes a lookup slower and never wrong: a key
carries the deck it belongs to, a value repeats its key, and whatever doesn't read back exactly counts as not there.
A Redis that is down costs a call nothing: after a failure nobody asks it, until one background probe has an answer.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import orjson
import redis.asyncio
import structlog
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from rating_engine.domain.tariff import PublishedDeck
from rating_engine.rating.matching import EVER_SINCE, FOR_EVER, CandidateRate
from rating_engine.rating.rate import Rate

TIMEOUT_SECONDS: Final = 0.02  # far above a healthy answer (under 1 ms), far below what PostgreSQL would take loaded
CONNECT_TIMEOUT_SECONDS: Final = 1.0  # only the probe connects, and nobody waits for it
TTL_SECONDS: Final = 6 * 3600  # only so that what belongs to replaced decks leaves; nothing goes stale
PROBE_INTERVAL_SECONDS: Final = 0.25  # how soon a Redis that is back is used again; one PING each
MAX_TIMEOUTS: Final = 3  # in a row; a single late answer is more often this process's own pause than Redis's
MAX_BATCH: Final = 64  # lookups and writes in one round trip; bounds how long one answer can hold up the next
MAX_PENDING_WRITES: Final = 1_000  # beyond this the oldest are not written: they are looked up again, no more

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class CachedAnswer:
    """A kept answer and the region (see services/facts/regions) it holds for; no candidates: no rate serves it."""

    region: str
    candidates: tuple[CandidateRate, ...]


@dataclass(slots=True)
class _Lookup:
    keys: list[str]
    answer: asyncio.Future[Sequence[object]]


class RateCache:
    """Redis behind a deadline and a circuit breaker. What is asked while a round trip runs goes with the next one."""

    def __init__(
        self,
        redis_url: str,
        *,
        timeout_seconds: float = TIMEOUT_SECONDS,
        connect_timeout_seconds: float = CONNECT_TIMEOUT_SECONDS,
        ttl_seconds: int = TTL_SECONDS,
        on_state: Callable[[bool], None] = lambda up: None,
    ) -> None:
        self._client: Any = redis.asyncio.Redis.from_url(  # Any: the driver types its replies per command, loosely
            redis_url,
            max_connections=2,  # one for round trips, one for the probe
            socket_connect_timeout=connect_timeout_seconds,
            socket_timeout=connect_timeout_seconds,
            retry=Retry(NoBackoff(), 0),
            health_check_interval=0,
        )
        self._timeout = timeout_seconds
        self._ttl = ttl_seconds
        self._on_state = on_state
        self._lookups: deque[_Lookup] = deque()
        self._writes: deque[tuple[str, bytes]] = deque(maxlen=MAX_PENDING_WRITES)
        self._courier: asyncio.Task[None] | None = None
        self._probe: asyncio.Task[None] | None = None
        self._down: str | None = "not connected yet"
        self._timeouts = 0

    async def open(self) -> None:
        """Connect if Redis is there; if not, go on without and keep probing. Never fails."""
        try:
            await self._client.ping()
        except Exception as error:
            self._mark_down(error)
        else:
            self._mark_up()

    async def close(self) -> None:
        """Stop the background tasks and close the connections; what was not written yet is dropped."""
        self._down = "closed"
        for task in (self._courier, self._probe):
            if task is not None:
                task.cancel()
                await asyncio.wait([task])  # awaited itself, its cancellation would hide our own
        for lookup in self._lookups:
            _answer(lookup, ())
        with contextlib.suppress(Exception):
            await self._client.aclose()

    @property
    def down(self) -> str | None:
        """Why Redis is not used right now, or None."""
        return self._down

    async def find(self, deck: PublishedDeck, regions: Sequence[str]) -> CachedAnswer | None:
        """The answer kept under one of `regions`, by one round trip; None when there is none or Redis cannot say."""
        if self._down is not None:
            return None
        keys = [_key(deck, region) for region in regions]
        lookup = _Lookup(keys, asyncio.get_running_loop().create_future())
        self._lookups.append(lookup)
        self._dispatch()
        for region, value in zip(regions, await lookup.answer, strict=False):
            if isinstance(value, bytes) and (kept := _parse(deck, region, value)) is not None:
                return kept
        return None

    def keep(self, deck: PublishedDeck, answer: CachedAnswer) -> None:
        """Write an answer soon, in the background; dropped while Redis is down.

        A row that this engine can make no rate of is not passed on: a newer one may.
        """
        if self._down is None and all(each.blocked or each.rate is not None for each in answer.candidates):
            self._writes.append((_key(deck, answer.region), _render(deck, answer)))
            self._dispatch()

    def _dispatch(self) -> None:
        if self._courier is None or self._courier.done():
            self._courier = asyncio.create_task(self._carry(), name="redis-courier")

    async def _carry(self) -> None:
        """Round trips one after the other until nothing waits."""
        while self._lookups or self._writes:
            lookups = [self._lookups.popleft() for _ in range(min(MAX_BATCH, len(self._lookups)))]
            writes = [self._writes.popleft() for _ in range(min(MAX_BATCH, len(self._writes)))]
            replies: list[object] = []
            try:
                replies = await self._exchange(lookups, writes)
            finally:  # whatever happens here, nobody waits for ever
                for lookup in lookups:
                    _answer(lookup, [replies.pop(0) for _ in lookup.keys] if replies else ())

    async def _exchange(self, lookups: list[_Lookup], writes: list[tuple[str, bytes]]) -> list[object]:
        """One round trip. The replies to every key of every lookup in order; nothing when Redis failed."""
        if self._down is not None:
            return []
        pipeline = self._client.pipeline(transaction=False)
        keys = [key for lookup in lookups for key in lookup.keys]
        if keys:
            pipeline.mget(keys)
        for key, value in writes:
            pipeline.set(key, value, ex=self._ttl)
        try:
            async with asyncio.timeout(self._timeout):
                replies = await pipeline.execute(raise_on_error=False)
        except Exception as error:  # whatever the driver makes of a sick server, a call goes on without Redis
            self._failed(error)
            return []
        if keys and isinstance(replies[0], RedisError):
            self._failed(replies[0])
            return []
        self._timeouts = 0
        return list(replies[0]) if keys else []

    def _failed(self, error: Exception) -> None:
        """Stop asking Redis, at once where it is gone, after some late answers where it is slow."""
        if isinstance(error, TimeoutError | redis.exceptions.TimeoutError):
            self._timeouts += 1
            if self._timeouts < MAX_TIMEOUTS:
                return
        self._mark_down(error)

    def _mark_up(self) -> None:
        if self._down is not None:
            _log.info("redis_up")
        self._down = None
        self._timeouts = 0
        self._on_state(True)

    def _mark_down(self, error: Exception) -> None:
        if self._down == "closed":
            return
        self._down = str(error) or "no answer in time"
        self._writes.clear()
        _log.warning("redis_down", error=self._down)
        self._on_state(False)
        if self._probe is None or self._probe.done():
            self._probe = asyncio.create_task(self._probe_until_up(), name="redis-probe")

    async def _probe_until_up(self) -> None:
        while True:
            try:
                await self._client.ping()
            except Exception as error:
                self._down = str(error) or "no answer in time"
                await asyncio.sleep(PROBE_INTERVAL_SECONDS)
            else:
                self._mark_up()
                return


def _answer(lookup: _Lookup, replies: Sequence[object]) -> None:
    if not lookup.answer.done():  # its caller may have gone
        lookup.answer.set_result(replies)


def _key(deck: PublishedDeck, region: str) -> str:
    # The braces keep one deck's keys together on a Redis Cluster, where MGET needs them so.
    return f"rate:{{{deck.key}}}:{region}"


def _render(deck: PublishedDeck, answer: CachedAnswer) -> bytes:
    return orjson.dumps([deck.key, answer.region, [_candidate_values(each) for each in answer.candidates]])


def _parse(deck: PublishedDeck, region: str, value: bytes) -> CachedAnswer | None:
    """The answer that `_render` wrote for this deck and region; None for anything else."""
    try:
        match orjson.loads(value):
            case [deck.key, said, list(candidates)] if said == region:
                answer = CachedAnswer(region, tuple(_candidate(region, values) for values in candidates))
                return answer if _render(deck, answer) == value else None
    except (ValueError, TypeError):  # not JSON, or not what a rate or a moment is written as
        pass
    return None


def _candidate_values(candidate: CandidateRate) -> tuple[str | None, ...]:
    """Prefix, direction and rate (None: blocked); what makes it conditional follows where something does."""
    rate = None if candidate.rate is None else candidate.rate.to_json()
    values = candidate.prefix, candidate.direction, rate
    if candidate.is_unconditional:
        return values
    since = None if candidate.effective_from == EVER_SINCE else candidate.effective_from.isoformat()
    until = None if candidate.effective_to == FOR_EVER else candidate.effective_to.isoformat()
    return *values, candidate.origin, candidate.band, since, until


def _candidate(region: str, values: object) -> CandidateRate:
    """What `_candidate_values` wrote. Errors: ValueError for what it cannot have written."""
    match values:
        case [str(prefix), str(direction), str() | None as rate]:
            origin, band, since, until = "", "", EVER_SINCE, FOR_EVER
        case [str(prefix), str(direction), str() | None as rate, str(origin), str(band), *ends] if len(ends) == 2:
            since, until = _moment(ends[0], EVER_SINCE), _moment(ends[1], FOR_EVER)
        case _:
            raise ValueError("has not the shape of a candidate")
    if not prefix or not region.startswith(prefix):
        raise ValueError(f"the prefix {prefix} is not of the region {region}")
    parsed = None if rate is None else Rate.from_json(rate)
    return CandidateRate(prefix, origin, band, since, until, direction, rate is None, parsed)


def _moment(said: object, otherwise: datetime) -> datetime:
    return otherwise if said is None else datetime.fromisoformat(str(said)).replace(tzinfo=UTC)
