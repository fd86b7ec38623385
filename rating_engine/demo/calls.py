"""The demo's telephone exchange: whom it has, which calls are placed, and what the engine answered to each.

Law: a call goes as the shipped dialplan would have it go. It asks callPrepare, talks no longer than the engine allows,
and tells callFinish once it is over; what the engine must answer is known beforehand wherever it can be.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Final

from agi import channel_variables as var
from agi.channel_variables import RatingStatus
from agi.fastagi.client import agi_call
from rating_engine.domain.outcomes import DeclineReason

SPEED: Final = 200  # the demo's clock: a second of ringing or talk takes a two-hundredth of one
LINES: Final = 50  # calls at the same time
BETWEEN_FIRST_CALLS_SECONDS: Final = 0.01  # people do not all pick up the telephone in the same instant
MEAN_TALK_SECONDS: Final = 170
MAX_TALK_SECONDS: Final = 600  # so that the demo does not end with one long call
NUMBER_DIGITS: Final = 12  # E.164 has up to 15; most international numbers have 11 or 12
COMMON_PREFIXES: Final = ("1212", "4420", "4930", "33", "34", "39", "7495", "7901", "8613", "9198", "5511", "2348")
DEAR_PREFIXES: Final = ("5352", "53", "252")  # where little money is soon gone
NOBODY_SERVES: Final = "999"  # a country code that ITU-T keeps in reserve

# A call that may fail is worth watching: so many of a thousand, and the rest are ordinary.
SPECIAL: Final = (("nobody serves", 30), ("unknown login", 20), ("no number", 10), ("poor", 110))


_PREFIXES_OF: Final = {"nobody serves": (NOBODY_SERVES,), "poor": DEAR_PREFIXES}


class Ending(StrEnum):
    """How a call ends that the engine has allowed, with the status that the exchange reports."""

    ANSWERED = "16ANSWER"
    NO_ANSWER = "19NOANSWER"
    BUSY = "17BUSY"
    CANCELLED = "0CANCEL"


ENDINGS: Final = {Ending.ANSWERED: 74, Ending.NO_ANSWER: 13, Ending.BUSY: 8, Ending.CANCELLED: 5}


@dataclass(frozen=True, slots=True)
class DemoAccount:
    """An account as `rating-engine account create` takes it."""

    login: str
    words: str
    balance: str = "0"
    overdraft: str | None = None
    postpaid: bool = False
    max_calls: int | None = None


ORDINARY: Final = (
    DemoAccount("1001", "prepaid", "60"),
    DemoAccount("1002", "prepaid, 5.00 overdraft", "25", overdraft="5"),
    DemoAccount("1003", "postpaid, 100.00 credit", overdraft="100", postpaid=True),
    DemoAccount("1004", "postpaid, 8 calls", postpaid=True, max_calls=8),
)
POOR: Final = DemoAccount("1005", "prepaid, little money", "1")
ACCOUNTS: Final = (*ORDINARY, POOR)
UNKNOWN_LOGIN: Final = "intruder"


@dataclass(frozen=True, slots=True)
class PlannedCall:
    """A call to place. `expected`: the only reason it can have; empty where it is the engine's to say."""

    name: str
    login: str
    number: str
    ending: Ending
    ring_seconds: int
    talk_seconds: int
    told_twice: bool
    expected: str = ""


@dataclass(slots=True)
class PlacedCall:
    """What became of it. Times are seconds that the exchange waited for an answer."""

    plan: PlannedCall
    reason: str = ""
    talked: int = 0
    cut: bool = False
    billed: int = 0
    cost: Decimal = Decimal(0)
    prepare_times: list[float] = field(default_factory=list)
    finish_times: list[float] = field(default_factory=list)
    wrong: str = ""

    @property
    def allowed(self) -> bool:
        """Whether the call was let through."""
        return not self.reason

    @property
    def told_twice(self) -> bool:
        """Whether its end was reported twice."""
        return len(self.finish_times) > 1


def plan_calls(count: int, prefixes: Sequence[str], seed: int) -> list[PlannedCall]:
    """`count` calls to numbers under `prefixes` (E.164 digits) and of every special kind; the same for a seed."""
    chance = random.Random(seed)
    names = [name for name, _ in SPECIAL]
    weights = [weight for _, weight in SPECIAL]
    # each special kind is met at least once, however few calls there are (as long as there are so many)
    forced = dict(zip(chance.sample(range(1, count + 1), min(count, len(names))), names, strict=False))
    kinds = chance.choices([*names, "ordinary"], [*weights, 1000 - sum(weights)], k=count)
    return [_plan(f"demo-{n}", forced.get(n, kind), prefixes, chance) for n, kind in enumerate(kinds, 1)]


