"""agi.fastagi.client: the side of the wire that plays Asterisk."""

from __future__ import annotations

import pytest

from agi.fastagi.client import Channel, render_request
from agi.fastagi.request import RequestParser
from tests.unit.agi.fastagi.test_request import ASTERISK_22

RECORDED_HEADERS = [line.partition(b":")[0].decode() for line in ASTERISK_22.split() if line.startswith(b"agi_")]


def test_the_request_is_the_header_block_of_an_asterisk_22() -> None:
    block = render_request(
        "127.0.0.1",
        4573,
        "callPrepare?exchange=pbx1",
        ["alice", "79010000001", "", "1"],
        uniqueid="1700000000.42",
        accountcode="alice",
        callerid="100",
        extension="79010000001",
    )
    request = RequestParser().feed(block)
    assert request is not None
    assert [line.partition(b":")[0].decode() for line in block.split(b"\n")[:-2]] == list(RECORDED_HEADERS)
    assert request.script == "callPrepare"
    assert request.query["exchange"] == "pbx1"
    assert request.arguments == ("alice", "79010000001", "", "1")
    assert (request.uniqueid, request.callerid, request.extension) == ("1700000000.42", "100", "79010000001")


def test_an_unknown_caller_is_said_as_asterisk_says_it() -> None:
    block = render_request("h", 1, "ping", [], uniqueid="1")
    assert b"\nagi_callerid: unknown\n" in block
    request = RequestParser().feed(block)
    assert request is not None
    assert request.callerid == ""


@pytest.mark.parametrize("value", ["a\nagi_x: 1", "a\r", "\n\n"])
def test_a_value_with_a_line_end_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="line end"):
        render_request("h", 1, "ping", [value], uniqueid="1")
    with pytest.raises(ValueError, match="line end"):
        render_request("h", 1, "ping", [], uniqueid=value)


@pytest.mark.parametrize(
    ("command", "reply"),
    [
        ('EXEC MSet "A=1,B=x y"', "200 result=0"),
        ("EXEC Nope 1", "200 result=-2"),
        ('SET VARIABLE C "z"', "200 result=1"),
        ("GET VARIABLE A", "200 result=1 (old)"),
        ("get variable EMPTY", "200 result=1 ()"),
        ("GET VARIABLE NONE", "200 result=0"),
        ("NOOP", "200 result=0"),
        ('VERBOSE "hi" 1', "200 result=1"),
        ("FOO", "510 Invalid or unknown command"),
        ("", "510 Invalid or unknown command"),
    ],
)
def test_the_channel_answers_as_asterisk_22_did(command: str, reply: str) -> None:
    channel = Channel()
    channel.variables = {"A": "old", "EMPTY": ""}
    assert channel.execute(command) == reply


def test_the_channel_keeps_what_it_was_told_to_set() -> None:
    channel = Channel()
    channel.execute('EXEC MSet "A=1,B=x y"')
    channel.execute("SET VARIABLE C z")
    assert channel.variables == {"A": "1", "B": "x y", "C": "z"}
