"""What a refused caller is told: the shipped dialplan and the engine know the same reasons, and mean the same."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from agi.fastagi.scripts import DECLINE_CODES
from rating_engine.domain.outcomes import DeclineReason

DIALPLAN: Final = (Path(__file__).parents[3] / "config" / "asterisk" / "extensions.conf").read_text()
PAGE: Final = (Path(__file__).parents[3] / "docs" / "asterisk.md").read_text()
# SIP's answer to a call that is hung up with a cause, of those that [rating-causes] uses (chan_pjsip, hangup_cause2sip;
# tests/asterisk/test_refusals.py asks the real one).
SIP: Final = {1: 404, 17: 486, 21: 403, 22: 410, 28: 484, 31: 480, 34: 503, 38: 500}
# Where the code of a reason has no hangup cause, or says more to an exchange than to a phone.
TOLD_OTHERWISE: Final = {
    **dict.fromkeys(("insufficient_funds", "daily_limit", "monthly_limit"), (402, 403)),
    "bad_request": (400, 500),
    **dict.fromkeys(("conflict", "already_finished"), (409, 500)),
    "account_locked": (503, 480),
}


def causes() -> dict[str, int]:
    """The hangup cause of each reason, as shipped."""
    section = DIALPLAN.partition("\n[rating-causes]\n")[2].partition("\n[")[0]
    return {name: int(cause) for name, cause in re.findall(r"^exten => (\w+),1,Return\((\d+)\)", section, re.MULTILINE)}


def test_every_reason_of_the_engine_has_a_line_in_the_dialplan_and_the_dialplan_knows_no_other():
    assert causes().keys() == {reason.value for reason in DeclineReason}


def test_what_a_phone_is_told_by_sip_is_what_the_engine_means_by_the_reason():
    told = {reason: (DECLINE_CODES[reason], SIP[causes()[reason.value]]) for reason in DeclineReason}

    assert {reason.value: codes for reason, codes in told.items() if codes[0] != codes[1]} == TOLD_OTHERWISE


def test_only_a_service_that_cannot_serve_says_so():
    says_503 = {reason for reason, cause in causes().items() if SIP[cause] == 503}

    resellers = {"reseller_insufficient_funds", "reseller_inactive", "reseller_limit"}  # of whoever sells the call
    assert says_503 == {"no_route", "no_capacity", "no_exchange_rate", "overloaded", "unavailable"} | resellers


def test_the_page_has_every_reason_with_its_cause_and_answer():
    rows = re.findall(r"^\| (`.+?`) \| (\d+) \| (\d{3}) [A-Z]", PAGE, re.MULTILINE)
    said = {reason: (int(cause), int(sip)) for names, cause, sip in rows for reason in re.findall(r"`(\w+)`", names)}

    assert said == {reason: (cause, SIP[cause]) for reason, cause in causes().items()}
