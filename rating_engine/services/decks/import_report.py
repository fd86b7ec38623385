"""What an import did, and what it understood of its file."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from rating_engine.domain.deck import Ahead, DeltaCounts, Published
from rating_engine.rating.rate import PriceUnit
from rating_engine.services.decks.checking import Effect, ReadColumn, read_columns
from rating_engine.services.decks.file.dates import DateOrder
from rating_engine.services.decks.file.reading import DeckReading
from rating_engine.services.decks.file.rejects import RejectedRows
from rating_engine.services.decks.file_load import FileLoad
from rating_engine.services.decks.filling import Filled


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did. `rates` has the version, and `taken` the file: more than rows where one has several codes.

    `rejected` counts rows, also such of which other codes were taken; `repeated` the rates said again as before;
    `left_out` rows that say that they are closed, of a whole deck; `passed_over` rows without code and price. `base`:
    the version that a delta changed, by `changes`. `ahead`: prices that begin after the version comes into force; None
    where the file has no dates. `next_version`: what comes into force after this one, and when. `price_unit_said` is
    false where it was taken for granted that price_1 and price_n are per interval. `columns`, `sheet` ('': no
    workbook), `date_order`: how the file was read; `notes`: what was read otherwise than it stands there (what, how
    often, an example); `blocked_instead`: codes of rejected rows; `kept`: rates of the deck before, until their code's
    own begin. `effect`: what the deck is and changes.
    """

    tariff: str
    tariff_created: bool
    currency: str
    time_zone: str
    version: int
    deck_id: int
    effective_from: datetime
    scheduled: bool
    rates: int
    taken: int
    rejected: int
    repeated: int
    left_out: int
    passed_over: int
    directions: int
    base: int | None
    changes: DeltaCounts
    ahead: Ahead | None
    next_version: tuple[int, datetime] | None
    rejected_file: Path | None
    price_unit: PriceUnit
    price_unit_said: bool
    ignored_columns: tuple[str, ...]
    columns: tuple[ReadColumn, ...]
    sheet: str
    date_order: DateOrder | None
    notes: tuple[tuple[str, int, str], ...]
    blocked_instead: int
    kept: int
    effect: Effect
    seconds: float


def report_of(
    load: FileLoad,
    tariff: str,
    filled: Filled,
    reading: DeckReading,
    rejects: RejectedRows,
    published: Published,
    ahead: Ahead | None,
    after: tuple[int, datetime] | None,
    effect: Effect,
    kept: int,
) -> ImportReport:
    """What was done, but for the seconds that it took."""
    changes, layout, target = filled.changes, load.source.layout, load.load.target
    return ImportReport(
        tariff=tariff,
        tariff_created=target.created,
        currency=target.currency,
        time_zone=load.time_zone,
        version=published.version,
        deck_id=published.deck_id,
        effective_from=published.effective_from,
        scheduled=load.effective_from is not None,
        rates=published.rates,
        taken=published.rates - kept if load.base is None else changes.added + changes.changed + changes.unchanged,
        rejected=rejects.count,
        repeated=filled.repeated,
        left_out=reading.left_out,
        passed_over=reading.passed_over,
        directions=published.directions,
        base=None if load.base is None else load.base.version,
        changes=changes,
        ahead=ahead,
        next_version=after,
        rejected_file=rejects.path if rejects.count else None,
        price_unit=load.price_unit,
        price_unit_said=load.price_unit_said,
        ignored_columns=layout.ignored,
        columns=read_columns(layout),
        sheet=getattr(load.source, "sheet", ""),
        date_order=load.date_order,
        notes=tuple(reading.notes),
        blocked_instead=reading.blocked,
        kept=kept,
        effect=effect,
        seconds=0.0,
    )
