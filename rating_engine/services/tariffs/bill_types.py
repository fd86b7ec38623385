"""Bill types: how calls of tariffs that are priced by directions are counted.

Law: one that is changed counts for the next call of every tariff that has it: their decks are compiled anew in the same
transaction.
"""

from __future__ import annotations

from dataclasses import replace

from rating_engine.domain.page import Cursor, Page
from rating_engine.domain.price_list import BillType
from rating_engine.domain.principal import Principal
from rating_engine.storage.audit_log import record
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.tariffs import bill_types as store
from rating_engine.storage.tariffs import direction_prices as price_store
from rating_engine.storage.tariffs.price_lists import hold_price_list


class BillTypes:
    """What one principal does with bill types."""

    def __init__(self, database: Database, principal: Principal) -> None:
        self._database = database
        self._principal = principal

    async def page(self, cursor: Cursor) -> Page[BillType]:
        """Bill types by name. Errors: InvalidRequest (after), Unavailable."""
        return await store.list_bill_types(self._database, cursor)

    async def show(self, name: str) -> BillType:
        """One of them. Errors: NotFound, Unavailable."""
        return await store.find_bill_type(self._database, name)

    async def add(self, new: BillType) -> None:
        """One more. Errors: AlreadyExists, Unavailable."""
        async with self._database.transaction(self._principal) as tx:
            await store.add_bill_type(tx, new)
            await record(tx, "bill_type.add", new.name, _told(new))

    async def change(self, name: str, *, free_threshold: int | None = None, step: int | None = None) -> None:
        """Set what is given, seconds, for the next call. Errors: InvalidRequest, NotFound, Unavailable."""
        tariffs: list[int] = []
        async with self._database.transaction(self._principal) as tx:
            old = await store.hold_bill_type(tx, name)
            new = replace(
                old,
                free_threshold=old.free_threshold if free_threshold is None else free_threshold,
                step=old.step if step is None else step,
            )
            if new == old:
                return
            await store.set_bill_type(tx, new)
            for tariff_id in (tariffs := await store.tariffs_of_bill_type(tx, name)):
                await hold_price_list(tx, tariff_id)
                await price_store.publish(tx, tariff_id, new)
            await record(tx, "bill_type.change", name, _told(new))
        for tariff_id in tariffs:
            await price_store.drop_old_decks(self._database, tariff_id)

    async def remove(self, name: str) -> None:
        """Forget one that no tariff has. Errors: NotFound, Refused, Unavailable."""
        async with self._database.transaction(self._principal) as tx:
            await store.remove_bill_type(tx, name)
            await record(tx, "bill_type.remove", name)


def _told(bill_type: BillType) -> dict[str, int]:
    return {"free_threshold": bill_type.free_threshold, "step": bill_type.step}
