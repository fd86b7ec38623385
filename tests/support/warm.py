"""Commands run from a process that has them loaded: a fork takes milliseconds where a start takes half a second.

One such process a test process, begun with the first command and ended with it. Each command is a child of its own
with the arguments, environment, directory and files that it is given, and ends as a program does. What a start itself
does is tried by the tests that start whole programs (test_demo, test_serve, the pages).
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

MESSAGE_BYTES: Final = 1_048_576  # of arguments and environment; the kernel lets a program have two of these
PROJECT: Final = Path(__file__).parents[2]

_warm: tuple[subprocess.Popen[str], str] | None = None


def run_warm(
    arguments: Sequence[str], environment: Mapping[str, str], directory: Path, seconds: float
) -> subprocess.CompletedProcess[str]:
    """A command to its end, as subprocess.run would. Raises subprocess.TimeoutExpired; it is killed then."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, socket.socket(socket.AF_UNIX) as asking:
        asking.settimeout(seconds)
        asking.connect(_address(environment))
        said = json.dumps({"arguments": list(arguments), "environment": dict(environment), "directory": str(directory)})
        socket.send_fds(asking, [b"%8d" % len(said.encode())], [out.fileno(), err.fileno()])
        asking.sendall(said.encode())
        try:
            status = asking.makefile("rb").readline()
        except TimeoutError:
            raise subprocess.TimeoutExpired(list(arguments), seconds) from None
        assert status, "the process that commands are run from has died"
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(list(arguments), int(status), out.read().decode(), err.read().decode())


def _address(environment: Mapping[str, str]) -> str:
    global _warm
    if _warm is None or _warm[0].poll() is not None:
        # A name in no directory: nothing is left of it.
        address = f"\0rating-engine-tests-{os.getpid()}-{os.urandom(4).hex()}"
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.warm", address[1:]],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=PROJECT, env=dict(environment),
        )  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        _warm = process, address
        atexit.register(_end, process)
    return _warm[1]


def _end(process: subprocess.Popen[str]) -> None:
    process.communicate()  # its standard input ends, and so does it


def _serve(address: str) -> None:
    """Run what is asked for until standard input ends. Returns in the child that is to be a command."""
    from rating_engine.cli import app as _loaded  # noqa: F401

    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that wait
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"\0{address}")
        listener.listen(64)
        print("ready", flush=True)
        while True:
            readable, _, _ = select.select([listener, sys.stdin], [], [])
            if sys.stdin in readable:
                os._exit(0)
            asking, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                _run(asking)
                return
            asking.close()


def _run(asking: socket.socket) -> None:
    """In a child: become the command in one of its own, wait for it, say its status. Returns in the command alone."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    head, files, _, _ = socket.recv_fds(asking, 8, 2)
    said = b""
    while len(said) < int(head):
        said += asking.recv(MESSAGE_BYTES)
    wanted = json.loads(said)
    command = os.fork()
    if command == 0:
        asking.close()
        _become(wanted, files)
        return
    ended = os.pidfd_open(command)
    readable, _, _ = select.select([ended, asking], [], [])
    if ended not in readable:  # who asked has gone
        os.kill(command, signal.SIGKILL)
    _, status = os.waitpid(command, 0)
    asking.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
    os._exit(0)


def _become(wanted: Mapping[str, object], files: Sequence[int]) -> None:
    os.chdir(str(wanted["directory"]))
    os.environ.clear()
    os.environ.update(wanted["environment"])  # type: ignore[arg-type,call-overload]
    nothing = os.open(os.devnull, os.O_RDONLY)
    for there, number in ((nothing, 0), (files[0], 1), (files[1], 2)):
        os.dup2(there, number)
    for each in (nothing, *files):
        os.close(each)
    sys.modules["__main__"].__package__ = "rating_engine.cli"  # as what it calls itself in its help
    sys.argv = [str(PROJECT / "rating_engine" / "cli" / "__main__.py"), *wanted["arguments"]]  # type: ignore[misc]


if __name__ == "__main__":
    _serve(sys.argv[1])
    from rating_engine.cli.app import main

    main()
