"""A PostgreSQL that goes away and comes back: real, killed, one for a module of tests, a database each."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from rating_engine.embedded import EmbeddedServers
from rating_engine.engine.engine import Engine
from rating_engine.services.doctor import ledger_balanced
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.spool.spool_survey import survey
from tests.support.engines import engine_on
from tests.support.servers import SessionServers
from tests.support.waiting import until


@dataclass
class Outage:
    """One test's database on servers to kill, and the spool of the engines that use it."""

    servers: EmbeddedServers
    url: str
    spool_dir: Path

    async def begin(self) -> None:
        """Kill PostgreSQL as kill -9 does."""
        await asyncio.to_thread(self.servers.postgres.kill)

    async def end(self) -> None:
        """Start it again."""
        await asyncio.to_thread(self.servers.postgres.start)

    @contextlib.asynccontextmanager
    async def engine(self, **settings: object) -> AsyncIterator[Engine]:
        """An engine on this database and spool."""
        async with engine_on(self.url, **{"spool_dir": str(self.spool_dir), **settings}) as engine:
            yield engine

    @contextlib.asynccontextmanager
    async def database(self) -> AsyncIterator[Database]:
        """The database itself, for the test's own eyes and hands."""
        database = Database(self.url)
        await database.open()
        try:
            yield database
        finally:
            await database.close()

    async def all_charged(self, engine: Engine) -> None:
        """Wait until PostgreSQL is back and nothing is spooled; the money laws hold then."""

        async def done() -> bool:
            return engine.calls_door.down is None and survey(self.spool_dir).waiting == 0

        await until(done)
        assert await ledger_balanced(engine.office) == []

    def files(self, suffix: str) -> list[Path]:
        """The files of a kind in the spool directory."""
        return sorted(self.spool_dir.glob(f"*{suffix}"))


@contextlib.asynccontextmanager
async def outage_on(prepared: SessionServers, spool_dir: Path) -> AsyncIterator[Outage]:
    """A fresh database; PostgreSQL is there at the end, whatever the test did to it."""
    with prepared.database(balanced=True) as url:
        outage = Outage(prepared.servers, url, spool_dir)
        try:
            yield outage
        finally:
            await outage.end()


async def money(engine: Engine, login: str = "1001") -> tuple[Decimal, Decimal]:
    """(balance, reserved)"""
    state: Any = await engine.charging.balance(login)
    return state.balance, state.reserved


async def cdr(engine: Engine) -> dict[str, Any]:
    """The one CDR there is."""
    (row,) = await engine.office.fetch("SELECT * FROM cdrs")
    return dict(row)


def metric(engine: Engine, name: str) -> float:
    """A sample's value; 0 where there is none yet."""
    return engine.metrics.registry.get_sample_value(name) or 0.0
