"""A deck is published whole or not at all: faults in the middle, a killed process, two imports at once."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from rating_engine.domain.errors import Unavailable
from rating_engine.services.decks.file.errors import DeckFileError
from rating_engine.services.decks.importing import ImportReport, Phase, Progress, import_deck
from rating_engine.services.facts.rate_lookup import RateDecks
from rating_engine.storage.decks import deck_load
from rating_engine.storage.decks.deck_versions import every_version
from rating_engine.storage.postgres.pool import Database
from tests.support.decks import make_tariff, match_now, replace_deck, write_deck

OLD = {"79": "0.5"}
ROWS = 3_000


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, timeout_seconds=60)
    await database.open()
    yield database
    await database.close()


@pytest.fixture
async def old_deck(database: Database) -> int:
    return await replace_deck(database, await make_tariff(database), OLD)


def big_deck(directory: Path, price: str = "0.1", name: str = "deck.csv") -> Path:
    rows = [f"{prefix},X,{price}" for prefix in range(10_000, 10_000 + ROWS)]
    return write_deck(directory, [*rows, *rows[:10]], name=name)  # some twice, so that every phase is gone through


async def published(database: Database) -> int:
    return int(await database.fetchval("SELECT deck_at(tariff_id, now()) FROM tariffs WHERE name = 'retail'"))


async def assert_only(database: Database, deck_id: int) -> None:
    """The tariff has this deck, and no trace of another one is left."""
    assert await published(database) == deck_id
    assert [row["deck_id"] for row in await database.fetch("SELECT DISTINCT deck_id FROM rates")] == [deck_id]
    assert await database.fetchval("SELECT count(*) FROM rate_decks") == 1


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase is not Phase.APPLYING])
async def test_an_error_in_any_phase_leaves_the_old_deck(
    database: Database, database_url: str, tmp_path: Path, old_deck: int, phase: Phase
) -> None:
    def fail(progress: Progress) -> None:
        if progress.phase is phase:
            raise DeckFileError("the disk is on fire")

    with pytest.raises(DeckFileError, match="the disk is on fire"):
        await import_deck(database_url, big_deck(tmp_path), "retail", on_progress=fail)
    await assert_only(database, old_deck)


async def test_a_cancelled_import_leaves_the_old_deck(
    database: Database, database_url: str, tmp_path: Path, old_deck: int
) -> None:
    task: asyncio.Task[ImportReport]

    def cancel(progress: Progress) -> None:
        if progress.phase is Phase.PUBLISHING:
            task.cancel()

    task = asyncio.create_task(import_deck(database_url, big_deck(tmp_path), "retail", on_progress=cancel))
    with pytest.raises(asyncio.CancelledError):
        await task
    await assert_only(database, old_deck)


async def test_a_connection_that_breaks_leaves_the_old_deck(
    database: Database, database_url: str, tmp_path: Path, old_deck: int
) -> None:
    ended: list[asyncio.Task[None]] = []

    async def end_whoever_waits() -> None:
        async with asyncio.timeout(30):
            while not await database.fetch(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND wait_event_type = 'Lock'"
            ):
                pass

    def end(progress: Progress) -> None:
        if progress.phase is Phase.PUBLISHING:
            ended.append(asyncio.ensure_future(end_whoever_waits()))

    # The import needs a lock that nobody gives it, so that it is still at it when its connection ends.
    async with database.connection() as connection, connection.transaction():
        await connection.execute("LOCK TABLE directions IN SHARE ROW EXCLUSIVE MODE")
        with pytest.raises(Unavailable):
            await import_deck(database_url, big_deck(tmp_path), "retail", on_progress=end)
        await ended[0]
    await assert_only(database, old_deck)


KILLED = """
import asyncio, sys, time
from pathlib import Path
from rating_engine.services.decks.importing import Phase, import_deck

def hold(progress):
    if progress.phase is Phase.PUBLISHING:
        print("stored", flush=True)
        time.sleep(600)

