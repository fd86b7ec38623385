"""Who has which tariff: options of subscribers, and changes of tariff with what they cost.

Law: a change and its fee are one transaction; both are the work of the SQL function switch_tariff.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import asyncpg

from rating_engine.domain.errors import AlreadyExists, InvalidRequest, NotFound, Unavailable
from rating_engine.domain.page import Cursor, Page, page_of_rows
from rating_engine.domain.tariff_card import ListedOption
from rating_engine.storage.audit_log import Note
from rating_engine.storage.parties.logins import place_of
from rating_engine.storage.postgres.pool import Questions
from rating_engine.storage.postgres.transaction import Transaction

MAX_OPTIONS: Final = 20  # of a subscriber, in force or ahead: each has a deck that is asked at every call

_CURRENCY: Final = "SELECT currency FROM accounts WHERE bucket = $1 AND account_id = $2"
_SWITCH: Final = "SELECT switch_tariff_v3($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"
_OPTIONS: Final = """
    SELECT t.name, o.tariff_id, o.position, o.effective_from, NULLIF(o.effective_to, 'infinity') AS effective_to,
           o.effective_from <= now() AND o.effective_to > now() AS in_force
    FROM logins JOIN subscribers s USING (bucket, login) JOIN subscriber_options o USING (bucket, subscriber_id)
    JOIN tariffs t ON t.tariff_id = o.tariff_id
    WHERE login = $1 AND ($2 OR o.effective_to > now())
      AND ($3::integer IS NULL OR (o.position, o.effective_from, o.tariff_id) > ($3, $4::timestamptz, $5::bigint))
    ORDER BY o.position, o.effective_from, o.tariff_id LIMIT $6"""
# What is in force ends now, what is ahead is taken back.
_REVOKE: Final = """
    WITH granted AS (
        SELECT o.subscriber_id, o.tariff_id, o.effective_from FROM subscriber_options o
        WHERE o.bucket = $1 AND o.subscriber_id = $2 AND o.tariff_id = $3 AND o.effective_to > now() FOR UPDATE
    ), ended AS (
        UPDATE subscriber_options o SET effective_to = now() FROM granted g
        WHERE o.bucket = $1 AND o.subscriber_id = g.subscriber_id AND o.tariff_id = g.tariff_id
          AND o.effective_from = g.effective_from AND o.effective_from < now()
    ), taken_back AS (
        DELETE FROM subscriber_options o USING granted g
        WHERE o.bucket = $1 AND o.subscriber_id = g.subscriber_id AND o.tariff_id = g.tariff_id
          AND o.effective_from = g.effective_from AND o.effective_from >= now()
    )
    SELECT count(*) FROM granted"""


@dataclass(frozen=True, slots=True)
class Party:
    """A subscriber and the account that pays for it."""

    login: str
    subscriber_id: int
    bucket: int
    account_id: int
    currency: str


@dataclass(frozen=True, slots=True)
class Change:
    """A tariff that a subscriber changes to, or an option it takes for [begins, ends); None: now, for ever.

    `version`: of the tariff whose price it is. `price`: in the account's currency. `position`: None: the last.
    """

    tariff_id: int
    version: int
    is_option: bool
    price: Decimal
    reference: str | None
    begins: datetime | None = None
    ends: datetime | None = None
    position: int | None = None


async def find_party(database: Questions, login: str) -> Party:
    """Errors: NotFound, Unavailable."""
    place = await place_of(database, login)
    currency = await database.fetchval(_CURRENCY, place.bucket, place.account_id)
    return Party(login, place.subscriber_id, place.bucket, place.account_id, currency)


async def switch(database: Questions, party: Party, change: Change, note: Note) -> tuple[str, Decimal]:
    """Change the tariff or grant the option, and charge it; returns (outcome, balance) of the SQL function.

    `note` says who did.

    Errors: AlreadyExists (the reference was used for something else), InvalidRequest (from, to, too many options),
    NotFound, Unavailable.
    """
    try:
        answer = await database.fetchval(
            _SWITCH, party.bucket, party.account_id, party.subscriber_id, change.tariff_id, change.version,
            change.is_option, MAX_OPTIONS, change.begins, change.ends, change.position, change.price, change.reference,
            note,
        )  # fmt: skip
    except asyncpg.SerializationError as error:
        raise Unavailable(f"nothing was done: {error}; ask again") from error
    outcome: str = answer["outcome"]
    if outcome == "unknown":
        raise NotFound(f"login {party.login!r} does not exist any more")
    if outcome == "conflict":
        raise AlreadyExists(
            f"reference {change.reference!r} was used before for something else; choose another", field="reference"
        )
    if outcome == "begins_past":
        raise InvalidRequest("effective_from", "is past; leave it out for an option from now on")
    if outcome == "ends_past":
        raise InvalidRequest("effective_to", "must be after the begin, and after now")
    if outcome == "too_many":
        raise InvalidRequest("option", f"{party.login!r} has {MAX_OPTIONS} options already, which is the limit")
    return outcome, answer["balance"]


async def revoke_option(tx: Transaction, party: Party, tariff_id: int) -> bool:
    """End an option now, and take back what was granted ahead; whether the subscriber had it. Errors: Unavailable."""
    ended: int = await tx.fetchval(_REVOKE, party.bucket, party.subscriber_id, tariff_id)
    return ended > 0


async def list_options(database: Questions, login: str, cursor: Cursor, *, past: bool = False) -> Page[ListedOption]:
    """The options of a login in force and ahead, and those that ended, if asked; in the order in which they count.

    Errors: InvalidRequest (after), Unavailable.
    """
    rows = await database.fetch(_OPTIONS, login, past, *cursor.position(int, datetime, int), cursor.rows)
    return page_of_rows(rows, cursor, lambda row: (row["position"], row["effective_from"], row["tariff_id"]), _option)


def _option(row: Any) -> ListedOption:
    return ListedOption(
        tariff=row["name"],
        position=row["position"],
        effective_from=row["effective_from"],
        effective_to=row["effective_to"],
        in_force=row["in_force"],
    )
