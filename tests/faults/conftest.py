"""Servers that these tests may break, the seed of their chances, and the table that they fill."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator

import pytest

from rating_engine.embedded import EmbeddedServers
from tests.faults.report import Table
from tests.support.servers import SessionServers

SEED_VARIABLE = "FAULTS_SEED"
SEEDS = 1_000_000


@pytest.fixture
def servers(breakable: SessionServers) -> Iterator[EmbeddedServers]:
    """The servers, both running before and after the test, whatever it does to them."""
    yield breakable.servers
    breakable.servers.postgres.start()
    breakable.servers.valkey.start()


@pytest.fixture
def url(breakable: SessionServers, servers: EmbeddedServers) -> Iterator[str]:
    """A database of this test's own, with the schema, on `servers`."""
    with breakable.database(balanced=True) as url:
        yield url
        servers.postgres.start()  # so that it can be dropped


@pytest.fixture
def seed() -> int:
    """Another one each time, unless the environment names it."""
    return int(os.environ.get(SEED_VARIABLE) or random.SystemRandom().randrange(SEEDS))


@pytest.fixture
def table(request: pytest.FixtureRequest) -> Table:
    """Where every fault adds its line."""
    return Table(request.node)
