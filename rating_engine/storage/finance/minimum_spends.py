"""The least that users' calls cost in a month, and what they did cost."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Final

from rating_engine.domain.minimum_spend import MinimumSpend
from rating_engine.storage.postgres.pool import Questions
from rating_engine.storage.postgres.transaction import Transaction

_ALL: Final = """
    SELECT m.party_id, p.login AS user, m.amount, m.since, m.next_month
    FROM minimum_spends m JOIN parties p USING (party_id)"""
_FIND: Final = f"{_ALL} WHERE m.party_id = $1"
# Of those that are there still, whose next month has begun and may have ended.
_DUE: Final = f"""
    {_ALL} WHERE m.next_month < $1 AND NOT p.hidden AND ($2::bigint IS NULL OR m.party_id > $2)
    ORDER BY m.party_id LIMIT $3"""
_PUT: Final = """
    INSERT INTO minimum_spends AS m (party_id, amount, since, next_month) VALUES ($1, $2, $3, $4)
    ON CONFLICT (party_id) DO UPDATE SET amount = EXCLUDED.amount, since = EXCLUDED.since,
        next_month = GREATEST(m.next_month, EXCLUDED.next_month)"""
_SETTLED: Final = """
    UPDATE minimum_spends SET next_month = $3 WHERE party_id = $1 AND next_month = $2"""
# A user's calls, and of a reseller those it was charged for. `$4`, `$5`: what one of each currency is in the system's.
_SPENT: Final = """
    SELECT COALESCE(sum(c.cost * x.rate), 0), COALESCE(bool_and(x.rate IS NOT NULL), true)
    FROM accounts a CROSS JOIN LATERAL (
        SELECT r.cost, r.currency FROM call_records r
        WHERE r.bucket = a.bucket AND r.account_id = a.account_id AND r.ended_at >= $2 AND r.ended_at < $3
        UNION ALL
        SELECT r.cost, r.currency FROM reseller_records r
        WHERE r.bucket = a.bucket AND r.account_id = a.account_id AND r.ended_at >= $2 AND r.ended_at < $3
    ) c LEFT JOIN unnest($4::text[], $5::numeric[]) AS x(currency, rate) ON x.currency = c.currency
    WHERE a.party_id = $1 AND a.purpose = 'party'"""


async def minimum_of(questions: Questions, party_id: int) -> MinimumSpend | None:
    """Of one user; None: there is none. Errors: Unavailable."""
    row = await questions.fetchrow(_FIND, party_id)
    return None if row is None else MinimumSpend(**row)


async def due_minimums(questions: Questions, today: date, after: int | None, limit: int) -> list[MinimumSpend]:
    """Those whose next month began before a day, in the order of their users. Errors: Unavailable."""
    return [MinimumSpend(**row) for row in await questions.fetch(_DUE, today, after, limit)]


async def put_minimum(tx: Transaction, party_id: int, amount: Decimal, since: date, next_month: date) -> None:
    """Of a user from now on; months that are settled stay so. Errors: Unavailable."""
    await tx.execute(_PUT, party_id, amount, since, next_month)


async def remove_minimum(tx: Transaction, party_id: int) -> None:
    """There is none from now on, of a month that was not settled neither. Errors: Unavailable."""
    await tx.execute("DELETE FROM minimum_spends WHERE party_id = $1", party_id)


async def note_settled(tx: Transaction, minimum: MinimumSpend, next_month: date) -> None:
    """Go on to a month, unless somebody has. Errors: Unavailable."""
    await tx.execute(_SETTLED, minimum.party_id, minimum.next_month, next_month)


async def spent_by_calls(
    questions: Questions, party_id: int, since: datetime, until: datetime, rates: Mapping[str, Decimal]
) -> Decimal | None:
    """What its calls cost, in the system's currency; None: a currency is not known in it. Errors: Unavailable."""
    row = await questions.fetchrow(_SPENT, party_id, since, until, list(rates), list(rates.values()))
    assert row is not None
    return row[0] if row[1] else None
