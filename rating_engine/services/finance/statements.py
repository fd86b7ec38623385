"""Financial statements: invoices, credit notes and payments of a time, and what of them is paid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from rating_engine.domain.errors import InvalidRequest
from rating_engine.domain.principal import Principal
from rating_engine.services.finance.moving import Moving
from rating_engine.services.finance.payments import parties_of
from rating_engine.storage.finance.credit_notes import sum_credit_notes
from rating_engine.storage.finance.invoices import sum_invoices
from rating_engine.storage.finance.payments import sum_payments
from rating_engine.storage.postgres.pool import Database

PAID: Final = frozenset({"paid", "confirmed"})


@dataclass(frozen=True, slots=True)
class StatementLine:
    """One kind of papers (invoices, credit_notes, payments), paid or not: how many, and what they come to."""

    kind: str
    paid: bool
    count: int
    price: Decimal
    price_with_tax: Decimal


class Statements:
    """What one principal asks. Amounts are in the system's currency, by today's exchange rates."""

    def __init__(self, database: Database, principal: Principal, *, system_currency: str) -> None:
        self._database = database
        self._principal = principal
        self._moving = Moving(database, principal)
        self._currency = system_currency

    async def in_which(self) -> str:
        """The currency that all of them are in."""
        return self._currency

    async def of(self, since: datetime, until: datetime, who: str | int | None = None) -> list[StatementLine]:
        """Six lines, of a user and all below it, or of who asks. Errors: InvalidRequest (until), NotFound,
        NoExchangeRate, Unavailable.
        """
        if until <= since:
            raise InvalidRequest("until", "must be after the beginning")
        parties = await parties_of(self._database, self._principal, who)
        found = {
            "invoices": await sum_invoices(self._database, parties, since, until),
            "credit_notes": await sum_credit_notes(self._database, parties, since, until),
            "payments": await sum_payments(self._database, parties, since, until),
        }
        return [
            await self._line(kind, paid, [row for row in rows if (row["state"] in PAID) is paid])
            for kind, rows in found.items()
            for paid in (True, False)
        ]

    async def _line(self, kind: str, paid: bool, rows: Sequence[Any]) -> StatementLine:
        net = tax = Decimal(0)
        for row in rows:
            net += await self._moving.converted(row["net"], row["currency"], self._currency)
            tax += await self._moving.converted(row["tax"], row["currency"], self._currency)
        return StatementLine(kind, paid, sum(row["number"] for row in rows), net, net + tax)
