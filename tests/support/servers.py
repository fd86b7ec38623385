"""Real servers for tests: one pair a session, a fresh database a test."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import redis

from rating_engine.embedded import EmbeddedServers
from rating_engine.embedded.process import free_port
from rating_engine.storage.postgres.migrate import migrate

TEMPLATE = "template_rating_engine"
REDIS_DATABASES = 16  # Valkey's default

__all__ = ["SessionServers", "free_port"]


@dataclass
class SessionServers:
    """The servers of a test session, and a supply of empty databases on them."""

    servers: EmbeddedServers
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def prepare_template(self) -> None:
        """Make the database that every test's database is a copy of: the schema, applied once."""
        self.servers.psql(f"CREATE DATABASE {TEMPLATE}")
        loop = asyncio.new_event_loop()  # not asyncio.run, which would take the test runner's loop away
        try:
            loop.run_until_complete(migrate(self.servers.postgres.url(TEMPLATE)))
        finally:
            loop.close()

    @contextmanager
    def database(self, template: str = TEMPLATE) -> Iterator[str]:
        """The URL of a new database, dropped afterwards with whatever is still connected."""
        name = f"test_{next(self._numbers)}"
        self.servers.psql(f"CREATE DATABASE {name} TEMPLATE {template}")
        try:
            yield self.servers.postgres.url(name)
        finally:
            self.servers.psql(f"DROP DATABASE {name} WITH (FORCE)")

    def redis(self) -> str:
        """The URL of an empty Redis database. Channels are shared by all of them, as in any Redis."""
        url = self.servers.valkey.url(next(self._numbers) % REDIS_DATABASES)
        with redis.Redis.from_url(url) as client:
            client.flushdb()
        return url
