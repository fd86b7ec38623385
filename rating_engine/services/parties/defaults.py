"""What new users and devices begin with: shown and set. What is set counts for the next one that is made."""

from __future__ import annotations

from collections.abc import Mapping

from rating_engine.domain.defaults import Defaults
from rating_engine.domain.principal import Principal
from rating_engine.storage.audit_log import record
from rating_engine.storage.parties import defaults as store
from rating_engine.storage.postgres.pool import Database


class PartyDefaults:
    """What one principal does with them."""

    def __init__(self, database: Database, principal: Principal) -> None:
        self._database = database
        self._principal = principal

    async def show(self) -> Defaults:
        """As they are. Errors: Unavailable."""
        return Defaults(await store.load_defaults(self._database))

    async def set(self, values: Mapping[str, str]) -> Defaults:
        """Set these and leave the others. Errors: InvalidRequest naming the field, Unavailable."""
        async with self._database.transaction(self._principal) as tx:
            changed = Defaults({**await store.load_defaults(tx), **values})
            await store.set_defaults(tx, values)
            await record(tx, "defaults.set", "new users", dict(values))
        return changed
