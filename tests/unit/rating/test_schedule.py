import subprocess
import sys
from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from rating_engine.rating.schedule import (
    ALWAYS,
    MAX_LOOKAHEAD_SECONDS,
    InvalidSchedule,
    Schedule,
    Window,
    parse_clock,
    parse_days,
    period_start,
    zone_named,
)

BERLIN = "Europe/Berlin"
CHRISTMAS = date(2026, 12, 25)  # a Friday


def window(band: str, days: str, starts: str, ends: str) -> Window:
    return Window(band, parse_days(days), parse_clock(starts), parse_clock(ends))


def local(text: str, zone: str = BERLIN, *, fold: int = 0) -> datetime:
    """The instant at which the clocks of a zone show this; `fold` 1: the second time."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)


PEAK = Schedule((window("peak", "mon-fri", "08:00", "20:00"),), zone=BERLIN)


@pytest.mark.parametrize(
    ("at", "band"),
    [
        ("2026-06-01 07:59:59.999999", ""),
        ("2026-06-01 08:00:00", "peak"),
        ("2026-06-01 19:59:59.999999", "peak"),
        ("2026-06-01 20:00:00", ""),  # rate-o-mat and A2Billing: still peak, their ends are inclusive
        ("2026-06-05 12:00:00", "peak"),  # Friday
        ("2026-06-06 12:00:00", ""),  # Saturday
    ],
)
def test_a_window_holds_its_start_and_not_its_end(at, band):
    assert PEAK.band_at(local(at)) == band


def test_two_windows_that_meet_leave_no_instant_to_both_or_to_none():
    day_and_night = Schedule((window("day", "mon-sun", "08:00", "20:00"), window("night", "mon-sun", "20:00", "08:00")))
    evening = datetime(2026, 6, 1, 20, tzinfo=UTC)

    assert day_and_night.band_at(evening - timedelta(microseconds=1)) == "day"
    assert day_and_night.band_at(evening) == "night"
    assert day_and_night.changes(evening - timedelta(seconds=1), 3600) == ((1, "night"),)


def test_of_windows_that_overlap_the_first_counts():
    lunch, day = window("lunch", "mon-sun", "12:00", "13:00"), window("day", "mon-sun", "08:00", "20:00")
    noon = datetime(2026, 6, 1, 12, tzinfo=UTC)

    assert Schedule((lunch, day)).band_at(noon) == "lunch"
    assert Schedule((day, lunch)).band_at(noon) == "day"
    assert Schedule((lunch, day)).changes(noon - timedelta(hours=1), 86_400) == (
        (3600, "lunch"),
        (7200, "day"),
        (9 * 3600, ""),
        (21 * 3600, "day"),
    )


def test_without_windows_every_instant_is_in_no_band():
    assert ALWAYS.band_at(local("2026-06-01 12:00")) == ""
    assert ALWAYS.changes(local("2026-06-01 12:00"), MAX_LOOKAHEAD_SECONDS) == ()


@pytest.mark.parametrize(("starts", "ends"), [("00:00", "24:00"), ("00:00", "00:00")])
def test_a_whole_day_is_every_instant_of_it(starts, ends):
    monday = Schedule((window("monday", "mon", starts, ends),))

    assert monday.changes(datetime(2026, 5, 31, 23, tzinfo=UTC), 7 * 86_400) == ((3600, "monday"), (25 * 3600, ""))


@pytest.mark.parametrize(
    ("at", "band"),
    [
        ("2026-06-07 22:59:59", ""),
        ("2026-06-07 23:00:00", "sunday"),
        ("2026-06-08 00:00:00", "sunday"),  # Monday: A2Billing needs a second row from here on
        ("2026-06-08 00:59:59", "sunday"),
        ("2026-06-08 01:00:00", ""),
        ("2026-06-07 00:30:00", ""),  # Sunday's own first hour belongs to Saturday's window, and there is none
    ],
)
def test_a_window_over_midnight_goes_on_from_sunday_into_monday(at, band):
    sunday_night = Schedule((window("sunday", "sun", "23:00", "01:00"),), zone=BERLIN)

    assert sunday_night.band_at(local(at)) == band


def test_a_window_that_ends_at_midnight_ends_there():
    evening = Schedule((window("evening", "mon-sun", "20:00", "24:00"),))

    assert evening.changes(datetime(2026, 6, 7, 21, tzinfo=UTC), 86_400) == ((3 * 3600, ""), (23 * 3600, "evening"))


def test_a_window_that_ends_when_it_starts_lasts_a_day():
    from_friday = Schedule((window("weekend", "fri", "18:00", "18:00"),))

    assert from_friday.changes(datetime(2026, 6, 5, 17, tzinfo=UTC), 7 * 86_400) == ((3600, "weekend"), (25 * 3600, ""))


def test_a_window_that_starts_at_the_end_of_its_day_is_the_next_days():
    after_midnight = Schedule((window("owl", "mon", "24:00", "06:00"),))

    assert after_midnight.band_at(datetime(2026, 6, 2, 0, tzinfo=UTC)) == "owl"  # Tuesday
    assert after_midnight.band_at(datetime(2026, 6, 1, 0, tzinfo=UTC)) == ""


HOLIDAYS = Schedule(
    (
        window("holiday", "holiday", "00:00", "24:00"),
        window("peak", "mon-fri", "08:00", "20:00"),
        window("night", "mon-sun", "20:00", "08:00"),
    ),
    frozenset({CHRISTMAS}),
    BERLIN,
)


@pytest.mark.parametrize(
    ("at", "band"),
    [
        ("2026-12-18 12:00", "peak"),  # the Friday before
        ("2026-12-25 12:00", "holiday"),
        ("2026-12-25 00:00", "holiday"),
        ("2026-12-24 23:59:59", "night"),
        ("2026-12-26 00:00", ""),  # the night of the 25th is a holiday's: no window of weekdays begins then
    ],
)
def test_on_a_holiday_only_windows_with_holidays_count(at, band):
    assert HOLIDAYS.band_at(local(at)) == band


def test_a_weekdays_window_does_not_count_on_a_holiday_even_where_no_other_does():
    peak = Schedule(PEAK.windows, frozenset({CHRISTMAS}), BERLIN)

    assert peak.band_at(local("2026-12-25 12:00")) == ""


def test_the_night_before_a_holiday_goes_on_into_it():
    night = Schedule((window("night", "mon-fri", "20:00", "08:00"),), frozenset({CHRISTMAS}), BERLIN)

    assert night.changes(local("2026-12-24 19:00"), 3 * 86_400) == ((3600, "night"), (13 * 3600, ""))


def test_the_holiday_is_the_local_date():
    holiday = Schedule((window("holiday", "holiday", "00:00", "24:00"),), frozenset({CHRISTMAS}), "Asia/Tokyo")

    assert holiday.band_at(datetime(2026, 12, 24, 15, tzinfo=UTC)) == "holiday"
    assert holiday.band_at(datetime(2026, 12, 25, 15, tzinfo=UTC)) == ""


def test_the_clock_is_that_of_the_tariffs_zone_whatever_zone_the_instant_is_written_in():
    at = datetime(2026, 6, 1, 6, tzinfo=UTC)  # 08:00 in Berlin, 02:00 in New York

    assert PEAK.band_at(at) == "peak"
    assert PEAK.band_at(at.astimezone(timezone(timedelta(hours=-10)))) == "peak"  # Sunday there
    assert PEAK.band_at(at.astimezone(ZoneInfo(BERLIN))) == "peak"
    assert Schedule(PEAK.windows, zone="America/New_York").band_at(at) == ""


def test_a_call_that_starts_in_one_band_and_ends_in_another_has_both():
    start = local("2026-06-01 19:58:30")

    assert PEAK.band_at(start) == "peak"  # the band of a tariff that prices by the start
    assert PEAK.changes(start, 3600) == ((90, ""),)  # and where one that splits goes on (rate-o-mat's R3)


def test_changes_are_after_the_start_and_before_the_end():
    start = local("2026-06-01 08:00:00")

    assert PEAK.changes(start, 12 * 3600) == ()  # not at second 0, when it begins; nor at the second after the last
    assert PEAK.changes(start, 12 * 3600 + 1) == ((12 * 3600, ""),)
    assert PEAK.changes(start, 0) == ()
    assert PEAK.changes(start, -5) == ()


@pytest.mark.parametrize(("fraction", "second"), [(0, 2), (1, 2), (500_000, 2), (999_999, 2)])
def test_with_a_fraction_the_change_is_the_first_whole_second_in_the_new_band(fraction, second):
    start = local("2026-06-01 19:59:58").replace(microsecond=fraction)

    assert PEAK.changes(start, 60) == ((second, ""),)
    assert PEAK.band_at(start + timedelta(seconds=second)) == ""
    assert PEAK.band_at(start + timedelta(seconds=second - 1)) == "peak"


def test_a_week_of_changes_goes_over_sunday():
    assert PEAK.changes(local("2026-06-05 19:00"), 4 * 86_400) == (
        (3600, ""),  # Friday evening
        (61 * 3600, "peak"),  # Monday morning
        (73 * 3600, ""),
        (85 * 3600, "peak"),
    )


def test_no_change_is_looked_for_beyond_a_month():
    month = Schedule((window("christmas", "holiday", "00:00", "24:00"),), frozenset({CHRISTMAS}))

    assert month.changes(datetime(2026, 11, 24, tzinfo=UTC), 10**9) == ()  # it begins 31 days later
    assert month.changes(datetime(2026, 11, 24, 0, 0, 1, tzinfo=UTC), 10**9) == (
        (MAX_LOOKAHEAD_SECONDS - 1, "christmas"),
    )


def test_when_the_clock_goes_forward_the_bands_follow_it():
    saturday = local("2026-03-28 20:00")  # a night of 11 hours: 03:00 follows 02:00
    schedule = Schedule((window("day", "mon-sun", "08:00", "20:00"),), zone=BERLIN)

    assert schedule.changes(saturday, 86_400) == ((11 * 3600, "day"), (23 * 3600, ""))


def test_a_window_that_starts_in_the_skipped_hour_starts_at_its_end():
    schedule = Schedule((window("late", "mon-sun", "02:30", "03:30"),), zone=BERLIN)
    before = local("2026-03-29 01:00")

    assert schedule.changes(before, 4 * 3600) == ((3600, "late"), (5400, ""))
    assert schedule.changes(before - timedelta(days=1), 4 * 3600) == ((5400, "late"), (9000, ""))


def test_a_window_inside_the_skipped_hour_does_not_happen_that_day():
    schedule = Schedule((window("skipped", "mon-sun", "02:00", "03:00"),), zone=BERLIN)

    assert schedule.changes(local("2026-03-29 00:00"), 86_400) == ()


def test_a_local_time_that_was_skipped_is_taken_for_what_the_clock_showed_instead():
    schedule = Schedule((window("half past three", "sun", "03:30", "03:31"),), zone=BERLIN)

    assert schedule.band_at(local("2026-03-29 02:30")) == "half past three"


def test_the_repeated_hour_is_in_the_same_bands_twice():
    schedule = Schedule((window("two", "sun", "02:00", "02:30"),), zone=BERLIN)

    assert schedule.band_at(local("2026-10-25 02:15")) == "two"
    assert schedule.band_at(local("2026-10-25 02:15", fold=1)) == "two"
    assert schedule.changes(local("2026-10-25 01:00"), 6 * 3600) == (
        (3600, "two"),
        (3600 + 1800, ""),
        (7200, "two"),
        (7200 + 1800, ""),
    )


def test_a_window_that_ends_with_the_repeated_hour_lasts_through_both():
    schedule = Schedule((window("night", "sat", "20:00", "03:00"),), zone=BERLIN)

    assert schedule.changes(local("2026-10-24 20:00"), 86_400) == ((8 * 3600, ""),)


def test_an_offset_that_goes_and_comes_back_within_a_month_is_seen():
    # Egypt had no summer time in the Ramadan of 2010, from 11 August to 9 September.
    schedule = Schedule((window("day", "mon-sun", "08:00", "20:00"),), zone="Africa/Cairo")
    noon = datetime(2010, 8, 10, 12, tzinfo=UTC)

    mornings = [noon + timedelta(seconds=k) for k, band in schedule.changes(noon, 31 * 86_400) if band == "day"]

    assert [morning.hour for morning in mornings] == [6] * 30 + [5]
    assert {schedule.band_at(morning) for morning in mornings} == {"day"}


def test_a_day_that_the_calendar_skipped_is_none_of_its_days():
    schedule = Schedule((window("friday", "fri", "00:00", "24:00"),), zone="Pacific/Apia")
    thursday = datetime(2011, 12, 30, 9, 59, 59, tzinfo=UTC)  # the last second of 29 December; then came Saturday 31

    assert schedule.changes(thursday, 3 * 86_400) == ()


def test_an_instant_without_a_time_zone_is_refused():
    for ask in (
        lambda at: PEAK.band_at(at),
        lambda at: PEAK.changes(at, 60),
        lambda at: period_start(at, BERLIN, "day"),
    ):
        with pytest.raises(ValueError, match="needs a time zone"):
            ask(datetime(2026, 6, 1))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("at", "zone", "period", "begins"),
    [
        ("2026-06-03T12:00Z", "UTC", "day", "2026-06-03"),
        ("2026-06-03T12:00Z", "UTC", "week", "2026-06-01"),
        ("2026-06-03T12:00Z", "UTC", "month", "2026-06-01"),
        ("2026-06-01T00:00Z", "UTC", "week", "2026-06-01"),  # a Monday begins its own week
        ("2026-05-31T23:59:59Z", "UTC", "week", "2026-05-25"),
        ("2026-05-31T22:00Z", BERLIN, "week", "2026-06-01"),  # Monday in Berlin, Sunday in UTC
        ("2026-05-31T22:00Z", BERLIN, "month", "2026-06-01"),
        ("2026-06-01T03:00Z", "America/New_York", "month", "2026-05-01"),
        ("2027-01-01T00:00Z", "UTC", "week", "2026-12-28"),
    ],
)
def test_a_period_begins_on_a_local_day(at, zone, period, begins):
    assert period_start(datetime.fromisoformat(at), zone, period) == date.fromisoformat(begins)


def test_another_period_is_refused_by_its_name():
    with pytest.raises(InvalidSchedule, match="'year' is no period: day, week or month"):
        period_start(datetime(2026, 6, 1, tzinfo=UTC), "UTC", "year")


@pytest.mark.parametrize(
    "name",
    ["", "Mars/Base", "Europe", "../UTC", "/etc/localtime", "UTC\0", "localtime", "right/UTC", "posix/UTC", "A" * 300],
    ids=lambda name: ascii(name)[:20],
)
def test_an_unknown_time_zone_is_refused_by_its_name(name):
    with pytest.raises(InvalidSchedule) as refused:
        zone_named(name)

    assert str(refused.value) == f"{name[:64]!r} is no time zone like UTC or Europe/Berlin"
    with pytest.raises(InvalidSchedule):
        Schedule(PEAK.windows, zone=name).band_at(datetime(2026, 6, 1, tzinfo=UTC))


def test_zones_are_known_on_a_machine_without_a_database_of_them():
    script = "from rating_engine.rating.schedule import zone_named; print(zone_named('Europe/Berlin'))"

    done = subprocess.run(
        [sys.executable, "-c", script], env={"PYTHONTZPATH": ""}, capture_output=True, text=True, check=False
    )

    assert (done.stdout, done.stderr) == ("Europe/Berlin\n", "")
