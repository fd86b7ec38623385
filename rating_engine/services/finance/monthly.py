"""Monthly invoices: a month of an account, made once, from its ledger to the last digit.

Laws: of an account and month there is one invoice that is not cancelled, however many make it at once and whoever dies
meanwhile; months lie end to end, so that every entry is in one; opening + what the lines moved = closing, or nothing is
made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import structlog

from rating_engine.domain.errors import RatingEngineError, Refused
from rating_engine.domain.invoice import (
    InvoiceKind,
    InvoiceLine,
    InvoiceState,
    Month,
    fitted,
    month_before,
    month_of,
)
from rating_engine.domain.papers import sum_of_taxes, taxes_on
from rating_engine.domain.principal import Principal
from rating_engine.domain.tax import PartyTax
from rating_engine.storage.audit_log import record
from rating_engine.storage.finance import billing_months as ledger
from rating_engine.storage.finance import invoices as store
from rating_engine.storage.finance.billing_months import BilledAccount
from rating_engine.storage.finance.paper_parties import hold_numbers, standing_of, take_number
from rating_engine.storage.postgres.pool import Database

# A month has ended everywhere twelve hours after it did in UTC; what was on its way then is there an hour later.
ENDED_EVERYWHERE: Final = timedelta(hours=13)
BATCH: Final = 200  # accounts read at a time

_log = structlog.get_logger(__name__)


class MonthlyInvoices:
    """Makes them for one principal: the engine, or who asks for one. `days`: until when one is to be paid."""

    def __init__(self, database: Database, principal: Principal, now: Callable[[], datetime], *, days: int) -> None:
        self._database = database
        self._principal = principal
        self._now = now
        self._days = days

    async def make(self, bucket: int, account_id: int, year: int, month: int) -> int:
        """The invoice of a month of an account, made now if there is none.

        Errors: InvalidRequest (month), Refused (it has not ended, or is older than the account), Unavailable.
        """
        account = await ledger.billed_account(self._database, bucket, account_id)
        span = month_of(year, month, account.time_zone)
        if span.ends_at > self._now():
            raise Refused(f"{span.start:%Y-%m} has not ended for this account ({account.time_zone})")
        if span.ends_at <= account.created_at:
            raise Refused(f"the account was made after {span.start:%Y-%m} had ended")
        made = await self._made(account, span)
        assert made is not None
        return made

    async def turn(self) -> int:
        """Those of the last month for every user's account that moved in it; how many there are now."""
        last = date(*month_before((self._now() - ENDED_EVERYWHERE).date()), 1)
        if await ledger.is_invoiced(self._database, last):
            return 0
        made, failed = 0, 0
        after: tuple[int, int] | None = None
        while places := await ledger.accounts_to_bill(self._database, self._now(), after, BATCH):
            for bucket, account_id in places:
                try:
                    account = await ledger.billed_account(self._database, bucket, account_id)
                    span = month_of(last.year, last.month, account.time_zone)
                    if account.created_at < span.ends_at:
                        made += await self._made(account, span, again=False) is not None
                except RatingEngineError as error:
                    failed += 1
                    _log.warning("monthly_invoice_put_off", account=account_id, month=str(last), problem=str(error))
            after = places[-1]
        if not failed:
            async with self._database.transaction(self._principal) as tx:
                await ledger.note_invoiced(tx, last)
        return made

    async def _made(self, account: BilledAccount, span: Month, *, again: bool = True) -> int | None:
        """The invoice's number; `again` False: None where it was cancelled, or nothing moved."""
        there = await store.month_invoice(self._database, account.bucket, account.account_id, span.start)
        if there is not None and (there[1] is not InvoiceState.CANCELLED or not again):
            return None if there[1] is InvoiceState.CANCELLED else there[0]
        after, until = await self._entries(account, span)
        if after == until and not again:
            return None
        values, lines = await self._read(account, span, after, until)
        standing = await standing_of(self._database, account.party_id)
        issuer = await standing_of(self._database, standing.issuer_id)
        async with self._database.transaction(self._principal) as tx:
            await hold_numbers(tx, standing.issuer_id, InvoiceKind.MONTHLY)
            there = await store.month_invoice(tx, account.bucket, account.account_id, span.start)
            if there is not None and there[1] is not InvoiceState.CANCELLED:
                return there[0]  # somebody else was quicker
            values |= _sums(lines, values["closing"], standing.taxes, self._now())
            values["issuer_id"] = standing.issuer_id
            values["number"] = await take_number(tx, standing.issuer_id, InvoiceKind.MONTHLY)
            invoice_id = await store.add_invoice(tx, values, issuer.on_paper, standing.on_paper, lines)
            detail = {"account": account.account_id, "month": f"{span.start:%Y-%m}", "net": values["net"]}
            await record(tx, "invoice.monthly", str(invoice_id), detail, bucket=account.bucket)
        return invoice_id

    async def _entries(self, account: BilledAccount, span: Month) -> tuple[int, int]:
        """The last entry before the month, and its own last one: at the seams what the neighbours have."""
        place = (account.bucket, account.account_id)
        year, month = month_before(span.start)
        before = await store.month_invoice(self._database, *place, date(year, month, 1))
        behind = await store.month_invoice(self._database, *place, span.end)
        after = before[3] if before else await ledger.last_entry_before(self._database, *place, span.begins_at)
        until = behind[2] if behind else await ledger.last_entry_before(self._database, *place, span.ends_at)
        return after, max(after, until)

    async def _read(
        self, account: BilledAccount, span: Month, after: int, until: int
    ) -> tuple[dict[str, Any], Sequence[InvoiceLine]]:
        place = (account.bucket, account.account_id)
        lines = await ledger.month_lines(self._database, *place, after, until)
        opening = await ledger.balance_at(self._database, *place, after)
        closing = await ledger.balance_at(self._database, *place, until)
        moved = sum((-line.amount if line.kind.is_sale else line.amount for line in lines), Decimal(0))
        if opening + moved != closing:  # law `balance_after` is broken: the doctor says where
            raise Refused(f"the ledger of account {account.account_id} does not add up: {opening}, {moved}, {closing}")
        now = self._now()
        values = {
            "bucket": account.bucket, "account_id": account.account_id, "party_id": account.party_id,
            "kind": InvoiceKind.MONTHLY.value, "issued_at": now, "valid_to": now + timedelta(days=self._days),
            "period_start": span.start, "period_end": span.end, "from_entry": after, "to_entry": until,
            "currency": account.currency, "opening": opening, "closing": closing, "to_mail": account.is_postpaid,
        }  # fmt: skip
        return values, fitted(lines)


def _sums(lines: Sequence[InvoiceLine], closing: Decimal, taxes: Sequence[PartyTax], now: datetime) -> dict[str, Any]:
    """What was sold and its tax; due is what the account owes, with the tax on that. What owes nothing is paid."""
    net = sum((line.amount for line in lines if line.kind.is_sale), Decimal(0))
    owed = max(-closing, Decimal(0))
    due = owed + sum_of_taxes(owed, taxes)
    state = InvoiceState.OPEN if due else InvoiceState.PAID
    return {
        "net": net, "tax_percent": sum((tax.percent for tax in taxes), Decimal(0)), "tax": sum_of_taxes(net, taxes),
        "taxes": taxes_on(net, taxes), "due": due, "state": state.value,
        "ended_at": None if due else now,
    }  # fmt: skip
