"""The dialplan is read for what would let a call run on without a limit, or end without a charge."""

from __future__ import annotations

import pytest

from agi.dialplan_check import check_dialplan, unsafe_values

SAFE = """
[rated]
exten => _X.,1,Set(RATING_MAX_MS=0)
 same => n,Set(CHANNEL(hangup_handler_push)=ended,s,1)
 same => n,AGI(agi://127.0.0.1/callPrepare,${LOGIN},${EXTEN})
 same => n,Dial(PJSIP/${RATING_DESTINATION}@trunk,60,L(${RATING_MAX_MS}))
[ended]
exten => s,1,AGI(agi://127.0.0.1/callFinish,${LOGIN},${N},${ANSWEREDTIME},${HANGUPCAUSE}${DIALSTATUS})
"""


def changed(*pairs: tuple[str, str]) -> str:
    text = SAFE
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    return text


@pytest.mark.parametrize(
    "text",
    [
        SAFE,
        "",  # nothing was given to check
        changed(("Set(RATING_MAX_MS=0)", "MSet(RATING_STATUS=,RATING_MAX_MS=0,RATING_MAX_SECONDS=0)")),
        changed(("Set(RATING_MAX_MS=0)", "Set(__RATING_MAX_MS=0)")),  # inherited by the channels it makes
        changed(("RATING_MAX_MS=0", "RATING_MAX_SECONDS=0"), ("L(${RATING_MAX_MS})", "S(${RATING_MAX_SECONDS})")),
        changed(
            ("RATING_MAX_MS=0", "RATING_MAX_SECONDS=0"),
            (" same => n,Dial", " same => n,Set(TIMEOUT(absolute)=${RATING_MAX_SECONDS})\n same => n,Dial"),
            (",60,L(${RATING_MAX_MS})", ",60"),
        ),
        changed(("Set(CHANNEL(hangup_handler_push)=ended,s,1)", "NoOp()"), ("exten => s,1,AGI", "exten => h,1,AGI")),
    ],
)
def test_a_dialplan_that_ends_every_call_by_its_money_has_nothing_to_find(text):
    assert check_dialplan(text) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (changed(("Set(RATING_MAX_MS=0)", "NoOp()")), "RATING_MAX_MS is not 0"),
        (changed(("Set(RATING_MAX_MS=0)", ";Set(RATING_MAX_MS=0)")), "RATING_MAX_MS is not 0"),
        (changed(("Set(RATING_MAX_MS=0)", "Set(RATING_MAX_MS=)")), "RATING_MAX_MS is not 0"),
        (changed(("Set(RATING_MAX_MS=0)", "Set(RATING_MAX_MS=0900)")), "RATING_MAX_MS is not 0"),
        (changed(("Set(RATING_MAX_MS=0)", "Set(RATING_MAX_SECONDS=0)")), "RATING_MAX_MS is not 0"),
        (
            changed(
                ("Set(RATING_MAX_MS=0)", "NoOp()"), ("[ended]", "[other]\nexten => s,1,Set(RATING_MAX_MS=0)\n[ended]")
            ),
            "RATING_MAX_MS is not 0",  # after callPrepare, not before
        ),
        (changed((",60,L(${RATING_MAX_MS})", ",60")), "Dial has no limit"),
        (changed(("L(${RATING_MAX_MS})", "L(${OTHER})")), "Dial has no limit"),
        (changed(("callFinish", "callEnd")), "callFinish is never told"),
        (changed(("Set(CHANNEL(hangup_handler_push)=ended,s,1)", "NoOp()")), "callFinish is not told from a hangup"),
        (changed(("callPrepare", "callAsk")), "callPrepare is never asked"),
        (changed(("[rated]", "[rating-attempts]")), "the shipped file is of an older version"),
    ],
)
def test_what_could_let_a_call_run_on_or_go_uncharged_is_found(text, said):
    found = check_dialplan(text)

    assert [what.startswith(said) for what, _ in found] == [True], found
    assert all(mend for _, mend in found)


def test_a_value_that_would_arrive_changed_is_shown_both_ways():
    assert unsafe_values([("route", "cheap-1"), ("route", "a,b")]) == ["route 'a,b' reaches the dialplan as 'a_b'"]


GLOBALS = "[globals]\nRATING_ENGINE=127.0.0.1:4573\nRATING_TECH=PJSIP\n"


@pytest.mark.parametrize(
    ("before", "after", "lost"),
    [
        ("[globals]\nTRUNK=DAHDI/G2\n", "[globals](+)\nRATING_ENGINE=192.0.2.10:4573\n", ["RATING_ENGINE"]),
        ("[globals]\nTRUNK=DAHDI/G2\n", "[globals]\nRATING_ENGINE=192.0.2.10:4573\n", []),
        ("[globals]\nTRUNK=DAHDI/G2\n", "[globals](+)\nRATING_CARD_SECRET=secret\n", []),
        ("", "[globals](+)\nRATING_ENGINE=192.0.2.10:4573\n", []),
    ],
)
def test_settings_that_the_shipped_ones_come_after_are_found(before: str, after: str, lost: list[str]) -> None:
    """As a real Asterisk takes them (tests/asterisk/test_page.py)."""
    found = check_dialplan(before + GLOBALS + SAFE + after)
    assert [problem.partition(":")[0] for problem, _ in found] == lost
