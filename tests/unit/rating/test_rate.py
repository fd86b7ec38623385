import copy
import dataclasses
import json
import pickle
from decimal import Decimal

import pytest

from rating_engine.rating.parts import MAX_CHANGES, MAX_TIERS
from rating_engine.rating.rate import (
    Change,
    DurationRounding,
    IncrementMode,
    InvalidRate,
    PriceUnit,
    Rate,
    SurchargeUnit,
    Tier,
)
from rating_engine.rating.terms import terms_of

FORTY_DIGITS = "1.234567890123456789012345678901234567891"


def test_what_is_not_said_is_the_plainest_rate():
    rate = Rate(price_1="0.5")

    assert rate == Rate(
        price_1=Decimal("0.5"),
        price_n=Decimal("0.5"),
        price_unit=PriceUnit.INTERVAL,
        interval_1=1,
        interval_n=1,
        free_seconds=0,
        grace_period=0,
        connect_fee=Decimal(0),
        postcall_surcharge=Decimal(0),
        surcharge_unit=SurchargeUnit.AMOUNT,
        decimals=5,
        increment_mode=IncrementMode.INTERVAL,
        duration_rounding=DurationRounding.UP,
        multiplier=Decimal(1),
        minimum_charge=Decimal(0),
        surcharge_after=0,
        added_seconds=0,
        added_percent=0,
        round_up_above=0,
        round_up_to=0,
        block_charge=Decimal(0),
        block_seconds=0,
        tiers=(),
        changes=(),
        covered_seconds=0,
        waived_fees=False,
    )


@pytest.mark.parametrize("price", [Decimal("3"), 3, "3", "3.00", "+3", " 3 ", "3e0"])
def test_a_price_may_be_a_decimal_an_int_or_text(price):
    assert Rate(price_1=price).price_1 == Decimal(3)


@pytest.mark.parametrize(
    "name", ["price_1", "price_n", "connect_fee", "postcall_surcharge", "minimum_charge", "block_charge"]
)
@pytest.mark.parametrize(
    "value",
    [
        0.1,
        True,
        "",
        "abc",
        "1,5",
        "1_000",
        "٣",
        "-0.01",
        Decimal("-1"),
        "NaN",
        Decimal("NaN"),
        Decimal("sNaN"),
        Decimal("Infinity"),
        "0.000000001",
        Decimal("1E-9"),
        "1e-100",
        "10000000000",
        10**10,
        10**6000,
        Decimal("1E+1000000"),
        "9" * 65,
        [],
    ],
    ids=lambda value: str(value)[:20] if not isinstance(value, int) else f"int of {value.bit_length()} bits",
)
def test_an_amount_that_is_no_price_is_refused_by_name(name, value):
    with pytest.raises(InvalidRate) as refused:
        Rate(**{"price_1": 1, "block_seconds": 1, name: value})

    assert refused.value.field == name
    assert str(refused.value).startswith(f"{name}: ")


def test_a_price_left_out_is_an_error_of_the_caller():
    with pytest.raises(TypeError, match="price_1"):
        Rate()


@pytest.mark.parametrize("price", ["9999999999.99999999", "0.00000001", "0.100000000000"])
def test_the_whole_range_of_the_column_is_taken(price):
    assert Rate(price_1=price).price_1 == Decimal(price)


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("interval_1", 1, 2_678_400),
        ("interval_n", 1, 2_678_400),
        ("free_seconds", 0, 2_678_400),
        ("grace_period", 0, 2_678_400),
        ("decimals", 0, 6),
        ("surcharge_after", 0, 2_678_400),
        ("added_seconds", 0, 2_678_400),
        ("added_percent", 0, 1_000),
        ("round_up_to", 0, 2_678_400),
        ("block_seconds", 0, 2_678_400),
        ("covered_seconds", 0, 2_147_483_647),
    ],
)
def test_a_whole_number_has_both_its_limits_and_an_error_that_tells_them(name, least, most):
    assert getattr(Rate(price_1=1, **{name: least}), name) == least
    assert getattr(Rate(price_1=1, **{name: most}), name) == most
    for outside in (least - 1, most + 1):
        with pytest.raises(InvalidRate, match=f"{name}: must be from {least} to {most}"):
            Rate(price_1=1, **{name: outside})


