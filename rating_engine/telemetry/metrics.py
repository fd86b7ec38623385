"""Every metric of the engine, by name, with its bounded labels.

Laws: a label takes its values from a bounded set (never a number, a login, an address), and counting costs about
a microsecond: the child of each label combination is made once and kept.

The methods of `Metrics` have the shapes that the layers ask of their observers: `prepared` and `finished` of
charging, `batch` of the ledger, `connection_…` of the FastAGI server, `database_…` of the database doors.

With several workers each process writes its values to files in one directory and any of them answers a scrape
for all; `sharing` arranges that before `Metrics` is made.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import choose_encoder
from prometheus_client.gc_collector import GCCollector
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.process_collector import ProcessCollector

from rating_engine.domain.outcomes import DeclineReason
from rating_engine.domain.watching import Decision
from rating_engine.telemetry.ari_metrics import AriMetrics
from rating_engine.telemetry.sharing import is_shared, write_down
from rating_engine.telemetry.surface import SURFACES, current_surface

OUTCOMES: Final = {
    "prepare": frozenset({"allowed", "declined"}),
    "finish": frozenset({"saved", "repeated", "spooled", "failed"}),
}
REASONS: Final = frozenset(reason.value for reason in DeclineReason)
NO_REASON: Final = "none"  # the reason of what was not declined; an empty label would vanish in a query
OTHER: Final = "other"  # what a value outside its set is counted as: a metric neither grows without bound nor fails
# a spooled finish that cannot be charged: as any finish, or its record is no finish, or the engine has a fault
SPOOL_REFUSALS: Final = REASONS | {"unreadable"}
SPOOL_FAILURES: Final = frozenset({"full", "io_error", "slow", "unfit"})  # the disk did not take it
CACHE_LEVELS: Final = frozenset({"memory", "redis", "postgresql", "none"})  # none: there is no such rate
DOORS: Final = ("calls", "office")  # to PostgreSQL: see storage/postgres/pool
LIMITED_BY: Final = ("address", "key")  # which of the limits of requests
OPERATIONS_MAX: Final = 16  # distinct batch operations; the ledger has three
REJECTIONS_MAX: Final = 64  # distinct reasons of a refused connection; the server has about twenty
# 0.5 ms is a prepare from memory on a fast disk, 5 s more than any deadline
CALL_SECONDS: Final = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
BATCH_SECONDS: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0, 2.5)
BATCH_SIZES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024)
LAG_SECONDS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)

Child = TypeVar("Child", Gauge, Counter)


class Metrics:
    """The engine's metrics in a registry of their own, so that tests can make as many as they like."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._calls = Counter(
            "rating_calls_total",
            "Calls by what was asked and answered; a repeated request counts again",
            ["surface", "stage", "outcome", "reason"],
            registry=self.registry,
        )
        self._prepare_seconds = self._histogram("rating_prepare_seconds", "callPrepare, whole", CALL_SECONDS)
        self._finish_seconds = self._histogram("rating_finish_seconds", "callFinish, whole", CALL_SECONDS)
        self._batch_size = self._histogram("rating_batch_size", "Items in one statement", BATCH_SIZES, ["operation"])
        self._batch_seconds = self._histogram(
            "rating_batch_seconds", "One batched statement", BATCH_SECONDS, ["operation"]
        )
        cache = self._counter("rating_rate_cache_total", "Rate look-ups by where the answer was found", ["level"])
        self._rejected = self._counter("rating_fastagi_rejected_total", "FastAGI connections not served", ["reason"])
        limited = self._counter("rating_http_limited_total", "HTTP requests answered 429, by what was limited", ["by"])
        self._limited = {by: limited.labels(by) for by in LIMITED_BY}
        self._weak_hashes = self._counter("rating_mor_weak_hashes_total", "Requests let in by a weaker hash")
        self._overruns = self._counter("rating_overruns_total", "Calls that cost more than was reserved for them")
        self._suspicious = self._counter(
            "rating_suspicious_finishes_total",
            "Ends that a person should look at: too_long, or unseen (the exchange was seen to say otherwise)",
            ["suspicion"],
        )
        self._open = self._gauge("rating_open_reservations", "Calls reserved and not finished", "livemostrecent")
        self._connections = self._gauge("rating_fastagi_connections", "FastAGI connections open", "livesum")
        self._make_database_metrics()
        self._make_side_metrics()
        self._make_redis_metrics()
        reconciled = self._counter("rating_reconciled_total", "Calls ended without a finish", ["decision"])
        self._reconciled = {decision.value: reconciled.labels(decision.value) for decision in Decision}
        self._leading = self._gauge("rating_watch_leader", "1 in the process that leads", "livesum")
        self._watched = self._gauge("rating_exchanges_watched", "Exchanges followed over AMI", "livesum")
        self._phones = self._gauge("rating_phones_registered", "Phones registered at a followed exchange", "livesum")
        self._phones_of: dict[str, int] = {}  # by exchange
        self._quota_calls = self._gauge("rating_quota_calls", "Calls lengthened slice by slice", "livesum")
        self._quota_cuts = self._counter("rating_quota_cuts_total", "Calls hung up because their money had ended")
        self._log_lines_dropped = self._counter(
            "rating_log_lines_dropped_total", "Log lines that nobody has got: their reader had stopped, or is gone"
        )
        self._lag = self._histogram("rating_event_loop_lag_seconds", "How late the event loop runs", LAG_SECONDS)
        self._make_spool_metrics()
        self.ari = AriMetrics(self.registry)
        self._cache = {level: cache.labels(level) for level in sorted(CACHE_LEVELS)}
        self._open_connections = 0
        self._call_children: dict[tuple[str, str, str, str], Counter] = {}
        self._batch_children: dict[str, tuple[Histogram, Histogram]] = {}
        self._rejected_children: dict[str, Counter] = {}
        for gauge in (self._connections, self._spool_records, self._spool_bytes, self._spool_stuck):
            gauge.set(0)  # a worker started anew finds its predecessor's value in the file
        if is_shared():
            self._exposed = CollectorRegistry()
            MultiProcessCollector(self._exposed)  # type: ignore[no-untyped-call]
        else:
            self._exposed = self.registry
            ProcessCollector(registry=self.registry)
            GCCollector(registry=self.registry)

    def _make_side_metrics(self) -> None:
        self._mail_queued = self._gauge("rating_mail_queued", "Mails that wait to be sent", "livemostrecent")
        self._mail_failed = self._gauge("rating_mail_failed", "Mails of the last month that failed", "livemostrecent")
        self._unshared = self._gauge(
            "rating_metrics_unshared", "Workers whose metrics only they show: no room for their files", "livesum"
        )

    def _make_spool_metrics(self) -> None:
        self._spool_records = self._gauge("rating_spool_records", "Finishes on disk that wait to be charged", "livesum")
        self._spool_bytes = self._gauge("rating_spool_bytes", "Size of the spool's files", "livesum")
        self._offline = self._counter("rating_offline_allowed_total", "Calls allowed while PostgreSQL was away")
        self._spooled = self._counter("rating_spooled_total", "Finishes put on disk because they could not be charged")
        self._replayed = self._counter("rating_spool_replayed_total", "Spooled finishes that were charged")
        self._spool_refused = self._counter(
            "rating_spool_refused_total", "Spooled finishes kept aside for a person, by the reason", ["reason"]
        )
        self._spool_stuck = self._gauge(
            "rating_spool_stuck", "Spooled finishes that were tried and could not be charged yet", "livesum"
        )
        self._spool_aside = self._gauge(
            "rating_spool_aside", "Spooled finishes kept aside on this machine, for a person", "livemostrecent"
        )
        self._spool_lost = self._counter(
            "rating_spool_not_taken_total", "Finishes neither charged nor spooled, by what the disk said", ["reason"]
        )
        self._spool_damaged = self._counter("rating_spool_damaged_total", "Places in spool files that are no records")

    def _make_redis_metrics(self) -> None:
        self._redis_up = self._gauge("rating_redis_up", "1 if Redis answers (worst worker)", "livemin")
        self._redis_refused = self._counter(
            "rating_redis_values_refused_total", "Values in Redis that no engine of this database wrote; never used"
        )

    def _make_database_metrics(self) -> None:
        up = self._gauge("rating_database_up", "1 if PostgreSQL answers (worst worker)", "livemin", ["door"])
        used = self._gauge("rating_database_connections_used", "Connections in use when looked at", "livesum", ["door"])
        busy = self._counter("rating_database_busy_total", "Requests no connection was free for in time", ["door"])
        late = self._counter("rating_database_late_total", "Statements not answered in time", ["door"])
        self._database_up, self._database_used = _by_door(up), _by_door(used)
        self._database_busy, self._database_late = _by_door(busy), _by_door(late)
        self._clock_skew = self._gauge(
            "rating_clock_skew_seconds", "This machine's clock minus the database's", "livemostrecent"
        )

    def prepared(self, outcome: str, reason: str, seconds: float) -> None:
        """Count a callPrepare; `reason` is a DeclineReason, empty when it was allowed."""
        self._call("prepare", outcome, reason).inc()
        self._prepare_seconds.observe(seconds)

    def finished(self, outcome: str, reason: str, seconds: float, overrun: bool) -> None:
        """Count a callFinish; `overrun`: the call cost more than was reserved for it."""
        self._call("finish", outcome, reason).inc()
        self._finish_seconds.observe(seconds)
        if overrun:
            self._overruns.inc()

    def batch(self, operation: str, items: int, seconds: float) -> None:
        """Observe one batched statement."""
        children = self._batch_children.get(operation)
        if children is None:
            label = operation if len(self._batch_children) < OPERATIONS_MAX else OTHER
            children = self._batch_size.labels(label), self._batch_seconds.labels(label)
            if label is not OTHER:
                self._batch_children[operation] = children
        children[0].observe(items)
        children[1].observe(seconds)

    def rate_looked_up(self, level: str) -> None:
        """Count a rate look-up by the level that answered it; one of CACHE_LEVELS."""
        self._cache[level].inc()

    def connection_opened(self) -> None:
        """A FastAGI connection was taken."""
        self._open_connections += 1  # twice a call: the gauge is set when somebody may look

    def connection_closed(self) -> None:
        """A FastAGI connection that was taken has ended."""
        self._open_connections -= 1

    def connection_rejected(self, reason: str) -> None:
        """Count a FastAGI connection that was refused or went wrong."""
        child = self._rejected_children.get(reason)
        if child is None:
            label = reason if len(self._rejected_children) < REJECTIONS_MAX else OTHER
            child = self._rejected.labels(label)
            if label is not OTHER:
                self._rejected_children[reason] = child
        child.inc()

    def request_limited(self, by: str) -> None:
        """Count a request over HTTP that was one too many for its `address` or `key`."""
        self._limited[by].inc()

    def weak_hash(self) -> None:
        """Count a request that was let in by a hash which covers less than it should."""
        self._weak_hashes.inc()

    def open_reservations(self, count: int) -> None:
        """Set the number of pending reservations, as the database has it (all workers together)."""
        self._open.set(count)

    def reconciled(self, decision: str, count: int = 1) -> None:
        """Count calls that were ended without a finish; a Decision."""
        self._reconciled[decision].inc(count)

    def mail(self, queued: int, failed: int) -> None:
        """Set how many mails wait to be sent, and how many of the last month failed, as the database has it."""
        self._mail_queued.set(queued)
        self._mail_failed.set(failed)

    def leading(self, leading: bool) -> None:
        """Say whether this process watches the exchanges."""
        self._leading.set(leading)

    def exchanges_watched(self, count: int) -> None:
        """Set how many exchanges this process follows."""
        self._watched.set(count)

    def phones_registered(self, exchange: str, count: int) -> None:
        """Set how many phones are registered at an exchange that this process follows."""
        self._phones_of[exchange] = count
        self._phones.set(sum(self._phones_of.values()))

    def quota_calls(self, count: int) -> None:
        """Set how many calls this process lengthens slice by slice."""
        self._quota_calls.set(count)

    def quota_cut(self) -> None:
        """Count a call that was hung up because its money had ended."""
        self._quota_cuts.inc()

    def database_state(self, door: str, up: bool) -> None:
        """Say whether PostgreSQL answers at a door; one of DOORS."""
        self._database_up[door].set(up)

    def database_used(self, door: str, connections: int) -> None:
        """Set how many connections of a door are in use."""
        self._database_used[door].set(connections)

    def database_busy(self, door: str) -> None:
        """Count a request for which no connection of a door was free in time."""
        self._database_busy[door].inc()

    def database_late(self, door: str) -> None:
        """Count a statement that was not answered in time."""
        self._database_late[door].inc()

    def clock_skew(self, seconds: float) -> None:
        """Set this machine's clock minus the database's."""
        self._clock_skew.set(seconds)

    def redis_state(self, up: bool) -> None:
        """Say whether Redis answers."""
        self._redis_up.set(up)

    def redis_value_refused(self) -> None:
        """Count a value in Redis that no engine of this database wrote."""
        self._redis_refused.inc()

    def offline_allowed(self) -> None:
        """Count a call that was allowed without the database."""
        self._offline.inc()

    def spool_state(self, records: int, size: int) -> None:
        """Set how much waits in this process's spool."""
        self._spool_records.set(records)
        self._spool_bytes.set(size)

    def spooled(self) -> None:
        """Count a finish that was put on disk."""
        self._spooled.inc()

    def suspicious(self, suspicion: str) -> None:
        """Count an end that a person should look at; a Suspicion."""
        self._suspicious.labels(suspicion).inc()

    def spool_replayed(self, overrun: bool) -> None:
        """Count a spooled finish that was charged; `overrun`: the call cost more than was reserved for it."""
        self._replayed.inc()
        if overrun:
            self._overruns.inc()

    def spool_refused(self, reason: str) -> None:
        """Count a spooled finish that was kept aside; one of SPOOL_REFUSALS."""
        self._spool_refused.labels(reason if reason in SPOOL_REFUSALS else OTHER).inc()

    def spool_stuck(self, count: int) -> None:
        """Set how many spooled finishes of this process cannot be charged for now."""
        self._spool_stuck.set(count)

    def spool_aside(self, count: int) -> None:
        """Set how many finishes lie in the spool directory for a person."""
        self._spool_aside.set(count)

    def spool_not_taken(self, reason: str) -> None:
        """Count a finish that is lost but for the logs; one of SPOOL_FAILURES."""
        self._spool_lost.labels(reason if reason in SPOOL_FAILURES else OTHER).inc()

    def spool_damaged(self, places: int) -> None:
        """Count damage found in spool files."""
        self._spool_damaged.inc(places)

    def event_loop_lag(self, seconds: float) -> None:
        """Observe how much later than asked the event loop came back."""
        self._lag.observe(seconds)
        self._connections.set(self._open_connections)  # ten times a second: what another worker shows of this one
        write_down()

    def not_shared(self) -> None:
        """Say that what this process shows is of itself alone, though there are other workers."""
        self._unshared.set(1)

    def log_lines_dropped(self, count: int) -> None:
        """Count lines that the log has lost."""
        self._log_lines_dropped.inc(count)

    def exposition(self, accept: str = "") -> tuple[bytes, str]:
        """All metrics, of all workers, in the format an Accept header asks for: (body, content type)."""
        self._connections.set(self._open_connections)
        write_down()
        encode, content_type = choose_encoder(accept)
        return encode(self._exposed), content_type

    def _call(self, stage: str, outcome: str, reason: str) -> Counter:
        key = (current_surface.get(), stage, outcome, reason)
        child = self._call_children.get(key)
        if child is None:
            labels = (
                key[0] if key[0] in SURFACES else OTHER,
                stage,
                outcome if outcome in OUTCOMES[stage] else OTHER,
                NO_REASON if not reason else reason if reason in REASONS else OTHER,
            )
            child = self._calls.labels(*labels)
            if OTHER not in labels:
                self._call_children[key] = child
        return child

    def _histogram(self, name: str, text: str, buckets: Iterable[float], labels: Iterable[str] = ()) -> Histogram:
        return Histogram(name, text, list(labels), buckets=tuple(buckets), registry=self.registry)

    def _counter(self, name: str, text: str, labels: Iterable[str] = ()) -> Counter:
        return Counter(name, text, list(labels), registry=self.registry)

    def _gauge(self, name: str, text: str, mode: str, labels: Iterable[str] = ()) -> Gauge:
        """`mode` says how the values of several workers become one; `live…` leaves out those that have ended."""
        return Gauge(name, text, list(labels), registry=self.registry, multiprocess_mode=mode)  # type: ignore[arg-type]


def _by_door(metric: Child) -> dict[str, Child]:
    return {door: metric.labels(door) for door in DOORS}
