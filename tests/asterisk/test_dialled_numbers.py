"""What phones really dial: separators, brackets, marks, hidden numbers and 112, from the phone to the carrier."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.asterisk import pbx as numbers
from tests.asterisk.pbx import Pbx, until
from tests.asterisk.phone import Phone
from tests.asterisk.sip import Sip

pytestmark = [pytest.mark.asterisk, pytest.mark.asyncio(loop_scope="session")]
ANSWERED = numbers.ANSWERED + "1"


async def only_cdr(pbx: Pbx, login: str) -> Any:
    (cdr,) = await pbx.cdrs(login)
    return cdr


WRITTEN = {
    ANSWERED + "#": ANSWERED,
    "00" + ANSWERED: ANSWERED,
    "+" + ANSWERED: ANSWERED,
    "49 (1000)-00.1": ANSWERED,
    "0049(0)1 000-00 1": ANSWERED,
    "49 ( 0 ) 1000001": ANSWERED,
    "+49(0)100 (00)0-1#": ANSWERED,
}
JOINED = ("01,1001", "01&494", "01;ext=5", "01=2", "01p77", "01_2", "01(0)1", "01##", "01]")


async def test_marks_and_brackets_around_a_number_do_not_change_whom_it_calls(pbx: Pbx) -> None:
    logins = [await pbx.account("10") for _ in WRITTEN]
    calls = [await pbx.exchange.originate(*each) for each in zip(WRITTEN, logins, strict=True)]
    for call in calls:
        await call.ended()
    said = [call.apps("Dial")[0].partition(",")[0] for call in calls]
    assert said == [f"Local/{number}@answers/n" for number in WRITTEN.values()]
    assert [(await only_cdr(pbx, login))["destination"] for login in logins] == list(WRITTEN.values())


async def test_a_number_is_never_joined_to_what_stands_behind_a_separator(pbx: Pbx) -> None:
    alice = await pbx.account("10")
    for dialled in JOINED:
        call = await pbx.exchange.originate("491000" + dialled, alice)
        assert (dialled, (await call.ended())["Cause"]) == (dialled, "28")
        assert (call.value("RATING_REASON"), call.apps("Dial")) == ("invalid_destination", [])


@pytest.mark.parametrize(
    ("dialled", "answers"), [("%23", [100, 200]), ("%2C1001", [100, 484]), ("&494", [100, 484]), (";ext=1", [100, 484])]
)
async def test_a_number_is_read_the_same_out_of_a_sip_address(sip: Sip, dialled: str, answers: list[int]) -> None:
    async with Phone("tester", sip.exchange_port) as phone:
        leg = await phone.call(f"4970000003{dialled}")
        await until(lambda: asyncio.sleep(0, len(leg.answers) == len(answers)))
        await leg.hang_up()
    assert leg.answers == answers


async def test_an_emergency_call_needs_no_money_and_no_engine(pbx: Pbx) -> None:
    broke = await pbx.account("0")
    async with pbx.global_variable("RATING_EMERGENCY_TRUNKS", "full  answers"):
        calls = [
            await pbx.exchange.originate(dialled, broke) for dialled in ("112", "112#", "+112", "*31112", "#31#112")
        ]
        for call in calls:
            await call.ended()
    for call in calls:
        assert call.apps("AGI") == []
        trunks = [said.partition(",")[0] for said in call.apps("Dial")]
        assert trunks == ["Local/112@full", "Local/112@answers"]
        assert call.value("DIALSTATUS") == "ANSWER"
    assert await pbx.cdrs(broke) == []


async def test_an_emergency_call_without_a_trunk_is_tried_as_any_other_and_logged(pbx: Pbx) -> None:
    broke = await pbx.account("0")
    call = await pbx.exchange.originate("112", broke)
    assert (await call.ended())["Cause"] == "1"  # this tariff has no rate for it
    (line,) = [line for line in pbx.exchange.log().splitlines() if "no trunk of RATING_EMERGENCY_TRUNKS" in line]
    assert "EMERGENCY call of Local/112@phones-" in line


@pytest.mark.parametrize("dialled", ["*112", "112112", "11", "1120"])
async def test_what_only_looks_like_an_emergency_number_is_a_call_like_any_other(pbx: Pbx, dialled: str) -> None:
    broke = await pbx.account("0")
    async with pbx.global_variable("RATING_EMERGENCY_TRUNKS", "answers"):
        call = await pbx.exchange.originate(dialled, broke)
        await call.ended()
    assert call.apps("Dial") == []


async def seen_by_the_carrier(sip: Sip, phone: str, number: str) -> str:
    """The caller's number in the INVITE that the carrier got."""
    before = len(sip.world.ami.events)
    await sip.answered_with(phone, number)
    (seen,) = [
        event["Value"]
        for event in sip.world.ami.events[before:]
        if event.get("Event") == "VarSet" and event["Variable"] == "CARRIER_SAW"
    ]
    return seen


async def test_a_phones_name_with_digits_is_not_sent_as_another_number(sip: Sip) -> None:
    seen = await seen_by_the_carrier(sip, "p01", "4970000001")
    assert not any(character.isdigit() for character in seen)
    assert (await sip.only_cdr("p01"))["callerid"] == ""


async def test_a_number_dialled_after_a_hiding_prefix_is_called_without_showing_the_callers(sip: Sip) -> None:
    number = "4970000002"
    assert await seen_by_the_carrier(sip, "4930777", number) == "4930777"
    for prefix in ("*31", "*31#", "*67", "#31#"):
        assert (prefix, await seen_by_the_carrier(sip, "4930777", prefix + number)) == (prefix, "anonymous")
    cdrs = await sip.pbx.cdrs("4930777")
    assert [(cdr["destination"], cdr["callerid"]) for cdr in cdrs] == [(number, "4930777")] * 5


async def test_what_is_not_given_is_not_taken_from_the_subroutine_around(pbx: Pbx) -> None:
    alice = await pbx.account("0.01")
    call = await pbx.exchange.originate("555", alice)
    await call.ended()
    cdr = await only_cdr(pbx, alice)
    assert (cdr["destination"], cdr["callerid"], cdr["routing_number"]) == ("49100000", "", "")
    assert (cdr["route_name"], cdr["attempt"]) == ("answers", 1)


async def test_a_call_by_the_trunk_that_the_dialplan_chose_is_recorded_as_that(pbx: Pbx) -> None:
    alice = await pbx.account("10")
    number = numbers.FULL_THEN_ANSWERED + "1"
    call = await pbx.exchange.originate("6" + number, alice)
    await call.ended()
    await until(lambda: pbx.no_open_call(alice))
    assert (call.value("FIRST"), call.value("SECOND")) == ("CONGESTION 34", "DECLINED no_route")
    assert [cdr["route_name"] for cdr in await pbx.cdrs(alice)] == ["full", "answers-after-full"]
