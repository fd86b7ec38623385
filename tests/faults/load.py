"""A bounded load of real calls over FastAGI, which writes down for itself what each call was told and reported.

It does what an exchange and its dialplan do: asks, lets the caller talk no longer than it was told (a few overrun by a
second or two), says the end, says it twice now and then, and says it again until somebody has answered. A few ends are
lost on purpose, as by an exchange that dies: those are for the engine's expiry.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

from agi.fastagi.client import CallFailedError, agi_call
from rating_engine.rating.rate import Rate
from tests.support.waiting import until

HOST = "127.0.0.1"
EXCHANGE = "pbx"
LINES = 20  # calls at a time: enough for batches, and for every fault to find requests on the wire
TALK_SECONDS = 0.03  # of the load's own time, of most calls; what a call reports as talked is another matter
TALKERS = 60  # calls that talk on beside, at most: their ends come in the middle of a fault
PAUSE_SECONDS = 0.02  # after a no, so that a line that is refused does not fill the log
STEP = 300  # answers that a load gives well before its waiter takes it for hung
SILENCE_SECONDS = 0.1  # after no answer: nobody has to hurry to an engine that is being started
LATE_SECONDS = 2  # a limit that cuts late: seconds past it that a call may report

ALLOWED, SAVED, SPOOLED, NONE = "allowed", "saved", "spooled", "none"  # NONE: no answer came
UNAVAILABLE, NOT_KEPT = "declined unavailable", "failed unavailable"
ACKNOWLEDGED = frozenset({SAVED, SPOOLED})

DECK = {
    "49": Rate(price_1="0.60", price_unit="minute", interval_1=1, interval_n=1),
    "33": Rate(price_1="0.12", price_unit="minute", interval_1=60, interval_n=60),
    "7": Rate(price_1="0.02", price_unit="interval", interval_1=10, interval_n=10, connect_fee="0.05"),
}
NUMBERS = ("4912345678", "33123456789", "79161234567")


# What a call costs by each tariff: to begin, and for each step begun of so many seconds. Each reseller pays less than
# it is paid.
PRICES = {
    "retail": {"49": ("0", 1, "0.01"), "33": ("0", 60, "0.12"), "7": ("0.05", 10, "0.02")},
    "south": {"49": ("0", 6, "0.048"), "33": ("0", 60, "0.09"), "7": ("0.03", 10, "0.02")},
    "north": {"49": ("0", 1, "0.005"), "33": ("0", 20, "0.02"), "7": ("0.03", 30, "0.03")},
}


def cost_of(number: str, seconds: int, tariff: str = "retail") -> Decimal:
    """What a call costs, worked out here and nowhere else."""
    if seconds == 0:
        return Decimal(0)
    begin, step, price = next(terms for prefix, terms in PRICES[tariff].items() if number.startswith(prefix))
    return Decimal(begin) + math.ceil(seconds / step) * Decimal(price)


def deck_of(reseller: str) -> dict[str, Rate]:
    """The rates that a reseller pays by."""
    return {
        prefix: Rate(price_1=price, price_unit="interval", interval_1=step, interval_n=step, connect_fee=begin)
        for prefix, (begin, step, price) in PRICES[reseller].items()
    }


@dataclass
class Call:
    """One call: what its caller does, and what the exchange heard of it."""

    uniqueid: str
    login: str
    number: str
    wants_seconds: int
    late_seconds: int
    asks_twice: bool
    asks_again: bool  # when no answer came, as over another route to the engine
    ends_twice: bool
    end_is_lost: bool  # never said again when nobody answered
    asked: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    max_seconds: int | None = None
    talked: int | None = None  # None: no end was said
    said_costs: set[Decimal] = field(default_factory=set)

    @property
    def key(self) -> str:
        """As in the CDR."""
        return f"{EXCHANGE}/{self.uniqueid}/1"

    @property
    def allowed(self) -> bool:
        """Whether the exchange was told that it may start."""
        return ALLOWED in self.asked

    @property
    def acknowledged(self) -> bool:
        """Whether the exchange was told that its end is safe."""
        return not ACKNOWLEDGED.isdisjoint(self.ended)

    @property
    def is_due(self) -> bool:
        """Whether its end is to be said again."""
        return self.talked is not None and not self.acknowledged and not self.end_is_lost

    @property
    def cost(self) -> Decimal:
        """What its end, once told, has to cost."""
        return cost_of(self.number, self.talked or 0)


@dataclass(frozen=True)
class Heard:
    """One answer, and the phases of the test in which its question was asked and it came."""

    kind: str
    answer: str
    asked_in: str
    answered_in: str
    uniqueid: str


class Load:
    """Calls on LINES lines until `stop`. `port` says where the engine is now."""

    def __init__(
        self, port: Callable[[], int], logins: list[str], seed: int, *, lost: float = 0.04, talkers: int = TALKERS
    ) -> None:
        """`lost`: the share of calls whose end is never said again. `talkers`: how many calls talk on beside."""
        self.calls: list[Call] = []
        self.heard: list[Heard] = []
        self.phase = "before"
        self.on_the_wire: Counter[str] = Counter()
        self._port = port
        self._logins = logins
        self._random = random.Random(seed)
        self._lost = lost
        self._talkers_wanted = talkers
        self._due: deque[Call] = deque()
        self._talkers: deque[Call] = deque()
        self._lines: list[asyncio.Task[None]] = []
        self._under_way: set[str] = set()
        self._stopping = False

    # -- for the test ------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to call."""
        self._stopping = False
        self._lines = [asyncio.create_task(self._line(), name=f"line-{number}") for number in range(LINES)]

    async def stop(self) -> None:
        """No new calls; those that talk end."""
        self._stopping = True
        await asyncio.gather(*self._lines)
        await asyncio.gather(*(self._end(self._talkers.popleft()) for _ in range(len(self._talkers))))

    async def after(self, answers: int) -> None:
        """Wait until so many more requests have been answered."""
        start = len(self.heard)
        for goal in [*range(start, start + answers, STEP), start + answers]:  # a long wait is many short ones
            await until(lambda goal=goal: self._have_heard(goal))

    async def until_talking(self, calls: int) -> None:
        """Wait until so many calls talk."""

        async def are_talking() -> bool:
            return len(self._talkers) >= calls or self._is_over()

        await until(are_talking)

    async def until_heard(self, kind: str, answer: str) -> None:
        """Wait until a request of this phase has been answered so, in this phase."""

        async def is_heard() -> bool:
            return self.answers(kind, self.phase)[answer] > 0 or self._is_over()

        await until(is_heard)

    def answers(self, kind: str, phase: str) -> Counter[str]:
        """The answers to requests that were asked and answered in a phase."""
        return Counter(h.answer for h in self.heard if h.kind == kind and h.asked_in == h.answered_in == phase)

    def in_flight(self) -> int:
        """Calls that talk, or wait for an answer."""
        return len(self._under_way)

    async def say_every_end(self) -> None:
        """Say what nobody has acknowledged, again and again, until somebody has."""

        async def are_all_said() -> bool:
            due = [call for call in self.calls if call.is_due]
            for start in range(0, len(due), LINES):
                await asyncio.gather(*(self._end(call) for call in due[start : start + LINES]))
            return not any(call.is_due for call in self.calls)

        await until(are_all_said)

    # -- lines and calls ---------------------------------------------------------------------------------------

    async def _line(self) -> None:
        chance = self._random.random
        while not self._stopping:
            await self._call()
            if chance() < len(self._talkers) / self._talkers_wanted / 10:
                await self._end(self._talkers.popleft())
            if self._due and chance() < 0.5:
                await self._end(self._due.popleft())

    async def _have_heard(self, answers: int) -> bool:
        return len(self.heard) >= answers or self._is_over()

    def _is_over(self) -> bool:
        """A line that broke is said at once, and not after a wait in vain."""
        for line in self._lines:
            if line.done() and not self._stopping:
                line.result()
        return False

    def _plan(self) -> Call:
        chance = self._random.random
        answered = chance() < 0.8
        return Call(
            uniqueid=f"{len(self.calls):06d}",
            login=self._random.choice(self._logins),
            number=self._random.choice(NUMBERS),
            wants_seconds=self._random.randint(1, 70) if answered else 0,
            late_seconds=self._random.randint(1, LATE_SECONDS) if chance() < 0.05 else 0,
            asks_twice=chance() < 0.1,
            asks_again=chance() < 0.5,
            ends_twice=chance() < 0.1,
            end_is_lost=chance() < self._lost,
        )

    async def _call(self) -> None:
        call = self._plan()
        self.calls.append(call)
        self._under_way.add(call.uniqueid)
        await self._ask(call)
        if not call.allowed and call.asks_again and set(call.asked) == {NONE}:
            await asyncio.sleep(PAUSE_SECONDS)
            await self._ask(call)
        if call.allowed:
            limit = call.max_seconds or 0
            call.talked = limit + call.late_seconds if call.wants_seconds > limit else call.wants_seconds
            if (
                self._random.random() < self._talkers_wanted / (5 * TALKERS)
                and len(self._talkers) < self._talkers_wanted
            ):
                self._talkers.append(call)
                return
            await asyncio.sleep(self._random.random() * TALK_SECONDS)
        elif NONE in call.asked:
            call.talked = 0  # in doubt: the dialplan says the end of a call that was not
        else:
            self._under_way.discard(call.uniqueid)
            await asyncio.sleep(PAUSE_SECONDS)
            return
        await self._end(call)

    async def _ask(self, call: Call) -> None:
        await asyncio.gather(*(self._ask_once(call) for _ in range(2 if call.asks_twice else 1)))

    async def _ask_once(self, call: Call) -> None:
        answer, said = await self._request("prepare", call, call.number)
        call.asked.append(answer)
        if answer == ALLOWED:
            seconds = int(said["RATING_MAX_SECONDS"])
            assert call.max_seconds in (None, seconds), f"{call} was now told {seconds} seconds"
            call.max_seconds = seconds

    async def _end(self, call: Call) -> None:
        self._under_way.add(call.uniqueid)
        await asyncio.gather(*(self._end_once(call) for _ in range(2 if call.ends_twice else 1)))
        self._under_way.discard(call.uniqueid)
        if call.is_due:
            self._due.append(call)
            await asyncio.sleep(PAUSE_SECONDS)

    async def _end_once(self, call: Call) -> None:
        status = "16ANSWER" if call.talked else "0CANCEL"
        answer, said = await self._request("finish", call, call.number, str(call.talked), status)
        call.ended.append(answer)
        if said.get("RATING_COST"):
            call.said_costs.add(Decimal(said["RATING_COST"]))

    async def _request(self, kind: str, call: Call, *arguments: str) -> tuple[str, dict[str, str]]:
        """The answer in a word, and the variables that came with it."""
        script = f"call{kind.capitalize()}?exchange={EXCHANGE}"
        asked_in = self.phase
        self.on_the_wire[kind] += 1
        try:
            said = await agi_call(HOST, self._port(), script, [call.login, *arguments], uniqueid=call.uniqueid)
        except CallFailedError:
            said = {}
            await asyncio.sleep(SILENCE_SECONDS)
        finally:
            self.on_the_wire[kind] -= 1
        answer = _answer(said)
        self.heard.append(Heard(kind, answer, asked_in, self.phase, call.uniqueid))
        return answer, said


def _answer(said: dict[str, str]) -> str:
    """`allowed`, `saved`, `spooled`, `declined REASON`, `failed REASON` or `none`."""
    if not said:
        return NONE
    status, reason = said["RATING_STATUS"].lower(), said["RATING_REASON"]
    if status == SAVED:
        return SPOOLED if reason == SPOOLED else SAVED
    return f"{status} {reason}".strip()
