"""`serve --workers N`: N processes of the same command, kept running, drained together.

Laws: a worker that crashes is started again, more slowly each time it crashes soon; a fault that no restart can
mend ends the whole; the supervisor's end is the workers' end, however it comes (on Linux, by the parent-death
signal); nothing is left behind but the exit status. The listening sockets are the supervisor's: a worker that crashes
loses the connections it had taken, never those that wait.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import select
import shutil
import signal
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
from rating_engine.process.notify import (
    ALIVE,
    BEAT_SECONDS,
    STOPPING,
    SYSTEMD_VARIABLE,
    WATCHDOG_VARIABLE,
    notify_systemd,
    watchdog_seconds,
)
from rating_engine.process.takeover import Entrance
from rating_engine.settings.sources import LISTENERS_VARIABLE, READY_VARIABLE, SHARED_CALLS_VARIABLE, WORKER_VARIABLE
from rating_engine.telemetry.sharing import SHARED_DIRECTORY_VARIABLE, forget_worker

BACKOFF_FIRST_SECONDS: Final = 0.5
BACKOFF_MAX_SECONDS: Final = 10.0  # a worker whose cause of crashing has gone is back within this
STEADY_SECONDS: Final = 30.0  # a worker that ran this long crashed for a new reason: it starts at once again
EARLY_CRASHES_MAX: Final = 8  # in a row, of one worker: about 45 s of trying, then it is for an operator
HOPELESS_STATUSES: Final = frozenset({2, 78})  # usage and configuration: the next start would end the same
HURRY_SECONDS: Final = 1.0  # sooner than this a second signal is the first again, sent on by a shell or by make
STOP_MARGIN_SECONDS: Final = 5.0  # beyond the drain limit, for a worker to close its connections and exit
BEATS_MISSED: Final = 3  # of a worker: no fewer mean that it hangs, whatever the patience of systemd
METRICS_PREFIX: Final = "rating-metrics-"  # of the directory that one set of workers shares

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Worker:
    """One numbered process, through all its restarts. Times are of the monotonic clock, in seconds."""

    number: int
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    start_at: float = 0.0
    heard_at: float | None = None  # when it last said that it lives; None: not since it started
    early_crashes: int = 0


@dataclass(frozen=True, slots=True)
class Spawn:
    """How a worker is started: command, environment, and the descriptors it inherits."""

    command: Sequence[str]
    variables: Mapping[str, str]
    inherited: tuple[int, ...]


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


class ReadyPipe:
    """Where workers say that they serve, each with its number in a byte."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        for end in (self.reader, self.writer):
            os.set_blocking(end, False)

    def __enter__(self) -> ReadyPipe:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.reader)
        os.close(self.writer)

    def read(self) -> set[int]:
        """The workers that have said so since the last time."""
        with contextlib.suppress(BlockingIOError):
            return set(os.read(self.reader, 4096))
        return set()


def run_workers(
    count: int,
    command: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    entrance: Entrance | None = None,
    shutdown_seconds: float = 10.0,
    metrics_dir: Path | None = None,
) -> int:
    """Run `count` processes of `command` until SIGTERM, SIGINT or SIGHUP; returns the exit status.

    `environment` goes over this process's own; each worker finds its number, from 1, in RATING_WORKER, the directory
    of shared metrics in PROMETHEUS_MULTIPROC_DIR, the sockets of `entrance` in RATING_LISTENERS, and in RATING_READY
    the pipe to say that it serves. Once all do, a predecessor is followed, and from then on a successor may come, which
    ends this set as a signal does. A second signal, HURRY_SECONDS or more after the first, cuts the drain short.
    Returns 0 after a clean drain, 1 if a worker had to be killed or would not run, else the worker's own status
    when it is one that no restart can mend. Call it from the main thread, and with no other threads about
    but the one that writes the log, which shares no lock with what runs between fork and exec.
    """
    with (
        shared_metrics(metrics_dir) as directory,
        caught_signals() as signals,
        ReadyPipe() as ready,
        shared_memory() as memory,
    ):
        variables = {**os.environ, **(environment or {})}
        variables.pop(SHARED_DIRECTORY_VARIABLE, None)
        if directory is not None:
            variables[SHARED_DIRECTORY_VARIABLE] = str(directory)
        variables[READY_VARIABLE] = str(ready.writer)
        for name in (SYSTEMD_VARIABLE, WATCHDOG_VARIABLE):  # systemd hears from the supervisor, of all workers
            variables.pop(name, None)
        variables[SHARED_CALLS_VARIABLE] = str(memory)
        inherited = [ready.writer, memory]
        if entrance is not None:
            variables[LISTENERS_VARIABLE] = entrance.listeners.variable()
            inherited += [sock.fileno() for sock in entrance.listeners.by_name.values()]
        spawn = Spawn(list(command), variables, tuple(inherited))
        return Supervisor(count, spawn, directory, signals, ready, entrance).run(shutdown_seconds)


