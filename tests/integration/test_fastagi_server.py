"""The FastAGI server on real sockets: what an exchange gets, and what hostile clients cost (one log line each)."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from ipaddress import ip_network
from typing import Any

import pytest
import structlog
import uvloop

from agi.fastagi import connection as connection_module
from agi.fastagi import server as server_module
from agi.fastagi.client import CallFailedError, agi_call, render_request
from agi.fastagi.dialplan_syntax import mset_variables, split_command
from agi.fastagi.limits import Limits
from agi.fastagi.request import RequestLimits
from agi.fastagi.server import FastAgiServer
from rating_engine.domain.errors import Overloaded, RatingEngineError, Unavailable
from rating_engine.domain.outcomes import (
    Allowed,
    Balance,
    BalanceOutcome,
    CallKey,
    FinishCall,
    FinishOutcome,
    PrepareCall,
    PrepareOutcome,
    Saved,
)

PATIENCE = 10.0  # seconds until a test gives up; nothing here should need one

QUICK = Limits(connections=50, request_seconds=PATIENCE, service_seconds=PATIENCE, reply_seconds=PATIENCE)

Log = list[MutableMapping[str, Any]]


@dataclass
class Service:
    """Allows and saves everything, when it is told to go on."""

    prepared: list[PrepareCall] = field(default_factory=list)
    finished: list[FinishCall] = field(default_factory=list)
    completed: list[CallKey] = field(default_factory=list)
    abandoned: list[tuple[CallKey, str]] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    error: Exception | None = None
    abandon_error: Exception | None = None
    repeated: bool = False

    async def prepare_call(self, call: PrepareCall) -> PrepareOutcome:
        self.prepared.append(call)
        await self._work()
        self.completed.append(call.call_key)
        return Allowed(
            call_key=call.call_key,
            max_seconds=99999,
            destination=call.destination,
            callerid=call.callerid or "",
            direction="RussiaMobile-Tele2",
            route_prefix="outline/",
            route_name="route1-cli",
            reserved=Decimal(1),
            currency="EUR",
            repeated=self.repeated,
        )

    async def finish_call(self, call: FinishCall) -> FinishOutcome:
        self.finished.append(call)
        await self._work()
        self.completed.append(call.call_key)
        return Saved(
            call_key=call.call_key,
            cost=Decimal("0.50"),
            currency="EUR",
            billed_seconds=60,
            seconds=call.seconds,
            direction="RussiaMobile-Tele2",
            destination=call.destination,
            callerid=call.callerid or "",
            route_name="route1-cli",
            disposition=call.disposition,
            cause=call.cause,
        )

    async def balance(self, login: str) -> BalanceOutcome:
        return Balance(login, "EUR", Decimal("12.34"), Decimal("2.34"), Decimal(0), Decimal("10.00"))

    async def abandon_call(self, call_key: CallKey, login: str) -> None:
        self.abandoned.append((call_key, login))
        if self.abandon_error is not None:
            raise self.abandon_error

    async def _work(self) -> None:
        self.asked.set()
        await self.go_on.wait()
        if self.error is not None:
            raise self.error


@dataclass
class Counts:
    """An observer that counts."""

    opened: int = 0
    closed: int = 0
    rejected: Counter[str] = field(default_factory=Counter)

    def connection_opened(self) -> None:
        self.opened += 1

    def connection_closed(self) -> None:
        self.closed += 1

    def connection_rejected(self, reason: str) -> None:
        self.rejected[reason] += 1


@dataclass
class Bench:
    """A running server, its service and its counts."""

    server: FastAgiServer
    service: Service
    counts: Counts
    log: Log
    peers: list[Peer] = field(default_factory=list)

    async def call(self, script: str, *args: str, uniqueid: str = "1700000000.42", **channel: str) -> dict[str, str]:
        return await agi_call(
            "127.0.0.1", self.server.port, script, args, uniqueid=uniqueid, timeout=PATIENCE, **channel
        )

    async def connect(self) -> Peer:
        self.peers.append(Peer(*await asyncio.open_connection("127.0.0.1", self.server.port)))
        return self.peers[-1]

    async def ask(self, script: str, *args: str) -> Peer:
        """A peer whose request is sent whole."""
        peer = await self.connect()
        peer.writer.write(render_request("127.0.0.1", 4573, script, args, uniqueid="1700000000.42"))
        return peer

    async def stop(self) -> None:
        """Close every peer and the server, and see that nothing is left."""
        for peer in self.peers:
            peer.leave()
        self.service.go_on.set()
        await self.server.drain(PATIENCE)
        assert self.server.connections == 0
        assert self.counts.opened == self.counts.closed

    async def idle(self) -> None:
        """Wait until no connection and no script is left."""
        await until(lambda: self.server.connections == 0)

    def reasons(self) -> list[str]:
        return [str(line["reason"]) for line in self.log if "reason" in line]


@dataclass
class Peer:
    """The other end of a connection, which does as it likes."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def command(self) -> dict[str, str]:
        """The variables of the one command that is due."""
        async with asyncio.timeout(PATIENCE):
            line = await self.reader.readline()
        words = split_command(line.decode().rstrip("\n"))
        assert words[:2] == ["EXEC", "MSet"]
        return mset_variables(words[2])

    async def closed(self) -> bytes:
        """Wait until the server has closed; what it sent until then."""
        received = b""
        async with asyncio.timeout(PATIENCE):
            with contextlib.suppress(ConnectionError):
                while data := await self.reader.read(4096):
                    received += data
        self.writer.close()
        return received

    def leave(self) -> None:
        """Be gone at once."""
        self.writer.transport.abort()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110  states of plain objects, which signal nothing
            await asyncio.sleep(0.005)


