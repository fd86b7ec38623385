"""Manager events in, knowledge of calls out: sequences as a real Asterisk 22.10 sent them, and what it never sent."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path

import pytest

from agi.ami import tracker as limits
from agi.ami.tracker import ChannelTracker
from rating_engine.domain.watching import LiveChannel, SeenCall

SCENES = json.loads(Path(__file__).with_name("asterisk-22-events.json").read_text())


@dataclass
class Scene:
    """One call as it was heard: events in their order, moments counted from the first."""

    caller: str
    events: list[dict[str, str]]

    @classmethod
    def named(cls, name: str) -> Scene:
        return cls(SCENES[name]["caller"], SCENES[name]["events"])

    def moment(self, event: dict[str, str]) -> float:
        return float(event["Timestamp"]) - float(self.events[0]["Timestamp"])

    def of(self, kind: str, **fields: str) -> dict[str, str]:
        """The only event of that kind with these fields."""
        (found,) = [e for e in self.events if e["Event"] == kind and fields.items() <= e.items()]
        return found

    def heard(self, tracker: ChannelTracker, until: dict[str, str] | None = None) -> None:
        for event in self.events:
            tracker.feed(event, self.moment(event))
            if event is until:
                return


def seen(name: str) -> tuple[Scene, SeenCall]:
    """A scene, and what is known of its caller at the end."""
    scene, tracker = Scene.named(name), ChannelTracker()
    scene.heard(tracker)
    view = tracker.seen(scene.caller)
    assert view is not None
    return scene, view


ANSWERED = [
    "the caller hangs up",
    "the called party hangs up",
    "a limit cuts the call",
    "the second route answers",
    "the caller was in a menu before",
    "one of two that ring answers",
    "the called party transfers the caller away",
    "the trunk is redirected elsewhere",
]


@pytest.mark.parametrize("name", ANSWERED)
def test_a_call_is_answered_when_its_called_party_is_and_by_that_channel(name: str) -> None:
    scene, view = seen(name)
    answer = scene.of("DialEnd", DialStatus="ANSWER", Uniqueid=scene.caller)
    assert view.answered_at == scene.moment(answer)
    assert view.called_channel == answer["DestChannel"]


@pytest.mark.parametrize("name", ANSWERED)
def test_a_conversation_ends_when_the_first_of_its_two_channels_does(name: str) -> None:
    scene, view = seen(name)
    called = scene.of("DialEnd", DialStatus="ANSWER", Uniqueid=scene.caller)["DestUniqueid"]
    ends = [e for e in scene.events if e["Event"] == "Hangup" and e["Uniqueid"] in (scene.caller, called)]
    assert view.ended_at == scene.moment(ends[0])
    assert (view.alive, view.cause) == (False, 16)


def test_the_answer_of_a_menu_is_not_the_answer_of_the_call() -> None:
    scene, tracker = Scene.named("the caller was in a menu before"), ChannelTracker()
    scene.heard(tracker, until=scene.of("DialBegin", Uniqueid=scene.caller))
    view = tracker.seen(scene.caller)
    assert view is not None
    assert (view.answered_at, view.alive) == (None, True)


def test_a_caller_who_gives_up_was_never_answered() -> None:
    _, view = seen("the caller gives up while it rings")
    assert (view.answered_at, view.called_channel, view.alive) == (None, "", False)


def test_a_caller_transferred_away_by_the_called_party_lives_on_without_its_call() -> None:
    scene, tracker = Scene.named("the called party transfers the caller away"), ChannelTracker()
    called = scene.of("DialEnd", DialStatus="ANSWER", Uniqueid=scene.caller)["DestUniqueid"]
    hangup = scene.of("Hangup", Uniqueid=called)
    scene.heard(tracker, until=hangup)
    view = tracker.seen(scene.caller)
    assert view is not None
    assert (view.alive, view.ended_at) == (False, scene.moment(hangup))


def test_each_answer_is_told_once_and_in_order() -> None:
    scene, tracker = Scene.named("the caller goes on to a second call"), ChannelTracker()
    scene.heard(tracker)
    answers = [e for e in scene.events if e["Event"] == "DialEnd" and e.get("Uniqueid") == scene.caller]
    assert [view.answered_at for view in tracker.take_answers()] == [scene.moment(answer) for answer in answers]
    assert tracker.take_answers() == []


@pytest.mark.parametrize("name", ANSWERED)
def test_an_end_is_told_once_with_its_answer(name: str) -> None:
    scene, tracker = Scene.named(name), ChannelTracker()
    scene.heard(tracker)

    (end,) = [end for end in tracker.take_ends() if end.uniqueid == scene.caller]

    view = tracker.seen(scene.caller)
    assert view is not None
    assert (end.answered_at, end.ended_at) == (view.answered_at, view.ended_at)
    assert end.ended_at is not None
    assert tracker.take_ends() == []


def test_an_end_that_was_not_heard_is_not_told() -> None:
    tracker = ChannelTracker()
    tracker.feed(answer("a", "b"), 1.0)
    tracker.compare(lines(), 5.0)

    assert tracker.take_ends() == []


def test_a_second_call_on_the_same_channel_begins_unanswered() -> None:
    scene, tracker = Scene.named("the caller goes on to a second call"), ChannelTracker()
    second = [e for e in scene.events if e["Event"] == "DialBegin" and e.get("Uniqueid") == scene.caller][1]
    scene.heard(tracker, until=second)
    assert tracker.seen(scene.caller) == SeenCall(scene.caller, second["Channel"])


@pytest.mark.parametrize("name", SCENES)
def test_every_channel_is_gone_at_the_end_and_none_was_made_up(name: str) -> None:
    scene, tracker = Scene.named(name), ChannelTracker()
    scene.heard(tracker)
    hung_up = {e["Uniqueid"] for e in scene.events if e["Event"] == "Hangup"}
    for uniqueid in {e["Uniqueid"] for e in scene.events if "Uniqueid" in e}:
        view = tracker.seen(uniqueid)
        assert view is not None
        assert view.alive is (uniqueid not in hung_up)


@pytest.mark.parametrize("name", SCENES)
@pytest.mark.parametrize("seed", range(5))
def test_events_lost_doubled_or_out_of_order_make_no_answer_up(name: str, seed: int) -> None:
    scene, tracker, chance = Scene.named(name), ChannelTracker(), random.Random(seed)
    events = [event for event in scene.events for _ in range(chance.choice((0, 1, 1, 2)))]
    chance.shuffle(events)
    for event in events:
        tracker.feed(event, scene.moment(event))
    answered = {e.get("Uniqueid") for e in events if e["Event"] == "DialEnd" and e["DialStatus"] == "ANSWER"}
    told = {view.uniqueid for view in tracker.take_answers()}
    assert told <= answered


def test_a_renamed_channel_is_known_by_its_new_name_to_who_talks_to_it() -> None:
    tracker = ChannelTracker()
    tracker.feed(answer("caller", "called"), 1)
    tracker.feed({"Event": "Rename", "Uniqueid": "called", "Channel": "SIP/called", "Newname": "SIP/other"}, 2)
    view = tracker.seen("caller")
    assert view is not None
    assert view.called_channel == "SIP/other"


def answer(caller: str, called: str) -> dict[str, str]:
    return {
        "Event": "DialEnd",
        "DialStatus": "ANSWER",
        "Uniqueid": caller,
        "Channel": f"SIP/{caller}",
        "DestUniqueid": called,
        "DestChannel": f"SIP/{called}",
    }


def lines(*uniqueids: str) -> list[LiveChannel]:
    return [LiveChannel(uniqueid, f"SIP/{uniqueid}", "") for uniqueid in uniqueids]


def test_who_is_not_in_the_whole_list_is_gone_and_was_alive_when_the_exchange_was_heard_last() -> None:
    tracker = ChannelTracker()
    tracker.feed(answer("caller", "called"), 1)
    tracker.compare(lines("other"), asked_at=60, heard_until=20)
    view = tracker.seen("caller")
    assert view is not None
    assert (view.alive, view.ended_at, view.last_seen, view.answered_at) == (False, None, 20, 1)
    assert tracker.seen("other") == SeenCall("other", "SIP/other")


def test_who_began_while_the_list_was_made_is_not_taken_for_gone() -> None:
    tracker = ChannelTracker()
    tracker.feed(answer("caller", "called"), 10)
    tracker.compare(lines(), asked_at=9.9)
    view = tracker.seen("caller")
    assert view is not None
    assert view.alive


def test_a_caller_whose_called_channel_is_not_in_the_list_talks_no_more() -> None:
    tracker = ChannelTracker()
    tracker.feed(answer("caller", "called"), 1)
    tracker.compare(lines("caller"), asked_at=60, heard_until=20)
    view = tracker.seen("caller")
    assert view is not None
    assert (view.alive, view.last_seen) == (False, 20)


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"Event": "Hangup"},
        {"Event": "Hangup", "Uniqueid": ["1", "2"]},
        {"Event": "Hangup", "Uniqueid": "nobody", "Cause": "many"},
        {"Event": "Newchannel"},
        {"Event": "Rename", "Uniqueid": "nobody", "Newname": "SIP/x"},
        {"Event": "DialBegin", "DestUniqueid": "x"},
        {"Event": "DialEnd", "DialStatus": "ANSWER", "DestUniqueid": "x", "DestChannel": "SIP/x"},
        {"Event": "DialEnd", "DialStatus": "ANSWER", "Uniqueid": "x"},
        {"Event": "Nonsense", "Uniqueid": "x"},
    ],
)
def test_an_event_that_says_too_little_answers_nothing(event: dict[str, object]) -> None:
    tracker = ChannelTracker()
    tracker.feed(event, 1)
    assert tracker.take_answers() == []


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CHANNELS_MAX", "ENDED_KEPT"):
        monkeypatch.setattr(limits, name, 3)
    tracker = ChannelTracker()
    for number in range(10):
        tracker.feed({"Event": "Newchannel", "Uniqueid": f"live-{number}", "Channel": "SIP/x"}, number)
        tracker.feed({"Event": "Hangup", "Uniqueid": f"gone-{number}", "Channel": "SIP/x", "Cause": "16"}, number)
    assert [n for n in range(10) if tracker.seen(f"live-{n}")] == [0, 1, 2]
    assert [n for n in range(10) if tracker.seen(f"gone-{n}")] == [7, 8, 9]
