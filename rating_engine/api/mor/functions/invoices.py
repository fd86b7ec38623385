"""The section Invoices. Its root and its errors are of their own form."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from rating_engine.api.mor.asked import Asked, Handler, stored
from rating_engine.api.mor.errors import Failed
from rating_engine.api.mor.xml import Element, element, listed
from rating_engine.domain.invoice import Invoice, InvoiceFilter, InvoiceState
from rating_engine.domain.page import MAX_LIMIT, Cursor

NONE_FOUND: Final = "no invoices found"
BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)


async def invoices_get(asked: Asked) -> Element:
    """Those of a time: an administrator's all, a reseller's of his users, a user's own."""
    since = asked.moment("from", NONE_FOUND) or BEGINNING
    until = asked.moment("till", NONE_FOUND) or datetime.now(UTC)
    wanted = InvoiceFilter(since=since, until=until)
    found = (await asked.use.invoices.page(wanted, Cursor(MAX_LIMIT), lines=True)).items
    if not found:
        raise Failed(NONE_FOUND)
    span = {"from": f"{since:%Y-%m-%d}", "till": f"{until:%Y-%m-%d}"}
    return element("Invoices", *(_invoice(asked, each) for each in found), **span)


def _invoice(asked: Asked, invoice: Invoice) -> Element:
    products = [
        listed("Product", (
            ("Name", line.name or line.kind),
            ("Quantity", line.quantity),
            ("Price", stored(line.amount / line.quantity if line.quantity else line.amount)),
            ("Discount", 0),
            ("Sum", stored(line.amount)),
            ("Date_added", asked.shown(invoice.issued_at)),
            ("Issue_date", f"{invoice.issued_at.astimezone(asked.zone):%Y-%m-%d}"),
        ))
        for line in invoice.lines if line.kind.is_sale
    ]  # fmt: skip
    fields = (element("id", str(invoice.invoice_id)), element("paid", str(int(invoice.state is InvoiceState.PAID))))
    about = {
        "user_id": invoice.party_id, "agreementnumber": "", "clientid": invoice.login, "number": invoice.label,
    }  # fmt: skip
    return element("Invoice", *fields, *products, **about)


HANDLERS: Final[Mapping[str, Handler]] = {"invoices_get": invoices_get}
