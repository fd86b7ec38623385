"""Messages: written and ended by the money functions of schema.sql, handed over by one engine at a time, and read.

Laws: who hands a message over has it by a lease, and nobody else takes it; what was taken and not ended is given back
by whoever looks when the lease is over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

import asyncpg

from rating_engine.domain.errors import AlreadyExists, NotFound
from rating_engine.domain.message import (
    CarrierOffer,
    Direction,
    Message,
    MessageCount,
    MessageDeclined,
    MessageFilter,
    MessageKind,
    MessageState,
)
from rating_engine.domain.outcomes import DeclineReason
from rating_engine.domain.page import Cursor, Page, page_of_rows
from rating_engine.domain.sms_text import encode_text
from rating_engine.storage.audit_log import Note
from rating_engine.storage.postgres.pool import Database, Questions

MAX_DIGITS: Final = 19  # of a column of eight bytes, all nines

_SEND: Final = "SELECT send_message_v2($1, $2, $3)"
_END: Final = "SELECT end_message_v1($1, $2, $3, $4, $5, $6, $7)"
_COLUMNS: Final = """
    bucket, message_id AS number, kind, direction, state, party_id, login, did, sender, recipient, content AS text,
    encoding, parts, COALESCE(prices[1], 0) AS price, currency, carrier, carrier_id, answer, error, attempts,
    created_at, sent_at, ended_at, read_at, ARRAY(SELECT o.carrier FROM unnest(offers) AS o) AS offered, carrier_cost,
    carrier_currency, margin, margin_currency"""
_SUCCEEDED: Final = "(direction = 'in' OR state IN ('sent', 'delivered'))"
_FIND: Final = f"SELECT {_COLUMNS} FROM messages WHERE message_id = $1"  # noqa: S608  # a constant
_ONE: Final = f"SELECT {_COLUMNS} FROM messages WHERE bucket = $1 AND message_id = $2"  # noqa: S608
_ADD: Final = f"""
    INSERT INTO messages (bucket, kind, direction, state, party_id, login, did, sender, recipient, content, encoding,
                          parts, carrier, reference, error, offers, sent_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, CASE WHEN $3 = 'out' THEN now() END)
    ON CONFLICT (bucket, login, reference) WHERE reference IS NOT NULL DO NOTHING
    RETURNING {_COLUMNS}"""  # noqa: S608
_PAGE: Final = f"""
    SELECT {_COLUMNS} FROM messages
    WHERE ($1::bigint IS NULL OR message_id < $1) AND ($2::bigint[] IS NULL OR party_id = ANY ($2))
      AND ($3::text IS NULL OR direction = $3) AND ($4::text[] IS NULL OR kind = ANY ($4))
      AND ($5::boolean IS NULL OR (read_at IS NOT NULL OR state = 'delivered') = $5) AND ($6::text IS NULL OR did = $6)
      AND ($7::text IS NULL OR login = $7) AND ($8::boolean IS NULL OR {_SUCCEEDED} = $8)
    ORDER BY message_id DESC LIMIT $9"""  # noqa: S608
_COUNT: Final = f"""
    SELECT count(*) AS total, count(*) FILTER (WHERE {_SUCCEEDED}) AS succeeded FROM messages
    WHERE party_id = $1 AND kind = $2 AND created_at >= $3 AND created_at < $4"""  # noqa: S608
_READ: Final = """
    UPDATE messages SET read_at = CASE WHEN $4 THEN now() END
    WHERE party_id = ANY ($1) AND direction = 'in' AND ($2::text IS NULL OR did = $2)
      AND ($3::boolean IS NULL OR (read_at IS NOT NULL) = $3) AND (read_at IS NOT NULL) <> $4 RETURNING 1"""
_MARK: Final = "UPDATE messages SET read_at = CASE WHEN $3 THEN now() END WHERE bucket = $1 AND message_id = $2"
# What was handed over is delivered or not; what came first counts, but for a delivery after all.
_REPORT: Final = """
    UPDATE messages SET state = CASE WHEN $3 THEN 'delivered' ELSE 'undelivered' END, ended_at = now()
    WHERE ($1::text IS NULL OR carrier = $1) AND (carrier_id = $2 AND carrier_id <> '' OR message_id = $4)
      AND direction = 'out' AND (state = 'sent' OR state = 'undelivered' AND $3) RETURNING 1"""
_REPORT_OF: Final = """
    UPDATE messages SET state = CASE WHEN $3 THEN 'delivered' ELSE 'undelivered' END, ended_at = now()
    WHERE bucket = $1 AND message_id = $2 AND direction = 'out' AND state IN ('sent', 'delivered', 'undelivered')
    RETURNING 1"""
_KNOWN: Final = """
    SELECT 1 FROM messages WHERE ($1::text IS NULL OR carrier = $1) AND direction = 'out' AND state <> 'sending'
      AND (carrier_id = $2 AND carrier_id <> '' OR message_id = $3) LIMIT 1"""
_ON_ITS_WAY: Final = "SELECT 1 FROM messages WHERE state = 'sending' AND direction = 'out' LIMIT 1"
_EARLY: Final = """
    INSERT INTO early_reports (carrier, carrier_id, delivered) VALUES ($1, $2, $3)
    ON CONFLICT (carrier, carrier_id) DO UPDATE SET delivered = early_reports.delivered OR excluded.delivered"""
_TAKE_EARLY: Final = "DELETE FROM early_reports WHERE carrier = $1 AND carrier_id = $2 RETURNING delivered"
_FORGET_EARLY: Final = "DELETE FROM early_reports WHERE at < now() - interval '1 day' RETURNING 1"
# What came in and whose rule is to be carried out; one whose engine died is carried out again.
_CAME_IN: Final = """
    SELECT bucket, message_id FROM messages
    WHERE direction = 'in' AND (state = 'queued' AND due_at <= now() OR state = 'sending' AND lease_until < now())
    ORDER BY due_at, message_id LIMIT $1"""
_TAKE_IN: Final = f"""
    UPDATE messages SET state = 'sending', attempts = attempts + 1, lease_until = now() + $3::interval
    WHERE bucket = $1 AND message_id = $2 AND (state = 'queued' OR state = 'sending' AND lease_until < now())
    RETURNING {_COLUMNS}"""  # noqa: S608
_RECEIVED: Final = """
    UPDATE messages SET state = 'received', lease_until = NULL, error = $3
    WHERE bucket = $1 AND message_id = $2 AND state = 'sending'"""
_SENT_ON: Final = """
    SELECT 1 FROM messages WHERE party_id = $1 AND direction = 'out' AND sender = $2 AND content = $3
      AND reference LIKE 'forward:%' AND message_id < $4 AND created_at > now() - interval '1 hour' LIMIT 1"""
_DUE: Final = """
    SELECT bucket, message_id FROM messages WHERE state = 'queued' AND due_at <= now() AND carrier = ANY ($1)
    ORDER BY due_at, message_id LIMIT $2"""
_TAKE: Final = f"""
    UPDATE messages SET state = 'sending', attempts = attempts + 1, lease_until = now() + $3::interval
    WHERE bucket = $1 AND message_id = $2 AND state = 'queued' RETURNING {_COLUMNS}"""  # noqa: S608
_PUT_OFF: Final = """
    UPDATE messages SET state = 'queued', lease_until = NULL, due_at = now() + $3::interval, error = $4
    WHERE bucket = $1 AND message_id = $2 AND state = 'sending'"""
_LEFT: Final = """
    SELECT bucket, message_id FROM messages
    WHERE direction = 'out' AND (state = 'sending' AND lease_until < now()
                                 OR state = 'queued' AND created_at < now() - $1::interval)
    ORDER BY message_id LIMIT $2"""


@dataclass(frozen=True, slots=True)
class Order:
    """A message that is planned: who pays what, and the carriers that may be asked; the first of them has it at first.

    `margin_currency`: of who pays last. `lease` None: it is queued for whoever has its carrier.
    """

    bucket: int
    accounts: tuple[int, ...]
    prices: tuple[Decimal, ...]
    subscriber_id: int
    subscriber_version: int
    party_id: int
    login: str
    kind: MessageKind
    sender: str
    recipient: str
    text: str
    encoding: str
    parts: int
    currency: str
    offers: tuple[CarrierOffer, ...]
    margin_currency: str
    reference: str | None
    lease: timedelta | None


@dataclass(frozen=True, slots=True)
class FreeMessage:
    """A message that nobody pays for: one that came in, a SIP message, or a notice, which a carrier may cost."""

    kind: MessageKind
    direction: Direction
    state: MessageState
    party_id: int
    login: str
    sender: str
    recipient: str
    text: str
    did: str = ""
    carrier: str = ""
    reference: str | None = None
    error: str = ""
    offers: tuple[CarrierOffer, ...] = ()


@dataclass(frozen=True, slots=True)
class Written:
    """The message of an order. `repeated`: it was there."""

    number: int
    repeated: bool


async def write(database: Database, order: Order, note: Note) -> Written | None:
    """Write a message and take its money; None: it was planned from an old subscriber, and has to be planned again.

    Errors: MessageDeclined, AlreadyExists (the reference was used for another message), Unavailable.
    """
    asked = (
        list(order.accounts), list(order.prices), order.subscriber_id, order.subscriber_version, order.party_id,
        order.login, order.kind, order.sender, order.recipient, order.text, order.encoding, order.parts, order.currency,
        order.offers[0].carrier, list(order.offers), order.margin_currency, order.reference, order.lease,
    )  # fmt: skip
    answer = await database.fetchval(_SEND, order.bucket, asked, note)
    match answer["outcome"]:
        case "taken" | "repeated":
            return Written(answer["message_id"], answer["outcome"] == "repeated")
        case "stale":
            return None
        case "conflict":
            raise AlreadyExists(f"reference {order.reference!r} was used for another message", field="reference")
    raise MessageDeclined(DeclineReason(answer["outcome"]))


async def end_sent(
    database: Database, bucket: int, number: int, carrier: str, carrier_id: str, *, answer: str = ""
) -> None:
    """Its carrier has it, and calls it so; a report that came before counts now. Errors: Unavailable."""
    await database.fetchval(_END, bucket, number, True, carrier, carrier_id, answer, "")
    if carrier_id:
        early = await database.fetchval(_TAKE_EARLY, carrier, carrier_id)
        if early is not None:
            await database.fetch(_REPORT, carrier, carrier_id, early, None)


async def end_failed(database: Database, bucket: int, number: int, problem: str) -> None:
    """It was not sent: the money goes back. Errors: Unavailable."""
    await database.fetchval(_END, bucket, number, False, None, "", "", problem)


async def add(questions: Questions, bucket: int, new: FreeMessage) -> Message | None:
    """Write a message that costs nothing; None: its reference is there, so it is. Errors: Unavailable."""
    text = encode_text(new.text)
    row = await questions.fetchrow(
        _ADD, bucket, new.kind, new.direction, new.state, new.party_id, new.login, new.did, new.sender, new.recipient,
        new.text, text.encoding, len(text.parts), new.carrier, new.reference, new.error, list(new.offers),
    )  # fmt: skip
    return None if row is None else _message(row)


async def find(questions: Questions, number: int) -> Message:
    """By its id. Errors: NotFound, Unavailable."""
    row = await questions.fetchrow(_FIND, number)
    if row is None:
        raise NotFound(f"there is no message {number}", field="id")
    return _message(row)


async def reread(questions: Questions, bucket: int, number: int) -> Message:
    """As it is now. Errors: NotFound, Unavailable."""
    row = await questions.fetchrow(_ONE, bucket, number)
    if row is None:
        raise NotFound(f"there is no message {number}", field="id")
    return _message(row)


async def page(
    questions: Questions, parties: Sequence[int] | None, wanted: MessageFilter, cursor: Cursor
) -> Page[Message]:
    """The latest first; `parties` None: everybody's. Errors: InvalidRequest (after), Unavailable."""
    rows = await questions.fetch(
        _PAGE, *cursor.position(int), None if parties is None else list(parties), wanted.direction,
        None if wanted.kinds is None else list(wanted.kinds), wanted.is_done, wanted.number, wanted.login,
        wanted.succeeded, cursor.rows,
    )  # fmt: skip
    return page_of_rows(rows, cursor, lambda row: (row["number"],), _message)


