"""Phonebooks of users: shown, written. A short number counts from the next call of any of the user's lines on."""

from __future__ import annotations

from rating_engine.domain.errors import NotYours
from rating_engine.domain.phonebook import PhonebookEntry
from rating_engine.domain.principal import Principal
from rating_engine.storage.audit_log import record
from rating_engine.storage.numbers import phonebook as store
from rating_engine.storage.parties.parties import find_party, hold_party, is_below
from rating_engine.storage.postgres.pool import Database


class Phonebooks:
    """What one principal does with them."""

    def __init__(self, database: Database, principal: Principal) -> None:
        self._database = database
        self._principal = principal

    async def of(self, who: str | int) -> list[PhonebookEntry]:
        """Of one user, by name. Errors: NotFound, Unavailable."""
        return await store.entries_of(self._database, (await find_party(self._database, who)).party_id)

    async def add(self, who: str | int, entry: PhonebookEntry) -> PhonebookEntry:
        """Errors: AlreadyExists (the short number), InvalidRequest, NotFound, Unavailable."""
        async with self._database.transaction(self._principal) as tx:
            party = await hold_party(tx, who)
            number = await store.add_entry(tx, party.party_id, entry)
            await record(tx, "phonebook.add", str(number), {"user": party.login, "speeddial": entry.speeddial})
        return await store.find_entry(self._database, number)

    async def show(self, entry_id: int) -> PhonebookEntry:
        """Errors: NotFound, NotYours, Unavailable."""
        entry = await store.find_entry(self._database, entry_id)
        if not await is_below(self._database, entry.party_id, self._principal.realm):
            raise NotYours(f"phonebook entry {entry_id} is not yours", field="entry")
        return entry

    async def change(self, entry: PhonebookEntry) -> None:
        """Put it in the place of the one with its number. Errors: AlreadyExists, NotFound, NotYours, Unavailable."""
        await self.show(entry.entry_id)
        async with self._database.transaction(self._principal) as tx:
            await store.change_entry(tx, entry)
            await record(tx, "phonebook.change", str(entry.entry_id), {"speeddial": entry.speeddial})
