"""The documented upgrade, tried: the old release serves calls, its schema is migrated, the new release takes over.

Meanwhile nobody hears a no that the account is not the reason of, every end is charged once by whichever release it
reaches, and the books are right.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rating_engine.process.engine_process import PROGRAM, EngineProcess
from rating_engine.storage.postgres.migrate import migrate
from rating_engine.storage.postgres.pool import Database
from tests.faults.books import audit
from tests.faults.load import ALLOWED, DECK, SAVED, Load
from tests.faults.stage import BALANCES, SETTINGS
from tests.support.servers import free_port
from tests.support.waiting import until
from tests.upgrade.old_release import OldRelease

FILL = Path(__file__).with_name("fill.py")
ANSWERS = 80  # to the calls of the load, in each phase
# What the world's accounts are the reason of: those of the poor run out of money.
NO_BY_RIGHT = "declined insufficient_funds"


@dataclasses.dataclass
class Upgrade:
    """The engines, by the settings that all of them share, and the load on the ports that are asked now."""

    directory: Path
    settings: dict[str, object]
    ports: list[int] = dataclasses.field(default_factory=list)
    engines: list[EngineProcess] = dataclasses.field(default_factory=list)

    async def start(self, name: str, *flags: str, program: tuple[str, ...] = PROGRAM, **over: object) -> EngineProcess:
        """One more engine."""
        engine = EngineProcess(name, self.directory, {**self.settings, **over}, flags=flags, program=program)
        self.engines.append(engine)
        await engine.start()
        return engine

    async def stop(self) -> None:
        for engine in self.engines:
            await engine.stop()


@contextlib.asynccontextmanager
async def load_on(upgrade: Upgrade) -> AsyncIterator[Load]:
    seed = random.SystemRandom().randrange(1_000_000)
    print(f"seed {seed}")
    chance = random.Random(seed)
    load = Load(lambda: chance.choice(upgrade.ports), list(BALANCES), seed, lost=0)
    try:
        yield load
    finally:
        with contextlib.suppress(Exception):
            await load.stop()
        await upgrade.stop()


@pytest.fixture
async def database(old_database_url: str) -> AsyncIterator[Database]:
    database = Database(old_database_url)
    await database.open()
    yield database
    await database.close()


async def test_no_call_is_declined_or_lost_while_one_release_follows_the_other(
    old_release: OldRelease, old_database_url: str, database: Database, tmp_path: Path
):
    url = old_database_url
    deck = {prefix: json.loads(rate.to_json()) for prefix, rate in DECK.items()}
    balances = {login: str(balance) for login, balance in BALANCES.items()}
    old_release.run(FILL, "world", url, json.dumps(deck), json.dumps(balances))
    ports = {"fastagi_port": free_port(), "http_port": free_port()}
    upgrade = Upgrade(tmp_path, {**SETTINGS, "database_url": url, **ports})

    async with load_on(upgrade) as load:
        old = await upgrade.start("old", program=old_release.program)
        upgrade.ports = [old.fastagi_port]
        load.start()
        await load.after(ANSWERS)

        load.phase = "migrated"
        report = await migrate(url)
        await load.after(ANSWERS)

        load.phase = "side by side"  # as on two machines, one of which is upgraded
        beside = await upgrade.start("beside", fastagi_port=0, http_port=0)
        upgrade.ports = [old.fastagi_port, beside.fastagi_port]
        await load.after(2 * ANSWERS)
        upgrade.ports = [old.fastagi_port]

        load.phase = "taken over"
        await upgrade.start("new", "--takeover")
        await until(lambda: _has_ended(old))
        await load.after(ANSWERS)

        load.phase = "back"  # as long as nothing was dropped, one may change one's mind
        await upgrade.start("back", "--takeover", program=old_release.program)
        await load.after(ANSWERS)
        await load.stop()
        await load.say_every_end()
        await until(lambda: _is_closed(database))
        found = await audit(database, load.calls, BALANCES)

    answers = {(heard.asked_in, heard.answer) for heard in load.heard}
    assert (report.before, report.keeps) == (1, 1)
    assert {answer for _, answer in answers} <= {ALLOWED, SAVED, NO_BY_RIGHT}, answers
    phases = {"before", "migrated", "side by side", "taken over", "back"}
    assert {phase for phase, answer in answers if answer == ALLOWED} == phases
    assert found.complaints() == []


async def _has_ended(engine: EngineProcess) -> bool:
    return not engine.running


async def _is_closed(database: Database) -> bool:
    """Time passes for what nobody will finish; the engine's own sweep does the rest."""
    await database.fetch("UPDATE reservations SET expires_at = now() WHERE expires_at > now()")
    return bool(await database.fetchval("SELECT count(*) = 0 FROM reservations"))
