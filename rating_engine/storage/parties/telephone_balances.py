"""Balances as telephones ask for them."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from rating_engine.storage.postgres.pool import Questions

_OF: Final = """
    SELECT a.balance, a.currency FROM subscribers s
    JOIN accounts a ON a.bucket = s.bucket AND a.account_id = s.account_id"""
_OF_LINE: Final = f"{_OF} WHERE s.bucket = (SELECT bucket FROM logins WHERE login = $1) AND s.login = $1"  # noqa: S608  # a constant
_OF_USER: Final = f"""
    {_OF} JOIN parties p ON p.party_id = s.party_id AND NOT p.hidden AND p.kind <> 'system'
    WHERE (p.party_id = $1 OR lower(p.login) = lower($2))
    ORDER BY lower(s.login) <> lower(p.login), s.subscriber_id LIMIT 1"""  # constants
_OF_PASSWORD: Final = f"""
    {_OF} JOIN sip_accounts p ON p.bucket = s.bucket AND p.subscriber_id = s.subscriber_id
    WHERE p.secret_hash = ANY ($1) AND p.deleted_at IS NULL LIMIT 2"""


async def balance_of_line(questions: Questions, login: str) -> tuple[Decimal, str] | None:
    """Balance and currency. Errors: Unavailable."""
    row = await questions.fetchrow(_OF_LINE, login)
    return None if row is None else (row["balance"], row["currency"])


async def balance_of_user(questions: Questions, who: str | int) -> tuple[Decimal, str] | None:
    """Of the account of a user's first line. Errors: Unavailable."""
    number, login = (None, who) if isinstance(who, str) else (who, None)
    row = await questions.fetchrow(_OF_USER, number, login)
    return None if row is None else (row["balance"], row["currency"])


async def balance_of_password(questions: Questions, hashes: Sequence[bytes]) -> tuple[Decimal, str] | None:
    """Of the one line with this password; None where there is none, or several. Errors: Unavailable."""
    rows = await questions.fetch(_OF_PASSWORD, list(hashes))
    return (rows[0]["balance"], rows[0]["currency"]) if len(rows) == 1 else None
