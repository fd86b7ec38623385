"""Taxes: what prices that include one are without it.

Law: a tax is added and removed, and never changed: what was sold with it stays what it was.
"""

from __future__ import annotations

from rating_engine.domain.page import Cursor, Page
from rating_engine.domain.principal import Principal
from rating_engine.domain.tax import Tax
from rating_engine.storage.audit_log import record
from rating_engine.storage.finance import taxes as store
from rating_engine.storage.postgres.pool import Database


class Taxes:
    """What one principal does with taxes."""

    def __init__(self, database: Database, principal: Principal) -> None:
        self._database = database
        self._principal = principal

    async def page(self, cursor: Cursor) -> Page[Tax]:
        """Taxes, the oldest first. Errors: InvalidRequest (after), Unavailable."""
        return await store.list_taxes(self._database, cursor)

    async def show(self, tax_id: int) -> Tax:
        """One of them. Errors: NotFound, Unavailable."""
        return await store.find_tax(self._database, tax_id)

    async def add(self, new: Tax) -> int:
        """One more; its number. Errors: AlreadyExists, Unavailable."""
        async with self._database.transaction(self._principal) as tx:
            tax_id = await store.add_tax(tx, new)
            await record(tx, "tax.add", new.name, {"percent": new.percent, "tax_id": tax_id})
        return tax_id

    async def remove(self, tax_id: int) -> None:
        """Forget one that nothing has. Errors: NotFound, Refused, Unavailable."""
        async with self._database.transaction(self._principal) as tx:
            await record(tx, "tax.remove", await store.remove_tax(tx, tax_id), {"tax_id": tax_id})
