"""Why a call cost what it cost, in a sentence."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from rating_engine.cli.calls.cdrs import price_words
from rating_engine.domain.cdr import Cdr, CdrDetail
from rating_engine.domain.outcomes import CallKey
from rating_engine.rating.rate import Rate

RATE = Rate(price_1="0.60", price_n="0.60", price_unit="minute", interval_1=60, interval_n=60).to_json()
AT = datetime(2026, 11, 30, tzinfo=UTC)


def ended(seconds: int, billed: int, cost: str, source: str = "finish") -> Cdr:
    return Cdr(
        CallKey("pbx1", "1.1"), "1001", "settled", source, "", "4930", "Germany", "49", "retail", "trunk", seconds,
        billed, Decimal(cost), "EUR", Decimal(0), None, "", None, "ANSWER", 16, AT, AT, AT, "", "", "", "",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("cdr", "rate", "said"),
    [
        (ended(61, 120, "1.2"), RATE, "61 s answered, 120 s billed at 0.6 per minute, 60/60: 1.2 EUR"),
        (ended(0, 0, "0"), RATE, "not answered: 0 EUR"),
        (ended(5, 0, "0", "unrated"), "", "5 s answered, and no rate was there for it: 0 EUR"),
        (ended(0, 0, "0", "expired"), RATE, "not answered: 0 EUR (assumed, since nobody told its end; an end that comes"
         " later corrects it)"),
    ],
)  # fmt: skip
def test_a_price_is_told_by_what_it_was_made_of(cdr, rate, said):
    assert price_words(CdrDetail(cdr, rate)) == said
