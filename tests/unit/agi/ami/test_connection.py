"""One manager connection: what an exchange that misbehaves can do to it, and what it keeps panoramisk from doing."""

from __future__ import annotations

import asyncio
import logging
import ssl
import subprocess
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from shutil import which

import pytest

from agi.ami import connection as connecting
from agi.ami.connection import AmiConnection, Message, Refused
from rating_engine.domain.errors import Unavailable
from tests.unit.agi.ami.fake_exchange import FakeExchange, listed, message, success

pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
HANG_SECONDS = 20.0  # what is waited for here comes at once
NEVER_SECONDS = 600.0


@pytest.fixture
async def exchange() -> AsyncIterator[FakeExchange]:
    async with FakeExchange() as exchange:
        yield exchange


@pytest.fixture
def events() -> list[Message]:
    return []


@pytest.fixture
async def connection(exchange: FakeExchange, events: list[Message]) -> AsyncIterator[AmiConnection]:
    connection = AmiConnection(exchange.address, events.append)
    await connection.open()
    yield connection
    connection.close()


async def test_a_login_says_who_we_are_and_asks_for_events_of_calls_failed_logins_and_phones_only(
    exchange: FakeExchange, connection: AmiConnection
) -> None:
    (login,) = exchange.asked("Login")
    assert (login["Username"], login["Secret"], login["Events"]) == ("engine", "s3cret", "call,security,system")


async def test_a_refused_login_says_so_and_never_shows_the_secret(
    exchange: FakeExchange, caplog: pytest.LogCaptureFixture
) -> None:
    exchange.answers["Login"] = lambda action: message(
        Response="Error", ActionID=action["ActionID"], Message="Authentication failed"
    )
    connection = AmiConnection(exchange.address, lambda event: None)
    with caplog.at_level(logging.DEBUG), pytest.raises(Refused, match="Authentication failed") as refused:
        await connection.open()
    connection.close()
    assert "s3cret" not in caplog.text + str(refused.value)


async def test_a_login_that_is_not_answered_is_given_up(
    exchange: FakeExchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "LOGIN_SECONDS", 0.05)
    exchange.answers["Login"] = lambda action: None
    connection = AmiConnection(exchange.address, lambda event: None)
    with pytest.raises(Unavailable):
        await connection.open()
    connection.close()


async def test_nobody_there_is_said_so(exchange: FakeExchange) -> None:
    connection = AmiConnection(replace(exchange.address, port=1), lambda event: None)
    with pytest.raises(ConnectionRefusedError):
        await connection.open()
    connection.close()


async def test_an_action_that_is_never_answered_fails_and_is_forgotten(
    exchange: FakeExchange, connection: AmiConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "ANSWER_SECONDS", 0.05)
    exchange.answers["Hangup"] = lambda action: None
    with pytest.raises(Unavailable, match="no answer"):
        await connection.ask("Hangup", Channel="SIP/x")
    assert connection._manager.protocol.responses == {}
    assert (await connection.ask("Ping")).get("Ping") == "Pong"


async def test_an_answer_that_comes_too_late_answers_nothing_else(
    exchange: FakeExchange, connection: AmiConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "ANSWER_SECONDS", 0.05)
    exchange.answers["Getvar"] = lambda action: None
    with pytest.raises(Unavailable):
        await connection.ask("Getvar", Variable="A")
    exchange.answers["Getvar"] = lambda action: (
        success(exchange.asked("Getvar")[0], Value="late") + success(action, Value="right")
    )
    monkeypatch.setattr(connecting, "ANSWER_SECONDS", HANG_SECONDS)
    assert (await connection.ask("Getvar", Variable="A")).get("Value") == "right"


async def test_a_lost_connection_fails_what_was_asked_at_once(
    exchange: FakeExchange, connection: AmiConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "ANSWER_SECONDS", NEVER_SECONDS)
    exchange.answers["Hangup"] = lambda action: exchange.cut()  # type: ignore[func-returns-value]
    async with asyncio.timeout(HANG_SECONDS):
        with pytest.raises(Unavailable, match="lost"):
            await connection.ask("Hangup", Channel="SIP/x")
        await connection.lost.wait()
        with pytest.raises(Unavailable, match="lost"):
            await connection.ask("Ping")


async def test_a_line_break_in_a_value_is_refused_before_anything_is_sent(
    exchange: FakeExchange, connection: AmiConnection
) -> None:
    with pytest.raises(ValueError, match="one line"):
        await connection.ask("Hangup", Channel="SIP/x\r\nAction: Command")
    assert exchange.asked("Hangup") == []


