"""No call is forgotten: reservations whose channel or exchange is gone, and what a late finish makes of them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from rating_engine.domain.errors import Unavailable
from rating_engine.domain.outcomes import CallKey, Saved
from rating_engine.domain.watching import Decision, ExpiryPolicy, LiveChannel, SeenCall
from rating_engine.engine.engine import Engine
from rating_engine.rating.rate import Rate
from rating_engine.services.calls.extend import LastingCalls
from rating_engine.services.doctor import ledger_balanced
from rating_engine.services.watch.exchange_link import moment_of
from rating_engine.services.watch.expiry import Expiry
from rating_engine.services.watch.reconciliation import Reconciler
from rating_engine.settings.model import Settings
from rating_engine.storage.calls.open_calls import open_calls_of
from tests.support.calls import finish, key_of, prepare
from tests.support.engines import engine_on
from tests.support.scripted_exchange import BRIDGED, ScriptedExchange
from tests.support.world import add_account, publish_deck


class Counted:
    """An observer that keeps the decisions."""

    def __init__(self) -> None:
        self.decisions: Counter[str] = Counter()

    def reconciled(self, decision: str, count: int = 1) -> None:
        self.decisions[decision] += count


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[Engine]:
    """An engine whose account 1001 has 10 EUR and pays a cent a second; the laws hold afterwards."""
    async with engine_on(database_url, expiry_interval_seconds=3600.0) as engine:
        await publish_deck(engine.office)
        await add_account(engine.office, balance="10")
        yield engine
        assert await ledger_balanced(engine.office) == []


@pytest.fixture
def exchange() -> ScriptedExchange:
    """Connected since long before the calls of a test."""
    return ScriptedExchange(connected_at=time.monotonic() - 10_000)


@pytest.fixture
def counted() -> Counted:
    return Counted()


def lasting_of(engine: Engine, counted: Counted) -> LastingCalls:
    """The engine's, whose decisions are counted."""
    quota, grace = (Settings.model_fields[key].default for key in ("quota_seconds", "reservation_grace_seconds"))
    return LastingCalls(engine.ledger, quota_seconds=quota, grace_seconds=grace, observer=counted)


@pytest.fixture
def reconciler(engine: Engine, exchange: ScriptedExchange, counted: Counted) -> Reconciler:
    return Reconciler(exchange, engine.office, lasting_of(engine, counted), observer=counted, grace_seconds=0)


async def begin(engine: Engine, name: str, *, seconds_ago: float = 600, attempt: int = 1, login: str = "1001") -> None:
    """A call was allowed so long ago."""
    await engine.charging.prepare_call(prepare(name, attempt=attempt, login=login))
    await engine.office.fetch(
        "UPDATE reservations SET prepared_at = now() - make_interval(secs => $2) WHERE call_key = $1",
        str(key_of(name, attempt)),
        float(seconds_ago),
    )


async def note(engine: Engine, name: str, **columns: datetime) -> None:
    """Write down what an earlier watcher had seen of a call."""
    for column, value in columns.items():
        await engine.office.fetch(
            f"UPDATE reservations SET {column} = $2 WHERE call_key = $1", str(key_of(name)), value
        )


async def cdr_of(engine: Engine, name: str, attempt: int = 1) -> Any:
    return await engine.office.fetchrow("SELECT * FROM cdrs WHERE call_key = $1", str(key_of(name, attempt)))


async def open_keys(engine: Engine) -> set[str]:
    return {row[0] for row in await engine.office.fetch("SELECT call_key FROM reservations")}


async def balance(engine: Engine) -> Decimal:
    return (await engine.charging.balance("1001")).balance


def ago(seconds: float) -> datetime:
    return datetime.now(UTC) - timedelta(seconds=seconds)


# -- gone ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("talked", "charged"), [(60.0, 60), (60.1, 60), (60.5, 61), (0.05, 1), (61.0, 61)], ids=lambda value: str(value)
)
async def test_a_call_whose_hangup_was_seen_is_charged_until_then(
    engine, exchange, reconciler, counted, talked, charged
):
    await begin(engine, "1")
    exchange.talk("1", seconds=talked + 30)
    exchange.end("1", seconds_ago=30, cause=31)

    assert await reconciler.turn() == []

    cdr = await cdr_of(engine, "1")
    assert (cdr["state"], cdr["source"], cdr["disposition"], cdr["cause"]) == ("settled", "reconciled", "ANSWER", 31)
    assert (cdr["seconds"], cdr["cost"]) == (charged, Decimal(charged) / 100)
    assert abs((cdr["ended_at"] - ago(30)).total_seconds()) < 5
    assert await balance(engine) == 10 - cdr["cost"]
    assert counted.decisions == {"hangup_seen": 1}


