"""What is known of people and firms: shown, and changed by themselves and by whoever owns them."""

from __future__ import annotations

from rating_engine.domain.change import given
from rating_engine.domain.errors import InvalidRequest, NotAllowed
from rating_engine.domain.party import Level, Party
from rating_engine.domain.party_details import AGREED, PartyDetailChanges, PartyDetails
from rating_engine.domain.principal import Principal
from rating_engine.storage.audit_log import record
from rating_engine.storage.parties import party_details as store
from rating_engine.storage.parties.parties import find_party, hold_party
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.postgres.transaction import Transaction


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
        async with self._database.transaction(self._principal) as tx:
            party = await hold_party(tx, who)
            if party.hidden:
                raise InvalidRequest("user", f"{party.login!r} was deleted")
            await change_details_of(tx, self._principal, party, changes)


async def change_details_of(tx: Transaction, principal: Principal, party: Party, changes: PartyDetailChanges) -> None:
    """The same within a unit of work that holds the party. Errors: NotAllowed, Unavailable."""
    if not (values := given(changes)):
        return
    own = party.party_id == principal.party_id and principal.level < Level.ADMIN
    if own and (agreed := sorted(AGREED & values.keys())):
        raise NotAllowed("of oneself is for somebody else to change", field=agreed[0])
    await store.change_details(tx, party.party_id, values)
    await record(tx, "user.details", party.login, {"fields": sorted(values)})
