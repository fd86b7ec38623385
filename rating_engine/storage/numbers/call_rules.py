"""The rules of numbers: read whole with those they lead to, written one at a time.

Law: what is written are the columns that were given; everything else stays as whoever wrote it has left it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import asyncpg

from rating_engine.domain.call_rules import (
    MAX_NUMBERS,
    MAX_RULES,
    Action,
    CallRule,
    Condition,
    Policy,
    RuleTime,
    Source,
    leads_to,
)
from rating_engine.domain.errors import InvalidRequest, NotFound
from rating_engine.storage.postgres.columns import assignments
from rating_engine.storage.postgres.pool import Questions
from rating_engine.storage.postgres.transaction import Transaction

COLUMNS: Final = (
    "source", "pattern", "condition", "input", "policy", "action", "destination", "exchange", "callerid", "timeout",
    "sms_action", "sms_destination",
)  # fmt: skip

_OF: Final = f"""
    SELECT n.number, r.rule_id, {", ".join(f"r.{name}" for name in COLUMNS)},
           ARRAY(SELECT (t.first_day, t.last_day, t.starts, t.ends) FROM call_rule_times t
                 WHERE t.rule_id = r.rule_id ORDER BY t.first_day, t.starts) AS times
    FROM dids n JOIN call_rules r USING (did_id)
    WHERE n.number = ANY ($1) AND n.party_id IS NOT DISTINCT FROM $2 ORDER BY n.number, r.position"""  # noqa: S608
_ADD: Final = f"""
    INSERT INTO call_rules (did_id, position, {", ".join(COLUMNS)})
    VALUES ($1, $2, {", ".join(f"${n}" for n in range(3, 3 + len(COLUMNS)))}) RETURNING rule_id"""  # noqa: S608
_IDS: Final = "SELECT rule_id FROM call_rules WHERE did_id = $1 ORDER BY position"
_PLACE: Final = """
    UPDATE call_rules r SET position = n.place FROM unnest($1::bigint[]) WITH ORDINALITY AS n(rule_id, place)
    WHERE r.rule_id = n.rule_id AND r.position <> n.place"""
_ADD_TIMES: Final = """
    INSERT INTO call_rule_times (rule_id, first_day, last_day, starts, ends)
    SELECT DISTINCT $1::bigint, * FROM unnest($2::smallint[], $3::smallint[], $4::time[], $5::time[])"""


async def rules_of(questions: Questions, number: str, party_id: int | None) -> dict[str, list[CallRule]]:
    """The rules of a number of an owner, and of those of his that they lead to. Errors: Unavailable."""
    found: dict[str, list[CallRule]] = {}
    asked = [number]
    for _ in range(MAX_NUMBERS + 1):
        found |= {each: [] for each in asked}
        for row in await questions.fetch(_OF, asked, party_id):
            found[row["number"]].append(_rule(row))
        asked = sorted({to for each in asked for to in leads_to(found[each])} - found.keys())
        if not asked:
            break
    return found


async def rules_at(questions: Questions, number: str, party_id: int | None) -> list[CallRule]:
    """The rules of one number alone. Errors: Unavailable."""
    return [_rule(row) for row in await questions.fetch(_OF, [number], party_id)]


async def add_rule(tx: Transaction, did_id: int, rule: CallRule, *, first: bool) -> int:
    """A rule before all others or behind them; its id. Errors: InvalidRequest (too many), Unavailable."""
    ids = await _ids(tx, did_id)
    if len(ids) >= MAX_RULES:
        raise InvalidRequest("did", f"has {MAX_RULES} rules, which is the limit")
    values = [getattr(rule, name) for name in COLUMNS]
    rule_id = int(await tx.fetchval(_ADD, did_id, len(ids) + 1, *values))
    await set_times(tx, rule_id, rule.times)
    if first:
        await _place(tx, [rule_id, *ids])
    return rule_id


async def change_rule(tx: Transaction, rule_id: int, values: Mapping[str, Any]) -> None:
    """Set these columns of a rule. Errors: Unavailable."""
    if values:
        changes = assignments(COLUMNS, values, first=2)
        await tx.execute(f"UPDATE call_rules SET {changes} WHERE rule_id = $1", rule_id, *values.values())  # noqa: S608


async def set_times(tx: Transaction, rule_id: int, times: Sequence[RuleTime]) -> None:
    """When a rule counts, in place of what was there. Errors: Unavailable."""
    await tx.execute("DELETE FROM call_rule_times WHERE rule_id = $1", rule_id)
    columns = [[getattr(each, name) for each in times] for name in ("first_day", "last_day", "starts", "ends")]
    if times:
        await tx.execute(_ADD_TIMES, rule_id, *columns)


async def move_rule(tx: Transaction, did_id: int, rule_id: int, place: int) -> None:
    """Put a rule at a place, from 1; behind all others where there are fewer. Errors: Unavailable."""
    others = [each for each in await _ids(tx, did_id) if each != rule_id]
    await _place(tx, [*others[: place - 1], rule_id, *others[place - 1 :]])


async def remove_rules(tx: Transaction, did_id: int, rule_ids: Sequence[int] | None = None) -> None:
    """Remove rules, None: all; those behind move up. Errors: Unavailable."""
    await tx.execute(
        "DELETE FROM call_rules WHERE did_id = $1 AND ($2::bigint[] IS NULL OR rule_id = ANY ($2))", did_id,
        None if rule_ids is None else list(rule_ids),
    )  # fmt: skip
    await _place(tx, await _ids(tx, did_id))


def rule_of_place(rules: Sequence[CallRule], place: int) -> CallRule:
    """Errors: NotFound."""
    if not 1 <= place <= len(rules):
        raise NotFound(f"there is no rule {place}", field="rule")
    return rules[place - 1]


async def _ids(tx: Transaction, did_id: int) -> list[int]:
    return [row["rule_id"] for row in await tx.fetch(_IDS, did_id)]


async def _place(tx: Transaction, ids: Sequence[int]) -> None:
    await tx.execute(_PLACE, list(ids))


def _rule(row: asyncpg.Record) -> CallRule:
    values = {name: row[name] for name in COLUMNS}
    return CallRule(
        **{
            **values,
            "rule_id": row["rule_id"],
            "source": Source(row["source"]),
            "condition": Condition(row["condition"]),
            "policy": Policy(row["policy"]),
            "action": Action(row["action"]),
            "times": tuple(RuleTime(*each) for each in row["times"]),
        }
    )
