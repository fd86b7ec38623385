"""A whole engine inside the test's own event loop, wired as `rating-engine serve` wires it."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import AsyncIterator
from datetime import datetime
from weakref import WeakKeyDictionary

from rating_engine.engine.engine import Engine
from rating_engine.services.clock import Clock
from rating_engine.settings.model import Settings
from rating_engine.storage.calls.shared_calls import SharedCalls
from tests.support.given import GivenClock, GivenWatch

# A machine that stands still for a while is no outage: what a test means to be late has deadlines of its own.
PATIENT: dict[str, object] = {
    "database_timeout_seconds": 20,
    "database_office_timeout_seconds": 120,
    "database_connect_timeout_seconds": 10,
}

_watches: WeakKeyDictionary[Engine, GivenWatch] = WeakKeyDictionary()


@contextlib.asynccontextmanager
async def engine_on(
    database_url: str,
    redis_url: str = "",
    *,
    clock: Clock | None = None,
    shared_calls: SharedCalls | None = None,
    **settings: object,
) -> AsyncIterator[Engine]:
    """An engine on free ports with a spool of its own, stopped afterwards. `settings` go over the defaults.

    One call may hold everything: what most tests count is then the balance itself. Those of shares ask for `quota`.
    """
    with tempfile.TemporaryDirectory(prefix="spool-") as spool:
        given = {"database_url": database_url, "redis_url": redis_url, "spool_dir": spool, "reservation_mode": "full"}
        watch = GivenWatch()
        all_settings = Settings.model_validate({"fastagi_port": 0, "http_port": 0, **PATIENT, **given, **settings})
        engine = Engine(all_settings, clock=clock or GivenClock(), is_watched=watch, shared_calls=shared_calls)
        watch.engines_own = engine.watch.is_watched
        _watches[engine] = watch
        await engine.start()
        try:
            yield engine
        finally:
            await engine.stop()


def set_time(engine: Engine, moment: datetime) -> None:
    """From now on it is that time for the calls of an engine made by `engine_on`."""
    assert isinstance(engine.clock, GivenClock)
    engine.clock.moment = moment


def set_watched(engine: Engine, watched: bool = True) -> None:
    """From now on every exchange is watched, or none, as far as an engine made by `engine_on` knows."""
    _watches[engine].watched = watched


def hear_nothing(engine: Engine) -> None:
    """From now on the engine hears no announcement of a change, and does not notice that."""
    engine.announcements._on_change = lambda kind, value: None
