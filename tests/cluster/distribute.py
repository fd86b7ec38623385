"""The schema on a Citus cluster: facts on every node, account-scoped tables by bucket, money functions with them.

What an operator of a cluster runs after `rating-engine migrate`, once, as these tests do.
"""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass
from urllib.parse import urlsplit

import asyncpg

from rating_engine.storage.postgres.migrate import migrate
from tests.cluster.cluster_form import FACTS, MONEY, SCOPED, tables_of

_numbers = itertools.count()
_FUNCTIONS = """
    SELECT p.oid::regprocedure::text AS name, proname FROM pg_proc p
    WHERE pronamespace = 'public'::regnamespace AND proargnames[1] = 'p_bucket'
"""


@dataclass(frozen=True)
class Cluster:
    """A database of a coordinator, and the same on every worker, by their URLs; made for one test."""

    coordinator: str
    workers: tuple[str, ...]


async def make_cluster(url: str) -> Cluster:
    """A new database on every node of the cluster that a database of its coordinator knows, with its schema spread."""
    nodes = await _ask(url, "SELECT nodename, nodeport FROM pg_dist_node WHERE groupid <> 0 ORDER BY nodeid")
    name = f"rating_test_{os.getpid()}_{next(_numbers)}"
    home = urlsplit(url)
    workers = [_at(url, node["nodename"], node["nodeport"]) for node in nodes]
    made = []
    for node in [url, *workers]:
        await _ask(node, f"CREATE DATABASE {name}")
        await _ask(node, f"ALTER DATABASE {name} SET rating_engine.announce = 'off'")  # triggers run where the row is
        made.append(urlsplit(node)._replace(path=f"/{name}").geturl())
        await _ask(made[-1], "CREATE EXTENSION citus")
    await _ask(made[0], f"SELECT citus_set_coordinator_host('{home.hostname}', {home.port or 5432})")
    for node in nodes:
        await _ask(made[0], f"SELECT citus_add_node('{node['nodename']}', {node['nodeport']})")
    await migrate(made[0])
    await _distribute(made[0])
    return Cluster(made[0], tuple(made[1:]))


async def drop_cluster(url: str, cluster: Cluster) -> None:
    """Remove the database from every node."""
    for node in (cluster.coordinator, *cluster.workers):
        parts = urlsplit(node)
        await _ask(parts._replace(path=urlsplit(url).path).geturl(), f"DROP DATABASE {parts.path[1:]} WITH (FORCE)")


async def _distribute(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        # Those that there are stay in the row of their bucket (tests/cluster/test_catalogue.py).
        await connection.execute("SET citus.enable_unsafe_triggers = on")
        for table in tables_of(FACTS):
            await connection.execute("SELECT create_reference_table($1)", table)
        first = tables_of(SCOPED)[0]
        for table in tables_of(SCOPED):
            together = "none" if table == first else first
            await connection.execute(
                "SELECT create_distributed_table($1, 'bucket', colocate_with := $2)", table, together
            )
        for name, proname in await connection.fetch(_FUNCTIONS):
            if MONEY.match(proname):
                await connection.execute(
                    "SELECT create_distributed_function($1, 'p_bucket', colocate_with := $2)", name, first
                )
    finally:
        await connection.close()


async def _ask(url: str, question: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(url)
    try:
        return list(await connection.fetch(question))
    finally:
        await connection.close()


def _at(url: str, host: str, port: int) -> str:
    """The same at another server; who asks is who asks the coordinator."""
    parts = urlsplit(url)
    user = parts.netloc.rpartition("@")[0]
    return parts._replace(netloc=f"{user}@{host}:{port}" if user else f"{host}:{port}").geturl()
