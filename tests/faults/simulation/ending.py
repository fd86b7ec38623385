"""What must be true when a run is over, by the exchanges' and the operator's own knowledge and not the auditor's."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

from tests.faults.simulation.calls import Tally
from tests.faults.simulation.stage import Stage
from tests.support.auditor import Unexplained

NOT_TOLD = ("expired", "reconciled", "abandoned")  # ends that no finish told
_CALLS = """
    SELECT c.call_key, c.state::text, c.source, c.seconds, c.cost, c.overrun, COALESCE(l.charges, 0) AS charges,
           COALESCE(l.total, 0) AS total
    FROM cdrs c LEFT JOIN (
        SELECT call_key, count(*) FILTER (WHERE kind = 'charge') AS charges, -sum(amount) AS total
        FROM ledger_entries WHERE call_key IS NOT NULL GROUP BY call_key
    ) l USING (call_key)
"""
_LEFT_OPEN = """
    SELECT call_key || ', prepared ' || prepared_at || ', answered ' || COALESCE(answered_at::text, 'not')
    FROM reservations ORDER BY prepared_at LIMIT 10
"""


async def check_ending(stage: Stage, tally: Tally, put_in: Decimal) -> tuple[int, int, Counter[tuple[str, str]]]:
    """Returns how many calls were reported, how many overran, and CDRs by (state, source). Raises Unexplained."""
    async with stage.database.connection() as connection:
        left = [row[0] for row in await connection.fetch(_LEFT_OPEN)]
        rows = {row["call_key"]: row for row in await connection.fetch(_CALLS)}
        held = await connection.fetchval("SELECT sum(reserved) FROM accounts")
        balances = await connection.fetchval("SELECT sum(balance) FROM accounts")
    if left or held:
        raise Unexplained(f"{held} is still held, by: " + "; ".join(left))
    spooled = {(told.key, told.seconds) for told in tally.spooled}
    for key, answers in tally.saved.items():
        row = rows.get(key)
        if row is None:
            raise Unexplained(f"call {key} was answered as saved, and has no CDR")
        # A call that was reconciled goes by its latest finish, which may have been spooled.
        is_corrected = row["source"] == "late" and (key, row["seconds"]) in spooled
        if not is_corrected and (row["seconds"], row["cost"]) not in [(answer[1], answer[2]) for answer in answers]:
            raise Unexplained(f"call {key} was answered {answers}, and its CDR says {dict(row)}")
        if row["charges"] > 1 or row["total"] != row["cost"]:  # corrections besides: of what was assumed before
            raise Unexplained(f"call {key} is charged {row['charges']} times, {row['total']} for {row['cost']}")
    for told in tally.spooled:
        row = rows.get(told.key)
        if row is None or (row["source"] in NOT_TOLD and row["seconds"] != told.seconds):
            raise Unexplained(f"{told} was answered as spooled, and is not charged: {row and dict(row)}")
    if stage.spooled:
        raise Unexplained(f"these wait on in the spool: {stage.spooled}")
    charged = sum((row["cost"] for row in rows.values()), Decimal(0))
    if balances != put_in - charged:
        raise Unexplained(f"money: {put_in} was put in and {charged} charged, but the balances are {balances}")
    overruns = sum(row["overrun"] > 0 for row in rows.values())
    return len(tally.saved), overruns, Counter((row["state"], row["source"]) for row in rows.values())
