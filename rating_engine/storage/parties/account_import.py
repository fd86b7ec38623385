"""Many accounts made in one transaction, with a question or two a thousand of them.

Law: a login that somebody else has, or makes at the same time, is found out before anything is made of it: its row of
`logins` is taken first, and held until the transaction ends.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

from rating_engine.domain.account import NewAccount
from rating_engine.domain.errors import RatingEngineError
from rating_engine.storage.parties.accounts import tariff_for
from rating_engine.storage.postgres.transaction import Transaction

AT_ONCE: Final = 1_000  # accounts of one statement: some tenths of a second

_CLAIM: Final = """
    INSERT INTO logins (login, bucket) SELECT * FROM unnest($1::text[], $2::smallint[]) ORDER BY 1
    ON CONFLICT (login) DO UPDATE SET bucket = logins.bucket RETURNING login, bucket
"""
_TAKEN: Final = "SELECT login FROM logins JOIN subscribers USING (bucket, login) WHERE login = ANY ($1)"
_BUCKETS: Final = "SELECT login, bucket FROM logins WHERE login = ANY ($1)"
_CREATE: Final = "SELECT create_accounts_v2($1, $2)"

Tariffs = dict[tuple[str, str | None], tuple[int, str] | RatingEngineError]


async def find_tariffs(tx: Transaction, accounts: Sequence[NewAccount]) -> Tariffs:
    """For each tariff and currency that is asked for, (tariff_id, the tariff's currency), or why nobody can have it.

    Errors: Unavailable.
    """
    found: Tariffs = {}
    for new in accounts:
        wanted = new.tariff, new.currency
        if wanted not in found:
            try:
                found[wanted] = await tariff_for(tx, *wanted, new.login)
            except RatingEngineError as error:
                if error.retryable:
                    raise
                found[wanted] = error
    return found


async def taken_logins(tx: Transaction, homes: Mapping[str, int]) -> set[str]:
    """Claim logins, each with the bucket of its account; which of them somebody has already. Errors: Unavailable."""
    taken: set[str] = set()
    logins = sorted(homes)
    for start in range(0, len(logins), AT_ONCE):
        some = logins[start : start + AT_ONCE]
        await tx.fetch(_CLAIM, some, [homes[login] for login in some])
        taken.update(row["login"] for row in await tx.fetch(_TAKEN, some))
    return taken


async def create_accounts(tx: Transaction, accounts: Sequence[NewAccount], tariffs: Tariffs) -> None:
    """Create accounts whose logins were claimed by `tx`, each with its subscriber and opening balance.

    Errors: Unavailable.
    """
    bucket_of: dict[str, int] = {}
    logins = [new.login for new in accounts]
    for start in range(0, len(logins), AT_ONCE):
        rows = await tx.fetch(_BUCKETS, logins[start : start + AT_ONCE])
        bucket_of.update((row["login"], row["bucket"]) for row in rows)
    by_bucket: dict[int, list[NewAccount]] = defaultdict(list)
    for new in accounts:
        by_bucket[bucket_of[new.login]].append(new)
    for bucket, of_bucket in sorted(by_bucket.items()):
        for start in range(0, len(of_bucket), AT_ONCE):
            asked = [_request(new, tariffs) for new in of_bucket[start : start + AT_ONCE]]
            answers = await tx.fetchval(_CREATE, bucket, asked)
            assert all(answer["outcome"] == "created" for answer in answers), "a claimed login was taken"


def _request(new: NewAccount, tariffs: Tariffs) -> tuple[object, ...]:
    """One new_account_v2 of schema.sql."""
    found = tariffs[new.tariff, new.currency]
    assert not isinstance(found, RatingEngineError)
    tariff_id, currency = found
    return (
        new.login, tariff_id, new.kind.value, new.currency or currency, new.credit, new.max_calls, new.callerid,
        new.balance,
    )  # fmt: skip
