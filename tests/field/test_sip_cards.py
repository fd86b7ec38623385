"""Balance, calling cards and callback as shipped: what is said, who gets in, and each call charged for itself."""

from __future__ import annotations

import hashlib
import itertools
from collections import Counter
from decimal import Decimal
from typing import Any, Final

import pytest

from rating_engine.domain.card import Card, GroupTerms, NewCardGroup, NewCards
from tests.asterisk.pbx import until
from tests.asterisk.phone import Leg
from tests.field.mor import manager, mor
from tests.field.office import (
    ACCESS,
    ALICE,
    ANSWERS,
    BOB,
    BUSY,
    CARD_SECRET,
    CARDS,
    NOBODY,
    RINGS,
    SHORT,
    Scene,
    charged,
)
from tests.support.world import add_account

pytestmark = [pytest.mark.asterisk, pytest.mark.asyncio(loop_scope="session")]
SAYING: Final = ("Playback", "SayNumber", "SayDigits", "SayAlpha", "Read")
PIN: Final = "4711"
_cards = itertools.count(12345600)


def login_of(card: str, pin: str) -> str:
    """As docs/calling-cards.md makes it."""
    return f"card-{card}-{hashlib.sha1(f'{CARD_SECRET}:{card}:{pin}'.encode()).hexdigest()[:16]}"


async def new_card(scene: Scene, balance: str = "10") -> str:
    card = str(next(_cards))
    await add_account(scene.pbx.database, login_of(card, PIN), balance=balance, max_calls=1)
    return card


class Heard:
    """What the dialplan says from now on, in order."""

    def __init__(self, scene: Scene) -> None:
        self._events = scene.pbx.exchange.ami.events
        self._from = len(self._events)
        self._asked: Counter[str] = Counter()

    def said(self) -> list[str]:
        """`App argument` of every announcement and question so far."""
        events = [event for event in self._events[self._from :] if event.get("Event") == "Newexten"]
        return [
            f"{event['Application']} {event['AppData']}".strip() for event in events if event["Application"] in SAYING
        ]

    async def asked(self, what: str) -> None:
        """Wait until the caller is asked for something once more."""
        self._asked[what] += 1
        await until(lambda: _true(sum(line.startswith(f"Read {what}") for line in self.said()) >= self._asked[what]))


async def _true(value: bool) -> bool:
    return value


async def give(leg: Leg, heard: Heard, card: str, pin: str) -> None:
    """Type number and PIN when they are asked for."""
    await heard.asked("RATING_CARD_NUMBER")
    await leg.press(card + "#")
    await heard.asked("RATING_CARD_PIN")
    await leg.press(pin + "#")


async def cdrs(scene: Scene, login: str) -> list[Any]:
    await until(scene.office.exchange.idle)
    await until(lambda: scene.pbx.no_open_call(login))
    return await scene.pbx.cdrs(login)


async def test_a_phone_hears_its_balance_in_words(scene: Scene) -> None:
    heard = Heard(scene)
    leg = await (await scene.phone(ALICE).call("*225")).answered()
    await leg.ended()
    balance, reserved = await scene.pbx.money(ALICE)
    whole, _, parts = f"{balance - reserved:.2f}".partition(".")
    words = [f"SayNumber {whole}", *(["Playback letters/dot", f"SayDigits {parts}"] if parts != "00" else [])]
    assert heard.said() == ["Playback vm-youhave", *words, "SayAlpha EUR"]


@pytest.mark.parametrize(
    ("amount", "currency", "seconds", "words"),
    [
        ("-3.509", "USD", "59", "- 3 . 50 digits/dollars 59 seconds"),
        ("0.0061", "EUR", "60", "0 EUR 1 minute"),
        ("-0.0061", "EUR", "119", "0 EUR 1 minute"),
        ("-0.5", "EUR", "1", "- 0 . 50 EUR 1 second"),
        ("1200", "EUR", "7200", "1200 EUR 120 minutes"),
    ],
)
async def test_money_and_time_are_said_and_never_more_than_there_is(
    scene: Scene, amount: str, currency: str, seconds: str, words: str
) -> None:
    heard, ami = Heard(scene), scene.pbx.exchange.ami
    said = {"__AMOUNT": amount, "__CURRENCY": currency, "__SECONDS": seconds}
    await ami.action("Originate", said, Channel="Local/s@words/n", Application="Wait", Data="20", Async="true")
    await until(lambda: _true("Playback hello" in heard.said()))
    signs = {"digits/minus": "-", "letters/dot": "."}
    spoken = [line.split()[1] for line in heard.said()[:-1]]
    assert " ".join(signs.get(word, word) for word in spoken) == words
    await scene.idle()