Start = Callable[..., Awaitable[Bench]]


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[Log]:
    for module in (connection_module, server_module):
        monkeypatch.setattr(module, "_log", structlog.get_logger())
    with structlog.testing.capture_logs() as lines:
        yield lines


@pytest.fixture
async def start(log: Log) -> AsyncIterator[Start]:
    benches: list[Bench] = []

    async def start_server(limits: Limits = QUICK, *, hold: bool = False, **options: Any) -> Bench:
        service, counts = Service(), Counts()
        if not hold:
            service.go_on.set()
        server = FastAgiServer(service, port=0, limits=limits, observer=counts, **options)
        await server.start()
        benches.append(Bench(server, service, counts, log))
        return benches[-1]

    yield start_server
    for bench in benches:
        await bench.stop()


# -- an exchange gets its answer ------------------------------------------------------------------------------


async def test_call_prepare_sets_every_variable_and_logs_nothing(start: Start) -> None:
    bench = await start()
    variables = await bench.call("callPrepare?exchange=pbx1", "alice", "79010000001", "79020000002", "2")
    assert variables == {
        "RATING_STATUS": "ALLOWED",
        "RATING_REASON": "",
        "RATING_MAX_SECONDS": "99999",
        "RATING_MAX_MS": "99999000",
        "RATING_DESTINATION": "79010000001",
        "RATING_CALLERID": "79020000002",
        "RATING_DIRECTION": "RussiaMobile-Tele2",
        "RATING_ROUTE_PREFIX": "outline/",
        "RATING_ROUTE_NAME": "route1-cli",
        "RATING_CALL_ID": "pbx1/1700000000.42/2",
        "RATING_RESULT": "Allowed 99999 79010000001 79020000002 RussiaMobile-Tele2 outline/ route1-cli -1 -1",
    }
    assert bench.service.prepared == [
        PrepareCall(CallKey("pbx1", "1700000000.42", 2), "alice", "79010000001", "79020000002")
    ]
    await bench.idle()
    assert bench.log == []


