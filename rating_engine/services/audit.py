"""The audit log as it is read: newest first, within the tree of who asks. Nobody changes what is written there."""

from __future__ import annotations

from rating_engine.domain.audit import AuditEntry, AuditFilter
from rating_engine.domain.page import Cursor, Page
from rating_engine.domain.principal import Principal
from rating_engine.storage import audit_log as store
from rating_engine.storage.parties.parties import tree_of
from rating_engine.storage.postgres.pool import Database


class Audit:
    """What one principal reads of it: what parties of its tree did; who sees all reads all."""

    def __init__(self, database: Database, principal: Principal) -> None:
        self._database = database
        self._principal = principal

    async def page(self, wanted: AuditFilter, cursor: Cursor) -> Page[AuditEntry]:
        """Entries, the newest first. Errors: InvalidRequest (after), Unavailable."""
        who = self._principal
        tree = None if who.sees_all else await tree_of(self._database, who.realm)
        return await store.list_entries(self._database, tree, wanted, cursor)
