"""The defaults for new users and devices, as they were set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rating_engine.storage.postgres.pool import Questions
from rating_engine.storage.postgres.transaction import Transaction

_SET: Final = """
    INSERT INTO defaults (name, value) VALUES ($1, $2)
    ON CONFLICT (name) DO UPDATE SET value = EXCLUDED.value, changed_at = now()"""


async def load_defaults(questions: Questions) -> dict[str, str]:
    """By name. Errors: Unavailable."""
    return {row["name"]: row["value"] for row in await questions.fetch("SELECT name, value FROM defaults")}


async def set_defaults(tx: Transaction, values: Mapping[str, str]) -> None:
    """Set these. Errors: Unavailable."""
    for name, value in values.items():
        await tx.execute(_SET, name, value)
