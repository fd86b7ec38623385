"""Caller ids of lines: known, forgotten, looked up. What is changed counts from the next call on."""

from __future__ import annotations

from rating_engine.domain.call_rules import digits_of
from rating_engine.domain.errors import NotFound, NotYours
from rating_engine.domain.known_caller import KnownCaller, NewKnownCaller
from rating_engine.domain.principal import Principal
from rating_engine.storage.audit_log import record
from rating_engine.storage.parties.logins import place_of
from rating_engine.storage.parties.parties import find_party, is_below, tree_of
from rating_engine.storage.phones import known_callers as store
from rating_engine.storage.postgres.pool import Database


class KnownCallers:
    """What one principal does with them."""

    def __init__(self, database: Database, principal: Principal) -> None:
        self._database = database
        self._principal = principal

    async def add(self, login: str, new: NewKnownCaller) -> KnownCaller:
        """Know a number as a line's. Errors: CallerTaken, NotFound (line), Unavailable."""
        async with self._database.transaction(self._principal) as tx:
            await store.add_caller(tx, new, await place_of(tx, login))
            await record(tx, "known_caller.add", new.digits, {"login": login, "banned": new.banned})
        return await self.find(new.number)

    async def find(self, number: str) -> KnownCaller:
        """Whose number it is. Errors: NotFound, NotYours, Unavailable."""
        found = await store.find_caller(self._database, digits_of(number))
        if found is None:
            raise NotFound("the number is known as nobody's", field="number")
        if not await is_below(self._database, found.owner_id, self._principal.realm):
            raise NotYours("the number is not yours", field="number")
        return found

    async def remove(self, number: str) -> None:
        """Forget a number. Errors: NotFound, NotYours, Unavailable."""
        found = await self.find(number)
        async with self._database.transaction(self._principal) as tx:
            await store.remove_caller(tx, found.number)
            await record(tx, "known_caller.remove", found.number, {"login": found.login})

    async def page(self, who: str | int | None = None, line_id: int | None = None) -> list[KnownCaller]:
        """Those of one user, or of all below who asks; of one line. Errors: NotFound, Unavailable."""
        if who is not None:
            parties: list[int] | None = [(await find_party(self._database, who)).party_id]
        elif self._principal.sees_all:
            parties = None
        else:
            parties = await tree_of(self._database, self._principal.realm)
        return await store.callers_of(self._database, parties, line_id)
