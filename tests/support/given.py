"""What an engine of a test is given from outside: the time that calls go by, and who watches exchanges."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from rating_engine.services.clock import Clock


class GivenClock(Clock):
    """The time it is told; before that, the time it is."""

    def __init__(self) -> None:
        super().__init__()
        self.moment: datetime | None = None

    def now(self) -> datetime:
        return self.moment or super().now()


class GivenWatch:
    """Every exchange is watched, or none, once it is told so; before that, whatever the engine itself knows."""

    def __init__(self) -> None:
        self.watched: bool | None = None
        self.engines_own: Callable[[str], bool] = lambda exchange: False

    def __call__(self, exchange: str) -> bool:
        return self.engines_own(exchange) if self.watched is None else self.watched
