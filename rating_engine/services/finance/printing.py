"""The port of what makes a PDF of an invoice; `adapters/paper` carries it out."""

from __future__ import annotations

from typing import Protocol

from rating_engine.domain.errors import RatingEngineError
from rating_engine.domain.invoice import Invoice


class PrintFailed(RatingEngineError):
    """The invoice is there, and could not be printed."""

    code = "print_failed"


class Printer(Protocol):
    """What makes a PDF of an invoice."""

    async def __call__(self, invoice: Invoice, *, draft: bool = False) -> bytes:
        """The file. `draft`: it says that it is no issued invoice. Errors: Overloaded, PrintFailed."""
