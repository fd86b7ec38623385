"""Bans: added, taken away, listed; known in memory to those who let in; and made by themselves for wrong keys.

Laws: a whitelisted address is banned by nothing; a ban counts from the next request on where it was made, on every
other engine as soon as it is announced, and is over when it says so; the same wrong key again counts once.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Final

import structlog

from rating_engine.domain.addresses import Network, is_in, network_of_host, parse_network
from rating_engine.domain.ban import ENGINE_SOURCE, WHITELIST, Ban, BanIndex
from rating_engine.domain.checks import check_name, check_text
from rating_engine.domain.errors import Hint, InvalidRequest, NotFound, Overloaded, Unavailable
from rating_engine.domain.page import Cursor, Page
from rating_engine.domain.principal import ENGINE, Principal
from rating_engine.services.parties.tries import Tries
from rating_engine.storage.audit_log import record
from rating_engine.storage.parties import bans as store
from rating_engine.storage.phones.exchanges import exchange_addresses
from rating_engine.storage.postgres.pool import Database

REREAD_SECONDS: Final = 60.0  # where changes are not announced, as on a cluster
APART_SECONDS: Final = 0.05  # between two readings: a thousand bans at once are read a few times
LONGEST: Final = timedelta(days=36_500)

_log = structlog.get_logger(__name__)


class Whitelisted(InvalidRequest):
    """The address is protected: it is not banned."""

    code = "whitelisted"


class Bans:
    """What one principal does with bans."""

    def __init__(self, database: Database, principal: Principal, book: BanBook) -> None:
        self._database = database
        self._principal = principal
        self._book = book

    async def add(
        self, target: str, *, source: str = ENGINE_SOURCE, reason: str = "", permanent: bool = False,
        lasts: timedelta | None = None,
    ) -> Ban:  # fmt: skip
        """Ban an address or a network, for ever or so long; with the source `whitelist`, protect it.

        Errors: Whitelisted, InvalidRequest naming the field, Unavailable.
        """
        network = parse_network(target, "target")
        check_name(source, "source")
        check_text(reason, "reason")
        if lasts is not None and not timedelta(0) < lasts <= LONGEST:
            raise InvalidRequest("lasts", "must be above zero, and a hundred years at the most")
        async with self._database.transaction(self._principal) as tx:
            if source != WHITELIST and await store.is_whitelisted(tx, network):
                raise Whitelisted("target", f"{network} is whitelisted")
            ban = await store.add_ban(tx, source, network, reason=reason, permanent=permanent, lasts=lasts)
            await record(tx, "ban.add", str(network), {"source": source, "reason": reason, "permanent": permanent})
        await self._book.read_again()
        return ban

    async def show(self, ban_id: int) -> Ban:
        """One of them, ended ones too. Errors: NotFound, Unavailable."""
        ban = await store.find_ban(self._database, ban_id)
        if ban is None:
            raise NotFound(f"there is no ban {ban_id}", field="id", hint=Hint.SEE_BANS)
        return ban

    async def page(self, cursor: Cursor, *, source: str | None = None, ended: bool = False) -> Page[Ban]:
        """Bans and protected addresses, the oldest first. Errors: InvalidRequest (after), Unavailable."""
        return await store.list_bans(self._database, source, ended, cursor)

    async def set_permanent(self, target: str, permanent: bool, *, source: str | None = None) -> None:
        """Whether flushing leaves it alone. Errors: InvalidRequest, NotFound, Unavailable."""
        network = parse_network(target, "target")
        async with self._database.transaction(self._principal) as tx:
            if not await store.set_permanent(tx, network, source, permanent):
                raise _not_banned(str(network))
            await record(tx, "ban.change", str(network), {"permanent": permanent})

    async def remove(self, target: str, *, source: str | None = None) -> int:
        """Take bans of this very address or network away; how many. Errors: InvalidRequest, NotFound, Unavailable."""
        network = parse_network(target, "target")
        async with self._database.transaction(self._principal) as tx:
            if not (removed := await store.remove_ban(tx, network, source)):
                raise _not_banned(str(network))
            await record(tx, "ban.remove", str(network), {"source": source})
        await self._book.read_again()
        return removed

    async def flush(self, *, source: str | None = None) -> int:
        """Take all away that are not permanent, but for protected addresses; how many. Errors: Unavailable."""
        async with self._database.transaction(self._principal) as tx:
            removed = await store.flush_bans(tx, source)
            await record(tx, "ban.flush", source or "all", {"removed": removed})
        await self._book.read_again()
        return removed


class BanBook:
    """The bans as this process knows them. Until they were read once, nobody is banned."""

    def __init__(
        self,
        database: Database,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        proxies: tuple[Network, ...] = (),
        exchanges: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """`proxies`: those that everybody comes by; a ban of one would shut out all. `exchanges`: addresses by
        names of exchanges, beside those of `exchange add`."""
        self._own_exchanges = exchanges
        self._exchanges: Mapping[str, str] = {}
        self._database = database
        self._proxies = proxies
        self._now = now
        self._index = BanIndex()
        self._known: tuple[Ban, ...] = ()
        self._readings = 0
        self._read_at = self._last_reading = -REREAD_SECONDS
        self._hits: Counter[int] = Counter()
        self._reading = asyncio.Lock()  # who reads last has read what was written last

    def changed(self) -> None:
        """One was added or taken away: read them anew at the next turn."""
        self._read_at = -REREAD_SECONDS

    async def read_again(self) -> None:
        """One was added or taken away here: know it at once. Where the database is away, the next turn does."""
        self.changed()
        with suppress(Unavailable, Overloaded):
            await self._read_changed()

    async def turn(self) -> None:
        """Read what changed, and write down who was refused. Errors: Unavailable, Overloaded."""
        await self._read_changed()
        if self._hits:
            hits, self._hits = self._hits, Counter()
            await store.count_hits(self._database, hits)

    async def _read_changed(self) -> None:
        async with self._reading:
            if time.monotonic() - self._read_at < REREAD_SECONDS:
                return
            await asyncio.sleep(self._last_reading + APART_SECONDS - time.monotonic())
            before, self._read_at = self._read_at, time.monotonic()
            self._last_reading = self._read_at
            try:
                self._known = tuple(await store.known_bans(self._database))
                self._exchanges = await exchange_addresses(self._database)
                self._index, self._readings = BanIndex(self._known), self._readings + 1
            except BaseException:
                self._read_at = before
                raise

    @property
    def known(self) -> tuple[int, tuple[Ban, ...]]:
        """How often they were read, and what was read last."""
        return self._readings, self._known

    def refuses(self, address: str) -> bool:
        """Whether an address is banned; counted."""
        if not self._index.bans_any:  # before the clock is asked: each connection asks, and nearly always nobody is
            return False
        ban = self._index.find(address, self._now())
        if ban is None or self._is_proxy(address):
            return False
        self._hits[ban.ban_id] += 1
        return True

    def refuses_exchange(self, exchange: str) -> bool:
        """Whether an exchange is banned, by its name in call keys: where that is an address, or by those it has."""
        if not self._known:
            return False
        known = (exchange, self._own_exchanges.get(exchange, ""), self._exchanges.get(exchange, ""))
        return any(self.refuses(address) for address in dict.fromkeys(known) if address)

    def protects(self, address: str) -> bool:
        """Whether nothing bans it by itself."""
        return self._index.is_protected(address, self._now()) or self._is_proxy(address)

    def _is_proxy(self, address: str) -> bool:
        return bool(self._proxies) and is_in(address, self._proxies)


class WrongKeys:
    """Bans an address by itself: after so many different wrong keys within a time."""

    def __init__(
        self, database: Database, book: BanBook, *, number: int, within_seconds: float, ban_seconds: int
    ) -> None:
        """`number` 0: never. `ban_seconds` 0: without end."""
        self._bans = Bans(database, ENGINE, book)
        self._book = book
        self._number = number
        self._lasts = timedelta(seconds=ban_seconds) if ban_seconds else None
        self._tries = Tries(within_seconds)

    async def heard(self, address: str | None, secret_hash: bytes) -> None:
        """A wrong key came from there, which may get its host banned."""
        host = None if address is None else network_of_host(address)
        if host is None or address is None or self._number == 0 or self._book.protects(address):
            return
        keys = self._tries.wrong(str(host), secret_hash)
        if keys < self._number:
            return
        try:
            await self._bans.add(str(host), reason=f"{keys} different wrong keys", lasts=self._lasts)
        except (Whitelisted, Unavailable, Overloaded) as error:
            _log.warning("ban_failed", address=str(host), problem=str(error))
            return
        self._tries.forget(str(host))
        _log.warning("address_banned", address=str(host), wrong_keys=keys)


def _not_banned(target: str) -> NotFound:
    return NotFound(f"{target} is not banned", field="target", hint=Hint.SEE_BANS)
