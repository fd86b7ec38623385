"""Replay policy alone, on a real spool: what is tried again, what is kept aside, and in which order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import asyncpg
import pytest

from rating_engine.domain.errors import AccountLocked, Overloaded, Unavailable
from rating_engine.domain.outcomes import DeclineReason, FinishCall, FinishOutcome, NotSaved, Saved
from rating_engine.domain.reservation import CallDetails
from rating_engine.rating.rate import InvalidRate
from rating_engine.services.outage import finish_spool
from rating_engine.services.outage.finish_spool import FAILURES_MAX, REPLAY_WINDOW, RETRY_SECONDS_MAX, FinishSpool
from rating_engine.storage.spool.finish_record import finish_from_payload
from rating_engine.storage.spool.spool import Spool
from rating_engine.storage.spool.spool_records import scan
from tests.support.calls import finish

Answer = FinishOutcome | Exception


class Ledger:
    """Answers finishes by a rule, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[FinishCall] = []
        self.running = 0
        self.most_running = 0
        self.rule: Callable[[FinishCall], Answer] = saved

    async def replay(self, call: FinishCall, promised: CallDetails | None) -> FinishOutcome:
        self.asked.append(call)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        await asyncio.sleep(0)
        self.running -= 1
        answer = self.rule(call)
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def names(self) -> list[str]:
        return [call.call_key.uniqueid for call in self.asked]


class Figures:
    """What a SpoolObserver heard, in order."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.stuck = self.aside = -1

    def spooled(self) -> None:
        self.heard.append("spooled")

    def spool_not_taken(self, reason: str) -> None:
        self.heard.append(f"not taken: {reason}")

    def spool_replayed(self, overrun: bool) -> None:
        self.heard.append("overrun" if overrun else "replayed")

    def spool_refused(self, reason: str) -> None:
        self.heard.append(f"refused: {reason}")

    def spool_stuck(self, count: int) -> None:
        self.stuck = count

    def spool_aside(self, count: int) -> None:
        self.aside = count


def saved(call: FinishCall, overrun: str = "0") -> Saved:
    return Saved(call.call_key, Decimal(1), "EUR", 1, 1, "", "", "", "", "ANSWER", 16, overrun=Decimal(overrun))


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def figures() -> Figures:
    return Figures()


@pytest.fixture
async def spool(tmp_path: Path, figures: Figures, ledger: Ledger) -> AsyncIterator[FinishSpool]:
    spool = FinishSpool(Spool(tmp_path, max_bytes=1_000_000), ledger.replay, is_up=lambda: True, observer=figures)
    yield spool
    await spool.close()


async def keep(spool: FinishSpool, *names: str) -> None:
    for name in names:
        await spool.keep(finish(name, 10), None)


def refused(directory: Path) -> list[str]:
    """The names of the calls kept aside."""
    return [
        finish_from_payload(record.payload).call.call_key.uniqueid
        for file in sorted(directory.glob("*.refused"))
        for record in scan(file.read_bytes()).records
    ]


async def test_finishes_are_said_again_in_order_with_the_time_they_were_said(spool, ledger):
    before = datetime.now(UTC)
    await keep(spool, "1", "2", "3")
    await spool.turn()

    assert ledger.names == ["1", "2", "3"]
    times = [call.ended_at for call in ledger.asked]
    assert times == sorted(times)
    assert before <= times[0]


async def test_a_finish_that_waited_for_its_answer_ended_when_it_was_said(spool, ledger):
    await spool.keep(finish("1", 10), None, waited_seconds=3600)
    await spool.turn()

    assert ledger.asked[0].ended_at < datetime.now(UTC)
    assert (datetime.now(UTC) - ledger.asked[0].ended_at).total_seconds() >= 3600


async def test_a_finish_that_brings_its_time_keeps_it(spool, ledger):
    ended_at = datetime(2026, 1, 2, tzinfo=UTC)
    await spool.keep(replace(finish("1", 10), ended_at=ended_at), None)
    await spool.turn()

    assert ledger.asked[0].ended_at == ended_at


async def test_many_are_said_side_by_side_but_no_more_than_a_window(spool, ledger):
    await asyncio.gather(*(keep(spool, str(number)) for number in range(REPLAY_WINDOW + 50)))
    await spool.turn()

    assert len(ledger.asked) == REPLAY_WINDOW + 50
    assert ledger.most_running == REPLAY_WINDOW


async def test_two_finishes_of_one_call_are_never_said_side_by_side(spool, ledger):
    await keep(spool, "1", "1", "1")
    await spool.turn()

    assert ledger.names == ["1", "1", "1"]
    assert ledger.most_running == 1


@pytest.mark.parametrize(
    "answer",
    [
        Unavailable("away"),
        Overloaded("busy"),
        NotSaved(DeclineReason.UNAVAILABLE),
        NotSaved(DeclineReason.OVERLOADED),
    ],
)
async def test_what_may_pass_is_said_again_at_the_next_turn_for_ever(spool, ledger, tmp_path, answer):
    await keep(spool, "1", "2")
    ledger.rule = lambda call: answer
    for _ in range(60):
        await spool.turn()
    assert ledger.names == ["1", "2"] * 60
    ledger.rule = saved
    ledger.asked.clear()
    await spool.turn()
    await spool.turn()

    assert ledger.names == ["1", "2"]
    assert refused(tmp_path) == []


async def test_what_was_charged_before_a_failure_is_not_said_again(spool, ledger):
    await keep(spool, "1", "2", "3")
    ledger.rule = lambda call: Unavailable("away") if call.call_key.uniqueid == "2" else saved(call)
    await spool.turn()
    ledger.asked.clear()
    await spool.turn()

    assert ledger.names == ["2"]


async def test_nothing_is_said_while_the_database_is_known_to_be_away(tmp_path, ledger, figures):
    up = False
    spool = FinishSpool(Spool(tmp_path, max_bytes=1_000_000), ledger.replay, is_up=lambda: up, observer=figures)
    await keep(spool, "1")
    await spool.turn()
    assert ledger.asked == []
    up = True
    await spool.turn()
    await spool.close()

    assert ledger.names == ["1"]


async def test_a_refusal_is_kept_aside_and_those_behind_are_charged(spool, ledger, figures, tmp_path):
    await keep(spool, "1", "2", "3")
    ledger.rule = lambda call: NotSaved(DeclineReason.CONFLICT, "why") if call.call_key.uniqueid == "2" else saved(call)
    await spool.turn()

    assert refused(tmp_path) == ["2"]
    assert figures.heard == ["spooled"] * 3 + ["replayed", "refused: conflict", "replayed"]


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Moves the time of the spool on."""
    passed = 0.0

    def move(seconds: float) -> None:
        nonlocal passed
        passed += seconds

    monkeypatch.setattr(finish_spool, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + passed))
    return move


