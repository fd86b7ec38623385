from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from rating_engine.rating.schedule import (
    HOLIDAY,
    Schedule,
    Window,
    parse_clock,
    parse_days,
    period_start,
    render_clock,
    render_days,
    zone_named,
)

LAW = settings(deadline=None, max_examples=150)
SLOW_LAW = settings(deadline=None, max_examples=60)
DAYS = st.frozensets(st.integers(1, HOLIDAY), min_size=1)
# Few minutes, so that windows meet and overlap; those around the hours at which clocks are put forward and back.
MINUTES = st.one_of(st.sampled_from([0, 60, 90, 120, 150, 180, 480, 1200, 1380, 1440]), st.integers(0, 1440))
WINDOWS = st.lists(st.builds(Window, st.sampled_from("abc"), DAYS, MINUTES, MINUTES), min_size=1, max_size=5).map(tuple)
# (zone, an instant at which its clock was put forward or back)
CLOCK_CHANGES = [
    ("UTC", datetime(2026, 1, 1, tzinfo=UTC)),
    ("Europe/Berlin", datetime(2026, 3, 29, 1, tzinfo=UTC)),
    ("Europe/Berlin", datetime(2026, 10, 25, 1, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 3, 8, 7, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 11, 1, 6, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 4, 4, 15, tzinfo=UTC)),  # by half an hour
    ("Asia/Beirut", datetime(2026, 3, 28, 22, tzinfo=UTC)),  # at midnight, which is skipped
    ("America/Havana", datetime(2026, 11, 1, 5, tzinfo=UTC)),  # from 01:00 back to midnight
    ("America/Asuncion", datetime(2024, 3, 24, 3, tzinfo=UTC)),  # from midnight back into the day before
    ("Pacific/Apia", datetime(2011, 12, 30, 10, tzinfo=UTC)),  # a whole day
]


@st.composite
def scheduled(draw):
    """A schedule with an instant near which its zone's clock was changed, most often."""
    zone, changed = draw(st.sampled_from(CLOCK_CHANGES))
    near = st.timedeltas(timedelta(hours=-4), timedelta(hours=4))
    at = changed + draw(st.one_of(near, near, st.timedeltas(timedelta(days=-40), timedelta(days=40))))
    at = at.replace(microsecond=draw(st.sampled_from([0, at.microsecond])))
    holidays = draw(st.frozensets(st.integers(-2, 2).map(lambda n: at.date() + timedelta(days=n)), max_size=2))
    return Schedule(draw(WINDOWS), holidays, zone), at


def band_by_the_calendar(schedule: Schedule, at: datetime) -> str:
    """The band as a person finds it: every window written into a calendar as from when to when it is."""
    wall = at.astimezone(zone_named(schedule.zone)).replace(tzinfo=None)
    for window in schedule.windows:
        for day in (wall.date() - timedelta(days=1), wall.date()):
            kind = HOLIDAY if day in schedule.holidays else day.isoweekday()
            length = window.ends - window.starts
            starts = datetime.combine(day, time()) + timedelta(minutes=window.starts)
            ends = starts + timedelta(minutes=length if length > 0 else length + 1440)
            if kind in window.days and starts <= wall < ends:
                return window.band
    return ""


@LAW
@given(scheduled())
def test_the_band_is_what_a_calendar_shows(case):
    schedule, at = case

    assert schedule.band_at(at) == band_by_the_calendar(schedule, at)


@SLOW_LAW
@given(scheduled(), st.one_of(st.sampled_from([0, 3 * 3600, 5 * 3600]), st.integers(0, 3 * 3600)))
def test_changes_are_what_looking_at_every_second_finds(case, seconds):
    schedule, at = case
    bands = [schedule.band_at(at + timedelta(seconds=k)) for k in range(max(seconds, 1))]
    expected = tuple((k, bands[k]) for k in range(1, len(bands)) if bands[k] != bands[k - 1])

    assert schedule.changes(at, seconds) == expected


@LAW
@given(scheduled(), st.integers(0, 31 * 86_400), st.data())
def test_between_changes_the_band_stays_the_same(case, seconds, data):
    schedule, at = case
    stretches = [(0, schedule.band_at(at)), *schedule.changes(at, seconds)]
    ends = [second for second, _ in stretches[1:]] + [max(seconds, 1)]
    chosen = data.draw(st.integers(0, len(stretches) - 1))
    (first, band), end = stretches[chosen], ends[chosen]

    for second in (first, data.draw(st.integers(first, end - 1)), end - 1):
        assert schedule.band_at(at + timedelta(seconds=second)) == band
    assert all(0 < second < seconds for second, _ in stretches[1:])
    assert all(before[1] != after[1] for before, after in pairwise(stretches))


@LAW
@given(scheduled(), st.integers(1, 31 * 86_400), st.integers(0, 31 * 86_400))
def test_changes_of_a_shorter_look_are_the_first_of_a_longer_one(case, seconds, longer):
    schedule, at = case
    shorter, longer = sorted((seconds, longer))

    assert schedule.changes(at, shorter) == tuple(each for each in schedule.changes(at, longer) if each[0] < shorter)


@LAW
@given(DAYS, st.integers(0, 1440))
def test_days_and_times_are_read_as_they_were_written(days, minute):
    assert parse_days(render_days(days)) == days
    assert parse_clock(render_clock(minute)) == minute


@LAW
@given(
    st.timedeltas(timedelta(0), timedelta(days=5000)).map(lambda since: datetime(2020, 1, 1, tzinfo=UTC) + since),
    st.sampled_from([zone for zone, _ in CLOCK_CHANGES]),
    st.sampled_from(["day", "week", "month"]),
)
def test_a_period_holds_its_instant_and_begins_when_it_should(at, zone, period):
    begins = period_start(at, zone, period)
    day = at.astimezone(zone_named(zone)).date()
    ends: date = {
        "day": begins + timedelta(days=1),
        "week": begins + timedelta(days=7),
        "month": (begins + timedelta(days=31)).replace(day=1),
    }[period]

    assert begins <= day < ends
    assert period != "week" or begins.isoweekday() == 1
    assert period != "month" or begins.day == 1
