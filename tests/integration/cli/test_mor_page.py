"""docs/mor.md is a session: its commands, in their order, do what the page says; and its table of sources is true."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

from rating_engine.api.mor.declare import Source
from rating_engine.api.mor.declared import FUNCTIONS
from rating_engine.domain.outcomes import Allowed, CallKey, FinishCall, PrepareCall
from rating_engine.engine.engine import Engine
from tests.integration.cli.test_tenant_page import BIN, engine, run
from tests.support.narayana import SECRET_KEY

PAGE = Path(__file__).parents[3] / "docs" / "mor.md"
__all__ = ["engine"]  # a fixture


def commands() -> list[str]:
    blocks = re.findall(r"^```\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.splitlines()]


async def call(engine: Engine) -> None:
    """A minute that the page speaks of."""
    asked = PrepareCall(CallKey("pbx", "page"), "10001", "4930123456")
    assert isinstance(await engine.charging.prepare_call(asked), Allowed)
    await engine.charging.finish_call(FinishCall(asked.call_key, "10001", "4930123456", 60, "ANSWER"))


@pytest.mark.skipif(shutil.which("curl") is None, reason="the page is of curl")
async def test_the_commands_of_the_page_do_what_it_says(engine, database_url, tmp_path):
    host, port = engine.http.address
    variables = {
        "RATING_DATABASE_URL": database_url, "RATING_REDIS_URL": "", "RATING_SECRET_KEYS": SECRET_KEY,
        "ENGINE": f"{host}:{port}", "PATH": f"{BIN}:{os.environ['PATH']}", "COLUMNS": "200",
    }  # fmt: skip
    answers: list[str] = []
    for line in commands():
        if "user_calls_get" in line:
            await call(engine)
        answers.append(await run(line, tmp_path, variables))
        if "SECRET" not in variables and (found := re.search(r"^secret: (\S+)$", answers[-1], re.MULTILINE)):
            variables["SECRET"] = found[1]

    whole = "\n".join(answers)
    for text in (
        "<status>Device was created</status>", "<status>CLI successfully created</status>", "<gross>5.0</gross>",
        "<balance>15.0000</balance>", "<cli_device>SIP/10001</cli_device>", "<rate>0.6#Germany#49</rate>",
        "<called_to>4930123456</called_to>", "<user_price>0.6</user_price>",
    ):  # fmt: skip
        assert text in whole
    assert whole.count("<error>") == 1
    assert "<error>Incorrect hash</error>" in whole


def test_the_page_says_where_each_function_is_from():
    page = " ".join(PAGE.read_text(encoding="utf-8").split())
    for source in Source:
        names = ", ".join(f"`{each.name}`" for each in FUNCTIONS.values() if each.source is source)
        assert f"| {source.value} | {names} |" in page
