"""What this surface writes and reads: schedules, amounts, lengths, numbers, and the words of errors."""

from __future__ import annotations

import json
from datetime import UTC, datetime, time, timedelta, timezone
from decimal import Decimal
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette

from rating_engine.api.teleum import errors
from rating_engine.api.teleum.errors import Failure, failure_of
from rating_engine.api.teleum.forms import length, money, month, number_form, series_form
from rating_engine.api.teleum.schedules import WHOLE_WEEK, read_schedule, schedule_text, schedule_words
from rating_engine.api.teleum.surface import Teleum
from rating_engine.api.teleum.words import RUSSIAN
from rating_engine.domain.call_rules import RuleTime
from rating_engine.domain.errors import (
    AlreadyExists,
    InvalidRequest,
    LeadsBack,
    NotAllowed,
    NotFound,
    NotYours,
    OrderFailed,
    Overloaded,
    Refused,
    Unavailable,
)
from rating_engine.domain.sip_account import ExtensionInCall, NoSecretKey, NoSuchExchange
from rating_engine.domain.transfer import InsufficientMoney

minute = st.builds(time, st.integers(0, 23), st.integers(0, 59))
times = st.lists(st.builds(RuleTime, st.integers(1, 7), st.integers(1, 7), minute, minute), max_size=5, unique=True)


@given(times)
def test_a_schedule_is_read_as_it_is_written(each: list[RuleTime]) -> None:
    wanted = () if tuple(each) == WHOLE_WEEK else tuple(each)
    assert read_schedule(schedule_text(each)) == wanted


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_what_is_no_schedule_is_refused_by_its_name(value: Any) -> None:
    if value == []:
        return
    with pytest.raises(Failure, match="WRONG PARAMETER: dowjs2"):
        read_schedule(json.dumps([value]))


def test_a_span_includes_its_last_minute_as_printed() -> None:
    office = (RuleTime(1, 5, time(9), time(18)), RuleTime(6, 6, time(22), time(2)))
    assert schedule_words(office, RUSSIAN) == "Понедельник-Пятница 09:00-17:59; Суббота 22:00-01:59"
    assert schedule_words((), RUSSIAN) == "Понедельник-Воскресенье 00:00-23:59"


@given(st.decimals(-1_000_000, 1_000_000, places=6))
def test_a_balance_is_cut_and_never_more_than_there_is(amount: Decimal) -> None:
    shown = Decimal(money(amount))
    assert abs(shown) <= abs(amount) < abs(shown) + Decimal("0.01")
    assert money(amount) != "-0.00"


@pytest.mark.parametrize(("seconds", "shown"), [(0, "00:00"), (105, "01:45"), (3_599, "59:59"), (36_061, "10:01:01")])
def test_lengths_have_hours_where_they_need_them(seconds: int, shown: str) -> None:
    assert length(seconds) == shown


def test_numbers_are_written_as_printed() -> None:
    assert number_form("78123232323") == "+7 (812) 323-2323"
    assert number_form("4930123456") == "+4930123456"
    assert series_form("7812323") == "+7 (812) 323-хххх"


def test_a_month_is_that_of_the_users_clock() -> None:
    since, until = month(2024, 12, timezone(timedelta(hours=3)))
    assert since.astimezone(UTC) == datetime(2024, 11, 30, 21, tzinfo=UTC)
    assert until.astimezone(UTC) == datetime(2024, 12, 31, 21, tzinfo=UTC)
    since, until = month(2026, 3, ZoneInfo("Europe/Vilnius"))  # of a day less an hour
    assert (since.astimezone(UTC).hour, until.astimezone(UTC).hour) == (22, 21)


@pytest.mark.parametrize(
    ("error", "words", "status"),
    [
        (InvalidRequest("destination", "x"), "WRONG PARAMETER: rnum", 200),
        (InvalidRequest("timeout", "x"), "WRONG PARAMETER: timeout", 200),
        (InvalidRequest("owner", "of nobody's request"), errors.REFUSED, 200),
        (NotFound("x"), errors.NOT_FOUND, 200),
        (NotYours("x"), errors.NOT_FOUND, 200),
        (NotAllowed("x"), errors.ACCESS_DENIED, 200),
        (InsufficientMoney("x"), errors.NOT_ENOUGH_MONEY, 200),
        (OrderFailed("x"), errors.NUMBER_NOT_FREE, 200),
        (ExtensionInCall("x"), errors.LINE_IN_CALL, 200),
        (NoSecretKey("x"), errors.NO_LINES_HERE, 200),
        (NoSuchExchange("x"), errors.NO_LINES_HERE, 200),
        (Refused("x"), errors.REFUSED, 200),
        (AlreadyExists("x"), errors.REFUSED, 200),
        (LeadsBack("x"), errors.REFUSED, 200),
        (Unavailable("x"), errors.TRY_AGAIN, 503),
        (Overloaded("x"), errors.TRY_AGAIN, 503),
    ],
)
def test_what_a_use_case_refuses_has_a_word(error: Any, words: str, status: int) -> None:
    assert failure_of(error) == Failure(words, status)


class Broken:
    """An engine whose every answer is a fault of ours."""

    def __init__(self, error: Exception) -> None:
        self._error = error
        self.bans = SimpleNamespace(refuses=lambda address: False)

    async def limit_address(self, door: object) -> None:
        """Nobody is limited."""

    async def by_session(self, token: str, door: object) -> None:
        """The fault."""
        raise self._error


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [(RuntimeError("secret of ours"), 500, errors.INTERNAL), (Unavailable("db at 10.0.0.1"), 503, errors.TRY_AGAIN)],
)
async def test_a_fault_of_ours_tells_nothing_of_itself(error: Exception, status: int, words: str) -> None:
    services: Any = SimpleNamespace(access=Broken(error))
    app = Starlette(routes=Teleum(services).routes())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://engine") as http:
        answer = await http.get("/api/v3/?cmd=balance&token=x&vivaid=1")
    assert (answer.status_code, answer.json()) == (status, {"err": 1, "errmsg": words})