async def test_a_call_whose_end_nobody_saw_is_charged_until_it_was_last_seen(engine, exchange, reconciler, counted):
    await begin(engine, "1")
    await note(engine, "1", answered_at=ago(500), last_seen_at=ago(440))

    await reconciler.turn()

    cdr = await cdr_of(engine, "1")
    assert (cdr["seconds"], cdr["source"]) == (60, "reconciled")
    assert counted.decisions == {"last_seen": 1}


async def test_a_call_that_was_seen_later_than_was_written_down_is_charged_until_then(engine, exchange, reconciler):
    await begin(engine, "1")
    await note(engine, "1", answered_at=ago(500), last_seen_at=ago(440))
    exchange.views["1"] = SeenCall("1", "SIP/1", alive=False, last_seen=moment_of(ago(430)))

    await reconciler.turn()

    assert (await cdr_of(engine, "1"))["seconds"] == 70


async def test_a_call_seen_answered_and_never_again_is_charged_a_second(engine, exchange, reconciler):
    await begin(engine, "1")
    await note(engine, "1", answered_at=ago(500))

    await reconciler.turn()

    assert (await cdr_of(engine, "1"))["seconds"] == 1


async def test_a_call_nobody_answered_is_voided_and_its_money_freed(engine, exchange, reconciler, counted):
    await begin(engine, "1")
    exchange.views["1"] = SeenCall("1", "SIP/1", ended_at=time.monotonic() - 60, alive=False)

    await reconciler.turn()

    cdr = await cdr_of(engine, "1")
    assert (cdr["state"], cdr["source"], cdr["disposition"], cdr["seconds"]) == ("voided", "reconciled", "LOST", 0)
    assert (await engine.charging.balance("1001")).available == 10
    assert counted.decisions == {"not_answered": 1}


async def test_what_a_limit_cut_some_milliseconds_late_is_no_overrun(engine, exchange, reconciler):
    await add_account(engine.office, "1002", balance="0.30")
    await begin(engine, "1", login="1002")
    exchange.talk("1", seconds=60.5)
    exchange.end("1", seconds_ago=30)

    await reconciler.turn()

    cdr = await cdr_of(engine, "1")
    assert (cdr["seconds"], cdr["overrun"]) == (30, 0)


async def test_what_is_only_assumed_never_costs_more_than_was_granted(engine, exchange, reconciler):
    await add_account(engine.office, "1002", balance="0.30")
    await begin(engine, "1", login="1002")
    await note(engine, "1", answered_at=ago(500), last_seen_at=ago(100))

    await reconciler.turn()

    cdr = await cdr_of(engine, "1")
    assert (cdr["seconds"], cdr["overrun"]) == (30, 0)


async def test_the_rate_that_was_frozen_is_charged(engine, exchange, reconciler):
    await begin(engine, "1")
    await publish_deck(engine.office, rates={"49": Rate(price_1="6", price_unit="minute")})
    exchange.talk("1", seconds=90)
    exchange.end("1", seconds_ago=30)

    await reconciler.turn()

    assert (await cdr_of(engine, "1"))["cost"] == Decimal("0.60")


async def test_hundreds_of_calls_of_an_exchange_that_crashed_are_settled_in_one_turn(
    engine, exchange, reconciler, counted
):
    await add_account(engine.office, "1002", overdraft=None, postpaid=True)
    for number in range(300):
        await engine.charging.prepare_call(prepare(f"call-{number}", login="1002"))
    await engine.office.fetch(
        "UPDATE reservations SET prepared_at = $1, answered_at = $2, last_seen_at = $3", ago(600), ago(500), ago(440)
    )

    await reconciler.turn()

    assert counted.decisions == {"last_seen": 300}
    assert await open_keys(engine) == set()


# -- not gone ------------------------------------------------------------------------------------------------------


async def test_a_call_that_lives_is_left_and_what_is_seen_of_it_is_written_down(engine, exchange, reconciler):
    await begin(engine, "1")
    view = exchange.talk("1", seconds=50)

    ((call, seen),) = await reconciler.turn()

    assert (call.call_key, seen) == (key_of("1"), view)
    row = await engine.office.fetchrow("SELECT answered_at, last_seen_at FROM reservations")
    assert abs((row["answered_at"] - ago(50)).total_seconds()) < 5
    assert abs((row["last_seen_at"] - ago(0)).total_seconds()) < 5


async def test_the_first_answer_that_was_written_down_stays(engine, exchange, reconciler):
    await begin(engine, "1")
    first = ago(300)
    await note(engine, "1", answered_at=first)
    exchange.talk("1", seconds=50)

    await reconciler.turn()

    assert await engine.office.fetchval("SELECT answered_at FROM reservations") == first


