"""What an import understood of a file, what its deck would do to calls, and what holds it back.

Law: a deck that can rate nothing does not replace one that can, and one that would sell calls too cheap, or leave
called numbers without a rate, waits until somebody has said that it is meant.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from rating_engine.domain.deck import DeckVersion
from rating_engine.domain.errors import NotFound, RatingEngineError
from rating_engine.rating.money import format_amount
from rating_engine.services.decks.file.columns import Column
from rating_engine.services.decks.file.layout import Layout
from rating_engine.services.decks.file.reading import DeckReading
from rating_engine.services.decks.filling import EmptyDeck
from rating_engine.services.decks.versions import Kind, compare
from rating_engine.storage.decks import deck_checks
from rating_engine.storage.decks.deck_checks import RateCounts
from rating_engine.storage.decks.deck_load import DeckLoad
from rating_engine.storage.decks.deck_versions import find_version, read_whole

REJECTED_PERCENT: Final = 2  # of the rows; more of them rather tell of a file that is read wrongly
UNSERVED_PERCENT: Final = 5  # of the prefixes that were called within a day

_HUNDRED: Final = 100


class HeldBack(RatingEngineError):
    """The deck can be published, but it may not be meant: nothing was. Says why; whoever means it can say so."""

    code = "held_back"


@dataclass(frozen=True, slots=True)
class ReadColumn:
    """A column of the file and what was taken from it. `factor`: what its numbers were multiplied by, '': nothing."""

    column: Column
    name: str
    factor: str


@dataclass(frozen=True, slots=True)
class Effect:
    """What a deck is, and what changes for calls when it comes into force; `changes` None: there was no deck."""

    counts: RateCounts
    changes: Mapping[Kind, int] | None


def read_columns(layout: Layout) -> tuple[ReadColumn, ...]:
    """The columns in the order of the file."""
    return tuple(
        ReadColumn(
            column, layout.header[position], format_amount(factor) if (factor := layout.factors.get(column)) else ""
        )
        for column, position in sorted(layout.positions.items(), key=lambda one: one[1])
    )


async def check_deck(
    load: DeckLoad,
    tariff: str,
    comes_at: datetime,
    reading: DeckReading,
    rejected: int,
    *,
    force: bool,
    percent: int,
    may_have_lost_decimals: bool = False,
) -> Effect:
    """What the deck that was loaded would do.

    `rejected`: rows of a whole deck, 0 of a delta, which leaves alone what it does not say. `percent`: of the called
    prefixes that may be left without a rate. `may_have_lost_decimals`: what stands right of a price may be of it.

    Errors: EmptyDeck (it rates nothing), HeldBack unless `force`.
    """
    counts = await deck_checks.count_rates(load.connection, load.deck_id)
    if not counts.priced:
        raise EmptyDeck("nothing was published: the deck would have no price, every code in it is blocked")
    if counts.free and not counts.with_decimals and may_have_lost_decimals and not force:
        raise HeldBack(
            f"no price of the file has decimals, and {counts.free:,} are 0: were they written with a decimal comma, at"
            " which a comma-separated file begins the next cell? Nothing was published. If they are meant, say --force"
        )
    try:
        present = await find_version(load.connection, tariff, None, comes_at)
    except NotFound:
        return Effect(counts, None)
    async with read_whole(load.connection, present) as whole:
        found = await compare(load.connection, whole.deck_id, load.deck_id, comes_at, shown=0, by_percent=False)
        if not force:
            _hold_by_rejects(reading, rejected)
            await _hold_by_price(load, whole, comes_at)
            await _hold_by_calls(load, comes_at, percent)
    return Effect(counts, found.counts)


def _hold_by_rejects(reading: DeckReading, rejected: int) -> None:
    if rejected * _HUNDRED > reading.rows * REJECTED_PERCENT:
        raise HeldBack(
            f"{rejected:,} of {reading.rows:,} rows could not be taken, more than {REJECTED_PERCENT} %; nothing was"
            " published. Mend them, or say that it is meant with --force"
        )


async def _hold_by_price(load: DeckLoad, present: DeckVersion, comes_at: datetime) -> None:
    found = await deck_checks.cheapened(load.connection, present.deck_id, load.deck_id, comes_at)
    if found is not None:
        raise HeldBack(
            f"{found.total:,} codes are gone whose calls would cost less than half by a shorter one, such as"
            f" {found.prefix} at {format_amount(found.before)} by {found.by} at {format_amount(found.after)}; nothing"
            " was published. Block them in the file, or say that it is meant with --force"
        )


async def _hold_by_calls(load: DeckLoad, comes_at: datetime, percent: int) -> None:
    target = load.target
    found = await deck_checks.called_without_rate(load.connection, target.tariff_id, load.deck_id, comes_at, target.now)
    if found.unserved * _HUNDRED > found.called * percent:
        raise HeldBack(
            f"{found.unserved:,} of the {found.called:,} prefixes called within a day would have no rate, such as"
            f" {found.one}; nothing was published. If that is meant, say --force"
        )