async def test_what_cannot_be_charged_waits_and_those_behind_it_are_charged(spool, ledger, figures, tmp_path, later):
    """A right is missing after a restore, say, or another session holds a lock for ever."""
    await keep(spool, "1", "2", "3")
    ledger.rule = lambda call: PermissionError("denied") if call.call_key.uniqueid == "1" else saved(call)
    await spool.turn()
    assert ledger.names == ["1", "2", "3"]
    assert (figures.stuck, refused(tmp_path)) == (1, [])
    for _ in range(100):
        later(3_600)
        await spool.turn()
    assert (figures.stuck, refused(tmp_path)) == (1, [])
    ledger.rule = saved
    later(RETRY_SECONDS_MAX)
    await spool.turn()

    assert (figures.stuck, figures.heard[-1], list(tmp_path.iterdir())) == (0, "replayed", [])


async def test_what_failed_is_tried_less_and_less_often(spool, ledger, later):
    await keep(spool, "1")
    ledger.rule = lambda call: PermissionError("denied")
    for _ in range(600):
        await spool.turn()
        later(1.0)

    assert 10 < len(ledger.asked) < 20


async def test_a_locked_account_holds_up_nobody_else(spool, ledger):
    await asyncio.gather(*(keep(spool, f"locked {number}") for number in range(REPLAY_WINDOW)))
    await keep(spool, "free")
    ledger.rule = lambda call: saved(call) if call.call_key.uniqueid == "free" else AccountLocked("held by another")
    await spool.turn()
    await spool.turn()

    assert ledger.names.count("free") == 1
    assert ledger.names.count("locked 0") == 2


async def test_later_ends_of_a_call_wait_for_its_earlier_one(spool, ledger, later):
    await keep(spool, "1", "2", "1")
    ledger.rule = lambda call: PermissionError("denied") if call.call_key.uniqueid == "1" else saved(call)
    await spool.turn()
    await spool.turn()
    assert ledger.names == ["1", "2"]
    ledger.rule = saved
    later(RETRY_SECONDS_MAX)
    await spool.turn()
    later(RETRY_SECONDS_MAX)
    await spool.turn()

    assert ledger.names == ["1", "2", "1", "1"]


