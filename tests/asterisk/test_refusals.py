"""What a phone is told when the engine refuses its call: by SIP, and in words where the operator has some."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from agi.fastagi.client import agi_call
from tests.asterisk.pbx import Pbx, until
from tests.asterisk.phone import Phone
from tests.asterisk.sip import SAYS, Sip
from tests.asterisk.tones import write_tone
from tests.unit.agi.test_refusals import SIP, causes

pytestmark = [pytest.mark.asterisk, pytest.mark.asyncio(loop_scope="session")]
NUMBER = "4910000001"
BROKE = "broke"  # a phone whose account has nothing


async def test_each_hangup_cause_of_a_refusal_is_the_answer_that_the_table_says(sip: Sip) -> None:
    """The table of the page and of the unit tests is that of a real Asterisk."""
    told = {}
    for cause in set(causes().values()):
        async with sip.pbx.global_variable("RATING_CAUSE_insufficient_funds", str(cause)):
            told[cause] = await sip.answered_with(BROKE, NUMBER)
    assert {cause: int(answer.split()[1]) for cause, answer in told.items()} == SIP


async def test_a_caller_who_is_not_answered_hears_the_announcement_of_the_reason(sip: Sip) -> None:
    write_tone(sip.pbx.exchange.spool / "no-money.wav", 440, 0.4)
    sound = str(sip.pbx.exchange.spool_inside / "no-money")
    async with (
        sip.pbx.global_variable("RATING_ANNOUNCE_insufficient_funds", sound),
        Phone(BROKE, sip.exchange_port) as phone,
    ):
        leg = await phone.call(NUMBER)
        await until(lambda: asyncio.sleep(0, leg.answers[-1:] == [403]))
    assert leg.answers == [100, 183, 403]  # sound, and no answer
    assert sum(leg.sound.heard.values()) >= 10  # packets of 20 ms


async def test_other_reasons_have_the_general_announcement_or_none(sip: Sip) -> None:
    write_tone(sip.pbx.exchange.spool / "sorry.wav", 440, 0.1)
    sound = str(sip.pbx.exchange.spool_inside / "sorry")
    async with sip.pbx.global_variable("RATING_ANNOUNCE", sound):
        call = await sip.dial("asker", "8112345678")
        await call.ended()
    assert call.value("HEARD_EARLY") != ""
    silent = await sip.dial("asker", "8112345678")
    await silent.ended()
    assert silent.value("HEARD_EARLY") == ""
    assert (call.value("SIP_ANSWER"), silent.value("SIP_ANSWER")) == ("SIP 404 Not Found",) * 2


async def test_an_announcement_is_heard_through_a_leg_of_its_own(sip: Sip) -> None:
    write_tone(sip.pbx.exchange.spool / "own.wav", 440, 0.1)
    sound = str(sip.pbx.exchange.spool_inside / "own")
    async with (
        sip.pbx.global_variable("RATING_ANNOUNCE", sound),
        sip.pbx.global_variable("RATING_OWN_LEG", "yes"),
    ):
        call = await sip.dial(BROKE, NUMBER)
        await call.ended()
    await until(sip.pbx.exchange.idle)
    assert call.value("HEARD_EARLY") != ""
    assert call.value("SIP_ANSWER") == "SIP 403 Forbidden"


async def test_a_caller_hears_before_it_rings_that_the_balance_is_low(sip: Sip) -> None:
    """By which own leg or none: the number is busy at once, so that the carrier plays nothing. What its user has chosen
    counts before what the exchange has."""
    busy = f"{SAYS}017"
    write_tone(sip.pbx.exchange.spool / "low.wav", 440, 0.1)
    sound = str(sip.pbx.exchange.spool_inside / "low")
    heard = []
    for below, leg, chosen in (("NULL", "no", sound), ("1000000", "no", ""), ("1000000", "yes", sound)):
        await sip.pbx.database.fetch(
            f"UPDATE subscribers SET warn_below = {below}, warn_sound = '{chosen}' WHERE login = 'asker'"
        )
        async with (
            sip.pbx.global_variable("RATING_LOW_BALANCE_SOUND", "" if chosen else sound),
            sip.pbx.global_variable("RATING_OWN_LEG", leg),
        ):
            call = await sip.dial("asker", busy)
            await call.ended()
        await until(sip.pbx.exchange.idle)
        heard.append((call.value("HEARD_EARLY") != "", call.value("SIP_ANSWER")))
    await sip.pbx.database.fetch("UPDATE subscribers SET warn_below = NULL, warn_sound = '' WHERE login = 'asker'")
    assert heard == [(False, "SIP 486 Busy Here"), (True, "SIP 486 Busy Here"), (True, "SIP 486 Busy Here")]


def logged(pbx: Pbx, login: str) -> list[dict[str, Any]]:
    """What the engine's log says of a login."""
    lines = pbx.engine.log.read_text().splitlines()
    events = [json.loads(line) for line in lines if line.startswith("{")]
    return [event for event in events if event.get("login") == login]


async def test_the_engines_log_of_a_refused_call_names_number_and_channel(pbx: Pbx) -> None:
    broke = await pbx.account("0")
    call = await pbx.exchange.originate(NUMBER, broke)
    await call.ended()
    await until(lambda: asyncio.sleep(0, bool(logged(pbx, broke))))
    (said,) = logged(pbx, broke)
    assert (said["reason"], said["number"]) == ("insufficient_funds", NUMBER)
    assert said["channel"].startswith(f"Local/{NUMBER}@phones-")


async def test_the_engines_log_of_a_request_it_cannot_read_names_number_and_channel(pbx: Pbx) -> None:
    asked = ["somebody", NUMBER, "", "1000"]
    at = ("127.0.0.1", pbx.engine.fastagi_port)
    answer = await agi_call(*at, "callPrepare", asked, uniqueid="unreadable")
    assert answer["RATING_REASON"] == "bad_request"
    await until(lambda: asyncio.sleep(0, bool(logged(pbx, "somebody"))))
    (said,) = logged(pbx, "somebody")
    assert (said["reason"], said["number"], said["field"]) == ("bad_request", NUMBER, "prior")
    assert said["channel"]
