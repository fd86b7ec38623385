"""Connections to PostgreSQL, by a URL that may name several hosts.

Laws: each host has a deadline of its own, so that a machine that is gone and answers nothing keeps nobody from the next
one; who is told that a server is there has seen it commit.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

import asyncpg

from rating_engine.domain.errors import Overloaded

# Settings of every connection. JIT compiles for longer than our statements run.
SERVER_SETTINGS: Final = {"application_name": "rating-engine", "jit": "off"}

# What says that this server cannot be used now.
AWAY: Final = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,  # starting up, shutting down, crashed
    asyncpg.InsufficientResourcesError,  # too many connections
)

_HOST: Final = re.compile(r"(?P<host>\[[^\]]*\]|[^:]*)(?::(?P<port>[0-9]+))?")
_READ_ONLY: Final = "SELECT current_setting('transaction_read_only') = 'on'"
# A record of the log without any table: its commit is answered when it is on disk and on every synchronous standby.
_COMMIT: Final = "SELECT pg_logical_emit_message(true, 'rating-engine', '')"

# A statement waits for a row or a table that others hold for the deadline divided by this, and may be asked so often.
LOCK_TRIES: Final = 8

if TYPE_CHECKING:  # generic in its stubs alone
    Connection = asyncpg.Connection[asyncpg.Record]
else:
    Connection = asyncpg.Connection


class NotWritableError(ConnectionError):
    """The server answers and takes no writes: a standby, or set to read only."""


class LockTimeout(Overloaded):
    """A statement waited in vain for what another transaction holds; nothing was done."""


class Connector:
    """Connects to the host that was there the last time, else to the others in the order of the URL."""

    def __init__(self, database_url: str, *, timeout_seconds: float) -> None:
        """`timeout_seconds`: for each host."""
        self._url = database_url
        self._timeout = timeout_seconds
        self._hosts = hosts_of(database_url)

    @property
    def longest_seconds(self) -> float:
        """How long connecting takes at most, all hosts together."""
        return self._timeout * max(1, len(self._hosts))

    async def connect(self, *_: object, **options: Any) -> Connection:
        """A connection, with asyncpg's `options`; made to be a pool's `connect` too.

        Raises what asyncpg raises for one host; for several a ConnectionError that says what is wrong with each.
        """
        options = {"server_settings": SERVER_SETTINGS, **options, "timeout": self._timeout}
        if len(self._hosts) < 2:
            try:
                return await asyncpg.connect(self._url, **options)
            except asyncpg.TargetServerAttributeNotMatched as error:
                raise ConnectionError(describe(error)) from error
        problems = []
        for host, port in list(self._hosts):
            try:
                connection: Connection = await asyncpg.connect(self._url, host=host, port=port, **options)
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.TargetServerAttributeNotMatched) as error:
                # Whatever it is, the next one may serve: a standby that lags does not even know a new role yet.
                problems.append(f"{host}: {describe(error)}")
            else:
                self._hosts.sort(key=(host, port).__ne__)  # first the one that is there, the rest as they were
                return connection
        raise ConnectionError("; ".join(problems))


async def prove_writable(connection: Connection, timeout_seconds: float) -> None:
    """Return once this server has committed something for good. Raises NotWritableError and what asyncpg raises.

    A server that only answers is not enough: a primary that has lost its synchronous standby reads, and every commit
    hangs.
    """
    if await connection.fetchval(_READ_ONLY, timeout=timeout_seconds):
        raise NotWritableError("the server takes no writes: it is a standby, or set to read only")
    await connection.execute(_COMMIT, timeout=timeout_seconds)


async def is_read_only(connection: Connection) -> bool:
    """Whether the server takes no writes (any more). Raises what asyncpg raises."""
    return bool(await connection.fetchval(_READ_ONLY))


def hosts_of(database_url: str) -> list[tuple[str, int | None]]:
    """Every host of a URL with its port (None: the usual one); empty where the URL leaves it to the environment."""
    parts = urlsplit(database_url)
    query = parse_qs(parts.query)
    named = parts.netloc.rpartition("@")[2] or ",".join(query.get("host", []))
    if not named:
        return []
    ports = ",".join(query.get("port", [])).split(",")
    hosts = []
    for number, text in enumerate(named.split(",")):
        match = _HOST.fullmatch(text)
        if match is None:
            return []  # for asyncpg to complain of
        port = match["port"] or ports[min(number, len(ports) - 1)]
        hosts.append((unquote(match["host"]).strip("[]"), int(port) if port else None))
    return hosts


def describe(error: BaseException) -> str:
    """An error of the driver in one line."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, asyncpg.TargetServerAttributeNotMatched):
        return "it is a standby"
    return str(error) or type(error).__name__
