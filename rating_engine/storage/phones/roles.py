"""Roles of the database that read the phones of an exchange by its views, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import asyncpg

from rating_engine.domain.errors import Refused
from rating_engine.storage.postgres.pool import Questions
from rating_engine.storage.postgres.transaction import Transaction

VIEWS: Final = ("ps_endpoints", "ps_auths", "ps_aors", "ps_endpoint_id_ips")
CONNECTIONS: Final = 20  # of one exchange: res_config_pgsql has one, an ODBC pool some

# Names are quoted by the server. NOINHERIT and no membership: it has what is granted here, and no more.
_STATEMENTS: Final = """
    SELECT unnest(ARRAY[
        format('%s ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS NOINHERIT'
               ' CONNECTION LIMIT %s PASSWORD %L',
               CASE WHEN EXISTS (SELECT FROM pg_roles WHERE rolname = $1) THEN 'ALTER' ELSE 'CREATE' END, $1::name,
               $3::integer, $2::text),
        format('ALTER ROLE %I SET statement_timeout = %L', $1::name, '5s'),
        format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), $1::name),
        format('GRANT USAGE ON SCHEMA public TO %I', $1::name),
        format('GRANT SELECT ON %s TO %I', $4::text, $1::name)]) AS statement
"""
_IS_MORE: Final = "SELECT rolsuper OR rolcreaterole OR rolname = current_user FROM pg_roles WHERE rolname = $1"


async def statements_of(questions: Questions, role: str, verifier: str) -> tuple[str, ...]:
    """What makes such a role, or makes one that is there such a role. Errors: Refused (it is more), Unavailable."""
    if await questions.fetchval(_IS_MORE, role):
        raise Refused(f"the role {role} is there and may do more than reading phones; take another name", field="role")
    rows = await questions.fetch(_STATEMENTS, role, verifier, CONNECTIONS, ", ".join(VIEWS))
    return tuple(row["statement"] for row in rows)


async def run(tx: Transaction, statements: Sequence[str]) -> None:
    """Make it. Errors: Refused (who asks may make no roles), Unavailable."""
    try:
        for statement in statements:
            await tx.execute(statement)
    except asyncpg.InsufficientPrivilegeError:
        raise Refused(
            "the engine's own role of the database may make no roles: take --sql, and run that as one that may",
            field="role",
        ) from None