async def count(
    questions: Questions, party_id: int, kind: MessageKind, since: datetime, until: datetime
) -> MessageCount:
    """Those of a party alone, written in [since, until). Errors: Unavailable."""
    row = await questions.fetchrow(_COUNT, party_id, kind, since, until)
    assert row is not None
    return MessageCount(row["total"], row["succeeded"])


async def mark_read(
    questions: Questions, parties: Sequence[int], number: str | None, were_read: bool | None, *, read: bool
) -> int:
    """Mark what came in for these parties; how many changed. Errors: Unavailable."""
    return len(await questions.fetch(_READ, list(parties), number, were_read, read))


async def mark_one(questions: Questions, message: Message, *, read: bool) -> None:
    """Errors: Unavailable."""
    await questions.fetch(_MARK, message.bucket, message.number, read)


async def report(database: Database, carrier: str | None, carrier_id: str, *, delivered: bool) -> bool:
    """What a carrier (None: any) says of a message, by its own id or by ours; whether it is one of ours, or may be.

    One that comes before we know the id is kept: whoever says a moment later that the message was sent finds it then.
    Errors: Unavailable.
    """
    ours = int(carrier_id) if carrier_id.isascii() and carrier_id.isdigit() and len(carrier_id) < MAX_DIGITS else None
    if await database.fetchval(_KNOWN, carrier, carrier_id, ours) is None:
        if carrier is None or await database.fetchval(_ON_ITS_WAY) is None:
            return False
        await database.fetch(_EARLY, carrier, carrier_id, delivered)
        if await database.fetchval(_KNOWN, carrier, carrier_id, ours) is None:
            return True
        await database.fetchval(_TAKE_EARLY, carrier, carrier_id)
    await database.fetch(_REPORT, carrier, carrier_id, delivered, ours)
    return True


