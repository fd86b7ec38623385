"""Currencies as anybody reads them, and amounts in the system's and in the reader's by the latest exchange rate."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from rating_engine.domain.account import NewAccount
from rating_engine.domain.party import PartyChanges
from rating_engine.domain.price_list import Currency
from tests.support.narayana import Narayana, narayana_on


@pytest.fixture
async def narayana(database_url: str) -> AsyncIterator[Narayana]:
    async with narayana_on(database_url) as narayana:
        yield narayana


async def test_anybody_reads_currencies_and_nothing_that_is_somebodys(narayana):
    use = narayana.operator
    await use.exchange.set("EUR", "RUB", Decimal("68.917"))
    await use.exchange.set("EUR", "CHF", Decimal("0.95"))
    await use.currencies.set(Currency("RUB", "rub. ", transfer_fee=Decimal("0.5"), referral_reward=Decimal(2)))
    await use.currencies.set(Currency("CHF", "Fr.", enabled=False))

    assert await narayana.ask("getCurrencies", key="client") == [
        {"eur_course": 1, "currency": "EUR", "displayname": "€"},
        {"eur_course": 68.917, "currency": "RUB", "displayname": "rub. "},
    ]
    assert await narayana.ask("getCourse", key="client", currency="rub") == {
        "eur_course": 68.917, "currency": "RUB", "displayname": "rub. ", "transfer_fee": "0.50",
        "referral_reward": "2.00",
    }  # fmt: skip
    for currency in ("CHF", "ZZZ", "'", "x" * 3000):
        assert await narayana.code("getCourse", key="client", currency=currency) == "E_NOT_EXIST"
    assert await narayana.code("getCourse", key="client") == "E_MISSING_ARGUMENT"
    assert await narayana.code("getCurrentRates", key="client") == "E_NOT_EXIST"  # no tariff is public
    for method in ("getInfo", "getAccounts", "getRatesList", "getRoutes"):
        assert await narayana.code(method, key="client") == "E_AUTH_FAILED"


async def test_amounts_are_in_the_systems_currency_and_in_the_readers(narayana):
    use = narayana.operator
    await use.exchange.set("EUR", "USD", Decimal("1.25"))
    await use.accounts.create(NewAccount("5001", "retail", balance=Decimal(5), currency="USD", owner="firm"))
    await narayana.ask("updateUser", login="anna", currency="USD")
    info = await narayana.ask("getInfo", login="anna")
    assert (info["balance"], info["displaybalance"], info["displaycurrency"]) == (10, 12.5, "$")
    assert info["actualbalance"] == 10
    firm = await narayana.ask("getInfo", login="firm")
    assert (firm["balance"], firm["displaybalance"], firm["displaycurrency"]) == (4, 5, "$")

    called = {"login": "anna", "destination": "4912345", "callid": "1"}
    await narayana.ask("callPrepare", **called)
    await narayana.ask("callFinish", **called, length="60", status="16ANSWER")
    (log,) = await narayana.ask("getLogs", login="anna")
    assert (log["cost"], log["displaycost"], log["displaycurrency"]) == (0.6, 0.75, "$")
    spent = (await narayana.ask("getStats", login="anna"))["financials"]
    assert (spent["call_cost"], spent["display_call_cost"]) == (0.6, 0.75)

    assert await narayana.code("updateUser", login="anna", currency="JPY") == "E_NOT_EXIST"
    await use.parties.change("anna", PartyChanges(currency="JPY"))  # nobody said how many that are
    info = await narayana.ask("getInfo", login="anna")
    assert (info["balance"], info["displaybalance"], info["displaycurrency"]) == (9.4, 9.4, "€")
