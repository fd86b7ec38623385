"""The rates of a tariff as people read them: those that count now, with what was changed since their deck was made."""

from __future__ import annotations

import asyncio
from typing import Final

from rating_engine.domain.deck import DeckRate
from rating_engine.domain.errors import Refused
from rating_engine.storage.postgres.pool import Questions

MOST_RATES: Final = 200_000  # of one answer: the decks of carriers have fewer

_RATES: Final = """
    SELECT c.prefix, c.direction, COALESCE(d.name, '') AS name, c.band,
           CASE c.price_unit WHEN 'minute' THEN c.price_n ELSE c.price_n * 60 / c.interval_n END * t.multiplier
               AS per_minute,
           c.connect_fee * t.multiplier AS connect_fee, c.interval_1, c.interval_n
    FROM tariffs t
    JOIN LATERAL (
        SELECT DISTINCT ON (r.prefix, r.band) r.* FROM (
            SELECT *, false AS removed, 0 AS later FROM rates WHERE deck_id = deck_at($1, now())
            UNION ALL SELECT *, 1 FROM rate_edits WHERE deck_id = deck_at($1, now())) AS r
        WHERE r.origin = '' AND r.effective_from <= now() AND now() < r.effective_to
        ORDER BY r.prefix, r.band, r.later DESC, r.effective_from DESC) AS c ON NOT c.blocked AND NOT c.removed
    LEFT JOIN directions d ON d.code = c.direction
    WHERE t.tariff_id = $1 ORDER BY c.prefix, c.band LIMIT $2"""


async def rates_of_tariff(questions: Questions, tariff_id: int) -> list[DeckRate]:
    """By prefix. Errors: Refused (more than MOST_RATES), Unavailable."""
    rows = await questions.fetch(_RATES, tariff_id, MOST_RATES + 1)
    if len(rows) > MOST_RATES:
        raise Refused(f"the tariff has more than {MOST_RATES} rates: export it to a file")
    return await asyncio.to_thread(lambda: [DeckRate(**row) for row in rows])  # calls are answered meanwhile
