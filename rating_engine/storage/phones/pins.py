"""PINs of lines, and how often a wrong one was given: for callers who are known by nothing else.

Law: wrong ones are counted under the row of their line, so that no number of askers at once gets more tries.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from rating_engine.storage.parties.logins import by_bucket
from rating_engine.storage.postgres.pool import Questions
from rating_engine.storage.postgres.transaction import Transaction

KEPT: Final = "1 day"  # of counts that nobody adds to any more

_LINES: Final = """
    SELECT s.login, s.party_id, p.disa_pin, p.trusted_cli FROM subscribers s
    JOIN sip_accounts p ON p.bucket = s.bucket AND p.subscriber_id = s.subscriber_id
    WHERE s.bucket = $1 AND s.login = ANY ($2) AND p.deleted_at IS NULL"""
_FORGET_OLD: Final = f"DELETE FROM pin_tries WHERE since < now() - interval '{KEPT}'"  # noqa: S608  # a constant
_ROWS: Final = "INSERT INTO pin_tries (login) SELECT login FROM unnest($1::text[]) AS login ON CONFLICT DO NOTHING"
_LOCKED: Final = """
    SELECT login, COALESCE(locked_until > now(), false) AS locked FROM pin_tries
    WHERE login = ANY ($1) ORDER BY login FOR UPDATE"""
_COUNT: Final = """
    UPDATE pin_tries SET
        wrong = n.wrong, since = n.since,
        locked_until = CASE WHEN n.wrong >= $2 THEN now() + make_interval(secs => $3) ELSE locked_until END
    FROM (SELECT login AS counted, CASE WHEN is_old THEN 1 ELSE wrong + 1 END AS wrong,
                 CASE WHEN is_old THEN now() ELSE since END AS since
          FROM (SELECT login, wrong, since, since < now() - make_interval(secs => $3) OR wrong >= $2 AS is_old
                FROM pin_tries WHERE login = ANY ($1)) AS aged) AS n
    WHERE login = n.counted RETURNING login, n.wrong >= $2 AS locked"""
_CLEAR: Final = "DELETE FROM pin_tries WHERE login = $1"


@dataclass(frozen=True, slots=True)
class LinePin:
    """What a line is known by. `pin`, `trusted_cli`: '' where it has none."""

    login: str
    party_id: int
    pin: str = field(repr=False)
    trusted_cli: str


async def pins_of(database: Questions, logins: Sequence[str]) -> list[LinePin]:
    """Of those lines that there are and that have a telephone. Errors: Unavailable."""
    found = []
    for bucket, names in (await by_bucket(database, logins)).items():
        found += [LinePin(*row) for row in await database.fetch(_LINES, bucket, names)]
    return found


async def hold_tries(tx: Transaction, logins: Sequence[str]) -> dict[str, bool]:
    """Whether each line is locked; its count is ours until the transaction ends."""
    await tx.execute(_FORGET_OLD)
    await tx.execute(_ROWS, sorted(logins))
    return {row["login"]: row["locked"] for row in await tx.fetch(_LOCKED, list(logins))}


async def count_wrong(tx: Transaction, logins: Sequence[str], *, most: int, seconds: float) -> list[str]:
    """A wrong PIN came for these lines; those that are locked by it."""
    return [row["login"] for row in await tx.fetch(_COUNT, list(logins), most, seconds) if row["locked"]]


async def clear_tries(tx: Transaction, login: str) -> None:
    """The right one came."""
    await tx.execute(_CLEAR, login)
