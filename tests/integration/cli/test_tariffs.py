"""The commands of tariffs as an operator runs them, one after the other: what they show, refuse, and say to do next."""

from __future__ import annotations

from pathlib import Path

import pytest

from rating_engine.storage.postgres.pool import Database
from tests.support.commands import Commands
from tests.support.world import add_account, publish_deck


@pytest.fixture
async def cli(database_url: str, tmp_path: Path) -> Commands:
    """Commands on a database with the tariff `retail` and the account 1001, who has 10 EUR."""
    database = Database(database_url)
    await database.open()
    await publish_deck(database)
    await add_account(database, balance="10")
    await database.close()
    return Commands(tmp_path, database_url=database_url)


def said(cli: Commands, *arguments: object) -> str:
    """What a command that succeeds says to a person, its lines without the frames of tables."""
    done = cli.run(*arguments)
    assert done.returncode == 0, done.stderr
    return "\n".join(" ".join(line.strip("│┃ ").split()).replace("│ ", "") for line in done.stdout.splitlines())


def test_a_tariff_from_its_beginning_to_its_whole_card(cli):
    cli.json("tariff", "add", "gold", "--currency", "USD", "--switch-price", "2.50", "--description", "[bold] tariff")
    cli.run("holidays", "add", "de", "2999-10-03", "Unity")
    changed = cli.json(
        "tariff", "set", "gold", "--time-zone", "Europe/Berlin", "--holidays", "de", "--band-mode", "split"
    )
    cli.json("tariff", "band", "gold", "--band", "peak", "--days", "mon-fri", "--from", "8:00", "--to", "20:00")
    cli.json("tariff", "band", "gold", "--band", "night", "--days", "mon-sun", "--from", "22:00", "--to", "06:00")
    cli.json("package", "add", "gold", "hundred", "--minutes", "100", "--carry-over", "next", "--waives-fees")
    cli.json("package", "volume", "gold", "loyal", "--step", "1000:0.9")
    markup = cli.json("tariff", "markup", "gold", "1.2")

    card = cli.json("tariff", "show", "gold")
    shown = said(cli, "tariff", "show", "gold")

    assert (changed["time_zone"], changed["holiday_calendar"], changed["band_mode"]) == ("Europe/Berlin", "de", "split")
    assert markup == {"tariff": "gold", "before": "1", "multiplier": "1.2"}
    assert (card["multiplier"], card["switch_price"], card["currency"]) == ("1.2", "2.5", "USD")
    assert card["bands"] == [
        {"position": 1, "band": "peak", "days": "mon-fri", "from": "08:00", "to": "20:00"},
        {"position": 2, "band": "night", "days": "mon-sun", "from": "22:00", "to": "06:00"},
    ]
    assert card["holidays"] == [{"day": "2999-10-03", "name": "Unity"}]
    assert [(one["package"], one["seconds"], one["carry_over"]) for one in card["packages"]] == [
        ("hundred", 6000, "next"),
        ("loyal", None, "none"),
    ]
    assert (card["decks"], card["routes"], card["users"]) == ([], [], 0)
    for line in (
        "description [bold] tariff",
        "multiplier 1.2",
        "no rates: say rating-engine rates import",
        "2 night mon-sun 22:00 06:00 next day",
        "2999-10-03 Unity",
        "gold hundred 0 100 min free every direction month next yes",
        "gold loyal 0 x 0.9 after 1,000 min every direction month none no",
        "routes: every enabled one",
    ):
        assert line in shown, shown


def test_the_list_and_the_timeline_name_the_deck_in_force(cli):
    listed = cli.json("tariff", "list")["tariffs"]
    card = cli.json("tariff", "show", "retail")

    assert [(one["tariff"], one["deck_version"], one["rates"], one["users"]) for one in listed] == [("retail", 1, 1, 1)]
    assert [(deck["version"], deck["state"], deck["rates"]) for deck in card["decks"]] == [(1, "in force", 1)]
    assert "retail EUR no 1 0 1 1 1" in said(cli, "tariff", "list")
    assert "no bands: one price at all times" in said(cli, "tariff", "show", "retail")


def test_bands_are_listed_and_taken_away_by_their_position(cli):
    for band, position in (("peak", None), ("feast", "1")):
        where = ["--position", position] if position else []
        cli.run(
            "tariff", "band", "retail", "--band", band, "--days", "holiday", "--from", "0:00", "--to", "24:00", *where
        )

    assert "1 feast holiday 00:00 24:00" in said(cli, "tariff", "bands", "retail")
    assert [one["band"] for one in cli.json("tariff", "unband", "retail", "1")["bands"]] == ["peak"]
    assert "retail has no bands" in said(cli, "tariff", "unband", "retail", "1")


