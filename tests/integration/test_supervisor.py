"""The supervisor over real processes: it runs inside one of its own, so that it can be signalled and killed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from rating_engine import supervisor
from tests.support.waiting import wait_until

PROJECT = Path(__file__).parents[2]

# argv: directory for notes, what the worker does, number of workers, JSON of changed constants, drain seconds
SUPERVISOR = """
import json, sys
from rating_engine import supervisor
from rating_engine.telemetry.logs import configure_logging
directory, worker, count, constants, drain = sys.argv[1:]
configure_logging("json", "info", sys.stderr.buffer)
vars(supervisor).update(json.loads(constants))
sys.exit(supervisor.run_workers(
    int(count), [sys.executable, "-c", worker, directory], environment={"GIVEN": "yes"}, shutdown_seconds=float(drain),
))
"""

# a worker leaves a note `NUMBER.PID` with what it was given, then does as `AFTER` says
NOTE = """
import json, os, pathlib, signal, sys, time
notes = pathlib.Path(sys.argv[1])
number, metrics = os.environ["RATING_WORKER"], os.environ["PROMETHEUS_MULTIPROC_DIR"]
(notes / "part").mkdir(exist_ok=True)
note = notes / "part" / f"{number}.{os.getpid()}"
note.write_text(json.dumps({"pid": os.getpid(), "number": number, "metrics": metrics, "given": os.environ["GIVEN"]}))
"""
READY = "note.rename(notes / note.name)\n"
DRAINS = NOTE + "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n" + READY + "time.sleep(600)"
IGNORES = NOTE + "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + READY + "time.sleep(600)"
FAILS_TO_DRAIN = NOTE + "signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))\n" + READY + "time.sleep(600)"
DRAINS_SLOWLY = (
    NOTE + "signal.signal(signal.SIGTERM, lambda *_: (time.sleep(0.3), sys.exit(0)))\n" + READY + "time.sleep(600)"
)
STARTS_FOR_EVER = NOTE + READY + "time.sleep(600)"  # SIGTERM is not handled yet
CRASHES = NOTE + READY + "os._exit(1)"
MISCONFIGURED = NOTE + READY + "os._exit(2 if number == '1' else time.sleep(600))"


@dataclass
class Supervised:
    """A running supervisor and the notes of its workers."""

    process: subprocess.Popen[str]
    directory: Path

    @property
    def notes(self) -> list[dict[str, str]]:
        """One for each start of a worker, oldest first."""
        files = sorted(self.directory.glob("[0-9]*.[0-9]*"), key=lambda file: file.stat().st_mtime_ns)
        return [json.loads(file.read_text()) for file in files]

    def pids(self, number: str) -> list[int]:
        """The process ids that worker `number` has had."""
        return [int(note["pid"]) for note in self.notes if note["number"] == number]

    def wait_for_starts(self, count: int) -> None:
        wait_until(lambda: len(self.notes) >= count, f"{count} starts of workers")

    def finish(self) -> tuple[int, list[dict[str, object]]]:
        """Wait for its end: exit status and events."""
        _, log = self.process.communicate(timeout=60)
        return self.process.returncode, [json.loads(line) for line in log.splitlines()]


class Start:
    """Starts supervisors for a test and sees to it that none is left."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._started: list[subprocess.Popen[str]] = []

    def __call__(self, worker: str, *, workers: int = 1, drain: float = 30.0, **constants: float) -> Supervised:
        command = [sys.executable, "-c", SUPERVISOR, str(self._directory), worker, str(workers)]
        process = subprocess.Popen(
            [*command, json.dumps(constants), str(drain)], cwd=PROJECT, stderr=subprocess.PIPE, text=True
        )
        self._started.append(process)
        return Supervised(process, self._directory)

    def end(self) -> None:
        for process in self._started:
            process.kill()
            for pid in all_pids(Supervised(process, self._directory)):  # one may ignore what its supervisor's end sends
                with contextlib.suppress(psutil.NoSuchProcess):
                    left = psutil.Process(pid)
                    if str(self._directory) in left.cmdline():  # still the one that left the note
                        left.kill()
            process.communicate()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    starter = Start(tmp_path)
    yield starter
    starter.end()


def gone(pids: list[int]) -> bool:
    def ended(pid: int) -> bool:
        try:
            return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    return all(ended(pid) for pid in pids)


def all_pids(supervised: Supervised) -> list[int]:
    return [int(note["pid"]) for note in supervised.notes]


# --- starting


def test_each_worker_is_told_its_number_and_where_the_shared_metrics_are(start: Start) -> None:
    supervised = start(DRAINS, workers=2)
    supervised.wait_for_starts(2)

    notes = supervised.notes
    supervised.process.terminate()
    supervised.finish()

    assert sorted(note["number"] for note in notes) == ["1", "2"]
    assert {note["given"] for note in notes} == {"yes"}
    assert len({note["metrics"] for note in notes}) == 1
    assert not Path(notes[0]["metrics"]).exists(), "the temporary directory goes at the end"