async def test_a_call_that_just_began_is_not_looked_for(engine, exchange, reconciler):
    await engine.charging.prepare_call(prepare("1"))

    await reconciler.turn()

    assert await open_keys(engine) == {str(key_of("1"))}


async def test_calls_of_other_exchanges_are_not_looked_for(engine, exchange, reconciler):
    await begin(engine, "1")
    exchange.exchange = "another"

    await reconciler.turn()

    assert await open_keys(engine) == {str(key_of("1"))}


async def test_without_the_whole_list_nothing_is_decided(engine, exchange, reconciler, counted):
    await begin(engine, "1")
    exchange.unreachable = True

    with pytest.raises(Unavailable):
        await reconciler.turn()

    assert await open_keys(engine) == {str(key_of("1"))}
    assert not counted.decisions


async def test_a_finish_under_way_is_given_time(engine, exchange, counted, monkeypatch):
    reconciler = Reconciler(exchange, engine.office, lasting_of(engine, counted), observer=counted, grace_seconds=30)
    await add_account(engine.office, "1002", balance="10")
    await begin(engine, "seen")
    await begin(engine, "unseen", login="1002")
    await note(engine, "unseen", answered_at=ago(500))
    exchange.talk("seen", seconds=60)
    exchange.end("seen", seconds_ago=20)

    await reconciler.turn()
    assert reconciler.undecided
    assert len(await open_keys(engine)) == 2

    def later(seconds: float) -> None:
        clock = SimpleNamespace(monotonic=lambda: time.monotonic() + seconds)
        monkeypatch.setattr("rating_engine.services.watch.reconciliation.time", clock)

    later(15)
    await reconciler.turn()
    assert counted.decisions == {"hangup_seen": 1}

    later(31)
    await reconciler.turn()
    assert counted.decisions == {"hangup_seen": 1, "last_seen": 1}
    assert not reconciler.undecided


async def test_a_channel_that_went_on_to_a_later_attempt_has_ended_the_earlier_one(
    engine, exchange, reconciler, counted
):
    await engine.office.fetch("INSERT INTO routes (name, position) VALUES ('first', 1), ('second', 2)")
    await engine.office.fetch("UPDATE subscribers SET max_seconds = 60")
    await begin(engine, "1", attempt=1)
    await begin(engine, "1", attempt=2)
    exchange.talk("1", seconds=10)

    await reconciler.turn()

    assert (await cdr_of(engine, "1", attempt=1))["state"] == "voided"
    assert await open_keys(engine) == {str(key_of("1", 2))}
    assert counted.decisions == {"superseded": 1}


async def test_a_channel_the_exchange_should_have_shown_and_never_did_is_left_to_its_expiry(
    engine, exchange, reconciler, counted
):
    """ami_exchanges gives the name of one exchange to another: its list says nothing of our calls."""
    await begin(engine, "1")

    await reconciler.turn()
    await reconciler.turn()

    assert await open_keys(engine) == {str(key_of("1"))}
    assert counted.decisions == {"unknown_channel": 1}


async def test_a_call_from_before_the_connection_need_not_have_been_seen(engine, exchange, reconciler, counted):
    exchange.connected_at = time.monotonic()
    await begin(engine, "1")

    await reconciler.turn()

    assert counted.decisions == {"not_answered": 1}


# -- an answer that was missed -------------------------------------------------------------------------------------


async def test_a_missed_answer_is_what_the_dialplan_noted(engine, exchange, reconciler):
    await begin(engine, "1")
    exchange.channels = [LiveChannel("1", "SIP/1", BRIDGED)]
    exchange.notes["SIP/1"] = (moment_of(ago(70)), "SIP/trunk-1")

    ((_, seen),) = await reconciler.turn()

    assert seen.called_channel == "SIP/trunk-1"
    answered = await engine.office.fetchval("SELECT answered_at FROM reservations")
    assert abs((answered - ago(70)).total_seconds()) < 5


async def test_a_conversation_of_which_nothing_was_noted_begins_when_it_is_seen(engine, exchange, reconciler):
    await begin(engine, "1")
    exchange.channels = [LiveChannel("1", "SIP/1", BRIDGED)]

    await reconciler.turn()

    answered = await engine.office.fetchval("SELECT answered_at FROM reservations")
    assert abs((answered - ago(0)).total_seconds()) < 5


async def test_a_channel_that_only_rings_is_not_answered(engine, exchange, reconciler):
    await begin(engine, "1")
    exchange.channels = [LiveChannel("1", "SIP/1", "")]

    assert await reconciler.turn() == []

    row = await engine.office.fetchrow("SELECT answered_at, last_seen_at FROM reservations")
    assert row["answered_at"] is None
    assert row["last_seen_at"] is not None


# -- and then the finish comes -------------------------------------------------------------------------------------