async def test_call_finish_reaches_the_service_and_says_what_was_charged(start: Start) -> None:
    bench = await start()
    variables = await bench.call("callFinish", "", "", "3.2", "16ANSWER", accountcode="alice", extension="7901")
    assert bench.service.finished == [
        FinishCall(CallKey("127.0.0.1", "1700000000.42", 1), "alice", "7901", 4, "ANSWER", 16, None)
    ]
    assert variables["RATING_STATUS"] == "SAVED"
    assert variables["RATING_COST"] == "0.50"
    assert variables["RATING_RESULT"] == "Saved RussiaMobile-Tele2 [-/7901] via [route1-cli] 4 0.50 EUR 16ANSWER"


async def test_balance_and_ping_are_answered(start: Start) -> None:
    bench = await start()
    assert (await bench.call("getBalance", "alice"))["RATING_AVAILABLE"] == "10.00"
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


# -- hostile clients ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "not_agi"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "not_agi"),
        (b"\x00" * 1000, "not_agi"),
        (b"agi_network: yes\nagi_network: yes\n", "bad_header"),
        (b"agi_request: " + b"x" * 10_000_000, "line_too_long"),
        (b"".join(b"agi_h%d: %s\n" % (number, b"x" * 3000) for number in range(20)), "headers_too_large"),
        (b"".join(b"agi_h%d: x\n" % number for number in range(200)), "too_many_headers"),
        (b"".join(b"agi_arg_%d: x\n" % number for number in range(1, 50)), "too_many_arguments"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_client_that_breaks_the_protocol_costs_one_line_and_nobody_else(
    start: Start, sent: bytes, reason: str
) -> None:
    bench = await start()
    peer = await bench.connect()
    with contextlib.suppress(ConnectionError):
        peer.writer.write(sent)
        await peer.writer.drain()
    assert await peer.closed() == b""
    await bench.idle()
    assert bench.reasons() == [reason]
    assert bench.counts.rejected == {reason: 1}
    assert (await bench.call("ping"))["RATING_STATUS"] == "OK"


@pytest.mark.parametrize("sent", [b"", b"agi_net", b"agi_network: yes\nagi_uniqueid: 1\n"])
async def test_a_client_that_closes_before_the_blank_line_costs_one_line(start: Start, sent: bytes) -> None:
    bench = await start()
    peer = await bench.connect()
    peer.writer.write(sent)
    peer.writer.close()
    await until(lambda: bench.counts.closed == 1)
    assert [(line["reason"], line["bytes"]) for line in bench.log] == [("closed_early", len(sent))]
    assert (await bench.call("ping"))["RATING_STATUS"] == "OK"


async def test_a_client_that_half_closes_in_mid_request_is_closed(start: Start) -> None:
    bench = await start()
    peer = await bench.connect()
    peer.writer.write(b"agi_network: yes\n")
    peer.writer.write_eof()
    assert await peer.closed() == b""
    await bench.idle()
    assert bench.reasons() == ["closed_early"]


async def test_a_client_that_sends_byte_after_byte_for_ever_is_cut(start: Start) -> None:
    bench = await start(replace(QUICK, request_seconds=0.2))
    peer = await bench.connect()

    async def trickle() -> None:
        with contextlib.suppress(ConnectionError):
            for byte in b"agi_network: yes\n" + b"".join(b"agi_h%d: 1\n" % number for number in range(60)):
                peer.writer.write(bytes([byte]))
                await peer.writer.drain()
                await asyncio.sleep(0.02)

    task = asyncio.create_task(trickle())
    assert await peer.closed() == b""
    await task
    await bench.idle()
    assert bench.reasons() == ["request_timeout"]
    assert (await bench.call("ping"))["RATING_STATUS"] == "OK"


async def test_a_silent_client_is_cut(start: Start) -> None:
    bench = await start(replace(QUICK, request_seconds=0.05))
    assert await (await bench.connect()).closed() == b""
    await bench.idle()
    assert bench.reasons() == ["request_timeout"]


async def test_connections_over_the_limit_are_closed_at_once_and_the_others_served(start: Start) -> None:
    bench = await start(replace(QUICK, connections=2), hold=True)
    first, second = await bench.ask("callPrepare", "a", "1"), await bench.ask("callPrepare", "b", "2")
    await until(lambda: len(bench.service.prepared) == 2)
    for _ in range(3):
        assert await (await bench.connect()).closed() == b""
    assert bench.reasons() == ["too_many_connections"]
    assert bench.counts.rejected == {"too_many_connections": 3}
    bench.service.go_on.set()
    for peer in (first, second):
        assert (await peer.command())["RATING_STATUS"] == "ALLOWED"
        peer.writer.write(b"200 result=0\n")
        await peer.closed()
    await bench.idle()
    assert (await bench.call("ping"))["RATING_STATUS"] == "OK"


async def test_strangers_are_closed_at_once_and_logged_with_a_limit(start: Start) -> None:
    bench = await start(allowed_networks=[ip_network("10.0.0.0/8")])
    for _ in range(20):
        assert await (await bench.connect()).closed() == b""
    assert bench.counts.rejected == {"network_not_allowed": 20}
    assert bench.counts.opened == 0
    assert {line["peer"] for line in bench.log} == {"127.0.0.1"}
    # One line a second at most; a machine so slow that this takes two seconds may write another.
    assert len(bench.log) < 20
    assert sum(1 + line["suppressed"] for line in bench.log) <= 20


async def test_a_client_that_speaks_before_the_answer_is_closed_and_its_reservation_given_back(start: Start) -> None:
    bench = await start(hold=True)
    peer = await bench.ask("callPrepare", "alice", "7901")
    peer.writer.write(b"200 result=0\n")
    assert await peer.closed() == b""
    bench.service.go_on.set()
    await bench.idle()
    assert bench.reasons() == ["unexpected_reply"]
    assert [login for _, login in bench.service.abandoned] == ["alice"]


# -- clients that leave ---------------------------------------------------------------------------------------


async def test_a_reservation_whose_answer_found_nobody_is_abandoned_with_one_line(start: Start) -> None:
    bench = await start(hold=True)
    peer = await bench.ask("callPrepare", "alice", "7901")
    await bench.service.asked.wait()
    peer.leave()
    await asyncio.sleep(0.05)  # time for the server to notice, or it would write to a socket that still looks open
    bench.service.go_on.set()
    await bench.idle()
    assert bench.service.abandoned == [(CallKey("127.0.0.1", "1700000000.42", 1), "alice")]
    assert [(line["reason"], line["abandoned"]) for line in bench.log] == [
        ("closed_before_answer", "127.0.0.1/1700000000.42/1")
    ]


async def test_a_repeated_answer_is_never_abandoned(start: Start) -> None:
    bench = await start(hold=True)
    bench.service.repeated = True
    peer = await bench.ask("callPrepare", "alice", "7901")
    await bench.service.asked.wait()
    peer.leave()
    await asyncio.sleep(0.05)
    bench.service.go_on.set()
    await bench.idle()
    assert bench.service.completed == [CallKey("127.0.0.1", "1700000000.42", 1)]
    assert bench.service.abandoned == []


async def test_a_finish_is_completed_though_its_client_left(start: Start) -> None:
    bench = await start(hold=True)
    peer = await bench.ask("callFinish", "alice", "7901", "60", "16ANSWER")
    await bench.service.asked.wait()
    peer.leave()
    await asyncio.sleep(0.05)
    assert bench.service.completed == []
    bench.service.go_on.set()
    await bench.idle()
    assert bench.service.completed == [CallKey("127.0.0.1", "1700000000.42", 1)]
    assert bench.service.abandoned == []
    assert bench.reasons() == ["closed_before_answer"]


async def test_a_client_that_left_keeps_its_place_until_its_script_ends(start: Start) -> None:
    bench = await start(replace(QUICK, connections=1), hold=True)
    peer = await bench.ask("callFinish", "alice", "7901", "60", "16ANSWER")
    await bench.service.asked.wait()
    peer.leave()
    await asyncio.sleep(0.05)
    assert await (await bench.connect()).closed() == b""
    assert bench.reasons() == ["too_many_connections"]


async def test_an_abandon_that_fails_is_logged_and_the_server_lives(start: Start) -> None:
    bench = await start(hold=True)
    bench.service.abandon_error = ZeroDivisionError("no")
    peer = await bench.ask("callPrepare", "alice", "7901")
    await bench.service.asked.wait()
    peer.leave()
    await asyncio.sleep(0.05)
    bench.service.go_on.set()
    await bench.idle()
    assert [line["event"] for line in bench.log] == ["fastagi_connection", "fastagi_abandon_failed"]
    assert (await bench.call("ping"))["RATING_STATUS"] == "OK"


async def test_a_client_that_closes_with_the_answer_in_its_hands_keeps_its_reservation(start: Start) -> None:
    bench = await start()
    peer = await bench.ask("callPrepare", "alice", "7901")
    assert (await peer.command())["RATING_STATUS"] == "ALLOWED"
    peer.writer.close()
    await bench.idle()
    assert bench.service.abandoned == []
    assert bench.reasons() == ["closed_without_reply"]


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
    await until(lambda: len(bench.service.abandoned) == 1)
    peer.writer.write(b"200 result=0\n")
    assert await peer.closed() == b""


# -- start and drain ------------------------------------------------------------------------------------------


async def test_drain_finishes_what_runs_and_cuts_nothing(start: Start) -> None:
    bench = await start(hold=True)
    call = asyncio.create_task(bench.call("callPrepare", "alice", "7901"))
    await bench.service.asked.wait()
    drain = asyncio.create_task(bench.server.drain(PATIENCE))
    await asyncio.sleep(0.05)
    assert not drain.done()
    bench.service.go_on.set()
    assert (await call)["RATING_STATUS"] == "ALLOWED"
    assert await drain == 0
    assert bench.log == []


async def calls_that_arrive_as_the_drain_begins(turns: int) -> None:
    """Connections stand when the drain begins, `turns` loop turns before it, and more come until they are refused."""
    service = Service()
    service.go_on.set()
    server = FastAgiServer(service, port=0, limits=replace(QUICK, connections=200))
    await server.start()
    port = server.port
    sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(20)]
    for _ in range(turns):
        await asyncio.sleep(0)
    drain = asyncio.create_task(server.drain(PATIENCE))
    with contextlib.suppress(ConnectionRefusedError):
        for _ in range(100):
            sockets.append(socket.create_connection(("127.0.0.1", port)))
            await asyncio.sleep(0)
    assert len(sockets) < 120
    for sock in sockets:
        peer = Peer(*await asyncio.open_connection(sock=sock))
        peer.writer.write(render_request("h", 1, "callPrepare", ["alice", "7901"], uniqueid="1"))
        assert (await peer.command())["RATING_STATUS"] == "ALLOWED"
        peer.writer.write(b"200 result=0\n")
        assert await peer.closed() == b""
    assert await drain == 0
    assert server.connections == 0


