"""Section Finances and statistics: what users ask to pay, invoices and their PDF, and what handlers say of payments."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

import orjson

from rating_engine.api.narayana.answer import date
from rating_engine.api.narayana.arguments import moment_of
from rating_engine.api.narayana.asked import Answer, Asked, Handler
from rating_engine.api.narayana.errors import Code, Failure
from rating_engine.api.narayana.methods.finances import recommended_payment
from rating_engine.api.narayana.pages import whole_list
from rating_engine.api.narayana.shown_money import ShownMoney, shown_money
from rating_engine.domain.api_key import KeyKind
from rating_engine.domain.checks import check_amount
from rating_engine.domain.invoice import Invoice, InvoiceFilter, InvoiceKind, InvoiceLine, InvoiceState, LineKind
from rating_engine.domain.papers import written
from rating_engine.domain.payment import BANK
from rating_engine.rating.money import AMOUNT_DECIMALS, EXACT, InvalidAmount, format_amount, parse_amount, quantise

STATUS: Final = {InvoiceState.OPEN: 0, InvoiceState.PAID: 1, InvoiceState.CANCELLED: 2}
PARTS: Final = 4  # of a service: its name, units, the unit's name, the price of one


async def get_payment_methods(asked: Asked) -> Answer:
    """Titles by handler: of verified users, of all; and which is proposed."""
    methods = await asked.use.payments.methods()
    return {"private": methods.private, "public": methods.public, "default": methods.default}


async def create_invoice(asked: Asked) -> Answer:
    """How so much is paid: the page of the handler with what it is to be told, or words."""
    values = asked.values
    amount = values.number("payment_amount")
    recommended = await recommended_payment(asked) if amount is None else Decimal(0)
    payment, form = await asked.use.payments.request(
        asked.who, values.needed_text("payment_method"), values.needed_text("payment_type"), amount,
        recommended=recommended,
    )  # fmt: skip
    return {
        "comission": form.commission,
        "transaction": payment.invoice_id,
        "msg": form.message,
        "method": form.method,
        "url": form.url,
        **form.fields,
    }


async def finish_invoice(asked: Asked) -> Answer:
    """What a handler says of a payment; it is answered as it wants to be."""
    if asked.key.kind is not KeyKind.SERVER and "finishInvoice" not in asked.key.methods:
        raise Failure(Code.E_INSUFFICIENT_ACCESS, "the key does not name finishInvoice")
    handler = asked.given.get("payment_method") or asked.given.get("handler")
    if not handler:
        raise Failure(Code.E_MISSING_ARGUMENT, "payment_method: which handler it is")
    return await asked.use.payments.tell(handler, asked.given)


async def generate_invoice(asked: Asked) -> Answer:
    """A pro forma in the form of an invoice of who asks, with the lines that it gives."""
    values = asked.values
    issued, deadline = values.text("date"), values.text("deadline")
    return await asked.use.invoices.draft_pdf(
        values.needed_whole("invoice"),
        _services(values.needed_text("services")),
        issued_at=moment_of(issued.strip(), "date") if issued else None,
        valid_to=moment_of(deadline.strip(), "deadline") if deadline else None,
    )


async def monthly_invoice(asked: Asked) -> Answer:
    """The invoice of a month that has ended, made now if it was not yet; and mailed where there is an address."""
    invoice = await asked.use.invoices.monthly(asked.who, asked.values.whole("month"))
    if asked.values.flag("email"):
        await asked.use.invoices.mail(invoice.invoice_id)
    return await asked.use.invoices.pdf(invoice.invoice_id)


async def get_invoices(asked: Asked) -> Answer:
    """One's own, or those of all below too, the newest first."""
    values = asked.values
    state = {None: None, True: InvoiceState.PAID, False: InvoiceState.OPEN}[values.flag("done")]
    wanted = InvoiceFilter(state=state, own=values.flag("own") is not False)
    found = await whole_list(lambda cursor: asked.use.invoices.page(wanted, cursor))
    if values.flag("bank"):
        found = [invoice for invoice in found if invoice.payment_kind == BANK]
    shown, offset = await shown_money(asked), (await asked.user()).utc_offset
    return [_shown(invoice, shown, offset) for invoice in found]


async def get_invoice_info(asked: Asked) -> Answer:
    """One of them."""
    invoice = await asked.use.invoices.show(asked.values.needed_whole("invoice"))
    return _shown(invoice, await shown_money(asked), (await asked.user()).utc_offset)


async def view_invoice(asked: Asked) -> Answer:
    """One as a PDF."""
    return await asked.use.invoices.pdf(asked.values.needed_whole("invoice"))


async def delete_invoice(asked: Asked) -> Answer:
    """Cancel one that nobody paid; its number stays taken."""
    await asked.use.invoices.cancel(asked.values.needed_whole("invoice"))
    return True


HANDLERS: Final[Mapping[str, Handler]] = {
    "getPaymentMethods": get_payment_methods,
    "createInvoice": create_invoice,
    "finishInvoice": finish_invoice,
    "generateInvoice": generate_invoice,
    "monthlyInvoice": monthly_invoice,
    "getInvoices": get_invoices,
    "getInvoiceInfo": get_invoice_info,
    "viewInvoice": view_invoice,
    "deleteInvoice": delete_invoice,
}


def _shown(invoice: Invoice, shown: ShownMoney, offset: int) -> dict[str, Any]:
    """`comission` and `vat` in percent."""
    told = {"number": invoice.label, "payment": invoice.payment_id, "due": format_amount(invoice.due)}
    return {
        "id": invoice.invoice_id,
        "owner": invoice.login,
        "comission": invoice.commission_percent,
        "vat": invoice.tax_percent,
        "amount": shown.in_system(invoice.total, invoice.currency),
        "displayamount": shown.displayed(invoice.total, invoice.currency),
        "status": STATUS[invoice.state],
        "msg": invoice.how_to_pay if invoice.kind is InvoiceKind.REQUEST else invoice.label,
        "method": invoice.payment_kind,
        "handler": invoice.method,
        "billing_data": ", ".join(filter(None, (invoice.billed.name, *invoice.billed.address.splitlines()))),
        "txdata": orjson.dumps(told).decode(),
        "date": date(invoice.issued_at),
        "clientdate": date(invoice.issued_at, offset),
        "validthru": date(invoice.valid_to),
        "clientvalidthru": date(invoice.valid_to, offset),
    }


def _services(text: str) -> list[InvoiceLine]:
    """Service@units@unit@price of one, with commas between. Raises Failure (E_DATA_ABORT)."""
    lines = []
    for place, service in enumerate(text.split(","), start=1):
        parts = [part.strip() for part in service.split("@")]
        if len(parts) != PARTS or not parts[0]:
            raise Failure(Code.E_DATA_ABORT, f"services: the {place}. is not Service@Units@Unit name@Unit cost")
        name, units, unit, price = parts
        try:
            count, cost = parse_amount(units, "services"), parse_amount(price, "services")
            amount = quantise(EXACT.multiply(count, cost), AMOUNT_DECIMALS)
        except InvalidAmount as error:
            raise Failure(Code.E_DATA_ABORT, str(error)) from None
        check_amount(amount, "services")
        said = f"{name}: {format_amount(count)} {unit} × {written(cost)}"
        whole = int(count) if count == count.to_integral_value() else 1
        lines.append(InvoiceLine(LineKind.FEES, said, whole, 0, amount))
    return lines
