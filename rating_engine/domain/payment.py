"""Payments: money that comes from outside, by a payment method, into an account.

Laws: a payment that is confirmed is one top-up, however often and by however many it is confirmed; what was cancelled
is never confirmed; a transaction of a method is one payment of an account.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final

from rating_engine.domain.checks import check_above_zero, check_amount, check_currency, check_text
from rating_engine.domain.errors import InvalidRequest, Refused

BANK: Final = "bank"  # a kind of it: a transfer
MANUAL: Final = "manual"  # the method that is always there: somebody sees the money and says so
MAX_TRANSACTION: Final = 120  # characters; with the method and a prefix it is the reference of a ledger entry
MAX_COMMENT: Final = 500

_OWN: Final = re.compile("payment-[0-9]+")


def own_transaction(payment_id: int) -> str:
    """The transaction of a payment that came without one: none that somebody else's number could be."""
    return f"payment-{payment_id}"


class MinimalPayment(Refused):
    """Less than what is worth the work (setting payment_minimal)."""

    code = "minimal_payment"


class MinimalStartPayment(Refused):
    """Less than a new user begins with (setting payment_minimal_start)."""

    code = "minimal_start_payment"


class MaximumPayment(Refused):
    """More than is taken at once (setting payment_maximum)."""

    code = "maximum_payment"


class ContactReseller(Refused):
    """Who asks belongs to a reseller, whom it pays."""

    code = "contact_reseller"


class PaymentState(StrEnum):
    """PENDING: nobody has seen the money yet."""

    PENDING = "pending"
    CONFIRMED = "confirmed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Payment:
    """One payment. `amount`, `tax`, `commission` in `currency`; `credited` is what `amount` is in the account's.

    `login`: whose it is; `method` by what it comes, `kind` how (bank, cash …), `transaction` its number there.
    """

    payment_id: int
    bucket: int
    account_id: int
    party_id: int
    login: str
    invoice_id: int | None
    method: str
    kind: str
    transaction: str
    amount: Decimal
    tax: Decimal
    commission: Decimal
    currency: str
    credited: Decimal
    account_currency: str
    payer: str
    comment: str
    state: PaymentState
    created_at: datetime
    ended_at: datetime | None

    @property
    def gross(self) -> Decimal:
        """What is paid."""
        return self.amount + self.tax + self.commission

    @property
    def confirmed_at(self) -> datetime | None:
        """When the money was seen; None: it was not."""
        return self.ended_at if self.state is PaymentState.CONFIRMED else None


@dataclass(frozen=True, slots=True)
class NewPayment:
    """A payment into the account of `user`. `currency` None: the account's.

    `tax_included`: whether `amount` has the user's tax in it. `transaction` '': `own_transaction`.
    Raises InvalidRequest naming the field.
    """

    user: str | int
    amount: Decimal
    currency: str | None = None
    method: str = MANUAL
    kind: str = ""
    transaction: str = ""
    tax_included: bool = False
    payer: str = ""
    comment: str = ""
    invoice_id: int | None = None

    def __post_init__(self) -> None:
        check_amount(self.amount, "amount")
        check_above_zero(self.amount, "amount")
        if self.currency is not None:
            check_currency(self.currency)
        if _OWN.fullmatch(self.transaction):
            raise InvalidRequest("transaction", "is how a payment is named that came without one")
        if len(self.transaction) > MAX_TRANSACTION or not self.transaction.isprintable():
            raise InvalidRequest(
                "transaction", f"has more than {MAX_TRANSACTION} characters, or such as cannot be seen"
            )
        for name, most in (("method", 32), ("kind", 32), ("payer", 200), ("comment", MAX_COMMENT)):
            text = getattr(self, name)
            check_text(text, name)
            if len(text) > most:
                raise InvalidRequest(name, f"has more than {most} characters")
        if not self.method:
            raise InvalidRequest("method", "is missing")


@dataclass(frozen=True, slots=True)
class PaymentFilter:
    """Which payments: of a user and of all below it, made in a time, of a state, method, transaction.

    `kind`: of this kind or by this method. `first_name`, `last_name`: of whose they are, capitals or not.
    """

    user: str | int | None = None
    since: datetime | None = None
    until: datetime | None = None
    state: PaymentState | None = None
    method: str | None = None
    transaction: str | None = None
    least: Decimal | None = None
    most: Decimal | None = None
    currency: str | None = None
    kind: str | None = None
    first_name: str | None = None
    last_name: str | None = None


@dataclass(frozen=True, slots=True)
class PaymentForm:
    """How somebody pays. `url` '': by hand, as `message` says; else by `method` with `fields` besides.

    `commission`: in percent of the amount.
    """

    commission: Decimal
    message: str
    url: str = ""
    method: str = "GET"
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Told:
    """What a handler says of a payment that ended: which, by whose transaction, and whether the money is there."""

    payment_id: int
    paid: bool
    amount: Decimal
    currency: str
    answer: str = "ok"
