"""`rating-engine invoice`: invoices listed, shown, made of a month, written as PDF, mailed, cancelled."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from rating_engine.cli import words
from rating_engine.cli.common import ConfigOption, JsonOption, out, print_json, reported_errors, say, with_services
from rating_engine.cli.lists import AfterOption, LimitOption, listed, next_json, say_next
from rating_engine.domain.errors import InvalidRequest
from rating_engine.domain.invoice import Invoice, InvoiceFilter, InvoiceKind, InvoiceState
from rating_engine.domain.papers import written
from rating_engine.services.catalogue import UseCases

invoices_app = typer.Typer(
    no_args_is_help=True, help="Invoices: months of accounts, and what users have asked to pay; and their PDF."
)

Number = Annotated[int, typer.Argument(metavar="INVOICE", help="Its number in `invoice list`.")]


@invoices_app.command("list", epilog="Example: rating-engine invoice list --user anna --from 2026-01-01 --json")
def list_(
    user: Annotated[str | None, typer.Option(metavar="USER", help="Of a user and all below it.")] = None,
    kind: Annotated[str | None, typer.Option(metavar="KIND", help="monthly or request.")] = None,
    state: Annotated[str | None, typer.Option(metavar="STATE", help="open, paid or cancelled.")] = None,
    since: Annotated[str | None, typer.Option("--from", metavar="MOMENT", help="Issued from then on.")] = None,
    until: Annotated[str | None, typer.Option("--to", metavar="MOMENT", help="Issued before.")] = None,
    limit: LimitOption = None,
    after: AfterOption = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Invoices, the newest first; cancelled ones where they are asked for."""
    with reported_errors():
        wanted = InvoiceFilter(
            user=user,
            since=None if since is None else words.moment(since, "since"),
            until=None if until is None else words.moment(until, "until"),
            kind=None if kind is None else words.choice(InvoiceKind, kind, "kind"),
            state=None if state is None else words.choice(InvoiceState, state, "state"),
        )
    page = with_services(
        config, lambda services: listed(lambda cursor: services.invoices.page(wanted, cursor), limit, after)
    )
    if json:
        print_json({"invoices": [invoice_json(invoice) for invoice in page.items], **next_json(page)})
        return
    table = Table("invoice", "number", "user", "period", "total", "due", "state")
    for invoice in page.items:
        table.add_row(
            str(invoice.invoice_id), invoice.label, invoice.login, _period(invoice),
            f"{written(invoice.total)} {invoice.currency}", written(invoice.due), invoice.state,
        )  # fmt: skip
    out.print(table)
    say_next(page)


@invoices_app.command(epilog="Example: rating-engine invoice show 12 --json")
def show(invoice: Number, json: JsonOption = False, config: ConfigOption = None) -> None:
    """One with its lines."""
    print_invoice(with_services(config, lambda services: services.invoices.show(invoice)), as_json=json)


