"""The guard: a small process that is the parent of one server and ends it when its own parent goes.

Run as a script (`python -I -S guard.py SPEC`), with nothing but the standard library, so that it starts fast.
Its standard input is a pipe that only the engine holds: the byte `STOP` on it asks for a stop, and its end
means that the engine is gone, however it went. A guard that is itself killed takes the server with it (on
Linux, by the parent-death signal).

A pipe rather than the parent-death signal alone, because that signal follows the *thread* that started a
child: servers started from a worker thread would end with the thread.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import select
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any, Final

STOP: Final = b"s"
PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h
GUARDS_FILE: Final = "guards"  # in the directory to remove; every guard holds a shared lock on it


def die_with_parent(signal_number: int) -> None:
    """Have the kernel send this process `signal_number` when its parent dies. No effect outside Linux."""
    if sys.platform != "linux":
        return
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0)


def start_server(spec: dict[str, Any]) -> int:
    """Fork and execute the command of `spec`, as its user, output to its log; returns the pid."""
    guard_pid = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    try:
        log = os.open(spec["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        if spec["lock"] is not None:
            os.close(spec["lock"])  # the guard's, not the server's; everything else closes itself on exec
        if spec["uid"] is not None:
            os.setgroups([])
            os.setgid(spec["gid"])
            os.setuid(spec["uid"])
        die_with_parent(signal.SIGKILL)  # after setuid, which clears it
        if os.getppid() != guard_pid:
            os._exit(1)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        os.chdir(spec["cwd"])
        os.execve(spec["command"][0], spec["command"], spec["env"])
    except OSError as error:
        os.write(2, f"cannot start {spec['command'][0]}: {error}\n".encode())
    finally:
        os._exit(127)


class Wakeups:
    """Signals turned into bytes on a pipe, so that one `select` waits for all that can happen."""

    def __init__(self) -> None:
        self.reader, writer = os.pipe()
        for end in (self.reader, writer):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda _number, _frame: None)

    def drain(self) -> set[int]:
        """The signals that arrived since the last call."""
        with contextlib.suppress(BlockingIOError):
            return set(os.read(self.reader, 4096))
        return set()


def reap(pid: int) -> int | None:
    """The exit status of a child that has ended (128 + signal if by a signal), or None while it runs."""
    reaped, status = os.waitpid(pid, os.WNOHANG)
    if reaped == 0:
        return None
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def watch(pid: int, wakeups: Wakeups) -> tuple[int | None, bool]:
    """Wait until the server ended or should end: (its exit status or None, whether the engine is gone)."""
    while True:
        readable, _, _ = select.select([0, wakeups.reader], [], [])
        signals = wakeups.drain() if wakeups.reader in readable else set()
        status = reap(pid)
        if status is not None:
            return status, False
        if signals & {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}:
            return None, False
        if 0 in readable:
            return None, os.read(0, 1) != STOP


def stop_server(pid: int, wakeups: Wakeups, steps: list[tuple[int, float]]) -> int:
    """Send each signal of `steps` in turn, wait its seconds for the end; the last one has to be SIGKILL."""
    for number, seconds in steps:
        os.kill(pid, number)
        deadline = time.monotonic() + seconds
        while (status := reap(pid)) is None:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                break
            select.select([wakeups.reader], [], [], remaining)
            wakeups.drain()
        if status is not None:
            return status
    return 1


def remove_if_last(guards: int, directory: str) -> None:
    """Remove `directory` unless another guard still has a server in it (it holds the shared lock)."""
    with contextlib.suppress(OSError):
        fcntl.flock(guards, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(directory, ignore_errors=True)


def main() -> int:
    """Guard one server until it ends; exits with its status."""
    spec = json.loads(sys.argv[1])
    guards = None
    if spec["remove"] is not None:
        guards = os.open(Path(spec["remove"]) / GUARDS_FILE, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(guards, fcntl.LOCK_SH)
    wakeups = Wakeups()
    pid = start_server(spec)
    os.write(1, f"{pid}\n".encode())
    os.close(1)
    status, orphaned = watch(pid, wakeups)
    if status is None:
        status = stop_server(pid, wakeups, spec["stop"])
    if orphaned and guards is not None:
        remove_if_last(guards, spec["remove"])
    return status


if __name__ == "__main__":
    sys.exit(main())
