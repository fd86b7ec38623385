"""The metrics of exchanges that are steered over ARI. Names of exchanges come from the settings: they are bounded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

OTHER: Final = "other"
# The types of events that are asked for (agi/ari/model.py), which telemetry cannot ask: a test compares.
KINDS: Final = (
    "ApplicationReplaced", "ChannelDestroyed", "ChannelDtmfReceived", "ChannelHangupRequest", "ChannelHold",
    "ChannelStateChange", "ChannelTransfer", "ChannelUnhold", "Dial", "PlaybackFinished", "StasisEnd", "StasisStart",
)  # fmt: skip
METHODS: Final = frozenset({"GET", "POST", "PUT", "DELETE"})
# A request takes a millisecond; a loaded exchange tells of an event a tenth of a second later, and then needs a seat.
SECONDS: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class AriMetrics:
    """Counts what comes of them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._connected = Gauge(
            "rating_ari_connected",
            "1 if the seat at the exchange is steered from here",
            ["exchange", "seat"],
            registry=registry,
            multiprocess_mode="livemax",
        )
        self._calls = Gauge(
            "rating_ari_calls",
            "Calls that are held, by where they stand",
            ["exchange", "seat", "state"],
            registry=registry,
            multiprocess_mode="livesum",
        )
        events = Counter("rating_ari_events_total", "Events of exchanges", ["type"], registry=registry)
        self._events = {kind: events.labels(kind) for kind in (*KINDS, OTHER)}
        self._delay = Histogram(
            "rating_ari_event_delay_seconds", "From an event to its arrival", buckets=SECONDS, registry=registry
        )
        self._ignored = Counter("rating_ari_ignored_total", "Events that told their call nothing", registry=registry)
        requests = Histogram(
            "rating_ari_request_seconds", "Of a request to an exchange", ["method"], buckets=SECONDS, registry=registry
        )
        self._requests = {method: requests.labels(method) for method in sorted(METHODS)}
        self._overdue = Counter(
            "rating_ari_requests_overdue_total", "Requests that no exchange answered", registry=registry
        )
        self._mismatches = Counter(
            "rating_ari_limit_mismatch_total",
            "Limits that an exchange had otherwise than it was told",
            registry=registry,
        )
        resyncs = Counter("rating_ari_resyncs_total", "Looks at a whole exchange, by why", ["why"], registry=registry)
        self._resyncs = {why: resyncs.labels(why) for why in ("start", "reconnect")}
        self._adopted = Counter("rating_ari_adopted_total", "Calls taken over from another engine", registry=registry)
        self._orphans = Counter("rating_ari_orphans_total", "Channels of no call that were ended", registry=registry)

    def ari_connected(self, exchange: str, seat: int, connected: bool) -> None:
        """Say whether a seat is steered from here."""
        self._connected.labels(exchange, str(seat)).set(connected)

    def ari_calls(self, exchange: str, seat: int, phases: Mapping[str, int]) -> None:
        """Set how many calls stand where."""
        for phase, count in phases.items():
            self._calls.labels(exchange, str(seat), phase).set(count)

    def ari_event(self, kind: str, delay: float | None) -> None:
        """Count an event, so many seconds behind what it tells of; None: not known."""
        self._events.get(kind, self._events[OTHER]).inc()
        if delay is not None:
            self._delay.observe(delay)

    def ari_ignored(self, count: int) -> None:
        """Count events that told their call nothing."""
        self._ignored.inc(count)

    def ari_request(self, method: str, seconds: float) -> None:
        """Count a request that was answered."""
        self._requests[method].observe(seconds)

    def ari_overdue(self) -> None:
        """Count a request that was not."""
        self._overdue.inc()

    def ari_limit_mismatch(self) -> None:
        """Count a limit that was read back otherwise."""
        self._mismatches.inc()

    def ari_resynced(self, why: str, adopted: int, orphans: int) -> None:
        """Count a look at a whole exchange, and what it found."""
        self._resyncs[why].inc()
        self._adopted.inc(adopted)
        self._orphans.inc(orphans)
