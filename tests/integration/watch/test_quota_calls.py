"""Calls in quota mode on a real ledger: lengthened in time, never past their money, cut together when it ends."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import asyncpg
import pytest

from rating_engine.domain.outcomes import Allowed
from rating_engine.domain.reservation import OpenCall
from rating_engine.domain.watching import OpenReservation
from rating_engine.engine.engine import Engine
from rating_engine.rating.charge import max_duration
from rating_engine.rating.rate import Rate
from rating_engine.services.doctor import ledger_balanced
from rating_engine.services.watch.quota_calls import QuotaCalls
from rating_engine.settings.model import Settings
from rating_engine.storage.calls.open_calls import open_calls_of_channels
from tests.support.calls import finish, key_of, prepare
from tests.support.scripted_exchange import ScriptedExchange
from tests.support.virtual_time import VirtualTime, clock
from tests.support.waiting import until
from tests.support.world import CENT_A_SECOND, add_account, publish_deck

__all__ = ["clock"]

SLICE = 60
MINUTES = Rate(price_1="0.60", price_unit="minute", interval_1=60, interval_n=60)


class Observer:
    """Counts cuts; the rest is not looked at."""

    def __init__(self) -> None:
        self.cuts = 0

    def quota_calls(self, count: int) -> None: ...

    def quota_cut(self) -> None:
        self.cuts += 1


@dataclass
class World:
    """An engine whose exchange is watched, and the calls of its accounts."""

    engine: Engine
    exchange: ScriptedExchange
    quota: QuotaCalls
    clock: VirtualTime
    observer: Observer
    url: str

    async def answered(self, name: str, login: str = "1001", destination: str = "4912345") -> OpenReservation:
        """A call that was prepared and answered just now, in the watcher's care."""
        outcome = await self.engine.charging.prepare_call(prepare(name, destination, login=login))
        assert isinstance(outcome, Allowed), outcome
        assert outcome.quota
        view = self.exchange.talk(name)
        # The dialplan sets the first limit on the called channel the moment it answers.
        self.exchange.limits[view.called_channel] = self.clock() + outcome.max_seconds
        (call,) = await open_calls_of_channels(self.engine.office, "test", [name], buckets=1)
        self.quota.adopt(call, view, self.exchange, fresh=True)
        return call

    async def pass_time(self, seconds: int, *, checked: bool = True) -> None:
        """So many seconds, with a turn of the watcher in each; the law holds after each."""
        for _ in range(seconds):
            self.clock.skip(1)
            await asyncio.sleep(0)  # timers that are due fire
            await self.quota.turn()
            if checked:
                await self.no_limit_is_beyond_its_money()

    async def no_limit_is_beyond_its_money(self) -> None:
        for name, view in self.exchange.views.items():
            held = await self.engine.ledger.find(0, key_of(name))
            if isinstance(held, OpenCall) and view.alive:
                assert view.answered_at is not None
                longest = max_duration(Rate.from_json(held.details.rate), held.granted, held.cap_seconds)
                assert self.exchange.limits[view.called_channel] <= view.answered_at + longest + 0.01, name

    def left(self, name: str) -> float:
        """Seconds until the exchange cuts the call."""
        return self.exchange.limits[f"SIP/trunk-{name}"] - self.clock()

    async def granted(self, name: str) -> Decimal:
        held = await self.engine.ledger.find(0, key_of(name))
        assert isinstance(held, OpenCall)
        return held.granted

    async def available(self, login: str = "1001") -> Decimal:
        return (await self.engine.charging.balance(login)).available

    async def top_up(self, amount: str) -> None:
        query = "SELECT post_entry_v2(0::smallint, account_id, 'topup', $1, NULL) FROM accounts"
        await self.engine.office.fetch(query, Decimal(amount))


@pytest.fixture
async def world(database_url: str, clock: VirtualTime, tmp_path: Path) -> AsyncIterator[World]:
    given = {"database_url": database_url, "spool_dir": str(tmp_path)}
    mode = {"reservation_mode": "quota", "quota_seconds": SLICE, "max_reserve_seconds": 600}
    settings = Settings.model_validate({"fastagi_port": 0, "http_port": 0, **given, **mode})
    engine = Engine(settings, is_watched=lambda exchange: True)
    for door in (engine.calls_door, engine.office):
        await door.open()  # the rest is not started: nothing is under way while time is moved on
    await publish_deck(engine.office, rates={"49": CENT_A_SECOND, "48": MINUTES})
    observer = Observer()
    quota = QuotaCalls(engine.lasting, observer=observer, warning_seconds=5)
    yield World(engine, ScriptedExchange(), quota, clock, observer, database_url)
    await quota.close()
    assert await ledger_balanced(engine.office) == []
    for door in (engine.calls_door, engine.office):
        await door.close()


