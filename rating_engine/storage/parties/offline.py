"""What has to be known beforehand of accounts that may call while the database is away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from rating_engine.domain.account import Subscriber
from rating_engine.rating.prefix import longest_match
from rating_engine.storage.parties.logins import by_bucket
from rating_engine.storage.parties.subscribers import COLUMNS, subscriber_from_row
from rating_engine.storage.postgres.pool import Database

# A blocked or prepaid account is not there, nor one of a blocked party: nobody calls on credit that was never given.
_ACCOUNTS: Final = f"""
    SELECT {COLUMNS}, a.default_allowed, a.max_price
    FROM subscribers s JOIN accounts a ON a.bucket = $1 AND a.account_id = s.account_id
    WHERE s.bucket = $1 AND s.login = ANY ($2) AND a.kind = 'postpaid' AND a.status = 'active' AND s.status = 'active'
      AND s.calls = 'all'
"""  # noqa: S608  made of a constant
_RULES: Final = """
    SELECT s.login, p.prefix, p.allowed
    FROM subscribers s JOIN account_prefixes p ON p.bucket = $1 AND p.account_id = s.account_id
    WHERE s.bucket = $1 AND s.login = ANY ($2)
"""


@dataclass(frozen=True, slots=True)
class OfflineAccount:
    """An active postpaid account's subscriber, with the limits that can be checked without its money.

    `max_price`: per minute; None: none. `rules`: prefix -> allowed, the longest one deciding.
    """

    subscriber: Subscriber
    default_allowed: bool
    max_price: Decimal | None
    rules: Mapping[str, bool]

    def allows(self, destination: str) -> bool:
        """Whether the account's prefix rules let it call there."""
        rule = longest_match(destination, self.rules)
        return self.default_allowed if rule is None else rule[1]


async def offline_accounts(database: Database, logins: Sequence[str]) -> dict[str, OfflineAccount]:
    """Those of the logins that are active and postpaid. Errors: Unavailable."""
    found: dict[str, OfflineAccount] = {}
    for bucket, names in (await by_bucket(database, logins)).items():
        rules: dict[str, dict[str, bool]] = {}
        for row in await database.fetch(_RULES, bucket, names):
            rules.setdefault(row["login"], {})[row["prefix"]] = row["allowed"]
        for row in await database.fetch(_ACCOUNTS, bucket, names):
            found[row["login"]] = OfflineAccount(
                subscriber=subscriber_from_row(row),
                default_allowed=row["default_allowed"],
                max_price=row["max_price"],
                rules=rules.get(row["login"], {}),
            )
    return found
