"""Waiting for what happens in another process: often, and not for ever."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE_SECONDS = 30.0  # for a slow machine; on a good one none of it is used
POLL_SECONDS = 0.02


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Return as soon as `condition` holds; fails the test, saying `what`, when it does not come to hold."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(POLL_SECONDS)
