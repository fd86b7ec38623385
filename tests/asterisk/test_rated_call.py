"""config/asterisk/extensions.conf as shipped, on a real Asterisk, against the real engine: the ways a call can go."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.asterisk import pbx as numbers
from tests.asterisk.pbx import PRICE, Pbx, charged_seconds

pytestmark = [pytest.mark.asterisk, pytest.mark.asyncio(loop_scope="session")]


async def test_a_call_is_cut_when_the_money_ends(pbx: Pbx) -> None:
    alice = await pbx.account("0.03")
    call = await pbx.exchange.originate(numbers.ANSWERED + "0", alice)
    await call.ended()
    (dialled,) = call.apps("Dial")
    assert "L(3000)" in dialled
    (cdr,) = await pbx.cdrs(alice)
    assert (cdr["state"], cdr["seconds"], cdr["cost"], cdr["overrun"]) == ("settled", 3, Decimal("0.03"), 0)
    assert await pbx.money(alice) == (0, 0)


async def test_an_answered_call_is_charged_exactly_for_the_time_it_was_answered(pbx: Pbx) -> None:
    alice = await pbx.account("10")
    call = await pbx.exchange.originate(numbers.ANSWERED + "3", alice, callerid="4930111")
    await call.ended()
    assert int(call.value("RATING_MS")) >= 3000
    (cdr,) = await pbx.cdrs(alice)
    assert cdr["seconds"] == charged_seconds(call.value("RATING_MS"))
    assert cdr["cost"] == PRICE * cdr["seconds"]
    assert (cdr["disposition"], cdr["cause"], cdr["destination"]) == ("ANSWER", 16, numbers.ANSWERED + "3")
    assert (cdr["callerid"], cdr["route_name"], cdr["attempt"]) == ("4930111", "answers", 1)
    assert await pbx.money(alice) == (10 - cdr["cost"], 0)


async def test_the_charge_is_told_to_the_channel_that_is_already_hung_up(pbx: Pbx) -> None:
    alice = await pbx.account("10")
    call = await pbx.exchange.originate(numbers.ANSWERED + "1", alice)
    await call.ended()
    (cdr,) = await pbx.cdrs(alice)
    assert (call.value("RATING_STATUS"), call.value("RATING_CURRENCY")) == ("SAVED", "EUR")
    assert Decimal(call.value("RATING_COST")) == cdr["cost"] == PRICE * int(call.value("RATING_BILLED_SECONDS"))


async def test_a_caller_who_hangs_up_is_charged_for_what_was_talked(pbx: Pbx) -> None:
    alice = await pbx.account("10")
    call = await pbx.exchange.originate(numbers.ANSWERED + "0", alice)
    await call.answered()
    await call.hang_up()
    await call.ended()
    (cdr,) = await pbx.cdrs(alice)
    assert cdr["seconds"] == charged_seconds(call.value("RATING_MS"))
    assert await pbx.money(alice) == (10 - PRICE * cdr["seconds"], 0)


async def test_a_caller_without_money_gets_no_call_and_cause_21(pbx: Pbx) -> None:
    alice = await pbx.account("0")
    call = await pbx.exchange.originate(numbers.ANSWERED + "1", alice)
    assert (await call.ended())["Cause"] == "21"
    assert call.apps("Dial") == []
    assert (call.value("RATING_STATUS"), call.value("RATING_REASON")) == ("DECLINED", "insufficient_funds")
    assert await pbx.cdrs(alice) == []


@pytest.mark.parametrize(
    ("login", "number", "reason", "cause"),
    [
        ("nobody", numbers.ANSWERED + "1", "unknown_login", "21"),
        ("", "81123456", "no_rate", "1"),
        ("", "49123abc", "invalid_destination", "28"),
        ("", "4977123456", "no_route", "34"),
    ],
)
async def test_a_refused_call_ends_with_the_cause_of_its_reason(
    pbx: Pbx, login: str, number: str, reason: str, cause: str
) -> None:
    alice = await pbx.account("10")
    call = await pbx.exchange.originate(number, login or alice, context="rating-outbound")
    assert (await call.ended())["Cause"] == cause
    assert call.value("RATING_REASON") == reason
    assert call.apps("Dial") == []
    assert await pbx.open_calls(alice) == []


async def test_a_caller_who_hangs_up_while_it_rings_pays_nothing(pbx: Pbx) -> None:
    alice = await pbx.account("10")
    call = await pbx.exchange.originate(numbers.RINGS, alice)
    await call.reached(lambda event: event.get("Application") == "Dial")
    assert len(await pbx.open_calls(alice)) == 1
    await call.hang_up()
    await call.ended()
    (cdr,) = await pbx.cdrs(alice)
    assert (cdr["state"], cdr["seconds"], cdr["cost"], cdr["disposition"]) == ("voided", 0, 0, "CANCEL")
    assert await pbx.money(alice) == (10, 0)


async def test_a_call_nobody_takes_costs_nothing_and_tries_no_other_route(pbx: Pbx) -> None:
    alice = await pbx.account("10")
    call = await pbx.exchange.originate(numbers.RINGS, alice)
    assert (await call.ended())["Cause"] == "19"
    (cdr,) = await pbx.cdrs(alice)
    assert (cdr["state"], cdr["disposition"]) == ("voided", "NOANSWER")
    assert await pbx.money(alice) == (10, 0)


async def test_a_full_route_is_finished_before_the_next_is_asked_for(pbx: Pbx) -> None:
    alice = await pbx.account("0.01")  # the second route needs the money the first one held
    call = await pbx.exchange.originate(numbers.FULL_THEN_ANSWERED + "1", alice)
    await call.ended()
    first, second = await pbx.cdrs(alice)
    assert (first["attempt"], first["state"], first["route_name"]) == (1, "voided", "full")
    assert (first["disposition"], first["cause"]) == ("CONGESTION", 34)
    assert (second["attempt"], second["state"], second["route_name"]) == (2, "settled", "answers-after-full")
    assert (second["seconds"], second["cost"]) == (1, PRICE)


async def test_when_every_route_fails_the_caller_hears_why_the_last_one_did(pbx: Pbx) -> None:
    alice = await pbx.account("10")
    call = await pbx.exchange.originate(numbers.FULL_EVERYWHERE, alice)
    assert (await call.ended())["Cause"] == "34"
    assert len(call.apps("Dial")) == 2
    assert [cdr["state"] for cdr in await pbx.cdrs(alice)] == ["voided", "voided"]
    assert await pbx.money(alice) == (10, 0)


async def test_a_second_phone_of_the_same_account_cannot_spend_what_the_first_holds(pbx: Pbx) -> None:
    alice = await pbx.account("0.02")
    first = await pbx.exchange.originate(numbers.ANSWERED + "0", alice)
    await first.answered()
    second = await pbx.exchange.originate(numbers.ANSWERED + "0", alice)
    assert (await second.ended())["Cause"] == "21"
    await first.ended()
    (cdr,) = await pbx.cdrs(alice)
    assert cdr["cost"] == Decimal("0.02")


async def test_a_second_phone_of_the_same_account_can_call_while_the_first_talks(pbx: Pbx) -> None:
    alice = await pbx.account("10")
    first = await pbx.exchange.originate(numbers.ANSWERED + "0", alice)
    await first.answered()
    second = await pbx.exchange.originate(numbers.ANSWERED + "0", alice)
    await second.answered()
    assert [call.value("RATING_MAX_SECONDS") for call in (first, second)] == ["500", "300"]
    for call in (first, second):
        await call.hang_up()
        await call.ended()
    assert (await pbx.money(alice))[1] == 0


async def test_time_before_the_called_party_answers_is_not_charged_to_a_caller_who_was_answered_before(
    pbx: Pbx,
) -> None:
    alice = await pbx.account("10")
    call = await pbx.exchange.originate("8" + numbers.RINGS_A_SECOND_THEN_ANSWERS + "1", alice)
    await call.ended()
    assert int(call.value("ANSWEREDTIME_MS")) >= int(call.value("RATING_MS")) + 1900  # a menu, and ringing
    (cdr,) = await pbx.cdrs(alice)
    assert cdr["seconds"] == charged_seconds(call.value("RATING_MS"))


async def test_a_limit_outlives_a_local_channel_that_leaves_the_call(pbx: Pbx) -> None:
    alice = await pbx.account("0.02")
    call = await pbx.exchange.originate(numbers.ANSWERED_BY_LOCAL_CHANNEL, alice)
    await call.ended()
    (cdr,) = await pbx.cdrs(alice)
    assert (cdr["seconds"], cdr["overrun"]) == (2, 0)


async def test_a_warning_before_the_end_does_not_move_the_end(pbx: Pbx) -> None:
    alice = await pbx.account("0.02")
    async with pbx.global_variable("RATING_WARNING", ":1000"):
        call = await pbx.exchange.originate(numbers.ANSWERED + "0", alice)
        await call.answered()
    await call.ended()
    (dialled,) = call.apps("Dial")
    assert "L(2000:1000)" in dialled
    (cdr,) = await pbx.cdrs(alice)
    assert (cdr["seconds"], cdr["overrun"]) == (2, 0)


async def test_an_exchange_can_be_given_a_name_of_its_own(pbx: Pbx) -> None:
    alice = await pbx.account("10")
    async with pbx.global_variable("RATING_QUERY", "?exchange=pbx-north"):
        call = await pbx.exchange.originate(numbers.ANSWERED + "1", alice)
        await call.ended()
    (cdr,) = await pbx.cdrs(alice)
    assert (cdr["exchange"], cdr["state"]) == ("pbx-north", "settled")


async def test_a_dialled_comma_cannot_choose_whose_money_it_is(pbx: Pbx) -> None:
    alice = await pbx.account("10")
    bob = await pbx.account("10")
    call = await pbx.exchange.originate(f"{numbers.ANSWERED}1,{bob}", alice)
    await call.ended()
    assert (call.value("RATING_LOGIN"), call.value("RATING_REASON")) == (alice, "invalid_destination")
    assert await pbx.money(bob) == (10, 0)
    assert await pbx.cdrs(alice) == []


async def test_a_second_call_on_the_same_channel_is_rated_for_itself(pbx: Pbx) -> None:
    alice = await pbx.account("10")
    call = await pbx.exchange.originate("7" + numbers.FULL_EVERYWHERE, alice)
    await call.ended()
    assert (call.value("FIRST"), call.value("SECOND")) == ("CONGESTION 34", "CONGESTION 34")
    cdrs = await pbx.cdrs(alice)
    assert [cdr["attempt"] for cdr in cdrs] == [1, 2, 1, 2]
    assert len({cdr["call_key"] for cdr in cdrs}) == 4
