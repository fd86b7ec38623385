"""A process that is killed (SIGKILL, by itself) at a statement: rents, fees, orders, mail, invoices cut off anywhere.

Run as a program: reads orders as JSON lines, forks for each, and answers when the fork is gone. One program loads the
engine once for all of them; what a fork does, it does in a process of its own.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from rating_engine.adapters.smtp import Smtp
from rating_engine.domain.principal import ENGINE
from rating_engine.services.finance.monthly import MonthlyInvoices
from rating_engine.services.finance.recurring import Recurring
from rating_engine.services.numbers.dids import Dids
from rating_engine.services.numbers.rents import Rents
from rating_engine.services.support.outbox import Outbox
from rating_engine.storage.postgres.pool import Database

GRACE = timedelta(days=5_000)


def die_at(place: int) -> None:
    """Let the process end at its statement `place`: half of them before the server has it, half when it is done."""
    counted = 0

    def cut(method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def called(*args: Any, **named: Any) -> Any:
            nonlocal counted
            counted += 1
            if counted == place and place % 2:
                os.kill(os.getpid(), signal.SIGKILL)
            answer = await method(*args, **named)
            if counted == place:
                os.kill(os.getpid(), signal.SIGKILL)
            return answer

        return called

    for name in ("fetch", "fetchrow", "fetchval", "execute"):
        setattr(asyncpg.Connection, name, cut(getattr(asyncpg.Connection, name)))


async def work(order: dict[str, Any]) -> None:
    """What is ordered: one turn of something, or the order of a number."""
    database = Database(order["url"])
    await database.open()
    die_at(order["place"])
    moment = datetime.fromisoformat(order["moment"])

    def now() -> datetime:
        return moment

    match order["work"]:
        case "rents":
            await Rents(database, ENGINE, now).turn(grace=GRACE, notice=timedelta(days=3))
        case "fees":
            await Recurring(database, ENGINE, now).turn()
        case "orders":
            await Dids(database, ENGINE, now, currency="EUR").order(order["number"], order["pool"], "anna")
        case "mail":
            await Outbox(database, Smtp(order["smtp"], sender="a@example.org", timeout_seconds=5)).turn()
        case "invoices":
            await MonthlyInvoices(database, ENGINE, now, days=14).turn()
    await database.close()


def main() -> None:
    """Do what is ordered, line by line, each in a process of its own; answer whether it was killed."""
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            try:
                asyncio.run(work(json.loads(line)))
            finally:
                os._exit(0)
        _, status = os.waitpid(child, 0)
        print("killed" if os.WIFSIGNALED(status) else "done", flush=True)


if __name__ == "__main__":
    main()
