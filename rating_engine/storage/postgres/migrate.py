"""Creates or upgrades the schema; safe to repeat, to run from several machines at once, and while engines serve calls.

Laws: a database made by `schema.sql` and one upgraded through every step of `migrations/` are identical; what was begun
and cut off goes on where it was; no step keeps calls waiting for longer than LOCK_SECONDS, whoever holds the lock it
needs; a schema that is not understood is left alone.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import asyncpg

from rating_engine.domain.errors import RatingEngineError, Unavailable
from rating_engine.storage.postgres.connecting import SERVER_SETTINGS, Connection, Connector
from rating_engine.storage.postgres.lock_waits import LockWaits
from rating_engine.storage.postgres.release import Mode, Release, Step, shipped, statements
from rating_engine.storage.postgres.schema_state import (
    HISTORY,
    HISTORY_OF_FIRST,
    SchemaState,
    engine_version,
    fingerprint,
    read_state,
)
from rating_engine.storage.postgres.type_shapes import is_there

CONNECT_SECONDS: Final = 10.0  # a person waits, for a server that may be busy starting
MIGRATION_LOCK: Final = 0x52415445  # "RATE": the advisory lock under which one machine at a time migrates
TURN_SECONDS: Final = 0.5  # how soon the next of several machines sees that it is its turn
# While a step waits for a table, everybody who comes after it waits too: a quarter of a call's deadline. Now and then
# it waits for longer than deadlock_timeout (1 s), after which PostgreSQL takes an autovacuum out of the way.
LOCK_SECONDS: Final = 0.5
LOCK_LONG_SECONDS: Final = 1.2
LOCK_LONG_EVERY: Final = 5
LOCK_TRIES: Final = 60
LOCK_PAUSE_SECONDS: Final = 1.0  # calls catch up in between; all tries together last a minute and a half
BATCH_SHARE: Final = 1.0  # a step in batches rests as long as it worked: half of the server is left to calls
PROGRESS_SECONDS: Final = 5.0

Progress = Callable[[str], None]

_SESSION: Final = "SET statement_timeout = 0; SET lock_timeout = 0; SET idle_in_transaction_session_timeout = 0"
# On a cluster a statement that changes tables goes to one node after the other, or it waits for itself.
_SEQUENTIAL: Final = """
    SELECT set_config('citus.multi_shard_modify_mode', 'sequential', true) FROM pg_extension WHERE extname = 'citus'
"""
_WRITE: Final = """
    INSERT INTO schema_version (version, name, engine, functions, fingerprint, keeps) VALUES ($1, $2, $3, $4, $5, $6)
