"""Messages that come in to numbers of ours: kept first, and then done with as the rules of the number say.

Laws: a message that was taken is its owner's, whatever becomes of its rule; a rule is carried out by one engine at a
time, again where that died or what it needs was away, and an SMS that it sends on is one, however often that is. What
comes back from a number of ours, as it was sent on, is not sent on again: numbers that forward to each other would
do so until their money is gone.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta, timezone
from typing import Final, Protocol
from urllib.parse import urlencode

import structlog

from rating_engine.domain.call_rules import CallRule, Policy, SmsAction, digits_of, message_rule
from rating_engine.domain.errors import InvalidRequest, NotFound, RatingEngineError
from rating_engine.domain.message import (
    Direction,
    InvalidRecipient,
    Message,
    MessageDeclined,
    MessageKind,
    MessageState,
    NewMessage,
    check_text,
    is_number,
)
from rating_engine.domain.number_lists import ListSide
from rating_engine.domain.outcomes import DeclineReason
from rating_engine.domain.principal import ENGINE, Principal
from rating_engine.services.calls.ports import Now
from rating_engine.services.messaging.carriers import Carriers
from rating_engine.services.messaging.messages import Messages
from rating_engine.services.messaging.sip_messages import hand_to_phone
from rating_engine.services.phones.queries import AskExchange
from rating_engine.storage.messages import messages as store
from rating_engine.storage.numbers.call_rules import rules_at
from rating_engine.storage.numbers.dids import find_did
from rating_engine.storage.numbers.number_pools import refusal_by_list
from rating_engine.storage.numbers.rents import payer_of
from rating_engine.storage.parties.parties import find_party
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.support.outbox import queue_for_party

BATCH: Final = 20  # rules carried out side by side in one turn
LEASE: Final = timedelta(seconds=90)  # more than any of them takes: a carrier 45 s, a telephone 10, a URL 10
AGAIN: Final = timedelta(seconds=20)  # after the first failure; then twice as long each time
MAX_ATTEMPTS: Final = 8  # the last one 40 minutes after the first: later a message is old
COMES_BACK: Final = "it comes back from a number that forwards to this one, and is not sent on again"
MAX_SENDER: Final = 40  # characters, as of a caller id

_log = structlog.get_logger(__name__)


class Poster(Protocol):
    """What sends over HTTP to addresses that users name."""

    async def post(self, url: str, body: bytes, headers: dict[str, str]) -> None:
        """Raises Exception where it is not taken."""


class IncomingMessages:
    """What one principal, a carrier's key, brings in."""

    def __init__(self, database: Database, principal: Principal, now: Now) -> None:
        self._database = database
        self._principal = principal
        self._now = now

    async def receive(
        self, sender: str, recipient: str, text: str, *, carrier: str = "", reference: str | None = None
    ) -> Message | None:
        """Take a message for the owner of the number; None: it was taken before, by this reference of its carrier.

        Errors: InvalidRequest naming the field, InvalidRecipient, NotFound (the number is none of ours),
        MessageDeclined (it is switched off or not paid for; its rules reject the sender), Unavailable.
        """
        check_text(text)
        number, came_from = digits_of(recipient), _sender(sender)
        if not number:
            raise InvalidRecipient("to", "must be a number")
        did = await find_did(self._database, number)
        now = self._now()
        if not did.takes_calls(now) or did.party_id is None:
            raise MessageDeclined(DeclineReason.NUMBER_CLOSED, f"{number} takes no messages")
        rule = await _rule_of(self._database, number, did.party_id, came_from, self._now)
        if rule is not None and rule.policy is Policy.REJECT:
            raise MessageDeclined(DeclineReason.SOURCE_REJECTED, f"{number} takes none from there")
        refused = await refusal_by_list(self._database, did.party_id, ListSide.SOURCE, came_from)
        if refused is not None:
            raise MessageDeclined(refused, f"{number} takes none from there")
        payer = await payer_of(self._database, did.party_id, did.line)
        state = MessageState.RECEIVED if rule is None else MessageState.QUEUED
        new = store.FreeMessage(
            MessageKind.SMS, Direction.IN, state, did.party_id, payer.login if payer else "", came_from, number, text,
            did=number, carrier=carrier, reference=None if reference is None else f"in:{carrier}:{reference}"[:200],
        )  # fmt: skip
        return await store.add(self._database, payer.bucket if payer else 0, new)


