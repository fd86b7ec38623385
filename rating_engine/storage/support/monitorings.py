"""Monitorings, and whom they have caught."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple

import asyncpg

from rating_engine.domain.errors import NotFound
from rating_engine.domain.monitoring import Monitoring, NewMonitoring, Watched
from rating_engine.storage.postgres.columns import assignments
from rating_engine.storage.postgres.pool import Questions
from rating_engine.storage.postgres.transaction import Transaction

CHANGEABLE: Final = ("enabled", "block", "users")

_ALL: Final = "SELECT monitoring_id, amount, minutes, watched, block, users, enabled FROM monitorings"
_FIND: Final = f"{_ALL} WHERE monitoring_id = $1"
_LIST: Final = f"{_ALL} ORDER BY monitoring_id"
_ADD: Final = """
    INSERT INTO monitorings (amount, minutes, watched, block, users) VALUES ($1, $2, $3, $4, $5)
    RETURNING monitoring_id"""
_UNKNOWN: Final = """
    SELECT u FROM unnest($1::bigint[]) AS u
    WHERE NOT EXISTS (SELECT FROM parties p WHERE p.party_id = u AND p.party_id <> 1 AND NOT p.hidden) LIMIT 1"""
# What has been counted against somebody once counts no more, so who is let go starts anew. `$5`, `$6`: what one of each
# currency is in the system's.
_ABOVE: Final = """
    SELECT p.party_id, p.login, sum(r.cost * x.rate) AS spent, max(r.ended_at) AS counted_to
    FROM call_records r JOIN accounts a ON a.bucket = r.bucket AND a.account_id = r.account_id
    JOIN parties p ON p.party_id = a.party_id
    JOIN unnest($5::text[], $6::numeric[]) AS x(currency, rate) ON x.currency = r.currency
    LEFT JOIN monitoring_catches c ON c.monitoring_id = $1 AND c.party_id = p.party_id
    WHERE r.ended_at > $2 AND (c.counted_to IS NULL OR r.ended_at > c.counted_to)
      AND p.party_id <> 1 AND NOT p.hidden AND p.status IN ('active', 'protected') AND a.purpose = 'party'
      AND ($3 = 'all' OR a.kind::text = $3) AND (cardinality($4::bigint[]) = 0 OR p.party_id = ANY($4))
    GROUP BY p.party_id HAVING sum(r.cost * x.rate) > $7 ORDER BY p.party_id LIMIT $8"""
_CATCH: Final = """
    INSERT INTO monitoring_catches AS c (monitoring_id, party_id, counted_to)
    SELECT monitoring_id, $2, $3 FROM monitorings WHERE monitoring_id = $1 AND enabled
    ON CONFLICT (monitoring_id, party_id) DO UPDATE SET counted_to = EXCLUDED.counted_to
    WHERE c.counted_to < EXCLUDED.counted_to
    RETURNING true"""
_BLOCK: Final = """
    UPDATE parties SET status = 'all_blocked' WHERE party_id = $1 AND status = 'active' RETURNING true"""
# To who was caught, and to who owns it.
_TELL: Final = """
    INSERT INTO mails (party_id, recipient, subject, body)
    SELECT m.party_id, m.notify_email, $2, $3 FROM parties p JOIN parties m ON m.party_id IN (p.party_id, p.owner_id)
    WHERE p.party_id = $1 AND m.notify_email <> '' AND NOT m.hidden"""


class Caught(NamedTuple):
    """Who has spent more, in the system's currency; `counted_to`: the end of the last of these calls."""

    party_id: int
    login: str
    spent: Decimal
    counted_to: datetime


async def find_monitoring(questions: Questions, number: int) -> Monitoring:
    """One of them. Errors: NotFound, Unavailable."""
    row = await questions.fetchrow(_FIND, number)
    if row is None:
        raise NotFound(f"there is no monitoring {number}", field="monitoring_id")
    return _from_row(row)


async def list_monitorings(questions: Questions) -> list[Monitoring]:
    """All of them, the oldest first. Errors: Unavailable."""
    return [_from_row(row) for row in await questions.fetch(_LIST)]


async def add_monitoring(tx: Transaction, new: NewMonitoring) -> int:
    """Its number. Errors: Unavailable."""
    return int(await tx.fetchval(_ADD, new.amount, new.minutes, new.watched.value, new.block, list(new.users)))


async def change_monitoring(tx: Transaction, number: int, values: Mapping[str, Any]) -> None:
    """Set these columns. Errors: Unavailable."""
    if values:
        changes = assignments(CHANGEABLE, values, first=2)
        await tx.execute(
            f"UPDATE monitorings SET {changes} WHERE monitoring_id = $1",  # noqa: S608  # names of columns
            number, *values.values(),
        )  # fmt: skip


async def remove_monitoring(tx: Transaction, number: int) -> None:
    """With what it has caught. Errors: Unavailable."""
    await tx.execute("DELETE FROM monitoring_catches WHERE monitoring_id = $1", number)
    await tx.execute("DELETE FROM monitorings WHERE monitoring_id = $1", number)


async def unknown_user(questions: Questions, users: Collection[int]) -> int | None:
    """One of these numbers that no user has. Errors: Unavailable."""
    found: int | None = await questions.fetchval(_UNKNOWN, list(users))
    return found


async def above(
    questions: Questions, watch: Monitoring, since: datetime, rates: Mapping[str, Decimal], most: int
) -> list[Caught]:
    """Who has spent more than its amount by calls that ended after `since`. Errors: Unavailable."""
    rows = await questions.fetch(
        _ABOVE, watch.monitoring_id, since, watch.watched.value, list(watch.users), list(rates), list(rates.values()),
        watch.amount, most,
    )  # fmt: skip
    return [Caught(*row) for row in rows]


async def catch(tx: Transaction, number: int, caught: Caught) -> bool:
    """Say that these calls are counted; False: somebody has, or it was switched off. Errors: Unavailable."""
    return bool(await tx.fetchval(_CATCH, number, caught.party_id, caught.counted_to))


async def block(tx: Transaction, party_id: int) -> bool:
    """Block who is active; False: it is protected, or blocked already. Errors: Unavailable."""
    return bool(await tx.fetchval(_BLOCK, party_id))


async def tell(tx: Transaction, party_id: int, subject: str, body: str) -> None:
    """Mail to it and to its owner, where they have an address. Errors: Unavailable."""
    await tx.execute(_TELL, party_id, subject, body)


def _from_row(row: asyncpg.Record) -> Monitoring:
    return Monitoring(**{**row, "watched": Watched(row["watched"]), "users": tuple(row["users"])})
