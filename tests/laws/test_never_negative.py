"""The never-negative law: whatever is asked, in parallel, twice or too late, nobody spends what is not there.

A Hypothesis state machine asks two engines (the real Charging and Ledger over the real SQL functions, in virtual time)
and an auditor that shares no code with them. After every step the auditor must explain each answer, the database must
say what the auditor says of every account and call, and every law of storage/laws must hold. The auditor's own law
(tests/support/auditor) is that available never falls below zero but by counted overruns.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.faults.simulation.asking import Abandon, Ask, Expire, Undo
from tests.faults.simulation.clock import VirtualLoop, moment, virtual_loop
from tests.faults.simulation.engines import SimulatedDatabase, Weather
from tests.faults.simulation.quiet import no_logs
from tests.faults.simulation.stage import Stage, connect
from tests.support.auditor_nouns import (
    ZERO,
    Account,
    Call,
    Extend,
    Finish,
    GiveBack,
    Notice,
    Policy,
    Prepare,
    Price,
    Reconcile,
    Subscriber,
    TopUp,
)

ENGINES = 2
TOGETHER_MAX = 8  # requests at once: few enough for any order of them to be tried
LOGINS = ("a", "a-2", "b")  # two of one account, and another
EXCHANGES = ("seen", "unseen")  # the first is watched, so that calls in quota mode can be lengthened
DESTINATIONS = ("491", "4922", "71")

QUICK = settings(
    deadline=None,  # how long an example takes is no claim of this test
    max_examples=60,
    stateful_step_count=30,
    derandomize=True,  # a run of the short form is the same everywhere; the long form draws anew
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
SOAK = settings(QUICK, max_examples=3_000, stateful_step_count=60, derandomize=False)

CENTS = st.integers(0, 2_000).map(lambda cents: Decimal(cents).scaleb(-2))
MICROS = st.integers(0, 10**8).map(lambda micros: Decimal(micros).scaleb(-6))
MONEY = st.one_of(st.just(ZERO), CENTS, MICROS, st.just(Decimal("99999")))
LIMITS = st.one_of(st.none(), CENTS, MICROS)
PRICES = st.one_of(
    st.sampled_from([Decimal(text) for text in ("0", "0.6", "0.01", "0.0033333", "0.00000001", "9.5", "333333")]),
    st.integers(0, 10**9).map(lambda units: Decimal(units).scaleb(-8)),
)
DECKS = st.fixed_dictionaries(
    {
        prefix: st.builds(
            Price,
            price_1=PRICES,
            price_n=PRICES,
            by_minute=st.booleans(),
            interval_1=st.sampled_from([1, 6, 30, 60]),
            interval_n=st.sampled_from([1, 6, 7, 60]),
            connect_fee=st.one_of(st.just(ZERO), PRICES),
            free_seconds=st.sampled_from([0, 0, 5]),
            grace_period=st.sampled_from([0, 0, 3]),
            surcharge=st.one_of(st.just(ZERO), PRICES),
        )
        for prefix in ("49", "4922", "7")
    }
)
POLICIES = st.builds(
    Policy,
    max_call_seconds=st.sampled_from([1, 300, 14_400]),
    max_reserve_seconds=st.sampled_from([1, 20, 300, 3600]),
    grace_seconds=st.sampled_from([0, 60]),
    quota=st.booleans(),
    quota_seconds=st.sampled_from([1, 7, 60]),
    share=st.sampled_from([Decimal("0.01"), Decimal("0.33"), Decimal("0.5"), Decimal(1)]),
    floor_seconds=st.sampled_from([1, 30, 300]),
    expiry=st.sampled_from(["seen", "granted", "void"]),
    watched=st.just(frozenset({"seen"})),
)
ACCOUNTS = st.builds(
    Account,
    name=st.just(""),
    balance=MONEY,
    overdraft=st.one_of(st.just(ZERO), CENTS, st.none()),
    max_calls=st.one_of(st.none(), st.none(), st.integers(0, 3)),
    daily_limit=LIMITS,
    monthly_limit=LIMITS,
    quota=st.one_of(st.none(), st.booleans()),
    hours_east=st.sampled_from([0, 14, -9]),
)
KEYS = st.builds("{}/{}/1".format, st.sampled_from(EXCHANGES), st.integers(1, 9))
ENGINE = st.integers(0, ENGINES - 1)
LOGIN, DESTINATION, NAME = st.sampled_from(LOGINS), st.sampled_from(DESTINATIONS), st.sampled_from(["a", "b"])
SECONDS = st.one_of(st.sampled_from([0, 1, 60]), st.integers(0, 4_000))
OWN_CALLS = st.sampled_from([None, None, 1])
TALKED = st.integers(0, 400)
MOMENTS = st.one_of(st.none(), st.integers(0, 2_000).map(moment))
LENGTHS = st.sampled_from(["nothing", "one second", "short", "exact", "a second over", "far over"])
ANY_ASK = st.one_of(
    st.builds(Prepare, KEYS, LOGIN, DESTINATION),
    st.builds(Prepare, KEYS, LOGIN, DESTINATION),
    st.builds(Finish, KEYS, LOGIN, DESTINATION, SECONDS),
    st.builds(Extend, KEYS, TALKED, MOMENTS),
    st.builds(GiveBack, KEYS, TALKED, TALKED),
    st.builds(Notice, KEYS, MOMENTS),
    st.builds(Reconcile, KEYS, MOMENTS, MOMENTS),
    st.builds(Abandon, KEYS, LOGIN),
    st.builds(TopUp, NAME, CENTS.filter(bool), st.sampled_from(["r1", "r2", "r3"])),
    st.just(Expire()),
    st.just(Undo()),
)


@dataclass(frozen=True, slots=True)
class World:
    """What all examples share: one loop and one database, emptied before each."""

    loop: VirtualLoop
    database: SimulatedDatabase


class NeverNegative(RuleBasedStateMachine):
    """`world` is given by the test."""

    world: World

    def __init__(self) -> None:
        super().__init__()
        self.stage: Stage | None = None

    # -- the scene ---------------------------------------------------------------------------------------------

    @initialize(
        policy=POLICIES, deck=DECKS, first=ACCOUNTS, second=ACCOUNTS, own_calls=st.sampled_from([None, None, 1])
    )
    def begin(
        self, policy: Policy, deck: dict[str, Price], first: Account, second: Account, own_calls: int | None
    ) -> None:
        self.world.loop.seconds = 0.0
        self.world.database.weather = Weather(random.Random(0))

        async def begin() -> Stage:
            stage = Stage(self.world.database, policy, ENGINES)
            await stage.clock.tell(self.world.database)
            await stage.operator.forget_everything()
            await stage.publish(deck, told=[])
            await stage.operator.add_account(
                replace(first, name="a"), Subscriber("a", "a"), Subscriber("a-2", "a", max_calls=own_calls)
            )
            await stage.operator.add_account(replace(second, name="b"), Subscriber("b", "b"))
            return stage

        self.stage = self.world.loop.run_until_complete(begin())

    @invariant()
    def every_law_holds(self) -> None:
        if self.stage is not None:
            self.world.loop.run_until_complete(self.stage.check_all_laws())

    # -- calls -------------------------------------------------------------------------------------------------

    @rule(
        asks=st.lists(
            st.tuples(ENGINE, KEYS, LOGIN, DESTINATION),
            min_size=1,
            max_size=TOGETHER_MAX,
        )
    )
    def prepare_together(self, asks: list[tuple[int, str, str, str]]) -> None:
        self._ask(*((engine, Prepare(key, login, destination)) for engine, key, login, destination in asks))

    @precondition(lambda self: self._calls())
    @rule(data=st.data(), engine=ENGINE, times=st.integers(1, 3))
    def prepare_again(self, data: st.DataObject, engine: int, times: int) -> None:
        call = self._draw_call(data)
        self._ask(*[(engine, Prepare(call.key, call.login, call.destination))] * times)

    @precondition(lambda self: self._calls())
    @rule(data=st.data(), engine=ENGINE, login=LOGIN, destination=DESTINATION)
    def prepare_otherwise(self, data: st.DataObject, engine: int, login: str, destination: str) -> None:
        self._ask((engine, Prepare(self._draw_call(data).key, login, destination)))

    @precondition(lambda self: self._calls("open"))
    @rule(data=st.data(), engine=ENGINE, talked=TALKED, seen=st.booleans())
    def extend(self, data: st.DataObject, engine: int, talked: int, seen: bool) -> None:
        answered_at = self._stage.clock.now if seen else None
        self._ask((engine, Extend(self._draw_call(data, "open").key, talked, answered_at)))

    @precondition(lambda self: self._calls("open"))
    @rule(data=st.data(), engine=ENGINE, talked=TALKED, more=st.integers(0, 100))
    def give_back(self, data: st.DataObject, engine: int, talked: int, more: int) -> None:
        self._ask((engine, GiveBack(self._draw_call(data, "open").key, talked, talked + more)))

    @precondition(lambda self: self._calls("open"))
    @rule(data=st.data(), engine=ENGINE, answered=st.booleans())
    def see(self, data: st.DataObject, engine: int, answered: bool) -> None:
        answered_at = self._stage.clock.now if answered else None
        self._ask((engine, Notice(self._draw_call(data, "open").key, answered_at)))

    @precondition(lambda self: self._calls("open"))
    @rule(data=st.data(), engine=ENGINE, length=LENGTHS, times=st.integers(1, 3))
    def finish(self, data: st.DataObject, engine: int, length: str, times: int) -> None:
        call = self._draw_call(data, "open")
        told = Finish(call.key, call.login, call.destination, _seconds(call, length))
        self._ask(*[((engine + time) % ENGINES, told) for time in range(times)])

    @precondition(lambda self: self._calls("settled", "voided", "expired"))
    @rule(data=st.data(), engine=ENGINE, more=st.sampled_from([0, 0, 1, -1, 500]))
    def finish_again(self, data: st.DataObject, engine: int, more: int) -> None:
        call = self._draw_call(data, "settled", "voided", "expired")
        self._ask((engine, Finish(call.key, call.login, call.destination, max(0, call.seconds + more))))

    @rule(
        engine=ENGINE,
        key=KEYS,
        login=LOGIN,
        destination=st.sampled_from(DESTINATIONS),
        seconds=SECONDS,
    )
    def finish_whatever(self, engine: int, key: str, login: str, destination: str, seconds: int) -> None:
        self._ask((engine, Finish(key, login, destination, seconds)))

    @precondition(lambda self: self._calls("open"))
    @rule(data=st.data(), engine=ENGINE, length=LENGTHS)
    def expire_and_finish_late(self, data: st.DataObject, engine: int, length: str) -> None:
        call = self._draw_call(data, "open")
        self._stage.clock.move(self._stage.clock.seconds + 4_000)
        self._ask((engine, Expire()))
        self._ask((engine, Finish(call.key, call.login, call.destination, _seconds(call, length))))

    @precondition(lambda self: self._calls("open"))
    @rule(data=st.data(), engine=ENGINE, answered=MOMENTS, talked=st.one_of(st.none(), TALKED), length=LENGTHS)
    def reconcile_and_finish_late(
        self, data: st.DataObject, engine: int, answered: datetime | None, talked: int | None, length: str
    ) -> None:
        call = self._draw_call(data, "open")
        began = call.answered_at or answered
        ended_at = None if began is None or talked is None else began + timedelta(seconds=talked)
        self._ask((engine, Reconcile(call.key, answered, ended_at)))
        self._ask((engine, Finish(call.key, call.login, call.destination, _seconds(call, length))))

    @precondition(lambda self: self._calls("open"))
    @rule(data=st.data(), engine=ENGINE)
    def abandon(self, data: st.DataObject, engine: int) -> None:
        call = self._draw_call(data, "open")
        self._ask((engine, Abandon(call.key, call.login)))

    @rule(engine=ENGINE)
    def expire(self, engine: int) -> None:
        self._ask((engine, Expire()))

    # -- everything at once ------------------------------------------------------------------------------------

    @rule(asks=st.lists(st.tuples(ENGINE, ANY_ASK), min_size=2, max_size=TOGETHER_MAX))
    def anything_together(self, asks: list[tuple[int, Ask]]) -> None:
        self._ask(*asks)

    @rule(
        asks=st.lists(st.tuples(ENGINE, ANY_ASK), min_size=1, max_size=TOGETHER_MAX),
        seed=st.integers(0, 99),
        fault=st.sampled_from(["not_done", "answer_lost", "crash_before", "crash_after"]),
    )
    def anything_in_a_storm(self, asks: list[tuple[int, Ask]], seed: int, fault: str) -> None:
        self.world.database.weather = Weather(random.Random(seed), **{fault: 0.5})
        self._ask(*asks)
        self.world.database.weather = Weather(random.Random(0))

    # -- the operator, and time --------------------------------------------------------------------------------

    @rule(seconds=st.one_of(st.integers(0, 100), st.sampled_from([400, 4_000, 15_000, 90_000])))
    def wait(self, seconds: int) -> None:
        self._stage.clock.move(self._stage.clock.seconds + seconds)

    @rule(engine=ENGINE, account=NAME, amount=CENTS.filter(bool), reference=st.integers(1, 4))
    def top_up(self, engine: int, account: str, amount: Decimal, reference: int) -> None:
        self._ask((engine, TopUp(account, amount, f"r{reference}")))

    @rule(name=NAME, changed=ACCOUNTS, active=st.sampled_from([True, True, False]))
    def change_limits(self, name: str, changed: Account, active: bool) -> None:
        stage = self._stage
        books = stage.auditor.books
        account = books.account(name)
        overdraft = changed.overdraft
        if overdraft is None and account.overdraft is not None:
            overdraft = account.overdraft  # a prepaid account is not made postpaid
        if overdraft is not None:  # never so low that more is owed than may be: the doctor would say so
            overdraft = max(overdraft, books.reserved(account) - account.balance)
        limits = replace(changed, name=name, active=active, overdraft=overdraft, hours_east=account.hours_east)
        self.world.loop.run_until_complete(stage.operator.change_account(limits))

    @rule(login=LOGIN, active=st.booleans())
    def block_or_unblock_a_subscriber(self, login: str, active: bool) -> None:
        subscriber = replace(self._stage.auditor.subscribers[login], active=active)
        self.world.loop.run_until_complete(self._stage.operator.change_subscriber(subscriber))

    @rule(deck=DECKS, told=st.sets(ENGINE))
    def publish_another_deck(self, deck: dict[str, Price], told: set[int]) -> None:
        self.world.loop.run_until_complete(self._stage.publish(deck, told=sorted(told)))

    @rule(engine=ENGINE)
    def restart_an_engine(self, engine: int) -> None:
        self._stage.engines[engine].boot()

    # -- asking ------------------------------------------------------------------------------------------------

    @property
    def _stage(self) -> Stage:
        assert self.stage is not None
        return self.stage

    def _ask(self, *asks: tuple[int, Ask]) -> None:
        self.world.loop.run_until_complete(self._stage.perform(asks))

    def _calls(self, *states: str) -> Sequence[Call]:
        calls = self._stage.auditor.books.calls.values()
        return [call for call in calls if not states or call.state in states]

    def _draw_call(self, data: st.DataObject, *states: str) -> Call:
        return data.draw(st.sampled_from(self._calls(*states)))


def _seconds(call: Call, length: str) -> int:
    """Of a call that lasted as long as its money, or less, or more."""
    longest = 0 if call.price is None else call.price.lasts(call.granted, call.cap)
    return {
        "nothing": 0,
        "one second": 1,
        "short": longest // 2,
        "exact": longest,
        "a second over": longest + 1,
        "far over": longest + 1_000,
    }[length]


def run_machine(database_url: str, how: settings) -> None:
    """Examples by `how`, all on one database."""
    with no_logs(), virtual_loop() as loop:
        world = World(loop, loop.run_until_complete(connect(database_url)))
        machine = type("Machine", (NeverNegative,), {"world": world})
        try:
            run_state_machine_as_test(machine, settings=how)
        finally:
            loop.run_until_complete(world.database.close())


def test_available_never_falls_below_zero_but_by_counted_overruns(database_url: str) -> None:
    run_machine(database_url, QUICK)


@pytest.mark.soak
def test_available_never_falls_below_zero_in_many_more_examples(database_url: str) -> None:
    run_machine(database_url, SOAK)
