"""What systemd does for a service, without systemd: listens for sd_notify, and hands over sockets (LISTEN_FDS)."""

from __future__ import annotations

import contextlib
import socket
import sys
from collections.abc import Iterator, Mapping

from tests.support.waiting import HANG_SECONDS

# argv: names with colons, the sockets' descriptors with colons, the command. As systemd: from descriptor 3 on.
_LAUNCHER = """
import os, sys
names, numbers, *command = sys.argv[1:]
high = [os.dup2(int(number), 100 + index) for index, number in enumerate(numbers.split(":"))]
for index, number in enumerate(high):
    os.dup2(number, 3 + index)
    os.close(number)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(high)), "LISTEN_FDNAMES": names}
os.execv(command[0], command)
"""


class Systemd:
    """Hears what a service says of itself."""

    def __init__(self, heard: socket.socket) -> None:
        self._heard = heard
        self.address = "@" + heard.getsockname()[1:].decode()

    def next(self) -> str:
        """The next message; AssertionError when none comes."""
        try:
            return self._heard.recv(4096).decode()
        except TimeoutError:
            raise AssertionError("systemd was not told anything") from None

    def hears(self, message: str) -> None:
        """Wait for this message, past all others."""
        while self.next() != message:
            pass

    def forget(self) -> None:
        """Pass over what was said until now."""
        while not self.heard_nothing():
            pass

    def heard_nothing(self) -> bool:
        """Whether nothing has been said, as of now; what was is passed over."""
        self._heard.setblocking(False)
        try:
            self._heard.recv(4096)
        except BlockingIOError:
            return True
        finally:
            self._heard.settimeout(HANG_SECONDS)
        return False


@contextlib.contextmanager
def systemd() -> Iterator[Systemd]:
    """Something that listens where NOTIFY_SOCKET says."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind("")  # an abstract address of the kernel's choice
        heard.settimeout(HANG_SECONDS)
        yield Systemd(heard)


def activation(sockets: Mapping[str, socket.socket]) -> tuple[list[str], list[int]]:
    """What to put before a command, and which descriptors it inherits, so that it gets these sockets by name."""
    numbers = [sock.fileno() for sock in sockets.values()]
    return [sys.executable, "-c", _LAUNCHER, ":".join(sockets), ":".join(map(str, numbers))], numbers
