"""Black and white lists of users decide calls out and in, and messages, from the moment that they are changed."""

from __future__ import annotations

from decimal import Decimal

import pytest

from rating_engine.domain.account import NewAccount
from rating_engine.domain.call_rules import InboundCall, of_line
from rating_engine.domain.did import NewDid
from rating_engine.domain.errors import AlreadyExists, InvalidRequest, NotAllowed, NotFound, NotYours
from rating_engine.domain.message import MessageDeclined, NewMessage
from rating_engine.domain.number_lists import ListKind, ListSide, NewNumberPool, NumberList, pool_number
from rating_engine.domain.outcomes import Allowed, CallKey, DeclineReason, InboundStep, PrepareCall
from rating_engine.domain.page import Cursor
from rating_engine.domain.refusal import NotAdmitted
from rating_engine.domain.refused_call import RefusedCallFilter
from rating_engine.services.catalogue import UseCases
from rating_engine.services.parties.access import Door
from tests.support.narayana import MD5, narayana_on
from tests.support.waiting import until

DESTINATION, SOURCE = ListSide.DESTINATION, ListSide.SOURCE
BLACK, WHITE = NumberList(ListKind.BLACKLIST, "pool"), NumberList(ListKind.WHITELIST, "pool")
BLACKLISTED, NOT_WHITELISTED = DeclineReason.DESTINATION_BLACKLISTED, DeclineReason.DESTINATION_NOT_WHITELISTED


async def test_lists_decide_calls_and_messages_of_their_user_at_once(database_url):
    """anna, a user of firm, has the line 1001 and gets the number 4930200."""
    async with narayana_on(database_url, message_carriers=("demo loopback",)) as narayana:
        use, charging = narayana.operator, narayana.engine.charging
        pools, asked = use.number_pools, iter(range(1000))

        async def dials(number: str, login: str = "1001") -> object:
            outcome = await charging.prepare_call(PrepareCall(CallKey("pbx1", str(next(asked))), login, number))
            if isinstance(outcome, Allowed):
                assert await charging.abandon_call(outcome.call_key, login, outcome.claim)
                return None
            return outcome.reason

        assert await dials("4912345") is None  # and the line is remembered
        await pools.add(NewNumberPool("pool"))
        await pools.set_list("anna", DESTINATION, BLACK)
        assert await dials("4912345") is None
        await pools.put("pool", [pool_number("4912*"), pool_number("+4930700")])
        for number, reason in (
            ("4912345", BLACKLISTED),
            ("4930700", BLACKLISTED),
            ("49307001", None),
            ("49123", BLACKLISTED),
        ):
            assert await dials(number) is reason, number
        await pools.set_list("anna", DESTINATION, WHITE)
        assert [await dials(number) for number in ("4912345", "49307001")] == [None, NOT_WHITELISTED]
        await use.accounts.create(NewAccount("1002", "retail", balance=Decimal(10), owner="anna"))
        assert await dials("49307001", "1002") is NOT_WHITELISTED  # a line that came later
        assert await dials("49307001", "2001") is None  # another user's
        assert await pools.take("pool", [pool_number("4912*"), pool_number("4912")]) == 1
        assert await dials("4912345") is NOT_WHITELISTED
        with pytest.raises(MessageDeclined) as refused:
            await use.messages.send(NewMessage("1001", "4912345", "Hello", sender="4930"))
        assert refused.value.reason is NOT_WHITELISTED
        await pools.set_list("anna", DESTINATION, None)
        assert await dials("4912345") is None

        await callers_too(use, charging)
        await whom_lists_kept_out_is_listed(use)
        await who_may(use, narayana)


