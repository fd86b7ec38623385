"""docs/tenant-rest.md is a session: its commands, in their order, do what the page says."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import re
import shutil
import sys
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest

from rating_engine.engine.engine import Engine
from tests.support.engines import engine_on
from tests.support.narayana import SECRET_KEY
from tests.support.tenants import called

PAGE = Path(__file__).parents[3] / "docs" / "tenant-rest.md"
BIN = Path(sys.executable).parent


def commands() -> list[str]:
    blocks = re.findall(r"^```\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.splitlines()]


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[Engine]:
    async with engine_on(database_url, secret_keys=(SECRET_KEY,)) as engine:
        yield engine


async def run(line: str, directory: Path, variables: dict[str, str]) -> str:
    shell = await asyncio.create_subprocess_shell(
        line, cwd=directory, env={**os.environ, **variables},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, wrong = await shell.communicate()
    assert shell.returncode == 0, (line, wrong.decode(), out.decode())
    return out.decode()


@pytest.mark.skipif(shutil.which("curl") is None, reason="the page is of curl")
async def test_the_commands_of_the_page_do_what_it_says(engine: Engine, database_url: str, tmp_path: Path):
    assert engine.http is not None
    host, port = engine.http.address
    variables = {
        "RATING_DATABASE_URL": database_url, "RATING_REDIS_URL": "", "ENGINE": f"{host}:{port}",
        "PATH": f"{BIN}:{os.environ['PATH']}", "COLUMNS": "200",
    }  # fmt: skip
    told: list[str] = []
    for line in commands():
        told.append(await run(line, tmp_path, variables))
        if found := re.search(r"^secret: (\S+)$", told[-1], re.MULTILINE):
            variables["TOKEN"] = found[1]

    assert json.loads(told[4]) == {"enabled": False, "account": "TENANT", "type": "OFFLINE"}
    assert json.loads(told[5]).keys() == {"id"}
    assert told[6] == ""
    assert json.loads(told[7])["count"] == 1
    assert (await called(engine, "a", "102", "3705551", 61)).cost == Decimal("0.28")
    await run("rating-engine rates export copy copy.csv", tmp_path, variables)
    with (tmp_path / "copy.csv").open(encoding="utf-8-sig", newline="") as file:
        (rate,) = csv.DictReader(file)
    assert (rate["prefix"], rate["direction"], rate["price_unit"]) == ("370", "INTERNATIONAL", "interval")
    assert (rate["price_1"], rate["price_n"], rate["interval_1"], rate["grace_period"]) == ("0.1", "0.02", "30", "3")