async def test_a_card_hears_its_money_and_minutes_and_makes_one_call_after_the_other(scene: Scene) -> None:
    card, heard = await new_card(scene), Heard(scene)
    leg = await (await scene.phone(NOBODY).call(ACCESS)).answered()
    await give(leg, heard, card, PIN)
    await heard.asked("RATING_CARD_CALLS")
    await leg.press(ANSWERS + "11#")
    first = await scene.carrier_leg(ANSWERS + "11")
    await first.ended()
    await heard.asked("RATING_CARD_CALLS")
    await leg.press(ANSWERS + "10#")
    second = await scene.carrier_leg(ANSWERS + "10")
    await second.hears(scene.phone(NOBODY))
    await second.talk_on()
    await leg.hang_up()
    one, two = await cdrs(scene, login_of(card, PIN))
    assert (charged(first, one), charged(second, two)) == (True, True)
    assert one["call_key"].split("/")[1] != two["call_key"].split("/")[1]
    said = heard.said()
    assert said[2:5] == ["Playback vm-youhave", "SayNumber 10", "SayAlpha EUR"]
    assert said[6:9] == ["Playback vm-youhave", "SayNumber 16", "Playback minutes"]  # 1000 s at a cent


async def test_the_caller_ends_a_call_by_keys_and_makes_another(scene: Scene) -> None:
    card, heard = await new_card(scene), Heard(scene)
    leg = await (await scene.phone(NOBODY).call(ACCESS)).answered()
    await give(leg, heard, card, PIN)
    await heard.asked("RATING_CARD_CALLS")
    await leg.press(ANSWERS + "10#")
    theirs = await scene.carrier_leg(ANSWERS + "10")
    await theirs.hears(scene.phone(NOBODY))
    await theirs.talk_on()
    await leg.press("*")
    await theirs.ended()
    await heard.asked("RATING_CARD_CALLS")
    await leg.press(BUSY + "10#")
    await heard.asked("RATING_CARD_CALLS")
    await leg.hang_up()
    talked, busy = await cdrs(scene, login_of(card, PIN))
    assert charged(theirs, talked)
    assert (busy["state"], busy["cost"]) == ("voided", 0)
    said = heard.said()
    left = f"{10 - talked['cost']:.2f}".split(".")[1]
    assert said[10:14] == ["SayNumber 9", "Playback letters/dot", f"SayDigits {left}", "SayAlpha EUR"]
    assert "Playback cannot-complete-as-dialed" in said


@pytest.mark.parametrize("wrong", ["number", "pin"])
async def test_who_has_a_wrong_number_or_pin_hears_the_same_and_is_put_out(scene: Scene, wrong: str) -> None:
    card, heard = await new_card(scene), Heard(scene)
    leg = await (await scene.phone(NOBODY).call(ACCESS)).answered()
    given = ("999" + card, PIN) if wrong == "number" else (card, "1174")
    async with scene.pbx.global_variable("RATING_CARD_TRIES", "2"):
        for _ in range(2):
            await give(leg, heard, *given)
        await leg.ended()
    assert not leg.ended_by_us
    asked = ["Read RATING_CARD_NUMBER", "Read RATING_CARD_PIN", "Playback vm-incorrect"]
    assert [line.partition(",")[0] for line in heard.said()] == [*asked * 2, "Playback vm-goodbye"]


async def test_a_card_that_was_tried_too_often_is_refused_with_the_right_pin_too(scene: Scene) -> None:
    card, heard = await new_card(scene), Heard(scene)
    async with scene.pbx.global_variable("RATING_CARD_TRIES_AN_HOUR", "1"):
        leg = await (await scene.phone(NOBODY).call(ACCESS)).answered()
        await give(leg, heard, card, "1174")
        await give(leg, heard, card, PIN)
        await heard.asked("RATING_CARD_NUMBER")
        await leg.hang_up()
    assert not any("RATING_CARD_CALLS" in line for line in heard.said())
    leg = await (await scene.phone(NOBODY).call(ACCESS)).answered()
    await give(leg, heard, card, PIN)
    await heard.asked("RATING_CARD_CALLS")  # ten tries an hour as shipped, and these were three
    await leg.hang_up()