async def test_a_whole_list_is_all_of_its_items(exchange: FakeExchange, connection: AmiConnection) -> None:
    exchange.answers["CoreShowChannels"] = lambda action: listed(action, "1", "2")
    items = await connection.ask_list("CoreShowChannels")
    assert [item["Uniqueid"] for item in items] == ["1", "2"]


async def test_an_empty_list_is_a_whole_one(exchange: FakeExchange, connection: AmiConnection) -> None:
    exchange.answers["CoreShowChannels"] = listed
    assert await connection.ask_list("CoreShowChannels") == []


@pytest.mark.parametrize(
    "answer",
    [
        lambda action: listed(action, "1", "2", promised=3),
        lambda action: listed(action, "1", "2", promised=1),
        lambda action: listed(action, "1", complete=False),
        lambda action: message(Response="Error", ActionID=action["ActionID"], Message="Permission denied"),
        lambda action: success(action, Message="nothing will follow"),
        lambda action: None,
    ],
    ids=["one missing", "one too many", "no end", "refused", "no list", "silence"],
)
async def test_half_a_list_is_none(
    exchange: FakeExchange, connection: AmiConnection, monkeypatch: pytest.MonkeyPatch, answer
) -> None:
    monkeypatch.setattr(connecting, "LIST_SECONDS", 0.1)
    exchange.answers["CoreShowChannels"] = answer
    with pytest.raises(Unavailable):
        await connection.ask_list("CoreShowChannels")


async def test_a_message_without_end_breaks_the_connection_instead_of_filling_memory(
    exchange: FakeExchange, connection: AmiConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "MESSAGE_BYTES", 10_000)
    exchange.say(b"x" * 20_000)
    async with asyncio.timeout(HANG_SECONDS):
        await connection.lost.wait()


@pytest.mark.parametrize(
    "noise",
    [b"\r\n\r\n\r\n\r\n", b"\x00\xff\xfe\r\n\r\n", b"Event\r\n\r\n", b": \r\n\r\n", b"Response: Success\r\n\r\n"],
)
async def test_noise_between_messages_is_passed_over(
    exchange: FakeExchange, connection: AmiConnection, events: list[Message], noise: bytes
) -> None:
    exchange.say(noise)
    exchange.say(message(Event="Hangup", Uniqueid="1"))
    assert (await connection.ask("Ping")).get("Ping") == "Pong"
    assert [event["Event"] for event in events] == ["Hangup"]


async def test_a_name_that_is_no_utf8_comes_back_byte_for_byte(
    exchange: FakeExchange, connection: AmiConnection, events: list[Message]
) -> None:
    exchange.say(b"Event: Newchannel\r\nChannel: SIP/J\xfcrgen-\xc3\xa9\r\n\r\n")
    await connection.ask("Ping")
    await connection.ask("Hangup", Channel=events[0]["Channel"])
    assert exchange.asked("Hangup")[0]["Channel"].encode("latin-1") == b"SIP/J\xfcrgen-\xc3\xa9"


async def test_a_message_in_single_bytes_is_one_message(
    exchange: FakeExchange, connection: AmiConnection, events: list[Message]
) -> None:
    for byte in message(Event="Hangup", Uniqueid="42").encode():
        exchange.say(bytes([byte]))
        await asyncio.sleep(0)
    await connection.ask("Ping")
    assert [event["Uniqueid"] for event in events] == ["42"]


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 and its key."""
    if which("openssl") is None:
        pytest.skip("openssl is not installed")
    directory = tmp_path_factory.mktemp("tls")
    key, cert = directory / "key.pem", directory / "cert.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=pbx1"),
            *("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)),
        ],
        check=True,
        capture_output=True,
    )
    return cert, key


async def test_over_tls_a_known_certificate_is_trusted_and_a_strange_one_is_not(
    certificate: tuple[Path, Path],
) -> None:
    cert, key = certificate
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    async with FakeExchange(context) as exchange:
        known = AmiConnection(replace(exchange.address, tls=True, ca_file=str(cert)), lambda event: None)
        await known.open()
        assert (await known.ask("Ping")).get("Ping") == "Pong"
        known.close()
        strange = AmiConnection(replace(exchange.address, tls=True), lambda event: None)
        with pytest.raises(ssl.SSLError):
            await strange.open()
        strange.close()