def test_a_file_of_holidays_is_imported_and_listed(cli, tmp_path):
    (tmp_path / "de.csv").write_text("date,name\n2026-12-25,Christmas\n2026-10-03,Unity\n")

    assert said(cli, "holidays", "import", "de", "de.csv") == "de: 2 days added or renamed"
    assert said(cli, "holidays", "add", "de", "2026-12-25", "Christmas") == "de: 2026-12-25 was there already"
    assert "de 2026-10-03 Sat Unity" in said(cli, "holidays", "list", "de")
    assert said(cli, "holidays", "remove", "de", "2026-10-03") == "de: 2026-10-03 removed"
    assert cli.json("holidays", "list") == {"holidays": [{"calendar": "de", "day": "2026-12-25", "name": "Christmas"}]}


def test_a_change_of_tariff_is_paid_once_and_stands_in_the_statement(cli):
    cli.run("tariff", "add", "gold", "--switch-price", "4")

    first = cli.json("account", "tariff", "1001", "gold", "--reference", "order-1")
    again = cli.json("account", "tariff", "1001", "gold", "--reference", "order-1")
    statement = cli.json("account", "statement", "1001")["entries"][0]

    assert first == {
        "login": "1001", "tariff": "gold", "outcome": "switched", "charged": "4", "currency": "EUR", "balance": "6",
    }  # fmt: skip
    assert (again["outcome"], again["charged"], again["balance"]) == ("repeated", "0", "6")
    assert (statement["kind"], statement["amount"], statement["subject"]) == ("fee", "-4", "tariff gold for 1001")
    assert "tariff gold for 1001" in said(cli, "account", "statement", "1001")
    assert said(cli, "account", "tariff", "1001", "retail") == "1001 has retail now; charged 0 EUR, balance 6"
    assert said(cli, "account", "tariff", "1001", "retail") == "1001 has retail already; nothing was changed or charged"


def test_an_option_ahead_is_said_to_be_ahead(cli):
    cli.run("tariff", "add", "weekend", "--option", "yes", "--switch-price", "4")

    words = said(cli, "option", "grant", "1001", "weekend", "--from", "2999-01-01")

    assert words == "1001 has weekend from 2999-01-01 on; charged 4 EUR, balance 6"
    assert "weekend 1 2999-01-01 00:00:00Z until revoked no" in said(cli, "option", "list", "1001")
    twice = ("option", "grant", "1001", "weekend", "--from", "2999-01-01", "--to", "2999-02-01")
    assert said(cli, *twice) == "1001 has weekend already; nothing was changed or charged"


def test_who_has_not_the_money_is_told_what_it_costs_and_how_to_go_on(cli):
    cli.run("tariff", "add", "dear", "--switch-price", "11", "--option", "yes")

    words = cli.refused("option", "grant", "1001", "dear")

    assert words.startswith("dear costs 11 EUR, which the account of 1001 has not (balance 10")
    assert words.endswith("say first: rating-engine account topup 1001 AMOUNT")
    assert cli.json("option", "list", "1001") == {"login": "1001", "options": []}


def test_an_option_is_granted_listed_and_revoked(cli):
    cli.run("tariff", "add", "weekend", "--option", "yes", "--switch-price", "2.5")

    granted = cli.json("option", "grant", "1001", "weekend", "--to", "2999-01-01", "--position", "3")
    (held,) = cli.json("option", "list", "1001")["options"]

    assert (granted["outcome"], granted["balance"]) == ("switched", "7.5")
    assert (held["option"], held["position"], held["to"], held["in_force"]) == (
        "weekend", 3, "2999-01-01T00:00:00+00:00", True,
    )  # fmt: skip
    assert said(cli, "option", "revoke", "1001", "weekend") == "1001: weekend revoked"
    assert "weekend 3" in said(cli, "option", "list", "1001", "--past")


