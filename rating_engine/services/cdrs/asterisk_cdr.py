"""Asterisk's own call records as CSV: Master.csv of cdr_csv, and of cdr_custom as its sample has it, or with a header.

Law: a row says of a call what it was for Asterisk, which is not yet what it is for the engine: seconds are counted from
the answer of the caller's channel, in full ones (billsec). What makes that another time than the engine's is for
`posting` to find out.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from rating_engine.domain.errors import InvalidRequest
from rating_engine.domain.reported_end import PostedEnd, PostOutcome, ReportedEnd
from rating_engine.services.cdrs.asterisk_log import MAX_SECONDS

NEEDED: Final = ("end", "billsec", "disposition", "uniqueid")
_USED: Final = (*NEEDED, "dst", "dstchannel", "accountcode", "start", "answer")
# The columns of cdr_csv, those behind amaflags where cdr.conf says loguniqueid=yes and loguserfield=yes.
CDR_CSV: Final = (
    "accountcode", "src", "dst", "dcontext", "clid", "channel", "dstchannel", "lastapp", "lastdata", "start", "answer",
    "end", "duration", "billsec", "disposition", "amaflags", "uniqueid", "userfield",
)  # fmt: skip
# Those of Asterisk's sample of cdr_custom.conf.
CDR_CUSTOM: Final = (
    "clid", "src", "dst", "dcontext", "channel", "dstchannel", "lastapp", "lastdata", "start", "answer", "end",
    "duration", "billsec", "disposition", "amaflags", "accountcode", "uniqueid", "userfield", "sequence",
)  # fmt: skip
_DISPOSITIONS: Final[Mapping[str, str]] = MappingProxyType(
    {"ANSWERED": "ANSWER", "NO ANSWER": "NOANSWER", "BUSY": "BUSY", "FAILED": "CHANUNAVAIL", "CONGESTION": "CONGESTION"}
)
# PJSIP/carrier1-0000001a; of a Local channel, Local/4930123@carrier1-0000001a;1
_TRUNK: Final = re.compile(r"[^/]+/(?:[^/]*@)?(.+)-[0-9a-f]+(?:;[12])?")
_SECONDS: Final = re.compile(r"[0-9]{1,9}(?:\.[0-9]+)?", re.ASCII)
_A_TIME: Final = re.compile(r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}|\d{9,11}\.\d+")


@dataclass(frozen=True, slots=True)
class CdrColumns:
    """Where each column stands; `has_header`: the first line names them."""

    places: Mapping[str, int]
    has_header: bool = False

    @classmethod
    def named(cls, names: Sequence[str], *, has_header: bool = False) -> CdrColumns:
        """Of columns in this order. Raises InvalidRequest where one is missing that is needed."""
        places = {name: at for at, name in enumerate(names) if name in _USED}
        if missing := [name for name in NEEDED if name not in places]:
            raise InvalidRequest("columns", f"have no {' and no '.join(missing)}")
        return cls(places, has_header)

    @classmethod
    def found(cls, first: str) -> CdrColumns | None:
        """Those of a file with this first line; None where it is no file of call records.

        Raises InvalidRequest where it is one without a uniqueid.
        """
        cells = cells_of(first) or []
        names = [cell.strip().casefold() for cell in cells]
        if {"uniqueid", "billsec"} <= set(names):
            return cls.named(names, has_header=True)
        for known in (CDR_CSV, CDR_CUSTOM):
            start = known.index("start")
            if (
                len(cells) >= known.index("uniqueid")
                and _A_TIME.match(cells[start])
                and _SECONDS.match(cells[start + 4])
            ):
                if len(cells) == known.index("uniqueid"):
                    raise InvalidRequest("file", "its records have no uniqueid: say loguniqueid=yes in cdr.conf, [csv]")
                return cls.named(known)
        return None

    def read(self, number: int, text: str) -> ReportedEnd | PostedEnd | None:
        """The end that a row says, why it cannot be read, or None: nothing stands there."""
        if not text.strip() or (self.has_header and number == 1):
            return None
        cells = cells_of(text)
        if cells is None:
            return _unreadable(number, "a quote is not closed on its line")
        if len(cells) <= max(self.places[name] for name in NEEDED):
            return _unreadable(number, f"has {len(cells)} columns, which are too few")
        values = {name: cells[at].strip() if at < len(cells) else "" for name, at in self.places.items()}
        disposition = _DISPOSITIONS.get(values["disposition"].upper().replace("NOANSWER", "NO ANSWER"))
        if disposition is None:
            return _unreadable(
                number, f"disposition {values['disposition'][:40]!r} is none of {', '.join(_DISPOSITIONS)}"
            )
        if not _SECONDS.fullmatch(values["billsec"]) or float(values["billsec"]) > MAX_SECONDS:
            return _unreadable(number, f"billsec {values['billsec'][:40]!r} is no number of seconds")
        if not values["uniqueid"] or len(values["uniqueid"]) > 150:
            return _unreadable(number, "has no uniqueid")
        trunk = _TRUNK.fullmatch(values.get("dstchannel", ""))
        is_answered = disposition == "ANSWER"
        return ReportedEnd(
            line=number,
            uniqueid=values["uniqueid"],
            # What was answered is a second at least; what was not has none, whatever Asterisk counted.
            seconds=max(1, int(float(values["billsec"]))) if is_answered else 0,
            disposition=disposition,
            cause=0,
            moment=values["end"],
            destination=values.get("dst", ""),
            route="" if trunk is None else trunk[1],
        )


def cells_of(line: str) -> list[str] | None:
    """The cells of a row; None where its quotes don't pair."""
    try:
        return next(csv.reader([line.rstrip("\r\n")], strict=True), [])
    except csv.Error:
        return None


def _unreadable(number: int, reason: str) -> PostedEnd:
    return PostedEnd(number, PostOutcome.UNREADABLE, reason=reason)
