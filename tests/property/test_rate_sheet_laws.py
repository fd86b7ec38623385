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

from rating_engine.rating.nanp import jurisdiction_of
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


FORMS = ("{0}{1}", "{0}-{1}", "1{0}{1}", "1-{0}-{1}", "({0}) {1}", "{0}/{1}", "+1{0}{1}")
AREAS = ("201", "973", "212", "416", "902", "787", "800", "599")
PRICES = st.decimals(0, 9, places=4).map(lambda price: f"{price:f}")


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(
        st.tuples(st.sampled_from(AREAS), st.from_regex(r"[2-9][0-9]{2}", fullmatch=True)),
        st.tuples(st.sampled_from(FORMS), PRICES, PRICES, st.one_of(st.none(), PRICES)),
        min_size=1,
        max_size=8,
    ),
    st.permutations(["NPANXX", "Inter", "Intra", "Indeterminate", "OCN"]),
    st.sampled_from([",", ";", "\t"]),
)
def test_a_call_in_north_america_has_the_price_of_its_jurisdiction(
    deck: Mapping[tuple[str, str], tuple[str, str, str, str | None]], columns: list[str], delimiter: str
) -> None:
    lines = [delimiter.join(columns)]
    for (npa, nxx), (form, inter, intra, other) in deck.items():
        cells = {"NPANXX": form.format(npa, nxx), "Inter": inter, "Intra": intra, "Indeterminate": other or ""}
        lines.append(delimiter.join(cells.get(column, "x") for column in columns))
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "us.csv"
        path.write_text("\n".join(lines))
        found = read_sheet(path)
    assert found.rejected == 0
    for (npa, nxx), (_, inter, intra, other) in deck.items():
        general = max(inter, intra, key=Decimal) if other is None else other
        for caller in ("12012345678", "12122345678", "14162345678", "18002345678", "anonymous", ""):
            jurisdiction = jurisdiction_of(caller, f"1{npa}{nxx}5678")
            price = {"inter": inter, "intra": intra}.get(jurisdiction or "", general)
            stored = found.price(f"1{npa}{nxx}", jurisdiction or "")
            assert stored is not None
            assert Decimal(stored) == Decimal(price)
