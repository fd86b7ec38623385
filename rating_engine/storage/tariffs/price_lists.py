"""Tariffs as their owners see them: whose they are, who is offered them, and what is set of them.

Law: one that was removed is nobody's to take any more; what was charged by it stays.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

import asyncpg

from rating_engine.domain.errors import AlreadyExists, NotFound, Refused
from rating_engine.domain.page import Cursor, Page, page_of_rows
from rating_engine.domain.price_list import PriceList
from rating_engine.storage.postgres.columns import assignments, columns_and_places
from rating_engine.storage.postgres.pool import Questions
from rating_engine.storage.postgres.transaction import Transaction
from rating_engine.storage.tariffs.tariff_settings import hold_tariff

CHANGEABLE: Final = (
    "name", "label", "description", "is_option", "is_public", "bill_type", "multiplier", "did_multiplier",
    "switch_price", "currency", "owner_id",
)  # fmt: skip

_LISTS: Final = """
    SELECT t.tariff_id, t.name, t.owner_id, o.login AS owner, t.label, t.currency, t.description, t.is_option,
           t.is_public, t.bill_type, t.multiplier, t.did_multiplier, t.switch_price
    FROM tariffs t JOIN parties o ON o.party_id = t.owner_id WHERE t.removed_at IS NULL"""
_ONE: Final = f"{_LISTS} AND t.tariff_id = $1"
# $1: owners whose tariffs are seen, NULL: all. $2: who offers its public ones. $3: who is offered others, and $4 what
# it has already.
_SEEN: Final = """
    ($1::bigint[] IS NULL OR t.owner_id = ANY ($1) OR (t.is_public AND t.owner_id = $2)
     OR EXISTS (SELECT FROM party_tariffs a WHERE a.party_id = $3 AND a.tariff_id = t.tariff_id)
     OR t.name = ANY ($4))"""
_PAGE: Final = f"""
    {_LISTS} AND {_SEEN} AND ($5::boolean IS NULL OR t.is_public = $5) AND ($6::boolean IS NULL OR t.is_option = $6)
    AND ($7::bigint IS NULL OR t.tariff_id > $7) ORDER BY t.tariff_id LIMIT $8"""
_IS_SEEN: Final = f"SELECT EXISTS ({_LISTS} AND {_SEEN} AND t.tariff_id = $5)"
# What a tariff that goes would take with it.
_USED: Final = """
    SELECT CASE
        WHEN EXISTS (SELECT FROM subscribers WHERE tariff_id = $1) THEN 'lines have it'
        WHEN EXISTS (SELECT FROM subscriber_options WHERE tariff_id = $1 AND effective_to > now()) THEN 'lines have it'
        WHEN EXISTS (SELECT FROM parties WHERE tariff_id = $1 AND NOT hidden) THEN 'users have it'
        WHEN EXISTS (SELECT FROM routes WHERE cost_tariff_id = $1) THEN 'a route costs by it'
        WHEN EXISTS (SELECT FROM tenant_billing WHERE tariff_id = $1) THEN 'a tenant has it' END"""


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who looks at tariffs. `owners`: whose it sees, None: everybody's; `offers_of`: whose public ones; `party_id`
    None: nobody, who is offered nothing else; `own`: names of those that it has."""

    owners: list[int] | None
    offers_of: int
    party_id: int | None = None
    own: Collection[str] = ()

    @property
    def arguments(self) -> tuple[list[int] | None, int, int | None, list[str]]:
        """The first four of the statements."""
        return self.owners, self.offers_of, self.party_id, list(self.own)


def unknown_price_list(tariff_id: int) -> NotFound:
    """The error for a number that no tariff has."""
    return NotFound(f"tariff {tariff_id} does not exist", field="rates")


async def list_price_lists(
    questions: Questions, viewer: Viewer, cursor: Cursor, *, public: bool | None, option: bool | None
) -> Page[PriceList]:
    """What somebody sees, by number. Errors: InvalidRequest (after), Unavailable."""
    rows = await questions.fetch(_PAGE, *viewer.arguments, public, option, *cursor.position(int), cursor.rows)
    return page_of_rows(rows, cursor, lambda row: (row["tariff_id"],), lambda row: PriceList(**row))


async def find_price_list(questions: Questions, tariff_id: int) -> PriceList:
    """A tariff by its number. Errors: NotFound, Unavailable."""
    row = await questions.fetchrow(_ONE, tariff_id)
    if row is None:
        raise unknown_price_list(tariff_id)
    return PriceList(**row)


async def is_seen(questions: Questions, viewer: Viewer, tariff_id: int) -> bool:
    """Whether somebody may see a tariff. Errors: Unavailable."""
    return bool(await questions.fetchval(_IS_SEEN, *viewer.arguments, tariff_id))


async def owner_of_tariff(questions: Questions, tariff_id: int) -> int:
    """Whose it is. Errors: NotFound, Unavailable."""
    owner: int | None = await questions.fetchval(
        "SELECT owner_id FROM tariffs WHERE tariff_id = $1 AND removed_at IS NULL", tariff_id
    )
    if owner is None:
        raise unknown_price_list(tariff_id)
    return owner


