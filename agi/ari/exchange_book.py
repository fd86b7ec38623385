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
    Call,
    CallEvent,
    CallRules,
    Phase,
    key_of_leg,
    leg_id,
)
from agi.ari.call_tracker import RING_MARGIN_SECONDS, advance, is_looked_at
from agi.ari.causes import NORMAL, UNAVAILABLE
from agi.ari.commands import Command, DeleteBridge, HangUp, SetLimit, StartTimer, Timer
from agi.ari.events import Entered, ExchangeEvent, Gone, SeatTaken, Up
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
        return [Ordered(after, command) for command in commands]

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
    adopted: list[Call] = []
    commands: list[Ordered] = []
    orphans: list[str] = []
    held = {channel for call in book.calls.values() for channel in call.channels}
    for channel in seen.channels:
        if channel.channel in held or channel.channel in seen.fresh or channel.seat != seat:
            continue
        found = _adopt(book, channel, living, seen)
        if found is not None:
            adopted.append(found)
            held |= set(found.channels)
    for channel in seen.channels:
        if channel.channel not in held and channel.channel not in seen.fresh and channel.seat == seat:
            orphans.append(channel.channel)
            mine = channel.channel.startswith(LEG_MARK)
            commands.append(Ordered(None, HangUp(channel.channel, NORMAL if mine else UNAVAILABLE)))
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
    if whose is None or key.uniqueid in book.calls or leg.channel != leg_id(key.uniqueid, key.attempt):
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
        caller_name=whose.name,
        number=facts.number,
        phase=Phase.TALKING if facts.answered_at is not None else Phase.ALERTING,
        attempt=key.attempt,
        leg=leg.channel,
        bridge=bridge,
        joined=True,
        granted=seen.granted[key],
        owed=True,
        answered_at=facts.answered_at,
        caller_up=whose.up,
        rang=True,
    )


def _taken_over(call: Call) -> list[Command]:
    """The limits of an adopted call, by what is granted now."""
    if call.answered_at is None:
        ring = call.rules.ring_seconds + RING_MARGIN_SECONDS
        return [SetLimit(call.leg, call.granted), StartTimer(Timer.RING, ring, call.attempt)]
    longest = call.granted + call.rules.caller_margin_seconds
    return [SetLimit(call.leg, call.granted, call.answered_at), SetLimit(call.caller, longest, call.answered_at)]
