"""The comparison that every fault test ends with finds what it is there to find."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from decimal import Decimal

import pytest

from rating_engine.domain.principal import OPERATOR
from rating_engine.engine.engine import Engine
from tests.faults.books import Audit, audit, missing
from tests.faults.load import ALLOWED, DECK, NONE, SAVED, SPOOLED, Call, cost_of, deck_of
from tests.faults.transfers import Sent
from tests.support.calls import finish, prepare
from tests.support.engines import engine_on
from tests.support.resellers import House
from tests.support.world import publish_deck

NUMBER = "4912345678"
BALANCES = {"1001": Decimal(10), "north-money": Decimal(100)}
ABOVE = {"1001": ("north",)}


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[Engine]:
    async with engine_on(database_url, max_reserve_seconds=60, expiry_interval_seconds=600) as engine:
        await publish_deck(engine.office, rates=DECK)
        house = House(engine.office)
        await publish_deck(engine.office, "north", deck_of("north"))
        await house.reseller("north", "north", balance="100")
        await house.user("1001", "retail", "north", balance="10")
        yield engine


async def place(engine: Engine, name: str, seconds: int) -> None:
    await engine.charging.prepare_call(prepare(name, NUMBER))
    await engine.charging.finish_call(finish(name, seconds, NUMBER))


def wrote_down(name: str, talked: int | None = 10, ended: str = SAVED, **others: object) -> Call:
    """What the exchange has of a call."""
    call = Call(name, "1001", NUMBER, 10, 0, False, False, False, False, [ALLOWED], [ended], 60, talked)
    for field, value in others.items():
        setattr(call, field, value)
    return call


async def compare(engine: Engine, *calls: Call, transfers: Sequence[Sent] = ()) -> Audit:
    """The calls of tests/support/calls come from another exchange."""
    for table in ("cdrs", "reseller_records"):
        await engine.office.fetch(f"UPDATE {table} SET call_key = replace(call_key, 'test/', 'pbx/')")
    await engine.office.fetch("ALTER TABLE ledger_entries DISABLE TRIGGER append_only")
    await engine.office.fetch("UPDATE ledger_entries SET call_key = replace(call_key, 'test/', 'pbx/')")
    return await audit(engine.office, calls, BALANCES, ABOVE, transfers)


async def test_books_that_agree_have_no_complaints(engine):
    await place(engine, "1", 10)

    assert (await compare(engine, wrote_down("1"))).complaints() == []


@pytest.mark.parametrize("ended", [SAVED, SPOOLED])
async def test_an_end_that_was_acknowledged_and_never_charged_is_lost(engine, ended):
    found = await compare(engine, wrote_down("1", ended=ended))

    assert len(found.lost) == 1
    assert len(await missing(engine.office, [wrote_down("1")])) == 1


async def test_an_end_charged_for_fewer_seconds_is_lost(engine):
    await place(engine, "1", 9)

    assert len((await compare(engine, wrote_down("1"))).lost) == 1
    assert len(await missing(engine.office, [wrote_down("1")])) == 1


@pytest.mark.breaks_books
async def test_a_call_charged_twice_is_doubled(engine):
    await place(engine, "1", 10)
    await engine.office.fetch(
        "INSERT INTO ledger_entries (bucket, entry_id, account_id, kind, amount, balance_after, call_key)"
        " SELECT bucket, entry_id + 1, account_id, kind, amount, balance_after, call_key FROM ledger_entries"
        " WHERE kind = 'charge'"
    )

    assert len((await compare(engine, wrote_down("1"))).doubled) == 1


async def test_a_call_nobody_made_is_wrong(engine):
    await place(engine, "1", 10)

    assert "pbx/1/1 is nobody's call" in (await compare(engine)).wrong


_NORTHS = "(bucket, account_id) = (SELECT bucket, account_id FROM subscribers WHERE login = 'north-money')"


@pytest.mark.breaks_books
@pytest.mark.parametrize(
    ("slip", "found_as"),
    [
        (f"UPDATE ledger_entries SET amount = amount / 2 WHERE {_NORTHS} AND kind = 'charge'", "lost"),
        (f"UPDATE ledger_entries SET amount = amount * 2 WHERE {_NORTHS} AND kind = 'charge'", "doubled"),
        ("UPDATE reseller_records SET cost = cost / 2", "wrong"),
    ],
)
async def test_a_reseller_charged_something_else_is_found(engine, slip, found_as):
    await place(engine, "1", 10)
    await engine.office.fetch("ALTER TABLE ledger_entries DISABLE TRIGGER append_only")
    await engine.office.fetch(slip)

    found = await compare(engine, wrote_down("1"))

    assert any("pbx/1/1" in what for what in getattr(found, found_as))


@pytest.mark.breaks_books
async def test_a_transfer_that_is_not_what_was_answered_is_wrong(engine):
    sent = Sent("one", "1001", "north-money", Decimal(1), done=True)
    assert any("the ledgers have []" in what for what in (await compare(engine, transfers=[sent])).wrong)

    await engine.services.of(OPERATOR).transfers.between("1001", "north-money", sent.amount, comment="one")
    assert (await compare(engine, transfers=[sent])).complaints() == []
    assert any("ledgers have" in what for what in (await compare(engine, transfers=[replace(sent, done=False)])).wrong)
    assert any("nobody sent 'one'" in what for what in (await compare(engine)).wrong)

    await engine.office.fetch(f"UPDATE ledger_entries SET amount = 2 WHERE {_NORTHS} AND kind = 'transfer'")
    assert any("ledgers have" in what for what in (await compare(engine, transfers=[replace(sent, done=None)])).wrong)


@pytest.mark.breaks_books
async def test_an_account_that_spent_what_it_had_not_is_overspent(engine):
    await place(engine, "1", 10)
    await engine.office.fetch("UPDATE accounts SET reserved = 10 WHERE balance < 10")

    assert len((await compare(engine, wrote_down("1"))).overspent) == 1


async def test_money_held_for_nobody_is_wrong(engine):
    await engine.charging.prepare_call(prepare("1", NUMBER))

    found = await compare(engine, wrote_down("1", talked=None, ended=NONE))

    assert any("for nobody" in what for what in found.wrong)


@pytest.mark.breaks_books
async def test_a_balance_that_its_calls_do_not_explain_is_wrong(engine):
    await engine.office.fetch("UPDATE accounts SET balance = 9")

    assert any("by its calls it has 10" in what for what in (await compare(engine)).wrong)


async def test_another_cost_told_than_charged_is_wrong(engine):
    await place(engine, "1", 10)

    found = await compare(engine, wrote_down("1", said_costs={Decimal("0.11")}))

    assert any("told another cost" in what for what in found.wrong)


async def test_a_call_that_was_allowed_and_forgotten_is_wrong(engine):
    found = await compare(engine, wrote_down("1", ended=NONE, end_is_lost=True))

    assert any("forgotten" in what for what in found.wrong)


@pytest.mark.parametrize(
    ("number", "seconds", "cost"),
    [("49", 0, "0"), ("49", 61, "0.61"), ("33", 61, "0.24"), ("7", 10, "0.07"), ("7", 11, "0.09")],
)
def test_what_a_call_costs(number, seconds, cost):
    assert cost_of(number, seconds) == Decimal(cost)
