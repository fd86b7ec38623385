"""Fixtures of every test. Servers are real; each pytest-xdist worker has its own pair, each test its own database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rating_engine.embedded import EmbeddedServers
from tests.faults.report import pytest_terminal_summary
from tests.support.servers import SessionServers, in_memory

# The session's server is never taken from its machine, only the machine's crash would tell: tests that break servers
# (tests/faults, tests/integration/outage, process) have others, as an operator has them.
QUICK = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}

__all__ = ["pytest_terminal_summary"]  # a hook for the whole run: the table of faults


@pytest.fixture(scope="session")
def session_servers() -> Iterator[SessionServers]:
    """PostgreSQL and Valkey for the session, with the schema in a template database."""
    with EmbeddedServers(temporary_in=in_memory(), postgres_settings=QUICK) as servers:
        prepared = SessionServers(servers, strategy="file_copy")
        prepared.prepare_template()
        yield prepared


@pytest.fixture
def database_url(request: pytest.FixtureRequest, session_servers: SessionServers) -> Iterator[str]:
    """A database of this test's own, with the schema. The doctor finds nothing wrong with its money afterwards.

    But where the test breaks the books itself, and says so: `@pytest.mark.breaks_books`.
    """
    with session_servers.database(balanced=request.node.get_closest_marker("breaks_books") is None) as url:
        yield url


@pytest.fixture
def empty_database_url(session_servers: SessionServers) -> Iterator[str]:
    """A database of this test's own, with nothing in it: for migrations."""
    with session_servers.database(template="template0") as url:
        yield url


@pytest.fixture
def redis_url(session_servers: SessionServers) -> str:
    """An empty Redis database."""
    return session_servers.redis()


@pytest.fixture(scope="session")
def breakable() -> Iterator[SessionServers]:
    """Servers with fsync for the tests that stop, kill and restart them, and leave them running."""
    with EmbeddedServers(temporary_in=in_memory()) as servers:
        prepared = SessionServers(servers)
        prepared.prepare_template()
        yield prepared


@pytest.fixture
def private_servers() -> Iterator[EmbeddedServers]:
    """A pair of servers for this test alone, to stop, kill and restart."""
    with EmbeddedServers(temporary_in=in_memory()) as servers:
        yield servers
