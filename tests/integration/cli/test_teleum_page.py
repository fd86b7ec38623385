"""docs/teleum.md is a session: its commands, in their order, do what the page says; its errors are those there are."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import pytest

from rating_engine.api.teleum import errors
from tests.integration.cli.test_tenant_page import BIN, engine, run

PAGE = Path(__file__).parents[3] / "docs" / "teleum.md"
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
    answers: dict[str, dict] = {}
    for line in commands():
        told = await run(line, tmp_path, variables)
        if "cmd=" in line:
            cmd = re.search(r"cmd=(\w+)", line)[1]
            answers[cmd] = json.loads(told)
            assert "err" not in answers[cmd], (line, told)
        if "cmd=login" in line:
            variables["SESSION"] = f"token={answers['login']['token']}&vivaid={answers['login']['vivaid']}"

    assert answers["getFreeNumbers"]["freeNumbers"][0]["number"] == "78123230000"
    assert answers["getConnectedTariffs"]["connected"][0]["numf"] == "+7 (812) 323-0000"
    assert answers["getSIPs"]["spis"][0]["num"] == "10000"
    assert answers["editSIP"]["num"] == answers["getNextSIP"]["num"] == "1000001"
    first, second = answers["getForwards"]["forwards"]
    assert (first["rtype"], first["times"], first["rec"]) == ("2", "Понедельник-Пятница 09:00-17:59", "1")
    assert (second["rtype"], second["rnum"], second["direction"]) == ("1", "10000", "2")
    assert answers["balance"]["balance"] == "80.00"  # 2 + 3 of the number, 10 + 5 of the tariff


def test_the_table_of_errors_has_them_all():
    rows = re.findall(r"^\| `([A-Z][A-Z ]+)(?:: name)?` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    known = {text for name, text in vars(errors).items() if name.isupper() and isinstance(text, str)}
    assert set(rows) == known | {"WRONG PARAMETER"}
