"""agi.fastagi.request: what counts as a request, and where each fault is noticed."""

from __future__ import annotations

import pytest

from agi.fastagi.errors import (
    Abnormal,
    BadHeader,
    ClosedEarly,
    HeadersTooLarge,
    LineTooLong,
    NotAgi,
    ProtocolError,
    TooManyArguments,
    TooManyHeaders,
)
from agi.fastagi.request import AgiRequest, RequestLimits, RequestParser

# What Asterisk 22.10 sends, recorded on its wire.
ASTERISK_22 = b"""\
agi_network: yes
agi_network_script: callPrepare?exchange=pbx1
agi_request: agi://127.0.0.1:4573/callPrepare?exchange=pbx1
agi_channel: Local/123@x-00000000;2
agi_language: en
agi_type: Local
agi_uniqueid: pbx one-1795315015.1
agi_version: 22.10.1+dfsg+~cs6.17.60671434-1
agi_callerid: unknown
agi_calleridname: unknown
agi_callingpres: 67
agi_callingani2: 0
agi_callington: 0
agi_callingtns: 0
agi_dnid: unknown
agi_rdnis: unknown
agi_context: x
agi_extension: 123
agi_priority: 2
agi_enhanced: 0.0
agi_accountcode:\x20
agi_threadid: 139882319587008
agi_arg_1: login
agi_arg_2: 123
agi_arg_3:\x20
agi_arg_4: 1

"""


def parse(block: bytes, limits: RequestLimits | None = None) -> AgiRequest:
    request = RequestParser(limits or RequestLimits()).feed(block)
    assert request is not None
    return request


def test_a_recorded_request_of_asterisk_is_read_field_by_field() -> None:
    request = parse(ASTERISK_22)
    assert request.script == "callPrepare"
    assert dict(request.query) == {"exchange": "pbx1"}
    assert request.arguments == ("login", "123", "", "1")
    assert request.uniqueid == "pbx one-1795315015.1"
    assert request.accountcode == ""
    assert request.extension == "123"
    assert request.callerid == ""
    assert request.channel == "Local/123@x-00000000;2"


def test_crlf_line_ends_read_like_lf() -> None:
    assert parse(ASTERISK_22.replace(b"\n", b"\r\n")) == parse(ASTERISK_22)


def test_line_ends_may_be_mixed() -> None:
    assert parse(b"agi_extension: 12\r\nagi_callerid: 3\n\n").extension == "12"


def test_what_follows_the_blank_line_is_left_to_the_reply_parser() -> None:
    parser = RequestParser()
    assert parser.feed(b"agi_network: yes\n\nHANGUP\n") is not None
    assert parser.rest == b"HANGUP\n"


@pytest.mark.parametrize(
    ("headers", "script", "query"),
    [
        (b"agi_network_script: ping\n", "ping", {}),
        (b"agi_network_script: /ping/\n", "ping", {}),
        (b"agi_network_script: ping?exchange=a%20b&x=1&exchange=c\n", "ping", {"exchange": "a b", "x": "1"}),
        (b"agi_request: agi://h:4573/callPrepare?exchange=p\n", "callPrepare", {"exchange": "p"}),
        (b"agi_request: hagi://h/callFinish\n", "callFinish", {}),
        (b"agi_request: agi://h\n", "", {}),
        (b"agi_request: local.agi\n", "local.agi", {}),
        (b"agi_network_script: \nagi_request: agi://h/ping\n", "ping", {}),
        (b"agi_language: en\n", "", {}),
        (b"agi_network_script: a?=1&b\n", "a", {"b": ""}),
    ],
)
def test_script_and_query_come_from_the_network_script_or_else_the_request(
    headers: bytes, script: str, query: dict[str, str]
) -> None:
    request = parse(headers + b"\n")
    assert (request.script, dict(request.query)) == (script, query)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("Жанна".encode(), "Жанна"),
        (b"J\xe9r\xf4me", "Jérôme"),
        (b"\xed\xa0\x80", "í\xa0\x80"),
        (b"\xff\x00\x01", "ÿ\x00\x01"),
    ],
)
def test_a_value_is_utf8_or_else_latin1_and_never_has_surrogates(value: bytes, text: str) -> None:
    read = parse(b"agi_channel: " + value + b"\n\n").channel
    assert read == text
    assert read.encode("utf-8")


def test_a_value_keeps_its_colons_and_all_but_the_first_blank() -> None:
    assert parse(b"agi_channel:  IAX2/a: b \n\n").channel == " IAX2/a: b "


def test_a_header_without_a_blank_behind_the_colon_is_one() -> None:
    assert parse(b"agi_accountcode:\nagi_extension:12\n\n").extension == "12"


@pytest.mark.parametrize(
    ("start", "looks_like"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "http"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "http"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", "tls"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "unknown"),
        (b"\x00", "unknown"),
        (b"AGI_network: yes\n\n", "unknown"),
        (b"agi\n\n", "unknown"),
        (b"agi_network: yes\nHost: x\n\n", "unknown"),
        (b"agi_network: yes\n continued\n\n", "unknown"),
        (b"\rX", "unknown"),
    ],
)
def test_what_is_no_agi_is_refused_and_named(start: bytes, looks_like: str) -> None:
    with pytest.raises(NotAgi) as refused:
        RequestParser().feed(start)
    assert refused.value.looks_like == looks_like