@invoices_app.command(epilog="Example: rating-engine invoice make 1001 --month 2026-10")
def make(
    login: Annotated[str, typer.Argument(metavar="LOGIN", help="A login of the account.")],
    month: Annotated[str | None, typer.Option(metavar="YYYY-MM", help="That has ended; the last one if not given.")] = (
        None
    ),
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Make the invoice of a month of an account, or show the one that there is.

    The engine makes those of users' accounts by itself, hours after a month has ended.
    """
    with reported_errors():
        year, number = _month(month)
    made = with_services(config, lambda services: services.invoices.monthly_of(login, number, year))
    print_invoice(made, as_json=json)


@invoices_app.command(epilog="Example: rating-engine invoice pdf 12 october.pdf")
def pdf(
    invoice: Number,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where it is written; one that is there is replaced.")],
    config: ConfigOption = None,
) -> None:
    """Write one as a PDF."""
    paper = with_services(config, lambda services: services.invoices.pdf(invoice))
    with reported_errors():
        try:
            file.write_bytes(paper)
        except OSError as error:
            raise InvalidRequest("file", f"{file} cannot be written: {error.strerror}") from None
    say(f"{file}: {len(paper)} bytes")


@invoices_app.command(epilog="Example: rating-engine invoice mail 12")
def mail(invoice: Number, config: ConfigOption = None) -> None:
    """Queue one for who is billed, as a PDF."""
    address = with_services(config, lambda services: services.invoices.mail(invoice))
    say(f"queued for {address}" if address else "who is billed has no address: nothing was queued")


@invoices_app.command(epilog="Example: rating-engine invoice paid 12")
def paid(invoice: Number, json: JsonOption = False, config: ConfigOption = None) -> None:
    """Note that one was paid by money that is not kept here; no balance changes.

    What is paid into the account is a payment: rating-engine payment add USER AMOUNT --invoice INVOICE --confirm
    """
    print_invoice(with_services(config, lambda services: services.invoices.set_paid(invoice)), as_json=json)


@invoices_app.command(epilog="Example: rating-engine invoice cancel 12")
def cancel(invoice: Number, config: ConfigOption = None) -> None:
    """Cancel one that nobody paid; it keeps its number, and another one may be made of its month."""
    with_services(config, lambda services: services.invoices.cancel(invoice))
    say(f"invoice {invoice} is cancelled")


@invoices_app.command(epilog="Example: rating-engine invoice statement --from 2026-10-01 --to 2026-11-01")
def statement(
    since: Annotated[str, typer.Option("--from", metavar="MOMENT", help="From then on.")],
    until: Annotated[str, typer.Option("--to", metavar="MOMENT", help="Before then.")],
    user: Annotated[str | None, typer.Option(metavar="USER", help="Of a user and all below it.")] = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Count invoices, credit notes and payments of a time, paid and unpaid, in the system's currency."""
    with reported_errors():
        begin, end = words.moment(since, "since"), words.moment(until, "until")

    async def ask(services: UseCases) -> tuple[list[Any], str]:
        return await services.statements.of(begin, end, user), await services.statements.in_which()

    lines, currency = with_services(config, ask)
    if json:
        print_json({"currency": currency, "lines": [
            {"kind": line.kind, "paid": line.paid, "count": line.count, "price": written(line.price),
             "price_with_tax": written(line.price_with_tax)} for line in lines
        ]})  # fmt: skip
        return
    table = Table("", "", "number", f"net, {currency}", "with tax")
    for line in lines:
        table.add_row(
            line.kind.replace("_", " "), "paid" if line.paid else "unpaid", str(line.count), written(line.price),
            written(line.price_with_tax),
        )  # fmt: skip
    out.print(table)


def print_invoice(invoice: Invoice, *, as_json: bool) -> None:
    """One of them."""
    if as_json:
        print_json(invoice_json(invoice))
        return
    money = f"{written(invoice.total)} {invoice.currency}"
    say(f"invoice {invoice.invoice_id}, {invoice.label} of {invoice.login}: {money}, {invoice.state}")
    table = Table("what", "", "number", "seconds", "amount")
    for line in invoice.lines:
        table.add_row(line.kind, line.name, str(line.quantity), str(line.seconds), written(line.amount))
    table.add_row("net", "", "", "", written(invoice.net))
    for tax in invoice.tax_lines:
        table.add_row(tax.name or "tax", f"{tax.percent.normalize():f} %", "", "", written(tax.amount))
    table.add_row("due", "", "", "", written(invoice.due))
    if invoice.opening is not None and invoice.closing is not None:
        table.add_row("balance", "before", "", "", written(invoice.opening))
        table.add_row("balance", "after", "", "", written(invoice.closing))
    out.print(table)


def invoice_json(invoice: Invoice) -> dict[str, Any]:
    """As machines read it; lines where they were asked for."""
    return {
        "invoice": invoice.invoice_id, "number": invoice.label, "kind": invoice.kind.value, "user": invoice.login,
        "account": invoice.account_id, "state": invoice.state.value, "issued_at": invoice.issued_at.isoformat(),
        "valid_to": invoice.valid_to.isoformat(), "period": _period(invoice), "currency": invoice.currency,
        "net": written(invoice.net), "tax_percent": f"{invoice.tax_percent.normalize():f}",
        "tax": written(invoice.tax),
        "taxes": [
            {"name": tax.name, "percent": f"{tax.percent.normalize():f}", "amount": written(tax.amount)}
            for tax in invoice.taxes
        ],
        "commission": written(invoice.commission), "total": written(invoice.total),
        "due": written(invoice.due), "payment": invoice.payment_id,
        "opening": None if invoice.opening is None else written(invoice.opening),
        "closing": None if invoice.closing is None else written(invoice.closing),
        "lines": [
            {"kind": line.kind.value, "name": line.name, "quantity": line.quantity, "seconds": line.seconds,
             "amount": written(line.amount)} for line in invoice.lines
        ],
    }  # fmt: skip


def _period(invoice: Invoice) -> str:
    return "" if invoice.period_start is None else f"{invoice.period_start:%Y-%m}"


def _month(text: str | None) -> tuple[int | None, int | None]:
    if text is None:
        return None, None
    year, _, month = text.partition("-")
    return words.whole(year, "month"), words.whole(month, "month")
