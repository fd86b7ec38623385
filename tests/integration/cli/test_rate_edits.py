"""`rating-engine rates set`, `remove`, `cancel` and `edits` as an operator types them."""

from __future__ import annotations

from pathlib import Path

import pytest

from rating_engine.rating.rate import Rate
from rating_engine.storage.postgres.pool import Database
from tests.support.commands import Commands
from tests.support.world import publish_deck


@pytest.fixture
async def cli(database_url: str, tmp_path: Path) -> Commands:
    database = Database(database_url)
    await database.open()
    await publish_deck(database, rates={"49": Rate(price_1="0.60", price_unit="minute")})
    await database.close()
    return Commands(tmp_path, database_url=database_url)


def price(cli: Commands, number: str) -> str:
    return str(cli.json("rate", number, "--tariff", "retail", "--seconds", 60)["cost"])


def test_a_rate_is_set_listed_and_removed(cli):
    set_now = cli.json(
        "rates", "set", "retail", "4915", "--price", "0.06", "--increments", "60/1", "--direction", "Mobile"
    )
    assert (set_now["prefix"], set_now["removed"], set_now["effective_to"]) == ("4915", False, None)
    assert price(cli, "4915123") == "0.06000"
    assert price(cli, "4930123") == "0.60000"
    assert "0.06 per minute, 60/1" in cli.run("rates", "edits", "retail").stdout
    cli.json("rates", "remove", "retail", "4915")
    assert price(cli, "4915123") == "0.60000"
    assert "removed" in cli.run("rates", "edits", "retail").stdout


def test_a_change_ahead_is_taken_back(cli):
    cli.json("rates", "set", "retail", "4915", "--blocked", "--direction", "Mobile", "--from", "2100-01-01")
    assert "is taken back" in cli.run("rates", "cancel", "retail", "4915", "2100-01-01").stdout
    assert cli.json("rates", "edits", "retail") == {"edits": []}
    assert "no rate was changed" in cli.run("rates", "edits", "retail").stdout


def test_what_is_wrong_is_named(cli):
    wrong = ("rates", "set", "retail", "4915", "--direction", "Mobile")
    assert "--price or --blocked" in cli.refused(*wrong)
    assert "increments" in cli.refused(*wrong, "--price", "1", "--increments", "60")
    assert "increments" in cli.refused(*wrong, "--price", "1", "--increments", "0/1")
    assert "price" in cli.refused(*wrong, "--price", "-1")
    assert "has passed" in cli.refused(*wrong, "--price", "1", "--from", "2020-01-01")
    assert "there is no tariff nowhere" in cli.refused("rates", "remove", "nowhere", "49")
