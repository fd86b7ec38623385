"""Which failures another trunk may mend: those that are the trunk's fault, not the number's and not the person's."""

from __future__ import annotations

import pytest

from tests.asterisk.pbx import until
from tests.asterisk.sip import RINGS_AND_SAYS, SAYS, SILENT_FIRST, WATCHED_FIRST, Sip

pytestmark = [pytest.mark.asterisk, pytest.mark.asyncio(loop_scope="session")]
PHONE = "tester"


async def routes_taken(sip: Sip, number: str) -> list[str]:
    """The routes that a call to this number was given, in order."""
    found = [cdr for cdr in await sip.pbx.cdrs(PHONE) if cdr["destination"] == number]
    assert all(cdr["state"] == ("settled" if cdr["route_name"] == "second" else "voided") for cdr in found)
    return [cdr["route_name"] for cdr in found]


@pytest.mark.parametrize(
    ("number", "answer"),
    [
        (SAYS + "001", "SIP 404 Not Found"),
        (SAYS + "017", "SIP 486 Busy"),
        (SAYS + "022", "SIP 410 Gone"),
        (SAYS + "028", "SIP 484 Address Incomplete"),
        (SAYS + "031", "SIP 480 Temporarily Unavailable"),
        (SAYS + "000", ("SIP 403 Forbidden", "SIP 603 Decline")),  # said 603; newer Asterisks tell a rejected call
        (RINGS_AND_SAYS + "018", "SIP 408"),  # nobody took it, in a proxy's words
        (RINGS_AND_SAYS + "017", "SIP 486"),
    ],
)
async def test_what_is_the_numbers_or_the_persons_fault_is_not_tried_again(
    sip: Sip, number: str, answer: str | tuple[str, ...]
) -> None:
    said = await sip.answered_with(PHONE, number)
    assert await routes_taken(sip, number) == ["first"]
    assert said.startswith(answer)


@pytest.mark.parametrize(
    "number",
    [
        SAYS + "021",  # 403: the carrier won't have our calls
        SAYS + "034",  # 503
        SAYS + "038",  # 500
        SAYS + "027",  # 502
        SAYS + "018",  # 408 at once: nobody behind the carrier's proxy
        SAYS + "058",  # 488: no common codec
        RINGS_AND_SAYS + "034",
    ],
)
async def test_what_is_the_trunks_fault_is_tried_by_the_next_one(sip: Sip, number: str) -> None:
    await sip.answered_with(PHONE, number)
    assert await routes_taken(sip, number) == ["first", "second"]


async def test_a_silent_trunk_is_given_up_for_the_next_one(sip: Sip) -> None:
    async with sip.pbx.global_variable("RATING_RING_SECONDS", "1"):
        await sip.answered_with(PHONE, SILENT_FIRST + "1")
    assert await routes_taken(sip, SILENT_FIRST + "1") == ["silent", "second"]


async def test_a_silent_trunk_that_is_watched_is_passed_over_without_a_word(sip: Sip) -> None:
    async def is_known_to_be_away() -> bool:
        return "Unavail" in await sip.pbx.exchange.cli("pjsip show contacts")

    await until(is_known_to_be_away)
    await sip.answered_with(PHONE, WATCHED_FIRST + "1")
    assert await routes_taken(sip, WATCHED_FIRST + "1") == ["watched", "second"]
    passed_over = next(cdr for cdr in await sip.pbx.cdrs(PHONE) if cdr["route_name"] == "watched")
    assert passed_over["disposition"] == "CHANUNAVAIL"  # not NOANSWER, after RATING_RING_SECONDS


async def test_a_setting_says_that_busy_means_a_full_trunk(sip: Sip) -> None:
    number = SAYS + "0171"
    async with sip.pbx.global_variable("RATING_FINAL", "404 1"):
        await sip.answered_with(PHONE, number)
    assert await routes_taken(sip, number) == ["first", "second"]


async def test_a_setting_says_that_no_trunk_is_tried_after_another(sip: Sip) -> None:
    number = SAYS + "0341"
    async with sip.pbx.global_variable("RATING_FAILOVER", ""):
        said = await sip.answered_with(PHONE, number)
    assert await routes_taken(sip, number) == ["first"]
    assert said == "SIP 503 Service Unavailable"
    await until(sip.pbx.exchange.idle)
