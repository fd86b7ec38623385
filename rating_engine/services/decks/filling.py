"""A file on its way into the deck that is being loaded: read and stored at once, compared, and for a delta applied.

A step of reading runs in a thread while PostgreSQL stores what was read before it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from rating_engine.domain.deck import DeckVersion, DeltaCounts
from rating_engine.domain.errors import RatingEngineError
from rating_engine.services.decks.file.country_codes import country_of_code
from rating_engine.services.decks.file.errors import DeckFileError
from rating_engine.services.decks.file.reading import Contradiction, DeckReading, VainClosing
from rating_engine.services.decks.file.rejects import RejectedRows
from rating_engine.storage.decks import deck_delta, deck_staging
from rating_engine.storage.decks.deck_load import DeckLoad
from rating_engine.storage.decks.deck_staging import MAX_WINDOWS
from rating_engine.storage.decks.deck_versions import read_whole, removed

_WHOLE_DECK: Final = DeltaCounts(added=0, changed=0, closed=0, unchanged=0)


class EmptyDeck(RatingEngineError):
    """No row of the file could be taken, so nothing was published: the tariff keeps the deck it had."""

    code = "empty_deck"


class Phase(StrEnum):
    """What an import is doing. Reading is checking and storing too; comparing is of rows that may repeat a prefix.

    Applying is of a delta to the version that it changes.
    """

    READING = "reading"
    COMPARING = "comparing"
    APPLYING = "applying"
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
class Filled:
    """A stored deck: its `rates` and longest prefix, how many rates were said again, and what a delta changed."""

    rates: int
    longest_prefix: int
    repeated: int
    changes: DeltaCounts


class Filling:
    """One file and one deck. `base`: the version that the file changes; None: the file is the whole deck.

    `full_country`: the file has every code of the countries that it names.
    """

    def __init__(
        self,
        load: DeckLoad,
        reading: DeckReading,
        rejects: RejectedRows,
        on_progress: Callable[[Progress], None],
        *,
        base: DeckVersion | None,
        comes_at: datetime,
        full_country: bool = False,
    ) -> None:
        self._load = load
        self._reading = reading
        self._rejects = rejects
        self._on_progress = on_progress
        self._base = base
        self._comes_at = comes_at
        self._country = country_of_code if full_country else None

    async def store(self) -> Filled:
        """Put the file into the deck. Errors: EmptyDeck, DeckFileError, NotFound (the base was removed meanwhile)."""
        reading = self._reading
        stored = await self._load.copy(self._steps(reading.new_rows(self._load.row_start), Phase.READING))
        reading.refuse_contradictions()
        if stored + reading.suspects + reading.closings == 0:
            raise EmptyDeck(f"nothing was published: {self._why_empty()}")
        if self._base is not None:
            return await self._apply(self._base)
        repeated = 0
        if reading.suspects:
            contradicting = await self._compare()
            late = await deck_staging.store_suspects(self._load.connection, self._load.deck_id)
            repeated = reading.suspects - contradicting - late
            stored += late
        return Filled(stored, reading.longest_prefix, repeated, _WHOLE_DECK)

    def report(self, phase: Phase) -> None:
        """Say how far it is."""
        reading, rejected = self._reading, self._rejects.count
        self._on_progress(Progress(phase, reading.read, reading.size, reading.rows, rejected))

    async def _apply(self, version: DeckVersion) -> Filled:
        """The base with the file's rows, of which all are suspects."""
        async with read_whole(self._load.connection, version) as base:
            return await self._apply_to(base)

    async def _apply_to(self, base: DeckVersion) -> Filled:
        connection, reading = self._load.connection, self._reading
        await self._compare()
        self.report(Phase.APPLYING)
        await self._load.copy_closings(self._steps(reading.closing_rows(), Phase.APPLYING))
        await deck_delta.prepare(connection, base.deck_id, self._comes_at, self._country)
        lines = reading.numbered_lines()
        async for batch in deck_delta.vain_closings(connection, base.deck_id, self._comes_at):
            vain = [VainClosing(*row) for row in batch]
            await asyncio.to_thread(reading.reject_vain, vain, lines, base.version)
        stored, counts = await deck_delta.apply(connection, self._load.deck_id, base.deck_id, self._comes_at)
        if await deck_delta.count_rates(connection, base.deck_id) != base.rates:
            raise removed(base)
        if stored == 0:
            raise EmptyDeck("nothing was published: the file closes every rate there is")
        repeated = await deck_staging.count_repeated(connection)
        return Filled(stored, await self._load.longest_prefix(), repeated, counts)

    async def _compare(self) -> int:
        """Stage the suspects and reject rows that contradict others: how many rates that are."""
        self.report(Phase.COMPARING)
        crowded = await self._load.copy_suspects(self._steps(self._reading.suspect_rows(), Phase.COMPARING))
        if crowded is not None:
            raise DeckFileError(f"the prefix {crowded} has more than {MAX_WINDOWS:,} rates at different times")
        lines = self._reading.numbered_lines()
        count = 0
        async for batch in deck_staging.contradicting(self._load.connection):
            said = [Contradiction(*row) for row in batch]
            await asyncio.to_thread(self._reading.reject_repeats, said, lines)
            count += sum(row.codes for row in said)
        return count

    async def _steps(self, steps: Iterator[bytes], phase: Phase) -> AsyncIterator[bytes]:
        """Each step in a thread, so that what was made before goes out meanwhile and the process stays responsive."""
        while (data := await asyncio.to_thread(next, steps, None)) is not None:
            yield data
            self.report(phase)

    def _why_empty(self) -> str:
        if self._rejects.count:
            return f"all {self._rejects.count} rows were rejected, see {self._rejects.path}"
        if self._reading.left_out:
            return f"all {self._reading.left_out} rows say that they are closed"
        return "the file has no rows"
