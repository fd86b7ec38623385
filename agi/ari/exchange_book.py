"""All calls of one seat at an exchange: whose channel is whose, and what a look at the exchange changes. No I/O.

Laws: a channel of ours that belongs to no call is hung up; a call that goes on is found again by its leg's name, its
reservation and the exchange alone, whoever held it before; a look that lacks anything decides nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from agi.ari.call import (
    BRIDGE_MARK,
    LEG_MARK,
    Begin,
    Call,
    CallEvent,
    CallRules,
    Phase,
    Transferred,
    Transferring,
    key_of_leg,
)
from agi.ari.call_tracker import RING_MARGIN_SECONDS, advance, is_looked_at, let_go, tied
from agi.ari.causes import NORMAL, UNAVAILABLE
from agi.ari.commands import (
    Command,
    DeleteBridge,
    EndTransfer,
    HangUp,
    Join,
    SetLimit,
    StartCall,
    StartTimer,
    TellTransfer,
    Timer,
    Transfer,
)
from agi.ari.events import Entered, ExchangeEvent, Gone, SeatTaken, TransferAsked, Up
from rating_engine.domain.outcomes import CallKey

KEPT: Final = 10_000  # calls that nobody has asked for; reconciliation finds the rest
CALL: Final = "call"  # the first argument of Stasis() in config/asterisk/rating-ari.conf: an outgoing call


@dataclass(frozen=True, slots=True)
class Ordered:
    """A command of a call as it is then; None: of none."""

    call: Call | None
    command: Command


@dataclass(frozen=True, slots=True)
class LiveChannel:
    """A line of an exchange's list of channels. `seat`: the application that it is in, '' for none."""

    channel: str
    name: str
    up: bool
    seat: str


