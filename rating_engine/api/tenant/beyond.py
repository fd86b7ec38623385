"""What a tenant can ask besides its document, in the same style: its accounts and lines, calls that last and calls
that are over; money moved between them, and invoices.

Law: a tenant sees what its calls cost it, and never what they cost us: no carrier, no margin.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from rating_engine.api.tenant import webhooks
from rating_engine.api.tenant.answers import cell, csv_rows, file_headers, json_answer
from rating_engine.api.tenant.contract import (
    FILE,
    JSON,
    OPERATIONS,
    PDF,
    SCHEMAS,
    Field,
    Kind,
    Operation,
    Parameter,
    document,
    object_of,
)
from rating_engine.api.tenant.reading import (
    call_id,
    check_required,
    id_of,
    read_call_id,
    read_fields,
    read_id,
    read_instant,
    read_parameters,
    renamed,
)
from rating_engine.api.tenant.webhooks import PAGE
from rating_engine.domain.cdr import Cdr, CdrFilter
from rating_engine.domain.errors import InvalidRequest
from rating_engine.domain.invoice import InvoiceFilter
from rating_engine.domain.live_call import LiveCallFilter
from rating_engine.domain.page import MAX_LIMIT, Cursor, Page
from rating_engine.services.catalogue import UseCases

MAX_QUOTED: Final = 80  # characters, as of a number that is dialled
MAX_KEY: Final = 150  # characters of an idempotency key
MAX_COMMENT: Final = 200
NO_INVOICE: Final = 0  # the number of none
DEFAULT_RANGE: Final = timedelta(days=1)  # of calls, where no begin is given


@dataclass(frozen=True, slots=True)
class Shown:
    """One field of an answer. `of`: the attribute it is of, where that has another name. `format`: of JSON Schema.
    `as_id`: it is a call's key, shown as an id of paths."""

    name: str
    kind: Kind = Kind.TEXT
    nullable: bool = False
    of: str = ""
    format: str = ""
    as_id: bool = False

    def schema(self) -> dict[str, Any]:
        """Its JSON Schema."""
        kind: str | list[str] = [self.kind.value, "null"] if self.nullable else self.kind.value
        return {"type": kind, **({"format": self.format} if self.format else {})}

    def value(self, item: object) -> Any:
        """The value of an item."""
        value = attrgetter(self.of or self.name)(item)
        return call_id(value) if self.as_id else value


def _amount(name: str, *, nullable: bool = False) -> Shown:
    return Shown(name, Kind.AMOUNT, nullable)


def _whole(name: str, *, nullable: bool = False) -> Shown:
    return Shown(name, Kind.WHOLE, nullable)


def _instant(name: str, *, nullable: bool = False) -> Shown:
    return Shown(name, Kind.TEXT, nullable, format="date-time")


_MONEY: Final = (
    Shown("currency"), _amount("balance"), _amount("reserved"), _amount("overdraft", nullable=True), Shown("kind"),
    Shown("status"), _whole("open_calls"), _whole("max_calls", nullable=True),
    _instant("closed_at", nullable=True), Shown("owner"),
)  # fmt: skip
ACCOUNT_ITEM: Final = (Shown("login"), _whole("logins"), *_MONEY)
ACCOUNT: Final = (Shown("login"), Shown("tariff"), Shown("callerid"), _amount("available", nullable=True), *_MONEY)
LINE: Final = (
    Shown("login"), Shown("tariff"), Shown("callerid"), _whole("max_calls", nullable=True),
    _whole("max_seconds", nullable=True), Shown("status"), Shown("account_status"),
)  # fmt: skip
_CALL: Final = (
    Shown("exchange", of="call_key.exchange"), Shown("uniqueid", of="call_key.uniqueid"),
    Shown("attempt", Kind.WHOLE, of="call_key.attempt"), Shown("login"), Shown("callerid"), Shown("destination"),
    Shown("direction"),
)  # fmt: skip
LIVE: Final = (
    Shown("id", of="call_key", as_id=True), *_CALL, _amount("held"), _amount("granted"), Shown("currency"),
    _instant("prepared_at"), _instant("answered_at", nullable=True), _whole("seconds_left", nullable=True),
)  # fmt: skip
CALL: Final = (
    *_CALL, Shown("prefix"), _whole("seconds"), _whole("billed_seconds"), _amount("cost"), Shown("currency"),
    Shown("state"), Shown("disposition"), _whole("cause"), _instant("prepared_at"),
    _instant("answered_at", nullable=True), _instant("ended_at"), Shown("from_originate"), Shown("source_address"),
    Shown("originated_by"), Shown("is_did"),
)  # fmt: skip

