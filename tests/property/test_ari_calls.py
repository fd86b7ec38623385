"""Whatever an exchange tells in which order, twice or not at all: what was allowed is finished once, nothing is left.

The exchange here is a model: it does what it is asked, has a truth of its own (channels, bridges), and its words about
that come late, in another order, doubled, or never. A look at it (resync) then has to put everything right. Phones
transfer their calls, blind and with another one of theirs, and leave as soon as they like.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import event as note
from hypothesis import given, settings
from hypothesis import strategies as st

from agi.ari.call import Admitted, Call, CallRules, Failed, Granted, HangUpAsked, Phase, Refused, TimerFired, leg_of
from agi.ari.call_tracker import CLEAR_TRIES
from agi.ari.commands import (
    Answer,
    Command,
    CreateBridge,
    CreateLeg,
    DeleteBridge,
    Dial,
    Finish,
    HangUp,
    Join,
    Prepare,
    SetLimit,
    SetVariable,
    StartTimer,
    TellTransfer,
    Timer,
    Transfer,
)
from agi.ari.events import Entered, ExchangeEvent, Gone, Leaving, Ringing, TransferAsked, Up, read
from agi.ari.exchange_book import ExchangeBook, LegFacts, LiveChannel, Ordered, Snapshot, needs_facts, resync
from agi.ari.further_calls import callers_limit
from rating_engine.domain.outcomes import CallKey, DeclineReason

GRANTED = (30, 21, 12)  # seconds; not every call may last as long as the others of its phone
PHONES = ("u1", "u2")
SEAT = "rating-1"


def key_of(channel: str) -> CallKey | None:
    """Whose leg it is."""
    found = leg_of(channel)
    return None if found is None else CallKey("pbx1", *found)


@dataclass
class Leg:
    """A channel as it is, whatever was told of it. `variables`: those of the dialplan; `limit`: when it is cut."""

    variables: dict[str, str] = field(default_factory=dict)
    up: float | None = None
    limit: float | None = None


@dataclass
class World:
    """An exchange, the services, and what is on its way from them to the book.

    `tied`: the dialplan's own ends (config/asterisk/rating-ari.conf, law 4) are quick; else the engine is alone.
    `friendly`: everybody is admitted, and answers. `patience`: so many commands more before the engine dies.
    """

    book: ExchangeBook
    draw: st.DataObject
    tied: bool = True
    friendly: bool = False
    patience: int | None = None
    now: float = 100.0
    channels: dict[str, Leg] = field(default_factory=dict)
    bridges: dict[str, set[str]] = field(default_factory=dict)
    coming: list[object] = field(default_factory=list)
    timers: dict[tuple[str, Timer], TimerFired] = field(default_factory=dict)
    granted: dict[CallKey, int] = field(default_factory=dict)
    allowed: dict[CallKey, float | None] = field(default_factory=dict)  # when each was answered
    ended: dict[CallKey, float] = field(default_factory=dict)
    finished: dict[CallKey, int] = field(default_factory=dict)
    told: dict[CallKey, int] = field(default_factory=dict)  # by the hangup handlers of the exchange
    asked: dict[str, int] = field(default_factory=dict)  # transfers, by phone; less those it was told the end of

    def chance(self, *choices: object) -> object:
        return choices[0] if self.friendly else self.draw.draw(st.sampled_from(choices))

    def tell(self, event: ExchangeEvent) -> None:
        self.coming.append(event)

    def enter(self, caller: str) -> None:
        self.channels[caller] = Leg()
        self.tell(Entered(caller, self.now, name=caller, args=("call", "4930", "1001")))

    def end(self, channel: str, cause: int) -> None:
        leg = self.channels.pop(channel, None)
        if leg is None:
            return
        for inside in self.bridges.values():
            inside.discard(channel)
        self.tell(Leaving(channel, self.now))
        if self.tied:
            self.take_along(channel, leg)
        key = key_of(channel)
        if key is not None:
            self.ended[key] = self.now
            self.told[key] = 0 if leg.up is None else self.seconds_of(key)
        self.tell(Gone(channel, self.now, cause))

    def take_along(self, channel: str, leg: Leg) -> None:
        """What [rating-leg-ended] and the h extension of [rating-ari-tied] do without an engine."""
        if key_of(channel) is not None:
            if leg.up is not None:
                self.end(leg.variables["RATING_CALLER"], 16)
            return
        other = leg.variables.get("RATING_LEG", "")
        if other in self.channels and self.channels[other].variables.get("RATING_MOVING") != "1":
            for call in self.book.calls.values():
                assert not (isinstance(call, Call) and call.leg == other and call.transferring), "taken along"
                assert call.leg != other or call.caller in ("", channel), "taken along from somebody else"
            self.end(other, 16)

    def seconds_of(self, key: CallKey) -> int:
        answered = self.allowed[key]
        assert answered is not None
        return self.book.rules.seconds_between(answered, self.ended[key])

    def carry_out(self, orders: list[Ordered]) -> None:
        for order in orders:
            if self.patience is not None:
                if self.patience == 0:
                    return
                self.patience -= 1
            self.now += 0.01
            call, command = order.call, order.command
            self.do("" if call is None else call.uniqueid, command)
            if isinstance(command, Join) and call is not None and not set(command.channels) <= set(self.channels):
                self.coming.append((call.uniqueid, Failed(call.leg)))

    def do(self, uniqueid: str, command: Command) -> None:
        match command:
            case Prepare(key):
                assert key not in self.allowed, "the key of another call"
                may = self.chance(True, True, True, False)
                if may:
                    self.allowed[key] = None
                    seconds = self.granted[key] = GRANTED[len(self.granted) % len(GRANTED)]
                    self.coming.append((uniqueid, Admitted(key, seconds, "4930", "", "", "trunk")))
                else:
                    self.coming.append((uniqueid, Refused(key, DeclineReason.NO_ROUTE)))
            case Finish(key, seconds):
                assert key in self.allowed
                assert key not in self.finished, "finished twice"
                self.finished[key] = seconds
            case CreateBridge(bridge):
                self.bridges.setdefault(bridge, set())
            case CreateLeg(leg, _, _, variables):
                self.create(uniqueid, leg, dict(variables))
            case Join(bridge, channels):
                self.join(bridge, set(channels))
            case Dial(leg):
                self.ring(leg)
            case SetVariable(channel, name, value) if channel in self.channels:
                self.channels[channel].variables[name] = value
            case SetLimit(channel, seconds, since) if channel in self.channels:
                self.limit(channel, seconds, since)
            case Answer(channel) if channel in self.channels:
                self.channels[channel].up = self.now
                self.tell(Up(channel, self.now))
            case TellTransfer(phone, state):
                self.hear_of_transfer(phone, state)
            case HangUp(channel, cause):
                self.end(channel, cause)
            case DeleteBridge(bridge):
                self.bridges.pop(bridge, None)
            case StartTimer(timer, _, attempt):
                self.timers[uniqueid, timer] = TimerFired(timer, attempt)

    def create(self, uniqueid: str, leg: str, variables: dict[str, str]) -> None:
        key = key_of(leg)
        assert key is not None
        assert key not in self.told, "the name of another leg"
        if self.chance(True, True, True, False):
            self.channels[leg] = Leg(variables)
            self.limit(leg, float(variables["TIMEOUT(absolute)"]), None)
            self.tell(Entered(leg, self.now, name=leg, args=("leg",)))
        else:
            self.coming.append((uniqueid, Failed(leg)))

    def join(self, bridge: str, channels: set[str]) -> None:
        if not channels <= set(self.channels):  # all of them or none
            return
        for inside in self.bridges.values():
            inside -= channels
        self.bridges.setdefault(bridge, set()).update(channels)

    def limit(self, channel: str, seconds: float, since: float | None) -> None:
        key = key_of(channel)
        if key is not None:
            assert seconds <= self.granted[key], "more than was granted"
            assert since in (None, self.channels[channel].up)
        self.channels[channel].limit = seconds + (self.now if since is None else since)

    def others(self, channel: str) -> set[str]:
        """Whom a channel talks to."""
        return {each for inside in self.bridges.values() if channel in inside for each in inside} - {channel}

    def refer(self, phone: str, other: str) -> None:
        """A phone transfers its call, to a number or with its call `other`; it may leave right behind that."""
        kept = self.others(phone)
        leg = self.channels[phone]
        if leg.up is None or not kept or leg.variables.get("PJSIP_TRANSFER_HANDLING()") != "ari-only":
            return
        to: dict[str, object] = {"requested_destination": {"destination": "4977", "protocol_id": "x"}}
        if other:
            to = {"destination_channel": {"id": other}}
            if theirs := self.others(other):
                to["connected_channel"] = {"id": min(theirs)}
        by = {"source_channel": {"id": phone}, "connected_channel": {"id": min(kept)}}
        asked = read({"type": "ChannelTransfer", "referred_by": by, "refer_to": to})
        assert isinstance(asked, TransferAsked)
        self.asked[phone] = self.asked.get(phone, 0) + 1
        self.tell(asked)
        if self.chance(False, True):
            self.end(phone, 16)

    def hear_of_transfer(self, phone: str, state: Transfer) -> None:
        echo = read({"type": "ChannelTransfer", "state": state.value, "referred_by": {"source_channel": {"id": phone}}})
        assert echo is None
        note(state.value)
        if state is not Transfer.PROGRESS:
            self.asked[phone] = self.asked.get(phone, 0) - 1
        if phone not in self.channels or state is not Transfer.ANSWERED:
            return
        assert not self.channels[phone].variables.get("RATING_LEG"), "told before it was let go"
        for name, leg in self.channels.items():
            assert leg.variables.get("RATING_CALLER") != phone, "told before the leg is somebody else's"
            with_whom = leg.variables.get("RATING_CALLER_ID", "")
            if leg.variables.get("RATING_MOVING") == "1" and with_whom in self.channels and key_of(with_whom):
                assert with_whom in self.others(name), "told before they hear each other"
        if self.chance(False, True):
            self.end(phone, 16)

    def ring(self, channel: str) -> None:
        leg = self.channels.get(channel)
        if leg is None:
            return
        if self.chance(True, False):
            self.tell(Ringing(channel, self.now))
        match self.chance("up", "up", "busy", "no route", "nothing"):
            case "up":
                leg.up = self.now
                key = key_of(channel)
                assert key is not None
                self.allowed[key] = self.now
                self.tell(Up(channel, self.now))
            case "busy":
                self.end(channel, 17)
            case "no route":
                self.end(channel, 3)

    def hear(self, one: object) -> None:
        if isinstance(one, tuple):
            self.carry_out(self.book.tell(*one))
            return
        assert isinstance(one, ExchangeEvent)
        moving = [
            call.leg
            for call in self.book.calls.values()
            if isinstance(call, Call) and call.transferring and call.phase is Phase.TALKING
        ]
        orders = self.book.hear(one)
        if isinstance(one, Leaving | Gone) and one.channel in PHONES:
            ended = [order.command.channel for order in orders if isinstance(order.command, HangUp)]
            assert not set(ended) & set(moving), "a phone that left has taken along whom it transfers"
        self.carry_out(orders)

    def step(self, *, lossy: bool, what: str = "") -> None:
        """Something happens: an event comes (any of those on their way), a timer runs out, somebody hangs up."""
        what = what or str(self.chance(*["event"] * 8, "timer", "hang up", "refer", "end", "more"))
        if what == "event" and self.coming:
            one = self.next(self.draw.draw(st.integers(0, min(len(self.coming), 4) - 1)))
            fate = self.chance("once", "once", "twice", "lost") if lossy and not isinstance(one, tuple) else "once"
            for _ in range({"once": 1, "twice": 2, "lost": 0}[str(fate)]):
                self.hear(one)
        elif what == "timer" and (due := sorted(filter(self.may_run_out, self.timers))):
            key = self.chance(*due)
            assert isinstance(key, tuple)
            self.hear((key[0], self.timers.pop(key)))
        elif what == "hang up" and self.channels:
            self.end(str(self.chance(*sorted(self.channels))), 16)
        elif what == "refer" and (phones := [each for each in PHONES if each in self.channels]):
            self.refer(str(self.chance(*phones)), str(self.chance("", "", *phones)))
        elif what == "end" and self.book.calls:  # by whoever runs it, or since there is no money left
            self.hear((self.chance(*sorted(self.book.calls)), HangUpAsked()))
        elif what == "more":
            for call in [each for each in self.book.calls.values() if isinstance(each, Call)]:
                self.give_more(call)

    def next(self, place: int) -> object:
        """What comes now; nobody is told of a phone's end who was not told of its call."""
        one = self.coming[place]
        if isinstance(one, Leaving | Gone):
            for before, other in enumerate(self.coming[:place]):
                if isinstance(other, Entered) and other.channel == one.channel and one.channel in PHONES:
                    return self.coming.pop(before)
        return self.coming.pop(place)

    def may_run_out(self, key: tuple[str, Timer]) -> bool:
        """The patience with the rest of a call is longer than any request takes."""
        return key[1] is not Timer.CLEAR or not any(isinstance(one, tuple) and one[0] == key[0] for one in self.coming)

    def give_more(self, call: Call) -> None:
        """As the exchange's link does it for a call that is charged in slices."""
        if call.answered_at is None or call.leg not in self.channels:
            return
        self.granted[call.key] += 5
        left = call.answered_at + self.granted[call.key] - self.now
        for limit in (SetLimit(call.leg, left), *callers_limit(call, left)):
            self.do(call.uniqueid, limit)
        self.hear((call.uniqueid, Granted(self.granted[call.key])))

    def settle(self) -> None:
        """All that is on its way comes in its order, and nobody hangs up any more but the book."""
        for _ in range(500):
            if not self.coming:
                return
            self.hear(self.coming.pop(0))
        raise AssertionError("it never comes to rest")

    def look(self, book: ExchangeBook) -> None:
        """A look at the exchange, as behind a connection that was lost: what was told meanwhile is gone."""
        answers = [one for one in self.coming if isinstance(one, tuple)]  # the services are ours, and not lost
        self.coming = []
        self.book = book
        listed = [LiveChannel(name, name, leg.up is not None, SEAT) for name, leg in self.channels.items()]
        facts = {}
        for name in needs_facts(book, listed, SEAT):
            leg = self.channels[name]
            said = leg.variables
            facts[name] = LegFacts(
                str(key_of(name)),
                "1001",
                "4930",
                "",
                said.get("RATING_CALLER_ID", ""),
                leg.up,
                int(said.get("RATING_TRANSFERS", "0")),
                said.get("RATING_MOVING") == "1",
            )
        open_calls = {
            key: self.granted[key] for key in self.allowed if key not in self.finished and key not in self.told
        }
        seen = Snapshot(listed, {name: set(inside) for name, inside in self.bridges.items()}, facts, open_calls)
        difference = resync(book, SEAT, seen)
        for call in difference.adopted:
            book.put(call)
        self.carry_out(list(difference.commands))
        for told in difference.events:
            self.hear(told)
        self.coming += answers

    def hang_up_all(self) -> None:
        """The phones leave; then one of each two that talk without one. The book ends the others."""
        for channel in list(self.channels):
            if key_of(channel) is None:
                self.end(channel, 16)
        self.wait()
        self.check_limits()
        for channel in list(self.channels):
            if channel in self.channels:
                assert self.others(channel), f"{channel} is left alone"
                self.end(channel, 16)
                self.wait()

    def wait(self) -> None:
        """What waits for something that never comes gives it up."""
        self.settle()
        for _ in range(CLEAR_TRIES + 3):
            for key in [key for key in self.timers if key[1] in GIVES_UP]:
                if key in self.timers:
                    self.hear((key[0], self.timers.pop(key)))
                    self.settle()

    def check_limits(self) -> None:
        """Of all that talk, when all was heard."""
        for name, leg in self.channels.items():
            key = key_of(name)
            if key is not None and leg.up is not None:
                assert leg.limit is not None
                assert leg.limit <= leg.up + self.granted[key], "talks beyond what was granted"


