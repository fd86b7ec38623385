"""Proves the money laws over the whole database, and checks what the engine stands on.

Law: a clean doctor means that every law of schema.sql holds for every account, and that calls can be served.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from rating_engine.domain.errors import RatingEngineError
from rating_engine.storage import laws as audit
from rating_engine.storage.postgres.pool import Database


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong, in words, and how to mend it."""

    what: str
    mend: str


@dataclass(frozen=True, slots=True)
class Check:
    """One question and its answer; clean when nothing was found."""

    name: str
    claim: str
    findings: list[Finding] = field(default_factory=list)


LEDGER_CHECK: Final = "ledger: "  # the checks named so are the money laws

Probe = Callable[[], Awaitable[list[Finding]]]


async def examine(database: Database, probes: dict[str, tuple[str, Probe]]) -> AsyncIterator[Check]:
    """Every check in turn: `probes` (name -> claim and question) first, then the money laws."""
    for name, (claim, probe) in probes.items():
        yield Check(name, claim, await probe())
    for law in audit.LAWS:
        name = LEDGER_CHECK + law.name
        try:
            breaches = await audit.breaches_of(database, law)
        except RatingEngineError as error:
            yield Check(name, law.claim, [Finding(str(error), "mend the database connection first")])
        else:
            yield Check(name, law.claim, [Finding(breach.what, breach.mend) for breach in breaches])


async def ledger_balanced(database: Database) -> list[Finding]:
    """Every breach of a money law; empty when the ledger is balanced. Errors: Unavailable."""
    return [
        Finding(breach.what, breach.mend) for law in audit.LAWS for breach in await audit.breaches_of(database, law)
    ]
