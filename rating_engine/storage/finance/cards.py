"""Cards of the group `codes`: made, found by what their number hashes to, claimed once, and forgotten.

Law: a card is claimed by one party, or deleted, never both: one statement each, on the row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from rating_engine.domain.page import Cursor
from rating_engine.domain.principal import ENGINE
from rating_engine.storage.audit_log import Note
from rating_engine.storage.postgres.pool import Database, Questions
from rating_engine.storage.postgres.transaction import Transaction

_COLUMNS: Final = """
    c.card_id, c.owner_id, c.created_by, c.target_id, c.access_level, c.bucket, c.account_id, c.from_account_id,
    c.created_at, c.activated_by, c.deleted_at IS NOT NULL AS deleted FROM calling_cards c"""
_IS_CODE: Final = "c.group_id = (SELECT group_id FROM card_groups WHERE is_codes)"
_FIND: Final = f"SELECT {_COLUMNS} WHERE c.number_hash = ANY ($1) AND {_IS_CODE}"
_VOUCHERS: Final = """
    SELECT c.card_id, c.owner_id, c.created_by, c.target_id, c.access_level, c.bucket, c.account_id, c.from_account_id,
           c.created_at, c.activated_by, false AS deleted, g.number_length, c.pin_hash
    FROM calling_cards c JOIN card_groups g USING (group_id)
    WHERE c.number_hash = ANY ($1) AND NOT g.is_codes AND NOT g.disable_voucher AND c.deleted_at IS NULL
      AND c.funded_at IS NOT NULL AND NOT c.blocked AND g.valid_from <= now()
      AND (g.valid_to IS NULL OR now() < g.valid_to)
      AND (g.days_after_first_use = 0 OR c.first_used_at IS NULL
           OR now() < c.first_used_at + make_interval(days => g.days_after_first_use))"""
_ADD: Final = """
    INSERT INTO calling_cards (group_id, number_hash, number_sealed, owner_id, created_by, target_id, access_level,
                               bucket, account_id, from_account_id)
    SELECT group_id, $1, $2, $3, $4, $5, $6, $7, $8, $9 FROM card_groups WHERE is_codes
    ON CONFLICT (number_hash) DO NOTHING RETURNING card_id"""
_ACCOUNT: Final = """
    INSERT INTO accounts (bucket, currency, party_id, purpose) VALUES ($1, $2, $3, $4) RETURNING account_id"""
_TAKE_INVITE: Final = "UPDATE parties SET invites = invites - 1 WHERE party_id = $1 AND invites > 0 RETURNING invites"
_CLAIM: Final = """
    UPDATE calling_cards SET activated_by = $2, activated_at = COALESCE(activated_at, now())
    WHERE card_id = $1 AND deleted_at IS NULL AND (activated_by IS NULL OR activated_by = $2) RETURNING card_id"""
_DELETE: Final = """
    UPDATE calling_cards SET deleted_at = COALESCE(deleted_at, now()) WHERE card_id = $1 AND activated_by IS NULL
    RETURNING card_id"""
_LIST: Final = f"""
    SELECT c.card_id, c.number_sealed, COALESCE(a.balance, 0) AS balance, COALESCE(a.currency, '') AS currency,
           c.access_level, COALESCE(p.login, '') AS creator, COALESCE(t.login, '') AS target, c.created_at,
           COALESCE(u.login, '') AS activated_by, c.activated_at
    FROM calling_cards c LEFT JOIN accounts a ON a.bucket = c.bucket AND a.account_id = c.account_id
    LEFT JOIN parties p ON p.party_id = c.created_by LEFT JOIN parties t ON t.party_id = c.target_id
    LEFT JOIN parties u ON u.party_id = c.activated_by
    WHERE ($1::bigint IS NULL OR c.card_id > $1) AND ($2::bigint[] IS NULL OR c.created_by = ANY ($2))
      AND (NOT $3 OR c.activated_by IS NULL) AND c.deleted_at IS NULL AND {_IS_CODE}
    ORDER BY c.card_id LIMIT $4"""  # noqa: S608  # constants
_COUNT: Final = f"""
    SELECT count(*) FROM calling_cards c WHERE ($1::bigint[] IS NULL OR c.created_by = ANY ($1))
    AND (NOT $2 OR c.activated_by IS NULL) AND c.deleted_at IS NULL AND {_IS_CODE}"""  # noqa: S608
_DELETED: Final = f"""
    SELECT {_COLUMNS} JOIN accounts a ON a.bucket = c.bucket AND a.account_id = c.account_id
    WHERE c.deleted_at < now() - make_interval(secs => $1) AND a.balance > 0 LIMIT $2"""
_UNUSED: Final = """
    SELECT number_sealed FROM calling_cards WHERE card_id = $1 AND activated_by IS NULL AND deleted_at IS NULL"""
_EXPIRE: Final = """
    DELETE FROM calling_cards WHERE created_by IS NULL AND activated_by IS NULL AND account_id IS NULL
    AND created_at < now() - $1::interval"""
_POST: Final = "SELECT post_entry_v3($1, $2, $3, $4, $5, $6)"
_TRY: Final = "INSERT INTO code_tries (who, what, at) VALUES ($1, $2, clock_timestamp()) RETURNING at"
_TRIES: Final = "SELECT count(*) FROM code_tries WHERE who = $1 AND what = $2 AND at > now() - interval '1 hour'"
_UNTRY: Final = "DELETE FROM code_tries WHERE who = $1 AND what = $2 AND at = $3"
_FORGET_TRIES: Final = "DELETE FROM code_tries WHERE at < now() - interval '1 hour'"
_SEALED: Final = """
    SELECT card_id, number_sealed, pin_sealed FROM calling_cards WHERE card_id > $1
    ORDER BY card_id LIMIT $2 FOR UPDATE"""
_RESEAL: Final = """
    UPDATE calling_cards c SET number_sealed = n.sealed, number_hash = n.hash, pin_sealed = n.pin, pin_hash = n.pin_hash
    FROM unnest($1::bigint[], $2::bytea[], $3::bytea[], $4::bytea[], $5::bytea[])
      AS n(card_id, sealed, hash, pin, pin_hash) WHERE c.card_id = n.card_id"""


@dataclass(frozen=True, slots=True)
class Card:
    """A card as its use cases see it; its number is not here. `account_id` None: it carries no money."""

    card_id: int
    owner_id: int
    created_by: int | None
    target_id: int | None
    access_level: int
    bucket: int | None
    account_id: int | None
    from_account_id: int | None
    created_at: datetime
    activated_by: int | None
    deleted: bool


async def find_card(questions: Questions, hashes: Sequence[bytes]) -> Card | None:
    """The card of a number, deleted ones too. Errors: Unavailable."""
    row = await questions.fetchrow(_FIND, hashes)
    return None if row is None else Card(**dict(row))


@dataclass(frozen=True, slots=True)
class Voucher:
    """A calling card whose money may be taken by number and PIN. `pin_hash` None: by its number alone."""

    card: Card
    number_length: int
    pin_hash: bytes | None = field(repr=False)


async def find_vouchers(questions: Questions, hashes: Sequence[bytes]) -> list[Voucher]:
    """Those whose number is one of these. Errors: Unavailable."""
    found = []
    for row in await questions.fetch(_VOUCHERS, hashes):
        values = dict(row)
        length, pin_hash = values.pop("number_length"), values.pop("pin_hash")
        found.append(Voucher(Card(**values), length, pin_hash))
    return found


async def add_card(
    tx: Transaction, number_hash: bytes, sealed: bytes, *, owner: int, creator: int | None = None,
    target: int | None = None, level: int = 10, account: tuple[int, int] | None = None, source: int | None = None,
) -> int | None:  # fmt: skip
    """The number of the row; None: the number is taken. Errors: Unavailable."""
    bucket, account_id = account or (None, None)
    added: int | None = await tx.fetchval(
        _ADD, number_hash, sealed, owner, creator, target, level, bucket, account_id, source
    )  # fmt: skip
    return added


async def unused_number(tx: Transaction, card_id: int) -> bytes | None:
    """The sealed number of a card that nobody has used; None: it was used, or is gone. Errors: Unavailable."""
    sealed: bytes | None = await tx.fetchval(_UNUSED, card_id)
    return sealed


async def add_account(tx: Transaction, bucket: int, currency: str, party_id: int, *, purpose: str) -> int:
    """An account without lines; its number. Errors: Unavailable."""
    return int(await tx.fetchval(_ACCOUNT, bucket, currency, party_id, purpose))


async def take_invite(tx: Transaction, party_id: int) -> bool:
    """Whether there was one. Errors: Unavailable."""
    return await tx.fetchval(_TAKE_INVITE, party_id) is not None


async def return_invite(tx: Transaction, party_id: int) -> None:
    """Of a code that was not made, or is deleted. Errors: Unavailable."""
    await tx.execute("UPDATE parties SET invites = invites + 1 WHERE party_id = $1", party_id)


async def claim_card(tx: Transaction, card_id: int, party_id: int) -> bool:
    """It is this party's from now on, if it is nobody else's. Errors: Unavailable."""
    return await tx.fetchval(_CLAIM, card_id, party_id) is not None


async def delete_card(tx: Transaction, card_id: int) -> bool:
    """It is nobody's for good, if nobody activated it. Errors: Unavailable."""
    return await tx.fetchval(_DELETE, card_id) is not None


