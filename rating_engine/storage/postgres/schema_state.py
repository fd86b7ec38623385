"""Which schema a database has, and whether it is the one this engine works with.

Law: a mixed schema (tables of one version, functions of another; functions or triggers changed by hand) is found, and
said with what to do about it. `schema_version` is the history: a row for every step, every run of the functions, and
every time the last release's were taken away. The newest row says how it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from rating_engine.domain.errors import Hint, RatingEngineError
from rating_engine.storage.postgres.connecting import Connection
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.postgres.release import FIRST_VERSION, Release, shipped

MIGRATE: Final = "migrate the database"
START_IT: Final = "start that engine"

# `version`: of the tables. `functions`: the checksum of part two of schema.sql as it was run. `fingerprint`: what that
# made in the catalogue. `keeps`: the oldest version whose engines it still serves.
HISTORY: Final = """
    CREATE TABLE schema_version (
        version      integer NOT NULL,
        name         text NOT NULL,
        engine       text NOT NULL,
        functions    text NOT NULL,
        fingerprint  text NOT NULL,
        keeps        integer NOT NULL,
        applied_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
        applied      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY
    )
"""
# It was one column of one row before there was a step.
HISTORY_OF_FIRST: Final = """
    ALTER TABLE schema_version
        ADD COLUMN name         text NOT NULL DEFAULT 'first',
        ADD COLUMN engine       text NOT NULL DEFAULT '',
        ADD COLUMN functions    text NOT NULL DEFAULT '',
        ADD COLUMN fingerprint  text NOT NULL DEFAULT '',
        ADD COLUMN keeps        integer NOT NULL DEFAULT 1,
        ADD COLUMN applied_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
        ADD COLUMN applied      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY;
    ALTER TABLE schema_version ALTER COLUMN name DROP DEFAULT, ALTER COLUMN engine DROP DEFAULT,
        ALTER COLUMN functions DROP DEFAULT, ALTER COLUMN fingerprint DROP DEFAULT, ALTER COLUMN keeps DROP DEFAULT
"""
_COLUMNS: Final = """
    SELECT array_agg(attname::text) FROM pg_attribute
    WHERE attrelid = to_regclass('schema_version') AND attnum > 0 AND NOT attisdropped
"""
_NEWEST: Final = """
    SELECT version, engine, functions, fingerprint, keeps FROM schema_version ORDER BY applied DESC LIMIT 1
"""
# Only what part two makes: an operator's own functions and triggers beside it are no business of ours.
FINGERPRINT: Final = """
    WITH place AS (
        SELECT relnamespace AS oid FROM pg_class WHERE oid = to_regclass('schema_version')
    ), part AS (
        SELECT format('%s %s %s %s', proname, pronargs, proconfig, md5(prosrc)) AS text
        FROM pg_proc p JOIN place ON p.pronamespace = place.oid WHERE proname = ANY ($1::text[])
        UNION ALL
        SELECT format('%s %s %s %s', tgname, c.relname, t.tgenabled, p.proname)
        FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN place ON c.relnamespace = place.oid
        JOIN pg_proc p ON p.oid = t.tgfoid
        WHERE NOT t.tgisinternal AND t.tgparentid = 0 AND tgname = ANY ($2::text[])
    )
    SELECT md5(COALESCE(string_agg(text, '|' ORDER BY text COLLATE "C"), '')) FROM part
"""


_EMPTIED: Final = (
    "the table schema_version is empty, so which schema this is cannot be known: put its rows back from a backup"
)


class SchemaUnreadable(RatingEngineError):
    """The table schema_version doesn't say which schema this is; nothing is done to such a database."""

    code = "schema_unreadable"


@dataclass(frozen=True, slots=True)
class SchemaProblem:
    """What is wrong, and how to mend it. `goes_on`: calls are served all the same."""

    what: str
    mend: str
    goes_on: bool = False

    @property
    def hint(self) -> Hint | None:
        """Where this engine itself can mend it."""
        return Hint.RUN_MIGRATE if self.mend == MIGRATE else None

    def __str__(self) -> str:
        return f"{self.what}; {self.mend}"


@dataclass(frozen=True, slots=True)
class SchemaState:
    """What a database's history says; version 0: there is no schema. `found` is its fingerprint as it is now."""

    version: int
    engine: str = ""
    functions: str = ""
    fingerprint: str = ""
    keeps: int = 0
    found: str = ""

    def problem(self, release: Release) -> SchemaProblem | None:
        """Why this is not the schema that engines of a release work with, or None."""
        newest = release.version
        if self.version == 0:
            return SchemaProblem("there is no schema", MIGRATE)
        if self.version < newest:
            return SchemaProblem(f"the schema has version {self.version}, this engine needs {newest}", MIGRATE)
        if self.version > newest:
            what = f"the schema has version {self.version} (of engine {self.engine}), this engine knows {newest}"
            if self.keeps <= newest:
                return SchemaProblem(f"{what}: calls go on until that engine takes over", START_IT, goes_on=True)
            return SchemaProblem(what, START_IT)
        if self.functions != release.checksum:
            of = self.engine or "unknown"
            return SchemaProblem(f"the schema's functions are those of another build (engine {of})", MIGRATE)
        if self.fingerprint != self.found:
            return SchemaProblem("functions or triggers of the schema were changed since it was migrated", MIGRATE)
        return None


def engine_version() -> str:
    """The version of this program, as the history names it."""
    try:
        return version("rating-engine")
    except PackageNotFoundError:  # run from a checkout that was never installed
        return "unknown"


async def read_state(connection: Connection, release: Release) -> SchemaState:
    """The state of this database's schema, its fingerprint taken of what `release` makes.

    Errors: SchemaUnreadable, and what asyncpg raises.
    """
    columns = await connection.fetchval(_COLUMNS)
    if columns is None:
        return SchemaState(0)
    if "version" not in columns:
        raise SchemaUnreadable("the table schema_version is not the engine's: it has no column version")
    if "applied" not in columns:
        return await _state_of_first(connection)
    row = await connection.fetchrow(_NEWEST)
    if row is None:
        raise SchemaUnreadable(_EMPTIED)
    return SchemaState(**row, found=await fingerprint(connection, release))


async def fingerprint(connection: Connection, release: Release) -> str:
    """A checksum of the functions and triggers that a release makes, as they are in this database."""
    return str(await connection.fetchval(FINGERPRINT, release.names("FUNCTION"), release.names("TRIGGER")))


async def problem_of(database: Database) -> SchemaProblem | None:
    """Why this database's schema is not this engine's, or None. Errors: Unavailable."""
    async with database.connection() as connection:
        try:
            state = await read_state(connection, shipped())
        except SchemaUnreadable as error:
            return SchemaProblem(str(error), "until then nothing is sure")
    return state.problem(shipped())


async def _state_of_first(connection: Connection) -> SchemaState:
    rows = await connection.fetch("SELECT version::text FROM schema_version LIMIT 2")
    if not rows:
        raise SchemaUnreadable(_EMPTIED)
    if len(rows) > 1 or rows[0]["version"] != str(FIRST_VERSION):
        said = ", ".join(str(row["version"]) for row in rows)
        raise SchemaUnreadable(f"the table schema_version says {said}, which no release of this engine wrote")
    return SchemaState(FIRST_VERSION, keeps=FIRST_VERSION)
