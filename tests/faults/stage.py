"""Where a fault is played: servers to break, one engine process, a load on it, and the books at the end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from rating_engine.embedded import EmbeddedServers
from rating_engine.process.engine_process import EngineProcess
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.spool.spool_survey import survey
from tests.faults.books import Audit, audit
from tests.faults.load import DECK, NONE, SPOOLED, TALKERS, Load, deck_of
from tests.faults.report import Row
from tests.faults.transfers import Transfers
from tests.support.resellers import House
from tests.support.waiting import until
from tests.support.world import add_account, publish_deck

OFFICES = {f"office{n}": Decimal(0) for n in range(4)}  # postpaid, without a limit
FAMILIES = {f"family{n}": Decimal(500) for n in range(3)}
POOR = {f"poor{n}": Decimal(4) for n in range(3)}  # soon declined, and always on the edge
BALANCES = {**OFFICES, **FAMILIES, **POOR}
# South is soon without money, and its users are declined then; north sells to it, and has some left.
RESELLERS = {"north-money": Decimal(500), "south-money": Decimal(3)}
ABOVE = {"family1": ("north",), "family2": ("south", "north"), "poor1": ("north",), "poor2": ("south", "north")}
BUCKETS = 3  # so that money goes from one to another: family0 is in none of the resellers'

Setting = str | int | float | list[str]

SETTINGS: dict[str, Setting] = {
    "max_reserve_seconds": 60,
    "expiry_interval_seconds": 0.2,
    "subscriber_cache_entries": 5,  # fewer than there are, so that the look-ups are hit by every fault too
}


@dataclass
class Stage:
    """`database` is the test's own eyes and hands, past whatever stands between engine and PostgreSQL."""

    servers: EmbeddedServers
    engine: EngineProcess
    spool_dir: Path
    database: Database
    load: Load
    transfers: Transfers
    in_flight: int = 0
    struck: int = 0
    on_the_wire: dict[str, int] = field(default_factory=lambda: {"prepare": 0, "finish": 0})

    def strike(self) -> None:
        """Note what is under way at this moment: the fault comes now."""
        self.struck += 1
        self.in_flight += self.load.in_flight()
        for kind in self.on_the_wire:
            self.on_the_wire[kind] += self.load.on_the_wire[kind]

    async def close_books(self) -> Audit:
        """Stop the load, say every end, wait for the spool, let what nobody will finish expire; then compare."""
        await asyncio.gather(self.load.stop(), self.transfers.stop())
        await self.load.say_every_end()
        await until(self._is_everything_charged)
        await until(self._is_everything_closed)
        return await audit(self.database, self.load.calls, {**BALANCES, **RESELLERS}, ABOVE, self.transfers.all)

    def row(self, fault: str, found: Audit) -> Row:
        """The line of the table."""
        answers = [heard.answer for heard in self.load.heard]
        return Row(
            fault=fault,
            times=self.struck,
            calls=len(self.load.calls),
            in_flight=self.in_flight,
            unanswered=answers.count(NONE),
            spooled=answers.count(SPOOLED),
            lost=len(found.lost),
            double_charged=len(found.doubled),
            overspent=len(found.overspent),
            left_open=sum("for nobody" in what for what in found.wrong),
        )

    async def _is_everything_charged(self) -> bool:
        return self.database.down is None and survey(self.spool_dir).waiting == 0

    async def _is_everything_closed(self) -> bool:
        """Time passes for the reservations that nobody will finish; the engine's own sweep does the rest."""
        await self.database.fetch("UPDATE reservations SET expires_at = now() WHERE expires_at > now()")
        return await self.database.fetchval(
            "SELECT (SELECT count(*) FROM reservations) + (SELECT count(*) FROM transfers WHERE state = 'sent') = 0"
        )


@contextlib.asynccontextmanager
async def stage_on(
    servers: EmbeddedServers,
    url: str,
    directory: Path,
    seed: int,
    *,
    engine_url: str | None = None,
    port: Callable[[], int] | None = None,
    lost: float = 0.04,
    talkers: int = TALKERS,
    **settings: Setting,
) -> AsyncIterator[Stage]:
    """A running engine with a load on it, over the database of `url`, which has the schema and nothing else.

    `engine_url`: how the engine reaches it, `port`: how the exchange reaches the engine, where that is another way.
    `settings` go over SETTINGS.
    """
    print(f"seed {seed}: FAULTS_SEED={seed} repeats it; the engine's log is in {directory}")
    database = Database(url)
    await database.open()
    spool = str(directory / "spool")
    given = {**SETTINGS, "database_url": engine_url or url, "spool_dir": spool, "ledger_buckets": BUCKETS, **settings}
    engine = EngineProcess("engine", directory, given)
    load = Load(port or (lambda: engine.fastagi_port), list(BALANCES), seed, lost=lost, talkers=talkers)
    transfers = Transfers(lambda: engine.http_port, list(FAMILIES), seed)
    try:
        await _settle_in(database)
        await engine.start()
        load.start()
        await transfers.start(database)
        yield Stage(servers, engine, Path(spool), database, load, transfers)
    finally:
        with contextlib.suppress(Exception):
            await asyncio.wait_for(asyncio.gather(load.stop(), transfers.stop()), 30)
        await engine.stop()
        await database.close()


async def _settle_in(database: Database) -> None:
    """Tariffs, resellers, and accounts with the lines that call."""
    house = House(database, buckets=BUCKETS)
    await publish_deck(database, rates=DECK)
    for reseller, owner in (("north", "system"), ("south", "north")):
        await publish_deck(database, reseller, deck_of(reseller))
        await house.reseller(reseller, reseller, owner=owner, balance=str(RESELLERS[f"{reseller}-money"]))
    for login, balance in BALANCES.items():
        if login in OFFICES:
            await add_account(database, login, balance=str(balance), overdraft=None, postpaid=True)
        else:
            await house.user(login, "retail", ABOVE.get(login, ("system",))[0], balance=str(balance))
