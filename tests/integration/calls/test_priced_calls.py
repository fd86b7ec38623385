"""What tariffs add to the rates of their decks, call by call on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

import pytest

from rating_engine.domain.outcomes import Allowed, Declined, DeclineReason
from rating_engine.engine.engine import Engine
from rating_engine.rating.rate import Rate
from rating_engine.services.doctor import ledger_balanced
from tests.support.calls import finish, prepare
from tests.support.engines import engine_on, hear_nothing, set_time
from tests.support.world import add_account, publish_deck

MONDAY_NOON = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
MANY_DAYS = timedelta(days=300)


@pytest.fixture
async def engine(database_url: str, redis_url: str) -> AsyncIterator[Engine]:
    """Retail sells 49 at 0.60 a minute, account 1001 has 10,000 EUR; the laws hold afterwards."""
    async with engine_on(database_url, redis_url) as engine:
        await publish_deck(engine.office)
        await add_account(engine.office, balance="10000")
        yield engine
        assert await ledger_balanced(engine.office) == []


async def run(engine: Engine, *statements: str) -> None:
    for statement in statements:
        await engine.office.fetch(statement)
    engine.memory.forget_all()


async def cost_of(
    engine: Engine, name: str, seconds: int = 60, destination: str = "4912345", **call: object
) -> Decimal:
    """What a call costs that is prepared and finished."""
    asked = replace(prepare(name, destination), **call)
    outcome = await engine.charging.prepare_call(asked)
    assert not isinstance(outcome, Declined), outcome
    return (await engine.charging.finish_call(finish(name, seconds, destination))).cost


async def reason_of(engine: Engine, name: str, destination: str = "4912345") -> DeclineReason:
    outcome = await engine.charging.prepare_call(prepare(name, destination))
    assert isinstance(outcome, Declined), outcome
    return outcome.reason


# -- settings ----------------------------------------------------------------------------------------------------


async def test_a_markup_is_a_factor_of_every_price_and_fee_from_the_next_call_on(engine):
    await publish_deck(engine.office, rates={"49": Rate(price_1="0.60", price_unit="minute", connect_fee="0.10")})
    assert await cost_of(engine, "1") == Decimal("0.70")

    await engine.office.fetch("UPDATE tariffs SET multiplier = 1.2")

    assert await cost_of(engine, "2") == Decimal("0.84")


async def test_a_call_keeps_the_price_it_was_allowed_at_whatever_the_tariff_becomes(engine):
    await engine.charging.prepare_call(prepare("1"))
    await run(engine, "UPDATE tariffs SET multiplier = 5, decimals = 0")

    assert (await engine.charging.finish_call(finish("1", 61))).cost == Decimal("0.61")


async def test_decimals_increments_and_minimum_charge_are_the_tariffs(engine):
    await publish_deck(
        engine.office, rates={"49": Rate(price_1="0.60", price_unit="minute", interval_1=30, interval_n=18)}
    )
    await run(engine, "UPDATE tariffs SET increment_mode = 'total', decimals = 1, minimum_charge = 0.25")

    assert await cost_of(engine, "1", 31) == Decimal("0.4")  # 36 s: 0.36
    assert await cost_of(engine, "2", 1) == Decimal("0.3")  # 0.25 rounded once


async def test_a_limit_covers_the_minimum_charge(engine):
    await run(engine, "UPDATE tariffs SET minimum_charge = 5")
    await add_account(engine.office, "1002", balance="4.99")

    outcome = await engine.charging.prepare_call(prepare("1", login="1002"))

    assert outcome.reason is DeclineReason.INSUFFICIENT_FUNDS


# -- currencies --------------------------------------------------------------------------------------------------


async def test_a_tariff_in_another_currency_is_charged_at_the_rate_of_the_calls_start(engine):
    await run(
        engine,
        "UPDATE tariffs SET currency = 'USD'",
        "INSERT INTO exchange_rates VALUES ('USD', 'EUR', '2026-01-01', 0.5), ('USD', 'EUR', '2027-01-01', 0.25)",
    )
    set_time(engine, datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC))
    assert await cost_of(engine, "1") == Decimal("0.30")

    set_time(engine, datetime(2027, 1, 1, tzinfo=UTC))
    assert await cost_of(engine, "2") == Decimal("0.15")


async def test_without_an_exchange_rate_the_call_is_declined_and_not_free(engine):
    await run(engine, "UPDATE tariffs SET currency = 'USD'")

    assert await reason_of(engine, "1") is DeclineReason.NO_EXCHANGE_RATE


# -- time of day -------------------------------------------------------------------------------------------------


async def add_peak_rate(engine: Engine, mode: str) -> None:
    """49 costs 1.20 on working days from 8 to 20 o'clock in Berlin, 0.60 else."""
    await run(
        engine,
        "INSERT INTO rates (deck_id, prefix, band, direction, price_1, price_n) "
        "SELECT deck_id, '49', 'peak', 'somewhere', 1.20, 1.20 FROM rate_decks",
        "UPDATE rate_decks SET effective_from = '2026-01-01', rate_count = rate_count + 1",
        "INSERT INTO tariff_bands SELECT tariff_id, 1, 'peak', '{1,2,3,4,5}', '08:00', '20:00' FROM tariffs",
        f"UPDATE tariffs SET time_zone = 'Europe/Berlin', band_mode = '{mode}'",
    )


