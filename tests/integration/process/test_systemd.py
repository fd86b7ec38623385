"""The engine as a service of systemd: sockets it is given, what it says of itself, and the watchdog."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from agi.fastagi.client import render_request
from rating_engine.process.sockets import activated_sockets
from tests.support.commands import Commands, Served
from tests.support.systemd import Systemd, activation, systemd
from tests.support.waiting import HANG_SECONDS, wait_until

PONG = b"RATING_STATUS=OK"
WATCHDOG = "4000000"  # microseconds: a sign of life every 2 s


@pytest.fixture
def cli(database_url: str, tmp_path: Path) -> Commands:
    return Commands(tmp_path, database_url=database_url, spool_dir=tmp_path / "spool")


@pytest.fixture
def service_manager(monkeypatch: pytest.MonkeyPatch) -> Iterator[Systemd]:
    with systemd() as listening:
        monkeypatch.setenv("NOTIFY_SOCKET", listening.address)
        yield listening


def asked(port: int) -> socket.socket:
    """A connection on which `ping` is asked; it may be that nobody serves yet."""
    connection = socket.create_connection(("127.0.0.1", port), HANG_SECONDS)
    connection.sendall(render_request("127.0.0.1", port, "ping", [], uniqueid="1"))
    return connection


def answer(connection: socket.socket) -> bytes:
    """What the engine tells the exchange to set; empty where it closes without a word."""
    with connection:
        return connection.recv(4096)


# -- what is said ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", ["1", "2"])
def test_an_engine_says_that_it_is_ready_that_it_lives_and_that_it_stops(
    cli: Commands, service_manager: Systemd, monkeypatch: pytest.MonkeyPatch, workers: str
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", WATCHDOG)
    with cli.serving("--workers", workers) as engine:
        assert service_manager.next() == "READY=1"
        assert [service_manager.next() for _ in range(3)] == ["WATCHDOG=1"] * 3
        assert engine.end(signal.SIGTERM) == 0
        service_manager.hears("STOPPING=1")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_without_a_watchdog_nothing_is_said_of_life(cli: Commands, service_manager: Systemd, workers: str) -> None:
    with cli.serving("--workers", workers) as engine:
        assert service_manager.next() == "READY=1"
        engine.end(signal.SIGTERM)
        assert service_manager.next() == "STOPPING=1"


def test_a_watchdog_of_another_process_is_not_fed(
    cli: Commands, service_manager: Systemd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", WATCHDOG)
    monkeypatch.setenv("WATCHDOG_PID", "1")
    with cli.serving() as engine:
        assert service_manager.next() == "READY=1"
        engine.end(signal.SIGTERM)
        assert service_manager.next() == "STOPPING=1"


def test_while_one_worker_hangs_systemd_hears_of_no_life(
    cli: Commands, service_manager: Systemd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", WATCHDOG)
    with cli.serving("--workers", "2") as engine:
        service_manager.hears("WATCHDOG=1")
        hanging = psutil.Process(engine.pid).children()[0]
        hanging.suspend()
        try:
            wait_until(lambda: len(engine.events("workers_hang")) >= 1, "the supervisor to notice")
            service_manager.forget()
            wait_until(lambda: len(engine.events("workers_hang")) >= 2, "another turn of it")
            assert service_manager.heard_nothing()
        finally:
            hanging.resume()
        service_manager.hears("WATCHDOG=1")


# -- sockets -----------------------------------------------------------------------------------------------------


@pytest.fixture
def held() -> Iterator[dict[str, socket.socket]]:
    """Sockets that systemd holds, by the names of the shipped unit."""
    sockets = {name: socket.create_server(("127.0.0.1", 0)) for name in ("fastagi", "http")}
    yield sockets
    for sock in sockets.values():
        sock.close()


def ports_of(held: dict[str, socket.socket]) -> dict[str, int]:
    return {f"{name}_port": sock.getsockname()[1] for name, sock in held.items()}


@pytest.mark.parametrize("workers", ["1", "2"])
def test_sockets_that_systemd_holds_are_served_and_outlive_the_engine(
    cli: Commands, held: dict[str, socket.socket], workers: str
) -> None:
    launcher, inherited = activation(held)
    port = held["fastagi"].getsockname()[1]
    for _ in range(2):  # and once more, as by `systemctl restart`
        waiting = asked(port)  # before anybody serves: it waits at the socket
        with cli.serving("--workers", workers, launcher=launcher, inherited=inherited, **ports_of(held)) as engine:
            assert PONG in answer(waiting)
            assert PONG in answer(asked(port))
            assert engine.end(signal.SIGTERM) == 0


def test_a_socket_counts_by_its_name_whatever_address_the_settings_say(
    cli: Commands, held: dict[str, socket.socket]
) -> None:
    launcher, inherited = activation(held)
    engine = Served(cli.directory / "serve.log", [*launcher, *cli.command("serve")], inherited)
    ports = ports_of(held)
    engine.start(cli.environment(), cli.directory, "/readyz", **ports)
    try:
        assert PONG in answer(asked(ports["fastagi_port"]))
    finally:
        engine.end(signal.SIGTERM)


def test_sockets_for_another_process_are_left_alone_and_the_variables_go() -> None:
    environment = {"LISTEN_PID": "1", "LISTEN_FDS": "2", "LISTEN_FDNAMES": "fastagi:http", "OTHER": "x"}
    assert activated_sockets(environment) == {}
    assert environment == {"OTHER": "x"}


def test_what_is_no_listening_socket_is_refused_by_its_name(cli: Commands) -> None:
    with socket.socket() as idle:
        launcher, inherited = activation({"fastagi": idle})
        engine = Served(cli.directory / "serve.log", [*launcher, *cli.command("serve")], inherited)
        with pytest.raises(AssertionError, match=r"fastagi\) is no listening TCP socket"):
            engine.start(cli.environment(), cli.directory, "/readyz", fastagi_port=1, http_port=1)
