"""Directions as operators change them."""

from __future__ import annotations

from rating_engine.domain.tariff import Direction
from rating_engine.storage.postgres.transaction import Transaction


async def set_direction(tx: Transaction, direction: Direction) -> None:
    """Name a direction and say how long its numbers are; created if need be. Errors: Unavailable."""
    await tx.execute(
        "INSERT INTO directions (code, name, min_len, max_len) VALUES ($1, $2, $3, $4) ON CONFLICT (code) DO UPDATE "
        "SET name = EXCLUDED.name, min_len = EXCLUDED.min_len, max_len = EXCLUDED.max_len",
        direction.code, direction.name, direction.min_len, direction.max_len,
    )  # fmt: skip
