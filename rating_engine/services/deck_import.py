"""`rates import`: a CSV file becomes the published deck of a tariff, or changes nothing.

The file is read in pieces beside PostgreSQL, which stores what was read before; a bad row goes to FILE.rejected.csv and
the others go on. See storage/deck_load for what happens to the rows there.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from rating_engine.domain.errors import InvalidRequest, RatingEngineError
from rating_engine.rating.rate import PriceUnit
from rating_engine.services.deck_file.errors import RowRejected
from rating_engine.services.deck_file.layout import Column
from rating_engine.services.deck_file.rejects import RejectedRows
from rating_engine.services.deck_file.rows import DeckTerms, RowChecker
from rating_engine.services.deck_file.source import DeckSource, Piece, open_deck
from rating_engine.storage.deck_load import Conflict, DeckLoad, Published, begin_load

CONFLICT_BATCH: Final = 1_000  # contradicting rows looked up in the file at a time
MAX_TARIFF_NAME: Final = 100  # characters; it stands on invoices and command lines

_CURRENCY: Final = re.compile(r"[A-Z]{3}")


class EmptyDeck(RatingEngineError):
    """No row of the file could be taken, so nothing was published: the tariff keeps the deck it had."""

    code = "empty_deck"


class Phase(StrEnum):
    """What an import is doing. Reading is most of the Python's time, storing most of PostgreSQL's."""

    READING = "reading"
    STORING = "storing"
    PUBLISHING = "publishing"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an import is: bytes of the file while reading, rows read and rejected so far."""

    phase: Phase
    read: int
    size: int
    rows: int
    rejected: int


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did. `repeated` rows said again what an earlier row of their prefix says.

    `price_unit_said` is false where it was taken for granted that price_1 and price_n are per interval.
    """

    tariff: str
    tariff_created: bool
    currency: str
    version: int
    deck_id: int
    taken: int
    rejected: int
    repeated: int
    directions: int
    rejected_file: Path | None
    price_unit: PriceUnit
    price_unit_said: bool
    ignored_columns: tuple[str, ...]
    seconds: float


async def import_deck(
    database_url: str,
    path: Path,
    tariff: str,
    *,
    currency: str | None = None,
    price_unit: PriceUnit | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> ImportReport:
    """Replace the rate deck of a tariff, created if need be, by the rows of a CSV file.

    `currency`: ISO 4217; None takes the tariff's, or EUR for a new one. `price_unit`: of rows that don't say; None
    means per minute for a `price` column and per interval for `price_1` and `price_n`. `on_progress` may raise: then
    nothing is published. Errors: DeckFileError, EmptyDeck, InvalidRequest, Unavailable; after any the old deck stands.
    """
    _check_names(tariff, currency)
    started = time.monotonic()
    source = await asyncio.to_thread(open_deck, path)
    unit = price_unit or _usual_unit(source)
    at = source.layout.positions
    with RejectedRows(source) as rejects:
        async with begin_load(database_url, tariff, currency) as load:
            _check_currency(source, load, tariff)
            terms = DeckTerms(load.target.currency, unit, decimal_comma=source.delimiter != ",")
            reading = _Reading(source, RowChecker(source.layout, terms), rejects, on_progress)
            published, repeated = await _load(load, reading)
        return ImportReport(
            tariff=tariff,
            tariff_created=load.target.created,
            currency=load.target.currency,
            version=published.version,
            deck_id=published.deck_id,
            taken=published.rates,
            rejected=rejects.count,
            repeated=repeated,
            directions=published.directions,
            rejected_file=rejects.path if rejects.count else None,
            price_unit=unit,
            price_unit_said=price_unit is not None or Column.PRICE_1 not in at or Column.PRICE_UNIT in at,
            ignored_columns=source.layout.ignored,
            seconds=time.monotonic() - started,
        )


class _Reading:
    """The rows of a file on their way into COPY, and what is known of them so far."""

    def __init__(
        self,
        source: DeckSource,
        checker: RowChecker,
        rejects: RejectedRows,
        on_progress: Callable[[Progress], None],
    ) -> None:
        self.source = source
        self.rejects = rejects
        self.longest_prefix = 0
        self._checker = checker
        self._on_progress = on_progress
        self._rows = 0
        self._read = 0

    async def copy_rows(self) -> AsyncIterator[bytes]:
        """The rows as COPY text. Checked in a thread, so that what was sent before goes out meanwhile."""
        pieces = self.source.rows()
        while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
            yield await asyncio.to_thread(self._check, piece)
            self._read = piece.read
            self.report(Phase.READING)

    def report(self, phase: Phase) -> None:
        """Say how far the import is."""
        self._on_progress(Progress(phase, self._read, self.source.size, self._rows, self.rejects.count))

    def _check(self, piece: Piece) -> bytes:
        taken: list[str] = []
        check, cells = self._checker.check, self.source.cells
        longest = self.longest_prefix
        for number, line in enumerate(piece.lines, start=piece.first):
            try:
                prefix, terms = check(cells(line))
            except RowRejected as problem:
                self._reject(number, line, str(problem))
                continue
            if len(prefix) > longest:
                longest = len(prefix)
            taken.append(f"{number}\t{prefix}\t{terms}\n")
        self.longest_prefix = longest
        self._rows += len(taken)
        return "".join(taken).encode()

    def _reject(self, number: int, line: str, reason: str) -> None:
        cells = self._cells_of_bad(line)
        if any(map(str.strip, cells)):  # spreadsheets leave empty rows, with or without delimiters
            self._rows += 1
            self.rejects.add(number, cells, reason)

    def _cells_of_bad(self, line: str) -> list[str]:
        try:
            return self.source.cells(line)
        except RowRejected:
            return line.split(self.source.delimiter)

    async def reject_conflicts(self, conflicts: AsyncIterator[Conflict]) -> None:
        """Write rows that contradict an earlier one, given in the order of their lines, by reading the file again."""
        lines = self._numbered_lines()
        batch: list[Conflict] = []
        async for conflict in conflicts:
            batch.append(conflict)
            if len(batch) == CONFLICT_BATCH:
                await asyncio.to_thread(self._reject_batch, lines, batch)
                batch = []
        await asyncio.to_thread(self._reject_batch, lines, batch)

    def _reject_batch(self, lines: Iterator[tuple[int, str]], conflicts: list[Conflict]) -> None:
        for conflict in conflicts:
            line = next(text for number, text in lines if number == conflict.line)
            reason = f"the prefix stands in line {conflict.first_line} already, with other terms"
            self.rejects.add(conflict.line, self.source.cells(line), reason)

    def _numbered_lines(self) -> Iterator[tuple[int, str]]:
        for piece in self.source.rows():
            yield from enumerate(piece.lines, start=piece.first)


async def _load(load: DeckLoad, reading: _Reading) -> tuple[Published, int]:
    """The published deck, and how many rows repeated an earlier one."""
    staged = await load.copy(reading.copy_rows())
    if staged == 0:
        why = f"all {reading.rejects.count} rows were rejected, see {reading.rejects.path}"
        raise EmptyDeck(f"nothing was published: {why if reading.rejects.count else 'the file has no rows'}")
    reading.report(Phase.STORING)
    stored = await load.store()
    rejected_before = reading.rejects.count
    if stored < staged:
        await reading.reject_conflicts(load.conflicts())
    reading.report(Phase.PUBLISHING)
    published = await load.publish(stored, reading.longest_prefix)
    return published, staged - stored - (reading.rejects.count - rejected_before)


def _usual_unit(source: DeckSource) -> PriceUnit:
    """`price` is per minute, as decks are sold; price_1 and price_n are per interval, as where they come from."""
    return PriceUnit.MINUTE if Column.PRICE in source.layout.positions else PriceUnit.INTERVAL


def _check_names(tariff: str, currency: str | None) -> None:
    if not tariff.strip() or len(tariff) > MAX_TARIFF_NAME:
        raise InvalidRequest("tariff", f"a name has 1 to {MAX_TARIFF_NAME} characters")
    if currency is not None and not _CURRENCY.fullmatch(currency):
        raise InvalidRequest("currency", f"{currency!r} is not three capital letters, such as EUR")


def _check_currency(source: DeckSource, load: DeckLoad, tariff: str) -> None:
    named, target = source.layout.currency, load.target
    if named is not None and named != target.currency:
        raise InvalidRequest(
            "currency",
            f"the price column of {source.path.name} is in {named}, the tariff {tariff} is in {target.currency}"
            + (f": say --currency {named}" if target.created else ": import it into a tariff of its own"),
        )