@pytest.mark.parametrize(
    ("start", "price"),
    [
        (datetime(2026, 11, 30, 7, 0, 0, tzinfo=UTC), "1.20"),  # 8 o'clock in winter
        (datetime(2026, 11, 30, 6, 59, 59, tzinfo=UTC), "0.60"),
        (datetime(2026, 11, 30, 18, 59, 59, tzinfo=UTC), "1.20"),
        (datetime(2026, 11, 30, 19, 0, 0, tzinfo=UTC), "0.60"),  # half-open: 20 o'clock is not in it
        (datetime(2026, 7, 6, 6, 0, 0, tzinfo=UTC), "1.20"),  # 8 o'clock in summer
        (datetime(2026, 11, 29, 12, 0, 0, tzinfo=UTC), "0.60"),  # a Sunday
    ],
)
async def test_the_band_of_the_calls_start_prices_all_of_it(engine, start, price):
    await add_peak_rate(engine, "start")
    set_time(engine, start)

    assert await cost_of(engine, "1", 60) == Decimal(price)


async def test_split_at_the_boundary_each_increment_has_the_price_of_its_start(engine):
    await add_peak_rate(engine, "split")
    set_time(engine, datetime(2026, 11, 30, 18, 59, 0, tzinfo=UTC))

    assert await cost_of(engine, "1", 180) == Decimal("2.40")  # a minute at 1.20, two at 0.60


async def test_a_call_over_a_boundary_is_never_longer_than_its_money(engine):
    await add_peak_rate(engine, "split")
    await add_account(engine.office, "1002", balance="2.40")
    set_time(engine, datetime(2026, 11, 30, 6, 59, 0, tzinfo=UTC))

    outcome = await engine.charging.prepare_call(prepare("1", login="1002"))

    assert outcome.max_seconds == 150  # a minute at 0.60, a minute and a half at 1.20


async def test_a_holiday_is_no_working_day(engine):
    await add_peak_rate(engine, "start")
    await run(engine, "INSERT INTO holidays VALUES ('de', '2026-11-30')", "UPDATE tariffs SET holiday_calendar = 'de'")
    set_time(engine, MONDAY_NOON)

    assert await cost_of(engine, "1") == Decimal("0.60")


# -- rates for some callers, options -----------------------------------------------------------------------------


async def test_a_rate_for_callers_of_a_country_counts_for_them_alone(engine):
    await run(
        engine,
        "INSERT INTO rates (deck_id, prefix, origin, direction, price_1, price_n) "
        "SELECT deck_id, '49', '7', 'somewhere', 3, 3 FROM rate_decks",
        "UPDATE rate_decks SET rate_count = rate_count + 1",
    )

    assert await cost_of(engine, "1", callerid="+79010000001") == Decimal(3)
    assert await cost_of(engine, "2", callerid="+4930555") == Decimal("0.60")


