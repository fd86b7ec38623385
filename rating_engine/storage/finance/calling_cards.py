"""Calling cards, as they are kept: made many at once, found by what their number hashes to, changed, listed.

Law: a card is made with its account, or not at all; what it has was posted to that account and stands nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import asyncpg

from rating_engine.domain.card import NewCards
from rating_engine.domain.errors import AlreadyExists, NotFound
from rating_engine.domain.page import Cursor
from rating_engine.storage.parties.parties import LINE_IS_GIVEN, hold_standing
from rating_engine.storage.postgres.columns import assignments
from rating_engine.storage.postgres.pool import Questions
from rating_engine.storage.postgres.transaction import Transaction

CHANGEABLE: Final = (
    "number_hash", "number_sealed", "pin_hash", "pin_sealed", "name", "batch", "callerid", "min_balance",
    "daily_paid_to", "language", "distributor_id", "blocked", "setup_due", "line", "line_open", "first_used_at",
)  # fmt: skip
_SHOWN: Final = """
    c.card_id, c.group_id, g.name AS "group", c.number_sealed, c.pin_sealed, c.name, c.batch, c.callerid,
    c.funded_at IS NOT NULL AS funded, COALESCE(a.balance, 0) AS balance, a.currency, c.min_balance, c.first_used_at,
    c.daily_paid_to, c.sold_at, c.language, COALESCE(d.login, '') AS distributor,
    COALESCE(NULLIF(d.name, ''), d.login, '') AS distributor_name, c.blocked,
    COALESCE(c.line, '') AS line, g.price_with_tax, COALESCE(x.percent, 0) AS tax_percent"""
_FROM: Final = """
    calling_cards c JOIN card_groups g ON g.group_id = c.group_id AND NOT g.is_codes
    JOIN accounts a ON a.bucket = c.bucket AND a.account_id = c.account_id
    LEFT JOIN parties d ON d.party_id = c.distributor_id LEFT JOIN taxes x ON x.tax_id = g.tax_id"""
_WORTH: Final = """
    CASE WHEN c.funded_at IS NULL THEN round(g.price_with_tax * 100 / (100 + COALESCE(x.percent, 0)), 6)
         ELSE a.balance END"""
_LIST: Final = f"""
    SELECT {_SHOWN} FROM {_FROM}
    WHERE c.deleted_at IS NULL AND ($1::bigint IS NULL OR c.card_id > $1)
      AND ($2::bigint[] IS NULL OR c.owner_id = ANY ($2))
      AND ($3::bigint IS NULL OR c.group_id = $3) AND ($4::bytea[] IS NULL OR c.number_hash = ANY ($4))
      AND ($5::bytea[] IS NULL OR c.pin_hash = ANY ($5)) AND ($6::text IS NULL OR c.name = $6)
      AND ($7::text IS NULL OR c.batch = $7) AND ($8::numeric IS NULL OR {_WORTH} >= $8)
      AND ($9::numeric IS NULL OR {_WORTH} <= $9) AND ($10::text IS NULL OR c.callerid = $10)
      AND ($11::text IS NULL OR c.language = $11) AND ($12::boolean IS NULL OR (c.sold_at IS NOT NULL) = $12)
      AND ($13::bigint IS NULL OR c.distributor_id = $13) AND ($14::bigint IS NULL OR c.sale_id = $14)
    ORDER BY c.card_id LIMIT $15"""  # noqa: S608  # constants
_FIND: Final = f"SELECT {_SHOWN} FROM {_FROM} WHERE c.card_id = $1 AND c.deleted_at IS NULL"  # noqa: S608
_KEPT: Final = """
    c.card_id, c.group_id, c.owner_id, c.bucket, c.account_id, c.pin_hash, c.min_balance, c.language, c.callerid,
    c.sold_at, c.funded_at, c.first_used_at, c.setup_due, c.daily_paid_to, c.blocked, c.line,
    c.sale_id FROM calling_cards c JOIN card_groups g ON g.group_id = c.group_id AND NOT g.is_codes"""
_OF_NUMBER: Final = f"SELECT {_KEPT} WHERE c.number_hash = ANY ($1) AND c.deleted_at IS NULL"
_OF_CALLERID: Final = f"""
    SELECT {_KEPT} WHERE c.callerid = $1 AND c.deleted_at IS NULL AND c.sold_at IS NOT NULL AND NOT c.blocked
    ORDER BY c.card_id"""
_OF_CALLER: Final = """
    SELECT card_id FROM calling_cards WHERE group_id = $1 AND callerid = $2 AND deleted_at IS NULL AND NOT blocked
    ORDER BY card_id LIMIT 1"""
_OF_LINE: Final = f"SELECT {_KEPT} WHERE c.line = $1"
_HOLD: Final = f"SELECT {_KEPT} WHERE c.card_id = $1 AND c.deleted_at IS NULL FOR NO KEY UPDATE OF c"
_TAKEN: Final = "SELECT number_hash FROM calling_cards WHERE number_hash = ANY ($1)"
_ACCOUNTS: Final = """
    INSERT INTO accounts (bucket, currency, party_id, purpose, numbering_plan, allow_loss)
    SELECT b, $2, $3, 'card', $4, $5 FROM unnest($1::smallint[]) AS b RETURNING bucket, account_id"""
_ADD: Final = """
    INSERT INTO calling_cards (group_id, number_hash, number_sealed, pin_hash, pin_sealed, owner_id, bucket, account_id,
                               batch, min_balance, language, distributor_id)
    SELECT $1, n.number_hash, n.number_sealed, n.pin_hash, n.pin_sealed, $2, n.bucket, n.account_id, $3, $4, $5, $6
    FROM unnest($7::bytea[], $8::bytea[], $9::bytea[], $10::bytea[], $11::smallint[], $12::bigint[])
      AS n(number_hash, number_sealed, pin_hash, pin_sealed, bucket, account_id)
    RETURNING card_id"""
_OWNER: Final = "SELECT owner_id FROM calling_cards c WHERE card_id = $1 AND deleted_at IS NULL AND group_id IN (" \
    "SELECT group_id FROM card_groups WHERE NOT is_codes)"  # fmt: skip
_TAKE_CALLERID: Final = """
    UPDATE calling_cards SET callerid = '' WHERE callerid = $1 AND group_id = $2 AND card_id <> $3"""
_OPEN: Final = """
    NOT c.blocked AND c.deleted_at IS NULL AND g.valid_from <= $1 AND (g.valid_to IS NULL OR $1 < g.valid_to)
    AND (g.days_after_first_use = 0 OR $1 < c.first_used_at + make_interval(days => g.days_after_first_use))"""
_USED: Final = """
    SELECT c.card_id FROM calling_cards c JOIN card_groups g ON g.group_id = c.group_id AND NOT g.is_codes
    WHERE c.line IS NOT NULL"""
_NEXT: Final = "c.card_id > $2 ORDER BY c.card_id LIMIT $3"
_TURNED: Final = f"{_USED} AND c.line_open <> ({_OPEN}) AND {_NEXT}"
_OWING: Final = f"""
    {_USED} AND {_OPEN} AND (c.setup_due > 0 OR g.daily_charge > 0 AND c.daily_paid_to <= $1) AND {_NEXT}"""
_IS_OPEN: Final = f"{_USED} AND {_OPEN} AND c.card_id = $2"
_GIVE_LINE: Final = f"UPDATE subscribers SET {LINE_IS_GIVEN} WHERE bucket = $1 AND login = $2"  # noqa: S608
_PLAN_OF_GROUP: Final = "SELECT route_plan_id FROM card_groups WHERE group_id = $1 FOR SHARE"
_ROUTE: Final = "UPDATE subscribers SET route_plan_id = $3 WHERE bucket = $1 AND login = $2"
_DELETE: Final = "UPDATE calling_cards SET deleted_at = now(), callerid = '' WHERE card_id = $1 AND sold_at IS NULL"


@dataclass(frozen=True, slots=True)
class KeptCard:
    """A card as what is done with it needs it; its number is not here."""

    card_id: int
    group_id: int
    owner_id: int
    bucket: int
    account_id: int
    pin_hash: bytes | None = field(repr=False)
    min_balance: Decimal
    language: str
    callerid: str
    sold_at: datetime | None
    funded_at: datetime | None
    first_used_at: datetime | None
    setup_due: Decimal
    daily_paid_to: datetime
    blocked: bool
    line: str | None
    sale_id: int | None


@dataclass(frozen=True, slots=True)
class Sealed:
    """Number and PIN of a card to be kept; `pin_hash`, `pin` None: it has none."""

    number_hash: bytes
    number: bytes
    pin_hash: bytes | None
    pin: bytes | None
    bucket: int


def unknown_card(card_id: int | None = None) -> NotFound:
    """The error for what no card has."""
    return NotFound("there is no such card" if card_id is None else f"there is no card {card_id}", field="card")


async def list_cards(questions: Questions, owners: Sequence[int] | None, cursor: Cursor, *wanted: Any) -> Sequence[Any]:
    """Rows of cards of these owners (None: of all), the oldest first. Errors: InvalidRequest (after), Unavailable."""
    of = None if owners is None else list(owners)
    return await questions.fetch(_LIST, *cursor.position(int), of, *wanted, cursor.rows)


async def shown_card(questions: Questions, card_id: int) -> Any:
    """The row of one of them. Errors: NotFound, Unavailable."""
    row = await questions.fetchrow(_FIND, card_id)
    if row is None:
        raise unknown_card(card_id)
    return row


async def find_by_number(questions: Questions, hashes: Sequence[bytes]) -> KeptCard | None:
    """The card of a number. Errors: Unavailable."""
    row = await questions.fetchrow(_OF_NUMBER, hashes)
    return None if row is None else KeptCard(**row)


async def find_by_callerid(questions: Questions, callerid: str) -> list[KeptCard]:
    """The cards that a caller's number opens, the oldest first. Errors: Unavailable."""
    return [KeptCard(**row) for row in await questions.fetch(_OF_CALLERID, callerid)]


