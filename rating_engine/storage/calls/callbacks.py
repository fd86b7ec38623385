"""Callbacks that were asked for: orders to the engine that follows their exchange, and what became of them.

Laws: one is taken once, while who asked still waits for it, or never. What was taken and never answered was left by an
engine that died: its legs are given back by the next one (`left_behind`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import asyncpg

from rating_engine.domain.callback import Callback, CallbackOrder, CallbackOutcome, NewCallback
from rating_engine.domain.outcomes import Claim, DeclineReason
from rating_engine.storage.calls.open_calls import key_from_row
from rating_engine.storage.parties.logins import place_of
from rating_engine.storage.postgres.pool import Questions
from rating_engine.storage.postgres.transaction import Transaction

TAKEN_AT_ONCE: Final = 16  # begun side by side by the engine that leads; the others wait half a second
LEFT_SECONDS: Final = 15.0  # after its time is up: whoever took it has had its answer by then, if it lives
KEPT: Final = "8 days"  # longer than its idempotency key, so that the same again is told the same

_ORDER: Final = "callback_id, exchange, uniqueid, login, first_number, second_number, callerid, pitch, sound"
_ASK: Final = """
    INSERT INTO callbacks (exchange, uniqueid, login, first_number, second_number, callerid, pitch, party, expires_at,
                           sound)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, now() + make_interval(secs => $9), $10) RETURNING callback_id"""
_SWEEP: Final = f"DELETE FROM callbacks WHERE expires_at < now() - interval '{KEPT}'"  # noqa: S608  # a constant
_TAKE: Final = f"""
    UPDATE callbacks SET taken_at = now() WHERE callback_id IN (
        SELECT callback_id FROM callbacks
        WHERE exchange = ANY ($1) AND outcome IS NULL AND taken_at IS NULL AND expires_at > now()
        ORDER BY callback_id LIMIT $2 FOR UPDATE SKIP LOCKED)
    RETURNING {_ORDER}"""  # noqa: S608  # a constant
_LEFT: Final = f"""
    SELECT {_ORDER} FROM callbacks WHERE outcome IS NULL AND expires_at < now() - make_interval(secs => $1)
    ORDER BY callback_id LIMIT $2"""  # noqa: S608  # a constant
_ANSWER: Final = (
    "UPDATE callbacks SET outcome = $2, reason = $3, detail = $4 WHERE callback_id = $1 AND outcome IS NULL"
)
_OUTCOME: Final = "SELECT outcome, reason, detail FROM callbacks WHERE callback_id = $1"
_HELD: Final = """
    SELECT call_key, attempt, account_id, claims FROM open_calls
    WHERE bucket = $1 AND call_key = ANY ($2) AND cardinality(claims) = 1"""
_OF_CARD: Final = """
    SELECT DISTINCT c.callback_cid
    FROM logins l JOIN subscribers s ON s.bucket = l.bucket AND s.login = l.login
    JOIN sim_cards c ON c.party_id = s.party_id AND c.line IN ('', s.login)
    WHERE l.login = $1 AND c.enabled AND c.callback_cid ~ '^[+]?[0-9]{1,32}$' LIMIT 2"""
_OWN: Final = """
    SELECT EXISTS (
        SELECT FROM subscribers mine
        JOIN subscribers s ON s.bucket = mine.bucket AND (s.subscriber_id = mine.subscriber_id
            OR s.party_id = mine.party_id AND mine.party_id <> $4)
        WHERE mine.bucket = $1 AND mine.subscriber_id = $2
          AND $3 IN (regexp_replace(s.callerid, '[^0-9]', '', 'g'), s.login))"""


async def ask_for(tx: Transaction, new: NewCallback, exchange: str, uniqueid: str, *, seconds: float) -> int:
    """Order a callback, to be begun within so many seconds; its id. Errors: Unavailable."""
    await tx.execute(_SWEEP)
    callback_id: int = await tx.fetchval(
        _ASK,
        *(
            exchange,
            uniqueid,
            new.login,
            new.first,
            new.second,
            new.callerid,
            new.pitch,
            tx.principal.party,
            seconds,
            new.sound,
        ),
    )
    return callback_id


async def take(database: Questions, exchanges: Sequence[str]) -> list[CallbackOrder]:
    """Callbacks that wait for these exchanges, TAKEN_AT_ONCE at the most: now nobody else's. Errors: Unavailable."""
    return [_order(row) for row in await database.fetch(_TAKE, list(exchanges), TAKEN_AT_ONCE)]


async def left_behind(database: Questions) -> list[CallbackOrder]:
    """Those that nobody has answered, and nobody will. Errors: Unavailable."""
    return [_order(row) for row in await database.fetch(_LEFT, LEFT_SECONDS, TAKEN_AT_ONCE)]


async def answer_callback(database: Questions, order: CallbackOrder, callback: Callback) -> None:
    """Say what became of it, unless it was said. Errors: Unavailable."""
    await database.fetch(_ANSWER, order.callback_id, callback.outcome, callback.reason or "", callback.detail)


async def callback_of(database: Questions, callback_id: int) -> Callback | None:
    """What became of it; None: nobody has said yet. Errors: Unavailable."""
    row = await database.fetchrow(_OUTCOME, callback_id)
    if row is None or row["outcome"] is None:
        return None
    reason = DeclineReason(row["reason"]) if row["reason"] else None
    return Callback(CallbackOutcome(row["outcome"]), reason, row["detail"])


async def unheard_legs(database: Questions, order: CallbackOrder) -> list[Claim]:
    """The legs that are held and that the exchange has not asked for. Errors: NotFound (the login), Unavailable."""
    bucket = (await place_of(database, order.login)).bucket
    rows = await database.fetch(_HELD, bucket, [str(key) for key, _ in order.legs])
    told = [row for row in rows if row["claims"][0] is not None]
    return [Claim(key_from_row(row), bucket, row["account_id"], row["claims"][0]) for row in told]


async def callerid_of_card(questions: Questions, login: str) -> str | None:
    """What the SIM card of a line has its callbacks shown as; None: nothing, or several cards say several things.

    Errors: Unavailable.
    """
    found = [row["callback_cid"] for row in await questions.fetch(_OF_CARD, login)]
    return found[0] if len(found) == 1 else None


async def is_own_number(database: Questions, login: str, number: str, *, nobody: int) -> bool:
    """Whether a number is the login or caller id of a line of the same user. `nobody`: the party that is no user.

    Errors: NotFound (the login), Unavailable.
    """
    place = await place_of(database, login)
    own: bool = await database.fetchval(_OWN, place.bucket, place.subscriber_id, number.lstrip("+"), nobody)
    return own


def _order(row: asyncpg.Record) -> CallbackOrder:
    return CallbackOrder(*row)
