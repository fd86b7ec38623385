"""What a query gives, from its address and its body: one table of texts by plain names. Pure.

Laws: the body wins over the query, the last of a name given twice counts; what is not UTF-8, not JSON, or too much of
it is no query (BadQuery).
"""

from __future__ import annotations

import json
import re
from typing import Final
from urllib.parse import parse_qsl

from rating_engine.api.narayana.arguments import plain_name

MAX_NAMES: Final = 200  # of one query; the longest method has 18 arguments
FORM: Final = "application/x-www-form-urlencoded"
_VERSION: Final = re.compile(r"[0-9][0-9.]{0,15}")


class BadQuery(Exception):
    """HTTP 400: it cannot be read."""


def parts_of(path: str) -> tuple[str, str, str] | None:
    """Version, key and method of the path behind /billing/api; None: it is none of this surface.

    Repeated slashes and one at the end don't count.
    """
    parts = [part for part in path.split("/") if part]
    if len(parts) != 3 or not _VERSION.fullmatch(parts[0]):
        return None
    return parts[0], parts[1], parts[2]


def given_of(query: bytes, content_type: str, body: bytes, listed: str | None = None) -> dict[str, str]:
    """All that was given. `listed`: the argument that a body which is a JSON list gives, if any. Raises BadQuery."""
    given = _form(query)
    if listed is not None and body.lstrip().startswith(b"["):
        given[listed] = _text(body)
    elif body.strip():
        kind = content_type.partition(";")[0].strip().lower()
        if kind == "application/json":
            given |= _object(body, listed)
        elif kind in ("", FORM):
            given |= _form(body)
        else:
            raise BadQuery(f"a body is {FORM} or application/json")
    if len(given) > MAX_NAMES:
        raise BadQuery(f"more than {MAX_NAMES} names")
    return given


def _form(text: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(text.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_NAMES)
    except ValueError:
        raise BadQuery("the arguments are not name=value&…, in UTF-8") from None
    return {plain_name(name): value for name, value in pairs}


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise BadQuery("the body is not UTF-8") from None


def _object(body: bytes, listed: str | None) -> dict[str, str]:
    try:
        found = json.loads(body, parse_int=str, parse_float=str, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise BadQuery("the body is not JSON") from None
    if not isinstance(found, dict):
        raise BadQuery("the body is no object")
    given: dict[str, str] = {}
    for name, value in found.items():
        if value is None:
            continue
        if isinstance(value, bool):
            value = "true" if value else "false"
        if listed is not None and isinstance(value, list) and plain_name(name) == listed:
            value = json.dumps(value)
        if not isinstance(value, str):
            raise BadQuery("a value is a list or an object")
        try:
            value.encode(), name.encode()
        except UnicodeEncodeError:
            raise BadQuery("half of a surrogate pair") from None
        given[plain_name(name)] = value
    return given


def _no_constant(name: str) -> str:
    raise ValueError(name)
