"""Deltas: a file that only says what changes, applied to the version in force."""

from __future__ import annotations

import csv
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rating_engine.domain.deck import DeltaCounts
from rating_engine.domain.errors import InvalidRequest, NotFound
from rating_engine.rating.matching import EVER_SINCE, FOR_EVER
from rating_engine.services.decks import filling as deck_filling
from rating_engine.services.decks.file.errors import DeckFileError
from rating_engine.services.decks.importing import (
    DeckFileOptions,
    EmptyDeck,
    ImportReport,
    Phase,
    Progress,
    compare_file,
    import_deck,
)
from rating_engine.services.decks.versions import Kind
from rating_engine.storage.decks.deck_versions import every_version
from rating_engine.storage.postgres.pool import Database
from tests.support.decks import DeckRow, give_bands, make_tariff, price_at, publish_rows, write_deck

NOW = datetime.now(UTC).replace(microsecond=0)
SOON, LATER, LATEST = (NOW + timedelta(days=days) for days in (10, 20, 30))
HEADER = "prefix,price,status,effective from,effective to"
DELTA = DeckFileOptions(delta=True)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, timeout_seconds=60)
    await database.open()
    yield database
    await database.close()


async def whole(database_url: str, directory: Path, rows: list[str], header: str = HEADER) -> ImportReport:
    return await import_deck(database_url, write_deck(directory, rows, header, "whole.csv"), "retail")


async def delta(
    database_url: str, directory: Path, rows: list[str], header: str = HEADER, options: DeckFileOptions = DELTA
) -> ImportReport:
    return await import_deck(database_url, write_deck(directory, rows, header, "delta.csv"), "retail", options=options)


async def windows(database: Database, prefix: str = "79") -> list[tuple[str, datetime | None, datetime | None]]:
    """Prices of a prefix in the newest version with the dates from when and until when they count."""
    rows = await database.fetch(
        """SELECT price_1, NULLIF(effective_from, '-infinity') AS starts, NULLIF(effective_to, 'infinity') AS ends
           FROM rates WHERE deck_id = (SELECT max(deck_id) FROM rate_decks) AND prefix = $1
           ORDER BY effective_from""",
        prefix,
    )
    return [(str(row["price_1"].normalize()), row["starts"], row["ends"]) for row in rows]


def reasons(directory: Path) -> dict[int, str]:
    with (directory / "delta.rejected.csv").open(encoding="utf-8-sig", newline="") as file:
        return {int(row["rejected_line"]): row["rejected_reason"] for row in csv.DictReader(file)}