asyncio.run(import_deck(sys.argv[1], Path(sys.argv[2]), "retail", on_progress=hold))
"""


async def test_a_killed_import_leaves_the_old_deck_and_stands_in_nobodys_way(
    database: Database, database_url: str, tmp_path: Path, old_deck: int
) -> None:
    path = big_deck(tmp_path)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", KILLED, database_url, str(path), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    said = await process.stdout.readline()
    process.kill()
    await process.wait()
    assert said == b"stored\n"
    assert await published(database) == old_deck
    report = await import_deck(database_url, path, "retail")  # waits until PostgreSQL has noticed
    assert report.taken == ROWS
    assert await published(database) == report.deck_id
    assert await database.fetchval("SELECT count(DISTINCT deck_id) FROM rates") == 2


async def test_imports_into_one_tariff_run_one_after_the_other_and_the_last_one_counts(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    """The tariff is new to both, so that they also meet where it is created."""
    paths = [big_deck(tmp_path, f"0.{number}", f"{number}.csv") for number in range(1, 5)]
    reports = await asyncio.gather(*(import_deck(database_url, path, "retail") for path in paths))
    assert sorted(report.version for report in reports) == [1, 2, 3, 4]
    assert sorted(report.tariff_created for report in reports) == [False, False, False, True]
    last = max(reports, key=lambda report: report.version)
    assert await published(database) == last.deck_id
    states = [version.state for version in await every_version(database, "retail")]
    assert states == ["in force", "replaced", "replaced", "replaced"]
    counts = await database.fetch("SELECT count(*), count(DISTINCT price_1) AS prices FROM rates GROUP BY deck_id")
    assert [tuple(row) for row in counts] == [(ROWS, 1)] * 4


async def test_imports_into_different_tariffs_add_the_same_directions_without_a_deadlock(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    rows = [f"{prefix},Direction {prefix},1" for prefix in range(1_000, 2_000)]
    orders = [rows, rows[::-1], rows[500:] + rows[:500]]
    paths = [write_deck(tmp_path, order, name=f"{number}.csv") for number, order in enumerate(orders)]
    await asyncio.gather(*(import_deck(database_url, path, f"tariff {path.stem}") for path in paths))
    assert await database.fetchval("SELECT count(*) FROM directions") == 1_000


async def test_an_import_waits_for_another_only_so_long(
    database: Database, database_url: str, tmp_path: Path, old_deck: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deck_load, "LOCK_SECONDS", 1)
    async with database.connection() as connection, connection.transaction():
        await connection.execute("SELECT FROM tariffs FOR NO KEY UPDATE")
        with pytest.raises(Unavailable, match="another import into retail"):
            await import_deck(database_url, big_deck(tmp_path), "retail")
    await assert_only(database, old_deck)


async def test_calls_are_rated_by_the_old_deck_while_a_new_one_is_loaded(
    database: Database, database_url: str, tmp_path: Path, old_deck: int
) -> None:
    """Neither the lookup nor a new subscriber of the tariff waits for an import."""
    tariff_id = int(await database.fetchval("SELECT tariff_id FROM tariffs"))
    asked: list[asyncio.Task[object]] = []

    async def ask() -> object:
        await database.fetch("INSERT INTO logins (login, bucket) VALUES ('a', 0)")
        await database.fetch(
            "INSERT INTO subscribers (login, bucket, account_id, tariff_id) VALUES ('a', 0, 1, $1)", tariff_id
        )
        match = await match_now(RateDecks(database), tariff_id, "7901")
        return None if match is None else match.deck_id

    async def hold() -> None:
        async with asyncio.timeout(30), deck_load.begin_load(database_url, "retail", None):
            asked.append(asyncio.ensure_future(ask()))
            assert await asked[0] == old_deck

    await hold()


async def test_a_published_deck_is_announced_and_directions_only_where_some_are_new(
    database_url: str, tmp_path: Path
) -> None:
    heard: list[str] = []
    connection = await asyncpg.connect(database_url)
    try:
        await connection.add_listener("rating_engine", lambda *call: heard.append(call[3]))
        for tariff in ("one", "one", "two"):
            await import_deck(database_url, write_deck(tmp_path, ["79,X,1"]), tariff)
        await connection.fetchval("SELECT 1")
        ids = {row["name"]: row["tariff_id"] for row in await connection.fetch("SELECT name, tariff_id FROM tariffs")}
    finally:
        await connection.close()
    one, two = f"tariff {ids['one']}", f"tariff {ids['two']}"
    assert heard == ["directions", one, one, two]