async def list_cards(
    questions: Questions, creators: Sequence[int] | None, cursor: Cursor, *, unused: bool
) -> Sequence[Any]:
    """Rows of codes of these creators (None: of all), the oldest first. Errors: InvalidRequest (after), Unavailable."""
    return await questions.fetch(_LIST, *cursor.position(int), creators, unused, cursor.rows)


async def count_cards(questions: Questions, creators: Sequence[int] | None, *, unused: bool) -> int:
    """How many those are. Errors: Unavailable."""
    return int(await questions.fetchval(_COUNT, creators, unused))


async def open_card(
    database: Database, bucket: int, account_id: int, amount: Decimal, card_id: int, note: Note
) -> None:
    """Money that an administrator makes. Errors: Unavailable."""
    await database.fetchval(_POST, bucket, account_id, "opening", amount, f"code:{card_id}", note)


async def deleted_with_money(database: Database, *, seconds: float, limit: int) -> list[Card]:
    """Deleted cards whose money has not gone back. Errors: Unavailable."""
    return [Card(**dict(row)) for row in await database.fetch(_DELETED, seconds, limit)]


async def expire(tx: Transaction, age: object) -> None:
    """Forget requests that nobody registered by, and tries of more than an hour ago. Errors: Unavailable."""
    await tx.execute(_EXPIRE, age)
    await tx.execute(_FORGET_TRIES)