@pytest.mark.parametrize("turns", range(6))
@pytest.mark.parametrize("factory", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_every_connection_that_a_drain_does_not_refuse_is_answered(
    log: Log, factory: Callable[[], asyncio.AbstractEventLoop], turns: int
) -> None:
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(calls_that_arrive_as_the_drain_begins(turns))
    assert log == []


async def test_drain_stops_accepting(start: Start) -> None:
    bench = await start()
    port = bench.server.port
    assert await bench.server.drain(PATIENCE) == 0
    with pytest.raises(CallFailedError, match="not reachable"):
        await agi_call("127.0.0.1", port, "ping", uniqueid="1", timeout=PATIENCE)


async def test_drain_says_how_many_it_cut(start: Start) -> None:
    bench = await start(hold=True)
    calls = [asyncio.create_task(bench.call("callPrepare", "alice", "1", uniqueid=f"u{number}")) for number in range(2)]
    silent = await bench.connect()
    await until(lambda: bench.server.connections == 3 and len(bench.service.prepared) == 2)
    assert await bench.server.drain(0.05) == 3
    for result in await asyncio.gather(*calls, return_exceptions=True):
        assert isinstance(result, CallFailedError)
    assert await silent.closed() == b""
    (line,) = [line for line in bench.log if line["event"] == "fastagi_cut"]
    assert (line["connections"], line["scripts"]) == (3, {"callPrepare": 2})
    assert bench.service.completed == []
    await bench.idle()


async def test_a_bound_socket_of_the_callers_is_served(log: Log) -> None:
    sock = socket.create_server(("127.0.0.1", 0))
    service = Service()
    service.go_on.set()
    server = FastAgiServer(service, sock=sock)
    await server.start()
    assert server.port == sock.getsockname()[1]
    assert (await agi_call("127.0.0.1", server.port, "ping", uniqueid="1"))["RATING_STATUS"] == "OK"
    assert await server.drain(PATIENCE) == 0


async def test_two_servers_share_a_port_and_one_goes_on_when_the_other_drains(log: Log) -> None:
    first = FastAgiServer(Service(), port=0, reuse_port=True)
    await first.start()
    second = FastAgiServer(Service(), port=first.port, reuse_port=True)
    await second.start()
    await first.drain(PATIENCE)
    for number in range(5):
        assert (await agi_call("127.0.0.1", second.port, "ping", uniqueid=str(number)))["RATING_STATUS"] == "OK"
    await second.drain(PATIENCE)


async def test_an_address_that_is_taken_is_an_error_at_start(start: Start) -> None:
    bench = await start()
    with pytest.raises(OSError, match="in use"):
        await FastAgiServer(Service(), port=bench.server.port).start()


def test_uvloop_serves_the_same_and_survives_the_same(log: Log) -> None:
    async def scene() -> None:
        service = Service()
        counts = Counts()
        limits = Limits(request=RequestLimits(line_bytes=500))
        server = FastAgiServer(service, port=0, limits=limits, observer=counts)
        await server.start()
        bench = Bench(server, service, counts, log)
        service.go_on.set()
        assert (await bench.call("callPrepare", "alice", "7901"))["RATING_STATUS"] == "ALLOWED"
        for sent in (b"", b"GET /\r\n\r\n", b"agi_x: " + b"x" * 1_000_000, b"agi_x: 1\n"):
            peer = await bench.connect()
            with contextlib.suppress(ConnectionError):
                peer.writer.write(sent)
                await peer.writer.drain()
            peer.writer.close()
            await bench.idle()
        assert bench.reasons() == ["closed_early", "not_agi", "line_too_long", "closed_early"]
        service.go_on.clear()
        service.asked.clear()
        peer = await bench.ask("callPrepare", "alice", "7901")
        await service.asked.wait()
        peer.leave()
        await asyncio.sleep(0.05)
        service.go_on.set()
        await bench.idle()
        assert [login for _, login in service.abandoned] == ["alice"]
        assert (await bench.call("ping"))["RATING_STATUS"] == "OK"
        await bench.stop()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scene())


