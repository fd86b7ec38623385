"""Cards sold, and the money that they are given then, one after the other.

Law: what is to be given stands in the sale before any is; so whoever comes after a crash gives the rest, each once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from rating_engine.domain.card import CardGroup, CardSale
from rating_engine.domain.errors import AccountClosed
from rating_engine.storage.audit_log import Note
from rating_engine.storage.postgres.pool import Database, Questions
from rating_engine.storage.postgres.transaction import Transaction

_COLUMNS: Final = """
    sale_id, group_id, owner_id, cards, price, net, tax_percent, currency, email, ended_at IS NOT NULL AS ended,
    cancelled
    FROM card_sales"""
_FIND: Final = f"SELECT {_COLUMNS} WHERE owner_id = $1 AND reference = $2"  # constants
_OPEN: Final = f"""
    SELECT {_COLUMNS} WHERE ended_at IS NULL AND sold_at < now() - make_interval(secs => $1)
    ORDER BY sale_id LIMIT $2"""
_TURN: Final = "SELECT pg_advisory_xact_lock(hashtextextended('sale ' || $2, $1))"
_ADD: Final = """
    INSERT INTO card_sales (group_id, owner_id, cards, price, net, tax_percent, currency, email, reference, sold_by)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
    RETURNING sale_id, group_id, owner_id, cards, price, net, tax_percent, currency, email, false AS ended, cancelled"""
_FREE: Final = """
    SELECT card_id FROM calling_cards
    WHERE group_id = $1 AND sold_at IS NULL AND deleted_at IS NULL AND NOT blocked
      AND ($2::bytea[] IS NULL OR number_hash = ANY ($2))
    ORDER BY card_id LIMIT $3 FOR NO KEY UPDATE SKIP LOCKED"""
_MARK: Final = "UPDATE calling_cards SET sold_at = now(), sale_id = $2 WHERE card_id = ANY ($1)"
_CARDS: Final = "SELECT card_id, bucket, account_id FROM calling_cards WHERE sale_id = $1 ORDER BY card_id"
_SECRETS: Final = "SELECT number_sealed, pin_sealed FROM calling_cards WHERE sale_id = $1 ORDER BY card_id"
_END: Final = "UPDATE card_sales SET ended_at = now() WHERE sale_id = $1 AND ended_at IS NULL AND NOT cancelled " \
    "RETURNING sale_id"  # fmt: skip
_FUNDED: Final = "UPDATE calling_cards SET funded_at = now() WHERE sale_id = $1"
_CANCEL: Final = "UPDATE card_sales SET cancelled = true, reference = NULL WHERE sale_id = $1 AND ended_at IS NULL " \
    "RETURNING sale_id"  # fmt: skip
_CANCELLED: Final = "UPDATE card_sales SET ended_at = now() WHERE sale_id = $1 AND cancelled AND ended_at IS NULL"
_UNSELL: Final = "UPDATE calling_cards SET sold_at = NULL, sale_id = NULL WHERE sale_id = $1 AND funded_at IS NULL"
_MAIL: Final = "INSERT INTO mails (recipient, subject, body) VALUES ($1, $2, $3)"
_POST: Final = "SELECT post_entry_v3($1, $2, $3, $4, $5, $6)"


@dataclass(frozen=True, slots=True)
class Sale:
    """A sale as it is kept."""

    sale_id: int
    group_id: int
    owner_id: int
    cards: int
    price: Decimal
    net: Decimal
    tax_percent: Decimal
    currency: str
    email: str
    ended: bool
    cancelled: bool


@dataclass(frozen=True, slots=True)
class SoldCard:
    """One card of a sale, and where its money is."""

    card_id: int
    bucket: int
    account_id: int


async def find_sale(questions: Questions, owner_id: int, reference: str) -> Sale | None:
    """The sale that a reference stands for. Errors: Unavailable."""
    row = await questions.fetchrow(_FIND, owner_id, reference)
    return None if row is None else Sale(**row)


async def take_turn(tx: Transaction, owner_id: int, reference: str) -> None:
    """Of two who say the same reference at once, the second one waits for the first. Errors: Unavailable."""
    await tx.fetchval(_TURN, owner_id, reference)


async def add_sale(tx: Transaction, group: CardGroup, wanted: CardSale, cards: Sequence[int], sold_by: str) -> Sale:
    """These cards are sold. Errors: Unavailable."""
    price, net = group.price_with_tax, group.price_without_tax
    if wanted.worth is not None:
        price, net = group.with_tax(wanted.worth), wanted.worth
    row = await tx.fetchrow(
        _ADD, group.group_id, group.owner_id, len(cards), price, net,
        group.tax_percent, group.currency, wanted.email, wanted.reference, sold_by,
    )  # fmt: skip
    assert row is not None
    sale = Sale(**row)
    await tx.execute(_MARK, cards, sale.sale_id)
    return sale


async def free_cards(tx: Transaction, group_id: int, hashes: Sequence[bytes] | None, quantity: int) -> list[int]:
    """So many cards that nobody has bought and nobody else is buying, or that of a number. Errors: Unavailable."""
    return [row["card_id"] for row in await tx.fetch(_FREE, group_id, hashes, quantity)]


async def cards_of_sale(questions: Questions, sale_id: int) -> list[SoldCard]:
    """Its cards. Errors: Unavailable."""
    return [SoldCard(**row) for row in await questions.fetch(_CARDS, sale_id)]


async def post_opening(database: Database, card: SoldCard, amount: Decimal, reference: str, note: Note) -> None:
    """What a card is given where nobody's account pays for it, once. Errors: Unavailable."""
    await database.fetchval(_POST, card.bucket, card.account_id, "opening", amount, reference, note)


async def secrets_of_sale(tx: Transaction, sale_id: int) -> list[tuple[bytes, bytes | None]]:
    """Numbers and PINs of its cards, sealed. Errors: Unavailable."""
    return [(row["number_sealed"], row["pin_sealed"]) for row in await tx.fetch(_SECRETS, sale_id)]


async def end_sale(tx: Transaction, sale_id: int) -> bool:
    """All its cards have their money, and may be used; whether nobody had said so. Errors: Unavailable."""
    if await tx.fetchval(_END, sale_id) is None:
        return False
    await tx.execute(_FUNDED, sale_id)
    return True


async def begin_to_cancel(tx: Transaction, sale_id: int) -> bool:
    """It will not be ended; whether it had not been. Errors: Unavailable."""
    return await tx.fetchval(_CANCEL, sale_id) is not None


async def end_cancelled(tx: Transaction, sale_id: int) -> None:
    """Its cards are free again. Errors: Unavailable."""
    await tx.execute(_CANCELLED, sale_id)
    await tx.execute(_UNSELL, sale_id)


async def open_sales(database: Database, *, seconds: float, limit: int) -> list[Sale]:
    """Sales that have not ended for so long. Errors: Unavailable."""
    return [Sale(**row) for row in await database.fetch(_OPEN, seconds, limit)]


async def queue_mail(tx: Transaction, recipient: str, subject: str, body: str) -> None:
    """A mail to a buyer. Errors: Unavailable."""
    await tx.execute(_MAIL, recipient, subject, body)


async def post_top_up(
    database: Database, bucket: int, account_id: int, amount: Decimal, reference: str | None, note: Note
) -> bool:  # fmt: skip
    """More money for a card, once per reference; False: that was used otherwise. Errors: AccountClosed, Unavailable."""
    answer = await database.fetchval(_POST, bucket, account_id, "topup", amount, reference, note)
    if answer["outcome"] == "closed":
        raise AccountClosed("the card was closed")
    return answer["outcome"] in ("posted", "repeated")
