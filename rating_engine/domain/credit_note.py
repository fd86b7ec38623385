"""Credit notes: money that somebody is given back, by a numbered paper.

Laws: one that is paid was credited to the account, once; taken back, or deleted, it was taken off again; numbers of one
issuer have no gaps.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from rating_engine.domain.checks import check_above_zero, check_amount, check_currency, check_text
from rating_engine.domain.errors import InvalidRequest
from rating_engine.domain.invoice import label_of
from rating_engine.domain.payment import MAX_COMMENT

MAX_LABEL = 64  # characters of what its maker numbers it by


class CreditNoteState(StrEnum):
    """PAID: credited to the account."""

    UNPAID = "unpaid"
    PAID = "paid"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class CreditNote:
    """One credit note. `amount` and `tax` in `currency`, `credited` in that of the account. `label`: its maker's own
    number; '': there is none, and `number` is what is printed.
    """

    credit_note_id: int
    bucket: int
    account_id: int
    party_id: int
    login: str
    issuer_id: int
    number: int
    label: str
    amount: Decimal
    tax: Decimal
    currency: str
    credited: Decimal
    comment: str
    state: CreditNoteState
    issued_at: datetime

    @property
    def shown_number(self) -> str:
        """As it is printed: its maker's own, or ours."""
        return self.label or label_of("credit_note", self.number)


@dataclass(frozen=True, slots=True)
class NewCreditNote:
    """One to be made. `currency` None: the system's. `issued_at` None: now. Raises InvalidRequest naming the field."""

    user: str | int
    amount: Decimal
    currency: str | None = None
    issued_at: datetime | None = None
    comment: str = ""
    label: str = ""

    def __post_init__(self) -> None:
        check_amount(self.amount, "amount")
        check_above_zero(self.amount, "amount")
        if self.currency is not None:
            check_currency(self.currency)
        check_comment(self.comment)
        check_text(self.label, "number")
        if len(self.label) > MAX_LABEL:
            raise InvalidRequest("number", f"has more than {MAX_LABEL} characters")


@dataclass(frozen=True, slots=True)
class CreditNoteFilter:
    """Which: of a user and all below it, issued in a time, in a state; deleted ones if named."""

    user: str | int | None = None
    since: datetime | None = None
    until: datetime | None = None
    state: CreditNoteState | None = None


def check_comment(comment: str) -> None:
    """Raises InvalidRequest (comment)."""
    check_text(comment, "comment")
    if len(comment) > MAX_COMMENT:
        raise InvalidRequest("comment", f"has more than {MAX_COMMENT} characters")
