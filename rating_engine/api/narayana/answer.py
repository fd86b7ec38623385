"""How an answer is written: the JSON envelope, or the bare text for keys that ask for it.

Laws: a scalar response is a string, money has two decimals or as many as it has, and never an exponent; a method that
says true or false has no response but the code of its failure.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import orjson
from starlette.responses import Response

from rating_engine.api.narayana.errors import Code, Failure

HEADERS: Final = {"cache-control": "no-store", "referrer-policy": "no-referrer"}
_TEXT: Final = "text/plain; charset=utf-8"
_STATUS: Final = {Code.E_LUA_EXCEPTION: 500, Code.E_SQL_ERROR: 503}
RETRY_SECONDS: Final = 5  # the database is looked at again each second


def done(response: Any, *, as_text: bool) -> Response:
    """The answer of a method. True: it was done, and there is nothing to say of it; bytes: a PDF or a WAV file."""
    if isinstance(response, bytes):
        kind = "application/pdf" if response.startswith(b"%PDF-") else "audio/wav"
        return Response(response, headers=HEADERS, media_type=kind)
    if as_text:
        if response is True:
            return _text("true")
        return _text(response if isinstance(response, str) else orjson.dumps(response, default=_plain).decode())
    envelope: dict[str, Any] = {"result": True}
    if response is not True:
        envelope["response"] = response
    return _json(envelope)


def failed(failure: Failure, *, as_text: bool, line: str | None = None) -> Response:
    """The answer of a method that failed. `line`: in place of the code, and then the status is 200 whatever it was."""
    status = 200 if line is not None else _STATUS.get(failure.code, 200)
    response = failure.code.value if line is None else line
    if as_text:
        return _text(response, status)
    envelope: dict[str, Any] = {"result": False, "response": response}
    if failure.description:
        envelope["description"] = failure.description
    return _json(envelope, status)


def limited(seconds: int, *, line: str | None = None) -> Response:
    """429: who asks has asked too often. In the envelope whatever the key: nobody has looked what it wants."""
    code = Code.E_INSUFFICIENT_ACCESS.value if line is None else line
    envelope = {"result": False, "response": code, "description": f"too many queries: ask again in {seconds} s"}
    response = _json(envelope, 429)
    response.headers["retry-after"] = str(seconds)
    return response


def refused(status: int, text: str) -> Response:
    """Who is not let in at all."""
    return _text(text + "\n", status)


def money(amount: Decimal) -> str:
    """1.00, 0.125: two decimals or as many as it has."""
    text = format(amount, "f")
    whole, _, decimals = text.partition(".")
    kept = decimals.rstrip("0").ljust(2, "0")
    return f"{'0' if whole == '-0' and not kept.strip('0') else whole}.{kept}"


def amount(value: Decimal) -> orjson.Fragment:
    """Money inside of a list or an object: a number."""
    return orjson.Fragment(money(value))


def date(moment: datetime, offset_minutes: int = 0) -> str:
    """YYYY-MM-DD HH:MM:SS of the server (UTC), or of the user's offset."""
    utc = moment.astimezone(None) if moment.tzinfo is None else moment
    shifted = utc - (utc.utcoffset() or timedelta()) + timedelta(minutes=offset_minutes)
    return shifted.strftime("%Y-%m-%d %H:%M:%S")


def _json(envelope: dict[str, Any], status: int = 200) -> Response:
    body = orjson.dumps(envelope, default=_plain)
    return Response(body, status, headers=_headers(status), media_type="application/json")


def _text(text: str, status: int = 200) -> Response:
    return Response(text.encode(), status, headers={**_headers(status), "content-type": _TEXT})


def _headers(status: int) -> dict[str, str]:
    return {**HEADERS, "retry-after": str(RETRY_SECONDS)} if status == 503 else HEADERS


def _plain(value: object) -> Any:
    if isinstance(value, Decimal):
        return amount(value)
    raise TypeError(type(value).__name__)
