from decimal import Decimal
from fractions import Fraction

import pytest

from rating_engine.rating.charge import LineKind, charge, max_charge, max_duration, min_charge, price_per_minute
from rating_engine.rating.rate import Change, Rate, Tier


def per_minute(price, intervals="1/1", **fields):
    """A rate as decks write it: one price a minute, 'first/next' intervals."""
    first, following = map(int, intervals.split("/"))
    return Rate(price_1=price, price_unit="minute", interval_1=first, interval_n=following, **fields)


def two_prices(price_1, price_n, intervals, **fields):
    return per_minute(price_1, intervals, price_n=price_n, **fields)


PUBLISHED_CHARGES = [
    # (what it shows, rate, seconds, cost); the peers that agree in brackets
    ("increments divide the first interval [A2Billing, ASTPP]", per_minute("0.60", "30/6"), 37, "0.42"),
    ("a wiki example, 48 s [MagnusBilling, ASTPP]", per_minute("0.05", "30/6"), 45, "0.04"),
    ("30/18, 31 s: first interval and one increment [ASTPP, YETI]", per_minute("0.60", "30/18"), 31, "0.48"),
    ("30/18, 49 s: one second into the second increment", per_minute("0.60", "30/18"), 49, "0.66"),
    (
        "30/18, 31 s: total rounded up [A2Billing, MagnusBilling]",
        per_minute("0.60", "30/18", increment_mode="total"),
        31,
        "0.36",
    ),
    (
        "30/18, 37 s: total rounded up [A2Billing]",
        per_minute("0.60", "30/18", increment_mode="total"),
        37,
        "0.54",
    ),
    (
        "30/18, 30 s: the first interval alone, total mode or not",
        per_minute("0.60", "30/18", increment_mode="total"),
        30,
        "0.30",
    ),
    ("connect fee and two minutes [all]", per_minute("1.00", "60/60", connect_fee="0.10"), 61, "2.10"),
    ("connect fee and 30/6 [YETI]", per_minute("0.60", "30/6", connect_fee="0.10"), 37, "0.52"),
    ("first interval at its own price [YETI]", two_prices("0.60", "0.30", "30/6"), 20, "0.30"),
    ("two prices, net [YETI]", two_prices("1.20", "0.20", "60/6"), 95, "1.32"),
    (
        "two prices and 20 % on top [YETI with VAT]",
        two_prices("1.20", "0.20", "60/6", postcall_surcharge=20, surcharge_unit="percent"),
        95,
        "1.584",
    ),
    (
        "inside the included seconds: the fee [ASTPP]",
        per_minute("1.00", free_seconds=10, connect_fee="0.02"),
        8,
        "0.02",
    ),
    ("past the included seconds [ASTPP]", per_minute("0.60", free_seconds=10), 15, "0.05"),
    ("a first interval starts after them [ASTPP]", per_minute("0.60", "30/6", free_seconds=10), 15, "0.30"),
    ("free if at most so long [MagnusBilling]", per_minute("0.60", grace_period=6), 6, "0"),
    ("longer than that is charged from its start", per_minute("0.60", grace_period=6), 7, "0.07"),
    ("six decimals [A2Billing]", per_minute("0.01", decimals=6), 1, "0.000167"),
    ("six decimals, 7 s [A2Billing]", per_minute("0.01", decimals=6), 7, "0.001167"),
    ("four decimals [ASTPP]", per_minute("0.01", decimals=4), 7, "0.0012"),
    ("two decimals [ASTPP]", per_minute("0.01", decimals=2), 7, "0.00"),
    ("four figures stay a number [ASTPP writes 2,000]", per_minute("1000", "60/60"), 61, "2000"),
    ("a published support case, 32 s [CGRateS]", per_minute("0.006", "30/6"), 32, "0.0036"),
    ("a published support case, 57 s [CGRateS]", per_minute("0.006", "30/6"), 57, "0.006"),
    ("a published support case, 75 s [CGRateS]", per_minute("0.006", "30/6"), 75, "0.0078"),
    ("60/30 [rate-o-mat]", per_minute("0.60", "60/30"), 91, "1.20"),
    (
        "per interval: 120 cents, then 30 [rate-o-mat]",
        Rate(price_1=120, price_n=30, interval_1=60, interval_n=30),
        61,
        "150",
    ),
]


@pytest.mark.parametrize(
    ("rate", "seconds", "cost"), [pytest.param(*case[1:], id=case[0]) for case in PUBLISHED_CHARGES]
)
def test_a_published_charge_comes_out(rate, seconds, cost):
    assert charge(rate, seconds).cost == Decimal(cost)


