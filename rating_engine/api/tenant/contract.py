"""The tenant billing REST API as data: what it takes, what it answers, and the OpenAPI document made of both.

Sources: the tenant billing REST document; where it is silent, docs/tenant-rest.md says what was decided.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from rating_engine.domain.rate_query import TOP_MAX
from rating_engine.domain.tenant import (
    MAX_DESCRIPTION,
    MAX_PREFIX,
    MAX_RATE_AMOUNT,
    CallRateType,
    ChargedAccount,
    Charging,
)

SCOPES: Final = ("tenant_billing:read", "tenant_billing:write", "call_rates:read", "call_rates:write")
# Of keys that are tokens here: those, and what is asked beyond the document.
TOKEN_SCOPES: Final = (
    *SCOPES,
    *(
        f"{noun}:{what}"
        for noun in ("accounts", "calls", "invoices", "money", "webhooks")
        for what in ("read", "write")
    ),
)
MAX_BODY: Final = 65_536  # bytes; the largest rate is below 10 kB
INT32_MAX: Final = 2**31 - 1


class Kind(StrEnum):
    """What a field holds, by its word in JSON Schema."""

    TEXT = "string"
    WHOLE = "integer"
    AMOUNT = "number"
    FLAG = "boolean"


@dataclass(frozen=True, slots=True)
class Field:
    """One field. `least`, `most`: of a number, or characters of a text. `above`: a number is larger. `pattern`: of a
    text. `choices`: its only values.

    `required`: in a body that creates. `default`: where such a body lacks it.
    """

    name: str
    kind: Kind
    about: str
    least: int | None = None
    most: int | float | None = None
    choices: type[StrEnum] | None = None
    required: bool = False
    default: object = None
    pattern: str | None = None
    above: int | None = None


def _seconds(name: str, about: str, least: int = 0) -> Field:
    return Field(name, Kind.WHOLE, about, least=least, most=INT32_MAX, required=True)


def _amount(name: str, about: str) -> Field:
    most = float(MAX_RATE_AMOUNT)
    return Field(name, Kind.AMOUNT, f"{about} Precision is five digits.", least=0, most=most, required=True)


RATE: Final = (
    Field(
        "prefix",
        Kind.TEXT,
        "The call prefix of the rating: digits, with the country code first.",
        1,
        MAX_PREFIX,
        required=True,
        pattern=r"^\+?[0-9]+$",
    ),
    Field("type", Kind.TEXT, "The type of the rating.", choices=CallRateType, default=CallRateType.LOCAL),
    _seconds("free_seconds", "Free seconds of the rating."),
    _seconds("grace_period", "Grace period of the rating: a call this short is free."),
    _seconds("interval_1", "The first interval of the rating.", 1),
    _seconds("interval_n", "The subsequent interval of the rating after the first one.", 1),
    _amount("connect_fee", "Connect fee of the rating."),
    _amount("postcall_surcharge", "Postcall surcharge of the rating."),
    _amount("price_1", "The price of the first interval."),
    _amount("price_n", "The price of the subsequent interval after the first one."),
    Field("description", Kind.TEXT, "The description text for this rule.", most=MAX_DESCRIPTION),
)
BILLING: Final = (
    Field("enabled", Kind.FLAG, "Enable call billing or not.", default=False),
    Field(
        "account",
        Kind.TEXT,
        "TENANT: use the company account for billing. USER: use the private user account for billing.",
        choices=ChargedAccount,
        default=ChargedAccount.TENANT,
    ),
    Field(
        "type",
        Kind.TEXT,
        "OFFLINE: use offline charging. ONLINE: use online charging.",
        choices=Charging,
        default=Charging.OFFLINE,
    ),
)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a query, or of a path. `format`: of JSON Schema; `choices`: its only values, if any."""

    name: str
    kind: Kind
    about: str
    least: int | None = None
    most: int | None = None
    default: int | None = None
    place: str = "query"
    required: bool = False
    format: str | None = None
    choices: tuple[str, ...] = ()


