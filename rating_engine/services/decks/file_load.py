"""One file on its way into one tariff's deck: how it is read there, and what refuses it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from rating_engine.domain.deck import Ahead, DeckVersion
from rating_engine.domain.errors import InvalidRequest, NotFound
from rating_engine.rating.rate import PriceUnit
from rating_engine.services.decks.file.columns import BY_MINUTE, Column
from rating_engine.services.decks.file.date_order import date_order_of
from rating_engine.services.decks.file.dates import DateOrder, zone_of
from rating_engine.services.decks.file.errors import DeckFileError
from rating_engine.services.decks.file.opening import open_deck
from rating_engine.services.decks.file.preamble import check_preamble
from rating_engine.services.decks.file.profile import NO_PROFILE, DeckProfile
from rating_engine.services.decks.file.reading import DeckReading
from rating_engine.services.decks.file.rejects import RejectedRows
from rating_engine.services.decks.file.rows import RowChecker
from rating_engine.services.decks.file.source import DeckSource
from rating_engine.services.decks.file.terms import DeckTerms
from rating_engine.services.decks.filling import Filling, Progress
from rating_engine.services.decks.options import DeckFileOptions
from rating_engine.services.decks.timing import check_ahead
from rating_engine.storage.decks.deck_load import DeckLoad
from rating_engine.storage.decks.deck_present import keep_present
from rating_engine.storage.decks.deck_versions import find_version, read_whole

OTHER_SHEETS: Final = "sheets that look like decks were not read (--sheet names one)"
_DATES: Final = (Column.EFFECTIVE_FROM, Column.EFFECTIVE_TO)


@dataclass(frozen=True, slots=True)
class FileLoad:
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
    full_country: bool

    @classmethod
    async def begin(cls, source: DeckSource, load: DeckLoad, tariff: str, options: DeckFileOptions) -> FileLoad:
        """Check what can be checked before anything is read."""
        _check_currency(source, load, tariff)
        check_preamble(source.above[:-1], source.layout, load.target.currency)  # the last of them is the header itself
        time_zone = options.time_zone or load.target.time_zone
        effective_from = options.effective_from
        check_ahead(effective_from, load.target.now)
        comes_at = effective_from or load.target.now
        said = options.price_unit or (options.profile or NO_PROFILE).price_unit
        at = source.layout.positions
        if options.base is not None and not options.changes_a_version:
            raise InvalidRequest("base", "is for a delta: the file is the whole deck otherwise")
        if options.delta and options.full_country:
            raise InvalidRequest("full_country", "is another kind of file than a delta: say which it is")
        is_delta = options.changes_a_version
        base = await find_version(load.connection, tariff, options.base, comes_at) if is_delta else None
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
            full_country=options.full_country,
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
            filling = Filling(
                self.load,
                reading,
                rejects,
                on_progress,
                base=self.base,
                comes_at=self.comes_at,
                full_country=self.full_country,
            )
            yield filling, reading

    def refuse_guesses(self, reading: DeckReading, rejects: RejectedRows, *, strict: bool) -> None:
        """What stands in the file and never counts refuses it; with `strict` also what had to be guessed."""
        if unknown := sorted(reading.bands - self.load.target.bands):
            raise InvalidRequest(
                "band",
                f"the file has rates of {', '.join(unknown)}, and the tariff has no such time of day: they would never"
                " count. Give the tariff its times of day first",
            )
        if self.source.other_sheets:
            reading.notes.add(OTHER_SHEETS, ", ".join(self.source.other_sheets))
        guesses = [f"{what} ({count:,}, such as: {example})" for what, count, example in reading.notes]
        if not self.price_unit_said:
            guesses.append(f"prices were taken per {self.price_unit}")
        if self.order_shown:
            guesses.append(f"day and month were taken to be {self.order_shown} from other dates of the file")
        if rejects.count:
            guesses.append(f"{rejects.count:,} rows were rejected")
        if strict and guesses:
            raise DeckFileError(f"nothing was published, since this had to be guessed: {'; '.join(guesses)}")

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


async def open_source(path: Path, options: DeckFileOptions) -> DeckSource:
    """Find out how a file is written. Errors: DeckFileError."""
    said = options.profile or NO_PROFILE
    return await asyncio.to_thread(
        open_deck,
        path,
        sheet=options.sheet or said.sheet,
        columns=said.columns or None,
        header_row=said.header_row,
    )


def _usual_unit(source: DeckSource) -> PriceUnit:
    """`price` is per minute, as decks are sold; price_1 and price_n are per interval, as where they come from."""
    by_minute = set(BY_MINUTE) & source.layout.positions.keys()
    return PriceUnit.MINUTE if by_minute else PriceUnit.INTERVAL


def _check_currency(source: DeckSource, load: DeckLoad, tariff: str) -> None:
    possible, target = source.layout.currencies, load.target
    if possible and target.currency not in possible:
        named = min(possible) if len(possible) == 1 else "one of " + ", ".join(sorted(possible))
        raise InvalidRequest(
            "currency",
            f"the price column of {source.path.name} is in {named}, the tariff {tariff} is in {target.currency}"
            + (f": name {named} as its currency" if target.created else ": import it into a tariff of its own"),
        )