async def begin_try(database: Database, who: str, what: str) -> tuple[datetime, int]:
    """Written down before it is looked at, one after the other, so that many at once are all counted.

    When, and how many of this hour there are with it. Errors: Unavailable.
    """
    async with database.transaction(ENGINE) as tx:
        await tx.fetchval("SELECT pg_advisory_xact_lock(hashtextextended('try ' || $1, 0))", who)
        at = await tx.fetchval(_TRY, who, what)
        return at, int(await tx.fetchval(_TRIES, who, what))


async def forget_try(database: Database, who: str, what: str, at: datetime) -> None:
    """It was none. Errors: Unavailable."""
    await database.fetchval(_UNTRY, who, what, at)


async def sealed_numbers(tx: Transaction, after: int, limit: int) -> list[tuple[int, bytes, bytes | None]]:
    """Cards, their encrypted numbers and PINs (None: it has none), held. Errors: Unavailable."""
    return [tuple(row) for row in await tx.fetch(_SEALED, after, limit)]


async def reseal(tx: Transaction, cards: Sequence[tuple[int, bytes, bytes, bytes | None, bytes | None]]) -> None:
    """Cards with number and PIN under another key, each encrypted and hashed. Errors: Unavailable."""
    await tx.execute(_RESEAL, *map(list, zip(*cards, strict=True)))
