"""docs/invoices.md is a session: its commands, in their order, do what the page says."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rating_engine.cli.app import app
from rating_engine.domain.api_key import KeyKind, NewKey
from rating_engine.domain.party import Level
from rating_engine.domain.principal import OPERATOR
from tests.integration.cli.test_tenant_page import BIN, engine, run
from tests.support.world import publish_deck

PAGE = Path(__file__).parents[3] / "docs" / "invoices.md"
__all__ = ["engine"]  # a fixture
# What the page passes over: that a month has gone by since.
A_MONTH_LATER = (
    "ALTER TABLE ledger_entries DISABLE TRIGGER ALL",
    "UPDATE ledger_entries SET created_at = created_at - interval '32 days'",
    "ALTER TABLE ledger_entries ENABLE TRIGGER ALL",
    "UPDATE accounts SET created_at = created_at - interval '70 days'",
)


def commands() -> list[str]:
    blocks = re.findall(r"^```\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.splitlines()]


async def typed(line: str, variables: dict[str, str]) -> str:
    """What a command says, in this process: two dozen of them would be half a minute of starting."""
    words = shlex.split(line)[1:]
    done = await asyncio.to_thread(CliRunner().invoke, app, words, env=variables)
    assert done.exit_code == 0, (line, done.output)
    return done.output


@pytest.mark.skipif(shutil.which("curl") is None, reason="the page is of curl")
async def test_the_commands_of_the_page_do_what_it_says(engine, database_url, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    host, port = engine.http.address
    await publish_deck(engine.office)
    new = NewKey("page", KeyKind.SERVER, Level.SERVER, owner="system")
    variables = {
        "RATING_DATABASE_URL": database_url, "RATING_REDIS_URL": "", "ENGINE": f"{host}:{port}",
        "KEY": (await engine.services.of(OPERATOR).keys.add(new)).secret,
        "PATH": f"{BIN}:{os.environ['PATH']}", "COLUMNS": "200",
    }  # fmt: skip
    told: dict[str, str] = {}
    for line in commands():
        if line == "rating-engine invoice make 1001" and line not in told:
            for statement in A_MONTH_LATER:
                await engine.office.fetch(statement)
        told[line] = await (
            typed(line, variables) if line.startswith("rating-engine") else run(line, tmp_path, variables)
        )

    assert "payment 1 of anna: 59.50 EUR by manual, confirmed" in told["rating-engine payment confirm 1"]
    assert '"msg":"Transfer 59.50 EUR to DE89' in next(text for line, text in told.items() if "createInvoice" in line)
    assert "PRO-000001" in told["rating-engine invoice list --user anna"]
    assert "INV-000001" in told["rating-engine invoice show 2"]
    assert "queued for anna@example.org" in told["rating-engine invoice mail 2"]
    assert "INV-000002" in told["rating-engine invoice make 1001"]
    assert "CRN-000001" in told["rating-engine credit-note take-back 1"]
    assert (await engine.services.of(OPERATOR).accounts.show("1001")).balance == 200
    for name in ("request.pdf", "month.pdf"):
        assert (tmp_path / name).read_bytes().startswith(b"%PDF-")
