"""What a benchmark does inside a tree, as it is now or as it was: run with that tree first on PYTHONPATH.

Both trees have tests/support/world.py with the same helpers, which is what this stands on; where a module was moved
between the two, both places are tried. Prints one JSON value after ANSWER.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import itertools
import json
import random
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import cpu

from rating_engine.services import doctor
from tests.support import world

ANSWER = "answer: "  # tells the answer from what a tree logs
AT_A_TIME = 8  # accounts that are made at once
BATCH_ACCOUNTS = "200"
BATCHES_BEFORE = 30


def moved(name: str, *modules: str) -> Any:
    """A name from the first of some modules that is there."""
    for module in modules:
        try:
            return getattr(importlib.import_module(module), name)
        except ModuleNotFoundError:
            continue
    raise SystemExit(f"{name} is in none of {', '.join(modules)}")


Ledger = moved("Ledger", "rating_engine.storage.calls.ledger", "rating_engine.storage.ledger")
Database = moved("Database", "rating_engine.storage.postgres.pool", "rating_engine.storage.pool")


def as_calls_go() -> dict[str, Any]:
    """How a tree's engine has its calls planned: once for all (generic plans), where the tree knows of that."""
    known = inspect.signature(Database.__init__).parameters
    return {"generic_plans": True} if "generic_plans" in known else {}


async def accounts(database: Any, prefix: str, tariff: str, count: str) -> None:
    """Logins p0, p1, ... with more money than any run can spend."""
    numbers = iter(range(int(count)))

    async def make() -> None:
        for number in numbers:
            await world.add_account(database, f"{prefix}{number}", balance="1000000", tariff=tariff)

    await asyncio.gather(*(make() for _ in range(AT_A_TIME)))


async def laws(database: Any) -> list[str]:
    """What breaks a law of money."""
    return [finding.what for finding in await doctor.ledger_balanced(database)]


async def batch_world(database: Any) -> None:
    """A deck, and as many accounts as the largest batch has calls and more."""
    await world.publish_deck(database)
    await accounts(database, "b", "retail", BATCH_ACCOUNTS)


async def batches(database: Any, size: str, seconds: str, server_pid: str) -> dict[str, float]:
    """CPU milliseconds of the server for a call reserved and settled, in statements of exactly `size` calls."""
    sizes: set[int] = set()
    ledger = Ledger(database, observe=lambda operation, items, took: sizes.add(items))
    deck = await world.publish_deck(database)
    logins = [await world.subscriber_by_login(database, f"b{number}") for number in range(int(BATCH_ACCOUNTS))]
    names = (f"{time.time_ns()}.{number}" for number in itertools.count())

    async def pairs() -> int:
        called = [(login, next(names)) for login in random.sample(logins, int(size))]
        held = [world.reserve_request(login, deck, name) for login, name in called]
        for answer in await asyncio.gather(*map(ledger.reserve, held)):
            assert answer.outcome.value == "reserved", answer
        ended = [world.settle_request(login, name, seconds=2, cost="0.02") for login, name in called]
        for answer in await asyncio.gather(*map(ledger.settle, ended)):
            assert answer.outcome.value == "settled", answer
        return len(called)

    for _ in range(BATCHES_BEFORE):  # plans are made, connections opened
        await pairs()
    watch, until, calls = cpu.Watch(server=int(server_pid)), time.perf_counter() + float(seconds), 0
    while time.perf_counter() < until:
        calls += await pairs()
    used = watch.ms("server")
    assert sizes == {int(size)}, f"batches of {sizes}"
    return {"calls": calls, "server_ms": used / calls}


WORK: dict[str, Callable[..., Awaitable[Any]]] = {
    work.__name__: work for work in (accounts, laws, batch_world, batches)
}


async def main() -> None:
    """Open the database, do the work, say what came of it."""
    work, url, *arguments = sys.argv[1:]
    database = Database(url, timeout_seconds=600, **as_calls_go())
    await database.open()
    try:
        print(ANSWER + json.dumps(await WORK[work](database, *arguments)), flush=True)
    finally:
        await database.close()


if __name__ == "__main__":
    asyncio.run(main())