PUBLISHED_LIMITS = [
    # (what others get wrong, rate, funds, right answer)
    ("0.70 / 0.10 in floats is short of 7", per_minute("0.10", "60/60"), "0.70", 420),
    ("0.30 / 0.10 in floats is short of 3", per_minute("0.10", "60/60"), "0.30", 180),
    ("0.29 / 0.10 in floats is short of 2.9", per_minute("0.10"), "0.29", 174),
    ("whole increments only", per_minute("0.30", "60/60"), "1.00", 180),
    ("the connect fee is part of it", per_minute("0.30", "60/60", connect_fee="0.20"), "1.10", 180),
    ("the first interval is part of it", per_minute("1.00", "60/1"), "0.10", 0),
    ("a long first interval is part of it", per_minute("1.00", "120/60"), "1.50", 0),
    ("a surcharge is part of it", per_minute("0.30", connect_fee="0.10", postcall_surcharge="0.10"), "1.00", 160),
    ("free seconds come on top", per_minute("1.00", "60/60", free_seconds=30), "1.00", 90),
    ("thirty and six", per_minute("0.60", "30/6"), "1.00", 96),
    ("one cent short of the first interval", per_minute("0.60", "30/6"), "0.29", 0),
    ("exactly the first interval", per_minute("0.60", "30/6"), "0.30", 30),
    ("no money and no price: the cap", per_minute("0"), "0", 7200),
    ("30/18: 48 s cost 0.48", per_minute("0.60", "30/18"), "0.47", 30),
    ("30/18 in total mode: 36 s cost 0.36", per_minute("0.60", "30/18", increment_mode="total"), "0.47", 36),
    ("total mode short of its first multiple", per_minute("0.60", "30/18", increment_mode="total"), "0.35", 30),
]  # fmt: skip


@pytest.mark.parametrize(
    ("rate", "funds", "expected"), [pytest.param(*case[1:], id=case[0]) for case in PUBLISHED_LIMITS]
)
def test_the_limit_is_right_where_others_are_not(rate, funds, expected):
    assert max_duration(rate, Decimal(funds), 7200) == expected


@pytest.mark.parametrize("seconds", [0, -1, Decimal("-0.5")])
def test_a_call_that_was_never_answered_costs_nothing_not_even_the_fees(seconds):
    result = charge(per_minute(1, connect_fee=5, postcall_surcharge=7), seconds)

    assert (result.billed_seconds, result.cost, result.lines) == (0, 0, ())


@pytest.mark.parametrize(
    ("rounding", "seconds", "billed"),
    [
        ("up", "0.01", 1),
        ("up", "1.4", 2),
        ("up", "60", 60),
        ("up", "60.000001", 61),
        ("nearest", "0.49", 0),
        ("nearest", "0.5", 1),
        ("nearest", "1.5", 2),
        ("nearest", "2.5", 3),
        ("nearest", "60.4", 60),
    ],
)
def test_a_fraction_of_a_second_goes_by_the_duration_rounding_of_the_rate(rounding, seconds, billed):
    rate = per_minute("0.60", duration_rounding=rounding)

    assert charge(rate, Decimal(seconds)).billed_seconds == billed


def test_a_fraction_past_the_grace_period_is_past_it():
    assert charge(per_minute("0.60", grace_period=3), Decimal("3.1")).billed_seconds == 4


@pytest.mark.parametrize("seconds", [1.0, True, "60", None, Fraction(3, 2)])
def test_a_duration_of_another_type_is_refused(seconds):
    with pytest.raises(TypeError, match="seconds"):
        charge(per_minute(1), seconds)


@pytest.mark.parametrize("seconds", ["NaN", "Infinity", "sNaN", "1E+30"])
def test_a_decimal_that_is_no_duration_is_refused(seconds):
    with pytest.raises(ValueError, match="seconds"):
        charge(per_minute(1), Decimal(seconds))


@pytest.mark.parametrize("funds", [1.0, True, "1.00", None])
def test_funds_of_another_type_are_refused(funds):
    with pytest.raises(TypeError, match="funds"):
        max_duration(per_minute(1), funds, 60)


@pytest.mark.parametrize("funds", ["NaN", "Infinity", "-Infinity", "sNaN", "1E+30"])
def test_a_decimal_that_is_no_amount_is_refused_as_funds(funds):
    with pytest.raises(ValueError, match="funds"):
        max_duration(per_minute(1), Decimal(funds), 60)


def test_a_duration_of_thirty_digits_is_still_taken():
    assert charge(per_minute(1), Decimal("9" * 30)).billed_seconds == 10**30 - 1


