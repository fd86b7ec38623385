"""Says "I serve" to whoever started this process: the supervisor of the workers, or systemd."""

from __future__ import annotations

import os
import socket
from typing import Final

import structlog

from rating_engine.settings.sources import READY_VARIABLE

SYSTEMD_VARIABLE: Final = "NOTIFY_SOCKET"  # systemd's own name; see sd_notify(3)

_log = structlog.get_logger(__name__)


def notify_supervisor(worker: int) -> None:
    """This worker serves; its number is the message. Nothing when no supervisor asked to hear of it."""
    pipe = os.environ.get(READY_VARIABLE)
    if pipe is not None:
        os.write(int(pipe), bytes([worker]))


def notify_systemd(state: str) -> None:
    """Tell systemd (`READY=1`), where it waits for that: a unit of Type=notify. What it does not hear is logged."""
    address = os.environ.get(SYSTEMD_VARIABLE)
    if not address:
        return
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.sendto(state.encode(), "\0" + address[1:] if address.startswith("@") else address)
    except OSError as error:
        _log.warning("systemd_not_notified", error=str(error))