async def report_of(questions: Questions, message: Message, *, delivered: bool) -> bool:
    """The same of a message by our id; whether it is in a state to be reported of. Errors: Unavailable."""
    return await questions.fetchval(_REPORT_OF, message.bucket, message.number, delivered) is not None


async def forget_early(questions: Questions) -> int:
    """Reports that nobody waited for; how many. Errors: Unavailable."""
    return len(await questions.fetch(_FORGET_EARLY))


async def due(questions: Questions, carriers: Sequence[str], limit: int) -> list[tuple[int, int]]:
    """What waits for these carriers, as bucket and id, the oldest first. Errors: Unavailable."""
    return [(row["bucket"], row["message_id"]) for row in await questions.fetch(_DUE, list(carriers), limit)]


async def take(questions: Questions, bucket: int, number: int, lease: timedelta) -> Message | None:
    """Take one to hand it over; None: somebody else has. Errors: Unavailable."""
    row = await questions.fetchrow(_TAKE, bucket, number, lease)
    return None if row is None else _message(row)


async def came_in(questions: Questions, limit: int) -> list[tuple[int, int]]:
    """What came in and waits for its rule to be carried out. Errors: Unavailable."""
    return [(row["bucket"], row["message_id"]) for row in await questions.fetch(_CAME_IN, limit)]