def test_packages_are_listed_used_and_removed(cli):
    assert said(cli, "direction-group", "set", "near", "somewhere") == "direction group near has 1 direction"
    cli.run("package", "add", "retail", "hundred", "--minutes", "100", "--group", "near", "--period", "day")
    cli.run("package", "volume", "retail", "loyal", "--step", "10:0.9")

    free, volume = cli.json("package", "usage", "1001")["packages"]

    assert (free["package"], free["group"], free["allowance"], free["left"]) == ("hundred", "near", 6000, 6000)
    assert (volume["package"], volume["allowance"], volume["factor"], volume["left"]) == ("loyal", None, "1", None)
    assert "100 min 0 min 0 min 0 min 100 min" in said(cli, "package", "usage", "1001")
    assert cli.json("direction-group", "list") == {"groups": {"near": ["somewhere"]}}
    assert said(cli, "package", "remove", "retail", "hundred") == "package hundred removed from retail"
    assert said(cli, "direction-group", "remove", "near") == "direction group near removed"
    assert [one["package"] for one in cli.json("package", "list", "retail")["packages"]] == ["loyal"]


def test_exchange_rates_are_set_listed_and_taken_back(cli):
    cli.json("exchange", "set", "EUR", "USD", "1.07")
    cli.json("exchange", "set", "EUR", "USD", "1.08")
    ahead = cli.json("exchange", "set", "EUR", "USD", "1.2", "--from", "2999-01-01")

    rates = cli.json("exchange", "list")["rates"]

    assert ahead["effective_from"] == "2999-01-01T00:00:00+00:00"
    assert [(one["rate"], one["state"]) for one in rates] == [("1.2", "ahead"), ("1.08", "in force"), ("1.07", "past")]
    assert "EUR USD 1.2 2999-01-01T00:00:00Z ahead" in said(cli, "exchange", "list")
    assert cli.run("exchange", "remove", "EUR", "USD", "--from", "2999-01-01").returncode == 0
    assert len(cli.json("exchange", "list")["rates"]) == 2


def test_a_numbering_plan_is_made_given_and_taken(cli):
    cli.run(
        "numbering", "add", "germany", "--national-prefix", "0", "--country-code", "49", "--technical-prefix", "99#"
    )
    cli.run("numbering", "set", "germany", "--international-prefix", "011")
    assert said(cli, "numbering", "rewrite", "germany", "110", "+49110") == "germany: 110 becomes +49110"

    assert cli.json("numbering", "list") == {
        "plans": [
            {
                "plan": "germany",
                "international_prefix": "011",
                "national_prefix": "0",
                "country_code": "49",
                "technical_prefixes": ["99#"],
                "national_length": 0,
                "rewrites": {"110": "+49110"},
            }
        ]
    }
    assert "germany 011 0 49 99# 110 > +49110" in said(cli, "numbering", "list")
    assert cli.json("account", "set", "1001", "--numbering-plan", "germany")["numbering_plan"] == "germany"
    assert "--numbering-plan none" in cli.refused("numbering", "remove", "germany")
    assert "numbering plan as the settings say" in said(cli, "account", "set", "1001", "--numbering-plan", "none")
    assert said(cli, "numbering", "rewrite", "germany", "110", "--forget") == "germany: 110 is rewritten no more"
    assert cli.run("numbering", "remove", "germany").returncode == 0


def test_aliases_are_of_one_login_or_everybodys(cli):
    assert said(cli, "alias", "add", "*7", "+4930123") == "*7 stands for +4930123, for everybody"
    cli.run("alias", "add", "*7", "4930456", "--login", "1001")

    assert cli.json("alias", "list") == {
        "aliases": [
            {"login": None, "alias": "*7", "destination": "+4930123"},
            {"login": "1001", "alias": "*7", "destination": "4930456"},
        ]
    }
    assert cli.run("alias", "remove", "*7").returncode == 0
    assert "1001 *7 4930456" in said(cli, "alias", "list")


def test_what_cannot_be_done_is_one_line_that_says_why(cli):
    for arguments, says in (
        (["tariff", "show", "nix"], "tariff 'nix' does not exist; see: rating-engine tariff list"),
        (["tariff", "set", "retail", "--currency", "USD"], "currency: stays EUR"),
        (["tariff", "set", "retail", "--holidays", "de"], "say first: rating-engine holidays add de 2026-12-25"),
        (["tariff", "markup", "retail", "1,2"], "markup: '1,2' is not a plain number"),
        (["option", "grant", "1001", "retail"], "'retail' is no option"),
        (
            ["package", "add", "retail", "p", "--minutes", "1", "--group", "g"],
            "rating-engine direction-group set g CODE",
        ),
        (["package", "volume", "retail", "p"], "step: must be given 1 to 50 times"),
        (["numbering", "rewrite", "nix", "1", "2"], "see: rating-engine numbering list"),
        (["account", "set", "1001", "--numbering-plan", "nix"], "see: rating-engine numbering list"),
    ):
        assert says in cli.refused(*arguments), arguments
    assert cli.run("numbering", "rewrite", "nix", "1").returncode == 2
