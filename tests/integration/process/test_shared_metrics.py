"""Metrics of several worker processes, read through one of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from rating_engine.telemetry.sharing import forget_worker

WORKER = """
import sys
from pathlib import Path
from rating_engine.telemetry.metrics import Metrics
from rating_engine.telemetry.sharing import share_between_workers
share_between_workers(Path(sys.argv[1]), int(sys.argv[2]))
metrics = Metrics()
for _ in range(int(sys.argv[3])):
    metrics.prepared("allowed", "", 0.002)
    metrics.connection_opened()
metrics.database_state("calls", sys.argv[4] == "up")
sys.stdout.buffer.write(metrics.exposition()[0])
"""
CALLS = "rating_calls_total"
CONNECTIONS = "rating_fastagi_connections"
DATABASE_UP = "rating_database_up"


def run_worker(directory: Path, number: int, calls: int, database: str = "up") -> dict[str, float]:
    """Run a worker that counts `calls` calls and ends; the unlabelled sum of each sample it then shows."""
    command = [sys.executable, "-c", WORKER, str(directory), str(number), str(calls), database]
    shown = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    sums: dict[str, float] = {}
    for family in text_string_to_metric_families(shown):
        for sample in family.samples:
            sums[sample.name] = sums.get(sample.name, 0.0) + sample.value
    return sums


def test_any_worker_shows_the_sum_of_all(tmp_path: Path) -> None:
    run_worker(tmp_path, 1, 3)

    shown = run_worker(tmp_path, 2, 4)

    assert shown[CALLS] == 7
    assert shown[CONNECTIONS] == 7
    assert shown["rating_prepare_seconds_count"] == 7


def test_a_state_shown_for_all_is_that_of_the_worst(tmp_path: Path) -> None:
    run_worker(tmp_path, 1, 0, "down")

    assert run_worker(tmp_path, 2, 0, "up")[DATABASE_UP] == 0


def test_a_worker_that_ended_leaves_the_gauges_and_stays_in_the_counters(tmp_path: Path) -> None:
    run_worker(tmp_path, 1, 3, "down")

    forget_worker(tmp_path, 1)
    shown = run_worker(tmp_path, 2, 4)

    assert shown[CALLS] == 7
    assert shown[CONNECTIONS] == 4
    assert shown[DATABASE_UP] == 1


def test_a_worker_started_anew_goes_on_counting_in_the_same_files(tmp_path: Path) -> None:
    run_worker(tmp_path, 1, 3)
    files = sorted(tmp_path.iterdir())
    forget_worker(tmp_path, 1)

    shown = run_worker(tmp_path, 1, 4)

    assert shown[CALLS] == 7
    assert shown[CONNECTIONS] == 4
    assert sorted(tmp_path.iterdir()) == files
