"""What phones do in the scenarios of test_ari that transfer calls, and what must be charged of it."""

from __future__ import annotations

from tests.asterisk.ari_world import ANSWERS, BUSY_ELSEWHERE, ELSEWHERE, World, charges, fits
from tests.asterisk.pbx import until
from tests.asterisk.phone import Leg


async def the_two_are_left_and_charged(world: World, login: str, called: Leg, target: Leg) -> None:
    """Behind a transfer both legs of carriers talk to each other, and the phone that is out of it pays for both."""
    await target.hears(world.trunks["carrier"])
    await called.hears(world.trunks["elsewhere"])
    await target.talk_on(1.7)
    await called.hang_up()
    await target.ended()
    assert charges(await world.cdrs(login), called, target)


async def a_call_is_transferred_blind(world: World, login: str) -> None:
    leg = await (await world.caller(login).call(ANSWERS + "84")).answered()
    called = await world.called("carrier", ANSWERS + "84")
    await leg.talk(0.5)
    assert await leg.transfer(ELSEWHERE + "4") == 202
    target = await world.called("elsewhere", ELSEWHERE + "4")
    await leg.ended()
    assert [said.split()[1] for said in leg.said] == ["100", "200"]
    await the_two_are_left_and_charged(world, login, called, target)


async def a_phone_that_has_asked_for_a_transfer_may_leave(world: World, login: str) -> None:
    """As many phones do at the answer to their question: they don't wait for how it goes."""
    leg = await (await world.caller(login).call(ANSWERS + "89")).answered()
    called = await world.called("carrier", ANSWERS + "89")
    await leg.talk(0.5)
    assert await leg.transfer(ELSEWHERE + "9") == 202
    await leg.talk(0.1)
    await leg.hang_up()
    target = await world.called("elsewhere", ELSEWHERE + "9")
    await the_two_are_left_and_charged(world, login, called, target)


async def a_transfer_to_who_is_busy_moves_nothing(world: World, login: str) -> None:
    leg = await (await world.caller(login).call(ANSWERS + "85")).answered()
    called = await world.called("carrier", ANSWERS + "85")
    assert await leg.transfer(BUSY_ELSEWHERE + "5") == 202

    async def is_told() -> bool:
        return any(said.startswith(("SIP/2.0 4", "SIP/2.0 5")) for said in leg.said)

    await until(is_told)
    await leg.hears(world.trunks["carrier"])
    await leg.hang_up()
    await called.ended()
    cdrs = {cdr["destination"]: cdr["seconds"] for cdr in await world.cdrs(login)}
    assert cdrs.keys() == {called.number, BUSY_ELSEWHERE + "5"}
    assert fits(called, cdrs[called.number])
    assert cdrs[BUSY_ELSEWHERE + "5"] == 0


async def two_calls_are_connected_by_their_phone(world: World, login: str) -> None:
    one = await (await world.caller(login).call(ANSWERS + "86")).answered()
    called = await world.called("carrier", ANSWERS + "86")
    two = await (await world.caller(login).call(ELSEWHERE + "6")).answered()
    other = await world.called("elsewhere", ELSEWHERE + "6")
    await two.talk(0.5)
    assert await one.transfer_to(two) == 202
    await one.ended()
    await two.ended()
    await other.hears(world.trunks["carrier"])
    await called.hears(world.trunks["elsewhere"])
    await other.talk_on(1.7)
    await other.hang_up()
    await called.ended()
    assert charges(await world.cdrs(login), called, other)
