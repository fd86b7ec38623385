"""One field of a request at a time: text in, a value of the right type and size out, or InvalidRequest."""

from __future__ import annotations

import re
from typing import Final

from agi.fastagi.request import AgiRequest
from rating_engine.domain.errors import InvalidRequest
from rating_engine.domain.outcomes import MAX_CALL_KEY_LENGTH, MAX_ORIGIN, NO_ORIGIN, CallKey, Origin
from rating_engine.domain.tariff import check_route_name

MAX_LOGIN: Final = 64  # the column's width
MAX_NUMBER: Final = 80  # Asterisk's own limit of an extension; E.164 has 15 digits, dial prefixes come before it
MAX_EXCHANGE: Final = 64  # a host name's label has 63
MAX_CHANNEL: Final = 128  # Asterisk cuts a channel's name at 80
MAX_CALL_SECONDS: Final = 31 * 24 * 3600  # no call lasts a month: more is a clock's fault or a shifted field
MAX_ATTEMPT: Final = 99  # routes tried for one call; a dialplan that counts on has lost its way

# The names Asterisk gives extensions that nobody dialled.
_SPECIAL_EXTENSIONS: Final = frozenset({"s", "h", "i", "t", "T", "o", "a", "e", "failed", "fax", "talk"})

_PLACE: Final = re.compile(r"([0-9]{3,15}|line:[^\s,]{1,64})/([0-9]{1,4})")
_ATTEMPT: Final = re.compile(r"[0-9]{1,2}")
_SECONDS: Final = re.compile(r"([0-9]{1,9})(?:\.([0-9]{1,9}))?")


def argument(request: AgiRequest, index: int) -> str:
    """The script's argument number `index` (from 0) without outer blanks; empty where it is not given."""
    return request.arguments[index].strip() if index < len(request.arguments) else ""


def at_most_arguments(request: AgiRequest, count: int) -> None:
    """Refuse surplus arguments: a comma in an unfiltered dialled number has shifted every field behind it."""
    if len(request.arguments) > count:
        raise InvalidRequest("arguments", f"{len(request.arguments)} given, {request.script} takes at most {count}")


def text(field: str, value: str, max_length: int) -> str:
    """`value`, of 1 to `max_length` characters, none of them a control character."""
    if not value:
        raise InvalidRequest(field, "missing")
    return optional_text(field, value, max_length)


def optional_text(field: str, value: str, max_length: int) -> str:
    """`value`, of at most `max_length` characters, none of them a control character."""
    if len(value) > max_length:
        raise InvalidRequest(field, f"longer than {max_length} characters")
    if not value.isprintable():
        raise InvalidRequest(field, "has a character that can't be printed")
    return value


def login(request: AgiRequest) -> str:
    """The first argument, else the channel's account code."""
    return text("login", argument(request, 0) or request.accountcode.strip(), MAX_LOGIN)


def login_of_call(request: AgiRequest, callerid: str | None) -> str:
    """The same; '' where neither is there, but a caller id: the call is of whom that is known to be."""
    value = argument(request, 0) or request.accountcode.strip()
    return text("login", value, MAX_LOGIN) if value or callerid is None else ""


def destination(request: AgiRequest) -> str:
    """The second argument, else the dialled extension, as dialled."""
    value = argument(request, 1)
    if not value and request.extension not in _SPECIAL_EXTENSIONS:
        value = request.extension.strip()
    return text("destination", value, MAX_NUMBER)


def caller_of_ended(request: AgiRequest, index: int) -> str | None:
    """The same of a call that has ended; None where it is malformed: it only describes, and the call is charged."""
    try:
        return callerid(request, index)
    except InvalidRequest:
        return None


def callerid(request: AgiRequest, index: int) -> str | None:
    """The argument at `index`, else the channel's caller number; None where Asterisk doesn't know it."""
    return optional_text("callerid", argument(request, index) or request.callerid.strip(), MAX_NUMBER) or None


def route(request: AgiRequest, index: int) -> str:
    """The argument at `index`, the name of the route that the exchange has chosen; '' where it has not."""
    value = argument(request, index)
    if value:
        check_route_name(value, "route")
    return value


def origin(request: AgiRequest) -> Origin:
    """What the query says of it: from_originate, source, originated_by."""
    given = [request.query.get(name, "").strip() for name in ("from_originate", "source", "originated_by")]
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
    key = CallKey(exchange, text("agi_uniqueid", request.uniqueid, MAX_CALL_KEY_LENGTH), attempt(prior))
    if len(str(key)) > MAX_CALL_KEY_LENGTH:
        raise InvalidRequest("agi_uniqueid", f"makes a call key of more than {MAX_CALL_KEY_LENGTH} characters")
    return key
