"""Messages summed up: what they brought in, what their carriers took of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from rating_engine.domain.errors import InvalidRequest
from rating_engine.domain.message import MessageDimension, MessageSum
from rating_engine.storage.postgres.pool import Questions

MAX_SUMS: Final = 10_000  # groups; as of calls

_GROUPS: Final = {
    MessageDimension.DAY: "(created_at AT TIME ZONE $3)::date",
    MessageDimension.KIND: "kind",
    MessageDimension.CARRIER: "carrier",
    MessageDimension.LOGIN: "login",
}
# What failed was given back, and its carrier took nothing. The last of those who pay pays us.
_SUMS: Final = """
    count(*) AS messages, count(*) FILTER (WHERE sent_at IS NOT NULL) AS sent, sum(parts) AS parts,
    COALESCE(sum(prices[cardinality(prices)]) FILTER (WHERE state <> 'failed'), 0) AS sold,
    COALESCE(sum(carrier_cost), 0) AS carrier_cost, count(margin) AS costed, COALESCE(sum(margin), 0) AS margin"""


async def sum_messages(
    questions: Questions, since: datetime, until: datetime, dimensions: Sequence[MessageDimension], time_zone: str
) -> list[MessageSum]:
    """SMS and queries that went out, written in [since, until), by currencies and `dimensions`; days of `time_zone`.

    Errors: InvalidRequest (dimensions: more than MAX_SUMS groups), Unavailable.
    """
    groups = {dimension.value: _GROUPS[dimension] for dimension in dimensions}
    columns = "".join(f"{expression} AS {name}, " for name, expression in groups.items())
    places = ", ".join(str(number) for number in range(1, len(groups) + 3))
    arguments: list[Any] = [since, until]
    if MessageDimension.DAY in dimensions:
        arguments.append(time_zone)
    rows = await questions.fetch(
        f"SELECT {columns} COALESCE(NULLIF(margin_currency, ''), currency) AS currency, carrier_currency, {_SUMS}"  # noqa: S608  # made of constants
        " FROM messages WHERE direction = 'out' AND kind IN ('sms', 'hlr') AND created_at >= $1 AND created_at < $2"
        f" GROUP BY {places} ORDER BY {places} LIMIT {MAX_SUMS + 1}",
        *arguments,
    )
    if len(rows) > MAX_SUMS:
        raise InvalidRequest("dimensions", f"make more than {MAX_SUMS} groups: ask for less time, or by fewer of them")
    nothing = dict.fromkeys((dimension.value for dimension in MessageDimension), None)
    return [MessageSum(**{**nothing, **row}) for row in rows]
