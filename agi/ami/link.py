"""An exchange, followed over AMI: connected again and again, its events heard, its calls steered.

Laws: silence is found out within seconds, by pings that must be answered. An action is sent once, on the connection
that is there, or fails.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import deque
from collections.abc import Callable
from typing import Final

import structlog

from agi.ami.address import AmiAddress
from agi.ami.clock import ExchangeClock
from agi.ami.connection import AmiConnection, Message, Refused
from agi.ami.contacts import ContactBook
from agi.ami.security import failed_login
from agi.ami.tracker import ChannelTracker
from rating_engine.domain.callback import CallbackOrder
from rating_engine.domain.errors import Unavailable
from rating_engine.domain.phone_state import HeardPhone
from rating_engine.domain.watching import FailedLogin, LiveChannel, SeenCall

BACKOFF_FIRST_SECONDS: Final = 0.25
BACKOFF_MAX_SECONDS: Final = 10.0  # an exchange that is back is followed again within this
REFUSED_SECONDS: Final = 30.0  # a wrong secret is for a person to mend, and Asterisk logs each try
PING_SECONDS: Final = 2.0
LEAST_SECONDS: Final = 0.05  # Asterisk takes 0 as a missing value; the call ends as good as now
WARNING_CONTEXT: Final = "rating-warning"  # of config/asterisk/extensions.conf
WARNING_TIMEOUT_MS: Final = 3_000
CALLBACK_CONTEXT: Final = "rating-callback"  # of config/asterisk/callback.conf, and the next
CALLBACK_ASK_CONTEXT: Final = "rating-callback-ask"
VOICE_CONTEXT: Final = "rating-voice"
CALLBACK_FIRST_CONTEXT: Final = "rating-callback-first"
CALLBACK_SECONDS: Final = 5.0  # one question to an engine, which is answered in milliseconds
PITCHES: Final = ("lowest", "lower", "low", "high", "higher", "highest")  # PITCH_SHIFT's words
ANSWERED_AT: Final = "SHARED(RATING_ANSWERED_AT)"  # noted by the shipped dialplan: milliseconds of the exchange's clock
TRUNK: Final = "SHARED(RATING_TRUNK)"
MAX_SECONDS: Final = "RATING_MAX_SECONDS"
FAILED_KEPT: Final = 10_000  # logins that failed, fetched every second; who guesses faster is banned all the same
REGISTRATIONS: Final = "PJSIPShowRegistrationInboundContactStatuses"  # needs `system`
GONE: Final = "no such channel"
DENIED: Final = "permission denied"
NOBODY: Final = "rating-engine/nobody"  # no channel has such a name

_log = structlog.get_logger(__name__)


class AmiLink:
    """An `ExchangeLink` (rating_engine.services.watch.exchange_link) over AMI. `warning_sound`: a sound file."""

    def __init__(self, address: AmiAddress, *, warning_sound: str = "beep") -> None:
        self._address = address
        self._warning_sound = warning_sound
        self._tracker = ChannelTracker()
        self._clock = ExchangeClock()
        self._contacts = ContactBook()
        self._connection: AmiConnection | None = None
        self._sessions = 0
        self._failed_logins: deque[FailedLogin] = deque(maxlen=FAILED_KEPT)
        self._connected_at = time.monotonic()
        self._heard_at: float | None = None  # the exchange, whatever it said
        self._heard_until: float | None = None  # the same, of the connection before this one

    @property
    def exchange(self) -> str:
        """Its name: the first part of the keys of its calls."""
        return self._address.exchange

    @property
    def session(self) -> int:
        """Counts the connections made; 0 while there is none."""
        return self._sessions if self._connection is not None else 0

    @property
    def connected_at(self) -> float:
        """The moment since which its events are heard."""
        return self._connected_at

    async def run(self) -> None:
        """Connect, and again whenever the connection is lost, until cancelled."""
        backoff = BACKOFF_FIRST_SECONDS
        while True:
            connection = AmiConnection(self._address, self._heard)
            try:
                await connection.open()
                backoff = BACKOFF_FIRST_SECONDS
                await self._follow(connection)
            except Refused as error:
                _log.error("ami_refused", exchange=self.exchange, error=str(error))
                backoff = REFUSED_SECONDS
            except (OSError, Unavailable) as error:
                _log.warning("ami_lost", exchange=self.exchange, error=str(error) or type(error).__name__)
            finally:
                self._connection = None
                connection.close()
            await asyncio.sleep(backoff * random.uniform(0.5, 1.0))  # engines don't come all at once
            backoff = min(backoff * 2, BACKOFF_MAX_SECONDS)

    async def _follow(self, connection: AmiConnection) -> None:
        """Ping until the connection is lost; raises Unavailable then. Refused: we may not steer calls."""
        await self._ping(connection)  # the clock is known before the first call is looked at
        await self._expect_allowed(connection)
        self._sessions += 1
        self._heard_until = self._heard_at
        self._heard_at = time.monotonic()
        self._connected_at = time.monotonic()
        self._connection = connection
        _log.info("ami_connected", exchange=self.exchange, session=self._sessions)
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(connection.lost.wait(), PING_SECONDS)
                raise Unavailable("the connection was lost")
            await self._ping(connection)

    async def _expect_allowed(self, connection: AmiConnection) -> None:
        """Only an exchange whose calls can be steered is watched: else its calls would be cut after one slice.

        Asked by the action that steers them; Hangup, which needs the same, leaves a NOTICE in Asterisk's log.
        """
        answer = await connection.ask("AbsoluteTimeout", Channel=NOBODY, Timeout="1")
        if DENIED in str(answer.get("Message", "")).lower():
            raise Refused(f"{self.exchange}: may not end or lengthen calls: manager.conf needs write = call,reporting")

    async def _ping(self, connection: AmiConnection) -> None:
        asked = time.monotonic()
        answer = await connection.ask("Ping")
        if connection is self._connection:
            self._heard_at = time.monotonic()
        theirs = _number(answer.get("Timestamp"))
        if theirs is not None:
            self._clock.learn(asked, time.monotonic(), theirs)

    def seen(self, uniqueid: str) -> SeenCall | None:
        """What was seen of a channel; None: nothing."""
        return self._tracker.seen(uniqueid)

    @property
    def rings_lines(self) -> bool:
        """The dialplan rates both legs of a callback."""
        return False

    def steers(self, uniqueid: str) -> bool:
        """Every call that is seen."""
        return True

    def take_answers(self) -> list[SeenCall]:
        """The calls whose called party has answered since this was asked last."""
        return self._tracker.take_answers()

    def take_ends(self) -> list[SeenCall]:
        """The conversations whose answer and end were both heard, that have ended since this was asked last."""
        return self._tracker.take_ends()

    def take_failed_logins(self) -> list[FailedLogin]:
        """Who could not log in since this was asked last; of very many the latest."""
        failed = list(self._failed_logins)
        self._failed_logins.clear()
        return failed

    async def list_channels(self) -> list[LiveChannel]:
        """Every channel that lives, the whole list or Unavailable."""
        asked = time.monotonic()
        events = await self._there().ask_list("CoreShowChannels")
        channels = [
            LiveChannel(str(event.get("Uniqueid", "")), str(event.get("Channel", "")), str(event.get("BridgeId", "")))
            for event in events
        ]
        self._tracker.compare(channels, asked, self._heard_until)
        return channels

    def take_phones(self) -> list[HeardPhone]:
        """The phones whose registration has changed since this or the list was asked for last."""
        return self._contacts.take_changes()

    async def list_phones(self) -> list[HeardPhone]:
        """Every phone that is registered, the whole list or Unavailable; so also without PJSIP or `system`."""
        connection = self._there()
        self._contacts.ask()
        rows = await connection.ask_list(REGISTRATIONS)
        if connection is not self._connection:
            raise Unavailable(f"{self.exchange}: the connection was lost")
        self._contacts.read(rows)
        return self._contacts.phones()

    async def read_answer(self, channel: str) -> tuple[float, str] | None:
        """When a caller's call was answered, and by which channel, as the shipped dialplan noted it; None: nothing."""
        connection = self._there()
        answered, trunk = [
            str((await connection.ask("Getvar", Channel=channel, Variable=name)).get("Value", "") or "")
            for name in (ANSWERED_AT, TRUNK)
        ]
        milliseconds = _number(answered)
        if milliseconds is None or not trunk:
            return None
        moment = self._clock.moment(milliseconds / 1000, time.monotonic())
        return None if moment is None else (moment, trunk)

    async def set_limit(self, caller: str, called: str, *, seconds_left: float, max_seconds: int) -> bool:
        """Let the called channel be cut so many seconds from now, and tell the dialplan; False: the call has ended."""
        left = f"{max(seconds_left, LEAST_SECONDS):.3f}"
        if not await self._act("AbsoluteTimeout", Channel=called, Timeout=left):
            return False
        await self._act("Setvar", Channel=caller, Variable=MAX_SECONDS, Value=str(max_seconds))
        return True

    async def hang_up(self, channel: str) -> bool:
        """End a call; False: it has ended already."""
        return await self._act("Hangup", Channel=channel, Cause="16")

    async def call_back(self, order: CallbackOrder, callerid: str) -> bool:
        """Originate both halves of the shipped callback, under names of ours; the second answers when it is held."""
        variables = {
            "RATING_CALLBACK_LOGIN": order.login,
            "RATING_CALLBACK_NAMED": "1",
            "RATING_CALLBACK_CALLERID": callerid,
            "RATING_VOICE_SOUND": order.sound,
            "RATING_CALLBACK_PITCH": "" if order.pitch is None else PITCHES[order.pitch - 1],
        }
        asked = f"{order.second}@{CALLBACK_CONTEXT}" if order.second else f"s@{CALLBACK_ASK_CONTEXT}"
        other_half = f"s@{VOICE_CONTEXT}" if order.sound else asked
        answer = await self._there().ask_and_hear(
            "Originate",
            CALLBACK_SECONDS,
            Channel=f"Local/{other_half}/n",
            Context=CALLBACK_FIRST_CONTEXT,
            Exten=order.first,
            Priority="1",
            Timeout=str(int(CALLBACK_SECONDS * 1000)),
            ChannelId=f"{order.uniqueid}1",
            OtherChannelId=f"{order.uniqueid}2",
            Variable=",".join(f"__{name}={value}" for name, value in variables.items()),
            Async="true",
        )
        return str(answer.get("Response", "")).lower() == "success"

    async def warn(self, channel: str) -> None:
        """Whisper the warning to the caller: the other side does not hear it."""
        await self._act(
            "Originate",
            Channel=f"Local/s@{WARNING_CONTEXT}/n",
            Application="ChanSpy",
            Data=f"{channel},uqWES",
            Variable=f"__RATING_WARNING_SOUND={self._warning_sound}",
            Timeout=str(WARNING_TIMEOUT_MS),
            Async="true",
        )

    async def _act(self, action: str, **fields: str) -> bool:
        """Whether it was done; False: there is no such channel. Errors: Unavailable, also when it is not allowed."""
        answer = await self._there().ask(action, **fields)
        if str(answer.get("Response", "")).lower() == "success":
            return True
        message = str(answer.get("Message", ""))
        if GONE in message.lower():
            return False
        raise Unavailable(f"{self.exchange}: {action}: {message}")

    def _there(self) -> AmiConnection:
        if self._connection is None:
            raise Unavailable(f"{self.exchange}: not connected")
        return self._connection

    def _heard(self, event: Message) -> None:
        now = self._heard_at = time.monotonic()
        theirs = _number(event.get("Timestamp"))  # where manager.conf says timestampevents=yes
        at = None if theirs is None else self._clock.moment(theirs, now)
        self._tracker.feed(event, now if at is None else at)
        self._contacts.feed(event)
        if (failed := failed_login(event)) is not None:
            self._failed_logins.append(failed)


def links_to(addresses: list[AmiAddress], *, warning_sound: str) -> Callable[[], list[AmiLink]]:
    """Makes fresh links to these exchanges."""
    return lambda: [AmiLink(address, warning_sound=warning_sound) for address in addresses]


def _number(value: object) -> float | None:
    """A time as Asterisk writes it; None where it is none."""
    try:
        number = float(str(value))
    except ValueError:
        return None
    return number if 0 < number < float("inf") else None
