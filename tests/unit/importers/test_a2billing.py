"""A2Billing's rules as ours: its vectors give what they gave, its faults the right value, and the report says which."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rating_engine.domain.errors import InvalidRequest
from rating_engine.importers.dump_text import DumpError
from rating_engine.importers.migrating import System
from rating_engine.rating.charge import charge, max_duration
from rating_engine.rating.rate import Rate
from tests.support.rate_cards import PLAN, Migration, bare_insert, card, insert, migrate


def dump(*cards: dict[str, object], more: str = "", plans: tuple[dict[str, object], ...] = (PLAN,)) -> str:
    return (
        insert("cc_prefix", {"prefix": 49, "destination": "Germany"})
        + more
        + insert("cc_ratecard", *cards)
        + insert("cc_tariffplan", *plans)
    )


def imported(tmp_path: Path, text: str, **options: Any) -> Migration:
    file = tmp_path / "a2billing.sql"
    file.write_text(text)
    return migrate(System.A2BILLING, file, **options)


def cost(rate: Rate, seconds: int) -> Decimal:
    return charge(rate, seconds).cost


A8 = {
    "rateinitial": ".20",
    "billingblock": 6,
    "stepchargea": ".10",
    "chargea": ".50",
    "timechargea": 60,
    "billingblocka": 60,
}
A9 = {
    "rateinitial": ".10",
    "billingblock": 60,
    "stepchargea": ".05",
    "chargea": "1.20",
    "timechargea": 30,
    "billingblocka": 10,
    "stepchargeb": ".02",
    "chargeb": ".60",
    "timechargeb": 60,
    "billingblockb": 6,
    "stepchargec": ".01",
    "chargec": ".30",
    "timechargec": 120,
    "billingblockc": 30,
}
A9D = {"rateinitial": ".20", "billingblock": 1, "chargea": ".60", "timechargea": 45, "billingblocka": 60}
FEES = {"rateinitial": "1.00", "initblock": 60, "billingblock": 60, "connectcharge": ".10", "disconnectcharge": ".05"}
ROUNDED = {"rateinitial": ".30", "initblock": 1, "billingblock": 1, "rounding_calltime": 60, "rounding_threshold": 20}
ONE = {"initblock": 1, "billingblock": 1}


@pytest.mark.parametrize(
    ("columns", "seconds", "expected"),
    [
        pytest.param({"initblock": 30, "billingblock": 6}, 37, "0.42", id="A1"),
        pytest.param({"initblock": 30, "billingblock": 18}, 31, "0.36", id="A2"),
        pytest.param({"initblock": 30, "billingblock": 18}, 37, "0.54", id="A2c"),
        pytest.param(FEES, 61, "2.15", id="A3"),
        pytest.param({**FEES, "disconnectcharge_after": 120}, 61, "2.10", id="A3b"),
        pytest.param({"rateinitial": ".30", **ONE, "minimal_cost": ".25"}, 20, "0.25", id="A4"),
        pytest.param(ROUNDED, 25, "0.30", id="A5"),
        pytest.param(ROUNDED, 20, "0.10", id="A5b"),
        pytest.param(
            {"rateinitial": ".06", **ONE, "additional_block_charge": ".02", "additional_block_charge_time": 300},
            *(615, "0.655"),
            id="A6",
        ),
        pytest.param({**ONE, "additional_grace": 10}, 50, "0.60", id="A7 once, not twice"),
        pytest.param(A8, 95, "0.72", id="A8"),
        pytest.param(A9, 100, "1.43", id="A9"),
        pytest.param(A9, 300, "2.08", id="A9b"),
        pytest.param(A9D, 50, "0.616667", id="A9d"),
        pytest.param({"rateinitial": ".01", **ONE}, 1, "0.000167", id="A16"),
        pytest.param({"rateinitial": ".01", **ONE}, 7, "0.001167", id="A16b"),
        pytest.param({"rateinitial": "-0.60000", **ONE}, 60, "0.60", id="a negative rate"),
        pytest.param({"billingblock": 60}, 1, "0.60", id="no initial block: a call begins with a billing block"),
        pytest.param({"initblock": 0, "billingblock": 0}, 1, "0.01", id="no blocks: seconds"),
        pytest.param({**A8, "initblock": 90}, 1, "0.70", id="an initial block before tiers"),
        pytest.param({**A8, "billingblock": 600}, 30, "0.60", id="no initial block before tiers"),
        pytest.param({"rounding_calltime": 60, "rounding_threshold": 0, **ONE}, 25, "0.25", id="rounding is off"),
        pytest.param({"rateinitial": "1e-05", **ONE}, 60, "0.00001", id="a float of an old dump"),
        pytest.param({"rateinitial": "0.1000001490116", **ONE}, 60, "0.10", id="rounded to 6 decimals, as there"),
    ],
)
def test_a_call_costs_what_it_cost(tmp_path, columns, seconds, expected):
    assert cost(imported(tmp_path, dump(card(**columns))).only.rate("49"), seconds) == Decimal(expected)


@pytest.mark.parametrize(
    ("columns", "funds", "seconds"),
    [
        pytest.param({"rateinitial": "1", "initblock": 60, "billingblock": 1}, "0.10", 0, id="AL1"),
        pytest.param({"rateinitial": ".30", **ONE, "minimal_cost": ".25"}, "0.10", 0, id="AL2"),
        pytest.param(
            {
                **ONE,
                "rateinitial": ".30",
                "connectcharge": ".10",
                "disconnectcharge": ".10",
                "disconnectcharge_after": 1,
            },
            *("1.00", 160),
            id="AL3",
        ),
        pytest.param({**ONE, "additional_grace": 10}, "1.00", 90, id="AL4 with its grace once"),
        pytest.param({"rateinitial": ".10", "initblock": 60, "billingblock": 60}, "0.70", 420, id="AL5"),
        pytest.param({"rateinitial": ".10", "initblock": 60, "billingblock": 60}, "0.30", 180, id="AL6"),
        pytest.param({**ONE, "rateinitial": ".10"}, "0.29", 174, id="AL7"),
        pytest.param({"rateinitial": ".30", "initblock": 60, "billingblock": 60}, "1.00", 180, id="AL8"),
        pytest.param(
            {"rateinitial": ".30", "initblock": 60, "billingblock": 60, "connectcharge": ".20"}, "1.10", 180, id="AL9"
        ),
        pytest.param(A8, "1.00", 180, id="AL10"),
    ],
)
def test_a_call_lasts_as_long_as_it_can_be_paid(tmp_path, columns, funds, seconds):
    assert max_duration(imported(tmp_path, dump(card(**columns))).only.rate("49"), Decimal(funds), 3600) == seconds


@pytest.mark.parametrize(
    ("columns", "code"),
    [
        ({"additional_grace": 10}, "double-grace"),
        (A8, "tier-end"),
        ({"minimal_cost": ".25"}, "limit"),
        ({"initblock": 60}, "limit"),
        ({}, "float"),
        ({}, "places"),
        ({"rateinitial": "-1"}, "negative"),
        ({"announce_time_correction": "1.500"}, "announced"),
        ({"id_outbound_cidgroup": 3}, "cid-group"),
        ({"musiconhold": "jazz"}, "music"),
        ({"stopdate": "2026-11-26 12:00:00"}, "expired"),
        ({"starttime": 600, "endtime": 500}, "expired"),
    ],
)
def test_what_differs_is_reported_with_the_number_of_rates(tmp_path, columns, code):
    rows = [card(**columns), card(**columns, id=2, dialprefix="50"), card(id=3, dialprefix="51")]
    plain = imported(tmp_path, dump(card(id=3, dialprefix="51"))).count(code)

    columns_of_all = {name: None for row in rows for name in row}
    found = imported(tmp_path, dump(*({**columns_of_all, **row} for row in rows))).count(code)

    assert found == 2 + plain


def test_a_card_is_a_tariff_with_the_settings_that_mimic_it(tmp_path):
    more = insert("cc_config", {"config_key": "base_currency", "config_value": "usd"})
    deck = imported(tmp_path, dump(card(), more=more), time_zone="Europe/Berlin").only

    assert deck.settings["tariff"] == "retail"
    assert deck.settings["currency"] == "USD"
    assert (deck.settings["decimals"], deck.settings["increment_mode"]) == (6, "total")
    assert deck.settings["time_zone"] == "Europe/Berlin"
    assert deck.row("49")["direction"] == "Germany"
    assert deck.row("49")["effective_from"] == ""  # long begun


def test_calls_too_short_to_be_billed_are_free(tmp_path):
    config = ({"config_key": "min_duration_2bill", "config_value": "10"},)
    rate = imported(tmp_path, dump(card(initblock=60, billingblock=60), more=insert("cc_config", *config))).only.rate(
        "49"
    )
    assert (cost(rate, 9), cost(rate, 10)) == (0, Decimal("0.60"))  # A15

    rate = imported(tmp_path, dump(card(additional_grace=4, **ONE)), min_duration=10).only.rate("49")
    assert (cost(rate, 5), cost(rate, 6)) == (0, Decimal("0.10"))  # the grace counts


def test_hours_of_the_week_are_bands_to_the_minute(tmp_path):
    weekdays = {"starttime": 8 * 60, "endtime": 4 * 1440 + 20 * 60 - 1}
    evening = {"starttime": 19 * 60, "endtime": 22 * 60 - 1}
    rows = [
        card(**weekdays, rateinitial="1"),
        card(**evening, id=2, dialprefix="50", rateinitial="2"),
        card(id=3, dialprefix="51", rateinitial="3"),
    ]

    deck = imported(tmp_path, dump(*rows)).only

    bands = {(row["prefix"], row["band"]) for row in deck.rows}
    windows = [(one["band"], one["days"], one["starts"], one["ends"]) for one in deck.settings["bands"]]
    assert bands == {("49", "time-1"), ("49", "time-2"), ("50", "time-2"), ("51", "")}
    assert ("time-1", [1], 480, 1140) in windows
    assert ("time-2", [1], 1140, 1320) in windows


def test_of_several_rates_of_a_prefix_the_one_tried_first_sells(tmp_path):
    trunks = insert(
        "cc_trunk",
        {"id_trunk": 1, "trunkcode": "alpha", "status": 1},
        {"id_trunk": 2, "trunkcode": "beta", "status": 1},
        {"id_trunk": 3, "trunkcode": "off", "status": 0},
    )
    rows = [
        card(id=1, id_trunk=1, buyrate="0.20", rateinitial="0.30"),
        card(id=2, id_trunk=2, buyrate="0.10", rateinitial="0.50"),
        card(id=3, id_trunk=3, buyrate="0.01", rateinitial="0.90"),
    ]

    by_buying = imported(tmp_path, dump(*rows, more=trunks))
    selling = insert("cc_tariffgroup", {"id": 7, "tariffgroupname": "all", "lcrtype": 1, "id_cc_package_offer": -1})
    selling += insert("cc_tariffgroup_plan", {"idtariffgroup": 7, "idtariffplan": 1})
    by_selling = imported(tmp_path, dump(*rows, more=trunks + selling))

    assert by_buying.only.row("49")["price_1"] == "0.5"
    assert by_buying.count("tried-later") == 2
    assert by_selling.only.row("49")["price_1"] == "0.3"


def test_a_rate_keeps_the_time_that_one_tried_before_it_leaves(tmp_path):
    rows = [
        card(id=1, buyrate="0.10", rateinitial="1", startdate="2027-01-01 00:00:00", stopdate="2027-02-01 00:00:00"),
        card(id=2, buyrate="0.20", rateinitial="2"),
    ]

    deck = imported(tmp_path, dump(*rows), time_zone="Europe/Berlin").only

    assert [(row["price_1"], row["effective_from"], row["effective_to"]) for row in deck.rows] == [
        ("1", "2026-12-31T23:00:00+00:00", "2027-01-31T23:00:00+00:00"),
        ("2", "", "2026-12-31T23:00:00+00:00"),
        ("2", "2027-01-31T23:00:00+00:00", ""),
    ]


def test_a_timestamp_in_utc_is_not_taken_for_local_time(tmp_path):
    row = card(startdate="2027-01-01 00:00:00", stopdate="2027-02-01 00:00:00")
    types = {name: "timestamp" if name == "startdate" else "datetime" if name == "stopdate" else "text" for name in row}
    text = "/*!40103 SET TIME_ZONE='+00:00' */;\n" + bare_insert("cc_ratecard", types, list(row.values()))

    deck = imported(tmp_path, text + insert("cc_tariffplan", PLAN), time_zone="Europe/Berlin").only

    assert deck.row("49")["effective_from"] == "2027-01-01T00:00:00+00:00"
    assert deck.row("49")["effective_to"] == "2027-01-31T23:00:00+00:00"


def test_defaultprefix_serves_every_first_digit_behind_all_others(tmp_path):
    rows = [card(id=1, dialprefix="defaultprefix", rateinitial="9"), card(id=2, dialprefix="4", rateinitial="1")]

    deck = imported(tmp_path, dump(*rows)).only

    assert {row["prefix"]: row["price_1"] for row in deck.rows} == dict.fromkeys("012356789", "9") | {"4": "1"}


def test_a_card_for_some_callers_is_priced_by_origin(tmp_path):
    deck = imported(tmp_path, dump(card(), plans=({**PLAN, "calleridprefix": "4930"},))).only

    assert deck.row("49")["origin"] == "4930"


def test_a_package_is_an_option_with_the_rates_it_covers(tmp_path):
    more = (
        insert("cc_tariffgroup", {"id": 7, "tariffgroupname": "gold", "lcrtype": 0, "id_cc_package_offer": 5})
        + insert("cc_tariffgroup_plan", {"idtariffgroup": 7, "idtariffplan": 1})
        + insert(
            "cc_package_offer",
            {"id": 5, "label": "hundred", "packagetype": 2, "billingtype": 1, "startday": 3, "freetimetocall": 100},
            {
                "id": 6,
                "label": "not in a call plan",
                "packagetype": 2,
                "billingtype": 0,
                "startday": 1,
                "freetimetocall": 9,
            },
        )
        + insert("cc_package_rate", {"package_id": 5, "rate_id": 1}, {"package_id": 5, "rate_id": 99})
    )
    found = imported(tmp_path, dump(card(id=1), card(id=2, dialprefix="50"), more=more))

    option = found.decks["retail + hundred"]
    assert [row["prefix"] for row in option.rows] == ["49"]
    assert option.settings["is_option"]
    assert option.settings["packages"] == [
        {
            "name": "hundred",
            "kind": "free",
            "seconds": 100,
            "period": "week",
            "carry_over": "none",
            "waives_fees": False,
        }
    ]
    assert found.count("package-day") == 1
    assert found.count("rates") == 2  # those of the option are not counted again


@pytest.mark.parametrize(
    ("columns", "covered", "waived", "seconds", "expected"),
    [
        pytest.param({"billingblock": 60}, 100, False, 120, "0.20", id="A10"),
        pytest.param({"billingblock": 60}, 100, False, 130, "0.80", id="A10a"),
        pytest.param({"billingblock": 60, "connectcharge": ".10"}, 200, False, 120, "0.10", id="A10b"),
        pytest.param(
            {"billingblock": 60, "chargea": ".60", "timechargea": 60, "billingblocka": 60},
            *(100, False, 120, "0.20"),
            id="A10c used, not forgotten",
        ),
        pytest.param({"initblock": 60, "billingblock": 60}, 90, False, 61, "0.30", id="A10d billed seconds alone"),
        pytest.param({"billingblock": 60, "connectcharge": ".10"}, 2**31 - 1, True, 61, "0", id="A11"),
    ],
)
def test_free_seconds_pay_their_part_of_a_call(tmp_path, columns, covered, waived, seconds, expected):
    rate = imported(tmp_path, dump(card(**columns))).only.rate("49")
    fields = {name: getattr(rate, name) for name in Rate.__dataclass_fields__ if not name.startswith("_")}
    packaged = Rate(**{**fields, "covered_seconds": covered, "waived_fees": waived})

    assert cost(packaged, seconds) == Decimal(expected)


def test_buying_rates_are_cost_decks_of_the_trunks_when_asked_for(tmp_path):
    trunks = insert("cc_trunk", {"id_trunk": 1, "trunkcode": "alpha", "status": 1})
    rows = [
        card(id=1, buyrate="0.20", buyrateinitblock=30, buyrateincrement=6),
        card(id=2, buyrate="0.25", rateinitial="0.50"),
    ]

    found = imported(tmp_path, dump(*rows, more=trunks), cost=True)

    assert set(found.decks) == {"retail", "alpha-cost"}
    assert found.decks["alpha-cost"].row("49")["price_1"] == "0.25"  # the dearest: the margin holds for both
    assert found.count("cost-several") == 1
    assert imported(tmp_path, dump(*rows, more=trunks)).count("costs") == 2


def test_what_cannot_be_read_is_rejected_with_its_line_and_reason(tmp_path):
    rows = [
        card(id=1),
        card(id=2, dialprefix="_44X."),
        card(id=3, dialprefix=""),
        card(id=4, dialprefix="51", rateinitial="cheap"),
        card(id=5, dialprefix="52", stopdate="tomorrow"),
        card(id=6, dialprefix="53", additional_block_charge="-1", additional_block_charge_time=60),
        card(id=7, dialprefix="54", initblock=99_999_999),
    ]

    found = imported(tmp_path, dump(*rows))

    assert [row["prefix"] for row in found.only.rows] == ["49"]
    assert {row["id"]: row["rejected_reason"] for row in found.rejected()} == {
        "2": "dialprefix: '_44X.' is not a prefix of digits",
        "3": "dialprefix: is empty",
        "4": "rateinitial: 'cheap' is not a plain number like 12.50",
        "5": "stopdate: 'tomorrow' is not a date and time",
        "6": "additional_block_charge: -1.00000000 is negative: it would lower the price of a call",
        "7": "interval_1: must be from 1 to 2678400",
    }
    assert {row["rejected_line"] for row in found.rejected()} == {"2"}


def test_plans_are_chosen_by_name_and_named_apart(tmp_path):
    plans = (PLAN, {**PLAN, "id": 2, "tariffname": "wholesale"}, {**PLAN, "id": 3, "tariffname": "retail"})
    text = dump(card(), card(id=2, idtariffplan=2), card(id=3, idtariffplan=3), plans=plans)

    assert set(imported(tmp_path, text).decks) == {"retail (1)", "wholesale", "retail (3)"}
    only = imported(tmp_path, text, plans=("wholesale",), tariff="carriers")
    assert set(only.decks) == {"carriers"}
    assert only.count("plans") == 2
    with pytest.raises(InvalidRequest, match="no 'other'; there are: 'retail', 'wholesale', 'retail'"):
        imported(tmp_path, text, plans=("other",))
    with pytest.raises(InvalidRequest, match="choose one with --plan"):
        imported(tmp_path, text, tariff="one")


def test_a_dump_of_postgresql_with_copy_is_read(tmp_path):
    row = card(startdate="2020-01-01 00:00:00")
    cells = "\t".join("\\N" if value is None else str(value) for value in row.values())
    text = (
        "--\n-- PostgreSQL database dump\n--\n\nSET standard_conforming_strings = on;\n\n"
        f"COPY public.cc_ratecard ({', '.join(row)}) FROM stdin;\n{cells}\n\\.\n\n"
        "INSERT INTO public.cc_tariffplan (id, tariffname) VALUES (1, 'it''s retail');\n"
    )

    assert set(imported(tmp_path, text).decks) == {"it's retail"}


def test_a_dump_without_rates_is_refused(tmp_path):
    with pytest.raises(DumpError, match="no rows of the table cc_ratecard"):
        imported(tmp_path, insert("pkg_rate", {"id": 1}))


def test_hours_that_need_too_many_windows_are_refused(tmp_path):
    rows = [card(id=n, dialprefix=str(n), starttime=n * 20, endtime=n * 20 + 9) for n in range(10, 120)]

    with pytest.raises(InvalidRequest, match="a tariff may have 100"):
        imported(tmp_path, dump(*rows))


def test_a_prefix_written_in_two_ways_is_one(tmp_path):
    rows = [
        card(id=1, buyrate="0.2"),
        card(id=2, dialprefix=" 49", buyrate="0.1", rateinitial="1"),
        card(id=3, dialprefix="+49"),
    ]

    assert [row["price_1"] for row in imported(tmp_path, dump(*rows)).only.rows] == ["1"]


def test_an_unknown_time_zone_is_refused(tmp_path):
    with pytest.raises(InvalidRequest, match="time_zone"):
        imported(tmp_path, dump(card()), time_zone="Mars/Olympus")


def csv_file(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "card.csv"
    file.write_text(text)
    return file


def test_a_csv_file_has_three_columns_and_those_that_were_chosen(tmp_path):
    file = csv_file(tmp_path, "34650; Spain Mobile Movistar; 1,56; 60; 1\n3465;Spain Mobile;1.20;30;6;\n\n")
    chosen = migrate(System.A2BILLING, file, tariff="retail", columns=("initblock", "billingblock")).only

    assert chosen.row("34650")["price_1"] == "1.56"
    assert (chosen.rate("3465").interval_1, chosen.rate("3465").interval_n) == (30, 6)
    assert chosen.row("34650")["direction"] == "Spain Mobile Movistar"
    with pytest.raises(DumpError, match="say with --columns what the others are"):
        migrate(System.A2BILLING, file, tariff="retail")
    with pytest.raises(InvalidRequest, match="say --tariff NAME"):
        migrate(System.A2BILLING, file, columns=("initblock", "billingblock"))
    with pytest.raises(DumpError, match="'minutes' is none of"):
        migrate(System.A2BILLING, file, tariff="retail", columns=("minutes",))


def test_a_csv_file_with_a_header_is_read_by_its_names(tmp_path):
    text = (
        'DIALPREFIX,Destination,Rate Initial,connectcharge,remark\r\n49,Germany,0.60,0.10,x\r\n\r\n50,"a,b",0.5,,\r\n'
    )
    found = migrate(System.A2BILLING, csv_file(tmp_path, text), tariff="retail")

    assert cost(found.only.rate("49"), 60) == Decimal("0.70")
    assert found.only.row("50")["direction"] == "a,b"
    assert found.count("columns") == 1


def test_rejected_rows_of_a_csv_file_are_as_they_were(tmp_path):
    text = 'dialprefix;destination;rateinitial\n49;Germany;0,60\n5x;Nowhere;1\n51;a;b;c\n52;"open;1\n53;Here;1\n'
    found = migrate(System.A2BILLING, csv_file(tmp_path, text), tariff="retail")

    assert [row["prefix"] for row in found.only.rows] == ["49", "53"]
    assert [(row["dialprefix"], row["rejected_line"]) for row in found.rejected()] == [
        ("5x", "3"),
        ("51", "4"),
        ("52", "5"),
    ]
