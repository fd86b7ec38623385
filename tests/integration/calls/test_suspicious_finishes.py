"""A finish that cannot be true: charged as it says and marked, or, where its exchange was seen to say otherwise,
charged as that was seen. Both are kept, and said again it changes nothing."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from structlog.testing import capture_logs

from rating_engine.domain.outcomes import Allowed, NotSaved, Saved
from rating_engine.domain.page import Cursor
from rating_engine.domain.principal import OPERATOR
from rating_engine.domain.watching import SeenCall
from rating_engine.engine.engine import Engine
from rating_engine.services.doctor import ledger_balanced
from rating_engine.services.watch.live_calls import LiveCalls
from rating_engine.services.watch.seen_ends import SeenEnds
from rating_engine.storage.calls.live_calls import count_suspicious
from rating_engine.storage.calls.open_calls import Sighting, note_seen, open_calls_of_channels
from tests.support.calls import finish, key_of, prepare
from tests.support.engines import engine_on
from tests.support.scripted_exchange import ScriptedExchange
from tests.support.world import add_account, publish_deck


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[Engine]:
    """A cent a second; one call may hold the ten euros of its account."""
    async with engine_on(database_url) as engine:
        await publish_deck(engine.office)
        await add_account(engine.office, balance="10")
        yield engine
        assert await ledger_balanced(engine.office) == []


async def begun(engine: Engine, *, answered: float | None = None) -> None:
    """The call 1 is open, and was seen answered so many seconds ago."""
    assert isinstance(await engine.charging.prepare_call(prepare("1")), Allowed)
    await engine.office.fetch("UPDATE open_calls SET prepared_at = prepared_at - interval '2 hours'")
    if answered is not None:
        now = datetime.now(UTC)
        await note_seen(engine.office, [Sighting(0, key_of("1"), now - timedelta(seconds=answered), now)])


async def record(engine: Engine) -> Any:
    return await engine.office.fetchrow("SELECT seconds, said_seconds, seen_seconds, suspicion, source, cost FROM cdrs")


async def balance(engine: Engine) -> Decimal:
    return await engine.office.fetchval("SELECT balance FROM accounts")


async def test_a_call_longer_than_it_was_allowed_is_charged_and_marked(engine):
    await begun(engine)

    with capture_logs() as logs:
        saved = await engine.charging.finish_call(finish("1", 43_201))

    assert (saved.seconds, saved.cost) == (43_201, Decimal("432.01"))
    assert tuple(await record(engine)) == (43_201, None, None, "too_long", "finish", Decimal("432.01"))
    (line,) = [log for log in logs if log["event"] == "finish_suspicious"]
    assert (line["suspicion"], line["log_level"], line["seconds"]) == ("too_long", "warning", 43_201)
    (listed,) = (await LiveCalls(engine.office, OPERATOR).suspicious(Cursor())).items
    assert (listed.call_key, listed.suspicion, listed.granted) == (key_of("1"), "too_long", 10)
    assert await count_suspicious(engine.office, hours=24) == {"too_long": 1}


@pytest.mark.parametrize(("seconds", "suspicion"), [(1_000, ""), (1_010, ""), (1_011, "too_long")])
async def test_a_limit_that_cuts_some_seconds_late_is_nothing_to_look_at(engine, seconds, suspicion):
    await begun(engine)

    await engine.charging.finish_call(finish("1", seconds))

    assert (await record(engine))["suspicion"] == suspicion


async def test_credit_without_a_limit_has_an_end_as_well(engine):
    await engine.office.fetch("UPDATE accounts SET kind = 'postpaid', overdraft = NULL")
    await engine.office.fetch("UPDATE subscribers SET version = version")
    await begun(engine)

    await engine.charging.finish_call(finish("1", 43_201))

    assert (await record(engine))["suspicion"] == "too_long"


async def test_an_answer_that_was_seen_is_believed_against_a_finish_without_one(engine):
    await begun(engine, answered=30.5)

    told = replace(finish("1", 0), disposition="CANCEL")
    saved = await engine.charging.finish_call(told)

    assert isinstance(saved, Saved)
    assert saved.seconds in (31, 32)
    row = await record(engine)
    assert (row["said_seconds"], row["suspicion"], row["source"]) == (0, "unseen", "finish")
    assert row["cost"] == saved.cost == Decimal(saved.seconds) / 100
    again = await engine.charging.finish_call(told)
    assert (again.repeated, again.cost) == (True, saved.cost)
    assert await balance(engine) == 10 - saved.cost


async def test_what_was_seen_is_not_charged_past_what_the_call_was_granted(engine):
    await begun(engine, answered=5_000)

    saved = await engine.charging.finish_call(finish("1", 0))

    assert (saved.seconds, await balance(engine)) == (1_000, 0)


async def reconciled(engine: Engine, seconds: int) -> None:
    """The call 1 was seen answered and hung up, and no finish came."""
    await begun(engine, answered=seconds)
    (call,) = await open_calls_of_channels(engine.office, "test", ["1"], buckets=1)
    assert call.answered_at is not None
    await engine.lasting.reconcile_call(call, ended_at=call.answered_at + timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("said", "charged", "marked"), [(0, 60, True), (600, 60, True), (49, 60, True), (65, 65, False), (60, 60, False)]
)
async def test_a_hangup_that_was_seen_is_believed_against_a_finish_that_comes_late(engine, said, charged, marked):
    await reconciled(engine, 60)

    outcomes = [await engine.charging.finish_call(finish("1", said)) for _ in range(2)]

    assert [(outcome.seconds, outcome.cost) for outcome in outcomes] == [(charged, Decimal(charged) / 100)] * 2
    row = await record(engine)
    assert (row["seconds"], row["seen_seconds"]) == (charged, 60)
    assert (row["said_seconds"], row["suspicion"]) == ((said, "unseen") if marked else (None, ""))
    assert await balance(engine) == 10 - Decimal(charged) / 100


class Seen:
    """The ends that an exchange was seen to say, looked at by the engine that leads."""

    def __init__(self, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("rating_engine.services.watch.seen_ends.FINISH_SECONDS", 0.0)
        self.exchange = ScriptedExchange()
        self._ends = SeenEnds(self.exchange, engine.office, engine.finishing.correct_by_seen, buckets=1)

    async def look(self, seconds: float, *, times: int = 1) -> None:
        """The conversation of call 1 was heard to begin and to end, so long apart."""
        ended = time.monotonic()
        self.exchange.ends = [SeenCall("1", "SIP/1", "SIP/trunk-1", ended - seconds, ended, 16, alive=False)]
        for _ in range(times):
            await self._ends.turn()


@pytest.fixture
def seen(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Seen:
    return Seen(engine, monkeypatch)


@pytest.mark.parametrize(("said", "charged"), [(0, 60), (600, 60), (43_201, 60), (20, 60), (55, 55)])
async def test_both_ends_that_were_seen_put_a_finish_right(engine, seen, said, charged):
    await begun(engine)
    await engine.charging.finish_call(finish("1", said))

    for _ in range(2):
        await seen.look(60)

    row = await record(engine)
    assert (row["seconds"], row["cost"]) == (charged, Decimal(charged) / 100)
    right = said == charged
    assert (row["said_seconds"], row["suspicion"]) == ((None, "") if right else (said, "unseen"))
    assert await balance(engine) == 10 - Decimal(charged) / 100
    again = await engine.charging.finish_call(finish("1", said))
    assert (again.repeated, again.seconds) == (True, charged)
    assert isinstance(await engine.charging.finish_call(finish("1", said + 1)), NotSaved)


async def test_a_call_whose_finish_has_not_come_is_left_to_it(engine, seen):
    await begun(engine)
    await seen.look(60, times=2)
    assert await record(engine) is None

    await engine.charging.finish_call(finish("1", 61))
    await seen.look(60)

    assert tuple(await record(engine))[:4] == (61, None, None, "")


async def test_an_attempt_that_failed_before_the_one_that_was_answered_stays_as_it_is(engine, seen):
    await begun(engine)
    await engine.charging.finish_call(finish("1", 0))
    await engine.charging.prepare_call(prepare("1", attempt=2))
    await engine.charging.finish_call(finish("1", 60, attempt=2))

    await seen.look(0.5)

    rows = await engine.office.fetch("SELECT attempt, seconds, suspicion FROM cdrs ORDER BY attempt")
    assert [tuple(row) for row in rows] == [(1, 0, ""), (2, 1, "unseen")]


async def test_the_true_finish_takes_the_place_of_what_was_assumed_after_a_wrong_one(engine, seen):
    await begun(engine, answered=30)
    await engine.charging.finish_call(finish("1", 0))

    outcomes = [await engine.charging.finish_call(finish("1", seconds)) for seconds in (47, 47, 0)]

    assert [outcome.seconds for outcome in outcomes] == [47, 47, 47]
    assert tuple(await record(engine)) == (47, 0, None, "unseen", "late", Decimal("0.47"))
    assert isinstance(await engine.charging.finish_call(finish("1", 48)), NotSaved)


async def test_both_ends_that_were_seen_take_the_place_of_what_was_assumed_after_a_wrong_finish(engine, seen):
    await begun(engine, answered=30)
    await engine.charging.finish_call(finish("1", 0))

    await seen.look(90)

    assert tuple(await record(engine)) == (90, 0, 90, "unseen", "late", Decimal("0.9"))
