"""Finishes that were kept aside are posted by a command: each is charged or stays, whatever happens meanwhile."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from rating_engine.domain.errors import Unavailable
from rating_engine.domain.outcomes import DeclineReason, FinishCall, FinishOutcome, NotSaved, Saved
from rating_engine.domain.reservation import CallDetails
from rating_engine.services.outage.refused import Posted, post_refused
from rating_engine.storage.spool.finish_record import SpooledFinish, finish_from_payload, finish_to_payload
from rating_engine.storage.spool.refused import refused_files
from rating_engine.storage.spool.spool_files import append_durably
from rating_engine.storage.spool.spool_records import encode_record, scan
from tests.support.calls import key_of


class Charging:
    """Charges every finish; `rule` says otherwise of some, by the call's name."""

    def __init__(self, **rule: FinishOutcome | Exception) -> None:
        self.rule = rule
        self.charged: list[str] = []

    async def __call__(self, call: FinishCall, promised: CallDetails | None) -> FinishOutcome:
        name = call.call_key.uniqueid
        answer = self.rule.get(name)
        if isinstance(answer, Exception):
            raise answer
        if answer is not None:
            return answer
        self.charged.append(name)
        return Saved(call.call_key, Decimal("0.5"), "EUR", 1, 1, "", "", "", "", "ANSWER", 16)


def keep_aside(directory: Path, *names: str, file: str = "1") -> Path:
    path = directory / f"{file}.refused"
    ended_at = datetime(2026, 1, 2, tzinfo=UTC)
    for name in names:
        call = FinishCall(key_of(name), "1001", "49", 5, "ANSWER", 16, ended_at=ended_at)
        payload = finish_to_payload(SpooledFinish(call, None), refused="unknown_login", detail="")
        append_durably(path, encode_record(payload))
    return path


def left(directory: Path) -> dict[str, list[str]]:
    """The names of the calls in each file."""
    return {
        path.name: [finish_from_payload(one.payload).call.call_key.uniqueid for one in scan(path.read_bytes()).records]
        for path in sorted(directory.iterdir())
    }


async def test_what_was_mended_is_charged_and_leaves_nothing(tmp_path):
    keep_aside(tmp_path, "a", "b")
    keep_aside(tmp_path, "c", file="2")
    charging = Charging()

    posted = await post_refused(tmp_path, charging)

    assert charging.charged == ["a", "b", "c"]
    assert posted[0] == Posted(key_of("a"), "1001", "0.5", "EUR")
    assert left(tmp_path) == {}
    assert await post_refused(tmp_path, charging) == []


async def test_what_still_cannot_be_charged_stays_with_its_reason(tmp_path):
    keep_aside(tmp_path, "a", "b", "c")

    posted = await post_refused(tmp_path, Charging(b=NotSaved(DeclineReason.CONFLICT, "finished before")))

    assert [one.reason for one in posted] == ["", "conflict: finished before", ""]
    assert left(tmp_path) == {"1.refused": ["b"]}
    assert b'"refused":"conflict"' in (tmp_path / "1.refused").read_bytes()


@pytest.mark.parametrize("error", [Unavailable("away"), ZeroDivisionError("a fault")])
async def test_a_command_that_is_stopped_in_the_middle_loses_nothing_and_posts_nothing_twice(tmp_path, error):
    keep_aside(tmp_path, "a", "b", "c")
    with pytest.raises(type(error)):
        await post_refused(tmp_path, Charging(b=error))
    assert left(tmp_path) == {"1.refused": ["b", "c"]}

    charging = Charging()
    await post_refused(tmp_path, charging)
    assert charging.charged == ["b", "c"]


async def test_what_a_killed_command_left_is_posted_by_the_next_one(tmp_path):
    keep_aside(tmp_path, "a").rename(tmp_path / "1.posting")
    keep_aside(tmp_path, "b")
    charging = Charging()
    await post_refused(tmp_path, charging)
    await post_refused(tmp_path, charging)

    assert charging.charged == ["a", "b"]
    assert left(tmp_path) == {}


async def test_what_an_engine_keeps_aside_meanwhile_is_kept(tmp_path):
    keep_aside(tmp_path, "a")

    async def charge(call: FinishCall, promised: CallDetails | None) -> FinishOutcome:
        keep_aside(tmp_path, "new")
        return await Charging()(call, promised)

    await post_refused(tmp_path, charge)

    assert left(tmp_path) == {"1.refused": ["new"]}


async def test_two_commands_at_once_post_nothing_twice(tmp_path):
    keep_aside(tmp_path, "a")
    with refused_files(tmp_path) as files:
        assert len(files) == 1
        assert await post_refused(tmp_path, Charging()) == []
        files[0].keep([record.payload for record in files[0].records])
    assert left(tmp_path) == {"1.refused": ["a"]}


async def test_what_cannot_be_read_stays_for_a_person(tmp_path):
    path = keep_aside(tmp_path, "a")
    append_durably(path, encode_record(b"{}") + b"no record\n")
    charging = Charging()

    posted = await post_refused(tmp_path, charging)

    assert charging.charged == ["a"]
    assert posted[1].call_key is None
    assert [record.payload for record in scan(path.read_bytes()).records] == [b"{}"]
    assert b"no record" in path.with_suffix(".corrupt").read_bytes()