@pytest.mark.parametrize("funds", ["-0.000001", "-1", "-10000"])
def test_negative_funds_pay_for_nothing_even_where_nothing_costs(funds):
    assert max_duration(per_minute(0, grace_period=9), Decimal(funds), 7200) == 0


@pytest.mark.parametrize("cap", [0, -1])
def test_no_cap_is_no_call(cap):
    assert max_duration(per_minute(0), Decimal(1), cap) == 0


@pytest.mark.parametrize(
    ("rate", "without"),
    [
        (Rate(price_1=0, decimals=0, connect_fee="0.5", grace_period=2, free_seconds=5), 2),
        (Rate(price_1="0.5", decimals=0, free_seconds=3), 3),
        (Rate(price_1=0, price_n="0.5", decimals=0), 1),
    ],
    ids=["connect fee", "first interval", "second interval"],
)
def test_what_rounds_up_to_the_last_decimal_needs_the_whole_of_it(rate, without):
    assert max_duration(rate, Decimal("0.9"), 7200) == without
    assert max_duration(rate, Decimal(1), 7200) > without


def test_funds_may_be_whole_numbers():
    assert max_duration(per_minute("0.60"), 1, 7200) == 100


def test_a_part_of_the_last_decimal_buys_nothing():
    assert max_duration(Rate(price_1=1, decimals=0), Decimal("2.999999"), 60) == 2


def test_the_cap_cuts_within_grace_within_free_seconds_and_after():
    rate = per_minute("0.60", "60/60", grace_period=5, free_seconds=20, connect_fee="0.10")

    assert [max_duration(rate, Decimal(0), cap) for cap in (4, 5, 6)] == [4, 5, 5]
    assert [max_duration(rate, Decimal("0.10"), cap) for cap in (19, 20, 21)] == [19, 20, 20]
    assert [max_duration(rate, Decimal("0.70"), cap) for cap in (79, 80, 81)] == [79, 80, 80]


def test_grace_beyond_the_free_seconds_is_kept_whatever_the_funds():
    rate = per_minute("0.60", grace_period=50, free_seconds=20)

    assert max_duration(rate, Decimal(0), 7200) == 50
    assert max_duration(rate, Decimal("0.30"), 7200) == 50  # second 51 costs 0.31
    assert max_duration(rate, Decimal("0.31"), 7200) == 51


def test_max_charge_is_what_the_cap_costs_and_min_charge_what_the_first_second_past_grace_costs():
    rate = per_minute("0.60", "30/6", grace_period=35, connect_fee="0.10")

    assert max_charge(rate, 60) == Decimal("0.70")
    assert max_charge(rate, 35) == 0
    assert min_charge(rate) == Decimal("0.46")


def test_a_cost_has_exactly_the_decimals_of_its_rate():
    assert str(charge(per_minute("0.60", decimals=5), 60).cost) == "0.60000"
    assert str(charge(per_minute("0.60", decimals=6), 0).cost) == "0.000000"
    assert str(charge(per_minute("0.50", decimals=0), 60).cost) == "1"


def test_the_lines_tell_what_each_part_costs():
    rate = two_prices("0.60", "0.20", "30/6", connect_fee="0.05", postcall_surcharge=10, surcharge_unit="percent")

    lines = charge(rate, 37).lines

    assert [(line.kind, line.quantity, line.seconds, line.unit_price, line.amount) for line in lines] == [
        (LineKind.CONNECT_FEE, 1, 0, Decimal("0.05"), Decimal("0.05")),
        (LineKind.FIRST_INTERVAL, 1, 30, Decimal("0.30"), Decimal("0.30")),
        (LineKind.NEXT_INTERVALS, 2, 12, Decimal("0.02"), Decimal("0.04")),
        (LineKind.SURCHARGE, 1, 0, Decimal("0.039"), Decimal("0.039")),
    ]


def test_the_lines_of_total_mode_count_seconds_after_the_first_interval():
    rate = per_minute("0.60", "30/18", increment_mode="total")

    following = charge(rate, 31).lines[-1]

    assert (following.quantity, following.seconds, following.amount) == (6, 6, Decimal("0.06"))


def test_a_call_inside_its_free_seconds_shows_fee_and_surcharge_alone():
    rate = per_minute("0.60", free_seconds=10, connect_fee="0.05", postcall_surcharge="0.02")

    assert [line.kind for line in charge(rate, 10).lines] == [LineKind.CONNECT_FEE, LineKind.SURCHARGE]


def test_a_free_call_shows_its_seconds():
    (line,) = charge(per_minute(0, "60/60"), 5).lines

    assert (line.kind, line.seconds, line.amount) == (LineKind.FIRST_INTERVAL, 60, 0)


