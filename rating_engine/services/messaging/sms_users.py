"""Users who are subscribed to sending messages, where a surface asks for it first."""

from __future__ import annotations

from rating_engine.domain.principal import Principal
from rating_engine.storage.audit_log import record
from rating_engine.storage.parties import sms_users as store
from rating_engine.storage.parties.parties import find_party, hold_party
from rating_engine.storage.postgres.pool import Database


class SmsUsers:
    """What one principal does with them."""

    def __init__(self, database: Database, principal: Principal) -> None:
        self._database = database
        self._principal = principal

    async def may(self, who: str | int) -> bool:
        """Whether a user is subscribed. Errors: NotFound, Unavailable."""
        return await store.may_send(self._database, (await find_party(self._database, who)).party_id)

    async def allow(self, who: str | int) -> None:
        """Subscribe a user. Errors: NotFound, Unavailable."""
        async with self._database.transaction(self._principal) as tx:
            party = await hold_party(tx, who)
            await store.let_send(tx, party.party_id)
            await record(tx, "sms_user.allow", party.login)
