"""The totals of a database, all of one moment."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

import asyncpg

from rating_engine.domain.errors import Unavailable
from rating_engine.domain.totals import Totals
from rating_engine.storage.postgres.connecting import Connector
from rating_engine.storage.postgres.pool import Database

TIMEOUT_SECONDS: Final = 600.0  # whole tables are counted

_COUNTS: Final = """
    SELECT (SELECT count(*) FROM accounts) AS accounts, (SELECT count(*) FROM subscribers) AS logins,
           (SELECT count(*) FROM tariffs) AS tariffs, (SELECT count(*) FROM rates) AS rates,
           (SELECT count(*) FROM open_calls) AS open_calls, (SELECT count(*) FROM call_records) AS ended_calls,
           (SELECT count(*) FROM ledger_entries) AS ledger_entries,
           (SELECT array_agg((currency, balance, held) ORDER BY currency) FROM (
               SELECT currency, sum(balance) AS balance, sum(reserved) AS held FROM accounts GROUP BY 1) s) AS money
"""
_TABLES: Final = """
    SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p', 'v', 'm', 'S')
"""


async def totals_of(database: Database) -> Totals:
    """What there is. Errors: Unavailable."""
    async with database.connection() as connection:
        row = await connection.fetchrow(_COUNTS, timeout=TIMEOUT_SECONDS)
    assert row is not None
    values: dict[str, Any] = dict(row)
    money = values.pop("money") or []
    return Totals(
        **values,
        balances={currency: Decimal(balance) for currency, balance, _ in money},
        held={currency: Decimal(held) for currency, _, held in money},
    )


async def tables_at(database_url: str, *, connect_seconds: float) -> int:
    """How many tables, views and sequences a database has. Errors: Unavailable (not reachable, no such role, password
    or database).
    """
    try:
        connection = await Connector(database_url, timeout_seconds=connect_seconds).connect()
        try:
            return int(await connection.fetchval(_TABLES))
        finally:
            await connection.close()
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        raise Unavailable(f"PostgreSQL cannot be reached: {str(error) or type(error).__name__}") from error
