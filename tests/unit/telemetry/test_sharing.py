"""A worker takes all the room its metrics can need before it uses them; without room they stay its own."""

from __future__ import annotations

import errno
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest, values
from prometheus_client.multiprocess import MultiProcessCollector

from rating_engine.telemetry.metrics import Metrics
from rating_engine.telemetry.sharing import (
    FILE_BYTES,
    SHARED_DIRECTORY_VARIABLE,
    is_shared,
    keep_to_this_process,
    share_between_workers,
)

# Every label of the counters and histograms with many values, at every value it can have and one that it cannot.
ALL_LABELS = """
import sys
from pathlib import Path
from rating_engine.telemetry import metrics as m
from rating_engine.telemetry.sharing import share_between_workers
assert share_between_workers(Path(sys.argv[1]), 1) is None
metrics = m.Metrics()
for surface in [*m.SURFACES, m.OTHER]:
    for stage, outcomes in m.OUTCOMES.items():
        for outcome in [*outcomes, m.OTHER]:
            for reason in [*m.REASONS, m.NO_REASON, m.OTHER]:
                metrics._calls.labels(surface, stage, outcome, reason).inc()
for number in range(m.OPERATIONS_MAX + 1):
    metrics.batch(f"operation-{number}", 1, 0.1)
for number in range(m.REJECTIONS_MAX + 1):
    metrics.connection_rejected(f"a reason as long as they are {number}")
for reason in [*m.SPOOL_REFUSALS, m.OTHER]:
    metrics.spool_refused(reason)
"""

COUNTS_AND_ENDS = """
import sys
from pathlib import Path
from rating_engine.telemetry.metrics import Metrics
from rating_engine.telemetry.sharing import share_between_workers
assert share_between_workers(Path(sys.argv[1]), 1) is None
Metrics().prepared("allowed", "", 0.1)
"""
ALLOWED = 'rating_calls_total{outcome="allowed",reason="none",stage="prepare",surface="fastagi"}'


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(values, "ValueClass", values.ValueClass)
    monkeypatch.setenv(SHARED_DIRECTORY_VARIABLE, "")
    keep_to_this_process()


def no_room(descriptor: int, offset: int, length: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_worker_without_room_keeps_its_metrics_to_itself_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "posix_fallocate", no_room)

    assert share_between_workers(tmp_path, 1) == f"{tmp_path}: No space left on device"
    assert not is_shared()
    metrics = Metrics()
    metrics.not_shared()
    metrics.prepared("allowed", "", 0.1)
    shown = metrics.exposition()[0].decode()
    assert "rating_metrics_unshared 1.0" in shown
    assert 'outcome="allowed",reason="none",stage="prepare"' in shown
    assert list(tmp_path.iterdir()) == []


def test_a_worker_with_room_has_all_of_it_before_it_counts_anything(tmp_path: Path) -> None:
    assert share_between_workers(tmp_path, 3) is None
    assert is_shared()
    taken = {file.name: file.stat().st_blocks * 512 for file in tmp_path.iterdir()}
    assert taken.keys() == {f"{kind}_3.db" for kind in FILE_BYTES}
    assert all(taken[f"{kind}_3.db"] >= size for kind, size in FILE_BYTES.items())


def test_metrics_with_every_label_at_every_value_fit_into_the_room_that_is_taken(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", ALL_LABELS, str(tmp_path)], check=True, timeout=60)

    files = sorted(tmp_path.iterdir())
    assert {file.name for file in files} == {f"{kind}_1.db" for kind in FILE_BYTES}  # no kind that has no room
    for file in files:
        (used,) = struct.unpack("i", file.read_bytes()[:4])
        assert used < FILE_BYTES[file.name.removesuffix("_1.db")], file.name
        assert file.stat().st_size == FILE_BYTES[file.name.removesuffix("_1.db")], file.name


def as_others_see_it(directory: Path) -> float | None:
    """How many calls were allowed, by the files of all workers."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=str(directory))  # type: ignore[no-untyped-call]
    text = generate_latest(registry).decode()
    return next((float(line.split()[-1]) for line in text.splitlines() if line.startswith(ALLOWED)), None)


def test_what_a_worker_counts_others_see_some_times_a_second_and_at_a_scrape(tmp_path: Path) -> None:
    assert share_between_workers(tmp_path, 1) is None
    metrics = Metrics()
    for ask in (lambda: metrics.event_loop_lag(0.0), metrics.exposition):
        before = as_others_see_it(tmp_path) or 0.0
        metrics.prepared("allowed", "", 0.1)
        metrics.prepared("allowed", "", 0.1)
        assert (as_others_see_it(tmp_path) or 0.0) == before  # nothing is written for each call
        ask()
        assert as_others_see_it(tmp_path) == before + 2


def test_what_a_worker_counted_last_is_written_down_when_it_ends(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", COUNTS_AND_ENDS, str(tmp_path)], check=True)
    assert as_others_see_it(tmp_path) == 1
