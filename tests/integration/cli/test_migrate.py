"""`rating-engine migrate`: from an empty database to a working one, however often and by however many at once."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rating_engine.storage.postgres.release import shipped
from tests.support.commands import Commands
from tests.upgrade.old_release import make_schema

NEWEST = shipped().version


@pytest.fixture
def cli(empty_database_url: str, tmp_path: Path) -> Commands:
    return Commands(tmp_path, database_url=empty_database_url)


def test_a_second_migration_changes_nothing_and_says_so(cli):
    first, second = cli.run("migrate"), cli.run("migrate")

    assert (first.returncode, first.stdout) == (0, f"schema is at version {NEWEST} (was an empty database)\n")
    assert (second.returncode, second.stdout) == (0, f"schema is at version {NEWEST} already\n")


def test_three_migrations_at_once_make_one_schema(cli):
    with ThreadPoolExecutor() as threads:
        done = list(threads.map(lambda _: cli.run("migrate"), range(3)))

    assert [one.returncode for one in done] == [0, 0, 0], [one.stderr for one in done]
    assert sorted("already" in one.stdout for one in done) == [False, True, True]
    assert cli.run("doctor").returncode == 0


def test_a_database_of_a_newer_engine_is_left_alone(cli, session_servers, empty_database_url):
    cli.run("migrate")
    database = empty_database_url.rpartition("/")[2]
    session_servers.servers.psql(f"UPDATE schema_version SET version = {NEWEST + 1}", database)

    said = cli.refused("migrate")

    assert said == f"the database has schema version {NEWEST + 1}, this engine knows {NEWEST}"


def test_an_emptied_history_is_one_line_and_nothing_is_done(cli, session_servers, empty_database_url):
    cli.run("migrate")
    database = empty_database_url.rpartition("/")[2]
    session_servers.servers.psql("DELETE FROM schema_version", database)

    assert cli.refused("migrate") == (
        "the table schema_version is empty, so which schema this is cannot be known: put its rows back from a backup"
    )
    found = cli.run("doctor")
    assert (found.returncode, "Traceback" in found.stderr) == (1, False)
    assert "the table schema_version is empty" in found.stdout


def test_an_upgrade_says_its_steps_and_what_is_left_to_be_dropped(cli, empty_database_url):
    asyncio.run(make_schema(empty_database_url))

    upgraded, dropped = cli.run("migrate"), cli.run("migrate", "--drop-previous")

    assert [line[:4] for line in upgraded.stdout.splitlines()[:-2]] == [f"{n:04}" for n in range(2, NEWEST + 1)]
    assert upgraded.stdout.splitlines()[-2:] == [
        f"schema is at version {NEWEST} (was version 1)",
        "engines of the last release are served as before; when none runs any more: "
        "rating-engine migrate --drop-previous",
    ]
    assert dropped.stdout == f"schema is at version {NEWEST} as before, without what the last release needed\n"
    assert cli.run("doctor").returncode == 0


def test_before_the_migration_a_command_says_to_migrate(cli):
    assert "rating-engine migrate" in cli.refused("account", "create", "--login", "1001", "--tariff", "retail")


def test_a_role_that_may_not_create_tables_is_told_so_and_leaves_nothing(cli, session_servers, empty_database_url):
    start, _, database = empty_database_url.rpartition("/")
    servers = session_servers.servers
    servers.psql("CREATE ROLE may_not LOGIN PASSWORD 'geheim'")
    try:
        url = f"postgresql://may_not:geheim@{start.rpartition('@')[2]}/{database}"

        said = cli.refused("migrate", database_url=url)

        assert said == "nothing was migrated: permission denied for schema public"
        assert servers.psql("SELECT to_regclass('schema_version') IS NULL", database) == "t"
    finally:
        servers.psql("DROP ROLE may_not")
