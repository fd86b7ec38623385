"""One run: thousands of calls, and everything that goes wrong with them, from one seed.

After every step the auditor must explain the answers and the books; every LAWS_EVERY steps, and in the end, every law
of storage/laws is held against the whole database. In the end no call is open, each call that was reported is charged
once, and no money came or went but by opening balances, top-ups and charges.
"""

from __future__ import annotations

import random
import time
import zlib
from collections import Counter, deque
from collections.abc import Callable, Sequence

from rating_engine.services.calls.prepare import Preparing
from tests.faults.simulation.agenda import Agenda, Event, Question
from tests.faults.simulation.asking import Ask, Expire, Replay, Undo
from tests.faults.simulation.calls import Faults, Network, SimulatedCall
from tests.faults.simulation.clock import moment
from tests.faults.simulation.ending import check_ending
from tests.faults.simulation.engines import Weather
from tests.faults.simulation.operating import Operating
from tests.faults.simulation.report import SimulationFailed, Summary
from tests.faults.simulation.stage import Stage, opened
from tests.faults.simulation.world import DECK, DESTINATIONS, POLICY, UNWATCHED, WATCHED, accounts
from tests.support.auditor import Unexplained
from tests.support.auditor_nouns import Answer, Notice, Reconcile

ENGINES = 2
LAWS_EVERY = 250  # steps
TOGETHER_MAX = 12  # questions asked at once: a batch of the ledger, and few enough to be explained in any order
BUSY_LOGINS = 6  # the first of all make
BUSY = 0.6  # of the calls, besides their share of the rest
BURST_MAX = 8  # calls that begin in one second
GAP_SECONDS = 45  # between bursts, on average
NIGHT = (18_000, 90_000)  # a longer gap after so many calls, in which days end everywhere
CALLS_A_DAY = 120
EXPIRE_SECONDS = 30
IDLE_EXPIRIES = 0.01
UNDO_SECONDS = 5
REPLAY_SECONDS = 7
WATCH_SECONDS = 60
HANGUPS_MISSED = 0.3
HANGUP_LATE = (0, 0, 0, 2, 5)  # seconds by which a hangup is seen later than the finish says
GONE_SECONDS = 60  # how long a channel is gone before its call is reconciled: its finish may be on its way
OPERATIONS = 0.4  # after a burst, the operator does something
OUTAGES = 0.02  # and the database goes
OUTAGE_SECONDS = (5, 120)
SETTLING_SECONDS = 14_000  # after the last call: the latest finish has come, the last reservation has expired
TRACE_KEPT = 40  # lines shown of a failure

FAIR = {"not_done": 0.004, "answer_lost": 0.004, "crash_before": 0.002, "crash_after": 0.002}
STORM = {"not_done": 0.6, "answer_lost": 0.3, "crash_before": 0.02, "crash_after": 0.02}
CALM: dict[str, float] = {}


async def simulate(
    database_url: str, seed: int, calls: int, *, preparing: type[Preparing] = Preparing, faults: Faults | None = None
) -> Summary:
    """A run on an empty database with the schema, on a virtual loop (`clock.run`). Raises SimulationFailed."""
    async with opened(database_url, POLICY, engines=ENGINES) as stage:
        for engine in stage.engines:
            engine.boot_with(preparing)
        run = Run(stage, seed, calls, faults or Faults())
        try:
            await run.go()
        except Unexplained as error:
            moment = f"step {run.steps}, {stage.clock.now:%d %b %H:%M:%S}"
            raise SimulationFailed(str(error), seed=seed, calls=calls, when=moment, trace=run.trace) from error
        return run.summary()


