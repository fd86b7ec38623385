"""A database that was upgraded is the same as a new one, once the last release needs nothing of it any more."""

from __future__ import annotations

from pathlib import Path

import asyncpg
import pytest

from rating_engine.storage.postgres.migrate import migrate
from tests.support.servers import SessionServers
from tests.upgrade.catalogue import catalogue, differences
from tests.upgrade.old_release import unpack

# Commits between two releases whose databases are in use: each took its steps as they stood there.
BETWEEN = ("231b720",)
MIGRATE = """
import asyncio, sys
from rating_engine.storage.postgres.migrate import migrate
asyncio.run(migrate(sys.argv[1]))
"""
FIRST_SCHEMA = Path(__file__).with_name("schema_406e063.sql")  # as it was before there were steps: version 1


async def make_first(connection: asyncpg.Connection) -> None:
    """The schema of version 1, as that release made it in an empty database."""
    await connection.execute("CREATE TABLE schema_version (version integer NOT NULL)")
    await connection.execute("INSERT INTO schema_version VALUES (1)")
    await connection.execute(FIRST_SCHEMA.read_text(encoding="utf-8"))


async def catalogue_of(url: str) -> dict[str, set[str]]:
    connection = await asyncpg.connect(url)
    try:
        return await catalogue(connection)
    finally:
        await connection.close()


async def test_an_empty_database_that_was_upgraded_is_the_same_as_a_new_one(
    session_servers: SessionServers, empty_database_url: str, database_url: str
):
    connection = await asyncpg.connect(empty_database_url)
    await make_first(connection)
    await connection.close()

    report = await migrate(empty_database_url)
    assert (report.before, report.keeps) == (1, 1)
    await migrate(empty_database_url, drop_previous=True)

    assert differences(await catalogue_of(database_url), await catalogue_of(empty_database_url)) == []


@pytest.mark.parametrize("commit", BETWEEN)
async def test_a_database_from_between_two_releases_is_upgraded_to_the_same(
    commit: str, session_servers: SessionServers, empty_database_url: str, database_url: str, tmp_path: Path
):
    script = tmp_path / "migrate.py"
    script.write_text(MIGRATE, encoding="utf-8")
    unpack(tmp_path / "then", commit).run(script, empty_database_url)

    report = await migrate(empty_database_url)

    assert report.before > 1
    assert differences(await catalogue_of(database_url), await catalogue_of(empty_database_url)) == []
