"""The one place that wires everything: settings in, a running engine out."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from datetime import datetime
from ipaddress import ip_network
from typing import Any, Final

import structlog

from agi.fastagi.limits import Limits
from agi.fastagi.server import FastAgiServer
from rating_engine.api.app import build_app
from rating_engine.api.server import HttpServer
from rating_engine.domain.errors import Overloaded, Unavailable
from rating_engine.domain.outcomes import CallKey
from rating_engine.domain.tariff import Route
from rating_engine.domain.watching import ExpiryPolicy
from rating_engine.engine.calling import Calling, Doors, Grounds, wire_calls
from rating_engine.engine.doors import calls_door, office_door
from rating_engine.engine.exchanges import AriSetup
from rating_engine.engine.leading import UNSEEN_INTERVALS, WatchSetup
from rating_engine.engine.messaging import Messaging
from rating_engine.engine.services import make_services
from rating_engine.engine.surfaces import ban_file_of, behind_proxies, counters_of, limits_of, surfaces_of
from rating_engine.process.sockets import FASTAGI, HTTP, Listeners, open_listeners
from rating_engine.services.background import Periodic
from rating_engine.services.calls.conflicts import CONFLICTS_SECONDS
from rating_engine.services.calls.extend import LastingCalls
from rating_engine.services.calls.ports import ExchangeWatch
from rating_engine.services.calls.refused_calls import REFUSED_SECONDS
from rating_engine.services.clock import Clock, ClockKeeper
from rating_engine.services.facts.memory import CallMemory
from rating_engine.services.finance.card_calls import CardCalls
from rating_engine.services.finance.card_fees import CARDS_SECONDS, CardKeeper
from rating_engine.services.finance.card_sales import SaleKeeper
from rating_engine.services.finance.codes import CODES_SECONDS, CodeKeeper
from rating_engine.services.finance.transfers import TRANSFERS_SECONDS, TransferKeeper
from rating_engine.services.outage.offline_calls import REFRESH_SECONDS
from rating_engine.services.parties.bans import BanBook
from rating_engine.services.phones.secrets import SecretBox
from rating_engine.services.watch.expiry import Expiry
from rating_engine.services.watch.forced_callbacks import ForcedCallbacks
from rating_engine.settings.model import Settings
from rating_engine.settings.spool_directory import spool_directory
from rating_engine.storage.calls.ledger import Ledger
from rating_engine.storage.calls.shared_calls import SharedCalls
from rating_engine.storage.decks.rate_cache import RateCache
from rating_engine.storage.laws import open_reservations
from rating_engine.storage.postgres.announcements import Announcements
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.postgres.schema_watch import LOOK_SECONDS as SCHEMA_SECONDS
from rating_engine.storage.postgres.schema_watch import SchemaWatch
from rating_engine.storage.postgres.server_time import server_time
from rating_engine.storage.secrets import rate_cache_secret
from rating_engine.storage.spool.spool import Spool
from rating_engine.storage.spool.spool_survey import unusable
from rating_engine.storage.spool.unheard import UnheardFile
from rating_engine.telemetry.loop_lag import EventLoopLag
from rating_engine.telemetry.metrics import Metrics
from rating_engine.telemetry.watch_parts import WatchTotals

FIRST_LISTEN_SECONDS: Final = 2.0  # a start waits so long for announcements, then goes on without them
GAUGE_SECONDS: Final = 15.0  # as often as Prometheus usually scrapes
CLOCK_SECONDS: Final = 1.0  # of the heartbeat that keeps the database's time: one cheap statement each
UNDO_SECONDS: Final = 1.0  # how soon money is freed whose reservation's outcome was not known
SETTLE_SECONDS: Final = 1.5  # of a stop, beyond shutdown_seconds: what was cut may still be on its way to the database
CLOSE_SECONDS: Final = 2.0  # and beyond that; with the cutting itself less than the supervisor waits before it kills
BANS_SECONDS: Final = 1.0  # how soon a ban counts on every engine
COUNTERS_SECONDS: Final = 1.0  # how soon engines count requests together once Redis is back
LOG_SECONDS: Final = 1.0  # how soon lines that the log has lost are counted
SPOOL_SECONDS: Final = 1.0  # how soon spooled finishes are charged once the database is back

_log = structlog.get_logger(__name__)


class Engine:
    """One engine process: the services over PostgreSQL and Redis, and the servers in front of them."""

    def __init__(
        self,
        settings: Settings,
        listeners: Listeners | None = None,
        *,
        clock: Clock | None = None,
        is_watched: ExchangeWatch | None = None,
        shared_calls: SharedCalls | None = None,
        lines_lost: Callable[[], int] = lambda: 0,
    ) -> None:
        """`listeners` are served, and closed at the end; without, `start` opens those of the settings.

        `clock`: what time it is for money, set by the database's; a fresh one by default. `is_watched`: whether calls
        of an exchange can be lengthened; None: as the leading engine says. `shared_calls`: what this engine's
        worker processes remember together. `lines_lost`: how many lines the log has lost since it was asked last.
        """
        self._settings, self._listeners, self._lines_lost = settings, listeners, lines_lost
        self.metrics = Metrics()
        self.calls_door = calls_door(settings, self.metrics)
        self.office = office_door(settings, self.metrics)
        self.clock = clock or Clock()
        self._clock_keeper = ClockKeeper(
            self.clock, lambda: server_time(self.calls_door), on_skew=self.metrics.clock_skew
        )
        self.cache = _rate_cache(settings, self.calls_door, self.metrics)
        self.ledger = _ledger(settings, self.calls_door, self.metrics)
        self.memory = self._make_memory()
        self.announcements: Announcements = Announcements(
            settings.database_url, on_change=self._changed, on_lost=self._forget_all
        )
        self.spool = _spool(settings, self.metrics)
        self._unheard = UnheardFile(self.spool.directory)
        self.lasting = LastingCalls(
            self.ledger,
            quota_seconds=settings.quota_seconds,
            grace_seconds=settings.reservation_grace_seconds,
            observer=self.metrics,
        )
        self.rate_counters = counters_of(settings)
        limits = limits_of(settings, self.rate_counters, self.metrics)
        self._messaging = Messaging(settings, self.office, self.clock.now)
        # What every surface is given.
        self.services = make_services(settings, self.office, limits, self._messaging.carriers)
        self.services.access.line_owner = self._line_owner
        bans = self.services.access.bans
        self._ban_file = ban_file_of(settings, bans)
        self._ban_turns = Periodic("bans", BANS_SECONDS, bans.turn)
        totals = WatchTotals()
        self.watch = self._make_watch(bans, totals)
        self.ari = self._make_ari(totals)
        self.schema = SchemaWatch(self.office, is_up=lambda: self.office.down is None)
        calling = self._wire_calls(is_watched or self.watch.is_watched, shared_calls)
        self.charging, self.finishing, self.undo = calling.charging, calling.finishing, calling.undo
        self.finish_spool, self.offline = calling.finish_spool, calling.offline
        self._conflicts, self._refused = calling.conflicts, calling.refused
        self.fastagi: FastAgiServer | None = None
        self.http: HttpServer | None = None
        self._expiry = self._make_expiry()
        self._background = self._make_background()
        self._lag: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Connect to what is there, then listen. Raises OSError naming the port when one cannot be had.

        An absent PostgreSQL or Redis does not stop the start: calls are declined until PostgreSQL is there.
        """
        settings = self._settings
        listeners = self._listeners or open_listeners(settings.listeners)
        await asyncio.gather(self.calls_door.open(), self.office.open())
        with contextlib.suppress(Unavailable, Overloaded):  # without a database no call is priced either
            await self._clock_keeper.turn()
        if self.cache is not None:
            await self.cache.open()
        self.announcements.start()
        if self.calls_door.down is None:
            await self.announcements.wait_listening(FIRST_LISTEN_SECONDS)
        if problem := await asyncio.to_thread(unusable, self.spool.directory):
            _log.error("spool_unusable", problem=problem)  # calls that end while PostgreSQL is away would be lost
        for task in self._background:
            task.start()
        self.watch.start()
        self.ari.start(self.charging)
        self._lag = asyncio.create_task(EventLoopLag(self.metrics.event_loop_lag).run(), name="event-loop-lag")
        self.http = HttpServer(
            build_app(
                readiness=self,
                metrics=self.metrics,
                surfaces=surfaces_of(self.services, self.charging, settings, self.metrics),
                proxies=behind_proxies(settings, self.services),
            ),
            listeners[HTTP],
            max_connections=settings.http_max_connections,
            is_banned=self.services.access.bans.refuses,
        )
        await self.http.start()
        self.fastagi = FastAgiServer(
            self.charging,
            sock=listeners[FASTAGI],
            limits=Limits(
                connections=settings.fastagi_max_connections,
                request_seconds=settings.fastagi_request_timeout_seconds,
            ),
            allowed_networks=[ip_network(network) for network in settings.fastagi_allowed_networks],
            observer=self.metrics,
            is_banned=self.services.access.bans.refuses,
        )
        await self.fastagi.start()
        _log.info("engine_started", fastagi_port=self.fastagi.port, http_port=self.http.address[1])

    async def stop(self) -> None:
        """Stop accepting, let what runs finish for `shutdown_seconds`, say what was cut, close everything.

        That is one limit for all of it: SETTLE_SECONDS and CLOSE_SECONDS later this returns, whatever hangs.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._settings.shutdown_seconds
        cut = await self._drain(self._settings.shutdown_seconds)
        remaining = max(0.0, deadline - loop.time())
        for step, seconds in ((self._settle, remaining + SETTLE_SECONDS), (self._close, CLOSE_SECONDS)):
            try:
                async with asyncio.timeout(seconds):
                    await step()
            except TimeoutError:
                _log.warning("engine_stop_hurried", step=step.__name__.strip("_"), seconds=seconds)
        _log.info("engine_stopped", cut=cut)

    async def _drain(self, seconds: float) -> int:
        """No more connections on either port; how many requests were cut."""
        surfaces: list[Coroutine[Any, Any, int]] = []
        if self.fastagi is not None:
            surfaces.append(self.fastagi.drain(seconds))
        if self.http is not None:
            surfaces.append(self.http.stop(seconds))
        return sum(await asyncio.gather(*surfaces))

    async def _settle(self) -> None:
        """End the background's work, and what the ledger was asked for."""
        await self.ari.stop()
        await self.watch.stop()
        for task in self._background:
            await task.stop()
        if self._lag is not None:
            self._lag.cancel()
            await asyncio.wait([self._lag])  # awaited itself, its cancellation would hide our own
        await self.ledger.drain()  # what was cut is on its way, and cannot be given back before it is there
        await self.undo.turn()
        with contextlib.suppress(Unavailable, Overloaded):
            await self._conflicts.turn()
            await self._refused.turn()

    async def _close(self) -> None:
        await self.finish_spool.close()
        self._unheard.close()
        await self.announcements.stop()
        if self.cache is not None:
            await self.cache.close()
        await self.rate_counters.close()
        await asyncio.gather(self.calls_door.close(), self.office.close())

    async def readiness(self) -> dict[str, str | None]:
        """What calls need, and what is wrong with it (None: nothing). Redis is not needed: without, only slower."""
        return {
            "postgresql": self.calls_door.down,
            "schema": self.schema.problem,
            "announcements": None if self.announcements.listening else "not listening yet",
            "clock": self.clock.problem,
        }

    def exchanges(self) -> dict[str, str]:
        """Each seat at an exchange that is steered over ARI, with how it is; no reason not to be ready."""
        return self.ari.state()

    async def _correct_by_seen(self, bucket: int, call_key: CallKey, seconds: int, ended_at: datetime) -> bool:
        """The watch is made before what ends calls, which asks it who is watched."""
        return await self.finishing.correct_by_seen(bucket, call_key, seconds, ended_at)

    def _make_watch(self, bans: BanBook, totals: WatchTotals) -> WatchSetup:
        return WatchSetup(
            self._settings,
            self.calls_door,
            self.office,
            self.lasting,
            self.metrics,
            self.clock.now,
            self._correct_by_seen,
            bans,
            lambda: self.charging,
            totals,
            self._messaging.links,
        )

    def _make_ari(self, totals: WatchTotals) -> AriSetup:
        return AriSetup(
            self._settings,
            self.calls_door,
            self.office,
            self.lasting,
            self.metrics,
            totals,
            self.clock.now,
            self._correct_by_seen,
        )

    def _wire_calls(self, is_watched: ExchangeWatch, shared_calls: SharedCalls | None) -> Calling:
        doors = Doors(self.calls_door, self.office)
        return wire_calls(
            self._settings,
            Grounds(
                doors=doors,
                ledger=self.ledger,
                memory=self.memory,
                spool=self.spool,
                metrics=self.metrics,
                unheard=self._unheard,
                now=self.clock.now,
                is_watched=is_watched,
                is_banned=self.services.access.bans.refuses_exchange,
                call_back=ForcedCallbacks(self.office, lambda: self.charging).begin,
                cards=CardCalls(self.office, SecretBox(self._settings.secret_keys), self.clock.now),
                shared_calls=shared_calls,
            ),
        )

    async def _line_owner(self, login: str) -> int | None:
        """As calls know it: by the way of calls, and remembered as there."""
        subscriber = await self.memory.sources.subscriber(login)
        return None if subscriber is None else subscriber.party_id

    def _changed(self, kind: str, value: str) -> None:
        """Something was announced to have changed."""
        if kind == "bans":
            self.services.access.bans.changed()
            self._ban_turns.wake()
        else:
            self.memory.changed(kind, value)

    def _forget_all(self) -> None:
        """What was announced while nobody listened is not known."""
        self.services.access.bans.changed()
        self.memory.forget_all()

    async def _expire(self) -> None:
        """After the spool: an end that is known is charged before its call's money is freed."""
        if not self.finish_spool.is_behind:
            await self._expiry.turn()

    def _make_memory(self) -> CallMemory:
        settings = self._settings
        return CallMemory(
            self.calls_door,
            self.cache,
            default_route=Route(settings.default_route_name, settings.default_route_prefix, "", 1),
            international_prefix=settings.international_prefix,
            rate_entries=settings.rate_cache_entries,
            subscriber_entries=settings.subscriber_cache_entries,
            may_remember=lambda: self.announcements.listening,
            observe_lookup=self.metrics.rate_looked_up,
        )

    def _make_background(self) -> list[Periodic]:
        settings = self._settings
        return [
            Periodic("clock", CLOCK_SECONDS, self._clock_keeper.turn),
            Periodic("expiry", settings.expiry_interval_seconds, self._expire),
            Periodic("undo", UNDO_SECONDS, self.undo.turn),
            Periodic("gauges", GAUGE_SECONDS, self._measure),
            self._ban_turns,
            Periodic("ban-file", BANS_SECONDS, self._ban_file.turn),
            Periodic("rate-counters", COUNTERS_SECONDS, self.rate_counters.turn),
            Periodic("log", LOG_SECONDS, self._count_lines_lost),
            Periodic("schema", SCHEMA_SECONDS, self.schema.turn),
            Periodic("offline", REFRESH_SECONDS, self.offline.refresh),
            Periodic("spool", SPOOL_SECONDS, self.finish_spool.turn),
            Periodic("codes", CODES_SECONDS, CodeKeeper(self.office).turn),
            Periodic("cards", CARDS_SECONDS, CardKeeper(self.office, self.clock.now).turn),
            Periodic("card-sales", CARDS_SECONDS, SaleKeeper(self.office, SecretBox(settings.secret_keys)).turn),
            Periodic("transfers", TRANSFERS_SECONDS, TransferKeeper(self.office).turn),
            Periodic("conflicts", CONFLICTS_SECONDS, self._conflicts.turn),
            Periodic("refused", REFUSED_SECONDS, self._refused.turn),
            *self._messaging.background,
        ]

    async def _count_lines_lost(self) -> None:
        self.metrics.log_lines_dropped(self._lines_lost())

    def _make_expiry(self) -> Expiry:
        settings = self._settings
        return Expiry(
            self.ledger,
            self.office,
            self.lasting,
            observer=self.metrics,
            policy=ExpiryPolicy(settings.expiry_policy),
            buckets=settings.ledger_buckets,
            unseen_seconds=UNSEEN_INTERVALS * settings.reconcile_interval_seconds,
        )

    async def _measure(self) -> None:
        for door in (self.calls_door, self.office):
            self.metrics.database_used(door.door, door.in_use)
        self.metrics.open_reservations(await open_reservations(self.office))


def _spool(settings: Settings, metrics: Metrics) -> Spool:
    return Spool(
        spool_directory(settings.spool_dir, settings.database_url),
        max_bytes=settings.spool_max_bytes,
        on_state=metrics.spool_state,
        on_damage=metrics.spool_damaged,
    )


def _ledger(settings: Settings, database: Database, metrics: Metrics) -> Ledger:
    return Ledger(
        database,
        batch_max=settings.ledger_batch_max,
        queue_max=settings.ledger_queue_max,
        observe=metrics.batch,
    )


def _rate_cache(settings: Settings, database: Database, metrics: Metrics) -> RateCache | None:
    if not settings.redis_url:
        return None
    return RateCache(
        settings.redis_url,
        lambda: rate_cache_secret(database),
        timeout_seconds=settings.redis_timeout_ms / 1000,
        ttl_seconds=settings.rate_cache_ttl_seconds,
        on_state=metrics.redis_state,
        on_forged=metrics.redis_value_refused,
    )
