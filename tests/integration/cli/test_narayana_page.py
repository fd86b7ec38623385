"""docs/narayana.md is a session: its commands, in their order, do what the page says; what it says is made is made."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import pytest

from rating_engine.api.narayana.declared import SECTIONS
from rating_engine.api.narayana.methods import MADE
from tests.integration.cli.test_tenant_page import BIN, engine, run

PAGE = Path(__file__).parents[3] / "docs" / "narayana.md"
__all__ = ["engine"]  # a fixture


def commands() -> list[str]:
    blocks = re.findall(r"^```\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.splitlines()]


@pytest.mark.skipif(shutil.which("curl") is None, reason="the page is of curl")
async def test_the_commands_of_the_page_do_what_it_says(engine, database_url, tmp_path):
    host, port = engine.http.address
    variables = {
        "RATING_DATABASE_URL": database_url, "RATING_REDIS_URL": "", "ENGINE": f"{host}:{port}",
        "PATH": f"{BIN}:{os.environ['PATH']}", "COLUMNS": "200",
    }  # fmt: skip
    answers: list[str] = []
    for line in commands():
        answers.append(await run(line, tmp_path, variables))
        if found := re.search(r"^secret: (\S+)$", answers[-1], re.MULTILINE):
            variables["KEY"] = found[1]
        if "createPrepaidCode" in line:
            variables["CODE"] = json.loads(answers[-1])["response"]

    assert "Allowed 1000 79010000001 79020000002 RussiaMobile-Tele2 - default -1 -1" in answers
    assert "Saved RussiaMobile-Tele2 [79020000002/79010000001] via [default] 60 0.6 EUR 16ANSWER" in answers
    assert "Saved RussiaMobile-Tele2 [79020000002/79010000001] via [carrier1] 60 0.5 EUR 16ANSWER" in answers
    assert "Declined E_USER_LOCKED" in answers
    assert '{"result":true,"response":"9.40"}' in answers
    assert all(json.loads(text)["result"] for text in answers if text.startswith("{"))


def test_the_page_says_how_many_entries_are_made():
    entries = [entry.name for section in SECTIONS.values() for entry in section]

    assert MADE.keys() == set(entries)
    assert f"All {len(entries)} entries of the document are made." in PAGE.read_text(encoding="utf-8")
