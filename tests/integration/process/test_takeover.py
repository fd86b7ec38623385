"""How an engine gives its sockets to the next: over real sockets, both ends in this process."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
import structlog

from rating_engine.process import takeover
from rating_engine.process.sockets import Listeners, listen, open_listeners
from rating_engine.process.takeover import Entrance, Predecessor, TakeoverError, open_entrance
from tests.support.waiting import HANG_SECONDS

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="abstract unix sockets are Linux's")

HOST = "127.0.0.1"
ANY = (HOST, 0)


def at(*addresses: tuple[str, int]) -> dict[str, tuple[str, int]]:
    """Listeners at these addresses: FastAGI, then HTTP."""
    return dict(zip(("fastagi", "http"), addresses, strict=True))


class Engines:
    """Opens entrances and lets them meet; closes what a test leaves open."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self._stack = stack
        self._thread = stack.enter_context(ThreadPoolExecutor(2))

    def first(self) -> Entrance:
        """An engine that serves, on free ports."""
        entrance = open_entrance(at(ANY, ANY), take_over=False)
        self._stack.callback(entrance.close)
        entrance.ready()
        return entrance

    def arrive(self, old: Entrance, *, http: tuple[str, int] | None = None) -> Future[Entrance]:
        """Somebody wants to take over from `old`, which has not said anything yet; `http`: at another address."""
        return self._thread.submit(open_entrance, at(fastagi_of(old), http or http_of(old)), take_over=True)

    def meet(self, old: Entrance, **address: tuple[str, int]) -> Entrance:
        """The same, and `old` has given what it has."""
        arriving = self.arrive(old, **address)
        speaks(old)
        assert old.advance() is False
        new = arriving.result(HANG_SECONDS)
        self._stack.callback(new.close)
        return new

    def run(self, work: Callable[[], object]) -> Future[object]:
        """Do something that blocks."""
        return self._thread.submit(work)


@pytest.fixture
def engines() -> Iterator[Engines]:
    with contextlib.ExitStack() as stack:
        yield Engines(stack)


def fastagi_of(entrance: Entrance) -> tuple[str, int]:
    host, port = entrance.listeners["fastagi"].getsockname()
    return host, port


def http_of(entrance: Entrance) -> tuple[str, int]:
    host, port = entrance.listeners["http"].getsockname()
    return host, port


def speaks(entrance: Entrance) -> None:
    """Wait until there is something to hear."""
    assert entrance.waits_for is not None
    assert select.select([entrance.waits_for], [], [], HANG_SECONDS)[0], "nothing was heard"


def serve_one(listener: socket.socket) -> None:
    """Take the connection that waits longest and answer it."""
    assert select.select([listener], [], [], HANG_SECONDS)[0], "nobody waits"
    accepted, _ = listener.accept()
    with accepted:
        accepted.sendall(b"served")


# --- the sockets


def test_who_waits_at_the_old_engine_is_served_by_the_new_one(engines: Engines) -> None:
    old = engines.first()
    with contextlib.ExitStack() as clients:
        waiting = [clients.enter_context(socket.create_connection(fastagi_of(old))) for _ in range(5)]
        new = engines.meet(old)
        new.ready()
        speaks(old)
        assert old.advance() is True
        old.close()
        late = clients.enter_context(socket.create_connection(fastagi_of(new)))

        for client in [*waiting, late]:
            serve_one(new.listeners["fastagi"])
            assert client.recv(100) == b"served"


def test_an_engine_that_ends_without_a_successor_leaves_the_ports_free(engines: Engines) -> None:
    old = engines.first()
    addresses = fastagi_of(old), http_of(old)

    old.close()

    open_entrance(at(*addresses), take_over=False).close()


def test_the_new_engine_knows_whom_it_follows(engines: Engines) -> None:
    new = engines.meet(engines.first())

    assert new.predecessor is not None
    assert new.predecessor.pid == os.getpid()


