"""Payments: asked for by who wants to pay, made by who manages, confirmed once.

Laws: a confirmed payment is one top-up, however often and by however many it is confirmed at once, and whoever dies
meanwhile; below an administrator of the system it is confirmed with money of one's own account; a handler's word
counts where it proves to be the handler's, and names the amount that was asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, Decimal
from typing import Final

import structlog

from rating_engine.domain.account import RefillAllowed
from rating_engine.domain.errors import AccountClosed, AlreadyExists, InvalidRequest, Refused
from rating_engine.domain.invoice import Invoice, InvoiceKind, InvoiceLine, InvoiceState, LineKind
from rating_engine.domain.page import Cursor, Page
from rating_engine.domain.papers import net_of, sum_of_taxes, tax_on, taxes_on
from rating_engine.domain.party import Level, Party
from rating_engine.domain.payment import (
    MANUAL,
    ContactReseller,
    MaximumPayment,
    MinimalPayment,
    MinimalStartPayment,
    NewPayment,
    Payment,
    PaymentFilter,
    PaymentForm,
    Told,
    own_transaction,
)
from rating_engine.domain.principal import Principal
from rating_engine.domain.transfer import TransfersLocked
from rating_engine.rating.money import format_amount
from rating_engine.services.finance.paying import Paying
from rating_engine.services.finance.payment_handlers import Manual, PaymentHandler
from rating_engine.storage.audit_log import note_of, record
from rating_engine.storage.finance import invoices as invoice_store
from rating_engine.storage.finance import payments as store
from rating_engine.storage.finance.paper_parties import Standing, hold_numbers, standing_of, take_number
from rating_engine.storage.finance.purses import Purse
from rating_engine.storage.parties.parties import find_party, tree_of
from rating_engine.storage.postgres.pool import Database

NOTHING: Final = Decimal(0)
CENT: Final = Decimal("0.01")
MAX_OPEN_REQUESTS: Final = 100  # of one user, that may still be paid: the key of a telephone application is public

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class PaymentWays:
    """How the settings have payments: limits in the system's currency, and for how long a request may be paid."""

    handlers: Mapping[str, PaymentHandler] = field(default_factory=dict)
    minimal: Decimal = NOTHING
    minimal_start: Decimal = NOTHING
    maximum: Decimal | None = None
    days: int = 14
    system_currency: str = "EUR"


@dataclass(frozen=True, slots=True)
class PaymentMethods:
    """Titles by handler: those of verified users, those of all; and which is proposed."""

    private: Mapping[str, str]
    public: Mapping[str, str]
    default: str


