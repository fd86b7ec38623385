"""Finishes that were kept aside, posted again once a person has mended what kept them from being charged."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rating_engine.domain.errors import RatingEngineError
from rating_engine.domain.outcomes import CallKey, NotSaved, Saved
from rating_engine.services.outage.finish_spool import ReplayFinish
from rating_engine.storage.postgres.blame import blames_data
from rating_engine.storage.spool.finish_record import SpooledFinish, UnreadableRecord, finish_from_payload
from rating_engine.storage.spool.finish_record import finish_to_payload as payload_of
from rating_engine.storage.spool.refused import RefusedFile, refused_files


@dataclass(frozen=True, slots=True)
class Posted:
    """What became of one finish. `cost`: as charged; None: it was not, for `reason`, and stays where it was."""

    call_key: CallKey | None
    login: str
    cost: str | None = None
    currency: str = ""
    reason: str = ""


async def post_refused(directory: Path, charge: ReplayFinish) -> list[Posted]:
    """Charge what can be now, one after the other, by the path that charges every finish.

    Errors: Unavailable (what was not posted stays), OSError (the directory).
    """
    posted: list[Posted] = []
    with refused_files(directory) as files:
        for file in files:
            posted += await _post(file, charge)
    return posted


async def _post(file: RefusedFile, charge: ReplayFinish) -> list[Posted]:
    posted: list[Posted] = []
    kept: list[bytes] = []
    try:
        for record in file.records:
            one, again = await _post_one(record.payload, charge)
            posted.append(one)
            if again is not None:
                kept.append(again)
    finally:  # what was not come to, and the one whose outcome is not known, stay
        kept += [record.payload for record in file.records[len(posted) :]]
        file.keep(kept)
    return posted


async def _post_one(payload: bytes, charge: ReplayFinish) -> tuple[Posted, bytes | None]:
    """What became of it, and the record that stays, if any."""
    try:
        finish = finish_from_payload(payload)
    except UnreadableRecord as error:
        return Posted(None, "", reason=f"unreadable: {error}"), payload
    call = finish.call
    try:
        outcome = await charge(call, finish.details)
    except RatingEngineError:
        raise  # the database is away, say: nothing is known to have been done
    except Exception as error:
        if not blames_data(error):
            raise
        return _refused(finish, "internal", f"{type(error).__name__}: {error}")
    if isinstance(outcome, Saved):
        return Posted(call.call_key, call.login, str(outcome.cost), outcome.currency), None
    assert isinstance(outcome, NotSaved)
    return _refused(finish, outcome.reason.value, outcome.detail)


def _refused(finish: SpooledFinish, reason: str, detail: str) -> tuple[Posted, bytes]:
    said = f"{reason}: {detail}" if detail else reason
    again = payload_of(finish, refused=reason, detail=detail[:1_000])
    return Posted(finish.call.call_key, finish.call.login, reason=said), again
