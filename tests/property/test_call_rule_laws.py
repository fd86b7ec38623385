"""Laws of domain/call_rules: it answers always, who asks again comes to an end, loops are found."""

from datetime import UTC, datetime, time, timedelta

from hypothesis import given
from hypothesis import strategies as st

from rating_engine.domain.call_rules import (
    MAX_NUMBERS,
    Action,
    CallRule,
    Condition,
    Finished,
    InboundCall,
    Loop,
    Policy,
    RuleTime,
    Source,
    Step,
    has_loop,
    matches,
    next_step,
)

NUMBERS = ("491", "492", "493", "494")
LINES = ("line:491", "line:700")
STATUSES = ("", "ANSWER", "BUSY", "NOANSWER", "CHANUNAVAIL", "CONGESTION", "PLAYED", "INPUT", "CANCEL", "odd")

times = st.builds(
    RuleTime,
    first_day=st.integers(1, 7),
    last_day=st.integers(1, 7),
    starts=st.times(timezones=st.none()),
    ends=st.times(timezones=st.none()),
)
rule = st.builds(
    CallRule,
    source=st.sampled_from(Source),
    pattern=st.sampled_from(("%", "", "anonymous", "49%", "%1", "4%9%1", "5")),
    condition=st.sampled_from(Condition),
    input=st.sampled_from(("", "1", "%2")),
    policy=st.sampled_from(Policy),
    action=st.sampled_from(Action),
    destination=st.sampled_from((*NUMBERS, "", "700")),
    time_zone=st.sampled_from(("", "Europe/Berlin")),
    times=st.lists(times, max_size=2).map(tuple),
)
books = st.dictionaries(st.sampled_from((*NUMBERS, *LINES)), st.lists(rule, max_size=5))
instants = st.timedeltas(timedelta(0), timedelta(days=14)).map(lambda passed: datetime(2026, 1, 1, tzinfo=UTC) + passed)
callers = st.sampled_from(("", "491", "4991", "5"))


@given(books, callers, st.lists(st.sampled_from(STATUSES), min_size=200, max_size=200), instants)
def test_whoever_asks_again_behind_each_step_comes_to_an_end(book, caller, endings, now):
    call = InboundCall("491", caller=caller)
    for ending in endings:
        found = next_step(book, call, now)
        if not isinstance(found, Step):
            assert isinstance(found, Finished | Loop)
            return
        if found.place == 0:
            assert found.rule == CallRule(destination=found.number.removeprefix("line:"))
        else:
            assert book[found.number][found.place - 1] == found.rule
        assert found.number != call.number or found.place >= call.place
        assert len(set(found.came_by)) == len(found.came_by) <= MAX_NUMBERS
        call = found.behind(call, ending, "1" if ending == "INPUT" else "")
    raise AssertionError("200 steps and no end")


@given(books, callers, instants)
def test_no_call_meets_a_loop_where_no_rules_lead_back(book, caller, now):
    if not has_loop(book, "491"):
        assert not isinstance(next_step(book, InboundCall("491", caller=caller), now), Loop)


@given(st.integers(1, 30))
def test_a_chain_of_numbers_is_followed_to_its_end_or_found_too_long(length):
    book = {str(n): [CallRule(action=Action.NUMBER, destination=str(n + 1))] for n in range(length)}
    book[str(length)] = [CallRule(action=Action.HANGUP)]
    found = next_step(book, InboundCall("0"), datetime(2026, 1, 1, tzinfo=UTC))
    assert isinstance(found, Step if length < MAX_NUMBERS else Loop)
    assert has_loop(book, "0") == (length >= MAX_NUMBERS)


@given(st.lists(st.sampled_from("12%"), max_size=6).map("".join), st.text("12", max_size=8))
def test_a_pattern_matches_as_sql_like_would(pattern, text):
    import re

    assert matches(pattern, text) == bool(re.fullmatch(pattern.replace("%", ".*"), text))