LIST: Final = (
    Parameter("filter", Kind.TEXT, "A subset: field eq|ne|gt|ge|lt|le value, contains, startswith, and, or."),
    Parameter("search", Kind.TEXT, "Only rates with this in prefix or description, without regard to case."),
    Parameter("orderby", Kind.TEXT, "field [asc|desc], several by commas; ascending, and by prefix, by default."),
    Parameter("skip", Kind.WHOLE, "Items to skip.", 0, INT32_MAX, 0),
    Parameter("top", Kind.WHOLE, "Page size.", 1, TOP_MAX, TOP_MAX),
)
ID: Final = Parameter("id", Kind.TEXT, "The unique ID of the call rate.", place="path")


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation. `body`, `answer`: names of schemas; `media`: of the answer; None: it has no content.

    `names_others`: parameters of its query name something that may not be there.
    """

    name: str
    method: str
    path: str
    title: str
    status: int
    parameters: tuple[Parameter, ...] = ()
    body: str | None = None
    answer: str | None = None
    media: str | None = None
    names_others: bool = False


JSON: Final = "application/json"
PROBLEM: Final = "application/problem+json"  # RFC 9457; what it adds there is `error`
FILE: Final = "application/octet-stream"
PDF: Final = "application/pdf"
OPERATIONS: Final = (
    Operation("show_billing", "GET", "/tenant/billing", "Retrieve tenant billing configurations.", 200,
              answer="TenantBilling", media=JSON),
    Operation("change_billing", "POST", "/tenant/billing", "Update tenant billing configurations.", 200,
              body="TenantBilling"),
    Operation("list_rates", "GET", "/call_rates", "List call rates", 200, LIST, answer="CallRateList", media=JSON),
    Operation("create_rate", "POST", "/call_rates", "Create a call rate", 200, body="CallRateCreate",
              answer="CallRateId", media=JSON),
    Operation("export_rates", "GET", "/call_rates/export", "Export call rates", 200, answer="File",
              media=FILE),
    Operation("show_rate", "GET", "/call_rates/{id}", "Retrieve a call rate", 200, (ID,), answer="CallRate",
              media=JSON),
    Operation("change_rate", "POST", "/call_rates/{id}", "Update a call rate", 200, (ID,), body="CallRateUpdate"),
    Operation("destroy_rate", "POST", "/call_rates/{id}/destroy", "Delete a call rate", 204, (ID,)),
)  # fmt: skip


def schema_of(field: Field | Parameter, *, default: bool = True) -> dict[str, Any]:
    """JSON Schema of one field."""
    schema: dict[str, Any] = {"type": field.kind.value}
    if field.kind is Kind.WHOLE:
        schema["format"] = "int32"
    if field.kind is Kind.AMOUNT:
        schema["format"] = "double"
    least, most = ("minLength", "maxLength") if field.kind is Kind.TEXT else ("minimum", "maximum")
    limits: list[tuple[str, object]] = [(least, field.least), (most, field.most)]
    if isinstance(field, Field):
        limits += [("pattern", field.pattern), ("exclusiveMinimum", field.above)]
    else:
        limits += [("format", field.format)]
    schema |= {name: value for name, value in limits if value is not None}
    if field.choices:
        schema["enum"] = [str(choice) for choice in field.choices]
    if default and field.default is not None:
        schema["default"] = field.default
    if isinstance(field, Field):
        schema["description"] = field.about
    return schema


def object_of(fields: tuple[Field, ...], *, default: bool = True, required: bool = False) -> dict[str, Any]:
    """JSON Schema of a body, or of an answer of the same fields."""
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {field.name: schema_of(field, default=default) for field in fields},
    }
    return {**schema, "required": [field.name for field in fields if field.required]} if required else schema


def _refer(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


_ID_FIELD: Final = Field("id", Kind.TEXT, "The unique ID of the call rate.")
SCHEMAS: Final[Mapping[str, dict[str, Any]]] = {
    "CallRate": object_of((_ID_FIELD, *RATE)),
    "CallRateCreate": object_of(RATE, required=True),
    "CallRateUpdate": object_of(RATE, default=False),
    "CallRateId": object_of((_ID_FIELD,)),
    "CallRateList": {
        "type": "object",
        "properties": {
            "count": {"type": "integer", "description": "All that match, not the page."},
            "items": {"type": "array", "items": _refer("CallRate")},
        },
    },
    "TenantBilling": object_of(BILLING),
    "File": {"type": "string", "format": "binary"},
    "Problem": {
        "type": "object",
        "required": ["type", "title", "status", "detail", "error"],
        "properties": {
            "type": {"type": "string", "description": "about:blank: the status says what kind it is."},
            "title": {"type": "string", "description": "The status in words."},
            "status": {"type": "integer"},
            "detail": {"type": "string", "description": "The message once more, with the field before it."},
            "error": {
                "type": "object",
                "required": ["code", "message"],
                "properties": {
                    "code": {"type": "string"},
                    "field": {"type": "string", "description": "What of the request was wrong."},
                    "message": {"type": "string"},
                },
            },
        },
    },
}
# What each operation may answer besides, and when.
_ALWAYS: Final = {
    401: "No token, or a wrong one.",
    403: "The token does not allow it.",
    429: "More requests than may be; Retry-After says in how many seconds to ask again.",
    503: "Ask again in a while.",
}
_WITH_BODY: Final = {
    409: "Another rate has the prefix, or what there is does not allow it.",
    413: f"The body has more than {MAX_BODY} bytes.",
    415: "The body is not application/json in UTF-8.",
}


def openapi_of(operation: Operation) -> dict[str, Any]:
    """What an OpenAPI document says of one operation."""
    answer: dict[str, Any] = {"description": "OK" if operation.status == 200 else "No Content"}
    if operation.media is not None and operation.answer is not None:
        answer["content"] = {operation.media: {"schema": _refer(operation.answer)}}
    said: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.title,
        "security": [{"bearerAuth": []}],
        "responses": {str(operation.status): answer, **_errors_of(operation)},
    }
    if operation.parameters:
        said["parameters"] = [_parameter(one) for one in operation.parameters]
    if operation.body is not None:
        said["requestBody"] = {"required": True, "content": {JSON: {"schema": _refer(operation.body)}}}
    return said


def _errors_of(operation: Operation) -> dict[str, Any]:
    statuses = dict(_ALWAYS)
    places = {parameter.place for parameter in operation.parameters}
    if operation.body is not None or "query" in places:
        statuses[400] = "A field or parameter is wrong; it is named."
    if "path" in places or operation.names_others:
        statuses[404] = "There is nothing of that name."
    if operation.body is not None:
        statuses |= _WITH_BODY
    form = {PROBLEM: {"schema": _refer("Problem")}}
    return {str(status): {"description": about, "content": form} for status, about in sorted(statuses.items())}


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": parameter.place,
        "required": parameter.required or parameter.place == "path",
        "description": parameter.about,
        "schema": schema_of(parameter),
    }


def document(operations: Sequence[Operation], schemas: Mapping[str, Any]) -> dict[str, Any]:
    """The OpenAPI document of these operations."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(f"/api{operation.path}", {})[operation.method.lower()] = openapi_of(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Tenant billing REST", "version": "1"},
        "paths": paths,
        "components": {
            "schemas": dict(schemas),
            "securitySchemes": {"bearerAuth": {"type": "http", "scheme": "bearer"}},
        },
    }
