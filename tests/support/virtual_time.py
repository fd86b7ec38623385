"""A monotonic clock that a test moves on; it never goes back.

Timers and deadlines of the event loop go by it too: move it while nothing is under way.
"""

from __future__ import annotations

import time

import pytest


class VirtualTime:
    """`skip(seconds)`: that much time has passed."""

    def __init__(self) -> None:
        self._real = time.monotonic
        self._skipped = 0.0

    def __call__(self) -> float:
        return self._real() + self._skipped

    def skip(self, seconds: float) -> None:
        self._skipped += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> VirtualTime:
    """Time of this test's process, in the test's hands."""
    virtual = VirtualTime()
    monkeypatch.setattr(time, "monotonic", virtual)
    return virtual