def test_thirds_are_shown_with_eight_decimals_and_kept_exact():
    result = charge(per_minute("0.01"), 1)

    assert result.lines[0].amount == Decimal("0.00016667")
    assert result.lines[0].exact_amount == result.exact_total == Fraction(1, 6000)


EVERYTHING = per_minute(
    "0.20",
    "1/6",
    connect_fee="0.05",
    tiers=[Tier("0.10", "0.60", 60, 30)],
    changes=[Change(90, "0.10", "minute", 6)],
    block_charge="0.02",
    block_seconds=50,
    postcall_surcharge=10,
    surcharge_unit="percent",
    covered_seconds=20,
    multiplier="1.5",
    minimum_charge=2,
)


def test_every_kind_of_line_comes_in_the_order_it_is_charged():
    lines = charge(EVERYTHING, 100).lines

    assert [(line.kind, line.quantity, line.seconds, line.unit_price, line.amount) for line in lines] == [
        (LineKind.CONNECT_FEE, 1, 0, Decimal("0.075"), Decimal("0.075")),
        (LineKind.COVERED, 20, 20, 0, 0),
        (LineKind.STEP_CHARGE, 1, 0, Decimal("0.15"), Decimal("0.15")),
        (LineKind.TIER, 40, 40, Decimal("0.015"), Decimal("0.60")),
        (LineKind.NEXT_INTERVALS, 5, 30, Decimal("0.03"), Decimal("0.15")),
        (LineKind.NEXT_INTERVALS, 2, 12, Decimal("0.015"), Decimal("0.03")),
        (LineKind.BLOCK_CHARGE, 2, 0, Decimal("0.03"), Decimal("0.06")),
        (LineKind.SURCHARGE, 1, 0, Decimal("0.1065"), Decimal("0.1065")),
        (LineKind.MINIMUM_CHARGE, 1, 0, Decimal("1.8285"), Decimal("1.8285")),
    ]
    assert charge(EVERYTHING, 100).cost == 3


def test_a_multiplier_is_in_every_price_and_fee_and_rounded_with_them_once():
    rate = per_minute("0.01", connect_fee="0.01", postcall_surcharge="0.02", multiplier="1.123456789", decimals=6)

    assert charge(rate, 7).exact_total == Fraction("1.123456789") * (Fraction(7, 6000) + Fraction("0.03"))
    assert charge(rate, 7).cost == Decimal("0.035014")


@pytest.mark.parametrize(
    ("rate", "seconds", "cost"),
    [
        pytest.param(per_minute(0, minimum_charge="0.25"), 1, "0.25", id="a destination without a price"),
        pytest.param(per_minute(1, minimum_charge="0.25", grace_period=5), 5, "0", id="grace"),
        pytest.param(per_minute(1, minimum_charge="0.25", free_seconds=9), 9, "0.25", id="free seconds"),
        pytest.param(per_minute(1, minimum_charge="0.25", connect_fee=1), 1, "1.01667", id="the fee is more"),
        pytest.param(per_minute(1, minimum_charge="0.25", covered_seconds=5), 5, "0", id="covered whole"),
        pytest.param(per_minute(1, minimum_charge="0.25", covered_seconds=5), 6, "0.25", id="covered in part"),
        pytest.param(per_minute(1, minimum_charge="0.25", multiplier=2), 1, "0.50", id="multiplied"),
    ],
)
def test_a_call_past_its_grace_costs_the_minimum_unless_packages_pay_all_of_it(rate, seconds, cost):
    assert charge(rate, seconds).cost == Decimal(cost)


def test_the_minimum_is_of_the_whole_with_a_percentage_on_top():
    rate = per_minute("0.60", minimum_charge="0.33", postcall_surcharge=10, surcharge_unit="percent")

    assert [charge(rate, seconds).cost for seconds in (1, 30, 31)] == [
        Decimal(cost) for cost in ("0.33", "0.33", "0.341")
    ]


def test_a_call_covered_whole_has_no_line_for_a_minimum():
    rate = per_minute("0.60", minimum_charge="0.25", covered_seconds=60)

    assert [line.kind for line in charge(rate, 60).lines] == [LineKind.COVERED]


def test_what_comes_after_tiers_is_counted_in_increments_in_total_mode_too():
    rate = per_minute("0.60", "1/30", increment_mode="total", tiers=[Tier(0, "0.90", 50)])

    following = charge(rate, 81).lines[-1]

    assert (following.quantity, following.seconds, following.unit_price) == (2, 60, Decimal("0.30"))