async def first_of_caller(tx: Transaction, group_id: int, callerid: str) -> int | None:
    """The oldest card of a group with this caller's number, sold or not; None: there is none. Errors: Unavailable."""
    card_id: int | None = await tx.fetchval(_OF_CALLER, group_id, callerid)
    return card_id


async def find_by_line(questions: Questions, line: str) -> KeptCard | None:
    """The card whose line a login is. Errors: Unavailable."""
    row = await questions.fetchrow(_OF_LINE, line)
    return None if row is None else KeptCard(**row)


async def hold_card(tx: Transaction, card_id: int) -> KeptCard:
    """A card, which nobody changes until the transaction ends. Errors: NotFound, Unavailable."""
    row = await tx.fetchrow(_HOLD, card_id)
    if row is None:
        raise unknown_card(card_id)
    return KeptCard(**row)


async def owner_of_card(questions: Questions, card_id: int) -> int:
    """Whose it is. Errors: NotFound, Unavailable."""
    owner = await questions.fetchval(_OWNER, card_id)
    if owner is None:
        raise unknown_card(card_id)
    return int(owner)


async def taken_numbers(tx: Transaction, hashes: Sequence[bytes]) -> set[bytes]:
    """Which of these numbers there are already. Errors: Unavailable."""
    return {row["number_hash"] for row in await tx.fetch(_TAKEN, hashes)}


