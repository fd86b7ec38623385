"""How the calls of tenants are charged, and what of that their lines carry, so that a call asks nobody else.

Laws: every line of a tenant is charged to the account, at the tariff and in the way that its tenant has said; whoever
changes one of them, or gives a tenant a line, applies it to its lines in the same transaction, and the version of each
line it changes grows. A call in progress ends on the account that it began on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import asyncpg

from rating_engine.domain.errors import AlreadyExists, InvalidRequest, Refused
from rating_engine.domain.party import PartyKind
from rating_engine.domain.tariff_card import DEFAULT_CURRENCY
from rating_engine.domain.tenant import ChargedAccount, Charging, TenantBilling
from rating_engine.storage.parties.parties import hold_party
from rating_engine.storage.postgres.columns import assignments
from rating_engine.storage.postgres.pool import Questions
from rating_engine.storage.postgres.transaction import Transaction
from rating_engine.storage.tenants.accounts import Line, charge_in_way, count_logins, move_lines, own_accounts
from rating_engine.storage.tenants.free_tariff import free_tariff

TARIFF_PREFIX: Final = "call_rates:"  # and the login of the tenant: the name of its tariff

_BILLING: Final = "SELECT enabled, account, type FROM tenant_billing WHERE party_id = $1"
_TENANT: Final = """
    SELECT b.party_id, b.enabled, b.account, b.type, b.tariff_id, t.name AS tariff, t.currency, b.bucket, b.account_id
    FROM tenant_billing b JOIN tariffs t USING (tariff_id) WHERE b.party_id = $1"""
_ADD_TARIFF: Final = """
    INSERT INTO tariffs (name, currency, description) VALUES ($1, $2, 'made of the call rates of the tenant')
    ON CONFLICT (name) DO NOTHING RETURNING tariff_id"""
_FOUND: Final = "INSERT INTO tenant_billing (party_id, tariff_id) VALUES ($1, $2)"
_GIVE_TARIFF: Final = "UPDATE parties SET tariff_id = $2 WHERE party_id = $1 AND tariff_id IS NULL"
# Owners are older than what they own: of the tenants above somebody, the youngest is the nearest.
_NEAREST: Final = """
    SELECT max(party_id) FROM parties WHERE party_id = ANY (parties_above($1)) AND kind = 'tenant'"""
_REALM: Final = f"""
    SELECT array_agg(one.id) FROM unnest(parties_below($1)) AS one(id)
    WHERE ({_NEAREST.replace("$1", "one.id")}) = $1"""  # noqa: S608  # constants
_LINES: Final = """
    SELECT bucket, subscriber_id, account_id, private_account_id FROM subscribers
    WHERE party_id = ANY ($1) ORDER BY subscriber_id"""
_SET_PLACE: Final = "UPDATE tenant_billing SET bucket = $2, account_id = $3 WHERE party_id = $1"
# A tariff without a rate can still be of another currency.
_SET_CURRENCY: Final = """
    UPDATE tariffs SET currency = $2
    WHERE tariff_id = $1 AND NOT EXISTS (SELECT FROM rate_decks d WHERE d.tariff_id = $1) RETURNING currency"""
_IS_OF_TENANT: Final = "SELECT EXISTS (SELECT FROM tariffs JOIN tenant_billing USING (tariff_id) WHERE name = $1)"
_CURRENCIES: Final = "SELECT DISTINCT currency FROM accounts WHERE bucket = $1 AND account_id = ANY ($2)"


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant as its lines are charged: its tariff by name and number, and the company's account once it has one."""

    party_id: int
    billing: TenantBilling
    tariff_id: int
    tariff: str
    currency: str
    bucket: int | None
    account_id: int | None


async def billing_of(questions: Questions, party_id: int) -> TenantBilling:
    """What a tenant has said; the documented defaults where it has said nothing. Errors: Unavailable."""
    row = await questions.fetchrow(_BILLING, party_id)
    return TenantBilling() if row is None else _billing(row)


async def tenant_of(questions: Questions, party_id: int) -> int | None:
    """The tenant that a party is, or belongs to; None: to none. Errors: Unavailable."""
    nearest: int | None = await questions.fetchval(_NEAREST, party_id)
    return nearest


async def is_tariff_of_tenant(questions: Questions, tariff: str) -> bool:
    """Whether a tariff is made of the call rates of a tenant, by its name. Errors: Unavailable."""
    return bool(await questions.fetchval(_IS_OF_TENANT, tariff))


