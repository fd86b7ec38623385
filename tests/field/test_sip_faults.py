"""Calls by SIP while engines and exchanges come and go, and calls of one account on two exchanges at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.asterisk.engine import started
from tests.asterisk.phone import phones
from tests.field.conftest import Running
from tests.field.office import ALICE, ANSWERS, BOB, Office, Scene, charged
from tests.support.commands import Commands

pytestmark = [pytest.mark.asterisk, pytest.mark.asyncio(loop_scope="session")]
NUMBER, OTHER = ANSWERS + "40", ANSWERS + "50"


async def test_a_call_that_ends_while_the_engine_is_away_is_charged_by_asterisks_log(
    scene: Scene, running_office: Running, tmp_path: Path
) -> None:
    mine = await (await scene.phone(ALICE).call(NUMBER)).answered()
    theirs = await scene.carrier_leg(NUMBER)
    await asyncio.to_thread(scene.pbx.engine.kill)
    await theirs.talk_on()
    await mine.hang_up()
    await scene.idle()
    await started(scene.pbx.engine)
    log = tmp_path / "messages.log"
    log.write_text(scene.office.exchange.log())
    post = Commands(tmp_path, database_url=running_office.database_url)
    for _ in range(2):  # each call once
        done = await asyncio.to_thread(post.run, "calls", "post", log)
        assert done.returncode == 0, done.stdout + done.stderr
    charges = await scene.charges()
    assert list(charges) == [ALICE]
    assert [charged(theirs, cdr) for cdr in charges[ALICE]] == [True]


async def test_an_engine_that_takes_over_in_the_middle_of_a_call_charges_it(
    scene: Scene, running_office: Running
) -> None:
    mine = await (await scene.phone(ALICE).call(NUMBER)).answered()
    theirs = await scene.carrier_leg(NUMBER)
    await running_office.take_over()
    await theirs.talk_on()
    await mine.hang_up()
    charges = await scene.charges()
    assert list(charges) == [ALICE]
    assert [charged(theirs, cdr) for cdr in charges[ALICE]] == [True]


async def test_an_exchange_that_was_killed_calls_again_and_its_call_holds_money_only_until_its_time_is_over(
    scene: Scene,
) -> None:
    mine = await (await scene.phone(ALICE).call(NUMBER)).answered()
    await scene.carrier_leg(NUMBER)
    await scene.office.exchange.kill()
    await mine.hang_up()
    await scene.office.exchange.start()
    assert len(await scene.pbx.open_calls(ALICE)) == 1
    bobs = await (await scene.phone(BOB).call(OTHER)).answered()
    theirs = await scene.carrier_leg(OTHER)
    await theirs.talk_on()
    await bobs.hang_up()
    await scene.pbx.expire_now(ALICE)
    charges = await scene.charges()
    assert [charged(theirs, cdr) for cdr in charges[BOB]] == [True]
    assert [(cdr["state"], cdr["cost"]) for cdr in charges[ALICE]] == [("expired", 0)]
    assert (await scene.pbx.money(ALICE))[1] == 0


@pytest_asyncio.fixture(loop_scope="session")
async def branch(asterisk_root: Path, running_office: Running) -> AsyncIterator[Office]:
    """A second exchange on the same engine."""
    office = Office(asterisk_root, running_office.pbx.engine.fastagi_port, name="branch")
    async with office.exchange, phones(*office.phones.values(), *office.carriers.values()):
        yield office


async def test_one_account_calls_on_two_exchanges_at_once(scene: Scene, branch: Office) -> None:
    away = Scene(scene.pbx, branch, scene.before)
    here_leg = await (await scene.phone(ALICE).call(NUMBER)).answered()
    there_leg = await (await away.phone(ALICE).call(OTHER)).answered()
    theirs, others = await scene.carrier_leg(NUMBER), await away.carrier_leg(OTHER)
    await here_leg.hears(scene.carrier())
    await there_leg.hears(away.carrier())
    await others.talk_on()
    await here_leg.hang_up()
    await there_leg.hang_up()
    await away.over()
    first, second = (await scene.charges())[ALICE]
    assert (first["exchange"], second["exchange"]) == ("office", "branch")
    assert charged(theirs, first)
    assert charged(others, second)


async def test_both_legs_of_a_callback_are_rated_and_end_together(scene: Scene) -> None:
    await scene.office.exchange.ami.action(
        "Originate", Channel=f"Local/{NUMBER}@callback", Context="callback", Exten=OTHER, Priority="1", Async="true"
    )
    first, second = await scene.carrier_leg(NUMBER), await scene.carrier_leg(OTHER)
    await first.hears(scene.carrier())
    await second.hears(scene.carrier())
    await second.talk_on()
    await first.hang_up()
    await second.ended()
    charges = await scene.charges()
    assert list(charges) == [ALICE]
    assert [charged(leg, cdr) for leg, cdr in zip((first, second), charges[ALICE], strict=True)] == [True, True]
