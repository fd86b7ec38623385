"""The section Phonebooks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from rating_engine.api.mor.asked import Asked, Handler
from rating_engine.api.mor.errors import Failed
from rating_engine.api.mor.named import user_of
from rating_engine.api.mor.xml import Element, element, listed, page, said
from rating_engine.domain.errors import AlreadyExists, InvalidRequest, NotFound, NotYours
from rating_engine.domain.phonebook import PhonebookEntry

NOT_SAVED: Final = "Phonebook was not saved"


async def phonebooks_get(asked: Asked) -> Element:
    """Of one user, by name."""
    user = await user_of(asked)
    entries = await asked.use.phonebooks.of(user.party_id)
    if not entries:
        raise Failed("No Phonebooks")
    return page(element("phonebooks", *map(_listed, entries)))


async def phonebook_record_create(asked: Asked) -> Element:
    """A new entry."""
    user = await user_of(asked)
    try:
        entry = PhonebookEntry(asked.text("name"), asked.text("number").strip(), asked.text("speeddial").strip())
        await asked.use.phonebooks.add(user.party_id, entry)
    except (InvalidRequest, AlreadyExists) as error:
        raise Failed(NOT_SAVED, str(error)) from None
    return said("Phonebook record created")


async def phonebook_edit(asked: Asked) -> Element:
    """What is sent of one."""
    number = asked.needed_whole("phonebook_id", "Phonebook was not found")
    book = asked.use.phonebooks
    try:
        entry = await book.show(number)
    except (NotFound, NotYours):
        raise Failed("Phonebook was not found") from None
    given: dict[str, Any] = {name: asked.text(name) for name in ("name", "number", "speeddial") if asked.sent(name)}
    try:
        await book.change(replace(entry, **given))
    except (InvalidRequest, AlreadyExists) as error:
        raise Failed(NOT_SAVED, str(error)) from None
    return said("Phonebook saved")


def _listed(entry: PhonebookEntry) -> Element:
    return listed("phonebook", (
        ("id", entry.entry_id), ("name", entry.name), ("number", entry.number), ("speeddial", entry.speeddial),
    ))  # fmt: skip


HANDLERS: Final[Mapping[str, Handler]] = {
    "phonebooks_get": phonebooks_get,
    "phonebook_record_create": phonebook_record_create,
    "phonebook_edit": phonebook_edit,
}
