"""Calls that have to do with each other, by callback or transfer; and what a look at an exchange finds of others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agi.ari.call import Admitted, Call, CallRules, Failed, HangUpAsked, Phase, Then
from agi.ari.commands import (
    AskNext,
    Command,
    DeleteBridge,
    Finish,
    HangUp,
    Join,
    Prepare,
    SetLimit,
    SetVariable,
    StartWaiting,
    StopWaiting,
    TellTransfer,
    Transfer,
)
from agi.ari.events import Entered, Gone, Leaving, Ringing, TransferAsked, Up
from agi.ari.exchange_book import ExchangeBook, LegFacts, LiveChannel, Ordered, Snapshot, needs_facts, resync
from agi.ari.further_calls import callers_limit
from rating_engine.domain.outcomes import CallKey
from rating_engine.services.watch.callbacks import ORIGIN

RULES = CallRules()
SEAT = "rating-1"


def book() -> ExchangeBook:
    return ExchangeBook("pbx1", RULES)


def of(orders: list[Ordered], *kinds: type) -> list[Command]:
    return [order.command for order in orders if isinstance(order.command, kinds)]


def admit(calls: ExchangeBook, uniqueid: str) -> None:
    key = calls.calls[uniqueid].key
    calls.tell(uniqueid, Admitted(key, 100, "4930", "", "", "trunk"))
    calls.hear(Entered(f"r-{uniqueid}-{key.attempt}", 1.0, name=f"PJSIP/{uniqueid}-leg"))


def talking(calls: ExchangeBook, caller: str) -> str:
    """A call of `caller` that is answered; its leg."""
    calls.hear(Entered(caller, 1.0, name=f"PJSIP/{caller}", args=("call", "4930", "1001")))
    admit(calls, caller)
    calls.hear(Up(f"r-{caller}-1", 10.0))
    return f"r-{caller}-1"


def test_the_second_number_of_a_callback_is_called_when_the_first_one_answers_and_both_end_together() -> None:
    calls = book()
    first = Call(RULES, "pbx1", "c1", "1001", "4930", then=Then("c2", "4940"), origin=ORIGIN)
    assert of(calls.begin(first), Prepare) == [Prepare(CallKey("pbx1", "c1"))]
    admit(calls, "c1")
    started = calls.hear(Up("r-c1-1", 10.0))
    assert of(started, Prepare) == [Prepare(CallKey("pbx1", "c2"))]
    second = calls.calls["c2"]
    assert isinstance(second, Call)
    assert second.hears_warning
    admit(calls, "c2")
    limits = of(calls.hear(Up("r-c2-1", 20.0)), SetLimit)
    assert [limit.channel for limit in limits if isinstance(limit, SetLimit)] == ["r-c2-1"]  # the other one has its own
    assert of(calls.hear(Leaving("r-c1-1", 25.0)), HangUp) == [HangUp("r-c2-1", 16)]
    told = calls.hear(Gone("r-c1-1", 25.0, 16)) + calls.hear(Gone("r-c2-1", 25.0, 16))
    assert {(end.key.uniqueid, end.seconds) for end in of(told, Finish) if isinstance(end, Finish)} == {
        ("c1", 15), ("c2", 5),
    }  # fmt: skip
    assert calls.calls == {}


def test_what_is_held_for_a_second_number_that_is_never_called_is_freed() -> None:
    calls = book()
    calls.begin(Call(RULES, "pbx1", "c1", "1001", "4930", then=Then("c2", "4940")))
    admit(calls, "c1")
    told = of(calls.hear(Gone("r-c1-1", 25.0, 17, 486)), Finish)
    assert told == [Finish(CallKey("pbx1", "c1"), 0, "BUSY", 17, 25.0), Finish(CallKey("pbx1", "c2"), 0, "CANCEL", 16)]


def blind(calls: ExchangeBook) -> list[Ordered]:
    leg = talking(calls, "u1")
    return calls.hear(TransferAsked("u1", leg, target="4977"))


def test_a_blind_transfer_moves_the_other_side_when_the_target_has_answered() -> None:
    calls = book()
    assert of(blind(calls), Prepare) == [Prepare(CallKey("pbx1", "u1.t1"))]
    admit(calls, "u1.t1")
    assert of(calls.hear(Ringing("r-u1.t1-1", 20.0)), TellTransfer) == [TellTransfer("u1", Transfer.PROGRESS)]
    moved = calls.hear(Up("r-u1.t1-1", 21.0))
    assert of(moved, Join) == [Join("rb-u1.t1-1", ("r-u1-1", "r-u1.t1-1"))]
    assert of(moved, TellTransfer) == [TellTransfer("u1", Transfer.ANSWERED)]
    assert SetVariable("u1", "RATING_LEG", "") in of(moved, SetVariable)
    assert calls.hear(Leaving("u1", 21.1)) == []  # the phone is out of it
    assert set(of(calls.hear(Leaving("r-u1-1", 30.0)), HangUp)) == {HangUp("r-u1.t1-1", 16)}
    told = calls.hear(Gone("r-u1-1", 30.0, 16)) + calls.hear(Gone("r-u1.t1-1", 30.0, 16))
    assert {(end.key.uniqueid, end.seconds) for end in of(told, Finish) if isinstance(end, Finish)} == {
        ("u1", 20), ("u1.t1", 9),
    }  # fmt: skip
    assert calls.calls == {}


@pytest.mark.parametrize("stays", [True, False])
def test_where_nobody_takes_a_transfer_they_go_on_and_who_was_left_alone_is_let_go(stays: bool) -> None:
    calls = book()
    blind(calls)
    admit(calls, "u1.t1")
    if not stays:
        assert of(calls.hear(Leaving("u1", 20.0)), HangUp) == []
    failed = calls.hear(Gone("r-u1.t1-1", 22.0, 17, 486))
    assert of(failed, TellTransfer) == [TellTransfer("u1", Transfer.UNAVAILABLE)]
    assert of(failed, HangUp) == ([] if stays else [HangUp("r-u1-1", 16)])
    assert set(calls.calls) == {"u1"}
    assert calls.calls["u1"].phase is (Phase.TALKING if stays else Phase.CLEARING)


def test_a_transfer_that_is_ended_before_it_was_admitted_ends_nobody_else() -> None:
    calls = book()
    blind(calls)
    ended = calls.tell("u1.t1", HangUpAsked())
    assert of(ended, HangUp, TellTransfer) == [TellTransfer("u1", Transfer.UNAVAILABLE)]
    freed = calls.tell("u1.t1", Admitted(CallKey("pbx1", "u1.t1"), 100, "4930", "", "", "trunk"))
    assert of(freed, HangUp, Finish) == [Finish(CallKey("pbx1", "u1.t1"), 0, "CANCEL", 16)]
    assert set(calls.calls) == {"u1"}
    assert calls.calls["u1"].phase is Phase.TALKING


def test_two_calls_of_a_phone_are_connected_and_go_on_being_charged() -> None:
    calls = book()
    one, two = talking(calls, "u1"), talking(calls, "u2")
    done = calls.hear(TransferAsked("u1", one, other="u2", other_kept=two))
    assert of(done, Join) == [Join("rb-u1-1", (two,))]
    assert of(done, TellTransfer) == [TellTransfer("u1", Transfer.ANSWERED)]
    assert of(done, HangUp) == [HangUp("u1", 16), HangUp("u2", 16)]
    assert calls.hear(Leaving("u1", 15.0)) + calls.hear(Leaving("u2", 15.0)) == []
    assert set(of(calls.hear(Leaving(two, 30.0)), HangUp)) == {HangUp(one, 16)}


@pytest.mark.parametrize(("connected", "limits"), [(False, [SetLimit("u1", 40.0)]), (True, [])])
def test_more_time_of_one_call_is_no_time_of_the_leg_that_another_call_pays_for(
    connected: bool, limits: list[SetLimit]
) -> None:
    calls = book()
    one, two = talking(calls, "u1"), talking(calls, "u2")
    if connected:
        calls.hear(TransferAsked("u1", one, other="u2", other_kept=two))
    call = calls.calls["u1"]
    assert isinstance(call, Call)
    assert list(callers_limit(call, 30.0)) == limits
    assert call.hears_warning is not connected  # that its money ends: nobody of the other call


def test_who_could_not_be_joined_is_joined_again_with_the_next_leg() -> None:
    calls = book()
    calls.hear(Entered("u1", 1.0, name="PJSIP/u1", args=("call", "4930", "1001")))
    admit(calls, "u1")
    calls.tell("u1", Failed("r-u1-1"))
    calls.tell("u1", Admitted(CallKey("pbx1", "u1", 2), 100, "4930", "", "", "trunk"))
    assert of(calls.hear(Entered("r-u1-2", 2.0)), Join) == [Join("rb-u1-1", ("u1", "r-u1-2"))]


def is_kept(command: Command) -> bool:
    return isinstance(command, SetVariable) and command.name == "RATING_MOVING"


@pytest.mark.parametrize("kind", ["blind", "moved", "connected"])
def test_a_phone_that_transfers_takes_nobody_along_whenever_it_leaves(kind: str) -> None:
    """It may do so between any two of the commands, as soon as its legs are marked: before it is told anything."""
    calls = book()
    if kind == "connected":
        one, two = talking(calls, "u1"), talking(calls, "u2")
        legs = {"u1": one, "u2": two}
        orders = calls.hear(TransferAsked("u1", one, other="u2", other_kept=two))
    else:
        legs = {"u1": "r-u1-1"}
        orders = blind(calls)
        if kind == "moved":
            admit(calls, "u1.t1")
            orders += calls.hear(Up("r-u1.t1-1", 21.0))
    commands = [order.command for order in orders]
    marks, rest = commands[: len(legs)], commands[len(legs) :]
    assert marks == [SetVariable(leg, "RATING_MOVING", "1") for leg in legs.values()]
    assert not any(map(is_kept, rest))  # until they have failed
    told = [place for place, command in enumerate(rest) if isinstance(command, TellTransfer)]
    let_go = [
        place for place, command in enumerate(rest) if command in [SetVariable(p, "RATING_LEG", "") for p in legs]
    ]
    if kind != "blind":
        assert len(let_go) == len(legs)
        assert max(let_go) < min(told)


def test_a_phone_whose_transfer_failed_takes_the_other_side_along_again() -> None:
    calls = book()
    blind(calls)
    admit(calls, "u1.t1")
    failed = calls.hear(Gone("r-u1.t1-1", 22.0, 17, 486))
    assert [command for command in of(failed, SetVariable) if is_kept(command)] == [
        SetVariable("r-u1-1", "RATING_MOVING", "")
    ]


def test_who_is_left_alone_in_a_transfer_hears_ringing_until_it_is_answered() -> None:
    calls = book()
    blind(calls)
    admit(calls, "u1.t1")
    assert of(calls.hear(Leaving("u1", 20.0)), StartWaiting) == [StartWaiting("r-u1-1", "")]
    moved = of(calls.hear(Up("r-u1.t1-1", 21.0)), StopWaiting, Join)
    assert moved == [StopWaiting("r-u1-1", ""), Join("rb-u1.t1-1", ("r-u1-1", "r-u1.t1-1"))]


@pytest.mark.parametrize(
    ("asked", "state"),
    [
        (TransferAsked("u1", "somebody", target="4977"), Transfer.DECLINED),
        (TransferAsked("r-u1-1", "u1", target="4977"), Transfer.DECLINED),  # the called party: who would pay?
        (TransferAsked("u1", "r-u1-1"), Transfer.DECLINED),
        (TransferAsked("u1", "r-u1-1", other="u1", other_kept="r-u1-1"), Transfer.DECLINED),  # with its own call
        (TransferAsked("u1", "r-u1-1", other="elsewhere", other_kept="x"), Transfer.UNAVAILABLE),
    ],
)
def test_a_transfer_that_cannot_be_is_said_to_the_phone_which_would_wait(asked: TransferAsked, state: Transfer) -> None:
    calls = book()
    talking(calls, "u1")
    assert of(calls.hear(asked), TellTransfer) == [TellTransfer(asked.channel, state)]


# -- a look at the exchange


def channel(name: str, *, up: bool = True, seat: str = SEAT) -> LiveChannel:
    return LiveChannel(name, f"PJSIP/{name}", up, seat)


def look(calls: ExchangeBook, *channels: LiveChannel, **more: object) -> Snapshot:
    facts = {
        name: LegFacts("pbx1/u1/1" if name[1] == "-" else "", "1001", "4930", "", "u1", 50.0)
        for name in needs_facts(calls, channels, SEAT)
    }
    seen = Snapshot(channels, {"rb-u1-1": {"u1", "r-u1-1"}}, facts, {CallKey("pbx1", "u1"): 100})
    return replace(seen, **more)  # type: ignore[arg-type]


def test_a_call_that_somebody_else_held_is_adopted_with_its_limits() -> None:
    found = resync(book(), SEAT, look(book(), channel("u1"), channel("r-u1-1")))
    (call,) = found.adopted
    assert (call.phase, call.login, call.answered_at, call.bridge, call.owed) == (
        Phase.TALKING, "1001", 50.0, "rb-u1-1", True,
    )  # fmt: skip
    assert [order.command for order in found.commands] == [SetLimit("r-u1-1", 100, 50.0), SetLimit("u1", 110, 50.0)]


@pytest.mark.parametrize(
    ("channels", "more", "ended"),
    [
        ((channel("u1"),), {}, ["u1"]),  # a caller whose leg is gone
        ((channel("r-u1-1"),), {}, ["r-u1-1"]),  # a leg whose caller is
        ((channel("u1"), channel("r-u1-1")), {"granted": {}}, ["u1", "r-u1-1"]),  # nobody pays for it
        ((channel("u1"), channel("r-u1-1")), {"bridges": {}}, ["u1", "r-u1-1"]),  # they don't hear each other
        ((channel("u1", seat="rating-2"), channel("r-u1-1", seat="rating-2")), {}, []),  # of another seat
        ((channel("u9", seat=""),), {}, []),  # of no application
        ((channel("u1"),), {"fresh": {"u1"}}, []),  # its entry is heard in a moment
    ],
)
def test_what_belongs_to_nobody_is_ended_and_nothing_else(
    channels: tuple[LiveChannel, ...], more: dict[str, object], ended: list[str]
) -> None:
    found = resync(book(), SEAT, look(book(), *channels, **more))
    assert (list(found.orphans), found.adopted) == (ended, ())
    hung = [order.command.channel for order in found.commands if isinstance(order.command, HangUp)]
    assert hung == ended


@pytest.mark.parametrize(("moving", "told"), [(True, [TellTransfer("u1", Transfer.UNAVAILABLE)]), (False, [])])
def test_a_call_that_was_transferred_before_somebody_took_it_over_has_a_key_of_its_own_the_next_time(
    moving: bool, told: list[Command]
) -> None:
    """By the same key the second one would be the first one again: it would talk, and nobody pay."""
    calls = book()
    asked = of(blind(calls), SetVariable)
    assert SetVariable("r-u1-1", "RATING_TRANSFERS", "1") in asked
    another, seen = book(), look(book(), channel("u1"), channel("r-u1-1"))
    facts = {name: replace(each, transfers=1, moving=moving) for name, each in seen.facts.items()}
    found = resync(another, SEAT, replace(seen, facts=facts))
    assert of(list(found.commands), TellTransfer) == told  # a phone whose transfer was under way would wait
    unmarked = SetVariable("r-u1-1", "RATING_MOVING", "") in of(list(found.commands), SetVariable)
    assert unmarked is moving
    another.put(found.adopted[0])
    again = another.hear(TransferAsked("u1", "r-u1-1", target="4977"))
    assert of(again, Prepare) == [Prepare(CallKey("pbx1", "u1.t2"))]


def test_bridges_that_nobody_is_in_are_taken_away() -> None:
    found = resync(book(), SEAT, look(book(), bridges={"rb-x-1": set(), "somebodys": set(), "rb-y-1": {"z"}}))
    assert [order.command for order in found.commands] == [DeleteBridge("rb-x-1")]


def test_of_a_call_that_is_held_the_answer_and_the_ends_that_were_missed_are_told() -> None:
    calls = book()
    calls.hear(Entered("u1", 1.0, args=("call", "4930", "1001")))
    admit(calls, "u1")
    found = resync(calls, SEAT, look(calls, channel("u1"), channel("r-u1-1")))
    assert (found.events, found.adopted, found.orphans) == ((("u1", Up("r-u1-1", 50.0)),), (), ())
    found = resync(calls, SEAT, look(calls))
    assert found.events == (("u1", Gone("r-u1-1", None)), ("u1", Gone("u1", None)))


def test_who_came_in_is_held_as_long_as_what_his_rules_had_ring_goes_on() -> None:
    facts = {
        "d1": LegFacts("pbx1/d1/1", "1001", "4977", "", "", 40.0),
        "x-d1.s1-1": LegFacts("", "1001", "1001", "", "d1", 40.0),
    }
    channels = (channel("d1"), channel("x-d1.s1-1"))
    seen = Snapshot(channels, {"rb-d1.s1-1": {"d1", "x-d1.s1-1"}}, facts, {CallKey("pbx1", "d1"): 90})
    calls = book()
    found = resync(calls, SEAT, seen)
    step, taken = found.adopted
    assert isinstance(step, Call)
    assert (step.of, step.owed, step.minds_caller) == ("d1", False, False)
    assert (taken.owed, taken.granted, taken.phase) == (True, 90, Phase.STEP)
    for call in found.adopted:
        calls.put(call)
    asked = calls.hear(Leaving("x-d1.s1-1", 45.0))
    assert of(asked, AskNext) == [AskNext(CallKey("pbx1", "d1"), "4977/100", "", "ANSWER", "")]
    alone = resync(book(), SEAT, replace(seen, channels=(channel("d1"),)))
    assert (alone.adopted, alone.orphans) == ((), ("d1",))
