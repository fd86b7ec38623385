"""The present rates of codes of which a new deck has only a coming one: kept in it until that counts.

A carrier's list says what a code will cost from a date on, and means that until then it costs what it costs.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from rating_engine.storage.decks.deck_columns import KEY, ROW, listed
from rating_engine.storage.decks.deck_staging import count_of
from rating_engine.storage.postgres.pool import Connection

STATEMENT_SECONDS: Final = 120.0  # of a million rates beside a million

_KEPT: Final = tuple(name for name in ROW if name not in ("effective_from", "effective_to"))
_KEEP: Final = f"""
    INSERT INTO rates (deck_id, {listed(_KEPT)}, effective_from, effective_to)
    SELECT $2, {listed(_KEPT, "old")}, old.effective_from, LEAST(old.effective_to, coming.first)
    FROM rates old JOIN (
        SELECT {listed(KEY)}, min(effective_from) AS first FROM rates WHERE deck_id = $2
        GROUP BY {listed(KEY)} HAVING min(effective_from) > $3
    ) AS coming USING ({listed(KEY)})
    WHERE old.deck_id = $1 AND old.effective_from < coming.first AND old.effective_to > $3"""  # noqa: S608  # constants


async def keep_present(connection: Connection, old_deck: int, new_deck: int, at: datetime) -> int:
    """Give the new deck, in force from `at` on, what it lacks until its own rates begin; how many rates that were."""
    return count_of(await connection.execute(_KEEP, old_deck, new_deck, at, timeout=STATEMENT_SECONDS))
