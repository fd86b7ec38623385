"""Which lines of Asterisk's log say that an end was not taken, and what they say; and which only look so."""

from __future__ import annotations

import json

import pytest

from rating_engine.domain.reported_end import PostedEnd, PostOutcome, ReportedEnd
from rating_engine.services.cdrs.asterisk_log import read_line

SAID = (
    "rating: NOT SAVED: callFinish of pbx-1763779024.17 login=1001 destination=+4930123456 seconds=42 status=16ANSWER"
    " attempt=2 (FAILURE unavailable)"
)
END = ReportedEnd(
    line=7, uniqueid="pbx-1763779024.17", seconds=42, disposition="ANSWER", cause=16, moment="", attempt=2,
    destination="+4930123456", login="1001",
)  # fmt: skip


@pytest.mark.parametrize(
    ("head", "moment"),
    [
        ("[Nov  3 01:46:30] ERROR[4711][C-0000001a] Ext. s: ", "Nov  3 01:46:30"),
        ("[2026-11-30 01:46:30] ERROR[4711] Ext. s: ", "2026-11-30 01:46:30"),
        ("[2026-11-30 01:46:30.123] ERROR[4711][C-0000001a]: Ext. s:33 @ rating-finish: ", "2026-11-30 01:46:30.123"),
        ("[2026-11-30T01:46:30.123+0100] ERROR[4711][C-1a] Ext. s: ", "2026-11-30T01:46:30.123+0100"),
        ("[1764467190.123] ERROR[4711][C-1a] Ext. s: ", "1764467190.123"),
        ("Nov 30 01:46:30 pbx asterisk[1]: ERROR[4711][C-1a]: Ext. s:33 in @ rating-finish: ", "Nov 30 01:46:30"),
        ("2026-11-30T01:46:30.123456+01:00 pbx asterisk[1]: ERROR[4711]: Ext. s:33 in @ rating-finish: ",
         "2026-11-30T01:46:30.123456+01:00"),
        ("full.1:[Nov 30 01:46:30] ERROR[4711][C-1a] Ext. s: ", "Nov 30 01:46:30"),
        ("\x1b[0m[Nov 30 01:46:30] \x1b[1;31mERROR\x1b[0m[4711][C-1a]: \x1b[1;37mExt. s\x1b[0m:33 @ rating-finish: ",
         "Nov 30 01:46:30"),
        ("[Nov 30 01:46:30] ERROR[4711][C-1a] app_verbose.c: ", "Nov 30 01:46:30"),
        ("[2026-11-30 01:46:30] ", "2026-11-30 01:46:30"),
        ("Nov 30 01:46:30 ", "Nov 30 01:46:30"),
        ("", ""),
    ],
)  # fmt: skip
def test_a_line_is_understood_in_every_usual_form(head, moment):
    found = read_line(7, f"{head}{SAID}\n")

    assert isinstance(found, ReportedEnd), found
    assert found == ReportedEnd(**{**{name: getattr(END, name) for name in END.__slots__}, "moment": moment})


def test_a_line_of_a_call_that_came_in_says_by_which_number():
    [found, out] = [read_line(7, SAID.replace("attempt=2", f"attempt=2 did={did}")) for did in ("4930123456", "")]

    assert isinstance(found, ReportedEnd)
    assert found.is_did == "4930123456"
    assert out == END


def test_a_line_of_a_log_in_json_is_understood():
    message = {"location": {"filename": "Ext. s", "function": "@ rating-finish"}, "level": "ERROR", "message": SAID}
    line = json.dumps({"timestamp": "Nov 30 01:46:30", "identifiers": {"lwp": 1}, "logmsg": message})

    found = read_line(7, line)

    assert isinstance(found, ReportedEnd)
    assert (found.uniqueid, found.moment) == (END.uniqueid, "Nov 30 01:46:30")
    assert read_line(7, line.replace('"ERROR"', '"VERBOSE"')) is None
    for other in (line[:-9], line.replace("rating: NOT", "Eve says rating: NOT")):
        assert read_line(7, other).outcome is PostOutcome.UNREADABLE


@pytest.mark.parametrize(
    "line",
    [
        "[Nov 30 01:46:30] NOTICE[1] chan.c: all is well",
        f'[Nov 30 01:46:30] VERBOSE[1][C-1a] pbx.c: Executing [s@rating-finish:33] Log("PJSIP/x", "ERROR,{SAID}")',
        f"[Nov 30 01:46:30] NOTICE[1] pjsip.c: Call from '[Nov 30 01:46:30] ERROR[1][C-1a] Ext. s: {SAID}' refused",
        f"[Nov 30 01:46:30] VERBOSE[1][C-1a] app.c: {SAID}",
    ],
)
def test_another_line_is_passed_over_though_somebody_wrote_the_same_into_it(line):
    assert read_line(7, line) is None


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (f"[Nov 30 01:46:30] ERROR[1] chan.c: caller '{SAID}'", "the dialplan's Log() did not write it"),
        (f"somebody wrote: {SAID}", "no level"),
        (f"[Nov 30 01:46:30] somebody wrote {SAID}", "no level"),
        ("[Nov 30 01:46:30] ERROR[1] Ext. s: rating: NOT SAVED: callFinish of 1.1 login=1001 dest", "is not whole"),
        (f"[x] ERROR[1] Ext. s: {SAID.replace('seconds=42', 'seconds=')}", "is not whole"),
        (f"[x] ERROR[1] Ext. s: {SAID.replace('seconds=42', 'seconds=999999999')}", "more than a call can last"),
        (f"[x] ERROR[1] Ext. s: {SAID.replace('attempt=2', 'attempt=0')}", "attempts count from 1"),
        (f"[x] ERROR[1] Ext. s: {SAID.replace('login=1001', 'login=1001 login=1002')}", "is not whole"),
    ],
)
def test_a_line_that_cannot_be_read_is_named_with_the_reason(line, reason):
    found = read_line(7, line)

    assert isinstance(found, PostedEnd)
    assert (found.line, found.outcome) == (7, PostOutcome.UNREADABLE)
    assert reason in found.reason
