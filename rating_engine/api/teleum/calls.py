"""Commands of calls and recordings."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, tzinfo
from typing import Final

from rating_engine.api.teleum.asked import Answer, Asked, Handler
from rating_engine.api.teleum.commands import LIMIT, START
from rating_engine.api.teleum.forms import date_time, date_time_formatted, length, month
from rating_engine.domain.cdr import Cdr, Disposition, disposition_of
from rating_engine.domain.recording import Recording
from rating_engine.services.recordings import PATH


async def report_calls(asked: Asked) -> Answer:
    """The calls of a month that the user's lines made and took, the first first; all are counted."""
    values = asked.values
    zone = await asked.zone()
    since, until = _month(asked, zone)
    kind = values.text("type")
    report = await asked.use.cdrs.report(
        asked.who, since, until, ended=Disposition(kind) if kind else None,
        start=int(values.text("start") or START), limit=int(values.text("limit") or LIMIT),
    )  # fmt: skip
    return {"counts": str(report.count), "calls": [_call(asked, call, zone) for call in report.calls]}


async def get_records_list(asked: Asked) -> Answer:
    """The recordings of a month whose files are there."""
    zone = await asked.zone()
    since, until = _month(asked, zone)
    return {"records": [_record(each, zone) for each in await asked.use.recordings.of(asked.who, since, until)]}


async def get_record_link(asked: Asked) -> Answer:
    """A link to one of one's own, which works for a while."""
    name = asked.values.text("fileid")
    token = await asked.use.recordings.link(name, of=asked.who)
    return {"link": f"{asked.base_url}{PATH}/{token}", "error": "0"}


HANDLERS: Final[Mapping[str, Handler]] = {
    "reportCalls": report_calls,
    "getRecordsList": get_records_list,
    "getRecordLink": get_record_link,
}


def _month(asked: Asked, zone: tzinfo) -> tuple[datetime, datetime]:
    values = asked.values
    return month(int(values.needed("y")), int(values.needed("m")), zone)


def _call(asked: Asked, call: Cdr, zone: tzinfo) -> dict[str, str]:
    """A call that was forwarded is to the number that was called, and says where to."""
    forwarded = call.from_originate != ""
    began = call.prepared_at.astimezone(zone)
    return {
        "src": call.callerid.lstrip("+"),
        "dst": call.from_originate if forwarded else call.destination,
        "billsec": length(call.seconds),
        "disposition": disposition_of(call),
        "calldate": date_time(began),
        "calldatef": date_time_formatted(began),
        "billsecu": str(call.seconds),
        "rdr": f"{asked.words.forwarded}{call.destination}" if forwarded else "",
    }


def _record(recording: Recording, zone: tzinfo) -> dict[str, str]:
    began = recording.begun_at.astimezone(zone)
    return {
        "id": recording.name,
        "src": recording.caller,
        "dst": recording.called,
        "billsec": length(recording.seconds),
        "disposition": Disposition.ANSWERED,
        "calldate": date_time(began),
        "calldatef": date_time_formatted(began),
        "billsecu": str(recording.seconds),
    }
