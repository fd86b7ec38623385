"""What messages cost by tariffs: by the longest prefix of the number that they go to."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final, NamedTuple

from rating_engine.domain.errors import Hint, NotFound
from rating_engine.domain.message import MessageKind, MessagePrice
from rating_engine.storage.postgres.pool import Questions
from rating_engine.storage.postgres.transaction import Transaction

_FIND: Final = """
    SELECT DISTINCT ON (t.tariff_id) t.tariff_id, t.name, t.currency, t.decimals, t.allow_loss,
           p.price * t.multiplier AS price
    FROM tariffs t JOIN message_prices p USING (tariff_id)
    WHERE t.tariff_id = ANY ($1) AND p.kind = $2 AND p.prefix = ANY ($3)
    ORDER BY t.tariff_id, length(p.prefix) DESC"""
# By their names, where that is what they are asked by: a carrier's cost tariff.
_OF_NAMES: Final = _FIND.replace("t.tariff_id = ANY ($1)", "t.name = ANY ($1)")
_NAMED: Final = "SELECT tariff_id FROM tariffs WHERE name = $1"
_SET: Final = """
    INSERT INTO message_prices (tariff_id, kind, prefix, price) VALUES ($1, $2, $3, $4)
    ON CONFLICT (tariff_id, kind, prefix) DO UPDATE SET price = excluded.price"""
_REMOVE: Final = "DELETE FROM message_prices WHERE tariff_id = $1 AND kind = $2 AND prefix = $3 RETURNING 1"
_LIST: Final = """
    SELECT kind, prefix, price FROM message_prices
    WHERE tariff_id = $1 AND ($2::text IS NULL OR (kind, prefix) > ($2, $3)) ORDER BY kind, prefix LIMIT $4"""


class PartPrice(NamedTuple):
    """What one part, or query, costs by a tariff, its multiplier in it; rounded to `decimals` when all is summed."""

    tariff_id: int
    tariff: str
    currency: str
    decimals: int
    allow_loss: bool
    price: Decimal


async def part_prices(
    questions: Questions, tariffs: Sequence[int], kind: MessageKind, number: str
) -> dict[int, PartPrice]:
    """By tariff; one that has no price for the number is left out. Errors: Unavailable."""
    prefixes = [number[:end] for end in range(len(number) + 1)]
    rows = await questions.fetch(_FIND, list(tariffs), kind, prefixes)
    return {row["tariff_id"]: PartPrice(*row) for row in rows}


async def part_costs(
    questions: Questions, tariffs: Sequence[str], kind: MessageKind, number: str
) -> dict[str, PartPrice]:
    """The same by the names of tariffs. Errors: Unavailable."""
    prefixes = [number[:end] for end in range(len(number) + 1)]
    rows = await questions.fetch(_OF_NAMES, list(tariffs), kind, prefixes)
    return {row["name"]: PartPrice(*row) for row in rows}


async def tariff_named(questions: Questions, name: str) -> int:
    """Errors: NotFound, Unavailable."""
    found: int | None = await questions.fetchval(_NAMED, name)
    if found is None:
        raise NotFound(f"there is no tariff {name!r}", field="tariff", hint=Hint.SEE_TARIFFS)
    return found


async def set_price(tx: Transaction, tariff_id: int, price: MessagePrice) -> None:
    """One price, in the place of the one before. Errors: Unavailable."""
    await tx.execute(_SET, tariff_id, price.kind, price.prefix, price.price)


async def remove_price(tx: Transaction, tariff_id: int, kind: MessageKind, prefix: str) -> None:
    """Errors: NotFound, Unavailable."""
    if await tx.fetchval(_REMOVE, tariff_id, kind, prefix) is None:
        raise NotFound(f"the tariff has no price of {kind} messages to {prefix or 'all numbers'!r}", field="prefix")


async def prices_of(
    questions: Questions, tariff_id: int, after: tuple[str | None, str | None], limit: int
) -> list[MessagePrice]:
    """Prices of a tariff by kind and prefix, behind one. Errors: Unavailable."""
    rows = await questions.fetch(_LIST, tariff_id, *after, limit)
    return [MessagePrice(MessageKind(row["kind"]), row["prefix"], row["price"]) for row in rows]
