"""The FastAGI server on real sockets: what an exchange gets for its request, and what its replies do."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace

import pytest

from agi.fastagi.client import render_request
from rating_engine.domain.errors import Overloaded, RatingEngineError, Unavailable
from rating_engine.domain.outcomes import (
    CallKey,
    FinishCall,
    PrepareCall,
)
from tests.support.fastagi_bench import QUICK, Start
from tests.support.waiting import until_holds

CHANNEL = "PJSIP/test-00000001"  # as our client names it

# -- an exchange gets its answer ------------------------------------------------------------------------------


async def test_call_prepare_sets_every_variable_and_logs_nothing(start: Start) -> None:
    bench = await start()
    variables = await bench.call("callPrepare?exchange=pbx1", "alice", "79010000001", "79020000002", "2")
    assert variables == {
        "RATING_STATUS": "ALLOWED",
        "RATING_REASON": "",
        "RATING_MAX_SECONDS": "99999",
        "RATING_MAX_MS": "99999000",
        "RATING_QUOTA": "",
        "RATING_LOW_BALANCE": "",
        "RATING_DESTINATION": "79010000001",
        "RATING_CALLERID": "79020000002",
        "RATING_DIRECTION": "RussiaMobile-Tele2",
        "RATING_ROUTE_PREFIX": "outline/",
        "RATING_ROUTE_NAME": "route1-cli",
        "RATING_CALL_ID": "pbx1/1700000000.42/2",
        "RATING_RESULT": "Allowed 99999 79010000001 79020000002 RussiaMobile-Tele2 outline/ route1-cli -1 -1",
    }
    assert bench.service.prepared == [
        PrepareCall(CallKey("pbx1", "1700000000.42", 2), "alice", "79010000001", "79020000002", channel=CHANNEL)
    ]
    await bench.idle()
    assert bench.log == []


async def test_call_finish_reaches_the_service_and_says_what_was_charged(start: Start) -> None:
    bench = await start()
    variables = await bench.call("callFinish", "", "", "3.2", "16ANSWER", accountcode="alice", extension="7901")
    assert bench.service.finished == [
        FinishCall(
            CallKey("127.0.0.1", "1700000000.42", 1),
            "alice",
            "7901",
            4,
            "ANSWER",
            16,
            None,
            channel="PJSIP/alice-00000001",
        )
    ]
    assert variables["RATING_STATUS"] == "SAVED"
    assert variables["RATING_COST"] == "0.50"
    assert variables["RATING_RESULT"] == "Saved RussiaMobile-Tele2 [-/7901] via [route1-cli] 4 0.50 EUR 16ANSWER"


async def test_balance_and_ping_are_answered(start: Start) -> None:
    bench = await start()
    assert (await bench.call("getBalance", "alice"))["RATING_AVAILABLE"] == "10.00"
    assert (await bench.call("getBalance", "alice", "7901"))["RATING_MAX_SECONDS"] == "61"
    assert await bench.call("ping") == {"RATING_STATUS": "OK", "RATING_REASON": "pong"}


async def test_a_request_may_come_byte_by_byte(start: Start) -> None:
    bench = await start()
    peer = await bench.connect()
    for byte in render_request("h", 1, "callPrepare", ["alice", "7901"], uniqueid="1"):
        peer.writer.write(bytes([byte]))
        await asyncio.sleep(0)
    assert (await peer.command())["RATING_STATUS"] == "ALLOWED"
    peer.writer.write(b"200 result=0\n")
    await peer.closed()


async def test_many_calls_at_once_are_each_answered_with_their_own(start: Start) -> None:
    bench = await start(replace(QUICK, connections=400))
    answers = await asyncio.gather(
        *(bench.call("callPrepare", "alice", f"790{number}", uniqueid=f"u{number}") for number in range(300))
    )
    assert [answer["RATING_CALL_ID"] for answer in answers] == [f"127.0.0.1/u{number}/1" for number in range(300)]
    assert [answer["RATING_DESTINATION"] for answer in answers] == [f"790{number}" for number in range(300)]


async def test_a_hangup_before_the_answer_does_not_keep_it_from_the_hangup_handler(start: Start) -> None:
    bench = await start(hold=True)
    peer = await bench.ask("callPrepare", "alice", "7901")
    peer.writer.write(b"HANGUP\n")
    await bench.service.asked.wait()
    bench.service.go_on.set()
    assert (await peer.command())["RATING_STATUS"] == "ALLOWED"
    peer.writer.write(b"HANGUP\n200 result=0\n")
    assert await peer.closed() == b""
    await bench.idle()
    assert bench.log == []
    assert bench.service.abandoned == []


# -- requests that can't be served ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "args", "status", "result", "field_name"),
    [
        ("callPrepare", ("alice", ""), "DECLINED", "Declined 400", "destination"),
        ("callPrepare", ("alice", "1", "", "x"), "DECLINED", "Declined 400", "prior"),
        ("callFinish", ("alice", "1", "many", "ANSWER"), "FAILED", "Failed 400", "seconds"),
        ("getBalance", (), "DECLINED", "Declined 400", "login"),
        ("callprepare", ("alice", "1"), "DECLINED", "Declined 400", "script"),
    ],
)
async def test_a_bad_request_is_answered_so_and_logged_once(
    start: Start, script: str, args: tuple[str, ...], status: str, result: str, field_name: str
) -> None:
    bench = await start()
    variables = await bench.call(script, *args)
    assert variables["RATING_STATUS"] == status
    assert variables["RATING_REASON"] == "bad_request"
    assert variables["RATING_RESULT"] == result
    await bench.idle()
    assert [(line["reason"], line["field"]) for line in bench.log] == [("bad_request", field_name)]
    assert not bench.service.prepared
    assert not bench.service.finished


@pytest.mark.parametrize(("script", "status"), [("callPrepare", "DECLINED"), ("callFinish", "FAILED")])
async def test_a_fault_of_ours_is_internal_and_its_traceback_only_in_the_log(
    start: Start, script: str, status: str
) -> None:
    bench = await start()
    bench.service.error = ZeroDivisionError("secret detail")
    peer = await bench.ask(script, "alice", "7901")
    variables = await peer.command()
    assert (variables["RATING_STATUS"], variables["RATING_REASON"]) == (status, "internal")
    assert "secret" not in str(variables)
    peer.writer.write(b"200 result=0\n")
    await peer.closed()
    await bench.idle()
    (line,) = bench.log
    assert (line["event"], line["error"], line["exc_info"]) == (
        "fastagi_internal",
        "ZeroDivisionError",
        bench.service.error,
    )
    assert bench.counts.rejected == {"internal": 1}
    bench.service.error = None
    assert (await bench.call("callPrepare", "alice", "7901"))["RATING_STATUS"] == "ALLOWED"


@pytest.mark.parametrize(("error", "reason"), [(Unavailable("x"), "unavailable"), (Overloaded("x"), "overloaded")])
async def test_a_dependency_that_fails_is_named(start: Start, error: RatingEngineError, reason: str) -> None:
    bench = await start()
    bench.service.error = error
    variables = await bench.call("callPrepare", "alice", "7901")
    assert (variables["RATING_STATUS"], variables["RATING_REASON"]) == ("DECLINED", reason)
    assert variables["RATING_RESULT"] == "Declined 503"
    await bench.idle()
    assert bench.reasons() == [reason]


# -- replies --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "detail"),
    [
        (b"511 Command Not Permitted on a dead channel\n", "511  Command Not Permitted on a dead channel"),
        (b"510 Invalid or unknown command\n", "510  Invalid or unknown command"),
        (b"200 result=-2\n", "200 -2 "),
        (b"520-Invalid command syntax.\nusage\n520 End of proper usage.\n", "520  Invalid command syntax.\nusage"),
    ],
)
async def test_a_command_asterisk_refuses_is_logged_and_the_connection_closed(
    start: Start, reply: bytes, detail: str
) -> None:
    bench = await start()
    peer = await bench.ask("callPrepare", "alice", "7901")
    await peer.command()
    peer.writer.write(reply)
    assert await peer.closed() == b""
    await bench.idle()
    (line,) = bench.log
    assert line["reason"] == "command_refused"
    assert line["detail"].startswith(detail)


@pytest.mark.parametrize(("reply", "reason"), [(b"hello\n", "bad_reply"), (b"2" * 100_000, "reply_too_large")])
async def test_a_reply_that_is_none_costs_one_line(start: Start, reply: bytes, reason: str) -> None:
    bench = await start()
    peer = await bench.ask("callPrepare", "alice", "7901")
    await peer.command()
    with contextlib.suppress(ConnectionError):
        peer.writer.write(reply)
        await peer.writer.drain()
    assert await peer.closed() == b""
    await bench.idle()
    assert bench.reasons() == [reason]
    assert bench.service.abandoned == []


async def test_a_reply_that_never_comes_is_not_waited_for_for_ever(start: Start) -> None:
    bench = await start(replace(QUICK, reply_seconds=0.05))
    peer = await bench.ask("callPrepare", "alice", "7901")
    await peer.command()
    assert await peer.closed() == b""
    await bench.idle()
    assert bench.reasons() == ["reply_timeout"]


async def test_each_state_has_its_own_deadline(start: Start) -> None:
    bench = await start(replace(QUICK, request_seconds=0.05), hold=True)
    peer = await bench.ask("callPrepare", "alice", "7901")
    await bench.service.asked.wait()
    await asyncio.sleep(0.15)  # past the request's deadline, far from the service's
    bench.service.go_on.set()
    assert (await peer.command())["RATING_STATUS"] == "ALLOWED"
    assert bench.log == []
    peer.writer.write(b"200 result=0\n")
    await peer.closed()


# -- a service that stalls ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("script", "status"), [("callPrepare", "DECLINED"), ("callFinish", "FAILED")])
async def test_a_service_that_stalls_is_answered_for(start: Start, script: str, status: str) -> None:
    bench = await start(replace(QUICK, service_seconds=0.05), hold=True)
    variables = await bench.call(script, "alice", "7901")
    assert (variables["RATING_STATUS"], variables["RATING_REASON"]) == (status, "unavailable")
    assert bench.reasons() == ["service_timeout"]


async def test_a_late_allowed_after_the_backstops_no_is_abandoned(start: Start) -> None:
    bench = await start(replace(QUICK, service_seconds=0.05), hold=True)
    await bench.call("callPrepare", "alice", "7901")
    bench.service.go_on.set()
    await bench.idle()
    assert [login for _, login in bench.service.abandoned] == ["alice"]
    assert bench.reasons() == ["service_timeout"]


async def test_an_answer_later_than_the_backstop_does_not_reach_a_peer_that_still_replies(start: Start) -> None:
    bench = await start(replace(QUICK, service_seconds=0.05), hold=True)
    peer = await bench.ask("callPrepare", "alice", "7901")
    assert (await peer.command())["RATING_STATUS"] == "DECLINED"
    bench.service.go_on.set()
    await until_holds(lambda: len(bench.service.abandoned) == 1)
    peer.writer.write(b"200 result=0\n")
    assert await peer.closed() == b""
