"""Money of users by Narayana: sent to one another, and set by who owns the user."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from rating_engine.domain.account import AccountChanges, NewAccount
from rating_engine.domain.api_key import KeyKind, NewKey
from rating_engine.domain.party import Level, NewParty, PartyKind
from rating_engine.services.doctor import ledger_balanced
from tests.support.narayana import Narayana, narayana_on

HUGE = "9" * 30


@pytest.fixture
async def narayana(database_url: str) -> AsyncIterator[Narayana]:
    """anna and otto have ten; firm, which owns anna, has fifty of its own."""
    async with narayana_on(database_url) as narayana:
        await narayana.operator.accounts.create(NewAccount("5000", "retail", balance=Decimal(50), owner="firm"))
        await narayana.operator.parties.create(NewParty("root", PartyKind.ADMIN, Level.ROOT_ADMIN))
        yield narayana
        assert await ledger_balanced(narayana.engine.office) == []


async def number_of(narayana: Narayana, user: str) -> str:
    return str((await narayana.operator.accounts.lines(user))[0].account_id)


async def balances(narayana: Narayana) -> list[Decimal]:
    """Of anna, otto and firm."""
    return [(await narayana.operator.accounts.show(login)).balance for login in ("1001", "2001", "5000")]


async def test_users_send_money_by_login_and_by_number_and_neither_has_more_than_there_is(narayana):
    await narayana.ask("transferMoney", login="anna", destination="otto", amount="2.5", comment="for lunch")
    await narayana.ask("transferMoney", login="otto", destination=await number_of(narayana, "anna"), amount="0.5")

    assert await balances(narayana) == [8, 12, 50]
    refused = [
        ({"amount": "8.01"}, "E_INSUFFICIENT_MONEY"),
        *(({"amount": amount}, "E_DATA_ABORT") for amount in ("0", "-1", "0.0000001", HUGE)),
        *(({"amount": amount}, "E_INVALID_ARGUMENT") for amount in ("1e3", "ten", "NaN")),
        ({"amount": ""}, "E_MISSING_ARGUMENT"),
        ({"destination": "nobody"}, "E_NOT_EXIST"),
        ({"destination": HUGE}, "E_NOT_EXIST"),
        ({"destination": "anna"}, "E_DATA_ABORT"),
        ({"comment": "x" * 5_000}, "E_DATA_ABORT"),
    ]
    for given, code in refused:
        asked = {"destination": "otto", "amount": "1", **given}
        assert await narayana.code("transferMoney", login="anna", **asked) == code, given
    assert await balances(narayana) == [8, 12, 50]


async def test_what_the_currency_says_of_a_fee_is_taken_besides(narayana):
    await narayana.engine.office.fetch("INSERT INTO currencies (code, transfer_fee) VALUES ('EUR', 0.5)")

    await narayana.ask("transferMoney", login="anna", destination="otto", amount="2")
    assert await narayana.code("transferMoney", login="anna", destination="otto", amount="7.01") == (
        "E_INSUFFICIENT_MONEY"
    )
    await narayana.ask("transferMoney", login="anna", destination="otto", amount="7")
    assert await balances(narayana) == [0, 19, 50]


async def test_twenty_at_once_send_no_more_than_there_is(narayana):
    answers = await asyncio.gather(
        *(narayana.raw("transferMoney", login="anna", destination="otto", amount="3") for _ in range(20))
    )

    assert sum(answer.json()["result"] for answer in answers) == 3
    assert await balances(narayana) == [1, 19, 50]


async def test_money_that_may_not_move_does_not(narayana):
    for login in ("1001", "2001"):
        for allowed, code in ((0, "E_TRANSACTIONS_LOCKED"), (1, "E_TRANSACTIONS_LIMITED")):
            await narayana.operator.accounts.change(login, AccountChanges(refill_allowed=allowed))
            assert await narayana.code("transferMoney", login="anna", destination="otto", amount="1") == code
        await narayana.operator.accounts.change(login, AccountChanges(refill_allowed=2))
    await narayana.engine.office.fetch("UPDATE accounts SET currency = 'CHF' WHERE balance = 50")
    assert await narayana.code("transferMoney", login="anna", destination="firm", amount="1") == "E_TRANSACTION_FAILED"
    assert await balances(narayana) == [10, 10, 50]


async def test_who_owns_a_user_sets_its_balance_with_money_of_its_own(narayana):
    account = await number_of(narayana, "anna")
    await narayana.ask("updateAccount", login="firm", account=account, balance="25")
    await asyncio.gather(
        *(narayana.raw("updateAccount", login="firm", account=account, balance="5") for _ in range(5))
    )  # asked at once, done once

    assert await balances(narayana) == [5, 10, 55]
    assert await narayana.code("updateAccount", login="firm", account=account, balance="60.01") == (
        "E_INSUFFICIENT_MONEY"
    )
    assert await balances(narayana) == [5, 10, 55]


async def test_an_administrator_sets_a_balance_by_an_entry(narayana):
    account = await number_of(narayana, "otto")
    await narayana.ask("updateAccount", login="boss", account=account, balance="7.25")
    await narayana.ask("updateAccount", login="boss", account=account, balance="7.25")

    assert await balances(narayana) == [10, Decimal("7.25"), 50]
    entries = await narayana.engine.office.fetch(
        "SELECT kind::text, amount FROM ledger_entries WHERE account_id = $1 AND kind <> 'opening'", int(account)
    )
    assert [tuple(entry) for entry in entries] == [("adjustment", Decimal("-2.75"))]


async def test_an_amount_is_in_the_currency_of_who_gives_it(narayana):
    """Their accounts are in euros; a dollar is half of one."""
    ask = narayana.ask
    await narayana.operator.exchange.set("EUR", "USD", Decimal(2))
    for who in ("anna", "firm", "boss"):
        await ask("updateUser", login=who, currency="USD")

    await ask("transferMoney", login="anna", destination="otto", amount="2")
    assert await balances(narayana) == [9, 11, 50]
    code = await ask("createPrepaidCode", login="firm", balance="10")
    (shown,) = await ask("getPrepaidCodes", login="firm")
    assert (shown["balance"], shown["display_balance"]) == (5, 10)
    await ask("activatePrepaidCode", login="anna", code=code, amount="4")
    assert await balances(narayana) == [11, 11, 45]
    await ask("updateAccount", login="firm", account=await number_of(narayana, "anna"), balance="24")
    assert await balances(narayana) == [12, 11, 44]

    new = {"web_password": "0" * 32, "accesslevel": "11", "sip_server": "pbx1", "sip_password": "verysecretpassword"}
    await ask("registerUser", login="firm", user="one", sip_extension="40000", balance="8", **new)
    await ask("registerUser", login="boss", user="two", sip_extension="50000", balance="8", currency="EUR", **new)
    assert [(await narayana.operator.accounts.show(line)).balance for line in ("40000", "50000", "5000")] == [4, 4, 40]


WRONG = [
    ("anna", "anna", {"balance": "11"}, "E_INSUFFICIENT_ACCESS"),
    ("anna", "anna", {"overdraft": "1"}, "E_INSUFFICIENT_ACCESS"),
    ("anna", "anna", {"refill_allowed": "2"}, "E_INSUFFICIENT_ACCESS"),
    ("anna", "anna", {"postpaid": "1"}, "E_INSUFFICIENT_ACCESS"),
    ("firm", "firm", {"balance": "51"}, "E_INSUFFICIENT_ACCESS"),
    ("firm", "otto", {"balance": "51"}, "E_DOES_NOT_BELONG_TO_YOU"),
    ("firm", "anna", {"balance": HUGE}, "E_DATA_ABORT"),
    ("firm", "anna", {"balance": "0.0000001"}, "E_DATA_ABORT"),
    ("firm", "anna", {"refill_allowed": "3"}, "E_DATA_ABORT"),
    ("firm", "anna", {"refill_allowed": "-1"}, "E_DATA_ABORT"),
    ("firm", "anna", {"postpaid": "2"}, "E_DATA_ABORT"),
    ("firm", "anna", {"postpaid": "0.5"}, "E_INVALID_ARGUMENT"),
    ("boss", "anna", {"overdraft": "-1"}, "E_DATA_ABORT"),
    ("boss", "anna", {"balance": "much"}, "E_INVALID_ARGUMENT"),
    ("boss", "anna", {"displaybalance": "5"}, "E_INVALID_ARGUMENT"),
    ("boss", "anna", {"billing_email": "a@example.org\nBcc: b@example.org"}, "E_DATA_ABORT"),
]


async def test_what_may_not_be_set_is_refused_and_changes_nothing(narayana):
    for who, whose, given, code in WRONG:
        account = await number_of(narayana, whose)
        assert await narayana.code("updateAccount", login=who, account=account, **given) == code, (who, whose, given)
    await narayana.add_key(NewKey("roots", KeyKind.SERVER, Level.SERVER, owner="root"))
    asked = {"key": "roots", "login": "root", "account": await number_of(narayana, "anna"), "balance": "51"}
    assert await narayana.code("updateAccount", **asked) == "E_INSUFFICIENT_ACCESS"
    assert await narayana.code("updateAccount", login="firm", account=HUGE, balance="1") == "E_DATA_ABORT"
    assert await narayana.code("updateAccount", login="firm", account="999999", balance="1") == "E_NOT_EXIST"
    assert await balances(narayana) == [10, 10, 50]


async def test_what_is_set_is_read_back_and_counts(narayana):
    account = await number_of(narayana, "anna")
    await narayana.ask("updateAccount", login="anna", billing_name="Anna A.", billing_bank_account="DE02")
    await narayana.ask("updateAccount", login="boss", account=account, overdraft="3", postpaid="1", refill_allowed="1")

    info = await narayana.ask("getInfo", login="anna")
    assert (info["billing_name"], info["billing_bank_account"], info["billing_email"]) == ("Anna A.", "DE02", "")
    assert (info["overdraft"], info["postpaid"], info["refill_allowed"], info["actualbalance"]) == (3, 1, 1, 13)
    shown = await narayana.ask("getAccountInfo", login="firm", account=account)
    assert (shown["postpaid"], shown["refill_allowed"]) == (1, 1)


async def test_a_user_has_the_invitations_that_it_is_given(narayana):
    await narayana.ask("updateUser", login="firm", user="anna", invites="3")
    assert await narayana.ask("getValue", login="anna", property="invites") == "3"
