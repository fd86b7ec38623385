"""The door to PostgreSQL: several hosts, servers that answer and take no writes, failures that come late."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from rating_engine.domain.errors import Unavailable
from rating_engine.storage.postgres import announcements, migrate
from rating_engine.storage.postgres.announcements import Announcements
from rating_engine.storage.postgres.connecting import Connector
from rating_engine.storage.postgres.leadership import Leadership
from rating_engine.storage.postgres.pool import Database
from tests.support.servers import free_port
from tests.support.tcp_proxy import TcpProxy
from tests.support.waiting import until

WRITE = "INSERT INTO directions (code, name) VALUES ($1, '') RETURNING code"
READ_ONLY = "ALTER SYSTEM SET default_transaction_read_only = on"
WRITABLE = "ALTER SYSTEM RESET default_transaction_read_only"


@contextlib.asynccontextmanager
async def opened(url: str, **options: float) -> AsyncIterator[Database]:
    database = Database(url, **options)
    await database.open()
    try:
        yield database
    finally:
        await database.close()


def with_hosts(url: str, *hosts: str) -> str:
    """`url` with these before its own host."""
    parts = urlsplit(url)
    user, _, own = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user}@{','.join((*hosts, own))}"))


@pytest.fixture
def mute() -> Iterator[socket.socket]:
    """A port where connections are taken and nothing is ever said, as on a machine without power."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield listener


def host_of(listener: socket.socket) -> str:
    return f"127.0.0.1:{listener.getsockname()[1]}"


async def is_up(database: Database) -> bool:
    return database.down is None


# --- several hosts


async def test_a_host_that_answers_nothing_keeps_nobody_from_the_next(database_url, mute):
    url = with_hosts(database_url, host_of(mute))

    async with opened(url, connect_timeout_seconds=0.2) as database:
        assert await database.fetchval("SELECT 1") == 1


async def test_the_host_that_was_there_is_asked_first_the_next_time(database_url, mute):
    connector = Connector(with_hosts(database_url, host_of(mute)), timeout_seconds=0.5)

    for _ in range(3):
        await (await connector.connect()).close()

    mute.accept()[0].close()
    with pytest.raises(BlockingIOError):  # nobody knocked a second time
        mute.accept()


async def test_where_no_host_can_be_used_each_says_why(database_url, mute):
    closed = f"127.0.0.1:{free_port()}"
    url = with_hosts(database_url, host_of(mute), closed).rpartition(",")[0] + urlsplit(database_url).path

    with pytest.raises(ConnectionError, match=r"no answer in time.*; .*Connect call failed"):
        await Connector(url, timeout_seconds=0.2).connect()


async def test_a_host_that_does_not_know_the_database_yet_keeps_nobody_from_the_one_that_does(
    database_url, private_servers
):
    password = urlsplit(database_url).password
    private_servers.psql(f"ALTER ROLE rating_engine PASSWORD '{password}'")  # one password for both
    url = with_hosts(database_url, f"127.0.0.1:{private_servers.postgres.port}")

    async with opened(url) as database:
        assert await database.fetchval("SELECT 1") == 1


async def test_operators_commands_find_the_next_host_too(empty_database_url, mute, monkeypatch):
    monkeypatch.setattr(migrate, "CONNECT_SECONDS", 0.2)

    assert (await migrate.migrate(with_hosts(empty_database_url, host_of(mute)))).before == 0


# --- servers that answer and take no writes


async def test_a_server_set_to_read_only_is_down_until_it_takes_writes_again(private_servers):
    private_servers.psql("CREATE TABLE directions (code text, name text)")
    async with opened(private_servers.database_url) as database:
        await database.fetchval(WRITE, "before")
        private_servers.psql(READ_ONLY)
        private_servers.psql("SELECT pg_reload_conf()")

        async def is_refused() -> bool:
            with contextlib.suppress(Unavailable):
                await database.fetchval(WRITE, "meanwhile")
            return database.down is not None

        await until(is_refused)

        async def says_why() -> bool:
            return "takes no writes" in (database.down or "")

        await until(says_why)
        private_servers.psql(WRITABLE)
        private_servers.psql("SELECT pg_reload_conf()")
        await until(lambda: is_up(database))

        assert await database.fetchval(WRITE, "after") == "after"


async def test_nobody_listens_to_or_leads_on_a_server_that_takes_no_writes(private_servers, monkeypatch):
    monkeypatch.setattr(announcements, "HEARTBEAT_SECONDS", 0.05)
    listener = Announcements(private_servers.database_url, on_change=lambda kind, value: None, on_lost=lambda: None)
    leader = Leadership(private_servers.database_url, asyncio.Event().wait)
    listener.start()
    leader.start()

    async def are_there() -> bool:
        return listener.listening and leader.leading

    async def are_gone() -> bool:
        return not listener.listening and not leader.leading

    try:
        await until(are_there)
        private_servers.psql(READ_ONLY)
        private_servers.psql("SELECT pg_reload_conf()")
        await until(are_gone)
        private_servers.psql(WRITABLE)
        private_servers.psql("SELECT pg_reload_conf()")
        await until(are_there)
    finally:
        await listener.stop()
        await leader.stop()


# --- failures that come late


async def test_a_failure_from_before_the_recovery_marks_nothing_down(database_url):
    async def fail_late(database: Database) -> None:
        async with database.connection():  # a statement that hangs...
            with pytest.raises(Unavailable):
                await database.fetchval("SELECT pg_terminate_backend(pg_backend_pid())")
            await until(lambda: is_up(database))
            raise TimeoutError  # ...and reaches its deadline when all is well again

    async with opened(database_url) as database:
        with pytest.raises(Unavailable):
            await fail_late(database)

        assert database.down is None


async def test_a_late_statement_fails_without_waiting_for_its_cancellation(session_servers, database_url):
    async with (
        TcpProxy("127.0.0.1", session_servers.servers.postgres.port) as proxy,
        opened(proxy.url(database_url), timeout_seconds=0.3) as database,
    ):
        proxy.silence()
        with pytest.raises(Unavailable):
            await database.fetchval("SELECT 1")

        assert "database-give-back" in {task.get_name() for task in asyncio.all_tasks()}
        proxy.speak()
        await until(lambda: is_up(database))


async def test_a_server_that_has_said_goodbye_and_not_hung_up_yet_is_away(database_url, session_servers):
    goodbye = b"SFATAL\0C57P02\0Mterminating connection because of crash of another server process\0\0"
    async with (
        TcpProxy("127.0.0.1", session_servers.servers.postgres.port) as proxy,
        opened(proxy.url(database_url), pool_size=1) as database,
    ):
        proxy.say(b"E" + struct.pack("!i", len(goodbye) + 4) + goodbye)
        await asyncio.to_thread(int)  # a turn of the loop, in which it is read

        with pytest.raises(Unavailable):
            await database.fetchval("SELECT 1")
        await until(lambda: is_up(database))
        assert await database.fetchval("SELECT 1") == 1


async def test_the_probe_goes_on_whatever_keeps_it_from_the_database(database_url, monkeypatch):
    async with opened(database_url) as database:
        connect = database._connector.connect
        failures: list[Exception] = [ValueError("a fault of ours"), asyncpg.InsufficientPrivilegeError("no CONNECT")]

        async def fail_first(*arguments: object, **options: object) -> object:
            if failures:
                raise failures.pop()
            return await connect(*arguments, **options)

        monkeypatch.setattr(database._connector, "connect", fail_first)
        with pytest.raises(Unavailable):
            await database.fetchval("SELECT pg_terminate_backend(pg_backend_pid())")
        await until(lambda: is_up(database))

        assert failures == []
