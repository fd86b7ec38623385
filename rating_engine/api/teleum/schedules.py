"""When forwards work: `dowjs2`, a JSON text of days and hours, to and from times of rules. Pure.

Law: a span includes its last minute, as `00:00-23:59` is a whole day; rules end before a moment, so a minute is added
and taken away again. No times: always, which is printed as the whole week.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import time
from typing import Any, Final

import orjson

from rating_engine.api.teleum.errors import wrong
from rating_engine.api.teleum.words import Words
from rating_engine.domain.call_rules import RuleTime
from rating_engine.domain.did import MAX_TIMES

DAY: Final = 1_440  # minutes
WHOLE_WEEK: Final = (RuleTime(1, 7, time(0), time(0)),)
_KEYS: Final = (("ttsh", 0, 23), ("ttsm", 0, 59), ("ttfh", 0, 23), ("ttfm", 0, 59), ("dts", 1, 7), ("dtf", 1, 7))


def read_schedule(text: str) -> tuple[RuleTime, ...]:
    """The times of a rule; the whole week, and an empty list, are always. Raises Failure."""
    try:
        entries = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise wrong("dowjs2") from None
    if not isinstance(entries, list) or len(entries) > MAX_TIMES:
        raise wrong("dowjs2")
    times = tuple(dict.fromkeys(_time(each) for each in entries))
    return () if times == WHOLE_WEEK else times


def schedule_text(times: Sequence[RuleTime]) -> str:
    """As `read_schedule` takes it: keys in the document's order, values text, no white space."""
    entries = []
    for each in times or WHOLE_WEEK:
        starts, ends = _minutes(each.starts), (_minutes(each.ends) - 1) % DAY
        values = (*divmod(starts, 60), *divmod(ends, 60), each.first_day, each.last_day)
        entries.append({key: str(value) for (key, _, _), value in zip(_KEYS, values, strict=True)})
    return orjson.dumps(entries).decode()


def schedule_words(times: Sequence[RuleTime], words: Words) -> str:
    """For people: `Понедельник-Воскресенье 00:00-23:59`, and more of them after a semicolon."""
    return "; ".join(
        f"{_days(each, words)} {each.starts:%H:%M}-{last_minute(each):%H:%M}" for each in times or WHOLE_WEEK
    )


def last_minute(each: RuleTime) -> time:
    """The last minute that is in it."""
    minutes = (_minutes(each.ends) - 1) % DAY
    return time(*divmod(minutes, 60))


def _days(each: RuleTime, words: Words) -> str:
    first, last = words.days[each.first_day - 1], words.days[each.last_day - 1]
    return first if each.first_day == each.last_day else f"{first}-{last}"


def _time(entry: Any) -> RuleTime:
    if not isinstance(entry, dict):
        raise wrong("dowjs2")
    values = [_whole(entry.get(key), least, most) for key, least, most in _KEYS]
    start_hour, start_minute, end_hour, end_minute, first, last = values
    ends = (end_hour * 60 + end_minute + 1) % DAY
    return RuleTime(first, last, time(start_hour, start_minute), time(*divmod(ends, 60)))


def _whole(value: Any, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise wrong("dowjs2")
    text = str(value)
    if not (text.isascii() and text.isdigit() and len(text) <= 2 and least <= int(text) <= most):
        raise wrong("dowjs2")
    return int(text)


def _minutes(moment: time) -> int:
    return moment.hour * 60 + moment.minute
