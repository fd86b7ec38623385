"""Which call a line is about and when it ended; what is not certain is refused, and priced by no guess."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from rating_engine.domain.outcomes import CallKey
from rating_engine.domain.reported_end import KnownCall, PostOutcome, ReportedEnd
from rating_engine.services.cdrs.exchange_clock import ExchangeClock
from rating_engine.services.cdrs.reported_calls import Matching, Posting

ASKED = datetime(2026, 11, 30, 1, 45, tzinfo=UTC)
UNIQUEID = f"{int(ASKED.timestamp())}.26"
ENDED = ASKED + timedelta(seconds=50)
LINE = ReportedEnd(1, UNIQUEID, 40, "ANSWER", 16, "2026-11-30 01:45:50", "4930123", 1, "1001")
RECORD = ReportedEnd(1, UNIQUEID, 40, "ANSWER", 0, "2026-11-30 01:45:50", "4930123", route="trunk")
CALL = KnownCall(CallKey("pbx1", UNIQUEID, 1), "1001", "4930123", "trunk", ASKED, False, 0, 3600)


def matching(zone="UTC", exchange=None, exchanges=("pbx1",), now=ENDED + timedelta(hours=1)):
    return Matching(ExchangeClock(None if zone is None else ZoneInfo(zone)), now, exchange, exchanges)


def refused(found):
    assert [one.outcome for one in found] == [PostOutcome.REFUSED] * len(found)
    return [one.reason for one in found]


def test_a_line_is_posted_as_its_call_at_the_instant_that_the_exchange_says():
    [one] = matching("Europe/Berlin").lines([replace(LINE, moment="Nov 30 02:45:50")], [CALL])

    assert isinstance(one, Posting)
    assert (one.finish.call_key, one.finish.ended_at) == (CALL.call_key, ENDED)
    assert (one.finish.login, one.finish.seconds, one.finish.cause) == ("1001", 40, 16)


def test_a_call_that_was_never_asked_for_is_of_the_exchange_that_is_named_or_of_the_only_one():
    [named] = matching(exchange="pbx9").lines([LINE], [])
    [only] = matching().lines([LINE], [])

    assert (named.finish.call_key.exchange, only.finish.call_key.exchange) == ("pbx9", "pbx1")
    assert refused(matching(exchanges=("pbx1", "pbx2")).lines([LINE], [])) == [
        "no call of it is known: say by --exchange which exchange it is of, one of pbx1, pbx2"
    ]


@pytest.mark.parametrize(
    ("zone", "moment", "calls"),
    [
        ("Europe/Berlin", LINE.moment, [CALL]),  # it would have ended before it was asked for
        ("Europe/Berlin", LINE.moment, []),  # before its channel was made
        ("America/New_York", LINE.moment, [CALL]),  # hours after
        (None, "2026-11-30 14:45:50", []),  # half a day after, and nobody said which zone it is
        ("UTC", "2026-12-30 01:45:50", []),  # tomorrow
    ],
)
def test_a_time_zone_that_cannot_be_the_exchanges_is_refused(zone, moment, calls):
    found = matching(zone, now=ENDED + timedelta(days=2)).lines([replace(LINE, moment=moment)], calls)

    assert "is the time zone that of the exchange?" in refused(found)[0]


def test_a_uniqueid_that_is_no_time_of_the_call_is_not_believed():
    """As of a channel that lives for weeks; the line's own year counts. Without a year nothing would tell which."""
    long_ago = f"{int((ASKED - timedelta(days=40)).timestamp())}.1"

    [one] = matching().lines([replace(LINE, uniqueid=long_ago)], [])

    assert isinstance(one, Posting), one.reason
    assert one.finish.ended_at == ENDED
    assert (
        "its channel" in refused(matching().lines([replace(LINE, uniqueid=long_ago, moment="Nov 30 01:45:50")], []))[0]
    )


def test_a_line_of_a_call_that_was_asked_for_is_posted_though_its_clock_is_some_seconds_off():
    early = replace(LINE, moment="2026-11-30 01:45:01")

    [one] = matching().lines([early], [CALL])

    assert isinstance(one, Posting), one.reason


def test_an_hour_that_the_clocks_show_twice_is_told_by_the_channel():
    """01:30 to 02:30 UTC of 25 October 2026 are both 02:30 in Berlin."""
    asked = datetime(2026, 10, 25, 1, 29, tzinfo=UTC)
    line = replace(LINE, uniqueid=f"{int(asked.timestamp())}.1", moment="Oct 25 02:30:00")

    [one] = matching("Europe/Berlin", now=asked + timedelta(days=1), exchange="pbx1").lines([line], [])

    assert isinstance(one, Posting), one.reason
    assert one.finish.ended_at == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)


