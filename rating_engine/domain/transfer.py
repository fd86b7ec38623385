"""Money from one account to another: what is asked, what became of it, and why it is refused."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final

from rating_engine.domain.account import RefillAllowed
from rating_engine.domain.checks import check_above_zero, check_amount, check_key, check_text
from rating_engine.domain.errors import Refused

ALL: Final = None  # in place of an amount: all that there is


class TransferState(StrEnum):
    """SENT: taken from the sender and on its way. RETURNED: the other account was closed meanwhile."""

    SENT = "sent"
    DONE = "done"
    RETURNED = "returned"


class InsufficientMoney(Refused):
    """The sender has less than that, what its calls hold taken off."""

    code = "insufficient_money"


class TransfersLocked(Refused):
    """No money of one of the two may move but by calls (refill_allowed 0)."""

    code = "transfers_locked"


class TransfersLimited(Refused):
    """Money of one of the two may move by codes and payments alone (refill_allowed 1)."""

    code = "transfers_limited"


class NoExchangeRate(Refused):
    """Nobody has said what the one currency is in the other."""

    code = "no_exchange_rate"


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked. `amount` in the sender's currency; ALL (None): what there is. `reference`: sent once per sender.

    `least`: what both accounts have to allow. Raises InvalidRequest naming the field.
    """

    amount: Decimal | None
    comment: str = ""
    reference: str | None = None
    least: RefillAllowed = RefillAllowed.EVERYTHING

    def __post_init__(self) -> None:
        if self.amount is not None:
            check_amount(self.amount, "amount", allow_negative=True)
            check_above_zero(self.amount, "amount")
        check_text(self.comment, "comment")
        check_key(self.reference)


@dataclass(frozen=True, slots=True)
class Transfer:
    """What became of it. `amount` and `fee` were taken in `currency`, `amount_to` is given in `currency_to`.

    `repeated`: it was sent before by this reference.
    """

    transfer_id: int
    amount: Decimal
    fee: Decimal
    currency: str
    amount_to: Decimal
    currency_to: str
    state: TransferState
    repeated: bool = False
