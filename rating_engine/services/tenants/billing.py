"""How the calls of a tenant are charged: whether, on whose account, and before or after them."""

from __future__ import annotations

from rating_engine.domain.change import given
from rating_engine.domain.errors import NotAllowed
from rating_engine.domain.party import PartyKind
from rating_engine.domain.principal import Principal
from rating_engine.domain.tenant import BillingChanges, TenantBilling
from rating_engine.storage.audit_log import record
from rating_engine.storage.parties.parties import find_party
from rating_engine.storage.postgres.pool import Database, Questions
from rating_engine.storage.tenants import billing as store


class Billing:
    """What a tenant does with its own billing. What is changed counts from the next call on."""

    def __init__(self, database: Database, principal: Principal) -> None:
        self._database = database
        self._principal = principal

    async def show(self) -> TenantBilling:
        """How its calls are charged. Errors: NotAllowed (who asks is no tenant), Unavailable."""
        return await store.billing_of(self._database, await tenant_asking(self._database, self._principal))

    async def change(self, changes: BillingChanges) -> TenantBilling:
        """Set what is given; calls in progress end as they began.

        Errors: NotAllowed (who asks is no tenant), InvalidRequest (currency), Refused (lines in several buckets),
        Unavailable; after any nothing has changed.
        """
        party_id = await tenant_asking(self._database, self._principal)
        values = given(changes)
        async with self._database.transaction(self._principal) as tx:
            tenant = await store.hold_tenant(tx, party_id)
            if not values:
                return tenant.billing
            changed = await store.change_billing(tx, tenant, values)
            before = {name: getattr(tenant.billing, name) for name in values}
            await record(tx, "tenant_billing.change", self._principal.party, {"before": before, "after": values})
        return changed.billing


async def tenant_asking(questions: Questions, principal: Principal) -> int:
    """The number of the tenant that asks. Errors: NotAllowed where it is none, Unavailable."""
    party = await find_party(questions, principal.realm)
    if party.kind is not PartyKind.TENANT:
        raise NotAllowed(f"is for a tenant, which {party.login!r} is not")
    return party.party_id
