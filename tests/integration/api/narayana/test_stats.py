"""What a user has spent, and how long its money lasts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.support.narayana import Narayana, narayana_on

CALLED = "4912345"


@pytest.fixture
async def narayana(database_url: str) -> AsyncIterator[Narayana]:
    async with narayana_on(database_url) as narayana:
        for length in ("300", "0"):
            asked = {"login": "anna", "destination": CALLED, "callid": length}
            await narayana.ask("callPrepare", **asked)
            await narayana.ask("callFinish", **asked, length=length, status="16ANSWER")
        yield narayana


def on(days: int) -> str:
    return f"{datetime.now(UTC) + timedelta(days=days):%Y-%m-%d}"


async def test_calls_and_their_costs_are_summed_up_and_money_is_foretold(narayana):
    stats = await narayana.ask("getStats", login="anna", date1=on(-1), date2=on(0))

    assert (stats["financials"]["call_cost"], stats["financials"]["display_total_cost"]) == (3, 3)
    assert stats["financials"]["other_cost"] == stats["financials"]["sms_cost"] == 0
    assert (stats["stat"]["total_calls"], stats["stat"]["success_calls"], stats["stat"]["calls_duration"]) == (
        2,
        1,
        300,
    )
    assert stats["stat"]["success_calls_percent"] == 50
    assert stats["forecast"] == {"forecast": 70, "recommend": 0, "display_recommend": 0}  # 7.00, and 3.00 a month


async def test_parts_are_answered_when_they_are_asked_for(narayana):
    assert (await narayana.ask("getStats", login="anna")).keys() == {"forecast", "financials", "stat"}
    for part, name in (("financials", "financials"), ("statistic", "stat")):
        stats = await narayana.ask("getStats", login="anna", **{part: "true"})
        assert stats.keys() == {"forecast", name}


async def test_the_time_is_what_is_said_and_nobody_else_s_calls_are_in_it(narayana):
    before = await narayana.ask("getStats", login="anna", date1=on(-3), date2=f"{on(-1)} 00:00:00")
    assert (before["stat"]["total_calls"], before["financials"]["total_cost"]) == (0, 0)
    others = await narayana.ask("getStats", login="otto")
    assert (others["stat"]["total_calls"], others["forecast"]["forecast"]) == (0, None)

    assert await narayana.code("getStats", login="anna", date1="yesterday") == "E_INVALID_ARGUMENT"
    assert await narayana.code("getStats", login="anna", date2="9999-12-31") == "E_INVALID_ARGUMENT"
    assert await narayana.code("getStats", login="anna", date1=on(1), date2=on(-1)) == "E_DATA_ABORT"
    assert await narayana.code("getStats", login="firm", username="otto") == "E_DOES_NOT_BELONG_TO_YOU"
