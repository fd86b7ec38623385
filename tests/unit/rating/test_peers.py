"""Charges and limits of other billing systems, each by a rate that says what theirs say.

The answers were got by running them, or from their code by hand. Where a system is wrong, the right answer is asserted
and the reason stands beside it (FAULTS, LIMITS).
"""

from decimal import Decimal

import pytest

from rating_engine.rating.charge import charge, max_duration, min_charge
from rating_engine.rating.rate import Change, Rate, Tier


def per_minute(price, intervals, decimals, **fields):
    first, following = map(int, intervals.split("/"))
    return Rate(
        price_1=price,
        price_unit="minute",
        interval_1=first or following,  # a first block of 0 is none of its own
        interval_n=following,
        decimals=decimals,
        **fields,
    )


def a2billing(price, intervals="1/1", **fields):
    return per_minute(price, intervals, decimals=6, increment_mode="total", **fields)


magnus = a2billing  # the same arithmetic


def astpp(price, intervals="1/1", *, decimals=4, **fields):
    return per_minute(price, intervals, decimals, **fields)


def rateomat(peak="60/30", changes=(), **fields):
    """Cents for an interval of 60 s, then of 30 s: one cent a second by default."""
    first, following = peak.split("/")
    return Rate(price_1=first, price_n=following, interval_1=60, interval_n=30, changes=changes, **fields)


def yeti(price, intervals, price_n=None, **fields):
    return per_minute(price, intervals, decimals=6, price_n=price_n, **fields)


def off_peak_from(second):
    return [Change(at_second=second, price_n=15, interval_n=30)]


TIER_A8 = a2billing("0.20", "1/6", tiers=[Tier("0.10", "0.50", 60, 60)])
TIERS_A9 = a2billing(
    "0.10",
    "1/60",
    tiers=[Tier("0.05", "1.20", 30, 10), Tier("0.02", "0.60", 60, 6), Tier("0.01", "0.30", 120, 30)],
)
TIER_A9D = a2billing("0.20", tiers=[Tier(0, "0.60", 45, 60)])
FEES_A3 = {"connect_fee": "0.10", "postcall_surcharge": "0.05"}

