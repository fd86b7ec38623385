"""A whole engine inside the test's own event loop, wired as `rating-engine serve` wires it."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import AsyncIterator

from rating_engine.engine.engine import Engine
from rating_engine.services.clock import Clock
from rating_engine.settings.model import Settings


@contextlib.asynccontextmanager
async def engine_on(
    database_url: str, redis_url: str = "", *, clock: Clock | None = None, **settings: object
) -> AsyncIterator[Engine]:
    """An engine on free ports with a spool of its own, stopped afterwards. `settings` go over the defaults."""
    with tempfile.TemporaryDirectory(prefix="spool-") as spool:
        given = {"database_url": database_url, "redis_url": redis_url, "spool_dir": spool}
        engine = Engine(Settings.model_validate({"fastagi_port": 0, "http_port": 0, **given, **settings}), clock=clock)
        await engine.start()
        try:
            yield engine
        finally:
            await engine.stop()


def hear_nothing(engine: Engine) -> None:
    """From now on the engine hears no announcement of a change, and does not notice that."""
    engine.announcements._on_change = lambda kind, value: None
