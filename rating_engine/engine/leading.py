"""What one engine of all does, wired from the settings: it measures routes and shares their limits out among buckets,
watches exchanges over AMI, takes rents and recurring fees, sends mail, and forgets what is old.

Without `ami_exchanges` there is no watch.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final

from agi.ami.address import parse_address
from agi.ami.link import links_to
from rating_engine.adapters.smtp import Smtp
from rating_engine.adapters.webhook_http import WebhookPoster
from rating_engine.domain.principal import ENGINE
from rating_engine.engine.services import upkeep_of
from rating_engine.services.background import Periodic
from rating_engine.services.calls.extend import LastingCalls
from rating_engine.services.calls.ports import Now
from rating_engine.services.maintenance import (
    BALANCES,
    MONITORINGS,
    RECORDINGS,
    RENTS,
    SUBSCRIPTIONS,
    Maintenance,
    steps_of,
)
from rating_engine.services.parties.bans import BanBook
from rating_engine.services.parties.wrong_logins import WrongLogins
from rating_engine.services.phones.secrets import SecretBox
from rating_engine.services.routes.quality import QualityMeter
from rating_engine.services.support.outbox import Outbox
from rating_engine.services.watch.callbacks import CallbackOrders, CallCharging
from rating_engine.services.watch.seen_ends import Correct
from rating_engine.services.watch.watched_exchanges import REFRESH_SECONDS, WatchedExchanges
from rating_engine.services.watch.watching import Watch
from rating_engine.services.webhooks.delivering import WebhookDelivery
from rating_engine.settings.model import Settings
from rating_engine.storage.calls.exchange_watch import read_watched
from rating_engine.storage.postgres.leadership import Leadership
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.routes.route_leases import SHARE_SECONDS, TURNS, share_routes
from rating_engine.storage.support.mail_list import count_mails
from rating_engine.telemetry.metrics import Metrics
from rating_engine.telemetry.watch_parts import WatchPart, WatchTotals

MAIL_COUNT_SECONDS: Final = 30.0  # a metric is read about as often
MAIL_SECONDS: Final = 2.0  # how soon a notice goes out
EACH_MINUTE: Final = (RENTS, SUBSCRIPTIONS, RECORDINGS, BALANCES, MONITORINGS)
RENT_SECONDS: Final = 60.0  # an order that lost who began it is ended so soon, and who tops up has his number back
MAINTENANCE_SECONDS: Final = 3_600.0  # what it forgets is kept for a week: an hour more is no matter
WEBHOOK_SECONDS: Final = 2.0  # how soon what happened is told
UNSEEN_INTERVALS: Final = 3  # comparisons that a living call may be missed in before its expiry counts


class WatchSetup:
    """This process's part in it: it may come to lead, and knows which exchanges are watched by whoever does."""

    def __init__(
        self,
        settings: Settings,
        calls_door: Database,
        office: Database,
        lasting: LastingCalls,
        metrics: Metrics,
        now: Now,
        correct: Correct,
        bans: BanBook,
        charging: Callable[[], CallCharging],
        totals: WatchTotals,
        links: Sequence[Callable[[], Coroutine[Any, Any, None]]] = (),
    ) -> None:
        """What is said of exchanges and of answers goes by `calls_door`, since calls are lengthened by it.

        `now`: by the database's clock. `correct`: as Watch has it. `charging`: what holds the money of callbacks, made
        after this. `totals`: what all watches of this process say. `links`: connections that one engine alone has.
        """
        self._links = links
        addresses = [parse_address(text) for text in settings.ami_exchanges]
        self._watch = Watch(
            links_to(addresses, warning_sound=settings.ami_warning_sound),
            calls_door,
            office,
            lasting,
            observer=WatchPart(metrics, totals, "ami"),
            buckets=settings.ledger_buckets,
            interval_seconds=settings.reconcile_interval_seconds,
            grace_seconds=settings.reconcile_grace_seconds,
            warning_seconds=settings.ami_warning_seconds,
            now=now,
            correct=correct,
            callbacks=CallbackOrders(office, charging),
            wrong_logins=WrongLogins(
                office,
                bans,
                number=settings.ban_failed_logins,
                ban_seconds=settings.ban_seconds,
                exchanges=frozenset(address.host for address in addresses),
            ),
        )
        self._quality = QualityMeter(
            office,
            window_seconds=settings.route_quality_window_seconds,
            interval_seconds=settings.route_quality_interval_seconds,
        )
        self._mail = _mail(settings, office)
        self._webhooks = _webhooks(settings, office)
        self._leases = _leases(office)
        maintenance = Maintenance(office, ENGINE, steps_of(office, now, upkeep_of(settings)))
        self._maintenance = Periodic("maintenance", MAINTENANCE_SECONDS, maintenance.run)
        self._rents = Periodic("rents", RENT_SECONDS, lambda: maintenance.run(*EACH_MINUTE))
        self._mail_counts = Periodic("mail-counts", MAIL_COUNT_SECONDS, lambda: _count_mail(office, metrics))
        self._watches = bool(addresses)
        self._is_asked = self._watches or bool(settings.ari_exchanges)
        self._watched = WatchedExchanges(lambda: read_watched(calls_door))
        self._refresh = Periodic("watched-exchanges", REFRESH_SECONDS, self._watched.refresh)
        self._leadership = Leadership(settings.database_url, self._lead, on_change=metrics.leading)

    def is_watched(self, exchange: str) -> bool:
        """Whether calls of this exchange can be lengthened now."""
        return self._watched.is_watched(exchange)

    def start(self) -> None:
        """Stand for leader, and read who is watched."""
        if self._is_asked:
            self._refresh.start()
        self._leadership.start()

    async def stop(self) -> None:
        """Let another process lead."""
        await self._leadership.stop()
        if self._is_asked:
            await self._refresh.stop()

    async def _lead(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._quality.run(), name="route-quality")
            group.create_task(self._maintenance.run(), name="maintenance")
            group.create_task(self._leases.run(), name="route-leases")
            if self._mail is not None:
                group.create_task(self._mail.run(), name="mail")
            group.create_task(self._rents.run(), name="rents")
            group.create_task(self._mail_counts.run(), name="mail-counts")
            group.create_task(self._webhooks.run(), name="webhooks")
            for link in self._links:
                group.create_task(link(), name="link")
            if self._watches:
                group.create_task(self._watch.run(), name="watch")


def _leases(office: Database) -> Periodic:
    turns = itertools.count()
    return Periodic("route-leases", SHARE_SECONDS, lambda: share_routes(office, next(turns) // TURNS))


def _webhooks(settings: Settings, office: Database) -> Periodic:
    poster = WebhookPoster(settings.webhook_private_hosts)
    delivery = WebhookDelivery(office, SecretBox(settings.secret_keys), poster)
    return Periodic("webhooks", WEBHOOK_SECONDS, delivery.turn)


async def _count_mail(office: Database, metrics: Metrics) -> None:
    metrics.mail(*await count_mails(office))


def _mail(settings: Settings, office: Database) -> Periodic | None:
    """None: there is no server, and mail waits."""
    if not settings.smtp_url:
        return None
    mailer = Smtp(settings.smtp_url, sender=settings.mail_from, timeout_seconds=settings.mail_timeout_seconds)
    return Periodic("mail", MAIL_SECONDS, Outbox(office, mailer).turn)
