"""`rating-engine routes` as a user runs it."""

from __future__ import annotations

from pathlib import Path

import pytest

from rating_engine.rating.rate import Rate
from rating_engine.storage.postgres.pool import Database
from tests.support.commands import Commands
from tests.support.operators import Routes
from tests.support.world import publish_deck


@pytest.fixture
async def cli(database_url: str, tmp_path: Path) -> Commands:
    """Commands on a database with the tariffs `retail` (0.60 a minute) and `costs` (0.20), and two routes."""
    database = Database(database_url)
    await database.open()
    await publish_deck(database)
    await publish_deck(database, "costs", {"49": Rate(price_1="0.20", price_unit="minute", interval_1=1, interval_n=1)})
    await Routes(database).add("carrier1", {"position": "1", "cost_tariff": "costs"})
    await Routes(database).add("carrier2", {"position": "2", "number_prefix": "7", "max_calls": "3"})
    await database.close()
    return Commands(tmp_path, database_url=database_url)


def said(cli: Commands, *arguments: object) -> str:
    done = cli.run(*arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_route_is_added_changed_and_shown(cli):
    said(
        cli, "routes", "add", "carrier3", "--position", 10, "--dial-prefix", "99#", "--max-calls", 30, "--cost", "costs"
    )
    changes = ["--weight", 3, "--percentage", 40, "--max-calls", "none", "--time-zone", "Europe/Berlin"]
    said(cli, "routes", "set", "carrier3", *changes, "--callerid-policy", "national", "--country-code", 49)
    said(cli, "routes", "allow", "carrier3", "7495", "7499")
    said(cli, "routes", "block", "carrier3", "881", "882")
    said(cli, "routes", "forget", "carrier3", "882")
    window = said(cli, "routes", "window", "carrier3", "--days", "mon-fri", "--from", "08:00", "--to", "18:00")

    assert window == "route carrier3 is used mon-fri 08:00 to 18:00 (Europe/Berlin)\n"
    assert cli.json("routes", "show", "carrier3") == {
        "name": "carrier3",
        "position": 10,
        "dial_prefix": "99#",
        "number_prefix": "",
        "enabled": True,
        "weight": 3,
        "percentage": 40,
        "max_calls": None,
        "max_calls_per_second": None,
        "cost_tariff": "costs",
        "callerid_policy": "national",
        "country_code": "49",
        "default_allowed": True,
        "prefixes": {"7495": True, "7499": True, "881": False},
        "time_zone": "Europe/Berlin",
        "windows": [{"days": "mon-fri", "from": "08:00", "to": "18:00"}],
    }
    shown = said(cli, "routes", "show", "carrier3")
    assert "serves         all, also 7495… 7499…, not 881…" in shown
    assert "caller ids     national (49)" in shown


def test_the_list_names_the_routes_without_a_cost(cli):
    assert "without a cost, and so without a margin guard: carrier2" in said(cli, "routes", "list")
    said(cli, "routes", "cost", "carrier2", "costs")
    assert "without a cost" not in said(cli, "routes", "list")


def test_a_route_is_disabled_enabled_and_removed(cli):
    said(cli, "routes", "disable", "carrier1")
    said(cli, "routes", "remove", "carrier2")
    (route,) = cli.json("routes", "list")["routes"]
    assert (route["name"], route["enabled"]) == ("carrier1", False)
    said(cli, "routes", "enable", "carrier1")
    assert cli.json("routes", "show", "carrier1")["enabled"]


def test_a_window_is_asked_for_whole_and_taken_away(cli):
    assert cli.refused("routes", "window", "carrier1", "--days", "mon") == "say --days, --from and --to, or --always"
    said(cli, "routes", "window", "carrier1", "--days", "sat,sun", "--from", "22:00", "--to", "06:00")
    assert said(cli, "routes", "window", "carrier1", "--always") == "route carrier1 is used always\n"
    assert cli.json("routes", "show", "carrier1")["windows"] == []


def test_the_routes_of_a_tariff_are_listed_by_hand(cli):
    assert said(cli, "routes", "of", "retail") == "calls of tariff retail may take every route\n"
    assert cli.json("routes", "of", "retail", "carrier2", "carrier1") == {
        "tariff": "retail",
        "routes": ["carrier2", "carrier1"],
    }
    assert cli.json("routes", "of", "retail", "--every")["routes"] == []


def test_a_trial_says_where_a_call_goes_and_why_not_elsewhere(cli):
    shown = said(cli, "routes", "try", "+49 30 123456", "--tariff", "retail")
    assert "4930123456 on retail: prefix 49, a minute is sold for 0.6 EUR; routes by priority" in shown
    assert "does not serve the number" in shown
    assert cli.json("routes", "try", "4930123456", "--tariff", "retail", "--at", "2099-01-01") == {
        "destination": "4930123456",
        "tariff": "retail",
        "prefix": "49",
        "currency": "EUR",
        "sell_minute": "0.6",
        "order": "priority",
        "routes": [
            {"attempt": 1, "name": "carrier1", "refusal": None, "minute_cost": "0.2", "margin": "0.4"},
            {"attempt": None, "name": "carrier2", "refusal": "number_prefix", "minute_cost": None, "margin": None},
        ],
    }
    assert cli.refused("routes", "try", "4930123456", "--tariff", "retail", "--at", "soon").startswith("at: ")


def test_the_load_of_routes_with_a_limit_is_shown(cli):
    assert cli.json("routes", "load")["routes"] == [
        {
            "name": "carrier2",
            "open_calls": 0,
            "max_calls": 3,
            "calls_this_second": 0,
            "max_calls_per_second": None,
        }
    ]
    assert "carrier2" in said(cli, "routes", "load")


def test_without_calls_there_is_no_quality_to_show(cli):
    assert said(cli, "routes", "quality", "--window", 60) == "no call ended in the last 60 s\n"


@pytest.mark.breaks_books  # CDRs are written as no call would
async def test_the_quality_of_a_route_is_shown_with_what_its_calls_left(cli, database_url):
    database = Database(database_url)
    await database.open()
    await database.fetch(
        """INSERT INTO call_records (bucket, call_key, account_id, subscriber_id, state, source, exchange, attempt,
               callerid, destination, direction, prefix, tariff_id, deck_id, route_name, currency, granted, seconds,
               billed_seconds, cost, disposition, cause, prepared_at, ended_at, margin)
           SELECT 0, s::text, 1, 1, 'settled', 'finish', 'test', 1, '', '4912345', 'Somewhere', '49', 1, 1,
                  'carrier1', 'EUR', 0, s, s, s * 0.01, 'ANSWER', 16, now(), now(), CASE WHEN s < 90 THEN s * 0.004 END
           FROM unnest(ARRAY[0, 60, 90]) AS s"""
    )
    await database.close()
    shown = said(cli, "routes", "quality")
    for cell in ("carrier1", "66 %", "75 s", "1.5 EUR", "0.24 EUR", "without 1 calls"):
        assert cell in shown
    (route,) = cli.json("routes", "quality")["routes"]
    assert route["money"] == [
        {
            "currency": "EUR",
            "sold": "1.5",
            "sold_of_known_cost": "0.6",
            "margin": "0.24",
            "calls_of_unknown_cost": 1,
        }
    ]