async def test_new_changed_and_closed_rates_are_applied_and_counted_and_the_others_stay(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    await whole(database_url, tmp_path, ["79,0.1,,,", "44,0.2,,,", "45,0.3,,,", "46,0.4,,,"])
    rows = ["79,0.15,increase,,", "44,,closed,,", "45,0.3,unchanged,,", "7901,0.5,new,,"]
    report = await delta(database_url, tmp_path, rows)
    assert report.changes == DeltaCounts(added=1, changed=1, closed=1, unchanged=1)
    assert (report.base, report.version, report.rates, report.taken, report.rejected) == (1, 2, 4, 3, 0)
    at = datetime.now(UTC)
    prices = {number: await price_at(database, at, number) for number in ("79", "7901", "44", "45", "46")}
    assert prices == {"79": "0.15", "7901": "0.5", "44": None, "45": "0.3", "46": "0.4"}
    deck = await database.fetchrow("SELECT rate_count, longest_prefix FROM rate_decks WHERE version = 2")
    assert deck is not None
    assert tuple(deck) == (4, 4)


async def test_a_price_that_begins_later_ends_the_present_one_there(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    await whole(database_url, tmp_path, ["79,0.1,,,"])
    report = await delta(database_url, tmp_path, [f"79,0.15,,{SOON.isoformat()},"])
    assert report.changes == DeltaCounts(added=0, changed=1, closed=0, unchanged=0)
    assert await windows(database) == [("0.1", None, SOON), ("0.15", SOON, None)]
    at = (datetime.now(UTC), SOON - timedelta(microseconds=1), SOON)
    assert [await price_at(database, one) for one in at] == ["0.1", "0.1", "0.15"]


@pytest.mark.parametrize(
    ("base", "rows", "expected"),
    [
        pytest.param([(1, 0, 0)], [(2, -400, 0)], [(2, -400, 0)], id="one that began takes the place of the present"),
        pytest.param([(1, -400, 0)], [(1, -9, 0)], [(1, -400, 0)], id="one that says what counts anyway is no change"),
        pytest.param([(1, 0, 0)], [(2, 0, 10)], [(2, 0, 10)], id="one that counts now is all there is when it ends"),
        pytest.param(
            [(1, 0, 0)], [(2, 10, 20)], [(1, 0, 10), (2, 10, 20), (1, 20, 0)], id="the present one goes on afterwards"
        ),
        pytest.param(
            [(1, 0, 10), (2, 10, 0)], [(3, 20, 0)], [(1, 0, 10), (2, 10, 20), (3, 20, 0)], id="after one that is ahead"
        ),
        pytest.param([(1, 0, 10), (2, 10, 0)], [(3, 5, 0)], [(1, 0, 5), (3, 5, 0)], id="in the place of one ahead"),
        pytest.param(
            [(1, 0, 10), (2, 10, 0)], [(3, 5, 15)], [(1, 0, 5), (3, 5, 15), (2, 15, 0)], id="one ahead begins after it"
        ),
        pytest.param(
            [(1, 0, 0), (2, 10, 0)], [(3, 5, 8)], [(1, 0, 5), (3, 5, 8), (1, 8, 10), (2, 10, 0)], id="between two"
        ),
        pytest.param(
            [(1, 0, 0), (2, 5, 20), (3, 6, 9)], [(4, 4, 8)], [(1, 0, 4), (4, 4, 8), (3, 8, 9), (2, 9, 20), (1, 20, 0)],
            id="over two that begin while it counts",
        ),
        pytest.param([(1, -9, -1), (2, -1, 0)], [(3, 5, 0)], [(2, -1, 5), (3, 5, 0)], id="what has ended is left"),
        pytest.param([(1, 0, 0)], [(2, 0, 0), (3, 10, 0)], [(2, 0, 10), (3, 10, 0)], id="two rows of the file"),
        pytest.param([(1, 0, 0)], [(1, 0, 0), (3, 10, 0)], [(1, 0, 10), (3, 10, 0)], id="one of them the present"),
    ],
)  # fmt: skip
async def test_the_rows_of_a_prefix_follow_one_another(
    database: Database,
    database_url: str,
    tmp_path: Path,
    base: list[tuple[int, int, int]],
    rows: list[tuple[int, int, int]],
    expected: list[tuple[int, int, int]],
) -> None:
    """Price, days from now when it begins and when it ends; 0: never."""

    def day(days: int) -> datetime | None:
        return NOW + timedelta(days=days) if days else None

    def lines(said: list[tuple[int, int, int]]) -> list[str]:
        dates = [(price, *(one.isoformat() if one else "" for one in map(day, when))) for price, *when in said]
        return [f"79,{price},,{starts},{ends}" for price, starts, ends in dates]

    there = [DeckRow("79", str(price), since=day(starts) or EVER_SINCE, until=day(ends) or FOR_EVER)
             for price, starts, ends in base]  # fmt: skip
    # not by an import, which would leave out what has ended
    await publish_rows(database, await make_tariff(database), [DeckRow("1", "1"), *there], direction="")
    report = await delta(database_url, tmp_path, lines(rows))
    assert report.rejected == 0
    assert await windows(database) == [(str(price), day(starts), day(ends)) for price, starts, ends in expected]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        pytest.param([",closed,,"], [], id="at once"),
        pytest.param([f",closed,{SOON.isoformat()},"], [("0.1", None, SOON)], id="at its date"),
        pytest.param([f"0.1,deleted,2020-01-01,{SOON.isoformat()}"], [("0.1", None, SOON)], id="at the end it says"),
        pytest.param(["0.1,,,2020-01-01"], [], id="a row that has ended closes"),
        pytest.param(
            [f",closed,{LATEST.isoformat()},"], [("0.1", None, LATER), ("0.2", LATER, LATEST)], id="after what is ahead"
        ),
        pytest.param([",removed,,", "0.3,new,,"], [("0.3", None, None)], id="a code that moves to another direction"),
        pytest.param(
            [f",removed,{SOON.isoformat()},", f"0.3,new,{SOON.isoformat()},"],
            [("0.1", None, SOON), ("0.3", SOON, None)],
            id="a code that moves later",
        ),
        pytest.param(["0.3,,,", f",closed,{SOON.isoformat()},"], [("0.3", None, SOON)], id="a new price, closed later"),
        pytest.param(
            [f",closed,{LATER.isoformat()},", f",closed,{SOON.isoformat()},"],
            [("0.1", None, SOON)],
            id="the earlier of two",
        ),
    ],
)  # fmt: skip
async def test_a_closing_ends_what_there_is_and_takes_away_what_is_ahead(
    database: Database,
    database_url: str,
    tmp_path: Path,
    rows: list[str],
    expected: list[tuple[str, datetime | None, datetime | None]],
) -> None:
    await whole(database_url, tmp_path, ["79,0.1,,,", f"79,0.2,,{LATER.isoformat()},", "44,1,,,"])
    report = await delta(database_url, tmp_path, [f"79,{row}" for row in rows])
    assert report.rejected == 0
    assert await windows(database) == expected
    assert await windows(database, "44") == [("1", None, None)]


