"""Services that are paid for besides calls: what they cost, and what a line has by them."""

from __future__ import annotations

from rating_engine.domain.change import given
from rating_engine.domain.errors import NotAllowed
from rating_engine.domain.page import Cursor, Page
from rating_engine.domain.party import Level
from rating_engine.domain.principal import Principal
from rating_engine.domain.subscription import NewService, Service, ServiceChanges
from rating_engine.storage.audit_log import record
from rating_engine.storage.finance import paid_services as store
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.postgres.transaction import Transaction


class PaidServices:
    """What one principal does with services: an administrator with the system's, a reseller with its own."""

    def __init__(self, database: Database, principal: Principal, *, currency: str) -> None:
        """`currency`: of prices that name none."""
        self._database = database
        self._principal = principal
        self._currency = currency

    async def add(self, new: NewService) -> Service:
        """A service of the asker's. What has an option, or makes one, is for administrators: it makes calls cheaper.

        Errors: InvalidRequest naming the field, NotAllowed, NotFound (the option), AlreadyExists, Unavailable.
        """
        who = self._principal
        if (new.option is not None or new.minutes is not None) and not (who.sees_all and who.level >= Level.ADMIN):
            raise NotAllowed("free minutes and options are for an administrator to give", field="kind")
        currency = new.currency or self._currency
        values = given(new) | {"currency": currency, "party_id": who.realm}
        del values["option"]
        async with self._database.transaction(who) as tx:
            option_id = await self._option(tx, new, currency)
            service_id = await store.add_service(tx, values | {"option_id": option_id})
            await record(tx, "service.add", str(service_id), values)
        return await self.show(service_id)

    async def _option(self, tx: Transaction, new: NewService, currency: str) -> int | None:
        if new.minutes is not None:
            return await store.add_flat_rate(tx, new.name, currency, self._principal.realm, new.minutes)
        return None if new.option is None else await store.option_numbered(tx, new.option)

    async def show(self, service_id: int) -> Service:
        """One service. Errors: NotFound, Unavailable."""
        return await store.find_service(self._database, service_id)

    async def page(self, cursor: Cursor) -> Page[Service]:
        """Services by number: one's own and those below, and what those above offer everybody.

        Errors: InvalidRequest (after), Unavailable.
        """
        who = self._principal
        return await store.list_services(self._database, None if who.sees_all else who.realm, cursor)

    async def change(self, service_id: int, changes: ServiceChanges) -> Service:
        """From the next period of every subscription on. Errors: NotFound, AlreadyExists, Unavailable."""
        values = given(changes)
        async with self._database.transaction(self._principal) as tx:
            await store.change_service(tx, service_id, values)
            await record(tx, "service.change", str(service_id), values)
        return await self.show(service_id)

    async def remove(self, service_id: int) -> None:
        """Errors: NotFound, Refused (somebody has it), Unavailable."""
        async with self._database.transaction(self._principal) as tx:
            await store.remove_service(tx, service_id)
            await record(tx, "service.remove", str(service_id))
