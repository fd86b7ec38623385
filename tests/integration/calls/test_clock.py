"""An engine whose machine's clock is an hour off prices by the database's instant, and is not ready."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from rating_engine.api.ops.routes import what_is_missing
from rating_engine.domain.outcomes import Allowed, Saved
from rating_engine.engine.engine import Engine
from rating_engine.rating.rate import Rate
from rating_engine.services.clock import Clock
from tests.support.calls import finish, prepare
from tests.support.engines import engine_on
from tests.support.waiting import until
from tests.support.world import CENT_A_SECOND, add_account, publish_deck

HOUR = 3_600.0
DEAR = Rate(price_1="6", price_unit="minute", interval_1=1, interval_n=1)


def off_by(seconds: float) -> Clock:
    return Clock(own=lambda: time.time() + seconds)


async def decks(engine: Engine, *, begun: Rate, begins: Rate) -> None:
    """A deck that has held for half an hour, and one that will hold in half an hour; before both a dear one."""
    for rate, since in ((DEAR, -10.0), (begun, -0.5), (begins, 0.5)):
        deck = await publish_deck(engine.office, rates={"49": rate})
        at = datetime.now(UTC) + timedelta(hours=since)
        await engine.office.fetch("UPDATE rate_decks SET effective_from = $2 WHERE deck_id = $1", deck.deck_id, at)
    await add_account(engine.office, balance="1000")


@pytest.mark.parametrize("seconds", [-HOUR, 0.0, HOUR])
async def test_a_call_is_priced_by_the_deck_that_holds_on_the_databases_clock(database_url, seconds):
    async with engine_on(database_url, clock=off_by(seconds)) as engine:
        await decks(engine, begun=CENT_A_SECOND, begins=DEAR)
        assert isinstance(await engine.charging.prepare_call(prepare("1")), Allowed)
        prepared, unheard = [await engine.charging.finish_call(finish(name, 10)) for name in ("1", "2")]

    assert isinstance(prepared, Saved)
    assert isinstance(unheard, Saved)  # rated when its end is heard, since nothing was frozen for it
    assert (prepared.cost, unheard.cost) == (Decimal("0.1"), Decimal("0.1"))


@pytest.mark.parametrize(
    ("seconds", "missing"),
    [
        (0.0, []),
        (HOUR, ["clock: this machine's clock is 3600 s ahead of the database's"]),
        (-HOUR, ["clock: this machine's clock is 3600 s behind the database's"]),
    ],
)
async def test_a_clock_that_is_off_makes_an_engine_not_ready_and_says_by_how_much(database_url, seconds, missing):
    async with engine_on(database_url, clock=off_by(seconds)) as engine:
        await until(lambda: is_listening(engine))

        assert await what_is_missing(engine) == missing
        (skew,) = [
            float(line.split()[1])
            for line in engine.metrics.exposition()[0].decode().splitlines()
            if line.startswith("rating_clock_skew_seconds")
        ]
    assert skew == pytest.approx(seconds, abs=1)


async def is_listening(engine: Engine) -> bool:
    """Whether the engine hears of changes, without which it is not ready either."""
    return engine.announcements.listening
