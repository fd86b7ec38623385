"""Cases that need an installation of their own, in their order: cases_apart.json; and that no case is left out."""

from __future__ import annotations

import base64
import contextlib
import json
from pathlib import Path
from typing import Any

import pytest

from rating_engine.domain.account import NewAccount
from rating_engine.domain.exchanges import ExchangeChanges
from rating_engine.domain.sip_account import SipChanges
from rating_engine.rating.rate import Rate
from rating_engine.storage.calls.exchange_watch import read_watched
from tests.architecture.source_tree import PROJECT
from tests.conformance.narayana.test_cases import CASES, check
from tests.support.file_host import file_host, make_certificate
from tests.support.narayana import narayana_on
from tests.support.waiting import until
from tests.support.world import publish_deck
from tests.unit.agi.ami.fake_exchange import FakeExchange, listed, message, success

APART: list[dict[str, Any]] = json.loads(Path(__file__).with_name("cases_apart.json").read_text("utf-8"))
UNREACHABLE = "narayana-210"  # the last one
# Of the specification: narayana-001 to narayana-229, but for these numbers.
NUMBERED, UNUSED = 229, {
    6, 12, 13, 16, 17, 19, 22, 23, 31, 32, 39, 42, 48, 49, 50, 52, 58, 63, 64, 69, 71, 72, 74, 75, 83, 86, 88,
    89, 105, 109, 111, 115, 117, 119, 121, 122, 131, 132, 146, 148, 152, 153, 156, 160, 161, 162, 163, 165, 166,
    168, 173, 183, 184, 186, 187, 191, 195, 198, 202, 203, 204, 211, 212, 213, 214, 220, 223, 225,
}  # fmt: skip
SHIPPED = (PROJECT / "config/asterisk/extensions.conf").read_text("utf-8")
# What is answered to URLs that must not be fetched, or whose answer must not be put into place.
REFUSED = (
    ("http://localhost-dialplan/", "must be https"),
    ("https://user:word@localhost-dialplan/", "no URL"),
    ("https://localhost-dialplan/x%0d%0aHost:y z", "no URL"),
    ("elsewhere.example.org~rating.conf", "none that files are taken from"),
    ("127.0.0.1", "none that files are taken from"),
    ("localhost-dialplan~absent", "answers 404"),
    ("localhost-dialplan~moved", "answers 302"),
    ("localhost-dialplan~page", "no [context]"),
    ("localhost-dialplan~binary", "no [context]"),
    ("localhost-dialplan~large", "more than 1048576 bytes"),
    ("localhost-dialplan~unlimited", "must not be loaded"),
    ("localhost-dialplan~nothing", "callPrepare is never asked"),
    ("localhost-dialplan#sha256=" + "0" * 64, "another file than the checksum"),
    ("localhost-dialplan#md5=1", "#sha256="),
    ("localhost", "no public address"),
    ("x" * 4000, "no URL"),
)


def test_no_case_is_left_out():
    there = [case["id"] for case in (*CASES, *APART)]
    assert len(there) == len(set(there))
    wanted = {f"narayana-{number:03}" for number in set(range(1, NUMBERED + 1)) - UNUSED}
    assert set(there) == wanted


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = make_certificate(tmp_path, "localhost-dialplan", "localhost-interface")
    monkeypatch.setenv("SSL_CERT_FILE", str(made))
    return made


async def test_cases_with_an_exchange_and_a_host_of_files(database_url, tmp_path, certificate):
    directory = tmp_path / "asterisk"
    directory.mkdir()
    placed = directory / "rating.conf"
    placed.write_text("[by-hand]\n")
    async with contextlib.AsyncExitStack() as reached, file_host(certificate) as host:
        exchange = await reached.enter_async_context(FakeExchange())
        address = exchange.address
        hosts = [f"{name}=127.0.0.1:{host.port}" for name in ("localhost-dialplan", "localhost-interface")]
        async with narayana_on(
            database_url,
            ami_exchanges=(f"pbx1=ami://{address.username}:{address.secret}@{address.host}:{address.port}",),
            exchange_file_hosts=(*hosts, "localhost"),
            speech_program="",
        ) as narayana:
            exchange.answers["Reload"], exchange.answers["CoreShowChannels"] = success, listed
            await _line_of_the_document(narayana)
            for number, path in enumerate(("localhost-dialplan", "localhost-interface")):
                host.files[path, "/"] = (200, f"; version: 0082R2017062{number}_205\n{SHIPPED}".encode())
            await _ask_what_is_refused(narayana, host, exchange, directory)
            await until(lambda: read_watched(narayana.engine.office))
            for case in APART:
                if case["id"] == UNREACHABLE:
                    await reached.aclose()
                query = {
                    name: value.replace("{caller}", case["caller"]) for name, value in case["request"]["query"].items()
                }
                method = case["request"]["path"].rpartition("/")[2]
                check(await narayana.raw(method, **query), case["expect"])

            _are_asked_of(exchange)
            assert placed.read_text() == "[by-hand]\n"  # fetched, and taken back
            assert (directory / "rating-interface.conf").read_text().startswith("; version: 0082R20170621_205")
            kept = await narayana.operator.exchange_files.list("pbx1")
            assert [(each.version, each.is_current) for each in kept if each.kind == "dialplan"] == [
                ("0082R20170620_205", False),
                (kept[1].sha256[:12], True),
            ]