@pytest.mark.parametrize(
    "name",
    ["interval_1", "interval_n", "free_seconds", "grace_period", "decimals", "surcharge_after", "added_seconds"],
)
@pytest.mark.parametrize("value", [1.0, True, "1", Decimal(1), None])
def test_a_length_of_another_type_is_refused_by_name(name, value):
    with pytest.raises(InvalidRate) as refused:
        Rate(price_1=1, **{name: value})

    assert refused.value.field == name


@pytest.mark.parametrize(
    ("name", "choices"),
    [
        ("price_unit", PriceUnit),
        ("surcharge_unit", SurchargeUnit),
        ("increment_mode", IncrementMode),
        ("duration_rounding", DurationRounding),
    ],
)
def test_a_choice_is_taken_as_text_and_refused_with_the_choices_there_are(name, choices):
    for choice in choices:
        assert getattr(Rate(price_1=1, **{name: choice.value}), name) is choice
    for other in ("hour", "", None, 1):
        with pytest.raises(InvalidRate, match=f"{name}: must be one of {', '.join(choices)}"):
            Rate(price_1=1, **{name: other})


@pytest.mark.parametrize("factor", ["0.00000000000000000001", FORTY_DIGITS, "1E+20", 2, "1.20"])
def test_a_multiplier_is_any_exact_factor_above_zero(factor):
    assert Rate(price_1=1, multiplier=factor).multiplier == Decimal(factor)


