"""Short numbers as operators list and change them: everybody's, and those of one login, which count before them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rating_engine.domain.errors import Hint, InvalidRequest, NotFound
from rating_engine.domain.numbering import Alias, NumberedAlias
from rating_engine.domain.page import Cursor, Page, page_of_rows
from rating_engine.storage.numbers.numbering import MAX_ALIASES
from rating_engine.storage.parties.logins import place_of
from rating_engine.storage.postgres.pool import Questions
from rating_engine.storage.postgres.transaction import Transaction

MAX_OWN_ALIASES: Final = 100  # of a login: they come with the subscriber whenever it is read

_LOCK: Final = "SELECT 1 FROM subscribers WHERE bucket = $1 AND subscriber_id = $2 FOR NO KEY UPDATE"
_ADD: Final = """
    INSERT INTO aliases (bucket, subscriber_id, alias, destination) VALUES ($1, $2, $3, $4)
    ON CONFLICT (bucket, subscriber_id, alias) DO UPDATE SET destination = EXCLUDED.destination"""
_LISTED: Final = """
    SELECT s.login, x.alias, x.destination FROM aliases x LEFT JOIN subscribers s USING (bucket, subscriber_id)
    WHERE ($1::text IS NULL OR s.login = $1)
      AND ($2::text IS NULL OR (COALESCE(s.login, ''), x.alias) > ($2, $3::text))
    ORDER BY COALESCE(s.login, ''), x.alias LIMIT $4"""


_NUMBERED: Final = """
    SELECT x.alias_id, s.login, p.login AS owner, s.party_id, x.alias, x.destination
    FROM aliases x LEFT JOIN subscribers s USING (bucket, subscriber_id) LEFT JOIN parties p USING (party_id)"""
_ONE: Final = f"{_NUMBERED} WHERE x.alias_id = $1"
_OF_PARTIES: Final = f"""
    {_NUMBERED}
    WHERE ($1::bigint IS NULL OR x.alias_id > $1) AND (s.party_id = ANY ($2) OR ($3 AND x.subscriber_id IS NULL))
    ORDER BY x.alias_id LIMIT $4"""


async def find_alias(questions: Questions, alias_id: int) -> NumberedAlias | None:
    """The alias of that number. Errors: Unavailable."""
    row = await questions.fetchrow(_ONE, alias_id)
    return None if row is None else NumberedAlias(**row)


async def list_numbered(
    questions: Questions, parties: Sequence[int], everybodys: bool, cursor: Cursor
) -> Page[NumberedAlias]:
    """Those of lines of these parties, and everybody's too, by their numbers. Errors: InvalidRequest, Unavailable."""
    rows = await questions.fetch(_OF_PARTIES, *cursor.position(int), list(parties), everybodys, cursor.rows)
    return page_of_rows(rows, cursor, lambda row: (row["alias_id"],), lambda row: NumberedAlias(**row))


async def set_alias(tx: Transaction, alias: Alias) -> None:
    """What an alias stands for, for a login or for everybody. Errors: NotFound, InvalidRequest, Unavailable."""
    owner = await _owner(tx, alias.login)
    await tx.execute(_ADD, *owner, alias.alias, alias.destination)
    number = await tx.fetchval(
        "SELECT count(*) FROM aliases WHERE bucket = $1 AND subscriber_id IS NOT DISTINCT FROM $2", *owner
    )
    limit = MAX_ALIASES if alias.login is None else MAX_OWN_ALIASES
    if number > limit:
        whose = "everybody" if alias.login is None else repr(alias.login)
        raise InvalidRequest("alias", f"{whose} may have {limit} aliases")


async def remove_alias(tx: Transaction, login: str | None, alias: str) -> None:
    """Errors: NotFound, Unavailable."""
    removed = await tx.fetchval(
        "DELETE FROM aliases WHERE bucket = $1 AND subscriber_id IS NOT DISTINCT FROM $2 AND alias = $3 RETURNING 1",
        *await _owner(tx, login), alias,
    )  # fmt: skip
    if removed is None:
        whose = "for everybody" if login is None else f"of {login!r}"
        raise NotFound(f"there is no alias {alias} {whose}", hint=Hint.SEE_ALIASES)


async def list_aliases(database: Questions, login: str | None, cursor: Cursor) -> Page[Alias]:
    """The aliases of one login or all, everybody's first. Errors: InvalidRequest (after), Unavailable."""
    rows = await database.fetch(_LISTED, login, *cursor.position(str, str), cursor.rows)
    return page_of_rows(rows, cursor, lambda row: (row["login"] or "", row["alias"]), lambda row: Alias(**row))


async def _owner(tx: Transaction, login: str | None) -> tuple[int, int | None]:
    """Bucket and subscriber of whose alias it is; everybody's (None) are in bucket 0.

    Locked, so that two commands cannot exceed the limit together.
    """
    if login is None:
        return 0, None
    place = await place_of(tx, login)
    await tx.execute(_LOCK, place.bucket, place.subscriber_id)
    return place.bucket, place.subscriber_id
