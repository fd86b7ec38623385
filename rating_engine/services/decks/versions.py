"""Versions of a tariff's deck: taken back, withdrawn, looked up, and compared with each other or with a file.

Laws: history is linear. A version that is taken back is published again as a new one; none is changed or skipped. What
has been in force stays: only a version that is still ahead can be withdrawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from itertools import groupby
from typing import Final, NamedTuple

from rating_engine.domain.deck import DeckVersion, Difference, Later, Published, VersionState
from rating_engine.domain.errors import Hint, InvalidRequest, NotFound
from rating_engine.domain.principal import ENGINE, Principal
from rating_engine.rating.matching import CandidateRate, choose
from rating_engine.rating.number import InvalidNumber, normalise_destination
from rating_engine.services.decks.timing import check_ahead
from rating_engine.storage.audit_log import record
from rating_engine.storage.decks import deck_versions as store
from rating_engine.storage.decks.deck_load import begin_load, lock_tariff
from rating_engine.storage.postgres.pool import Connection, Database
from rating_engine.storage.postgres.transaction import Transaction

MAX_SHOWN: Final = 10_000  # differences of one kind; for all of them, export both versions


class Kind(StrEnum):
    """How a rate differs. TERMS: the minute costs the same, the fee, the increments or another term do not."""

    RISE = "rise"
    FALL = "fall"
    NEW = "new"
    GONE = "gone"
    BLOCKED = "blocked"
    UNBLOCKED = "unblocked"
    TERMS = "terms"


@dataclass(frozen=True, slots=True)
class DeckDifference:
    """What changes from one deck to another for calls at `at`: `counts` has every kind, `worst` the largest of each.

    `later`: what of the new deck begins after `at`, and was not compared.
    """

    at: datetime
    counts: Mapping[Kind, int]
    worst: Mapping[Kind, Sequence[Difference]]
    later: Later


@dataclass(frozen=True, slots=True)
class VersionMatch:
    """What a version says of a number: the rows that may price a call to it, the longest prefix first.

    `matched`: the one that prices a call from anywhere, outside all bands, at `at`: now, or when the version comes into
    force, or at the end of its time; None: no row does.
    """

    version: DeckVersion
    at: datetime
    rows: Sequence[CandidateRate]
    matched: CandidateRate | None


class RolledBack(NamedTuple):
    """An old version, and what it was published as again."""

    old: DeckVersion
    published: Published


class Withdrawn(NamedTuple):
    """A version that was taken back, and the one in force at its instant instead; None: no version."""

    version: DeckVersion
    instead: DeckVersion | None


class History(NamedTuple):
    """What every kept version says of a number (`digits`), the newest first."""

    digits: str
    versions: Sequence[VersionMatch]


class VersionComparison(NamedTuple):
    """What changes from one version to another."""

    before: DeckVersion
    after: DeckVersion
    difference: DeckDifference


async def roll_back(
    database_url: str,
    tariff: str,
    to: int | None,
    *,
    effective_from: datetime | None = None,
    principal: Principal = ENGINE,
) -> RolledBack:
    """Publish an earlier version again, as a new one; None: the one before that which is in force then.

    `effective_from`: when it comes into force, at once where None. Errors: NotFound (the tariff, the version),
    InvalidRequest (it is in force then; a time that is not ahead), Unavailable.
    """
    async with begin_load(database_url, tariff, None) as load:
        check_ahead(effective_from, load.target.now)
        present = await store.find_version(load.connection, tariff, None, effective_from)
        if to == present.version:
            raise InvalidRequest("to", f"version {to} is the one in force{' then' if effective_from else ''}")
        old = await _earlier(load.connection, present, to)
        async with store.read_whole(load.connection, old) as whole:
            stored = await load.copy_deck(whole.deck_id)
            if stored != whole.rates:
                raise store.removed(old)
        published = await load.publish(stored, await load.longest_prefix(), effective_from)
        detail = {"from": old.version, "version": published.version, "effective_from": published.effective_from}
        await record(Transaction(load.connection, principal), "deck.rollback", tariff, detail)
        return RolledBack(old, published)


async def withdraw(database: Database, principal: Principal, tariff: str, version: int) -> Withdrawn:
    """Take back a version before it comes into force.

    Errors: NotFound, InvalidRequest (it is, or was, in force, or is withdrawn already), Unavailable.
    """
    async with database.transaction(principal) as tx:
        connection = tx.connection
        await lock_tariff(connection, tariff)
        found = await store.find_version(connection, tariff, version)
        if found.state == VersionState.WITHDRAWN:
            raise InvalidRequest("version", f"version {version} of {tariff} is withdrawn already")
        if not await store.withdraw(connection, found):
            raise InvalidRequest(
                "version",
                f"version {version} of {tariff} is or was in force, or will be in less than {store.SWITCH_SECONDS}"
                f" seconds: calls may have been rated by it",
                hint=Hint.ROLL_BACK,
                about={"tariff": tariff},
            )
        await record(tx, "deck.withdraw", tariff, {"version": version})
        try:
            return Withdrawn(found, await store.find_version(connection, tariff, None, found.effective_from))
        except NotFound:
            return Withdrawn(found, None)


async def history(database: Database, tariff: str, number: str, *, international_prefix: str) -> History:
    """What every kept version says of a number, the newest first.

    Errors: NotFound (no such tariff, or no rates), InvalidRequest (the number), Unavailable.
    """
    try:
        digits = normalise_destination(number, international_prefix=international_prefix)
    except InvalidNumber as error:
        raise InvalidRequest("prefix", str(error)) from None
    versions = await store.every_version(database, tariff)
    if not versions:
        raise NotFound(f"there is no tariff {tariff} with rates", field="tariff", hint=Hint.SEE_DECKS)
    found = []
    for version in versions:
        at = _asked_at(version, versions)
        rows = await store.candidates_in(database, version, digits, at)
        found.append(VersionMatch(version, at, sorted(rows, key=_order), choose(rows, at=at, origin="", band="")))
    return History(digits, tuple(found))


def _order(row: CandidateRate) -> tuple[int, int, str, str, datetime]:
    """The more exact rows first; those of one caller and band by time."""
    return -len(row.prefix), -len(row.origin), row.origin, row.band, row.effective_from


def _asked_at(version: DeckVersion, versions: Sequence[DeckVersion]) -> datetime:
    """The latest instant at which a version priced calls so far; of one that never did, the first at which it would."""
    if version.state != VersionState.REPLACED:
        return max(version.effective_from, datetime.now(UTC))
    later = [
        other.effective_from
        for other in versions
        if other.state != VersionState.WITHDRAWN
        and (other.effective_from, other.version) > (version.effective_from, version.version)
    ]
    # just before the next one; where that came at the same instant, there is no such time
    return max(version.effective_from, min(later) - datetime.resolution) if later else version.effective_from


async def compare(
    connection: Connection, old_deck: int, new_deck: int, at: datetime, *, shown: int, by_percent: bool
) -> DeckDifference:
    """What changes from one deck to another at an instant: of each kind the `shown` largest, by percent or by price."""
    if not 0 <= shown <= MAX_SHOWN:
        raise InvalidRequest("shown", f"must be from 0 to {MAX_SHOWN}")
    found = await store.differences(connection, old_deck, new_deck, at, shown=max(1, shown), by_percent=by_percent)
    groups = {Kind(kind): list(rows) for kind, rows in groupby(found, key=lambda row: row.kind)}
    return DeckDifference(
        at,
        {kind: groups[kind][0].total if kind in groups else 0 for kind in Kind},
        {kind: groups.get(kind, [])[:shown] for kind in Kind},
        await store.later_than(connection, new_deck, at),
    )


async def compare_versions(
    database: Database,
    tariff: str,
    old: int | None,
    new: int,
    *,
    at: datetime | None = None,
    shown: int,
    by_percent: bool,
) -> VersionComparison:
    """Two versions of a tariff, and what changes from the old one to the new one for calls at `at`.

    `old` None: the one in force at that instant but for the new one. `at` None: now, or when the new one comes into
    force if that is later. Errors: NotFound, InvalidRequest, Unavailable.
    """
    async with database.connection() as connection, connection.transaction():
        after = await store.find_version(connection, tariff, new)
        instant = at or max(after.effective_from, datetime.now(UTC))
        before = await _compared_with(connection, after, old, instant)
        async with store.read_whole(connection, before) as old_one, store.read_whole(connection, after) as new_one:
            found = await compare(
                connection, old_one.deck_id, new_one.deck_id, instant, shown=shown, by_percent=by_percent
            )
    return VersionComparison(before, after, found)


async def _compared_with(connection: Connection, after: DeckVersion, old: int | None, instant: datetime) -> DeckVersion:
    """The old version; None: the one in force, and for one that is scheduled that which it comes after."""
    if old is None and after.state == VersionState.SCHEDULED:
        before = await store.version_before(connection, after)
        if before is None:
            raise NotFound(f"the tariff {after.tariff} has no version before {after.version}")
        return before
    return await store.find_version(connection, after.tariff, old)


async def _earlier(connection: Connection, present: DeckVersion, to: int | None) -> DeckVersion:
    if to is not None:
        return await store.find_version(connection, present.tariff, to)
    previous = await store.version_before(connection, present)
    if previous is None:
        raise NotFound(f"the tariff {present.tariff} has no version before {present.version}")
    return previous