def test_a_socket_at_an_address_that_is_no_longer_wanted_is_replaced(engines: Engines) -> None:
    old = engines.first()

    with listen(HOST, 0) as another:
        wanted = (HOST, another.getsockname()[1])

    new = engines.meet(old, http=wanted)

    assert fastagi_of(new) == fastagi_of(old)
    assert http_of(new) == wanted


def test_engines_follow_one_another(engines: Engines) -> None:
    engine = engines.first()
    address = fastagi_of(engine)
    for _ in range(3):
        new = engines.meet(engine)
        new.ready()
        speaks(engine)
        assert engine.advance() is True
        engine.close()
        engine = new

    with socket.create_connection(address) as client:
        serve_one(engine.listeners["fastagi"])
        assert client.recv(100) == b"served"


def test_a_socket_that_was_received_is_used_where_it_listens_whatever_the_other_engine_calls_it() -> None:
    with listen(HOST, 0) as other, listen(HOST, 0) as unwanted, contextlib.ExitStack() as stack:
        listeners = open_listeners(at(ANY, other.getsockname()), {"an older name": other, "http": unwanted})
        stack.callback(listeners.close)

        assert listeners["http"] is other
        assert listeners["fastagi"] not in (other, unwanted)


def test_any_number_of_ports_is_listened_on_by_name() -> None:
    listeners = open_listeners(dict.fromkeys(("fastagi", "http", "api", "portal"), ANY))
    assert set(listeners.by_name) == {"fastagi", "http", "api", "portal"}
    assert len({sock.getsockname() for sock in listeners.by_name.values()}) == 4
    listeners.close()


def test_a_worker_finds_the_sockets_that_its_supervisor_gives_it() -> None:
    listeners = open_listeners(at(ANY, ANY))
    copies = {name: os.dup(sock.fileno()) for name, sock in listeners.by_name.items()}

    inherited = Listeners.inherited(",".join(f"{name}={number}" for name, number in copies.items()))

    assert inherited["fastagi"].getsockname() == listeners["fastagi"].getsockname()
    assert inherited["http"].getsockname() == listeners["http"].getsockname()
    inherited.close()
    listeners.close()


# --- what goes wrong


def test_a_new_engine_that_ends_before_it_serves_changes_nothing(engines: Engines) -> None:
    old = engines.first()
    new = engines.meet(old)
    assert new.predecessor is not None

    new.predecessor.connection.close()
    new.close()
    speaks(old)
    with structlog.testing.capture_logs() as log:
        assert old.advance() is False

    assert [line["event"] for line in log] == ["takeover_abandoned"]
    again = engines.meet(old)
    again.ready()
    speaks(old)
    assert old.advance() is True