def test_a_year_that_the_line_does_not_say_is_that_of_the_channel():
    asked = datetime(2025, 12, 31, 23, 59, 40, tzinfo=UTC)
    line = replace(LINE, uniqueid=f"{int(asked.timestamp())}.1", moment="Jan  1 00:00:30")

    [one] = matching(now=asked + timedelta(days=300)).lines([line], [])

    assert isinstance(one, Posting), one.reason
    assert one.finish.ended_at == datetime(2026, 1, 1, 0, 0, 30, tzinfo=UTC)


def test_a_line_without_a_time_is_enough_for_a_call_that_was_asked_for_and_for_no_other():
    bare = replace(LINE, moment="")

    [one] = matching().lines([bare], [CALL])

    assert isinstance(one, Posting)
    assert one.finish.ended_at is None
    assert "no time to price it by" in refused(matching().lines([bare], []))[0]


def test_a_call_takes_one_line_and_lines_that_contradict_each_other_are_none():
    again = replace(LINE, line=2)

    first, second = matching().lines([LINE, again], [CALL])
    assert isinstance(first, Posting)
    assert (second.outcome, second.reason) == (PostOutcome.KNOWN, "stands in line 1 too")
    for reason in refused(matching().lines([LINE, replace(again, seconds=41)], [CALL])):
        assert reason == "lines say different seconds of this call: 1 (40 s), 2 (41 s)"


def test_a_line_of_another_login_or_of_two_exchanges_is_refused():
    other = replace(CALL, call_key=CallKey("pbx2", UNIQUEID, 1))

    assert refused(matching().lines([replace(LINE, login="1002")], [CALL])) == ["the call is of login 1001"]
    assert "pbx1 and pbx2" in refused(matching().lines([LINE], [CALL, other]))[0]
    assert "pbx1 and pbx2" in refused(matching().records([RECORD], [CALL, other]))[0]


def test_a_record_is_the_end_of_the_one_call_of_its_channel():
    [one] = matching().records([RECORD], [CALL])

    assert isinstance(one, Posting)
    assert (one.finish.call_key, one.finish.login, one.finish.ended_at) == (CALL.call_key, "1001", ENDED)


def test_a_record_of_no_call_is_listed_and_one_of_a_call_that_was_charged_is_not_again():
    [nothing] = matching().records([RECORD], [])
    [same] = matching().records([RECORD], [replace(CALL, final=True, seconds=41)])
    [other] = matching().records([RECORD], [replace(CALL, final=True, seconds=400)])

    assert nothing.outcome is PostOutcome.UNMATCHED
    assert [(one.outcome, one.reason) for one in (same, other)] == [
        (PostOutcome.KNOWN, ""), (PostOutcome.KNOWN, "with 400 seconds"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("record", "call", "reason"),
    [
        (replace(RECORD, seconds=60), CALL, "by a menu"),  # answered before the engine was asked
        (replace(RECORD, route="other"), CALL, "which is which is not certain"),
        (RECORD, replace(CALL, cap_seconds=20), "lasted longer than it might (20 s)"),
        (replace(RECORD, moment="yesterday"), CALL, "not a date"),
    ],
)
def test_a_record_that_may_not_be_the_calls_own_measure_is_refused(record, call, reason):
    assert reason in refused(matching().records([record], [call]))[0]


def test_attempts_are_told_by_their_trunks_and_in_their_order():
    second = replace(CALL, call_key=CallKey("pbx1", UNIQUEID, 2), route="spare")
    third = replace(CALL, call_key=CallKey("pbx1", UNIQUEID, 3))
    busy = replace(RECORD, seconds=0, disposition="BUSY")
    rows = [busy, replace(busy, line=2, route="spare"), replace(RECORD, line=3)]

    found = matching().records(rows, [CALL, second, third])

    assert [(one.line, one.finish.call_key.attempt, one.finish.seconds) for one in found] == [
        (1, 1, 0), (2, 2, 0), (3, 3, 40),
    ]  # fmt: skip
    for unclear in (rows[:2], [replace(row, route="") for row in rows]):
        assert all("not certain" in reason for reason in refused(matching().records(unclear, [CALL, second, third])))
