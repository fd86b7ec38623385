"""Spoken messages: a number is called by an exchange, at the price of a call of the line, and hears a text or a file.

Laws: who has no money for the call, or no rate for the number, is told before anything is said or fetched; the money is
held before the exchange is asked to call, as of a callback; a file comes from hosts of the settings alone.
"""

from __future__ import annotations

from typing import Final, Protocol

from rating_engine.domain.callback import CallbackOutcome, NewCallback
from rating_engine.domain.checks import check_long_text
from rating_engine.domain.errors import RatingEngineError
from rating_engine.domain.message import Direction, Message, MessageDeclined, MessageKind, MessageState, NewMessage
from rating_engine.domain.outcomes import CallKey, Declined, PrepareCall
from rating_engine.domain.principal import Principal
from rating_engine.services.messaging.senders import sender_for
from rating_engine.services.support.speech import DEFAULT_LANGUAGE, MAX_SPOKEN, Speaker
from rating_engine.services.watch.callbacks import Callbacks, CallQuestions
from rating_engine.storage.audit_log import record
from rating_engine.storage.messages import messages as store
from rating_engine.storage.messages.lines import sending_line
from rating_engine.storage.postgres.pool import Database

TRIAL: Final = CallKey("voice", "voice")  # of no exchange: whether the call may be made, and nothing is held for it
URLS: Final = ("http://", "https://")


class CallFailed(RatingEngineError):
    """The exchange refuses, is away, or none is followed."""

    code = "call_failed"


class Sounds(Protocol):
    """Sound files that exchanges can play."""

    async def fetched(self, url: str) -> bytes:
        """A WAV file by its URL. Errors: InvalidRequest, FileNotFetched."""

    async def keep(self, sound: bytes) -> str:
        """Its name in the directory that exchanges read. Errors: SpeechFailed, InvalidRequest."""


class VoiceMessages:
    """What one principal has said to numbers."""

    def __init__(self, database: Database, principal: Principal, speaker: Speaker, sounds: Sounds) -> None:
        self._database = database
        self._principal = principal
        self._speaker = speaker
        self._sounds = sounds

    async def send(
        self, new: NewMessage, asking: CallQuestions, *, language: str = "", exchange: str | None = None
    ) -> Message:
        """Have a number called that hears `new.text`, or the WAV file that it is the URL of; the call has begun then.

        `exchange`: the one that is wanted. Errors: MessageDeclined (the call may not be made), SpeechFailed,
        InvalidRequest (text), FileNotFetched, CallFailed, InvalidSender, NotYours (the sender), NotFound (the login),
        Unavailable.
        """
        line = await sending_line(self._database, new.login)
        sender = await sender_for(self._database, self._principal, line, new.sender)
        may_call = await asking.balance(new.login, PrepareCall(TRIAL, new.login, new.recipient, new.sender))
        if isinstance(may_call, Declined):
            raise MessageDeclined(may_call.reason, may_call.detail)
        sound = await self._sounds.keep(await self._sound(new.text, language))
        order = NewCallback(new.login, new.recipient, "", new.sender, exchange=exchange, sound=sound)
        begun = await Callbacks(self._database, self._principal).begin(order, asking)
        if begun.reason is not None:
            raise MessageDeclined(begun.reason, begun.detail)
        if begun.outcome is not CallbackOutcome.STARTED:
            raise CallFailed(begun.detail or begun.outcome)
        async with self._database.transaction(self._principal) as tx:
            sent = await store.add(
                tx,
                line.bucket,
                store.FreeMessage(
                    MessageKind.VOICE, Direction.OUT, MessageState.SENT, line.party_id, line.login, sender,
                    new.recipient, new.text,
                ),
            )  # fmt: skip
            await record(tx, "message.voice", line.login, {"to": new.recipient})
        assert sent is not None
        return sent

    async def _sound(self, text: str, language: str) -> bytes:
        if text.lower().startswith(URLS):
            return await self._sounds.fetched(text)
        check_long_text(text, "text", MAX_SPOKEN)
        return await self._speaker.speak(text, language or DEFAULT_LANGUAGE)
