"""Files that are loaded as an import loads them, looked at, and taken back: compared, and tried on past calls."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from rating_engine.domain.deck import DeckVersion
from rating_engine.services.decks.file.rejects import RejectedRows
from rating_engine.services.decks.file_load import FileLoad, open_source
from rating_engine.services.decks.filling import Progress
from rating_engine.services.decks.options import AS_IT_IS, DeckFileOptions
from rating_engine.services.decks.timing import check_ahead
from rating_engine.services.decks.versions import DeckDifference, compare
from rating_engine.storage.decks.deck_load import DeckLoad, begin_load
from rating_engine.storage.decks.deck_versions import find_version, read_whole
from rating_engine.storage.postgres.pool import Connection


class TakenBack(Exception):
    """Ends the load of a file that was only looked at: nothing of it stays."""


@dataclass(frozen=True, slots=True)
class LoadedFile:
    """A file as an import would store it. Its deck is seen over `connection` alone, and taken back in the end.

    `comes_at`: when it would come into force. `rejected`: rows of the file that were not taken.
    """

    connection: Connection
    deck_id: int
    rates: int
    longest_prefix: int
    comes_at: datetime
    rejected: int


class FileComparison(NamedTuple):
    """What importing a file would change against a version, and how many rows of it would be rejected."""

    before: DeckVersion
    difference: DeckDifference
    rejected: int


@contextlib.asynccontextmanager
async def loaded_for_a_while(
    database_url: str,
    path: Path,
    tariff: str,
    *,
    options: DeckFileOptions = AS_IT_IS,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> AsyncIterator[LoadedFile]:
    """A file loaded into a tariff as an import loads it, and taken back when left; FILE.rejected.csv is written.

    Other imports into the tariff wait meanwhile. Errors: those of `import_deck`.
    """
    source = await open_source(path, options)
    with RejectedRows(source) as rejects, contextlib.suppress(TakenBack):
        async with begin_load(database_url, tariff, None) as load:
            work = await FileLoad.begin(source, load, tariff, options)
            async with work.filling(rejects, on_progress) as (filling, _):
                filled = await filling.store()
            yield LoadedFile(
                load.connection, load.deck_id, filled.rates, filled.longest_prefix, work.comes_at, rejects.count
            )
            raise TakenBack


async def compare_file(
    database_url: str,
    path: Path,
    tariff: str,
    version: int | None,
    *,
    options: DeckFileOptions = AS_IT_IS,
    at: datetime | None = None,
    shown: int,
    by_percent: bool,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> FileComparison:
    """What importing a file would change against a version, and the rows it would reject.

    `version` None: the one that it would come after. `at`: for which calls; None: those when it would come into force.
    The file is loaded as an import loads it, compared, and taken back; FILE.rejected.csv is written. Other imports into
    the tariff wait meanwhile. Errors: those of `import_deck`, NotFound (the tariff or the version).
    """
    source = await open_source(path, options)
    with RejectedRows(source) as rejects, contextlib.suppress(TakenBack):
        async with begin_load(database_url, tariff, None) as load:
            old = await find_version(load.connection, tariff, version, _comes_at(load, options))
            work = await FileLoad.begin(source, load, tariff, options)
            async with work.filling(rejects, on_progress) as (filling, _):
                await filling.store()
            instant = at or work.comes_at
            async with read_whole(load.connection, old) as whole:
                found = await compare(
                    load.connection, whole.deck_id, load.deck_id, instant, shown=shown, by_percent=by_percent
                )
            raise TakenBack
    return FileComparison(old, found, rejects.count)


def _comes_at(load: DeckLoad, options: DeckFileOptions) -> datetime:
    check_ahead(options.effective_from, load.target.now)
    return options.effective_from or load.target.now
