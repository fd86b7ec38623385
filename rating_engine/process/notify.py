"""Says "I serve" and "I live" to whoever started this process: the supervisor of the workers, or systemd.

Law: "I live" comes from the event loop itself, so that a loop that hangs is noticed; and of workers, from each of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable
from typing import Final

import structlog

from rating_engine.settings.sources import READY_VARIABLE

SYSTEMD_VARIABLE: Final = "NOTIFY_SOCKET"  # systemd's own names; see sd_notify(3) and sd_watchdog_enabled(3)
WATCHDOG_VARIABLE: Final = "WATCHDOG_USEC"
WATCHDOG_PID_VARIABLE: Final = "WATCHDOG_PID"
BEAT_SECONDS: Final = (
    1.0  # how often a worker says that it lives; the least WatchdogSec that makes sense is some seconds
)
READY: Final = "READY=1"
STOPPING: Final = "STOPPING=1"
ALIVE: Final = "WATCHDOG=1"

_log = structlog.get_logger(__name__)


def notify_supervisor(worker: int) -> None:
    """This worker serves, or still does; its number is the message. Nothing when no supervisor asked to hear of it."""
    pipe = os.environ.get(READY_VARIABLE)
    if pipe is not None:
        with contextlib.suppress(BlockingIOError):  # it has not read for thousands of these
            os.write(int(pipe), bytes([worker]))


def notify_systemd(state: str) -> None:
    """Tell systemd (READY, ALIVE, STOPPING), where it waits for that: a unit of Type=notify. What it does not hear is
    logged."""
    address = os.environ.get(SYSTEMD_VARIABLE)
    if not address:
        return
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            sock.sendto(state.encode(), "\0" + address[1:] if address.startswith("@") else address)
    except OSError as error:
        _log.warning("systemd_not_notified", error=str(error))


def watchdog_seconds() -> float | None:
    """How long systemd waits for a sign of life of this process (WatchdogSec); None when it does not."""
    wanted, pid = os.environ.get(WATCHDOG_VARIABLE, ""), os.environ.get(WATCHDOG_PID_VARIABLE, "")
    if not wanted.isdecimal() or int(wanted) == 0 or pid not in ("", str(os.getpid())):
        return None
    return int(wanted) / 1_000_000


async def beat(say: Callable[[], None], seconds: float) -> None:
    """Say that this event loop lives, again and again, until cancelled."""
    while True:
        say()
        await asyncio.sleep(seconds)
