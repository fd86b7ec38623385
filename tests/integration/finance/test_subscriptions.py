"""Services and who takes them: charged once a period whoever asks, owed where money is missing, ended, given back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from rating_engine.domain.account import NewAccount
from rating_engine.domain.did import NewDid
from rating_engine.domain.errors import AlreadyExists, InvalidRequest, NotAllowed, NotFound, NotYours, Refused
from rating_engine.domain.outcomes import Allowed
from rating_engine.domain.page import Cursor
from rating_engine.domain.party import NewParty, PartyKind
from rating_engine.domain.principal import ENGINE, OPERATOR, principal_of
from rating_engine.domain.subscription import (
    MoneyBack,
    NewService,
    NewSubscription,
    Period,
    ServiceChanges,
    ServiceKind,
    SubscriptionChanges,
    SubscriptionFilter,
    SubscriptionState,
)
from rating_engine.domain.transfer import InsufficientMoney, NoExchangeRate
from rating_engine.engine.services import open_services
from rating_engine.services.catalogue import Services, UseCases
from rating_engine.services.finance.recurring import Recurring
from rating_engine.services.finance.subscriptions import Subscriptions
from rating_engine.settings.model import Settings
from rating_engine.storage.laws import LAWS, breaches_of
from rating_engine.storage.postgres.pool import Database
from tests.support.calls import finish, prepare
from tests.support.engines import engine_on
from tests.support.world import publish_deck

START = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    await database.open()
    await publish_deck(database)
    yield database
    await database.close()


@pytest.fixture
async def services(database: Database, database_url: str) -> AsyncIterator[Services]:
    async with open_services(Settings(database_url=database_url)) as services:
        asked = services.of(OPERATOR)
        await asked.parties.create(NewParty("firm", PartyKind.RESELLER, tariff="retail"))
        for user, login in (("anna", "1001"), ("otto", "2001")):
            await asked.parties.create(NewParty(user, owner="firm" if user == "anna" else None))
            await asked.accounts.create(NewAccount(login, "retail", balance=Decimal(10), owner=user))
        yield services


@pytest.fixture
def operator(services: Services) -> UseCases:
    return services.of(OPERATOR)


def at(database: Database, moment: datetime) -> Subscriptions:
    return Subscriptions(database, OPERATOR, lambda: moment)


async def balance(operator: UseCases, login: str = "1001") -> Decimal:
    return (await operator.accounts.show(login)).balance


async def turns(database: Database, moment: datetime) -> None:
    """What is due, by two engines at once, and asked again."""
    one, two = Recurring(database, ENGINE, lambda: moment), Recurring(database, ENGINE, lambda: moment)
    await asyncio.gather(one.turn(), two.turn())
    await one.turn()


async def breaches(database: Database) -> list[object]:
    return [breach for law in LAWS for breach in await breaches_of(database, law)]


async def test_a_year_is_twelve_months_and_a_setup_price_each_charged_once(operator, database):
    """By a clock that is moved, with half a year in which nobody looked; unpaid ones end after their grace."""
    month = await operator.paid_services.add(NewService("fax", price=Decimal("0.50"), setup_price=Decimal(1)))
    day = await operator.paid_services.add(
        NewService("alarm", price=Decimal(2), period=Period.DAY, quantity=2, grace_days=3)
    )
    begun = await at(database, START).subscribe(NewSubscription("anna", month.service_id, line="1001"))
    ended = await at(database, START).subscribe(NewSubscription("otto", day.service_id, memo="alarm"))
    assert await balance(operator) == Decimal("8.50")
    for days in (1, 2, 3, 10, 40, 230, 350):
        await turns(database, START + timedelta(days=days))

    assert await balance(operator) == Decimal(10) - 1 - 12 * Decimal("0.50")
    found = await operator.subscriptions.show(begun.subscription_id)
    assert (found.state, found.paid_to) == (SubscriptionState.ACTIVE, START.replace(year=2027))
    assert await balance(operator, "2001") == Decimal(2)
    assert (await operator.subscriptions.show(ended.subscription_id)).state is SubscriptionState.ENDED
    entries = (await operator.accounts.statement("1001", Cursor())).items
    assert len({entry.reference for entry in entries}) == len(entries)
    assert await breaches(database) == []


async def test_what_is_not_there_is_owed_in_order_and_taken_when_it_comes(operator, database):
    service = await operator.paid_services.add(NewService("fax", price=Decimal(4)))
    with pytest.raises(InsufficientMoney):
        await operator.subscriptions.subscribe(
            NewSubscription(
                "anna", (await operator.paid_services.add(NewService("dear", price=Decimal(11)))).service_id
            )
        )
    assert (await operator.subscriptions.page(SubscriptionFilter("anna"), Cursor())).items == ()
    begun = await at(database, START).subscribe(NewSubscription("anna", service.service_id))
    await turns(database, START + timedelta(days=100))
    found = await operator.subscriptions.show(begun.subscription_id)
    assert (found.state, await balance(operator)) == (SubscriptionState.UNPAID, Decimal(2))

    await operator.accounts.top_up("1001", Decimal(5))
    await turns(database, START + timedelta(days=101))
    assert await balance(operator) == Decimal(3)
    await operator.paid_services.change(service.service_id, ServiceChanges(price=Decimal(3)))
    await turns(database, START + timedelta(days=102))
    assert await balance(operator) == Decimal(0)
    found = await operator.subscriptions.show(begun.subscription_id)
    assert found.state is SubscriptionState.ACTIVE


async def test_a_flat_rate_gives_a_line_its_minutes_as_long_as_it_is_paid(operator, database, database_url, redis_url):
    flat = await operator.paid_services.add(
        NewService("flat 100", ServiceKind.FLAT_RATE, price=Decimal(6), minutes=100)
    )
    now = datetime.now(UTC)
    begun = await at(database, now).subscribe(NewSubscription("anna", flat.service_id, line="1001"))
    async with engine_on(database_url, redis_url) as engine:
        assert isinstance(await engine.charging.prepare_call(prepare("free")), Allowed)
        await engine.charging.finish_call(finish("free", 60))
    assert await balance(operator) == Decimal(4)
    options = (await operator.options.page("1001", Cursor())).items
    assert [(option.tariff, option.effective_to) for option in options] == [("flat 100", begun.paid_to)]
    with pytest.raises(AlreadyExists):
        await operator.subscriptions.subscribe(NewSubscription("anna", flat.service_id, line="1001"))
    await turns(database, begun.paid_to + timedelta(days=1))
    options = (await operator.options.page("1001", Cursor())).items
    assert [option.effective_to for option in options] == [begun.paid_to]  # unpaid: it lapses

    assert await operator.subscriptions.end(begun.subscription_id, money_back=MoneyBack.ALL) == Decimal(6)
    assert await operator.subscriptions.end(begun.subscription_id, remove=True, money_back=MoneyBack.ALL) == 0
    assert await balance(operator) == Decimal(10)
    assert (await operator.options.page("1001", Cursor())).items == ()
    with pytest.raises(NotFound):
        await operator.subscriptions.show(begun.subscription_id)
    await operator.paid_services.remove(flat.service_id)


async def test_the_rest_of_a_period_is_given_back_once(operator, database):
    service = await operator.paid_services.add(NewService("day", price=Decimal(8), period=Period.DAY))
    begun = await at(database, START).subscribe(NewSubscription("anna", service.service_id, is_calendar=True))
    assert await balance(operator) == Decimal(6)  # from noon on
    back = await at(database, START + timedelta(hours=3)).end(begun.subscription_id, money_back=MoneyBack.REST)
    assert back == Decimal(3)
    await turns(database, START + timedelta(days=9))
    assert await balance(operator) == Decimal(9)


async def test_of_many_asked_with_one_reference_one_is_made(operator, database):
    service = await operator.paid_services.add(NewService("fax", price=Decimal(1)))
    new = NewSubscription("anna", service.service_id, reference="order-1")
    made = await asyncio.gather(*(operator.subscriptions.subscribe(new) for _ in range(5)))
    assert len({each.subscription_id for each in made}) == 1
    assert await balance(operator) == Decimal(9)
    other = await operator.paid_services.add(NewService("other"))
    with pytest.raises(AlreadyExists):
        await operator.subscriptions.subscribe(NewSubscription("anna", other.service_id, reference="order-1"))
    with pytest.raises(InvalidRequest):
        NewSubscription("anna", 1, reference="subscription:1:x")
    with pytest.raises(Refused):
        await operator.paid_services.remove(service.service_id)


async def test_prices_of_another_currency_and_what_begins_later_and_what_is_of_a_number(operator, database):
    service = await operator.paid_services.add(NewService("abroad", price=Decimal(1), currency="USD"))
    with pytest.raises(NoExchangeRate):
        await operator.subscriptions.subscribe(NewSubscription("anna", service.service_id))
    await operator.exchange.set("USD", "EUR", Decimal("0.9"))
    later = datetime.now(UTC) + timedelta(days=2)
    begun = await operator.subscriptions.subscribe(NewSubscription("anna", service.service_id, starts_at=later))
    assert await balance(operator) == Decimal(10)
    changes = SubscriptionChanges(memo="new", starts_at=later + timedelta(days=1), ends_at=later + timedelta(days=2))
    await operator.subscriptions.change(begun.subscription_id, changes)
    await turns(database, later + timedelta(days=1, hours=1))
    changed = await operator.subscriptions.show(begun.subscription_id)
    assert (changed.memo, changed.paid_to) == ("new", later + timedelta(days=2))
    assert await balance(operator) > Decimal("9.96")  # a day of a month
    with pytest.raises(InvalidRequest):
        await operator.subscriptions.change(begun.subscription_id, SubscriptionChanges(starts_at=later))

    await operator.dids.add(NewDid("4930123456", "otto"))
    of_number = await operator.subscriptions.subscribe(
        NewSubscription("otto", service.service_id, number="4930123456", pay_now=False)
    )
    await operator.dids.remove("4930123456")
    await turns(database, datetime.now(UTC) + timedelta(days=40))
    assert (await operator.subscriptions.show(of_number.subscription_id)).state is SubscriptionState.ENDED
    assert await balance(operator, "2001") == Decimal("9.1")


async def test_who_may_make_give_take_and_end(services, operator):
    async def as_(login: str) -> UseCases:
        return services.of(principal_of(await operator.parties.show(login), "test"))

    firm, anna, otto = await as_("firm"), await as_("anna"), await as_("otto")
    open_, closed = [
        (await operator.paid_services.add(NewService(name, price=Decimal(1), is_public=name == "open"))).service_id
        for name in ("open", "closed")
    ]
    own = (await firm.paid_services.add(NewService("own", price=Decimal(1)))).service_id
    assert [each.name for each in (await firm.paid_services.page(Cursor())).items] == ["open", "own"]
    assert [each.name for each in (await anna.paid_services.page(Cursor())).items] == ["open"]
    begun = (await anna.subscriptions.subscribe(NewSubscription("anna", open_))).subscription_id
    given = (await firm.subscriptions.subscribe(NewSubscription("anna", own))).subscription_id
    for refused in (
        anna.subscriptions.subscribe(NewSubscription("anna", own)),
        anna.subscriptions.subscribe(NewSubscription("otto", open_)),
        firm.subscriptions.subscribe(NewSubscription("anna", closed)),
        firm.subscriptions.subscribe(NewSubscription("otto", own)),
        firm.paid_services.add(NewService("minutes", ServiceKind.FLAT_RATE, minutes=1)),
        firm.paid_services.change(open_, ServiceChanges(price=Decimal(0))),
        anna.paid_services.add(NewService("mine")),
        anna.subscriptions.end(begun, money_back=MoneyBack.ALL),
        otto.subscriptions.show(begun),
        otto.subscriptions.page(SubscriptionFilter("anna"), Cursor()),
        anna.subscriptions.turn(),
    ):
        with pytest.raises((NotAllowed, NotYours)):
            await refused
    assert [each.subscription_id for each in (await anna.subscriptions.page(SubscriptionFilter(), Cursor())).items] == [
        begun,
        given,
    ]
    assert await firm.subscriptions.end(given, money_back=MoneyBack.ALL) == Decimal(1)