@pytest.mark.parametrize("first", [b"G", b"\x16", b"\x00", b"A", b" "])
def test_one_byte_that_is_no_agi_is_enough(first: bytes) -> None:
    with pytest.raises(NotAgi):
        RequestParser().feed(first)


@pytest.mark.parametrize(
    ("block", "problem"),
    [
        (b"\n", "no header"),
        (b"\r\n", "no header"),
        (b"agi_network\n", "not a header"),
        (b"agi_: x\n", "not a header"),
        (b"agi_Network: yes\n", "not a header"),
        (b"agi_" + b"n" * 61 + b": x\n", "not a header"),
        (b"agi_uniqueid: 1\nagi_uniqueid: 2\n", "came twice"),
        (b"agi_arg_2: x\n", "out of order"),
        (b"agi_arg_1: x\nagi_arg_3: x\n", "out of order"),
        (b"agi_arg_01: x\n", "out of order"),
    ],
)
def test_a_malformed_header_is_named(block: bytes, problem: str) -> None:
    with pytest.raises(BadHeader, match=problem):
        RequestParser().feed(block)


def test_limits_are_inclusive() -> None:
    header = b"agi_x: " + b"y" * 13 + b"\n"
    argument = b"agi_arg_1: z\n"
    block = header + argument + b"\n"
    exact = RequestLimits(header_bytes=len(block), line_bytes=20, headers=2, arguments=1)
    assert parse(block, exact).arguments == ("z",)


def test_one_byte_less_than_the_block_is_too_little() -> None:
    block = b"agi_x: y\n\n"
    with pytest.raises(HeadersTooLarge):
        RequestParser(RequestLimits(header_bytes=len(block) - 1)).feed(block)


@pytest.mark.parametrize("chunks", [[b"agiX"], [b"a", b"g", b"i", b"X"]])
def test_the_first_byte_over_a_limit_decides_before_a_later_fault(chunks: list[bytes]) -> None:
    parser = RequestParser(RequestLimits(header_bytes=2))
    with pytest.raises(HeadersTooLarge):
        [parser.feed(chunk) for chunk in chunks]


def test_chunks_that_are_small_each_add_up() -> None:
    parser = RequestParser(RequestLimits(header_bytes=20, line_bytes=20))
    parser.feed(b"agi_a: 1\n")
    parser.feed(b"agi_b: 1\n")
    with pytest.raises(HeadersTooLarge):
        parser.feed(b"agi_c: 1\n")


@pytest.mark.parametrize(
    ("limits", "block", "error"),
    [
        (RequestLimits(line_bytes=10), b"agi_abcdefg", LineTooLong),
        (RequestLimits(line_bytes=10), b"agi_abcde: \n\n", LineTooLong),
        (RequestLimits(header_bytes=30), b"agi_a: 1\nagi_b: 2\nagi_c: 3\nagi_d: 4", HeadersTooLarge),
        (RequestLimits(header_bytes=10), b"agi_abcdefg", HeadersTooLarge),
        (RequestLimits(header_bytes=10), b"agi_abc: 1\n", HeadersTooLarge),
        (RequestLimits(headers=2), b"agi_a: 1\nagi_b: 2\nagi_c: 3\n", TooManyHeaders),
        (RequestLimits(arguments=1), b"agi_arg_1: 1\nagi_arg_2: 2\n", TooManyArguments),
    ],
)
def test_each_limit_is_an_error_of_its_own(limits: RequestLimits, block: bytes, error: type[ProtocolError]) -> None:
    with pytest.raises(error):
        RequestParser(limits).feed(block)


def test_an_endless_line_is_refused_before_it_ends() -> None:
    parser = RequestParser(RequestLimits(line_bytes=100, header_bytes=1000))
    parser.feed(b"agi_" + b"x" * 96)
    with pytest.raises(LineTooLong):
        parser.feed(b"x")


def test_after_an_error_the_parser_stays_broken() -> None:
    parser = RequestParser()
    with pytest.raises(NotAgi):
        parser.feed(b"GET /")
    with pytest.raises(NotAgi):
        parser.feed(ASTERISK_22)
    with pytest.raises(NotAgi):
        parser.feed_eof()


@pytest.mark.parametrize("part", [b"", b"agi_net", b"agi_network: yes\n", ASTERISK_22[:-1]])
def test_a_close_before_the_blank_line_says_how_much_had_come(part: bytes) -> None:
    parser = RequestParser()
    assert parser.feed(part) is None
    assert parser.received == len(part)
    with pytest.raises(ClosedEarly, match=f"after {len(part)} bytes"):
        parser.feed_eof()


def _all_subclasses(cls: type[ProtocolError]) -> set[type[ProtocolError]]:
    return {sub for direct in cls.__subclasses__() for sub in {direct, *_all_subclasses(direct)}}


@pytest.mark.parametrize("error", sorted(_all_subclasses(ProtocolError), key=str))
def test_every_protocol_error_has_a_code_that_logs_and_metrics_know(error: type[ProtocolError]) -> None:
    assert Abnormal(error.code)
