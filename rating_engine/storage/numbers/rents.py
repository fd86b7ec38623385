"""The money of numbers: which account pays, a fee taken once, and which rents are due."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final, NamedTuple

from rating_engine.storage.audit_log import Note
from rating_engine.storage.postgres.pool import Questions

# As services/parties/accounts.lines: the line with the owner's own name first, then the oldest.
_PAYER: Final = """
    SELECT s.bucket, s.account_id, s.login, a.currency, t.did_multiplier
    FROM subscribers s JOIN accounts a USING (bucket, account_id) JOIN parties p ON p.party_id = s.party_id
    JOIN tariffs t ON t.tariff_id = s.tariff_id
    WHERE s.party_id = $1 AND ($2::text IS NULL OR s.login = $2) AND a.closed_at IS NULL
      AND a.purpose = 'party'
    ORDER BY s.login <> p.login, s.subscriber_id LIMIT 1"""
_TAKE: Final = "SELECT take_fee_v1($1, $2, $3, $4, $5, $6)"
_DUE: Final = """
    SELECT number FROM dids
    WHERE state IN ('active', 'unpaid') AND paid_to <= $1 AND ($2::text IS NULL OR number > $2)
    ORDER BY number LIMIT $3"""
_STUCK: Final = "SELECT number FROM dids WHERE state = 'ordered' AND ordered_at < $1 ORDER BY number LIMIT $2"
_ENDING: Final = """
    SELECT d.number FROM dids d LEFT JOIN parties p USING (party_id)
    WHERE d.state = 'active' AND d.notified_at IS NULL
      AND d.paid_to <= $1::timestamptz + CASE WHEN p.notify_did > 0 THEN make_interval(days => p.notify_did) ELSE $2 END
    ORDER BY d.number LIMIT $3"""


class Payer(NamedTuple):
    """The line that pays for a number, its account, and what its tariff makes of the price."""

    bucket: int
    account_id: int
    login: str
    currency: str
    did_multiplier: Decimal


class Taken(StrEnum):
    """What became of a fee: taken now or before; not there; or there is no account that could pay."""

    POSTED = "posted"
    REPEATED = "repeated"
    NOT_THERE = "not_there"
    UNKNOWN = "unknown"


async def payer_of(questions: Questions, party_id: int, line: str | None) -> Payer | None:
    """Who pays for a number of a party; None: it has no line that could. Errors: Unavailable."""
    row = await questions.fetchrow(_PAYER, party_id, line)
    return None if row is None else Payer(*row)


async def take_fee(questions: Questions, payer: Payer, fee: Decimal, reference: str, subject: str, note: Note) -> Taken:
    """Take a fee (below zero: give one back) once per reference. Errors: Unavailable."""
    return await take_fee_of(questions, payer.bucket, payer.account_id, fee, reference, subject, note)


async def take_fee_of(
    questions: Questions, bucket: int, account_id: int, fee: Decimal, reference: str, subject: str, note: Note
) -> Taken:
    """The same of an account that has no line. Errors: Unavailable."""
    answer = await questions.fetchval(_TAKE, bucket, account_id, fee, reference, subject, note)
    return Taken(answer["outcome"])


async def due_rents(questions: Questions, until: datetime, after: str | None, limit: int) -> Sequence[str]:
    """Numbers whose paid month ends by then, in their order. Errors: Unavailable."""
    return [row["number"] for row in await questions.fetch(_DUE, until, after, limit)]


async def stuck_orders(questions: Questions, before: datetime, limit: int) -> Sequence[str]:
    """Numbers whose order was begun before and not ended. Errors: Unavailable."""
    return [row["number"] for row in await questions.fetch(_STUCK, before, limit)]


async def ending_rents(questions: Questions, now: datetime, notice: timedelta, limit: int) -> Sequence[str]:
    """Numbers whose owners are to be told that the paid month ends: by their own days, else `notice` before."""
    return [row["number"] for row in await questions.fetch(_ENDING, now, notice, limit)]
