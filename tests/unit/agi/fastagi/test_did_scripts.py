"""didPrepare and didNext: the words of the dialplan to and from those of the domain."""

from __future__ import annotations

from decimal import Decimal

import pytest

from agi import channel_variables as var
from agi.fastagi.request import AgiRequest
from agi.fastagi.scripts import parse_did_next, parse_did_prepare, render_did_next, render_did_prepare
from rating_engine.domain.call_rules import InboundCall
from rating_engine.domain.errors import InvalidRequest
from rating_engine.domain.outcomes import (
    Allowed,
    CallKey,
    Declined,
    DeclineReason,
    InboundAllowed,
    InboundDone,
    InboundStep,
)

KEY = CallKey("pbx1", "1700000000.42", 1)


def request(*arguments: str) -> AgiRequest:
    return AgiRequest(arguments=arguments, script="did", query={"exchange": "pbx1"}, uniqueid="1700000000.42")


def test_did_prepare_asks_for_the_number_and_names_nobody() -> None:
    call = parse_did_prepare(request("+4930123", "4915"), "10.0.0.9")
    assert (call.call_key, call.login, call.destination, call.callerid) == (KEY, "", "+4930123", "4915")
    for wrong in ((), ("",), ("4930", "1", "2"), ("4" * 81,)):
        with pytest.raises(InvalidRequest):
            parse_did_prepare(request(*wrong), "10.0.0.9")


def test_did_next_asks_from_where_the_answer_before_has_said() -> None:
    asked = parse_did_next(request("4930123", "4930124/2", "+4915", "17BUSY", "12#"))
    assert asked == InboundCall("4930124", 2, "4915", "BUSY", "12#")
    assert parse_did_next(request("4930123")) == InboundCall("4930123")
    for wrong in (("x",), ("4930123", "2"), ("4930123", "4930123/99999"), ("4930123", "1", "", "", "", "")):
        with pytest.raises(InvalidRequest):
            parse_did_next(request(*wrong))


def test_every_answer_sets_every_variable_of_its_script() -> None:
    allowed = Allowed(KEY, 61, "4930123", "", "inbound", "", "inbound", Decimal(1), "EUR")
    step = InboundStep("call", "1001", "4915", 20, "", "4930123/2")
    for outcome in (InboundAllowed("4930123", "1001", allowed), Declined(DeclineReason.NUMBER_CLOSED)):
        assert render_did_prepare(outcome).keys() == set(var.DID_PREPARE_VARIABLES) | {var.RATING_MAX_MS}
    for answer in (step, InboundDone(), Declined(DeclineReason.SOURCE_REJECTED)):
        assert render_did_next(answer).keys() == set(var.DID_NEXT_VARIABLES)
    assert render_did_next(step)[var.RATING_RESULT] == "OK call 1001 4915 - 4930123/2"
    assert render_did_next(InboundDone())[var.RATING_DID_ACTION] == ""
    assert render_did_prepare(Declined(DeclineReason.UNKNOWN_NUMBER))[var.RATING_MAX_SECONDS] == "0"
