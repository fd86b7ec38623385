"""`rates import`: a file becomes a version of a tariff's deck, now or at an instant ahead, or changes nothing.

The file is read in pieces beside PostgreSQL, which stores what was read before; a bad row goes to FILE.rejected.csv and
the others go on. See services/decks/filling and storage/decks/deck_load for what happens to the rows.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

from rating_engine.domain.checks import check_currency, check_name
from rating_engine.domain.deck import Ahead, DeckVersion, DeltaCounts, Published
from rating_engine.domain.errors import InvalidRequest, NotFound
from rating_engine.domain.principal import ENGINE, Principal
from rating_engine.rating.rate import PriceUnit
from rating_engine.services.decks.checking import (
    UNSERVED_PERCENT,
    Effect,
    HeldBack,
    ReadColumn,
    check_deck,
    read_columns,
)
from rating_engine.services.decks.file.columns import BY_MINUTE, Column
from rating_engine.services.decks.file.date_order import date_order_of
from rating_engine.services.decks.file.dates import DateOrder, zone_of
from rating_engine.services.decks.file.errors import DeckFileError
from rating_engine.services.decks.file.opening import open_deck
from rating_engine.services.decks.file.profile import NO_PROFILE, DeckProfile
from rating_engine.services.decks.file.reading import DeckReading
from rating_engine.services.decks.file.rejects import RejectedRows
from rating_engine.services.decks.file.rows import RowChecker
from rating_engine.services.decks.file.source import DeckSource
from rating_engine.services.decks.file.terms import DeckTerms
from rating_engine.services.decks.filling import EmptyDeck, Filled, Filling, Phase, Progress
from rating_engine.services.decks.timing import check_ahead
from rating_engine.services.decks.versions import DeckDifference, compare
from rating_engine.storage.audit_log import record
from rating_engine.storage.decks.deck_load import DeckLoad, begin_load
from rating_engine.storage.decks.deck_present import keep_present
from rating_engine.storage.decks.deck_versions import find_version, next_switch, read_whole
from rating_engine.storage.postgres.pool import Connection
from rating_engine.storage.postgres.transaction import Transaction

__all__ = [
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

_DATES: Final = (Column.EFFECTIVE_FROM, Column.EFFECTIVE_TO)


@dataclass(frozen=True, slots=True)
class DeckFileOptions:
    """How a file is to be read, and what becomes of it.

    `price_unit`: of rows that don't say; None means per minute for a `price` column and per interval for `price_1` and
    `price_n`. `sheet`: of a workbook; None takes the first. `profile`: names of the columns, and unit and sheet where
    not given. `time_zone`: of dates without an offset; None: the tariff's.

    `date_order`: of day and month where dates are numbers; None: the profile's, else the one that the file shows.

    `effective_from`: when the version comes into force; None: at once. `delta`: the file changes
    the version `base`, or where that is None the one in force then; otherwise it is the whole deck.

    `dry_run`: everything but publishing. `strict`: what had to be guessed refuses the file. `force`: publish what would
    be held back (see checking), of called prefixes `unserved_percent`.
    """

    price_unit: PriceUnit | None = None
    sheet: str | None = None
    profile: DeckProfile | None = None
    time_zone: str | None = None
    effective_from: datetime | None = None
    delta: bool = False
    base: int | None = None
    date_order: DateOrder | None = None
    dry_run: bool = False
    strict: bool = False
    force: bool = False
    unserved_percent: int = UNSERVED_PERCENT


AS_IT_IS: Final = DeckFileOptions()


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did. `rates` has the version, and `taken` the file: more than rows where one has several codes.

    `rejected` counts rows, also such of which other codes were taken; `repeated` the rates said again as before;
    `left_out` rows that say that they are closed, of a whole deck. `base`: the version that a delta changed, by
    `changes`. `ahead`: prices that begin after the version comes into force; None where the file has no dates.
    `next_version`: what comes into force after this one, and when. `price_unit_said` is false where it was taken for
    granted that price_1 and price_n are per interval. `columns`, `sheet` ('': no workbook), `date_order`: how the file
    was read; `notes`: what was read otherwise than it stands there (what, how often, an example); `blocked_instead`:
    codes of rejected rows; `kept`: rates of the deck before, until their code's own begin. `effect`: what the deck is
    and changes.
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
    source = await _open(path, options)
    done: ImportReport | None = None
    with RejectedRows(source) as rejects, contextlib.suppress(_TakenBack):
        async with begin_load(database_url, tariff, currency) as load:
            work = await _Work.begin(source, load, tariff, options)
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
                )
                filling.report(Phase.PUBLISHING)
                published = await load.publish(filled.rates + kept, filled.longest_prefix, work.effective_from)
                after = await next_switch(load.connection, published.deck_id)
                detail = {"file": path.name, "version": published.version, "rates": published.rates}
                await record(Transaction(load.connection, principal), "deck.import", tariff, detail)
                done = work.report(tariff, filled, reading, rejects, published, ahead, after, effect, kept)
            if options.dry_run:
                raise _TakenBack
    assert done is not None
    return replace(done, seconds=time.monotonic() - started)


class _TakenBack(Exception):
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
    source = await _open(path, options)
    with RejectedRows(source) as rejects, contextlib.suppress(_TakenBack):
        async with begin_load(database_url, tariff, None) as load:
            work = await _Work.begin(source, load, tariff, options)
            async with work.filling(rejects, on_progress) as (filling, _):
                filled = await filling.store()
            yield LoadedFile(
                load.connection, load.deck_id, filled.rates, filled.longest_prefix, work.comes_at, rejects.count
            )
            raise _TakenBack


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
    source = await _open(path, options)
    with RejectedRows(source) as rejects, contextlib.suppress(_TakenBack):
        async with begin_load(database_url, tariff, None) as load:
            old = await find_version(load.connection, tariff, version, _comes_at(load, options))
            work = await _Work.begin(source, load, tariff, options)
            async with work.filling(rejects, on_progress) as (filling, _):
                await filling.store()
            instant = at or work.comes_at
            async with read_whole(load.connection, old) as whole:
                found = await compare(
                    load.connection, whole.deck_id, load.deck_id, instant, shown=shown, by_percent=by_percent
                )
            raise _TakenBack
    return FileComparison(old, found, rejects.count)


class FileComparison(NamedTuple):
    """What importing a file would change against a version, and how many rows of it would be rejected."""

    before: DeckVersion
    difference: DeckDifference
    rejected: int


@dataclass(frozen=True, slots=True)
class _Work:
    """One load under way. `effective_from` None: it comes into force at once, which `comes_at` is about."""

    source: DeckSource
    load: DeckLoad
    time_zone: str
    effective_from: datetime | None
    comes_at: datetime
    price_unit: PriceUnit
    price_unit_said: bool
    base: DeckVersion | None
    profile: DeckProfile
    date_order: DateOrder | None
    order_shown: DateOrder | None

    @classmethod
    async def begin(cls, source: DeckSource, load: DeckLoad, tariff: str, options: DeckFileOptions) -> _Work:
        """Check what can be checked before anything is read."""
        _check_currency(source, load, tariff)
        time_zone = options.time_zone or load.target.time_zone
        effective_from = options.effective_from
        check_ahead(effective_from, load.target.now)
        comes_at = effective_from or load.target.now
        said = options.price_unit or (options.profile or NO_PROFILE).price_unit
        at = source.layout.positions
        if options.base is not None and not options.delta:
            raise InvalidRequest("base", "is for a delta: the file is the whole deck otherwise")
        base = await find_version(load.connection, tariff, options.base, comes_at) if options.delta else None
        order_said = options.date_order or (options.profile or NO_PROFILE).date_order
        shown = None if order_said else await asyncio.to_thread(date_order_of, source)
        return cls(
            source=source,
            load=load,
            time_zone=time_zone,
            effective_from=effective_from,
            comes_at=comes_at,
            price_unit=said or _usual_unit(source),
            price_unit_said=said is not None or Column.PRICE_1 not in at or Column.PRICE_UNIT in at,
            base=base,
            profile=options.profile or NO_PROFILE,
            date_order=order_said or shown,
            order_shown=shown,
        )

    @contextlib.asynccontextmanager
    async def filling(
        self, rejects: RejectedRows, on_progress: Callable[[Progress], None]
    ) -> AsyncIterator[tuple[Filling, DeckReading]]:
        """The file and the deck, brought together."""
        source, delta = self.source, self.base is not None
        terms = DeckTerms(
            self.load.target.currency,
            self.price_unit,
            source.decimal_comma,
            zone_of(self.time_zone),
            self.comes_at,
            delta,
            self.profile.dash,
            self.profile.digits_before,
            self.date_order,
        )
        with contextlib.closing(DeckReading(source, RowChecker(source.layout, terms), rejects, delta=delta)) as reading:
            yield (
                Filling(self.load, reading, rejects, on_progress, base=self.base, comes_at=self.comes_at),
                reading,
            )

    def refuse_guesses(self, reading: DeckReading, rejects: RejectedRows, *, strict: bool) -> None:
        """What stands in the file and never counts refuses it; with `strict` also what had to be guessed."""
        if unknown := sorted(reading.bands - self.load.target.bands):
            raise InvalidRequest(
                "band",
                f"the file has rates of {', '.join(unknown)}, and the tariff has no such time of day: they would never"
                " count. Give the tariff its times of day first",
            )
        guesses = [f"{what} ({count:,}, such as: {example})" for what, count, example in reading.notes]
        if not self.price_unit_said:
            guesses.append(f"prices were taken per {self.price_unit}")
        if self.order_shown:
            guesses.append(f"day and month were taken to be {self.order_shown} from other dates of the file")
        if rejects.count:
            guesses.append(f"{rejects.count:,} rows were rejected")
        if strict and guesses:
            raise DeckFileError(f"nothing was published, since this had to be guessed: {'; '.join(guesses)}")

    def report(
        self,
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
        changes, layout, target = filled.changes, self.source.layout, self.load.target
        return ImportReport(
            tariff=tariff,
            tariff_created=target.created,
            currency=target.currency,
            time_zone=self.time_zone,
            version=published.version,
            deck_id=published.deck_id,
            effective_from=published.effective_from,
            scheduled=self.effective_from is not None,
            rates=published.rates,
            taken=published.rates - kept if self.base is None else changes.added + changes.changed + changes.unchanged,
            rejected=rejects.count,
            repeated=filled.repeated,
            left_out=reading.left_out,
            directions=published.directions,
            base=None if self.base is None else self.base.version,
            changes=changes,
            ahead=ahead,
            next_version=after,
            rejected_file=rejects.path if rejects.count else None,
            price_unit=self.price_unit,
            price_unit_said=self.price_unit_said,
            ignored_columns=layout.ignored,
            columns=read_columns(layout),
            sheet=getattr(self.source, "sheet", ""),
            date_order=self.date_order,
            notes=tuple(reading.notes),
            blocked_instead=reading.blocked,
            kept=kept,
            effect=effect,
            seconds=0.0,
        )

    async def keep_present(self, tariff: str) -> int:
        """Of a whole deck: codes with a coming rate alone keep the present one until then; how many rates that are."""
        if self.base is not None or Column.EFFECTIVE_FROM not in self.source.layout.positions:
            return 0
        try:
            present = await find_version(self.load.connection, tariff, None, self.comes_at)
        except NotFound:
            return 0
        async with read_whole(self.load.connection, present) as whole:
            return await keep_present(self.load.connection, whole.deck_id, self.load.deck_id, self.comes_at)

    async def check_ahead(self) -> Ahead | None:
        """What has no price yet when the deck comes into force; None where the file has no dates.

        Errors: InvalidRequest where nothing has one: then every call would be declined.
        """
        if not any(column in self.source.layout.positions for column in _DATES):
            return None
        ahead = await self.load.ahead(self.comes_at)
        if ahead.served == 0 and ahead.first is not None:
            first = ahead.first.astimezone(zone_of(self.time_zone)).isoformat()
            raise InvalidRequest(
                "effective_from",
                f"no rate of the deck counts when it comes into force, the first one begins at {first}:"
                " let it come into force then, or take the file as a delta if it only says what changes",
            )
        return ahead


async def _open(path: Path, options: DeckFileOptions) -> DeckSource:
    said = options.profile or NO_PROFILE
    return await asyncio.to_thread(
        open_deck,
        path,
        sheet=options.sheet or said.sheet,
        columns=said.columns or None,
        header_row=said.header_row,
    )


def _comes_at(load: DeckLoad, options: DeckFileOptions) -> datetime:
    check_ahead(options.effective_from, load.target.now)
    return options.effective_from or load.target.now


def _usual_unit(source: DeckSource) -> PriceUnit:
    """`price` is per minute, as decks are sold; price_1 and price_n are per interval, as where they come from."""
    by_minute = set(BY_MINUTE) & source.layout.positions.keys()
    return PriceUnit.MINUTE if by_minute else PriceUnit.INTERVAL


def _check_names(tariff: str, currency: str | None) -> None:
    check_name(tariff, "tariff")
    if currency is not None:
        check_currency(currency)


def _check_currency(source: DeckSource, load: DeckLoad, tariff: str) -> None:
    possible, target = source.layout.currencies, load.target
    if possible and target.currency not in possible:
        named = min(possible) if len(possible) == 1 else "one of " + ", ".join(sorted(possible))
        raise InvalidRequest(
            "currency",
            f"the price column of {source.path.name} is in {named}, the tariff {tariff} is in {target.currency}"
            + (f": name {named} as its currency" if target.created else ": import it into a tariff of its own"),
        )