def test_who_comes_while_another_takes_over_is_turned_away_by_time(
    engines: Engines, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = engines.first()
    engines.meet(old)
    monkeypatch.setattr(takeover, "ANSWER_SECONDS", 0.05)

    with pytest.raises(TakeoverError, match="is another one taking over just now"):
        engines.arrive(old).result(HANG_SECONDS)


def test_a_port_that_cannot_be_had_beside_ends_the_takeover(engines: Engines) -> None:
    old = engines.first()
    with listen(HOST, 0) as stranger:
        arriving = engines.arrive(old, http=(HOST, stranger.getsockname()[1]))
        speaks(old)
        assert old.advance() is False
        with pytest.raises(OSError, match=f"cannot listen on {HOST} port"):
            arriving.result(HANG_SECONDS)

    speaks(old)
    with structlog.testing.capture_logs():
        assert old.advance() is False
    assert engines.meet(old).predecessor is not None


def test_an_engine_that_is_still_starting_cannot_be_taken_over_yet(engines: Engines) -> None:
    new = engines.meet(engines.first())

    assert new.waits_for is None


def test_where_no_engine_is_there_is_nobody_to_take_over_from(engines: Engines) -> None:
    with listen(HOST, 0) as gone:
        port = gone.getsockname()[1]

    assert Predecessor.find(HOST, port) is None


def test_a_port_that_somebody_else_has_is_not_taken_over(engines: Engines) -> None:
    with listen(HOST, 0) as stranger:
        port = stranger.getsockname()[1]
        with pytest.raises(OSError, match=f"cannot listen on {HOST} port {port}"):
            open_entrance(at((HOST, port), ANY), take_over=True)


def test_a_second_engine_that_does_not_take_over_is_refused_the_port(engines: Engines) -> None:
    old = engines.first()

    with pytest.raises(OSError, match=f"cannot listen on {HOST} port {fastagi_of(old)[1]}"):
        open_entrance(at(fastagi_of(old), ANY), take_over=False)


def test_a_connection_does_not_hold_back_the_second_part_of_an_answer() -> None:
    with listen(HOST, 0) as listener, socket.create_connection(listener.getsockname()):
        listener.setblocking(True)
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


def test_an_engine_of_another_user_is_left_alone(engines: Engines, monkeypatch: pytest.MonkeyPatch) -> None:
    old = engines.first()
    monkeypatch.setattr(takeover, "_peer_user", lambda connection: os.geteuid() + 1)

    with pytest.raises(TakeoverError, match="is of another user"):
        Predecessor.find(*fastagi_of(old))


def test_nothing_is_given_to_another_user(engines: Engines, monkeypatch: pytest.MonkeyPatch) -> None:
    old = engines.first()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as visitor:
        assert old.waits_for is not None
        visitor.connect(old.waits_for.getsockname())
        monkeypatch.setattr(takeover, "_peer_user", lambda connection: os.geteuid() + 1)
        with structlog.testing.capture_logs() as log:
            assert old.advance() is False

        assert visitor.recvmsg(100, 100)[:2] == (b"", [])
    assert [line["event"] for line in log] == ["takeover_refused"]


@pytest.mark.parametrize(
    ("packet", "problem"),
    [
        (b'{"protocol": 99, "pid": 1, "sockets": []}', r"hands over in another way \(99\)"),
        (b'{"protocol": 1, "pid": 1, "sockets": ["fastagi"]}', "gave no sockets"),
        (b"[]", "gave no sockets"),
        (b"\xff", "gave no sockets"),
        (b"", "gave no sockets"),
    ],
)
def test_what_cannot_be_understood_is_said(engines: Engines, packet: bytes, problem: str) -> None:
    with listen(HOST, 0) as listener, socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as odd:
        odd.bind(f"\0rating-engine takeover {HOST} {listener.getsockname()[1]}".encode())
        odd.listen()
        finding = engines.run(lambda: Predecessor.find(*listener.getsockname()))
        visitor, _ = odd.accept()
        with visitor:
            visitor.send(packet) if packet else visitor.close()
            with pytest.raises(TakeoverError, match=problem):
                finding.result(HANG_SECONDS)


def test_an_engine_whose_meeting_point_is_taken_serves_and_says_so() -> None:
    with listen(HOST, 0) as listener:
        address = (HOST, listener.getsockname()[1])
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as squatter:
        squatter.bind(f"\0rating-engine takeover {HOST} {address[1]}".encode())
        with structlog.testing.capture_logs() as log:
            entrance = open_entrance(at(address, ANY), take_over=False)

    entrance.ready()
    assert [line["event"] for line in log] == ["takeover_impossible"]
    assert entrance.waits_for is None
    entrance.close()


def test_a_visitor_who_has_gone_again_is_forgotten(engines: Engines) -> None:
    old = engines.first()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as visitor:
        assert old.waits_for is not None
        visitor.connect(old.waits_for.getsockname())
    with structlog.testing.capture_logs():
        assert old.advance() is False

    assert engines.meet(old).predecessor is not None