async def test_a_call_holds_a_slice_and_is_lengthened_before_it_ends(world):
    await add_account(world.engine.office, balance="100")
    await world.answered("1")
    assert await world.available() == Decimal("99.4")

    await world.pass_time(45)
    assert await world.granted("1") == Decimal("0.60")

    await world.pass_time(10)
    assert await world.granted("1") > Decimal("1")
    assert world.left("1") > 30
    assert world.exchange.told["SIP/1"] > SLICE


async def test_a_call_is_never_lengthened_beyond_the_longest_allowed(world):
    await add_account(world.engine.office, balance="100")
    await world.engine.office.fetch("UPDATE accounts SET max_call_seconds = 100")
    await world.answered("1")

    await world.pass_time(95)

    assert await world.granted("1") == 1
    assert 3 < world.left("1") < 6


async def test_the_last_slice_is_cut_to_the_second_and_the_engine_hangs_up_then(world):
    await add_account(world.engine.office, balance="0.87")
    await world.answered("1")

    await world.pass_time(86)
    assert world.exchange.hung_up == []
    assert 0.5 < world.left("1") <= 1.5

    await world.pass_time(2)
    assert world.exchange.hung_up == ["SIP/1"]
    assert world.observer.cuts == 1


async def test_a_top_up_lengthens_a_call_whose_money_had_nearly_ended(world):
    await add_account(world.engine.office, balance="0.30")
    await world.answered("1")
    await world.pass_time(25)
    await world.top_up("0.10")
    await world.pass_time(12)
    assert world.exchange.hung_up == []
    await world.pass_time(5)
    assert world.exchange.hung_up == ["SIP/1"]


async def test_a_blocked_account_uses_up_its_slice_and_gets_no_other(world):
    await add_account(world.engine.office, balance="100")
    await world.answered("1")
    await world.engine.office.fetch("UPDATE accounts SET status = 'blocked'")
    await world.pass_time(62)
    assert world.exchange.hung_up == ["SIP/1"]


async def test_calls_begun_at_different_times_end_in_the_same_second(world):
    """One holds a slice begun long before the other's: what both hold is shared out."""
    await add_account(world.engine.office, balance="1.20")
    await world.answered("1")
    await world.pass_time(20)
    await world.answered("2")
    # 1.20 is 120 s: the first has talked 20, so both can go on for 50 together.
    await world.pass_time(49)
    assert world.exchange.hung_up == []
    await world.pass_time(3)
    assert sorted(world.exchange.hung_up) == ["SIP/1", "SIP/2"]


async def test_what_is_shared_out_is_held_by_nobody_twice(world):
    await add_account(world.engine.office, balance="1.20")
    await world.answered("1")
    await world.pass_time(20)
    await world.answered("2")
    await world.pass_time(40)
    granted = await world.granted("1") + await world.granted("2")
    assert granted + await world.available() == Decimal("1.20")
    assert abs(world.left("1") - world.left("2")) <= 1


async def test_a_call_that_cannot_be_shortened_keeps_its_money(world):
    await add_account(world.engine.office, balance="1.20")
    await world.answered("1")
    await world.pass_time(20)
    world.exchange.gone.add("SIP/trunk-1")  # it ends just now: its exchange can't be told
    await world.answered("2")
    before = await world.granted("1")
    await world.pass_time(35)
    assert await world.granted("1") >= before


async def test_calls_billed_by_the_minute_are_not_moved_to_and_fro(world):
    await add_account(world.engine.office, balance="3.00")
    await world.answered("1", destination="48111")
    await world.pass_time(15)
    await world.answered("2", destination="48111")
    limits = set()
    for _ in range(100):
        await world.pass_time(1)
        limits.add((round(world.exchange.limits["SIP/trunk-1"]), round(world.exchange.limits["SIP/trunk-2"])))
    assert len(limits) <= 5  # minutes are bought, no more: five for both


async def test_unlimited_credit_is_lengthened_and_holds_nothing(world):
    await add_account(world.engine.office, overdraft=None, postpaid=True)
    await world.answered("1")
    await world.pass_time(100)
    assert world.exchange.hung_up == []
    assert await world.granted("1") > 1


async def test_an_exchange_that_cannot_be_reached_takes_no_more_money_and_cuts_by_itself(world):
    await add_account(world.engine.office, balance="100")
    await world.answered("1")
    world.exchange.session = 0
    world.exchange.unreachable = True
    await world.pass_time(SLICE + 5)
    assert await world.granted("1") == Decimal("0.60")
    assert world.left("1") < 0


async def test_an_exchange_that_does_not_answer_is_told_at_the_next_turn(world):
    await add_account(world.engine.office, balance="100")
    await world.answered("1")
    await world.pass_time(49)
    world.exchange.unreachable = True
    await world.pass_time(3)
    assert world.left("1") < 10
    world.exchange.unreachable = False
    await world.pass_time(1)
    assert world.left("1") > 30


