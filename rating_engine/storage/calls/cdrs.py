"""CDRs read for people: in pages, one whole, and summed up.

Laws: a question is bounded in time (`CdrFilter`), and asked of the office door. What serves it is the index by account
and end, and where no account is named the block ranges by end: every ended call would pay for one more index.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import asyncpg

from rating_engine.domain.cdr import CallSum, Cdr, CdrDetail, CdrFilter, Dimension, ResellerLine
from rating_engine.domain.errors import InvalidRequest, NotFound
from rating_engine.domain.outcomes import CallKey
from rating_engine.domain.page import Cursor, Page, page_of
from rating_engine.storage.calls.open_calls import key_from_row
from rating_engine.storage.parties.logins import place_of
from rating_engine.storage.parties.owners import accounts_below
from rating_engine.storage.postgres.pool import Questions

# Groups of one answer. A year of days by a hundred directions is 36,500: ask for less at a time, or by fewer things.
MAX_SUMS: Final = 10_000

CDR_COLUMNS: Final = """
    c.call_key, c.attempt, COALESCE(s.login, '') AS login, c.state::text, c.source, c.callerid,
    c.destination, c.direction, c.prefix, COALESCE(t.name, '') AS tariff, c.route_name AS route, c.seconds,
    c.billed_seconds, c.cost, c.currency, c.overrun, c.carrier_cost, c.carrier_currency, c.margin, c.disposition,
    c.cause, c.prepared_at, c.answered_at, c.ended_at, c.from_originate, c.source_address, c.originated_by, c.is_did"""
_JOINED: Final = """
    LEFT JOIN subscribers s USING (bucket, subscriber_id) LEFT JOIN tariffs t
      ON t.tariff_id = c.tariff_id"""
CDR_FROM: Final = f"FROM cdrs c {_JOINED}"
_ONE: Final = f"SELECT {CDR_COLUMNS}, c.rate {CDR_FROM} WHERE c.bucket = $1 AND c.call_key = $2"
_RESELLERS: Final = """
    SELECT COALESCE((SELECT s.login FROM subscribers s WHERE s.bucket = $1 AND s.account_id = r.account_id
                     ORDER BY s.subscriber_id LIMIT 1), '') AS account, COALESCE(t.name, '') AS tariff,
           r.billed_seconds, r.cost, r.currency, r.margin, COALESCE(f.rate, '') AS rate
    FROM reseller_records r LEFT JOIN frozen_rates f ON f.bucket = $1 AND f.rate_key = r.rate_key
    LEFT JOIN tariffs t ON t.tariff_id = r.tariff_id
    WHERE r.bucket = $1 AND r.call_key = $2 ORDER BY r.level
