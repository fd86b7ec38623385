"""`rating-engine import-from` on a real database: what was a rate card there is charged here, by the same code."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import Commands
from tests.support.rate_cards import PLAN, card, insert


@pytest.fixture
def cli(database_url: str, tmp_path: Path) -> Commands:
    return Commands(tmp_path, database_url=database_url)


def a2billing(tmp_path: Path, *cards: dict[str, object]) -> Path:
    more = (
        insert("cc_config", {"config_key": "base_currency", "config_value": "usd"})
        + insert("cc_tariffgroup", {"id": 7, "tariffgroupname": "gold", "lcrtype": 0, "id_cc_package_offer": 5})
        + insert("cc_tariffgroup_plan", {"idtariffgroup": 7, "idtariffplan": 1})
        + insert(
            "cc_package_offer",
            {"id": 5, "label": "hundred", "packagetype": 2, "billingtype": 0, "startday": 1, "freetimetocall": 100},
        )
        + insert("cc_package_rate", {"package_id": 5, "rate_id": 1})
        + insert("cc_trunk", {"id_trunk": 1, "trunkcode": "alpha", "status": 1})
    )
    file = tmp_path / "a2billing.sql"
    file.write_text(
        more
        + insert("cc_prefix", {"prefix": 49, "destination": 'Germany; "all"'})
        + insert("cc_ratecard", *cards)
        + insert("cc_tariffplan", PLAN)
    )
    return file


def quoted(cli: Commands, number: str, seconds: int, tariff: str = "retail", at: str = "") -> Decimal:
    when = ("--at", at) if at else ()
    answer: dict[str, Any] = cli.json("rate", number, "--tariff", tariff, "--seconds", seconds, *when)
    return Decimal(answer["cost"])


def test_a_rate_card_of_a2billing_is_charged_as_it_was(cli, tmp_path):
    tiers = {"stepchargea": ".10", "chargea": ".50", "timechargea": 60, "billingblocka": 60, "stepchargeb": ".05"}
    file = a2billing(
        tmp_path,
        card(initblock=30, billingblock=18),
        card(id=2, dialprefix="50", rateinitial=".20", billingblock=6, **tiers),
        card(id=3, dialprefix="51", initblock=1, billingblock=1, rateinitial=".30", minimal_cost=".25"),
        card(id=4, dialprefix="52", disconnectcharge=".10", disconnectcharge_after=30, rateinitial="0.000001"),
        card(id=5, dialprefix="5x"),
    )

    done = cli.run("import-from", "a2billing", file, "--cost", "--time-zone", "Europe/Berlin")

    assert done.returncode == 2, done.stdout + done.stderr  # one row was rejected
    assert "Not taken: 1 of the rows, see " in done.stdout
    assert "[/]" not in done.stdout  # markup that nobody rendered
    assert "'5x' is not a prefix of digits" in done.stdout.replace("\n", " ")
    assert quoted(cli, "4930123", 31) == Decimal("0.36")  # A2
    assert quoted(cli, "5030123", 95) == Decimal("0.72")  # A8
    assert quoted(cli, "5130123", 20) == Decimal("0.25")  # A4
    assert quoted(cli, "5230123", 29) == 0
    assert quoted(cli, "5230123", 30) == Decimal("0.100001")
    assert quoted(cli, "4930123", 60, "alpha-cost") == Decimal("0.10")


def test_settings_bands_and_packages_come_with_the_deck(cli, tmp_path):
    monday = {"starttime": 480, "endtime": 1199}
    file = a2billing(tmp_path, card(**monday, rateinitial="1"), card(id=2, dialprefix="4", rateinitial="2"))

    answer = cli.json("import-from", "a2billing", file)

    assert answer["imported"]
    assert {tariff["tariff"]: tariff["version"] for tariff in answer["tariffs"]} == {"retail": 1, "retail + hundred": 1}
    shown = cli.json("tariff", "show", "retail")
    option = cli.json("tariff", "show", "retail + hundred")
    assert (shown["currency"], shown["decimals"], shown["increment_mode"]) == ("USD", 6, "total")
    assert [tuple(band.values()) for band in shown["bands"]] == [(1, "time-1", "mon", "08:00", "20:00")]
    assert option["is_option"]
    assert [package["package"] for package in option["packages"]] == ["hundred"]
    assert quoted(cli, "4930123", 60, at="2027-01-04T19:59:59+00:00") == 1  # a Monday
    assert quoted(cli, "4930123", 60, at="2027-01-04T20:00:00+00:00") == 2  # by the shorter prefix, as there


def test_an_import_again_replaces_the_decks_and_keeps_the_tariffs(cli, tmp_path):
    cli.json("import-from", "a2billing", a2billing(tmp_path, card()))
    again = cli.json("import-from", "a2billing", a2billing(tmp_path, card(rateinitial="1.20")))

    assert {tariff["version"] for tariff in again["tariffs"]} == {2}
    assert quoted(cli, "4930123", 60) == Decimal("1.20")


def test_a_dry_run_writes_files_and_needs_no_database(tmp_path):
    file = a2billing(tmp_path, card())
    answer = Commands(tmp_path).json("import-from", "a2billing", file, "--dry-run", "--out", tmp_path / "look")

    assert not answer["imported"]
    written = {path.name for path in (tmp_path / "look").iterdir()}
    assert written == {"retail.csv", "retail_+_hundred.csv", "tariffs.json", "report.txt", "report.json"}
    assert json.loads((tmp_path / "look" / "report.json").read_text())["findings"] == answer["findings"]


def test_astpp_and_magnusbilling_are_charged_as_they_were(cli, tmp_path):
    astpp = tmp_path / "origination.csv"
    astpp.write_text(
        "Code,Destination,Connection Cost,Grace Time,Cost / Min,Initial Increment,Increment\n1,USA,0.02,10,0.60,30,18\n"
    )
    magnus = tmp_path / "rates.csv"
    magnus.write_text("1;USA;0.60;30;18;6\r\n")

    cli.json("import-from", "astpp", astpp, "--tariff", "from astpp", "--currency", "USD")
    cli.json("import-from", "magnusbilling", magnus, "--tariff", "from magnus")

    assert quoted(cli, "12025550100", 41, "from astpp") == Decimal("0.50")  # 10 free, then 30 + 18 s
    assert quoted(cli, "12025550100", 31, "from magnus") == Decimal("0.36")
    assert quoted(cli, "12025550100", 6, "from magnus") == 0


def test_what_is_wrong_is_one_line(cli, tmp_path):
    dump = a2billing(tmp_path, card())

    assert "no rows of the table routes: it is no dump of ASTPP" in cli.refused("import-from", "astpp", dump)
    assert "No such file or directory" in cli.refused("import-from", "a2billing", tmp_path / "none.sql")
    assert "currency: 'dollars'" in cli.refused("import-from", "a2billing", dump, "--currency", "dollars")
    assert "there are: 'retail'" in cli.refused("import-from", "a2billing", dump, "--plan", "gold")
