"""Transfers by SIP and by keys, by either side: nobody is cut off, and who transfers pays."""

from __future__ import annotations

import pytest

from tests.asterisk.phone import Leg
from tests.field.office import ALICE, ANSWERS, BOB, CAROL, NOBODY, PARK, RINGS_A_SECOND, Scene, charged

pytestmark = [pytest.mark.asterisk, pytest.mark.asyncio(loop_scope="session")]
FIRST, SECOND = ANSWERS + "10", ANSWERS + "20"


async def rated_call(scene: Scene, login: str, number: str = FIRST) -> tuple[Leg, Leg]:
    """A phone talks to somebody outside: its leg and the carrier's."""
    mine = await (await scene.phone(login).call(number)).answered()
    theirs = await scene.carrier_leg(number)
    await mine.hears(scene.carrier())
    return mine, theirs


async def inbound_call(scene: Scene, login: str) -> tuple[Leg, Leg]:
    """Somebody outside talks to a phone: the carrier's leg and the phone's."""
    theirs = await (await scene.carrier().call(login)).answered()
    mine = await scene.phone(login).next_call()
    await mine.hears(scene.carrier())
    return theirs, mine


async def test_a_rated_call_transferred_blind_to_a_colleague_is_charged_to_who_dialled_it_until_it_ends(
    scene: Scene,
) -> None:
    mine, theirs = await rated_call(scene, ALICE)
    assert await mine.transfer(BOB) == 202
    await mine.ended()
    bobs = await scene.phone(BOB).next_call()
    assert bobs.caller == FIRST  # not the extension s
    await bobs.hears(scene.carrier())
    await theirs.hears(scene.phone(BOB))
    await theirs.talk_on()
    await bobs.hang_up()
    charges = await scene.charges()
    assert list(charges) == [ALICE]
    assert [charged(theirs, cdr) for cdr in charges[ALICE]] == [True]


async def test_a_rated_call_transferred_blind_outside_is_two_calls_of_who_transferred(scene: Scene) -> None:
    mine, theirs = await rated_call(scene, ALICE)
    assert await mine.transfer(SECOND) == 202
    await mine.ended()
    second = await scene.carrier_leg(SECOND)
    await second.talk_on()
    assert theirs.ended_at is None
    await second.hang_up()
    charges = await scene.charges()
    assert list(charges) == [ALICE]
    assert [charged(leg, cdr) for leg, cdr in zip((theirs, second), charges[ALICE], strict=True)] == [True, True]


async def test_a_rated_call_transferred_after_a_word_with_the_colleague(scene: Scene) -> None:
    mine, theirs = await rated_call(scene, ALICE)
    await mine.hold()
    consulting = await (await scene.phone(ALICE).call(BOB)).answered()
    bobs = await scene.phone(BOB).next_call()
    assert await mine.transfer_to(consulting) == 202
    await bobs.hears(scene.carrier())
    await theirs.hears(scene.phone(BOB))
    await theirs.talk_on(0.7)
    await theirs.hang_up()
    charges = await scene.charges()
    assert list(charges) == [ALICE]
    assert [charged(theirs, cdr) for cdr in charges[ALICE]] == [True]


async def test_two_rated_calls_of_a_phone_connected_to_each_other_are_both_charged_until_they_end(
    scene: Scene,
) -> None:
    mine, theirs = await rated_call(scene, ALICE)
    await mine.hold()
    consulting, second = await rated_call(scene, ALICE, SECOND)
    assert await mine.transfer_to(consulting) == 202
    await mine.ended()
    await second.talk_on()
    assert theirs.ended_at is None
    await theirs.hang_up()
    charges = await scene.charges()
    assert list(charges) == [ALICE]
    assert [charged(leg, cdr) for leg, cdr in zip((theirs, second), charges[ALICE], strict=True)] == [True, True]


async def test_an_inbound_call_that_a_phone_transfers_outside_is_paid_by_the_phone(scene: Scene) -> None:
    theirs, mine = await inbound_call(scene, BOB)
    assert await mine.transfer(SECOND) == 202
    await mine.ended()
    second = await scene.carrier_leg(SECOND)
    await second.talk_on()
    assert theirs.ended_at is None
    await theirs.hang_up()
    charges = await scene.charges()
    assert list(charges) == [BOB]
    assert [charged(second, cdr) for cdr in charges[BOB]] == [True]


