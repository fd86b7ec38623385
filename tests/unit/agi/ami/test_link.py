"""An exchange followed: found again whenever it is lost, and never steered by what was asked of a lost connection."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable

import pytest

from agi.ami import connection as connecting
from agi.ami import link as following
from agi.ami.link import NOBODY, AmiLink
from rating_engine.domain.errors import Unavailable
from tests.support.waiting import until_holds
from tests.unit.agi.ami.fake_exchange import Action, FakeExchange, listed, message, pong, success

HANG_SECONDS = 20.0


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deadlines short enough for a test that waits for them."""
    for module, name, seconds in (
        (following, "BACKOFF_FIRST_SECONDS", 0.01),
        (following, "BACKOFF_MAX_SECONDS", 0.05),
        (following, "REFUSED_SECONDS", 0.05),
        (following, "PING_SECONDS", 0.05),
        (connecting, "ANSWER_SECONDS", 0.3),
        (connecting, "LOGIN_SECONDS", 0.3),
    ):
        monkeypatch.setattr(module, name, seconds)


@pytest.fixture
async def exchange() -> AsyncIterator[FakeExchange]:
    async with FakeExchange() as exchange:
        yield exchange


@pytest.fixture
async def link(exchange: FakeExchange) -> AsyncIterator[AmiLink]:
    """A link that is connected for the first time."""
    link = AmiLink(exchange.address, warning_sound="beep")
    running = asyncio.create_task(link.run())
    await until_holds(lambda: link.session == 1)
    yield link
    running.cancel()
    await asyncio.wait([running])


def refuse(text: str) -> Callable[[dict[str, str]], str]:
    return lambda action: message(Response="Error", ActionID=action["ActionID"], Message=text)


async def test_a_lost_connection_is_made_again_as_a_new_session(exchange: FakeExchange, link: AmiLink) -> None:
    exchange.cut()
    await until_holds(lambda: link.session == 2)


async def test_an_exchange_that_falls_silent_is_left_and_found_again(exchange: FakeExchange, link: AmiLink) -> None:
    exchange.answers["Ping"] = lambda action: None
    await until_holds(lambda: link.session == 0)
    exchange.answers["Ping"] = pong
    await until_holds(lambda: link.session == 2)


async def test_a_refused_login_is_tried_again(exchange: FakeExchange, link: AmiLink) -> None:
    exchange.answers["Login"] = refuse("Authentication failed")
    exchange.cut()
    await until_holds(lambda: exchange.connections >= 3)
    assert link.session == 0
    exchange.answers["Login"] = success
    await until_holds(lambda: link.session == 2)


async def test_an_exchange_that_lets_us_watch_but_not_act_is_not_followed(
    exchange: FakeExchange, link: AmiLink
) -> None:
    exchange.answers["AbsoluteTimeout"] = refuse("Permission denied")
    exchange.cut()
    await until_holds(lambda: exchange.connections >= 3)
    assert link.session == 0


def limits(exchange: FakeExchange) -> list[Action]:
    """Those that were set, without the question whether we may."""
    return [action for action in exchange.asked("AbsoluteTimeout") if action["Channel"] != NOBODY]


async def test_what_was_asked_of_a_lost_connection_is_not_asked_of_the_next(
    exchange: FakeExchange, link: AmiLink
) -> None:
    """panoramisk would send it again: a limit set late lets the call outlive its money."""

    def cut_at_a_limit(action: Action) -> str | None:
        return success(action) if action["Channel"] == NOBODY else exchange.cut()

    exchange.answers["AbsoluteTimeout"] = cut_at_a_limit
    with pytest.raises(Unavailable):
        await link.set_limit("SIP/a", "SIP/b", seconds_left=5, max_seconds=10)
    await until_holds(lambda: link.session == 2)
    exchange.say(message(Event="FullyBooted", Status="Fully Booted"))  # what makes panoramisk do so
    await link.hang_up("SIP/a")
    assert len(limits(exchange)) == 1


async def test_while_there_is_no_connection_nothing_is_asked(exchange: FakeExchange) -> None:
    link = AmiLink(exchange.address)
    with pytest.raises(Unavailable, match="not connected"):
        await link.hang_up("SIP/a")
    with pytest.raises(Unavailable, match="not connected"):
        await link.list_channels()


async def test_a_limit_goes_to_the_called_channel_and_its_seconds_to_the_dialplan(
    exchange: FakeExchange, link: AmiLink
) -> None:
    assert await link.set_limit("SIP/caller", "SIP/called", seconds_left=12.3456, max_seconds=240)
    (limit,), (said,) = limits(exchange), exchange.asked("Setvar")
    assert (limit["Channel"], limit["Timeout"]) == ("SIP/called", "12.346")
    assert (said["Channel"], said["Variable"], said["Value"]) == ("SIP/caller", "RATING_MAX_SECONDS", "240")


@pytest.mark.parametrize("seconds", [0.0, -3.0, 0.0001])
async def test_a_limit_that_is_over_ends_the_call_instead_of_being_refused(
    exchange: FakeExchange, link: AmiLink, seconds: float
) -> None:
    """Asterisk answers `No timeout specified` to 0 and less."""
    await link.set_limit("SIP/a", "SIP/b", seconds_left=seconds, max_seconds=1)
    assert float(limits(exchange)[0]["Timeout"]) > 0


