"""Calls as exchanges have them, over a network that loses, doubles, delays and reorders what is said.

An exchange starts a call once it hears that it is allowed, cuts it at the second it was told, and says its end until
somebody answers; but for the faults drawn for it.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from tests.faults.simulation.agenda import Agenda, Event, Heard, Question
from tests.faults.simulation.asking import Abandon, Ask
from tests.faults.simulation.clock import moment
from tests.support.auditor_nouns import UNKNOWN, Answer, Extend, Finish, GiveBack, Prepare

PREPARE_PATIENCE = 5  # seconds that a dialplan waits for an answer
ASK_AGAIN = (5, 60)  # seconds until a finish is said again that nobody answered
LATE = (600, 9_000)  # seconds that a late finish is on its way: before and after its reservation expires
GIVES_BACK = 0.1  # of the times a call is looked at
EXTEND_BEFORE = 20  # seconds of the granted time that are left when more is asked for


@dataclass(frozen=True, slots=True)
class Faults:
    """How likely each thing goes wrong."""

    request_lost: float = 0.04
    answer_lost: float = 0.03
    left_before_answer: float = 0.04  # seen by the engine
    doubled: float = 0.10
    finish_lost: float = 0.05
    finish_late: float = 0.06
    finish_otherwise: float = 0.03  # said a second time with other seconds
    finish_by_another: float = 0.01  # or by another login
    unprepared: float = 0.01  # a call that no engine was asked about
    overlong: float = 0.05  # not cut at its second
    prepare_late: float = 0.03  # a copy of callPrepare that arrives when the call may be over
    watch_lost: float = 0.08  # an extension that is not asked for


@dataclass(slots=True)
class Tally:
    """What exchanges know in the end: which calls were answered and for how long, and what they heard of the charge."""

    started: int = 0
    answered: dict[str, int] = field(default_factory=dict)
    saved: dict[str, list[Answer]] = field(default_factory=dict)
    spooled: list[Finish] = field(default_factory=list)


@dataclass(slots=True)
class Network:
    """What all calls share."""

    rng: random.Random
    agenda: Agenda
    engines: int
    faults: Faults
    watched: frozenset[str]
    logins: list[str]
    tally: Tally = field(default_factory=Tally)
    calls: dict[str, SimulatedCall] = field(default_factory=dict)

    def chance(self, probability: float) -> bool:
        """Whether it happens this time."""
        return self.rng.random() < probability

    def any_engine(self) -> int:
        """Exchanges reach any of them."""
        return self.rng.randrange(self.engines)


class SimulatedCall:
    """One attempt of a call."""

    def __init__(self, network: Network, key: str, login: str, destination: str) -> None:
        self._net = network
        self.key = key
        self.login = login
        self.destination = destination
        self._rings = network.rng.randrange(40)
        self._talks = 0 if network.chance(0.25) else 1 + int(network.rng.expovariate(1 / 240))
        self._overlong = network.chance(network.faults.overlong)
        self._started = False
        self._quota = False
        self._answered_at = 0
        self._ends_at = 0
        self._over = False
        self.gone_at: int | None = None  # when its channel was not there any more
        network.calls[key] = self

    @property
    def answer_seen_at(self) -> datetime | None:
        """When it was answered, for one who watches the exchange now."""
        answered = self._started and self._talks > 0 and self._answered_at <= self._net.agenda.now
        return moment(self._answered_at) if answered else None

    # -- callPrepare -------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Now."""
        if self._net.chance(self._net.faults.unprepared):
            self._start(self._talks, quota=False)
        else:
            self._prepare()

    def _prepare(self) -> None:
        net, faults = self._net, self._net.faults
        question = Prepare(self.key, self.login, self.destination)
        engine = net.any_engine()
        fate = net.rng.random()
        if fate < faults.request_lost:
            net.agenda.after(PREPARE_PATIENCE, self._later(self._give_up_or_ask_again))
        elif fate < faults.request_lost + faults.answer_lost:
            self._ask(question, lambda answer: None, engine)
            net.agenda.after(PREPARE_PATIENCE, self._later(self._give_up_or_ask_again))
        elif fate < faults.request_lost + faults.answer_lost + faults.left_before_answer:
            self._ask(question, lambda answer: self._left(answer, engine), engine)
            net.agenda.after(net.rng.randrange(3), self._later(self._give_up_or_ask_again))
        else:
            self._ask(question, self._heard_prepare, engine)
        if net.chance(faults.doubled):
            self._ask(question, lambda answer: None, delay=net.rng.choice((0, 0, 1, 3)))
        if net.chance(faults.prepare_late):
            self._ask(question, lambda answer: None, delay=net.rng.randrange(600))

    def _left(self, answer: Answer, engine: int) -> None:
        """The engine finds the exchange gone when it wants to say that the call is allowed."""
        if answer[0] == "allowed":
            self._ask(Abandon(self.key, self.login), lambda answer: None, engine, delay=self._net.rng.randrange(2))

    def _give_up_or_ask_again(self) -> None:
        if self._started:
            return
        if self._net.chance(0.6):
            self._prepare()
        else:
            self._is_gone()

    def _heard_prepare(self, answer: Answer) -> None:
        if self._started:
            return
        if answer[0] == "allowed":
            assert isinstance(answer[1], int)
            self._start(answer[1], quota=bool(answer[3]))
        elif answer == UNKNOWN:
            self._net.agenda.after(PREPARE_PATIENCE, self._later(self._give_up_or_ask_again))
        else:
            self._is_gone()

    # -- the call ----------------------------------------------------------------------------------------------

    def _start(self, max_seconds: int, *, quota: bool) -> None:
        self._started, self._quota = True, quota
        self._net.tally.started += 1
        self._answered_at = self._net.agenda.now + self._rings
        if self._talks == 0:
            self._end_at(self._answered_at)
        else:
            self._cut_at(max_seconds)

    def _cut_at(self, max_seconds: int) -> None:
        """The exchange is told how long the call may last from its answer."""
        talks = self._talks
        if talks > max_seconds:
            talks = max_seconds + (1 + self._net.rng.randrange(200) if self._overlong else 0)
            if self._quota:
                in_time = max(max_seconds - EXTEND_BEFORE, 1)
                self._net.agenda.at(self._answered_at + in_time, self._later(self._extend))
        self._end_at(self._answered_at + talks)

    def _extend(self) -> None:
        if self._over or self._net.chance(self._net.faults.watch_lost):
            return
        talked = max(0, self._net.agenda.now - self._answered_at)
        asked = Extend(self.key, talked, moment(self._answered_at))
        engine = self._net.any_engine()
        self._ask(asked, self._heard_extension, engine)
        if self._net.chance(self._net.faults.doubled):
            self._ask(asked, lambda answer: None, delay=self._net.rng.choice((0, 1, 60)))

    def _heard_extension(self, answer: Answer) -> None:
        if self._over:
            return
        if answer == UNKNOWN:
            self._net.agenda.after(2, self._later(self._extend))
        elif answer[0] == "extended" and isinstance(answer[1], int):
            self._cut_at(answer[1]) if not answer[2] else self._last_slice(answer[1])

    def _last_slice(self, max_seconds: int) -> None:
        self._end_at(self._answered_at + min(self._talks, max_seconds))

    def _end_at(self, second: int) -> None:
        self._ends_at = max(second, self._net.agenda.now)
        self._net.agenda.at(self._ends_at, self._later(self._end))

    def _end(self) -> None:
        if self._over or self._net.agenda.now < self._ends_at:
            return
        self._over = True
        seconds = 0 if self._talks == 0 else self._net.agenda.now - self._answered_at
        if seconds > 0:
            self._net.tally.answered[self.key] = seconds
        self._is_gone()
        self._tell_end(seconds)

    def maybe_give_back(self) -> None:
        """Now and then a call in quota mode is cut short, so that others of its account can go on."""
        if not self._quota or self.answer_seen_at is None or not self._net.chance(GIVES_BACK):
            return
        talked = self._net.agenda.now - self._answered_at
        keep = talked + self._net.rng.randrange(60)
        self._talks = min(self._talks, keep)
        self._end_at(min(self._ends_at, self._answered_at + keep))
        self._ask(GiveBack(self.key, talked, keep), lambda answer: None)

    def _is_gone(self) -> None:
        self.gone_at = self._net.agenda.now

    # -- callFinish --------------------------------------------------------------------------------------------

    def _tell_end(self, seconds: int) -> None:
        net, faults = self._net, self._net.faults
        told = Finish(self.key, self.login, self.destination, seconds)
        if net.chance(faults.finish_lost):
            return
        late = net.rng.randrange(*LATE) if net.chance(faults.finish_late) else net.rng.choice((0, 0, 0, 1, 2))
        self._say_end(told, late)
        while net.chance(faults.doubled):
            self._say_end(told, late + net.rng.choice((0, 0, 1, 30, 4_000)))
        if net.chance(faults.finish_otherwise):
            otherwise = Finish(self.key, self.login, self.destination, seconds + net.rng.choice((-1, 1, 60)))
            if otherwise.seconds >= 0:
                self._say_end(otherwise, late + net.rng.choice((0, 5)))
        if net.chance(faults.finish_by_another):
            self._say_end(Finish(self.key, net.rng.choice(net.logins), self.destination, seconds), late)

    def _say_end(self, told: Finish, delay: int) -> None:
        self._ask(told, lambda answer: self._heard_finish(told, answer), delay=delay)

    def _heard_finish(self, told: Finish, answer: Answer) -> None:
        if answer == UNKNOWN:
            self._say_end(told, self._net.rng.randrange(*ASK_AGAIN))
        elif answer[0] == "spooled":
            self._net.tally.spooled.append(told)
        elif answer[0] == "saved":
            self._net.tally.saved.setdefault(self.key, []).append(answer)

    # -- the network -------------------------------------------------------------------------------------------

    def _ask(self, ask: Ask, heard: Heard, engine: int | None = None, delay: int = 0) -> None:
        self._net.agenda.after(delay, Question(self._net.any_engine() if engine is None else engine, ask, heard))

    @staticmethod
    def _later(action: Callable[[], None]) -> Event:
        async def happen() -> None:
            action()

        return happen
