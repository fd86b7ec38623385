"""A load client: so many calls at a time, each a callPrepare and a callFinish as Asterisk sends them.

`python benchmarks/load.py --port 4573 --seconds 5 --calls-at-a-time 64 --logins 10000` prints one JSON object.
It runs as a process of its own, so that its work is not done on the engine's event loop.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import random
import time
from pathlib import Path
from typing import Any

import uvloop

from agi.fastagi.client import agi_call

HOST = "127.0.0.1"


class Load:
    """What happened: calls by outcome, and the seconds each answer took."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.port = arguments.port
        self.logins = arguments.logins
        self.hot = arguments.hot
        self.numbers = arguments.numbers.read_text().split() if arguments.numbers else ["79010000001"]
        self.seed = arguments.seed
        self.random = random.Random(arguments.seed)
        self.counter = itertools.count()
        self.outcomes: dict[str, int] = {}
        self.prepares: list[float] = []
        self.finishes: list[float] = []

    async def caller(self, until: float) -> None:
        """One call after the other until the time is up."""
        while time.perf_counter() < until:
            await self.call()

    async def call(self) -> None:
        """One call of a random subscriber to a random number."""
        number = self.random.choice(self.numbers)
        login = "hot" if self.hot else f"b{self.random.randrange(self.logins)}"
        uniqueid = f"load-{self.seed}.{next(self.counter)}"
        started = time.perf_counter()
        prepared = await agi_call(HOST, self.port, "callPrepare", [login, number], uniqueid=uniqueid)
        self.prepares.append(time.perf_counter() - started)
        outcome = prepared["RATING_REASON"] or prepared["RATING_STATUS"]
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1
        if prepared["RATING_STATUS"] != "ALLOWED":
            return
        told = [login, number, str(self.random.randrange(120)), "16ANSWER"]
        started = time.perf_counter()
        finished = await agi_call(HOST, self.port, "callFinish", told, uniqueid=uniqueid)
        self.finishes.append(time.perf_counter() - started)
        if finished["RATING_STATUS"] != "SAVED":
            self.outcomes["not saved"] = self.outcomes.get("not saved", 0) + 1

    def report(self, seconds: float) -> dict[str, Any]:
        """The figures: calls a second are those prepared and finished."""
        return {
            "calls": len(self.finishes),
            "seconds": seconds,
            "outcomes": self.outcomes,
            "prepare_ms": percentiles(self.prepares),
            "finish_ms": percentiles(self.finishes),
        }


def percentiles(seconds: list[float]) -> dict[str, float]:
    """p50 and p99 in milliseconds."""
    ranked = sorted(seconds) or [0.0]
    return {f"p{p}": round(1000 * ranked[min(len(ranked) - 1, len(ranked) * p // 100)], 2) for p in (50, 99)}


async def run(arguments: argparse.Namespace) -> None:
    load = Load(arguments)
    started = time.perf_counter()
    until = started + arguments.seconds
    await asyncio.gather(*(load.caller(until) for _ in range(arguments.calls_at_a_time)))
    print(json.dumps(load.report(time.perf_counter() - started)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--calls-at-a-time", type=int, default=64)
    parser.add_argument("--logins", type=int, default=10_000, help="b0 to bN-1 are called in turn at random")
    parser.add_argument("--hot", action="store_true", help="every call is of one account, login hot")
    parser.add_argument("--numbers", type=Path, help="a file of numbers to call, one a line")
    parser.add_argument("--seed", type=int, default=1)
    uvloop.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
