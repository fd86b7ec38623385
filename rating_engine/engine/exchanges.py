"""Exchanges that are steered over ARI, wired: each seat is taken by one engine of all, which holds its calls and
watches them as the leader watches exchanges over AMI.

Law: a seat is held by a lock of PostgreSQL of its own, so the failure of one exchange touches nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import MappingProxyType

from agi.ari.address import AriAddress, parse_address
from agi.ari.call import CallRules
from agi.ari.link import AriLink
from rating_engine.domain.outcomes import CallKey
from rating_engine.services.calls.extend import LastingCalls, paid_for
from rating_engine.services.calls.ports import ChargingService, Now
from rating_engine.services.watch.callbacks import CallbackOrders
from rating_engine.services.watch.seen_ends import Correct
from rating_engine.services.watch.watching import Watch
from rating_engine.settings.model import Settings
from rating_engine.storage.calls.open_calls import open_calls_of
from rating_engine.storage.postgres.leadership import Leadership, seat_lock
from rating_engine.storage.postgres.pool import Database
from rating_engine.telemetry.metrics import Metrics
from rating_engine.telemetry.watch_parts import WatchPart, WatchTotals


def rules_of(settings: Settings) -> CallRules:
    """How calls are put through, by the settings."""
    return CallRules(
        technology=settings.ari_technology,
        attempts=settings.ari_attempts,
        ring_seconds=settings.ari_ring_seconds,
        silence_seconds=settings.ari_silence_seconds,
        tolerance_ms=settings.ari_tolerance_ms,
        early_media=settings.ari_early_media,
        transfers=settings.ari_transfers,
        low_balance=settings.ari_low_balance_sound,
        announcements=MappingProxyType(dict(text.split("=", 1) for text in settings.ari_announcements)),
    )


class AriSetup:
    """This process's part in it: it may come to hold any seat of any exchange."""

    def __init__(
        self,
        settings: Settings,
        calls_door: Database,
        office: Database,
        lasting: LastingCalls,
        metrics: Metrics,
        totals: WatchTotals,
        now: Now,
        correct: Correct,
    ) -> None:
        """As WatchSetup has them. What charges is handed over by `start`, since it asks who is watched."""
        self._settings = settings
        self._doors = (calls_door, office)
        self._lasting, self._metrics, self._totals = lasting, metrics, totals
        self._now, self._correct = now, correct
        self._addresses = [parse_address(text) for text in settings.ari_exchanges]
        self._seats: dict[str, Leadership] = {}
        self._links: dict[str, AriLink] = {}

    def start(self, charging: ChargingService) -> None:
        """Stand for every seat."""
        for address in self._addresses:
            for seat in range(1, address.seats + 1):
                name = f"{address.exchange}/{seat}"
                self._seats[name] = Leadership(
                    self._settings.database_url,
                    lambda address=address, seat=seat: self._hold(address, seat, charging),  # type: ignore[misc]
                    lock=seat_lock(address.exchange, seat),
                )
                self._seats[name].start()

    async def stop(self) -> None:
        """Let other engines have the seats: they go on with the calls."""
        await asyncio.gather(*(seat.stop() for seat in self._seats.values()))

    def state(self) -> dict[str, str]:
        """Each seat by exchange/seat, in a word: steered here, not connected, or held elsewhere."""
        return {name: self._word(name, seat) for name, seat in self._seats.items()}

    def _word(self, name: str, seat: Leadership) -> str:
        link = self._links.get(name)
        if not seat.leading or link is None:
            return "held by another engine"
        return "connected" if link.session else "not connected"

    async def _hold(self, address: AriAddress, seat: int, charging: ChargingService) -> None:
        """The work of who holds a seat: its link, and the watch over its calls."""
        settings = self._settings
        calls_door, office = self._doors
        link = AriLink(
            address,
            seat,
            rules_of(settings),
            charging,
            granted=lambda: self._granted(address.exchange),
            observer=self._metrics.ari,
            now=self._now,
            warning_sound=settings.ami_warning_sound,
        )
        name = f"{address.exchange}/{seat}"
        self._links[name] = link
        watch = Watch(
            lambda: [link],
            calls_door,
            office,
            self._lasting,
            observer=WatchPart(self._metrics, self._totals, name),
            buckets=settings.ledger_buckets,
            interval_seconds=settings.reconcile_interval_seconds,
            grace_seconds=settings.reconcile_grace_seconds,
            warning_seconds=settings.ami_warning_seconds,
            now=self._now,
            correct=self._correct,
            callbacks=CallbackOrders(office, lambda: charging) if seat == 1 else None,
        )
        await watch.run()

    async def _granted(self, exchange: str) -> Mapping[CallKey, int]:
        calls = await open_calls_of(self._doors[1], exchange)
        return {call.call_key: paid_for(call) for call in calls}