async def test_a_finish_that_comes_later_corrects_what_was_assumed_by_the_difference(engine, exchange, reconciler):
    await begin(engine, "1")
    await note(engine, "1", answered_at=ago(500), last_seen_at=ago(440))
    await reconciler.turn()
    assert await balance(engine) == Decimal("9.40")

    outcome = await engine.charging.finish_call(finish("1", 75))

    assert isinstance(outcome, Saved)
    assert (outcome.cost, outcome.repeated) == (Decimal("0.75"), False)
    assert await balance(engine) == Decimal("9.25")
    again = await engine.charging.finish_call(finish("1", 75))
    assert isinstance(again, Saved)
    assert again.repeated
    assert await balance(engine) == Decimal("9.25")


async def test_a_finish_that_says_what_was_assumed_charges_nothing_more(engine, exchange, reconciler):
    await begin(engine, "1")
    await note(engine, "1", answered_at=ago(500), last_seen_at=ago(440))
    await reconciler.turn()

    outcome = await engine.charging.finish_call(finish("1", 60))

    assert isinstance(outcome, Saved)
    assert await balance(engine) == Decimal("9.40")


async def test_a_call_finished_before_it_was_decided_is_charged_once(engine, exchange, counted, reconciler):
    await begin(engine, "1")
    await note(engine, "1", answered_at=ago(500), last_seen_at=ago(440))
    (call,) = await open_calls_of(engine.office, "test")
    await engine.charging.finish_call(finish("1", 75))

    assert await engine.lasting.reconcile_call(call) is Decision.FINISHED
    assert await balance(engine) == Decimal("9.25")
    assert (await cdr_of(engine, "1"))["source"] == "finish"


# -- expiry --------------------------------------------------------------------------------------------------------


@pytest.fixture
async def expired(engine: Engine) -> None:
    """An answered call, last seen alive after 60 s, whose exchange was never reached again until its time was up."""
    await begin(engine, "1")
    await note(engine, "1", answered_at=ago(5_000), last_seen_at=ago(4_940), expires_at=ago(1))


def expiry(engine: Engine, counted: Counted, policy: ExpiryPolicy, unseen_seconds: float = 180) -> Expiry:
    return Expiry(
        engine.ledger,
        engine.office,
        lasting_of(engine, counted),
        observer=counted,
        policy=policy,
        buckets=1,
        unseen_seconds=unseen_seconds,
    )


@pytest.mark.parametrize(
    ("policy", "state", "source", "seconds", "decision"),
    [
        (ExpiryPolicy.SEEN, "settled", "reconciled", 60, "expired_seen"),
        (ExpiryPolicy.GRANTED, "settled", "reconciled", 1_000, "expired_granted"),  # 10 EUR at a cent a second
        (ExpiryPolicy.VOID, "expired", "expired", 0, "expired_voided"),
    ],
)
async def test_an_answered_call_that_expires_is_charged_by_the_policy(
    engine, expired, counted, policy, state, source, seconds, decision
):
    await expiry(engine, counted, policy).turn()

    cdr = await cdr_of(engine, "1")
    assert (cdr["state"], cdr["source"], cdr["seconds"]) == (state, source, seconds)
    assert await balance(engine) == 10 - Decimal(seconds) / 100
    assert counted.decisions == {decision: 1}


@pytest.mark.parametrize("policy", ExpiryPolicy)
async def test_whatever_the_policy_a_late_finish_corrects_it(engine, expired, counted, policy):
    await expiry(engine, counted, policy).turn()

    await engine.charging.finish_call(finish("1", 75))

    assert await balance(engine) == Decimal("9.25")


async def test_a_call_that_was_not_seen_answered_expires_voided(engine, counted):
    await begin(engine, "1")
    await note(engine, "1", expires_at=ago(1))

    await expiry(engine, counted, ExpiryPolicy.GRANTED).turn()

    assert (await cdr_of(engine, "1"))["state"] == "expired"
    assert await balance(engine) == 10
    assert counted.decisions == {"expired_unanswered": 1}


async def test_a_call_seen_alive_a_moment_ago_does_not_expire(engine, expired, counted):
    await note(engine, "1", last_seen_at=ago(10))

    await expiry(engine, counted, ExpiryPolicy.SEEN).turn()

    assert await open_keys(engine) == {str(key_of("1"))}


async def test_a_key_with_slashes_in_its_uniqueid_stays_one(engine, exchange, reconciler):
    """Uniqueids are the exchange's own; only the name of the exchange has no slash."""
    await begin(engine, "a/b/1")
    exchange.talk("a/b/1", seconds=5)

    ((call, _),) = await reconciler.turn()

    assert call.call_key == CallKey("test", "a/b/1", 1)
