"""Whatever an exchange tells in which order, twice or not at all: what was allowed is finished once, nothing is left.

The exchange here is a model: it does what it is asked, has a truth of its own (channels, bridges), and its words about
that come late, in another order, doubled, or never. A look at it (resync) then has to put everything right.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import event as note
from hypothesis import given, settings
from hypothesis import strategies as st

from agi.ari.call import Admitted, CallRules, Failed, Refused, TimerFired, leg_of
from agi.ari.call_tracker import CLEAR_TRIES
from agi.ari.commands import (
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
    StartTimer,
    Timer,
)
from agi.ari.events import Entered, ExchangeEvent, Gone, Leaving, Ringing, Up
from agi.ari.exchange_book import ExchangeBook, LegFacts, LiveChannel, Ordered, Snapshot, needs_facts, resync
from rating_engine.domain.outcomes import CallKey, DeclineReason

GRANTED = 30
SEAT = "rating-1"


def key_of(channel: str) -> CallKey | None:
    """Whose leg it is."""
    found = leg_of(channel)
    return None if found is None else CallKey("pbx1", *found)


@dataclass
class Leg:
    """A channel as it is, whatever was told of it."""

    caller: str
    up: float | None = None


@dataclass
class World:
    """An exchange, the services, and what is on its way from them to the book."""

    book: ExchangeBook
    draw: st.DataObject
    now: float = 100.0
    channels: dict[str, Leg] = field(default_factory=dict)
    bridges: dict[str, set[str]] = field(default_factory=dict)
    coming: list[object] = field(default_factory=list)
    timers: dict[tuple[str, Timer], TimerFired] = field(default_factory=dict)
    allowed: dict[CallKey, float | None] = field(default_factory=dict)  # when each was answered
    finished: dict[CallKey, int] = field(default_factory=dict)
    told: dict[CallKey, int] = field(default_factory=dict)  # by the hangup handlers of the exchange

    def chance(self, *choices: object) -> object:
        return self.draw.draw(st.sampled_from(choices))

    def tell(self, event: ExchangeEvent) -> None:
        self.coming.append(event)

    def enter(self, caller: str) -> None:
        self.channels[caller] = Leg("")
        self.tell(Entered(caller, self.now, args=("call", "4930", "1001")))

    def end(self, channel: str, cause: int) -> None:
        leg = self.channels.pop(channel, None)
        if leg is None:
            return
        for inside in self.bridges.values():
            inside.discard(channel)
        self.tell(Leaving(channel, self.now))
        key = key_of(channel)
        if key is not None:
            self.told[key] = 0 if leg.up is None else 1
            self.tell(Gone(channel, self.now, cause))

    def carry_out(self, orders: list[Ordered]) -> None:
        for order in orders:
            self.now += 0.01
            self.do("" if order.call is None else order.call.uniqueid, order.command)

    def do(self, uniqueid: str, command: Command) -> None:
        match command:
            case Prepare(key):
                may = self.chance(True, True, True, False)
                if may:
                    self.allowed[key] = None
                    self.coming.append((uniqueid, Admitted(key, GRANTED, "4930", "", "", "trunk")))
                else:
                    self.coming.append((uniqueid, Refused(key, DeclineReason.NO_ROUTE)))
            case Finish(key, seconds):
                assert key in self.allowed
                assert key not in self.finished, "finished twice"
                self.finished[key] = seconds
            case CreateBridge(bridge):
                self.bridges.setdefault(bridge, set())
            case CreateLeg(leg, _, like, variables):
                assert int(variables["TIMEOUT(absolute)"]) <= GRANTED
                if self.chance(True, True, True, False):
                    self.channels[leg] = Leg(like)
                    self.tell(Entered(leg, self.now, args=("leg",)))
                else:
                    self.coming.append((uniqueid, Failed(leg)))
            case Join(bridge, channels):
                self.bridges.setdefault(bridge, set()).update(set(channels) & set(self.channels))
            case Dial(leg):
                self.ring(leg)
            case SetLimit(channel, seconds):
                if key_of(channel) is not None:
                    assert seconds <= GRANTED
            case HangUp(channel, cause):
                self.end(channel, cause)
            case DeleteBridge(bridge):
                self.bridges.pop(bridge, None)
            case StartTimer(timer, _, attempt):
                self.timers[uniqueid, timer] = TimerFired(timer, attempt)

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
        else:
            self.carry_out(self.book.hear(one))  # type: ignore[arg-type]

    def step(self, *, lossy: bool) -> None:
        """Something happens: an event comes (any of those on their way), a timer runs out, somebody hangs up."""
        what = self.chance("event", "event", "event", "timer", "hang up")
        if what == "event" and self.coming:
            place = self.draw.draw(st.integers(0, min(len(self.coming), 4) - 1))
            one = self.coming.pop(place)
            fate = self.chance("once", "once", "twice", "lost") if lossy and not isinstance(one, tuple) else "once"
            for _ in range({"once": 1, "twice": 2, "lost": 0}[str(fate)]):
                self.hear(one)
        elif what == "timer" and self.timers:
            key = self.chance(*sorted(self.timers))
            assert isinstance(key, tuple)
            self.hear((key[0], self.timers.pop(key)))
        elif what == "hang up" and self.channels:
            self.end(str(self.chance(*sorted(self.channels))), 16)

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
            facts[name] = LegFacts(str(key_of(name)), "1001", "4930", "", leg.caller, leg.up)
        open_calls = {key: GRANTED for key in self.allowed if key not in self.finished and key not in self.told}
        seen = Snapshot(listed, {name: set(inside) for name, inside in self.bridges.items()}, facts, open_calls)
        difference = resync(book, SEAT, seen)
        for call in difference.adopted:
            book.put(call)
        self.carry_out(list(difference.commands))
        for told in difference.events:
            self.hear(told)
        self.coming += answers

    def hang_up_all(self) -> None:
        for channel in list(self.channels):
            if key_of(channel) is None:
                self.end(channel, 16)
        self.settle()
        for channel in list(self.channels):
            self.end(channel, 16)
        self.settle()
        for _ in range(CLEAR_TRIES + 1):  # what waits for something that never comes gives it up
            for key in [key for key in self.timers if key[1] in (Timer.END, Timer.CREATE, Timer.CLEAR)]:
                self.hear((key[0], self.timers.pop(key)))
                self.settle()


def world(data: st.DataObject) -> World:
    return World(ExchangeBook("pbx1", CallRules(ring_seconds=20)), data)


def check_all_over(world: World) -> None:
    assert world.channels == {}
    assert world.book.calls == {}
    for key, answered in world.allowed.items():
        by_engine, by_exchange = world.finished.get(key), world.told.get(key)
        assert by_engine is not None or by_exchange is not None, f"{key} is never finished"
        if by_engine is not None:
            assert (by_engine > 0) == (answered is not None) or by_exchange is not None


@settings(max_examples=150, deadline=None)
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
    one.hang_up_all()
    check_all_over(one)
    assert one.bridges == {}


@settings(max_examples=200, deadline=None)
@given(st.data(), st.booleans())
def test_with_events_lost_and_doubled_a_look_at_the_exchange_puts_it_right(data: st.DataObject, another: bool) -> None:
    """`another`: the engine has died, and one that knows nothing takes its seat."""
    one = world(data)
    one.enter("u1")
    one.enter("u2")
    for _ in range(data.draw(st.integers(0, 30))):
        one.step(lossy=True)
    if another:
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
    one.hang_up_all()
    one.look(one.book)
    one.settle()
    check_all_over(one)
