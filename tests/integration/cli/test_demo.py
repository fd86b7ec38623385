"""`rating-engine demo` as a visitor runs it: it ends well, says why, and leaves nothing, however it is ended."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.commands import COMMAND, COMMAND_SECONDS, Commands, environment, steady_port
from tests.support.waiting import wait_until

DEMO = [*COMMAND, "demo", "--calls", "40"]
LONG = [*COMMAND, "demo", "--calls", "20000"]  # minutes of calls: time to end it in the middle
ESCAPE = "\x1b["


@pytest.fixture
def place() -> Iterator[Path]:
    """Where everything temporary of a demo goes; its servers' own user may enter it, as it may not pytest's."""
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        yield Path(directory)


def processes_of(place: Path) -> list[psutil.Process]:
    """Every process that works in `place` or was told of it."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if str(place) in " ".join([process.cwd(), *process.cmdline()]):
                found.append(process)
    return found


def assert_nothing_is_left(place: Path, *, files: tuple[str, ...] = ()) -> None:
    wait_until(lambda: not processes_of(place), "nothing runs any more")
    wait_until(lambda: {file.name for file in place.iterdir()} == set(files), "nothing lies about")


def heard() -> None:
    """Ctrl-C is heard as at a terminal: a shell lets what it starts in the background ignore it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@contextlib.contextmanager
def running(place: Path) -> Iterator[subprocess.Popen[str]]:
    """A long demo in the middle of its calls."""
    with subprocess.Popen(
        LONG, env=environment(tmpdir=place) | {"TMPDIR": str(place)}, cwd="/", text=True, stdout=-1, stderr=-1,
        preexec_fn=heard,
    ) as demo:  # fmt: skip
        try:
            assert demo.stdout is not None
            while "answers on agi://" not in (line := demo.stdout.readline()):
                assert line, demo.communicate()
            yield demo
        finally:
            demo.kill()


def test_a_demo_proves_its_ledger_and_leaves_nothing(place):
    done = subprocess.run(
        DEMO, env=environment() | {"TMPDIR": str(place)}, cwd="/", capture_output=True, text=True, check=False,
        timeout=COMMAND_SECONDS,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")
    assert ESCAPE not in done.stdout
    assert "[/]" not in done.stdout  # markup that nobody rendered
    lines = done.stdout.splitlines()
    assert "ledger: balanced" in lines
    both = "by REST: 0.02 a second to 4420; over HTTP, callPrepare and callFinish: 60 s cost 1.20"
    assert lines.index(both) == lines.index("ledger: balanced") + 1
    rates = re.search(r"([\d,]+) rates of [\d,]+ directions imported", done.stdout)
    assert rates is not None
    assert int(rates[1].replace(",", "")) >= 20_000
    for reason in ("insufficient_funds", "no_rate", "unknown_login", "invalid_destination"):
        assert re.search(rf"^{reason}\t[1-9]", done.stdout, re.MULTILINE), reason
    for outcome in ("answered", "nobody answered", "busy"):
        assert re.search(rf"^{outcome}\t[1-9]", done.stdout, re.MULTILINE), outcome
    assert re.search(r"^together\t40\t", done.stdout, re.MULTILINE)
    assert_nothing_is_left(place)


def test_on_a_terminal_bars_move_and_are_gone_at_the_end_and_what_was_shown_is_drawn(place):
    picture = place / "demo.svg"
    ours, theirs = pty.openpty()
    variables = environment() | {"TMPDIR": str(place), "TERM": "xterm-256color", "COLUMNS": "100"}
    variables.pop("NO_COLOR")
    with subprocess.Popen([*DEMO, "--picture", picture], env=variables, cwd="/", stdout=theirs, stderr=theirs) as demo:
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # the end of a terminal
            while piece := os.read(ours, 65_536):
                shown += piece
        os.close(ours)
        assert demo.wait(COMMAND_SECONDS) == 0

    text = shown.decode()
    assert "starting PostgreSQL" in text
    assert re.search(r"\d+/40", text)
    assert f"{ESCAPE}2K" in text  # a line is wiped
    assert f"{ESCAPE}?25h" in text  # and the cursor shown again
    drawn = picture.read_text()
    assert "balanced" in drawn
    assert "url(http" not in drawn  # it asks the network for nothing
    assert_nothing_is_left(place, files=(picture.name,))


@pytest.mark.parametrize(
    ("number", "status"),
    [
        (signal.SIGINT, 130),
        (signal.SIGKILL, -9),
        pytest.param(signal.SIGTERM, 143, marks=pytest.mark.soak),  # on the way of SIGINT
        pytest.param(signal.SIGHUP, 143, marks=pytest.mark.soak),
    ],
)
def test_a_demo_that_is_ended_in_the_middle_leaves_nothing_running(place, number, status):
    with running(place) as demo:
        demo.send_signal(number)
        out, said = demo.communicate(timeout=COMMAND_SECONDS)

    assert demo.returncode == status
    assert "Traceback" not in out + said
    if number is signal.SIGKILL:
        wait_until(lambda: not processes_of(place), "nothing runs any more")
    else:
        assert_nothing_is_left(place)


def test_a_demo_whose_engine_dies_says_so_and_where_its_log_is(place):
    with running(place) as demo:
        engines = [process for process in processes_of(place) if "rating_engine.cli" in process.cmdline()]
        assert [process.kill() for process in engines if "serve" in process.cmdline()]
        _, said = demo.communicate(timeout=COMMAND_SECONDS)

    assert demo.returncode == 1
    first, second = said.splitlines()
    log = Path(first.removeprefix("the engine's log: "))
    assert "engine_started" in log.read_text()
    assert second.startswith("error call")
    assert_nothing_is_left(place, files=(log.parent.name,))
    assert list(log.parent.iterdir()) == [log]


def test_what_a_demo_says_to_type_next_works(place):
    program = Path(sys.executable).with_name("rating-engine")
    done = subprocess.run(
        [program, "demo", "--calls", "4"], env=environment() | {"TMPDIR": str(place)}, cwd=place,
        capture_output=True, text=True, check=False, timeout=COMMAND_SECONDS,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    typed = [shlex.split(line) for line in done.stdout.splitlines() if line.startswith("  ") and program.name in line]
    assert [words[1] for words in typed] == ["serve", "demo", "rates", "account", "call", "account"]
    settings = {"embedded_data_dir": place / "data", "spool_dir": place / "spool", "fastagi_port": steady_port()}
    cli = Commands(place, **settings)

    with cli.serving(*typed[0][2:], fastagi_port=settings["fastagi_port"]):
        for words in typed[1:]:
            typed_done = subprocess.run(
                [place / words[0], *words[1:]], env=environment(**settings), cwd=place,
                capture_output=True, text=True, check=False, timeout=COMMAND_SECONDS,
            )  # fmt: skip
            assert typed_done.returncode == 0, (words, typed_done)
        kinds = [entry["kind"] for entry in cli.json("account", "statement", "1001")["entries"]]
        assert kinds == ["charge", "opening"]
        assert cli.run("doctor").returncode == 0
