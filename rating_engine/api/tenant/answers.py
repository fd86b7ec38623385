"""Answers of the tenant surface: JSON whose amounts are numbers with every digit, errors in one form, and the CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Final

from starlette.responses import Response

from rating_engine.api.tenant.contract import FILE, JSON, PROBLEM
from rating_engine.api.tenant.reading import id_of
from rating_engine.domain.errors import (
    AlreadyExists,
    InvalidRequest,
    NotAllowed,
    NotFound,
    NotYours,
    RatingEngineError,
    Refused,
)
from rating_engine.domain.tenant import RATE_FIELDS, WHOLES, CallRate, TenantBilling
from rating_engine.domain.transfer import InsufficientMoney
from rating_engine.rating.money import format_amount
from rating_engine.rating.rate import PriceUnit
from rating_engine.services.decks.file.formulas import quoted

RETRY_SECONDS: Final = 1
_SECONDS: Final = frozenset(name for name, _ in WHOLES)
NO_STORE: Final = {"cache-control": "no-store"}

# What an error of the services is here. Of what is somebody else's nobody hears that it is there.
_STATUS: Final[tuple[tuple[type[RatingEngineError], int, str], ...]] = (
    (InvalidRequest, 400, "invalid"),
    (NotAllowed, 403, "forbidden"),
    (NotFound, 404, "not_found"),
    (NotYours, 404, "not_found"),
    (AlreadyExists, 409, "already_exists"),
    (InsufficientMoney, 409, "insufficient_money"),
    (Refused, 409, "refused"),
)


def json_answer(value: Any) -> Response:
    """200 with a value as JSON."""
    return Response(_json(value), media_type=JSON, headers=NO_STORE)


def error_answer(
    status: int, code: str, message: str, *, field: str | None = None, headers: Mapping[str, str] = {}
) -> Response:
    """An error, in the one form of all: a problem (RFC 9457) that names the field at fault."""
    problem = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": message if field is None else f"{field}: {message}",
        "error": {"code": code, **({} if field is None else {"field": field}), "message": message},
    }
    return Response(_json(problem), status, {**NO_STORE, **headers}, PROBLEM)


def answer_to(error: RatingEngineError) -> Response:
    """The answer to what the services refuse."""
    for kind, status, code in _STATUS:
        if isinstance(error, kind):
            message = error.problem or code
            if status == HTTPStatus.NOT_FOUND:  # in the same words, whether it is nobody's or somebody else's
                message = f"there is no such {error.field or 'thing'}"
            return error_answer(status, code, message, field=error.field)
    return error_answer(503, "unavailable", "ask again in a while", headers={"retry-after": str(RETRY_SECONDS)})


def billing_json(billing: TenantBilling) -> dict[str, Any]:
    """The settings of a tenant as the document has them."""
    return {"enabled": billing.enabled, "account": billing.account.value, "type": billing.type.value}


def rate_json(rate: CallRate) -> dict[str, Any]:
    """A call rate as the document has it."""
    return {"id": id_of(rate.rate_id), **{name: getattr(rate, name) for name in RATE_FIELDS}}


def rates_file(rates: Iterable[CallRate]) -> Response:
    """Every rate in a file that `rates import` takes: its fields, and by its own names what these prices are of.

    A row is one line there, so the lines of a description are joined; and no interval is longer than any call.
    """
    rows = (
        [*(cell(_exported(rate, name)) for name in RATE_FIELDS), PriceUnit.INTERVAL.value, rate.type.value]
        for rate in rates
    )
    text = csv_rows([[*RATE_FIELDS, "price_unit", "direction"], *rows])
    return Response(text, media_type=FILE, headers=file_headers("call_rates.csv"))


def _exported(rate: CallRate, name: str) -> object:
    if name in _SECONDS:
        return rate.counted(name)
    return " ".join(rate.description.splitlines()) if name == "description" else getattr(rate, name)


def csv_rows(rows: Iterable[Iterable[str]]) -> bytes:
    """Rows of cells as CSV in UTF-8."""
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def file_headers(name: str) -> dict[str, str]:
    """What makes of an answer a file of this name."""
    return {"content-disposition": f'attachment; filename="{name}"', **NO_STORE}


def cell(value: object) -> str:
    """A value as a table has it."""
    if isinstance(value, Decimal):
        return format_amount(value)
    if isinstance(value, datetime):
        return value.isoformat()
    return "" if value is None else quoted(str(value))


def _json(value: Any) -> str:
    """As json.dumps, with amounts as numbers of all their digits."""
    if isinstance(value, Decimal):
        return format_amount(value)
    if isinstance(value, Mapping):
        return f"{{{','.join(f'{json.dumps(name)}:{_json(each)}' for name, each in value.items())}}}"
    if isinstance(value, datetime):
        return json.dumps(value.isoformat())
    if isinstance(value, list):
        return f"[{','.join(map(_json, value))}]"
    return json.dumps(value.value if isinstance(value, StrEnum) else value, ensure_ascii=False)
