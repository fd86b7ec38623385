"""The load client over HTTP: calls by Narayana's callPrepare and callFinish, or a mix of what programs ask, each over
connections that are kept. One epoll loop in a process of its own, as client.py.

Prints one JSON object: calls, requests, seconds, CPU milliseconds of each, what was answered, milliseconds of answers.

    python benchmarks/http_client.py PLAN.json

PLAN.json: port, key, logins, numbers, at_a_time, seed, and `seconds` (calls one after the other on each connection) or
`mix` (method, path, headers, body, weight: `@login@` and `@number@` are drawn) with `requests`, so many of them in all,
`a_second` of them by chance (Poisson), or as fast as they are answered.
"""

from __future__ import annotations

import json
import random
import select
import socket
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from client import SILENCE_SECONDS, percentiles

HOST = "127.0.0.1"
READ_BYTES = 65_536
PREPARE, FINISH, OTHER = 0, 1, 2


class Connection:
    """One connection that is kept, and what it waits for."""

    __slots__ = ("asked", "call", "said", "sock", "step")


class Load:
    """Requests one after the other on each of some connections."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self.plan = plan
        self.chance = random.Random(plan["seed"])
        self.epoll = select.epoll()
        self.connections: dict[int, Connection] = {}
        self.calls = 0
        self.answered = 0
        self.begun = 0
        self.free: list[Connection] = []
        self.due = time.perf_counter()
        self.outcomes: Counter[str] = Counter()
        self.waits: tuple[list[float], list[float], list[float]] = ([], [], [])
        self.mix = plan.get("mix", [])

    def run(self) -> None:
        """Until `seconds` are over, or all `requests` were answered."""
        for _ in range(self.plan["at_a_time"]):
            connection = Connection()
            connection.sock = socket.create_connection((HOST, self.plan["port"]))
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections[connection.sock.fileno()] = connection
            self.epoll.register(connection.sock, select.EPOLLIN)
            self.free.append(connection)
        self.until = time.perf_counter() + self.plan.get("seconds", float("inf"))
        while True:
            waits = self._begin_due()
            if not self.connections:
                break
            ready = self.epoll.poll(min(waits, SILENCE_SECONDS))
            if not ready and waits > SILENCE_SECONDS:
                raise SystemExit(f"{len(self.connections)} requests, and no answer for {SILENCE_SECONDS:.0f} s")
            for number, _ in ready:
                self.read(self.connections[number])

    def _begin_due(self) -> float:
        """Ask what is due on connections that are free; in how many seconds the next thing is."""
        now = time.perf_counter()
        while self.free and self._goes_on():
            if "a_second" in self.plan:
                if self.due > now:
                    return self.due - now
                self.due += self.chance.expovariate(self.plan["a_second"])
            self.begin(self.free.pop(0))  # the longest idle: one that idles is closed
        while self.free:
            connection = self.free.pop()
            self.epoll.unregister(connection.sock)
            del self.connections[connection.sock.fileno()]
            connection.sock.close()
        return float("inf")

    def _goes_on(self) -> bool:
        return time.perf_counter() < self.until and self.answered < self.plan.get("requests", float("inf"))

    def begin(self, connection: Connection) -> None:
        """The next thing to ask: a call, or one of the mix."""
        self.begun += 1
        logins, numbers = self.plan["logins"], self.plan["numbers"]
        login, number = self.chance.choice(logins), self.chance.choice(numbers)
        asked = self.chance.choices(self.mix, [each["weight"] for each in self.mix])[0] if self.mix else None
        if asked is None or asked["path"] == "call":
            connection.call = f"login={login}&destination={number}&callid=h{self.plan['seed']}.{self.begun}"
            self.ask(connection, PREPARE, "callPrepare", connection.call)
            return
        path, body = (asked[part].replace("@login@", login).replace("@number@", number) for part in ("path", "body"))
        head = f"{asked['method']} {path} HTTP/1.1\r\nHost: {HOST}\r\n{asked['headers']}"
        self.send(connection, OTHER, f"{head}Content-Length: {len(body)}\r\n\r\n{body}")

    def ask(self, connection: Connection, step: int, method: str, body: str) -> None:
        """One of Narayana's methods."""
        head = f"POST /billing/api/2.2/{self.plan['key']}/{method} HTTP/1.1\r\nHost: {HOST}\r\n"
        kind = "Content-Type: application/x-www-form-urlencoded\r\n"
        self.send(connection, step, f"{head}{kind}Content-Length: {len(body)}\r\n\r\n{body}")

    def send(self, connection: Connection, step: int, request: str) -> None:
        """Send it, and wait for its answer."""
        connection.step, connection.said, connection.asked = step, b"", time.perf_counter()
        connection.sock.send(request.encode())

    def read(self, connection: Connection) -> None:
        """Take what has come; when the answer is whole, go on."""
        data = connection.sock.recv(READ_BYTES)
        if not data:
            raise SystemExit(f"the engine closed a connection after {connection.said[:200]!r}")
        connection.said += data
        head, found, body = connection.said.partition(b"\r\n\r\n")
        length = head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0]
        if not found or (length and len(body) < int(length)):
            return
        if not length and not head.startswith(b"HTTP/1.1 204") and not body.endswith(b"0\r\n\r\n"):
            return
        self.waits[connection.step].append(time.perf_counter() - connection.asked)
        self.take(connection, head, body)

    def take(self, connection: Connection, head: bytes, body: bytes) -> None:
        """What an answer leads to."""
        status = head.split(b" ", 2)[1].decode()
        self.answered += 1
        if connection.step == PREPARE and body.startswith(b"Allowed"):
            length = int(self.chance.random() * 120)
            self.ask(connection, FINISH, "callFinish", f"{connection.call}&length={length}&status=16ANSWER")
            return
        if connection.step == FINISH and body.startswith(b"Saved"):
            self.calls += 1
            self.outcomes["SAVED"] += 1
        elif connection.step == OTHER:
            self.outcomes[status] += 1
        else:
            self.outcomes[f"{status} {body[:60].decode(errors='replace')}"] += 1
        self.free.append(connection)


def main() -> None:
    """Carry out the plan."""
    load = Load(json.loads(Path(sys.argv[1]).read_text()))
    started, cpu = time.perf_counter(), time.process_time()
    load.run()
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    prepares, finishes, others = load.waits
    print(json.dumps({"calls": load.calls, "requests": load.answered, "seconds": seconds,
                      "cpu_ms": 1000 * cpu / max(1, load.calls or load.answered), "outcomes": load.outcomes,
                      "prepare_ms": percentiles(prepares), "finish_ms": percentiles(finishes),
                      "other_ms": percentiles(others)}))  # fmt: skip


if __name__ == "__main__":
    main()
