"""Accounts and lines of a tenant, as its billing has them: which account each line has of its own, on which it is
charged, and whether money is held first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from rating_engine.storage.postgres.transaction import Transaction

# A private account beside the company's: empty, with all that the company's says of calls.
_OWN: Final = """
    INSERT INTO accounts (bucket, kind, currency, overdraft, max_call_seconds, max_price, default_allowed, quota,
                          time_zone, numbering_plan, party_id)
    SELECT $1, 'prepaid', a.currency, 0, a.max_call_seconds, a.max_price, a.default_allowed, a.quota,
           a.time_zone, a.numbering_plan, s.party_id
    FROM accounts a JOIN subscribers s ON s.bucket = $1 AND s.subscriber_id = $3
    WHERE a.bucket = $1 AND a.account_id = $2 RETURNING account_id"""
_SAME_RULES: Final = """
    INSERT INTO account_prefixes (bucket, account_id, prefix, allowed)
    SELECT $1, $3, prefix, allowed FROM account_prefixes WHERE bucket = $1 AND account_id = $2"""
_LOCK: Final = """
    SELECT 1 FROM accounts WHERE bucket = $1 AND account_id = ANY ($2) ORDER BY account_id FOR NO KEY UPDATE"""
# Postpaid credit with a limit is what an operator gave: calls hold money within it, either way, and it stays as it is.
_SET_KIND: Final = """
    UPDATE accounts SET kind = $3::account_kind, overdraft = $4
    WHERE bucket = $1 AND account_id = ANY ($2) AND kind <> $3::account_kind
      AND (kind = 'prepaid' OR overdraft IS NULL) RETURNING account_id"""
_MOVE: Final = """
    UPDATE subscribers s SET account_id = new.account_id, private_account_id = new.private_account_id, tariff_id = $5,
           tariff_since = CASE WHEN s.tariff_id = $5 THEN s.tariff_since ELSE now() END
    FROM unnest($2::bigint[], $3::bigint[], $4::bigint[]) AS new(subscriber_id, account_id, private_account_id)
    WHERE s.bucket = $1 AND s.subscriber_id = new.subscriber_id
      AND (s.account_id <> new.account_id OR s.private_account_id IS DISTINCT FROM new.private_account_id
           OR s.tariff_id <> $5 OR new.account_id = ANY ($6))"""
# Reserve counts the calls of such lines one by one (subscriber_load) where their account says so.
_COUNTS: Final = """
    UPDATE accounts a SET counts_logins = true
    WHERE a.bucket = $1 AND a.account_id = ANY ($2) AND NOT a.counts_logins AND EXISTS (
        SELECT FROM subscribers s JOIN subscriber_load l ON l.bucket = $1 AND l.subscriber_id = s.subscriber_id
        WHERE s.bucket = $1 AND s.account_id = a.account_id)"""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a tenant: the account it is charged on, and its own; None: it has none yet."""

    bucket: int
    subscriber_id: int
    account_id: int
    private_account_id: int | None


async def own_accounts(tx: Transaction, lines: Sequence[Line], company: int, *, make: bool) -> list[Line]:
    """The lines with the account that each has of its own: the one it came with, if no older line has that.

    `make`: those that have none get a new one, with the limits and rules of the company's.
    """
    taken = {line.private_account_id for line in lines}
    own: list[Line] = []
    for line in lines:
        mine = line.private_account_id
        if mine is None and line.account_id not in taken:
            mine = line.account_id
        elif mine is None and make:
            mine = await tx.fetchval(_OWN, line.bucket, company, line.subscriber_id)
            await tx.execute(_SAME_RULES, line.bucket, company, mine)
        taken.add(mine)
        own.append(replace(line, private_account_id=mine))
    return own


async def charge_in_way(tx: Transaction, bucket: int, accounts: Sequence[int], *, held_first: bool) -> list[int]:
    """Make accounts prepaid, or postpaid without a limit; those that were not. A limit that an operator gave stays.

    A call's reservation waits meanwhile, and is then told that its plan is stale.
    """
    await tx.execute(_LOCK, bucket, accounts)
    kind, overdraft = ("prepaid", 0) if held_first else ("postpaid", None)
    return [row["account_id"] for row in await tx.fetch(_SET_KIND, bucket, accounts, kind, overdraft)]


async def move_lines(
    tx: Transaction, lines: Sequence[Line], charged: Mapping[int, int], tariff_id: int, changed: Sequence[int]
) -> None:
    """Charge lines on these accounts at a tariff; `changed`: accounts of another kind than before."""
    numbers = [line.subscriber_id for line in lines]
    await tx.execute(
        _MOVE, lines[0].bucket, numbers, [charged[number] for number in numbers],
        [line.private_account_id for line in lines], tariff_id, changed,
    )  # fmt: skip


async def count_logins(tx: Transaction, bucket: int, accounts: Sequence[int]) -> None:
    """An account with a line whose calls are counted says so."""
    await tx.execute(_COUNTS, bucket, accounts)
