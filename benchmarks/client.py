"""The load client: FastAGI calls from bytes made ahead, in a process of its own, for less CPU than an engine needs.

It asks as Asterisk asks (`agi.fastagi.client` renders the requests), and answers each command with the same line. One
epoll loop over plain sockets: an asyncio.Protocol on uvloop costs a sixth more (0.116 ms a call against 0.100).

Prints one JSON object: calls, seconds, CPU milliseconds a call, outcomes, and milliseconds of each answer.

    python benchmarks/client.py PLAN.json

PLAN.json: port, logins and numbers (lists), at_a_time or a_second, seconds or calls, seed.
"""

from __future__ import annotations

import json
import random
import select
import socket
import sys
import time
from pathlib import Path
from typing import Any

from agi.fastagi.client import render_request

HOST = "127.0.0.1"
REPLY = b"200 result=0\n"
UNIQUEID, LOGIN, NUMBER, SECONDS = "@uniqueid@", "@login@", "@number@", "@seconds@"
READ_BYTES = 4096
# Answers that keep silent for so long mean a server that is gone; the figures would be of nothing.
SILENCE_SECONDS = 30.0
PREPARE, FINISH = 0, 1


class Pieces:
    """Both requests of a call in parts that are only joined: what stands around the values, and the values."""

    def __init__(self, port: int, logins: list[str], numbers: list[str], seed: int) -> None:
        told = [LOGIN, NUMBER]
        self.prepare = self._cut("callPrepare", port, told)
        self.finish = self._cut("callFinish", port, [*told, SECONDS, "16ANSWER"])
        self.logins = [login.encode() for login in logins]
        self.numbers = [number.encode() for number in numbers]
        self.talked = [str(seconds).encode() for seconds in range(120)]
        self.name = f"bench{seed}."

    @staticmethod
    def _cut(script: str, port: int, arguments: list[str]) -> list[bytes]:
        block = render_request(HOST, port, script, arguments, uniqueid=UNIQUEID)
        parts = []
        for mark in (UNIQUEID, *arguments[: 3 if SECONDS in arguments else 2]):
            before, block = block.split(mark.encode())
            parts.append(before)
        return [*parts, block]

    def of_prepare(self, uniqueid: bytes, login: bytes, number: bytes) -> bytes:
        """The bytes of a callPrepare."""
        a, b, c, d = self.prepare
        return b"".join((a, uniqueid, b, login, c, number, d))

    def of_finish(self, uniqueid: bytes, login: bytes, number: bytes, seconds: bytes) -> bytes:
        """The bytes of a callFinish."""
        a, b, c, d, e = self.finish
        return b"".join((a, uniqueid, b, login, c, number, d, seconds, e))


class Call:
    """One call: its connection, and since when it waits for which answer."""

    __slots__ = ("asked", "login", "number", "said", "sock", "step", "uniqueid")