class MessageRules:
    """One engine's part in carrying rules out."""

    def __init__(self, database: Database, carriers: Carriers, ask: AskExchange, poster: Poster, now: Now) -> None:
        self._database = database
        self._ask = ask
        self._poster = poster
        self._now = now
        self._messages = Messages(database, ENGINE, carriers, now)

    async def turn(self) -> int:
        """Carry out what waits; how many. Errors: Unavailable."""
        waiting = await store.came_in(self._database, BATCH)
        await asyncio.gather(*(self._take(bucket, number) for bucket, number in waiting))
        return len(waiting)

    async def _take(self, bucket: int, number: int) -> None:
        message = await store.take_in(self._database, bucket, number, LEASE)
        if message is None:
            return
        try:
            problem = await self._carry_out(message)
        except RatingEngineError as error:
            await self._failed(message, str(error))
        except Exception as error:  # of what posts: each has its own
            await self._failed(message, f"{type(error).__name__}: {error}"[:200])
        else:
            await store.note_received(self._database, message, problem)

    async def _failed(self, message: Message, problem: str) -> None:
        _log.warning("message_rule_failed", message=message.number, problem=problem, attempts=message.attempts)
        if message.attempts >= MAX_ATTEMPTS:
            await store.note_received(self._database, message, problem)
        else:
            after = AGAIN * 2 ** (message.attempts - 1)
            await store.put_off(self._database, message.bucket, message.number, problem, after)

    async def _carry_out(self, message: Message) -> str:
        """Answers why nothing is to be done, however often it is tried; '': it is done."""
        rule = await _rule_of(self._database, message.did, message.party_id, message.sender, self._now)
        if rule is None or rule.policy is Policy.REJECT:
            return ""  # it was changed meanwhile
        match SmsAction(rule.sms_action):
            case SmsAction.MAIL:
                await self._mail(message, rule)
            case SmsAction.FORWARD:
                if await self._comes_back(message):
                    return COMES_BACK
                onward = NewMessage(
                    message.login, rule.sms_destination, message.text, message.did, f"forward:{message.number}"
                )
                await self._messages.send(onward)
            case SmsAction.INTERNAL:
                line = rule.sms_destination or message.login
                await hand_to_phone(self._database, self._ask, line, message.sender, message.text)
            case SmsAction.HTTP:
                await self._post(message, rule)
        return ""

    async def _comes_back(self, message: Message) -> bool:
        """Whether it came from a number of ours, and was sent on just so within the last hour."""
        try:
            await find_did(self._database, message.sender)
        except NotFound:
            return False
        return await store.was_sent_on(self._database, message)

    async def _mail(self, message: Message, rule: CallRule) -> None:
        async with self._database.transaction(ENGINE) as tx:
            subject = f"SMS from {message.sender or 'anonymous'} to {message.did}"
            there = await queue_for_party(
                tx, message.party_id, rule.sms_destination, subject=subject, body=message.text
            )
        if not there:
            raise InvalidRequest("sms_destination", "the owner has no address")

    async def _post(self, message: Message, rule: CallRule) -> None:
        form = {"id": message.number, "from": message.sender, "to": message.did, "text": message.text}
        headers = {"content-type": "application/x-www-form-urlencoded"}
        await self._poster.post(rule.sms_destination, urlencode(form).encode(), headers)


async def _rule_of(database: Database, number: str, party_id: int, sender: str, now: Now) -> CallRule | None:
    rules = await rules_at(database, number, party_id)
    if not rules:
        return None
    owner = await find_party(database, party_id)
    return message_rule(rules, sender, now().astimezone(timezone(timedelta(minutes=owner.utc_offset))))


def _sender(text: str) -> str:
    """Digits of a number, or the name as it is; '' where none is shown. Raises InvalidRequest (from)."""
    digits = digits_of(text)
    if is_number(digits) and not any(letter.isalpha() for letter in text):
        return digits
    if len(text) > MAX_SENDER or not text.isprintable():
        raise InvalidRequest("from", f"must have {MAX_SENDER} characters at the most")
    return text.strip()
