"""ASTPP's rules as ours: its vectors give what they gave, its faults the right value, and are reported."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rating_engine.importers.dump_text import DumpError
from rating_engine.importers.migrating import System
from rating_engine.rating.charge import charge, max_duration
from rating_engine.rating.rate import Rate
from tests.support.rate_cards import Migration, insert, migrate

GROUP = {"id": 1, "name": "default", "markup": "0", "initially_increment": 0, "inc": 60, "status": 0, "reseller_id": 0}


def route(**columns: object) -> dict[str, object]:
    """A row of routes with the defaults of its table."""
    return {
        "id": 1,
        "pattern": "^1.*",
        "comment": "USA",
        "connectcost": "0.00000",
        "includedseconds": 0,
        "cost": "0.60000",
        "pricelist_id": 1,
        "inc": 1,
        "accountid": 0,
        "reseller_id": 0,
        "status": 0,
        "trunk_id": "0",
        "init_inc": 1,
        **columns,
    }


def dump(*routes: dict[str, object], more: str = "", group: dict[str, object] = GROUP) -> str:
    return insert("pricelists", group) + insert("routes", *routes) + more


def imported(tmp_path: Path, text: str, **options: Any) -> Migration:
    file = tmp_path / "astpp.sql"
    file.write_text(text)
    return migrate(System.ASTPP, file, **options)


def cost(rate: Rate, seconds: int) -> Decimal:
    return charge(rate, seconds).cost


MINUTES = {"cost": "1", "init_inc": 60, "inc": 60, "connectcost": ".10"}


@pytest.mark.parametrize(
    ("columns", "seconds", "expected"),
    [
        pytest.param({"cost": "0.05", "init_inc": 30, "inc": 6}, 45, "0.0400", id="P1"),
        pytest.param({"init_inc": 30, "inc": 18}, 31, "0.48", id="P2"),
        pytest.param({"init_inc": 30, "inc": 18}, 49, "0.66", id="P2b"),
        pytest.param(MINUTES, 61, "2.10", id="P3"),
        pytest.param({"cost": "1", "connectcost": ".02", "includedseconds": 10}, 8, "0.02", id="P4"),
        pytest.param({"includedseconds": 10}, 15, "0.05", id="P4b"),
        pytest.param({"init_inc": 30, "inc": 6, "includedseconds": 10}, 15, "0.30", id="P4c"),
        pytest.param({"init_inc": 0, "inc": 60}, 61, "1.20", id="P5"),
        pytest.param({"cost": "1000", "init_inc": 60, "inc": 60}, 61, "2000", id="P7 two thousand, not a text"),
        pytest.param({"cost": "0.01"}, 7, "0.0012", id="P8"),
        pytest.param({"init_inc": 0, "inc": 0}, 1, "0.60", id="both increments of the rate group"),
    ],
)
def test_a_call_costs_what_it_cost(tmp_path, columns, seconds, expected):
    assert cost(imported(tmp_path, dump(route(**columns))).only.rate("1"), seconds) == Decimal(expected)


@pytest.mark.parametrize(
    ("columns", "funds", "seconds"),
    [
        pytest.param({"cost": "0.30", "init_inc": 60, "inc": 60}, "1.00", 180, id="PL1"),
        pytest.param({"cost": "1"}, "0.50", 30, id="PL2"),
        pytest.param({"cost": "0.30", "connectcost": ".10"}, "1.10", 200, id="PL3"),
        pytest.param({"cost": "1", "includedseconds": 30}, "1.00", 90, id="PL4"),
        pytest.param({"cost": "1", "init_inc": 120}, "1.50", 0, id="PL5"),
    ],
)
def test_a_call_lasts_as_long_as_it_can_be_paid(tmp_path, columns, funds, seconds):
    found = imported(tmp_path, dump(route(**columns)))

    assert max_duration(found.only.rate("1"), Decimal(funds), 3600) == seconds
    assert found.count("limit") == 1


def test_the_decimals_are_those_of_the_system(tmp_path):
    more = insert("system", {"name": "decimal_points", "value": "2"}, {"name": "base_currency", "value": "USD"})
    deck = imported(tmp_path, dump(route(cost="0.01"), more=more)).only

    assert cost(deck.rate("1"), 7) == 0  # P8
    assert deck.settings["currency"] == "USD"
    assert deck.settings["increment_mode"] == "interval"


def test_the_markup_is_in_the_price_and_not_in_the_connect_cost(tmp_path):
    found = imported(tmp_path, dump(route(connectcost="0.10"), group={**GROUP, "markup": "12.5%"}))

    assert found.only.row("1")["price_1"] == "0.675"
    assert found.only.row("1")["connect_fee"] == "0.1"
    assert found.count("markup-places") == 0
    found = imported(tmp_path, dump(route(cost="0.33333"), group={**GROUP, "markup": "1.2345"}))
    assert found.only.row("1")["price_1"] == "0.33744496"  # 0.33744495885
    assert found.count("markup-places") == 1


def test_what_is_not_taken_is_reported(tmp_path):
    rows = [
        route(),
        route(id=2, cost="0.90"),
        route(id=3, pattern="^2.*", status=1),
        route(id=4, pattern="^12.*", accountid=77),
        route(id=5, pattern="^3.*", trunk_id="4"),
        route(id=6, pattern="[45].*"),
    ]
    found = imported(tmp_path, dump(*rows, group={**GROUP, "reseller_id": 5}))

    assert {row["prefix"]: row["price_1"] for row in found.only.rows} == {"1": "0.9", "3": "0.6"}
    codes = ("repeated", "inactive", "account-rates", "forced-trunks", "resellers")
    assert [found.count(code) for code in codes] == [1] * 5
    assert [row["pattern"] for row in found.rejected()] == ["[45].*"]


def test_a_package_is_an_option_with_the_numbers_of_its_patterns(tmp_path):
    product = {"product_category": 1, "free_minutes": 30, "billing_days": 30, "apply_on_rategroups": "1,2", "status": 0}
    more = insert(
        "products",
        {"id": 3, "name": "half an hour", "applicable_for": 0, **product},
        {"id": 4, "name": "inbound", "applicable_for": 1, **product},
        {"id": 5, "name": "elsewhere", "applicable_for": 0, **product, "apply_on_rategroups": "2"},
    )
    more += insert(
        "package_patterns",
        *({"product_id": 3, "patterns": pattern} for pattern in ("^12.*", "^123.*", "^139.*", "^9.*", "bad[")),
    )
    rows = [route(), route(id=2, pattern="^125.*", cost="0.5"), route(id=3, pattern="^13.*", cost="0.4")]
    found = imported(tmp_path, dump(*rows, more=more))

    option = found.decks["default + half an hour"]
    assert {row["prefix"]: row["price_1"] for row in option.rows} == {"12": "0.6", "125": "0.5", "139": "0.4"}
    assert option.settings["packages"][0]["seconds"] == 1800
    assert option.settings["packages"][0]["waives_fees"]
    assert set(found.decks) == {"default", "default + half an hour"}
    assert (found.count("package-whole"), found.count("package-pattern")) == (1, 1)


def test_a_package_of_version_3_is_read_from_its_own_table(tmp_path):
    more = insert("packages", {"id": 2, "package_name": "old", "pricelist_id": 1, "includedseconds": 90, "status": 0})
    more += insert("package_patterns", {"package_id": 2, "patterns": "^1.*"})

    assert imported(tmp_path, dump(route(), more=more)).decks["default + old"].settings["packages"][0]["seconds"] == 90


def test_carrier_rates_are_cost_decks_of_their_trunks(tmp_path):
    more = insert("trunks", {"id": 4, "name": "alpha"}) + insert(
        "outbound_routes",
        {**route(cost="0.20"), "strip": "", "prepend": ""},
        {**route(id=2, cost="0.10", trunk_id="4", init_inc=0, inc=6), "strip": "", "prepend": ""},
    ).replace("`pricelist_id`", "`x`").replace("`accountid`", "`y`").replace("`reseller_id`", "`z`")
    deck = imported(tmp_path, dump(route(), more=more), cost=True).decks["alpha-cost"]

    assert deck.row("1")["price_1"] == "0.1"
    assert (deck.rate("1").interval_1, deck.rate("1").interval_n) == (6, 6)


SAMPLE = "Code,Destination,Connection Cost (USD),Grace Time,Cost / Min (USD),Initial Increment,Increment\n"


def test_its_csv_file_is_read_as_its_sample_is(tmp_path):
    file = tmp_path / "origination.csv"
    file.write_text(SAMPLE + "93,Afghanistan - Fixed,0.02,10,1,1,1,\n355,Albania,0,0,0.6,0,0\n")

    found = migrate(System.ASTPP, file, tariff="retail")
    assert cost(found.only.rate("93"), 8) == Decimal("0.02")
    assert [row["Code"] for row in found.rejected()] == ["355"]
    assert found.rejected()[0]["rejected_reason"].endswith("say --increments FIRST/NEXT")

    assert cost(migrate(System.ASTPP, file, tariff="retail", increments=(0, 60)).only.rate("355"), 61) == Decimal("1.2")


def test_a_csv_file_without_its_header_is_refused(tmp_path):
    file = tmp_path / "origination.csv"
    file.write_text("93,Afghanistan,0,0,1,1,1\n")

    with pytest.raises(DumpError, match="no header that names pattern, cost"):
        migrate(System.ASTPP, file, tariff="retail")
