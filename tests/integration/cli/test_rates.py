"""`rating-engine rates` and `rating-engine rate`, as a user runs them."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest

from tests.support.decks import write_deck

RATE_FIELDS = {
    *("number", "destination", "tariff", "currency", "at", "band", "prefix", "direction", "rate"),
    *("seconds", "billed_seconds", "cost", "lines"),
}


Cli = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def cli(database_url: str, tmp_path: Path) -> Cli:
    """Runs `rating-engine` with arguments, in a directory of its own."""
    environment = {**os.environ, "RATING_DATABASE_URL": database_url, "COLUMNS": "120", "NO_COLOR": "1"}

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "rating_engine.cli", *map(str, arguments)]
        return subprocess.run(
            command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
        )

    return run


def test_a_deck_is_imported_listed_and_priced(cli: Cli, tmp_path: Path) -> None:
    rows = ["79,RussiaMobile,0.10,60/1,0.05", "44,UnitedKingdom,0.02,1/1,"]
    deck = write_deck(tmp_path, rows, "prefix,direction,price,increments,connect_fee")
    imported = cli("rates", "import", deck, "--tariff", "retail", "--currency", "USD")
    assert imported.returncode == 0, imported.stderr
    assert "retail (new, USD)" in imported.stdout
    assert json.loads(cli("rates", "list", "--json").stdout)["tariffs"][0]["rates"] == 2
    assert "retail" in cli("rates", "list").stdout

    priced = cli("rate", "+7 (901) 000-00-01", "--tariff", "retail", "--seconds", "75", "--json")
    answer = json.loads(priced.stdout)
    assert priced.returncode == 0
    assert answer.keys() == RATE_FIELDS
    lines = answer.pop("lines")
    assert datetime.fromisoformat(answer.pop("at")) <= datetime.now(UTC)
    assert answer == {
        "number": "+7 (901) 000-00-01",
        "destination": "79010000001",
        "tariff": "retail",
        "currency": "USD",
        "prefix": "79",
        "band": None,
        "direction": "RussiaMobile",
        "rate": {"price_1": "0.1", "price_unit": "minute", "interval_1": 60, "connect_fee": "0.05"},
        "seconds": 75,
        "billed_seconds": 75,
        "cost": "0.17500",
    }
    assert [(line["kind"], line["quantity"], line["seconds"], line["amount"]) for line in lines] == [
        ("connect_fee", 1, 0, "0.05"),
        ("first_interval", 1, 60, "0.1"),
        ("next_intervals", 15, 15, "0.025"),
    ]
    table = cli("rate", "79010000001", "--tariff", "retail", "--seconds", "75").stdout
    for words in ("prefix 79 (RussiaMobile)", "connect fee", "first interval", "next intervals", "0.175"):
        assert words in table


def test_a_quote_says_what_the_tariff_adds_and_the_time_of_day_by_its_clock(cli: Cli, tmp_path: Path) -> None:
    deck = write_deck(tmp_path, ["79,0.10,0.05,", "79,0.04,0.05,night"], "prefix,price,connect_fee,band")
    assert cli("tariff", "add", "retail", "--time-zone", "Europe/Berlin", "--multiplier", "1.5").returncode == 0
    window = ("--band", "night", "--days", "mon-sun", "--from", "20:00", "--to", "08:00")
    assert cli("tariff", "band", "retail", *window).returncode == 0
    imported = cli("rates", "import", deck, "--tariff", "retail")
    assert "retail (first rates, EUR)" in imported.stdout
    assert "retail (replaced, EUR)" in cli("rates", "import", deck, "--tariff", "retail").stdout

    def asked(at: str) -> list[str]:
        return ["rate", "7901", "--tariff", "retail", "--seconds", "60", "--at", at]

    night = cli(*asked("2099-01-01T20:00"))
    answer = json.loads(cli(*asked("2099-01-01T19:00Z"), "--json").stdout)

    assert night.stdout.startswith(
        "7901 on retail (night): prefix 79, 0.04 per minute, 1/1, connect fee 0.05, all x 1.5\n"
    )
    assert "7901 on retail: prefix 79, 0.1 per minute" in cli(*asked("2099-01-01T19:59:59")).stdout
    assert (answer["at"], answer["band"], answer["cost"]) == ("2099-01-01T19:00:00+00:00", "night", "0.13500")
    assert answer["rate"]["multiplier"] == "1.5"
    assert "add the offset" in cli(*asked("2099-10-25T02:30")).stderr


def test_a_quote_refuses_what_a_call_would_be_refused_for(cli: Cli, tmp_path: Path) -> None:
    deck = write_deck(tmp_path, ["79,Mobile,0.1"])
    cli("rates", "import", deck, "--tariff", "retail")
    cli("direction", "Mobile", "--min-len", "11", "--max-len", "11")

    assert cli("rate", "79010000001", "--tariff", "retail", "--seconds", "1").returncode == 0
    short = cli("rate", "7901", "--tariff", "retail", "--seconds", "1")
    assert (short.returncode, short.stderr) == (1, "error number: 7901 has the wrong length for Mobile\n")


def test_a_tariff_that_prices_by_the_routing_number_is_quoted_by_it(cli: Cli, tmp_path: Path) -> None:
    cli("rates", "import", write_deck(tmp_path, ["49,Fixed,0.1", "4915,Mobile,0.2"]), "--tariff", "retail")
    asked = ("rate", "4930123456", "--tariff", "retail", "--seconds", "60", "--routing-number", "+4915112345678")

    assert "prefix 49 (Fixed)" in cli(*asked).stdout
    cli("tariff", "set", "retail", "--by-routing-number", "yes")
    assert "prefix 4915 (Mobile)" in cli(*asked).stdout


def test_rejected_rows_give_exit_status_2_and_their_file(cli: Cli, tmp_path: Path) -> None:
    done = cli("rates", "import", write_deck(tmp_path, ["79,Russia,0.1", "7x,Bad,0.1"]), "--tariff", "retail")
    assert done.returncode == 2
    assert "Not taken: 1 of the rows" in done.stdout
    assert "deck.rejected.csv" in done.stdout
    assert "7x,Bad,0.1,3,prefix: '7x' is not a prefix of digits" in (tmp_path / "deck.rejected.csv").read_text()


def test_an_import_reports_in_json(cli: Cli, tmp_path: Path) -> None:
    done = cli("rates", "import", write_deck(tmp_path, ["79,Russia,0.1"]), "--tariff", "retail", "--json")
    report = json.loads(done.stdout)
    assert report.pop("seconds") >= 0
    assert datetime.fromisoformat(report.pop("effective_from")) <= datetime.now(UTC)
    assert report == {
        "tariff": "retail",
        "created": True,
        "currency": "EUR",
        "version": 1,
        "scheduled": False,
        "rates": 1,
        "taken": 1,
        "rejected": 0,
        "repeated": 0,
        "left_out": 0,
        "delta": None,
        "without_rate_until_later": 0,
        "dry_run": False,
        "sheet": "",
        "date_order": None,
        "columns": [
            {"column": "prefix", "name": "prefix", "times": "1"},
            {"column": "direction", "name": "direction", "times": "1"},
            {"column": "price", "name": "price", "times": "1"},
        ],
        "read_otherwise": [],
        "blocked": 0,
        "blocked_instead_of_rejected": 0,
        "kept_until_later": 0,
        "free_of_charge": 0,
        "changes": None,
        "next_version": None,
        "directions": 1,
        "price_unit": "minute",
        "ignored_columns": [],
        "rejected_file": None,
    }


def test_prices_of_an_interval_by_default_are_said(cli: Cli, tmp_path: Path) -> None:
    deck = write_deck(tmp_path, ["79,0.1"], "prefix,price_1")
    assert "--price-unit" in cli("rates", "import", deck, "--tariff", "retail").stdout
    assert "--price-unit" not in cli("rates", "import", deck, "--tariff", "retail", "--price-unit", "minute").stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(("rates", "import", "none.csv", "--tariff", "t"), "there is no such file", id="no file"),
        pytest.param(("rates", "import", "empty.csv", "--tariff", "t"), "nothing was published", id="no rows"),
        pytest.param(("rates", "import", "brackets.csv", "--tariff", "t"), "[/no] [bold]markup", id="not our markup"),
        pytest.param(
            ("rate", "79", "--tariff", "none", "--seconds", "1"), "tariff 'none' does not exist", id="no tariff"
        ),
        pytest.param(("rate", "7x", "--tariff", "retail", "--seconds", "1"), "number: has 'x'", id="no number"),
    ],
)
def test_what_cannot_be_done_gives_exit_status_1_and_one_line(
    cli: Cli, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    write_deck(tmp_path, [], name="empty.csv")
    write_deck(tmp_path, [], header="[/no] [bold]markup", name="brackets.csv")
    done = cli(*arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_number_that_no_rate_serves_gives_exit_status_1(cli: Cli, tmp_path: Path) -> None:
    assert cli("rates", "import", write_deck(tmp_path, ["79,Russia,0.1"]), "--tariff", "retail").returncode == 0
    done = cli("rate", "33100000000", "--tariff", "retail", "--seconds", "1", "--json")
    assert (done.returncode, done.stdout) == (1, "")
    assert "no rate of the tariff retail serves 33100000000" in done.stderr


def test_a_deck_with_names_of_its_own_is_imported_by_a_profile_made_from_it(cli: Cli, tmp_path: Path) -> None:
    deck = write_deck(tmp_path, ["79,0.1,x"], "Ziel,Neu (EUR),Kommentar")
    assert "no header" in cli("rates", "import", deck, "--tariff", "retail").stderr
    profile = cli("rates", "profile", deck).stdout.replace('prefix = ""', 'prefix = "Ziel"')
    directory = tmp_path / "config" / "deck_profiles"
    directory.mkdir(parents=True)
    (directory / "carrier.toml").write_text(profile.replace('price = ""', 'price = "Neu (EUR)"'))
    done = cli("rates", "import", deck, "--tariff", "retail", "--profile", "carrier", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["ignored_columns"] == ["Kommentar"]
    assert "prefix 79" in cli("rate", "7901", "--tariff", "retail", "--seconds", "1").stdout


def test_versions_are_compared_listed_taken_back_and_exported(cli: Cli, tmp_path: Path) -> None:
    first = write_deck(tmp_path, ["79,Russia,0.1", "44,UK,0.02"], name="first.csv")
    second = write_deck(tmp_path, ["79,Russia,0.125", "49,Germany,0.01"], name="second.csv")
    assert cli("rates", "import", first, "--tariff", "retail").returncode == 0
    done = cli("rates", "diff", "retail", second, "--json")
    assert done.returncode == 0, done.stderr
    changes = json.loads(done.stdout)
    assert changes.pop("worst")["rise"] == [
        {
            "prefix": "79",
            "origin": "",
            "band": "",
            "direction": "Russia",
            "old_per_minute": "0.1",
            "new_per_minute": "0.125",
            "change": "0.025",
            "percent": "25.0",
        }
    ]
    assert datetime.fromisoformat(changes.pop("at")) <= datetime.now(UTC)
    assert changes == {
        "tariff": "retail",
        "currency": "EUR",
        "from": "version 1",
        "to": str(second),
        "later": 0,
        "rejected": 0,
        "counts": {"rise": 1, "fall": 0, "new": 1, "gone": 1, "blocked": 0, "unblocked": 0, "terms": 0},
    }
    assert cli("rates", "import", second, "--tariff", "retail").returncode == 0
    table = cli("rates", "diff", "retail", "1", "2", "--by", "price").stdout
    for words in ("from version 1 to version 2", "dearer", "25.0", "gone"):
        assert words in table
    assert "version 1 is published again as version 3 (2 rates)" in cli("rates", "rollback", "retail").stdout
    versions = json.loads(cli("rates", "list", "--versions", "--json").stdout)["versions"]
    assert [(one["version"], one["state"]) for one in versions] == [(3, "in force"), (2, "replaced"), (1, "replaced")]
    history = json.loads(cli("rates", "history", "49", "--tariff", "retail", "--json").stdout)
    assert [one["matched"] for one in history["versions"]] == [None, "49", None]
    assert "0.01 per minute, 1/1" in cli("rates", "history", "49", "--tariff", "retail").stdout
    assert "is in out.csv" in cli("rates", "export", "retail", "out.csv", "--version", "2").stdout
    assert "79,,,,,Russia,0.125" in (tmp_path / "out.csv").read_text(encoding="utf-8-sig")


def test_a_blocked_number_is_told_from_one_that_no_rate_serves(cli: Cli, tmp_path: Path) -> None:
    deck = write_deck(tmp_path, ["53,Cuba,0.7", "535,Cuba Mobile,blocked"])
    assert cli("rates", "import", deck, "--tariff", "retail").returncode == 0
    done = cli("rate", "5351234567", "--tariff", "retail", "--seconds", "1")
    assert done.returncode == 1
    assert "the tariff retail blocks 5351234567: prefix 535 is blocked in its deck" in done.stderr


def test_a_tariff_without_rates_says_how_to_get_some(cli: Cli, database_url: str) -> None:
    async def make() -> None:
        connection = await asyncpg.connect(database_url)
        await connection.execute("INSERT INTO tariffs (name, currency) VALUES ('bare', 'EUR')")
        await connection.close()

    loop = asyncio.new_event_loop()
    loop.run_until_complete(make())
    loop.close()
    done = cli("rate", "79", "--tariff", "bare", "--seconds", "1")
    assert done.returncode == 1
    assert "rating-engine rates import FILE --tariff bare" in done.stderr


def test_a_delta_is_scheduled_listed_and_withdrawn(cli: Cli, tmp_path: Path) -> None:
    header = "prefix,direction,price,status"
    whole = write_deck(tmp_path, ["79,Russia,0.1,", "44,UK,0.02,", "45,Denmark,0.03,"], header, "whole.csv")
    delta = write_deck(tmp_path, ["79,Russia,0.125,", "44,,,closed", "49,Germany,0.01,"], header, "delta.csv")
    assert cli("rates", "import", whole, "--tariff", "retail").returncode == 0
    when = ("--from", "2199-01-01T00:00", "--time-zone", "Europe/Berlin")
    done = cli("rates", "diff", "retail", delta, "--delta", *when)
    assert done.returncode == 0, done.stderr
    assert "from version 1 to" in done.stdout
    done = cli("rates", "import", delta, "--tariff", "retail", "--delta", *when)
    assert done.returncode == 0, done.stderr
    for words in ("version 1 changed", "2199-01-01 00:00:00+01:00", "rates new", "rates changed", "rates closed"):
        assert words in done.stdout
    listed = cli("rates", "list", "--versions").stdout
    for words in ("in force", "scheduled", "2198-12-31 23:00:00Z"):
        assert words in listed
    history = cli("rates", "history", "79", "--tariff", "retail").stdout
    assert "0.125 per minute, 1/1" in history
    done = cli("rates", "import", whole, "--tariff", "retail")
    assert "Version 2 is scheduled, and replaces this one at 2198-12-31 23:00:00Z." in done.stdout
    done = cli("rates", "withdraw", "retail", "2")
    assert "version 2 is withdrawn; at 2198-12-31 23:00:00Z version 3 is in force" in done.stdout
    done = cli("rates", "withdraw", "retail", "3")
    assert (done.returncode, done.stdout) == (1, "")
    assert "is or was in force" in done.stderr
    done = cli("rates", "rollback", "retail", "--to", "1", "--from", "2199-01-01", "--json")
    assert json.loads(done.stdout)["effective_from"] == "2199-01-01T00:00:00+00:00"
    versions = json.loads(cli("rates", "list", "--versions", "--json").stdout)["versions"]
    assert [one["state"] for one in versions] == ["scheduled", "in force", "withdrawn", "replaced"]


def test_what_the_operator_may_not_have_meant_is_said(cli: Cli, tmp_path: Path) -> None:
    deck = write_deck(tmp_path, ["45,0.1,night"], "prefix,price,band")
    done = cli("rates", "import", deck, "--tariff", "retail")
    assert (done.returncode, done.stdout) == (1, "")
    assert "the file has rates of night, and the tariff has no such time of day" in done.stderr
    deck = write_deck(tmp_path, ["79,0.1,", "44,0.1,2199-01-01"], "prefix,price,effective from")
    done = cli("rates", "import", deck, "--tariff", "retail", "--dry-run")
    assert "Nothing was changed:" in done.stdout
    done = cli("rates", "import", deck, "--tariff", "retail")
    assert done.returncode == 0, done.stderr
    assert "rates of retail, version 1" in done.stdout  # the dry run left none
    assert "No rate before 2199-01-01 00:00:00Z: 1 of the deck begin later, such as 44." in done.stdout
    done = cli("rates", "import", deck, "--tariff", "retail", "--from", "2020-01-01")
    assert (done.returncode, done.stdout) == (1, "")
    assert "has passed" in done.stderr
