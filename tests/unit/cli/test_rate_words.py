"""A rate in one line: what is not as it is for most rates is said, whatever it is."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from rating_engine.cli.decks.rate_words import rate_words
from rating_engine.rating.rate import Rate

PLAIN: dict[str, Any] = {"price_1": "0.2", "price_n": "0.1", "price_unit": "minute", "interval_1": 60}

# Each term beside PLAIN, and what the line says of it.
SAID: dict[str, tuple[dict[str, Any], str]] = {
    "price_1": ({"price_1": "0.3"}, "0.3 then 0.1 per minute"),
    "price_n": ({"price_n": "0.2"}, "0.2 per minute"),
    "price_unit": ({"price_unit": "interval"}, "per interval"),
    "interval_1": ({"interval_1": 30}, "30/1"),
    "interval_n": ({"interval_n": 6}, "60/6"),
    "free_seconds": ({"free_seconds": 10}, "10 s free"),
    "grace_period": ({"grace_period": 3}, "3 s grace"),
    "connect_fee": ({"connect_fee": "0.05"}, "connect fee 0.05"),
    "postcall_surcharge": ({"postcall_surcharge": "0.5"}, "surcharge 0.5"),
    "surcharge_unit": ({"postcall_surcharge": 5, "surcharge_unit": "percent"}, "surcharge 5 %"),
    "surcharge_after": ({"postcall_surcharge": 5, "surcharge_after": 60}, "surcharge 5 from second 60 on"),
    "decimals": ({"decimals": 2}, "to 2 decimals"),
    "increment_mode": ({"increment_mode": "total"}, "increments from the start"),
    "multiplier": ({"multiplier": "1.2"}, "all x 1.2"),
    "minimum_charge": ({"minimum_charge": "0.1"}, "at least 0.1"),
    "added_seconds": ({"added_seconds": 2}, "2 s added"),
    "added_percent": ({"added_percent": 10}, "10 % of seconds added"),
    "round_up_to": ({"round_up_above": 30, "round_up_to": 60}, "31 to 60 s count as 60"),
    "block_charge": ({"block_charge": "0.5", "block_seconds": 600}, "0.5 for each 600 s"),
    "tiers": (
        {"tiers": [{"price": "0.5", "seconds": 60, "increment": 30, "step_charge": "0.1"}]},
        "60 s at 0.5 per minute by 30 s plus 0.1, then 0.1 per minute, 60/1",
    ),
    "changes": (
        {"changes": [{"at_second": 90, "price_n": "0.05", "price_unit": "minute", "multiplier": "0.5"}]},
        "from second 90 0.025 per minute",
    ),
    "changes of a factor without an end": (
        {"changes": [{"at_second": 90, "price_n": "0.1", "interval_n": 6, "multiplier": "0." + "3" * 39 + "4"}]},
        "from second 90 0.03333333 per interval by 6 s",
    ),
    "covered_seconds": ({"covered_seconds": 120}, "120 s paid by packages"),
    "waived_fees": ({"waived_fees": True}, "no fees if packages pay the whole call"),
}
SAID_WITH_ANOTHER = {"round_up_above", "block_seconds", "volume_factor"}
OF_FRACTIONS_OF_A_SECOND = {"duration_rounding"}  # commands count whole ones


def test_a_rate_like_most_is_its_prices_and_increments():
    assert rate_words(Rate(**PLAIN)) == "0.2 then 0.1 per minute, 60/1"
    assert rate_words(Rate(price_1="0.5")) == "0.5 per interval, 1/1"


@pytest.mark.parametrize(("terms", "words"), SAID.values(), ids=SAID)
def test_a_term_is_said(terms, words):
    assert words in rate_words(Rate(**{**PLAIN, **terms}))


def test_no_term_of_a_rate_is_left_unsaid():
    fields = {field.name for field in dataclasses.fields(Rate) if not field.name.startswith("_")}
    assert fields - SAID.keys() - SAID_WITH_ANOTHER - OF_FRACTIONS_OF_A_SECOND == set()