async def add_cards(
    tx: Transaction, new: NewCards, cards: Sequence[Sealed], *, owner: int, currency: str, distributor: int | None,
    numbering_plan: str | None, allow_loss: bool,
) -> list[int]:  # fmt: skip
    """The cards with their accounts, all of them; their numbers. Errors: AlreadyExists (a number), Unavailable."""
    buckets = [card.bucket for card in cards]
    rows = await tx.fetch(_ACCOUNTS, buckets, currency, owner, numbering_plan, allow_loss or None)
    accounts: dict[int, list[int]] = {}
    for row in rows:
        accounts.setdefault(row["bucket"], []).append(row["account_id"])
    try:
        made = await tx.fetch(
            _ADD, new.group_id, owner, new.batch, new.min_balance, new.language, distributor,
            [card.number_hash for card in cards], [card.number for card in cards], [card.pin_hash for card in cards],
            [card.pin for card in cards], buckets, [accounts[card.bucket].pop() for card in cards],
        )  # fmt: skip
    except asyncpg.UniqueViolationError:
        raise AlreadyExists("somebody makes cards of these numbers at the same time", field="first") from None
    return [row["card_id"] for row in made]


async def change_card(tx: Transaction, card_id: int, values: Mapping[str, Any]) -> None:
    """Set columns of a card. Errors: AlreadyExists (the number), Unavailable."""
    if not values:
        return
    changes = assignments(CHANGEABLE, values, first=2)
    try:
        await tx.execute(f"UPDATE calling_cards SET {changes} WHERE card_id = $1", card_id, *values.values())  # noqa: S608
    except asyncpg.UniqueViolationError:
        raise AlreadyExists("another card has this number", field="number") from None


async def take_callerid(tx: Transaction, callerid: str, group_id: int, card_id: int) -> None:
    """No other card of the group is opened by this caller's number. Errors: Unavailable."""
    await tx.execute(_TAKE_CALLERID, callerid, group_id, card_id)


async def delete_card(tx: Transaction, card_id: int) -> bool:
    """Nobody may have it, if nobody has bought it. Errors: Unavailable."""
    return await tx.execute(_DELETE, card_id) == "UPDATE 1"


async def cards_turned(questions: Questions, at: datetime, after: int, limit: int) -> list[int]:
    """Used cards whose line was told otherwise than it is now. Errors: Unavailable."""
    return [row["card_id"] for row in await questions.fetch(_TURNED, at, after, limit)]


async def cards_owing(questions: Questions, at: datetime, after: int, limit: int) -> list[int]:
    """Used cards that count, and have a fee or a day to pay. Errors: Unavailable."""
    return [row["card_id"] for row in await questions.fetch(_OWING, at, after, limit)]


async def is_open(tx: Transaction, card_id: int, at: datetime) -> bool:
    """Whether a used card counts at an instant. Errors: Unavailable."""
    return await tx.fetchval(_IS_OPEN, at, card_id) is not None


async def give_line(tx: Transaction, bucket: int, line: str, owner: int, group_id: int) -> None:
    """A card's line is its owner's, who pays for its calls as for those of its users; they go as its group has it.

    Errors: Unavailable.
    """
    standing = await hold_standing(tx, owner, of_cards=True)
    await tx.execute(_GIVE_LINE, bucket, line, owner, *standing.carried)
    if (plan := await tx.fetchval(_PLAN_OF_GROUP, group_id)) is not None:
        await tx.execute(_ROUTE, bucket, line, plan)