async def callers_too(use: UseCases, charging) -> None:
    """By the list of sources: by a number, from line to line, and messages; who hides its number is in no pool."""
    await use.dids.add(NewDid("4930200", "anna"))
    calls = iter(range(1000))

    async def comes(caller: str | None) -> object:
        call = PrepareCall(CallKey("pbx2", str(next(calls))), "", "4930200", caller)
        return getattr(await charging.prepare_inbound(call), "reason", None)

    await use.number_pools.put("pool", [pool_number("2001")])
    await use.number_pools.set_list("anna", SOURCE, BLACK)
    said = [await comes(caller) for caller in ("+4930700", "4930701", None)]
    assert said == [DeclineReason.SOURCE_BLACKLISTED, None, None]
    within = InboundCall(of_line("1001"), 0, "2001")
    refused = await charging.next_inbound(within, CallKey("pbx1", "x"))
    assert refused.reason is DeclineReason.SOURCE_BLACKLISTED
    with pytest.raises(MessageDeclined) as declined:
        await use.incoming_messages.receive("4930700", "4930200", "Hello")
    assert declined.value.reason is DeclineReason.SOURCE_BLACKLISTED
    await use.number_pools.set_list("anna", SOURCE, WHITE)
    said = [await comes(caller) for caller in ("4930700", "4930701", None)]
    assert said == [None, DeclineReason.SOURCE_NOT_WHITELISTED, DeclineReason.SOURCE_NOT_WHITELISTED]
    assert isinstance(await charging.next_inbound(within, CallKey("pbx1", "x")), InboundStep)


async def whom_lists_kept_out_is_listed(use: UseCases) -> None:
    """With the document's causes, the latest first, soon after: nothing else that was declined is there."""

    async def kept() -> bool:
        return len((await use.refused_calls.page(RefusedCallFilter(), Cursor())).items) == 10

    await until(kept)
    calls = (await use.refused_calls.page(RefusedCallFilter(), Cursor())).items
    said = [(each.login, each.number, each.cause) for each in calls]
    assert said[0] == ("", "4930200", 263)
    assert said[-1] == ("1001", "4912345", 255)
    assert {each.cause for each in calls} == {255, 256, 262, 263}
    first = await use.refused_calls.page(RefusedCallFilter(login="1001"), Cursor(1))
    rest = await use.refused_calls.page(RefusedCallFilter(login="1001"), Cursor(100, first.next))
    assert [*first.items, *rest.items] == [each for each in calls if each.login == "1001"]
    about = await use.refused_calls.page(RefusedCallFilter(number="4930700"), Cursor())
    assert {each.login for each in about.items} == {"", "1001"}


async def who_may(use: UseCases, narayana) -> None:
    """Pools that are used stay, lists name what there is, and users change none."""
    pools = use.number_pools
    assert await pools.lists_of("anna") == {SOURCE: WHITE}
    numbers = (await pools.numbers("pool", Cursor())).items
    assert [str(each) for each in numbers] == ["2001", "4930700"]
    first = await pools.numbers("pool", Cursor(1))
    assert (await pools.numbers("pool", Cursor(1, first.next))).items == numbers[1:]
    for wrong, error in (
        (pools.remove("pool"), InvalidRequest),
        (pools.add(NewNumberPool("pool")), AlreadyExists),
        (pools.put("none", numbers), NotFound),
        (pools.put("pool", []), InvalidRequest),
        (pools.set_list("anna", SOURCE, NumberList(ListKind.BLACKLIST, "none")), NotFound),
        (pools.set_list("system", SOURCE, BLACK), InvalidRequest),
    ):
        with pytest.raises(error):
            await wrong
    for text in ("", "*", "49 30", "sip:1", "1" * 33, "49**", "\u0664"):
        with pytest.raises(InvalidRequest):
            pool_number(text)
    services = narayana.engine.services
    who = await services.access.by_password("anna", MD5, Door("portal", "192.0.2.1"))
    assert not isinstance(who, NotAdmitted)
    anna = services.of(who)
    assert await anna.number_pools.lists_of("anna") == {SOURCE: WHITE}
    for forbidden in (anna.number_pools.set_list("anna", SOURCE, None), anna.number_pools.lists_of("otto")):
        with pytest.raises((NotAllowed, NotYours)):
            await forbidden
    await pools.set_list("anna", SOURCE, None)
    await pools.remove("pool")
    assert (await pools.page(Cursor())).items == ()
