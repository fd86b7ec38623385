"""The words between the engine and an exchange: addresses, causes, events, requests, and who knows which."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from agi.ari.address import AriAddress, parse_address
from agi.ari.causes import FAILOVER, FINAL, cause_of
from agi.ari.commands import CreateLeg, HangUp, Play, SetLimit
from agi.ari.events import Entered, Gone, Held, Leaving, Played, Progress, Ringing, SeatTaken, TransferAsked, Up, read
from agi.ari.model import EVENT_TYPES
from agi.ari.requests import Request, is_other_limit, requests_of
from agi.ari.versions import OLDEST, QUIET_TRANSFERS, TRANSFERS, has, version_of
from agi.fastagi.leg_finish import parse_leg_finish
from agi.fastagi.request import AgiRequest
from rating_engine.domain.errors import InvalidRequest
from rating_engine.domain.outcomes import CallKey, DeclineReason
from rating_engine.telemetry.ari_metrics import KINDS

CONFIG = Path(__file__).parents[4] / "config" / "asterisk"
AT = "2026-08-01T12:00:00.250+0000"
MOMENT = 1785585600.25


def test_an_address_names_the_exchange_the_secret_and_how_many_seats() -> None:
    assert parse_address("pbx1=ari://engine:s%40fe@10.0.0.7:8089?tls=1&ca=/etc/ca.pem&seats=3") == AriAddress(
        "pbx1", "10.0.0.7", 8089, "engine", "s@fe", 3, True, "/etc/ca.pem"
    )
    assert parse_address("pbx1=ari://engine:safe@[::1]").port == 8088
    assert "safe" not in repr(parse_address("pbx1=ari://engine:safe@localhost"))


@pytest.mark.parametrize(
    "text",
    ["ari://engine:x@h", "pbx1=ami://engine:x@h", "p/1=ari://e:x@h", "pbx1=ari://engine@h", "pbx1=ari://e:x@h?seat=1",
     "pbx1=ari://e:x@h?seats=0", "pbx1=ari://e:x@h?seats=17", "pbx1=ari://e:x@h?seats=x"],
)  # fmt: skip
def test_what_is_no_address_is_said(text: str) -> None:
    with pytest.raises(ValueError, match=r"NAME|ari://|option|seats|secret"):
        parse_address(text)


def test_what_a_refused_caller_is_told_and_which_route_is_tried_next_is_as_in_the_other_dialplan() -> None:
    dialplan = (CONFIG / "extensions.conf").read_text()
    section = dialplan.partition("\n[rating-causes]\n")[2].partition("\n[")[0]
    causes = dict(re.findall(r"^exten => (\w+),1,Return\((\d+)\)", section, re.MULTILINE))
    assert {reason.value: str(cause_of(reason)) for reason in DeclineReason} == causes
    settings = dict(re.findall(r"^(RATING_\w+)=(.*)$", dialplan, re.MULTILINE))
    assert set(settings["RATING_FAILOVER"].split()) == FAILOVER
    assert set(map(int, settings["RATING_FINAL"].split())) == FINAL


def channel(**more: object) -> dict[str, object]:
    return {"id": "u1", "name": "PJSIP/1001-1", "state": "Ring", "caller": {"number": "4930111"}, **more}


REFER = {
    "referred_by": {"source_channel": channel(), "connected_channel": channel(id="r-u1-1")},
    "refer_to": {"requested_destination": {"destination": "4977"}},
}


@pytest.mark.parametrize(
    ("raw", "event"),
    [
        (
            {"type": "StasisStart", "args": ["call", "4930", "1001"], "channel": channel(accountcode="1002")},
            Entered("u1", MOMENT, "PJSIP/1001-1", ("call", "4930", "1001"), "4930111", "1002"),
        ),
        ({"type": "StasisEnd", "channel": channel()}, Leaving("u1", MOMENT)),
        ({"type": "ChannelHangupRequest", "cause": 32, "soft": True, "channel": channel()}, Leaving("u1", MOMENT)),
        ({"type": "ChannelStateChange", "channel": channel(state="Up")}, Up("u1", MOMENT)),
        ({"type": "ChannelStateChange", "channel": channel(state="Ringing")}, None),
        ({"type": "Dial", "dialstatus": "RINGING", "peer": channel()}, Ringing("u1", MOMENT)),
        ({"type": "Dial", "dialstatus": "PROGRESS", "peer": channel()}, Progress("u1", MOMENT)),
        ({"type": "Dial", "dialstatus": "ANSWER", "peer": channel()}, None),
        (
            {"type": "ChannelDestroyed", "cause": 17, "tech_cause": 486, "channel": channel()},
            Gone("u1", MOMENT, 17, 486),
        ),
        ({"type": "ChannelHold", "channel": channel()}, Held("u1", held=True)),
        (
            {"type": "PlaybackFinished", "playback": {"id": "p", "target_uri": "channel:u1", "state": "failed"}},
            Played("u1", "p", whole=False),
        ),
        ({"type": "ChannelTransfer", **REFER}, TransferAsked("u1", "r-u1-1", target="4977")),
        # What a phone was told comes back: asked again it would be refused what it has.
        ({"type": "ChannelTransfer", "state": "channel_progress", **REFER}, None),
        ({"type": "ApplicationReplaced"}, SeatTaken()),
        ({"type": "SomethingNew", "channel": channel()}, None),
        ({"type": "StasisEnd"}, None),
        ({"type": "Dial", "peer": None, "dialstatus": "RINGING"}, None),
        ({}, None),
    ],
)  # fmt: skip
def test_an_event_is_one_noun_and_what_is_not_known_is_nothing(raw: dict[str, object], event: object) -> None:
    assert read({**raw, "timestamp": AT}) == event


def test_every_type_of_event_that_is_asked_for_is_counted_by_its_name() -> None:
    assert KINDS == EVENT_TYPES


@pytest.mark.parametrize(
    ("version", "is_taken", "transfers", "quietly"),
    [
        ("20.13.0", False, False, False),
        ("20.14.1", True, False, False),
        ("20.18.0", True, True, False),
        ("20.21.0", True, True, True),
        ("21.8.0", False, False, False),
        ("21.12.3", True, False, False),
        ("22.3.0", False, False, False),
        ("22.7.0", True, False, False),
        ("22.10.1~dfsg+~cs6.17.60671434-1", True, True, False),
        ("22.11.0-rc1", True, True, True),
        ("23.1.0", True, False, False),
        ("24.0.0", True, True, True),
        ("19.8.1", False, False, False),
        ("GIT-master-f0c1c1a", True, True, True),
    ],
)
def test_what_an_asterisk_can_goes_by_its_branch(version: str, is_taken: bool, transfers: bool, quietly: bool) -> None:
    found = version_of(version)
    assert (has(found, OLDEST), has(found, TRANSFERS), has(found, QUIET_TRANSFERS)) == (is_taken, transfers, quietly)


def test_a_command_is_a_request() -> None:
    assert requests_of(HangUp("r-u1-1", 17), "rating-1") == (
        Request("DELETE", "channels/r-u1-1", {"reason_code": "17"}),
    )
    (limit,) = requests_of(SetLimit("u1", 10), "rating-1", seconds_left=-3.0)
    assert limit.query == {"variable": "TIMEOUT(absolute)", "value": "0.050"}
    progress, play = requests_of(Play("u1", "p1", ("a", "b"), early=True), "rating-1")
    assert (progress.uri, play.query) == ("channels/u1/progress", {"media": "sound:a,sound:b"})
    (create,) = requests_of(CreateLeg("r-u1-1", "PJSIP/1@t", "u1", {"A": "b"}), "rating-1")
    assert create.query["channelId"] == "r-u1-1"
    assert create.body == {"variables": {"A": "b"}}


def leg_finish(*arguments: str) -> AgiRequest:
    return AgiRequest(arguments=arguments, script="legFinish", query={}, uniqueid="r-1.2-1")


@pytest.mark.parametrize(
    ("answered", "ended", "cause", "said"),
    [
        ("1785585600.250000", "1785585606450", "16", (6, "ANSWER")),
        ("1785585600.250000", "1785585606451", "16", (7, "ANSWER")),
        ("0.000000", "1785585606451", "17", (0, "BUSY")),
        ("", "1785585606451", "", (0, "CHANUNAVAIL")),
    ],
)
def test_leg_finish_reckons_by_the_exchanges_clock(
    answered: str, ended: str, cause: str, said: tuple[int, str]
) -> None:
    call = parse_leg_finish(leg_finish("pbx1/1785585600.2/1", "1001", "4930", answered, ended, cause, "200"))
    assert (call.call_key, call.login, call.destination) == (CallKey("pbx1", "1785585600.2"), "1001", "4930")
    assert (call.seconds, call.disposition) == said
    assert call.leeway_seconds == 1


@pytest.mark.parametrize(
    "arguments",
    [
        (), ("nokey", "1001", "4930"), ("pbx1//1", "1001", "4930"), ("pbx1/u/x", "1001", "4930"),
        ("pbx1/u/1", "", "4930"), ("pbx1/u/1", "1001", ""), ("pbx1/u/1", "1001", "4930", "yesterday", "1", "16"),
        ("pbx1/u/1", "1001", "4930", "100.0", "", "16"), ("pbx1/u/1", "1001", "4930", "1.0", "99999999999999", "16"),
        ("pbx1/u/1", "1001", "4930", "1.0", "2000", "16", "200", "4930", "", "one more"),
    ],
)  # fmt: skip
def test_what_leg_finish_cannot_read_is_refused(arguments: tuple[str, ...]) -> None:
    with pytest.raises(InvalidRequest):
        parse_leg_finish(leg_finish(*arguments))


@pytest.mark.parametrize(
    ("said", "is_other"), [("29.993", False), ("30", False), ("0", True), ("12.5", True), ("3600.0", True), ("", True)]
)
def test_a_limit_that_is_read_back_is_the_one_that_was_set_or_is_counted(said: str, is_other: bool) -> None:
    assert is_other_limit(said, 30.0) is is_other