@dataclass(frozen=True, slots=True)
class LegFacts:
    """What a leg says of its call (variables of its creation). `answered_at`: by its CDR; None: it was not answered."""

    login: str
    dialled: str
    number: str
    caller: str
    answered_at: float | None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An exchange at one moment. `facts`: of legs that the book has not, or has not answered. `granted`: the seconds
    of the calls that hold money. `fresh`: channels whose entry has been told since, and is looked at behind this."""

    channels: Sequence[LiveChannel]
    bridges: Mapping[str, Collection[str]]
    facts: Mapping[str, LegFacts] = field(default_factory=dict)
    granted: Mapping[CallKey, int] = field(default_factory=dict)
    fresh: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Difference:
    """What a look at the exchange changes. `events`: what was missed; `adopted`: calls that somebody else has held."""

    events: tuple[tuple[str, CallEvent], ...] = ()
    adopted: tuple[Call, ...] = ()
    commands: tuple[Ordered, ...] = ()
    orphans: tuple[str, ...] = ()


class ExchangeBook:
    """The calls of one seat. `exchange`: the first part of their keys.

    `answers` and `ends`: the calls of which that was heard, for whoever takes them out; `ignored`: events that told
    nothing to the call they came to.
    """

    def __init__(self, exchange: str, rules: CallRules) -> None:
        self.exchange = exchange
        self.rules = rules
        self.calls: dict[str, Call] = {}
        self.ignored = 0
        self.answers: deque[Call] = deque(maxlen=KEPT)
        self.ends: deque[Call] = deque(maxlen=KEPT)
        self._of_channel: dict[str, set[str]] = {}
        self._done: list[Call] = []

    def take_done(self) -> list[Call]:
        """The calls that are over since this was asked last."""
        done, self._done = self._done, []
        return done

    def hear(self, event: ExchangeEvent) -> list[Ordered]:
        """What an exchange's event asks for."""
        if isinstance(event, SeatTaken):
            return []
        if isinstance(event, TransferAsked):
            return self._transfer(event)
        owners = self._of_channel.get(event.channel)
        if owners is None:
            return self._stranger(event) if isinstance(event, Entered) else []
        return [ordered for uniqueid in tuple(owners) for ordered in self.tell(uniqueid, event)]

    def tell(self, uniqueid: str, event: CallEvent) -> list[Ordered]:
        """What an event asks for that is of one call; of none that is known nothing."""
        call = self.calls.get(uniqueid)
        if call is None:
            return []
        if not is_looked_at(call, event):
            self.ignored += 1
            return []
        after, commands = advance(call, event)
        self.put(after)
        if after.answered_at is not None and call.answered_at is None:
            self.answers.append(after)
        if after.phase is Phase.DONE:
            self.ends.append(after)
            self._done.append(after)
        return [order for command in commands for order in self._ordered(after, command)]

    def begin(self, call: Call) -> list[Ordered]:
        """A call that nobody has made but us."""
        self.put(call)
        return self.tell(call.uniqueid, Begin())

    def _ordered(self, call: Call, command: Command) -> list[Ordered]:
        """A command for the exchange and the services; what is for this book is done at once."""
        match command:
            case StartCall(started):
                return self.begin(started)
            case EndTransfer(uniqueid, channel, name):
                return self.tell(uniqueid, Transferred(channel, name))
        return [Ordered(call, command)]

    def _transfer(self, event: TransferAsked) -> list[Ordered]:
        """A phone wants its call to go on with somebody else, blind or with its other call."""
        call = self._talking(event.channel, event.kept)
        if call is None:
            return [Ordered(None, TellTransfer(event.channel, Transfer.DECLINED))]
        if event.other:
            other = self._talking(event.other, event.other_kept)
            if other is None:
                return [Ordered(None, TellTransfer(event.channel, Transfer.UNAVAILABLE))]
            return self._connect(call, other)
        if not event.target:
            return [Ordered(None, TellTransfer(event.channel, Transfer.DECLINED))]
        started = transfer_call(call, event.target)
        return [*self.tell(call.uniqueid, Transferring(started.uniqueid)), *self.begin(started)]

    def _talking(self, caller: str, leg: str) -> Call | None:
        """The call of these two, which go on talking."""
        for uniqueid in self._of_channel.get(caller, ()):
            call = self.calls[uniqueid]
            if (call.caller, call.leg, call.phase, call.transferring) == (caller, leg, Phase.TALKING, ""):
                return call
        return None

    def _connect(self, one: Call, other: Call) -> list[Ordered]:
        """Both legs of a phone talk to each other; each call goes on, and ends with the other one."""
        commands = (
            Join(one.bridge, (other.leg,)),
            *tied(one.leg, other.leg, other.leg_name),
            *tied(other.leg, one.leg, one.leg_name),
            TellTransfer(one.caller, Transfer.ANSWERED),
            *let_go(one.caller),
            *let_go(other.caller),
        )
        return [
            *self.tell(one.uniqueid, Transferred(other.leg, other.leg_name)),
            *self.tell(other.uniqueid, Transferred(one.leg, one.leg_name)),
            *(Ordered(one, command) for command in commands),
        ]

    def put(self, call: Call) -> None:
        """Keep a call as it has become; one that is done is forgotten."""
        before = self.calls.get(call.uniqueid)
        for channel in before.channels if before is not None else ():
            owners = self._of_channel.get(channel, set())
            owners.discard(call.uniqueid)
            if not owners:
                self._of_channel.pop(channel, None)
        if call.phase is Phase.DONE:
            self.calls.pop(call.uniqueid, None)
            return
        self.calls[call.uniqueid] = call
        for channel in call.channels:
            self._of_channel.setdefault(channel, set()).add(call.uniqueid)

    def _stranger(self, event: Entered) -> list[Ordered]:
        """A channel that no call has: a caller, or one that nobody needs."""
        if event.args[:1] == (CALL,):
            self.put(caller(self, event))
            return self.tell(event.channel, event)
        return [Ordered(None, HangUp(event.channel, NORMAL))]


def caller(book: ExchangeBook, event: Entered) -> Call:
    """A call as it begins: `Stasis(application,call,number,account code)`."""
    _, dialled, login, *_ = (*event.args, "", "")
    is_number = event.number.removeprefix("+").isdecimal()  # an endpoint named p01 is not the number 01
    return Call(
        book.rules,
        book.exchange,
        event.channel,
        login or event.accountcode,
        dialled,
        caller=event.channel,
        caller_name=event.name,
        number=event.number if is_number else "",
    )


def transfer_call(call: Call, target: str) -> Call:
    """The second call of a blind transfer: who asked for it pays for it too, under a key of its own."""
    return Call(
        call.rules,
        call.exchange,
        f"{call.uniqueid}.t{call.transfers + 1}",
        call.login,
        target,
        caller=call.leg,
        caller_name=call.leg_name,
        number=call.number,
        caller_up=True,
        caller_pays=True,
        moving=call.caller,
        moves=call.uniqueid,
    )