async def grant(engine: Engine, name: str, rates: dict[str, Rate], login: str = "1001") -> None:
    await publish_deck(engine.office, name, rates)
    await run(
        engine,
        f"UPDATE tariffs SET is_option = true WHERE name = '{name}'",
        "INSERT INTO subscriber_options (subscriber_id, tariff_id) "
        "SELECT s.subscriber_id, t.tariff_id FROM subscribers s, tariffs t "
        f"WHERE login = '{login}' AND t.name = '{name}'",
    )


def a_minute(price: str) -> Rate:
    return Rate(price_1=price, price_unit="minute")


async def test_an_option_overrides_and_adds_rates_for_its_subscriber_alone(engine):
    await add_account(engine.office, "1002", balance="10000")
    await grant(engine, "germany", {"49": a_minute("0.06"), "7": a_minute("0.12")})

    assert await cost_of(engine, "1") == Decimal("0.06")
    assert await cost_of(engine, "2", destination="79012345") == Decimal("0.12")
    assert (await engine.charging.prepare_call(prepare("3", "79012345", login="1002"))).reason is DeclineReason.NO_RATE


async def test_the_longer_prefix_counts_whether_the_option_or_the_tariff_has_it(engine):
    await publish_deck(engine.office, rates={"49": a_minute("0.60"), "4915": a_minute("0.90")})
    await grant(engine, "germany", {"49": a_minute("0.06"), "49123": a_minute("0.03")})

    costs = [await cost_of(engine, number, destination=number) for number in ("4912345", "4915111", "4930111")]

    assert costs == [Decimal("0.03"), Decimal("0.90"), Decimal("0.06")]


async def test_what_the_tariff_blocks_is_blocked_though_an_option_has_a_shorter_rate(engine):
    await run(
        engine,
        "INSERT INTO rates (deck_id, prefix, direction, price_1, price_n, blocked) "
        "SELECT deck_id, '49900', 'somewhere', 0, 0, true FROM rate_decks",
        "UPDATE rate_decks SET rate_count = rate_count + 1, longest_prefix = 5",
    )
    await grant(engine, "germany", {"49": a_minute("0.06")})

    assert await reason_of(engine, "1", "4990012345") is DeclineReason.NO_RATE


async def test_an_option_that_has_ended_or_not_begun_prices_nothing(engine):
    await grant(engine, "germany", {"49": a_minute("0.06")})
    await run(engine, "UPDATE subscriber_options SET effective_from = now() + interval '1 hour'")
    assert await cost_of(engine, "1") == Decimal("0.60")

    set_time(engine, datetime.now(UTC) + timedelta(hours=2))
    assert await cost_of(engine, "2") == Decimal("0.06")


async def test_a_changed_option_is_seen_by_the_very_next_call_though_nobody_heard_of_it(engine):
    await grant(engine, "germany", {"49": a_minute("0.06")})
    assert await cost_of(engine, "1") == Decimal("0.06")
    hear_nothing(engine)

    await publish_deck(engine.office, "germany", {"49": a_minute("0.09")})
    assert await cost_of(engine, "2") == Decimal("0.09")
    await engine.office.fetch("DELETE FROM subscriber_options")
    assert await cost_of(engine, "3") == Decimal("0.60")


# -- numbers -----------------------------------------------------------------------------------------------------


async def test_numbers_are_read_by_the_numbering_plan_of_the_account(engine):
    await run(
        engine,
        "INSERT INTO numbering_plans VALUES ('berlin', '00', '0', '49', '{99}')",
        "INSERT INTO numbering_rewrites VALUES ('berlin', '110', '+49110')",
        "UPDATE accounts SET numbering_plan = 'berlin'",
    )

    for n, dialled in enumerate(("+4912345", "004912345", "012345", "99012345", "110")):
        outcome = await engine.charging.prepare_call(prepare(f"{n}", dialled))
        assert outcome.destination == ("49110" if dialled == "110" else "4912345")


async def test_short_numbers_are_ones_own_before_everybodys(engine):
    await add_account(engine.office, "1002", balance="1")
    await run(
        engine,
        "INSERT INTO aliases (alias, destination) VALUES ('*7', '+4977777')",
        "INSERT INTO aliases (subscriber_id, alias, destination) "
        "SELECT subscriber_id, '*7', '+4912345' FROM subscribers WHERE login = '1001'",
    )

    mine = await engine.charging.prepare_call(prepare("1", "*7"))
    theirs = await engine.charging.prepare_call(prepare("2", "*7", login="1002"))

    assert (mine.destination, theirs.destination) == ("4912345", "4977777")


