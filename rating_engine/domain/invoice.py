"""Invoices: what somebody is asked to pay, and what a month of an account was.

Laws: numbers of one issuer and kind have no gaps, and one that is cancelled keeps its number; a month is the account's
ledger entries between the month before and the one after, so that opening + all its lines' movements = closing, to the
last digit; what stands on an invoice is frozen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final

from rating_engine.domain.errors import InvalidRequest
from rating_engine.domain.papers import PaperParty, written
from rating_engine.domain.payment import BANK
from rating_engine.domain.tax import TaxLine
from rating_engine.rating.schedule import zone_named

PREFIXES: Final = {"monthly": "INV", "request": "PRO", "credit_note": "CRN"}
MAX_LINES: Final = 2_000  # of one invoice: forty pages. Of more names those that cost least are one line
REST: Final = "…"  # the name of a line of many that had no room
FIRST_YEAR, LAST_YEAR = 2000, 2199


class InvoiceKind(StrEnum):
    """MONTHLY: a month of an account. REQUEST: asked for by who wants to pay, before it does."""

    MONTHLY = "monthly"
    REQUEST = "request"


class InvoiceState(StrEnum):
    """OPEN: it is to be paid. A cancelled one keeps its number, and another one may be made of its month."""

    OPEN = "open"
    PAID = "paid"
    CANCELLED = "cancelled"


class LineKind(StrEnum):
    """What a line is about. The first four are what was sold; the rest moved the balance and is no sale.

    CALLS: by direction. RERATED: what calls were corrected by afterwards. MESSAGES, FEES: by what they were for.
    """

    CALLS = "calls"
    RERATED = "rerated"
    MESSAGES = "messages"
    FEES = "fees"
    TOP_UP = "top_up"  # what a request asks for
    PAYMENTS = "payments"
    TRANSFERS = "transfers"
    ADJUSTMENTS = "adjustments"

    @property
    def is_sale(self) -> bool:
        """Whether it is part of what is invoiced."""
        return self in (LineKind.CALLS, LineKind.RERATED, LineKind.MESSAGES, LineKind.FEES, LineKind.TOP_UP)


@dataclass(frozen=True, slots=True)
class InvoiceLine:
    """One line. `quantity` of calls, messages, fees; `seconds`: billed, of calls.

    `amount`: what is invoiced, above zero what costs; of a movement, what it changed the balance by.
    """

    kind: LineKind
    name: str
    quantity: int
    seconds: int
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Month:
    """A month of an account's own calendar."""

    start: date
    end: date  # the first day after it
    begins_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class Invoice:
    """One invoice. `net` + `tax` + `commission` is what was sold; `due` is what is to be paid for it now.

    `taxes`: what each came to; their sums are `tax_percent` and `tax`. `login`: of who is billed. `opening`, `closing`:
    the balance before and after the month; None of a request, as the period. `payment`: that of a request, by its
    number. `lines` are there where one invoice is asked for.
    """

    invoice_id: int
    bucket: int
    account_id: int
    party_id: int
    login: str
    issuer_id: int
    kind: InvoiceKind
    number: int
    state: InvoiceState
    issued_at: datetime
    valid_to: datetime
    ended_at: datetime | None
    period_start: date | None
    period_end: date | None
    currency: str
    net: Decimal
    tax_percent: Decimal
    tax: Decimal
    commission: Decimal
    opening: Decimal | None
    closing: Decimal | None
    due: Decimal
    issuer: PaperParty
    billed: PaperParty
    language: str
    method: str = ""
    payment_kind: str = ""
    payment_id: int | None = None
    commission_percent: Decimal = Decimal(0)
    lines: tuple[InvoiceLine, ...] = ()
    taxes: tuple[TaxLine, ...] = ()

    @property
    def tax_lines(self) -> tuple[TaxLine, ...]:
        """What each tax came to; one without a name where its name was not kept."""
        return self.taxes or (TaxLine("", self.tax_percent, self.tax),)

    @property
    def total(self) -> Decimal:
        """What was sold, with what is put on it."""
        return self.net + self.tax + self.commission

    @property
    def how_to_pay(self) -> str:
        """What somebody is told who is to pay it by hand."""
        due = f"{written(self.due)} {self.currency}"
        if self.payment_kind == BANK and self.issuer.bank_account:
            return f"Transfer {due} to {self.issuer.bank_account}, quoting {self.label}"
        return f"Pay {due} to {self.issuer.name}, naming {self.label}"

    @property
    def label(self) -> str:
        """The number as it is printed."""
        return label_of(self.kind, self.number)


@dataclass(frozen=True, slots=True)
class InvoiceFilter:
    """Which invoices: of a user and all below it, issued in a time, of a kind, in a state; cancelled ones if named."""

    user: str | int | None = None
    since: datetime | None = None
    until: datetime | None = None
    kind: InvoiceKind | None = None
    state: InvoiceState | None = None
    method: str | None = None
    own: bool = False  # of the user alone, and of nobody below it


def label_of(series: str, number: int) -> str:
    """A number of a series as it is printed: INV-000017."""
    return f"{PREFIXES[series]}-{number:06d}"


def month_of(year: int, month: int, zone: str) -> Month:
    """A month in a time zone. Raises InvalidRequest (month)."""
    if not 1 <= month <= 12 or not FIRST_YEAR <= year <= LAST_YEAR:
        raise InvalidRequest("month", f"must be from 1 to 12, of a year from {FIRST_YEAR} to {LAST_YEAR}")
    start = date(year, month, 1)
    end = date(year + month // 12, month % 12 + 1, 1)
    here = zone_named(zone)
    return Month(
        start, end, datetime(start.year, start.month, 1, tzinfo=here), datetime(end.year, end.month, 1, tzinfo=here)
    )


def month_before(day: date) -> tuple[int, int]:
    """Year and month of the month before that of a day."""
    return (day.year - 1, 12) if day.month == 1 else (day.year, day.month - 1)


def fitted(lines: Sequence[InvoiceLine], most: int = MAX_LINES) -> tuple[InvoiceLine, ...]:
    """At most so many lines: of those that are left over, one of each kind, with all that they come to."""
    if len(lines) <= most:
        return tuple(lines)
    kinds = {line.kind for line in lines}
    ranked = sorted(range(len(lines)), key=lambda n: (-abs(lines[n].amount), n))
    kept = set(ranked[: most - len(kinds)])
    rest: dict[LineKind, InvoiceLine] = {}
    for place, line in enumerate(lines):
        if place not in kept:
            so_far = rest.get(line.kind, InvoiceLine(line.kind, REST, 0, 0, Decimal(0)))
            rest[line.kind] = InvoiceLine(
                line.kind, REST, so_far.quantity + line.quantity, so_far.seconds + line.seconds,
                so_far.amount + line.amount,
            )  # fmt: skip
    order = list(LineKind)
    return tuple(sorted([line for n, line in enumerate(lines) if n in kept] + [*rest.values()],
                        key=lambda line: (order.index(line.kind), line.name == REST)))  # fmt: skip
