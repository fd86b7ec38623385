"""The worked charges and max durations of the specification, from an independent meter in exact fractions."""

import json
from decimal import Decimal
from pathlib import Path

import pytest

from rating_engine.rating.charge import charge, max_duration, min_charge
from rating_engine.rating.rate import Rate

VECTORS = json.loads(Path(__file__).with_name("rating-vectors.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("vector", VECTORS["charges"], ids=lambda v: f"{v['case']}, {v['duration']} s")
def test_charge_agrees_with_the_worked_answer(vector):
    rate = Rate(**vector["rate"])

    result = charge(rate, vector["duration"])

    assert (result.billed_seconds, result.cost) == (vector["billed_seconds"], Decimal(vector["cost"]))


@pytest.mark.parametrize("vector", VECTORS["max_durations"], ids=lambda v: f"{v['case']}, funds {v['funds']}")
def test_max_duration_agrees_with_the_worked_answer(vector):
    rate = Rate(**vector["rate"])

    assert max_duration(rate, Decimal(vector["funds"]), vector["cap"]) == vector["max_duration"]


@pytest.mark.parametrize("vector", VECTORS["max_durations"], ids=lambda v: f"{v['case']}, funds {v['funds']}")
def test_funds_that_miss_the_min_charge_allow_no_more_than_grace(vector):
    rate, funds = Rate(**vector["rate"]), Decimal(vector["funds"])

    declined = funds < min_charge(rate)

    assert declined == (max_duration(rate, funds, vector["cap"]) <= rate.grace_period)
