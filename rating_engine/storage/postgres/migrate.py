"""Creates or upgrades the schema; safe to repeat and to run from several machines at once.

Law: a database made by `schema.sql` and one upgraded through every file of `migrations/` are identical.
`migrations/NNNN_what.sql` takes a database from version NNNN - 1 to NNNN; `schema.sql` is the newest whole.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final

import asyncpg

from rating_engine.domain.errors import RatingEngineError, Unavailable
from rating_engine.storage.postgres.connecting import Connector

CONNECT_SECONDS: Final = 10.0  # a person waits, for a server that may be busy starting
FIRST_VERSION: Final = 1  # what schema.sql was before the first migration file
MIGRATION_LOCK: Final = 0x52415445  # "RATE": the advisory lock under which one machine at a time migrates
_FILE_NAME: Final = re.compile(r"^(\d{4})_[a-z0-9_]+\.sql$")


class SchemaTooNew(RatingEngineError):
    """The database was migrated by a newer engine than this one; upgrade this engine first."""

    code = "schema_too_new"


class MigrationFailed(RatingEngineError):
    """PostgreSQL refused a step, as when the role may not create tables; the database is as it was."""

    code = "migration_failed"


@dataclass(frozen=True, slots=True)
class MigrationReport:
    """Versions before and after; `before` is 0 for an empty database."""

    before: int
    after: int


def schema_sql() -> str:
    """The newest schema whole: packaged beside this module, or at the top of a source checkout."""
    packaged = files("rating_engine") / "schema.sql"
    if packaged.is_file():
        return packaged.read_text(encoding="utf-8")
    return (Path(__file__).parents[3] / "schema.sql").read_text(encoding="utf-8")


def migration_files() -> list[tuple[int, str]]:
    """Every upgrade step as (the version it leads to, its SQL), in order."""
    steps = [
        (int(name[1]), entry.read_text(encoding="utf-8"))
        for entry in (files("rating_engine.storage.postgres") / "migrations").iterdir()
        if (name := _FILE_NAME.match(entry.name))
    ]
    return sorted(steps)


def newest_version() -> int:
    """The schema version this engine works with."""
    steps = migration_files()
    return steps[-1][0] if steps else FIRST_VERSION


async def migrate(database_url: str) -> MigrationReport:
    """Bring the database at `database_url` to this engine's version, in one transaction.

    Errors: SchemaTooNew, Unavailable (not reachable, or no such role, password or database), MigrationFailed.
    """
    try:
        connection = await Connector(database_url, timeout_seconds=CONNECT_SECONDS).connect()
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise Unavailable(f"PostgreSQL cannot be reached: {str(error) or type(error).__name__}") from error
    try:
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock($1)", MIGRATION_LOCK)
            return await _migrate_locked(connection)
    except asyncpg.PostgresError as error:
        raise MigrationFailed(f"nothing was migrated: {error}") from error
    finally:
        await connection.close()


async def _migrate_locked(connection: asyncpg.Connection[asyncpg.Record]) -> MigrationReport:
    newest = newest_version()
    before = await schema_version(connection)
    if before > newest:
        raise SchemaTooNew(f"the database has schema version {before}, this engine knows {newest}")
    if before == 0:
        await connection.execute("CREATE TABLE schema_version (version integer NOT NULL)")
        await connection.execute("INSERT INTO schema_version VALUES ($1)", newest)
        await connection.execute(schema_sql())
    else:
        for version, sql in migration_files():
            if version > before:
                await connection.execute(sql)
        await connection.execute("UPDATE schema_version SET version = $1", newest)
    return MigrationReport(before=before, after=newest)


async def schema_version(connection: asyncpg.Connection[asyncpg.Record]) -> int:
    """The version of the schema in this database, 0 where there is none."""
    if await connection.fetchval("SELECT to_regclass('schema_version')") is None:
        return 0
    return int(await connection.fetchval("SELECT version FROM schema_version"))
