"""The calls of a user's lines in a span of time, counted and in portions, by how they ended.

Law: a call is of the moment that it began; the index is by when it ended, and no call lasts longer than LONGEST.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from rating_engine.domain.cdr import CallReport, Disposition
from rating_engine.storage.calls.cdrs import CDR_COLUMNS, CDR_FROM, cdr_from_row
from rating_engine.storage.postgres.pool import Questions

LONGEST: Final = timedelta(days=31)

_LINES: Final = "SELECT DISTINCT bucket, account_id, subscriber_id FROM subscribers WHERE party_id = $1"
_DISPOSITION: Final = """CASE
    WHEN c.seconds > 0 OR c.disposition = 'ANSWER' THEN 'ANSWERED' WHEN c.disposition = 'BUSY' THEN 'BUSY'
    WHEN c.disposition IN ('NOANSWER', 'CANCEL', 'DONTCALL', 'TORTURE', '') THEN 'NO ANSWER' ELSE 'FAILED' END"""
_WHERE: Final = f"""
    WHERE c.bucket = ANY ($1) AND c.account_id = ANY ($2) AND c.subscriber_id = ANY ($3) AND c.ended_at >= $4
      AND c.ended_at < $5 AND c.prepared_at >= $4 AND c.prepared_at < $6
      AND ($7::timestamptz IS NULL OR c.ended_at >= $7)
      AND ($8::text IS NULL OR {_DISPOSITION} = $8)"""
_COUNT: Final = f"SELECT count(*) AS count, COALESCE(sum(c.seconds), 0) AS seconds {CDR_FROM} {_WHERE}"
_SOME: Final = f"""
    SELECT {CDR_COLUMNS} {CDR_FROM} {_WHERE} ORDER BY c.prepared_at, c.call_key OFFSET $9 LIMIT $10"""


async def report_calls(
    questions: Questions, party_id: int, since: datetime, until: datetime, *, hidden_before: datetime | None,
    ended: Disposition | None, start: int, limit: int,
) -> CallReport:  # fmt: skip
    """Calls that began in [since, until), the first first. Errors: Unavailable."""
    lines = await questions.fetch(_LINES, party_id)
    if not lines:
        return CallReport(0, 0, ())
    of = [sorted({row[name] for row in lines}) for name in ("bucket", "account_id", "subscriber_id")]
    asked: tuple[Any, ...] = (*of, since, until + LONGEST, until, hidden_before, ended)
    counted = await questions.fetchrow(_COUNT, *asked)
    assert counted is not None
    rows = await questions.fetch(_SOME, *asked, start, limit)
    return CallReport(int(counted["count"]), int(counted["seconds"]), tuple(map(cdr_from_row, rows)))