async def test_what_fails_everywhere_is_not_asked_of_every_finish_at_every_turn(spool, ledger):
    await asyncio.gather(*(keep(spool, str(number)) for number in range(FAILURES_MAX + 5 * REPLAY_WINDOW)))
    ledger.rule = lambda call: PermissionError("denied")
    await spool.turn()

    assert FAILURES_MAX <= len(ledger.asked) < FAILURES_MAX + REPLAY_WINDOW


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.NumericValueOutOfRangeError("too large"),
        asyncpg.CharacterNotInRepertoireError("no text"),
        InvalidRate("price_1", "is no price"),
        UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"),
    ],
)
async def test_only_what_its_own_content_keeps_from_being_charged_is_kept_aside(
    spool, ledger, figures, tmp_path, error
):
    await keep(spool, "1", "2")
    ledger.rule = lambda call: error if call.call_key.uniqueid == "1" else saved(call)
    await spool.turn()

    assert refused(tmp_path) == ["1"]
    assert figures.heard[2:] == ["refused: internal", "replayed"]


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.LockNotAvailableError("canceling statement due to lock timeout"),
        asyncpg.InsufficientPrivilegeError("permission denied for table cdrs"),
        asyncpg.QueryCanceledError("canceling statement due to statement timeout"),
        asyncpg.UndefinedColumnError("column does not exist"),
        asyncpg.CheckViolationError("a counter that was mended wrong"),
        asyncpg.InternalServerError("cache lookup failed for type"),
        ValueError("'later' is not a valid SettleOutcome"),
        ZeroDivisionError("a fault of ours"),
    ],
)
async def test_what_may_pass_never_ends_uncharged(spool, ledger, tmp_path, later, error):
    await keep(spool, "1")
    ledger.rule = lambda call: error
    for _ in range(50):
        await spool.turn()
        later(RETRY_SECONDS_MAX)
    assert refused(tmp_path) == []
    ledger.rule = saved
    await spool.turn()

    assert list(tmp_path.iterdir()) == []


async def test_a_file_of_which_one_finish_is_stuck_gives_its_space_back(ledger, figures, tmp_path):
    spool = FinishSpool(Spool(tmp_path, max_bytes=10_000_000), ledger.replay, is_up=lambda: True, observer=figures)
    await asyncio.gather(*(keep(spool, str(number)) for number in range(2_000)))
    (file,) = tmp_path.glob("*.spool")
    before = file.stat().st_size
    ledger.rule = lambda call: PermissionError("denied") if call.call_key.uniqueid == "0" else saved(call)
    await spool.turn()

    assert file.stat().st_size < before / 8
    await spool.close()
    next_process = Ledger()
    successor = FinishSpool(
        Spool(tmp_path, max_bytes=1_000_000), next_process.replay, is_up=lambda: True, observer=Figures()
    )
    await successor.turn()
    assert next_process.names[0] == "0"  # and some that were charged since the file was shrunk, which is harmless
    assert list(tmp_path.iterdir()) == []
    await successor.close()


async def test_an_overrun_at_replay_is_counted(spool, ledger, figures):
    await keep(spool, "1")
    ledger.rule = lambda call: saved(call, "0.5")
    await spool.turn()

    assert figures.heard == ["spooled", "overrun"]


async def test_refused_finishes_that_cannot_be_kept_stay_where_they_are(spool, ledger, tmp_path):
    await keep(spool, "1")
    ledger.rule = lambda call: NotSaved(DeclineReason.CONFLICT)
    (file,) = tmp_path.glob("*.spool")
    file.with_suffix(".refused").mkdir()
    with pytest.raises(OSError, match="directory"):
        await spool.turn()
    file.with_suffix(".refused").rmdir()
    await spool.turn()

    assert refused(tmp_path) == ["1"]


async def test_a_spool_that_refuses_says_so(tmp_path, figures, ledger):
    spool = FinishSpool(Spool(tmp_path, max_bytes=10), ledger.replay, is_up=lambda: True, observer=figures)

    outcome = await spool.keep(finish("1", 10), None)

    assert outcome == NotSaved(DeclineReason.UNAVAILABLE, "the spool cannot take it: full")
    assert figures.heard == ["not taken: full"]
    await spool.close()


async def test_it_is_behind_until_what_waits_is_charged(spool, ledger):
    assert spool.is_behind  # for all that is known before the directory has been looked at
    await spool.turn()
    assert not spool.is_behind

    await keep(spool, "1")
    assert spool.is_behind
    await spool.turn()
    assert not spool.is_behind


async def test_nobody_waits_for_ever_for_a_spool_that_cannot_be_emptied(tmp_path, figures, ledger, monkeypatch):
    monkeypatch.setattr(finish_spool, "CATCH_UP_SECONDS", 0.0)
    spool = FinishSpool(Spool(tmp_path, max_bytes=1_000_000), ledger.replay, is_up=lambda: True, observer=figures)
    await keep(spool, "1")

    assert not spool.is_behind
    await spool.close()
