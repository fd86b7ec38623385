"""What nobody heard is freed by whoever comes next; and a finish at another worker asks the ledger once."""

from __future__ import annotations

import os
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from rating_engine.domain.errors import Unavailable
from rating_engine.domain.outcomes import Allowed, Declined, DeclineReason, Saved
from rating_engine.engine.engine import Engine
from rating_engine.services.doctor import ledger_balanced
from rating_engine.storage.calls.shared_calls import SharedCalls
from tests.support.calls import finish, key_of, prepare
from tests.support.engines import engine_on
from tests.support.waiting import until
from tests.support.world import add_account, publish_deck


def left_in(directory: Path) -> list[Path]:
    return list(directory.glob("*.unheard"))


async def reserved(engine: Engine) -> int:
    return await engine.office.fetchval("SELECT reserved FROM accounts")


async def test_what_an_engine_could_not_give_back_before_it_stopped_the_next_one_gives_back(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    async with engine_on(database_url, spool_dir=str(tmp_path)) as engine:
        await publish_deck(engine.office)
        await add_account(engine.office, balance="10")
        reserve = engine.ledger.reserve

        async def answer_lost(request):
            await reserve(request)
            raise Unavailable("the answer was lost")

        async def away(request):
            raise Unavailable("away")

        monkeypatch.setattr(engine.ledger, "reserve", answer_lost)
        monkeypatch.setattr(engine.ledger, "settle", away)
        assert isinstance(await engine.charging.prepare_call(prepare("1")), Declined)
    assert len(left_in(tmp_path)) == 1

    async with engine_on(database_url, spool_dir=str(tmp_path)) as successor:

        async def is_freed() -> bool:
            return await reserved(successor) == 0

        await until(is_freed)
        assert await ledger_balanced(successor.office) == []
    assert left_in(tmp_path) == []


async def test_a_repetition_that_heard_nothing_either_leaves_nothing_held(database_url: str):
    async with engine_on(database_url) as engine:
        await publish_deck(engine.office)
        await add_account(engine.office, balance="10")
        first = await engine.charging.prepare_call(prepare("1"))
        second = await engine.charging.prepare_call(prepare("1"))
        assert isinstance(first, Allowed)
        assert isinstance(second, Allowed)

        await engine.charging.abandon_call(key_of("1"), "1001", second.claim)
        assert await reserved(engine) == 10  # the first was told
        await engine.charging.abandon_call(key_of("1"), "1001", first.claim)
        assert await reserved(engine) == 0


async def test_two_calls_under_one_key_are_two(database_url: str):
    """Two exchanges behind one address gave their channels the same uniqueid."""
    async with engine_on(database_url) as engine:
        await publish_deck(engine.office)
        await add_account(engine.office, balance="10")
        first = _by("PJSIP/alice-1", prepare("1", callerid="444"))
        assert isinstance(await engine.charging.prepare_call(first), Allowed)
        assert isinstance(await engine.charging.prepare_call(first), Allowed)  # asked again

        for other in (
            _by("PJSIP/bob-1", prepare("1", callerid="444")),
            _by("PJSIP/alice-1", prepare("1", callerid="5")),
        ):
            assert await engine.charging.prepare_call(other) == Declined(DeclineReason.CONFLICT)
        denied = await engine.charging.finish_call(_by("PJSIP/bob-1", finish("1", 0)))
        assert denied.reason is DeclineReason.CONFLICT
        assert await reserved(engine) == 10

        saved = await engine.charging.finish_call(_by("PJSIP/alice-1", finish("1", 300)))
        assert isinstance(saved, Saved)
        assert saved.cost == 3


async def test_a_finish_at_another_worker_needs_no_look_up(database_url: str, monkeypatch: pytest.MonkeyPatch):
    descriptor = os.memfd_create("test")
    async with engine_on(database_url, shared_calls=SharedCalls(descriptor)) as one:
        await publish_deck(one.office)
        await add_account(one.office, balance="10")
        async with engine_on(database_url, shared_calls=SharedCalls(descriptor)) as other:

            async def find(bucket, call_key):
                raise AssertionError("the ledger is asked")

            monkeypatch.setattr(other.ledger, "find", find)
            for name in ("1", "2"):
                assert isinstance(await one.charging.prepare_call(prepare(name)), Allowed)
                saved = await other.charging.finish_call(finish(name, 60))
                assert isinstance(saved, Saved)
                assert saved.cost == Decimal("0.6")
    os.close(descriptor)


def _by(channel: str, call):
    return replace(call, channel=channel)
