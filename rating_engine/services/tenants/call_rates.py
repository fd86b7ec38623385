"""The call rates of a tenant: made, shown, changed, removed, searched.

Laws: a change is answered when it is published: the very next call is priced by it, and a call in progress by what it
began with. A rate and what is compiled of it into the tenant's deck change in one transaction.
"""

from __future__ import annotations

from dataclasses import replace

from rating_engine.domain.change import given
from rating_engine.domain.errors import AlreadyExists, NotFound, Refused
from rating_engine.domain.principal import Principal
from rating_engine.domain.rate_edit import RateKey
from rating_engine.domain.rate_query import RateQuery
from rating_engine.domain.tenant import CALL_RATES_MAX, CallRate, CallRateChanges, NewCallRate
from rating_engine.services.decks.edits import put_edit
from rating_engine.services.tenants.billing import tenant_asking
from rating_engine.storage.audit_log import record
from rating_engine.storage.decks.deck_load import lock_tariff
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.postgres.transaction import Transaction
from rating_engine.storage.tenants import call_rates as store
from rating_engine.storage.tenants.billing import Tenant, hold_tenant


class CallRates:
    """What a tenant does with its own call rates, each by its number. All may raise NotAllowed where who asks is no
    tenant, and Unavailable."""

    def __init__(self, database: Database, principal: Principal) -> None:
        self._database = database
        self._principal = principal

    async def add(self, new: NewCallRate) -> CallRate:
        """One more rate. Errors: AlreadyExists (the prefix has one), Refused (there are CALL_RATES_MAX)."""
        party_id = await self._tenant()
        async with self._database.transaction(self._principal) as tx:
            tenant = await _hold(tx, party_id)
            await _check_free(tx, party_id, new.prefix)
            if await store.count_rates(tx, party_id) >= CALL_RATES_MAX:
                raise Refused(f"there are {CALL_RATES_MAX:,} call rates already; remove some first")
            rate_id = await store.add_rate(tx, party_id, new)
            added = await _found(tx, party_id, rate_id)
            await _publish(tx, tenant, added)
            await self._record(tx, "add", added)
        return added

    async def show(self, rate_id: int) -> CallRate:
        """One rate. Errors: NotFound."""
        rate = await store.find_rate(self._database, await self._tenant(), rate_id)
        if rate is None:
            raise _unknown(rate_id)
        return rate

    async def change(self, rate_id: int, changes: CallRateChanges) -> CallRate:
        """Set what is given. Errors: NotFound, AlreadyExists (another rate has the prefix)."""
        party_id = await self._tenant()
        values = given(changes)
        async with self._database.transaction(self._principal) as tx:
            tenant = await _hold(tx, party_id)
            before = await _found(tx, party_id, rate_id)
            if all(getattr(before, name) == value for name, value in values.items()):
                return before
            after = replace(before, **values)
            if after.prefix != before.prefix:
                await _check_free(tx, party_id, after.prefix)
                await _withdraw(tx, tenant, before)
            await store.change_rate(tx, party_id, rate_id, values)
            await _publish(tx, tenant, after)
            await self._record(tx, "change", after)
        return after

    async def remove(self, rate_id: int) -> None:
        """Forget a rate: its calls go by a shorter prefix, or are declined. Errors: NotFound."""
        party_id = await self._tenant()
        async with self._database.transaction(self._principal) as tx:
            tenant = await _hold(tx, party_id)
            rate = await _found(tx, party_id, rate_id)
            await _withdraw(tx, tenant, rate)
            await store.remove_rate(tx, party_id, rate_id)
            await self._record(tx, "remove", rate)

    async def search(self, query: RateQuery) -> tuple[int, list[CallRate]]:
        """How many rates match a query, and those of its page."""
        return await store.search_rates(self._database, await self._tenant(), query)

    async def export(self) -> list[CallRate]:
        """Every rate, by prefix: CALL_RATES_MAX at most."""
        return await store.all_rates(self._database, await self._tenant())

    async def _tenant(self) -> int:
        return await tenant_asking(self._database, self._principal)

    async def _record(self, tx: Transaction, what: str, rate: CallRate) -> None:
        told = {"prefix": rate.prefix, "type": rate.type, "rate": rate.rate().to_json()}
        await record(tx, f"call_rate.{what}", f"{self._principal.party}/{rate.prefix}", told)


async def _hold(tx: Transaction, party_id: int) -> Tenant:
    """The tenant, whose rates nobody else changes until the transaction ends."""
    tenant = await hold_tenant(tx, party_id)
    await lock_tariff(tx.connection, tenant.tariff)
    return tenant


async def _found(tx: Transaction, party_id: int, rate_id: int) -> CallRate:
    rate = await store.find_rate(tx, party_id, rate_id)
    if rate is None:
        raise _unknown(rate_id)
    return rate


async def _check_free(tx: Transaction, party_id: int, prefix: str) -> None:
    if await store.rate_of_prefix(tx, party_id, prefix) is not None:
        raise AlreadyExists(f"there is a call rate for {prefix} already", field="prefix")


async def _publish(tx: Transaction, tenant: Tenant, rate: CallRate) -> None:
    if rate.is_reachable:
        await put_edit(tx, tenant.tariff, RateKey(rate.prefix), direction=rate.type.value, rate=rate.rate())


async def _withdraw(tx: Transaction, tenant: Tenant, rate: CallRate) -> None:
    if rate.is_reachable:
        await put_edit(tx, tenant.tariff, RateKey(rate.prefix), removed=True)


def _unknown(rate_id: int) -> NotFound:
    return NotFound(f"there is no call rate {rate_id}", field="id")
