"""How often may who asks ask: each address, each key. What a surface hears is in how many seconds to come again.

Laws: a server key counts by itself and not for its address, so that two machines that know each other are not shut out
by a third behind the same router; a public key counts for both; who is refused costs no look-up, and no question to
Redis for a second. A key that asks much takes its leave by the dozen (`_Asker.size`), never more than a hundredth of
its limit, and never more than it used a second ago.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

import structlog

from rating_engine.domain.addresses import network_of_host
from rating_engine.domain.api_key import ApiKey, KeyKind

KNOWN_MAX: Final = 10_000  # askers that a process remembers; who asked longest ago is forgotten first
LEAVE_SECONDS: Final = 1.0  # how long leave that was taken by the dozen is good
REFUSED_SECONDS: Final = 1.0  # how long a refusal is given again without asking
SAID_EVERY_SECONDS: Final = 60.0  # a warning about one key; it may be refused a thousand times a second
LEAST_SHARE: Final = 100

_log = structlog.get_logger(__name__)


class Counters(Protocol):
    """See storage/parties/rate_counters."""

    async def take(self, name: str, limit: int, number: int = 1) -> float:
        """0.0, or in how many seconds there is room for one."""


@dataclass(frozen=True, slots=True)
class MostAMinute:
    """Requests a minute of one address, one client key, one server key that has no figure of its own. 0: any number."""

    address: int = 0
    client_key: int = 0
    server_key: int = 0


@dataclass(slots=True)
class _Asker:
    left: int = 0  # requests that it has leave for
    until: float = 0.0
    size: int = 1  # of the next leave
    refused_until: float = 0.0
    free_at: float = 0.0
    said_at: float = -SAID_EVERY_SECONDS
    asking: asyncio.Lock = field(default_factory=asyncio.Lock)  # one question at a time for one asker


class RequestLimits:
    """One a process."""

    def __init__(
        self,
        counters: Counters | None = None,
        most: MostAMinute = MostAMinute(),
        *,
        on_limited: Callable[[str], None] = lambda whose: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`counters` None: nobody is limited, as in a command. `on_limited`: told `address` or `key`."""
        self._counters = counters
        self._most = most
        self._on_limited = on_limited
        self._now = monotonic
        self._askers: OrderedDict[str, _Asker] = OrderedDict()

    async def of_address(self, address: str | None) -> int:
        """0: it may; else in how many seconds. Counted, of IPv6 for its /64."""
        host = None if address is None else network_of_host(address)
        return 0 if host is None else await self._ask("address", str(host), self._most.address)

    async def of_key(self, key: ApiKey) -> int:
        """The same of a key."""
        usual = self._most.server_key if key.kind is KeyKind.SERVER else self._most.client_key
        return await self._ask("key", key.name, usual if key.rate_limit is None else key.rate_limit)

    async def of_signer(self, owner: str) -> int:
        """The same of the secret that requests are signed with: as of a server key."""
        return await self._ask("key", f"secret of {owner}", self._most.server_key)

    async def _ask(self, kind: str, who: str, limit: int) -> int:
        if limit == 0 or self._counters is None:
            return 0
        name = f"{kind} {who}"
        asker = self._asker(name)
        known = self._known(asker)
        if known is None:
            async with asker.asking:
                known = self._known(asker)
                if known is None:
                    known = await self._count(self._counters, asker, name, limit)
        if known:
            self._on_limited(kind)
            if self._now() - asker.said_at >= SAID_EVERY_SECONDS:
                asker.said_at = self._now()
                _log.warning("requests_limited", **{kind: who}, limit=limit, seconds=known)
        return known

    def _known(self, asker: _Asker) -> int | None:
        """What can be said without asking; None: nothing."""
        now = self._now()
        if now < asker.refused_until:
            return max(1, math.ceil(asker.free_at - now))
        if asker.left and now < asker.until:
            asker.left -= 1
            return 0
        return None

    async def _count(self, counters: Counters, asker: _Asker, name: str, limit: int) -> int:
        now = self._now()
        was_used_up = asker.left == 0 and now < asker.until
        asker.size = max(1, min(asker.size * 2, limit // LEAST_SHARE)) if was_used_up else 1
        wait = await counters.take(name, limit, asker.size)
        if wait and asker.size > 1:
            asker.size = 1
            wait = await counters.take(name, limit)
        now = self._now()
        if not wait:
            asker.left, asker.until = asker.size - 1, now + LEAVE_SECONDS
            return 0
        asker.left = 0
        asker.free_at, asker.refused_until = now + wait, now + min(wait, REFUSED_SECONDS)
        return max(1, math.ceil(wait))

    def _asker(self, name: str) -> _Asker:
        asker = self._askers.get(name)
        if asker is None:
            asker = self._askers[name] = _Asker()
            if len(self._askers) > KNOWN_MAX:
                self._askers.popitem(last=False)
        self._askers.move_to_end(name)
        return asker
