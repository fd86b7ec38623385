"""Requests of the tenant surface, read exactly: a body of bounded size whose numbers are never floats, parameters, ids.

The order of the checks: 415, 413, 400. Everything wrong with a value is an InvalidRequest that names its field.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from email.message import Message
from typing import Any, Final, NoReturn

from starlette.datastructures import QueryParams
from starlette.requests import Request

from rating_engine.api.tenant.contract import LIST, MAX_BODY, Field, Kind, Parameter
from rating_engine.domain.errors import InvalidRequest, NotFound, RatingEngineError
from rating_engine.domain.outcomes import CallKey
from rating_engine.domain.rate_query import RateQuery, check_query, parse_filter, parse_orderby
from rating_engine.domain.tenant import clean_prefix

EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)  # before it there were no calls, and soon no dates

_WHOLE: Final = re.compile(r"-?[0-9]{1,10}", re.ASCII)
_ID: Final = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)
_ID_MAX: Final = 2**63 - 1
MAX_ATTEMPT: Final = 99


def call_id(key: CallKey) -> str:
    """The id of a call, as a path has it: base64 of its key, without what a URL would escape."""
    return base64.urlsafe_b64encode(str(key).encode()).decode().rstrip("=")


def read_call_id(text: str) -> CallKey:
    """The call of an id. Raises NotFound: of another form there is none."""
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode()
        exchange, rest = key.split("/", 1)
        uniqueid, attempt = rest.rsplit("/", 1)
        call = CallKey(exchange, uniqueid, int(attempt) if attempt.isascii() and attempt.isdigit() else 0)
    except (ValueError, binascii.Error):
        raise NotFound("no such call is open", field="id") from None
    if str(call) != key or not 1 <= call.attempt <= MAX_ATTEMPT or not key.isprintable():
        raise NotFound("no such call is open", field="id")
    return call


class UnsupportedBody(Exception):
    """The body is of another content type than JSON in UTF-8."""


class BodyTooLarge(Exception):
    """The body has more than MAX_BODY bytes."""


async def read_fields(request: Request, fields: Sequence[Field]) -> dict[str, Any]:
    """The fields that the body of a request has, each checked for its kind; others are ignored.

    Raises UnsupportedBody, BodyTooLarge, InvalidRequest.
    """
    _check_type(request.headers.get("content-type", ""))
    values = _object(await _bytes(request))
    return {field.name: _value(field, values[field.name]) for field in fields if field.name in values}


def check_required(fields: Sequence[Field], values: Mapping[str, Any]) -> None:
    """Raises InvalidRequest naming the first field that a body lacks."""
    for field in fields:
        if field.required and field.name not in values:
            raise InvalidRequest(field.name, "is missing")


@contextmanager
def renamed(**names: str) -> Iterator[None]:
    """Fields that the services name otherwise, by the names that a request has them by."""
    try:
        yield
    except RatingEngineError as error:
        error.field = names.get(error.field or "", error.field)
        raise


def read_query(parameters: QueryParams) -> RateQuery:
    """The list that is asked for. Raises InvalidRequest naming the parameter."""
    given = read_parameters(parameters, LIST)
    return RateQuery(
        filter=parse_filter(given["filter"]),
        search=given["search"],
        orderby=parse_orderby(given["orderby"]),
        skip=given["skip"],
        top=given["top"],
    )


def read_parameters(parameters: QueryParams, wanted: Sequence[Parameter]) -> dict[str, Any]:
    """Parameters of a query by name, '' for texts that are not given. Raises InvalidRequest naming the parameter."""
    return {each.name: _parameter(parameters, each) for each in wanted if each.place == "query"}


def read_instant(text: str, field: str) -> datetime:
    """An instant of ISO 8601 with its offset. Raises InvalidRequest."""
    try:
        instant = datetime.fromisoformat(text)
        if instant.tzinfo is not None and instant.astimezone(UTC) >= EARLIEST:
            return instant.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise InvalidRequest(field, f"{_printable(text)!r} is no instant such as 2026-01-31T00:00:00Z")


def id_of(rate_id: int) -> str:
    """The id by which clients know a rate."""
    return base64.b64encode(str(rate_id).encode()).decode()


def read_id(text: str) -> int | None:
    """The rate that an id is of; None where it is no id."""
    try:
        number = base64.b64decode(text.encode("ascii"), validate=True).decode("ascii")
    except (ValueError, binascii.Error):
        return None
    if not _ID.fullmatch(number) or int(number) > _ID_MAX or id_of(int(number)) != text:
        return None
    return int(number)


def _check_type(content_type: str) -> None:
    message = Message()
    message["content-type"] = content_type
    charset = message.get_content_charset("utf-8")
    if not content_type or message.get_content_type() != "application/json" or charset not in ("utf-8", "utf8"):
        raise UnsupportedBody


async def _bytes(request: Request) -> bytes:
    length = request.headers.get("content-length", "0")
    if not length.isdecimal() or int(length[:20]) > MAX_BODY:
        raise BodyTooLarge
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY:
            raise BodyTooLarge
    return bytes(body)


def _object(body: bytes) -> dict[str, Any]:
    """Raises InvalidRequest for what is not one JSON object in UTF-8 without a name twice."""
    try:
        text = body.decode("utf-8")
        if text.startswith("\ufeff"):
            raise InvalidRequest("body", "begins with a byte order mark")
        values = json.loads(
            text, parse_float=_decimal, parse_constant=_no_number, object_pairs_hook=_pairs
        )  # orjson reads floats
    except InvalidRequest:
        raise
    except (ValueError, ArithmeticError, RecursionError):
        raise InvalidRequest("body", "is not JSON in UTF-8") from None
    if not isinstance(values, dict):
        raise InvalidRequest("body", "is not a JSON object")
    return values


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        raise InvalidRequest(_printable(next(n for n in names if names.count(n) > 1)), "stands in the body twice")
    return values


def _decimal(text: str) -> Decimal:
    return Decimal(text)


def _no_number(text: str) -> NoReturn:
    raise InvalidRequest("body", f"{text} is no number of JSON")


def _value(field: Field, value: Any) -> Any:
    """A value as the domain has it. Raises InvalidRequest naming the field."""
    if value is None:
        raise InvalidRequest(field.name, "must not be null; leave it out to leave it as it is")
    is_number = isinstance(value, int | Decimal) and not isinstance(value, bool)
    if field.choices is not None:
        return _choice(field, value)
    if field.kind is Kind.FLAG and isinstance(value, bool):
        return value
    if field.kind is Kind.TEXT and isinstance(value, str):
        return _text(field, value)
    if field.kind is Kind.AMOUNT and is_number:
        return Decimal(value)
    if field.kind is Kind.WHOLE and is_number:
        return _whole(field.name, value)
    words = {Kind.FLAG: "true or false", Kind.TEXT: "a text", Kind.AMOUNT: "a number", Kind.WHOLE: "a whole number"}
    raise InvalidRequest(field.name, f"must be {words[field.kind]}")


def _text(field: Field, value: str) -> str:
    if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise InvalidRequest(field.name, "has a NUL or half a character, which no text can have")
    least, most = field.least or 0, field.most
    if most is not None and not least <= len(value) <= most:
        raise InvalidRequest(field.name, f"must have {least} to {most} characters")
    return clean_prefix(value) if field.name == "prefix" else value


def _choice(field: Field, value: Any) -> Any:
    assert field.choices is not None
    known = {choice.value: choice for choice in field.choices}
    if not isinstance(value, str) or value not in known:
        raise InvalidRequest(field.name, f"must be one of {', '.join(known)}")
    return known[value]


def _whole(name: str, value: int | Decimal) -> int:
    if isinstance(value, int):
        return value
    if value.adjusted() > len(str(_ID_MAX)):  # far beyond any column, and too long to write out
        return _ID_MAX if value > 0 else -_ID_MAX
    if value != value.to_integral_value():
        raise InvalidRequest(name, "must be a whole number")
    return int(value)


def _parameter(parameters: QueryParams, parameter: Parameter) -> Any:
    given = parameters.getlist(parameter.name)
    if len(given) > 1:
        raise InvalidRequest(parameter.name, "is given twice")
    if parameter.kind is Kind.TEXT:
        text = given[0] if given else ""
        check_query(text, parameter.name)
        return text
    if not given:
        return parameter.default
    if not _WHOLE.fullmatch(given[0]):
        raise InvalidRequest(parameter.name, "must be a whole number")
    number = int(given[0])
    assert parameter.least is not None
    assert parameter.most is not None
    if not parameter.least <= number <= parameter.most:
        raise InvalidRequest(parameter.name, f"must be from {parameter.least} to {parameter.most}")
    return number


def _printable(name: str) -> str:
    return name[:64].encode("ascii", "backslashreplace").decode()
