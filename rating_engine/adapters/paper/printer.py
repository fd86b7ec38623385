"""Prints invoices: each by a process of its own, a few at once, within a time.

Laws: no page takes the processor of a process that serves calls; what is printed stands in no list of processes and in
no log; a process is ended with the request that it is for.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from dataclasses import asdict
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

import orjson
import structlog

from rating_engine.domain.errors import Overloaded
from rating_engine.domain.invoice import Invoice
from rating_engine.services.finance.printing import PrintFailed

AT_ONCE: Final = 2  # processes of one worker: a page takes a third of a second, forty two seconds
MAX_WAITING: Final = 20  # the next one hears at once that there are too many
TIMEOUT_SECONDS: Final = 30.0  # of waiting for a place and of the work
PROBLEM_MAX: Final = 500  # characters of what went wrong that are logged

_log = structlog.get_logger(__name__)


class InvoicePrinter:
    """Made once a process."""

    def __init__(self, *, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._timeout = timeout_seconds
        self._places = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0

    async def __call__(self, invoice: Invoice, *, draft: bool = False) -> bytes:
        """The PDF. Errors: Overloaded, PrintFailed."""
        if self._waiting >= MAX_WAITING:
            raise Overloaded("too many invoices are being printed")
        self._waiting += 1
        try:
            async with asyncio.timeout(self._timeout), self._places:
                return await _run(orjson.dumps({"invoice": _plain(invoice), "draft": draft}, default=_text))
        except TimeoutError:
            raise PrintFailed(f"an invoice took more than {self._timeout:g} s to print") from None
        except OSError as error:
            raise PrintFailed(f"no process for printing: {error.strerror}") from None
        finally:
            self._waiting -= 1


async def _run(asked: bytes) -> bytes:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-m", "rating_engine.adapters.paper.drawing",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        paper, problem = await process.communicate(asked)
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await asyncio.shield(process.wait())
    if process.returncode != 0 or not paper.startswith(b"%PDF-"):
        _log.error("invoice_not_printed", problem=problem.decode(errors="replace")[-PROBLEM_MAX:])
        raise PrintFailed("the invoice could not be printed")
    return paper


def _plain(invoice: Invoice) -> dict[str, Any]:
    last = None if invoice.period_end is None else invoice.period_end - timedelta(days=1)
    return {**asdict(invoice), "label": invoice.label, "total": invoice.total, "period_last": last}


def _text(value: object) -> str:
    if isinstance(value, Decimal):
        return format(value, "f")
    raise TypeError(type(value).__name__)
