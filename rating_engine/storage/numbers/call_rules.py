"""The rules of numbers and lines: read whole with those they lead to, written one at a time.

Law: what is written are the columns that were given; everything else stays as whoever wrote it has left it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
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
    line_of,
    of_line,
)
from rating_engine.domain.did import Did
from rating_engine.domain.errors import InvalidRequest, NotFound
from rating_engine.storage.numbers.dids import find_did, hold_did
from rating_engine.storage.parties.logins import unknown_login
from rating_engine.storage.postgres.columns import assignments
from rating_engine.storage.postgres.pool import Questions
from rating_engine.storage.postgres.transaction import Transaction

COLUMNS: Final = (
    "source", "pattern", "condition", "input", "policy", "action", "destination", "exchange", "callerid", "timeout",
    "sms_action", "sms_destination", "time_zone", "music", "record", "description",
)  # fmt: skip

_RULE: Final = f"""r.rule_id, {", ".join(f"r.{name}" for name in COLUMNS)},
           ARRAY(SELECT (t.first_day, t.last_day, t.starts, t.ends) FROM call_rule_times t
                 WHERE t.rule_id = r.rule_id ORDER BY t.first_day, t.starts) AS times"""  # noqa: S608  constants
_OF_NUMBERS: Final = f"""
    SELECT n.number AS name, {_RULE} FROM dids n JOIN call_rules r USING (did_id)
    WHERE n.number = ANY ($1) AND n.party_id IS NOT DISTINCT FROM $2 ORDER BY n.number, r.position"""  # noqa: S608
_OF_LINES: Final = f"""
    SELECT s.login AS name, {_RULE}
    FROM logins l JOIN subscribers s ON s.bucket = l.bucket AND s.login = l.login
    JOIN call_rules r USING (subscriber_id)
    WHERE l.login = ANY ($1) AND s.party_id = $2 ORDER BY s.login, r.position"""  # noqa: S608
_ADD: Final = f"""
    INSERT INTO call_rules (did_id, subscriber_id, position, {", ".join(COLUMNS)})
    VALUES ($1, $2, $3, {", ".join(f"${n}" for n in range(4, 4 + len(COLUMNS)))}) RETURNING rule_id"""  # noqa: S608
_IDS: Final = "SELECT rule_id FROM call_rules WHERE did_id = $1 OR subscriber_id = $2 ORDER BY position"
_REMOVE: Final = """
    DELETE FROM call_rules WHERE (did_id = $1 OR subscriber_id = $2) AND ($3::bigint[] IS NULL OR rule_id = ANY ($3))"""
_LINE: Final = """
    SELECT s.bucket, s.subscriber_id, s.party_id, p.deleted_at IS NOT NULL AS deleted
    FROM logins l JOIN subscribers s ON s.bucket = l.bucket AND s.login = l.login
    LEFT JOIN sip_accounts p ON p.bucket = s.bucket AND p.subscriber_id = s.subscriber_id
    WHERE l.login = $1"""
_HOLD_LINE: Final = "SELECT 1 FROM subscribers WHERE bucket = $1 AND subscriber_id = $2 FOR NO KEY UPDATE"
_PLACE_OF: Final = """
    SELECT COALESCE(n.number, 'line:' || s.login) FROM call_rules r LEFT JOIN dids n USING (did_id)
    LEFT JOIN subscribers s ON s.subscriber_id = r.subscriber_id WHERE r.rule_id = $1"""
_PLACE: Final = """
    UPDATE call_rules r SET position = n.place FROM unnest($1::bigint[]) WITH ORDINALITY AS n(rule_id, place)
    WHERE r.rule_id = n.rule_id AND r.position <> n.place"""
_ADD_TIMES: Final = """
    INSERT INTO call_rule_times (rule_id, first_day, last_day, starts, ends)
    SELECT DISTINCT $1::bigint, * FROM unnest($2::smallint[], $3::smallint[], $4::time[], $5::time[])"""


@dataclass(frozen=True, slots=True)
class RuleList:
    """Whose rules they are: a number's (`did_id`), or a line's (`subscriber_id`); `name` as in domain/call_rules.

    `party_id` None: nobody's. `did` is the number, None for a line.
    """

    name: str
    party_id: int | None
    did_id: int | None
    subscriber_id: int | None
    did: Did | None = None
    bucket: int = 0


async def find_list(questions: Questions, name: str) -> RuleList:
    """The list of that name, also where it has no rules. Errors: NotFound, Unavailable."""
    login = line_of(name)
    if login is None:
        did = await find_did(questions, name)
        return RuleList(name, did.party_id, did.did_id, None, did)
    row = await questions.fetchrow(_LINE, login)
    if row is None or row["deleted"]:
        raise unknown_login(login)
    return RuleList(name, row["party_id"], None, row["subscriber_id"], bucket=row["bucket"])


async def hold_list(tx: Transaction, name: str) -> RuleList:
    """The same, until the transaction ends. Errors: NotFound, Unavailable."""
    if line_of(name) is None:
        await hold_did(tx, name)
    else:
        found = await find_list(tx, name)
        await tx.fetchval(_HOLD_LINE, found.bucket, found.subscriber_id)
    return await find_list(tx, name)


async def list_with(questions: Questions, rule_id: int) -> str:
    """The name of the list that a rule is in. Errors: NotFound, Unavailable."""
    name: str | None = await questions.fetchval(_PLACE_OF, rule_id)
    if name is None:
        raise NotFound(f"there is no rule {rule_id}", field="rule")
    return name


async def rules_of(
    questions: Questions,
    name: str,
    party_id: int | None,
    follow: Callable[[Sequence[CallRule]], list[str]] = leads_to,
) -> dict[str, list[CallRule]]:
    """The rules of a list of an owner, and of those of his that they lead to. Errors: Unavailable."""
    found: dict[str, list[CallRule]] = {}
    asked = [name]
    for _ in range(MAX_NUMBERS + 1):
        found |= await _lists(questions, asked, party_id)
        asked = sorted({to for each in asked for to in follow(found[each])} - found.keys())
        if not asked:
            break
    return found


async def rules_at(questions: Questions, name: str, party_id: int | None) -> list[CallRule]:
    """The rules of one list alone. Errors: Unavailable."""
    return (await _lists(questions, [name], party_id))[name]


async def _lists(questions: Questions, names: Sequence[str], party_id: int | None) -> dict[str, list[CallRule]]:
    found: dict[str, list[CallRule]] = {name: [] for name in names}
    numbers = [name for name in names if line_of(name) is None]
    logins = [login for login in map(line_of, names) if login is not None]
    for row in await questions.fetch(_OF_NUMBERS, numbers, party_id) if numbers else ():
        found[row["name"]].append(_rule(row))
    for row in await questions.fetch(_OF_LINES, logins, party_id) if logins else ():
        found[of_line(row["name"])].append(_rule(row))
    return found


async def add_rule(tx: Transaction, of: RuleList, rule: CallRule, *, first: bool) -> int:
    """A rule before all others or behind them; its id. Errors: InvalidRequest (too many), Unavailable."""
    ids = await _ids(tx, of)
    if len(ids) >= MAX_RULES:
        raise InvalidRequest("did", f"has {MAX_RULES} rules, which is the limit")
    values = [getattr(rule, name) for name in COLUMNS]
    rule_id = int(await tx.fetchval(_ADD, of.did_id, of.subscriber_id, len(ids) + 1, *values))
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


async def move_rule(tx: Transaction, of: RuleList, rule_id: int, place: int) -> None:
    """Put a rule at a place, from 1; behind all others where there are fewer. Errors: Unavailable."""
    others = [each for each in await _ids(tx, of) if each != rule_id]
    await _place(tx, [*others[: place - 1], rule_id, *others[place - 1 :]])


async def remove_rules(tx: Transaction, of: RuleList, rule_ids: Sequence[int] | None = None) -> None:
    """Remove rules, None: all; those behind move up. Errors: Unavailable."""
    await tx.execute(_REMOVE, of.did_id, of.subscriber_id, None if rule_ids is None else list(rule_ids))
    await _place(tx, await _ids(tx, of))


async def remove_all_rules(tx: Transaction, *, did_id: int | None = None, subscriber_id: int | None = None) -> None:
    """Remove what a number or a line does with its calls. Errors: Unavailable."""
    await remove_rules(tx, RuleList("", None, did_id, subscriber_id))


def place_of_rule(rules: Sequence[CallRule], rule_id: int) -> int:
    """Where a rule is, from 1. Errors: NotFound."""
    for place, rule in enumerate(rules, 1):
        if rule.rule_id == rule_id:
            return place
    raise NotFound(f"there is no rule {rule_id}", field="rule")


def rule_of_place(rules: Sequence[CallRule], place: int) -> CallRule:
    """Errors: NotFound."""
    if not 1 <= place <= len(rules):
        raise NotFound(f"there is no rule {place}", field="rule")
    return rules[place - 1]


async def _ids(tx: Transaction, of: RuleList) -> list[int]:
    return [row["rule_id"] for row in await tx.fetch(_IDS, of.did_id, of.subscriber_id)]


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