async def hold_tenant(tx: Transaction, party_id: int) -> Tenant:
    """A tenant as it is until the transaction ends; what it lacks of its own is made.

    Errors: NotFound, AlreadyExists (there is a tariff of the name that its own would have), Unavailable.
    """
    party = await hold_party(tx, party_id)
    assert party.kind is PartyKind.TENANT
    row = await tx.fetchrow(_TENANT, party_id)
    if row is None:
        name = TARIFF_PREFIX + party.login
        tariff_id = await tx.fetchval(_ADD_TARIFF, name, party.currency or DEFAULT_CURRENCY)
        if tariff_id is None:
            raise AlreadyExists(f"the tariff {name} is somebody else's; give the tenant another login", field="login")
        await tx.execute(_FOUND, party_id, tariff_id)
        await tx.execute(_GIVE_TARIFF, party_id, tariff_id)
        row = await tx.fetchrow(_TENANT, party_id)
        assert row is not None
    return Tenant(
        row["party_id"],
        _billing(row),
        row["tariff_id"],
        row["tariff"],
        row["currency"],
        row["bucket"],
        row["account_id"],
    )


async def change_billing(tx: Transaction, tenant: Tenant, values: Mapping[str, object]) -> Tenant:
    """Set fields of BillingChanges, and charge the tenant's lines by them. Errors: as `apply`."""
    changes = assignments(("enabled", "account", "type"), values, first=2)
    await tx.execute(
        f"UPDATE tenant_billing SET {changes}, changed_at = now() WHERE party_id = $1",  # noqa: S608  # names of columns
        tenant.party_id, *values.values(),
    )  # fmt: skip
    changed = replace(tenant, billing=await billing_of(tx, tenant.party_id))
    await apply(tx, changed)
    return changed


async def hold_tenant_of(tx: Transaction, party_id: int) -> Tenant | None:
    """The tenant that a party is, or belongs to, as it is until the transaction ends; None: it belongs to none.

    Before the party is given a line, so that who gives it another one waits here, having locked nothing of the party.
    Errors: Unavailable.
    """
    nearest = await tenant_of(tx, party_id)
    return None if nearest is None else await hold_tenant(tx, nearest)


async def apply(tx: Transaction, tenant: Tenant) -> None:
    """Charge every line of a tenant by what it has said.

    Errors: InvalidRequest (accounts in several currencies, or not in that of its rates), Refused (a line is in another
    bucket than the company's account), Unavailable.
    """
    realm = await tx.fetchval(_REALM, tenant.party_id)
    lines = [Line(**row) for row in await tx.fetch(_LINES, realm)]
    if not lines:
        return
    bucket, company = await _place(tx, tenant, lines)
    by_user = tenant.billing.account is ChargedAccount.USER
    lines = await own_accounts(tx, lines, company, make=by_user)
    charged = {line.subscriber_id: (line.private_account_id if by_user else None) or company for line in lines}
    own = {line.private_account_id for line in lines if line.private_account_id is not None}
    currency = await _currency(tx, tenant, bucket, sorted({company, *own}))
    tariff_id = tenant.tariff_id if tenant.billing.enabled else await free_tariff(tx, currency)
    held_first = tenant.billing.type is Charging.ONLINE
    changed = await charge_in_way(tx, bucket, sorted(set(charged.values())), held_first=held_first)
    await move_lines(tx, lines, charged, tariff_id, changed)
    await count_logins(tx, bucket, sorted(set(charged.values())))


async def _place(tx: Transaction, tenant: Tenant, lines: Sequence[Line]) -> tuple[int, int]:
    """Bucket and number of the company's account: that of the first line it had."""
    bucket, company = tenant.bucket, tenant.account_id
    if bucket is None or company is None:
        bucket, company = lines[0].bucket, lines[0].account_id
        await tx.execute(_SET_PLACE, tenant.party_id, bucket, company)
    if any(line.bucket != bucket for line in lines):
        raise Refused("lines of a tenant have to be in one bucket with its company's account (ledger_buckets)")
    return bucket, company


async def _currency(tx: Transaction, tenant: Tenant, bucket: int, accounts: Sequence[int]) -> str:
    """That of the company's account, of those of its lines, and of the tenant's rates."""
    currencies = [row["currency"] for row in await tx.fetch(_CURRENCIES, bucket, accounts)]
    if len(currencies) > 1:
        raise InvalidRequest("currency", f"accounts of a tenant are in one; these are in {' and '.join(currencies)}")
    currency: str = currencies[0]
    if currency != tenant.currency and await tx.fetchval(_SET_CURRENCY, tenant.tariff_id, currency) is None:
        raise InvalidRequest("currency", f"the rates of the tenant are in {tenant.currency}, its account in {currency}")
    return currency


def _billing(row: asyncpg.Record) -> TenantBilling:
    return TenantBilling(row["enabled"], ChargedAccount(row["account"]), Charging(row["type"]))