# --- stopping


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_drains_every_worker(number: signal.Signals, start: Start) -> None:
    supervised = start(DRAINS, workers=2)
    supervised.wait_for_starts(2)

    supervised.process.send_signal(number)
    status, events = supervised.finish()

    assert status == 0
    assert gone(all_pids(supervised))
    assert [event["signal"] for event in events if event["event"] == "supervisor_stopping"] == [number.name]


def test_a_worker_that_does_not_drain_is_killed_and_the_status_says_so(start: Start) -> None:
    supervised = start(IGNORES, drain=0.0, STOP_MARGIN_SECONDS=0.05)
    supervised.wait_for_starts(1)

    supervised.process.terminate()
    status, events = supervised.finish()

    assert status == 1
    assert gone(all_pids(supervised))
    assert [event["worker"] for event in events if event["event"] == "worker_killed"] == [1]


def test_a_second_signal_cuts_the_drain_short(start: Start) -> None:
    supervised = start(IGNORES, drain=600.0, HURRY_SECONDS=0.0)
    supervised.wait_for_starts(1)
    assert supervised.process.stderr is not None

    supervised.process.terminate()
    while "supervisor_stopping" not in supervised.process.stderr.readline():
        pass
    supervised.process.terminate()

    assert supervised.finish()[0] == 1
    assert gone(all_pids(supervised))


def test_the_same_signal_sent_on_by_a_shell_does_not_cut_the_drain_short(start: Start) -> None:
    supervised = start(DRAINS_SLOWLY, drain=600.0, HURRY_SECONDS=600.0)
    supervised.wait_for_starts(1)

    supervised.process.terminate()
    supervised.process.send_signal(signal.SIGINT)

    assert supervised.finish()[0] == 0


def test_a_worker_that_ends_badly_while_draining_makes_the_status_bad(start: Start) -> None:
    supervised = start(FAILS_TO_DRAIN)
    supervised.wait_for_starts(1)

    supervised.process.terminate()

    assert supervised.finish()[0] == 1


def test_a_worker_that_is_stopped_while_it_starts_has_nothing_to_drain(start: Start) -> None:
    supervised = start(STARTS_FOR_EVER)
    supervised.wait_for_starts(1)

    supervised.process.terminate()

    assert supervised.finish()[0] == 0


@pytest.mark.skipif(sys.platform != "linux", reason="the parent-death signal is Linux's")
def test_workers_end_with_a_supervisor_that_is_killed(start: Start) -> None:
    supervised = start(DRAINS, workers=2)
    supervised.wait_for_starts(2)
    pids = all_pids(supervised)

    supervised.process.kill()

    wait_until(lambda: gone(pids), "the workers to end")


# --- crashes


def test_a_worker_that_is_killed_is_started_again_and_the_others_are_left_alone(start: Start) -> None:
    supervised = start(DRAINS, workers=2, BACKOFF_FIRST_SECONDS=0.01)
    supervised.wait_for_starts(2)

    os.kill(supervised.pids("1")[0], signal.SIGKILL)
    supervised.wait_for_starts(3)
    supervised.process.terminate()

    assert supervised.finish()[0] == 0
    assert len(supervised.pids("1")) == 2
    assert len(supervised.pids("2")) == 1


def test_a_worker_that_crashes_at_each_start_is_given_up(start: Start) -> None:
    supervised = start(CRASHES, BACKOFF_FIRST_SECONDS=0.001, BACKOFF_MAX_SECONDS=0.001, EARLY_CRASHES_MAX=3)

    status, events = supervised.finish()

    assert status == 1
    assert len(supervised.pids("1")) == 3
    assert events[-1]["event"] == "worker_crashes_again_and_again"


def test_a_worker_that_cannot_be_configured_ends_all_with_its_status(start: Start) -> None:
    supervised = start(MISCONFIGURED, workers=2)

    status, events = supervised.finish()

    assert status == 2
    assert len(supervised.pids("1")) == 1
    assert gone(all_pids(supervised))
    assert "worker_cannot_run" in [event["event"] for event in events]


def test_restarts_become_rarer_up_to_a_limit() -> None:
    pauses = [supervisor.backoff_seconds(crashes) for crashes in range(8)]

    assert pauses == [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0]


# --- metrics


def test_each_set_of_workers_has_a_directory_of_its_own_and_leaves_none(tmp_path: Path) -> None:
    with supervisor.shared_metrics(tmp_path) as old, supervisor.shared_metrics(tmp_path) as new:
        (old / "counter_1.db").write_bytes(b"old")

        assert list(new.iterdir()) == []

    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_set_of_workers_left_is_removed_and_other_files_are_not(tmp_path: Path) -> None:
    left = tmp_path / f"{supervisor.METRICS_PREFIX}left"
    left.mkdir()
    (left / "counter_1.db").write_bytes(b"old")
    (tmp_path / "notes.txt").write_text("mine")

    with supervisor.shared_metrics(tmp_path) as directory:
        assert sorted(tmp_path.iterdir()) == sorted([directory, tmp_path / "notes.txt"])
