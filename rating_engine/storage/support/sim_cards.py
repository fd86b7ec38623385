"""SIM cards as they are kept; of their PUKs what is encrypted."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final, NamedTuple

import asyncpg

from rating_engine.domain.errors import AlreadyExists, NotFound
from rating_engine.domain.page import Cursor, Page, page_of_rows
from rating_engine.domain.sim_card import NewSimCard, SimCard
from rating_engine.storage.postgres.columns import assignments
from rating_engine.storage.postgres.pool import Questions
from rating_engine.storage.postgres.transaction import Transaction

CHANGEABLE: Final = ("party_id", "line", "callback_cid", "allow_direct_sms", "enabled", "puk1", "puk2")

_NOTE_NETWORK: Final = "UPDATE sim_cards SET last_network = $2, last_network_at = now() WHERE msisdn = $1"
_COLUMNS: Final = """
    c.sim_id, c.iccid, c.msisdn, c.provider, c.party_id AS owner_id, p.login AS owner, c.line, c.callback_cid,
    c.allow_direct_sms, c.enabled, c.last_network, c.last_network_at, c.puk1, c.puk2, c.wrong_puks,
    COALESCE(c.locked_until > now(), false) AS is_locked
    FROM sim_cards c LEFT JOIN parties p ON p.party_id = c.party_id"""
_FIND: Final = f"SELECT {_COLUMNS} WHERE c.iccid = $1"
_LIST: Final = f"""
    SELECT {_COLUMNS}
    WHERE ($1::bigint[] IS NULL OR c.party_id = ANY ($1)) AND (NOT $2 OR c.enabled)
      AND ($3::bigint IS NULL OR c.sim_id > $3)
    ORDER BY c.sim_id LIMIT $4
"""
_ADD: Final = "INSERT INTO sim_cards (iccid, provider, msisdn, puk1, puk2) VALUES ($1, $2, $3, $4, $5)"
_WRONG: Final = """
    UPDATE sim_cards SET wrong_puks = $2, locked_until = CASE WHEN $3 THEN now() + $4::interval ELSE locked_until END
    WHERE iccid = $1
"""
# By its ICCID or its number: whose an enabled card is, and the line it calls by.
_OWNER: Final = """
    SELECT party_id, line FROM sim_cards
    WHERE enabled AND party_id IS NOT NULL AND CASE WHEN $2 THEN iccid = $1 ELSE msisdn = $1 AND msisdn <> '' END
"""
_SEALED: Final = """
    SELECT sim_id, puk1, puk2 FROM sim_cards WHERE sim_id > $1 AND (puk1 IS NOT NULL OR puk2 IS NOT NULL)
    ORDER BY sim_id LIMIT $2
"""
_RESEAL: Final = """
    UPDATE sim_cards SET puk1 = COALESCE($4, puk1), puk2 = COALESCE($5, puk2)
    WHERE sim_id = $1 AND puk1 IS NOT DISTINCT FROM $2 AND puk2 IS NOT DISTINCT FROM $3
"""


class KeptCard(NamedTuple):
    """A card and what is kept beside it: its sealed PUKs, how many wrong ones came, whether none is looked at."""

    card: SimCard
    puk1: bytes | None
    puk2: bytes | None
    wrong_puks: int
    is_locked: bool


async def find_card(questions: Questions, iccid: str) -> KeptCard:
    """Errors: NotFound, Unavailable."""
    row = await questions.fetchrow(_FIND, iccid)
    if row is None:
        raise NotFound(f"there is no SIM card {iccid[:22]!r}", field="iccid")
    return _from_row(row)


async def hold_card(tx: Transaction, iccid: str) -> KeptCard:
    """The same, as it is until the transaction ends. Errors: NotFound, Unavailable."""
    await tx.fetchval("SELECT 1 FROM sim_cards WHERE iccid = $1 FOR UPDATE", iccid)
    return await find_card(tx, iccid)


async def list_cards(
    questions: Questions, owners: list[int] | None, only_enabled: bool, cursor: Cursor
) -> Page[KeptCard]:
    """Cards of these owners, None: all that there are. Errors: InvalidRequest (after), Unavailable."""
    rows = await questions.fetch(_LIST, owners, only_enabled, *cursor.position(int), cursor.rows)
    return page_of_rows(rows, cursor, lambda row: (row["sim_id"],), _from_row)


async def owner_of_card(questions: Questions, name: str, *, by_iccid: bool) -> tuple[int, str] | None:
    """Whose an enabled card is, and by which line it calls; None: nobody's. Errors: Unavailable."""
    row = await questions.fetchrow(_OWNER, name, by_iccid)
    return None if row is None else (row["party_id"], row["line"])


async def add_card(tx: Transaction, new: NewSimCard, puk1: bytes | None, puk2: bytes | None) -> None:
    """Errors: AlreadyExists (iccid, msisdn), Unavailable."""
    try:
        await tx.execute(_ADD, new.iccid, new.provider, new.msisdn, puk1, puk2)
    except asyncpg.UniqueViolationError as error:
        field = "msisdn" if "msisdn" in (error.constraint_name or "") else "iccid"
        raise AlreadyExists(f"a SIM card with this {field} is there", field=field) from None


async def note_network(questions: Questions, msisdn: str, network: str) -> None:
    """The network that a number was found in, of the card that has it, if any. Errors: Unavailable."""
    await questions.fetch(_NOTE_NETWORK, msisdn, network)


async def change_card(tx: Transaction, iccid: str, values: Mapping[str, object]) -> None:
    """Set columns of CHANGEABLE. Errors: Unavailable."""
    changes = assignments(CHANGEABLE, values, first=2)
    await tx.execute(
        f"UPDATE sim_cards SET {changes} WHERE iccid = $1",  # noqa: S608  # names of columns
        iccid, *values.values(),
    )  # fmt: skip


async def count_wrong(tx: Transaction, iccid: str, wrong: int, *, lock: timedelta | None) -> None:
    """So many wrong PUKs came in a row; `lock`: none is looked at for so long. Errors: Unavailable."""
    await tx.execute(_WRONG, iccid, wrong, lock is not None, lock or timedelta())


async def remove_card(tx: Transaction, iccid: str) -> None:
    """Errors: Unavailable."""
    await tx.execute("DELETE FROM sim_cards WHERE iccid = $1", iccid)


async def sealed_puks(questions: Questions, after: int, limit: int) -> list[tuple[int, bytes | None, bytes | None]]:
    """Cards behind one by their numbers, with their PUKs. Errors: Unavailable."""
    return [tuple(row) for row in await questions.fetch(_SEALED, after, limit)]


async def reseal_puks(
    tx: Transaction, sim_id: int, before: tuple[bytes | None, bytes | None], after: tuple[bytes | None, bytes | None]
) -> None:
    """Put others in their place where they are still those. Errors: Unavailable."""
    await tx.execute(_RESEAL, sim_id, *before, *after)


def _from_row(row: asyncpg.Record) -> KeptCard:
    beside = ("sim_id", "puk1", "puk2", "wrong_puks", "is_locked")
    card = SimCard(**{name: value for name, value in row.items() if name not in beside})
    return KeptCard(card, row["puk1"], row["puk2"], row["wrong_puks"], row["is_locked"])
