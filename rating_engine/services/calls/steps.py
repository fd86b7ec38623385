"""How long the steps of one call took, for whoever wants to say it; nobody who takes a step need know who."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from contextvars import ContextVar

_taken: ContextVar[dict[str, float] | None] = ContextVar("steps", default=None)


@contextlib.contextmanager
def noted() -> Iterator[dict[str, float]]:
    """Note the milliseconds of each step taken within, by its name; a repeated one counts as it was last."""
    steps: dict[str, float] = {}
    token = _taken.set(steps)
    try:
        yield steps
    finally:
        _taken.reset(token)


class Step:
    """`with Step("reserve_ms"): ...`"""

    __slots__ = ("_name", "_started")

    def __init__(self, name: str) -> None:
        self._name = name
        self._started = 0.0

    def __enter__(self) -> None:
        self._started = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        steps = _taken.get()
        if steps is not None:
            steps[self._name] = milliseconds(time.perf_counter() - self._started)


def milliseconds(seconds: float) -> float:
    """As the log has them."""
    return round(seconds * 1000, 2)
