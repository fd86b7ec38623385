"""Which phones are registered at an exchange, kept as it says it.

Laws: at each new connection, and again and again, the whole list is read, so nothing rests on an event that was missed;
in between its events count at once. Where the list cannot be read, nobody's state is known, and nothing is guessed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import structlog

from rating_engine.domain.errors import Unavailable
from rating_engine.services.watch.exchange_link import ExchangeLink
from rating_engine.storage.phones.phone_states import keep_phones, note_phones
from rating_engine.storage.postgres.pool import Database

READ_SECONDS: Final = 60.0  # a registration that goes on has no event: this is how late its moment is known
SOON_SECONDS: Final = 1.0  # after a telephone registered anew: the list alone says what it is
SECONDS_A_PHONE: Final = 0.01  # a long list is read more seldom: a hundredth of a processor at the most

_log = structlog.get_logger(__name__)


class PhoneWatch:
    """The phones of one exchange. `registered`: is told how many are."""

    def __init__(self, link: ExchangeLink, office: Database, registered: Callable[[int], None]) -> None:
        self._link = link
        self._office = office
        self._registered = registered
        self._session = 0
        self._said = 0  # the session of which was said that its phones cannot be listed
        self._due = 0.0
        self._online: set[str] = set()

    async def turn(self) -> None:
        """Read the list, or what has changed since. Errors: Unavailable, and then the list is read next."""
        session = self._link.session
        if not session:
            self._count(set())
            return
        if session != self._session or time.monotonic() >= self._due:
            await self._read(session)
            return
        changes = self._link.take_phones()
        if not changes:
            return
        self._session = 0  # until it is kept
        await note_phones(self._office, self._link.exchange, changes)
        self._session = session
        there = {phone.login for phone in changes if phone.online}
        self._count(self._online - {phone.login for phone in changes} | there)
        if any(phone.online and phone.expires_at is None for phone in changes):
            soon = max(SOON_SECONDS, SECONDS_A_PHONE * len(self._online))
            self._due = min(self._due, time.monotonic() + soon)

    async def _read(self, session: int) -> None:
        self._session, self._due = session, time.monotonic() + READ_SECONDS  # where it fails, not each second again
        try:
            phones = await self._link.list_phones()
        except Unavailable as error:
            if self._said != session:
                _log.warning("phones_not_listed", exchange=self._link.exchange, error=str(error))
            self._said = session
            raise
        self._session = 0
        await keep_phones(self._office, self._link.exchange, phones)
        self._session = session
        self._count({phone.login for phone in phones if phone.online})
        self._due = time.monotonic() + max(READ_SECONDS, SECONDS_A_PHONE * len(phones))

    def _count(self, online: set[str]) -> None:
        self._online = online
        self._registered(len(online))
