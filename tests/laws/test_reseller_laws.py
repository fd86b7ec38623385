"""Calls that several accounts pay for, over the real ledger of two engines: whatever chains of resellers there are, at
whatever prices, and in whatever order calls are asked for, told twice, lengthened, given back, ended or expired, each
account pays exactly what its own price makes of the seconds talked, once; none ever holds or spends what it has not.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rating_engine.domain.account import Subscriber
from rating_engine.domain.call_charge import charge_call, paid_seconds
from rating_engine.domain.outcomes import CallKey
from rating_engine.domain.reservation import (
    ExtendRequest,
    OpenCall,
    ResellerHold,
    ResellerPrice,
    ReserveOutcome,
    ReserveRequest,
    SettleOutcome,
    SettleRequest,
    SettleSource,
)
from rating_engine.rating.charge import max_charge
from rating_engine.rating.rate import Rate
from rating_engine.services.doctor import ledger_balanced
from rating_engine.storage.calls.ledger import Ledger
from rating_engine.storage.postgres.pool import Database
from tests.support.servers import SessionServers
from tests.support.world import Deck, add_account, publish_deck, reserve_request

LONGEST = 60
ACCOUNTS = 5  # any of them calls, and any other may pay for it besides
MONEY = st.integers(0, 300).map(lambda cents: Decimal(cents).scaleb(-2))
PRICES = st.integers(0, 4).map(lambda cents: Decimal(cents).scaleb(-2))  # a second
NUMBERS = st.integers(0, 5)  # few calls, so that most are named again


@dataclass(frozen=True, slots=True)
class Ask:
    """May this call start? By account `caller`, paid by `payers` besides, each at its price a second."""

    call: int
    caller: int
    price: Decimal
    payers: tuple[tuple[int, Decimal], ...]


@dataclass(frozen=True, slots=True)
class End:
    """It lasted so much of what it might, in per cent; `by`: finish, abandoned or expired."""

    call: int
    percent: int
    by: str


@dataclass(frozen=True, slots=True)
class Lengthen:
    """To so many seconds, or (give_back) shortened to them."""

    call: int
    seconds: int
    give_back: bool


@st.composite
def asks(draw: st.DrawFn) -> Ask:
    caller, *payers = draw(st.permutations(range(ACCOUNTS)))[: draw(st.integers(1, 4))]
    return Ask(draw(NUMBERS), caller, draw(PRICES), tuple((payer, draw(PRICES)) for payer in payers))


STEPS = st.one_of(
    asks(),
    st.builds(End, NUMBERS, st.integers(0, 100), st.sampled_from(["finish", "finish", "abandoned", "expired"])),
    st.builds(Lengthen, NUMBERS, st.integers(1, LONGEST), st.booleans()),
)
ROUNDS = st.lists(st.lists(STEPS, min_size=1, max_size=6), min_size=1, max_size=6)  # those of a round at once


def a_second(price: Decimal) -> Rate:
    return Rate(price_1=price, price_n=price, interval_1=1, interval_n=1)


class House:
    """Accounts of one example, and what its calls should have cost each."""

    def __init__(self, database: Database, ledgers: tuple[Ledger, Ledger], deck: Deck, name: str) -> None:
        self._database = database
        self._ledgers = itertools.cycle(ledgers)
        self._deck = deck
        self._name = name
        self.accounts: list[Subscriber] = []
        self.balances: list[Decimal] = []
        self.asked: dict[int, Ask] = {}

    async def open(self, balances: list[Decimal]) -> None:
        for number, balance in enumerate(balances):
            self.accounts.append(await add_account(self._database, f"{self._name}-{number}", balance=str(balance)))
        self.balances = balances

    def key(self, call: int) -> CallKey:
        return CallKey("test", f"{self._name}-{call}")

    def request(self, ask: Ask) -> ReserveRequest:
        rate = a_second(ask.price)
        plain = reserve_request(self.accounts[ask.caller], self._deck, self.key(ask.call).uniqueid)
        prices = tuple(
            ResellerPrice(self.accounts[payer].account_id, self._deck.tariff_id, self._deck.deck_id, "49",
                          a_second(price).to_json(), Decimal(1))
            for payer, price in ask.payers
        )  # fmt: skip
        return replace(
            plain,
            minimum=ask.price,
            maximum=max_charge(rate, LONGEST),
            cap_seconds=LONGEST,
            claim=1,
            details=replace(plain.details, rate=rate.to_json(), resellers=prices),
            resellers=tuple(ResellerHold(price, price * LONGEST, Decimal(0), price * 60) for _, price in ask.payers),
        )

    async def step(self, step: Ask | End | Lengthen) -> None:
        ledger = next(self._ledgers)
        if isinstance(step, Ask):
            known = self.asked.setdefault(step.call, step)
            answer = await ledger.reserve(self.request(known))
            assert answer.outcome in (
                ReserveOutcome.RESERVED, ReserveOutcome.EXISTS, ReserveOutcome.INSUFFICIENT_FUNDS,
                ReserveOutcome.RESELLER_INSUFFICIENT_FUNDS,
            )  # fmt: skip
            return
        found = await ledger.find(0, self.key(step.call))
        if not isinstance(found, OpenCall):
            return
        if isinstance(step, Lengthen):
            await ledger.extend(self.extension(step, found))
        else:
            await self.end(ledger, step, found)

    def extension(self, step: Lengthen, found: OpenCall) -> ExtendRequest:
        return ExtendRequest(
            self.key(step.call), 0, found.account_id, Rate.from_json(found.details.rate).price_n * step.seconds,
            60, None, step.give_back,
            tuple((one.account_id, Rate.from_json(one.rate).price_n * step.seconds) for one in found.details.resellers),
        )  # fmt: skip

    async def end(self, ledger: Ledger, step: End, found: OpenCall) -> None:
        if step.by == "expired":
            await self._database.fetch(
                "UPDATE open_calls SET expires_at = now() WHERE call_key = $1", str(self.key(step.call))
            )
            await ledger.expire(0)
            return
        details = found.details
        most = paid_seconds(
            Rate.from_json(details.rate), found.granted, LONGEST, details.resellers, found.resellers_granted
        )
        seconds = most * step.percent // 100 if step.by == "finish" else 0
        charged = charge_call(details.rate, "", None, seconds, details.resellers)
        answer = await ledger.settle(
            SettleRequest(
                self.key(step.call),
                0,
                found.account_id,
                seconds,
                charged.billed_seconds,
                charged.cost,
                "ANSWER",
                16,
                SettleSource.FINISH if step.by == "finish" else SettleSource.ABANDONED,
                claim=1,
                resellers=charged.resellers if step.by == "finish" else (),
            )
        )
        if answer.outcome is SettleOutcome.SETTLED:
            assert answer.overrun == 0

    async def check(self) -> None:
        rows = await self._database.fetch(
            "SELECT account_id, balance, reserved FROM accounts WHERE account_id = ANY ($1)",
            [account.account_id for account in self.accounts],
        )
        for row in rows:
            assert row["balance"] - row["reserved"] >= 0
        lasted = {
            row["call_key"]: row["seconds"]
            for row in await self._database.fetch(
                "SELECT call_key, seconds FROM call_records WHERE starts_with(call_key, $1)", f"test/{self._name}-"
            )
        }
        spent = [Decimal(0)] * ACCOUNTS
        for call, ask in self.asked.items():
            seconds = lasted.get(str(self.key(call)), 0)
            for account, price in ((ask.caller, ask.price), *ask.payers):
                spent[account] += price * seconds
        balances = {row["account_id"]: row["balance"] for row in rows}
        assert [balances[account.account_id] for account in self.accounts] == [
            before - cost for before, cost in zip(self.balances, spent, strict=True)
        ]


class World:
    """One database and two engines' ledgers over it."""

    def __init__(self, runner: asyncio.Runner, database: Database) -> None:
        self.run = runner.run
        self._database = database
        self._ledgers = Ledger(database), Ledger(database)
        self._deck = runner.run(publish_deck(database))
        self._names = (f"h{number}" for number in itertools.count())

    async def gone_through(self, balances: list[Decimal], rounds: list[list[Ask | End | Lengthen]]) -> None:
        house = House(self._database, self._ledgers, self._deck, next(self._names))
        await house.open(balances)
        for steps in rounds:
            # Ends and changes of one call at once would be judged by what was read before: one after the other.
            await asyncio.gather(*(house.step(step) for step in steps if isinstance(step, Ask)))
            for step in steps:
                if not isinstance(step, Ask):
                    await house.step(step)
            await house.check()
        assert await ledger_balanced(self._database) == []

    async def drain(self) -> None:
        for ledger in self._ledgers:
            await ledger.drain()


@pytest.fixture(scope="module")
def world(session_servers: SessionServers) -> Iterator[World]:
    with session_servers.database(balanced=True) as url, asyncio.Runner() as runner:
        database = Database(url)
        runner.run(database.open())
        world = World(runner, database)
        yield world
        runner.run(world.drain())
        runner.run(database.close())


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow], database=None)
@given(balances=st.lists(MONEY, min_size=ACCOUNTS, max_size=ACCOUNTS), rounds=ROUNDS)
def test_each_account_pays_exactly_its_own_price_of_what_was_talked_and_never_more_than_it_has(
    world: World, balances: list[Decimal], rounds: list[list[Ask | End | Lengthen]]
) -> None:
    world.run(world.gone_through(balances, rounds))