async def test_an_inbound_call_transferred_outside_after_a_word_is_paid_by_the_phone(scene: Scene) -> None:
    theirs, mine = await inbound_call(scene, BOB)
    await mine.hold()
    consulting, second = await rated_call(scene, BOB, SECOND)
    assert await mine.transfer_to(consulting) == 202
    await mine.ended()
    await second.talk_on()
    assert theirs.ended_at is None
    await theirs.hang_up()
    charges = await scene.charges()
    assert list(charges) == [BOB]
    assert [charged(second, cdr) for cdr in charges[BOB]] == [True]


async def inbound_call_transferred_while_it_rings(scene: Scene) -> tuple[Leg, Leg]:
    """Somebody outside is sent by a phone to a number outside that still rings: his leg, and the one that answers."""
    theirs, mine = await inbound_call(scene, BOB)
    await mine.hold()
    consulting = await (await scene.phone(BOB).call(RINGS_A_SECOND + "10")).rings()
    assert await mine.transfer_to(consulting) == 202
    second = await scene.carrier_leg(RINGS_A_SECOND + "10")
    await mine.ended()
    return theirs, second


async def test_an_inbound_call_transferred_outside_while_it_still_rings_there_is_paid_by_the_phone(
    scene: Scene,
) -> None:
    theirs, second = await inbound_call_transferred_while_it_rings(scene)
    await second.talk_on()
    assert theirs.ended_at is None
    await second.hang_up()
    await theirs.ended()
    charges = await scene.charges()
    assert list(charges) == [BOB]
    assert [charged(second, cdr) for cdr in charges[BOB]] == [True]


async def test_without_legs_of_their_own_such_a_call_is_not_free_but_cut_when_it_is_answered(scene: Scene) -> None:
    async with scene.pbx.global_variable("RATING_OWN_LEG", "no"):
        theirs, second = await inbound_call_transferred_while_it_rings(scene)
        await second.ended()
        await theirs.ended()
    assert not second.ended_by_us
    assert "Set RATING_OWN_LEG=yes" in scene.office.exchange.log()
    assert list(await scene.charges()) == [BOB]


async def test_a_colleague_who_is_called_and_transfers_the_caller_outside_pays(scene: Scene) -> None:
    mine = await (await scene.phone(ALICE).call(BOB)).answered()
    bobs = await scene.phone(BOB).next_call()
    await mine.hears(scene.phone(BOB))
    assert await bobs.transfer(FIRST) == 202
    theirs = await scene.carrier_leg(FIRST)
    await mine.hears(scene.carrier())
    await theirs.talk_on(0.7)
    await mine.hang_up()
    charges = await scene.charges()
    assert list(charges) == [BOB]
    assert [charged(theirs, cdr) for cdr in charges[BOB]] == [True]


async def test_a_phone_that_transfers_the_colleague_it_called_outside_pays(scene: Scene) -> None:
    mine = await (await scene.phone(ALICE).call(BOB)).answered()
    bobs = await scene.phone(BOB).next_call()
    await mine.hears(scene.phone(BOB))  # connected: a REFER before that finds no bridge
    assert await mine.transfer(FIRST) == 202
    theirs = await scene.carrier_leg(FIRST)
    await bobs.hears(scene.carrier())
    await theirs.talk_on(0.7)
    await bobs.hang_up()
    charges = await scene.charges()
    assert list(charges) == [ALICE]
    assert [charged(theirs, cdr) for cdr in charges[ALICE]] == [True]


async def test_what_a_phone_without_an_account_transfers_outside_is_refused_and_charged_to_nobody(
    scene: Scene,
) -> None:
    mine = await (await scene.phone(ALICE).call(NOBODY)).answered()
    theirs = await scene.phone(NOBODY).next_call()
    await mine.hears(scene.phone(NOBODY))
    assert await theirs.transfer(FIRST) == 202
    await mine.ended()
    assert await scene.charges() == {}
    assert scene.carrier().calls == []
    assert f"nobody pays for {FIRST}: PJSIP/{NOBODY}-" in scene.office.exchange.log()


