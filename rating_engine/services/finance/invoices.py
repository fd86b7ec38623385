"""Invoices as they are listed, shown, printed, mailed and cancelled; months of accounts are made by `monthly`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Final

from rating_engine.domain.errors import InvalidRequest, NotAllowed, Refused
from rating_engine.domain.invoice import Invoice, InvoiceFilter, InvoiceLine, InvoiceState, month_before
from rating_engine.domain.page import Cursor, Page
from rating_engine.domain.papers import taxes_on
from rating_engine.domain.party import Level
from rating_engine.domain.principal import Principal
from rating_engine.services.finance.invoice_mails import InvoiceMails
from rating_engine.services.finance.monthly import MonthlyInvoices
from rating_engine.services.finance.moving import Moving
from rating_engine.services.finance.payments import parties_of
from rating_engine.services.finance.printing import Printer
from rating_engine.storage.audit_log import record
from rating_engine.storage.finance import invoices as store
from rating_engine.storage.finance.purses import Purse, purse_of_line
from rating_engine.storage.parties.parties import find_party
from rating_engine.storage.postgres.pool import Database

MAX_DRAFT_LINES: Final = 200  # of a pro forma that somebody else writes: an URL has no room for more


class Invoices:
    """What one principal does with invoices."""

    def __init__(
        self, database: Database, principal: Principal, now: Callable[[], datetime], printer: Printer, *, days: int
    ) -> None:
        self._database = database
        self._principal = principal
        self._now = now
        self._print = printer
        self._monthly = MonthlyInvoices(database, principal, now, days=days)
        self._moving = Moving(database, principal)
        self._mails = InvoiceMails(database, principal, printer)

    async def page(self, wanted: InvoiceFilter, cursor: Cursor, *, lines: bool = False) -> Page[Invoice]:
        """Invoices of who asks, or of a user, and of all below, the newest first; `lines`: with theirs.

        Errors: InvalidRequest (after), NotFound (user), Unavailable.
        """
        parties = await parties_of(self._database, self._principal, wanted.user)
        if wanted.own:
            who = self._principal.party_id if wanted.user is None else wanted.user
            parties = [] if who is None else [(await find_party(self._database, who)).party_id]
        return await store.list_invoices(self._database, parties, wanted, cursor, lines=lines)

    async def show(self, invoice_id: int) -> Invoice:
        """One with its lines. Errors: NotFound, Unavailable."""
        return await store.find_invoice(self._database, invoice_id)

    async def monthly(self, who: str | int, month: int | None = None, year: int | None = None) -> Invoice:
        """Of a user's own account; None: the last month of that number that has ended, or the last of all.

        Errors: InvalidRequest (month), Refused (it has not ended), NotFound (it has no account), Unavailable.
        """
        return await self._month(await self._moving.own(who), month, year)

    async def monthly_of(self, login: str, month: int | None = None, year: int | None = None) -> Invoice:
        """The same of the account that a login is charged on. Errors: as of `monthly`."""
        return await self._month(await purse_of_line(self._database, login), month, year)

    async def pdf(self, invoice_id: int) -> bytes:
        """One as a PDF. Errors: NotFound, Overloaded, Unavailable."""
        return await self._print(await store.find_invoice(self._database, invoice_id))

    async def draft_pdf(
        self,
        invoice_id: int,
        lines: Sequence[InvoiceLine],
        *,
        issued_at: datetime | None = None,
        valid_to: datetime | None = None,
    ) -> bytes:
        """A pro forma in the form of an invoice, with other lines, which says that it is none. Nothing is kept of it.

        Errors: NotFound, InvalidRequest (lines, deadline), Overloaded, Unavailable.
        """
        if not 1 <= len(lines) <= MAX_DRAFT_LINES:
            raise InvalidRequest("services", f"must be 1 to {MAX_DRAFT_LINES}")
        invoice = await store.find_invoice(self._database, invoice_id)
        issued, until = issued_at or invoice.issued_at, valid_to or invoice.valid_to
        if until < issued:
            raise InvalidRequest("deadline", "is before the date")
        net = sum((line.amount for line in lines), Decimal(0))
        taxes = taxes_on(net, invoice.tax_lines)
        tax = sum((line.amount for line in taxes), Decimal(0))
        drawn = replace(
            invoice, state=InvoiceState.OPEN, issued_at=issued, valid_to=until, period_start=None, period_end=None,
            opening=None, closing=None, net=net, tax=tax, commission=Decimal(0), due=net + tax, lines=tuple(lines),
            taxes=taxes,
        )  # fmt: skip
        return await self._print(drawn, draft=True)

    async def mail(self, invoice_id: int) -> str:
        """Queue one for who is billed, as a PDF; the address, '' where there is none that mail can go to.

        Errors: as of `pdf`.
        """
        return await self._mails.mail(await store.find_invoice(self._database, invoice_id))

    async def cancel(self, invoice_id: int) -> None:
        """It counts no more and keeps its number; what was to be paid by it is not.

        Errors: NotFound, NotAllowed (somebody else issued it), Refused (money came for it), Unavailable.
        """
        invoice = await store.find_invoice(self._database, invoice_id)
        who = self._principal
        if invoice.issuer_id != who.realm and not (who.sees_all and who.level >= Level.ADMIN):
            raise NotAllowed("is for who issued it", field="invoice")
        async with self._database.transaction(self._principal) as tx:
            if await store.cancel_invoice(tx, invoice):
                await record(tx, "invoice.cancel", str(invoice_id), bucket=invoice.bucket)
            elif (await store.find_invoice(tx, invoice_id)).state is not InvoiceState.CANCELLED:
                raise Refused(f"{invoice.label} was paid for: make a credit note")

    async def set_paid(self, invoice_id: int) -> Invoice:
        """It was paid by money that is not kept here. Errors: NotFound, Unavailable."""
        invoice = await store.find_invoice(self._database, invoice_id)
        async with self._database.transaction(self._principal) as tx:
            if await store.note_paid(tx, invoice):
                await record(tx, "invoice.set_paid", str(invoice_id), bucket=invoice.bucket)
        return await store.find_invoice(self._database, invoice_id)

    async def _month(self, purse: Purse, month: int | None, year: int | None) -> Invoice:
        today = self._now().date()
        last_year, last_month = month_before(today)
        if month is None:
            year, month = year or last_year, last_month
        elif year is None:
            year = last_year if month <= last_month else last_year - 1
        return await store.find_invoice(
            self._database, await self._monthly.make(purse.bucket, purse.account_id, year, month)
        )
