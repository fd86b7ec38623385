"""The shipped dialplan as it comes, RATING_TECH=PJSIP: real SIP from a phone and to a carrier, over loopback."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from tests.asterisk.pbx import PRICE, until
from tests.asterisk.sip import GONE_FIRST, Sip

pytestmark = [pytest.mark.asterisk, pytest.mark.asyncio(loop_scope="session")]

TALKS_TWO_SECONDS = "4910000002"
TALKS_FOR_EVER = "4910000000"
RINGS = "4920000000"
FORWARDS = "4930000000"


async def test_a_sip_call_is_charged_to_the_account_code_of_its_endpoint(sip: Sip) -> None:
    call = await sip.dial("talker", TALKS_TWO_SECONDS)
    await call.ended()
    await until(sip.pbx.exchange.idle)
    cdr = await sip.only_cdr("talker")
    assert (cdr["state"], cdr["destination"], cdr["route_name"]) == ("settled", TALKS_TWO_SECONDS, "carrier")
    assert cdr["seconds"] >= 2
    assert await sip.pbx.money("talker") == (10 - PRICE * cdr["seconds"], 0)


async def test_a_sip_call_is_cut_when_the_money_ends(sip: Sip) -> None:
    call = await sip.dial("pauper", TALKS_FOR_EVER)
    await call.ended()
    await until(sip.pbx.exchange.idle)
    cdr = await sip.only_cdr("pauper")
    assert (cdr["seconds"], cdr["cost"], cdr["overrun"]) == (2, Decimal("0.02"), 0)


async def test_a_phone_that_cancels_pays_nothing(sip: Sip) -> None:
    call = await sip.dial("canceller", RINGS)
    await sip.pbx.exchange.ami.wait_event(
        lambda event: event.get("Event") == "Newexten" and event["AppData"].startswith(f"PJSIP/{RINGS}@carrier")
    )
    await call.hang_up()
    await call.ended()
    await until(sip.pbx.exchange.idle)
    cdr = await sip.only_cdr("canceller")
    assert (cdr["state"], cdr["disposition"]) == ("voided", "CANCEL")
    assert await sip.pbx.money("canceller") == (10, 0)


async def test_a_trunk_that_is_gone_fails_over_to_the_next(sip: Sip) -> None:
    call = await sip.dial("roamer", GONE_FIRST + "1")
    await call.ended()
    await until(sip.pbx.exchange.idle)
    first, second = await sip.pbx.cdrs("roamer")
    assert (first["state"], first["route_name"], first["disposition"]) == ("voided", "gone", "CHANUNAVAIL")
    assert (second["state"], second["route_name"], second["attempt"]) == ("settled", "carrier", 2)


@pytest.mark.parametrize(
    ("phone", "number", "answer"),
    [
        ("broke", TALKS_TWO_SECONDS, "SIP 403 Forbidden"),
        ("asker", "8112345678", "SIP 404 Not Found"),
        ("asker", "49123abc", "SIP 484 Address Incomplete"),
    ],
)
async def test_the_phone_is_told_why_by_sip(sip: Sip, phone: str, number: str, answer: str) -> None:
    call = await sip.dial(phone, number)
    await call.ended()
    assert call.value("SIP_ANSWER") == answer


async def test_without_an_engine_the_phone_is_told_503(sip: Sip) -> None:
    await asyncio.to_thread(sip.pbx.engine.kill)
    call = await sip.dial("orphan", TALKS_TWO_SECONDS)
    await call.ended()
    assert call.value("SIP_ANSWER") == "SIP 503 Service Unavailable"


async def test_a_carrier_that_answers_with_a_forwarding_is_not_followed(sip: Sip) -> None:
    call = await sip.dial("forwarded", FORWARDS)
    await call.ended()
    await until(sip.pbx.exchange.idle)
    cdr = await sip.only_cdr("forwarded")
    assert cdr["state"] == "voided"
    assert not any("4919999999" in event.get("Channel", "") for event in sip.pbx.exchange.ami.events)
