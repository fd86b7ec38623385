import pytest

from rating_engine.rating.schedule import InvalidSchedule, parse_clock, parse_days, render_clock, render_days


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("mon", {1}),
        ("mon-fri", {1, 2, 3, 4, 5}),
        ("mon-fri,holiday", {1, 2, 3, 4, 5, 8}),
        ("sat,sun", {6, 7}),
        ("sat-mon", {6, 7, 1}),
        ("sun-sat", {1, 2, 3, 4, 5, 6, 7}),
        ("wed-wed", {3}),
        ("holiday", {8}),
        (" Mon - Wed , HOLIDAY ", {1, 2, 3, 8}),
        ("mon,mon-tue", {1, 2}),
    ],
)
def test_days_are_read_as_people_write_them(text, days):
    assert parse_days(text) == days


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "'' is no day: mon, tue, wed, thu, fri, sat, sun or holiday"),
        ("mon,", "'' is no day: mon, tue, wed, thu, fri, sat, sun or holiday"),
        ("mon-", "'' is no day: mon, tue, wed, thu, fri, sat, sun or holiday"),
        ("-fri", "'' is no day: mon, tue, wed, thu, fri, sat, sun or holiday"),
        ("mon;tue", "'mon;tue' is no day: mon, tue, wed, thu, fri, sat, sun or holiday"),
        ("mo-fr", "'mo' is no day: mon, tue, wed, thu, fri, sat, sun or holiday"),
        ("mon-wed-fri", "'wed-fri' is no day: mon, tue, wed, thu, fri, sat, sun or holiday"),
        ("sun-holiday", "'sun-holiday' has holiday in a range; it stands alone"),
        ("holiday-mon", "'holiday-mon' has holiday in a range; it stands alone"),
        ("x" * 99, f"'{'x' * 32}' is no day: mon, tue, wed, thu, fri, sat, sun or holiday"),
    ],
)
def test_what_are_no_days_is_refused_naming_the_part(text, problem):
    with pytest.raises(InvalidSchedule) as refused:
        parse_days(text)

    assert str(refused.value) == problem


@pytest.mark.parametrize(
    ("days", "text"),
    [
        ({1, 2, 3, 4, 5}, "mon-fri"),
        ({1, 2, 3, 4, 5, 6, 7, 8}, "mon-sun,holiday"),
        ({6, 7}, "sat,sun"),
        ({1, 3, 5, 6, 7}, "mon,wed,fri-sun"),
        ({7, 8}, "sun,holiday"),
        (set(), ""),
    ],
)
def test_days_are_written_in_the_order_of_the_week(days, text):
    assert render_days(frozenset(days)) == text


@pytest.mark.parametrize(
    ("text", "minute"),
    [("00:00", 0), ("08:00", 480), ("8:05", 485), ("23:59", 1439), ("24:00", 1440), (" 12:30 ", 750)],
)
def test_a_time_is_the_minute_of_its_day(text, minute):
    assert parse_clock(text) == minute


@pytest.mark.parametrize("text", ["", "8", "08.00", "0800", "8:0", "08:00:00", "8am", "-1:00", "٠٨:٠٠", "123:00"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(InvalidSchedule, match="is no time like 08:00"):
        parse_clock(text)


@pytest.mark.parametrize("text", ["24:01", "25:00", "99:59", "08:60"])
def test_a_time_outside_of_the_day_is_refused(text):
    with pytest.raises(InvalidSchedule, match=f"'{text}' is no time from 00:00 to 24:00"):
        parse_clock(text)


@pytest.mark.parametrize(("minute", "text"), [(0, "00:00"), (485, "08:05"), (1440, "24:00")])
def test_a_time_is_written_with_two_digits_each(minute, text):
    assert render_clock(minute) == text
