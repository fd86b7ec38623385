"""`rates import`: a file becomes a version of a tariff's deck, now or at an instant ahead, or changes nothing.

The file is read in pieces beside PostgreSQL, which stores what was read before; a bad row goes to FILE.rejected.csv and
the others go on. `file_load` is one load under way, `filling` what happens to its rows, `checking` what holds a deck
back; `trial_load` loads a file to look at it.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from rating_engine.domain.checks import check_currency, check_name
from rating_engine.domain.principal import ENGINE, Principal
from rating_engine.services.decks.checking import HeldBack, check_deck
from rating_engine.services.decks.file.rejects import RejectedRows
from rating_engine.services.decks.file_load import FileLoad, open_source
from rating_engine.services.decks.filling import EmptyDeck, Phase, Progress
from rating_engine.services.decks.import_report import ImportReport, report_of
from rating_engine.services.decks.options import AS_IT_IS, DeckFileOptions
from rating_engine.services.decks.trial_load import (
    FileComparison,
    LoadedFile,
    TakenBack,
    compare_file,
    loaded_for_a_while,
)
from rating_engine.storage.audit_log import record
from rating_engine.storage.decks.deck_load import begin_load
from rating_engine.storage.decks.deck_versions import next_switch
from rating_engine.storage.postgres.transaction import Transaction

__all__ = [
    "AS_IT_IS",
    "DeckFileOptions",
    "EmptyDeck",
    "FileComparison",
    "HeldBack",
    "ImportReport",
    "LoadedFile",
    "Phase",
    "Progress",
    "compare_file",
    "import_deck",
    "loaded_for_a_while",
]


async def import_deck(
    database_url: str,
    path: Path,
    tariff: str,
    *,
    currency: str | None = None,
    options: DeckFileOptions = AS_IT_IS,
    principal: Principal = ENGINE,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> ImportReport:
    """Make a file, text or XLSX, the next version of a tariff's deck; the tariff is created if need be.

    `currency`: ISO 4217; None takes the tariff's, or EUR for a new one. `on_progress` may raise: then nothing is
    published. Errors: DeckFileError, EmptyDeck, HeldBack, InvalidRequest, NotFound (the base), Unavailable; after any
    of them everything is as it was.
    """
    _check_names(tariff, currency)
    started = time.monotonic()
    source = await open_source(path, options)
    done: ImportReport | None = None
    with RejectedRows(source) as rejects, contextlib.suppress(TakenBack):
        async with begin_load(database_url, tariff, currency) as load:
            work = await FileLoad.begin(source, load, tariff, options)
            async with work.filling(rejects, on_progress) as (filling, reading):
                filled = await filling.store()
                ahead = await work.check_ahead()  # of the file alone: one of coming prices only is no whole deck
                if kept := await work.keep_present(tariff):
                    ahead = await work.check_ahead()
                work.refuse_guesses(reading, rejects, strict=options.strict)
                effect = await check_deck(
                    load,
                    tariff,
                    work.comes_at,
                    reading,
                    0 if options.delta else rejects.count,
                    force=options.force,
                    percent=options.unserved_percent,
                    may_have_lost_decimals=not source.decimal_comma and source.layout.has_number_after_price,
                )
                filling.report(Phase.PUBLISHING)
                published = await load.publish(filled.rates + kept, filled.longest_prefix, work.effective_from)
                after = await next_switch(load.connection, published.deck_id)
                detail = {"file": path.name, "version": published.version, "rates": published.rates}
                await record(Transaction(load.connection, principal), "deck.import", tariff, detail)
                done = report_of(work, tariff, filled, reading, rejects, published, ahead, after, effect, kept)
            if options.dry_run:
                raise TakenBack
    assert done is not None
    return replace(done, seconds=time.monotonic() - started)


def _check_names(tariff: str, currency: str | None) -> None:
    check_name(tariff, "tariff")
    if currency is not None:
        check_currency(currency)
