"""Calls that last over a ledger in memory: lengthened by what is paid, and ended by what was seen of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from rating_engine.domain.outcomes import CallKey, Extended
from rating_engine.domain.reservation import CallDetails, OpenCall, SettleSource
from rating_engine.domain.watching import Decision, ExpiryPolicy, OpenReservation
from rating_engine.services.calls.extend import LastingCalls
from tests.support.facts import NOON, Book, minute

KEY = CallKey("pbx", "1", 1)
A_CENT_A_SECOND = minute("0.60")
SLICE, GRACE, CAP = 60, 30, 3_600


class Counted:
    """What was counted."""

    def __init__(self) -> None:
        self.decisions: list[str] = []

    def reconciled(self, decision: str, count: int = 1) -> None:
        self.decisions += [decision] * count


class World:
    """A call of which a minute is paid, in a ledger that has `funds` beside."""

    def __init__(self, funds: str | None = None) -> None:
        self.book, self.counted = Book(funds), Counted()
        details = CallDetails(
            subscriber_id=7, exchange="pbx", attempt=1, callerid="", destination="49", direction="somewhere",
            prefix="49", tariff_id=1, deck_id=10, rate=A_CENT_A_SECOND.to_json(), route_name="",
        )  # fmt: skip
        self.book.open[KEY] = OpenCall(70, Decimal("0.60"), True, CAP, "", details)
        self.lasting = LastingCalls(self.book, quota_seconds=SLICE, grace_seconds=GRACE, observer=self.counted)
        self.call = OpenReservation(
            call_key=KEY, bucket=0, account_id=70, granted=Decimal("0.60"), quota=True, steered=True, cap_seconds=CAP,
            rate=A_CENT_A_SECOND.to_json(), prepared_at=NOON, expires_at=after(CAP), answered_at=None,
            last_seen_at=None,
        )  # fmt: skip


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


async def test_a_call_is_lengthened_by_a_slice_past_what_it_has_talked():
    world = World()

    extended = await world.lasting.extend_call(world.call, talked_seconds=50)

    assert extended == Extended(max_seconds=110, granted=Decimal("1.10"), final=False)
    (asked,) = world.book.extended
    assert (asked.maximum, asked.lifetime_seconds, asked.give_back) == (Decimal("1.10"), SLICE + GRACE, False)


async def test_the_last_slice_is_cut_to_the_second_that_the_money_pays():
    world = World(funds="0.25")

    extended = await world.lasting.extend_call(world.call, talked_seconds=50)

    assert extended == Extended(max_seconds=85, granted=Decimal("0.85"), final=True)


async def test_no_call_is_lengthened_beyond_the_longest_allowed():
    world = World()
    call = replace(world.call, cap_seconds=70)

    extended = await world.lasting.extend_call(call, talked_seconds=50)

    assert extended == Extended(max_seconds=70, granted=Decimal("0.70"), final=True)


async def test_what_is_given_back_is_past_the_second_that_is_kept():
    world = World()

    kept = await world.lasting.give_back(world.call, talked_seconds=10, keep_seconds=20)

    assert kept is not None
    assert (kept.max_seconds, kept.granted) == (20, Decimal("0.20"))
    assert [asked.give_back for asked in world.book.extended] == [True]


async def test_a_call_that_has_ended_is_not_lengthened():
    world = World()
    world.book.open.clear()

    assert await world.lasting.extend_call(world.call, talked_seconds=50) is None
    assert await world.lasting.give_back(world.call, talked_seconds=50, keep_seconds=60) is None


@pytest.mark.parametrize(
    ("answered", "last_seen", "ended", "superseded", "decision", "seconds"),
    [
        pytest.param(None, None, 9, False, Decision.NOT_ANSWERED, 0, id="nobody answered"),
        pytest.param(None, None, None, True, Decision.SUPERSEDED, 0, id="its channel went on to another attempt"),
        pytest.param(5, 20, 35, False, Decision.HANGUP_SEEN, 30, id="the hangup was seen"),
        pytest.param(5, 20, None, False, Decision.LAST_SEEN, 15, id="last seen alive"),
        pytest.param(5, None, None, False, Decision.LAST_SEEN, 1, id="never seen again"),
        pytest.param(5, 500, None, False, Decision.LAST_SEEN, 60, id="what is assumed is paid for"),
        pytest.param(5, 20, 65.9, False, Decision.HANGUP_SEEN, 60, id="cut some milliseconds late"),
        pytest.param(5, 20, 70, False, Decision.HANGUP_SEEN, 65, id="an overrun that was seen is charged"),
        pytest.param(5, 20, 6.1, False, Decision.HANGUP_SEEN, 1, id="a begun second past the tolerance"),
        pytest.param(5, 20, 7.1, False, Decision.HANGUP_SEEN, 2, id="a begun second within the tolerance"),
    ],
)
async def test_a_call_whose_channel_is_gone_is_charged_for_what_was_seen_of_it(
    answered, last_seen, ended, superseded, decision, seconds
):
    world = World()
    call = replace(
        world.call,
        answered_at=None if answered is None else after(answered),
        last_seen_at=None if last_seen is None else after(last_seen),
    )

    ended_at = None if ended is None else after(ended)
    decided = await world.lasting.reconcile_call(call, ended_at=ended_at, cause=16, superseded=superseded)

    assert decided is decision
    (asked,) = world.book.settled
    assert (asked.seconds, asked.cost, asked.cause) == (seconds, Decimal(seconds) / 100, 16)
    assert (asked.source, asked.disposition) == (SettleSource.RECONCILED, "ANSWER" if seconds else "LOST")
    assert world.counted.decisions == [decision.value]


@pytest.mark.parametrize(
    ("policy", "answered", "decision", "seconds", "source"),
    [
        (ExpiryPolicy.VOID, 5, Decision.EXPIRED_VOIDED, 0, SettleSource.EXPIRED),
        (ExpiryPolicy.SEEN, None, Decision.EXPIRED_VOIDED, 0, SettleSource.EXPIRED),
        (ExpiryPolicy.SEEN, 5, Decision.EXPIRED_SEEN, 15, SettleSource.RECONCILED),
        (ExpiryPolicy.GRANTED, 5, Decision.EXPIRED_GRANTED, 60, SettleSource.RECONCILED),
    ],
)
async def test_a_call_that_expires_is_charged_by_the_policy(policy, answered, decision, seconds, source):
    world = World()
    seen = None if answered is None else after(answered)
    call = replace(world.call, answered_at=seen, last_seen_at=after(20))

    assert await world.lasting.expire_call(call, policy) is decision

    (asked,) = world.book.settled
    assert (asked.seconds, asked.cost, asked.source) == (seconds, Decimal(seconds) / 100, source)


async def test_a_finish_that_came_first_counts():
    world = World()
    call = replace(world.call, answered_at=after(5), last_seen_at=after(20))
    assert await world.lasting.reconcile_call(call) is Decision.LAST_SEEN

    assert await world.lasting.reconcile_call(call, ended_at=after(40)) is Decision.FINISHED

    assert world.counted.decisions == [Decision.LAST_SEEN.value, Decision.FINISHED.value]
    assert world.book.ended[KEY].seconds == 15
