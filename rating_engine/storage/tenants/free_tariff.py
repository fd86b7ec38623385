"""The tariff of calls that cost nothing: those of a tenant whose billing is off. One a currency, made when needed.

Law: it changes nothing but the price: routes keep their own cost, and no route is refused for making a loss.
"""

from __future__ import annotations

from typing import Final

from rating_engine.storage.postgres.transaction import Transaction

FREE: Final = "free:"  # and the currency: the name of such a tariff
DIRECTION: Final = "FREE"

_FIND: Final = "SELECT tariff_id FROM tariffs WHERE name = $1 FOR KEY SHARE"
_ADD: Final = """
    INSERT INTO tariffs (name, currency, description, allow_loss)
    VALUES ($1, $2, 'calls of tenants whose billing is off', true) ON CONFLICT (name) DO NOTHING RETURNING tariff_id"""
_DECK: Final = """
    INSERT INTO rate_decks (tariff_id, version, state, effective_from, rate_count, longest_prefix, published_at)
    VALUES ($1, 1, 'published', now() - interval '1 day', 10, 1, now()) RETURNING deck_id"""
_RATES: Final = """
    INSERT INTO rates (deck_id, prefix, direction, price_1, price_n, price_unit)
    SELECT $1, digit::text, $2, 0, 0, 'interval' FROM generate_series(0, 9) AS digit"""
_DIRECTION: Final = "INSERT INTO directions (code, name) VALUES ($1, 'free') ON CONFLICT (code) DO NOTHING"


async def free_tariff(tx: Transaction, currency: str) -> int:
    """The number of the free tariff in a currency. Errors: Unavailable."""
    name = FREE + currency
    tariff_id: int | None = await tx.fetchval(_FIND, name)
    if tariff_id is not None:
        return tariff_id
    made: int | None = await tx.fetchval(_ADD, name, currency)
    if made is None:  # by another transaction, which has ended meanwhile
        return int(await tx.fetchval(_FIND, name))
    await tx.execute(_DIRECTION, DIRECTION)
    await tx.execute(_RATES, await tx.fetchval(_DECK, made), DIRECTION)
    return made
