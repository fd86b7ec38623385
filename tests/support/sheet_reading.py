"""A rate sheet read as an import reads it, without a database: what would be stored, and what was not taken."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rating_engine.rating.rate import PriceUnit
from rating_engine.services.decks.file.date_order import date_order_of
from rating_engine.services.decks.file.errors import DeckFileError
from rating_engine.services.decks.file.opening import open_deck
from rating_engine.services.decks.file.preamble import check_preamble
from rating_engine.services.decks.file.reading import DeckReading
from rating_engine.services.decks.file.rejects import RejectedRows
from rating_engine.services.decks.file.rows import RowChecker
from rating_engine.services.decks.file.source import DeckSource
from rating_engine.services.decks.file.terms import DeckTerms
from rating_engine.storage.decks.deck_columns import ROW

COMES_AT = datetime(2026, 11, 30, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class ReadSheet:
    """`rows`: by prefix and origin the columns of storage/decks/deck_columns.ROW, as COPY has them; of several the
    first. `rejected`: rows that were not taken.
    """

    source: DeckSource
    rows: Mapping[tuple[str, str], Mapping[str, str]]
    rejected: int
    passed_over: int
    notes: Mapping[str, str]

    def price(self, prefix: str, origin: str = "") -> str | None:
        """Of a code, as COPY has it; None: it has none, or is blocked."""
        row = self.rows.get((prefix, origin))
        return None if row is None or row["blocked"] == "t" else row["price_n"]


def read_sheet(path: Path, currency: str = "EUR") -> ReadSheet:
    """Raises DeckFileError where the file is refused."""
    source = open_deck(path)
    if source.layout.currencies and currency not in source.layout.currencies:
        raise DeckFileError("another currency")
    check_preamble(source.above[:-1], source.layout, currency)
    terms = DeckTerms(
        currency,
        PriceUnit.MINUTE,
        source.decimal_comma,
        comes_at=COMES_AT,
        date_order=date_order_of(source),
    )
    checker = RowChecker(source.layout, terms)
    rows: dict[tuple[str, str], dict[str, str]] = {}
    with RejectedRows(source) as rejects, contextlib.closing(DeckReading(source, checker, rejects)) as reading:
        taken = b"".join(reading.new_rows("0\t0\t")) + b"".join(reading.suspect_rows())
        reading.refuse_contradictions()
        for line in taken.decode().splitlines():
            row = dict(zip(ROW, line.split("\t")[2:], strict=True))
            rows.setdefault((row["prefix"], row["origin"]), row)
        notes = {what: example for what, _, example in reading.notes}
        return ReadSheet(source, rows, rejects.count, reading.passed_over, notes)
