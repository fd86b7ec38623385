"""Forwards (302), ring groups and queues, with sound: nobody is cut off, and who forwards pays."""

from __future__ import annotations

import pytest

from tests.asterisk.phone import Leg
from tests.field.office import (
    ALICE,
    ANSWERS,
    BOB,
    CAROL,
    GROUP_OF_PHONES,
    GROUP_OF_TWO,
    NOBODY,
    OUTSIDE_MEMBERS,
    OWNER,
    QUEUE,
    QUEUE_N,
    QUEUE_OF_PHONES,
    RING_GROUP,
    RING_GROUP_N,
    Scene,
    charged,
)

pytestmark = [pytest.mark.asterisk, pytest.mark.asyncio(loop_scope="session")]
MOBILE = ANSWERS + "30"


def forwards(scene: Scene, login: str, number: str) -> None:
    """Let a phone forward every call."""

    async def forward(leg: Leg) -> None:
        await leg.refuse(302, number)

    scene.phone(login).on_call = forward


async def test_a_phone_that_forwards_a_colleagues_call_outside_pays_for_it(scene: Scene) -> None:
    forwards(scene, BOB, MOBILE)
    mine = await (await scene.phone(ALICE).call(BOB)).answered()
    theirs = await scene.carrier_leg(MOBILE)
    await mine.hears(scene.carrier())
    await theirs.hears(scene.phone(ALICE))
    await theirs.talk_on()
    await mine.hang_up()
    charges = await scene.charges()
    assert list(charges) == [BOB]
    assert [charged(theirs, cdr) for cdr in charges[BOB]] == [True]


async def test_a_phone_that_forwards_an_inbound_call_outside_pays_for_it(scene: Scene) -> None:
    forwards(scene, BOB, MOBILE)
    caller = await (await scene.carrier(2).call(BOB)).answered()
    theirs = await scene.carrier_leg(MOBILE)
    await caller.hears(scene.carrier())
    await theirs.hears(scene.carrier(2))
    await theirs.talk_on()
    await theirs.hang_up()
    charges = await scene.charges()
    assert list(charges) == [BOB]
    assert [charged(theirs, cdr) for cdr in charges[BOB]] == [True]


async def test_a_forward_to_a_colleague_costs_nobody_and_the_one_behind_it_pays_for_his(scene: Scene) -> None:
    forwards(scene, BOB, CAROL)
    forwards(scene, CAROL, MOBILE)
    mine = await (await scene.phone(ALICE).call(BOB)).answered()
    theirs = await scene.carrier_leg(MOBILE)
    await mine.hears(scene.carrier())
    await theirs.talk_on(0.7)
    await mine.hang_up()
    charges = await scene.charges()
    assert list(charges) == [CAROL]
    assert [charged(theirs, cdr) for cdr in charges[CAROL]] == [True]


async def test_what_a_phone_without_an_account_forwards_outside_is_refused_and_charged_to_nobody(
    scene: Scene,
) -> None:
    forwards(scene, NOBODY, MOBILE)
    mine = await (await scene.phone(ALICE).call(NOBODY)).ended()
    assert mine.answered_at is None
    assert await scene.charges() == {}
    assert scene.carrier().calls == []


@pytest.mark.parametrize("group", [RING_GROUP, RING_GROUP_N, QUEUE, QUEUE_N])
@pytest.mark.parametrize("inbound", [False, True], ids=["from inside", "from a trunk"])
async def test_a_ring_group_or_queue_with_a_number_outside(scene: Scene, group: str, inbound: bool) -> None:
    caller = scene.carrier(2) if inbound else scene.phone(ALICE)
    mine = await caller.call(group)
    theirs = await scene.carrier_leg(f"{ANSWERS}{OUTSIDE_MEMBERS[group]}0")
    await mine.answered()
    await mine.hears(scene.carrier())
    await theirs.hears(caller)
    await theirs.talk_on()
    assert theirs.ended_at is None
    await mine.hang_up()
    payer = OWNER if inbound else ALICE
    charges = await scene.charges()
    assert list(charges) == [payer]
    assert [charged(theirs, cdr) for cdr in charges[payer]] == [True]


async def test_of_two_numbers_outside_that_ring_together_only_the_one_that_answers_is_charged(scene: Scene) -> None:
    mine = await (await scene.phone(ALICE).call(GROUP_OF_TWO)).answered()
    theirs = await scene.carrier_leg(f"{ANSWERS}{GROUP_OF_TWO}0")
    await mine.hears(scene.carrier())
    await theirs.talk_on()
    await mine.hang_up()
    cdrs = (await scene.charges())[ALICE]
    assert [charged(theirs, cdr) for cdr in cdrs if cdr["cost"]] == [True]
    assert [cdr["state"] for cdr in cdrs if not cdr["cost"]] == ["voided"]


@pytest.mark.parametrize("group", [GROUP_OF_PHONES, QUEUE_OF_PHONES])
async def test_a_phone_of_a_ring_group_or_queue_that_forwards_outside_pays_for_it(scene: Scene, group: str) -> None:
    forwards(scene, BOB, MOBILE)
    mine = await (await scene.phone(ALICE).call(group)).answered()
    theirs = await scene.carrier_leg(MOBILE)
    await mine.hears(scene.carrier())
    await theirs.hears(scene.phone(ALICE))
    await theirs.talk_on(0.7)
    await mine.hang_up()
    charges = await scene.charges()
    assert list(charges) == [BOB]
    assert [charged(theirs, cdr) for cdr in charges[BOB]] == [True]
