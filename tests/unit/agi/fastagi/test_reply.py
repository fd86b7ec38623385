"""agi.fastagi.reply: what Asterisk says to our command."""

from __future__ import annotations

import pytest

from agi.fastagi.errors import BadReply, ReplyTooLarge
from agi.fastagi.reply import MAX_REPLY_BYTES, MAX_REPLY_LINE_BYTES, Hangup, Reply, ReplyParser

# Recorded from Asterisk 22.10: GET VARIABLE without a name.
USAGE = b"""\
520-Invalid command syntax.  Proper usage follows:
Returns <literal>0</literal> if <replaceable>variablename</replaceable> is not set.
Example return code: 200 result=1 (testvariable)
520 End of proper usage.
"""


@pytest.mark.parametrize(
    ("line", "reply", "succeeded"),
    [
        (b"200 result=0\n", Reply(200, "0", ""), True),
        (b"200 result=1 (x y)\r\n", Reply(200, "1", "(x y)"), True),
        (b"200 result=1 ()\n", Reply(200, "1", "()"), True),
        (b"200 result=\n", Reply(200, "", ""), True),
        (b"200 result=0 endpos=12\n", Reply(200, "0", "endpos=12"), True),
        (b"200 result=-1\n", Reply(200, "-1", ""), False),
        (b"200 result=-2\n", Reply(200, "-2", ""), False),
        (b"200\n", Reply(200, "", ""), True),
        (b"510 Invalid or unknown command\n", Reply(510, "", "Invalid or unknown command"), False),
        (
            b"511 Command Not Permitted on a dead channel\n",
            Reply(511, "", "Command Not Permitted on a dead channel"),
            False,
        ),
        (b"520 Invalid command syntax.\n", Reply(520, "", "Invalid command syntax."), False),
    ],
)
def test_a_reply_line_is_read(line: bytes, reply: Reply, succeeded: bool) -> None:
    assert list(ReplyParser().feed(line)) == [reply]
    assert reply.succeeded is succeeded


def test_a_usage_text_of_several_lines_is_one_reply() -> None:
    (reply,) = ReplyParser().feed(USAGE)
    assert isinstance(reply, Reply)
    assert reply.code == 520
    assert reply.text.splitlines()[0] == "Invalid command syntax.  Proper usage follows:"
    assert reply.text.endswith("520 End of proper usage.")
    assert not reply.succeeded


def test_hangup_is_an_event_between_replies() -> None:
    events = list(ReplyParser().feed(b"HANGUP\n200 result=0\nHANGUP\n"))
    assert events == [Hangup(), Reply(200, "0", ""), Hangup()]


def test_a_reply_may_come_byte_by_byte() -> None:
    parser = ReplyParser()
    stream = USAGE + b"200 result=0\n"
    events = [event for byte in stream for event in parser.feed(bytes([byte]))]
    assert events == list(ReplyParser().feed(stream))
    assert len(events) == 2


@pytest.mark.parametrize("line", [b"\n", b"hello\n", b"20 result=0\n", b"2000\n", b"600 x\n", b"hangup\n", b"\xff\n"])
def test_what_is_no_reply_is_refused_after_the_events_before_it(line: bytes) -> None:
    parser = ReplyParser()
    events = parser.feed(b"HANGUP\n" + line)
    assert next(events) == Hangup()
    with pytest.raises(BadReply):
        next(events)
    with pytest.raises(BadReply):
        list(parser.feed(b"200 result=0\n"))


def test_an_endless_line_is_refused_before_it_ends() -> None:
    parser = ReplyParser()
    assert list(parser.feed(b"2" * MAX_REPLY_LINE_BYTES)) == []
    with pytest.raises(ReplyTooLarge):
        list(parser.feed(b"2"))


def test_an_endless_usage_text_is_refused() -> None:
    parser = ReplyParser()
    line = b"u" * 99 + b"\n"
    with pytest.raises(ReplyTooLarge):
        list(parser.feed(b"520-Usage\n" + line * (MAX_REPLY_BYTES // len(line) + 1)))


@pytest.mark.parametrize("reply", [b"200 result=0\n", USAGE])
def test_many_replies_are_not_counted_as_one(reply: bytes) -> None:
    count = 2 * MAX_REPLY_BYTES // len(reply)
    assert len(list(ReplyParser().feed(reply * count))) == count