class Payments:
    """What one principal does with payments."""

    def __init__(
        self, database: Database, principal: Principal, ways: PaymentWays, now: Callable[[], datetime]
    ) -> None:
        self._database = database
        self._principal = principal
        self._ways = ways
        self._now = now
        self._paying = Paying(database, principal)
        self._handlers: Mapping[str, PaymentHandler] = {MANUAL: Manual(), **ways.handlers}

    async def methods(self) -> PaymentMethods:
        """By what can be paid."""
        titles = {True: dict[str, str](), False: dict[str, str]()}
        for name, handler in self._handlers.items():
            titles[handler.private][name] = handler.title
        return PaymentMethods(titles[True], titles[False], MANUAL)

    async def request(
        self, who: str | int, method: str, kind: str, amount: Decimal | None, *, recommended: Decimal = NOTHING
    ) -> tuple[Payment, PaymentForm]:
        """A user asks how to pay so much, in its currency: a numbered invoice, and its payment that waits.

        `amount` None: what is `recommended`, and at least the minimal payment. Errors: InvalidRequest (payment_method,
        payment_type, payment_amount), ContactReseller, MinimalPayment, MinimalStartPayment, MaximumPayment,
        TransfersLocked, NoExchangeRate, NotFound (it has no account), AccountClosed, Refused (too many wait),
        Unavailable.
        """
        party = await find_party(self._database, who)
        standing = await standing_of(self._database, party.party_id)
        if standing.is_resold:
            raise ContactReseller(f"{party.login!r} pays who it belongs to")
        purse = await self._paying.moving.own(party.party_id)
        purse.check_open()
        handler = self._handler(method, purse)
        handler.check_kind(kind)
        currency = party.currency or purse.currency
        if amount is None:
            least = await self._paying.moving.converted(self._ways.minimal, self._ways.system_currency, currency)
            amount = max(recommended, least).quantize(CENT, rounding=ROUND_CEILING)  # nobody pays less than a cent
        await self._check_amount(party, amount, currency)
        new = NewPayment(party.party_id, amount, currency, method, kind)
        return await self._requested(standing, purse, handler, new)

    async def create(self, new: NewPayment) -> Payment:
        """A payment that waits to be confirmed; of a transaction that is there already, the one that it is.

        Errors: InvalidRequest, NotFound (the user, its account), AlreadyExists (the transaction was of another
        amount), NoExchangeRate, AccountClosed, Unavailable.
        """
        party = await find_party(self._database, new.user)
        purse = await self._paying.moving.own(party.party_id)
        purse.check_open()
        currency = new.currency or purse.currency
        standing = await standing_of(self._database, party.party_id)
        net, tax = (
            net_of(new.amount, standing.tax_percent)
            if new.tax_included
            else (new.amount, sum_of_taxes(new.amount, standing.taxes))
        )
        if net == 0:
            raise InvalidRequest("amount", "is all tax")
        credited = await self._credited(net, currency, purse)
        if new.invoice_id is not None:
            invoice = await invoice_store.find_invoice(self._database, new.invoice_id)
            if (invoice.bucket, invoice.account_id) != (purse.bucket, purse.account_id):
                raise InvalidRequest("invoice", "is of another account")
        named = replace(new, currency=currency)
        async with self._database.transaction(self._principal) as tx:
            payment_id = await store.next_payment_id(tx)
            if await store.add_payment(tx, payment_id, purse, named, (net, tax, NOTHING, credited)):
                detail = {"user": party.login, "amount": net, "currency": currency, "method": new.method}
                await record(tx, "payment.create", str(payment_id), detail, bucket=purse.bucket)
        made = await store.payment_of(self._database, purse, new.method, new.transaction or own_transaction(payment_id))
        assert made is not None
        if (made.amount, made.currency) != (net, currency):
            raise AlreadyExists(
                f"transaction {new.transaction!r} is payment {made.payment_id}, of another amount", field="transaction"
            )
        return made

    async def show(self, payment_id: int) -> Payment:
        """One payment. Errors: NotFound, Unavailable."""
        return await store.find_payment(self._database, payment_id)

    async def page(self, wanted: PaymentFilter, cursor: Cursor) -> Page[Payment]:
        """Payments of who asks, or of a user, and of all below, the newest first. Errors: InvalidRequest, NotFound."""
        return await store.list_payments(
            self._database, await self._tree(wanted.user), wanted, cursor
        )  # fmt: skip

    async def confirm(self, payment_id: int) -> Payment:
        """The money is there: the account is topped up, once.

        Errors: NotFound, Refused (cancelled), InsufficientMoney (of one's own account), NoExchangeRate, AccountClosed,
        Unavailable.
        """
        payment = await store.find_payment(self._database, payment_id)
        payer = await self._paying.payer()
        taken = await self._paying.taken(payer, payment.credited, payment.account_currency)
        await self._confirm(payment, payer, taken)
        return await store.find_payment(self._database, payment_id)

    async def cancel(self, payment_id: int) -> Payment:
        """It will not be paid. Errors: NotFound, Refused (it was confirmed), Unavailable."""
        payment = await store.find_payment(self._database, payment_id)
        async with self._database.transaction(self._principal) as tx:
            if await store.cancel(tx, payment):
                await record(tx, "payment.cancel", str(payment_id), bucket=payment.bucket)
        ended = await store.find_payment(self._database, payment_id)
        if ended.confirmed_at is not None:
            raise Refused(f"payment {payment_id} was confirmed: its money is in the account")
        return ended

    async def tell(self, method: str, given: Mapping[str, str]) -> str:
        """What a handler says of a payment; what it is answered. What it says again changes nothing.

        Errors: InvalidRequest (method, what it says), NotAllowed (it is not the handler's word), NotFound, Refused
        (another amount, cancelled), AccountClosed, Unavailable.
        """
        handler = self._handlers.get(method)
        if handler is None:
            raise InvalidRequest("handler", f"{method[:40]!r} is no payment method")
        told = handler.read(given)
        payment = await store.find_payment(self._database, told.payment_id)
        try:
            await self._follow(payment, method, told)
        except (Refused, AccountClosed) as error:  # money went where it is not kept here: for people to see to
            _log.warning("payment_told_otherwise", payment=payment.payment_id, paid=told.paid, problem=str(error))
            raise
        return told.answer

    async def _follow(self, payment: Payment, method: str, told: Told) -> None:
        if payment.method != method:
            raise Refused(f"payment {payment.payment_id} is by {payment.method}")
        if not told.paid:
            await self.cancel(payment.payment_id)
            return
        if (told.amount, told.currency) != (payment.gross, payment.currency):
            due = f"{format_amount(payment.gross)} {payment.currency}"
            raise Refused(f"payment {payment.payment_id} is of {due}")
        await self._confirm(payment, None, None)

    async def _confirm(self, payment: Payment, payer: Purse | None, taken: Decimal | None) -> None:
        detail = {"user": payment.login, "credited": payment.credited, "method": payment.method,
                  "transaction": payment.transaction, "from": None if payer is None else payer.account_id}  # fmt: skip
        note = note_of(self._principal, "payment.confirm", str(payment.payment_id), detail)
        await store.confirm(self._database, payment, payer, taken, note)

    def _handler(self, method: str, purse: Purse) -> PaymentHandler:
        handler = self._handlers.get(method)
        if handler is None or (handler.private and purse.refill_allowed is not RefillAllowed.EVERYTHING):
            raise InvalidRequest("payment_method", f"{method[:40]!r} is not to be had: see getPaymentMethods")
        if purse.refill_allowed is RefillAllowed.NOTHING:
            raise TransfersLocked(f"refill_allowed of account {purse.account_id} is 0: no money moves but by calls")
        return handler

    async def _check_amount(self, party: Party, amount: Decimal, currency: str) -> None:
        NewPayment(party.party_id, amount, currency)  # whether it is an amount at all
        ways = self._ways
        known = await self._paying.moving.converted(amount, currency, ways.system_currency)
        if known < ways.minimal:
            raise MinimalPayment(f"at least {format_amount(ways.minimal)} {ways.system_currency}", field="amount")
        if party.level is Level.SIMPLE_USER and known < ways.minimal_start:
            raise MinimalStartPayment(
                f"at least {format_amount(ways.minimal_start)} {ways.system_currency} of a new user", field="amount"
            )
        if ways.maximum is not None and known > ways.maximum:
            raise MaximumPayment(f"at most {format_amount(ways.maximum)} {ways.system_currency}", field="amount")

    async def _credited(self, net: Decimal, currency: str, purse: Purse) -> Decimal:
        credited = await self._paying.moving.converted(net, currency, purse.currency)
        if credited == 0:
            raise InvalidRequest("amount", f"is too small: nothing comes of it in {purse.currency}")
        return credited

    async def _requested(
        self, standing: Standing, purse: Purse, handler: PaymentHandler, new: NewPayment
    ) -> tuple[Payment, PaymentForm]:
        currency, now = new.currency or purse.currency, self._now()
        tax = sum_of_taxes(new.amount, standing.taxes)
        commission = tax_on(new.amount + tax, handler.commission)
        credited = await self._credited(new.amount, currency, purse)
        issuer = await standing_of(self._database, standing.issuer_id)
        values = {
            "bucket": purse.bucket, "account_id": purse.account_id, "party_id": standing.party_id,
            "issuer_id": standing.issuer_id, "kind": InvoiceKind.REQUEST.value, "state": InvoiceState.OPEN.value,
            "issued_at": now, "valid_to": now + timedelta(days=self._ways.days), "currency": currency,
            "net": new.amount, "tax_percent": standing.tax_percent, "tax": tax,
            "taxes": taxes_on(new.amount, standing.taxes), "commission": commission,
            "commission_percent": handler.commission,
            "due": new.amount + tax + commission,
        }  # fmt: skip
        line = InvoiceLine(LineKind.TOP_UP, "", 1, 0, new.amount)
        async with self._database.transaction(self._principal) as tx:
            await hold_numbers(tx, standing.issuer_id, InvoiceKind.REQUEST)
            if await invoice_store.count_open_requests(tx, standing.party_id, now) >= MAX_OPEN_REQUESTS:
                raise Refused(f"{MAX_OPEN_REQUESTS} requests of {standing.login!r} wait to be paid; pay one of them")
            values["number"] = await take_number(tx, standing.issuer_id, InvoiceKind.REQUEST)
            invoice_id = await invoice_store.add_invoice(tx, values, issuer.on_paper, standing.on_paper, [line])
            payment_id = await store.next_payment_id(tx)
            paid_by = replace(new, invoice_id=invoice_id)
            await store.add_payment(tx, payment_id, purse, paid_by, (new.amount, tax, commission, credited))
            detail = {"user": standing.login, "amount": new.amount, "currency": currency, "method": new.method}
            await record(tx, "invoice.request", str(invoice_id), detail, bucket=purse.bucket)
        invoice: Invoice = await invoice_store.find_invoice(self._database, invoice_id)
        payment = await store.find_payment(self._database, payment_id)
        return payment, handler.form(payment, invoice)

    async def _tree(self, user: str | int | None) -> list[int] | None:
        return await parties_of(self._database, self._principal, user)


async def parties_of(database: Database, principal: Principal, user: str | int | None) -> list[int] | None:
    """A user and all below it; None asked: those of who asks, and for who sees all, everybody (None).

    Errors: NotFound, Unavailable.
    """
    if user is not None:
        return await tree_of(database, (await find_party(database, user)).party_id)
    return None if principal.sees_all else await tree_of(database, principal.realm)
