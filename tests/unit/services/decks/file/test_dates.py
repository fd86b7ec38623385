"""Dates and times as carriers write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rating_engine.domain.errors import InvalidRequest
from rating_engine.services.decks.file.dates import instant_of, zone_of
from rating_engine.services.decks.file.errors import RowRejected

BERLIN = zone_of("Europe/Berlin")
MONDAY = datetime(2026, 11, 29, 23, tzinfo=UTC)  # midnight of 30 November in Berlin


@pytest.mark.parametrize(
    "text",
    [
        *("2026-11-30", " 2026-11-30 ", "'2026-11-30", "2026/11/30", "2026.11.30", "20261130", "2026-11-30T00:00"),
        *("2026-11-30 00:00:00", "2026-11-30 00:00:00.000", "2026-11-30T00:00+01:00", "2026-11-29T23:00:00Z"),
        *("2026-11-29 15:00-0800", "30.11.2026", "30.11.2026 00:00", "11/30/2026", "30/11/2026", "30-11-2026"),
        *("11/30/2026 12:00:00 AM", "30-Nov-2026", "30 November 2026", "Nov 30, 2026", "30Nov2026", "30 nov 2026 0:00"),
    ],
)
def test_one_instant_is_understood_in_many_ways(text: str) -> None:
    assert instant_of(text, BERLIN, "from") == MONDAY


@pytest.mark.parametrize("text", ["", " ", "-", "n/a", "immediate", "Now", "UNLIMITED"])
def test_what_says_no_date_is_none(text: str) -> None:
    assert instant_of(text, BERLIN, "from") is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-30 08:30", datetime(2026, 11, 30, 7, 30, tzinfo=UTC)),
        ("2026-07-01", datetime(2026, 6, 30, 22, tzinfo=UTC)),
        ("11/30/2026 12:30 PM", datetime(2026, 11, 30, 11, 30, tzinfo=UTC)),
        ("05/05/2026", datetime(2026, 5, 4, 22, tzinfo=UTC)),
        ("1 Sept 2026", datetime(2026, 8, 31, 22, tzinfo=UTC)),
        ("2026-11-30T00:00:00.25Z", datetime(2026, 11, 30, microsecond=250_000, tzinfo=UTC)),
        ("9999-12-31", datetime(9999, 12, 30, 23, tzinfo=UTC)),
    ],
)
def test_times_are_of_the_time_zone_unless_they_have_an_offset(text: str, expected: datetime) -> None:
    assert instant_of(text, BERLIN, "from") == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("05/06/2026", "may be two days"),
        ("5-6-2026", "may be two days"),
        ("30.11.126", "is not a date such as"),
        ("463560", "is not a date such as"),
        ("soon", "is not a date such as"),
        ("30 Ju 2026", "is not a date such as"),
        ("30 Smarch 2026", "is not a day or time of the calendar"),
        ("2026-02-30", "is not a day or time of the calendar"),
        ("30/30/2026", "is not a day or time of the calendar"),
        ("2026-11-30 24:00", "is not a day or time of the calendar"),
        ("2026-11-30 13:00 PM", "is not a day or time of the calendar"),
        ("0026-11-30", "before the year 1900"),
        ("2026-11-30 00:00+99:00", "an offset of a day or more"),
        ("2026-10-25 02:30", "is not one instant, since clocks are changed then"),
        ("2027-03-28 02:30", "is not one instant, since clocks are changed then"),
    ],
)
def test_what_is_no_date_or_could_be_two_says_why(text: str, reason: str) -> None:
    with pytest.raises(RowRejected, match=f"^from: .*{reason}"):
        instant_of(text, BERLIN, "from")


def test_an_hour_that_comes_twice_is_told_by_its_offset() -> None:
    first, second = (instant_of(f"2026-10-25 02:30{offset}", BERLIN, "from") for offset in ("+02:00", "+01:00"))
    assert first is not None
    assert second == first + timedelta(hours=1)


def test_a_day_without_midnight_begins_at_its_first_instant() -> None:
    """In Beirut clocks go from 00:00 to 01:00 on the day that summer begins."""
    assert instant_of("2026-03-29", zone_of("Asia/Beirut"), "from") == datetime(2026, 3, 28, 22, tzinfo=UTC)


def test_the_end_of_the_calendar_is_the_last_instant_there_is() -> None:
    last = datetime.max.replace(tzinfo=UTC)
    assert instant_of("9999-12-31 23:59:59", zone_of("America/New_York"), "until") == last


@pytest.mark.parametrize("name", ["Europe/Nowhere", "", "../../etc/passwd", "/etc/localtime"])
def test_a_time_zone_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest, match="time_zone"):
        zone_of(name)


@given(st.datetimes(datetime(1900, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC)))  # noqa: DTZ001
def test_what_is_written_in_iso_is_read_as_the_same_instant(instant: datetime) -> None:
    assert instant_of(instant.isoformat(), BERLIN, "from") == instant