def _plan(name: str, kind: str, prefixes: Sequence[str], chance: random.Random) -> PlannedCall:
    account = POOR if kind == "poor" else chance.choice(ORDINARY)
    prefix = chance.choice(COMMON_PREFIXES) if chance.random() < 0.5 else chance.choice(prefixes)
    if kind in _PREFIXES_OF:
        prefix = chance.choice(_PREFIXES_OF[kind])
    number = prefix + "".join(chance.choices("0123456789", k=max(3, NUMBER_DIGITS - len(prefix))))
    ending = chance.choices(list(ENDINGS), list(ENDINGS.values()))[0]
    answered = ending is Ending.ANSWERED
    expected = {
        "nobody serves": DeclineReason.NO_RATE,
        "unknown login": DeclineReason.UNKNOWN_LOGIN,
        "no number": DeclineReason.INVALID_DESTINATION,
    }
    return PlannedCall(
        name=name,
        login=UNKNOWN_LOGIN if kind == "unknown login" else account.login,
        number="sip:mallory" if kind == "no number" else number,
        ending=ending,
        ring_seconds=chance.randint(2, 25),
        talk_seconds=min(1 + int(chance.expovariate(1 / MEAN_TALK_SECONDS)), MAX_TALK_SECONDS) if answered else 0,
        told_twice=answered and chance.random() < 0.06,
        expected=expected[kind].value if kind in expected else "",
    )


class Exchange:
    """Places calls against a running engine, `LINES` at a time."""

    def __init__(self, host: str, port: int, on_change: Callable[[Exchange], None]) -> None:
        """`on_change` is called whenever a call begins to talk or is over."""
        self.placed: list[PlacedCall] = []
        self.declined = 0
        self.open_calls = 0
        self._host, self._port = host, port
        self._on_change = on_change

    async def place(self, calls: Sequence[PlannedCall]) -> None:
        """Place them all. Errors: CallFailedError when the engine does not answer."""
        waiting: Iterator[PlannedCall] = iter(calls)
        try:
            async with asyncio.TaskGroup() as lines:
                for _ in range(min(LINES, len(calls))):
                    lines.create_task(self._line(waiting))
                    await asyncio.sleep(BETWEEN_FIRST_CALLS_SECONDS)
        except ExceptionGroup as failed:  # an engine that is gone fails every line alike
            raise failed.exceptions[0] from failed

    async def _line(self, waiting: Iterator[PlannedCall]) -> None:
        for plan in waiting:
            call = PlacedCall(plan)
            await self._place(call)
            self.placed.append(call)
            self._on_change(self)

    async def _place(self, call: PlacedCall) -> None:
        plan = call.plan
        answer = await self._ask(call.prepare_times, plan, "callPrepare", ())
        call.reason = answer[var.RATING_REASON]
        if call.reason != plan.expected and (plan.expected or answer[var.RATING_STATUS] != _status_of(call.reason)):
            call.wrong = f"{plan.login} to {plan.number}: answered {call.reason or 'allowed'}"
        if not call.allowed:
            self.declined += 1
            return
        self.open_calls += 1
        self._on_change(self)
        limit = int(answer[var.RATING_MAX_SECONDS])
        call.talked = min(plan.talk_seconds, limit)
        call.cut = plan.talk_seconds > limit
        await asyncio.sleep((plan.ring_seconds + call.talked) / SPEED)
        await self._finish(call)
        self.open_calls -= 1

    async def _finish(self, call: PlacedCall) -> None:
        plan = call.plan
        told = (str(call.talked), plan.ending.value)
        answers = [
            await self._ask(call.finish_times, plan, "callFinish", told) for _ in range(2 if plan.told_twice else 1)
        ]
        first, *repeats = answers
        if first[var.RATING_STATUS] != RatingStatus.SAVED:
            call.wrong = f"{plan.login} to {plan.number}: its end was refused: {first[var.RATING_REASON]}"
            return
        if any(repeat != first for repeat in repeats):
            call.wrong = f"{plan.login} to {plan.number}: told its end twice, and answered otherwise: {repeats}"
        call.cost, call.billed = Decimal(first[var.RATING_COST]), int(first[var.RATING_BILLED_SECONDS])

    async def _ask(
        self, times: list[float], plan: PlannedCall, script: str, more: tuple[str, ...]
    ) -> Mapping[str, str]:
        started = time.perf_counter()
        answer = await agi_call(
            self._host, self._port, script, (plan.login, plan.number, *more), uniqueid=plan.name, callerid=plan.login
        )
        times.append(time.perf_counter() - started)
        return answer


def _status_of(reason: str) -> RatingStatus:
    return RatingStatus.DECLINED if reason else RatingStatus.ALLOWED
