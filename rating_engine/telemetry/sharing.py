"""Metrics of several workers as one set: each writes its values to files in one directory, and any shows them all.

The files are memory-mapped, so a disk that is full when a page is first written to kills the process (SIGBUS). Law: a
worker takes all the room its files can ever need before it maps them; where there is none its metrics stay in its own
memory, which is said, and calls go on.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

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
    values.ValueClass = values.MultiProcessValue(process_identifier=lambda: worker)  # type: ignore[no-untyped-call]
    return None


def keep_to_this_process() -> None:
    """Keep the metrics of this process in its own memory; call it before anything makes a metric."""
    os.environ.pop(SHARED_DIRECTORY_VARIABLE, None)
    values.ValueClass = values.MutexValue


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
