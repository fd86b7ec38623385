"""`serve --workers N`: N processes of the same command, kept running, drained together.

Laws: a worker that crashes is started again, more slowly each time it crashes soon; a fault that no restart can
mend ends the whole; the supervisor's end is the workers' end, however it comes (on Linux, by the parent-death
signal); nothing is left behind but the exit status.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Final

import structlog

from rating_engine.embedded.guard import die_with_parent
from rating_engine.settings_sources import WORKER_VARIABLE
from rating_engine.telemetry.metrics import SHARED_DIRECTORY_VARIABLE, clear_shared, forget_worker

BACKOFF_FIRST_SECONDS: Final = 0.5
BACKOFF_MAX_SECONDS: Final = 10.0  # a worker whose cause of crashing has gone is back within this
STEADY_SECONDS: Final = 30.0  # a worker that ran this long crashed for a new reason: it starts at once again
EARLY_CRASHES_MAX: Final = 8  # in a row, of one worker: about 45 s of trying, then it is for an operator
HOPELESS_STATUSES: Final = frozenset({2, 78})  # usage and configuration: the next start would end the same
HURRY_SECONDS: Final = 1.0  # sooner than this a second signal is the first again, sent on by a shell or by make
STOP_MARGIN_SECONDS: Final = 5.0  # beyond the drain limit, for a worker to close its connections and exit

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Worker:
    """One numbered process, through all its restarts. Times are of the monotonic clock, in seconds."""

    number: int
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    start_at: float = 0.0
    early_crashes: int = 0


@dataclass(frozen=True, slots=True)
class Arrival:
    """A signal that asks for the end, and when it came (monotonic, seconds)."""

    number: int
    at: float


@dataclass(slots=True)
class Signals:
    """What arrived; `reader` becomes readable with each."""

    reader: int
    arrived: list[Arrival] = field(default_factory=list)


def run_workers(
    count: int,
    command: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    ports: Sequence[tuple[str, int]] = (),
    shutdown_seconds: float = 10.0,
    metrics_dir: Path | None = None,
) -> int:
    """Run `count` processes of `command` until SIGTERM, SIGINT or SIGHUP; returns the exit status.

    `environment` goes over this process's own; each worker finds its number, from 1, in RATING_WORKER, and the
    directory of shared metrics in PROMETHEUS_MULTIPROC_DIR. `ports` (host, port) must be free before the first
    start: sharing a port with a stranger would lose calls to it. A second signal, HURRY_SECONDS or more after the
    first, cuts the drain short.
    Returns 0 after a clean drain, 1 if a worker had to be killed or would not run, else the worker's own status
    when it is one that no restart can mend. Call it from the main thread, and with no other threads about.
    Raises OSError when a port is taken.
    """
    for host, port in ports:
        ensure_port_free(host, port)
    with shared_metrics(metrics_dir) as directory, caught_signals() as signals:
        variables = {**os.environ, **(environment or {}), SHARED_DIRECTORY_VARIABLE: str(directory)}
        return Supervisor(count, command, variables, directory, signals).run(shutdown_seconds)


class Supervisor:
    """The workers and what happens to them. `run` is the whole life; the rest are its steps."""

    def __init__(
        self, count: int, command: Sequence[str], variables: Mapping[str, str], metrics: Path, signals: Signals
    ) -> None:
        self._command = list(command)
        self._variables = variables
        self._metrics = metrics
        self._signals = signals
        self._workers = [Worker(number) for number in range(1, count + 1)]

    def run(self, shutdown_seconds: float) -> int:
        """Start the workers, keep them running until told to stop, drain them; returns the exit status."""
        try:
            status = self._keep_running()
        finally:  # whatever happened here, no worker stays
            clean = self._drain(shutdown_seconds)
        return status if status or clean else 1

    def _keep_running(self) -> int:
        """Until a signal (0) or a worker that cannot be helped (its status)."""
        while not self._signals.arrived:
            now = time.monotonic()
            for worker in self._workers:
                if worker.process is None and worker.start_at <= now:
                    self._start(worker)
            self._wait(self._next_start(now))
            for worker in self._workers:
                status = self._reap(worker)
                if status is not None and self._is_hopeless(worker, status):
                    return status if status in HOPELESS_STATUSES else 1
        _log.info("supervisor_stopping", signal=signal.Signals(self._signals.arrived[0].number).name)
        return 0

    def _next_start(self, now: float) -> float | None:
        """Seconds until a worker is due to start; None when all run."""
        due = [worker.start_at for worker in self._workers if worker.process is None]
        return max(0.0, min(due) - now) if due else None

    def _wait(self, seconds: float | None) -> None:
        """Sleep until a signal arrives (a child's end is one) or `seconds` have passed."""
        select.select([self._signals.reader], [], [], seconds)
        with contextlib.suppress(BlockingIOError):
            os.read(self._signals.reader, 4096)

    def _start(self, worker: Worker) -> None:
        supervisor = os.getpid()

        def end_with_supervisor() -> None:
            die_with_parent(signal.SIGTERM)
            if os.getppid() != supervisor:
                os._exit(1)

        worker.started_at = time.monotonic()
        worker.process = subprocess.Popen(
            self._command,
            env={**self._variables, WORKER_VARIABLE: str(worker.number)},
            stdin=subprocess.DEVNULL,
            process_group=0,  # a Ctrl-C is for the supervisor, which then stops the workers in order
            preexec_fn=end_with_supervisor,
        )
        _log.info("worker_started", worker=worker.number, pid=worker.process.pid)

    def _reap(self, worker: Worker) -> int | None:
        """Note the end of a worker and plan its restart; returns its status, None while it runs."""
        if worker.process is None or (status := worker.process.poll()) is None:
            return None
        forget_worker(self._metrics, worker.number)
        ran = time.monotonic() - worker.started_at
        worker.early_crashes = 0 if ran >= STEADY_SECONDS else worker.early_crashes + 1
        pause = backoff_seconds(worker.early_crashes)
        worker.process = None
        worker.start_at = time.monotonic() + pause
        _log.error(
            "worker_ended", worker=worker.number, status=status, ran_seconds=round(ran, 1), restart_in_seconds=pause
        )
        return status

    def _is_hopeless(self, worker: Worker, status: int) -> bool:
        if status in HOPELESS_STATUSES:
            _log.error("worker_cannot_run", worker=worker.number, status=status)
            return True
        if worker.early_crashes >= EARLY_CRASHES_MAX:
            _log.error("worker_crashes_again_and_again", worker=worker.number, crashes=worker.early_crashes)
            return True
        return False

    def _drain(self, seconds: float) -> bool:
        """Ask every worker to drain and wait for it, then kill; whether all ended by themselves and well."""
        began = self._signals.arrived[0].at if self._signals.arrived else time.monotonic()
        for worker in self._workers:
            if worker.process is not None:
                worker.process.terminate()
        deadline = began + seconds + STOP_MARGIN_SECONDS
        while any(worker.process is not None and worker.process.poll() is None for worker in self._workers):
            remaining = deadline - time.monotonic()
            hurried = any(arrival.at > began + HURRY_SECONDS for arrival in self._signals.arrived)
            if remaining <= 0 or hurried:
                break
            self._wait(remaining)
        ended_well = [self._end(worker) for worker in self._workers]  # all of them, before any is judged
        return all(ended_well)

    def _end(self, worker: Worker) -> bool:
        """Kill a worker that still runs; whether it had ended well."""
        if worker.process is None:
            return True
        killed = worker.process.poll() is None
        if killed:
            worker.process.kill()
            _log.error("worker_killed", worker=worker.number, pid=worker.process.pid)
        # by SIGTERM itself ends who had not begun to serve, and so had nothing to drain
        return worker.process.wait() in (0, -signal.SIGTERM) and not killed


def backoff_seconds(early_crashes: int) -> float:
    """The pause before a restart: none after a steady run, then doubling up to a limit."""
    if early_crashes == 0:
        return 0.0
    return min(BACKOFF_MAX_SECONDS, BACKOFF_FIRST_SECONDS * 2.0 ** (early_crashes - 1))


def ensure_port_free(host: str, port: int) -> None:
    """Raise OSError naming host and port when anything listens there, port-sharing strangers included."""
    if port == 0:
        return
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # without SO_REUSEPORT: nobody else may listen
        try:
            probe.bind(address)
        except OSError as error:
            raise OSError(error.errno, f"cannot listen on {host} port {port}: {error.strerror}") from error


@contextlib.contextmanager
def shared_metrics(directory: Path | None) -> Iterator[Path]:
    """The directory of the workers' metrics, empty; one of its own is temporary and removed at the end."""
    temporary = tempfile.mkdtemp(prefix="rating-metrics-") if directory is None else None
    path = Path(temporary) if temporary is not None else directory
    assert path is not None
    try:
        clear_shared(path)
        yield path
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


@contextlib.contextmanager
def caught_signals() -> Iterator[Signals]:
    """SIGTERM, SIGINT and SIGHUP collected, SIGCHLD as a mere wake-up; all as before at the end."""
    reader, writer = os.pipe()
    signals = Signals(reader)

    def collect(number: int, _frame: FrameType | None) -> None:
        if number != signal.SIGCHLD:
            signals.arrived.append(Arrival(number, time.monotonic()))

    for end in (reader, writer):
        os.set_blocking(end, False)
    wakeup_before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    watched = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
    before = {number: signal.signal(number, collect) for number in watched}
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(wakeup_before)
        os.close(reader)
        os.close(writer)