@contextlib.contextmanager
def shared_memory() -> Iterator[int]:
    """A descriptor of memory that workers inherit: no file on any disk, so that none can be full."""
    descriptor = os.memfd_create("rating-calls", os.MFD_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


class Supervisor:
    """The workers and what happens to them. `run` is the whole life; the rest are its steps."""

    def __init__(
        self,
        count: int,
        spawn: Spawn,
        metrics: Path | None,
        signals: Signals,
        ready: ReadyPipe,
        entrance: Entrance | None,
    ) -> None:
        self._spawn = spawn
        self._metrics = metrics
        self._signals = signals
        self._ready = ready
        self._entrance = entrance
        self._workers = [Worker(number) for number in range(1, count + 1)]
        self._serving: set[int] = set()  # workers that have served once
        self._watchdog = watchdog_seconds()
        self._alive_at = 0.0  # when systemd was told last

    def run(self, shutdown_seconds: float) -> int:
        """Start the workers, keep them running until told to stop, drain them; returns the exit status."""
        try:
            status = self._keep_running()
        finally:  # whatever happened here, no worker stays
            clean = self._drain(shutdown_seconds)
        return status if status or clean else 1

    def _keep_running(self) -> int:
        """Until a signal or a successor (0) or a worker that cannot be helped (its status)."""
        while not self._signals.arrived:
            now = time.monotonic()
            for worker in self._workers:
                if worker.process is None and worker.start_at <= now:
                    self._start(worker)
            self._hear(self._wait(self._next_turn(now)))
            self._tell_watchdog()
            if self._is_followed():
                return 0
            for worker in self._workers:
                status = self._reap(worker)
                if status is not None and self._is_hopeless(worker, status):
                    return status if status in HOPELESS_STATUSES else 1
        _log.info("supervisor_stopping", signal=signal.Signals(self._signals.arrived[0].number).name)
        return 0

    def _next_turn(self, now: float) -> float | None:
        """Seconds until a worker is due to start, or systemd to hear of them; None when neither will be."""
        due = [worker.start_at for worker in self._workers if worker.process is None]
        if self._watchdog is not None:
            due.append(self._alive_at + self._watchdog / 2)
        return max(0.0, min(due) - now) if due else None

    def _tell_watchdog(self) -> None:
        """Tell systemd that the engine lives, if each worker that has begun to serve does.

        One that crashed and is started again does not count: the others serve.
        """
        if self._watchdog is None or len(self._serving) < len(self._workers):
            return
        now = time.monotonic()
        if now < self._alive_at + self._watchdog / 2:
            return
        patience = max(self._watchdog / 2, BEATS_MISSED * BEAT_SECONDS)
        silent = [w.number for w in self._workers if w.heard_at is not None and now - w.heard_at > patience]
        if silent:
            _log.error("workers_hang", workers=silent, hint="systemd ends an engine of which it does not hear")
        else:
            notify_systemd(ALIVE)
        self._alive_at = now

    def _wait(self, seconds: float | None) -> set[int]:
        """Sleep until a signal arrives (a child's end is one), another engine speaks, or `seconds` have passed; or
        until workers say that they serve: returns their numbers."""
        sources = [self._signals.reader, self._ready.reader]
        if self._entrance is not None and (speaks := self._entrance.waits_for) is not None:
            sources.append(speaks.fileno())
        select.select(sources, [], [], seconds)
        with contextlib.suppress(BlockingIOError):
            os.read(self._signals.reader, 4096)
        return self._ready.read()

    def _hear(self, numbers: set[int]) -> None:
        """Workers say that they serve, or still do; with the last of them the whole does."""
        for worker in self._workers:
            if worker.number in numbers:
                worker.heard_at = time.monotonic()
        was_complete = len(self._serving) == len(self._workers)
        self._serving |= numbers
        if len(self._serving) == len(self._workers) and not was_complete:
            if self._entrance is not None:
                self._entrance.ready()
            _log.info("workers_serve", count=len(self._workers))

    def _is_followed(self) -> bool:
        """Whether another engine has taken over; what it says is heard here."""
        if self._entrance is None or (speaks := self._entrance.waits_for) is None:
            return False
        return bool(select.select([speaks], [], [], 0)[0]) and self._entrance.advance()

    def _start(self, worker: Worker) -> None:
        supervisor = os.getpid()

        def end_with_supervisor() -> None:
            die_with_parent(signal.SIGTERM)
            if os.getppid() != supervisor:
                os._exit(1)

        worker.started_at = time.monotonic()
        worker.process = subprocess.Popen(
            self._spawn.command,
            env={**self._spawn.variables, WORKER_VARIABLE: str(worker.number)},
            stdin=subprocess.DEVNULL,
            pass_fds=self._spawn.inherited,
            process_group=0,  # a Ctrl-C is for the supervisor, which then stops the workers in order
            preexec_fn=end_with_supervisor,
        )
        _log.info("worker_started", worker=worker.number, pid=worker.process.pid)

    def _reap(self, worker: Worker) -> int | None:
        """Note the end of a worker and plan its restart; returns its status, None while it runs."""
        if worker.process is None or (status := worker.process.poll()) is None:
            return None
        if self._metrics is not None:
            forget_worker(self._metrics, worker.number)
        ran = time.monotonic() - worker.started_at
        worker.early_crashes = 0 if ran >= STEADY_SECONDS else worker.early_crashes + 1
        pause = backoff_seconds(worker.early_crashes)
        worker.process = None
        worker.heard_at = None
        worker.start_at = time.monotonic() + pause
        _log.error(
            "worker_ended", worker=worker.number, status=status, ran_seconds=round(ran, 1), restart_in_seconds=pause
        )
        return status

    def _is_hopeless(self, worker: Worker, status: int) -> bool:
        if status in HOPELESS_STATUSES:
            _log.error("worker_cannot_run", worker=worker.number, status=status)
            return True
        if self._is_taking_over:
            _log.error("takeover_failed", worker=worker.number, status=status, hint="the running engine goes on")
            return True
        if worker.early_crashes >= EARLY_CRASHES_MAX:
            _log.error("worker_crashes_again_and_again", worker=worker.number, crashes=worker.early_crashes)
            return True
        return False

    @property
    def _is_taking_over(self) -> bool:
        """Whether another engine still serves and waits for this one."""
        has_predecessor = self._entrance is not None and self._entrance.predecessor is not None
        return has_predecessor and len(self._serving) < len(self._workers)

    def _drain(self, seconds: float) -> bool:
        """Ask every worker to drain and wait for it, then kill; whether all ended by themselves and well."""
        began = self._signals.arrived[0].at if self._signals.arrived else time.monotonic()
        notify_systemd(STOPPING)
        if self._entrance is not None:
            self._entrance.close()  # or connections would wait here for nobody
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


@contextlib.contextmanager
def shared_metrics(parent: Path | None) -> Iterator[Path | None]:
    """A new directory below `parent` (None: where temporary ones go) for the metrics of one set of workers.

    It is removed at the end. What a set that was killed has left is removed by the next one below the same `parent`;
    a set that still runs keeps its own, so that an engine and the one that takes over count apart. None where the disk
    has no room for a directory: calls are not to wait for metrics.
    """
    with contextlib.ExitStack() as stack:
        directory: Path | None = None
        with contextlib.ExitStack() as making, _no_room_is_no_reason_to_stop():
            if parent is not None:
                parent.mkdir(parents=True, exist_ok=True)
                making.callback(os.close, _lock(parent, wait=True))
                _remove_left_behind(parent)
            directory = Path(tempfile.mkdtemp(prefix=METRICS_PREFIX, dir=parent))
            stack.callback(os.close, _lock(directory))
            stack.callback(shutil.rmtree, directory, ignore_errors=True)
        yield directory


@contextlib.contextmanager
def _no_room_is_no_reason_to_stop() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        _log.error("metrics_not_shared", problem=str(error))


def _remove_left_behind(parent: Path) -> None:
    for directory in parent.glob(f"{METRICS_PREFIX}*"):
        with contextlib.suppress(OSError):  # it is in use, or somebody else's
            descriptor = _lock(directory)
            shutil.rmtree(directory, ignore_errors=True)
            os.close(descriptor)


def _lock(directory: Path, *, wait: bool = False) -> int:
    """Hold a directory until the returned descriptor is closed. Raises BlockingIOError when another process does."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


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
