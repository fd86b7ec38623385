"""docs/phones.md is a session: its commands, in their order, do what the page says."""

from __future__ import annotations

import asyncio
import base64
import logging
import re
import shlex
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
import structlog
from typer.testing import CliRunner

from rating_engine.cli.app import app
from rating_engine.storage.postgres.pool import Database
from tests.support.world import publish_deck

PAGE = Path(__file__).parents[3] / "docs" / "phones.md"
RUNNER = CliRunner()


@pytest.fixture
async def installed(database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[None]:
    monkeypatch.setenv("RATING_DATABASE_URL", database_url)
    monkeypatch.setenv("RATING_SECRET_KEYS", base64.urlsafe_b64encode(bytes(32)).decode())
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "etc").mkdir()
    database = Database(database_url)
    await database.open()
    await publish_deck(database)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    await database.close()
    yield
    structlog.reset_defaults()
    database = Database(database_url)
    await database.open()
    await database.fetch("DROP OWNED BY rating_pbx1")
    await database.fetch("DROP ROLE rating_pbx1")
    await database.close()


def commands() -> list[str]:
    blocks = re.findall(r"^```[a-z.]*\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.splitlines() if line.startswith("rating-engine ")]


def run(line: str, *, code: int = 0, given: str | None = None) -> str:
    done = RUNNER.invoke(app, shlex.split(line)[1:], input=given)
    assert done.exit_code == code, (line, done.output)
    return done.output


async def phones_told(url: str, password: str) -> list[str]:
    reader = await asyncpg.connect(url, user="rating_pbx1", password=password)
    try:
        return [row["id"] for row in await reader.fetch("SELECT id FROM ps_auths")]
    finally:
        await reader.close()


def test_the_page_makes_a_phone_and_tells_an_exchange_of_it(installed: None, database_url: str, tmp_path: Path):
    said = {line: run(line) for line in commands() if "config-directory" not in line and "render" not in line}

    password = re.search(r"password: (\S+)", said["rating-engine phone add 40000 --owner anna"])
    assert password is not None
    role = re.search(r"password: (\S+)", said["rating-engine exchange role pbx1"])
    assert role is not None
    assert asyncio.run(phones_told(database_url, role[1])) == ["40000"]
    for line in commands()[-3:-1]:
        run(line.replace("/etc/asterisk", str(tmp_path / "etc")))
    written = (tmp_path / "etc/pjsip_rating.conf").read_text()
    assert "accountcode=40000" in written
    assert password[1] not in written
    assert run(commands()[-1]) == ""


def test_phones_are_set_listed_and_deleted_and_what_is_wrong_is_named(installed: None, tmp_path: Path):
    for line in commands()[:3]:
        run(line)
    run("rating-engine exchange role pbx1 --password-stdin", given="word-of-the-role\n")
    shown = run("rating-engine phone set 40000 --srtp yes --password-stdin", given="very-secret\n")
    assert "very-secret" not in shown
    assert "in service" in run("rating-engine phone list --owner anna")
    for line, said in (
        ("rating-engine phone add 4000 --owner anna", "5 digits"),
        ("rating-engine phone add 40001 --owner nobody", "user 'nobody' does not exist"),
        ("rating-engine phone add 40001 --owner anna --exchange pbx9", "rating-engine exchange servers"),
        ("rating-engine phone set 40000 --transport sctp", "is none of"),
        ("rating-engine exchange change pbx1 --realm other", "move them first"),
        ("rating-engine exchange render pjsip pbx1", "--output FILE"),
        ("rating-engine exchange render pjsip pbx1 --output /nowhere/x.conf", "No such file"),
        ("rating-engine exchange role pbx1 --role postgres_x-1", "small letters"),
    ):
        assert said in run(line, code=1), line
    changed = run("rating-engine exchange render pjsip pbx1 --output x.conf --check", code=1)
    assert "+accountcode=40000" in changed
    assert "md5_cred=…" in changed
    assert "CREATE ROLE" not in run("rating-engine exchange role pbx1")
    assert "PASSWORD 'SCRAM-SHA-256$" in run("rating-engine exchange role pbx1 --sql")
    run("rating-engine phone delete 40000")
    assert "40000" not in run("rating-engine phone list")
