"""What the one engine that leads does: follow the exchanges, lengthen their calls, and see that none is forgotten.

Law: nothing of this runs where this process does not lead; whoever leads next finds what it needs in the database and
in the exchanges.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Final, Protocol

import structlog

from rating_engine.domain.errors import RatingEngineError
from rating_engine.domain.watching import OpenReservation, SeenCall
from rating_engine.services.calls.extend import LastingCalls, LastingObserver
from rating_engine.services.calls.ports import Now, utc_now
from rating_engine.services.parties.wrong_logins import WrongLogins
from rating_engine.services.watch.callbacks import CallbackOrders
from rating_engine.services.watch.exchange_link import ExchangeLink, time_of
from rating_engine.services.watch.orders import carry_out
from rating_engine.services.watch.phone_watch import PhoneWatch
from rating_engine.services.watch.quota_calls import QuotaCalls, QuotaObserver
from rating_engine.services.watch.reconciliation import Reconciler
from rating_engine.services.watch.seen_ends import Correct, SeenEnds
from rating_engine.storage.calls.exchange_watch import say_watched
from rating_engine.storage.calls.open_calls import Sighting, note_seen, open_calls_of_channels
from rating_engine.storage.postgres.pool import Database

TURN_SECONDS: Final = 1.0  # money is granted by the second
POLL_SECONDS: Final = 0.2  # how soon a new connection is noticed, and its calls compared
HEARTBEAT_SECONDS: Final = 2.0
ORDERS_SECONDS: Final = 0.5  # who hangs up a call waits for it
WATCHED_SECONDS: Final = 8.0  # a watch whose word is older is over; a new leader is there in less
ANSWERS_KEPT: Final = 10_000  # answers not yet written down while the database is away; reconciliation finds the rest

_log = structlog.get_logger(__name__)


class WatchObserver(LastingObserver, QuotaObserver, Protocol):
    """Where the figures go (telemetry)."""

    def exchanges_watched(self, count: int) -> None:
        """So many exchanges are followed by this process."""

    def phones_registered(self, exchange: str, count: int) -> None:
        """So many phones are registered at an exchange that this process follows."""


class Watch:
    """The leader's work. `make_links`: fresh connections, made when this process comes to lead.

    What lengthens calls goes by `database`, the door of calls; comparing all of them by `office`: it may take longer.
    """

    def __init__(
        self,
        make_links: Callable[[], Sequence[ExchangeLink]],
        database: Database,
        office: Database,
        lasting: LastingCalls,
        *,
        observer: WatchObserver,
        buckets: int,
        interval_seconds: float,
        grace_seconds: float,
        warning_seconds: int = 0,
        now: Now = utc_now,
        correct: Correct | None = None,
        wrong_logins: WrongLogins | None = None,
        callbacks: CallbackOrders | None = None,
    ) -> None:
        """`correct`: puts right what a finish said against what was seen; None: nothing does. `wrong_logins`: is told
        who could not log in at an exchange. `callbacks`: begins them.
        """
        self._wrong_logins = wrong_logins
        self._callbacks = callbacks
        self._now = now
        self._correct = correct
        self._make_links = make_links
        self._database = database
        self._office = office
        self._lasting = lasting
        self._observer = observer
        self._buckets = buckets
        self._interval = interval_seconds
        self._grace = grace_seconds
        self._warning_seconds = warning_seconds

    async def run(self) -> None:
        """Watch until cancelled."""
        links = self._make_links()
        quota = QuotaCalls(self._lasting, observer=self._observer, warning_seconds=self._warning_seconds, now=self._now)
        compared: dict[str, int] = {}  # the session of each exchange whose calls have been compared
        try:
            async with asyncio.TaskGroup() as group:
                for link in links:
                    group.create_task(link.run(), name=f"exchange-{link.exchange}")
                    group.create_task(self._compare(link, quota, compared), name=f"reconciliation-{link.exchange}")
                    group.create_task(self._phones(link), name=f"phones-{link.exchange}")
                group.create_task(self._turns(links, quota), name="quota-turns")
                group.create_task(self._say(links, compared), name="watch-heartbeat")
                group.create_task(self._orders(links), name="exchange-orders")
                if self._callbacks is not None:
                    group.create_task(self._call_back(links, self._callbacks), name="callbacks")
                if self._wrong_logins is not None:
                    group.create_task(self._logins(links, self._wrong_logins), name="failed-logins")
                if self._correct is not None:
                    for link in links:
                        group.create_task(self._ends(link, self._correct), name=f"ends-{link.exchange}")
        finally:
            await quota.close()
            if self._callbacks is not None:
                await self._callbacks.close()
            self._observer.exchanges_watched(0)
            for link in links:
                self._observer.phones_registered(link.exchange, 0)

    async def _compare(self, link: ExchangeLink, quota: QuotaCalls, compared: dict[str, int]) -> None:
        """Compare at each new connection, every interval, and soon again while something is undecided."""
        observer, grace = self._observer, self._grace
        reconciler = Reconciler(
            link, self._office, self._lasting, observer=observer, grace_seconds=grace, now=self._now
        )
        due = 0.0
        while True:
            await asyncio.sleep(POLL_SECONDS)
            session = link.session
            if not session or (time.monotonic() < due and compared.get(link.exchange) == session):
                continue
            try:
                live = await reconciler.turn()
            except RatingEngineError as error:  # tried again at the next poll
                _log.debug("reconciliation_put_off", exchange=link.exchange, error=str(error))
            except Exception:
                _log.exception("reconciliation_failed", exchange=link.exchange)
                due = time.monotonic() + self._interval
            else:
                for call, seen in live:
                    if call.steered and link.steers(seen.uniqueid):
                        quota.adopt(call, seen, link, fresh=False)
                compared[link.exchange] = session
                due = time.monotonic() + (min(self._grace, self._interval) if reconciler.undecided else self._interval)

    async def _turns(self, links: Sequence[ExchangeLink], quota: QuotaCalls) -> None:
        waiting: dict[str, list[SeenCall]] = {link.exchange: [] for link in links}
        while True:
            started = time.monotonic()
            for link in links:
                waiting[link.exchange] = (waiting[link.exchange] + link.take_answers())[-ANSWERS_KEPT:]
                await self._guarded(self._note_answers, link, waiting[link.exchange], quota)
            await self._guarded(quota.turn)
            await asyncio.sleep(max(0.0, started + TURN_SECONDS - time.monotonic()))

    async def _orders(self, links: Sequence[ExchangeLink]) -> None:
        """Apart from the turns: an exchange that does not answer must not hold up who is lengthened there."""
        while True:
            await asyncio.sleep(ORDERS_SECONDS)
            await self._guarded(carry_out, self._office, links)

    async def _call_back(self, links: Sequence[ExchangeLink], callbacks: CallbackOrders) -> None:
        while True:
            await asyncio.sleep(ORDERS_SECONDS)
            await self._guarded(callbacks.turn, links)

    async def _logins(self, links: Sequence[ExchangeLink], wrong_logins: WrongLogins) -> None:
        while True:
            await asyncio.sleep(TURN_SECONDS)
            for link in links:
                for failed in link.take_failed_logins():
                    await self._guarded(wrong_logins.heard, link.exchange, failed)

    async def _phones(self, link: ExchangeLink) -> None:
        phones = PhoneWatch(link, self._office, partial(self._observer.phones_registered, link.exchange))
        while True:
            await self._guarded(phones.turn)
            await asyncio.sleep(TURN_SECONDS)

    async def _ends(self, link: ExchangeLink, correct: Correct) -> None:
        """By the office door: what is put right can wait, calls cannot."""
        ends = SeenEnds(link, self._office, correct, buckets=self._buckets, now=self._now)
        while True:
            await asyncio.sleep(TURN_SECONDS)
            await self._guarded(ends.turn)

    async def _note_answers(self, link: ExchangeLink, answers: list[SeenCall], quota: QuotaCalls) -> None:
        """Write down who was answered, and take care of those that can be lengthened."""
        if not answers:
            return
        views = {view.uniqueid: view for view in answers}
        calls = await open_calls_of_channels(self._database, link.exchange, list(views), buckets=self._buckets)
        latest: dict[str, OpenReservation] = {}
        for call in calls:
            known = latest.get(call.call_key.uniqueid)
            if known is None or known.call_key.attempt < call.call_key.attempt:
                latest[call.call_key.uniqueid] = call
        sightings = []
        for uniqueid, call in latest.items():
            view = views[uniqueid]
            if view.answered_at is None:
                continue
            answered_at = time_of(view.answered_at, self._now)
            sightings.append(Sighting(call.bucket, call.call_key, answered_at, answered_at))
            if call.steered:
                quota.adopt(replace(call, answered_at=answered_at), view, link, fresh=True)
        noted = await note_seen(self._database, sightings)
        missed = {sighting.call_key.uniqueid for sighting in sightings if sighting.call_key not in noted}
        answers[:] = [view for view in answers if view.uniqueid in missed]  # a row in use: at the next turn

    async def _say(self, links: Sequence[ExchangeLink], compared: dict[str, int]) -> None:
        """Say which exchanges are watched: connected, and their calls compared since."""
        said: set[str] = set()
        due = 0.0
        while True:
            up = {link.exchange for link in links if link.session and compared.get(link.exchange) == link.session}
            if up != said or time.monotonic() >= due:
                self._observer.exchanges_watched(len(up))
                if await self._guarded(self._say_now, up, said - up):
                    said, due = up, time.monotonic() + HEARTBEAT_SECONDS
            await asyncio.sleep(POLL_SECONDS)

    async def _say_now(self, up: set[str], lost: set[str]) -> None:
        for exchange in lost:
            _log.warning("exchange_unwatched", exchange=exchange)
        await say_watched(self._database, list(lost), 0.0)
        await say_watched(self._database, list(up), WATCHED_SECONDS)

    @staticmethod
    async def _guarded(work: Callable[..., object], *args: object) -> bool:
        """Run one step; a dependency that is away is tried again at the next turn, a fault is logged."""
        try:
            await work(*args)  # type: ignore[misc]
        except RatingEngineError as error:
            _log.debug("watch_step_put_off", step=getattr(work, "__name__", ""), error=str(error))
            return False
        except Exception:
            _log.exception("watch_step_failed", step=getattr(work, "__name__", ""))
            return False
        return True
