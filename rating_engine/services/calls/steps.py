"""How long the steps of one call took, for whoever wants to say it; nobody who takes a step need know who."""

from __future__ import annotations

import time
from contextvars import ContextVar
from typing import Final

# Whoever wants the milliseconds of each step by its name sets a dict, and takes it away again.
steps_taken: Final[ContextVar[dict[str, float] | None]] = ContextVar("steps", default=None)


class Step:
    """`with Step("reserve_ms"): ...`; a repeated one counts as it was last."""

    __slots__ = ("_name", "_started")

    def __init__(self, name: str) -> None:
        self._name = name
        self._started = 0.0

    def __enter__(self) -> None:
        self._started = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        steps = steps_taken.get()
        if steps is not None:
            steps[self._name] = milliseconds(time.perf_counter() - self._started)


def milliseconds(seconds: float) -> float:
    """As the log has them: to a hundredth. `seconds` are not below zero; round() takes four times as long."""
    return int(seconds * 100_000 + 0.5) / 100
