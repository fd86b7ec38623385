"""What is known of parties beside what the engine goes by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Final

from rating_engine.domain.party_details import PartyDetails
from rating_engine.storage.postgres.columns import assignments
from rating_engine.storage.postgres.pool import Questions
from rating_engine.storage.postgres.transaction import Transaction

COLUMNS: Final = tuple(field.name for field in fields(PartyDetails))
_SHOW: Final = f"SELECT {', '.join(COLUMNS)} FROM party_details WHERE party_id = $1"  # noqa: S608  # names of columns


async def find_details(questions: Questions, party_id: int) -> PartyDetails:
    """Errors: Unavailable."""
    row = await questions.fetchrow(_SHOW, party_id)
    return PartyDetails() if row is None else PartyDetails(**row)


async def change_details(tx: Transaction, party_id: int, values: Mapping[str, object]) -> None:
    """Set fields of PartyDetailChanges. Errors: Unavailable."""
    if not values:
        return
    await tx.execute("INSERT INTO party_details (party_id) VALUES ($1) ON CONFLICT DO NOTHING", party_id)
    changes = assignments(COLUMNS, values, first=2)
    await tx.execute(
        f"UPDATE party_details SET {changes} WHERE party_id = $1",  # noqa: S608  # names of columns
        party_id, *values.values(),
    )  # fmt: skip