class Load:
    """Calls that run, and what has become of those that ended."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self.plan = plan
        self.address = (HOST, plan["port"])
        self.pieces = Pieces(plan["port"], plan["logins"], plan["numbers"], plan["seed"])
        self.chance = random.Random(plan["seed"])
        self.epoll = select.epoll()
        self.open: dict[int, Call] = {}
        self.begun = 0
        self.finished = 0
        self.outcomes: dict[str, int] = {}
        self.waits: tuple[list[float], list[float]] = ([], [])

    def begin(self, since: float) -> None:
        """A callPrepare whose caller has waited since `since`: in order where all are to be called, else at random."""
        call = Call()
        logins, numbers = self.pieces.logins, self.pieces.numbers
        if "calls" in self.plan:
            call.login, call.number = logins[self.begun % len(logins)], numbers[self.begun % len(numbers)]
        else:
            call.login = logins[int(self.chance.random() * len(logins))]
            call.number = numbers[int(self.chance.random() * len(numbers))]
        call.uniqueid = f"{self.pieces.name}{self.begun}".encode()
        self.begun += 1
        self._ask(call, PREPARE, self.pieces.of_prepare(call.uniqueid, call.login, call.number), since)

    def _ask(self, call: Call, step: int, request: bytes, since: float) -> None:
        call.step, call.asked, call.said = step, since, b""
        call.sock = sock = socket.socket()
        sock.connect(self.address)  # at once on loopback, as long as the server's backlog has room
        sock.send(request)
        self.open[sock.fileno()] = call
        self.epoll.register(sock, select.EPOLLIN)

    def turn(self, patience: float) -> int:
        """Serve what is readable, waiting at most `patience` seconds for it; how many calls have ended."""
        ended = 0
        for number, _ in self.epoll.poll(patience):
            call = self.open[number]
            try:
                data = call.sock.recv(READ_BYTES)
            except ConnectionResetError:
                data = b""
            if data:
                call.said += data
                if data.endswith(b"\n"):
                    call.sock.send(REPLY * data.count(b"\n"))
                continue
            call.sock.close()  # which takes it out of the epoll set, too
            del self.open[number]
            ended += self._answered(call)
        return ended

    def _answered(self, call: Call) -> int:
        now = time.perf_counter()
        self.waits[call.step].append(now - call.asked)
        if call.step == PREPARE and b"RATING_STATUS=ALLOWED" in call.said:
            seconds = self.pieces.talked[int(self.chance.random() * len(self.pieces.talked))]
            self._ask(call, FINISH, self.pieces.of_finish(call.uniqueid, call.login, call.number, seconds), now)
            return 0
        outcome = "SAVED" if b"RATING_STATUS=SAVED" in call.said else reason(call.said)
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1
        self.finished += outcome == "SAVED"
        return 1

    def closed_loop(self, at_a_time: int) -> None:
        """So many calls at a time, the next when one has ended: for `seconds`, or until all of `calls` were made."""
        until = time.perf_counter() + self.plan.get("seconds", float("inf"))
        most = self.plan.get("calls", float("inf"))
        for _ in range(min(at_a_time, most)):
            self.begin(time.perf_counter())
        while self.open:
            for _ in range(self._turn_or_give_up()):
                now = time.perf_counter()
                if now < until and self.begun < most:
                    self.begin(now)

    def open_loop(self, a_second: float) -> None:
        """Calls that come by chance (Poisson), whatever became of those before; a late one has waited that long."""
        start = time.perf_counter()
        due = start + self.chance.expovariate(a_second)
        while due < start + self.plan["seconds"] or self.open:
            now = time.perf_counter()
            while due <= now and due < start + self.plan["seconds"]:
                self.begin(due)
                due += self.chance.expovariate(a_second)
            if due >= start + self.plan["seconds"]:
                self._turn_or_give_up()
            # An epoll counts its patience in whole milliseconds, and a call that is due would wait for the next.
            elif select.select([self.epoll], [], [], max(0.0, due - time.perf_counter()))[0]:
                self.turn(0.0)

    def _turn_or_give_up(self) -> int:
        waiting = len(self.open)
        ended = self.turn(SILENCE_SECONDS)
        if not ended and waiting == len(self.open) and self._silent():
            raise SystemExit(f"{waiting} requests, and no answer for {SILENCE_SECONDS:.0f} s")
        return ended

    def _silent(self) -> bool:
        return min(call.asked for call in self.open.values()) < time.perf_counter() - SILENCE_SECONDS


def reason(said: bytes) -> str:
    """Why a call was not saved, as the engine said it."""
    _, _, rest = said.partition(b"RATING_REASON=")
    return rest.partition(b",")[0].decode() or "no answer"


def percentiles(seconds: list[float]) -> dict[str, float]:
    """p50, p90, p99 in milliseconds."""
    ranked = sorted(seconds) or [0.0]
    return {f"p{p}": 1000 * ranked[min(len(ranked) - 1, len(ranked) * p // 100)] for p in (50, 90, 99)}


def main() -> None:
    """Carry out the plan."""
    plan = json.loads(Path(sys.argv[1]).read_text())
    load = Load(plan)
    started, cpu = time.perf_counter(), time.process_time()
    if "a_second" in plan:
        load.open_loop(plan["a_second"])
    else:
        load.closed_loop(plan["at_a_time"])
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    prepares, finishes = load.waits
    print(json.dumps({"calls": load.finished, "seconds": seconds, "cpu_ms": 1000 * cpu / max(1, load.finished),
                      "outcomes": load.outcomes, "prepare_ms": percentiles(prepares),
                      "finish_ms": percentiles(finishes)}))  # fmt: skip


if __name__ == "__main__":
    main()
