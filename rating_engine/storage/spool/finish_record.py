"""A callFinish as it stands in the spool: JSON with short, fixed keys.

Law: `finish_from_payload(finish_to_payload(finish)) == finish`. A later version may add keys; one that it does not know
is passed over, one that it needs and does not find makes the record unreadable, and that is said.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from rating_engine.domain.outcomes import CallKey, FinishCall
from rating_engine.domain.reservation import CallDetails
from rating_engine.storage.spool.details_json import details_from_values, details_to_values

VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class SpooledFinish:
    """A finish with the time it was said (`call.ended_at`), and what was promised for the call where it is known.

    `details` None: replay finds it in the reservation, or rates the call anew.
    """

    call: FinishCall
    details: CallDetails | None


class UnreadableRecord(ValueError):
    """A record that is whole but is no finish of a version we know; says what is missing."""


def finish_to_payload(finish: SpooledFinish, **notes: str) -> bytes:
    """One line of ASCII JSON. `notes` go beside it for people, and are not read back."""
    call = finish.call
    if call.ended_at is None:
        raise ValueError("a spooled finish has the time of its end")
    values: dict[str, Any] = {
        "v": VERSION,
        "exchange": call.call_key.exchange,
        "uniqueid": call.call_key.uniqueid,
        "attempt": call.call_key.attempt,
        "login": call.login,
        "destination": call.destination,
        "seconds": call.seconds,
        "disposition": call.disposition,
        "cause": call.cause,
        "callerid": call.callerid,
        "channel": call.channel,
        "is_did": call.is_did,
        "leeway_seconds": call.leeway_seconds,
        "ended_at": call.ended_at.isoformat(),
        "details": None if finish.details is None else details_to_values(finish.details),
        **notes,
    }
    # ASCII: a text that is no valid Unicode, which a peer may send, is kept as it came instead of refused here.
    return json.dumps(values, separators=(",", ":")).encode("ascii")


def finish_from_payload(payload: bytes) -> SpooledFinish:
    """The finish that `finish_to_payload` wrote. Raises UnreadableRecord."""
    try:
        values = json.loads(payload)
        if values["v"] != VERSION:
            raise UnreadableRecord(f"version {values['v']!r:.20} is not known")
        call = FinishCall(
            call_key=CallKey(_text(values, "exchange"), _text(values, "uniqueid"), _whole(values, "attempt")),
            login=_text(values, "login"),
            destination=_text(values, "destination"),
            seconds=_whole(values, "seconds"),
            disposition=_text(values, "disposition"),
            cause=_whole(values, "cause"),
            callerid=None if values["callerid"] is None else _text(values, "callerid"),
            ended_at=_time(values),
            # Records before these were kept have none.
            channel=_text(values, "channel") if "channel" in values else "",
            is_did=_text(values, "is_did") if "is_did" in values else "",
            leeway_seconds=int(values.get("leeway_seconds", 0)),
        )
        details = values["details"]
        return SpooledFinish(call, None if details is None else details_from_values(details))
    except UnreadableRecord:
        raise
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UnreadableRecord(f"is no finish: {type(error).__name__} {error!s:.80}") from error


def _text(values: dict[str, Any], name: str) -> str:
    value = values[name]
    if not isinstance(value, str):
        raise UnreadableRecord(f"{name} is not a text")
    return value


def _whole(values: dict[str, Any], name: str) -> int:
    value = values[name]
    if type(value) is not int:
        raise UnreadableRecord(f"{name} is not a whole number")
    return value


def _time(values: dict[str, Any]) -> datetime:
    time = datetime.fromisoformat(_text(values, "ended_at"))
    if time.tzinfo is None:
        raise UnreadableRecord("ended_at has no time zone")
    return time
