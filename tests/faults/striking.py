"""Every kind of fault that a soak injects: each strikes while calls run, lasts a moment, is over when it returns.

`Strikes` holds what they are done to. A fault leaves nothing behind but what the software makes of it: who was killed
has been started again, as systemd would, who was stopped goes on, the network is whole.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from rating_engine.embedded.process import child_pids
from tests.faults.load import ALLOWED, Load
from tests.faults.stage import Stage
from tests.support.tcp_proxy import TcpProxy

WITHIN_A_REQUEST_SECONDS = 0.02  # a fault comes somewhere between a question and its answer
STOPPED_SECONDS = 0.8  # at most; of what is only inconvenient to have for longer
# Beyond the engine's deadline for a statement (SOAK_SETTINGS), so that some are done after it has given them up.
BEYOND_DEADLINE_SECONDS = 1.2
SLOW_SECONDS = 0.1  # before each chunk, each way: five of them are the deadline
SLOW_REQUESTS = 15  # answered in a slow network before it is quick again


@dataclass
class Strikes:
    """What faults are done to: a stage with its processes, and the proxies in the three networks."""

    stage: Stage
    database_network: TcpProxy
    redis_network: TcpProxy
    exchange_network: TcpProxy
    chance: random.Random

    @property
    def load(self) -> Load:
        """The calls."""
        return self.stage.load

    async def moment(self, at_most: float) -> None:
        """Some time, by chance."""
        await asyncio.sleep(self.chance.random() * at_most)

    async def served_again(self) -> None:
        """Wait until a call is allowed that was asked for now; who has ended is started, as systemd would."""
        if not self.stage.engine.running:
            await self.stage.engine.start()
        await self.load.until_heard("prepare", ALLOWED)


def tree(pid: int) -> list[int]:
    """A process and all that it has started."""
    return [pid, *(inner for child in child_pids(pid) for inner in tree(child))]


def send(number: int, pids: list[int]) -> None:
    """A signal to each that is still there."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


@contextlib.asynccontextmanager
async def stopped(pids: list[int]) -> AsyncIterator[None]:
    """SIGSTOP now, SIGCONT at the end."""
    send(signal.SIGSTOP, pids)
    try:
        yield
    finally:
        send(signal.SIGCONT, pids)


# -- processes -------------------------------------------------------------------------------------------------


async def engine_killed(s: Strikes) -> None:
    """The supervisor and its workers at once."""
    await asyncio.to_thread(s.stage.engine.kill)
    await s.stage.engine.start()


async def engine_stopped(s: Strikes) -> None:
    """All of it, as on a machine that is suspended."""
    async with stopped(tree(s.stage.engine.pid)):
        await s.moment(BEYOND_DEADLINE_SECONDS)


async def worker_killed(s: Strikes) -> None:
    """One of two: its connections break, its ends are taken over."""
    send(signal.SIGKILL, s.chance.sample(workers := child_pids(s.stage.engine.pid), min(1, len(workers))))


async def worker_stopped(s: Strikes) -> None:
    """One of two: what it was asked waits, and what it asked the database for is done without it."""
    async with stopped(s.chance.sample(workers := child_pids(s.stage.engine.pid), min(1, len(workers)))):
        await s.moment(BEYOND_DEADLINE_SECONDS)


async def postgresql_killed(s: Strikes) -> None:
    """With all its sessions."""
    await asyncio.to_thread(s.stage.servers.postgres.kill)
    await s.moment(STOPPED_SECONDS)
    await asyncio.to_thread(s.stage.servers.postgres.start)


async def postgresql_stopped(s: Strikes) -> None:
    """With all its sessions: statements are done after the engine has given them up."""
    async with stopped(tree(s.stage.servers.postgres.pid)):
        await s.moment(BEYOND_DEADLINE_SECONDS)


async def session_killed(s: Strikes) -> None:
    """As the kernel does that is out of memory: PostgreSQL then throws everybody out and recovers."""
    sessions = await s.stage.database.fetch("SELECT pid FROM pg_stat_activity WHERE datname = current_database()")
    send(signal.SIGKILL, [s.chance.choice(sessions)["pid"]])


async def valkey_killed(s: Strikes) -> None:
    """And started again, empty or not."""
    await asyncio.to_thread(s.stage.servers.valkey.kill)
    await s.moment(STOPPED_SECONDS)
    await asyncio.to_thread(s.stage.servers.valkey.start)


async def valkey_stopped(s: Strikes) -> None:
    """It takes connections and answers nothing."""
    async with stopped(tree(s.stage.servers.valkey.pid)):
        await s.moment(STOPPED_SECONDS)


# -- networks --------------------------------------------------------------------------------------------------


def cut(network: Callable[[Strikes], TcpProxy]) -> Callable[[Strikes], Awaitable[None]]:
    """Every connection is reset, after a little delay that has statements done and not yet answered."""

    async def strike(s: Strikes) -> None:
        network(s).delay_seconds = s.chance.choice((0.0, 0.01))
        await s.load.after(s.chance.randrange(5))
        network(s).cut()
        network(s).delay_seconds = 0.0

    return strike


def silent(network: Callable[[Strikes], TcpProxy]) -> Callable[[Strikes], Awaitable[None]]:
    """Nothing arrives; what was sent arrives late, or never where the connections are cut before."""

    async def strike(s: Strikes) -> None:
        network(s).silence()
        await s.moment(BEYOND_DEADLINE_SECONDS)
        if s.chance.random() < 0.5:
            network(s).cut()
        network(s).speak()

    return strike


def slow(network: Callable[[Strikes], TcpProxy]) -> Callable[[Strikes], Awaitable[None]]:
    """Each chunk comes late."""

    async def strike(s: Strikes) -> None:
        network(s).delay_seconds = s.chance.random() * SLOW_SECONDS
        await s.load.after(s.chance.randrange(SLOW_REQUESTS))
        network(s).delay_seconds = 0.0

    return strike


NETWORKS: dict[str, Callable[[Strikes], TcpProxy]] = {
    "network to PostgreSQL": lambda s: s.database_network,
    "network to Valkey": lambda s: s.redis_network,
    "network to the exchange": lambda s: s.exchange_network,
}
FAULTS: dict[str, Callable[[Strikes], Awaitable[None]]] = {
    "engine: kill -9": engine_killed,
    "engine: SIGSTOP, SIGCONT": engine_stopped,
    "one of two workers: kill -9": worker_killed,
    "one of two workers: SIGSTOP, SIGCONT": worker_stopped,
    "PostgreSQL: kill -9": postgresql_killed,
    "PostgreSQL: SIGSTOP, SIGCONT": postgresql_stopped,
    "PostgreSQL: kill -9 of one session": session_killed,
    "Valkey: kill -9": valkey_killed,
    "Valkey: SIGSTOP, SIGCONT": valkey_stopped,
    **{
        f"{name}: {how.__name__}": how(network) for name, network in NETWORKS.items() for how in (cut, silent, slow)
    },
}  # fmt: skip