async def take_in(questions: Questions, bucket: int, number: int, lease: timedelta) -> Message | None:
    """Take one to carry its rule out; None: somebody else has. Errors: Unavailable."""
    row = await questions.fetchrow(_TAKE_IN, bucket, number, lease)
    return None if row is None else _message(row)


async def note_received(questions: Questions, message: Message, problem: str = "") -> None:
    """Its rule is carried out, or never will be for this problem. Errors: Unavailable."""
    await questions.fetch(_RECEIVED, message.bucket, message.number, problem)


async def was_sent_on(questions: Questions, message: Message) -> bool:
    """Whether the same words were sent on from the number that it came to within the hour before it. Errors:
    Unavailable.
    """
    found = await questions.fetchval(_SENT_ON, message.party_id, message.did, message.text, message.number)
    return found is not None


async def put_off(questions: Questions, bucket: int, number: int, problem: str, after: timedelta) -> None:
    """Its carrier is away, and has heard nothing of it. Errors: Unavailable."""
    await questions.fetch(_PUT_OFF, bucket, number, after, problem)


async def left_behind(questions: Questions, waits_at_most: timedelta, limit: int) -> list[tuple[int, int]]:
    """What was taken by somebody who died, or has waited for too long. Errors: Unavailable."""
    return [(row["bucket"], row["message_id"]) for row in await questions.fetch(_LEFT, waits_at_most, limit)]


def _message(row: asyncpg.Record | None) -> Message:
    assert row is not None
    return Message(
        **{
            **row,
            "kind": MessageKind(row["kind"]),
            "direction": Direction(row["direction"]),
            "state": MessageState(row["state"]),
            "offered": tuple(row["offered"]),
        }
    )
