"""MagnusBilling's rules as ours: its vectors give what they gave, its faults the right value, and are reported."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rating_engine.importers.dump_text import DumpError
from rating_engine.importers.migrating import System
from rating_engine.rating.charge import charge, max_duration
from rating_engine.rating.rate import Rate
from tests.support.rate_cards import Migration, bare_insert, insert, migrate

TYPES = {
    "id": "int(11) NOT NULL AUTO_INCREMENT",
    "id_plan": "int(11) NOT NULL",
    "id_trunk_group": "int(11) NOT NULL",
    "id_prefix": "int(11) NOT NULL",
    "rateinitial": "decimal(15,6) DEFAULT '0.000000'",
    "initblock": "int(11)",
    "billingblock": "int(11)",
    "connectcharge": "decimal(15,5)",
    "disconnectcharge": "decimal(15,5)",
    "additional_grace": "varchar(11)",
    "minimal_time_charge": "int(2)",
    "package_offer": "smallint(1)",
    "status": "tinyint(1)",
    "dialprefix": "bigint(20)",
    "destination": "varchar(50)",
}


def rate_row(**columns: object) -> list[object]:
    """A row of pkg_rate with the defaults of its table."""
    row: dict[str, object] = {
        "id": 1,
        "id_plan": 1,
        "id_trunk_group": 1,
        "id_prefix": 9,
        "rateinitial": "0.600000",
        "initblock": 1,
        "billingblock": 1,
        "connectcharge": "0.00000",
        "disconnectcharge": "0.00000",
        "additional_grace": "0",
        "minimal_time_charge": 0,
        "package_offer": 0,
        "status": 1,
        "dialprefix": None,
        "destination": None,
        **columns,
    }
    return list(row.values())


def dump(*rows: list[object], more: str = "") -> str:
    return (
        "/*!40103 SET TIME_ZONE='+00:00' */;\n"
        + insert(
            "pkg_plan", {"id": 1, "name": "retail", "techprefix": ""}, {"id": 2, "name": "other", "techprefix": "77"}
        )
        + insert(
            "pkg_prefix",
            {"id": 9, "prefix": "5511", "destination": "São Paulo"},
            {"id": 10, "prefix": "55", "destination": 'Brazil "all"'},
        )
        + bare_insert("pkg_rate", TYPES, *rows)
        + more
    )


def imported(tmp_path: Path, text: str, **options: Any) -> Migration:
    file = tmp_path / "magnus.sql"
    file.write_text(text, "utf-8")
    return migrate(System.MAGNUSBILLING, file, **{"plans": ("retail",), **options})


def cost(rate: Rate, seconds: int) -> Decimal:
    return charge(rate, seconds).cost


M3 = {"rateinitial": "1", "initblock": 60, "billingblock": 60, "connectcharge": ".10", "disconnectcharge": ".05"}


@pytest.mark.parametrize(
    ("columns", "seconds", "expected"),
    [
        pytest.param({"rateinitial": "0.050000", "initblock": 30, "billingblock": 6}, 45, "0.04", id="M1"),
        pytest.param({"initblock": 30, "billingblock": 18}, 31, "0.36", id="M2"),
        pytest.param(M3, 61, "2.10", id="M3 no disconnect charge, as there"),
        pytest.param({"minimal_time_charge": 6}, 6, "0", id="M4"),
        pytest.param({"minimal_time_charge": 6}, 7, "0.07", id="M4b"),
        pytest.param({"additional_grace": "10"}, 50, "0.60", id="M5"),
        pytest.param({"additional_grace": "10%"}, 50, "0.55", id="M5 10%"),
        pytest.param({"additional_grace": "100%"}, 50, "1.00", id="M5 100% adds 100%"),
        pytest.param({"additional_grace": "5%"}, 50, "0.53", id="M5 5% a started second is whole"),
        pytest.param({"initblock": 0, "billingblock": 60}, 1, "0.60", id="no initial block"),
    ],
)
def test_a_call_costs_what_it_cost(tmp_path, columns, seconds, expected):
    assert cost(imported(tmp_path, dump(rate_row(**columns))).only.rate("5511"), seconds) == Decimal(expected)


@pytest.mark.parametrize(
    ("columns", "funds", "seconds"),
    [
        pytest.param({"rateinitial": ".30", "initblock": 60, "billingblock": 60}, "1.00", 180, id="ML1"),
        pytest.param({"rateinitial": "1", "initblock": 60}, "0.10", 0, id="ML2"),
        pytest.param({"rateinitial": "1", "initblock": 60, "billingblock": 60}, "0.01", 0, id="ML3"),
        pytest.param({"rateinitial": ".10", "initblock": 60, "billingblock": 60}, "0.70", 420, id="ML4"),
        pytest.param({"rateinitial": "0"}, "0", 3600, id="ML5"),
    ],
)
def test_a_call_lasts_as_long_as_it_can_be_paid(tmp_path, columns, funds, seconds):
    rate = imported(tmp_path, dump(rate_row(**columns))).only.rate("5511")

    assert max_duration(rate, Decimal(funds), 3600) == seconds


@pytest.mark.parametrize(
    ("columns", "code"),
    [
        ({"disconnectcharge": ".05"}, "disconnect"),
        ({"additional_grace": "5%"}, "percent"),
        ({"additional_grace": "100%"}, "percent-100"),
        ({"initblock": 60}, "limit"),
        ({}, "float"),
        ({}, "places"),
        ({"status": 0}, "inactive"),
    ],
)
def test_what_differs_is_reported(tmp_path, columns, code):
    rows = rate_row(**columns), rate_row(id=2, id_prefix=10)
    plain = imported(tmp_path, dump(rate_row(id=2, id_prefix=10))).count(code)

    assert imported(tmp_path, dump(*rows)).count(code) == 1 + plain


def test_a_plan_is_a_tariff_with_the_settings_that_mimic_it(tmp_path):
    more = insert("pkg_configuration", {"config_key": "base_currency", "config_value": "BRL"})
    found = imported(tmp_path, dump(rate_row(), rate_row(id=2, id_prefix=10), rate_row(id=3), more=more))

    deck = found.only
    assert deck.settings["tariff"] == "retail"
    assert (deck.settings["currency"], deck.settings["decimals"]) == ("BRL", 6)
    assert deck.settings["increment_mode"] == "total"
    assert {row["prefix"]: row["direction"] for row in deck.rows} == {"5511": "São Paulo", "55": 'Brazil "all"'}
    assert found.count("repeated") == 1
    assert found.count("plans") == 1


def test_an_offer_is_an_option_with_the_rates_that_are_in_offers(tmp_path):
    offer = {"id": 3, "label": "100 min", "packagetype": 2, "billingtype": 0, "startday": 1, "freetimetocall": 6000}
    more = insert(
        "pkg_offer", {**offer, "price": "9.900"}, {**offer, "id": 4, "label": "ten calls", "packagetype": 1, "price": 0}
    )
    found = imported(tmp_path, dump(rate_row(package_offer=1), rate_row(id=2, id_prefix=10), more=more))

    option = found.decks["retail + 100 min"]
    assert [row["prefix"] for row in option.rows] == ["5511"]
    assert option.settings["packages"][0]["seconds"] == 6000
    assert not option.settings["packages"][0]["waives_fees"]  # M6b: the connect charge is due
    assert (found.count("offer-parts"), found.count("offer-price"), found.count("free-calls")) == (1, 1, 1)


@pytest.mark.parametrize(
    ("columns", "covered", "expected"),
    [
        pytest.param({}, 100, "0.20", id="M6 used once, not charged whole"),
        pytest.param({"connectcharge": ".10"}, 200, "0.10", id="M6b"),
    ],
)
def test_free_seconds_pay_their_part_of_a_call(tmp_path, columns, covered, expected):
    rate = imported(tmp_path, dump(rate_row(**columns))).only.rate("5511")
    fields = {name: getattr(rate, name) for name in Rate.__dataclass_fields__ if not name.startswith("_")}

    assert cost(Rate(**{**fields, "covered_seconds": covered}), 120) == Decimal(expected)


def test_rates_of_providers_are_their_cost_decks(tmp_path):
    more = insert("pkg_provider", {"id": 1, "provider_name": "carrier one"}) + insert(
        "pkg_rate_provider",
        {
            "id": 1,
            "id_provider": 1,
            "id_prefix": 9,
            "buyrate": "0.012345",
            "buyrateinitblock": 30,
            "buyrateincrement": 6,
        },
    )
    deck = imported(tmp_path, dump(rate_row(), more=more), cost=True).decks["carrier one-cost"]

    assert deck.row("5511")["price_1"] == "0.012345"
    assert (deck.rate("5511").interval_1, deck.rate("5511").interval_n) == (30, 6)


def test_what_is_not_taken_is_counted(tmp_path):
    more = insert("pkg_user_rate", {"id": 1}, {"id": 2}) + insert("pkg_rate_agent", {"id": 1})
    more += insert("pkg_trunk", {"id": 1, "trunkcode": "sip1"})
    found = imported(tmp_path, dump(rate_row(id_plan=2), rate_row(), more=more), plans=("other",))

    assert (found.count("user-rates"), found.count("agent-rates"), found.count("trunks")) == (2, 1, 1)
    assert found.count("techprefix") == 1


def test_what_cannot_be_read_is_rejected(tmp_path):
    rows = [
        rate_row(),
        rate_row(id=2, id_prefix=77),
        rate_row(id=3, id_prefix=10, additional_grace="5.5%"),
        rate_row(id=4, id_prefix=10, rateinitial="-0.1"),
    ]
    found = imported(tmp_path, dump(*rows))

    assert {row["id"]: row["rejected_reason"] for row in found.rejected()} == {
        "2": "dialprefix: is empty",
        "3": "additional_grace: '5.5%' is neither whole seconds nor whole percent",
        "4": "price_1: -0.10000000 is negative",
    }


def test_its_csv_file_has_columns_in_a_fixed_order(tmp_path):
    file = tmp_path / "rates.csv"
    file.write_bytes(b"5511;S\xe3o Paulo;0,05;30;6;0;0.1;0.05;1\r\n5512;Elsewhere;0.06\r\n")  # as Windows writes it
    deck = migrate(System.MAGNUSBILLING, file, tariff="retail").only

    assert deck.row("5511")["direction"] == "São Paulo"
    assert cost(deck.rate("5511"), 45) == Decimal("0.14")
    assert cost(deck.rate("5512"), 60) == Decimal("0.06")


def test_its_export_is_read_by_its_header(tmp_path):
    file = tmp_path / "export.csv"
    file.write_text("Prefix,Destination,Plan,Sell price,Initial block,Billing block\n5511,Sampa,retail,0.05,30,6\n")
    deck = migrate(System.MAGNUSBILLING, file, tariff="retail").only

    assert cost(deck.rate("5511"), 45) == Decimal("0.04")


def test_a_file_of_something_else_is_refused(tmp_path):
    file = tmp_path / "letter.txt"
    file.write_text("Dear customer,\n\nour prices rise.\n")

    with pytest.raises(DumpError, match="neither a header that names dialprefix, rateinitial"):
        migrate(System.MAGNUSBILLING, file, tariff="retail")
