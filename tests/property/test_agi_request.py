"""Laws of the AGI parsers: chunks don't matter, and any bytes are a request or a ProtocolError."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from agi.fastagi.client import render_request
from agi.fastagi.errors import BadReply, ProtocolError, ReplyTooLarge
from agi.fastagi.reply import Hangup, Reply, ReplyParser
from agi.fastagi.request import AgiRequest, RequestLimits, RequestParser, whole_request
from agi.fastagi.scripts import parse_call_finish, parse_call_prepare
from rating_engine.domain.errors import InvalidRequest

TIGHT = RequestLimits(header_bytes=25, line_bytes=20)
TINY = RequestLimits(header_bytes=60, line_bytes=20, headers=4, arguments=2)

Outcome = tuple[AgiRequest, bytes] | type[ProtocolError] | None


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """`data` in pieces, cut at `places` (taken modulo its length)."""
    borders = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[start:end] for start, end in pairwise(borders)] or [b""]


class OneByOne(RequestParser):
    """The parser without its short cut, as the reference."""

    def _take_plain(self, data: bytes) -> bool:
        return False


def outcome(parser: RequestParser, chunks: list[bytes]) -> Outcome:
    """What comes of it: the request and all bytes behind it, the class of the error, or None (not complete)."""
    for number, chunk in enumerate(chunks):
        try:
            request = parser.feed(chunk)
        except ProtocolError as error:
            return type(error)
        if request is not None:
            return request, parser.rest + b"".join(chunks[number + 1 :])
    return None


# Lines that are mostly right, so that the interesting border between good and bad is hit often.
names = st.sampled_from(
    [b"agi_a", b"agi_network_script", b"agi_request", b"agi_arg_1", b"agi_arg_2", b"agi_arg_3", b"agi"]
)
values = st.one_of(st.binary(max_size=12), st.sampled_from([b"", b" x", b"callPrepare?exchange=a", b"agi://h/ping?b"]))
separators = st.sampled_from([b": ", b": ", b": ", b":", b""])
ends = st.sampled_from([b"\n", b"\n", b"\n", b"\r\n", b"\r", b""])
lines = st.builds(lambda name, separator, value, end: name + separator + value + end, names, separators, values, ends)
blocks = st.builds(
    lambda body, end, rest: b"".join(body) + end + rest,
    st.lists(lines, max_size=6),
    st.sampled_from([b"\n", b"\r\n", b""]),
    st.sampled_from([b"", b"HANGUP\n", b"\n"]),
)
streams = st.one_of(st.binary(max_size=100), blocks)
limits = st.sampled_from([RequestLimits(), TINY, TIGHT])
places = st.lists(st.integers(min_value=0, max_value=200), max_size=12)


@given(data=streams, places=places, limits=limits)
def test_any_chunking_gives_the_same_request_or_error(data: bytes, places: list[int], limits: RequestLimits) -> None:
    whole = outcome(RequestParser(limits), [data])
    assert outcome(RequestParser(limits), cut(data, places)) == whole
    assert outcome(RequestParser(limits), [data[place : place + 1] for place in range(len(data))]) == whole


@given(data=streams, places=places, limits=limits)
def test_the_short_cut_for_plain_lines_changes_nothing(data: bytes, places: list[int], limits: RequestLimits) -> None:
    chunks = cut(data, places)
    assert outcome(RequestParser(limits), chunks) == outcome(OneByOne(limits), chunks)


odd = st.sampled_from([b"", b"\r", b"\n", b"agi_x: 1\n", b"agi_arg_1: \n", b"\xff", "é".encode(), b"\x85", b" ", b":"])
few = st.sampled_from([RequestLimits(), RequestLimits(header_bytes=600), RequestLimits(headers=25, arguments=4), TINY])


@given(
    arguments=st.lists(st.text("a1é +\x85\u2028", max_size=5), max_size=8),
    place=st.integers(0, 700),
    taken=st.integers(0, 3),
    put=odd,
    limits=few,
)
def test_a_request_that_comes_whole_is_read_as_line_by_line(
    arguments: list[str], place: int, taken: int, put: bytes, limits: RequestLimits
) -> None:
    block = render_request("h", 4573, "callPrepare?exchange=x", arguments, uniqueid="1.2", callerid="unknown")
    for data in (block, block[:place] + put + block[place + taken :]):
        whole = whole_request(data, limits)
        assert whole is None or (whole, b"") == outcome(OneByOne(limits), [data])
    assert (whole_request(block, RequestLimits()) is not None) == (len(arguments) <= 6)


@given(data=streams, limits=limits)
def test_what_is_kept_stays_within_the_limit(data: bytes, limits: RequestLimits) -> None:
    parser = RequestParser(limits)
    if outcome(parser, [data[place : place + 1] for place in range(len(data))]) is None:
        assert parser.received == len(data) <= limits.header_bytes


@given(
    arguments=st.lists(st.text(max_size=20).filter(lambda text: "\n" not in text and "\r" not in text), max_size=7),
    uniqueid=st.text(max_size=20).filter(lambda text: "\n" not in text and "\r" not in text),
    query=st.text(max_size=20).filter(lambda text: "\n" not in text and "\r" not in text),
)
def test_any_fields_are_a_call_or_an_invalid_request(arguments: list[str], uniqueid: str, query: str) -> None:
    block = [f"agi_network_script: callFinish?exchange={query}\n", f"agi_uniqueid: {uniqueid}\n"]
    block += [f"agi_arg_{number}: {argument}\n" for number, argument in enumerate(arguments, 1)]
    request = RequestParser().feed("".join([*block, "\n"]).encode())
    assert request is not None
    assert request.arguments == tuple(arguments)
    for parse in (parse_call_prepare, parse_call_finish):
        try:
            call = parse(request, "10.0.0.1")
        except InvalidRequest:
            continue
        assert call.login.isprintable()
        assert call.destination.isprintable()
        assert str(call.call_key).isprintable()
        assert "\0" not in (call.callerid or "")


Events = list[Reply | Hangup | type[ProtocolError]]

reply_streams = st.one_of(
    st.binary(max_size=60),
    st.lists(
        st.sampled_from(
            [
                b"200 result=0\n",
                b"200 result=1 (a)\r\n",
                b"HANGUP\n",
                b"510 x\n",
                b"520-Usage\n",
                b"520 End\n",
                b"u\n",
                b"2",
            ]
        ),
        max_size=8,
    ).map(b"".join),
)


def events_of(chunks: list[bytes]) -> Events:
    """The events up to the first error, and its class."""
    parser = ReplyParser()
    events: Events = []
    try:
        for chunk in chunks:
            events.extend(parser.feed(chunk))
    except (BadReply, ReplyTooLarge) as error:
        events.append(type(error))
    return events


@given(data=reply_streams)
def test_any_replies_are_events_or_a_protocol_error_however_they_are_cut(data: bytes) -> None:
    bytewise = events_of([data[place : place + 1] for place in range(len(data))])
    parser = ReplyParser()
    whole: Events = []
    events = parser.feed(data)
    while True:
        try:
            whole.append(next(events))
        except StopIteration:
            break
        except ProtocolError as error:
            whole.append(type(error))
            break
    assert bytewise == whole
