"""Metrics of several workers as one set: each writes its values to files in one directory, and any shows them all.

The files are memory-mapped, so a disk that is full when a page is first written to kills the process (SIGBUS). Law: a
worker takes all the room its files can ever need before it maps them; where there is none its metrics stay in its own
memory, which is said, and calls go on.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any, Final

from prometheus_client import values
from prometheus_client.multiprocess import mark_process_dead

SHARED_DIRECTORY_VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"  # prometheus_client's own name
KIB: Final = 1_024
# What each file can come to, every label at every value it can have: counters take 330 KiB, histograms 70, gauges 1.
# prometheus_client names a file by the kind of metric, for gauges also by how workers' values become one.
FILE_BYTES: Final[Mapping[str, int]] = {
    "counter": 1_024 * KIB,
    "histogram": 512 * KIB,
    "gauge_livesum": 64 * KIB,
    "gauge_livemin": 64 * KIB,
    "gauge_livemostrecent": 64 * KIB,
}


def share_between_workers(directory: Path, worker: int) -> str | None:
    """Make the metrics of this process part of a set; call it before anything makes a metric.

    `worker` numbers the processes from 1. Files are named by it and not by process id: a worker that is started
    anew goes on counting where its predecessor ended, and the number of files stays bounded. Returns None, or why the
    metrics of this process stay its own.
    """
    try:
        for kind, size in FILE_BYTES.items():
            _take_room(directory / f"{kind}_{worker}.db", size)
    except OSError as error:
        keep_to_this_process()
        return f"{directory}: {error.strerror or error}"
    os.environ[SHARED_DIRECTORY_VARIABLE] = str(directory)
    in_file = values.MultiProcessValue(process_identifier=lambda: worker)  # type: ignore[no-untyped-call]
    values.ValueClass = _added_up(in_file)
    atexit.register(write_down)
    return None


def write_down() -> None:
    """Write what was counted since the last time where other workers see it."""
    with suppress(IndexError):  # at the end of the list, also where a scrape in its thread takes the last one
        while True:
            _ahead.pop().write_down()


def keep_to_this_process() -> None:
    """Keep the metrics of this process in its own memory; call it before anything makes a metric."""
    os.environ.pop(SHARED_DIRECTORY_VARIABLE, None)
    values.ValueClass = values.MutexValue


class _AddedUp:
    """A value whose file is behind by what was added since `write_down`."""

    _multiprocess = True  # as prometheus_client asks a class of values
    __slots__ = ("_added", "_in_file", "get_exemplar", "set_exemplar")

    def __init__(self, in_file: Any) -> None:
        self._in_file = in_file
        self._added = 0.0
        self.get_exemplar, self.set_exemplar = in_file.get_exemplar, in_file.set_exemplar

    def inc(self, amount: float) -> None:
        """Add to it."""
        with _lock:
            if not self._added:
                _ahead.append(self)
            self._added += amount

    def set(self, value: float, timestamp: float | None = None) -> None:
        """Let it be `value`, for everybody at once."""
        with _lock:
            self._added = 0.0
        self._in_file.set(value, timestamp)

    def get(self) -> float:
        """What it is for this process."""
        return float(self._in_file.get()) + self._added

    def write_down(self) -> None:
        """Let others see it."""
        with _lock:
            added, self._added = self._added, 0.0
        if added:
            self._in_file.inc(added)


_lock: Final = Lock()  # some counts come from threads
_ahead: list[_AddedUp] = []  # values that their files are behind of


def _added_up(in_file: Callable[..., Any]) -> Callable[..., _AddedUp]:
    def make(*of: Any, **what: Any) -> _AddedUp:
        return _AddedUp(in_file(*of, **what))

    make._multiprocess = True  # type: ignore[attr-defined]  # is_shared()
    return make


def is_shared() -> bool:
    """Whether the metrics of this process are part of a set of several workers."""
    return bool(getattr(values.ValueClass, "_multiprocess", False))


def forget_worker(directory: Path, worker: int) -> None:
    """Take the gauges of a worker that has ended out of the sums; its counters stay, as counters must."""
    mark_process_dead(worker, str(directory))  # type: ignore[no-untyped-call]


def _take_room(file: Path, size: int) -> None:
    """Make the file at least so large, with room on the disk for all of it. Raises OSError, and leaves no new file."""
    is_new = not file.exists()
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, max(size, os.fstat(descriptor).st_size))
    except OSError:
        if is_new:
            file.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)