async def _ask_what_is_refused(narayana, host, exchange, directory):
    host.files |= {
        ("localhost-dialplan", "/moved"): (302, b""),
        ("localhost-dialplan", "/page"): (200, b"<html>Log in</html>"),
        ("localhost-dialplan", "/nothing"): (200, b"[a]\nexten => 1,1,Hangup()\n"),
        ("localhost-dialplan", "/binary"): (200, b"[a]\0\xff"),
        ("localhost-dialplan", "/large"): (200, b"[a]\n" + b";" * 1_048_576),
        ("localhost-dialplan", "/unlimited"): (
            200,
            b"[a]\nexten => 1,1,AGI(agi://x/callPrepare)\n same => n,Dial(a)\n",
        ),
    }

    async def answer(method: str, **given: str) -> tuple[str, str]:
        envelope = (await narayana.raw(method, login="boss", **given)).json()
        assert envelope["result"] is False, (given, envelope)
        return envelope["response"], envelope.get("description", "")

    assert (await answer("restoreDialplan"))[0] == "E_ASTERISK_QUERY_ERROR"  # no directory of its is here
    assert (await answer("updateDialplan", asterisk="pbx1", url="localhost-dialplan"))[0] == "E_ASTERISK_QUERY_ERROR"
    changes = ExchangeChanges(address="127.0.0.1", config_directory=str(directory))
    await narayana.operator.exchanges.change("pbx1", changes)
    assert (await answer("restoreDialplan"))[0] == "E_NOT_EXIST"
    for url, why in REFUSED:
        code, description = await answer("updateDialplan", asterisk="pbx1", url=url)
        assert (code, why in description) == ("E_DATA_ABORT", True), (url, code, description)
    for given, code in (
        ({"asterisk": "pbx1"}, "E_MISSING_ARGUMENT"),
        ({"url": "localhost-dialplan"}, "E_MISSING_ARGUMENT"),
        ({"asterisk": "192.0.2.77", "url": "localhost-dialplan"}, "E_SIP_SERVER_NOT_EXIST"),
    ):
        assert (await answer("updateInterface", **given))[0] == code, given
    assert await narayana.code("updateDialplan", login="firm", asterisk="pbx1", url="x") == "E_INSUFFICIENT_ACCESS"
    assert exchange.asked("Reload") == []
    assert (directory / "rating.conf").read_text() == "[by-hand]\n"

    # What the exchange does not load is taken back, and kept nowhere.
    exchange.answers["Reload"] = lambda action: message(
        Response="Error", ActionID=action["ActionID"], Message="No such module"
    )
    code, description = await answer("updateDialplan", asterisk="pbx1", url="localhost-dialplan")
    assert (code, "No such module" in description) == ("E_ASTERISK_QUERY_ERROR", True), description
    assert (directory / "rating.conf").read_text() == "[by-hand]\n"
    assert await narayana.operator.exchange_files.list("pbx1") == []
    exchange.answers["Reload"] = success


async def _line_of_the_document(narayana):
    """40000: a telephone at the exchange, a PIN, and a price of what it calls back."""
    await publish_deck(narayana.engine.office, "called", rates={"7": Rate(price_1="0")})
    await narayana.operator.accounts.create(NewAccount("40000", "called", owner="anna"))
    await narayana.operator.sip_accounts.change("40000", SipChanges(password="very-secret", disa_pin="1111"))


def _are_asked_of(exchange):
    """What the exchange has been asked to do by the two examples, and by nothing else."""
    (callback,), (sent,) = exchange.asked("Originate"), exchange.asked("MessageSend")
    assert (callback["Exten"], callback["Channel"]) == ("7499999999", "Local/7911111111@rating-callback/n")
    assert "RATING_CALLBACK_LOGIN=40000" in callback["Variable"]
    assert (sent["To"], base64.b64decode(sent["Base64Body"])) == ("pjsip:40000", b"hello world")
