"""Versions of a tariff's deck: taken back, looked up, and compared with each other or with a file.

Law: history is linear. A version that is taken back is published again as a new one; none is changed or skipped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from typing import Final

from rating_engine.domain.errors import InvalidRequest, NotFound
from rating_engine.rating.number import InvalidNumber, normalise_destination
from rating_engine.storage import deck_versions as store
from rating_engine.storage.deck_load import Published, begin_load
from rating_engine.storage.deck_versions import DeckVersion, Difference, VersionMatch
from rating_engine.storage.pool import Connection, Database

MAX_SHOWN: Final = 10_000  # differences of one kind; for all of them, export both versions


class Kind(StrEnum):
    """How a prefix differs. TERMS: the minute costs the same, the fee, the increments or another term do not."""

    RISE = "rise"
    FALL = "fall"
    NEW = "new"
    GONE = "gone"
    BLOCKED = "blocked"
    UNBLOCKED = "unblocked"
    TERMS = "terms"


@dataclass(frozen=True, slots=True)
class DeckDifference:
    """What changes from one deck to another. `counts` has every kind; `worst` the largest changes of each."""

    counts: Mapping[Kind, int]
    worst: Mapping[Kind, Sequence[Difference]]


async def roll_back(database_url: str, tariff: str, to: int | None) -> tuple[DeckVersion, Published]:
    """Publish an earlier version again, as a new one; None: the one before the published one.

    Errors: NotFound (the tariff, the version), InvalidRequest (it is the published one), Unavailable.
    """
    async with begin_load(database_url, tariff, None) as load:
        published = await store.find_version(load.connection, tariff, None)
        if to == published.version:
            raise InvalidRequest("to", f"version {to} is the published one")
        old = await _earlier(load.connection, published, to)
        stored = await load.copy_deck(old.deck_id)
        if stored != old.rates:
            raise store.removed(old)
        return old, await load.publish(stored, old.longest_prefix)


async def history(
    database: Database, tariff: str, number: str, *, international_prefix: str
) -> tuple[str, list[VersionMatch]]:
    """The number in digits, and what a call to it matched in every kept version, the newest first.

    Errors: NotFound (no such tariff, or no rates), InvalidRequest (the number), Unavailable.
    """
    try:
        digits = normalise_destination(number, international_prefix=international_prefix)
    except InvalidNumber as error:
        raise InvalidRequest("prefix", str(error)) from None
    versions = await store.list_versions(database, tariff)
    if not versions:
        raise NotFound(f"there is no tariff {tariff} with rates; run: rating-engine rates list")
    return digits, [await store.match_in(database, version, digits) for version in versions]


async def compare(
    connection: Connection, old_deck: int, new_deck: int, *, shown: int, by_percent: bool
) -> DeckDifference:
    """What changes from one deck to another: of each kind the `shown` largest, by percent or by price a minute."""
    if not 0 <= shown <= MAX_SHOWN:
        raise InvalidRequest("shown", f"must be from 0 to {MAX_SHOWN}")
    found = await store.differences(connection, old_deck, new_deck, shown=max(1, shown), by_percent=by_percent)
    groups = {Kind(kind): list(rows) for kind, rows in groupby(found, key=lambda row: row.kind)}
    return DeckDifference(
        {kind: groups[kind][0].total if kind in groups else 0 for kind in Kind},
        {kind: groups.get(kind, [])[:shown] for kind in Kind},
    )


async def compare_versions(
    database: Database, tariff: str, old: int | None, new: int, *, shown: int, by_percent: bool
) -> tuple[DeckVersion, DeckVersion, DeckDifference]:
    """Two versions of a tariff (`old` None: the published one), and what changes from the old one to the new one.

    Errors: NotFound, InvalidRequest, Unavailable.
    """
    async with database.connection() as connection:
        before = await store.find_version(connection, tariff, old)
        after = await store.find_version(connection, tariff, new)
        found = await compare(connection, before.deck_id, after.deck_id, shown=shown, by_percent=by_percent)
    return before, after, found


async def _earlier(connection: Connection, published: DeckVersion, to: int | None) -> DeckVersion:
    if to is not None:
        return await store.find_version(connection, published.tariff, to)
    previous = await store.version_before(connection, published)
    if previous is None:
        raise NotFound(f"the tariff {published.tariff} has no version before {published.version}")
    return previous
