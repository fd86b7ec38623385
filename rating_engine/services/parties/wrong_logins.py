"""Bans of who guesses at an exchange: after so many logins that failed there, as its security events tell.

Laws: each failure counts, what is said of one try within a second once: a telephone with a wrong password tries once a
minute, a guesser many times a second. What the engine itself needs (its exchanges, this machine, trusted proxies,
whitelisted addresses) is never banned. The ban is the exchange's (its source), and says why.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from ipaddress import ip_address
from typing import Final

import structlog

from rating_engine.domain.addresses import network_of_host
from rating_engine.domain.errors import Overloaded, Unavailable
from rating_engine.domain.principal import ENGINE
from rating_engine.domain.watching import FailedLogin
from rating_engine.services.parties.bans import BanBook, Bans, Whitelisted
from rating_engine.services.parties.tries import Tries
from rating_engine.storage.postgres.pool import Database

WITHIN_SECONDS: Final = 600.0

_log = structlog.get_logger(__name__)


class WrongLogins:
    """One of the process that leads."""

    def __init__(
        self,
        database: Database,
        book: BanBook,
        *,
        number: int,
        ban_seconds: int,
        exchanges: frozenset[str] = frozenset(),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`number` 0: never. `ban_seconds` 0: without end. `exchanges`: addresses that are never banned by it."""
        self._bans = Bans(database, ENGINE, book)
        self._book = book
        self._number = number
        self._lasts = timedelta(seconds=ban_seconds) if ban_seconds else None
        self._exchanges = exchanges
        self._tries = Tries(WITHIN_SECONDS, monotonic=monotonic)
        self._now = monotonic

    async def heard(self, exchange: str, failed: FailedLogin) -> None:
        """A login failed, which may get its host banned. Errors of the database are logged: it is tried again."""
        host = network_of_host(failed.address)
        if host is None or self._number == 0 or self._is_ours(failed.address):
            return
        failures = self._tries.wrong(str(host), f"{failed.session} {int(self._now())}")
        if failures < self._number:
            return
        reason = f"{failures} failed logins ({failed.service} {failed.what}, last as {failed.account!r})"
        try:
            await self._bans.add(str(host), source=exchange, reason=reason, lasts=self._lasts)
        except (Whitelisted, Unavailable, Overloaded) as error:
            _log.warning("ban_failed", address=str(host), problem=str(error))
            return
        self._tries.forget(str(host))
        _log.warning("address_banned", address=str(host), exchange=exchange, failed_logins=failures, what=failed.what)

    def _is_ours(self, address: str) -> bool:
        return address in self._exchanges or ip_address(address) in _THIS_MACHINE or self._book.protects(address)


_THIS_MACHINE: Final = frozenset({ip_address("127.0.0.1"), ip_address("::1")})
