"""What is known of people and firms: shown, and changed by themselves and by whoever owns them."""

from __future__ import annotations

from rating_engine.domain.change import given
from rating_engine.domain.errors import InvalidRequest, NotAllowed
from rating_engine.domain.party import Level
from rating_engine.domain.party_details import AGREED, PartyDetailChanges, PartyDetails
from rating_engine.domain.principal import Principal
from rating_engine.storage.audit_log import record
from rating_engine.storage.parties import party_details as store
from rating_engine.storage.parties.parties import find_party, hold_party
from rating_engine.storage.postgres.pool import Database


class Details:
    """What one principal does with them."""

    def __init__(self, database: Database, principal: Principal) -> None:
        self._database = database
        self._principal = principal

    async def show(self, who: str | int) -> PartyDetails:
        """Errors: NotFound, Unavailable."""
        return await store.find_details(self._database, (await find_party(self._database, who)).party_id)

    async def change(self, who: str | int, changes: PartyDetailChanges) -> None:
        """Set what is given. Errors: InvalidRequest, NotAllowed (what is agreed, of oneself), NotFound, Unavailable."""
        values = given(changes)
        async with self._database.transaction(self._principal) as tx:
            party = await hold_party(tx, who)
            if party.hidden:
                raise InvalidRequest("user", f"{party.login!r} was deleted")
            own = party.party_id == self._principal.party_id and self._principal.level < Level.ADMIN
            if own and (agreed := sorted(AGREED & values.keys())):
                raise NotAllowed("of oneself is for somebody else to change", field=agreed[0])
            await store.change_details(tx, party.party_id, values)
            await record(tx, "user.details", party.login, {"fields": sorted(values)})