@pytest.mark.parametrize(
    ("factor", "problem"),
    [
        (0, "must be above 0"),
        ("-1", "negative"),
        (FORTY_DIGITS + "1", "more than 40 significant digits"),
        ("1E+21", "above the limit"),
        (1.2, "float"),
        ("NaN", "not a plain number"),
    ],
)
def test_what_is_no_multiplier_is_refused(factor, problem):
    with pytest.raises(InvalidRate, match=f"multiplier: .*{problem}"):
        Rate(price_1=1, multiplier=factor)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"round_up_above": 20}, "round_up_to"),
        ({"round_up_above": 20, "round_up_to": 20}, "round_up_to"),
        ({"block_charge": 1}, "block_seconds"),
        ({"waived_fees": 1}, "waived_fees"),
        ({"waived_fees": None}, "waived_fees"),
        ({"tiers": None}, "tiers"),
        ({"tiers": "AB"}, "tiers"),
        ({"tiers": [1]}, "tiers[0]"),
        ({"tiers": [Tier(0, 1, 60)] * (MAX_TIERS + 1)}, "tiers"),
        ({"tiers": [Tier(0, 1, 60), {"price": "1"}]}, "tiers[1].seconds"),
        ({"tiers": [{"price": "-1", "seconds": 60}]}, "tiers[0].price"),
        ({"tiers": [{"price": "1", "seconds": 0}]}, "tiers[0].seconds"),
        ({"tiers": [{"price": "1", "seconds": 60, "increment": 0}]}, "tiers[0].increment"),
        ({"tiers": [{"price": "1", "seconds": 60, "step_charge": 0.5}]}, "tiers[0].step_charge"),
        ({"tiers": [{"price": "1", "seconds": 60, "colour": "red"}]}, "tiers[0].colour"),
        ({"changes": [{"at_second": 60}]}, "changes[0].price_n"),
        ({"changes": [{"at_second": 0, "price_n": "1"}]}, "changes[0].at_second"),
        ({"changes": [{"at_second": 60, "price_n": "1", "price_unit": "hour"}]}, "changes[0].price_unit"),
        ({"changes": [{"at_second": 60, "price_n": "1", "multiplier": "0"}]}, "changes[0].multiplier"),
        ({"changes": [Change(60, 1), Change(60, 2)]}, "changes[1].at_second"),
        ({"changes": [Change(second, 1) for second in range(1, MAX_CHANGES + 2)]}, "changes"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_does_not_fit_together_is_refused_by_name(fields, field):
    with pytest.raises(InvalidRate) as refused:
        Rate(price_1=1, **fields)

    assert refused.value.field == field


def test_a_rate_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Rate(price_1=1).price_1 = Decimal(2)


def test_equal_rates_are_one_key_and_one_text():
    one, other = Rate(price_1="0.10", connect_fee=0), Rate(price_1=Decimal("0.1"), connect_fee="0.00")

    assert {one: "kept"}[other] == "kept"
    assert one.to_json() == other.to_json()


def test_a_rate_that_was_used_is_still_equal_to_one_that_was_not():
    used = Rate(price_1=1)
    used.to_json()
    assert terms_of(used) is terms_of(used)

    assert used == Rate(price_1=1)
    assert hash(used) == hash(Rate(price_1=1))


@pytest.mark.parametrize(
    "again",
    [copy.copy, copy.deepcopy, lambda rate: pickle.loads(pickle.dumps(rate))],
    ids=["copy", "deepcopy", "pickle"],
)
def test_a_rate_can_be_copied_and_pickled(again):
    rate = Rate(price_1="0.1", interval_1=30)
    rate.to_json()

    assert again(rate) == rate


def test_replacing_a_field_makes_another_checked_rate():
    rate = Rate(price_1="0.1", price_n="0.2")
    rate.to_json()

    dearer = dataclasses.replace(rate, price_1=Decimal("0.3"))

    assert dearer.to_json() == '{"price_1":"0.3","price_n":"0.2"}'
    with pytest.raises(InvalidRate):
        dataclasses.replace(rate, interval_1=0)


def test_the_stored_form_leaves_out_the_defaults_and_writes_plain_amounts():
    plain = Rate(price_1="0.10")
    rich = Rate(
        price_1="0.00000001",
        price_n="1E+3",
        price_unit="minute",
        interval_1=60,
        interval_n=30,
        free_seconds=5,
        grace_period=3,
        connect_fee="0.50",
        postcall_surcharge="7.5",
        surcharge_unit="percent",
        decimals=6,
        increment_mode="total",
        duration_rounding="nearest",
    )

    assert plain.to_json() == '{"price_1":"0.1"}'
    assert rich.to_json() == (
        '{"connect_fee":"0.5","decimals":6,"duration_rounding":"nearest","free_seconds":5,"grace_period":3,'
        '"increment_mode":"total","interval_1":60,"interval_n":30,"postcall_surcharge":"7.5",'
        '"price_1":"0.00000001","price_n":"1000","price_unit":"minute","surcharge_unit":"percent"}'
    )
    assert Rate.from_json(rich.to_json()) == rich


def test_what_a_rate_holds_several_of_is_stored_without_its_defaults_too():
    rate = Rate(
        price_1="0.10",
        multiplier="1.20",
        minimum_charge="0.50",
        covered_seconds=60,
        waived_fees=True,
        tiers=[Tier("0.10", "0.50", 60, 30), Tier(0, "0.30", 60)],
        changes=[Change(90, "0.05"), Change(300, "0.060", "minute", 6, "1.10")],
    )

    assert rate.to_json() == (
        '{"changes":[{"at_second":90,"price_n":"0.05"},'
        '{"at_second":300,"interval_n":6,"multiplier":"1.1","price_n":"0.06","price_unit":"minute"}],'
        '"covered_seconds":60,"minimum_charge":"0.5","multiplier":"1.2","price_1":"0.1",'
        '"tiers":[{"increment":30,"price":"0.5","seconds":60,"step_charge":"0.1"},{"price":"0.3","seconds":60}],'
        '"waived_fees":true}'
    )
    assert Rate.from_json(rate.to_json()) == rate


# What calls that run now are frozen with: each field by itself, beside a price of 0.1.
STORED = {
    "price_1": ({}, "0.1"),
    "price_n": ({"price_n": "0.20"}, "0.2"),
    "price_unit": ({"price_unit": "minute"}, "minute"),
    "interval_1": ({"interval_1": 60}, 60),
    "interval_n": ({"interval_n": 6}, 6),
    "free_seconds": ({"free_seconds": 5}, 5),
    "grace_period": ({"grace_period": 3}, 3),
    "connect_fee": ({"connect_fee": "0.50"}, "0.5"),
    "postcall_surcharge": ({"postcall_surcharge": "7.5"}, "7.5"),
    "surcharge_unit": ({"surcharge_unit": "percent"}, "percent"),
    "decimals": ({"decimals": 6}, 6),
    "increment_mode": ({"increment_mode": "total"}, "total"),
    "duration_rounding": ({"duration_rounding": "nearest"}, "nearest"),
    "multiplier": ({"multiplier": "1.20"}, "1.2"),
    "minimum_charge": ({"minimum_charge": "0.05"}, "0.05"),
    "surcharge_after": ({"surcharge_after": 9}, 9),
    "added_seconds": ({"added_seconds": 4}, 4),
    "added_percent": ({"added_percent": 7}, 7),
    "round_up_above": ({"round_up_above": 50, "round_up_to": 60}, 50),
    "round_up_to": ({"round_up_to": 60}, 60),
    "block_charge": ({"block_charge": "0.3", "block_seconds": 600}, "0.3"),
    "block_seconds": ({"block_seconds": 600}, 600),
    "tiers": ({"tiers": [Tier("0.10", "0.50", 60, 30)]},
              [{"increment": 30, "price": "0.5", "seconds": 60, "step_charge": "0.1"}]),
    "changes": ({"changes": [Change(300, "0.060", "minute", 6, "1.10")]},
                [{"at_second": 300, "interval_n": 6, "multiplier": "1.1", "price_n": "0.06", "price_unit": "minute"}]),
    "covered_seconds": ({"covered_seconds": 60}, 60),
    "waived_fees": ({"waived_fees": True}, True),
    "volume_factor": ({"volume_factor": "0.90"}, "0.9"),
}  # fmt: skip


@pytest.mark.parametrize("name", [name for name in Rate.__dataclass_fields__ if not name.startswith("_")])
def test_each_field_is_stored_by_its_name_and_read_back(name):
    """A new field must be given here; an old one that changes its name or its words re-prices calls that run."""
    fields, text = STORED[name]
    rate = Rate(**{"price_1": "0.1", **fields})

    assert json.loads(rate.to_json())[name] == text
    assert Rate.from_json(rate.to_json()) == rate
    assert name == "price_1" or getattr(rate, name) != getattr(Rate(price_1="0.1"), name)


def test_the_stored_form_may_come_back_spaced_as_a_database_prints_it():
    assert Rate.from_json('{ "interval_1": 60, "price_1": "0.1" }') == Rate(price_1="0.1", interval_1=60)


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("", "rate"),
        ("{", "rate"),
        ("[" * 100_000, "rate"),
        ("[]", "rate"),
        ("null", "rate"),
        ("{}", "price_1"),
        ('{"interval_1":60}', "price_1"),
        ('{"price_1":0.1}', "price_1"),
        ('{"price_1":null}', "price_1"),
        ('{"price_1":"1","colour":"red"}', "colour"),
        ('{"price_1":"1","_terms":1}', "_terms"),
        ('{"price_1":"1","interval_1":"60"}', "interval_1"),
        ('{"price_1":"1","price_unit":["minute"]}', "price_unit"),
        ('{"price_1":"1","tiers":{}}', "tiers"),
        ('{"price_1":"1","changes":[{"at_second":"60","price_n":"1"}]}', "changes[0].at_second"),
    ],
    ids=lambda value: value[:40],
)
def test_a_stored_form_that_is_broken_names_the_field_to_blame(text, field):
    with pytest.raises(InvalidRate) as refused:
        Rate.from_json(text)

    assert refused.value.field == field