async def test_a_tariff_may_price_by_the_routing_number(engine):
    await publish_deck(engine.office, rates={"49": a_minute("0.60"), "4915": a_minute("0.90")})
    assert await cost_of(engine, "1", routing_number="+4915999") == Decimal("0.60")

    await run(engine, "UPDATE tariffs SET by_routing_number = true")

    assert await cost_of(engine, "2", routing_number="+4915999") == Decimal("0.90")


# -- decks ahead -------------------------------------------------------------------------------------------------


async def test_a_deck_published_ahead_prices_calls_from_its_second_on(engine):
    await publish_deck(engine.office, rates={"49": a_minute("6")})
    monday = datetime(2026, 11, 30, tzinfo=UTC) + MANY_DAYS
    await engine.office.fetch("UPDATE rate_decks SET effective_from = $1 WHERE version = 2", monday)
    engine.memory.forget_all()
    assert await cost_of(engine, "1") == Decimal("0.60")

    set_time(engine, monday - timedelta(microseconds=1))
    assert await cost_of(engine, "2") == Decimal("0.60")
    set_time(engine, monday)
    assert await cost_of(engine, "3") == Decimal("6")


async def test_a_finish_whose_prepare_never_came_is_charged_by_the_deck_of_the_calls_start(engine):
    now = datetime.now(UTC)
    await publish_deck(engine.office, rates={"49": a_minute("6")})
    await engine.office.fetch("UPDATE rate_decks SET effective_from = $1 WHERE version = 1", now - MANY_DAYS)
    await engine.office.fetch(
        "UPDATE rate_decks SET effective_from = $1 WHERE version = 2", now - timedelta(seconds=100)
    )
    engine.memory.forget_all()

    before = await engine.charging.finish_call(finish("1", 120))
    after = await engine.charging.finish_call(finish("2", 60))

    assert (before.cost, after.cost) == (Decimal("1.2"), Decimal(6))


@pytest.mark.parametrize(("by_day", "at_night"), [("2", "1"), ("3", "1"), ("1", "3"), ("0.7", "0.1")])
async def test_a_price_that_changes_within_a_call_has_the_factor_of_its_own_row(engine, by_day, at_night):
    await run(
        engine,
        "UPDATE tariffs SET band_mode = 'split', decimals = 2",
        "INSERT INTO tariff_bands SELECT tariff_id, 1, 'night', '{1,2,3,4,5,6,7}', '20:00', '06:00' FROM tariffs",
        "INSERT INTO rates (deck_id, prefix, direction, band, price_1, price_n) "
        "SELECT deck_id, prefix, direction, 'night', 0, 0 FROM rates",
        "UPDATE rates SET price_unit = 'interval', price_1 = 0.005, price_n = 0.005, extras = format("
        f"'{{\"multiplier\": \"%s\"}}', CASE WHEN band = '' THEN '{by_day}' ELSE '{at_night}' END)",
        "UPDATE rate_decks SET rate_count = 2, effective_from = '2026-01-01'",
    )
    set_time(engine, datetime(2026, 11, 30, 19, 59, tzinfo=UTC))
    await engine.charging.prepare_call(prepare("1"))

    saved = await engine.charging.finish_call(finish("1", 61))

    exact = Decimal("0.005") * (60 * Decimal(by_day) + 1 * Decimal(at_night))
    assert saved.cost == exact.quantize(Decimal("0.01"), ROUND_HALF_UP)


async def test_a_number_is_read_by_its_accounts_plan_though_nobody_heard_of_the_plan_yet(engine):
    await engine.charging.prepare_call(prepare("1"))
    await engine.charging.finish_call(finish("1", 0))
    hear_nothing(engine)

    await engine.office.fetch("INSERT INTO numbering_plans VALUES ('berlin', '00', '0', '49')")
    await engine.office.fetch("UPDATE accounts SET numbering_plan = 'berlin'")
    engine.memory.subscribers.forget("1001")
    allowed = await engine.charging.prepare_call(prepare("2", "030123456"))

    assert isinstance(allowed, Allowed), allowed
    assert allowed.destination == "4930123456"