GIVES_UP = (Timer.END, Timer.CREATE, Timer.CLEAR, Timer.RING)


def world(data: st.DataObject) -> World:
    return World(ExchangeBook("pbx1", CallRules(ring_seconds=20)), data, tied=data.draw(st.booleans()))


def check_all_over(world: World) -> None:
    assert world.channels == {}
    assert world.book.calls == {}
    for key, answered in world.allowed.items():
        by_engine, by_exchange = world.finished.get(key), world.told.get(key)
        assert by_engine is not None or by_exchange is not None, f"{key} is never finished"
        if by_engine is not None:
            assert (by_engine > 0) == (answered is not None) or by_exchange is not None
            assert by_engine == 0 or by_engine == world.seconds_of(key)


@settings(max_examples=130, deadline=None)
@given(st.data())
def test_in_whatever_order_every_call_that_was_allowed_is_finished_once_and_nothing_is_left(
    data: st.DataObject,
) -> None:
    one = world(data)
    one.enter("u1")
    one.enter("u2")
    for _ in range(data.draw(st.integers(0, 30))):
        one.step(lossy=False)
    one.settle()
    check_settled(one)
    one.hang_up_all()
    check_all_over(one)
    assert one.bridges == {}


@settings(max_examples=160, deadline=None)
@given(st.data(), st.booleans())
def test_with_events_lost_and_doubled_a_look_at_the_exchange_puts_it_right(data: st.DataObject, another: bool) -> None:
    """`another`: the engine has died, and one that knows nothing takes its seat."""
    one = world(data)
    one.enter("u1")
    one.enter("u2")
    for _ in range(data.draw(st.integers(0, 30))):
        one.step(lossy=True)
    look_and_end(one, another=another)


