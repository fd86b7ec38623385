"""Monthly invoices of postpaid accounts are mailed by themselves, once each, to whoever is billed and has an address.

Law: that a mail is queued and that it is not to be queued again is one transaction; what cannot be printed now is tried
at the next turn, and keeps no other from its own.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

import structlog

from rating_engine.domain.checks import is_email
from rating_engine.domain.errors import RatingEngineError
from rating_engine.domain.invoice import Invoice
from rating_engine.domain.principal import Principal
from rating_engine.services.finance.printing import Printer
from rating_engine.storage.audit_log import record
from rating_engine.storage.finance import invoices as store
from rating_engine.storage.finance.paper_parties import standing_of
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.postgres.transaction import Transaction
from rating_engine.storage.support.outbox import queue_paper

AT_A_TIME: Final = 200
TURN_SECONDS: Final = 1_800.0  # a page takes a third of a second; the rest goes out an hour later
# Subject and text by language; who speaks another one reads English.
WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "en": ("Invoice {0}", "The invoice {0} is attached.\n"),
    "de": ("Rechnung {0}", "Die Rechnung {0} ist angehängt.\n"),
    "pl": ("Faktura {0}", "Faktura {0} znajduje się w załączniku.\n"),
    "ru": ("Счёт {0}", "Счёт {0} приложен к письму.\n"),
}

_log = structlog.get_logger(__name__)


class InvoiceMails:
    """Mails invoices for one principal: the engine, or who asks for one."""

    def __init__(self, database: Database, principal: Principal, printer: Printer) -> None:
        self._database = database
        self._principal = principal
        self._print = printer

    async def turn(self) -> int:
        """Queue those that are to be mailed, for a while; how many are not to be any more. Errors: Unavailable."""
        done, until = 0, time.monotonic() + TURN_SECONDS
        while found := await store.invoices_to_mail(self._database, AT_A_TIME):
            before = done
            for invoice_id in found:
                done += await self._is_done(invoice_id)
            if done == before or time.monotonic() > until:
                break
        return done

    async def _is_done(self, invoice_id: int) -> bool:
        try:
            await self.mail(await store.find_invoice(self._database, invoice_id), due=True)
        except RatingEngineError as error:
            _log.warning("invoice_mail_put_off", invoice=invoice_id, problem=str(error))
            return False
        return True

    async def mail(self, invoice: Invoice, *, due: bool = False) -> str:
        """Queue one as a PDF; the address, '' where there is none. `due`: unless it was mailed meanwhile.

        Errors: PrintFailed, Overloaded, Unavailable.
        """
        address = (await standing_of(self._database, invoice.party_id)).on_paper.email
        if not is_email(address):
            async with self._database.transaction(self._principal) as tx:
                await store.note_mailed(tx, invoice)
            return ""
        paper = await self._print(invoice)
        async with self._database.transaction(self._principal) as tx:
            was_due = await store.note_mailed(tx, invoice)
            if due and not was_due:
                return ""
            await self._queue(tx, invoice, address, paper)
        return address

    async def _queue(self, tx: Transaction, invoice: Invoice, address: str, paper: bytes) -> None:
        subject, text = (words.format(invoice.label) for words in WORDS.get(invoice.language, WORDS["en"]))
        await queue_paper(tx, invoice.party_id, address, subject, text, f"{invoice.label}.pdf", paper)
        await record(tx, "invoice.mail", str(invoice.invoice_id), bucket=invoice.bucket)