"""
_BUCKETS: Final = "SELECT bucket FROM cdrs WHERE bucket = ANY ($1) AND call_key = $2"

_GROUPS: Final = {
    Dimension.DAY: "(c.ended_at AT TIME ZONE $1)::date",
    Dimension.LOGIN: "COALESCE(s.login, '')",
    Dimension.DIRECTION: "c.direction",
    Dimension.ROUTE: "c.route_name",
    Dimension.CAUSE: "c.cause",
}
_SUMS: Final = """
    count(*) AS calls, count(*) FILTER (WHERE c.seconds > 0) AS answered, sum(c.seconds) AS seconds,
    sum(c.billed_seconds) AS billed_seconds, sum(c.cost) AS cost, count(c.margin) AS costed,
    COALESCE(sum(c.margin), 0) AS margin"""


async def list_cdrs(database: Questions, wanted: CdrFilter, cursor: Cursor) -> Page[Cdr]:
    """Ended calls, the latest first. Errors: NotFound (the login, owner), InvalidRequest (after), Unavailable."""
    clauses, arguments = await _conditions(database, wanted, [])
    ended_at, call_key = cursor.position(datetime, str)
    if ended_at is not None:
        arguments += [ended_at, call_key]
        clauses.append(f"(c.ended_at, c.call_key) < (${len(arguments) - 1}, ${len(arguments)})")
    rows = await database.fetch(
        f"SELECT {CDR_COLUMNS} {_lines_of(wanted)} WHERE {' AND '.join(clauses)}"  # made of constants
        f" ORDER BY c.ended_at DESC, c.call_key DESC LIMIT {cursor.rows}",
        *arguments,
    )
    return page_of([cdr_from_row(row) for row in rows], cursor, lambda cdr: (cdr.ended_at, str(cdr.call_key)))


async def find_cdr(database: Questions, call_key: CallKey, *, buckets: int) -> CdrDetail:
    """An ended call. Errors: NotFound (no call of this key has ended), Unavailable."""
    key = str(call_key)
    for bucket in await database.fetch(_BUCKETS, list(range(buckets)), key):
        row = await database.fetchrow(_ONE, bucket["bucket"], key)
        if row is not None:
            lines = await database.fetch(_RESELLERS, bucket["bucket"], key)
            return CdrDetail(cdr_from_row(row), row["rate"], tuple(ResellerLine(**line) for line in lines))
    raise NotFound(f"no call {key} has ended")


async def sum_calls(
    database: Questions, wanted: CdrFilter, dimensions: Sequence[Dimension], time_zone: str
) -> list[CallSum]:
    """Ended calls summed up by currency and `dimensions`, in their order; days are those of `time_zone`.

    Errors: NotFound (the login), InvalidRequest (dimensions: more than MAX_SUMS groups), Unavailable.
    """
    by_day = Dimension.DAY in dimensions
    clauses, arguments = await _conditions(database, wanted, [time_zone] if by_day else [])
    groups = {dimension.value: _GROUPS[dimension] for dimension in dimensions}
    columns = "".join(f"{expression} AS {name}, " for name, expression in groups.items())
    places = ", ".join(str(number) for number in range(1, len(groups) + 2))
    rows = await database.fetch(
        f"SELECT {columns} c.currency, {_SUMS} {_lines_of(wanted)} WHERE {' AND '.join(clauses)}"  # made of constants
        f" GROUP BY {places} ORDER BY {places} LIMIT {MAX_SUMS + 1}",
        *arguments,
    )
    if len(rows) > MAX_SUMS:
        raise InvalidRequest("dimensions", f"make more than {MAX_SUMS} groups: ask for less time, or by fewer of them")
    nothing = dict.fromkeys((dimension.value for dimension in Dimension), None)
    return [CallSum(**{**nothing, **row}) for row in rows]


def _lines_of(wanted: CdrFilter) -> str:
    """Of an account, what it was charged, as a reseller's too; else each call once, as its caller was charged."""
    return f"FROM cdr_lines c {_JOINED}" if wanted.account_of is not None and wanted.login is None else CDR_FROM


async def _conditions(database: Questions, wanted: CdrFilter, arguments: list[Any]) -> tuple[list[str], list[Any]]:
    """What WHERE says, only of what is asked: the planner sees no condition that is always true."""
    clauses: list[str] = []

    def add(clause: str, *values: Any) -> None:
        first = len(arguments) + 1
        arguments.extend(values)
        clauses.append(clause.format(*(f"${number}" for number in range(first, len(arguments) + 1))))

    add("c.ended_at >= {} AND c.ended_at < {}", wanted.since, wanted.until)
    for login, column in ((wanted.account_of, None), (wanted.login, "subscriber_id")):
        if login is None:
            continue
        place = await place_of(database, login)
        add("c.bucket = {} AND c.account_id = {}", place.bucket, place.account_id)
        if column is not None:
            add("c.subscriber_id = {}", place.subscriber_id)
    if wanted.owner is not None:
        add("c.account_id = ANY ({})", await accounts_below(database, wanted.owner))
    for clause, value in (
        ("c.direction = {}", wanted.direction),
        ("starts_with(c.destination, {})", wanted.prefix),
        ("c.route_name = {}", wanted.route),
        ("(c.seconds > 0) = {}", wanted.answered),
    ):
        if value is not None:
            add(clause, value)
    return clauses, arguments


def cdr_from_row(row: asyncpg.Record) -> Cdr:
    """An ended call from a row of CDR_COLUMNS."""
    values = {name: row[name] for name in Cdr.__dataclass_fields__ if name != "call_key"}
    return Cdr(call_key=key_from_row(row), **values)
