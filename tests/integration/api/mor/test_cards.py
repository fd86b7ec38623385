"""Calling cards by MOR's functions: what they change, and what of it others may."""

from __future__ import annotations

import asyncio
import itertools
from decimal import Decimal
from xml.etree.ElementTree import Element

import pytest

from rating_engine.api.mor.declared import NAMED
from rating_engine.domain.card import CardFilter, GroupTerms, NewCardGroup
from rating_engine.domain.outcomes import CardAdmitted, CardQuestion
from rating_engine.domain.page import Cursor
from rating_engine.domain.tax import Tax
from tests.support.mor import Mor, hash_of, mor_on

CARD_FUNCTIONS = (
    "card_by_cli_update", "card_from_group_sell", "card_group_get", "card_balance_get", "card_payment_add",
    "calling_cards_create", "calling_card_update", "calling_cards_get", "cc_group_create", "cc_group_update",
    "cc_groups_get",
)  # fmt: skip


@pytest.fixture
async def mor(database_url: str):
    async with mor_on(database_url) as mor:
        yield mor


def texts(root: Element, path: str) -> list[str | None]:
    return [each.text for each in root.findall(path)]


async def entries(mor: Mor) -> list[tuple[str, Decimal]]:
    rows = await mor.database.fetch(
        "SELECT e.kind::text, e.amount FROM ledger_entries e JOIN calling_cards c USING (bucket, account_id) "
        "ORDER BY c.card_id, e.entry_id"
    )
    return [(row["kind"], row["amount"]) for row in rows]


def test_printed_and_restated_hashes_are_ours():
    vectors = {
        ("cc_group_create", "secret"): ({"name": "card_group_test"}, "756ad8cf62a832f27a12bb670aeeaf8fca3c7782"),
        ("calling_cards_create", "secret"): (
            {"card_group_id": "1", "cards_from": "1000000025", "cards_till": "1000000035"},
            "7e112ededcfee097cce21b6201c6d2a00dda1f4c",
        ),
        ("calling_card_update", "secret"): ({"card_id": "1"}, "bc2f114099d16656d37e45fd9e8744cb9386d462"),
        ("calling_cards_get", "secret"): ({}, "e5e9fa1ba31ecd1ae84f75caaa474f3a663f05f4"),
        ("card_from_group_sell", "456789"): ({"id": "6", "quantity": "2"}, "37086d860581fabc278413cd1a417d5c079f6eba"),
        ("card_group_get", "456789"): ({"id": "6"}, "67df827dec80a7241fb3fc4de22a90e62c5e8d93"),
        ("card_balance_get", "secretkey"): ({"number": "1111111000"}, "0d43cbd508a63230032ef593089833543ea297ea"),
    }
    for (function, secret), (given, sha1) in vectors.items():
        assert hash_of(function, given, secret) == sha1, function


async def test_a_group_is_made_its_cards_are_sold_and_call(mor: Mor):
    tax = await mor.operator.taxes.add(Tax("vat", Decimal(19)))
    await mor.done(
        "cc_group_create", name="Holiday", price_with_vat="12", tax_id=tax, number_length=8, pin_length=6,
        daily_charge="0.10", valid_after_first_use=30, tell_cents=1, tell_balance_in_currency="EUR", lcr_id=1,
    )  # fmt: skip
    assert await mor.done("calling_cards_create", card_group_id=1, cards_from=10000000, cards_till=10000004) == (
        "Cards created: 5/5"
    )
    sold = await mor.ask("card_from_group_sell", id=1, quantity=2, email="anna@example.org")
    numbers, pins = texts(sold, "cards/card/number"), texts(sold, "cards/card/pin")
    assert texts(sold, "cards/card/balance_without_vat") == ["10.084034"] * 2
    assert [len(pin or "") for pin in pins] == [6, 6]
    assert await mor.text("card_group_get", "cardgroup/free_cards_size", id=1) == "3"
    assert texts(await mor.ask("calling_cards_get", sold="yes"), "cards/card/card_number") == numbers
    assert await mor.text("card_balance_get", "calling_card/balance", number=numbers[0]) == "10.084034"
    (mail,) = await mor.database.fetch("SELECT recipient, body FROM mails")
    assert all(f"{number}  {pin}" in mail["body"] for number, pin in zip(numbers, pins, strict=True))
    used = await mor.engine.charging.authorize_card(CardQuestion("pbx", numbers[0] or "", pins[0] or ""))
    assert isinstance(used, CardAdmitted)
    assert (used.balance, used.currency) == (Decimal("9.98"), "EUR")
    assert await mor.error("card_from_group_sell", id=1, quantity=4) == "Free cards was not found"
    assert await mor.error("card_from_group_sell", id=1, number=numbers[0]) == "Free cards was not found"
    assert await mor.error("card_from_group_sell", id=7) == "Cardgroup was not found"
    assert await mor.error("card_from_group_sell", id=1, quantity=0) == "Free cards was not found"

    paid = await mor.ask("card_payment_add", number=numbers[0], amount="11.9", currency="EUR", description="till")
    details = {each.tag: each.text for each in paid.findall("add_payment/details/*")}
    assert details == {
        "current_balance": "9.984034", "converted_to": "EUR", "exchange_rate": "1.0", "amount_with_tax": "11.9",
        "amount_without_tax": "10.0", "new_balance": "19.984034", "description": "till",
    }  # fmt: skip
    assert await mor.error("card_payment_add", number=numbers[0], amount="1", currency="QQQ") == "Currency disabled"
    assert await mor.error("card_payment_add", number="99999999", amount="1") == "Calling Card was not found"
    assert await mor.error("card_payment_add", number="10000004", amount="1") == "Access Denied"  # nobody has bought it
    assert await entries(mor) == [
        ("opening", Decimal("10.084034")), ("fee", Decimal("-0.10")), ("topup", Decimal(10)),
        ("opening", Decimal("10.084034")),
    ]  # fmt: skip


