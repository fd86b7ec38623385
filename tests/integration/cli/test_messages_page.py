"""docs/messages.md is a session: its commands, in their order, do what the page says."""

from __future__ import annotations

import logging
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from typer.testing import CliRunner

from rating_engine.cli.app import app
from rating_engine.domain.carrier import parse_carrier

PAGE = Path(__file__).parents[3] / "docs" / "messages.md"
RUNNER = CliRunner()


@pytest.fixture
def installed(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("RATING_DATABASE_URL", database_url)
    monkeypatch.setenv("RATING_MESSAGE_CARRIERS", "demo loopback")
    monkeypatch.setenv("COLUMNS", "200")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    yield
    structlog.reset_defaults()


def run(line: str) -> str:
    done = RUNNER.invoke(app, shlex.split(line)[1:])
    assert done.exit_code == 0, (line, done.output)
    return done.output


def test_the_page_sends_a_message_once_and_charges_it_once(installed: None):
    text = PAGE.read_text(encoding="utf-8")
    block, costs = re.findall(r"^```\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    said = [run(line) for line in block.splitlines() if line.startswith("rating-engine ")]

    *_, carriers, tried, first, again, listed, account = said
    assert "demo\thlr, sms\tall" in carriers
    assert "1 part(s) of gsm7 (22 units): 0.07" in tried
    assert "carried by demo" in tried
    assert first == again
    assert "is sent (demo): 0.07" in first
    assert listed.count("4915112345678") == 1
    assert "Grüße" not in listed
    assert "9.93" in account
    *_, sums = [run(line) for line in costs.splitlines()]
    assert re.search(r"demo\t\S+\t1\t1\t1\t0.07 EUR\t-\t-", sums), sums
    run("rating-engine message price retail none --kind hlr")
    assert "hlr" not in run("rating-engine message prices retail")


def test_the_carriers_of_the_page_are_carriers():
    (block,) = re.findall(r"^```toml\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert [parse_carrier(each).kind for each in tomllib.loads(block)["message_carriers"]] == ["http", "smpp", "hlr"]