async def test_without_a_secret_nobody_gets_in(scene: Scene) -> None:
    heard = Heard(scene)
    async with scene.pbx.global_variable("RATING_CARD_SECRET", ""):
        leg = await (await scene.phone(NOBODY).call(ACCESS)).answered()
        await leg.ended()
    assert heard.said() == ["Playback please-try-call-later", "Playback vm-goodbye"]


async def test_no_log_of_the_engine_has_a_pin(scene: Scene) -> None:
    card, heard = await new_card(scene), Heard(scene)
    leg = await (await scene.phone(NOBODY).call(ACCESS)).answered()
    await give(leg, heard, card, "90817263")
    await give(leg, heard, card, PIN)
    await heard.asked("RATING_CARD_CALLS")
    await leg.hang_up()
    await scene.idle()
    assert "90817263" not in scene.pbx.engine.log.read_text() + scene.pbx.exchange.log()


@pytest.mark.parametrize("beeps", [True, False])
async def test_a_beep_warns_the_caller_before_the_money_ends(scene: Scene, beeps: bool) -> None:
    async with (
        scene.pbx.global_variable("LIMIT_WARNING_FILE", "beep"),
        scene.pbx.global_variable("RATING_WARNING", ":1000" if beeps else ""),
    ):
        mine = await scene.phone(SHORT).call(ANSWERS + "10")
        theirs = await scene.carrier_leg(ANSWERS + "10")
        await mine.ended()
    assert 2 <= theirs.talked < 3
    others = {voice: packets for voice, packets in mine.sound.heard.items() if voice != scene.carrier().voice}
    assert bool(others) is beeps


# -- cards that the engine keeps ------------------------------------------------------------------------------------


async def bought(scene: Scene, **terms: Any) -> Card:
    """A card of a group of its own, sold by card_from_group_sell."""
    use, number = manager(scene), str(next(_cards))[-6:]
    given: dict[str, Any] = {"name": number, "tariff": "retail", "tell_cents": True, **terms}
    group = await use.card_groups.add(NewCardGroup(GroupTerms(**given), number_length=6, pin_length=2))
    await use.cards.create(NewCards(group.group_id, number, number))
    sold = await mor(scene, "card_from_group_sell", str(group.group_id), id=group.group_id)
    card = await use.cards.numbered(number)
    assert [sold.findtext(f"cards/card/{name}") for name in ("number", "pin")] == [card.number, card.pin]
    return card


def number_and_pin(card: Card) -> tuple[str, str]:
    assert card.number is not None
    assert card.pin is not None
    return card.number, card.pin


async def test_a_card_that_was_bought_calls_by_pin_and_pinless_until_its_money_ends_and_pays_its_day_once(
    scene: Scene,
) -> None:
    card, heard = await bought(scene, price_with_tax=Decimal("0.08"), daily_charge=Decimal("0.03")), Heard(scene)
    async with scene.pbx.global_variable("RATING_CARDS_REGISTER", "yes"):
        leg = await (await scene.phone(NOBODY).call(CARDS)).answered()
        await give(leg, heard, *number_and_pin(card))
        await heard.asked("RATING_CARD_CALLS")
        await leg.press(ANSWERS + "11#")
        first = await scene.carrier_leg(ANSWERS + "11")
        await first.ended()
        await heard.asked("RATING_CARD_CALLS")
        await leg.hang_up()
    pinless = Heard(scene)
    leg = await (await scene.phone(NOBODY).call(CARDS)).answered()
    await pinless.asked("RATING_CARD_CALLS")
    await leg.press(ANSWERS + "10#")
    second = await scene.carrier_leg(ANSWERS + "10")
    await second.ended()  # nobody hangs up: its money does
    await pinless.asked("RATING_CARD_CALLS")
    await leg.hang_up()

    one, two = await cdrs(scene, f"card-{card.card_id}")
    assert charged(first, one)
    assert (one["cost"] + two["cost"], two["destination"]) == (Decimal("0.05"), ANSWERS + "10")
    left = Decimal("0.05") - one["cost"]
    hears = ["Playback vm-youhave", "SayNumber 0", "Playback letters/dot", "SayDigits 05", "SayAlpha EUR"]
    assert heard.said()[2:7] == hears
    assert pinless.said()[:5] == [*hears[:3], "SayDigits " + f"{left:.2f}"[2:], hears[4]]
    assert not any("RATING_CARD_NUMBER" in line for line in pinless.said())
    entries = await scene.pbx.database.fetch(
        "SELECT kind::text, amount FROM ledger_entries JOIN calling_cards USING (bucket, account_id) "
        "WHERE card_id = $1 AND kind <> 'charge' ORDER BY entry_id", card.card_id,
    )  # fmt: skip
    assert [tuple(entry) for entry in entries] == [("opening", Decimal("0.08")), ("fee", Decimal("-0.03"))]
    assert (await manager(scene).cards.show(card.card_id)).balance == 0