def needs_facts(book: ExchangeBook, channels: Iterable[LiveChannel]) -> list[str]:
    """The legs that have to be asked before `resync`: nobody here holds their calls, or has heard of their answer."""
    asked = []
    for channel in channels:
        key = key_of_leg(channel.channel, book.exchange)
        if key is None:
            continue
        call = book.calls.get(key.uniqueid)
        if call is None or call.leg != channel.channel or (channel.up and call.answered_at is None):
            asked.append(channel.channel)
    return asked


def resync(book: ExchangeBook, seat: str, seen: Snapshot) -> Difference:
    """What a look at the exchange says that was not heard. `seat`: the application of this book."""
    living = {channel.channel: channel for channel in seen.channels}
    events: list[tuple[str, CallEvent]] = []
    for uniqueid, call in book.calls.items():
        events += [(uniqueid, event) for event in _missed(call, living, seen)]
    mine = [each for each in seen.channels if each.seat == seat and each.channel not in seen.fresh]
    legs = {call.leg for call in book.calls.values()}
    found = (_adopt(book, each, living, seen) for each in mine if each.channel not in legs)
    adopted = [call for call in found if call is not None]
    held = {channel for call in (*book.calls.values(), *adopted) for channel in call.channels}
    orphans = [each.channel for each in mine if each.channel not in held]
    commands = [Ordered(None, HangUp(each, NORMAL if each.startswith(LEG_MARK) else UNAVAILABLE)) for each in orphans]
    known = {call.bridge for call in (*book.calls.values(), *adopted)}
    for bridge, inside in seen.bridges.items():
        if bridge.startswith(BRIDGE_MARK) and bridge not in known and not inside:
            commands.append(Ordered(None, DeleteBridge(bridge)))
    commands += [Ordered(call, command) for call in adopted for command in _taken_over(call)]
    return Difference(tuple(events), tuple(adopted), tuple(commands), tuple(orphans))


def _missed(call: Call, living: Mapping[str, LiveChannel], seen: Snapshot) -> list[CallEvent]:
    """Of a call that is held: answers and ends that were told while nobody listened."""
    missed: list[CallEvent] = []
    facts = seen.facts.get(call.leg)
    if call.leg and facts is not None and call.answered_at is None and facts.answered_at is not None:
        missed.append(Up(call.leg, facts.answered_at))
    if call.leg and call.leg not in living and call.phase is not Phase.CREATING:
        missed.append(Gone(call.leg, None))
    if call.caller and call.caller not in living and not call.caller_gone:
        missed.append(Gone(call.caller, None))
    return missed


def _adopt(book: ExchangeBook, leg: LiveChannel, living: Mapping[str, LiveChannel], seen: Snapshot) -> Call | None:
    """The call of a leg that nobody here holds; None: there is nothing to go on with."""
    key, facts = key_of_leg(leg.channel, book.exchange), seen.facts.get(leg.channel)
    if key is None or facts is None or key not in seen.granted:
        return None
    whose = living.get(facts.caller)
    if (facts.caller and whose is None) or key.uniqueid in book.calls:
        return None
    bridge = next((each for each, inside in seen.bridges.items() if leg.channel in inside), "")
    if not bridge:  # whoever made it has died before the two could hear each other
        return None
    return Call(
        book.rules,
        book.exchange,
        key.uniqueid,
        facts.login,
        facts.dialled,
        caller=facts.caller,
        caller_name="" if whose is None else whose.name,
        number=facts.number,
        phase=Phase.TALKING if facts.answered_at is not None else Phase.ALERTING,
        attempt=key.attempt,
        leg=leg.channel,
        bridge=bridge,
        joined=True,
        granted=seen.granted[key],
        owed=True,
        answered_at=facts.answered_at,
        caller_up=whose is not None and whose.up,
        caller_pays=key_of_leg(facts.caller, book.exchange) is not None,
        rang=True,
        leg_name=leg.name,
    )


def _taken_over(call: Call) -> list[Command]:
    """The limits of an adopted call, by what is granted now."""
    if call.answered_at is None:
        ring = call.rules.ring_seconds + RING_MARGIN_SECONDS
        return [SetLimit(call.leg, call.granted), StartTimer(Timer.RING, ring, call.attempt)]
    limits: list[Command] = [SetLimit(call.leg, call.granted, call.answered_at)]
    if call.caller and not call.caller_pays:
        limits.append(SetLimit(call.caller, call.granted + call.rules.caller_margin_seconds, call.answered_at))
    return limits
