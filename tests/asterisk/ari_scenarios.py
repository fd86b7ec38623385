"""What phones and carriers do in the scenarios of test_ari, and what must be charged of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from rating_engine.domain.callback import CallbackOutcome, NewCallback
from rating_engine.domain.card import Card, CardSale, GroupTerms, NewCardGroup, NewCards
from rating_engine.domain.outcomes import Balance, BalanceOutcome, PrepareCall
from rating_engine.domain.party import NewParty, PartyChanges
from rating_engine.domain.principal import OPERATOR
from rating_engine.domain.tax import Tax
from rating_engine.engine.services import open_services
from rating_engine.services.parties.accounts import Accounts
from rating_engine.settings.model import Settings
from tests.asterisk.ari import LOW_BALANCE_VOICE, NAME, WARNING_VOICE
from tests.asterisk.ari_inbound import (
    a_busy_owners_call_is_forwarded_and_both_are_charged,
    a_conversation_is_kept_and_who_waits_hears_music,
    a_number_rings_its_owners_phone,
    the_dialplan_does_what_it_does_better,
)
from tests.asterisk.ari_transfers import (
    a_call_is_transferred_blind,
    a_phone_that_has_asked_for_a_transfer_may_leave,
    a_transfer_to_who_is_busy_moves_nothing,
    two_calls_are_connected_by_their_phone,
)
from tests.asterisk.ari_world import (
    ACCESS,
    ANSWERS,
    BUSY_ELSEWHERE,
    CROSSES,
    CUT_WITHIN,
    EARLY,
    HANGS_UP,
    REFUSES,
    RINGS,
    SECRET_KEY,
    SILENT,
    World,
    charges,
    seconds_of,
)
from tests.asterisk.pbx import PRICE, until
from tests.asterisk.phone import Leg

Scenario = Callable[[World, str], Awaitable[None]]


async def caller_hangs_up(world: World, login: str) -> None:
    leg = await (await world.caller(login).call(ANSWERS)).answered()
    called = await world.called("carrier", ANSWERS)
    await leg.hears(world.trunks["carrier"])
    await called.hears(world.caller(login))
    await leg.talk_on(1.7)
    await leg.hang_up()
    await called.ended()
    (cdr,) = await world.cdrs(login)
    assert (cdr["state"], cdr["destination"], cdr["route_name"], cdr["source"], cdr["disposition"]) == (
        "settled", ANSWERS, "carrier", "finish", "ANSWER",
    )  # fmt: skip
    assert cdr["seconds"] == seconds_of(called)
    assert await world.pbx.money(login) == (10 - PRICE * cdr["seconds"], 0)


async def called_party_hangs_up(world: World, login: str) -> None:
    leg = await (await world.caller(login).call(HANGS_UP)).answered()
    called = await world.called("carrier", HANGS_UP)
    await leg.ended()
    (cdr,) = await world.cdrs(login)
    assert (cdr["seconds"], cdr["cause"]) == (seconds_of(called), 16)


async def sound_before_the_answer_reaches_the_caller(world: World, login: str) -> None:
    leg = await world.caller(login).call(EARLY)
    await leg.hears(world.trunks["carrier"])
    assert leg.answered_at is None
    await leg.answered()
    called = await world.called("carrier", EARLY)
    await leg.talk_on(1.7)
    await leg.hang_up()
    await called.ended()
    (cdr,) = await world.cdrs(login)
    assert cdr["seconds"] == seconds_of(called)


async def caller_cancels(world: World, login: str) -> None:
    leg = await (await world.caller(login).call(RINGS)).rings()
    await leg.hang_up()
    called = await world.called("carrier", RINGS)
    await called.ended()
    (cdr,) = await world.cdrs(login)
    assert (cdr["state"], cdr["seconds"], cdr["disposition"]) == ("voided", 0, "CANCEL")


async def cancel_crosses_the_answer(world: World, login: str) -> None:
    leg = await (await world.caller(login).call(CROSSES)).rings()
    called = await world.called("carrier", CROSSES)
    await called.answered()
    await leg.hang_up()

    async def is_over() -> bool:
        if leg.answered_at is not None:  # the answer was on its way, as phones know it: then they end what they have
            await leg.hang_up()
        return called.ended_at is not None

    await until(is_over)
    (cdr,) = await world.cdrs(login)
    assert cdr["seconds"] in (0, 1)


async def nobody_answers(world: World, login: str) -> None:
    leg = await world.caller(login).call(RINGS + "9")
    await wait_ended(leg)
    (cdr,) = await world.cdrs(login)
    assert (cdr["seconds"], cdr["disposition"], leg.answers[-1]) == (0, "NOANSWER", 480)


async def wait_ended(leg: Leg) -> None:
    async def is_over() -> bool:
        return leg.ended_at is not None

    await until(is_over)


def refused_with(status: int, tries: int, told: int) -> Scenario:
    async def scenario(world: World, login: str) -> None:
        number = f"{REFUSES}{status}"
        leg = await world.caller(login).call(number)
        if tries == 2:
            await leg.answered()
            await leg.hang_up()
        await leg.ended()
        cdrs = await world.cdrs(login)
        assert [cdr["route_name"] for cdr in cdrs] == ["first", "second"][:tries]
        assert (cdrs[0]["state"], cdrs[0]["seconds"]) == ("voided", 0)
        if tries == 1:
            assert leg.answers[-1] == told
            assert await world.pbx.money(login) == (10, 0)

    return scenario


async def a_silent_route_gives_way(world: World, login: str) -> None:
    leg = await (await world.caller(login).call(SILENT)).answered()
    called = await world.called("second", SILENT)
    await leg.talk_on(0.7)
    await leg.hang_up()
    await called.ended()
    silent, answered = await world.cdrs(login)
    assert (silent["route_name"], silent["state"]) == ("first", "voided")
    assert (answered["route_name"], answered["seconds"]) == ("second", seconds_of(called))


async def money_ends(world: World, login: str) -> None:
    leg = await (await world.caller(login).call(ANSWERS + "3")).answered()
    called = await world.called("carrier", ANSWERS + "3")
    await wait_ended(called)
    await leg.ended()
    assert abs(called.talked - 3) <= CUT_WITHIN
    (cdr,) = await world.cdrs(login)
    assert (cdr["seconds"], cdr["overrun"]) == (3, 0)
    assert await world.pbx.money(login) == (Decimal(0), 0)


async def a_top_up_lengthens_the_call(world: World, login: str) -> None:
    leg = await (await world.caller(login).call(ANSWERS + "5")).answered()
    called = await world.called("carrier", ANSWERS + "5")
    await leg.talk(1.5)
    await Accounts(world.pbx.database, OPERATOR).top_up(login, PRICE * 4)
    await wait_ended(called)
    await leg.ended()
    assert abs(called.talked - 9) <= CUT_WITHIN
    assert await world.pbx.money(login) == (Decimal(0), 0)
    # The warning is the caller's alone: none of its packets went to the carrier.
    assert leg.sound.heard.get(WARNING_VOICE, 0) > 10
    assert WARNING_VOICE not in called.sound.heard


async def hold_does_not_stop_the_charge(world: World, login: str) -> None:
    leg = await (await world.caller(login).call(ANSWERS + "6")).answered()
    called = await world.called("carrier", ANSWERS + "6")
    await leg.hold()
    await leg.talk(1)
    await leg.resume()
    await leg.hears(world.trunks["carrier"])
    await leg.talk_on(2.7)
    await leg.hang_up()
    await called.ended()
    (cdr,) = await world.cdrs(login)
    assert cdr["seconds"] == seconds_of(called)


async def who_has_no_money_is_refused(world: World, login: str) -> None:
    leg = await world.caller(login).call(ANSWERS + "7")
    await leg.ended()
    assert leg.answers[-1] == 403
    assert await world.cdrs(login) == []


async def who_has_little_left_hears_so_before_it_rings(world: World, login: str) -> None:
    leg = await world.caller(login).call(ANSWERS + "71")

    async def is_told() -> bool:
        return leg.sound.heard.get(LOW_BALANCE_VOICE, 0) > 10

    await until(is_told)
    assert leg.answered_at is None
    assert [each for each in world.trunks["carrier"].calls if each.number == ANSWERS + "71"] == []
    await leg.answered()
    called = await world.called("carrier", ANSWERS + "71")
    await leg.hears(world.trunks["carrier"])
    await leg.talk_on(0.7)
    await leg.hang_up()
    await called.ended()
    leaves = await world.caller(login).call(ANSWERS + "72")  # who is told and hangs up

    async def is_told_again() -> bool:
        return leaves.sound.heard.get(LOW_BALANCE_VOICE, 0) > 1

    await until(is_told_again)
    await leaves.hang_up()
    left, talked = sorted(await world.cdrs(login), key=lambda cdr: str(cdr["destination"]), reverse=True)
    assert (left["state"], left["seconds"], left["disposition"]) == ("voided", 0, "CANCEL")
    assert (talked["seconds"], talked["overrun"]) == (seconds_of(called), 0)


async def warn_callers_of(world_url: str, login: str) -> None:
    """Its user wants it said below a hundred."""
    async with open_services(Settings(database_url=world_url)) as services:
        use = services.of(OPERATOR)
        await use.parties.create(NewParty(f"of-{login}"))
        await use.accounts.give(login, f"of-{login}")
        changes = PartyChanges(warn_calls=True, notify_balance_limit=Decimal(100))
        await use.parties.change(f"of-{login}", changes)


class Yes:
    """Who is asked before a callback whether it may be made."""

    async def balance(self, login: str, call: PrepareCall | None = None) -> BalanceOutcome:
        return Balance(login, "EUR", Decimal(10), Decimal(0), Decimal(0), Decimal(10), 100)


async def two_numbers_are_called_back(world: World, login: str) -> None:
    async with open_services(Settings(database_url=world.url)) as services:
        new = NewCallback(login, ANSWERS + "81", ANSWERS + "82", exchange=NAME)
        callback = await services.of(OPERATOR).callbacks.begin(new, Yes())
    assert callback.outcome is CallbackOutcome.STARTED, callback
    one, two = await world.called("carrier", ANSWERS + "81"), await world.called("carrier", ANSWERS + "82")
    await two.answered()
    await two.talk_on(1.7)
    await two.hang_up()
    await one.ended()
    assert charges(await world.cdrs(login), one, two)


async def ones_own_telephone_rings_first_for_nothing(world: World, login: str) -> None:
    async with open_services(Settings(database_url=world.url)) as services:
        new = NewCallback(login, login, ANSWERS + "93", exchange=NAME, key="click-1")
        callback = await services.of(OPERATOR).callbacks.begin(new, Yes())
        assert callback.outcome is CallbackOutcome.STARTED, callback
        again = await services.of(OPERATOR).callbacks.begin(new, Yes())  # as a browser that asks twice
        assert again == callback
    called = await (await world.called("carrier", ANSWERS + "93")).answered()
    (own,) = world.caller(login).calls
    await own.hears(world.trunks["carrier"])
    await called.talk_on(1.7)
    await own.hang_up()
    await called.ended()
    assert charges(await world.cdrs(login), called)


async def nobody_takes_the_callback(world: World, login: str) -> None:
    async with open_services(Settings(database_url=world.url)) as services:
        new = NewCallback(login, BUSY_ELSEWHERE + "1", ANSWERS + "83", exchange=NAME)
        callback = await services.of(OPERATOR).callbacks.begin(new, Yes())
    assert callback.outcome is CallbackOutcome.STARTED, callback
    cdrs = await world.cdrs(login)
    assert [(cdr["state"], cdr["seconds"]) for cdr in cdrs] == [("voided", 0), ("voided", 0)]
    assert await world.pbx.money(login) == (10, 0)


async def a_card_is_asked_for_and_calls(world: World, login: str) -> None:
    """One wrong PIN, then the right one, and two calls on the card's money, each by the exchange's own function."""
    card = await sell_card(world.url)
    caller = await (await world.trunks["elsewhere"].call(ACCESS)).answered()
    for keys in (f"{card.number}#0000#", f"{card.number}#{card.pin}#", f"{ANSWERS[2:]}91#"):
        await caller.press(keys)
    called = await world.called("carrier", ANSWERS + "91")
    await caller.hears(world.trunks["carrier"])
    assert "de" in await languages(world)
    await called.talk_on(1.7)
    await called.hang_up()
    await caller.talk(0.5)
    await caller.press(f"{ANSWERS[2:]}92#")  # he is asked again
    second = await world.called("carrier", ANSWERS + "92")
    await second.talk_on(0.7)
    await caller.hang_up()
    await second.ended()

    async def both_charged() -> bool:
        return len(await cards_calls(world)) == 2

    await until(both_charged)
    assert charges(await cards_calls(world), called, second)


async def languages(world: World) -> set[str]:
    """In which callers from outside are spoken to."""
    exchange = world.pbx.exchange
    callers = [each["Channel"] for each in await exchange.channels() if each["Channel"].startswith("PJSIP/elsewhere")]
    asked = [await exchange.ami.action("Getvar", Channel=caller, Variable="CHANNEL(language)") for caller in callers]
    return {answer[0].get("Value", "") for answer in asked}


async def cards_calls(world: World) -> list[Any]:
    return await world.pbx.database.fetch(
        "SELECT * FROM cdrs WHERE destination = ANY($1)", [ANSWERS + "91", ANSWERS + "92"]
    )


async def sell_card(url: str) -> Card:
    """A card of twelve."""
    async with open_services(Settings(database_url=url, secret_keys=(SECRET_KEY,))) as services:
        use = services.of(OPERATOR)
        tax = await use.taxes.add(Tax("vat", Decimal(19)))
        begins = datetime.now(UTC) - timedelta(days=1)
        terms = GroupTerms(
            name="cheap",
            tariff="retail",
            price_with_tax=Decimal(12),
            valid_from=begins,
            tax_id=tax,
            external_function=True,
        )
        group = await use.card_groups.add(NewCardGroup(terms, pin_length=4))
        await use.cards.create(NewCards(group.group_id, "1000000000", "1000000000", language="de"))
        (card,) = (await use.card_sales.sell(CardSale(group.group_id, 1))).cards
        return card


SCENARIOS: dict[str, tuple[Scenario, str]] = {
    "caller-hangs-up": (caller_hangs_up, "10"),
    "called-hangs-up": (called_party_hangs_up, "10"),
    "early-media": (sound_before_the_answer_reaches_the_caller, "10"),
    "cancel": (caller_cancels, "10"),
    "crossing": (cancel_crosses_the_answer, "10"),
    "no-answer": (nobody_answers, "10"),
    "busy": (refused_with(486, 1, 486), "10"),
    "gone": (refused_with(404, 1, 404), "10"),
    "declined": (refused_with(603, 1, 403), "10"),
    "congested": (refused_with(503, 2, 0), "10"),
    "silent": (a_silent_route_gives_way, "10"),
    "money-ends": (money_ends, "0.03"),
    "little-left": (who_has_little_left_hears_so_before_it_rings, "10"),
    "top-up": (a_top_up_lengthens_the_call, "0.05"),
    "hold": (hold_does_not_stop_the_charge, "10"),
    "callback": (two_numbers_are_called_back, "10"),
    "40001": (ones_own_telephone_rings_first_for_nothing, "10"),
    "no-callback": (nobody_takes_the_callback, "10"),
    "blind": (a_call_is_transferred_blind, "10"),
    "blind-leaves": (a_phone_that_has_asked_for_a_transfer_may_leave, "10"),
    "blind-busy": (a_transfer_to_who_is_busy_moves_nothing, "10"),
    "attended": (two_calls_are_connected_by_their_phone, "10"),
    "owner": (a_number_rings_its_owners_phone, "10"),
    "forwarder": (a_busy_owners_call_is_forwarded_and_both_are_charged, "10"),
    "keeper": (a_conversation_is_kept_and_who_waits_hears_music, "10"),
    "by-dialplan": (the_dialplan_does_what_it_does_better, "10"),
    "card": (a_card_is_asked_for_and_calls, "10"),
    "no-money": (who_has_no_money_is_refused, "0"),
}
