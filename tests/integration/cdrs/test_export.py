"""`cdrs export`: every call that is wanted, once, in a file that no spreadsheet works anything out of."""

from __future__ import annotations

import contextlib
import csv
from datetime import UTC, datetime, timedelta

import openpyxl
import pytest

from rating_engine.domain.cdr import CdrFilter
from rating_engine.domain.errors import InvalidRequest, NotFound
from rating_engine.services.cdrs import export
from rating_engine.services.cdrs.listing import Cdrs
from rating_engine.services.decks.file.errors import DeckFileError
from tests.support.calls import finish, prepare
from tests.support.engines import engine_on
from tests.support.world import add_account, publish_deck

NOW = datetime.now(UTC)
MONTH = CdrFilter(NOW - timedelta(days=30), NOW + timedelta(days=1))


@pytest.fixture
async def office(database_url):
    """Seven calls, four of them of some days ago, of a caller whose number begins as a formula does."""
    async with engine_on(database_url) as engine:
        await publish_deck(engine.office)
        await add_account(engine.office, "1001", balance="100", callerid="+49301")
        for number in range(7):
            await engine.charging.prepare_call(prepare(f"c{number}"))
            await engine.charging.finish_call(finish(f"c{number}", number))
        await engine.office.fetch(
            "UPDATE call_records SET ended_at = ended_at - interval '9 days', direction = '=cmd|x' WHERE seconds > 2"
        )
        yield engine.office


def rows_of(path):
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.parametrize("page", [1, 2, 1_000])
async def test_every_call_is_written_once_the_latest_first_however_it_is_read(office, tmp_path, monkeypatch, page):
    monkeypatch.setattr(export, "MAX_LIMIT", page)
    seen = []

    count = await Cdrs(office).export(MONTH, tmp_path / "calls.csv", time_zone="Europe/Berlin", on_rows=seen.append)

    rows = rows_of(tmp_path / "calls.csv")
    assert (count, seen[-1]) == (7, 7)
    assert [row["call"] for row in rows] == [f"test/c{number}/1" for number in (2, 1, 0, 6, 5, 4, 3)]
    assert [(row["seconds"], row["cost"], row["currency"]) for row in rows[:3]] == [
        ("2", "0.02", "EUR"), ("1", "0.01", "EUR"), ("0", "0", "EUR"),
    ]  # fmt: skip
    ended = datetime.fromisoformat(rows[0]["ended_at"])
    assert ended.utcoffset() in (timedelta(hours=1), timedelta(hours=2))
    assert (rows[0]["callerid"], rows[3]["direction"]) == ("'+49301", "'=cmd|x")
    assert rows_of(tmp_path / "calls.csv")[2]["answered_at"] == ""


async def test_a_workbook_has_the_same_with_numbers_as_numbers_and_texts_as_texts(office, tmp_path):
    await Cdrs(office).export(MONTH, tmp_path / "calls.csv")
    await Cdrs(office).export(MONTH, tmp_path / "calls.xlsx")

    with contextlib.closing(openpyxl.load_workbook(tmp_path / "calls.xlsx", read_only=True)) as book:
        header, *rows = [list(row) for row in book.active.iter_rows(values_only=True)]

    assert [["" if cell is None else str(cell) for cell in row] for row in rows] == [
        list(row.values()) for row in rows_of(tmp_path / "calls.csv")
    ]
    found = dict(zip(header, rows[0], strict=True))
    assert (found["seconds"], found["cost"], found["destination"]) == (2, 0.02, "4912345")


async def test_the_filters_of_the_list_are_those_of_the_file(office, tmp_path):
    wanted = CdrFilter(MONTH.since, MONTH.until, login="1001", answered=False)
    assert await Cdrs(office).export(wanted, tmp_path / "calls.csv") == 1
    nothing = CdrFilter(MONTH.since, MONTH.until, direction="nowhere")
    assert await Cdrs(office).export(nothing, tmp_path / "calls.csv") == 0
    assert rows_of(tmp_path / "calls.csv") == []


async def test_what_cannot_be_written_is_refused_and_leaves_no_file(office, tmp_path, monkeypatch):
    cdrs = Cdrs(office)
    (tmp_path / "calls.xlsx").write_text("as it was")
    monkeypatch.setattr(export, "MAX_SHEET_ROWS", 7)

    with pytest.raises(DeckFileError, match="more than 6 calls are more than a sheet can have"):
        await cdrs.export(MONTH, tmp_path / "calls.xlsx")
    with pytest.raises(InvalidRequest, match=r"ends in neither \.csv nor \.xlsx"):
        await cdrs.export(MONTH, tmp_path / "calls.txt")
    with pytest.raises(DeckFileError, match="cannot write"):
        await cdrs.export(MONTH, tmp_path / "nowhere" / "calls.csv")
    with pytest.raises(NotFound, match="nobody"):
        await cdrs.export(CdrFilter(MONTH.since, MONTH.until, login="nobody"), tmp_path / "calls.csv")

    assert [path.name for path in tmp_path.iterdir()] == ["calls.xlsx"]
    assert (tmp_path / "calls.xlsx").read_text() == "as it was"
