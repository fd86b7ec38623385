"""All calls of one seat at an exchange: whose channel is whose, and what a look at the exchange changes. No I/O.

Laws: a channel of ours that belongs to no call is hung up; a call that goes on is found again by its leg's name, its
reservation and the exchange alone, whoever held it before; a look that lacks anything decides nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from agi.ari import call_tracker, card, inbound
from agi.ari.call import (
    BRIDGE_MARK,
    FREE_MARK,
    LEG_MARK,
    Begin,
    Call,
    CallEvent,
    CallRules,
    Phase,
    StepEnded,
    Transferred,
    Transferring,
    leg_of,
)
from agi.ari.call_tracker import RING_MARGIN_SECONDS
from agi.ari.card import Card
from agi.ari.causes import NORMAL, UNAVAILABLE
from agi.ari.commands import (
    Command,
    DeleteBridge,
    EndStep,
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
from agi.ari.further_calls import callers_limit, kept, let_go, tied, transfer_call
from agi.ari.inbound import Inbound
from rating_engine.domain.call_rules import MAX_RULES
from rating_engine.domain.outcomes import CallKey

KEPT: Final = 10_000  # calls that nobody has asked for; reconciliation finds the rest
DID: Final = "did"
CARD: Final = "card"
CALL: Final = "call"  # the first argument of Stasis() in config/asterisk/rating-ari.conf: an outgoing call


AnyCall = Call | Inbound | Card


@dataclass(frozen=True, slots=True)
class Ordered:
    """A command of a call as it is then; None: of none."""

    call: AnyCall | None
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
    """What a leg says of its call (variables of its creation), or a caller from outside.

    `key`: what pays for it. `answered_at`: by its CDR; None: it was not answered. `transfers`: how many its phone has
    asked for; `moving`: the last one had not ended.
    """

    key: str
    login: str
    dialled: str
    number: str
    caller: str
    answered_at: float | None
    transfers: int = 0
    moving: bool = False


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
    adopted: tuple[AnyCall, ...] = ()
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
        self.calls: dict[str, AnyCall] = {}
        self.ignored = 0
        self.answers: deque[AnyCall] = deque(maxlen=KEPT)
        self.ends: deque[AnyCall] = deque(maxlen=KEPT)
        self._of_channel: dict[str, set[str]] = {}
        self._done: list[AnyCall] = []

    def take_done(self) -> list[AnyCall]:
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
        if not _is_looked_at(call, event):
            self.ignored += 1
            return []
        after: AnyCall
        commands: tuple[Command, ...]
        if isinstance(call, Inbound):
            after, commands = inbound.advance(call, event)
        elif isinstance(call, Card):
            after, commands = card.advance(call, event)
        else:
            after, commands = call_tracker.advance(call, event)
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

    def _ordered(self, call: AnyCall, command: Command) -> list[Ordered]:
        """A command for the exchange and the services; what is for this book is done at once."""
        match command:
            case StartCall(started):
                return self.begin(started)
            case EndTransfer(uniqueid, channel, name):
                return self.tell(uniqueid, Transferred(channel, name))
            case EndStep(uniqueid, word, cause):
                return self.tell(uniqueid, StepEnded(word, cause))
        return [Ordered(call, command)]

    def _transfer(self, event: TransferAsked) -> list[Ordered]:
        """A phone wants its call to go on with somebody else, blind or with its other call."""
        call = self._talking(event.channel, event.kept)
        if call is None or event.other == event.channel:  # with its own call: it would talk to itself
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
            if isinstance(call, Call) and (call.caller, call.leg, call.phase, call.transferring) == (
                caller,
                leg,
                Phase.TALKING,
                "",
            ):
                return call
        return None

    def _connect(self, one: Call, other: Call) -> list[Ordered]:
        """Both legs of a phone talk to each other; each call goes on, and ends with the other one."""
        commands = (
            kept(one.leg, is_moving=True),
            kept(other.leg, is_moving=True),
            Join(one.bridge, (other.leg,)),
            *tied(one.leg, other.leg, other.leg_name),
            *tied(other.leg, one.leg, one.leg_name),
            *let_go(one.caller, other.caller),
        )
        return [
            *self.tell(one.uniqueid, Transferred(other.leg, other.leg_name)),
            *self.tell(other.uniqueid, Transferred(one.leg, one.leg_name)),
            *(Ordered(one, command) for command in commands),
        ]

    def put(self, call: AnyCall) -> None:
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
        if event.args[:1] in ((CALL,), (DID,), (CARD,)):
            self.put(caller(self, event))
            return self.tell(event.channel, event)
        return [Ordered(None, HangUp(event.channel, NORMAL))]


def _is_looked_at(call: AnyCall, event: CallEvent) -> bool:
    if isinstance(call, Inbound):
        return inbound.is_looked_at(call, event)
    if isinstance(call, Card):
        return card.is_looked_at(call, event)
    return call_tracker.is_looked_at(call, event)


def caller(book: ExchangeBook, event: Entered) -> AnyCall:
    """A call as it begins: `Stasis(application,call,number,account code)`, or `did` for one that comes in."""
    kind, dialled, login, *_ = (*event.args, "", "")
    is_number = event.number.removeprefix("+").isdecimal()  # an endpoint named p01 is not the number 01
    number = event.number if is_number else ""
    if kind == CARD:
        return Card(book.rules, book.exchange, event.channel, caller_name=event.name, number=number)
    if kind == DID:
        return Inbound(book.rules, book.exchange, event.channel, dialled, caller_name=event.name, number=number)
    return Call(
        book.rules,
        book.exchange,
        event.channel,
        login or event.accountcode,
        dialled,
        caller=event.channel,
        caller_name=event.name,
        number=number,
    )


def needs_facts(book: ExchangeBook, channels: Iterable[LiveChannel], seat: str) -> list[str]:
    """The channels that have to be asked before `resync`: nobody here has their calls, or has heard of their answer."""
    held = {channel for call in book.calls.values() for channel in call.channels}
    deaf = {call.leg for call in book.calls.values() if call.answered_at is None}
    return [
        channel.channel
        for channel in channels
        if channel.seat == seat and (channel.channel not in held or (channel.up and channel.channel in deaf))
    ]


def resync(book: ExchangeBook, seat: str, seen: Snapshot) -> Difference:
    """What a look at the exchange says that was not heard. `seat`: the application of this book."""
    living = {channel.channel: channel for channel in seen.channels}
    events: list[tuple[str, CallEvent]] = []
    for uniqueid, call in book.calls.items():
        events += [(uniqueid, event) for event in _missed(call, living, seen)]
    mine = [each for each in seen.channels if each.seat == seat and each.channel not in seen.fresh]
    held = {channel for call in book.calls.values() for channel in call.channels}
    adopted = _adopt_all(book, [each for each in mine if each.channel not in held], living, seen)
    held |= {channel for call in adopted for channel in call.channels}
    orphans = [each.channel for each in mine if each.channel not in held]
    ends = (HangUp(each, NORMAL if each.startswith((LEG_MARK, FREE_MARK)) else UNAVAILABLE) for each in orphans)
    commands = [Ordered(None, end) for end in ends]
    known = {call.bridge for call in (*book.calls.values(), *adopted) if isinstance(call, Call)}
    for bridge, inside in seen.bridges.items():
        if bridge.startswith(BRIDGE_MARK) and bridge not in known and not inside:
            commands.append(Ordered(None, DeleteBridge(bridge)))
    commands += [Ordered(call, command) for call in adopted for command in _taken_over(call, seen)]
    return Difference(tuple(events), tuple(adopted), tuple(commands), tuple(orphans))


def _adopt_all(
    book: ExchangeBook, strangers: Sequence[LiveChannel], living: Mapping[str, LiveChannel], seen: Snapshot
) -> list[AnyCall]:
    """The calls of channels that nobody here holds; who came in is held as long as what his rules had ring goes on."""
    came = {each.channel: taken for each in strangers if (taken := _taken(book, each, seen)) is not None}
    legs = [call for each in strangers if (call := _adopt(book, each, living, seen, came)) is not None]
    return [*legs, *(taken for taken in came.values() if any(call.of == taken.uniqueid for call in legs))]


def _taken(book: ExchangeBook, channel: LiveChannel, seen: Snapshot) -> Inbound | None:
    """The call of somebody who came in by a number; None: it is another channel."""
    key, facts = CallKey(book.exchange, channel.channel), seen.facts.get(channel.channel)
    if facts is None or facts.key != str(key) or key not in seen.granted:
        return None
    return Inbound(
        book.rules,
        book.exchange,
        channel.channel,
        facts.dialled,
        caller_name=channel.name,
        number=facts.number,
        login=facts.login,
        phase=Phase.STEP,
        place=f"{facts.dialled}/{MAX_RULES}",  # behind what has been done
        granted=seen.granted[key],
        owed=True,
        caller_up=channel.up,
        answered_at=facts.answered_at,
    )


def _missed(call: AnyCall, living: Mapping[str, LiveChannel], seen: Snapshot) -> list[CallEvent]:
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


def _adopt(
    book: ExchangeBook,
    leg: LiveChannel,
    living: Mapping[str, LiveChannel],
    seen: Snapshot,
    came: Mapping[str, Inbound],
) -> Call | None:
    """The call of a leg that nobody here holds; None: there is nothing to go on with."""
    facts, whose = seen.facts.get(leg.channel), leg_of(leg.channel)
    if facts is None or whose is None or whose[0] in book.calls:
        return None
    key = CallKey(book.exchange, *whose)
    is_free = leg.channel.startswith(FREE_MARK)
    by = came.get(facts.caller)
    granted = (0 if by is None else by.granted) if is_free else seen.granted.get(key)
    caller = living.get(facts.caller)
    bridge = next((each for each, inside in seen.bridges.items() if leg.channel in inside and len(inside) > 1), "")
    # Without a bridge whoever made it has died before the two could hear each other.
    if granted is None or not bridge or (facts.caller and caller is None) or (not is_free and facts.key != str(key)):
        return None
    return Call(
        book.rules,
        book.exchange,
        key.uniqueid,
        facts.login,
        facts.dialled,
        caller=facts.caller,
        caller_name="" if caller is None else caller.name,
        number=facts.number,
        phase=Phase.TALKING if facts.answered_at is not None else Phase.ALERTING,
        attempt=key.attempt,
        leg=leg.channel,
        bridge=bridge,
        joined=True,
        granted=granted,
        owed=not is_free,
        answered_at=facts.answered_at,
        caller_up=caller is not None and caller.up,
        caller_pays=facts.caller.startswith(LEG_MARK),
        rang=True,
        leg_name=leg.name,
        of="" if by is None else by.uniqueid,
        minds=by is None,
        endpoint=leg.channel if is_free else "",
        transfers=facts.transfers,
    )


def _taken_over(call: AnyCall, seen: Snapshot) -> list[Command]:
    """The limits of an adopted call, by what is granted now; a transfer that was looking for somebody has failed."""
    if isinstance(call, Inbound):
        return [SetLimit(call.uniqueid, call.granted, call.answered_at)]
    if isinstance(call, Card):  # who is in the midst of a dialogue is let go instead
        return []
    if call.endpoint and not call.of:  # a telephone of its own, whose limit its call minds
        return []
    if call.answered_at is None:
        ring = call.rules.ring_seconds + RING_MARGIN_SECONDS
        return [SetLimit(call.leg, call.granted), StartTimer(Timer.RING, ring, call.attempt)]
    limit = SetLimit(call.leg, call.granted, call.answered_at)
    failed: list[Command] = []
    if seen.facts[call.leg].moving and not call.caller_pays:
        failed = [kept(call.leg, is_moving=False), TellTransfer(call.caller, Transfer.UNAVAILABLE)]
    return [limit, *callers_limit(call, call.granted, call.answered_at), *failed]
