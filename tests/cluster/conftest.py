"""Where the money tests run: on the plain server with two buckets, and on a cluster where one is named."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator

import pytest

from tests.cluster.distribute import drop_cluster, make_cluster

# A database of a Citus coordinator that knows its workers, whose user may create databases on all of them.
CLUSTER = "RATING_TEST_CLUSTER_URL"


@pytest.fixture
def cluster_url() -> Iterator[str]:
    """A database of this test's own on the cluster, with the schema spread over it."""
    url = os.environ.get(CLUSTER)
    if not url:
        pytest.skip(f"{CLUSTER} names no cluster")
    cluster = asyncio.run(make_cluster(url))
    yield cluster.coordinator
    asyncio.run(drop_cluster(url, cluster))


@pytest.fixture(params=["database_url", "cluster_url"], ids=["plain", "cluster"])
def money_url(request: pytest.FixtureRequest) -> str:
    """A database with the schema and nothing else."""
    return str(request.getfixturevalue(request.param))
