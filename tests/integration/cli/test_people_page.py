"""docs/people.md is a session: its commands, in their order, do what the page says."""

from __future__ import annotations

import json
import logging
import re
import shlex
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from typer.testing import CliRunner

from rating_engine.cli.app import app
from rating_engine.storage.postgres.pool import Database
from tests.support.world import publish_deck

PAGE = Path(__file__).parents[3] / "docs" / "people.md"
RUNNER = CliRunner()


def commands() -> list[str]:
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return [line for kind, block in blocks if not kind for line in block.splitlines()]


@pytest.fixture
async def installed(database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[None]:
    """A database with the tariff `retail`, which commands find by their settings."""
    monkeypatch.setenv("RATING_DATABASE_URL", database_url)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    database = Database(database_url)
    await database.open()
    await publish_deck(database)
    await publish_deck(database, "wholesale")
    await database.close()
    # As `main` has it: a command says itself what is wrong.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    yield
    structlog.reset_defaults()


def run(line: str, *more: str, given: str | None = None) -> str:
    done = RUNNER.invoke(app, [*shlex.split(line)[1:], *more], input=given)
    assert done.exit_code == 0, (line, done.output)
    return done.output


def read(line: str) -> Any:
    return json.loads(run(line, "--json"))


def refused(line: str) -> str:
    done = RUNNER.invoke(app, shlex.split(line)[1:])
    assert done.exit_code == 1, (line, done.output)
    return done.output


@pytest.mark.usefixtures("installed")
def test_the_commands_of_the_page_do_what_it_says():
    printed = {line: run(line) for line in commands()}

    assert re.search(r"^password: \S{16}$", printed[commands()[0]], re.MULTILINE)
    assert re.search(r"^secret: \S{43}$", printed[commands()[1]], re.MULTILINE)
    assert "calls: internal" in printed["rating-engine user show anna"]
    anna, north = read("rating-engine user show anna"), read("rating-engine user show north")
    assert (anna["owner"], anna["status"], anna["calls"], anna["language"]) == ("north", "protected", "all", "de")
    assert (north["kind"], north["level"], north["tariff"], north["status"]) == ("reseller", 22, "wholesale", "active")
    listed = {user["login"]: user["deleted"] for user in read("rating-engine user list --deleted")["users"]}
    assert listed == {"boss": False, "north": False, "anna": False, "gone": True}
    accounts = read("rating-engine account list --owner north")["accounts"]
    assert [(account["login"], account["owner"]) for account in accounts] == [
        ("1001", "anna"), ("1002", "anna"), ("north-main", "north")
    ]  # fmt: skip
    assert "account: north-main" in printed["rating-engine user show north"]
    shown = read("rating-engine account show 1002")
    assert (shown["owner"], shown["calls"]) == ("anna", "all")
    keys = {key["key"]: key for key in read("rating-engine key list --revoked")["keys"]}
    assert keys["billing"]["from"] == ["192.0.2.0/24"]
    assert (keys["app"]["user"], keys["app"]["methods"], keys["app"]["from"]) == ("anna", [], ["192.0.2.7/32"])
    assert keys["app"]["revoked_at"]
    bans = read("rating-engine ban list")["bans"]
    assert [(ban["address"], ban["source"]) for ban in bans] == [("198.51.100.0/24", "whitelist")]
    assert "user.block" not in printed["rating-engine audit --subject anna"]
    assert printed["rating-engine audit --subject anna"].count("user.status") == 2
    everything = read("rating-engine audit --limit 1000")["entries"]
    assert {entry["user"] for entry in everything} == {"operator"}
    secrets = re.findall(r"^(?:secret|password): (\S+)$", "\n".join(printed.values()), re.MULTILINE)
    assert len(secrets) == 3
    assert not any(secret in json.dumps(everything) for secret in secrets)


@pytest.mark.usefixtures("installed")
def test_what_is_wrong_is_one_line_that_says_what_to_do():
    run("rating-engine user create --login anna")

    assert "see: rating-engine user list" in refused("rating-engine user show nobody")
    assert "taken" in refused("rating-engine user create --login ANNA")
    assert refused("rating-engine user create --login x --kind king").startswith("error kind: ")
    assert refused("rating-engine user create --login x --admin --kind user").startswith("error admin: ")
    assert refused("rating-engine user create --login x --level 12").startswith("error level: ")
    assert refused("rating-engine user block anna --as active").startswith("error as: ")
    assert refused("rating-engine key add --name k --server").startswith("error level: ")
    assert refused("rating-engine key add --name k --from here").startswith("error from: ")
    assert "see: rating-engine key list" in refused("rating-engine key revoke k")
    assert "see: rating-engine ban list" in refused("rating-engine ban remove 192.0.2.1")
    assert refused("rating-engine ban add somewhere").startswith("error ADDRESS: ")
    assert refused("rating-engine audit --from yesterday").startswith("error from: ")


@pytest.mark.usefixtures("installed")
def test_a_password_is_read_from_the_input_and_a_list_goes_on_where_it_stopped():
    for login in ("anna", "berta", "clara"):
        run(f"rating-engine user create --login {login}")

    run("rating-engine user password anna", given="correct horse\n")
    assert read("rating-engine user show anna")["has_password"] is True
    first = read("rating-engine user list --limit 2")
    rest = read(f"rating-engine user list --after {first['next']}")
    assert [user["login"] for user in first["users"] + rest["users"]] == ["anna", "berta", "clara"]
    first = read("rating-engine audit --limit 3")
    rest = read(f"rating-engine audit --limit 3 --after {first['next']}")
    assert [entry["action"] for entry in first["entries"] + rest["entries"]] == [
        "user.password", "user.create", "user.create", "user.create",
    ]  # fmt: skip