async def test_three_wrong_pins_put_a_caller_out_and_no_log_has_number_or_pin(scene: Scene) -> None:
    card, heard = await bought(scene, price_with_tax=Decimal(1)), Heard(scene)
    number, pin = number_and_pin(card)
    wrong = str((int(pin) + 1) % 100).zfill(2)
    async with scene.pbx.global_variable("RATING_CARDS_PINLESS", "no"):
        leg = await (await scene.phone(NOBODY).call(CARDS)).answered()
        for _ in range(3):
            await give(leg, heard, number, wrong)
        await leg.ended()
    assert not leg.ended_by_us
    asked = ["Read RATING_CARD_NUMBER", "Read RATING_CARD_PIN", "Playback vm-incorrect"]
    assert [line.partition(",")[0] for line in heard.said()] == [*asked * 3, "Playback vm-goodbye"]
    assert number not in scene.pbx.engine.log.read_text() + scene.pbx.exchange.log()


# -- callback ----------------------------------------------------------------------------------------------------


async def callback(scene: Scene, first: str, second: str, *, pays: str = ALICE, first_pays: str = "") -> None:
    """As docs/calling-cards.md asks for one, over AMI."""
    await scene.pbx.exchange.ami.action(
        "Originate",
        {"__RATING_CALLBACK_LOGIN": pays, "__RATING_CALLBACK_FIRST_LOGIN": first_pays},
        Channel=f"Local/{second}@rating-callback/n",
        Context="rating-callback-first",
        Exten=first,
        Priority="1",
        Async="true",
    )


@pytest.mark.parametrize("first_pays", ["", BOB])
async def test_both_legs_of_a_callback_are_charged_by_what_the_carrier_saw(scene: Scene, first_pays: str) -> None:
    await callback(scene, ANSWERS + "10", ANSWERS + "20", first_pays=first_pays)
    one = await scene.carrier_leg(ANSWERS + "10")
    two = await scene.carrier_leg(ANSWERS + "20")
    await one.hears(scene.carrier())
    await two.hears(scene.carrier())
    await two.talk_on()
    await one.talk_on()
    await two.hang_up()
    await one.ended()
    charges = await scene.charges()
    cdrs = {cdr["destination"]: (login, cdr) for login, found in charges.items() for cdr in found}
    assert {number: login for number, (login, _) in cdrs.items()} == {
        ANSWERS + "10": first_pays or ALICE,
        ANSWERS + "20": ALICE,
    }
    assert charged(one, cdrs[ANSWERS + "10"][1])
    assert charged(two, cdrs[ANSWERS + "20"][1])


async def test_both_legs_are_held_before_the_first_number_rings(scene: Scene) -> None:
    await callback(scene, RINGS + "10", ANSWERS + "20")
    await until(lambda: _true(bool(scene.carrier().calls)))
    assert len(await scene.pbx.open_calls(ALICE)) == 2
    cdrs = (await scene.charges())[ALICE]
    assert [(cdr["state"], cdr["cost"]) for cdr in cdrs] == [("voided", 0)] * 2
    assert [leg.number for leg in scene.carrier().calls] == [RINGS + "10"]


@pytest.mark.parametrize(("first", "second"), [("8110000010", ANSWERS + "20"), (ANSWERS + "10", "8110000010")])
async def test_where_one_leg_is_refused_nobody_is_rung_and_nothing_stays_held(
    scene: Scene, first: str, second: str
) -> None:
    await callback(scene, first, second)
    ami = scene.pbx.exchange.ami
    await ami.wait_event(lambda e: e.get("Event") == "Hangup" and "@rating-callback-" in e.get("Channel", ""))
    await scene.over()
    assert scene.carrier().calls == []
    assert (await scene.pbx.money(ALICE))[1] == 0