async def test_a_callers_card_is_made_filled_and_given_what_another_one_has(mor: Mor):
    await mor.done("cc_group_create", name="Cli", price_with_vat="5")
    made = await mor.ask("card_by_cli_update", callerid="4930123", amount="3", cardgroup_id=1)
    assert (made.findtext("response/status"), made.findtext("response/card/balance")) == ("ok", "3.0")
    more = await mor.ask("card_by_cli_update", callerid="4930123", amount="2.5")
    assert more.findtext("response/card/id") == made.findtext("response/card/id")
    assert more.findtext("response/card/balance") == "5.5"
    await mor.done("calling_cards_create", card_group_id=1, cards_from=1000000000, cards_till=1000000000)
    pin = texts(await mor.ask("card_from_group_sell", id=1), "cards/card/pin")[0]
    moved = await mor.ask("card_by_cli_update", callerid="4930123", pin=pin, amount="100")
    assert moved.findtext("response/card/balance") == "10.5"
    assert await mor.text("card_balance_get", "calling_card/balance", number="1000000000") == "0.0"
    assert await mor.error("card_by_cli_update", callerid="4930123", pin=pin) == "Failed to make transaction"
    assert await mor.error("card_by_cli_update", callerid="49888", amount="1") == "Supplied Cardgroup_id is invalid"
    assert await mor.error("card_by_cli_update", callerid="49888", amount="1", cardgroup_id=9) == (
        "Supplied Cardgroup_id is invalid"
    )
    assert await mor.error("card_by_cli_update", callerid="4930123", amount="-1") == "Failed to make transaction"
    assert (
        await mor.error("card_by_cli_update", callerid="abc", amount="1", cardgroup_id=1)
        == "Failed to make transaction"
    )
    given = {"callerid": "4930777", "amount": "2", "cardgroup_id": 1}
    at_once = await asyncio.gather(*(mor.ask("card_by_cli_update", **given) for _ in range(4)))
    done = [root for root in at_once if root.find("response/card") is not None]
    assert len({root.findtext("response/card/id") for root in done}) == 1  # one card, and what was said to be given
    cards = (await mor.operator.cards.page(CardFilter(group_id=1), Cursor())).items
    assert [(card.callerid, card.balance) for card in cards if card.balance] == [
        ("4930123", Decimal("10.5")), ("4930777", Decimal(2 * len(done))),
    ]  # fmt: skip


async def test_what_is_others_is_not_there_and_nonsense_is_the_functions_own_error(mor: Mor):
    await mor.operator.card_groups.add(NewCardGroup(GroupTerms(name="one", tariff="retail")))
    await mor.done("calling_cards_create", card_group_id=1, cards_from=1000000000, cards_till=1000000000)
    foreign = {
        "card_group_get": {"id": 1}, "cc_groups_get": {"cc_group_id": 1}, "cc_group_update": {"cc_Group_id": 1},
        "calling_cards_create": {"card_group_id": 1, "cards_from": 1, "cards_till": 2},
        "calling_card_update": {"card_id": 1, "pin": "0000"}, "card_from_group_sell": {"id": 1},
        "card_balance_get": {"number": 1000000000}, "card_payment_add": {"number": 1000000000, "amount": 1},
        "card_by_cli_update": {"callerid": 4930, "cardgroup_id": 1, "amount": 1},
    }  # fmt: skip
    for function, given in foreign.items():
        said = await mor.error(function, u="firm", **given)
        assert "found" in said or said == "Supplied Cardgroup_id is invalid", function
    for fee in ({"setup_fee": "1,50"}, {"daily_charge": -1}, {"number_length": 200}, {"ghost_balance_perc": "x"}):
        assert await mor.error("cc_group_create", name="g", **fee) == "Access Denied"
    assert await mor.error("cc_group_update", cc_Group_id=1, setup_fee="1,50") == "Access Denied"
    nonsense = itertools.cycle(("", "abc", "-1", "9" * 40, "1e9", "\u0661", "<x>", "'; --", "x" * 5000))
    for function in CARD_FUNCTIONS:
        for parameter in NAMED[function].parameters:
            given = {**foreign.get(function, {}), parameter.name: next(nonsense)}
            error = (await mor.ask(function, **given)).findtext("status/error")
            assert error is None or error in (*NAMED[function].errors, "Access Denied"), (function, given, error)
    for u in ("anna", "user1", "acc"):
        for function in CARD_FUNCTIONS:
            assert await mor.error(function, u=u) in (*NAMED[function].errors, "Access Denied")
    cards = (await mor.operator.cards.page(CardFilter(), Cursor())).items
    assert "1000000000" in [card.number for card in cards]
