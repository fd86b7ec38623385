"""Transfers: sent, given and ended by the money functions of schema.sql.

Law: what is taken is given or given back, once, whoever dies in between: each step may be asked again. Two accounts of
one bucket change in one transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import asyncpg

from rating_engine.domain.errors import AccountClosed, AlreadyExists, InvalidRequest, NotFound
from rating_engine.domain.transfer import InsufficientMoney, Order, TransfersLimited, TransfersLocked, TransferState
from rating_engine.rating.money import format_amount
from rating_engine.storage.audit_log import Note
from rating_engine.storage.finance.purses import Purse
from rating_engine.storage.postgres.pool import Database

_SEND: Final = "SELECT send_transfer_v1($1, $2, $3)"
_RECEIVE: Final = "SELECT receive_transfer_v1($1, $2, $3, $4, $5)"
_SET: Final = "SELECT set_balance_v1($1, $2, $3, $4, $5)"
_FINISH: Final = "SELECT finish_transfer_v1($1, $2, $3)"
_WAY: Final = "bucket, transfer_id, to_bucket, to_account_id, amount_to, subject"
_ONE: Final = f"SELECT {_WAY} FROM transfers WHERE bucket = $1 AND transfer_id = $2"  # noqa: S608  # a constant
_LATE: Final = f"""
    SELECT {_WAY} FROM transfers WHERE state = 'sent' AND sent_at <= now() - make_interval(secs => $1)
    ORDER BY sent_at LIMIT $2"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class Sent:
    """How a transfer stands after its first step."""

    transfer_id: int
    amount: Decimal
    fee: Decimal
    amount_to: Decimal
    state: TransferState
    repeated: bool


@dataclass(frozen=True, slots=True)
class OnItsWay:
    """A transfer that was taken from its sender and not yet ended."""

    bucket: int
    transfer_id: int
    to_bucket: int
    to_account_id: int
    amount_to: Decimal
    subject: str


async def send(
    database: Database, sender: Purse, receiver: Purse, order: Order, fee: Decimal, rate: Decimal, note: Note
) -> Sent:
    """The first step: the money is taken, and in one bucket given.

    Errors: InsufficientMoney, TransfersLocked, TransfersLimited, AccountClosed, AlreadyExists (the reference was used
    otherwise), InvalidRequest (too little for a conversion, more than a balance can be, to itself), Unavailable.
    """
    asked = (sender.account_id, receiver.bucket, receiver.account_id, order.amount, fee, rate, int(order.least),
             order.reference, order.comment)  # fmt: skip
    try:
        answer = await database.fetchval(_SEND, sender.bucket, asked, note)
    except asyncpg.NumericValueOutOfRangeError:
        raise InvalidRequest("amount", "makes the balance more than it can be") from None
    if answer["outcome"] not in ("done", "sent", "repeated"):
        raise _refusal(answer, order, sender.currency)
    return Sent(
        answer["transfer_id"], answer["amount"], answer["fee"], answer["amount_to"], TransferState(answer["state"]),
        answer["outcome"] == "repeated",
    )  # fmt: skip


async def set_balance(database: Database, purse: Purse, balance: Decimal, reason: str, note: Note) -> None:
    """An adjustment of the difference, up or down. Errors: InsufficientMoney (calls hold it), InvalidRequest."""
    try:
        answer = await database.fetchval(_SET, purse.bucket, purse.account_id, balance, reason, note)
    except asyncpg.NumericValueOutOfRangeError:
        raise InvalidRequest("balance", "is more than a balance can be") from None
    if answer["outcome"] == "not_there":
        raise InsufficientMoney("is less than calls hold, and what credit there is", field="balance")


async def carry_on(database: Database, bucket: int, transfer_id: int) -> TransferState:
    """Give what was sent, and say so; what was ended stays ended. Errors: Unavailable."""
    row = await database.fetchrow(_ONE, bucket, transfer_id)
    assert row is not None
    return await deliver(database, OnItsWay(**dict(row)))


async def deliver(database: Database, way: OnItsWay) -> TransferState:
    """The same of one that was read. Errors: Unavailable."""
    told = await database.fetchval(
        _RECEIVE, way.to_bucket, way.to_account_id, way.transfer_id, way.amount_to, way.subject
    )  # fmt: skip
    return TransferState(await database.fetchval(_FINISH, way.bucket, way.transfer_id, told == "given"))


async def late_transfers(database: Database, *, seconds: float, limit: int) -> list[OnItsWay]:
    """Those that have been on their way for so long, the oldest first. Errors: Unavailable."""
    return [OnItsWay(**dict(row)) for row in await database.fetch(_LATE, seconds, limit)]


def _refusal(answer: Any, order: Order, currency: str) -> Exception:
    match answer["outcome"]:
        case "not_there":
            there = f"{format_amount(answer['available'])} {currency}"
            return InsufficientMoney(f"{there} can be sent: calls keep what they hold", field="amount")
        case "locked":
            return TransfersLocked("refill_allowed of one of the two accounts is 0: no money moves but by calls")
        case "limited":
            return TransfersLimited("refill_allowed of one of the two accounts is 1: money moves by codes and payments")
        case "closed":
            return AccountClosed("one of the two accounts was closed")
        case "conflict":
            return AlreadyExists(f"reference {order.reference!r} was used for another transfer", field="reference")
        case "same":
            return InvalidRequest("destination", "is the account that pays")
        case "too_small":
            return InvalidRequest("amount", "is too small: nothing comes of it in the other currency")
        case _:
            return NotFound("there is no such account", field="account")