@settings(max_examples=250, deadline=None)
@given(st.data(), st.sampled_from(["all heard", "lossy", "another"]))
def test_whom_a_phone_transfers_is_finished_once_and_not_left_whatever_is_told_of_it(
    data: st.DataObject, how: str
) -> None:
    """Two calls of a phone, both answered; it transfers one of them."""
    one = world(data)
    one.friendly = True
    one.enter("u1")
    one.enter("u2")
    one.settle()
    one.friendly = False
    one.refer("u1", str(one.chance("", "", "", "u2", "u2", "u1")))
    for _ in range(data.draw(st.integers(1, 20))):
        one.step(lossy=how == "lossy")
    if how == "all heard":
        one.settle()
        check_settled(one)
        one.hang_up_all()
        check_all_over(one)
        assert one.bridges == {}
    else:
        look_and_end(one, another=how == "another")


def check_settled(one: World) -> None:
    """When all was heard."""
    one.check_limits()
    moving = {call.caller for call in one.book.calls.values() if isinstance(call, Call) and call.transferring}
    for phone, asked in one.asked.items():
        assert asked <= 0 or phone not in one.channels or phone in moving, f"{phone} waits for its transfer for ever"


def look_and_end(one: World, *, another: bool) -> None:
    if another:
        one.patience = int(str(one.chance(0, 1, 2, 3, 5, 8)))
        one.step(lossy=True)
        one.patience = None
        one.timers = {}
        one.coming = [each for each in one.coming if not isinstance(each, tuple)]
        fresh = ExchangeBook("pbx1", one.book.rules)
        note("calls to adopt" if one.book.calls else "nothing to adopt")
        unheard = [key for key in one.allowed if key not in one.finished and key not in one.told]
        lost = [key for key in unheard if f"r-{key.uniqueid}-{key.attempt}" not in one.channels]
        for key in lost:  # held, and no leg yet: reconciliation frees them
            one.told[key] = 0
        one.look(fresh)
    else:
        one.look(one.book)
    one.settle()
    one.step(lossy=False, what=str(one.chance("refer", "event")))
    for _ in range(one.draw.draw(st.integers(0, 6))):
        one.step(lossy=False)
    one.hang_up_all()
    one.look(one.book)
    one.settle()
    check_all_over(one)