# -- the client's own errors ----------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def engine_that_sends(answer: bytes) -> AsyncIterator[int]:
    """The port of a server that answers one request so, and has closed its connection at the end."""
    over = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            await reader.readuntil(b"\n\n")
            writer.write(answer)
            await writer.drain()
            if answer:
                await reader.read()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        over.set()

    async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]
        async with asyncio.timeout(PATIENCE):
            await over.wait()


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (b"", "closed without an answer"),
        (b"x" * 5000, "more than Asterisk would take"),
        (b"NOOP\n" * 200, "more than Asterisk would take"),
    ],
    ids=["nothing", "long line", "many commands"],
)
async def test_the_client_says_what_was_wrong_with_the_engine(answer: bytes, problem: str) -> None:
    async with engine_that_sends(answer) as port:
        with pytest.raises(CallFailedError, match=problem):
            await agi_call("127.0.0.1", port, "ping", uniqueid="1", timeout=PATIENCE)


async def test_the_client_gives_up_on_an_engine_that_never_answers(start: Start) -> None:
    bench = await start(hold=True)
    with pytest.raises(CallFailedError, match=r"no answer from .* within 0\.05 s"):
        await agi_call("127.0.0.1", bench.server.port, "callPrepare", ["a", "1"], uniqueid="1", timeout=0.05)
