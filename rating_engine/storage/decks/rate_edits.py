"""Single rates changed after their deck was published, and a deck whole with them.

Laws: the price of an instant that has passed never changes, so an edit begins at its transaction's instant at the
earliest. Edits of one key follow one another without overlapping. Whoever changes one touches the tariff's version:
a call that was planned without it is planned again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

import asyncpg

from rating_engine.domain.rate_edit import EditedRate, RateKey
from rating_engine.rating.matching import FOR_EVER, RateEdit
from rating_engine.storage.decks.deck_columns import KEY, ROW, TERMS, listed, same
from rating_engine.storage.decks.deck_staging import count_of
from rating_engine.storage.decks.rate_decks import RATE_COLUMNS, candidate_from_row
from rating_engine.storage.postgres.pool import Connection, Questions
from rating_engine.storage.postgres.transaction import Transaction

# Of one deck. They travel with the tariff into every engine, about 1 kB each; when there are more, the deck is
# published anew with them.
EDITS_MAX: Final = 1_000

# The deck that an edit from $2 on (NULL: now) belongs to.
_TARGET: Final = """
    SELECT t.tariff_id, d.deck_id, moment.at,
           (SELECT count(*) FROM rate_edits e WHERE e.deck_id = d.deck_id) AS edits
    FROM (SELECT GREATEST(clock_timestamp(), $2) AS at OFFSET 0) AS moment
    JOIN tariffs t ON t.name = $1
    LEFT JOIN rate_decks d ON d.deck_id = deck_at(t.tariff_id, moment.at)"""
_DROP_SAME: Final = """
    DELETE FROM rate_edits WHERE deck_id = $1 AND prefix = $2 AND origin = $3 AND band = $4 AND effective_from = $5"""
_END_PRESENT: Final = """
    UPDATE rate_edits SET effective_to = $5
    WHERE deck_id = $1 AND prefix = $2 AND origin = $3 AND band = $4 AND effective_from < $5 AND effective_to > $5"""
_NEXT: Final = """
    SELECT min(effective_from) FROM rate_edits
    WHERE deck_id = $1 AND prefix = $2 AND origin = $3 AND band = $4 AND effective_from > $5"""
# One that has not begun; what it would have ended goes on.
_CANCEL: Final = """
    DELETE FROM rate_edits WHERE deck_id = $1 AND prefix = $2 AND origin = $3 AND band = $4 AND effective_from = $5
      AND effective_from > clock_timestamp() RETURNING effective_to"""
_GO_ON: Final = """
    UPDATE rate_edits SET effective_to = $6
    WHERE deck_id = $1 AND prefix = $2 AND origin = $3 AND band = $4 AND effective_to = $5"""
_PUT: Final = f"""
    INSERT INTO rate_edits (deck_id, removed, {listed(ROW)})
    VALUES ($1, $2, {", ".join(f"${number}" for number in range(3, 3 + len(ROW)))})"""  # noqa: S608  # constants
_ADD_DIRECTION: Final = "INSERT INTO directions (code, name) VALUES ($1, $1) ON CONFLICT (code) DO NOTHING"
_TOUCH: Final = "UPDATE tariffs SET name = name WHERE tariff_id = $1"  # its trigger counts the version
_OF_DECK: Final = f"SELECT removed, {listed(RATE_COLUMNS)} FROM rate_edits WHERE deck_id = $1"  # noqa: S608
_LIST: Final = f"""
    SELECT removed, {listed(RATE_COLUMNS)} FROM rate_edits
    WHERE deck_id = $1 ORDER BY {listed(KEY)}, effective_from LIMIT $2"""  # noqa: S608  # made of constants

# The rows of deck $2 with its edits into $1: a row counts in what the edits of its key leave of its time.
_COPY_WHOLE: Final = f"""
    INSERT INTO rates (deck_id, {listed(ROW)})
    SELECT $1::bigint, {listed(KEY, "base")}, lower(piece.span), upper(piece.span), {listed(TERMS, "base")}
    FROM rates AS base
    LEFT JOIN LATERAL (
        SELECT range_agg(tstzrange(e.effective_from, e.effective_to)) AS spans
        FROM rate_edits e WHERE e.deck_id = $2 AND {same("e", "base")}
    ) AS edited ON true
    CROSS JOIN LATERAL unnest(
        tstzmultirange(tstzrange(base.effective_from, base.effective_to)) - COALESCE(edited.spans, '{{}}')
    ) AS piece(span)
    WHERE base.deck_id = $2
    UNION ALL
    SELECT $1::bigint, {listed(ROW)} FROM rate_edits WHERE deck_id = $2 AND NOT removed"""  # noqa: S608  # made of constants
_SCRATCH: Final = """
    INSERT INTO rate_decks (tariff_id, version)
    SELECT tariff_id, (SELECT 1 + max(version) FROM rate_decks later WHERE later.tariff_id = d.tariff_id)
    FROM rate_decks d WHERE deck_id = $1 RETURNING deck_id"""


@dataclass(frozen=True, slots=True)
class EditTarget:
    """The deck in force at `at`, when an edit begins; `edits`: how many it has. `deck_id` None: there is none then."""

    tariff_id: int
    deck_id: int | None
    at: datetime
    edits: int


async def find_target(database: Questions, tariff: str, since: datetime | None) -> EditTarget | None:
    """Where an edit that begins at `since` (None, or past: now) goes, or None where there is no such tariff."""
    row = await database.fetchrow(_TARGET, tariff, since)
    return None if row is None else EditTarget(**row)


async def put(tx: Transaction, target: EditTarget, edit: EditedRate, row: Sequence[Any]) -> EditedRate:
    """Keep an edit from its instant until the next one of its key; `row`: its TERMS. The tariff is locked."""
    key = (target.deck_id, edit.key.prefix, edit.key.origin, edit.key.band, edit.effective_from)
    await tx.execute(_DROP_SAME, *key)
    await tx.execute(_END_PRESENT, *key)
    until = await tx.fetchval(_NEXT, *key)
    ends = until or FOR_EVER.replace(tzinfo=None)  # the driver's infinity has no zone
    await tx.execute(_PUT, target.deck_id, edit.removed, *key[1:], ends, *row)
    if edit.direction:
        await tx.execute(_ADD_DIRECTION, edit.direction)
    await tx.execute(_TOUCH, target.tariff_id)
    return replace(edit, effective_to=until)


async def cancel(tx: Transaction, target: EditTarget, key: RateKey, begins: datetime) -> bool:
    """Take back an edit that has not begun; whether there was one. The tariff is locked."""
    row = (target.deck_id, key.prefix, key.origin, key.band, begins)
    until = await tx.fetchval(_CANCEL, *row)
    if until is None:
        return False
    await tx.execute(_GO_ON, *row, until)
    await tx.execute(_TOUCH, target.tariff_id)
    return True


async def list_edits(database: Questions, deck_id: int, *, limit: int) -> list[EditedRate]:
    """The edits of a deck by key and time, so many at most."""
    return [_edit_from_row(deck_id, row) for row in await database.fetch(_LIST, deck_id, limit)]


async def load_edits(database: Questions, deck_id: int) -> Mapping[str, tuple[RateEdit, ...]]:
    """The edits of a deck as look-ups go by them, by prefix."""
    return edits_by_prefix(deck_id, await database.fetch(_OF_DECK, deck_id))


def edits_by_prefix(
    deck_id: int, rows: Iterable[asyncpg.Record | Mapping[str, Any]]
) -> Mapping[str, tuple[RateEdit, ...]]:
    """Rows of `rate_edits` as look-ups go by them."""
    edits: dict[str, tuple[RateEdit, ...]] = {}
    for row in rows:
        edit = RateEdit(candidate_from_row(deck_id, row), row["removed"])
        edits[edit.row.prefix] = (*edits.get(edit.row.prefix, ()), edit)
    return MappingProxyType(edits)


async def whole_deck(connection: Connection, deck_id: int) -> int:
    """A deck to read or copy whole: itself, or where it was edited a scratch one with the edits in it.

    The scratch deck is of this transaction, for which the tariff is locked or which ends with a rollback; who commits
    removes it (`drop_scratch`), or publishes it.
    """
    if not await connection.fetchval("SELECT EXISTS (SELECT 1 FROM rate_edits WHERE deck_id = $1)", deck_id):
        return deck_id
    scratch: int = await connection.fetchval(_SCRATCH, deck_id)
    await copy_whole(connection, scratch, deck_id)
    return scratch


async def copy_whole(connection: Connection, scratch: int, deck_id: int) -> None:
    """The rows of a deck with its edits into one that is being made."""
    await connection.execute(_COPY_WHOLE, scratch, deck_id)


async def drop_scratch(connection: Connection, deck_id: int, scratch: int) -> None:
    """Remove what `whole_deck` made, if it made anything."""
    if scratch != deck_id:
        await connection.execute("DELETE FROM rates WHERE deck_id = $1", scratch)
        await connection.execute("DELETE FROM rate_decks WHERE deck_id = $1", scratch)


async def publish_empty(tx: Transaction, tariff_id: int) -> int:
    """The first deck of a tariff, in force at once, without a rate."""
    deck_id: int = await tx.fetchval(
        """INSERT INTO rate_decks (tariff_id, version, state, effective_from, published_at)
           SELECT $1, 1 + COALESCE(max(version), 0), 'published', clock_timestamp(), clock_timestamp()
           FROM rate_decks WHERE tariff_id = $1 RETURNING deck_id""",
        tariff_id,
    )
    return deck_id


async def publish_whole(tx: Transaction, deck_id: int) -> None:
    """Put a deck with its edits into the timeline as a new version that is in force at once."""
    scratch: int = await tx.fetchval(_SCRATCH, deck_id)
    stored = count_of(await tx.execute(_COPY_WHOLE, scratch, deck_id))
    await tx.execute(
        """UPDATE rate_decks SET state = 'published', rate_count = $2, published_at = clock_timestamp(),
                  effective_from = clock_timestamp(),
                  longest_prefix = (SELECT COALESCE(max(length(prefix)), 0) FROM rates WHERE deck_id = $1)
           WHERE deck_id = $1""",
        scratch,
        stored,
    )


def _edit_from_row(deck_id: int, row: Any) -> EditedRate:
    candidate = candidate_from_row(deck_id, row)
    return EditedRate(
        key=RateKey(candidate.prefix, candidate.origin, candidate.band),
        direction=candidate.direction,
        rate=None if row["removed"] else candidate.rate,
        blocked=candidate.blocked,
        removed=row["removed"],
        effective_from=candidate.effective_from.astimezone(UTC),
        effective_to=None if candidate.effective_to == FOR_EVER else candidate.effective_to,
    )
