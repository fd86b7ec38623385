"""Numbers as phones and people really dial them, under the ready plans: whom they call, or that they call nobody."""

from __future__ import annotations

import pytest

from rating_engine.domain.ready_plans import READY_PLANS, ready_plan
from rating_engine.rating.number import InvalidNumber
from rating_engine.rating.numbering import NumberingPlan, destination_of

PLAIN = NumberingPlan("plain")
EVERY_PLAN = (PLAIN, *READY_PLANS)


@pytest.mark.parametrize("plan", EVERY_PLAN, ids=lambda plan: plan.name)
@pytest.mark.parametrize(
    ("dialled", "called"),
    [
        ("+44 (0)20 7946 0123", "442079460123"),
        ("+44(0) 20-7946-0123#", "442079460123"),
        ("(+49) (0)30 1800-012", "49301800012"),
        ("+49 ( 0 ) 30 1800012", "49301800012"),
        ("+39 (0)6 698 123", "3906698123"),
        ("+1 (201) 555-0123", "12015550123"),
        ("+493001800015#", "493001800015"),
    ],
)
def test_a_number_in_its_international_form_is_the_same_under_every_plan(plan, dialled, called):
    assert destination_of(dialled, plan) == called


@pytest.mark.parametrize(
    ("plan", "dialled", "called"),
    [
        ("uk", "0044(0)20 7946 0123", "442079460123"),
        ("uk", "44 (0) 20 7946 0123", "442079460123"),
        ("uk", "(0)20 7946 0123", "442079460123"),
        ("uk", "020 7946 0123#", "442079460123"),
        ("germany", "0049 (0)30 1800012", "49301800012"),
        ("germany", "(030) 1800012", "49301800012"),
        ("italy", "0039 (0)6 698123", "3906698123"),
        ("nanp", "011 44 (0)20 7946 0123", "442079460123"),
        ("nanp", "44 (0) 20 7946", "44207946"),  # ten characters, but no national number
        ("nanp", "201-555-0123#", "12015550123"),
    ],
)
def test_a_number_as_it_is_dialled_in_its_country_is_read_by_that_countrys_plan(plan, dialled, called):
    assert destination_of(dialled, ready_plan(plan)) == called


@pytest.mark.parametrize("plan", EVERY_PLAN, ids=lambda plan: plan.name)
@pytest.mark.parametrize(
    "dialled",
    [
        "+493001800012,1001",
        "+493001800012p1001",
        "+493001800012w1001",
        "+493001800013&494",
        "+493001800013;ext=494",
        "+493001800013/494",
        "+493001800013|494",
        "+493001800013 x494",
        "+493001800013##",
        "+49300#1800013",
        "+4930(0)1800013",
        "+49(0)30(0)18",
        "+49*30",
    ],
)
def test_what_stands_behind_a_separator_is_never_part_of_the_number(plan, dialled):
    with pytest.raises(InvalidNumber):
        destination_of(dialled, plan)
