"""A soak: faults of every kind, by chance, while calls run; after each round the books are closed and compared.

A round is a fresh database and engine with ROUND_FAULTS faults. At its end the exchange's own books are held against
the database (`books.audit`), the doctor is asked, and no reservation may be open. A seed repeats the order of faults.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from rating_engine.embedded import EmbeddedServers
from tests.faults.books import Audit
from tests.faults.load import NONE, SPOOLED, Load
from tests.faults.report import render
from tests.faults.stage import Setting, stage_on
from tests.faults.striking import FAULTS, WITHIN_A_REQUEST_SECONDS, Strikes
from tests.support.commands import Commands
from tests.support.servers import SessionServers, free_port
from tests.support.tcp_proxy import TcpProxy

ROUND_FAULTS = 50
REQUESTS_BETWEEN = 40  # answered between two faults, at most
# A second instead of ten, so that it is passed often; a slow machine must still do a statement within it.
SETTINGS: dict[str, Setting] = {"workers": 2, "database_timeout_seconds": 1.0}
BETWEEN = "between faults"
COLUMNS = ("fault", "injected", "declined", "unanswered", "spooled", "lost", "double", "calls meanwhile")


@dataclass
class Tally:
    """What came of one kind of fault, over all its times."""

    injected: int = 0
    calls: set[str] = field(default_factory=set)
    declined: int = 0
    unanswered: int = 0
    spooled: int = 0
    lost: int = 0
    doubled: int = 0

    def counts(self) -> tuple[int, ...]:
        """In the order of COLUMNS, without the calls."""
        return (self.injected, self.declined, self.unanswered, self.spooled, self.lost, self.doubled)


@dataclass
class Report:
    """All kinds, and what is said of whole rounds."""

    kinds: dict[str, Tally] = field(default_factory=lambda: {kind: Tally() for kind in (*FAULTS, BETWEEN)})
    rounds: int = 0
    calls: int = 0
    overspent: int = 0
    left_open: int = 0
    complaints: list[str] = field(default_factory=list)

    @property
    def injected(self) -> int:
        """Faults so far."""
        return sum(tally.injected for tally in self.kinds.values())

    def add(self, number: int, load: Load, found: Audit, left_open: int, doctor: str) -> None:
        """The calls and books of a round."""
        self.rounds += 1
        self.calls += len(load.calls)
        self.overspent += len(found.overspent)
        self.left_open += left_open
        self.complaints += found.complaints() + ([f"doctor: {doctor}"] if doctor else [])
        for heard in load.heard:
            for kind in {kind_of(heard.asked_in), kind_of(heard.answered_in)}:
                tally = self.kinds[kind]
                tally.calls.add(f"{number}/{heard.uniqueid}")
                tally.declined += heard.answer.startswith(("declined", "failed"))
                tally.unanswered += heard.answer == NONE
                tally.spooled += heard.answer == SPOOLED
        for name, complaints in (("lost", found.lost), ("doubled", found.doubled)):
            for tally, count in self._met_by(number, load, complaints):
                setattr(tally, name, getattr(tally, name) + count)

    def _met_by(self, number: int, load: Load, complaints: list[str]) -> Iterator[tuple[Tally, int]]:
        """A call that went wrong counts for every kind of fault it met."""
        wrong = {f"{number}/{call.uniqueid}" for call in load.calls for said in complaints if str(call) in said}
        for tally in self.kinds.values():
            yield tally, len(wrong & tally.calls)

    def lines(self) -> list[str]:
        """The table, Markdown that can be read as text."""
        rows = [(kind, *tally.counts(), len(tally.calls)) for kind, tally in self.kinds.items()]
        sums = [sum(tally.counts()[n] for tally in self.kinds.values()) for n in range(len(COLUMNS) - 2)]
        rows.append(("all (a call may meet several)", *sums, self.calls))
        cells = [[kind, *(f"{number:,}" for number in numbers)] for kind, *numbers in rows]
        verdict = (
            f"{self.rounds} rounds: {self.overspent} accounts overspent, {self.left_open} reservations left open, "
            f"{len(self.complaints)} complaints of the exchange's books and the doctor"
        )
        return [*render(cells, COLUMNS), "", verdict, *self.complaints]


def kind_of(phase: str) -> str:
    """The kind of fault in which a phase of the load is: phases are called `KIND #N`."""
    kind, _, _ = phase.partition(" #")
    return kind if kind in FAULTS else BETWEEN


async def soak(
    servers: SessionServers,
    directory: Path,
    seed: int,
    *,
    faults: int,
    seconds: float = float("inf"),
    say: Callable[[str], None] = lambda line: None,
) -> Report:
    """Inject so many faults, in rounds; after `seconds` no more rounds are begun. `say` is told after each round."""
    report, began = Report(), time.monotonic()
    for number in itertools.count():
        planned = min(ROUND_FAULTS, faults - report.injected)
        if planned <= 0 or time.monotonic() - began > seconds:
            break
        place = directory / f"round{number}"
        place.mkdir(mode=0o755)
        with servers.database(balanced=True) as url:
            await one_round(report, number, servers.servers, url, place, seed + number, planned)
            await asyncio.to_thread(servers.servers.postgres.start)  # so that it can be dropped
        spent = time.monotonic() - began
        say(f"{report.injected:,} of {faults:,} faults, {report.calls:,} calls, {len(report.complaints)} complaints, "
            f"{spent:.0f} s, {max(0, faults - report.injected) * spent / report.injected:.0f} s to go")  # fmt: skip
        if report.complaints:
            break
    return report


async def one_round(
    report: Report, number: int, servers: EmbeddedServers, url: str, place: Path, seed: int, planned: int
) -> None:
    """A stage, its faults, its books."""
    chance = random.Random(seed)
    # Each kind in turn, in an order by chance: a short soak meets as many as it can.
    kinds = list(itertools.islice(itertools.cycle(chance.sample(list(FAULTS), len(FAULTS))), planned))
    chance.shuffle(kinds)
    async with strikes_on(servers, url, place, seed, chance) as strikes:
        stage = strikes.stage
        for turn, kind in enumerate(kinds):
            await strikes.load.after(chance.randint(1, REQUESTS_BETWEEN))
            await strikes.moment(WITHIN_A_REQUEST_SECONDS)
            strikes.load.phase = f"{kind} #{turn}"
            stage.strike()
            report.kinds[kind].injected += 1
            await FAULTS[kind](strikes)
            strikes.load.phase = f"{kind} # over {turn}"
            await strikes.served_again()
            strikes.load.phase = f"{BETWEEN} {turn}"
        found = await stage.close_books()
        left_open = await stage.database.fetchval("SELECT count(*) FROM reservations")
        report.add(number, stage.load, found, left_open, await asyncio.to_thread(doctor_of, url, place))


def doctor_of(url: str, place: Path) -> str:
    """What `rating-engine doctor` finds wrong with the money; nothing when it is content."""
    done = Commands(place, database_url=url, spool_dir=place / "spool").run("doctor", "--json")
    return "" if done.returncode == 0 else done.stdout + done.stderr


@contextlib.asynccontextmanager
async def strikes_on(
    servers: EmbeddedServers, url: str, place: Path, seed: int, chance: random.Random
) -> AsyncIterator[Strikes]:
    """An engine of two workers behind proxies to all that it knows, and calls on it."""
    ports = {"fastagi_port": free_port(), "http_port": free_port()}
    async with (
        TcpProxy("127.0.0.1", servers.postgres.port) as database_network,
        TcpProxy("127.0.0.1", servers.valkey.port) as redis_network,
        TcpProxy("127.0.0.1", ports["fastagi_port"]) as exchange_network,
        stage_on(
            servers, url, place, seed, engine_url=database_network.url(url), port=lambda: exchange_network.port,
            redis_url=redis_network.url(servers.redis_url), **SETTINGS, **ports,
        ) as stage,
    ):  # fmt: skip
        yield Strikes(stage, database_network, redis_network, exchange_network, chance)
