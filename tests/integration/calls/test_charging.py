"""Credit control on a real PostgreSQL and a real Valkey: what callPrepare and callFinish promise of one call."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal

import pytest

from rating_engine.domain.outcomes import Allowed, Declined, DeclineReason, NotSaved, Saved
from rating_engine.engine.engine import Engine
from rating_engine.rating.charge import charge
from rating_engine.rating.rate import Rate
from rating_engine.services.doctor import ledger_balanced
from tests.support.calls import NUMBER, finish, key_of, prepare
from tests.support.engines import engine_on
from tests.support.waiting import until
from tests.support.world import CENT_A_SECOND, add_account, publish_deck

MINUTES = Rate(price_1="0.30", price_n="0.10", interval_1=60, interval_n=30, connect_fee="0.05")


@pytest.fixture
async def engine(database_url: str, redis_url: str) -> AsyncIterator[Engine]:
    """An engine with a deck that serves 49, and a prepaid account 1001 with 10 EUR; the laws hold afterwards."""
    async with engine_on(database_url, redis_url) as engine:
        await publish_deck(engine.office)
        await add_account(engine.office, balance="10")
        yield engine
        assert await ledger_balanced(engine.office) == []


async def money(engine: Engine, login: str = "1001") -> tuple[Decimal, Decimal]:
    """(balance, reserved)"""
    state = await engine.charging.balance(login)
    return state.balance, state.reserved


async def reason_of(engine: Engine, call) -> DeclineReason:
    outcome = await engine.charging.prepare_call(call)
    assert isinstance(outcome, Declined), outcome
    return outcome.reason


# -- callPrepare: allowed ----------------------------------------------------------------------------------------


async def test_an_allowed_call_gets_the_seconds_its_money_pays_for_and_holds_it(engine):
    outcome = await engine.charging.prepare_call(prepare("1", "+49 123-45", callerid="100"))

    assert outcome == Allowed(
        call_key=key_of("1"),
        max_seconds=1000,  # 10 EUR at a cent a second
        destination=NUMBER,
        callerid="100",
        direction="Somewhere",
        route_prefix="",
        route_name="default",
        reserved=Decimal(10),
        currency="EUR",
    )
    assert await money(engine) == (10, 10)


async def test_a_balance_with_a_number_says_how_long_the_call_would_last_and_holds_nothing(engine):
    asked = await engine.charging.balance("1001", prepare("1"))
    assert (asked.available, asked.lasts, await money(engine)) == (10, 1000, (10, 0))
    assert (await engine.charging.prepare_call(prepare("1"))).max_seconds == asked.lasts
    assert await engine.charging.balance("1001", prepare("2")) == Declined(DeclineReason.INSUFFICIENT_FUNDS)
    assert (await engine.charging.balance("1001", prepare("2", "81123456"))).reason is DeclineReason.NO_RATE
    await engine.office.fetch("UPDATE accounts SET balance = 100, daily_limit = 15, monthly_limit = 12")
    assert (await engine.charging.balance("1001", prepare("2"))).lasts == 200  # 10 of the month's are held
    await engine.office.fetch("UPDATE accounts SET daily_limit = 10")
    assert await engine.charging.balance("1001", prepare("2")) == Declined(DeclineReason.DAILY_LIMIT)
    await engine.office.fetch("UPDATE accounts SET balance = 10")


async def test_a_call_holds_no_more_than_its_longest_duration_costs(database_url, redis_url):
    async with engine_on(database_url, redis_url, max_reserve_seconds=60) as engine:
        await publish_deck(engine.office)
        await add_account(engine.office, balance="10")

        outcome = await engine.charging.prepare_call(prepare("1"))

        assert (outcome.max_seconds, outcome.reserved) == (60, Decimal("0.6"))
        assert await money(engine) == (10, Decimal("0.6"))


async def test_a_subscribers_own_limit_goes_over_the_general_one(engine):
    await engine.office.fetch("UPDATE subscribers SET max_seconds = 7")

    outcome = await engine.charging.prepare_call(prepare("1"))

    assert (outcome.max_seconds, outcome.reserved) == (7, Decimal("0.07"))


@pytest.mark.parametrize("balance", ["0.05", "0.349999", "0.35", "0.44", "0.45", "1", "9.99"])
async def test_no_call_may_last_longer_than_what_was_reserved_pays(engine, balance):
    await publish_deck(engine.office, "minutes", {"49": MINUTES})
    await add_account(engine.office, "1002", balance=balance, tariff="minutes")

    outcome = await engine.charging.prepare_call(prepare("1", login="1002"))

    if isinstance(outcome, Allowed):
        assert charge(MINUTES, outcome.max_seconds).cost <= outcome.reserved <= Decimal(balance)
        assert charge(MINUTES, outcome.max_seconds + 1).cost > outcome.reserved
    else:
        assert outcome.reason is DeclineReason.INSUFFICIENT_FUNDS
        assert charge(MINUTES, 1).cost > Decimal(balance)


async def test_a_postpaid_account_without_a_limit_calls_on_nothing_for_as_long_as_the_setting_says(engine):
    await add_account(engine.office, "1002", overdraft=None, postpaid=True)

    outcome = await engine.charging.prepare_call(prepare("1", login="1002"))

    assert (outcome.max_seconds, await money(engine, "1002")) == (14_400, (0, 0))


async def test_a_caller_id_that_the_call_does_not_bring_is_the_subscribers(engine):
    await add_account(engine.office, "1002", balance="1", callerid="4930555")

    outcome = await engine.charging.prepare_call(prepare("1", login="1002"))

    assert outcome.callerid == "4930555"


async def test_each_attempt_takes_the_next_route_that_serves_the_number(engine):
    await engine.office.fetch(
        "INSERT INTO routes (name, dial_prefix, number_prefix, position) VALUES "
        "('cheap', '11#', '', 1), ('elsewhere', '12#', '7', 2), ('dear', '13#', '49', 3)"
    )

    first = await engine.charging.prepare_call(prepare("1", attempt=1))
    await engine.charging.finish_call(finish("1", 0, attempt=1))
    second = await engine.charging.prepare_call(prepare("1", attempt=2))

    assert (first.route_name, first.route_prefix) == ("cheap", "11#")
    assert (second.route_name, second.route_prefix) == ("dear", "13#")
    assert await reason_of(engine, prepare("1", attempt=3)) is DeclineReason.NO_ROUTE


# -- callPrepare: declined ---------------------------------------------------------------------------------------


async def test_an_unknown_login_is_declined(engine):
    assert await reason_of(engine, prepare("1", login="nobody")) is DeclineReason.UNKNOWN_LOGIN


@pytest.mark.parametrize("destination", ["", "sip:mallory", "49" + "1" * 40])
async def test_what_is_no_number_is_declined(engine, destination):
    assert await reason_of(engine, prepare("1", destination)) is DeclineReason.INVALID_DESTINATION


async def test_a_number_too_short_for_its_direction_is_declined(engine):
    await engine.office.fetch("UPDATE directions SET min_len = 8")

    assert await reason_of(engine, prepare("1", "4912345")) is DeclineReason.INVALID_DESTINATION
    assert isinstance(await engine.charging.prepare_call(prepare("2", "49123456")), Allowed)


async def test_a_number_that_no_rate_serves_is_declined(engine):
    assert await reason_of(engine, prepare("1", "4812345")) is DeclineReason.NO_RATE


async def test_a_balance_below_the_price_of_a_second_is_declined_and_nothing_is_held(engine):
    await add_account(engine.office, "1002", balance="0.009999")

    assert await reason_of(engine, prepare("1", login="1002")) is DeclineReason.INSUFFICIENT_FUNDS
    assert await money(engine, "1002") == (Decimal("0.009999"), 0)


async def test_one_call_more_than_the_account_may_have_is_declined(engine):
    await add_account(engine.office, "1002", overdraft=None, postpaid=True, max_calls=1)
    await engine.charging.prepare_call(prepare("1", login="1002"))

    assert await reason_of(engine, prepare("2", login="1002")) is DeclineReason.TOO_MANY_CALLS
    await engine.charging.finish_call(finish("1", 0, login="1002"))
    assert isinstance(await engine.charging.prepare_call(prepare("2", login="1002")), Allowed)


@pytest.mark.parametrize("table", ["accounts", "subscribers"])
async def test_whoever_is_blocked_is_declined_at_the_next_call(engine, table):
    assert isinstance(await engine.charging.prepare_call(prepare("1")), Allowed)
    await engine.charging.finish_call(finish("1", 0))
    await engine.office.fetch(f"UPDATE {table} SET status = 'blocked'")

    assert await reason_of(engine, prepare("2")) is DeclineReason.INACTIVE


async def test_a_burst_beyond_the_queue_is_declined_as_overloaded_and_holds_nothing_for_it(database_url, redis_url):
    async with engine_on(database_url, redis_url, ledger_queue_max=1, ledger_batch_max=1) as engine:
        await publish_deck(engine.office)
        await add_account(engine.office, overdraft=None, postpaid=True)
        await engine.charging.prepare_call(prepare("first"))  # now everything but the money is in memory

        calls = [engine.charging.prepare_call(prepare(str(n))) for n in range(20)]
        outcomes = await asyncio.gather(*calls)

        reasons = {outcome.reason for outcome in outcomes if isinstance(outcome, Declined)}
        allowed = sum(isinstance(outcome, Allowed) for outcome in outcomes)
        assert reasons == {DeclineReason.OVERLOADED}
        assert await engine.office.fetchval("SELECT open_calls FROM accounts") == 1 + allowed


# -- saying it twice ---------------------------------------------------------------------------------------------


async def test_a_repeated_prepare_gets_the_first_answer_and_holds_nothing_more(engine):
    first = await engine.charging.prepare_call(prepare("1"))
    again = await engine.charging.prepare_call(prepare("1"))

    assert first.repeated is False
    assert again.repeated is True
    assert (again.max_seconds, again.reserved) == (first.max_seconds, first.reserved)
    assert await money(engine) == (10, 10)


async def test_an_engine_that_never_heard_of_the_call_repeats_the_answer_of_the_one_that_did(
    engine, database_url, redis_url
):
    first = await engine.charging.prepare_call(prepare("1"))
    async with engine_on(database_url, redis_url) as other:
        again = await other.charging.prepare_call(prepare("1"))
        saved = await other.charging.finish_call(finish("1", 10))

    assert (again.max_seconds, again.reserved, again.repeated) == (first.max_seconds, first.reserved, True)
    assert (saved.cost, saved.repeated) == (Decimal("0.1"), False)
    repeated = await engine.charging.finish_call(finish("1", 10))
    assert (repeated.cost, repeated.repeated) == (Decimal("0.1"), True)


async def test_the_key_of_a_running_call_to_another_number_is_a_conflict(engine):
    await engine.charging.prepare_call(prepare("1"))

    assert await reason_of(engine, prepare("1", "4999")) is DeclineReason.CONFLICT


async def test_a_prepare_after_its_own_finish_is_declined(engine):
    await engine.charging.prepare_call(prepare("1"))
    await engine.charging.finish_call(finish("1", 5))

    assert await reason_of(engine, prepare("1")) is DeclineReason.ALREADY_FINISHED
    assert await money(engine) == (Decimal("9.95"), 0)


async def test_a_repeated_finish_gets_the_first_answer_and_charges_nothing_more(engine):
    await engine.charging.prepare_call(prepare("1"))
    first = await engine.charging.finish_call(finish("1", 61))
    again = await engine.charging.finish_call(finish("1", 61))

    assert first == Saved(
        call_key=key_of("1"),
        cost=Decimal("0.61"),
        currency="EUR",
        billed_seconds=61,
        seconds=61,
        direction="Somewhere",
        destination=NUMBER,
        callerid="",
        route_name="default",
        disposition="ANSWER",
        cause=16,
    )
    assert again == replace(first, repeated=True)
    assert str(again.cost) == str(first.cost) == "0.61000"  # Asterisk is told the same text
    assert await money(engine) == (Decimal("9.39"), 0)


async def test_ten_finishes_at_once_charge_once(engine):
    await engine.charging.prepare_call(prepare("1"))

    outcomes = await asyncio.gather(*(engine.charging.finish_call(finish("1", 61)) for _ in range(10)))

    assert {outcome.cost for outcome in outcomes} == {Decimal("0.61")}
    assert await money(engine) == (Decimal("9.39"), 0)


async def test_a_finish_with_other_seconds_than_before_is_a_conflict_and_charges_nothing(engine):
    await engine.charging.prepare_call(prepare("1"))
    await engine.charging.finish_call(finish("1", 5))

    outcome = await engine.charging.finish_call(finish("1", 6))

    assert isinstance(outcome, NotSaved)
    assert outcome.reason is DeclineReason.CONFLICT
    assert await money(engine) == (Decimal("9.95"), 0)


async def test_a_finish_by_another_account_is_a_conflict(engine):
    await add_account(engine.office, "1002", balance="10")
    await engine.charging.prepare_call(prepare("1"))

    outcome = await engine.charging.finish_call(finish("1", 5, login="1002"))

    assert isinstance(outcome, NotSaved)
    assert outcome.reason is DeclineReason.CONFLICT
    assert await money(engine, "1002") == (10, 0)


# -- callFinish --------------------------------------------------------------------------------------------------


async def test_a_call_nobody_answered_costs_nothing_and_frees_its_money(engine):
    await engine.charging.prepare_call(prepare("1"))

    outcome = await engine.charging.finish_call(finish("1", 0))

    assert (outcome.cost, outcome.billed_seconds) == (0, 0)
    assert await money(engine) == (10, 0)


async def test_a_call_that_ran_past_its_reservation_is_charged_in_full_and_counted(engine):
    await add_account(engine.office, "1002", balance="0.50")
    prepared = await engine.charging.prepare_call(prepare("1", login="1002"))

    outcome = await engine.charging.finish_call(finish("1", prepared.max_seconds + 3, login="1002"))

    assert (outcome.cost, outcome.overrun) == (Decimal("0.53"), Decimal("0.03"))
    assert await money(engine, "1002") == (Decimal("-0.03"), 0)


async def test_a_finish_after_its_reservation_expired_still_charges(engine):
    await engine.charging.prepare_call(prepare("1"))
    await engine.office.fetch("UPDATE reservations SET expires_at = now()")
    assert await engine.ledger.expire(0) == 1
    assert await money(engine) == (10, 0)

    outcome = await engine.charging.finish_call(finish("1", 61))

    assert outcome.cost == Decimal("0.61")
    assert await money(engine) == (Decimal("9.39"), 0)
    assert await engine.office.fetchval("SELECT source FROM cdrs") == "late"


async def test_a_finish_whose_prepare_never_came_is_charged_at_todays_rate_and_marked(engine):
    outcome = await engine.charging.finish_call(finish("1", 61))

    assert outcome.cost == Decimal("0.61")
    assert await money(engine) == (Decimal("9.39"), 0)
    assert await engine.office.fetchval("SELECT source FROM cdrs") == "unreserved"


@pytest.mark.breaks_books
async def test_a_finish_that_nothing_can_price_is_kept_for_the_doctor_to_find(database_url):
    async with engine_on(database_url) as engine:
        await publish_deck(engine.office)
        await add_account(engine.office, balance="10")

        outcome = await engine.charging.finish_call(finish("1", 61, "4812345"))

        assert (outcome.cost, await money(engine)) == (0, (10, 0))
        found = await ledger_balanced(engine.office)
        assert ["4812345" in finding.what for finding in found] == [True]


async def test_the_finish_of_an_unknown_login_is_not_taken(engine):
    outcome = await engine.charging.finish_call(finish("1", 5, login="nobody"))

    assert outcome == NotSaved(DeclineReason.UNKNOWN_LOGIN)


async def test_a_call_the_exchange_never_started_frees_its_money(engine):
    await engine.charging.prepare_call(prepare("1"))
    assert await money(engine) == (10, 10)

    await engine.charging.abandon_call(key_of("1"), "1001")

    assert await money(engine) == (10, 0)


# -- what changes meanwhile --------------------------------------------------------------------------------------


async def test_a_deck_published_during_a_call_leaves_the_call_at_its_promised_rate(engine):
    await engine.charging.prepare_call(prepare("1"))
    await publish_deck(engine.office, rates={"49": Rate(price_1="6", price_unit="minute")})

    outcome = await engine.charging.finish_call(finish("1", 60))

    assert outcome.cost == Decimal("0.6")


async def test_a_published_deck_prices_the_very_next_call(engine):
    await engine.charging.prepare_call(prepare("1"))
    await engine.charging.finish_call(finish("1", 0))
    await publish_deck(engine.office, rates={"49": Rate(price_1="6", price_unit="minute")})

    outcome = await engine.charging.prepare_call(prepare("2"))

    assert outcome.max_seconds == 100  # 10 EUR at ten cents a second; it was one


async def test_a_longer_prefix_published_serves_the_numbers_below_it_and_no_others(engine):
    await engine.charging.prepare_call(prepare("1"))
    await engine.charging.finish_call(finish("1", 0))
    dear = Rate(price_1="6", price_unit="minute")
    await publish_deck(engine.office, rates={"49": CENT_A_SECOND, "49123": dear})

    first = await engine.charging.prepare_call(prepare("2", "4912345"))
    await engine.charging.finish_call(finish("2", 0, "4912345"))
    second = await engine.charging.prepare_call(prepare("3", "4912999"))

    assert (first.max_seconds, second.max_seconds) == (100, 1000)


async def test_a_destination_served_for_the_first_time_is_allowed_once_announced(engine):
    assert await reason_of(engine, prepare("1", "4812345")) is DeclineReason.NO_RATE
    await publish_deck(engine.office, rates={"48": CENT_A_SECOND})

    async def is_allowed() -> bool:
        return isinstance(await engine.charging.prepare_call(prepare("2", "4812345")), Allowed)

    assert await until(is_allowed)


async def test_a_route_added_while_calls_run_is_taken_once_announced(engine):
    assert (await engine.charging.prepare_call(prepare("0"))).route_name == "default"
    await engine.charging.finish_call(finish("0", 0))
    await engine.office.fetch("INSERT INTO routes (name, position) VALUES ('new', 1)")

    names = map(str, itertools.count(1))

    async def is_taken() -> bool:
        name = next(names)
        outcome = await engine.charging.prepare_call(prepare(name))
        await engine.charging.finish_call(finish(name, 0))
        return outcome.route_name == "new"

    assert await until(is_taken)


async def test_a_subscriber_moved_to_another_tariff_calls_at_its_price_at_once(engine):
    await engine.charging.prepare_call(prepare("1"))
    await engine.charging.finish_call(finish("1", 0))
    other = await publish_deck(engine.office, "dear", {"49": Rate(price_1="6", price_unit="minute")})
    await engine.office.fetch("UPDATE subscribers SET tariff_id = $1", other.tariff_id)

    outcome = await engine.charging.prepare_call(prepare("2"))

    assert outcome.max_seconds == 100


async def test_money_that_was_topped_up_counts_for_the_next_call(engine):
    await add_account(engine.office, "1002")
    assert await reason_of(engine, prepare("1", login="1002")) is DeclineReason.INSUFFICIENT_FUNDS
    await engine.office.fetch(
        "SELECT post_entry_v2(bucket, account_id, 'topup', 2, NULL) FROM subscribers WHERE login = '1002'"
    )

    outcome = await engine.charging.prepare_call(prepare("2", login="1002"))

    assert outcome.max_seconds == 200