LOGIN: Final = Parameter("login", Kind.TEXT, "Of this line alone.")
CALLS: Final = (
    Parameter(
        "since", Kind.TEXT, "Ended at this instant or later; a day before `until` if not given.", format="date-time"
    ),
    Parameter("until", Kind.TEXT, "Ended before this instant; now if not given.", format="date-time"),
    LOGIN,
    Parameter("direction", Kind.TEXT, "LOCAL, NATIONAL, INTERNATIONAL or MOBILE."),
    Parameter("prefix", Kind.TEXT, "Of the destination."),
)
QUOTE: Final = (
    Shown("login"), Shown("number"), Shown("destination"), Shown("direction"), Shown("prefix"), Shown("tariff"),
    Shown("currency"), _amount("first_minute", nullable=True), _whole("max_seconds"), Shown("reason"),
)  # fmt: skip
QUOTE_RATE: Final = (
    _amount("connect_fee"), _amount("price_1"), _amount("price_n"), Shown("price_unit"), _whole("interval_1"),
    _whole("interval_n"), _whole("free_seconds"), _whole("grace_period"), _amount("postcall_surcharge"),
)  # fmt: skip
QUOTED: Final = (
    Parameter("login", Kind.TEXT, "The login of the line that would call.", 1, MAX_QUOTED, required=True),
    Parameter("number", Kind.TEXT, "As it would be dialled.", 1, MAX_QUOTED, required=True),
)
CALL_ID: Final = Parameter("id", Kind.TEXT, "The id of a call that lasts.", place="path")
HUNG_UP: Final = (Shown("outcome"),)
INVOICE_ITEM: Final = (
    Shown("id", of="invoice_id"), Shown("number", of="label"), Shown("kind"), Shown("state"),
    Shown("owner", of="login"), _instant("issued_at"), _instant("valid_to"), Shown("currency"), _amount("net"),
    _amount("tax"), _amount("total"), _amount("due"),
)  # fmt: skip
INVOICE_ID: Final = Parameter("id", Kind.TEXT, "The id of an invoice.", place="path")
TOP_UP: Final = (
    Field("amount", Kind.AMOUNT, "Above zero, in the currency of the tenant.", above=0, required=True),
    Field("idempotency_key", Kind.TEXT, "Of the caller's making: with one the money is moved once.", 1, MAX_KEY,
          required=True),
    Field("comment", Kind.TEXT, "Stands in both statements.", most=MAX_COMMENT),
)  # fmt: skip
TOPPED_UP: Final = (
    _whole("transfer"), _amount("amount"), Shown("currency"), Shown("state"), Shown("repeated", Kind.FLAG),
)  # fmt: skip
_ONE: Final = Parameter("login", Kind.TEXT, "The login of a line.", place="path")
BEYOND: Final = (
    Operation("list_accounts", "GET", "/accounts", "List accounts", 200, PAGE, answer="AccountList", media=JSON),
    Operation("show_account", "GET", "/accounts/{login}", "Show the account that a line is charged on", 200, (_ONE,),
              answer="Account", media=JSON),
    Operation("top_up", "POST", "/accounts/{login}/top-ups",
              "Move money of the company's account to the account that a line is charged on", 200, (_ONE,),
              body="TopUp", answer="ToppedUp", media=JSON),
    Operation("list_lines", "GET", "/subscribers", "List lines", 200, PAGE, answer="SubscriberList", media=JSON),
    Operation("list_live", "GET", "/calls", "List calls that last", 200, (LOGIN, *PAGE), answer="CallList", media=JSON,
              names_others=True),
    Operation("hang_up_call", "POST", "/calls/{id}/hangup", "End a call that lasts", 200, (CALL_ID,),
              answer="HungUp", media=JSON),
    Operation("quote_call", "GET", "/quote", "What a call of a line would cost now, and how long it would last", 200,
              QUOTED, answer="Quote", media=JSON, names_others=True),
    Operation("list_calls", "GET", "/cdrs", "List calls that are over, the latest first", 200, (*CALLS, *PAGE),
              answer="CdrList", media=JSON, names_others=True),
    Operation("list_invoices", "GET", "/invoices", "List invoices, the newest first", 200, PAGE, answer="InvoiceList",
              media=JSON),
    Operation("print_invoice", "GET", "/invoices/{id}/pdf", "An invoice as PDF", 200, (INVOICE_ID,), answer="File",
              media=PDF),
    Operation("export_calls", "GET", "/cdrs/export", "Calls that are over as CSV", 200, CALLS, answer="File",
              media=FILE, names_others=True),
)  # fmt: skip


