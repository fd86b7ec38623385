"""The state machine of calls, end_of_call() of schema.sql, gone through by a table: what is said of a call against what
is known of it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from rating_engine.storage.postgres.pool import Database

NOTHING: dict[str, Any] = {
    "account_id": 1, "seconds": 60, "source": "finish", "claim": None, "rerate_id": None, "covered_seconds": 0,
    "names_packages": False, "said_seconds": None, "cost_before": None,
    "rate": None, "channel": "", "has_account": True, "package_taken": False,
    "open_account": None, "open_claims": None, "open_is_due": None, "open_channel": None, "open_talked": None,
    "open_granted": None, "open_cap": None, "resellers_known": True,
    "cdr_account": None, "cdr_source": None, "cdr_seconds": None, "cdr_rerate_id": None, "cdr_channel": None,
    "cdr_seen": None, "cdr_said": None,
}  # fmt: skip
TYPES = {
    "account_id": "bigint", "seconds": "integer", "source": "text", "claim": "bigint", "rerate_id": "bigint",
    "covered_seconds": "integer", "names_packages": "boolean", "said_seconds": "integer", "cost_before": "numeric",
    "rate": "text", "channel": "text",
    "has_account": "boolean", "package_taken": "boolean", "open_account": "bigint", "open_claims": "bigint[]",
    "open_is_due": "boolean", "open_channel": "text", "open_talked": "integer", "open_granted": "numeric",
    "open_cap": "integer", "resellers_known": "boolean", "cdr_account": "bigint", "cdr_source": "text",
    "cdr_seconds": "integer", "cdr_rerate_id": "bigint", "cdr_channel": "text",
    "cdr_seen": "integer", "cdr_said": "integer",
}  # fmt: skip
QUERY = "SELECT (end_of_call({})).*".format(
    ", ".join(f"{name} => ${place}::{kind}" for place, (name, kind) in enumerate(TYPES.items(), start=1))
)

OPEN = {"open_account": 1, "open_claims": [7], "open_is_due": False, "open_channel": "SIP/a-1"}
SEEN: dict[str, Any] = {"source": "seen", "said_seconds": 0}
RATED = {"rate": '{"price_1":"1"}'}


def ended(source: str, seconds: int = 60, **more: Any) -> dict[str, Any]:
    return {"cdr_account": 1, "cdr_source": source, "cdr_seconds": seconds, "cdr_channel": "SIP/a-1", **more}


# What is said and known, beside NOTHING; then outcome, source and state.
CASES: list[tuple[dict[str, Any], tuple[str, str, str]]] = [
    # an open call
    (OPEN, ("settled", "finish", "settled")),
    ({**OPEN, "seconds": 0}, ("settled", "finish", "voided")),
    ({**OPEN, "source": "reconciled"}, ("settled", "reconciled", "settled")),
    ({**OPEN, "source": "expired", "seconds": 0}, ("still_open", "expired", "expired")),
    ({**OPEN, "source": "expired", "seconds": 0, "open_is_due": True}, ("settled", "expired", "expired")),
    ({**OPEN, "source": "abandoned", "seconds": 0, "claim": 7}, ("settled", "abandoned", "voided")),
    ({**OPEN, "source": "abandoned", "seconds": 0, "claim": 8}, ("still_open", "abandoned", "voided")),
    ({**OPEN, "source": "abandoned", "seconds": 0, "claim": None}, ("still_open", "abandoned", "voided")),
    ({**OPEN, "source": "abandoned", "claim": 7, "open_claims": [7, 8]}, ("still_open", "abandoned", "settled")),
    ({**OPEN, "source": "abandoned", "claim": 7, "open_claims": [7, 7]}, ("settled", "abandoned", "settled")),
    ({**OPEN, "source": "abandoned", "claim": 7, "open_claims": [7, None]}, ("still_open", "abandoned", "settled")),
    ({**OPEN, "package_taken": True}, ("package_taken", "finish", "settled")),
    ({**OPEN, "resellers_known": False}, ("unknown", "finish", "settled")),
    ({**OPEN, "resellers_known": False, "account_id": 2}, ("conflict", "finish", "settled")),
    ({**OPEN, **RATED}, ("unknown", "finish", "settled")),
    ({**OPEN, "account_id": 2}, ("conflict", "finish", "settled")),
    ({**OPEN, "channel": "SIP/a-1"}, ("settled", "finish", "settled")),
    ({**OPEN, "channel": "SIP/b-1"}, ("conflict", "finish", "settled")),
    ({**OPEN, "channel": "SIP/b-1", "open_channel": ""}, ("settled", "finish", "settled")),
    # no call at all
    ({}, ("unknown", "unreserved", "settled")),
    ({"has_account": False, **RATED}, ("unknown", "unreserved", "settled")),
    (RATED, ("settled", "unreserved", "settled")),
    ({**RATED, "channel": "SIP/b-1"}, ("settled", "unreserved", "settled")),
    ({"rate": ""}, ("settled", "unrated", "settled")),
    ({"rate": "", "seconds": 0}, ("settled", "unreserved", "voided")),
    ({**RATED, "package_taken": True}, ("package_taken", "unreserved", "settled")),
    ({"source": "abandoned", "claim": 7}, ("unknown", "unreserved", "settled")),
    ({"source": "expired"}, ("still_open", "unreserved", "expired")),
    # a call that a finish has ended
    (ended("finish"), ("repeated", "late", "settled")),
    (ended("finish", 61), ("conflict", "late", "settled")),
    (ended("late", 61), ("conflict", "late", "settled")),
    (ended("unreserved", 61), ("conflict", "late", "settled")),
    (ended("unrated", 61), ("conflict", "late", "settled")),
    ({**ended("finish"), "account_id": 2}, ("conflict", "late", "settled")),
    ({**ended("finish"), "channel": "SIP/b-1"}, ("conflict", "late", "settled")),
    ({**ended("finish"), **RATED}, ("unknown", "late", "settled")),
    ({**ended("finish"), "source": "reconciled"}, ("repeated", "late", "settled")),
    ({**ended("finish"), "source": "abandoned", "claim": 7}, ("repeated", "late", "settled")),
    ({**ended("finish"), "source": "expired"}, ("still_open", "late", "expired")),
    # a call whose end was assumed, and is now said
    (ended("expired", 0), ("settled", "late", "settled")),
    ({**ended("expired", 0), "seconds": 0}, ("settled", "late", "voided")),
    (ended("reconciled", 61), ("settled", "late", "settled")),
    (ended("reconciled"), ("repeated", "late", "settled")),
    (ended("abandoned", 0), ("settled", "late", "settled")),
    ({**ended("abandoned", 0), "seconds": 0}, ("repeated", "late", "voided")),
    ({**ended("reconciled", 61), "source": "reconciled"}, ("repeated", "late", "settled")),
    ({**ended("expired", 0), "package_taken": True}, ("package_taken", "late", "settled")),
    (ended("expired", 0, cdr_rerate_id=3), ("unknown", "late", "settled")),
    ({**ended("expired", 0, cdr_rerate_id=3), "rerate_id": 3}, ("settled", "late", "settled")),
    ({**ended("expired", 0), "covered_seconds": 9}, ("unknown", "late", "settled")),
    ({**ended("expired", 0), "covered_seconds": 9, "names_packages": True}, ("settled", "late", "settled")),
    # what was seen is believed: no conversation is said of an open call that was seen answered
    ({**OPEN, "seconds": 0, "open_talked": 1}, ("unseen", "finish", "voided")),
    ({**OPEN, "seconds": 0, "open_talked": 0}, ("settled", "finish", "voided")),
    ({**OPEN, "seconds": 60, "said_seconds": 0, "open_talked": 60}, ("settled", "finish", "settled")),
    ({**OPEN, "seconds": 0, "open_talked": 60, "source": "abandoned", "claim": 7}, ("settled", "abandoned", "voided")),
    ({**OPEN, "seconds": 600, "open_talked": 1}, ("settled", "finish", "settled")),  # the answer may only be guessed
    # a finish after reconciliation by a hangup that was seen
    ({**ended("reconciled", 60, cdr_seen=60), "seconds": 0}, ("unseen", "late", "voided")),
    ({**ended("reconciled", 60, cdr_seen=60), "seconds": 71}, ("unseen", "late", "settled")),
    ({**ended("reconciled", 60, cdr_seen=60), "seconds": 70}, ("settled", "late", "settled")),
    ({**ended("reconciled", 60, cdr_seen=60), "said_seconds": 0}, ("settled", "late", "settled")),
    ({**ended("late", 60, cdr_seen=60, cdr_said=0), "seconds": 0}, ("repeated", "late", "voided")),
    (ended("late", 60, cdr_seen=60, cdr_said=0), ("repeated", "late", "settled")),
    ({**ended("late", 60, cdr_seen=60, cdr_said=0), "seconds": 61}, ("conflict", "late", "settled")),
    # both ends of a call were seen, whose finish has ended it otherwise
    ({**SEEN, **OPEN}, ("still_open", "seen", "settled")),
    ({**SEEN, **RATED}, ("settled", "unreserved", "settled")),
    (SEEN, ("unknown", "unreserved", "settled")),
    ({**ended("finish", 0), **SEEN, "said_seconds": 0}, ("settled", "late", "settled")),
    ({**ended("finish", 600), **SEEN, "said_seconds": 600}, ("settled", "late", "settled")),
    ({**ended("unreserved", 600), **SEEN, "said_seconds": 600}, ("settled", "late", "settled")),
    ({**ended("finish", 65), **SEEN, "said_seconds": 65}, ("repeated", "late", "settled")),
    ({**ended("finish", 601), **SEEN, "said_seconds": 600}, ("unknown", "late", "settled")),  # it was another one's
    ({**ended("finish", 600, cdr_rerate_id=3), **SEEN, "said_seconds": 600}, ("unknown", "late", "settled")),
    ({**ended("late", 60, cdr_said=600), **SEEN, "said_seconds": 600}, ("repeated", "late", "settled")),
    ({**ended("reconciled", 600), **SEEN, "said_seconds": 600}, ("repeated", "late", "settled")),
    # a finish was not believed, and when the call ended was assumed: both words are better
    ({**ended("finish", 5, cdr_said=0), **SEEN, "said_seconds": 0}, ("settled", "late", "settled")),
    ({**ended("late", 60, cdr_said=0, cdr_seen=60), **SEEN, "said_seconds": 0}, ("repeated", "late", "settled")),
    (ended("finish", 5, cdr_said=0), ("settled", "late", "settled")),
    ({**ended("finish", 5, cdr_said=0), "seconds": 0}, ("repeated", "late", "voided")),
    ({**ended("finish", 5, cdr_said=0), "seconds": 5}, ("repeated", "late", "settled")),
    (ended("late", 5, cdr_said=0), ("conflict", "late", "settled")),
]


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    await database.open()
    yield database
    await database.close()


async def said(database: Database, case: dict[str, Any]) -> Any:
    values = {**NOTHING, **case}
    return await database.fetchrow(QUERY, *(values[name] for name in TYPES))


async def test_every_end_means_for_every_call_what_the_table_says(database: Database) -> None:
    found = [(case, tuple((await said(database, case)).values())[:3]) for case, _ in CASES]

    assert [one for one in zip(CASES, found, strict=True) if one[0] != one[1]] == []


@pytest.mark.parametrize(
    ("claims", "claim", "drops"), [([7, 8], 7, True), ([7], 7, False), ([7, 8], 9, False), ([7, None], 7, True)]
)
async def test_a_claim_is_dropped_where_others_are_left(database: Database, claims, claim, drops) -> None:
    case = {**OPEN, "source": "abandoned", "claim": claim, "open_claims": claims}

    assert ((await said(database, case))["drops_claim"] is True) is drops


@pytest.mark.parametrize(
    ("case", "suspicion"),
    [
        ({"seconds": 3_611}, "too_long"),
        ({"seconds": 3_610}, ""),
        ({"cost_before": 2}, "too_long"),
        ({"cost_before": 1}, ""),
        ({"seconds": 3_611, "source": "reconciled"}, ""),
        ({"said_seconds": 0}, "unseen"),
        ({"said_seconds": 60}, ""),
    ],
)
async def test_what_a_person_should_look_at_is_marked(database: Database, case: dict[str, Any], suspicion: str) -> None:
    known = {**OPEN, "open_granted": 1, "open_cap": 3_600}

    assert (await said(database, {**known, **case}))["suspicion"] == suspicion
