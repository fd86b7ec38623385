"""Asterisk's log, line by line: what the dialplan wrote at ERROR of calls whose end no engine took.

Law: only a line whose own message it is, at ERROR, is one. Whoever calls chooses names and numbers, which stand inside
of other lines; so level and source in front are asked, and a line that merely quotes it is passed over or named.

    [Nov 30 01:46:30] ERROR[4711][C-0000001a] Ext. s: rating: NOT SAVED: callFinish of 1763779024.1 login=1001 …
"""

from __future__ import annotations

import re
from typing import Final

import orjson

from rating_engine.domain.reported_end import PostedEnd, PostOutcome, ReportedEnd

MARK: Final = "rating: NOT SAVED:"
MAX_SECONDS: Final = 31 * 86_400  # as callFinish takes

_COLOUR: Final = re.compile("\x1b\\[[0-9;]*m")
# The first level that stands in the line is the line's own; what is quoted comes behind it.
_LEVEL: Final = re.compile(r"\b([A-Z]{4,10})\[\d+\](?:\[C-[0-9a-f]+\])?:?\s+")
# `Ext. s: `, `Ext. s:33 @ rating-finish: `, `Ext. s:33 in @ rating-finish: `
_SOURCE: Final = re.compile(r"(?:[^:]{1,100}(?::\d+[^:]{0,100})?: )?(?=rating: NOT SAVED:)")
_END: Final = re.compile(
    r"rating: NOT SAVED: callFinish of (?P<uniqueid>\S{1,150}) login=(?P<login>\S{1,64})"
    r" destination=(?P<destination>\S{1,80}) seconds=(?P<seconds>\d{1,9})"
    r" status=(?P<cause>\d{0,3})(?P<disposition>[A-Za-z_-]{1,32}) attempt=(?P<attempt>\d{1,2})"
    r"(?: did=(?P<did>\+?\d{0,32}))?(?: \(.*\))?\s*",
    re.ASCII,
)
_BRACKETED: Final = re.compile(r"\[([^\[\]]{8,40})\]\s*$")
# What syslog and the journal put before it: `Nov 30 01:46:30 pbx asterisk[1]: `, `2026-11-30T01:46:30.123+01:00 pbx …`
_SYSLOG: Final = re.compile(
    r"^(?:<\d+>)?([A-Z][a-z]{2}\s+\d{1,2} \d{2}:\d{2}:\d{2}|\d{4}-\d{2}-\d{2}T[0-9:.,]+(?:Z|[+-]\d{2}:?\d{2})?)\s"
)


def read_line(number: int, text: str) -> ReportedEnd | PostedEnd | None:
    """The end that a line says, why it cannot be read, or None: it is some other line."""
    if MARK not in text:
        return None
    text = _COLOUR.sub("", text).rstrip("\r\n")
    if text.startswith("{"):
        return _of_json(number, text)
    if text.startswith(MARK):  # as a person copies it
        return _end(number, text, "")
    level = _LEVEL.search(text)
    if level is None:
        head, _, rest = text.partition(MARK)
        if head.strip().strip("[]") == (moment := _moment(head)):  # the level was cut out, and nothing else is there
            return _end(number, MARK + rest, moment)
        return _unreadable(number, "says NOT SAVED, but has no level such as ERROR[4711] before it")
    if level[1] != "ERROR":
        return None  # VERBOSE tells of the same Log() as it is executed
    source = _SOURCE.match(text, level.end())
    if source is None:
        return _unreadable(number, "says NOT SAVED, but not as its own message: the dialplan's Log() did not write it")
    return _end(number, text[source.end() :], _moment(text[: level.start()]))


def _of_json(number: int, text: str) -> ReportedEnd | PostedEnd | None:
    """A line of a log that logger.conf has in JSON."""
    try:
        line = orjson.loads(text)
        level, message = line["logmsg"]["level"], line["logmsg"]["message"]
        moment = str(line["timestamp"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return _unreadable(number, "says NOT SAVED, but is no line of Asterisk's log in JSON")
    if level != "ERROR":
        return None
    if not str(message).startswith(MARK):
        return _unreadable(number, "says NOT SAVED, but not as its own message: the dialplan's Log() did not write it")
    return _end(number, str(message), moment)


def _moment(head: str) -> str:
    for pattern in (_BRACKETED, _SYSLOG):
        if found := pattern.search(head):
            return found[1]
    return ""


def _end(number: int, message: str, moment: str) -> ReportedEnd | PostedEnd:
    found = _END.fullmatch(message)
    if found is None:
        return _unreadable(number, f"is not whole: {message[:200]}")
    if int(found["seconds"]) > MAX_SECONDS:
        return _unreadable(number, f"seconds={found['seconds']} is more than a call can last")
    if found["attempt"] in ("0", "00"):
        return _unreadable(number, "attempt=0: attempts count from 1")
    return ReportedEnd(
        line=number,
        uniqueid=found["uniqueid"],
        seconds=int(found["seconds"]),
        disposition=found["disposition"],
        cause=int(found["cause"] or 0),
        moment=moment,
        destination=found["destination"],
        attempt=int(found["attempt"]),
        login=found["login"],
        is_did=found["did"] or "",
    )


def _unreadable(number: int, reason: str) -> PostedEnd:
    return PostedEnd(number, PostOutcome.UNREADABLE, reason=reason)