def _schema(fields: tuple[Shown, ...]) -> dict[str, Any]:
    return {"type": "object", "properties": {each.name: each.schema() for each in fields}}


def _nested(fields: tuple[Shown, ...], name: str, inner: tuple[Shown, ...]) -> dict[str, Any]:
    """An object with another one in it, which may be null."""
    whole = _schema(fields)
    whole["properties"][name] = {**_schema(inner), "type": ["object", "null"]}
    return whole


def _list(fields: tuple[Shown, ...]) -> dict[str, Any]:
    properties = {"items": {"type": "array", "items": _schema(fields)}, "next": {"type": ["string", "null"]}}
    return {"type": "object", "required": ["items", "next"], "properties": properties}


ALL_SCHEMAS: Final[Mapping[str, Any]] = {
    **SCHEMAS,
    "AccountList": _list(ACCOUNT_ITEM),
    "Account": _schema(ACCOUNT),
    "SubscriberList": _list(LINE),
    "CallList": _list(LIVE),
    "CdrList": _list(CALL),
    "HungUp": _schema(HUNG_UP),
    "InvoiceList": _list(INVOICE_ITEM),
    **webhooks.SCHEMAS,
    **webhooks.SCHEMAS_OF_DELIVERIES,
    "TopUp": object_of(TOP_UP, required=True),
    "ToppedUp": _schema(TOPPED_UP),
    "Quote": _nested(QUOTE, "rate", QUOTE_RATE),
}
ALL_OPERATIONS: Final = (*OPERATIONS, *BEYOND, *webhooks.OPERATIONS)


def whole_document() -> dict[str, Any]:
    """The OpenAPI document of all that a tenant can ask."""
    return document(ALL_OPERATIONS, ALL_SCHEMAS)


async def list_accounts(use: UseCases, request: Request) -> Response:
    """The tenant's accounts, the oldest first."""
    return _page(await use.accounts.page(_cursor(request)), ACCOUNT_ITEM)


async def show_account(use: UseCases, request: Request) -> Response:
    """The account that a line is charged on now."""
    state = await use.accounts.show(request.path_params["login"])
    return json_answer({each.name: each.value(state) for each in ACCOUNT})


async def top_up(use: UseCases, request: Request) -> Response:
    """From the company's account, once by a key: a tenant makes no money."""
    values = await read_fields(request, TOP_UP)
    check_required(TOP_UP, values)
    with renamed(reference="idempotency_key", destination="login"):
        done = await use.transfers.top_up(
            request.state.principal.realm, request.path_params["login"], values["amount"],
            comment=values.get("comment", ""), reference=f"top-up:{values['idempotency_key']}",
        )  # fmt: skip
    return json_answer(
        {"transfer": done.transfer_id, "amount": done.amount, "currency": done.currency, "state": done.state.value,
         "repeated": done.repeated}
    )  # fmt: skip


