"""Versions that come into force later: published ahead, withdrawn, rolled back to; and which old ones are kept."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rating_engine.domain.errors import InvalidRequest, NotFound, Unavailable
from rating_engine.domain.principal import OPERATOR
from rating_engine.services.decks.importing import (
    DeckFileOptions,
    ImportReport,
    Phase,
    Progress,
    compare_file,
    import_deck,
)
from rating_engine.services.decks.versions import Kind, compare_versions, roll_back, withdraw
from rating_engine.storage.decks import deck_load, deck_removal
from rating_engine.storage.decks import deck_versions as store
from rating_engine.storage.decks.deck_versions import every_version
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.tariffs.tariffs import load_named_tariff
from tests.support.decks import price_at, write_deck
from tests.support.waiting import until, wait_until

NOW = datetime.now(UTC).replace(microsecond=0)
SOON, LATER = NOW + timedelta(days=10), NOW + timedelta(days=20)
TICK = timedelta(microseconds=1)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, timeout_seconds=60)
    await database.open()
    yield database
    await database.close()


async def publish(database_url: str, directory: Path, price: str, when: datetime | None = None) -> ImportReport:
    """A version whose only price is of 79."""
    options = DeckFileOptions(effective_from=when)
    return await import_deck(database_url, write_deck(directory, [f"79,Russia,{price}"]), "retail", options=options)


async def states(database: Database) -> dict[int, str]:
    return {version.version: version.state for version in await every_version(database, "retail")}


async def test_a_version_comes_into_force_at_its_instant_and_not_before(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    first = await publish(database_url, tmp_path, "0.1")
    report = await publish(database_url, tmp_path, "0.2", SOON)
    assert (report.version, report.scheduled, report.effective_from) == (2, True, SOON)
    assert not first.scheduled
    assert await states(database) == {2: "scheduled", 1: "in force"}
    assert [await price_at(database, at) for at in (datetime.now(UTC), SOON - TICK, SOON)] == ["0.1", "0.1", "0.2"]


async def test_a_timeline_that_was_remembered_before_switches_at_the_instant_by_itself(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    await publish(database_url, tmp_path, "0.1")
    when = datetime.now(UTC) + timedelta(seconds=3)
    await publish(database_url, tmp_path, "0.2", when)
    remembered = await load_named_tariff(database, "retail")
    assert remembered is not None

    async def is_in_force() -> bool:
        return await states(database) == {2: "in force", 1: "replaced"}

    await until(is_in_force)
    decks = [remembered.deck_at(at) for at in (when - TICK, when)]
    assert [deck and deck.version for deck in decks] == [1, 2]


async def test_a_version_cannot_come_into_force_in_the_past(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    past = datetime(2020, 1, 1, tzinfo=UTC)
    await publish(database_url, tmp_path, "0.1")
    with pytest.raises(InvalidRequest, match=r"^effective_from: 2020-01-01T00:00:00\+00:00 has passed"):
        await publish(database_url, tmp_path, "0.2", past)
    with pytest.raises(InvalidRequest, match=r"^effective_from: .* has passed"):
        await roll_back(database_url, "retail", None, effective_from=past)
    assert await states(database) == {1: "in force"}


async def test_an_instant_that_passes_while_the_file_is_loaded_publishes_nothing(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    await publish(database_url, tmp_path, "0.1")
    when = datetime.now(UTC) + timedelta(seconds=2)

    def wait(progress: Progress) -> None:
        if progress.phase is Phase.PUBLISHING:
            wait_until(lambda: datetime.now(UTC) > when, "the instant")

    options = DeckFileOptions(effective_from=when)
    with pytest.raises(InvalidRequest, match="has passed while the deck was loaded"):
        await import_deck(database_url, write_deck(tmp_path, ["79,X,0.2"]), "retail", options=options, on_progress=wait)
    assert await states(database) == {1: "in force"}


async def test_only_so_many_versions_wait_for_their_time(
    database: Database, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deck_load, "MAX_SCHEDULED", 2)
    for when in (SOON, LATER):
        await publish(database_url, tmp_path, "0.1", when)
    with pytest.raises(InvalidRequest, match="2 versions are scheduled already"):
        await publish(database_url, tmp_path, "0.1", LATER)
    await publish(database_url, tmp_path, "0.1")


async def test_a_report_says_what_replaces_the_version(database: Database, database_url: str, tmp_path: Path) -> None:
    assert (await publish(database_url, tmp_path, "0.1", LATER)).next_version is None
    assert (await publish(database_url, tmp_path, "0.2", SOON)).next_version == (1, LATER)
    assert (await publish(database_url, tmp_path, "0.3")).next_version == (2, SOON)


async def test_of_two_versions_of_one_instant_the_newer_one_counts(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    for price, when in (("0.1", None), ("0.2", SOON), ("0.3", SOON)):
        await publish(database_url, tmp_path, price, when)
    assert await states(database) == {3: "scheduled", 2: "replaced", 1: "in force"}
    assert await price_at(database, SOON) == "0.3"
    withdrawn, instead = await withdraw(database, OPERATOR, "retail", 3)
    assert (withdrawn.version, instead and instead.version) == (3, 2)
    assert await states(database) == {3: "withdrawn", 2: "scheduled", 1: "in force"}
    assert await price_at(database, SOON) == "0.2"


async def test_a_withdrawn_version_never_comes_into_force_and_its_tariff_changed(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    await publish(database_url, tmp_path, "0.1")
    await publish(database_url, tmp_path, "0.2", SOON)
    version = await database.fetchval("SELECT version FROM tariffs")
    _, instead = await withdraw(database, OPERATOR, "retail", 2)
    assert instead is not None
    assert instead.version == 1
    assert await price_at(database, LATER) == "0.1"
    assert await database.fetchval("SELECT version FROM tariffs") > version
    with pytest.raises(InvalidRequest, match="version 2 of retail is withdrawn already"):
        await withdraw(database, OPERATOR, "retail", 2)


async def test_what_is_or_was_in_force_cannot_be_withdrawn(
    database: Database, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        await publish(database_url, tmp_path, "0.1")
    await publish(database_url, tmp_path, "0.2", datetime.now(UTC) + timedelta(seconds=store.SWITCH_SECONDS - 1))
    for version in (1, 2, 3):
        with pytest.raises(InvalidRequest, match=f"version {version} of retail is or was in force, or will be"):
            await withdraw(database, OPERATOR, "retail", version)
    with pytest.raises(NotFound, match="no version 9"):
        await withdraw(database, OPERATOR, "retail", 9)
    with pytest.raises(NotFound, match="no tariff none"):
        await withdraw(database, OPERATOR, "none", 1)


async def test_the_only_version_can_be_withdrawn(database: Database, database_url: str, tmp_path: Path) -> None:
    await publish(database_url, tmp_path, "0.1", SOON)
    _, instead = await withdraw(database, OPERATOR, "retail", 1)
    assert instead is None
    with pytest.raises(NotFound, match="no version of retail is in force then"):
        await roll_back(database_url, "retail", None)


async def test_a_version_is_not_withdrawn_while_another_is_loaded(
    database: Database, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deck_load, "CHANGE_SECONDS", 1)
    await publish(database_url, tmp_path, "0.1", SOON)
    async with deck_load.begin_load(database_url, "retail", None):
        with pytest.raises(Unavailable, match="an import into retail is under way"):
            await withdraw(database, OPERATOR, "retail", 1)


async def test_a_rollback_may_be_scheduled_and_is_to_what_is_before_then(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    for price, when in (("0.1", None), ("0.2", None), ("0.3", SOON)):
        await publish(database_url, tmp_path, price, when)
    old, published = await roll_back(database_url, "retail", None, effective_from=LATER)
    assert (old.version, published.version, published.effective_from) == (2, 4, LATER)
    assert [await price_at(database, at) for at in (SOON, LATER - TICK, LATER)] == ["0.3", "0.3", "0.2"]
    old, _ = await roll_back(database_url, "retail", None)
    assert old.version == 1
    with pytest.raises(InvalidRequest, match="version 3 is the one in force then"):
        await roll_back(database_url, "retail", 3, effective_from=SOON)


async def test_a_file_is_compared_with_the_version_that_it_would_come_after(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    for price, when in (("0.1", None), ("0.2", SOON)):
        await publish(database_url, tmp_path, price, when)
    path = write_deck(tmp_path, ["79,Russia,0.2"])
    for options, old, kinds in (
        (DeckFileOptions(), 1, {Kind.RISE}),
        (DeckFileOptions(effective_from=LATER), 2, set()),
    ):
        found = await compare_file(database_url, path, "retail", None, options=options, shown=1, by_percent=True)
        assert found[0].version == old
        assert {kind for kind, count in found[1].counts.items() if count} == kinds
    assert found[1].at == LATER


async def test_a_scheduled_version_is_compared_with_what_it_replaces_when_it_does(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    await publish(database_url, tmp_path, "0.1")
    await publish(database_url, tmp_path, "0.2", SOON)
    await publish(database_url, tmp_path, "0.3", LATER)
    old, new, found = await compare_versions(database, "retail", None, 3, shown=1, by_percent=True)
    assert (old.version, new.version, found.at, found.counts[Kind.RISE]) == (2, 3, LATER, 1)


async def test_no_deck_is_removed_that_calls_are_or_will_be_priced_by(
    database: Database, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deck_removal, "KEPT_DECKS", 0)
    monkeypatch.setattr(deck_removal, "REMOVED_AT_ONCE", 100)
    await publish(database_url, tmp_path, "0.1")
    for price, when in (("0.2", SOON), ("0.3", SOON), ("0.4", LATER)):
        await publish(database_url, tmp_path, price, when)
    await publish(database_url, tmp_path, "0.5")
    # an engine whose clock is behind may still ask for the first one
    assert await states(database) == {
        5: "in force",
        4: "scheduled",
        3: "scheduled",
        2: "replaced",
        1: "replaced",
    }
    await database.fetch("UPDATE rate_decks SET effective_from = now() - interval '3 hours' WHERE version = 1")
    await database.fetch("UPDATE rate_decks SET effective_from = now() - interval '2 hours' WHERE version = 5")
    await withdraw(database, OPERATOR, "retail", 4)
    await publish(database_url, tmp_path, "0.6")
    assert await states(database) == {6: "in force", 5: "replaced", 3: "scheduled", 2: "replaced"}
    assert await price_at(database, SOON) == "0.3"
    await withdraw(database, OPERATOR, "retail", 3)
    assert await price_at(database, SOON) == "0.2"


async def test_a_removal_that_was_cut_short_shows_no_half_version_and_goes_on_later(
    database: Database, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deck_removal, "KEPT_DECKS", 1)
    monkeypatch.setattr(deck_removal, "STILL_ASKED", timedelta(0))
    monkeypatch.setattr(deck_removal, "REMOVAL_BATCH", 2)
    path = write_deck(tmp_path, [f"{prefix},X,1" for prefix in range(1, 6)])
    for _ in range(2):
        await import_deck(database_url, path, "retail")
    removed = deck_removal._remove_rates
    calls = 0

    async def once(*arguments: object) -> bool:
        nonlocal calls
        calls += 1
        return calls == 1 and await removed(*arguments)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr(deck_removal, "_remove_rates", once)
    await import_deck(database_url, path, "retail")
    assert await states(database) == {3: "in force", 2: "replaced"}
    counts = await database.fetch(
        "SELECT rate_count, (SELECT count(*) FROM rates r WHERE r.deck_id = d.deck_id) FROM rate_decks d ORDER BY 1"
    )
    assert [tuple(row) for row in counts] == [(3, 3), (5, 5), (5, 5)]
    monkeypatch.setattr(deck_removal, "_remove_rates", removed)
    await import_deck(database_url, path, "retail")
    assert await database.fetchval("SELECT count(*) FROM rate_decks") == 2
    assert await database.fetchval("SELECT count(*) FROM rates") == 10