async def test_a_trunk_that_transfers_the_caller_ends_his_charge_and_starts_no_other(scene: Scene) -> None:
    mine, theirs = await rated_call(scene, ALICE)
    assert await theirs.transfer("8" + SECOND) == 202
    await mine.ended()
    charges = await scene.charges()
    assert list(charges) == [ALICE]
    assert [charged(theirs, cdr) for cdr in charges[ALICE]] == [True]
    assert len(scene.carrier().calls) == 1


@pytest.mark.parametrize("how", ["blind", "after a word"])
async def test_a_transfer_by_keys_keeps_both_sides_and_the_charge(scene: Scene, how: str) -> None:
    async with scene.pbx.global_variable("RATING_DIAL_OPTIONS", "Tt"):
        mine, theirs = await rated_call(scene, ALICE)
        await mine.press({"blind": "##", "after a word": "*2"}[how] + BOB)
        bobs = await scene.phone(BOB).next_call()
        if how == "after a word":
            await mine.hears(scene.phone(BOB))
            await mine.hang_up()
        await bobs.hears(scene.carrier())
        await theirs.hears(scene.phone(BOB))
        await theirs.talk_on()
        await bobs.hang_up()
    charges = await scene.charges()
    assert list(charges) == [ALICE]
    assert [charged(theirs, cdr) for cdr in charges[ALICE]] == [True]


async def test_an_inbound_call_transferred_outside_by_keys_is_paid_by_the_phone(scene: Scene) -> None:
    async with scene.pbx.global_variable("KEYS", "t"):
        theirs, mine = await inbound_call(scene, BOB)
        await mine.press("*2" + SECOND)
        second = await scene.carrier_leg(SECOND)
        await mine.hears(scene.carrier())
        await mine.hang_up()
    await second.talk_on()
    assert theirs.ended_at is None
    await second.hang_up()
    charges = await scene.charges()
    assert list(charges) == [BOB]
    assert [charged(second, cdr) for cdr in charges[BOB]] == [True]


async def test_a_parked_rated_call_is_charged_to_who_dialled_it_until_it_ends(scene: Scene) -> None:
    mine, theirs = await rated_call(scene, ALICE)
    assert await mine.transfer(PARK) == 202
    await mine.ended()
    bobs = await (await scene.phone(BOB).call("701")).answered()
    await bobs.hears(scene.carrier())
    await theirs.talk_on(0.7)
    await bobs.hang_up()
    charges = await scene.charges()
    assert list(charges) == [ALICE]
    assert [charged(theirs, cdr) for cdr in charges[ALICE]] == [True]


async def test_without_legs_of_their_own_a_transferred_rated_call_ends_and_an_inbound_one_goes_on(
    scene: Scene,
) -> None:
    async with scene.pbx.global_variable("RATING_OWN_LEG", "no"):
        mine, theirs = await rated_call(scene, ALICE)
        assert await mine.transfer(BOB) == 202
        await theirs.ended()
        caller, called = await inbound_call(scene, CAROL)
        assert await called.transfer(SECOND) == 202
        second = await scene.carrier_leg(SECOND)
        await second.talk_on()
        assert caller.ended_at is None
        await caller.hang_up()
    charges = await scene.charges()
    assert list(charges) == [ALICE, CAROL]
    assert [charged(theirs, cdr) for cdr in charges[ALICE]] == [True]
    assert [charged(second, cdr) for cdr in charges[CAROL]] == [True]


async def test_without_legs_of_their_own_a_transfer_after_a_word_ends_the_rated_call(scene: Scene) -> None:
    """So the file says: for callers who never transfer."""
    async with scene.pbx.global_variable("RATING_OWN_LEG", "no"):
        theirs, mine = await inbound_call(scene, BOB)
        await mine.hold()
        consulting, second = await rated_call(scene, BOB, SECOND)
        assert await mine.transfer_to(consulting) == 202
        await second.ended()
        await theirs.ended()
    charges = await scene.charges()
    assert list(charges) == [BOB]
    assert [charged(second, cdr) for cdr in charges[BOB]] == [True]