CHARGES = [
    # (id and what it shows; rate, seconds, cost)
    ("A1", a2billing("0.60", "30/6"), 37, "0.42"),
    ("A2", a2billing("0.60", "30/18"), 31, "0.36"),
    ("A2c", a2billing("0.60", "30/18"), 37, "0.54"),
    ("A3", a2billing("1.00", "60/60", **FEES_A3), 61, "2.15"),
    ("A3b: short of the disconnect charge", a2billing("1.00", "60/60", surcharge_after=120, **FEES_A3), 61, "2.10"),
    ("A3b: at its second", a2billing("1.00", "60/60", surcharge_after=120, **FEES_A3), 120, "2.15"),
    ("A4", a2billing("0.30", minimum_charge="0.25"), 20, "0.25"),
    ("A5", a2billing("0.30", round_up_above=20, round_up_to=60), 25, "0.30"),
    ("A5b", a2billing("0.30", round_up_above=20, round_up_to=60), 20, "0.10"),
    ("A6", a2billing("0.06", block_charge="0.02", block_seconds=300), 615, "0.655"),
    ("A7: in calculcost", a2billing("0.60", added_seconds=10), 50, "0.60"),
    ("A8", TIER_A8, 95, "0.72"),
    ("A9", TIERS_A9, 100, "1.43"),
    ("A9b", TIERS_A9, 300, "2.08"),
    ("A9d: time paid twice", TIER_A9D, 50, "0.616667"),
    ("A10", a2billing("0.60", "0/60", covered_seconds=100), 120, "0.20"),
    ("A10a", a2billing("0.60", "0/60", covered_seconds=100), 130, "0.80"),
    ("A10b", a2billing("0.60", "0/60", covered_seconds=200, connect_fee="0.10"), 120, "0.10"),
    ("A11", a2billing("0.60", covered_seconds=2**31 - 1, waived_fees=True, connect_fee="0.10"), 61, "0"),
    ("A15: too short", a2billing("0.60", "60/60", grace_period=9), 9, "0"),
    ("A15: long enough", a2billing("0.60", "60/60", grace_period=9), 10, "0.60"),
    ("A16: 1 s", a2billing("0.01"), 1, "0.000167"),
    ("A16: 7 s", a2billing("0.01"), 7, "0.001167"),
    ("M1", magnus("0.05", "30/6"), 45, "0.04"),
    ("M2", magnus("0.60", "30/18"), 31, "0.36"),
    ("M3: no disconnect charge", magnus("1.00", "60/60", connect_fee="0.10"), 61, "2.10"),
    ("M4: too short", magnus("0.60", grace_period=6), 6, "0"),
    ("M4: long enough", magnus("0.60", grace_period=6), 7, "0.07"),
    ("M5: 10", magnus("0.60", added_seconds=10), 50, "0.60"),
    ("M5: 10%", magnus("0.60", added_percent=10), 50, "0.55"),
    ("M6b", magnus("0.60", covered_seconds=200, connect_fee="0.10"), 120, "0.10"),
    ("P1", astpp("0.05", "30/6"), 45, "0.0400"),
    ("P2: 31 s", astpp("0.60", "30/18"), 31, "0.48"),
    ("P2: 49 s", astpp("0.60", "30/18"), 49, "0.66"),
    ("P3", astpp("1.00", "60/60", connect_fee="0.10"), 61, "2.10"),
    ("P4", astpp("1.00", connect_fee="0.02", free_seconds=10), 8, "0.02"),
    ("P4b", astpp("0.60", free_seconds=10), 15, "0.05"),
    ("P4c", astpp("0.60", "30/6", free_seconds=10), 15, "0.30"),
    ("P5", astpp("0.60", "0/60"), 61, "1.20"),
    ("P8: 4 places", astpp("0.01"), 7, "0.0012"),
    ("P8: 2 places", astpp("0.01", decimals=2), 7, "0.00"),
    ("R1: 60 s", rateomat(), 60, "60"),
    ("R1: 61 s", rateomat(), 61, "90"),
    ("R1: 91 s", rateomat(), 91, "120"),
    ("R1d: 1.4 s", rateomat(), Decimal("1.4"), "60"),
    ("R1d: 60.4 s", rateomat(), Decimal("60.4"), "90"),
    ("R2", rateomat("120/30"), 61, "150"),
    ("R3", rateomat(changes=off_peak_from(90)), 150, "120"),
    ("R3b", rateomat(changes=off_peak_from(75)), 150, "120"),
    # Its window is [start, end]: off-peak until second 60 itself, for us until 61.
    ("R4", rateomat("30/15", changes=[Change(at_second=61, price_n=30, interval_n=30)]), 120, "75"),
    ("R5", rateomat(covered_seconds=100), 150, "50"),
    ("R5b", rateomat(covered_seconds=70), 91, "50"),
    ("R5c", rateomat(covered_seconds=20), 61, "70"),
    ("R6: what it really costs", rateomat(), 120, "120"),
    ("R7: before the extra second", rateomat(postcall_surcharge=15, surcharge_after=30), 29, "60"),
    ("R7: at the extra second", rateomat(postcall_surcharge=15, surcharge_after=30), 30, "75"),
    ("R7: 61 s", rateomat(postcall_surcharge=15, surcharge_after=30), 61, "105"),
    ("Y1", yeti("0.60", "30/6", connect_fee="0.10"), 37, "0.52"),
    ("Y2", yeti("0.60", "30/18"), 31, "0.48"),
    ("Y3", yeti("1.00", "60/60", connect_fee="0.10"), 61, "2.10"),
    ("Y4", yeti("0.60", "30/6", "0.30"), 20, "0.30"),
    ("Y5: net", yeti("1.20", "60/6", "0.20"), 95, "1.32"),
    ("Y5: 20 %", yeti("1.20", "60/6", "0.20", postcall_surcharge=20, surcharge_unit="percent"), 95, "1.584"),
    ("cdo: seconds added to each call", yeti("0.60", "30/6", added_seconds=5), 27, "0.36"),
]


@pytest.mark.parametrize(("rate", "seconds", "cost"), [pytest.param(*case[1:], id=case[0]) for case in CHARGES])
def test_a_charge_of_another_system_comes_out(rate, seconds, cost):
    assert charge(rate, seconds).cost == Decimal(cost)


FAULTS = [
    # (id, rate, seconds, right, theirs, why theirs is wrong)
    ("A7", a2billing("0.60", added_seconds=10), 50, "0.60", "0.70", "the added seconds are added twice"),
    (
        "A10c",
        a2billing("0.60", "0/60", tiers=[Tier(0, "0.60", 60, 60)], covered_seconds=100),
        120,
        "0.20",
        "1.20",
        "free time that is not enough for the whole call is forgotten in tiers",
    ),
    (
        "A10d",
        a2billing("0.60", "60/60", covered_seconds=90),
        61,
        "0.30",
        "0.59",
        "only as many free seconds are taken as were talked, of 120 that are billed",
    ),
    ("M5: 100%", magnus("0.60", added_percent=100), 50, "1.00", "0.50", "a percentage is read by replacing '0.'"),
    ("M5: 5%", magnus("0.60", added_percent=5), 50, "0.53", "0.525", "half a second is billed of a 1/1 rate"),
    (
        "M6",
        magnus("0.60", covered_seconds=100),
        120,
        "0.20",
        "1.20",
        "minutes that don't pay the whole call pay none of it, and are booked as used",
    ),
    ("P7", astpp("1000", "60/60"), 61, "2000", "2", "'2,000.0000' is stored as 2, and its debit fails"),
    (
        "R6",
        rateomat(),
        120,
        "120",
        "60",
        "free cash pays whole intervals only: ours is a balance, paid to the last cent",
    ),
    ("R6d", rateomat(), 120, "120", "90", "the same: an interval that does not fit is billed, a later one is not"),
    (
        "R8",
        rateomat(covered_seconds=120, changes=off_peak_from(60)),
        180,
        "30",
        "60",
        "time stands still while it is free, so peak prices last too long",
    ),
]


