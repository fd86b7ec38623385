"""Calls of resellers' users: charged to all who sell them in one transaction, each by its own price, on a real
PostgreSQL."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from rating_engine.domain.cdr import CdrFilter, Dimension
from rating_engine.domain.did import NewDid
from rating_engine.domain.errors import InvalidRequest
from rating_engine.domain.live_call import LiveCallFilter
from rating_engine.domain.outcomes import (
    Allowed,
    Balance,
    CallKey,
    Declined,
    DeclineReason,
    FinishCall,
    InboundAllowed,
    NotSaved,
    PrepareCall,
    PrepareOutcome,
    Saved,
)
from rating_engine.domain.page import Cursor
from rating_engine.domain.party import PartyChanges, PartyState
from rating_engine.domain.principal import OPERATOR
from rating_engine.engine.engine import Engine
from rating_engine.rating.rate import Rate
from rating_engine.services.cdrs.rerating import RerateRequest
from rating_engine.services.doctor import ledger_balanced
from rating_engine.storage.calls.open_calls import expired_answered
from tests.support.calls import finish, prepare
from tests.support.engines import engine_on
from tests.support.resellers import House, Line, a_minute
from tests.support.world import publish_deck

FUNDS = DeclineReason.RESELLER_INSUFFICIENT_FUNDS


@pytest.fixture
async def engine(database_url: str, redis_url: str) -> AsyncIterator[Engine]:
    """Decks of 49 at so much a minute each second, named by their price; the laws hold afterwards."""
    async with engine_on(database_url, redis_url) as engine:
        for cents in (4, 6, 9, 12):
            await publish_deck(engine.office, f"at-{cents}", {"49": a_minute(f"0.{cents:02}")})
        yield engine
        assert await ledger_balanced(engine.office) == []


@pytest.fixture
async def house(engine: Engine) -> House:
    """`north` sells to `south`, `south` to whoever owns the line 1001."""
    house = House(engine.office)
    await house.reseller("north", "at-6", balance="100")
    await house.reseller("south", "at-9", owner="north", balance="100")
    await house.user("1001", "at-12", "south", balance="100")
    return house


async def allowed(engine: Engine, name: str, **more: str) -> Allowed:
    """What is answered, which the balance has said before."""
    call = prepare(name, **more)
    told = await engine.charging.balance(call.login, call)
    outcome = await engine.charging.prepare_call(call)
    assert isinstance(outcome, Allowed), outcome
    if not outcome.repeated:
        assert isinstance(told, Balance), told
        assert told.lasts == outcome.max_seconds
    return outcome


async def saved(engine: Engine, name: str, seconds: int, **more: str) -> Saved:
    outcome = await engine.charging.finish_call(finish(name, seconds, **more))
    assert isinstance(outcome, Saved), outcome
    return outcome


async def refusal(engine: Engine, name: str, **more: str) -> DeclineReason:
    call = prepare(name, **more)
    told = await engine.charging.balance(call.login, call)
    outcome = await engine.charging.prepare_call(call)
    assert isinstance(outcome, Declined), outcome
    assert told == outcome
    return outcome.reason


async def add_route(engine: Engine, cost: str) -> None:
    deck = await publish_deck(engine.office, f"carrier-{cost}", {"49": a_minute(cost)})
    await engine.office.fetch(
        "INSERT INTO routes (name, position, cost_tariff_id) VALUES ('carrier', 1, $1) "
        "ON CONFLICT (name) DO UPDATE SET cost_tariff_id = $1",
        deck.tariff_id,
    )
    engine.memory.forget_all()


def amounts(lines: list[Line]) -> list[tuple[str, str, str | None]]:
    assert all(line.charged == line.cost for line in lines)
    return [(line.login, f"{line.cost:.2f}", None if line.margin is None else f"{line.margin:.2f}") for line in lines]


async def test_a_call_is_charged_to_all_who_sell_it_each_by_its_own_price(engine: Engine, house: House) -> None:
    await add_route(engine, "0.04")

    call = await allowed(engine, "1")
    assert call.max_seconds == 3_600
    assert await house.held() == [
        ("1001", Decimal("7.2"), 1), ("north-money", Decimal("3.6"), 1), ("south-money", Decimal("5.4"), 1)
    ]  # fmt: skip
    assert (await saved(engine, "1", 120)).cost == Decimal("0.24")

    assert amounts(await house.lines("test/1/1")) == [
        ("1001", "0.24", "0.06"), ("south-money", "0.18", "0.06"), ("north-money", "0.12", "0.04")
    ]  # fmt: skip
    assert await house.held() == []
    assert await house.balances("1001", "south-money", "north-money") == [
        Decimal("99.76"), Decimal("99.82"), Decimal("99.88")
    ]  # fmt: skip


async def test_lists_show_what_each_account_was_charged(engine: Engine, house: House) -> None:
    await add_route(engine, "0.04")
    await allowed(engine, "1")
    (live,) = (await engine.services.of(OPERATOR).live_calls.page(LiveCallFilter(), Cursor(10))).items
    assert live.login == "1001"
    await saved(engine, "1", 60)
    now = datetime.now(UTC)
    wanted = CdrFilter(now - timedelta(hours=1), now + timedelta(hours=1))
    cdrs = engine.services.of(OPERATOR).cdrs

    async def listed(**more: str) -> list[tuple[str, Decimal, Decimal | None]]:
        page = await cdrs.page(replace(wanted, **more), Cursor(10))
        return [(cdr.login, cdr.cost, cdr.carrier_cost) for cdr in page.items]

    assert await listed() == await listed(owner="north") == [("1001", Decimal("0.12"), Decimal("0.04"))]
    assert await listed(account_of="north-money") == [("1001", Decimal("0.06"), None)]
    (summed,) = await cdrs.sums(replace(wanted, account_of="south-money"), [Dimension.LOGIN], time_zone="UTC")
    assert (summed.calls, summed.cost, summed.margin) == (1, Decimal("0.09"), Decimal("0.03"))
    found = await cdrs.show(prepare("1").call_key)
    assert [(line.account, line.tariff, line.cost, line.margin) for line in found.resellers] == [
        ("south-money", "at-9", Decimal("0.09"), Decimal("0.03")),
        ("north-money", "at-6", Decimal("0.06"), Decimal("0.02")),
    ]


async def test_what_resellers_were_charged_by_is_not_rerated(engine: Engine, house: House) -> None:
    await allowed(engine, "1")
    await saved(engine, "1", 60)
    now = datetime.now(UTC)
    with pytest.raises(InvalidRequest, match="resellers were charged by at-9"):
        await engine.services.of(OPERATOR).rerates.begin(RerateRequest("at-9", now - timedelta(hours=1), now))
    assert await engine.services.of(OPERATOR).rerates.begin(RerateRequest("at-12", now - timedelta(hours=1), now))


async def test_a_call_lasts_as_long_as_the_money_of_whoever_has_least(engine: Engine, house: House) -> None:
    for login, balance, seconds in (("south-money", "0.09", 60), ("north-money", "0.03", 30), ("1001", "0.02", 10)):
        state = await house.accounts.show(login)
        await house.accounts.adjust(login, Decimal(balance) - state.balance, reason="less")
        call = await allowed(engine, login)
        assert call.max_seconds == seconds
        assert (await allowed(engine, login)).max_seconds == seconds  # and says so again
        await saved(engine, login, 0)


async def test_a_reseller_without_money_declines_the_calls_of_its_users(engine: Engine, house: House) -> None:
    await house.accounts.adjust("north-money", Decimal(-100), reason="spent")
    assert await refusal(engine, "1") is FUNDS
    assert await house.held() == []

    await house.accounts.block("north-money")
    assert await refusal(engine, "2") is DeclineReason.RESELLER_INACTIVE
    await house.accounts.unblock("north-money")
    await house.accounts.top_up("north-money", Decimal(1))
    await engine.office.fetch(
        "UPDATE accounts SET max_calls = 0 WHERE account_id = "
        "(SELECT account_id FROM subscribers WHERE login = 'north-money')"
    )
    assert await refusal(engine, "3") is DeclineReason.RESELLER_LIMIT
    await house.parties.set_status("north", PartyState.ALL_BLOCKED)
    assert await refusal(engine, "4") is DeclineReason.USER_BLOCKED


@pytest.mark.parametrize("parallel", [300])
async def test_money_of_a_reseller_for_so_many_calls_is_for_so_many(
    engine: Engine, house: House, database_url: str, redis_url: str, parallel: int
) -> None:
    """Two engines, two users of one reseller, each with money for all of them."""
    await house.user("1002", "at-12", "south", balance="100")
    await engine.office.fetch("UPDATE accounts SET max_call_seconds = 60 WHERE true")
    await house.accounts.adjust("south-money", Decimal("-99.37"), reason="seven minutes are left")
    engine.memory.forget_all()
    async with engine_on(database_url, redis_url) as other:

        async def ask(n: int) -> PrepareOutcome:
            by = (engine, other)[n % 2]
            return await by.charging.prepare_call(prepare(str(n), login=("1001", "1002")[n // 2 % 2]))

        outcomes = await asyncio.gather(*(ask(n) for n in range(parallel)))
        assert Counter("allowed" if isinstance(o, Allowed) else o.reason for o in outcomes) == {
            "allowed": 7, FUNDS: parallel - 7
        }  # fmt: skip
        assert await ledger_balanced(engine.office) == []
        for n, outcome in enumerate(outcomes):
            if isinstance(outcome, Allowed):
                assert outcome.max_seconds == 60
                await saved(other, str(n), 60, login=("1001", "1002")[n // 2 % 2])
    assert await house.balances("south-money") == [Decimal(0)]


async def test_nobody_sells_a_call_for_less_than_it_pays_for_it(engine: Engine, house: House) -> None:
    async def price(who: str, tariff: str) -> None:
        await house.parties.change(who, PartyChanges(tariff=tariff))

    for name, south, north, cost, goes in (
        ("as it is", "at-9", "at-6", "0.04", True),
        ("equal prices", "at-12", "at-12", "0.12", True),
        ("user pays less than south", "at-9", "at-6", "0.04", True),
        ("south pays less than north", "at-6", "at-9", "0.04", False),
        ("north pays less than the carrier", "at-9", "at-6", "0.07", False),
        ("but for that north would", "at-9", "at-9", "0.07", True),
    ):
        await price("south", south)
        await price("north", north)
        await add_route(engine, cost)
        outcome = await engine.charging.prepare_call(prepare(name.replace(" ", "-")))
        assert isinstance(outcome, Allowed) is goes, name
        assert isinstance(outcome, Allowed) or outcome.reason is DeclineReason.NO_ROUTE, name
    await price("south", "at-6")
    await price("north", "at-9")
    await engine.office.fetch("UPDATE tariffs SET allow_loss = true WHERE name = 'at-6'")
    assert await allowed(engine, "loss-is-allowed")
    await engine.office.fetch("UPDATE tariffs SET allow_loss = false WHERE name = 'at-6'")
    await house.user("1003", "at-4", "south", balance="10")
    assert await refusal(engine, "below", login="1003") is DeclineReason.NO_ROUTE


async def test_each_counts_by_its_own_increments(engine: Engine, house: House) -> None:
    await publish_deck(engine.office, "by-the-minute", {"49": a_minute("0.05", 60)})
    await house.parties.change("north", PartyChanges(tariff="by-the-minute"))
    await allowed(engine, "1")
    await saved(engine, "1", 61)

    assert amounts(await house.lines("test/1/1")) == [
        ("1001", "0.12", "0.03"), ("south-money", "0.09", "-0.01"), ("north-money", "0.10", None)
    ]  # fmt: skip
    await house.accounts.adjust("north-money", Decimal("-99.80"), reason="two minutes are left")
    assert (await allowed(engine, "2")).max_seconds == 120


async def test_an_end_is_charged_once_however_often_and_whenever_it_is_said(engine: Engine, house: House) -> None:
    await allowed(engine, "1")
    first = await saved(engine, "1", 60)
    assert (await saved(engine, "1", 60)).cost == first.cost
    assert isinstance(await engine.charging.finish_call(finish("1", 61)), NotSaved)

    await saved(engine, "no-prepare", 60)
    await allowed(engine, "unanswered")
    await saved(engine, "unanswered", 0)

    await allowed(engine, "expires")
    await engine.office.fetch("UPDATE open_calls SET expires_at = now() - interval '1 second'")
    assert await engine.ledger.expire(0) == 1
    assert await house.held() == []
    assert amounts(await house.lines("test/expires/1"))[2][1] == "0.00"
    await saved(engine, "expires", 60)

    for name in ("1", "no-prepare", "expires"):
        lines = amounts(await house.lines(f"test/{name}/1"))
        assert [line[:2] for line in lines] == [("1001", "0.12"), ("south-money", "0.09"), ("north-money", "0.06")], (
            name
        )
    assert [line.cost for line in await house.lines("test/unanswered/1")] == [0, 0, 0]
    assert await house.balances("north-money") == [Decimal("99.82")]


async def test_what_nobody_heard_is_given_back_on_every_account(engine: Engine, house: House) -> None:
    call = await allowed(engine, "1")
    assert await engine.charging.abandon_call(call.call_key, "1001", call.claim)
    assert await house.held() == []
    assert [line.cost for line in await house.lines("test/1/1")] == [0, 0, 0]


async def test_a_call_ends_as_it_began_whatever_changes_meanwhile(engine: Engine, house: House) -> None:
    await allowed(engine, "1")
    await house.accounts.block("south-money")
    await house.parties.change("north", PartyChanges(tariff="at-4"))
    await house.parties.change("south", PartyChanges(account=None))
    engine.finishing.remembered.drop(prepare("1").call_key)
    await saved(engine, "1", 60)
    assert [line[:2] for line in amounts(await house.lines("test/1/1"))] == [
        ("1001", "0.12"), ("south-money", "0.09"), ("north-money", "0.06")
    ]  # fmt: skip

    await allowed(engine, "2")
    await saved(engine, "2", 60)
    assert [line[:2] for line in amounts(await house.lines("test/2/1"))] == [("1001", "0.12"), ("north-money", "0.04")]


async def test_an_overdraft_is_money_and_credit_without_a_limit_holds_nothing(engine: Engine) -> None:
    house = House(engine.office)
    await house.reseller("credit", "at-6", balance="0", overdraft="0.06")
    await house.reseller("bill", "at-6", balance="0", overdraft=None, postpaid=True)
    await house.user("2001", "at-9", "credit", balance="100")
    await house.user("2002", "at-9", "bill", balance="100")

    assert (await allowed(engine, "1", login="2001")).max_seconds == 60
    assert await refusal(engine, "2", login="2001") is FUNDS
    await saved(engine, "1", 60, login="2001")
    assert (await allowed(engine, "3", login="2002")).max_seconds == 3_600
    assert await house.held() == [("2002", Decimal("5.4"), 1), ("bill-money", Decimal(0), 1)]
    await saved(engine, "3", 60, login="2002")
    assert await house.balances("credit-money", "bill-money") == [Decimal("-0.06"), Decimal("-0.06")]


async def test_each_is_charged_in_the_currency_of_its_account(engine: Engine) -> None:
    house = House(engine.office)
    await engine.office.fetch(
        "INSERT INTO exchange_rates (currency_from, currency_to, rate, effective_from) "
        "VALUES ('USD', 'EUR', 0.5, now() - interval '1 day')"
    )
    engine.memory.forget_all()
    await house.reseller("dollars", "at-6", balance="100", currency="USD")
    await house.user("2001", "at-9", "dollars", balance="100")
    await add_route(engine, "0.04")
    await allowed(engine, "1", login="2001")
    await saved(engine, "1", 60, login="2001")
    assert amounts(await house.lines("test/1/1")) == [("2001", "0.09", "0.03"), ("dollars-money", "0.12", "0.04")]

    await engine.office.fetch("DELETE FROM exchange_rates")
    engine.memory.forget_all()
    assert await refusal(engine, "2", login="2001") is DeclineReason.NO_EXCHANGE_RATE


async def test_what_costs_nothing_needs_no_money_of_anybody(engine: Engine) -> None:
    house = House(engine.office)
    await publish_deck(engine.office, "free", {"49": Rate(price_1="0", price_n="0")})
    await house.reseller("poor", "free")
    await house.user("2001", "free", "poor")
    assert (await allowed(engine, "1", login="2001")).max_seconds == 3_600
    await saved(engine, "1", 60, login="2001")
    assert [line.cost for line in await house.lines("test/1/1")] == [0, 0]


async def test_free_seconds_of_the_user_are_paid_for_by_its_reseller(engine: Engine, house: House) -> None:
    await engine.office.fetch(
        "INSERT INTO packages (tariff_id, name, kind, seconds) SELECT tariff_id, 'hour', 'free', 3600 FROM tariffs "
        "WHERE name = 'at-12'"
    )
    engine.memory.forget_all()
    await allowed(engine, "1")
    await saved(engine, "1", 60)
    assert [line[:2] for line in amounts(await house.lines("test/1/1"))] == [
        ("1001", "0.00"), ("south-money", "0.09"), ("north-money", "0.06")
    ]  # fmt: skip


async def test_a_resellers_own_line_is_charged_to_it_once_and_to_who_sells_to_it(engine: Engine, house: House) -> None:
    """On the account that it is charged on for others: one entry there, at the price of the line."""
    await allowed(engine, "1", login="south-money")
    await saved(engine, "1", 60, login="south-money")
    assert [line[:2] for line in amounts(await house.lines("test/1/1"))] == [
        ("south-money", "0.09"), ("north-money", "0.06")
    ]  # fmt: skip
    many = [prepare(f"m{n}", login=("south-money", "1001", "north-money")[n % 3]) for n in range(30)]
    assert all(isinstance(o, Allowed) for o in await asyncio.gather(*map(engine.charging.prepare_call, many[:12])))
    assert await ledger_balanced(engine.office) == []


async def test_a_call_that_lasts_is_lengthened_by_the_money_of_all(engine: Engine, house: House) -> None:

    await allowed(engine, "1")
    await house.accounts.adjust("1001", Decimal("-92.8"), reason="only what is held")
    lasting = engine.lasting
    await engine.office.fetch(
        "UPDATE open_calls SET expires_at = now() - interval '1 second', answered_at = $1",
        datetime.now(UTC) - timedelta(seconds=90),
    )
    (open_call,) = await expired_answered(engine.office, 0, unseen_seconds=0, limit=5)
    assert len(open_call.resellers) == 2
    less = await lasting.give_back(open_call, talked_seconds=60, keep_seconds=120)
    assert less is not None
    assert less.max_seconds == 120
    assert await house.held() == [
        ("1001", Decimal("0.24"), 1), ("north-money", Decimal("0.12"), 1), ("south-money", Decimal("0.18"), 1)
    ]  # fmt: skip
    await house.accounts.adjust("north-money", Decimal("-99.82"), reason="three minutes in all")
    call = replace(open_call, granted=less.granted, resellers_granted=less.resellers_granted)
    more = await lasting.extend_call(call, talked_seconds=100, slice_seconds=600)
    assert more is not None
    assert (more.max_seconds, more.final) == (180, True)
    await house.accounts.block("south-money")
    stays = await lasting.extend_call(
        replace(call, granted=more.granted, resellers_granted=more.resellers_granted), talked_seconds=170
    )
    assert stays is not None
    assert stays.max_seconds == 180
    await saved(engine, "1", 160)
    assert [line[:2] for line in amounts(await house.lines("test/1/1"))] == [
        ("1001", "0.32"), ("south-money", "0.24"), ("north-money", "0.16")
    ]  # fmt: skip


async def test_a_call_that_comes_in_is_charged_on_every_level_by_its_own_terms(engine, house):
    """A multiplier of its tariff makes what south pays; what is not priced for who sells to it costs it nothing."""
    use = engine.services.of(OPERATOR)
    for name, price in (("in-user", "0.60"), ("in-south", "0.30"), ("in-north", "0.06"), ("in-dear", "9")):
        await publish_deck(engine.office, name, {"4930": a_minute(price)})
    for tariff, inbound in (("at-12", "in-user"), ("at-9", "in-south"), ("at-6", "in-north")):
        await use.dids.set_inbound_price(tariff, inbound)
    await engine.office.fetch("UPDATE tariffs SET did_multiplier = 1.5 WHERE name = 'at-9'")
    await use.dids.add(NewDid("4930100", "1001-user"))

    async def call(name: str):
        return await engine.charging.prepare_inbound(PrepareCall(CallKey("pbx1", name), "", "4930100", "4915"))

    taken = await call("in")
    assert isinstance(taken, InboundAllowed), taken
    ended = FinishCall(CallKey("pbx1", "in"), "1001", "4930100", 60, "ANSWER", 16, is_did="4930100")
    assert isinstance(await engine.charging.finish_call(ended), Saved)
    assert await house.balances("1001", "south-money", "north-money") == [
        Decimal("99.4"), Decimal("99.55"), Decimal("99.94"),
    ]  # fmt: skip

    await use.dids.set_inbound_price("at-6", None)
    assert isinstance(await call("free above"), InboundAllowed)
    await engine.charging.finish_call(replace(ended, call_key=CallKey("pbx1", "free above")))
    assert await house.balances("1001", "south-money", "north-money") == [
        Decimal("98.8"), Decimal("99.10"), Decimal("99.94"),
    ]  # fmt: skip

    await use.dids.set_inbound_price("at-6", "in-dear")
    declined = await call("at a loss")
    assert isinstance(declined, Declined)
    assert (declined.reason, "in-dear" in declined.detail) == (DeclineReason.NO_ROUTE, True)
    await use.dids.set_inbound_price("at-6", "in-north")
    await engine.office.fetch("UPDATE tariffs SET did_multiplier = 400 WHERE name = 'at-9'")
    assert isinstance(await call("too dear"), Declined)
    await use.accounts.adjust("north-money", Decimal("-99.94"), reason="spent", reference="spent")
    await engine.office.fetch("UPDATE tariffs SET did_multiplier = 1 WHERE name = 'at-9'")
    declined = await call("no money above")
    assert isinstance(declined, Declined)
    assert declined.reason is FUNDS
