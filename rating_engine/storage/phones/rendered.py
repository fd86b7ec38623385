"""What an exchange is told of its phones, read as it would read it, for a file in the place of the database."""

from __future__ import annotations

from typing import Any, Final

import orjson

from rating_engine.domain.pjsip import TYPES
from rating_engine.storage.postgres.pool import Questions

# One statement, so that all of it is of one moment.
_OF_VIEW: Final = """
    SELECT '{view}' AS view, v.id, row_to_json(v)::text AS row FROM {view} v
    WHERE v.id IN (SELECT login FROM phones WHERE exchange = $1)"""
_ROWS: Final = " UNION ALL ".join(_OF_VIEW.replace("{view}", view) for view in TYPES)


async def rows_of(questions: Questions, exchange: str) -> dict[str, list[dict[str, Any]]]:
    """The rows of each view. Errors: Unavailable."""
    rows: dict[str, list[dict[str, Any]]] = {view: [] for view in TYPES}
    for row in await questions.fetch(f"{_ROWS} ORDER BY view, id", exchange):
        rows[row["view"]].append(orjson.loads(row["row"]))
    return rows