@pytest.mark.parametrize(
    ("rate", "seconds", "right", "theirs"), [pytest.param(*case[1:5], id=f"{case[0]}: {case[5]}") for case in FAULTS]
)
def test_a_fault_of_another_system_is_not_repeated(rate, seconds, right, theirs):
    cost = charge(rate, seconds).cost

    assert cost == Decimal(right)
    assert cost != Decimal(theirs)


def test_a_double_grace_can_be_said_by_those_who_sell_it():
    assert charge(a2billing("0.60", added_seconds=20), 50).cost == Decimal("0.70")


@pytest.mark.parametrize(
    ("rate", "seconds", "covered"),
    [
        pytest.param(a2billing("0.60", "0/60", covered_seconds=100), 120, 100, id="A10"),
        pytest.param(a2billing("0.60", "0/60", covered_seconds=200), 120, 120, id="A10b"),
        pytest.param(a2billing("0.60", "60/60", covered_seconds=90), 61, 90, id="A10d"),
        pytest.param(magnus("0.60", covered_seconds=100), 120, 100, id="M6: not 120"),
        pytest.param(rateomat(covered_seconds=120, changes=off_peak_from(60)), 180, 120, id="R8"),
    ],
)
def test_packages_are_told_the_seconds_they_paid_and_no_more(rate, seconds, covered):
    assert charge(rate, seconds).covered_seconds == covered


LIMITS = [
    # (id, rate, funds, right, theirs or None where it is the same, why theirs is wrong)
    ("AL1", a2billing("1.00", "60/1"), "0.10", 0, 6, "the first block is not reserved"),
    ("AL2", a2billing("0.30", minimum_charge="0.25"), "0.10", 0, 20, "the minimum charge is not reserved"),
    (
        "AL3",
        a2billing("0.30", connect_fee="0.10", postcall_surcharge="0.10", surcharge_after=1),
        "1.00",
        160,
        180,
        "a disconnect charge that falls due later is not reserved",
    ),
    ("AL4", a2billing("0.60", added_seconds=20), "1.00", 80, 100, "added seconds are not reserved"),
    ("AL4, added once", a2billing("0.60", added_seconds=10), "1.00", 90, 100, "added seconds are not reserved"),
    ("AL5", a2billing("0.10", "60/60"), "0.70", 420, 360, "float"),
    ("AL6", a2billing("0.10", "60/60"), "0.30", 180, 120, "float"),
    ("AL7", a2billing("0.10"), "0.29", 174, 173, "float"),
    ("AL8", a2billing("0.30", "60/60"), "1.00", 180, None, ""),
    ("AL9", a2billing("0.30", "60/60", connect_fee="0.20"), "1.10", 180, None, ""),
    ("AL10", TIER_A8, "1.00", 180, 60, "a tier that is paid to its last second ends the search"),
    ("ML1", magnus("0.30", "60/60"), "1.00", 180, None, ""),
    ("ML2", magnus("1.00", "60/1"), "0.10", 0, 6, "the first block is not reserved"),
    ("ML3", magnus("1.00", "60/60"), "0.01", 0, None, ""),
    ("ML4", magnus("0.10", "60/60"), "0.70", 420, 360, "float"),
    ("ML5", magnus("0"), "0", 3600, None, ""),
    ("PL1", astpp("0.30", "60/60"), "1.00", 180, 200, "seconds of an increment that is not paid"),
    ("PL2", astpp("1.00", "60/60"), "0.50", 0, None, ""),
    ("PL3", astpp("0.30", "60/60", connect_fee="0.10"), "1.10", 180, 200, "seconds of an increment that is not paid"),
    ("PL4", astpp("1.00", "60/60", free_seconds=30), "1.00", 90, 60, "included seconds are left out"),
    ("PL5", astpp("1.00", "120/60"), "1.50", 0, 90, "the first block is not reserved"),
    ("YL: 1.00", yeti("0.60", "30/6"), "1.00", 96, None, ""),
    ("YL: 0.29", yeti("0.60", "30/6"), "0.29", 0, None, ""),
    ("YL: 0.30", yeti("0.60", "30/6"), "0.30", 30, None, ""),
    ("YL: fee", yeti("0.30", "60/60", connect_fee="0.10"), "1.00", 180, None, ""),
    ("YL: 0.70", yeti("0.10", "60/60"), "0.70", 420, None, ""),
    (
        "1.9: VAT",
        yeti("0.60", "30/6", postcall_surcharge=20, surcharge_unit="percent"),
        "1.00",
        78,
        96,
        "VAT is charged but not reserved",
    ),
]


@pytest.mark.parametrize(
    ("rate", "funds", "right", "theirs"),
    [pytest.param(*case[1:5], id=f"{case[0]}: {case[5] or 'as theirs'}") for case in LIMITS],
)
def test_a_limit_is_right_whatever_another_system_says(rate, funds, right, theirs):
    longest = max_duration(rate, Decimal(funds), 3600)

    assert longest == right
    assert longest != theirs
    assert (Decimal(funds) < min_charge(rate)) == (right == 0)  # a call that cannot be paid is refused
