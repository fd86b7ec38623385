"""How often somebody asked lately: counted in Redis for all engines and workers, in memory while there is none.

Laws: a moving window, so that no second has the requests of two; the number of counters is bounded (in Redis each ends
by itself with its window, in memory the one used longest ago goes first); a Redis that is away or slow costs one
request its deadline, and the next ones nothing: until a probe has an answer each process counts for itself, from
nothing. Names of counters are hashes: what is in Redis names nobody and nothing that opens a door.

`limits` has the windows and the script for Redis. Its own memory is not used: at each request it goes through every
counter there is, with a thread for each (10,000 counters: seconds).
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any, Final

import redis.asyncio
import structlog
from limits import RateLimitItemPerSecond
from limits.aio.storage import MovingWindowSupport, RedisStorage, Storage
from limits.aio.strategies import MovingWindowRateLimiter
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

MEMORY_COUNTERS: Final = 10_000  # of a process; a kB each, and 100 bytes more for each request in its window
CONNECTIONS: Final = 4
CONNECT_SECONDS: Final = 1.0  # of the probe, for which nobody waits
PREFIX: Final = "asked1"

_log = structlog.get_logger(__name__)


class RateCounters:
    """Counters by name, each asked with its own limit."""

    def __init__(self, redis_url: str = "", *, timeout_seconds: float = 0.05, window_seconds: int = 60) -> None:
        """`redis_url` empty: each process counts for itself. `timeout_seconds`: of one question to Redis."""
        self._window = window_seconds
        self._timeout = timeout_seconds
        self._memory = MovingWindowRateLimiter(BoundedMemory())
        self._client: Any = None
        self._shared: MovingWindowRateLimiter | None = None
        self._is_down = not redis_url
        if redis_url:
            pool: Any = redis.asyncio.BlockingConnectionPool.from_url(
                redis_url, max_connections=CONNECTIONS, timeout=CONNECT_SECONDS, protocol=2,
                socket_connect_timeout=CONNECT_SECONDS, socket_timeout=CONNECT_SECONDS, retry=Retry(NoBackoff(), 0),
            )  # fmt: skip
            storage = RedisStorage(
                "async+redis://", implementation="redispy", key_prefix=PREFIX, connection_pool=pool
            )  # the pool knows the way: of the address alone it would not take every form that ours may have
            self._client = redis.asyncio.Redis(connection_pool=pool)
            self._shared = MovingWindowRateLimiter(storage)

    @property
    def is_shared(self) -> bool:
        """Whether all engines count together now."""
        return not self._is_down

    async def take(self, name: str, limit: int, number: int = 1) -> float:
        """Count `number` requests of `name`, at most `limit` in a window; 0.0: they are within it.

        Otherwise nothing is counted, and the answer is in how many seconds there is room for one again.
        """
        item, hashed = RateLimitItemPerSecond(limit, self._window), hashlib.sha256(name.encode()).hexdigest()
        if self._shared is not None and not self._is_down:
            try:
                async with asyncio.timeout(self._timeout):
                    return await _taken(self._shared, item, hashed, number)
            except Exception as error:  # whatever the driver makes of a sick server, who asks is answered without it
                self._is_down = True
                _log.warning("rate_counters_alone", error=str(error) or "no answer in time")
        return await _taken(self._memory, item, hashed, number)

    async def turn(self) -> None:
        """Look whether a Redis that was away is back; for the background, each second."""
        if self._client is None or not self._is_down:
            return
        with contextlib.suppress(Exception):  # whatever the driver says of a sick server: it is still away
            async with asyncio.timeout(CONNECT_SECONDS):
                await self._client.ping()
            self._is_down = False
            _log.info("rate_counters_shared")

    async def close(self) -> None:
        """Close the connections."""
        self._is_down = True
        if self._client is not None:
            with contextlib.suppress(Exception):  # nothing is asked of it any more
                await self._client.connection_pool.disconnect()


class BoundedMemory(Storage, MovingWindowSupport):
    """Moving windows of one process, for the strategies of `limits`."""

    STORAGE_SCHEME = None  # nobody finds it by an address

    def __init__(self, most: int = MEMORY_COUNTERS, *, now: Callable[[], float] = time.time) -> None:
        super().__init__(None)
        self._most = most
        self._now = now
        self._asked: OrderedDict[str, deque[float]] = OrderedDict()

    async def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Whether there was room for so many; they are counted then."""
        asked = self._recent(key, expiry)
        if len(asked) + amount > limit:
            return False
        asked.extend([self._now()] * amount)
        self._asked[key] = asked
        self._asked.move_to_end(key)
        if len(self._asked) > self._most:
            self._asked.popitem(last=False)
        return True

    async def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """When the oldest request of the window came, and how many there are."""
        asked = self._recent(key, expiry)
        return (asked[0], len(asked)) if asked else (self._now(), 0)

    def _recent(self, key: str, expiry: int) -> deque[float]:
        asked = self._asked.get(key) or deque()
        oldest = self._now() - expiry
        while asked and asked[0] < oldest:
            asked.popleft()
        return asked

    @property
    def base_exceptions(self) -> type[Exception] | tuple[type[Exception], ...]:
        """Nothing of it fails."""
        return ()

    async def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Windows that do not move are not kept."""
        raise TypeError("only moving windows")

    async def get(self, key: str) -> int:
        """How many requests are remembered of a counter."""
        return len(self._asked.get(key, ()))

    async def get_expiry(self, key: str) -> float:
        """When the newest of them came."""
        return self._asked[key][-1] if self._asked.get(key) else self._now()

    async def check(self) -> bool:
        """It is always there."""
        return True

    async def reset(self) -> int | None:
        """Forget every counter; how many there were."""
        number = len(self._asked)
        self._asked.clear()
        return number

    async def clear(self, key: str) -> None:
        """Forget a counter."""
        self._asked.pop(key, None)


async def _taken(limiter: MovingWindowRateLimiter, item: RateLimitItemPerSecond, name: str, number: int) -> float:
    if await limiter.hit(item, name, cost=number):
        return 0.0
    free_at, _ = await limiter.get_window_stats(item, name)
    return max(free_at - time.time(), 0.001)
