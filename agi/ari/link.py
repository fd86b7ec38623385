"""An exchange, steered over its REST interface from one seat: connected again and again, and looked at anew each time.

Laws: nobody steers without the seat: who is told that another has it lets go first. What was told while nobody listened
is found by a look at the exchange before anything that is told since is believed. A seat's failure is its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, Protocol

import structlog

from agi.ari.address import AriAddress
from agi.ari.app import AriApp, AriObserver
from agi.ari.call import Call, CallRules, Granted, HangUpAsked, Phase, Then, leg_of
from agi.ari.commands import HangUp, Play, SetLimit
from agi.ari.connection import Answered, AriConnection, Message, Refused
from agi.ari.events import UP, Entered, SeatTaken, moment_in, read
from agi.ari.exchange_book import (
    AnyCall,
    ExchangeBook,
    LegFacts,
    LiveChannel,
    Ordered,
    Snapshot,
    needs_facts,
    resync,
)
from agi.ari.further_calls import callers_limit, own_telephone
from agi.ari.requests import LIMIT, Request, event_filter, is_other_limit, requests_of, variable
from agi.ari.versions import OLDEST, QUIET_TRANSFERS, TRANSFERS, has, version_of
from rating_engine.domain import watching
from rating_engine.domain.callback import CallbackOrder
from rating_engine.domain.errors import Unavailable
from rating_engine.domain.outcomes import CallKey
from rating_engine.domain.phone_state import HeardPhone
from rating_engine.domain.watching import FailedLogin, SeenCall
from rating_engine.services.calls.ports import ChargingService, Now
from rating_engine.services.watch.callbacks import ORIGIN

BACKOFF_FIRST_SECONDS: Final = 0.25
BACKOFF_MAX_SECONDS: Final = 5.0  # an exchange that is back is steered again within this
REFUSED_SECONDS: Final = 30.0  # a wrong secret is for a person to mend, and Asterisk logs each try
PING_SECONDS: Final = 2.0
COMMAND_CONNECTIONS: Final = 4  # one stuck channel stops the requests behind it on its connection
EVENTS_KEPT: Final = 10_000  # not yet looked at; beyond it the connection is given up, and the exchange looked at anew
ENDS_KEPT: Final = 10_000  # conversations that have ended, for who compares
ASKED_AT_ONCE: Final = 32
PITCHES: Final = ("lowest", "lower", "low", "high", "higher", "highest")  # PITCH_SHIFT's words
_PINGED: Final = Request("GET", "asterisk/ping")

_log = structlog.get_logger(__name__)


class SeatLost(Unavailable):
    """Another engine has opened the application: it has the seat."""


class LinkObserver(AriObserver, Protocol):
    """Where the figures go (telemetry)."""

    def ari_connected(self, exchange: str, seat: int, connected: bool) -> None:
        """The seat is steered from here, or is no more."""

    def ari_resynced(self, why: str, adopted: int, orphans: int) -> None:
        """The exchange was looked at: so many calls of others go on here, so many channels of nobody were ended."""

    def ari_limit_mismatch(self) -> None:
        """An exchange has another limit than it was told."""

    def ari_calls(self, exchange: str, seat: int, phases: Mapping[str, int]) -> None:
        """So many calls are in each phase."""


class AriLink:
    """An `ExchangeLink` (rating_engine.services.watch.exchange_link) over ARI, for the calls of one seat.

    Where the protocol says `channel`, here it is a call's uniqueid: which of its channels is meant, the call knows.
    """

    def __init__(
        self,
        address: AriAddress,
        seat: int,
        rules: CallRules,
        charging: ChargingService,
        *,
        granted: Callable[[], Awaitable[Mapping[CallKey, int]]],
        observer: LinkObserver,
        now: Now,
        warning_sound: str = "beep",
    ) -> None:
        """`granted`: the seconds that each open call of the exchange may last."""
        self._address, self._seat = address, seat
        self.application = f"rating-{seat}"
        self._observer = observer
        self._granted = granted
        self._warning_sound = warning_sound
        self._transfers = rules.transfers
        self._book = ExchangeBook(address.exchange, rules)
        self._app = AriApp(self._book, self.application, charging, observer=observer, now=now)
        self._sessions = 0
        self._is_up, self._connected_at = False, time.monotonic()
        self._heard_at = self._heard_until = time.monotonic()  # the exchange; and over the connection before this one
        self._ended: OrderedDict[str, SeenCall] = OrderedDict()
        self._told: list[SeenCall] = []
        self._warnings = 0

    @property
    def exchange(self) -> str:
        """Its name: the first part of the keys of its calls."""
        return self._address.exchange

    @property
    def session(self) -> int:
        """Counts the connections made; 0 while there is none."""
        return self._sessions if self._is_up else 0

    @property
    def connected_at(self) -> float:
        """The moment since which its events are heard."""
        return self._connected_at

    async def run(self) -> None:
        """Connect, and again whenever a connection is lost, until cancelled. Errors: SeatLost."""
        backoff, why = BACKOFF_FIRST_SECONDS, "start"
        try:
            while True:
                try:
                    await self._steer(why)
                except SeatLost:
                    _log.warning("ari_seat_lost", exchange=self.exchange, seat=self._seat)
                    raise
                except Refused as error:
                    _log.error("ari_refused", exchange=self.exchange, error=str(error))
                    backoff = REFUSED_SECONDS
                except (OSError, Unavailable) as error:
                    _log.warning("ari_lost", exchange=self.exchange, error=str(error) or type(error).__name__)
                    if self._is_up:
                        backoff = BACKOFF_FIRST_SECONDS
                finally:
                    self._down()
                why = "reconnect"
                await asyncio.sleep(backoff * random.uniform(0.5, 1.0))  # engines don't come all at once
                backoff = min(backoff * 2, BACKOFF_MAX_SECONDS)
        finally:
            await self._app.close()

    def _down(self) -> None:
        self._is_up = False
        self._observer.ari_connected(self.exchange, self._seat, connected=False)

    async def _steer(self, why: str) -> None:
        """One connection, from its beginning to its end; raises by what it ended."""
        events: asyncio.Queue[Message] = asyncio.Queue(EVENTS_KEPT)
        self._heard_until = self._heard_at
        main = AriConnection(self._address, self.application, lambda event: _keep(events, event, main))
        commands = [
            AriConnection(self._address, f"{self.application}-cmd{number}", lambda event: None)
            for number in range(1, COMMAND_CONNECTIONS + 1)
        ]
        try:
            for connection in (main, *commands):
                await connection.open()
            self._app.commands = commands
            await self._expect_new_enough()
            # By another connection: the filter is for answers too.
            if not (await self._app.ask(event_filter(self.application))).done:
                raise Refused(f"{self.exchange}: may not ask for events: the user of ari.conf needs read_only = no")
            await self._ping()
            await self._look(events, why)
            self._sessions += 1
            self._connected_at = time.monotonic()
            self._is_up = True
            self._observer.ari_connected(self.exchange, self._seat, connected=True)
            _log.info("ari_connected", exchange=self.exchange, seat=self._seat, session=self._sessions)
            await self._follow(main, events)
        finally:
            mine, self._app.commands = [*commands, *self._app.commands], []  # so that nothing is asked again
            for connection in (main, *mine):
                await connection.close()

    async def _follow(self, main: AriConnection, events: asyncio.Queue[Message]) -> None:
        """Until the connection is lost or a task of it fails; raises by what."""
        works = (main.lost.wait(), self._hear(events), self._keep_commands())
        tasks: list[asyncio.Task[object]] = [asyncio.ensure_future(work) for work in works]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        raise Unavailable(main.why or "the connection was lost")

    async def _hear(self, events: asyncio.Queue[Message]) -> None:
        while True:
            message = await events.get()
            self._heard_at = time.monotonic()
            event = read(message)
            at = moment_in(message.get("timestamp"))
            moment = self._app.moment(at) if at else None
            kind = str(message.get("type", ""))
            self._observer.ari_event(kind, None if moment is None else time.monotonic() - moment)
            if isinstance(event, SeatTaken):
                raise SeatLost(f"{self.exchange}: seat {self._seat} was taken by another engine")
            if event is not None:
                self._app.carry_out(self._book.hear(event))

    async def _keep_commands(self) -> None:
        """Ping, count, and put a new connection in the place of a lost one."""
        while True:
            await asyncio.sleep(PING_SECONDS)
            commands = self._app.commands
            for place, connection in enumerate(commands):
                if connection.lost.is_set():
                    _log.warning("ari_commands_lost", exchange=self.exchange, error=connection.why)
                    fresh = AriConnection(self._address, f"{self.application}-cmd{place + 1}", lambda event: None)
                    with contextlib.suppress(OSError, Unavailable):
                        await fresh.open()
                        commands[place] = fresh
                    await connection.close()
            with contextlib.suppress(Unavailable):
                await self._ping()
            self._count()

    def _count(self) -> None:
        phases = dict.fromkeys((phase.value for phase in Phase if phase is not Phase.DONE), 0)
        for call in self._book.calls.values():
            phases[call.phase.value] += 1
        self._observer.ari_calls(self.exchange, self._seat, phases)
        self._observer.ari_ignored(self._book.ignored)
        self._book.ignored = 0

    async def _expect_new_enough(self) -> None:
        try:
            answered = await self._app.ask(Request("GET", "asterisk/info", {"only": "system"}))
        except Unavailable as error:
            raise Unavailable(f"{error}: Asterisk 20.14, 21.9, 22.4 or newer answers requests there") from None
        said = str((answered.body or {}).get("system", {}).get("version", ""))
        version = version_of(said)
        if not has(version, OLDEST):
            raise Refused(f"{self.exchange}: Asterisk {said} is too old: it takes 20.14, 21.9, 22.4 or newer")
        transfers = self._transfers and has(version, TRANSFERS)
        self._book.rules = replace(self._book.rules, transfers=transfers)
        if self._transfers and not has(version, QUIET_TRANSFERS):
            why = "a phone can end it: by a transfer with Refer-Sub: false" if transfers else "transfers are refused"
            _log.warning("ari_old_asterisk", exchange=self.exchange, version=said, problem=why)

    async def _ping(self) -> None:
        asked = time.monotonic()
        answered = await self._app.ask(_PINGED)
        self._heard_at = time.monotonic()
        if theirs := moment_in((answered.body or {}).get("timestamp")):
            self._app.clock.learn(asked, time.monotonic(), theirs)

    async def _look(self, events: asyncio.Queue[Message], why: str) -> None:
        """The exchange as it is, before what it has told since is heard. Errors: Unavailable: nothing is decided."""
        channels = await self._channels()
        bridges = {str(one["id"]): one.get("channels", ()) for one in await self._list("bridges")}
        legs = needs_facts(self._book, channels, self.application)
        gate = asyncio.Semaphore(ASKED_AT_ONCE)
        facts = await asyncio.gather(*(self._facts(leg, gate) for leg in legs))
        seen = Snapshot(
            channels,
            bridges,
            facts=dict(zip(legs, facts, strict=True)),
            granted=await self._granted(),
            fresh=_entered(events),
        )
        difference = resync(self._book, self.application, seen)
        for call in difference.adopted:
            self._book.put(call)
            if call.answered_at is not None:
                self._book.answers.append(call)
        self._app.carry_out(list(difference.commands))
        for uniqueid, event in difference.events:
            self._app.tell(uniqueid, event)
        self._note_ends()  # those that nobody saw
        self._observer.ari_resynced(why, len(difference.adopted), len(difference.orphans))
        if difference.adopted or difference.orphans:
            _log.info(
                "ari_resynced", exchange=self.exchange, adopted=len(difference.adopted), orphans=difference.orphans[:10]
            )

    async def _channels(self) -> list[LiveChannel]:
        return [
            LiveChannel(str(one["id"]), str(one.get("name", "")), one.get("state") == UP, _application(one))
            for one in await self._list("channels")
        ]

    async def _list(self, what: str) -> Sequence[Mapping[str, Any]]:
        answered = await self._app.ask(Request("GET", what))
        if not answered.done or not isinstance(answered.body, list):
            raise Unavailable(f"{self.exchange}: no list of {what} ({answered.status})")
        return answered.body

    async def _facts(self, leg: str, gate: asyncio.Semaphore) -> LegFacts:
        """What a channel says of its call; nothing where it has just ended."""
        own = ("CALL_KEY", "LOGIN", "DIALLED", "NUMBER", "CALLER_ID", "TRANSFERS", "MOVING")
        names = (*(f"RATING_{name}" for name in own), "CDR(answer,u)")
        async with gate:
            said = [_value(await self._app.ask(variable(leg, name), leg)) for name in names]
        key, login, dialled, number, caller, transfers, moving, up = said
        answered = float(up) if re.fullmatch(r"[0-9.]+", up) else 0.0
        asked = int(transfers) if transfers.isdecimal() else 0
        return LegFacts(key, login, dialled, number, caller, answered or None, asked, moving == "1")

    def seen(self, uniqueid: str) -> SeenCall | None:
        """What was seen of a call; None: nothing."""
        call = self._book.calls.get(uniqueid)
        self._note_ends()
        return self._ended.get(uniqueid) if call is None else self._view(call)

    @property
    def rings_lines(self) -> bool:
        """The first leg may be of a telephone of the exchange itself."""
        return True

    def steers(self, uniqueid: str) -> bool:
        """Whether the call is of this seat."""
        return uniqueid in self._book.calls

    def _view(self, call: AnyCall) -> SeenCall:
        return SeenCall(
            call.uniqueid,
            call.uniqueid,
            called_channel=call.leg,
            answered_at=self._app.moment(call.answered_at),
            ended_at=self._app.moment(call.left_at),
            cause=call.cause,
            alive=call.phase not in (Phase.CLEARING, Phase.DONE),
        )

    def _note_ends(self) -> None:
        while self._book.ends:
            call = self._book.ends.popleft()
            # Whose end nobody saw was there when the exchange was heard last, before the look that missed it.
            view = replace(self._view(call), alive=False, last_seen=None if call.left_at else self._heard_until)
            self._ended[call.uniqueid] = view
            self._ended.move_to_end(call.uniqueid)
            if view.answered_at is not None and view.ended_at is not None:
                self._told.append(view)
        while len(self._ended) > ENDS_KEPT:
            self._ended.popitem(last=False)

    def take_answers(self) -> list[SeenCall]:
        """The calls whose called party has answered since this was asked last."""
        calls = [self._book.calls.get(call.uniqueid, call) for call in self._book.answers]
        self._book.answers.clear()
        return [self._view(call) for call in calls]

    def take_ends(self) -> list[SeenCall]:
        """The conversations whose answer and end were both heard, that have ended since this was asked last."""
        self._note_ends()
        told, self._told = self._told[-ENDS_KEPT:], []
        return told

    def take_failed_logins(self) -> list[FailedLogin]:
        """None: this interface does not tell of them."""
        return []

    def take_phones(self) -> list[HeardPhone]:
        """None, as above."""
        return []

    async def list_phones(self) -> list[HeardPhone]:
        """Unavailable: phones are heard of over AMI alone."""
        raise Unavailable(f"{self.exchange}: tells of no phones over ARI")

    async def list_channels(self) -> list[watching.LiveChannel]:
        """Every call that lives, by the uniqueid of its key; the whole list or Unavailable."""
        names = {str(one["id"]) for one in await self._list("channels")}
        legs = {found[0] for found in map(leg_of, names) if found is not None}
        living = names | legs | {call.uniqueid for call in self._book.calls.values() if call.phase is not Phase.AWAY}
        return [watching.LiveChannel(uniqueid, uniqueid, "") for uniqueid in living]

    async def read_answer(self, channel: str) -> tuple[float, str] | None:
        """As the call knows it: what it has missed was asked for when the exchange was looked at."""
        call = self._book.calls.get(channel)
        moment = None if call is None else self._app.moment(call.answered_at)
        return None if call is None or moment is None else (moment, call.leg)

    async def set_limit(self, caller: str, called: str, *, seconds_left: float, max_seconds: int) -> bool:
        """Let both legs be cut by the exchange, the caller's some seconds later; False: the call has ended."""
        call = self._book.calls.get(caller)
        if call is None or call.leg != called:
            return False
        asked = time.monotonic()
        if not _happened(await self._set(call, SetLimit(called, seconds_left), seconds_left)):
            return False
        kept = await self._app.ask(variable(called, LIMIT), caller)
        if kept.done and is_other_limit(_value(kept), seconds_left):
            self._observer.ari_limit_mismatch()
            _log.warning(
                "ari_limit_mismatch", exchange=self.exchange, call=caller, wanted=seconds_left, is_=_value(kept)
            )
            left = seconds_left - (time.monotonic() - asked)
            await self._set(call, SetLimit(called, left), left)
        for limit in callers_limit(call, seconds_left) if isinstance(call, Call) else ():
            await self._set(call, limit, limit.seconds)
        self._app.tell(caller, Granted(max_seconds))
        return True

    async def _set(self, call: AnyCall, limit: SetLimit, seconds_left: float) -> Answered:
        (request,) = requests_of(limit, self.application, seconds_left=seconds_left)
        return await self._app.ask(request, call.uniqueid)

    async def hang_up(self, channel: str) -> bool:
        """End a call; False: it has ended already."""
        if self.steers(channel):
            self._app.tell(channel, HangUpAsked())
            return True
        for one in await self._list("channels"):
            found = leg_of(str(one["id"]))
            if found is not None and found[0] == channel:
                (request,) = requests_of(HangUp(str(one["id"]), 16), self.application)
                return _happened(await self._app.ask(request))
        return False

    async def warn(self, channel: str) -> None:
        """Play the warning to the caller's leg alone: the other side does not hear it."""
        call = self._book.calls.get(channel)
        if call is None or not call.caller or (isinstance(call, Call) and not call.hears_warning):
            return
        self._warnings += 1
        playback = f"w-{channel}-{self._warnings}"
        self._app.carry_out([Ordered(call, Play(call.caller, playback, (self._warning_sound,)))])

    async def call_back(self, order: CallbackOrder, callerid: str) -> bool:
        """Call the first number, and the second one when it has answered; each is a call that is held already."""
        if not self._is_up or len(order.legs) < 2:  # what the first one is told, or asked, is of the dialplan
            return False
        (second, dialled), (first, number) = order.legs
        if not self.steers(first.uniqueid):
            call = Call(
                self._book.rules,
                self.exchange,
                first.uniqueid,
                order.login,
                number,
                number=order.callerid or callerid,
                then=Then(second.uniqueid, dialled),
                origin=ORIGIN,
                pitch="" if order.pitch is None else PITCHES[order.pitch - 1],
            )
            if number == order.login:
                call = own_telephone(call)
            self._app.carry_out(self._book.begin(call))
        return True


def _keep(events: asyncio.Queue[Message], event: Message, main: AriConnection) -> None:
    """One event that is lost would be worse than all of them: then the exchange is looked at anew."""
    try:
        events.put_nowait(event)
    except asyncio.QueueFull:
        main.give_up(f"more than {EVENTS_KEPT} events wait")


def _entered(events: asyncio.Queue[Message]) -> set[str]:
    """The channels whose entry waits to be heard."""
    waiting = [events.get_nowait() for _ in range(events.qsize())]
    for message in waiting:
        events.put_nowait(message)
    return {event.channel for event in map(read, waiting) if isinstance(event, Entered)}


def _application(channel: Mapping[str, Any]) -> str:
    """The application that a channel is in."""
    dialplan = channel.get("dialplan", {})
    return str(dialplan.get("app_data", "")).partition(",")[0] if dialplan.get("app_name") == "Stasis" else ""


def _value(answered: Answered) -> str:
    return str((answered.body or {}).get("value", "")) if answered.done else ""


def _happened(answered: Answered) -> bool:
    """Whether a channel was told; False: there is none any more. Errors: Unavailable."""
    if answered.done:
        return True
    if answered.status in (404, 409, 412, 422):
        return False
    raise Unavailable(f"the exchange answers {answered.status}")
