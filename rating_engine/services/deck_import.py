"""`rates import`: a file becomes the published deck of a tariff, or changes nothing.

The file is read in pieces beside PostgreSQL, which stores what was read before; a bad row goes to FILE.rejected.csv and
the others go on. See storage/deck_load for what happens to the rows there.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from rating_engine.domain.errors import InvalidRequest, RatingEngineError
from rating_engine.rating.rate import PriceUnit
from rating_engine.services.deck_file.layout import Column
from rating_engine.services.deck_file.opening import open_deck
from rating_engine.services.deck_file.profile import NO_PROFILE, DeckProfile
from rating_engine.services.deck_file.reading import Contradiction, DeckReading
from rating_engine.services.deck_file.rejects import RejectedRows
from rating_engine.services.deck_file.rows import DeckTerms, RowChecker
from rating_engine.services.deck_file.source import DeckSource
from rating_engine.services.deck_versions import DeckDifference, compare
from rating_engine.storage.deck_load import DeckLoad, Published, begin_load
from rating_engine.storage.deck_versions import DeckVersion, find_version

MAX_TARIFF_NAME: Final = 100  # characters; it stands on invoices and command lines

_CURRENCY: Final = re.compile(r"[A-Z]{3}")


class EmptyDeck(RatingEngineError):
    """No row of the file could be taken, so nothing was published: the tariff keeps the deck it had."""

    code = "empty_deck"


class Phase(StrEnum):
    """What an import is doing. Reading is checking and storing too; comparing is of rows that may repeat a prefix."""

    READING = "reading"
    COMPARING = "comparing"
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
    """What an import did. `taken` rates were published: as many as rows, or more where a row has several codes.

    `rejected` counts rows, also such of which other codes were taken; `repeated` the prefixes said again as before.
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
    sheet: str | None = None,
    profile: DeckProfile | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> ImportReport:
    """Replace the rate deck of a tariff, created if need be, by the rows of a file, text or XLSX.

    `currency`: ISO 4217; None takes the tariff's, or EUR for a new one. `price_unit`: of rows that don't say; None
    means per minute for a `price` column and per interval for `price_1` and `price_n`. `sheet`: of a workbook; None
    takes the first. `profile`: names of the columns, and unit and sheet where not given. `on_progress` may raise: then
    nothing is published. Errors: DeckFileError, EmptyDeck, InvalidRequest, Unavailable; after any the old deck stands.
    """
    _check_names(tariff, currency)
    started = time.monotonic()
    said = profile or NO_PROFILE
    source = await asyncio.to_thread(open_deck, path, sheet=sheet or said.sheet, columns=said.columns or None)
    price_unit = price_unit or said.price_unit
    unit = price_unit or _usual_unit(source)
    at = source.layout.positions
    with RejectedRows(source) as rejects:
        async with begin_load(database_url, tariff, currency) as load:
            _check_currency(source, load, tariff)
            terms = DeckTerms(load.target.currency, unit, decimal_comma=source.decimal_comma)
            with contextlib.closing(DeckReading(source, RowChecker(source.layout, terms), rejects)) as reading:
                published, repeated = await _Work(load, reading, rejects, on_progress).publish()
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


class _Compared(Exception):
    """Ends the load of a file that was only compared: nothing of it stays."""


async def compare_file(
    database_url: str,
    path: Path,
    tariff: str,
    version: int | None,
    *,
    price_unit: PriceUnit | None = None,
    sheet: str | None = None,
    profile: DeckProfile | None = None,
    shown: int,
    by_percent: bool,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> tuple[DeckVersion, DeckDifference, int]:
    """What importing a file would change against a version (None: the published one), and the rows it would reject.

    The file is loaded as an import loads it, compared, and taken back; FILE.rejected.csv is written. Other imports into
    the tariff wait meanwhile. Errors: those of `import_deck`, and NotFound (the tariff or the version).
    """
    said = profile or NO_PROFILE
    source = await asyncio.to_thread(open_deck, path, sheet=sheet or said.sheet, columns=said.columns or None)
    unit = price_unit or said.price_unit or _usual_unit(source)
    with RejectedRows(source) as rejects, contextlib.suppress(_Compared):
        async with begin_load(database_url, tariff, None) as load:
            old = await find_version(load.connection, tariff, version)
            _check_currency(source, load, tariff)
            terms = DeckTerms(load.target.currency, unit, source.decimal_comma)
            with contextlib.closing(DeckReading(source, RowChecker(source.layout, terms), rejects)) as reading:
                await _Work(load, reading, rejects, on_progress).store()
            found = await compare(load.connection, old.deck_id, load.deck_id, shown=shown, by_percent=by_percent)
            raise _Compared
    return old, found, rejects.count


class _Work:
    """One import under way."""

    def __init__(
        self, load: DeckLoad, reading: DeckReading, rejects: RejectedRows, on_progress: Callable[[Progress], None]
    ) -> None:
        self._load = load
        self._reading = reading
        self._rejects = rejects
        self._on_progress = on_progress

    async def publish(self) -> tuple[Published, int]:
        """The published deck, and how many rows repeated an earlier one."""
        stored, repeated = await self.store()
        self._report(Phase.PUBLISHING)
        return await self._load.publish(stored, self._reading.longest_prefix), repeated

    async def store(self) -> tuple[int, int]:
        """How many rates the deck has, and how many rows repeated an earlier one."""
        reading = self._reading
        stored = await self._load.copy(self._steps(reading.prefix_rows(self._load.row_start), Phase.READING))
        if stored == 0:
            why = f"all {self._rejects.count} rows were rejected, see {self._rejects.path}"
            raise EmptyDeck(f"nothing was published: {why if self._rejects.count else 'the file has no rows'}")
        repeated = 0
        if reading.suspects:
            self._report(Phase.COMPARING)
            await self._load.copy_suspects(self._steps(reading.suspect_rows(), Phase.COMPARING))
            contradicting = await self._reject_contradicting()
            late = await self._load.store_suspects()
            repeated = reading.suspects - contradicting - late
            stored += late
        return stored, repeated

    async def _steps(self, steps: Iterator[bytes], phase: Phase) -> AsyncIterator[bytes]:
        """Each step in a thread, so that what was made before goes out meanwhile and the process stays responsive."""
        while (data := await asyncio.to_thread(next, steps, None)) is not None:
            yield data
            self._report(phase)

    async def _reject_contradicting(self) -> int:
        lines = self._reading.numbered_lines()
        count = 0
        async for batch in self._load.contradicting():
            said = [Contradiction(*row) for row in batch]
            await asyncio.to_thread(self._reading.reject_repeats, said, lines)
            count += sum(row.codes for row in said)
        return count

    def _report(self, phase: Phase) -> None:
        reading, rejected = self._reading, self._rejects.count
        self._on_progress(Progress(phase, reading.read, reading.size, reading.rows, rejected))


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
