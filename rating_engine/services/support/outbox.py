"""The outbox: mail is queued in the transaction of what it tells of, and sent from there by the engine that leads.

Laws: what is queued is sent once, or its failure is kept with the reason; an engine that dies while it sends leaves a
mail that is sent again with the same Message-ID; a server that is away costs no attempts; nothing waits for ever.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final, Protocol

import structlog

from rating_engine.domain.mail import Mail
from rating_engine.domain.principal import ENGINE
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.support import outbox as store

BATCH: Final = 20  # in one turn; the rest in the next one, seconds later
LEASE: Final = timedelta(minutes=30)  # more than a batch takes where each mail takes its whole deadline
AWAY: Final = timedelta(minutes=1)  # until a server that was away is asked again
MAX_ATTEMPTS: Final = (
    10  # refused for now so often, each time after twice the minutes: for the last time after 17 hours
)
KEPT_QUEUED: Final = timedelta(days=7)  # a notice that is older is no news
KEPT_ENDED: Final = timedelta(days=30)  # so long it can be seen what became of one
PROBLEM_MAX: Final = 500  # characters kept of a server's words

_log = structlog.get_logger(__name__)


class MailRefused(Exception):
    """The server does not take this mail. `for_good`: it never will."""

    def __init__(self, problem: str, *, for_good: bool) -> None:
        super().__init__(problem)
        self.for_good = for_good


class MailServerAway(Exception):
    """No mail can be sent now: the server is not there, or does not let us in."""


class Mailer(Protocol):
    """What sends mail."""

    async def send(self, mail: Mail) -> None:
        """Hand one over. Errors: MailRefused, MailServerAway."""


class Outbox:
    """Sends what is queued."""

    def __init__(self, database: Database, mailer: Mailer) -> None:
        self._database = database
        self._mailer = mailer

    async def turn(self) -> int:
        """Send what is due; how many were sent. Errors: Unavailable."""
        sent = 0
        mails = await store.take_due(self._database, BATCH, LEASE)
        for place, mail in enumerate(mails):
            try:
                await self._mailer.send(mail)
            except MailServerAway as error:
                _log.warning("mail_server_away", problem=str(error)[:PROBLEM_MAX])
                for left in mails[place:]:
                    await store.put_off(self._database, left.mail_id, str(error)[:PROBLEM_MAX], AWAY, counts=False)
                break
            except MailRefused as error:
                await self._refused(mail, error)
            else:
                await store.note_sent(self._database, mail.mail_id)
                sent += 1
        return sent

    async def _refused(self, mail: Mail, error: MailRefused) -> None:
        problem = str(error)[:PROBLEM_MAX]
        if error.for_good or mail.attempts + 1 >= MAX_ATTEMPTS:
            await store.note_failed(self._database, mail.mail_id, problem)
            _log.warning("mail_failed", mail_id=mail.mail_id, problem=problem)
        else:
            after = timedelta(minutes=2**mail.attempts)
            await store.put_off(self._database, mail.mail_id, problem, after, counts=True)


async def sweep_mail(database: Database) -> int:
    """Give up what waits for too long, forget what ended long ago; how many. Errors: Unavailable."""
    async with database.transaction(ENGINE) as tx:
        given_up = await store.give_up(tx, KEPT_QUEUED)
        return given_up + await store.forget_ended(tx, KEPT_ENDED)
