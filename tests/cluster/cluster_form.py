"""The form in which the schema can be distributed: which tables are of which kind, and a copy of it in partitions."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rating_engine.storage.postgres.release import MARK, schema_sql

# The headings of schema.sql, each over the tables of its kind.
CATALOGUE, FACTS, SCOPED = "The catalogue:", "Facts of the catalogue", "Account-scoped tables"
MONEY = re.compile(
    r"^(?:reserve|extend|settle|reserve_and_settle|expire|post_entry|adjust|set_balance|create_account|close_account|switch_tariff|correct_calls|"
    r"subscribe|charge_subscription|end_subscription|confirm_payment|set_credit_note|(?:send|end)_message|"
    r"(?:send|receive|finish)_transfer|"
    r"package_states)_v\d+$"
)

_RULE = re.compile(r"^-{60,}\n-- (.+)$", re.MULTILINE)
_TABLE = re.compile(r"^CREATE TABLE (\w+) \((.*?)^\)( WITH \([^)]*\))?;", re.MULTILINE | re.DOTALL)


def tables_of(kind: str) -> list[str]:
    """The tables under a heading of schema.sql. AssertionError if there is none."""
    tables, _ = schema_sql().split(MARK)
    headings = list(_RULE.finditer(tables))
    ends = [heading.start() for heading in headings[1:]] + [len(tables)]
    parts = [tables[h.end() : end] for h, end in zip(headings, ends, strict=True) if h[1].startswith(kind)]
    found = [match[1] for part in parts for match in _TABLE.finditer(part)]
    assert found, f"schema.sql has no tables under {kind!r}"
    return found


def in_partitions(sql: str, buckets: Sequence[int] = (0, 1)) -> str:
    """The schema with every account-scoped table in a partition a bucket, named TABLE_BUCKET."""
    scoped = set(tables_of(SCOPED))

    def divide(match: re.Match[str]) -> str:
        name, columns, _ = match.groups()
        if name not in scoped:
            return match[0]
        parts = [f"CREATE TABLE {name}_{n} PARTITION OF {name} FOR VALUES IN ({n});" for n in buckets]
        return f"CREATE TABLE {name} ({columns}) PARTITION BY LIST (bucket);\n" + "\n".join(parts)

    return _TABLE.sub(divide, sql)
