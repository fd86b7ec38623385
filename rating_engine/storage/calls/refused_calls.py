"""Calls that lists have kept out: the last MOST_KEPT of a month, written down many at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import asyncpg

from rating_engine.domain.outcomes import DeclineReason
from rating_engine.domain.page import Cursor, Page, page_of_rows
from rating_engine.domain.refused_call import RefusedCall, RefusedCallFilter
from rating_engine.storage.postgres.pool import Database, Questions

MOST_KEPT: Final = 100_000  # some 20 MB, whoever tries how many numbers
DAYS_KEPT: Final = 30

_KEEP: Final = f"""
    WITH gone AS (
        DELETE FROM refused_calls WHERE at < now() - interval '{DAYS_KEPT} days'
           OR refused_id <= (SELECT max(refused_id) FROM refused_calls) - {MOST_KEPT})
    INSERT INTO refused_calls (at, call_key, login, callerid, number, reason, cause)
    SELECT * FROM unnest($1::timestamptz[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::integer[])
"""  # noqa: S608  # constants
_LIST: Final = """
    SELECT refused_id, at, call_key, login, callerid, number, reason, cause FROM refused_calls
    WHERE ($1::bigint IS NULL OR refused_id < $1) AND ($2::text IS NULL OR login = $2)
      AND ($3::text IS NULL OR $3 IN (number, callerid))
    ORDER BY refused_id DESC LIMIT $4"""


async def keep_refused(database: Database, calls: Sequence[RefusedCall]) -> None:
    """Write them down; what is too old, or too many, is gone. Errors: Unavailable."""
    rows = [(c.at, c.call_key, c.login, c.callerid, c.number, c.reason.value, c.cause) for c in calls]
    await database.fetch(_KEEP, *map(list, zip(*rows, strict=True)))


async def list_refused(questions: Questions, wanted: RefusedCallFilter, cursor: Cursor) -> Page[RefusedCall]:
    """The latest first. Errors: InvalidRequest (after), Unavailable."""
    rows = await questions.fetch(_LIST, *cursor.position(int), wanted.login, wanted.number, cursor.rows)
    return page_of_rows(rows, cursor, lambda row: (row["refused_id"],), _refused)


def _refused(row: asyncpg.Record) -> RefusedCall:
    reason = DeclineReason(row["reason"])
    who = (row["login"], row["callerid"], row["number"])
    return RefusedCall(row["at"], row["call_key"], *who, reason, row["cause"])
