"""Ordinary calls by SIP with sound, each charge against the carrier's trace."""

from __future__ import annotations

import pytest

from tests.asterisk.phone import Leg
from tests.field.office import (
    ALICE,
    ANSWERS,
    BUSY,
    CARRIERS,
    EARLY,
    POOR,
    RINGS,
    SHORT,
    UNAVAILABLE_FIRST,
    Scene,
    charged,
    charged_for,
)

pytestmark = [pytest.mark.asterisk, pytest.mark.asyncio(loop_scope="session")]


async def the_only_charge(scene: Scene, login: str, theirs: Leg) -> bool:
    """Whether this account alone was charged, once, exactly by the carrier's trace."""
    charges = await scene.charges()
    return list(charges) == [login] and [charged(theirs, cdr) for cdr in charges[login]] == [True]


async def test_a_call_that_the_caller_ends(scene: Scene) -> None:
    mine = await (await scene.phone(ALICE).call(ANSWERS + "10")).answered()
    theirs = await scene.carrier_leg(ANSWERS + "10")
    await mine.hears(scene.carrier())
    await theirs.hears(scene.phone(ALICE))
    await theirs.talk_on()
    await mine.hang_up()
    assert await the_only_charge(scene, ALICE, theirs)
    assert theirs.caller == ALICE


async def test_a_call_that_the_called_party_ends(scene: Scene) -> None:
    mine = await scene.phone(ALICE).call(ANSWERS + "12")
    theirs = await scene.carrier_leg(ANSWERS + "12")
    await mine.ended()
    assert not mine.ended_by_us
    assert await the_only_charge(scene, ALICE, theirs)
    assert theirs.talked >= 2


@pytest.mark.parametrize("login", [POOR, SHORT], ids=["money", "limit"])
async def test_a_call_that_is_cut_is_charged_to_the_second(scene: Scene, login: str) -> None:
    """Both are cut after 2 s: the one has no more money, the other may not call longer."""
    mine = await scene.phone(login).call(ANSWERS + "10")
    theirs = await scene.carrier_leg(ANSWERS + "10")
    await mine.ended()
    await theirs.ended()
    assert not theirs.ended_by_us
    charges = await scene.charges()
    assert list(charges) == [login]
    assert [(cdr["seconds"], cdr["overrun"]) for cdr in charges[login]] == [(2, 0)]
    assert charged_for(theirs.talked) >= 2


async def test_a_busy_number_costs_nothing_and_is_not_rung_again(scene: Scene) -> None:
    mine = await (await scene.phone(ALICE).call(BUSY + "10")).ended()
    assert mine.answers[-1] == 486
    charges = await scene.charges()
    assert [(cdr["state"], cdr["cost"], cdr["cause"]) for cdr in charges[ALICE]] == [("voided", 0, 17)]
    assert scene.carrier(2).calls == []


async def test_a_carrier_without_a_line_is_passed_over_and_the_next_one_charged(scene: Scene) -> None:
    mine = await (await scene.phone(ALICE).call(UNAVAILABLE_FIRST + "10")).answered()
    theirs = await scene.carrier_leg(UNAVAILABLE_FIRST + "10", carrier=2)
    await theirs.talk_on()
    await mine.hang_up()
    first, second = (await scene.charges())[ALICE]
    assert (first["state"], first["cost"], first["route_name"]) == ("voided", 0, CARRIERS[0])
    assert charged(theirs, second)
    assert second["route_name"] == CARRIERS[1]


async def test_sound_before_the_answer_is_heard_and_not_charged(scene: Scene) -> None:
    mine = await scene.phone(ALICE).call(EARLY + "10")
    await mine.hears(scene.carrier())
    assert mine.answered_at is None
    await mine.answered()
    theirs = await scene.carrier_leg(EARLY + "10")
    await theirs.talk_on()
    await mine.hang_up()
    assert await the_only_charge(scene, ALICE, theirs)


async def test_the_charge_goes_on_while_the_call_is_held(scene: Scene) -> None:
    mine = await (await scene.phone(ALICE).call(ANSWERS + "10")).answered()
    theirs = await scene.carrier_leg(ANSWERS + "10")
    await mine.hears(scene.carrier())
    await mine.hold()
    await mine.talk(1.2)
    await mine.resume()
    await theirs.hears(scene.phone(ALICE))
    await theirs.talk_on()
    await mine.hang_up()
    assert await the_only_charge(scene, ALICE, theirs)


async def test_a_caller_who_gives_up_while_it_rings_pays_nothing(scene: Scene) -> None:
    mine = await (await scene.phone(ALICE).call(RINGS + "10")).rings()
    await mine.hang_up()
    await mine.ended()
    charges = await scene.charges()
    assert [(cdr["state"], cdr["cost"], cdr["disposition"]) for cdr in charges[ALICE]] == [("voided", 0, "CANCEL")]


async def test_keys_reach_the_called_party(scene: Scene) -> None:
    mine = await (await scene.phone(ALICE).call(ANSWERS + "10")).answered()
    theirs = await scene.carrier_leg(ANSWERS + "10")
    await mine.press("12*0#")
    await theirs.hears_keys("12*0#")
    await theirs.talk_on(0.7)
    await mine.hang_up()
    assert await the_only_charge(scene, ALICE, theirs)
