"""One field of a request at a time: text in, a value of the right type and size out, or InvalidRequest."""

from __future__ import annotations

import re
from typing import Final

from agi.fastagi.request import MAX_ARGUMENTS, AgiRequest
from rating_engine.domain.errors import InvalidRequest
from rating_engine.domain.outcomes import MAX_CALL_KEY_LENGTH, MAX_ORIGIN, NO_ORIGIN, CallKey, Origin
from rating_engine.domain.tariff import check_route_name

MAX_LOGIN: Final = 64  # the column's width
MAX_NUMBER: Final = 80  # Asterisk's own limit of an extension; E.164 has 15 digits, dial prefixes come before it
MAX_EXCHANGE: Final = 64  # a host name's label has 63
MAX_CHANNEL: Final = 128  # Asterisk cuts a channel's name at 80
MAX_CALL_SECONDS: Final = 31 * 24 * 3600  # no call lasts a month: more is a clock's fault or a shifted field
SURE_DIGITS: Final = 6  # of seconds: a number with no more of them is less than a month
MAX_ATTEMPT: Final = 99  # routes tried for one call; a dialplan that counts on has lost its way
SURE_UNIQUEID: Final = MAX_CALL_KEY_LENGTH - MAX_EXCHANGE - len("//99")  # a call key has room for one so long

# The names Asterisk gives extensions that nobody dialled.
_SPECIAL_EXTENSIONS: Final = frozenset({"s", "h", "i", "t", "T", "o", "a", "e", "failed", "fax", "talk"})

_PLACE: Final = re.compile(r"([0-9]{3,15}|line:[^\s,]{1,64})/([0-9]{1,4})")
_NOT_GIVEN: Final = [""] * MAX_ARGUMENTS
_ATTEMPT: Final = re.compile(r"[0-9]{1,2}")
_SECONDS: Final = re.compile(r"([0-9]{1,9})(?:\.([0-9]{1,9}))?")


def arguments(request: AgiRequest, count: int) -> list[str]:
    """The script's arguments without outer blanks, `count` of them: '' for each that is not given.

    Refuses surplus ones: a comma in an unfiltered dialled number has shifted every field behind it.
    """
    given = request.arguments
    if len(given) > count:
        raise InvalidRequest("arguments", f"{len(given)} given, {request.script} takes at most {count}")
    return [*[value.strip() for value in given], *_NOT_GIVEN[len(given) : count]]


def text(field: str, value: str, max_length: int) -> str:
    """`value`, of 1 to `max_length` characters, none of them a control character."""
    if not value:
        raise InvalidRequest(field, "missing")
    if len(value) <= max_length and value.isprintable():
        return value
    raise _unfit(field, value, max_length)


def optional_text(field: str, value: str, max_length: int) -> str:
    """`value`, of at most `max_length` characters, none of them a control character."""
    if len(value) <= max_length and value.isprintable():
        return value
    raise _unfit(field, value, max_length)


def _unfit(field: str, value: str, max_length: int) -> InvalidRequest:
    is_long = len(value) > max_length
    return InvalidRequest(
        field, f"longer than {max_length} characters" if is_long else "has a character that can't be printed"
    )


def login(given: str, request: AgiRequest) -> str:
    """The argument, else the channel's account code."""
    return text("login", given or request.accountcode.strip(), MAX_LOGIN)


def login_of_call(given: str, request: AgiRequest, callerid: str | None) -> str:
    """The same; '' where neither is there, but a caller id: the call is of whom that is known to be."""
    value = given or request.accountcode.strip()
    return text("login", value, MAX_LOGIN) if value or callerid is None else ""


def destination(given: str, request: AgiRequest) -> str:
    """The argument, else the dialled extension, as dialled."""
    if not given and request.extension not in _SPECIAL_EXTENSIONS:
        given = request.extension.strip()
    return text("destination", given, MAX_NUMBER)


