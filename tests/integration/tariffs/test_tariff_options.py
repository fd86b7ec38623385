"""Changing tariffs and taking options: what it costs is charged with the change, once, or nothing happens at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from rating_engine.domain.account import Subscriber
from rating_engine.domain.errors import AlreadyExists, Hint, InvalidRequest, NotFound
from rating_engine.domain.tariff_card import SwitchOutcome
from rating_engine.storage.laws import LAWS, breaches_of
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.tariffs.tariff_options import MAX_OPTIONS
from tests.support.operators import Accounts, Exchange, Options, Tariffs
from tests.support.world import add_account, publish_deck, subscriber_by_login

DAY = timedelta(days=1)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """`1001` has 10 EUR and the tariff `retail`; `gold` costs 4 EUR to change to, the option `weekend` 2.50."""
    database = Database(database_url)
    await database.open()
    await publish_deck(database, "retail")
    await add_account(database, balance="10")
    await Tariffs(database).add("gold", {"switch_price": "4"})
    await Tariffs(database).add("weekend", {"is_option": "yes", "switch_price": "2.5"})
    yield database
    # Whatever was bought or refused, the books are right.
    assert [breach for law in LAWS for breach in await breaches_of(database, law)] == []
    await database.close()


async def caller(database: Database, login: str = "1001") -> Subscriber:
    subscriber = await subscriber_by_login(database, login)
    assert subscriber is not None
    return subscriber


async def tariff_and_balance(database: Database) -> tuple[str, Decimal]:
    state = await Accounts(database).show("1001")
    return state.tariff, state.balance


async def fees(database: Database) -> list[tuple[Any, ...]]:
    entries = await Accounts(database).statement("1001")
    return [(entry.amount, entry.subject, entry.reference) for entry in entries if entry.kind == "fee"]


async def test_a_login_changes_its_tariff_and_pays_the_price_in_the_same_moment(database):
    before = await caller(database)

    switched = await Options(database).switch_tariff("1001", "gold")

    after = await caller(database)
    assert (switched.outcome, switched.price, switched.currency, switched.balance) == (
        SwitchOutcome.SWITCHED,
        4,
        "EUR",
        6,
    )
    assert await tariff_and_balance(database) == ("gold", Decimal(6))
    assert await fees(database) == [(Decimal(-4), "tariff gold for 1001", None)]
    assert after.version > before.version
    assert after.tariff_id != before.tariff_id


async def test_packages_begin_anew_with_the_new_tariff(database):
    await database.fetch("UPDATE subscribers SET tariff_since = '2020-01-01'")

    await Options(database).switch_tariff("1001", "gold")

    assert await database.fetchval("SELECT tariff_since > now() - interval '1 hour' FROM subscribers")


async def test_changing_to_the_tariff_it_has_costs_nothing(database):
    await Options(database).switch_tariff("1001", "gold")

    again = await Options(database).switch_tariff("1001", "gold", "again")

    assert (again.outcome, again.balance) == (SwitchOutcome.UNCHANGED, 6)
    assert len(await fees(database)) == 1


@pytest.mark.parametrize(
    ("balance", "overdraft", "held", "outcome"),
    [
        ("4", "0", "0", "switched"),
        ("3.999999", "0", "0", "insufficient_funds"),
        ("3", "1", "0", "switched"),
        ("10", "0", "6", "switched"),
        ("10", "0", "6.000001", "insufficient_funds"),
        ("0", None, "0", "switched"),
    ],
)
async def test_only_money_that_no_call_holds_pays_for_a_change(database, balance, overdraft, held, outcome):
    await add_account(database, "1002", balance=balance, overdraft=overdraft, postpaid=overdraft is None)
    await database.fetch("UPDATE accounts SET reserved = $1 WHERE account_id = 2", Decimal(held))

    switched = await Options(database).switch_tariff("1002", "gold")

    await database.fetch("UPDATE accounts SET reserved = 0")
    shown = await Accounts(database).show("1002")
    charged = 4 if outcome == "switched" else 0
    assert switched.outcome == outcome
    assert (shown.tariff, shown.balance) == ("gold" if charged else "retail", Decimal(balance) - charged)
    assert switched.balance == shown.balance


async def test_a_debtor_may_change_to_what_costs_nothing(database):
    await add_account(database, "1002", balance="1")
    await database.fetchval("SELECT post_entry_v2(0::smallint, 2, 'correction', -3, NULL)")
    await Tariffs(database).set("gold", {"switch_price": "0"})

    assert (await Options(database).switch_tariff("1002", "gold")).outcome is SwitchOutcome.SWITCHED
    assert [entry.kind for entry in await Accounts(database).statement("1002")] == ["correction", "opening"]


async def test_a_reference_is_charged_once_even_when_the_price_has_changed_since(database):
    options = Options(database)
    first = await options.switch_tariff("1001", "gold", "order-1")
    await options.switch_tariff("1001", "retail")
    await Tariffs(database).set("gold", {"switch_price": "5"})

    again = await options.switch_tariff("1001", "gold", "order-1")

    assert (first.outcome, again.outcome, again.balance) == (SwitchOutcome.SWITCHED, SwitchOutcome.REPEATED, 6)
    assert await tariff_and_balance(database) == ("retail", Decimal(6))


async def test_a_reference_of_what_cost_nothing_is_remembered_too(database):
    await Tariffs(database).set("gold", {"switch_price": "0"})
    options = Options(database)
    await options.switch_tariff("1001", "gold", "order-1")
    await options.switch_tariff("1001", "retail")

    assert (await options.switch_tariff("1001", "gold", "order-1")).outcome is SwitchOutcome.REPEATED
    assert await fees(database) == [(Decimal(0), "tariff gold for 1001", "order-1")]


async def test_a_reference_that_was_used_for_something_else_is_refused(database):
    options = Options(database)
    await options.switch_tariff("1001", "gold", "order-1")
    await Accounts(database).top_up("1001", "4", reference="topup-1")

    for tariff, reference in (("retail", "order-1"), ("retail", "topup-1")):
        with pytest.raises(AlreadyExists, match=reference):
            await options.switch_tariff("1001", tariff, reference)
    with pytest.raises(AlreadyExists, match="order-1"):
        await options.grant("1001", "weekend", reference="order-1")
    assert await tariff_and_balance(database) == ("gold", Decimal(10))


async def test_many_who_repeat_one_order_at_once_pay_once(database):
    switched = await asyncio.gather(*(Options(database).switch_tariff("1001", "gold", "order-1") for _ in range(8)))

    assert sorted(one.outcome for one in switched) == ["repeated"] * 7 + ["switched"]
    assert await tariff_and_balance(database) == ("gold", Decimal(6))


async def test_orders_at_once_never_spend_more_than_there_is(database):
    """Five options of 2.50 on 10: four are had and paid for, whichever come first."""
    for number in range(5):
        await Tariffs(database).add(f"option{number}", {"is_option": "yes", "switch_price": "2.5"})

    granted = await asyncio.gather(*(Options(database).grant("1001", f"option{number}") for number in range(5)))

    assert sorted(one.outcome for one in granted) == ["insufficient_funds"] + ["switched"] * 4
    assert (await Accounts(database).show("1001")).balance == 0
    assert len((await caller(database)).options) == 4


async def test_the_price_is_converted_to_the_accounts_currency_at_the_rate_of_that_moment(database):
    await Exchange(database).set("EUR", "USD", "1.1234567891")
    state = await Accounts(database).create("1002", "retail", currency="USD", balance="10")

    switched = await Options(database).switch_tariff("1002", "gold")

    assert state.currency == "USD"
    assert (switched.price, switched.currency, switched.balance) == (Decimal("4.493827"), "USD", Decimal("5.506173"))


async def test_without_an_exchange_rate_nobody_has_a_tariff_of_another_currency(database):
    await Tariffs(database).add("dollars", {"currency": "USD"})

    for what in (
        Options(database).switch_tariff("1001", "dollars"),
        Accounts(database).create("1002", "dollars", currency="EUR"),
        Accounts(database).add_subscriber("1003", "1001", tariff="dollars"),
    ):
        with pytest.raises(InvalidRequest, match="no exchange rate") as refused:
            await what
        assert refused.value.hint is Hint.NO_EXCHANGE_RATE
        assert refused.value.about == {"currency_from": "USD", "currency_to": "EUR"}


async def test_an_option_is_no_tariff_and_a_tariff_no_option(database):
    for what, hint in (
        (Options(database).switch_tariff("1001", "weekend"), Hint.GRANT_OPTION),
        (Options(database).grant("1001", "gold"), Hint.SWITCH_TARIFF),
        (Accounts(database).create("1002", "weekend"), Hint.GRANT_OPTION),
        (Accounts(database).add_subscriber("1002", "1001", tariff="weekend"), Hint.GRANT_OPTION),
    ):
        with pytest.raises(InvalidRequest, match=r"^tariff: ") as refused:
            await what
        assert refused.value.hint is hint


async def test_a_price_that_changes_while_it_is_looked_at_is_looked_at_again(database, monkeypatch):
    """Between the look at the price and the charge somebody makes it dearer: the new price is charged."""
    options = Options(database)
    try_switch = options._try_switch
    looked: list[Decimal] = []

    async def dearer(party: Any, tariff: Any, change: Any) -> Any:
        if not looked:
            await Tariffs(database).set("gold", {"switch_price": "5"})
        looked.append(tariff.switch_price)
        return await try_switch(party, tariff, change)

    monkeypatch.setattr(options, "_try_switch", dearer)

    assert (await options.switch_tariff("1001", "gold")).price == 5
    assert looked == [4, 5]


async def test_an_option_is_had_from_now_on_until_it_is_revoked_and_paid_for_at_once(database):
    options = Options(database)
    granted = await options.grant("1001", "weekend")

    (held,) = (await caller(database)).options
    now = datetime.now(UTC)
    assert (granted.outcome, granted.balance) == (SwitchOutcome.SWITCHED, Decimal("7.5"))
    assert await fees(database) == [(Decimal("-2.5"), "option weekend for 1001", None)]
    assert held.effective_from <= now < now + 10_000 * DAY < held.effective_to
    assert [(one.tariff, one.in_force, one.effective_to) for one in await options.list("1001")] == [
        ("weekend", True, None)
    ]

    await options.revoke("1001", "weekend")

    assert not any(
        one.effective_from <= datetime.now(UTC) < one.effective_to for one in (await caller(database)).options
    )
    assert await options.list("1001") == []
    assert [one.in_force for one in await options.list("1001", past=True)] == [False]
    assert (await Accounts(database).show("1001")).balance == Decimal("7.5")
    with pytest.raises(NotFound, match="does not have 'weekend'"):
        await options.revoke("1001", "weekend")


async def test_an_option_for_a_span_ahead_is_known_to_the_call_path_with_its_span(database):
    await Tariffs(database).set("weekend", {"time_zone": "Asia/Kathmandu"})  # +05:45

    await Options(database).grant("1001", "weekend", begins="2999-03-01", ends="2999-04-01T00:00+00:00")

    (held,) = (await caller(database)).options
    assert held.effective_from == datetime(2999, 2, 28, 18, 15, tzinfo=UTC)
    assert held.effective_to == datetime(2999, 4, 1, tzinfo=UTC)


async def test_revoking_takes_back_what_was_granted_ahead(database):
    options = Options(database)
    await options.grant("1001", "weekend", ends="2999-01-01")
    await options.grant("1001", "weekend", begins="2999-01-01")

    await options.revoke("1001", "weekend")

    assert len(await options.list("1001", past=True)) == 1


async def test_an_option_may_follow_on_itself_but_is_not_had_twice_at_once(database):
    options = Options(database)
    outcomes = [
        (await options.grant("1001", "weekend", begins=begins, ends=ends)).outcome
        for begins, ends in (
            ("2999-01-01", "2999-02-01"),
            ("2999-02-01", "2999-03-01"),
            ("2999-01-31", "2999-02-02"),
            (None, None),
            ("2999-03-01", None),
        )
    ]

    assert outcomes == ["switched", "switched", "unchanged", "unchanged", "switched"]


async def test_options_count_in_the_order_they_were_granted_unless_given_a_position(database):
    options = Options(database)
    await Accounts(database).top_up("1001", "100")
    for name, position in (("a", None), ("b", None), ("c", 0), ("d", 2)):
        await Tariffs(database).add(name, {"is_option": "yes"})
        await options.grant("1001", name, position=position)

    assert [(one.tariff, one.position) for one in await options.list("1001")] == [
        ("c", 0),
        ("a", 1),
        ("b", 2),
        ("d", 2),
    ]
    ids = [one.tariff_id for one in (await caller(database)).options]
    names = [await database.fetchval("SELECT name FROM tariffs WHERE tariff_id = $1", each) for each in ids]
    assert sorted(names[2:]) == ["b", "d"]
    assert names[:2] == ["c", "a"]


async def test_a_subscriber_has_so_many_options_and_no_more(database):
    await Accounts(database).top_up("1001", "100")
    for number in range(MAX_OPTIONS):
        await Tariffs(database).add(f"option{number}", {"is_option": "yes"})
        await Options(database).grant("1001", f"option{number}")

    with pytest.raises(InvalidRequest, match=f"^option: .*{MAX_OPTIONS} options already"):
        await Options(database).grant("1001", "weekend")


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("effective_from", {"begins": "2020-01-01"}),
        ("effective_from", {"begins": "tomorrow"}),
        ("effective_to", {"ends": "2020-01-01"}),
        ("effective_to", {"begins": "2999-01-02", "ends": "2999-01-02"}),
        ("position", {"position": -1}),
        ("reference", {"reference": ""}),
    ],
)
async def test_a_grant_that_makes_no_sense_is_refused_by_name(database, field, wrong):
    with pytest.raises(InvalidRequest, match=f"^{field}: "):
        await Options(database).grant("1001", "weekend", **wrong)
    assert await fees(database) == []


async def test_a_grant_that_is_repeated_after_it_has_begun_is_still_the_same_grant(database):
    """What is past is refused, but not to who repeats an order: it was not past when the order was first given."""
    options = Options(database)
    await options.grant("1001", "weekend", begins="2999-01-01", reference="order-1")

    again = await options.grant("1001", "weekend", begins="2020-01-01", reference="order-1")

    assert (again.outcome, again.balance) == (SwitchOutcome.REPEATED, Decimal("7.5"))


async def test_who_and_what_are_not_there_is_said(database):
    options = Options(database)
    for what, says in (
        (options.switch_tariff("nobody", "gold"), "login 'nobody'"),
        (options.switch_tariff("1001", "nix"), "tariff 'nix'"),
        (options.grant("nobody", "weekend"), "login 'nobody'"),
        (options.revoke("nobody", "weekend"), "login 'nobody'"),
        (options.list("nobody"), "login 'nobody'"),
    ):
        with pytest.raises(NotFound, match=says):
            await what