async def test_a_closing_is_for_every_caller_and_band_or_for_the_one_it_says(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    await give_bands(database, await make_tariff(database), "peak")
    header = "prefix,price,status,origin,band"
    rows = ["79,0.1,,,", "79,0.2,,49,", "79,0.3,,,peak", "44,0.1,,,", "44,0.2,,49,"]
    await whole(database_url, tmp_path, rows, header)
    report = await delta(database_url, tmp_path, ["79,,closed"], "prefix,price,status")
    assert (report.changes.closed, report.rates) == (3, 2)
    await whole(database_url, tmp_path, rows, header)
    report = await delta(database_url, tmp_path, ["79,,closed,49,", "79,,closed,,peak", "44,0.5,,49,"], header)
    assert report.changes == DeltaCounts(added=0, changed=1, closed=2, unchanged=0)
    left = await database.fetch(
        "SELECT prefix, origin, band, price_1 FROM rates WHERE deck_id = $1 ORDER BY 1, 2, 3", report.deck_id
    )
    assert [(row["prefix"], row["origin"], row["band"], str(row["price_1"].normalize())) for row in left] == [
        ("44", "", "", "0.1"),
        ("44", "49", "", "0.5"),
        ("79", "", "", "0.1"),
    ]


async def test_what_cannot_be_closed_is_rejected_with_the_reason(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    await whole(database_url, tmp_path, ["79,0.1,,,"])
    rows = ['"77,78",,closed,,', "79,,closed,,", '"79,80",,closed,,', "79,0.2,,,", "79,0.3,,,", "7x,1,,,"]
    report = await delta(database_url, tmp_path, rows)
    assert report.rejected == 4
    assert reasons(tmp_path) == {
        2: "nothing to close: version 1 has no rate of 77 and 1 more of its codes",
        4: "nothing to close: version 1 has no rate of 80",
        6: "the prefix stands in line 5 already, with other terms",
        7: "prefix: '7x' is not a prefix of digits",
    }
    assert await windows(database) == [("0.2", None, None)]


async def test_a_delta_changes_the_version_that_is_said_or_the_one_in_force_when_it_comes(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    await whole(database_url, tmp_path, ["79,0.1,,,"])
    await whole(database_url, tmp_path, ["79,0.2,,,", "44,0.2,,,"])
    report = await delta(database_url, tmp_path, ["45,1,,,"], options=DeckFileOptions(delta=True, base=1))
    assert (report.base, report.rates) == (1, 2)
    ahead = DeckFileOptions(effective_from=SOON)
    path = write_deck(tmp_path, ["1,1,,,", "2,1,,,", "3,1,,,"], HEADER)
    await import_deck(database_url, path, "retail", options=ahead)
    later = DeckFileOptions(delta=True, effective_from=LATER)
    report = await delta(database_url, tmp_path, ["4,1,,,"], options=later)
    assert (report.base, report.rates, report.effective_from) == (4, 4, LATER)
    with pytest.raises(InvalidRequest, match="base: is for a delta"):
        await delta(database_url, tmp_path, ["4,1,,,"], options=DeckFileOptions(base=1))
    with pytest.raises(NotFound, match="no version 9"):
        await delta(database_url, tmp_path, ["4,1,,,"], options=DeckFileOptions(delta=True, base=9))


async def test_a_delta_needs_something_to_change_and_something_to_say(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    with pytest.raises(NotFound, match="there is no tariff retail"):
        await delta(database_url, tmp_path, ["4,1,,,"])
    assert await database.fetchval("SELECT count(*) FROM tariffs") == 0
    await whole(database_url, tmp_path, ["79,0.1,,,"])
    with pytest.raises(EmptyDeck, match="the file has no rows"):
        await delta(database_url, tmp_path, [])
    with pytest.raises(EmptyDeck, match="closes every rate"):
        await delta(database_url, tmp_path, ["79,,closed,,"])
    assert [one.version for one in await every_version(database, "retail")] == [1]


async def test_a_delta_is_compared_before_it_is_published(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    await whole(database_url, tmp_path, ["79,0.1,,,", "44,0.2,,,", "45,0.3,,,"])
    rows = [f"79,0.15,,{SOON.isoformat()},", "44,,closed,,", "46,1,,,"]
    path = write_deck(tmp_path, rows, HEADER, "delta.csv")
    old, found, rejected = await compare_file(
        database_url, path, "retail", None, options=DELTA, shown=9, by_percent=True
    )
    assert (old.version, rejected, found.later.rates, found.later.first) == (1, 0, 1, SOON)
    assert {kind: count for kind, count in found.counts.items() if count} == {Kind.NEW: 1, Kind.GONE: 1}
    _, found, _ = await compare_file(
        database_url, path, "retail", None, options=DELTA, at=SOON, shown=9, by_percent=True
    )
    assert {kind: count for kind, count in found.counts.items() if count} == {Kind.RISE: 1, Kind.NEW: 1, Kind.GONE: 1}


@pytest.mark.parametrize("phase", list(Phase))
async def test_an_error_in_any_phase_leaves_the_old_timeline(
    database: Database, database_url: str, tmp_path: Path, phase: Phase
) -> None:
    await whole(database_url, tmp_path, ["79,0.1,,,", "44,0.2,,,"])
    ahead = DeckFileOptions(effective_from=LATER)
    await import_deck(database_url, write_deck(tmp_path, ["79,0.2,,,"], HEADER), "retail", options=ahead)
    query = """SELECT deck_id, state, effective_from, (SELECT count(*) FROM rates r WHERE r.deck_id = d.deck_id)
               FROM rate_decks d ORDER BY 1"""
    before = [tuple(row) for row in await database.fetch(query)]

    def fail(progress: Progress) -> None:
        if progress.phase is phase:
            raise DeckFileError("the disk is on fire")

    path = write_deck(tmp_path, ["79,0.3,,,", "79,0.3,,,", "44,,closed,,", "7901,0.2,,,"], HEADER, "delta.csv")
    with pytest.raises(DeckFileError, match="the disk is on fire"):
        await import_deck(database_url, path, "retail", options=DELTA, on_progress=fail)
    assert [tuple(row) for row in await database.fetch(query)] == before


@pytest.mark.breaks_books  # a rate of a published deck is removed by hand
async def test_a_base_that_is_removed_meanwhile_ends_the_delta(
    database: Database, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await whole(database_url, tmp_path, ["79,0.1,,,", "44,0.2,,,"])
    apply = deck_filling.deck_delta.apply

    async def apply_late(*arguments: object) -> object:
        await database.fetch("DELETE FROM rates WHERE prefix = '44'")
        return await apply(*arguments)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr(deck_filling.deck_delta, "apply", apply_late)
    with pytest.raises(NotFound, match="version 1 of retail was removed meanwhile"):
        await delta(database_url, tmp_path, ["45,0.1,,,"])
    assert [one.version for one in await every_version(database, "retail")] == [1]