@given(times, instants)
def test_a_time_and_what_is_outside_of_it_share_the_week(window, now):
    """A window of one day that ends as it starts is that whole day, from its start on."""
    day = RuleTime(window.first_day, window.first_day, window.starts, window.starts)
    held = [shift for shift in range(7) if day.holds(now + timedelta(days=shift))]
    assert len(held) == 1


def test_rules_count_by_how_the_step_before_ended():
    """A table: condition, ending, whether the rule counts."""
    counts = {
        (Condition.ALWAYS, ""): True,
        (Condition.ALWAYS, "BUSY"): True,
        (Condition.ALWAYS, "ANSWER"): False,
        (Condition.ALWAYS, "PLAYED"): True,
        (Condition.SUCCESS, "ANSWER"): True,
        (Condition.SUCCESS, "PLAYED"): True,
        (Condition.SUCCESS, ""): False,
        (Condition.UNSUCCESS, "CANCEL"): True,
        (Condition.UNSUCCESS, "BUSY"): True,
        (Condition.UNSUCCESS, "ANSWER"): False,
        (Condition.UNSUCCESS, ""): False,
        (Condition.BUSY, "busy"): True,
        (Condition.BUSY, "NOANSWER"): False,
        (Condition.NOANSWER, "NOANSWER"): True,
        (Condition.UNAVAIL, "CHANUNAVAIL"): True,
        (Condition.UNAVAIL, "BUSY"): False,
        (Condition.INPUT, "INPUT"): True,
        (Condition.INPUT, "ANSWER"): False,
    }
    for (condition, status), expected in counts.items():
        call = InboundCall("491", status=status, input="7" if status == "INPUT" else "")
        found = next_step({"491": [CallRule(condition=condition)]}, call, datetime(2026, 1, 1, tzinfo=UTC))
        assert isinstance(found, Step) == expected, (condition, status)


def test_a_line_rings_unless_its_rules_say_otherwise_before_and_goes_on_by_them_then():
    now = datetime(2026, 1, 1, tzinfo=UTC)
    to_line = {"491": [CallRule(action=Action.LINE, destination="700")]}
    busy = CallRule(condition=Condition.BUSY, action=Action.VOICEMAIL)
    rings = next_step({**to_line, "line:700": [busy]}, InboundCall("491", status="NOANSWER"), now)
    assert isinstance(rings, Step)
    assert (rings.number, rings.place, rings.rule.action, rings.rule.destination) == ("line:700", 0, Action.CALL, "700")
    then = next_step({"line:700": [busy]}, rings.behind(InboundCall("491"), "BUSY"), now)
    assert isinstance(then, Step)
    assert then.rule == busy
    assert isinstance(next_step({"line:700": [busy]}, rings.behind(InboundCall("491"), "NOANSWER"), now), Finished)
    away = CallRule(action=Action.FORWARD, destination="49151")
    before = next_step({**to_line, "line:700": [away]}, InboundCall("491"), now)
    assert isinstance(before, Step)
    assert (before.place, before.rule) == (1, away)


def test_times_of_a_rule_are_those_of_its_zone():
    office = CallRule(times=(RuleTime(1, 5, time(9), time(17)),), time_zone="America/New_York")
    for hour, counts in ((13, False), (14, True), (21, True), (22, False)):  # UTC, in winter
        found = next_step({"491": [office]}, InboundCall("491"), datetime(2026, 1, 5, hour, tzinfo=UTC))
        assert isinstance(found, Step) == counts, hour


def test_a_night_goes_on_into_the_next_day():
    night = RuleTime(1, 5, time(22), time(6))
    assert night.holds(datetime(2026, 1, 2, 23, 0, tzinfo=UTC))  # a Friday
    assert night.holds(datetime(2026, 1, 3, 5, 59, tzinfo=UTC))  # its end, on Saturday
    assert not night.holds(datetime(2026, 1, 3, 22, 0, tzinfo=UTC))
    assert not night.holds(datetime(2026, 1, 5, 5, 0, tzinfo=UTC))  # Monday morning: Sunday's night
