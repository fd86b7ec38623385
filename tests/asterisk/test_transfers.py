"""Who leaves a rated call, and who pays for what stays: transfers, on a real Asterisk."""

from __future__ import annotations

import re

import pytest

from tests.asterisk import pbx as numbers
from tests.asterisk.exchange import SHIPPED
from tests.asterisk.pbx import Pbx, charged_seconds, until

pytestmark = [pytest.mark.asterisk, pytest.mark.asyncio(loop_scope="session")]
# Extensions a transfer goes to: it answers and stays as many seconds.
TWO_SECONDS = "02"
A_MINUTE = "060"


async def blind_transfer(pbx: Pbx, channel: str, where: str, context: str = "elsewhere") -> None:
    (answer,) = await pbx.exchange.ami.action("BlindTransfer", Channel=channel, Context=context, Exten=where)
    assert answer["Response"] == "Success"


async def test_a_phone_that_transfers_its_rated_call_ends_it(pbx: Pbx) -> None:
    """Else the trunk would go on talking with nobody charged for it."""
    alice = await pbx.account("10")
    call = await pbx.exchange.originate(numbers.ANSWERED + "0", alice)
    await call.answered()
    mine, _ = await call.bridged()
    await blind_transfer(pbx, mine, A_MINUTE)
    await call.ended()
    await until(pbx.exchange.idle)  # long before the minute is over
    (cdr,) = await pbx.cdrs(alice)
    assert cdr["state"] == "settled"


async def test_with_a_leg_of_its_own_a_transferred_call_is_charged_until_the_trunk_ends(pbx: Pbx) -> None:
    alice = await pbx.account("10")
    async with pbx.global_variable("RATING_OWN_LEG", "yes"):
        call = await pbx.exchange.originate(numbers.ANSWERED + "0", alice)
        leg = await call.own_leg()
    await leg.answered()
    mine, _ = await call.bridged()
    await blind_transfer(pbx, mine, TWO_SECONDS)
    await call.ended()
    assert await pbx.cdrs(alice) == []  # the phone is gone, the call goes on
    await leg.ended()
    (cdr,) = await pbx.cdrs(alice)
    assert cdr["seconds"] >= 2
    assert await pbx.money(alice) == (10 - cdr["cost"], 0)


async def test_a_caller_whom_the_called_party_transfers_away_pays_until_then(pbx: Pbx) -> None:
    alice = await pbx.account("10")
    call = await pbx.exchange.originate(numbers.ANSWERED + "0", alice)
    await call.answered()
    _, trunk = await call.bridged()
    await blind_transfer(pbx, trunk, TWO_SECONDS)
    await call.ended()
    assert call.value("DIALSTATUS") == "BUSY"  # it has been elsewhere since
    (cdr,) = await pbx.cdrs(alice)
    assert cdr["disposition"] == "ANSWER"
    talked = int(call.value("RATING_ENDED_AT")) - int(call.value("RATING_ANSWERED_AT"))
    assert cdr["seconds"] == charged_seconds(str(talked))
    stayed = (cdr["ended_at"] - cdr["prepared_at"]).total_seconds()
    assert stayed >= 2 + talked / 1000


async def test_a_caller_who_was_transferred_away_and_calls_again_pays_for_both_calls(pbx: Pbx) -> None:
    alice = await pbx.account("10")
    call = await pbx.exchange.originate(numbers.ANSWERED + "0", alice)
    await call.answered()
    _, trunk = await call.bridged()
    await blind_transfer(pbx, trunk, "9" + numbers.ANSWERED + "1")
    await call.ended()
    await until(pbx.exchange.idle)
    first, second = await pbx.cdrs(alice)
    assert (first["state"], first["destination"]) == ("settled", numbers.ANSWERED + "0")
    assert (second["state"], second["destination"]) == ("settled", numbers.ANSWERED + "1")
    assert first["call_key"].split("/")[1] == call.uniqueid != second["call_key"].split("/")[1]


async def test_a_caller_is_not_charged_for_a_call_that_the_trunk_transferred_him_to(pbx: Pbx) -> None:
    """Who transfers pays; a trunk has no account."""
    alice = await pbx.account("10")
    call = await pbx.exchange.originate(numbers.ANSWERED + "0", alice)
    await call.answered()
    _, trunk = await call.bridged()
    await blind_transfer(pbx, trunk, "8" + numbers.ANSWERED + "1")
    await call.ended()
    assert (call.value("RATING_LOGIN"), call.value("RATING_REASON")) == ("", "unknown_login")
    await until(pbx.exchange.idle)
    (cdr,) = await pbx.cdrs(alice)
    assert (cdr["state"], cdr["destination"]) == ("settled", numbers.ANSWERED + "0")


async def test_a_pattern_that_matches_h_voids_no_answered_call(pbx: Pbx) -> None:
    alice = await pbx.account("10")
    call = await pbx.exchange.originate(numbers.ANSWERED + "0", alice, context="greedy")
    await call.answered()
    _, trunk = await call.bridged()
    await blind_transfer(pbx, trunk, "01", "greedy")
    await call.ended()
    await until(pbx.exchange.idle)
    assert call.value("RATING_DIALLED") == "h"
    (cdr,) = await pbx.cdrs(alice)
    assert (cdr["state"], cdr["disposition"], cdr["seconds"]) == ("settled", "ANSWER", 1)


async def test_nothing_of_the_shipped_file_is_run_by_itself_when_a_call_has_ended(pbx: Pbx) -> None:
    contexts = re.findall(r"^\[(rating-[\w-]+)\]", SHIPPED.read_text(), re.MULTILINE)
    assert "rating-attempts" in contexts
    for context in contexts:
        assert "There is no existence of" in await pbx.exchange.cli(f"dialplan show h@{context}")


async def test_keys_are_for_the_phones_side_wherever_they_stand_among_the_options_and_the_rest_for_the_trunk(
    pbx: Pbx,
) -> None:
    alice = await pbx.account("10")
    options = "b(handler^s^1(Tk))TrA(Kt)tH"
    nowhere = "31123456"
    call = await pbx.exchange.originate(nowhere, alice, RATING_OWN_LEG="yes", RATING_DIAL_OPTIONS=options)
    await call.ended()
    assert call.apps("Dial") == [f"Local/{nowhere}@rating-leg/n,,TtH"]
    assert call.value("RATING_LEG_OPTIONS") == "b(handler^s^1(Tk))rA(Kt)"


async def test_a_leg_of_its_own_goes_by_the_settings_of_the_context_that_called(pbx: Pbx) -> None:
    alice = await pbx.account("10")
    call = await pbx.exchange.originate(
        numbers.ANSWERED + "1", alice, RATING_OWN_LEG="yes", RATING_QUERY="?exchange=elsewhere"
    )
    await call.ended()
    await until(lambda: pbx.no_open_call(alice))
    (cdr,) = await pbx.cdrs(alice)
    assert (cdr["exchange"], cdr["state"]) == ("elsewhere", "settled")