class Run:
    """A run under way."""

    def __init__(self, stage: Stage, seed: int, calls: int, faults: Faults) -> None:
        self.stage = stage
        self.steps = 0
        self.trace: deque[str] = deque(maxlen=TRACE_KEPT)
        self._seed = seed
        self._calls = calls
        self._rng = random.Random(seed)
        self._agenda = Agenda()
        self._network = Network(self._rng, self._agenda, ENGINES, faults, POLICY.watched, [])
        self._operating = Operating(stage, self._rng, self._agenda, self._note)
        self._begun = 0
        self._night_at = CALLS_A_DAY
        self._quiet_at: int | None = None  # when nothing can come any more
        self._questions = 0
        self._answers: Counter[tuple[str, str]] = Counter()
        self._ended: Counter[tuple[str, str]] = Counter()
        self._reported = 0
        self._overruns = 0
        self._fingerprint = 0
        self._started = time.monotonic()

    async def go(self) -> None:
        """From the first call to the last law."""
        await self._set_up()
        while len(self._agenda):
            await self._step(self._agenda.next_together(TOGETHER_MAX))
        await self._settle()
        self._reported, self._overruns, self._ended = await check_ending(
            self.stage, self._network.tally, self._operating.put_in
        )

    async def _set_up(self) -> None:
        await self.stage.operator.add_routes("first", "second")
        await self.stage.publish(DECK, told=[])
        for account, subscribers in accounts():
            await self.stage.operator.add_account(account, *subscribers)
            self._network.logins.extend(one.login for one in subscribers)
            self._operating.put_in += account.balance
        self._set_weather(FAIR)
        self._agenda.at(1, self._burst)
        for seconds, action in (
            (EXPIRE_SECONDS, self._expire),
            (UNDO_SECONDS, self._undo),
            (REPLAY_SECONDS, self._replay),
            (WATCH_SECONDS, self._watch),
        ):
            self._again(seconds, action)

    def _again(self, seconds: int, action: Callable[[], None]) -> None:
        async def happen() -> None:
            action()
            if self._quiet_at is None or self._agenda.now < self._quiet_at:
                self._agenda.after(seconds, happen)

        self._agenda.after(seconds, happen)

    # -- a step ------------------------------------------------------------------------------------------------

    async def _step(self, events: Sequence[Event]) -> None:
        self.stage.clock.move(self._agenda.now)
        questions = [event for event in events if isinstance(event, Question)]
        if not questions:
            for event in events:
                assert not isinstance(event, Question)
                await event()
            return
        self.steps += 1
        self._rng.shuffle(questions)
        for question in questions:
            self._note(f"asked of {question.engine}: {question.ask}")
        said = await self.stage.perform([(question.engine, question.ask) for question in questions])
        self._questions += len(said)
        for question, one in zip(questions, said, strict=True):
            self._note(f"answer of {one.engine} to {_short(one.ask)}: {_in_words(one.answer)}")
            self._answers[type(one.ask).__name__.lower(), _kind(one.answer)] += 1
            question.heard(one.answer)
        if self.steps % LAWS_EVERY == 0:
            await self.stage.check_all_laws()

    def _note(self, line: str) -> None:
        stamped = f"{moment(self._agenda.now):%d %H:%M:%S} {line}"
        self.trace.append(stamped)
        self._fingerprint = zlib.crc32(stamped.encode(), self._fingerprint)

    # -- what happens ------------------------------------------------------------------------------------------

    async def _burst(self) -> None:
        """Some calls begin in the same second, mostly on few accounts."""
        for _ in range(min(self._rng.choice((1, 1, 2, 3, BURST_MAX)), self._calls - self._begun)):
            self._begun += 1
            exchange = self._rng.choice((WATCHED, WATCHED, UNWATCHED))
            login = self._rng.choice(self._network.logins[: BUSY_LOGINS if self._rng.random() < BUSY else None])
            key = f"{exchange}/{self._begun}/{self._rng.choice((1, 1, 1, 2))}"
            SimulatedCall(self._network, key, login, self._rng.choice(DESTINATIONS)).begin()
        if self._rng.random() < OPERATIONS:
            await self._operating.act()
        if self._rng.random() < OUTAGES:
            self._begin_outage()
        if self._begun < self._calls:
            gap = 1 + int(self._rng.expovariate(1 / GAP_SECONDS))
            if self._begun >= self._night_at:
                self._night_at += CALLS_A_DAY
                gap = self._rng.randrange(*NIGHT)
            self._agenda.after(gap, self._burst)
        else:
            self._quiet_at = self._agenda.now + SETTLING_SECONDS

    def _expire(self) -> None:
        """Where there is nothing to expire it is asked now and then all the same."""
        books = self.stage.auditor.books
        if any(account.open_calls for account in books.every_account()) or self._rng.random() < IDLE_EXPIRIES:
            self._ask(Expire())

    def _undo(self) -> None:
        for engine in range(ENGINES):
            if self.stage.in_doubt(engine):
                self._ask(Undo(), engine)

    def _replay(self) -> None:
        for engine in range(ENGINES):
            if self.stage.owes:
                self._ask(Replay(), engine)

    def _watch(self) -> None:
        """Open calls against the channels of the exchange that is watched."""
        books = self.stage.auditor.books
        for account in books.every_account():
            for key in sorted(account.open_calls):
                call = self._network.calls[key]
                if not key.startswith(WATCHED):
                    continue
                if call.gone_at is None:
                    self._ask(Notice(key, call.answer_seen_at))
                    call.maybe_give_back()
                elif self._agenda.now - call.gone_at >= GONE_SECONDS:
                    ended_at = (
                        None
                        if self._rng.random() < HANGUPS_MISSED
                        else moment(call.gone_at + self._rng.choice(HANGUP_LATE))
                    )
                    self._ask(Reconcile(key, call.answer_seen_at, ended_at))

    def _begin_outage(self) -> None:
        """PostgreSQL is away for a while, some of what it is asked then is carried out unheard."""
        self._set_weather(STORM)
        self._note("the database goes")
        self._agenda.after(self._rng.randrange(*OUTAGE_SECONDS), self._end_outage)

    async def _end_outage(self) -> None:
        self._set_weather(FAIR)
        self._note("the database is back")

    def _set_weather(self, chances: dict[str, float]) -> None:
        self.stage.database.weather = Weather(self._rng, **chances)

    def _ask(self, ask: Ask, engine: int | None = None) -> None:
        number = self._rng.randrange(ENGINES) if engine is None else engine
        self._agenda.after(0, Question(number, ask, lambda answer: None))

    async def _settle(self) -> None:
        """Nothing goes wrong any more: what is open now is freed by those who look for it."""
        self._set_weather(CALM)
        self.stage.clock.move(self._agenda.now + SETTLING_SECONDS)
        await self.stage.perform([(engine, Undo()) for engine in range(ENGINES)])
        await self.stage.perform([(engine, Replay()) for engine in range(ENGINES)])
        await self.stage.perform([(0, Expire())])
        await self.stage.check_all_laws()

    def summary(self) -> Summary:
        """Of the run so far."""
        database = self.stage.database
        return Summary(
            seed=self._seed,
            calls=self._begun,
            started=self._network.tally.started,
            steps=self.steps,
            questions=self._questions,
            statements=database.statements,
            crashes=sum(engine.crashes for engine in self.stage.engines),
            virtual_hours=self._agenda.now / 3600,
            real_seconds=time.monotonic() - self._started,
            faults=Counter(database.faults),
            answers=self._answers,
            ended=self._ended,
            reported=self._reported,
            overruns=self._overruns,
            fingerprint=self._fingerprint,
        )


def _kind(answer: Answer) -> str:
    word = str(answer[0])
    repeated = word in ("allowed", "saved") and answer[-1] is True
    reason = f": {answer[1]}" if word in ("declined", "not_saved") else ""
    return word + reason + (" again" if repeated else "")


def _in_words(answer: Answer) -> str:
    return " ".join(str(part) for part in answer)


def _short(ask: Ask) -> str:
    return f"{type(ask).__name__} {getattr(ask, 'key', '')}".rstrip()
