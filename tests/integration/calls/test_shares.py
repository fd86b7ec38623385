"""A call that nobody can lengthen leaves something to the others of its account, and is never less than a call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from rating_engine.domain.account import AccountChanges, NewSubscriber
from rating_engine.domain.outcomes import Allowed, Balance, Declined, DeclineReason, PrepareOutcome, Saved
from rating_engine.domain.principal import OPERATOR
from rating_engine.engine.engine import Engine
from rating_engine.services.doctor import ledger_balanced
from rating_engine.services.parties.accounts import Accounts
from rating_engine.storage.postgres.pool import Database
from tests.support.calls import finish, prepare
from tests.support.engines import engine_on
from tests.support.world import add_account, publish_deck


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[Engine]:
    """Nobody watches its exchange; a cent a second."""
    async with engine_on(database_url, reservation_mode="quota") as engine:
        await publish_deck(engine.office)
        yield engine
        assert await ledger_balanced(engine.office) == []


async def asked(engine: Engine, name: str) -> PrepareOutcome:
    return await engine.charging.prepare_call(prepare(name))


@pytest.mark.parametrize(
    ("maximum", "left", "share", "least", "granted"),
    [
        ("36", "100", None, "3", "36"),
        ("36", "20", None, "3", "20"),
        ("36", "100", "0.5", "3", "36"),
        ("36", "20", "0.5", "3", "10"),
        ("36", "4", "0.5", "3", "3"),  # a share of little money would be no call
        ("36", "2", "0.5", "3", "2"),
        ("1", "20", "0.5", "3", "1"),
        ("36", "0.000001", "0.5", "0", "0"),  # whole digits of the column
        ("36", "10.000001", "0.5", "0", "5"),
        ("36", None, "0.5", "3", "36"),  # credit without a limit is not shared
        ("36", "-1", "0.5", "0", "0"),
        ("36", "-1", "0.5", "3", "0"),
    ],
)
async def test_what_a_call_is_granted_of_what_there_is(
    database: Database, maximum: str, left: str | None, share: str | None, least: str, granted: str
):
    numbers = [None if text is None else Decimal(text) for text in (maximum, left, share, least)]

    assert await database.fetchval("SELECT amount_granted($1, $2, $3, $4, NULL)", *numbers) == Decimal(granted)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    await database.open()
    yield database
    await database.close()


async def test_a_second_phone_can_call_and_each_call_has_the_time_its_money_pays(engine):
    await add_account(engine.office, balance="20")

    calls = [await asked(engine, str(number)) for number in range(5)]

    # Halves, and five minutes at least.
    shares = [(1_000, 10), (500, 5), (300, 3), (200, 2)]
    assert [(call.max_seconds, call.reserved) for call in calls[:4]] == shares
    assert calls[4] == Declined(DeclineReason.INSUFFICIENT_FUNDS)


async def test_calls_that_come_at_once_share_what_there_is(engine):
    await add_account(engine.office, balance="20")

    calls = await asyncio.gather(*(asked(engine, str(number)) for number in range(4)))

    assert sorted(call.reserved for call in calls) == [2, 3, 5, 10]


async def test_a_lone_caller_with_little_money_has_all_of_it(engine):
    await add_account(engine.office, balance="2.50")

    call = await asked(engine, "1")

    assert (call.max_seconds, call.reserved) == (250, Decimal("2.50"))


@pytest.mark.parametrize(("max_calls", "seconds"), [(1, [2_000]), (2, [1_000, 1_000]), (None, [1_000, 500])])
async def test_the_last_call_that_may_come_has_all_there_is(engine, max_calls, seconds):
    await add_account(engine.office, balance="20")
    await Accounts(engine.office, OPERATOR).change("1001", AccountChanges(max_calls=max_calls), {})

    calls = [await asked(engine, str(number)) for number in range(len(seconds))]

    assert [call.max_seconds for call in calls] == seconds


@pytest.mark.parametrize(("quota", "seconds"), [(False, 2_000), (True, 1_000), (None, 1_000)])
async def test_an_account_says_itself_whether_one_call_may_hold_everything(engine, quota, seconds):
    await add_account(engine.office, balance="20")
    await Accounts(engine.office, OPERATOR).change("1001", AccountChanges(quota=quota), {})

    assert (await asked(engine, "1")).max_seconds == seconds


async def test_a_daily_limit_is_shared_as_money_is(engine):
    await add_account(engine.office, balance="1000")
    await Accounts(engine.office, OPERATOR).change("1001", AccountChanges(daily_limit=Decimal(20)), {})

    assert [(await asked(engine, name)).max_seconds for name in ("1", "2")] == [1_000, 500]


async def test_logins_of_one_account_share_its_money(engine):
    await add_account(engine.office, balance="20")
    await Accounts(engine.office, OPERATOR).add_subscriber(NewSubscriber("1002", "1001"))

    first = await engine.charging.prepare_call(prepare("1"))
    second = await engine.charging.prepare_call(prepare("2", login="1002"))

    assert (first.max_seconds, second.max_seconds) == (1_000, 500)


async def test_a_postpaid_call_lasts_as_long_as_the_settings_say_whatever_others_hold_at_a_time(engine):
    await add_account(engine.office, balance="0")
    await engine.office.fetch("UPDATE accounts SET kind = 'postpaid', overdraft = NULL")

    calls = [await asked(engine, str(number)) for number in range(2)]

    assert [call.max_seconds for call in calls] == [14_400, 14_400]


async def test_a_call_longer_than_others_hold_at_a_time_can_be_allowed(engine):
    await add_account(engine.office, balance="1000")
    default = await asked(engine, "1")
    await Accounts(engine.office, OPERATOR).change("1001", AccountChanges(max_call_seconds=7_200), {})
    longer = await asked(engine, "2")

    assert (default.max_seconds, longer.max_seconds) == (3_600, 7_200)


async def test_what_a_call_did_not_use_of_its_share_is_there_for_the_next(engine):
    await add_account(engine.office, balance="20")
    await asked(engine, "1")

    saved = await engine.charging.finish_call(finish("1", 60))
    assert isinstance(saved, Saved)
    assert saved.cost == Decimal("0.60")

    assert (await asked(engine, "2")).reserved == Decimal("9.70")


@pytest.mark.parametrize("max_calls", [None, 1])
async def test_a_balance_with_a_number_says_what_the_call_will_be_given(engine: Engine, max_calls: int | None) -> None:
    await add_account(engine.office, balance="10", max_calls=max_calls)
    balance = await engine.charging.balance("1001", prepare("1"))
    outcome = await asked(engine, "1")
    assert isinstance(balance, Balance)
    assert isinstance(outcome, Allowed)
    assert balance.lasts == outcome.max_seconds == (1000 if max_calls else 500)
