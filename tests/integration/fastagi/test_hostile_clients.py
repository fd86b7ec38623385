"""What hostile clients, and those that leave, cost the FastAGI server: one log line each."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from ipaddress import ip_network

import pytest

from rating_engine.domain.outcomes import (
    CallKey,
)
from tests.support.fastagi_bench import QUICK, Start
from tests.support.waiting import until_holds

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
    await until_holds(lambda: bench.counts.closed == 1)
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
    await until_holds(lambda: len(bench.service.prepared) == 2)
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


async def test_where_idle_connections_take_every_place_calls_are_served_and_the_longest_idle_goes(start: Start) -> None:
    bench = await start(replace(QUICK, connections=5))
    idle = [await bench.connect() for _ in range(5)]
    for peer in idle[1:]:
        peer.writer.write(b"agi_network: yes\nagi_uniq")
    await until_holds(lambda: bench.server.connections == 5)
    answers = await asyncio.gather(*(bench.call("callPrepare", "alice", str(n), uniqueid=f"u{n}") for n in range(3)))
    assert [answer["RATING_STATUS"] for answer in answers] == ["ALLOWED"] * 3
    assert await idle[0].closed() == b""
    assert bench.counts.rejected["gave_way"] == 3
    assert bench.reasons()[0] == "gave_way"
    assert bench.server.connections <= 5


async def test_a_flood_of_idle_connections_is_one_line_a_second_and_refuses_no_call(start: Start) -> None:
    bench = await start(replace(QUICK, connections=50))
    flood = [await bench.connect() for _ in range(400)]
    assert (await bench.call("callPrepare", "alice", "7901"))["RATING_STATUS"] == "ALLOWED"
    assert bench.counts.rejected == {"gave_way": 351}
    assert len(bench.log) < 351
    assert all(peer.writer.transport is not None for peer in flood)


async def test_a_call_that_is_worked_on_gives_way_to_nobody(start: Start) -> None:
    bench = await start(replace(QUICK, connections=2), hold=True)
    working = await bench.ask("callPrepare", "a", "1")
    await until_holds(lambda: len(bench.service.prepared) == 1)
    idle = await bench.connect()
    await until_holds(lambda: bench.server.connections == 2)
    second = await bench.ask("callPrepare", "b", "2")
    assert await idle.closed() == b""
    await until_holds(lambda: len(bench.service.prepared) == 2)
    bench.service.go_on.set()
    for peer in (working, second):
        assert (await peer.command())["RATING_STATUS"] == "ALLOWED"


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
    await until_holds(lambda: bench.server.unattended == 1)
    bench.service.go_on.set()
    await bench.idle()
    assert bench.service.abandoned == [(CallKey("127.0.0.1", "1700000000.42", 1), "alice")]
    assert [(line["reason"], line["abandoned"]) for line in bench.log] == [
        ("closed_before_answer", "127.0.0.1/1700000000.42/1")
    ]


async def test_a_repeated_answer_that_found_nobody_is_given_back_by_its_own_claim(start: Start) -> None:
    bench = await start(hold=True)
    bench.service.repeated = True
    peer = await bench.ask("callPrepare", "alice", "7901")
    await bench.service.asked.wait()
    peer.leave()
    await until_holds(lambda: bench.server.unattended == 1)
    bench.service.go_on.set()
    await bench.idle()
    key = CallKey("127.0.0.1", "1700000000.42", 1)
    assert bench.service.completed == [key]
    # what another request was told of stays: the service knows that by the claim (tests/integration/calls)
    assert bench.service.abandoned == [(key, "alice")]


async def test_a_finish_is_completed_though_its_client_left(start: Start) -> None:
    bench = await start(hold=True)
    peer = await bench.ask("callFinish", "alice", "7901", "60", "16ANSWER")
    await bench.service.asked.wait()
    peer.leave()
    await until_holds(lambda: bench.server.unattended == 1)
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
    await until_holds(lambda: bench.server.unattended == 1)
    assert await (await bench.connect()).closed() == b""
    assert bench.reasons() == ["too_many_connections"]


async def test_an_abandon_that_fails_is_logged_and_the_server_lives(start: Start) -> None:
    bench = await start(hold=True)
    bench.service.abandon_error = ZeroDivisionError("no")
    peer = await bench.ask("callPrepare", "alice", "7901")
    await bench.service.asked.wait()
    peer.leave()
    await until_holds(lambda: bench.server.unattended == 1)
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
