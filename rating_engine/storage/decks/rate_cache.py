"""Answers of rate decks kept in Redis, for every engine process to share.

An answer is every row of the deck that may price a call to a number, whenever it is made and by whom: as the deck never
changes, neither does it.

Laws: Redis is for speed alone. Down, slow, flushed, full of garbage or in somebody else's hands, it makes a lookup
slower and never wrong: a key carries the deck it belongs to, a value is sealed for its key with a secret of the
database (storage/decks/seal) and repeats it, and whatever doesn't read back exactly counts as not there. Without the
secret nothing is asked and nothing written. A Redis that is down costs a call nothing: after a failure nobody asks it,
until one background probe has an answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import redis.asyncio
import structlog
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from rating_engine.domain.errors import Unavailable
from rating_engine.domain.tariff import PublishedDeck
from rating_engine.storage.decks.cached_answer import CachedAnswer, parse, render
from rating_engine.storage.decks.seal import Seal

TIMEOUT_SECONDS: Final = 0.02  # far above a healthy answer (under 1 ms), far below what PostgreSQL would take loaded
CONNECT_TIMEOUT_SECONDS: Final = 1.0  # for the probe, and nobody waits for it
TTL_SECONDS: Final = 6 * 3600  # only so that what belongs to replaced decks leaves; nothing goes stale
PROBE_INTERVAL_SECONDS: Final = 0.25  # how soon a Redis that is back is used again; one PING each
MAX_TIMEOUTS: Final = 3  # in a row; a single late answer is more often this process's own pause than Redis's
MAX_BATCH: Final = 64  # lookups and writes in one round trip; bounds how long one answer can hold up the next
MAX_PENDING_WRITES: Final = 1_000  # beyond this the oldest are not written: they are looked up again, no more
MAX_VALUE_BYTES: Final = 64 * 1024  # of one answer, which has some hundreds; a longer one is not shared, nor ours
SAID_EVERY_SECONDS: Final = 60.0  # a warning about values that are not ours; whoever writes them may write many
KEY_FORM: Final = "rate2"  # of a key and what stands under it: engines of another form never meet it

Reply = bytes | Exception | None

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Lookup:
    keys: list[bytes]
    answer: asyncio.Future[Sequence[Reply]]


class RateCache:
    """Redis behind a deadline and a circuit breaker. What is asked while a round trip runs goes with the next one."""

    def __init__(
        self,
        redis_url: str,
        read_secret: Callable[[], Awaitable[bytes | None]],
        *,
        timeout_seconds: float = TIMEOUT_SECONDS,
        connect_timeout_seconds: float = CONNECT_TIMEOUT_SECONDS,
        ttl_seconds: int = TTL_SECONDS,
        on_state: Callable[[bool], None] = lambda up: None,
        on_forged: Callable[[], None] = lambda: None,
    ) -> None:
        """`read_secret`: see storage/secrets. `on_forged`: told of each value that no engine of this database made."""
        self._client: Any = redis.asyncio.Redis.from_url(  # Any: the driver types its replies per command, loosely
            redis_url,
            max_connections=2,  # one for round trips, one for the probe
            protocol=2,  # values are all that is asked for; no greeting more at each connection
            socket_connect_timeout=connect_timeout_seconds,
            socket_timeout=connect_timeout_seconds,
            retry=Retry(NoBackoff(), 0),
            health_check_interval=0,
        )
        self._read_secret = read_secret
        self._timeout = timeout_seconds
        self._connect_timeout = connect_timeout_seconds
        self._ttl = ttl_seconds
        self._on_state = on_state
        self._on_forged = on_forged
        self._lookups: deque[_Lookup] = deque()
        self._writes: deque[tuple[bytes, bytes]] = deque(maxlen=MAX_PENDING_WRITES)
        self._courier: asyncio.Task[None] | None = None
        self._probe: asyncio.Task[None] | None = None
        self._down: str | None = "not connected yet"
        self._timeouts = 0
        self._seal: Seal | None = None
        self._secret_is_old = True
        self._secret_load: asyncio.Task[None] | None = None
        self._forged = 0  # since it was last said
        self._forged_said_at = -SAID_EVERY_SECONDS

    async def open(self) -> None:
        """Connect if Redis is there; if not, go on without and keep probing. Never fails."""
        await self._load_secret()
        try:
            async with asyncio.timeout(self._connect_timeout):
                await self._client.ping()
        except Exception as error:
            self._mark_down(error)
        else:
            self._mark_up()

    async def close(self) -> None:
        """Stop the background tasks and close the connection; what was not written yet is dropped."""
        self._down = "closed"
        for task in (self._courier, self._probe, self._secret_load):
            if task is not None:
                task.cancel()
                await asyncio.wait([task])  # awaited itself, its cancellation would hide our own
        for lookup in self._lookups:
            _answer(lookup, ())
        with contextlib.suppress(Exception):  # the driver of a sick server: nothing is asked of it any more
            await self._client.aclose()

    def forget_secret(self) -> None:
        """The secret may have been changed: read it anew. Until it is read, the one known counts."""
        self._secret_is_old = True

    @property
    def down(self) -> str | None:
        """Why Redis is not used right now, or None."""
        return self._down

    async def find(self, deck: PublishedDeck, regions: Sequence[str]) -> CachedAnswer | None:
        """The answer kept under one of `regions`, by one round trip; None when there is none or Redis cannot say."""
        if self._secret_is_old:
            self._load_secret_soon()
        if self._down is not None or self._seal is None:
            return None
        keys = [_key(deck, region) for region in regions]
        lookup = _Lookup(keys, asyncio.get_running_loop().create_future())
        self._lookups.append(lookup)
        self._dispatch()
        for region, key, value in zip(regions, keys, await lookup.answer, strict=False):
            if isinstance(value, bytes) and value and (kept := self._opened(deck, region, key, value)) is not None:
                return kept
        return None

    def keep(self, deck: PublishedDeck, answer: CachedAnswer) -> None:
        """Write an answer soon, in the background; dropped while Redis is down.

        A row that this engine can make no rate of is not passed on: a newer one may.
        """
        if self._down is not None or self._seal is None:
            return
        if all(each.blocked or each.rate is not None for each in answer.candidates):
            key = _key(deck, answer.region)
            value = self._seal.sealed(key, render(deck, answer))
            if len(value) <= MAX_VALUE_BYTES:
                self._writes.append((key, value))
                self._dispatch()

    def _opened(self, deck: PublishedDeck, region: str, key: bytes, value: bytes) -> CachedAnswer | None:
        """The answer that a value holds; None where it is not one that we can have written."""
        assert self._seal is not None
        text = self._seal.opened(key, value) if len(value) <= MAX_VALUE_BYTES else None
        if text is None:
            self._count_forged(key)
            return None
        return parse(deck, region, text)

    def _count_forged(self, key: bytes) -> None:
        self._on_forged()
        self._forged += 1
        now = time.monotonic()
        if now - self._forged_said_at >= SAID_EVERY_SECONDS:
            _log.warning("redis_value_not_ours", key=key.decode(), count=self._forged)
            self._forged, self._forged_said_at = 0, now

    def _load_secret_soon(self) -> None:
        if self._secret_load is None or self._secret_load.done():
            self._secret_load = asyncio.create_task(self._load_secret(), name="rate-cache-secret")

    async def _load_secret(self) -> None:
        """Read the secret; where that cannot be done now, the one known stays, and the next lookup tries again."""
        self._secret_is_old = False  # before it is read: one that is changed meanwhile is read again
        try:
            secret = await self._read_secret()
        except Unavailable:
            self._secret_is_old = True
            return
        if secret is None:
            _log.warning("rate_cache_secret_missing")  # Redis is not used; the doctor says what to do
        self._seal = None if secret is None else Seal(secret)

    def _dispatch(self) -> None:
        if self._courier is None or self._courier.done():
            self._courier = asyncio.create_task(self._carry(), name="redis-courier")

    async def _carry(self) -> None:
        """Round trips one after the other until nothing waits."""
        while self._lookups or self._writes:
            lookups = [self._lookups.popleft() for _ in range(min(MAX_BATCH, len(self._lookups)))]
            writes = [self._writes.popleft() for _ in range(min(MAX_BATCH, len(self._writes)))]
            replies: list[Reply] = []
            try:
                replies = await self._exchange(lookups, writes)
            finally:  # whatever happens here, nobody waits for ever
                begin = 0
                for lookup in lookups:
                    end = begin + len(lookup.keys)
                    _answer(lookup, replies[begin:end])
                    begin = end

    async def _exchange(self, lookups: list[_Lookup], writes: list[tuple[bytes, bytes]]) -> list[Reply]:
        """One round trip. The replies to every key of every lookup in order; nothing when Redis failed."""
        if self._down is not None:
            return []
        pipeline = self._client.pipeline(transaction=False)
        asked = 0
        for lookup in lookups:
            for key in lookup.keys:
                pipeline.getrange(key, 0, MAX_VALUE_BYTES)  # and not MGET: the server itself cuts an endless value
                asked += 1
        for key, value in writes:
            pipeline.set(key, value, ex=self._ttl)
        try:
            async with asyncio.timeout(self._timeout):  # for all of it, however slowly it drips or long it goes on
                replies: list[Reply] = await pipeline.execute(raise_on_error=False)
        except Exception as error:  # whatever the driver makes of a sick server, a call goes on without Redis
            self._failed(error)
            return []
        for reply in replies[:asked]:
            if isinstance(reply, RedisError) and not _is_of_the_key(reply):
                self._failed(reply)
                return []
        self._timeouts = 0
        return replies[:asked]

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
                async with asyncio.timeout(self._connect_timeout):
                    await self._client.ping()
            except Exception as error:
                self._down = str(error) or "no answer in time"
                await asyncio.sleep(PROBE_INTERVAL_SECONDS)
            else:
                self._mark_up()
                return


def _answer(lookup: _Lookup, replies: Sequence[Reply]) -> None:
    if not lookup.answer.done():  # its caller may have gone
        lookup.answer.set_result(replies)


def _is_of_the_key(error: Exception) -> bool:
    """Whether the key holds another kind of value: nothing is wrong with the server."""
    return isinstance(error, ResponseError) and str(error).startswith("WRONGTYPE")


def _key(deck: PublishedDeck, region: str) -> bytes:
    return f"{KEY_FORM}:{{{deck.key}}}:{region}".encode()
