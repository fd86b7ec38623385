"""The section Credit notes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rating_engine.api.mor.asked import Asked, Handler, stored
from rating_engine.api.mor.errors import Failed
from rating_engine.api.mor.named import NO_USER, user_of
from rating_engine.api.mor.xml import Element, element, listed, page, said
from rating_engine.domain.credit_note import CreditNote, CreditNoteFilter, CreditNoteState, NewCreditNote
from rating_engine.domain.errors import NotAllowed, NotFound, NotYours, RatingEngineError
from rating_engine.domain.page import MAX_LIMIT, Cursor

NOT_FOUND: Final = "Credit note was not found"
NOT_SAVED: Final = "Credit note was not saved"
NOT_CREATED: Final = "Credit note was not created"


async def credit_notes_get(asked: Asked) -> Element:
    """Those of a user and of all below it, or of who asks."""
    user = (await user_of(asked)).party_id if asked.text("user_id").strip() else None
    found = (await asked.use.credit_notes.page(CreditNoteFilter(user), Cursor(MAX_LIMIT))).items
    return page(element("credit_notes", *(_listed(asked, each) for each in found)))


async def credit_note_create(asked: Asked) -> Element:
    """A note in the system's currency; nothing is credited before it is paid."""
    user = await user_of(asked, error=NO_USER)
    amount = asked.amount("price", NOT_CREATED)
    issued_at = asked.moment("issue_date", NOT_CREATED)
    if amount is None or issued_at is None:
        raise Failed(NOT_CREATED)
    try:
        new = NewCreditNote(
            user.party_id, amount, issued_at=issued_at, comment=asked.text("comment"), label=asked.text("number")
        )
        await asked.use.credit_notes.create(new)
    except RatingEngineError as error:
        raise _failed(error, NOT_CREATED) from None
    return said("Credit note was created")


async def credit_note_update(asked: Asked) -> Element:
    """Its comment, and whether it is paid: what is paid is credited once, and taken off again where it is not."""
    note = await _note(asked)
    status = asked.text("status").strip().lower()
    if status not in ("", "paid", "unpaid"):
        raise Failed(NOT_SAVED)
    try:
        if status:
            await asked.use.credit_notes.set_paid(note.credit_note_id, paid=status == "paid")
        if asked.sent("comment"):
            await asked.use.credit_notes.set_comment(note.credit_note_id, asked.text("comment"))
    except RatingEngineError as error:
        raise _failed(error, NOT_SAVED) from None
    return said("Credit note was updated")


async def credit_note_delete(asked: Asked) -> Element:
    """A paid one is taken off the account first."""
    note = await _note(asked)
    try:
        await asked.use.credit_notes.delete(note.credit_note_id)
    except RatingEngineError as error:
        raise _failed(error, NOT_FOUND) from None
    return said("Credit note was deleted")


async def _note(asked: Asked) -> CreditNote:
    number = asked.needed_whole("credit_note_id", NOT_FOUND)
    try:
        note = await asked.use.credit_notes.show(number)
    except (NotFound, NotYours):
        raise Failed(NOT_FOUND) from None
    if note.state is CreditNoteState.DELETED:
        raise Failed(NOT_FOUND)
    return note


def _failed(error: RatingEngineError, text: str) -> Exception:
    """The function's own error; what is for nobody, or for another moment, is told as everywhere."""
    return error if error.retryable or isinstance(error, NotAllowed) else Failed(text, str(error))


def _listed(asked: Asked, note: CreditNote) -> Element:
    return listed("credit_note", (
        ("id", note.credit_note_id),
        ("user", note.login),
        ("user_id", note.party_id),
        ("number", note.label or note.number),
        ("issue_date", asked.shown(note.issued_at)),
        ("price", stored(note.amount)),
        ("price_with_vat", stored(note.amount + note.tax)),
        ("currency", note.currency),
        ("status", note.state),
        ("comment", note.comment),
    ))  # fmt: skip


HANDLERS: Final[Mapping[str, Handler]] = {
    "credit_notes_get": credit_notes_get,
    "credit_note_create": credit_note_create,
    "credit_note_update": credit_note_update,
    "credit_note_delete": credit_note_delete,
}
