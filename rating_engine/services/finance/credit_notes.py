"""Credit notes: made, paid, taken back, deleted. Laws: domain/credit_note, and whose money it is: `paying`."""

from __future__ import annotations

from dataclasses import replace

from rating_engine.domain.credit_note import (
    CreditNote,
    CreditNoteFilter,
    CreditNoteState,
    NewCreditNote,
    check_comment,
)
from rating_engine.domain.errors import InvalidRequest
from rating_engine.domain.page import Cursor, Page
from rating_engine.domain.papers import sum_of_taxes
from rating_engine.domain.principal import Principal
from rating_engine.services.finance.paying import Paying
from rating_engine.services.finance.payments import parties_of
from rating_engine.storage.audit_log import note_of, record
from rating_engine.storage.finance import credit_notes as store
from rating_engine.storage.finance.paper_parties import hold_numbers, standing_of, take_number
from rating_engine.storage.finance.purses import purse_at
from rating_engine.storage.parties.parties import find_party
from rating_engine.storage.postgres.pool import Database

SERIES = "credit_note"


class CreditNotes:
    """What one principal does with credit notes."""

    def __init__(self, database: Database, principal: Principal, *, system_currency: str) -> None:
        self._database = database
        self._principal = principal
        self._system_currency = system_currency
        self._paying = Paying(database, principal)

    async def create(self, new: NewCreditNote) -> CreditNote:
        """An unpaid one for a user's own account.

        Errors: InvalidRequest, NotFound (the user, its account), NoExchangeRate, AccountClosed, Unavailable.
        """
        party = await find_party(self._database, new.user)
        purse = await self._paying.moving.own(party.party_id)
        purse.check_open()
        standing = await standing_of(self._database, party.party_id)
        named = replace(new, currency=new.currency or self._system_currency)
        assert named.currency is not None
        credited = await self._paying.moving.converted(new.amount, named.currency, purse.currency)
        if credited == 0:
            raise InvalidRequest("amount", f"is too small: nothing comes of it in {purse.currency}")
        tax = sum_of_taxes(new.amount, standing.taxes)
        async with self._database.transaction(self._principal) as tx:
            await hold_numbers(tx, standing.issuer_id, SERIES)
            number = await take_number(tx, standing.issuer_id, SERIES)
            made = await store.add_credit_note(tx, purse, standing.issuer_id, number, named, tax, credited)
            detail = {"user": party.login, "amount": new.amount, "currency": named.currency}
            await record(tx, "credit_note.create", str(made), detail, bucket=purse.bucket)
        return await store.find_credit_note(self._database, made)

    async def show(self, credit_note_id: int) -> CreditNote:
        """One of them. Errors: NotFound, Unavailable."""
        return await store.find_credit_note(self._database, credit_note_id)

    async def page(self, wanted: CreditNoteFilter, cursor: Cursor) -> Page[CreditNote]:
        """Of who asks, or of a user, and of all below, the newest first. Errors: InvalidRequest, NotFound."""
        parties = await parties_of(self._database, self._principal, wanted.user)
        return await store.list_credit_notes(self._database, parties, wanted, cursor)

    async def set_comment(self, credit_note_id: int, comment: str) -> CreditNote:
        """What is said of it. Errors: InvalidRequest, NotFound, Unavailable."""
        check_comment(comment)
        note = await store.find_credit_note(self._database, credit_note_id)
        async with self._database.transaction(self._principal) as tx:
            await store.set_comment(tx, note, comment)
            await record(tx, "credit_note.set_comment", str(credit_note_id), bucket=note.bucket)
        return await store.find_credit_note(self._database, credit_note_id)

    async def set_paid(self, credit_note_id: int, *, paid: bool = True) -> CreditNote:
        """Credit it to the account, or take that back.

        Errors: NotFound, Refused (deleted), InsufficientMoney (of who pays, or of the account it is taken back from),
        NoExchangeRate, AccountClosed, Unavailable.
        """
        return await self._set(credit_note_id, CreditNoteState.PAID if paid else CreditNoteState.UNPAID)

    async def delete(self, credit_note_id: int) -> None:
        """Take it back if it was paid; its number stays. Errors: as of `set_paid`."""
        await self._set(credit_note_id, CreditNoteState.DELETED)

    async def _set(self, credit_note_id: int, state: CreditNoteState) -> CreditNote:
        note = await store.find_credit_note(self._database, credit_note_id)
        payer = await self._paying.payer()
        account = await purse_at(self._database, note.bucket, note.account_id)
        taken = await self._paying.taken(payer, note.credited, account.currency)
        detail = {"user": note.login, "credited": note.credited, "state": state.value}
        audit = note_of(self._principal, "credit_note.set_state", str(credit_note_id), detail)
        await store.set_state(self._database, note, state, payer, taken, audit)
        return await store.find_credit_note(self._database, credit_note_id)