async def hold_price_list(tx: Transaction, tariff_id: int, *, as_key: bool = False) -> PriceList:
    """The tariff as it is until the transaction ends. `as_key`: nobody takes it meanwhile. Errors: NotFound."""
    await hold_tariff(tx, (await find_price_list(tx, tariff_id)).name, as_key=as_key)
    return await find_price_list(tx, tariff_id)


async def add_price_list(tx: Transaction, values: Mapping[str, object]) -> int:
    """A tariff, by its columns; its number. Errors: AlreadyExists, NotFound (the bill type), Unavailable."""
    columns, places = columns_and_places(CHANGEABLE, values, first=1)
    try:
        return int(
            await tx.fetchval(
                f"INSERT INTO tariffs ({columns}) VALUES ({places}) RETURNING tariff_id",  # noqa: S608  # names
                *values.values(),
            )
        )
    except asyncpg.UniqueViolationError:
        raise AlreadyExists("there is a tariff of this name already", field="name") from None
    except asyncpg.ForeignKeyViolationError:
        raise NotFound(f"bill type {values['bill_type']!r} does not exist", field="bill_type") from None


async def change_price_list(tx: Transaction, tariff_id: int, values: Mapping[str, object]) -> None:
    """Set columns of a tariff that is held. Errors: AlreadyExists, NotFound (the bill type), Unavailable."""
    try:
        await tx.execute(
            f"UPDATE tariffs SET {assignments(CHANGEABLE, values, first=2)} WHERE tariff_id = $1",  # noqa: S608
            tariff_id, *values.values(),
        )  # fmt: skip
    except asyncpg.UniqueViolationError:
        raise AlreadyExists("there is a tariff of this name already", field="name") from None
    except asyncpg.ForeignKeyViolationError:
        raise NotFound(f"bill type {values['bill_type']!r} does not exist", field="bill_type") from None


async def remove_price_list(tx: Transaction, tariff_id: int) -> None:
    """Take a tariff that is held as key away. Errors: Refused (somebody has it), Unavailable."""
    if used := await tx.fetchval(_USED, tariff_id):
        raise Refused(f"the tariff is in use: {used}; give them another one first")
    await tx.execute("DELETE FROM direction_prices WHERE tariff_id = $1", tariff_id)
    await tx.execute("DELETE FROM party_tariffs WHERE tariff_id = $1", tariff_id)
    # Its name is free for another one.
    await tx.execute(
        "UPDATE tariffs SET removed_at = now(), is_public = false, name = name || ' (removed ' || tariff_id || ')' "
        "WHERE tariff_id = $1",
        tariff_id,
    )


async def made_and_paid(questions: Questions, party_id: int, tariff: str) -> bool:
    """Whether a reseller made a tariff, and pays for the calls of whom it owns by another one. Errors: Unavailable."""
    return bool(
        await questions.fetchval(
            "SELECT EXISTS (SELECT FROM tariffs t JOIN parties p ON p.party_id = t.owner_id WHERE t.name = $2 "
            "AND p.party_id = $1 AND p.account_id IS NOT NULL AND p.tariff_id <> t.tariff_id)",
            party_id, tariff,
        )
    )  # fmt: skip


async def pays_for(questions: Questions, party_id: int, login: str) -> bool:
    """Whether calls of a line are paid by a reseller too, beside the account of the line. Errors: Unavailable."""
    return bool(
        await questions.fetchval(
            "SELECT s.party_id <> p.party_id AND s.account_id <> p.account_id "
            "AND p.account_id = ANY (COALESCE(s.reseller_accounts, '{}')) "
            "FROM logins l JOIN subscribers s ON s.bucket = l.bucket AND s.login = l.login, parties p "
            "WHERE l.login = $2 AND p.party_id = $1",
            party_id, login,
        )
    )  # fmt: skip


async def allowed_tariffs(questions: Questions, party_id: int) -> list[int]:
    """The tariffs that a user may change to beside the public ones. Errors: Unavailable."""
    rows = await questions.fetch("SELECT tariff_id FROM party_tariffs WHERE party_id = $1 ORDER BY 1", party_id)
    return [row["tariff_id"] for row in rows]


async def set_allowed_tariffs(tx: Transaction, party_id: int, tariffs: Collection[int]) -> None:
    """Those and no others. Errors: Unavailable."""
    await tx.execute("DELETE FROM party_tariffs WHERE party_id = $1", party_id)
    await tx.execute("INSERT INTO party_tariffs SELECT $1, unnest($2::bigint[])", party_id, sorted(set(tariffs)))


async def lock_users_of_tariffs(tx: Transaction) -> None:
    """Nobody takes a tariff meanwhile: who is about to is waited for."""
    await tx.execute("LOCK TABLE subscribers, subscriber_options IN SHARE MODE")
