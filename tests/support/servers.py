"""Real servers for tests: one pair a session, a fresh database a test."""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import redis

from rating_engine.embedded import EmbeddedServers
from rating_engine.embedded.process import free_port
from rating_engine.services.doctor import ledger_balanced
from rating_engine.storage.postgres.migrate import migrate
from rating_engine.storage.postgres.pool import Database

MEMORY = Path("/dev/shm")
MEMORY_BYTES = 4_000_000_000  # some processes with servers, and the largest decks; a container often has 64 MB
TEMPLATE = "template_rating_engine"
LAWS_SECONDS = 120.0  # of a database as large as any test makes, on a busy machine
REDIS_DATABASES = 16  # Valkey's default

T = TypeVar("T")

__all__ = ["SessionServers", "free_port"]


def in_memory() -> Path | None:
    """A directory in memory with room for the databases of a test run, or None.

    Nine of ten tests make a database and drop it: on a disk that is what most of their time goes into.
    """
    if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > MEMORY_BYTES:
        return MEMORY
    return None


@dataclass
class SessionServers:
    """The servers of a test session, and a supply of empty databases on them."""

    servers: EmbeddedServers
    # Without fsync files are copied in a seventh of the time that writing them to the log takes; with it, the reverse.
    strategy: str = "wal_log"
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def prepare_template(self) -> None:
        """Make the database that every test's database is a copy of: the schema, applied once."""
        self.servers.psql(f"CREATE DATABASE {TEMPLATE}")
        _run(migrate(self.servers.postgres.url(TEMPLATE)))

    @contextmanager
    def database(self, template: str = TEMPLATE, *, balanced: bool = False) -> Iterator[str]:
        """The URL of a new database, dropped afterwards with whatever is still connected.

        `balanced`: its money laws hold at the end, by the doctor; AssertionError if not.
        """
        name = f"test_{next(self._numbers)}"
        self.servers.psql(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY {self.strategy}")
        url = self.servers.postgres.url(name)
        try:
            yield url
            if balanced:
                found = _run(breaches(url))
                assert not found, f"the books do not balance: {found}"
        finally:
            self.servers.psql(f"DROP DATABASE {name} WITH (FORCE)")

    def redis(self) -> str:
        """The URL of an empty Redis database. Channels are shared by all of them, as in any Redis."""
        url = self.servers.valkey.url(next(self._numbers) % REDIS_DATABASES)
        with redis.Redis.from_url(url) as client:
            client.flushdb()
        return url


async def breaches(url: str) -> list[str]:
    """What the doctor finds wrong with the money in a database."""
    database = Database(url, pool_size=1, timeout_seconds=LAWS_SECONDS)
    await database.open()
    try:
        return [finding.what for finding in await ledger_balanced(database)]
    finally:
        await database.close()


def _run(work: Coroutine[Any, Any, T]) -> T:
    """To its end, in a thread of its own: the test's loop may be running, and asyncio.run would take it away."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()