def test_the_minimum_lasts_for_what_it_pays_and_no_longer():
    rate = per_minute("0.60", minimum_charge="0.30", free_seconds=5)

    assert max_duration(rate, Decimal("0.29"), 7200) == 0
    assert max_duration(rate, Decimal("0.30"), 7200) == 35
    assert max_duration(rate, Decimal("0.31"), 7200) == 36


@pytest.mark.parametrize(("waived", "cost"), [(False, "0.15"), (True, "0")])
def test_a_call_covered_whole_pays_its_fees_unless_they_are_waived(waived, cost):
    fees = {"connect_fee": "0.05", "postcall_surcharge": "0.10"}
    rate = per_minute("0.60", "60/60", covered_seconds=120, waived_fees=waived, **fees)

    assert charge(rate, 61).cost == Decimal(cost)
    assert charge(rate, 121).cost == Decimal("0.75")  # covered in part: fees are paid
    assert max_duration(rate, Decimal("0.14"), 7200) == (120 if waived else 0)


def test_a_step_charge_is_paid_with_the_first_second_of_its_tier_that_packages_do_not_pay():
    rate = per_minute("0.60", tiers=[Tier("0.10", "0.60", 60)], covered_seconds=30)

    assert [charge(rate, seconds).cost for seconds in (30, 31)] == [0, Decimal("0.11")]


def test_tiers_are_paid_for_the_first_interval_at_least():
    rate = per_minute("0.60", "70/10", tiers=[Tier(0, "1.20", 60)])

    assert [charge(rate, seconds).billed_seconds for seconds in (1, 70, 71)] == [70, 70, 80]
    assert charge(rate, 1).cost == Decimal("1.30")


def test_blocks_are_of_the_seconds_that_are_counted_added_and_free_ones_too():
    blocks = {"block_charge": "0.02", "block_seconds": 60}

    assert charge(per_minute(0, added_seconds=10, **blocks), 50).cost == Decimal("0.02")
    assert charge(per_minute(0, free_seconds=90, **blocks), 60).cost == Decimal("0.02")
    assert charge(per_minute(0, **blocks), 59).cost == 0


def test_seconds_are_added_before_they_are_rounded_up_and_free_ones_taken_off_last():
    rate = per_minute("0.60", added_seconds=5, added_percent=10, round_up_above=20, round_up_to=60, free_seconds=30)

    assert charge(rate, 13).billed_seconds == 0  # 13 + 5 + 1.3, whole: 20
    assert charge(rate, 14).billed_seconds == 30  # 14 + 5 + 1.4, whole: 21, so 60


def test_an_increment_has_the_price_of_its_own_start_counted_from_the_start_of_the_call():
    changes = [Change(90, "0.30", "minute", 30)]
    at_once = per_minute("0.60", "60/30", changes=changes)
    after_free_seconds = per_minute("0.60", "60/30", changes=changes, free_seconds=15)

    assert charge(at_once, 120).cost == Decimal("1.05")
    # The increment from 75 on goes beyond 90: it is the earlier price's to its end.
    assert charge(after_free_seconds, 105).cost == Decimal("0.90")
    assert charge(after_free_seconds, 106).cost == Decimal("1.05")


def test_a_first_interval_that_goes_beyond_changes_is_paid_once():
    rate = per_minute("0.60", "60/1", changes=[Change(10, 9, "minute"), Change(20, "0.30", "minute")])

    assert charge(rate, 60).cost == Decimal("0.60")
    assert charge(rate, 62).cost == Decimal("0.61")


def test_changes_in_total_mode_go_on_at_the_multiples_of_their_own_interval():
    rate = per_minute("0.60", "1/30", increment_mode="total", changes=[Change(45, "1.20", "minute", 40)])

    assert [charge(rate, seconds).billed_seconds for seconds in (1, 2, 31, 60, 61, 81)] == [1, 30, 60, 60, 80, 120]
    assert charge(rate, 61).cost == Decimal("1.00")


def test_the_price_of_a_minute_is_that_of_the_dearest_interval_with_its_multiplier():
    tiers = [Tier("0.10", "0.90", 60, 30)]

    assert price_per_minute(per_minute("0.60", multiplier="1.1")) == Decimal("0.66")
    assert price_per_minute(per_minute("0.60", tiers=tiers)) == Decimal("0.90")
    assert price_per_minute(per_minute("0.60", changes=[Change(9, "0.02", multiplier=2)])) == Decimal("2.40")


def test_a_call_of_a_billion_months_with_every_feature_is_counted_not_walked():
    long = 31 * 86_400 * 10**9

    assert charge(EVERYTHING, long + 1).billed_seconds == long + 6