async def test_a_database_that_is_away_for_some_turns_costs_nobody_a_call(world):
    await add_account(world.engine.office, balance="100")
    await world.answered("1")
    await world.pass_time(49)

    async def database_is_back() -> bool:
        return world.engine.calls_door.down is None

    await world.engine.office.fetch("ALTER FUNCTION extend_v3 RENAME TO extend_gone")
    await world.pass_time(3, checked=False)
    assert world.engine.calls_door.down is not None
    connection = await asyncpg.connect(world.url)
    await connection.execute("ALTER FUNCTION extend_gone RENAME TO extend_v3")
    await connection.close()
    await until(database_is_back)
    await world.pass_time(2)
    assert world.left("1") > 30


async def test_a_call_that_was_finished_is_let_go(world):
    await add_account(world.engine.office, balance="100")
    await world.answered("1")
    await world.engine.charging.finish_call(finish("1", 5))
    world.exchange.end("1")
    await world.pass_time(1)
    assert len(world.quota) == 0


async def test_the_warning_comes_once_before_the_end_and_again_after_a_top_up(world):
    await add_account(world.engine.office, balance="0.30")
    await world.answered("1")
    await world.pass_time(23)
    assert world.exchange.warned == []
    await world.pass_time(4)
    assert world.exchange.warned == ["SIP/1"]
    await world.top_up("0.20")
    await world.pass_time(10)
    assert world.exchange.warned == ["SIP/1"]
    await world.pass_time(10)
    assert world.exchange.warned == ["SIP/1", "SIP/1"]


async def test_a_call_with_money_left_is_not_warned_at_the_end_of_each_slice(world):
    await add_account(world.engine.office, balance="100")
    await world.answered("1")
    await world.pass_time(150)
    assert world.exchange.warned == []


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_happens_no_call_outlives_its_money_and_none_is_charged_more(world, seed):
    """Calls come and go, top-ups, an exchange and a watcher that fail for seconds; then everybody talks to the end."""
    chance = random.Random(seed)
    await add_account(world.engine.office, balance="3")
    names = [f"call-{number}" for number in range(6)]
    talking: dict[str, float] = {}
    for _ in range(200):
        if names and chance.random() < 0.1:
            name = names.pop()
            outcome = await world.engine.charging.prepare_call(prepare(name, chance.choice(["4911", "48111"])))
            if isinstance(outcome, Allowed):
                view = world.exchange.talk(name)
                world.exchange.limits[view.called_channel] = world.clock() + outcome.max_seconds
                (call,) = await open_calls_of_channels(world.engine.office, "test", [name], buckets=1)
                world.quota.adopt(call, view, world.exchange, fresh=True)
                talking[name] = world.clock()
        world.exchange.unreachable = chance.random() < 0.1
        if chance.random() < 0.02:
            await world.top_up("0.20")
        if chance.random() < 0.9:
            await world.pass_time(1)
        else:
            world.clock.skip(1)  # a turn that was missed
        for name in [name for name in talking if chance.random() < 0.005 or is_cut(world, name)]:
            await end(world, name, talking.pop(name))
    for name, began in talking.items():
        await world.pass_time(1)
        await end(world, name, began)
    overruns = await world.engine.office.fetchval("SELECT count(*) FROM cdrs WHERE overrun > 0")
    assert overruns == 0
    assert await world.available() >= 0


def is_cut(world: World, name: str) -> bool:
    return world.left(name) <= 0 or f"SIP/{name}" in world.exchange.hung_up


async def end(world: World, name: str, began: float) -> None:
    """The call ends now, or when its exchange cut it; its finish comes."""
    until = min(world.clock(), world.exchange.limits[f"SIP/trunk-{name}"])
    world.exchange.end(name)
    seconds = max(1, round(until - began))
    destination = await world.engine.office.fetchval(
        "SELECT destination FROM reservations WHERE call_key = $1", str(key_of(name))
    )
    await world.engine.charging.finish_call(finish(name, seconds, destination))


async def in_full(world: World, balance: str) -> None:
    """An account whose calls hold all they may cost at a time: ten minutes here."""
    await add_account(world.engine.office, balance=balance)
    await world.engine.office.fetch("UPDATE accounts SET quota = false")


async def test_a_call_reserved_in_full_goes_on_past_what_it_held_while_there_is_money(world):
    await in_full(world, "100")
    await world.answered("1")
    assert await world.available() == Decimal(94)

    await world.pass_time(595)

    assert await world.granted("1") > Decimal(6)
    assert world.exchange.told["SIP/1"] > 600


async def test_a_call_reserved_in_full_that_had_the_last_of_the_money_goes_on_when_some_is_freed(world):
    await in_full(world, "0.30")
    await world.answered("1")
    await world.pass_time(10)

    await world.top_up("0.20")
    await world.pass_time(15)

    assert await world.granted("1") == Decimal("0.50")


async def test_a_call_reserved_in_full_gives_nothing_back_to_others_whose_money_ends(world):
    await in_full(world, "1")
    await world.answered("1")
    await world.top_up("0.30")
    await world.engine.office.fetch("UPDATE accounts SET quota = true")
    await world.answered("2")

    await world.pass_time(28)

    assert (await world.granted("1"), await world.granted("2")) == (1, Decimal("0.30"))
