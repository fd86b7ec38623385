"""What calls that come in cost: which tariff says it."""

from __future__ import annotations

from typing import Final

from rating_engine.domain.errors import NotFound
from rating_engine.storage.postgres.pool import Questions
from rating_engine.storage.postgres.transaction import Transaction

_SET: Final = """
    INSERT INTO inbound_tariffs (tariff_id, inbound_tariff_id) VALUES ($1, $2)
    ON CONFLICT (tariff_id) DO UPDATE SET inbound_tariff_id = EXCLUDED.inbound_tariff_id"""
_TARIFF: Final = "SELECT tariff_id FROM tariffs WHERE name = $1"
_PRICES: Final = """
    SELECT t.name AS tariff, i.name AS inbound FROM inbound_tariffs JOIN tariffs t USING (tariff_id)
    JOIN tariffs i ON i.tariff_id = inbound_tariff_id ORDER BY 1"""


async def set_inbound_tariff(tx: Transaction, tariff: str, inbound: str | None) -> None:
    """By which tariff calls are priced that come in to who has `tariff`; None: they are free. Errors: NotFound."""
    tariff_id = await _tariff_id(tx, tariff)
    if inbound is None:
        await tx.execute("DELETE FROM inbound_tariffs WHERE tariff_id = $1", tariff_id)
    else:
        await tx.execute(_SET, tariff_id, await _tariff_id(tx, inbound))


async def inbound_tariffs(questions: Questions) -> list[tuple[str, str]]:
    """Tariffs whose calls coming in have a price, with the one that says it. Errors: Unavailable."""
    return [(row["tariff"], row["inbound"]) for row in await questions.fetch(_PRICES)]


async def _tariff_id(tx: Transaction, name: str) -> int:
    found: int | None = await tx.fetchval(_TARIFF, name)
    if found is None:
        raise NotFound(f"tariff {name!r} does not exist", field="tariff")
    return found
