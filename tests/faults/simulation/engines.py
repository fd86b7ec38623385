"""Engines that can crash, and a database whose statements can fail: before they are carried out, or just after.

Law: at most one statement is under way at any moment, and a crash comes between two of them, so that what a fault
leaves behind depends on nothing but the draw.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import ContextVar, copy_context
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import asyncpg

from rating_engine.domain.errors import Unavailable
from rating_engine.domain.watching import ExpiryPolicy
from rating_engine.services.calls.charging import Charging
from rating_engine.services.calls.extend import LastingCalls
from rating_engine.services.calls.finish import Finishing
from rating_engine.services.calls.hold import ChargingPolicy
from rating_engine.services.calls.plan import Planning
from rating_engine.services.calls.ports import NoOutage
from rating_engine.services.calls.prepare import Preparing
from rating_engine.services.calls.undo import Undo
from rating_engine.services.facts.memory import CallMemory
from rating_engine.services.outage.finish_spool import FinishSpool
from rating_engine.services.outage.local_outage import LocalOutage
from rating_engine.services.watch.expiry import Expiry
from rating_engine.storage.calls.ledger import Ledger
from rating_engine.storage.calls.reseller_funds import reseller_funds
from rating_engine.storage.parties.accounts import account_state
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.spool.spool import Spool
from tests.support.auditor_nouns import Policy

STATEMENT_SECONDS = 600.0  # virtual time stands still during a statement: this only has to be more than nothing
SPOOL_BYTES = 10**7  # never full here: tests of the spool see to that
CHANGES = (
    "reserve_v5(", "settle_v5(", "reserve_and_settle_v1(", "extend_v3(", "expire_v2(", "post_entry_v3(",
    "UPDATE reservations",
)  # fmt: skip

Result = TypeVar("Result")
Work = Callable[[], Awaitable[None]]
_engine: ContextVar[SimulatedEngine | None] = ContextVar("engine", default=None)


@dataclass(slots=True)
class Weather:
    """How likely a statement of an engine meets each fault; `rng` decides. All 0: none does."""

    rng: random.Random
    not_done: float = 0.0
    answer_lost: float = 0.0
    crash_before: float = 0.0
    crash_after: float = 0.0

    def draw(self) -> str:
        """One fault, or none: '' ."""
        drawn = self.rng.random()
        for fault in ("not_done", "answer_lost", "crash_before", "crash_after"):
            chance: float = getattr(self, fault)
            if drawn < chance:
                return fault
            drawn -= chance
        return ""


class SimulatedDatabase(Database):
    """The real PostgreSQL. Statements of engines meet the weather; the simulator's own do not.

    With more than one connection statements really run side by side: then no seed decides what comes first, and there
    is no weather.
    """

    def __init__(self, url: str, *, connections: int = 1) -> None:
        super().__init__(
            url,
            pool_size=connections,
            timeout_seconds=STATEMENT_SECONDS,
            connect_timeout_seconds=STATEMENT_SECONDS,
        )
        self._parallel = connections > 1
        self.weather = Weather(random.Random(0))
        self.statements = 0
        self.faults: dict[str, int] = {}
        self._one_at_a_time = asyncio.Lock()

    async def fetch(self, query: str, *args: Any) -> list[asyncpg.Record]:
        """All rows."""
        return await self._meet_weather(query, lambda: super(SimulatedDatabase, self).fetch(query, *args))

    async def fetchrow(self, query: str, *args: Any) -> asyncpg.Record | None:
        """The first row."""
        return await self._meet_weather(query, lambda: super(SimulatedDatabase, self).fetchrow(query, *args))

    async def fetchval(self, query: str, *args: Any) -> Any:
        """The first value."""
        return await self._meet_weather(query, lambda: super(SimulatedDatabase, self).fetchval(query, *args))

    async def weather_of_spools(self, append: Work) -> None:
        """The disk is always there; the process is not."""
        engine = _engine.get()
        assert engine is not None
        async with self._one_at_a_time:
            fault = self._draw(engine)
            if fault != "crash_before":
                await append()
            if fault.startswith("crash"):
                await self._crash(engine)

    async def _meet_weather(self, query: str, statement: Callable[[], Awaitable[Result]]) -> Result:
        engine = _engine.get()
        if engine is None or self._parallel:
            return await statement()
        async with self._one_at_a_time:
            self.statements += 1
            fault = self._draw(engine)
            if not fault:
                return await statement()
            if fault in ("answer_lost", "crash_after") and any(name in query for name in CHANGES):
                await statement()
            if fault.startswith("crash"):
                await self._crash(engine)
            raise Unavailable(f"simulated: {fault}")

    def _draw(self, engine: SimulatedEngine) -> str:
        if engine.dead:
            raise asyncio.CancelledError
        fault = self.weather.draw()
        if fault:
            self.faults[fault] = self.faults.get(fault, 0) + 1
        return fault

    @staticmethod
    async def _crash(engine: SimulatedEngine) -> None:
        engine.die()
        await asyncio.get_running_loop().create_future()  # nothing of a dead engine goes on: its tasks are cancelled


class SimulatedSpool(Spool):
    """A real spool on the real disk, whose process may die before or after a record is durable."""

    def __init__(
        self, directory: Path, meet_weather: Callable[[Callable[[], Awaitable[None]]], Awaitable[None]]
    ) -> None:
        super().__init__(directory, max_bytes=SPOOL_BYTES)
        self._meet_weather = meet_weather
        self._dead = False

    def die(self) -> None:
        """The system takes the locks of a dead process; what was written stays."""
        self._dead = True
        self._store.close()

    async def _run(self, work: Callable[..., Result], *args: Any) -> Result:
        if self._dead:  # a task that its crash has not reached yet would lock files that nobody frees again
            raise asyncio.CancelledError
        return await super()._run(work, *args)

    async def append(self, payload: bytes) -> None:
        """Return when the record is durable."""
        await self._meet_weather(lambda: super(SimulatedSpool, self).append(payload))


class NoObserver:
    """Counts nothing."""

    def spooled(self) -> None:
        """Nothing."""

    def spool_not_taken(self, reason: str) -> None:
        """Nothing."""

    def spool_replayed(self, overrun: bool) -> None:
        """Nothing."""

    def spool_refused(self, reason: str) -> None:
        """Nothing."""

    def spool_stuck(self, count: int) -> None:
        """Nothing."""

    def spool_aside(self, count: int) -> None:
        """Nothing."""

    def reconciled(self, decision: str, count: int = 1) -> None:
        """Nothing."""


class SimulatedEngine:
    """The real services of one engine process. A crash takes everything that they had in memory."""

    def __init__(
        self,
        number: int,
        database: SimulatedDatabase,
        policy: Policy,
        now: Callable[[], datetime],
        spool_directory: Path | None,
    ) -> None:
        self.number = number
        self.now = now
        self._spool_directory = spool_directory
        self._spool: SimulatedSpool | None = None
        self.dead = False
        self.crashes = 0
        self._preparing: type[Preparing] = Preparing
        self.database = database
        self.policy = policy
        self._tasks: set[asyncio.Task[Any]] = set()
        self.boot()

    def boot(self) -> None:
        """Start with nothing remembered."""
        database, policy = self.database, self.policy
        self.dead = False
        self.ledger = Ledger(database)
        self.memory = CallMemory(database)
        self.rate_decks, self.subscribers, self.routes = (
            self.memory.rate_decks,
            self.memory.subscribers,
            self.memory.routes,
        )
        self.lasting = LastingCalls(
            self.ledger,
            quota_seconds=policy.quota_seconds,
            grace_seconds=policy.grace_seconds,
            observer=NoObserver(),
        )
        self.expiry = Expiry(
            self.ledger,
            database,
            self.lasting,
            observer=NoObserver(),
            policy=ExpiryPolicy(policy.expiry),
            buckets=1,
            unseen_seconds=policy.unseen_seconds,
        )
        self._wire_calls()

    def _wire_calls(self) -> None:
        database, policy, sources = self.database, self.policy, self.memory.sources
        planning = Planning(
            sources,
            ChargingPolicy(
                max_call_seconds=policy.max_call_seconds,
                max_reserve_seconds=policy.max_reserve_seconds,
                reservation_grace_seconds=policy.grace_seconds,
                quota=policy.quota,
                quota_seconds=policy.quota_seconds,
                reservation_share=policy.share,
                reservation_floor_seconds=policy.floor_seconds,
            ),
            is_watched=policy.watched.__contains__,
        )
        finishing = Finishing(ledger=self.ledger, planning=planning, sources=sources, now=self.now)
        self.undo = Undo(self.ledger, clock=lambda: asyncio.get_running_loop().time())
        self.finish_spool: FinishSpool | None = None
        if self._spool_directory is not None:
            self._spool = SimulatedSpool(self._spool_directory, database.weather_of_spools)
            self.finish_spool = FinishSpool(
                self._spool, finishing.finish, is_up=lambda: True, observer=NoObserver(), now=self.now
            )
        self.charging = Charging(
            preparing=self._preparing(
                ledger=self.ledger,
                planning=planning,
                sources=sources,
                stale=self.memory,
                remembered=finishing.remembered,
                undo=self.undo,
                now=self.now,
                funds_of=partial(reseller_funds, database),
            ),
            finishing=finishing,
            undo=self.undo,
            outage=NoOutage() if self.finish_spool is None else LocalOutage(self.finish_spool),
            read_account=lambda login: account_state(database, login),
        )

    def boot_with(self, preparing: type[Preparing]) -> None:
        """From now on with this in place of Preparing: for faults that are planted."""
        self._preparing = preparing
        self.boot()

    def die(self) -> None:
        """In the midst of things: nothing of it goes on."""
        self.dead = True
        self.crashes += 1
        if self._spool is not None:
            self._spool.die()
        for task in list(self._tasks):
            asyncio.get_running_loop().call_soon(task.cancel)

    def start(self, work: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
        """Run `work` as this engine's own, with every task that it makes."""
        context = copy_context()
        context.run(_engine.set, self)
        return asyncio.get_running_loop().create_task(work, context=context)

    def owns(self, task: asyncio.Task[Any]) -> None:
        """Remember a task until it is done."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def note_tasks() -> None:
    """Make the running loop tell each engine which tasks are its own."""
    asyncio.get_running_loop().set_task_factory(_make_task)


def _make_task(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
    context = options.get("context")
    engine = _engine.get() if context is None else context.get(_engine)
    task: asyncio.Task[Any] = asyncio.Task(coroutine, loop=loop, **options)
    if engine is not None:
        engine.owns(task)
    return task