"""


class SchemaTooNew(RatingEngineError):
    """The database was migrated by a newer engine than this one; upgrade this engine first."""

    code = "schema_too_new"


class MigrationFailed(RatingEngineError):
    """PostgreSQL refused a step, as when the role may not create tables; the steps before it are done."""

    code = "migration_failed"


@dataclass(frozen=True, slots=True)
class MigrationReport:
    """Versions before and after; `before` is 0 for an empty database.

    `renewed`: whether functions were run again over tables that stayed. `dropped`: whether what the last release needs
    was taken away. `keeps`: the oldest version whose engines are served; below `after`, something is kept for them.
    """

    before: int
    after: int
    renewed: bool
    dropped: bool
    keeps: int


async def migrate(
    database_url: str,
    *,
    drop_previous: bool = False,
    on_progress: Progress = lambda text: None,
    release: Release | None = None,
) -> MigrationReport:
    """Bring the database at `database_url` to a release, this engine's own; engines of the last one go on meanwhile.

    `drop_previous`: take away what only engines of the last release need; they decline every call from then on.
    Errors: SchemaTooNew, SchemaUnreadable, Unavailable (not reachable, or no such role, password or database),
    MigrationFailed.
    """
    connector = Connector(database_url, timeout_seconds=CONNECT_SECONDS)
    settings = {**SERVER_SETTINGS, "application_name": "rating-engine migrate"}
    try:
        connection = await connector.connect(server_settings=settings)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise Unavailable(f"PostgreSQL cannot be reached: {str(error) or type(error).__name__}") from error
    waits = LockWaits(connector, connection.get_server_pid())
    migration = _Migration(connection, release or shipped(), waits, on_progress)
    try:
        return await migration.run(drop_previous)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise MigrationFailed(f"{migration.how_far()}: {str(error) or type(error).__name__}") from error
    finally:
        await connection.close()


class _Migration:
    """One run, by one connection; `state` is kept as the history says it after every step."""

    def __init__(self, connection: Connection, release: Release, waits: LockWaits, on_progress: Progress) -> None:
        self._connection = connection
        self._release = release
        self._waits = waits
        self._say = on_progress
        self._renewed = self._dropped = False
        self._at = "nothing was migrated"
        self.state = SchemaState(0)

    def how_far(self) -> str:
        """What is done, for an error."""
        return self._at

    async def run(self, drop_previous: bool) -> MigrationReport:
        await self._connection.execute(_SESSION)
        await self._take_turn()
        self.state = await read_state(self._connection, self._release)
        before = self.state.version
        newest = self._release.version
        if before > newest:
            raise SchemaTooNew(f"the database has schema version {before}, this engine knows {newest}")
        if before == 0:
            await self._in_transaction("the schema", self._create)
        else:
            await self._upgrade()
        if drop_previous and self.state.keeps < self.state.version:
            await self._in_transaction("what the last release needs", self._drop_previous)
        return MigrationReport(before, self.state.version, self._renewed, self._dropped, self.state.keeps)

    async def _take_turn(self) -> None:
        """Wait until no other machine migrates.

        Asked again and again: one statement that waits would hold a snapshot, for whose end the other machine's CREATE
        INDEX CONCURRENTLY waits in turn.
        """
        while True:
            if await self._connection.fetchval("SELECT pg_try_advisory_lock($1)", MIGRATION_LOCK):
                return
            await asyncio.sleep(TURN_SECONDS)

    async def _create(self) -> None:
        await self._connection.execute(HISTORY)
        await self._connection.execute(self._release.schema)
        await self._note(self._release.version, "schema", functions=True, keeps=self._release.version)

    async def _upgrade(self) -> None:
        if not self.state.functions:  # of the time before there was a history, or of functions that were never run
            await self._in_transaction("schema_version", self._begin_history)
        if self.state.keeps < self.state.version and self.state.keeps not in self._release.kept:
            await self._in_transaction("what an older release needs", self._drop_previous)
        pending = [step for step in self._release.steps if step.version > self.state.version]
        over = max((step.version for step in pending if step.with_functions), default=0)
        for step in pending:
            self._say(f"{step.version:04} {step.name.replace('_', ' ')}")
            await self._run_step(step, with_functions=step.version == over)
        if self.state.problem(self._release) is not None:
            await self._in_transaction("functions", self._renew_functions)

    async def _begin_history(self) -> None:
        columns = "SELECT 1 FROM pg_attribute WHERE attrelid = 'schema_version'::regclass AND attname = 'applied'"
        if not await self._connection.fetchval(columns):
            await self._connection.execute(HISTORY_OF_FIRST)

    async def _run_step(self, step: Step, *, with_functions: bool) -> None:
        what = f"step {step.version:04} {step.name}"
        if step.mode is Mode.TRANSACTION:

            async def change() -> None:
                await self._connection.execute(step.sql)
                await self._done(step, with_functions)

            await self._in_transaction(what, change)
            return
        if step.mode is Mode.STATEMENTS:
            for statement in statements(step.sql):
                await self._connection.execute(statement)
        else:
            await self._in_batches(step, what)
        await self._in_transaction(what, lambda: self._done(step, with_functions))

    async def _done(self, step: Step, with_functions: bool) -> None:
        keeps = self.state.keeps
        if with_functions:
            for later in self._release.steps:
                if later.for_functions and later.version > step.version:
                    await self._connection.execute(later.sql)
            keeps = await self._run_functions(step.version)
        await self._note(step.version, step.name, functions=with_functions, keeps=keeps)

    async def _renew_functions(self) -> None:
        keeps = await self._run_functions(self.state.version)
        await self._note(self.state.version, "functions", functions=True, keeps=keeps)
        self._renewed = True

    async def _run_functions(self, version: int) -> int:
        """Run part two, and what engines of the last release need beside it; the oldest version that is served."""
        await self._repeat(self._release.functions)
        kept = self._release.kept.get(self.state.keeps) if self.state.keeps < version else None
        if kept is None:
            return version
        await self._repeat(kept)
        return self.state.keeps

    async def _repeat(self, sql: str) -> None:
        """Run what may be run over itself; types that are there stay the very same."""
        for statement in statements(sql):
            if not await is_there(self._connection, statement):
                await self._connection.execute(statement)

    async def _drop_previous(self) -> None:
        if (sql := self._release.dropped.get(self.state.keeps)) is not None:
            await self._connection.execute(sql)
        await self._note(self.state.version, "without the last release", functions=False, keeps=self.state.version)
        self._dropped = True

    async def _note(self, version: int, name: str, *, functions: bool, keeps: int) -> None:
        """A row of history. A transaction of ours is about to commit it, and then `state` is true."""
        checksum, made = self.state.functions, self.state.fingerprint
        if functions:
            checksum = self._release.checksum
        if functions or made:
            made = await fingerprint(self._connection, self._release)
        await self._connection.execute(_WRITE, version, name, engine_version(), checksum, made, keeps)

    async def _in_batches(self, step: Step, what: str) -> None:
        total = None if step.total is None else await self._connection.fetchval(step.total)
        done, said_at = 0, time.monotonic()
        while True:
            begun = time.monotonic()
            changed = await self._batch(step, what)
            if changed == 0:
                return
            done += changed
            if time.monotonic() - said_at >= PROGRESS_SECONDS:
                said_at = time.monotonic()
                self._say(f"{what}: {done} rows" + ("" if total is None else f" of about {total}"))
            await asyncio.sleep((time.monotonic() - begun) * BATCH_SHARE)

    async def _batch(self, step: Step, what: str) -> int:
        changed = 0

        async def change() -> None:
            nonlocal changed
            status = await self._connection.execute(step.sql)
            changed = int(status.split()[-1])

        await self._in_transaction(what, change)
        return changed

    async def _in_transaction(self, what: str, work: Callable[[], Awaitable[None]]) -> None:
        """Do it whole, as often as somebody else's lock is in the way; then `state` is read again."""
        for attempt in range(1, LOCK_TRIES + 1):
            try:
                async with self._waits.watched(), self._connection.transaction():
                    seconds = LOCK_SECONDS if attempt % LOCK_LONG_EVERY else LOCK_LONG_SECONDS
                    await self._connection.execute(f"SET LOCAL lock_timeout = '{seconds}s'")
                    await self._connection.execute(_SEQUENTIAL)
                    await work()
                break
            except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError) as error:
                blocked = f"{what} waits for {self._waits.blockers}"
                if attempt == LOCK_TRIES:
                    raise MigrationFailed(f"{self._at}: {blocked}; end it, and migrate again") from error
                self._say(f"{blocked} (try {attempt} of {LOCK_TRIES})")
                await asyncio.sleep(LOCK_PAUSE_SECONDS)
        self.state = await read_state(self._connection, self._release)
        self._at = f"the schema is at version {self.state.version}, and goes on from there"