def callerid(given: str, request: AgiRequest) -> str | None:
    """The argument, else the channel's caller number; None where Asterisk doesn't know it."""
    return optional_text("callerid", given or request.callerid.strip(), MAX_NUMBER) or None


def caller_of_ended(given: str, request: AgiRequest) -> str | None:
    """The same of a call that has ended; None where it is malformed: it only describes, and the call is charged."""
    try:
        return callerid(given, request)
    except InvalidRequest:
        return None


def route(given: str) -> str:
    """The argument, the name of the route that the exchange has chosen; '' where it has not."""
    if given:
        check_route_name(given, "route")
    return given


def origin(request: AgiRequest) -> Origin:
    """What the query says of it: from_originate, source, originated_by."""
    query = request.query
    if not query:
        return NO_ORIGIN
    given = [query.get(name, "").strip() for name in ("from_originate", "source", "originated_by")]
    return Origin(*given) if any(given) else NO_ORIGIN


def is_did(request: AgiRequest) -> str:
    """The query's; '' where it is malformed: it only describes, and the call is charged."""
    value = request.query.get("is_did", "").strip()
    return value if value.isprintable() and len(value) <= MAX_ORIGIN else ""


def place_of_rule(value: str) -> tuple[str, int]:
    """`NUMBER/PLACE` or `line:LOGIN/PLACE`, as didNext has answered it."""
    match = _PLACE.fullmatch(value)
    if match is None:
        raise InvalidRequest("where", f"{value[:40]!r} is no place such as 4930123456/1")
    return match[1], int(match[2])


def attempt(value: str) -> int:
    """Narayana's `prior`: 1 to 99, empty = 1."""
    if not value:
        return 1
    if not _ATTEMPT.fullmatch(value) or not 1 <= int(value) <= MAX_ATTEMPT:
        raise InvalidRequest("prior", f"{value!r} is not a number from 1 to {MAX_ATTEMPT}")
    return int(value)


def seconds(value: str) -> int:
    """Answered seconds, a begun one counted whole; empty = 0, as ANSWEREDTIME of a call nobody took."""
    if not value:
        return 0
    if len(value) <= SURE_DIGITS and value.isascii() and value.isdecimal():  # nearly always: 0.4 us less
        return int(value)
    match = _SECONDS.fullmatch(value)
    if match is None:
        raise InvalidRequest("seconds", f"{value[:20]!r} is not a number of seconds")
    whole = int(match[1]) + (1 if (match[2] or "").strip("0") else 0)
    if whole > MAX_CALL_SECONDS:
        raise InvalidRequest("seconds", f"{whole} is more than {MAX_CALL_SECONDS}, a month")
    return whole


def channel(request: AgiRequest) -> str:
    """The caller's channel, by which calls that share a key are told apart; '' where it can't be read.

    Never refused: a malformed name only tells nothing.
    """
    value = request.channel
    return value if value.isprintable() and len(value) <= MAX_CHANNEL else ""


def call_key(request: AgiRequest, peer: str, prior: str) -> CallKey:
    """The key of this attempt: the query's `exchange` or else the peer's address, the uniqueid, `prior`.

    An exchange has no slash, so two calls never share a key's text. Behind NAT, or with one Asterisk on
    several addresses, the query names the exchange.
    """
    exchange = text("exchange", request.query.get("exchange", "").strip() or peer, MAX_EXCHANGE)
    if "/" in exchange:
        raise InvalidRequest("exchange", "has a slash")
    uniqueid = text("agi_uniqueid", request.uniqueid, MAX_CALL_KEY_LENGTH)
    key = CallKey(exchange, uniqueid, attempt(prior) if prior else 1)
    if len(uniqueid) > SURE_UNIQUEID and len(str(key)) > MAX_CALL_KEY_LENGTH:
        raise InvalidRequest("agi_uniqueid", f"makes a call key of more than {MAX_CALL_KEY_LENGTH} characters")
    return key
