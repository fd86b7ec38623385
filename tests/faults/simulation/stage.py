"""Engines and an auditor side by side: what is asked of the engines at one moment, the auditor must explain.

Law: after every step the database says what the auditor says, of every account and of every call of the step.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.faults.simulation.asking import Abandon, Ask, Expire, Replay, Undo, ask
from tests.faults.simulation.clock import Clock, install
from tests.faults.simulation.engines import SimulatedDatabase, SimulatedEngine, note_tasks
from tests.faults.simulation.operator import Operator
from tests.support.auditor import Asked, Auditor, Unexplained
from tests.support.auditor_nouns import DONE, UNKNOWN, Answer, Finish, Lapse, Policy, Prepare, Price, Void, key_of

MISSED_DECK_SECONDS = 30  # an engine that was not told of a new deck rates by the old one (services/decks)
REPLAYED_WITHIN_SECONDS = 900  # what a dead engine left in its spool: longer than any outage


@dataclass(frozen=True, slots=True)
class Said:
    """What one engine was asked, and its answer (UNKNOWN: none came)."""

    engine: int
    ask: Ask
    answer: Answer


class Stage:
    """Give it what is asked by `perform`, and time by `clock.move`."""

    def __init__(
        self, database: SimulatedDatabase, policy: Policy, engines: int, spool_directory: Path | None = None
    ) -> None:
        self.database = database
        self.clock = Clock()
        self.auditor = Auditor(policy, {}, self.clock.now)
        self.operator = Operator(database, self.auditor)
        self.engines = [
            SimulatedEngine(number, database, policy, lambda: self.clock.now, spool_directory)
            for number in range(engines)
        ]
        self._replaced: list[tuple[int, Mapping[str, Price]]] = []
        # Calls that an engine may void: it asked for them without an answer, or saw their exchange leave.
        self._doubtful: list[set[str]] = [set() for _ in self.engines]
        self.spooled: list[Finish] = []  # finishes that an engine promised to charge later
        self._maybe_spooled: list[tuple[int, Finish]] = []  # and when, those of engines that died over them
        self._heard: dict[str, int] = {}  # times a call was allowed, less the times that the exchange had left by then

    async def publish(self, prices: Mapping[str, Price], told: Sequence[int]) -> None:
        """Replace the deck. The engines in `told` hear of it, the others find out."""
        if self.auditor.deck and set(told) != set(range(len(self.engines))):
            self._replaced.append((self.clock.seconds, self.auditor.deck))
        await self.operator.publish(prices)
        for number in told:
            self.engines[number].rate_decks.forget_tariff(self.operator.tariff_id)

    async def perform(self, asks: Sequence[tuple[int, Ask]]) -> list[Said]:
        """Ask it all at once, each of its engine; raises Unexplained where the auditor finds a fault."""
        await self.clock.tell(self.database)
        tasks = [self.engines[number].start(ask(self.engines[number], question)) for number, question in asks]
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        said: list[Said] = []
        for (number, question), answer in zip(asks, answers, strict=True):
            if isinstance(answer, asyncio.CancelledError) and self.engines[number].dead:
                said.append(Said(number, question, UNKNOWN))
            elif isinstance(answer, BaseException):
                raise Unexplained(f"engine {number} failed at {question}: {answer!r}") from answer
            else:
                said.append(Said(number, question, answer))
        await self._explain(said)
        for engine in self.engines:
            if engine.dead:
                engine.boot()
                self._doubtful[engine.number].clear()
        return said

    async def check_all_laws(self) -> None:
        """Every law of storage/laws over the whole database; raises Unexplained."""
        breaches = await self.operator.breaches()
        if breaches:
            raise Unexplained("\n".join(breaches))

    @property
    def owes(self) -> bool:
        """Whether a finish may wait in a spool."""
        return bool(self.spooled or self._maybe_spooled)

    def in_doubt(self, engine: int) -> bool:
        """Whether this engine may have something to undo."""
        return bool(self._doubtful[engine])

    async def _explain(self, said: Sequence[Said]) -> None:
        self.auditor.now = self.clock.now
        self._replaced = [entry for entry in self._replaced if self.clock.seconds - entry[0] <= MISSED_DECK_SECONDS]
        self.auditor.earlier_decks = tuple(deck for _, deck in self._replaced)
        asked = self._asked(said)
        prepared = {one.ask.key for one in said if isinstance(one.ask, Prepare)}
        self._note_doubts(said)
        for key in self._voidable(said):
            call = self.auditor.books.call(key)
            if key in prepared or (call is not None and call.state == "open"):
                asked.append((Void(key), DONE))
        keys = {named for request, _ in asked if (named := key_of(request)) is not None}
        self.auditor.explain(asked, await self.operator.see(sorted(keys)))
        self._forget_doubts(said)
        self._note_spooled(said)

    def _asked(self, said: Sequence[Said]) -> list[Asked]:
        """In the auditor's terms: what is asked of one call or account each."""
        asked: list[Asked] = []
        for one in said:
            match one.ask:
                case Expire():
                    asked.extend((Lapse(key), one.answer) for key in self._due())
                case Replay() | Undo() | Abandon():
                    pass
                case Finish() if one.answer[0] == "spooled":
                    asked.append((one.ask, UNKNOWN))
                case _:
                    asked.append((one.ask, one.answer))
        if any(isinstance(one.ask, Replay) for one in said):  # each may be charged by this turn, or wait on
            unheard = [told for _, told in self._maybe_spooled]
            asked.extend((told, UNKNOWN) for told in dict.fromkeys([*self.spooled, *unheard]))
        return asked

    def _note_spooled(self, said: Sequence[Said]) -> None:
        for one in said:
            if isinstance(one.ask, Finish) and one.answer[0] == "spooled":
                self.spooled.append(one.ask)
                call = self.auditor.books.call(one.ask.key)
                right = None if call is None or call.price is None else call.price.cost(one.ask.seconds)
                if one.answer[1] not in (None, right):
                    raise Unexplained(f"{one.ask} was spooled for {one.answer[1]}, not {right}")
            elif isinstance(one.ask, Finish) and one.answer == UNKNOWN:
                self._maybe_spooled.append((self.clock.seconds, one.ask))
        self.spooled = [told for told in self.spooled if not self._is_charged(told)]
        oldest = self.clock.seconds - REPLAYED_WITHIN_SECONDS
        self._maybe_spooled = [
            (at, told) for at, told in self._maybe_spooled if at > oldest and not self._is_charged(told)
        ]

    def _is_charged(self, told: Finish) -> bool:
        """Or was found to have ended otherwise: then it is kept for a person."""
        call = self.auditor.books.call(told.key)
        return call is not None and (call.final or (call.source == "reconciled" and call.seconds == told.seconds))

    def _due(self) -> list[str]:
        """Open calls whose time is up."""
        books, now = self.auditor.books, self.clock.now
        calls = (call for account in books.every_account() for call in books.open_calls(account))
        return sorted(call.key for call in calls if call.expires_at is not None and call.expires_at <= now)

    def _note_doubts(self, said: Sequence[Said]) -> None:
        for one in said:
            if isinstance(one.ask, Prepare) and one.answer == UNKNOWN:
                self._doubtful[one.engine].add(one.ask.key)
            elif isinstance(one.ask, Prepare) and one.answer[0] == "allowed":
                self._heard[one.ask.key] = self._heard.get(one.ask.key, 0) + 1
            elif isinstance(one.ask, Abandon):
                self._doubtful[one.engine].add(one.ask.key)
                self._heard[one.ask.key] = self._heard.get(one.ask.key, 0) - 1

    def _forget_doubts(self, said: Sequence[Said]) -> None:
        """Of calls that have ended, and, where an engine undid what it could, of those that never were."""
        calm = {one.engine for one in said if isinstance(one.ask, Undo)}
        for number, doubtful in enumerate(self._doubtful):
            for key in sorted(doubtful):
                call = self.auditor.books.call(key)
                if (call is None and number in calm) or (call is not None and call.state != "open"):
                    doubtful.discard(key)

    def _voidable(self, said: Sequence[Said]) -> list[str]:
        """What may be voided in this step: calls in doubt at an engine that undoes, and that nobody heard allowed."""
        undone: set[str] = set()
        for one in said:
            if isinstance(one.ask, Undo | Abandon):
                undone |= self._doubtful[one.engine]
        return sorted(key for key in undone if self._heard.get(key, 0) <= 0)


async def connect(database_url: str, *, connections: int = 1) -> SimulatedDatabase:
    """The database of a stage: an empty one with the schema, which gets virtual time."""
    setup = SimulatedDatabase(database_url)
    await setup.open()
    await install(setup)
    await setup.close()
    note_tasks()
    database = SimulatedDatabase(database_url, connections=connections)
    await database.open()
    return database


@asynccontextmanager
async def opened(database_url: str, policy: Policy, *, engines: int = 2, connections: int = 1) -> AsyncIterator[Stage]:
    """A stage on an empty database with the schema, in virtual time (`clock.run`), closed afterwards."""
    database = await connect(database_url, connections=connections)
    with TemporaryDirectory() as spool_directory:
        stage = Stage(database, policy, engines, Path(spool_directory))
        try:
            yield stage
        finally:
            for engine in stage.engines:
                engine.die()
            await database.close()
