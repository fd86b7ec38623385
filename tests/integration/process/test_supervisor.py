"""The supervisor over real processes: it runs inside one of its own, so that it can be signalled and killed."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import structlog

from rating_engine.process import supervisor
from rating_engine.process.takeover import Entrance, open_entrance
from tests.support.servers import free_port
from tests.support.waiting import HANG_SECONDS, wait_until

PROJECT = Path(__file__).parents[3]

# argv: directory for notes, what the worker does, number of workers, JSON of changed constants, drain seconds,
# and the ports to serve, and whether to take them over
SUPERVISOR = """
import json, sys
from rating_engine.process import supervisor
from rating_engine.process.takeover import open_entrance
from rating_engine.telemetry.logs import configure_logging
directory, worker, count, constants, drain, ports, take_over = sys.argv[1:]
configure_logging("json", "info", sys.stderr.buffer)
vars(supervisor).update(json.loads(constants))
ports = [("127.0.0.1", port) for port in json.loads(ports)]
sys.exit(supervisor.run_workers(
    int(count), [sys.executable, "-c", worker, directory], environment={"GIVEN": "yes"}, shutdown_seconds=float(drain),
    entrance=open_entrance(dict(zip(('fastagi', 'http'), ports)), take_over=take_over == "True") if ports else None,
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
SERVES = (
    NOTE
    + """
import socket
listener = socket.socket(fileno=int(os.environ["RATING_LISTENERS"].split("=")[1].split(",")[0]))
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
while number == "2" and not (notes / "go").exists():
    time.sleep(0.01)
os.write(int(os.environ["RATING_READY"]), bytes([int(number)]))
note.rename(notes / note.name)
listener.setblocking(True)
while True:
    accepted, _ = listener.accept()
    accepted.sendall(str(os.getpid()).encode())
    accepted.close()
"""
)
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

    def __call__(
        self,
        worker: str,
        *,
        workers: int = 1,
        drain: float = 30.0,
        ports: Sequence[int] = (),
        take_over: bool = False,
        environment: Mapping[str, str] | None = None,
        **constants: float,
    ) -> Supervised:
        arguments = [str(self._directory), worker, workers, json.dumps(constants), drain, json.dumps(ports), take_over]
        process = subprocess.Popen(
            [sys.executable, "-c", SUPERVISOR, *map(str, arguments)],
            cwd=PROJECT,
            env={**os.environ, **(environment or {})},
            stderr=subprocess.PIPE,
            text=True,
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


# --- ports


def asked(port: int) -> str:
    """The process id that a worker which SERVES answers with."""
    with socket.create_connection(("127.0.0.1", port), HANG_SECONDS) as client:
        return client.recv(100).decode()


def test_who_waits_while_a_worker_is_started_again_is_served_by_it(start: Start) -> None:
    ports = [free_port(), free_port()]
    supervised = start(SERVES, ports=ports, BACKOFF_FIRST_SECONDS=0.01)
    supervised.wait_for_starts(1)
    before = asked(ports[0])

    os.kill(int(before), signal.SIGKILL)
    wait_until(lambda: gone([int(before)]), "the worker to end")
    after = asked(ports[0])

    assert before != after
    assert [str(pid) for pid in supervised.pids("1")] == [before, after]
    supervised.process.terminate()
    assert supervised.finish()[0] == 0


def test_ports_are_closed_as_soon_as_the_drain_begins(start: Start) -> None:
    ports = [free_port(), free_port()]
    closes = SERVES.replace("sys.exit(0)", "listener.close() or time.sleep(0.3) or sys.exit(0)")
    supervised = start(closes, ports=ports, drain=600.0)
    supervised.wait_for_starts(1)

    supervised.process.terminate()

    def is_refused() -> bool:
        try:
            return asked(ports[0]) == "never"
        except ConnectionResetError:  # it closes at this moment
            return False
        except ConnectionRefusedError:
            return True

    wait_until(is_refused, "connections to be refused")
    assert supervised.finish()[0] == 0


@pytest.mark.skipif(sys.platform != "linux", reason="abstract unix sockets are Linux's")
def test_the_set_is_ready_when_all_its_workers_are(start: Start, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind("")  # an abstract address of the kernel's choice
        name = "@" + systemd.getsockname()[1:].decode()
        ports = [free_port(), free_port()]
        supervised = start(SERVES, workers=2, ports=ports, environment={"NOTIFY_SOCKET": name})
        supervised.wait_for_starts(1)
        systemd.setblocking(False)
        with pytest.raises(BlockingIOError):
            systemd.recv(100)

        (tmp_path / "go").touch()

        assert select.select([systemd], [], [], HANG_SECONDS)[0], "systemd was not told"
        assert systemd.recv(100) == b"READY=1"
        supervised.process.terminate()
        assert supervised.finish()[0] == 0


def at(*addresses: tuple[str, int]) -> dict[str, tuple[str, int]]:
    """Listeners at these addresses: FastAGI, then HTTP."""
    return dict(zip(("fastagi", "http"), addresses, strict=True))


def heard(entrance: Entrance) -> bool:
    """What `advance` says when there is something to hear."""
    assert entrance.waits_for is not None
    assert select.select([entrance.waits_for], [], [], HANG_SECONDS)[0], "nothing was heard"
    return entrance.advance()


@pytest.mark.skipif(sys.platform != "linux", reason="abstract unix sockets are Linux's")
def test_a_set_of_workers_that_is_followed_drains_and_ends(start: Start) -> None:
    ports = [free_port(), free_port()]
    supervised = start(SERVES, ports=ports)
    supervised.wait_for_starts(1)

    new = open_entrance(at(*[("127.0.0.1", port) for port in ports]), take_over=True)
    assert new.predecessor is not None
    assert new.predecessor.pid == supervised.process.pid
    assert not gone(all_pids(supervised))
    new.ready()
    status, events = supervised.finish()
    new.close()

    assert status == 0
    assert "handed_over" in [event["event"] for event in events]
    assert gone(all_pids(supervised))


@pytest.mark.skipif(sys.platform != "linux", reason="abstract unix sockets are Linux's")
def test_a_worker_that_ends_before_all_serve_ends_the_takeover_and_the_old_engine_goes_on(start: Start) -> None:
    old = open_entrance(at(("127.0.0.1", 0), ("127.0.0.1", 0)), take_over=False)
    old.ready()
    ports = [listener.getsockname()[1] for listener in old.listeners.by_name.values()]

    supervised = start(CRASHES, workers=2, ports=ports, take_over=True)
    assert heard(old) is False
    status, events = supervised.finish()

    assert status == 1
    assert "takeover_failed" in [event["event"] for event in events]
    with structlog.testing.capture_logs() as log:
        assert heard(old) is False
    assert [line["event"] for line in log] == ["takeover_abandoned"]
    old.close()


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
