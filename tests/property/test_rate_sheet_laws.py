"""Law: a rate sheet, however it is written, is read for what it says; or it is refused, or its codes are blocked.

Never does a call have another price than the deck says, and never one that the deck does not have.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

from hypothesis import given, note, settings
from hypothesis import strategies as st

from rating_engine.services.decks.file.errors import DeckFileError
from tests.support.sheet_reading import ReadSheet, read_sheet
from tests.support.sheet_writing import Entry, Sheet, write_some_way

ENDS = ("", "0", "5555", "12", "77")  # what may come behind a code in a number
ELSEWHERE = ("999", "81234", "33123")


def longest(codes: Mapping[str, Any], number: str) -> Any:
    return next((codes[number[:end]] for end in range(len(number), 0, -1) if number[:end] in codes), None)


def terms_of_deck(entry: Entry) -> tuple[Any, ...]:
    return entry.price, *entry.intervals, entry.fee, entry.since


def terms_of_row(row: Mapping[str, str]) -> tuple[Any, ...]:
    assert row["price_1"] == row["price_n"]
    since: date | None = None
    if row["effective_from"] != "-infinity":
        since = datetime.fromisoformat(row["effective_from"]).astimezone(UTC).date()
    intervals = int(row["interval_1"]), int(row["interval_n"])
    return Decimal(row["price_n"]), *intervals, Decimal(row["connect_fee"]), since


def differences(sheet: Sheet, found: ReadSheet) -> tuple[list[str], list[str]]:
    """Numbers with a wrong price, and such as are declined though the deck has a price."""
    deck = {entry.code: entry for entry in sheet.deck}
    rows = {prefix: row for (prefix, _), row in found.rows.items()}
    wrong, declined = [], []
    for number in [*(entry.code + end for entry in sheet.deck for end in ENDS), *ELSEWHERE]:
        entry, row = longest(deck, number), longest(rows, number)
        is_priced = entry is not None and entry.price is not None
        if row is None or row["blocked"] == "t":
            declined += [number] if is_priced else []
        elif not is_priced or terms_of_row(row) != terms_of_deck(entry):
            wrong.append(f"{number}: {row}")
    return wrong, declined


@settings(max_examples=250, deadline=None)
@given(st.integers(0, 2**32))
def test_what_is_imported_equals_the_deck_or_the_file_is_refused(seed: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        sheet = write_some_way(Random(seed), Path(directory))
        note(str(sheet.ways))
        found = None
        with contextlib.suppress(DeckFileError):
            found = read_sheet(sheet.path)
        if found is None:
            assert not sheet.certain
            return
        wrong, declined = differences(sheet, found)
        assert wrong == []
        if sheet.certain:
            assert (declined, found.rejected) == ([], 0)