async def test_a_channel_that_is_gone_is_no_fault(exchange: FakeExchange, link: AmiLink) -> None:
    for action in ("Hangup", "AbsoluteTimeout"):
        exchange.answers[action] = refuse("No such channel")
    assert await link.hang_up("SIP/a") is False
    assert await link.set_limit("SIP/a", "SIP/b", seconds_left=5, max_seconds=5) is False
    assert exchange.asked("Setvar") == []


async def test_what_is_not_allowed_is_not_taken_for_done(exchange: FakeExchange, link: AmiLink) -> None:
    exchange.answers["Hangup"] = refuse("Permission denied")
    with pytest.raises(Unavailable, match="Permission denied"):
        await link.hang_up("SIP/a")


async def test_a_warning_is_whispered_to_the_caller_alone(exchange: FakeExchange, link: AmiLink) -> None:
    exchange.answers["Originate"] = lambda action: success(action, Message="Originate successfully queued")
    await link.warn("SIP/caller-00000001")
    (asked,) = exchange.asked("Originate")
    assert asked["Channel"] == "Local/s@rating-warning/n"
    assert (asked["Application"], asked["Data"]) == ("ChanSpy", "SIP/caller-00000001,uqWES")
    assert asked["Variable"] == "__RATING_WARNING_SOUND=beep"


async def test_events_become_knowledge_at_the_moment_the_exchange_says(exchange: FakeExchange, link: AmiLink) -> None:
    """An engine that was held up for half a second has not been answered half a second later."""
    before = time.monotonic()
    answered = {"Uniqueid": "1", "Channel": "SIP/a", "DestUniqueid": "2", "DestChannel": "SIP/b"}
    said = message(Event="DialEnd", Timestamp=f"{time.time() - 100:.6f}", DialStatus="ANSWER", **answered)
    exchange.say(said)
    await until_holds(lambda: link.seen("1") is not None)
    (view,) = link.take_answers()
    assert view.answered_at == pytest.approx(before - 100, abs=HANG_SECONDS)
    assert view.called_channel == "SIP/b"


async def test_an_answer_that_was_missed_is_read_from_what_the_dialplan_noted(
    exchange: FakeExchange, link: AmiLink
) -> None:
    noted = {
        "SHARED(RATING_ANSWERED_AT)": f"{(time.time() - 100) * 1000:.0f}",
        "SHARED(RATING_TRUNK)": "SIP/trunk-1",
    }
    exchange.answers["Getvar"] = lambda action: success(action, Value=noted[action["Variable"]])
    answer = await link.read_answer("SIP/a")
    assert answer is not None
    assert answer[0] == pytest.approx(time.monotonic() - 100, abs=HANG_SECONDS)
    assert answer[1] == "SIP/trunk-1"


@pytest.mark.parametrize("noted", ["", "nonsense", "-1", "inf", "nan", "1e300"])
async def test_a_note_that_is_no_time_is_no_answer(exchange: FakeExchange, link: AmiLink, noted: str) -> None:
    exchange.answers["Getvar"] = lambda action: success(action, Value=noted)
    assert await link.read_answer("SIP/a") is None


async def test_a_call_whose_end_nobody_saw_was_alive_when_the_exchange_was_heard_last(
    exchange: FakeExchange, link: AmiLink
) -> None:
    exchange.say(message(Event="Newchannel", Uniqueid="1", Channel="SIP/a"))
    await until_holds(lambda: link.seen("1") is not None)
    heard = time.monotonic()
    exchange.cut()
    await until_holds(lambda: link.session == 2)
    exchange.answers["CoreShowChannels"] = listed
    assert await link.list_channels() == []
    view = link.seen("1")
    assert view is not None
    assert (view.alive, view.ended_at) == (False, None)
    assert view.last_seen is not None
    assert view.last_seen >= heard - HANG_SECONDS


async def test_half_a_list_leaves_what_is_known_alone(exchange: FakeExchange, link: AmiLink) -> None:
    exchange.say(message(Event="Newchannel", Uniqueid="1", Channel="SIP/a"))
    await until_holds(lambda: link.seen("1") is not None)
    exchange.answers["CoreShowChannels"] = lambda action: listed(action, promised=1)
    with pytest.raises(Unavailable):
        await link.list_channels()
    view = link.seen("1")
    assert view is not None
    assert view.alive


async def test_an_exchange_whose_events_are_nonsense_is_followed_on(exchange: FakeExchange, link: AmiLink) -> None:
    exchange.say(message(Event="DialEnd", DialStatus="ANSWER", Timestamp="yesterday", Uniqueid="1"))
    exchange.say(message(Event="Hangup", Timestamp="1e400", Uniqueid="2", Cause="x" * 100))
    exchange.say(message(Event="Newchannel", Uniqueid="3", Channel="SIP/c"))
    await until_holds(lambda: link.seen("3") is not None)
    assert link.session == 1
