"""By what somebody pays: payment methods, each a handler. `manual` is built in, others come from adapters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Protocol

from rating_engine.domain.errors import InvalidRequest, NotAllowed
from rating_engine.domain.invoice import Invoice
from rating_engine.domain.payment import BANK, MANUAL, Payment, PaymentForm, Told

MANUAL_KINDS: Final = (BANK, "cash")


class PaymentHandler(Protocol):
    """One payment method. `private`: for users who may move money by all means; `commission` in percent."""

    @property
    def title(self) -> str:
        """As people call it."""

    @property
    def private(self) -> bool:
        """Whether it is for verified users alone (refill_allowed 2)."""

    @property
    def commission(self) -> Decimal:
        """What it takes besides, in percent of what is paid."""

    def check_kind(self, kind: str) -> None:
        """Whether that can be paid by. Errors: InvalidRequest (payment_type)."""

    def form(self, payment: Payment, invoice: Invoice) -> PaymentForm:
        """How somebody pays."""

    def read(self, given: Mapping[str, str]) -> Told:
        """What it says of a payment that ended. Errors: NotAllowed (it is not the handler's word), InvalidRequest."""


@dataclass(frozen=True, slots=True)
class Manual:
    """A bank transfer, or cash: somebody sees the money and confirms."""

    title: str = "Bank transfer or cash"
    private: bool = False
    commission: Decimal = Decimal(0)

    def check_kind(self, kind: str) -> None:
        """Bank or cash."""
        if kind not in MANUAL_KINDS:
            raise InvalidRequest("payment_type", f"of {MANUAL} is {' or '.join(MANUAL_KINDS)}")

    def form(self, payment: Payment, invoice: Invoice) -> PaymentForm:
        """To which account, and under which number."""
        return PaymentForm(self.commission, invoice.how_to_pay)

    def read(self, given: Mapping[str, str]) -> Told:
        """Nobody's word: it is confirmed by who sees the money."""
        raise NotAllowed(f"payments by {MANUAL} are confirmed by who manages them, and not by a handler")
