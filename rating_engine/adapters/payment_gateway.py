"""Payment methods of the settings: who pays is sent to a gateway's page, and the gateway tells finishInvoice.

Laws: both ways are signed by HMAC-SHA256 with a secret that only the two know; what is not signed so is nobody's word;
the secret is in no log and in no answer.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final

from rating_engine.domain.errors import InvalidRequest, NotAllowed
from rating_engine.domain.invoice import Invoice
from rating_engine.domain.papers import written
from rating_engine.domain.payment import Payment, PaymentForm, Told
from rating_engine.rating.money import InvalidAmount, parse_amount
from rating_engine.services.finance.payment_handlers import PaymentHandler

TOLD: Final = ("payment", "amount", "currency", "status")  # what a gateway says and signs, in this order
MAX_NUMBER: Final = 18  # digits


class Gateway:
    """One of them."""

    def __init__(self, name: str, *, private: bool, commission: Decimal, secret: str, url: str) -> None:
        self.title = name
        self.private = private
        self.commission = commission
        self._secret = secret.encode()
        self._url = url

    def check_kind(self, kind: str) -> None:
        """What it lets people pay by is for the gateway to say."""
        if not 1 <= len(kind) <= 32 or not kind.isprintable():
            raise InvalidRequest("payment_type", "must be 1 to 32 characters")

    def form(self, payment: Payment, invoice: Invoice) -> PaymentForm:
        """Its page, and what it is to be told."""
        amount = written(payment.gross)
        fields = {
            "payment": str(payment.payment_id), "amount": amount, "currency": payment.currency,
            "type": payment.kind, "invoice": invoice.label,
            "signature": self._signature(str(payment.payment_id), amount, payment.currency, "pay"),
        }  # fmt: skip
        return PaymentForm(self.commission, f"Pay {amount} {payment.currency}", self._url, "POST", fields)

    def read(self, given: Mapping[str, str]) -> Told:
        """`status` is paid or failed. Errors: NotAllowed (signature), InvalidRequest."""
        said = [given.get(name, "") for name in TOLD]
        if not hmac.compare_digest(self._signature(*said).encode(), given.get("signature", "").lower().encode()):
            raise NotAllowed("the signature is not that of the handler", field="signature")
        number, amount, currency, status = said
        if not (number.isascii() and number.isdigit() and len(number) <= MAX_NUMBER):
            raise InvalidRequest("payment", "is no number of a payment")
        if status not in ("paid", "failed"):
            raise InvalidRequest("status", "is paid or failed")
        try:
            return Told(int(number), status == "paid", parse_amount(amount, "amount"), currency)
        except InvalidAmount as error:
            raise InvalidRequest(error.field, error.problem) from None

    def _signature(self, *said: str) -> str:
        return hmac.new(self._secret, "\n".join(said).encode(), hashlib.sha256).hexdigest()


def gateways(texts: Sequence[str]) -> dict[str, PaymentHandler]:
    """By their names. `texts`: NAME public|private PERCENT SECRET URL each, as the settings have checked them."""
    found: dict[str, PaymentHandler] = {}
    for text in texts:
        name, group, percent, secret, url = text.split()
        found[name] = Gateway(name, private=group == "private", commission=Decimal(percent), secret=secret, url=url)
    return found