async def list_lines(use: UseCases, request: Request) -> Response:
    """The tenant's lines by login."""
    return _page(await use.accounts.subscribers(_cursor(request)), LINE)


async def list_live(use: UseCases, request: Request) -> Response:
    """Calls of the tenant that last, the longest open first."""
    login = read_parameters(request.query_params, (LOGIN,))["login"]
    wanted = LiveCallFilter(login=login or None, owner=request.state.principal.realm)
    return _page(await use.live_calls.page(wanted, _cursor(request)), LIVE)


async def hang_up_call(use: UseCases, request: Request) -> Response:
    """End one, of the tenant's own."""
    outcome = await use.live_calls.hang_up_own(read_call_id(request.path_params["id"]))
    return json_answer({"outcome": outcome.value})


async def quote_call(use: UseCases, request: Request) -> Response:
    """By the engine's own planning."""
    given = read_parameters(request.query_params, QUOTED)
    for name in ("login", "number"):
        if not given[name]:
            raise InvalidRequest(name, "is missing")
        if len(given[name]) > MAX_QUOTED:
            raise InvalidRequest(name, f"is longer than {MAX_QUOTED} characters")
    quoted = await use.line_quotes.quote(given["login"], given["number"])
    rate = None if quoted.rate is None else {each.name: each.value(quoted.rate) for each in QUOTE_RATE}
    return json_answer({each.name: each.value(quoted) for each in QUOTE} | {"rate": rate})


async def list_invoices(use: UseCases, request: Request) -> Response:
    """Invoices of the tenant and of its users."""
    page = await use.invoices.page(InvoiceFilter(), _cursor(request))
    items = [
        {**{each.name: each.value(item) for each in INVOICE_ITEM}, "id": id_of(item.invoice_id)} for item in page.items
    ]
    return json_answer({"items": items, "next": page.next})


async def print_invoice(use: UseCases, request: Request) -> Response:
    """One of them, as it is printed."""
    with renamed(invoice="id"):
        paper = await use.invoices.pdf(read_id(request.path_params["id"]) or NO_INVOICE)
    return Response(paper, media_type=PDF, headers=file_headers("invoice.pdf"))


async def list_calls(use: UseCases, request: Request) -> Response:
    """Calls of the tenant that are over, the latest first."""
    return _page(await use.cdrs.page(_wanted(request), _cursor(request)), CALL)


async def export_calls(use: UseCases, request: Request) -> Response:
    """The same as a file, however many they are: read and sent page by page."""
    wanted = _wanted(request)
    first = await use.cdrs.page(wanted, Cursor(MAX_LIMIT))  # what is wrong is said before the file begins
    return StreamingResponse(_file(use, wanted, first), media_type=FILE, headers=file_headers("cdrs.csv"))


async def _file(use: UseCases, wanted: CdrFilter, page: Page[Cdr]) -> AsyncIterator[bytes]:
    yield csv_rows([[each.name for each in CALL]])
    while True:
        yield csv_rows([cell(each.value(item)) for each in CALL] for item in page.items)
        if page.next is None:
            return
        page = await use.cdrs.page(wanted, Cursor(MAX_LIMIT, page.next))


def _wanted(request: Request) -> CdrFilter:
    given = read_parameters(request.query_params, CALLS)
    until = read_instant(given["until"], "until") if given["until"] else datetime.now(UTC)
    since = read_instant(given["since"], "since") if given["since"] else until - DEFAULT_RANGE
    return CdrFilter(
        since, until,
        login=given["login"] or None,
        direction=given["direction"] or None,
        prefix=given["prefix"] or None,
        owner=request.state.principal.realm,
    )  # fmt: skip


def _cursor(request: Request) -> Cursor:
    given = read_parameters(request.query_params, PAGE)
    return Cursor(given["limit"], given["after"] or None)


def _page(page: Page[Any], fields: tuple[Shown, ...]) -> Response:
    items = [{each.name: each.value(item) for each in fields} for item in page.items]
    return json_answer({"items": items, "next": page.next})
