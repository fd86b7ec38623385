"""Calls that the engine holds over ARI, on a real Asterisk with real SIP: what is talked is charged, exactly once.

One exchange and one engine play all scenarios side by side, each with a caller and an account of its own.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from agi.ari.address import parse_address
from agi.ari.commands import (
    Answer,
    Continue,
    CreateBridge,
    CreateLeg,
    DeleteBridge,
    Dial,
    HangUp,
    Join,
    Look,
    Play,
    SetVariable,
    StartWaiting,
    StopPlay,
    StopWaiting,
    TellTransfer,
    Transfer,
)
from agi.ari.connection import AriConnection, Refused
from agi.ari.requests import Request, event_filter, requests_of, variable
from agi.fastagi.client import agi_call
from rating_engine.domain.reported_end import ReportedEnd
from rating_engine.rating.rate import Rate
from rating_engine.services.cdrs.asterisk_log import read_line
from rating_engine.storage.postgres.pool import Database
from tests.asterisk.ari import (
    LOW_BALANCE,
    NAME,
    PART,
    SECRET,
    WARNING,
    access_line,
    ari_exchange,
    ari_url,
    give_music_and_a_place_for_recordings,
    give_tls,
    page_part,
    ports,
    seed,
)
from tests.asterisk.ari_inbound import busy, give_numbers
from tests.asterisk.ari_model import MODEL, described, operations, rendered
from tests.asterisk.ari_scenarios import SCENARIOS, wait_ended, warn_callers_of
from tests.asterisk.ari_world import (
    ACCESS,
    ANSWERS,
    CUT_WITHIN,
    EXTERNAL,
    FORWARDS,
    KEPT,
    OWNED,
    PROBES,
    RING_SECONDS,
    RINGS_OWNER,
    ROUTES,
    SECRET_KEY,
    World,
    carrier,
    elsewhere,
    first,
    seconds_of,
)
from tests.asterisk.engine import engine_for, started
from tests.asterisk.pbx import Pbx, until
from tests.asterisk.phone import Phone, phones
from tests.support.file_host import make_certificate
from tests.support.servers import SessionServers, breaches, free_port
from tests.support.world import add_account, publish_deck

pytestmark = [pytest.mark.asterisk, pytest.mark.asyncio(loop_scope="session")]

LASTING = {"leaves-1": "10", "spends-2": "0.03", "stays-4": "10"}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def world(
    asterisk_root: Path, session_servers: SessionServers, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[World]:
    sip_port, http_port = free_port(), free_port()
    balances = {login: balance for login, (_, balance) in SCENARIOS.items()} | LASTING
    callers = {name: Phone(name, sip_port) for name in balances}
    trunks = {name: Phone(name, sip_port) for name, _ in ROUTES}
    for name, does in (("carrier", carrier), ("first", first), ("second", carrier), ("elsewhere", elsewhere)):
        trunks[name].on_call = does
    directory = tmp_path_factory.mktemp("engine")
    certificate = make_certificate(directory, "localhost")
    tls_port = free_port()
    with session_servers.database() as url:
        database = Database(url)
        await database.open()
        await seed(database, ROUTES)
        for login, balance in {"probe": "10", **balances}.items():
            await add_account(database, login, balance=balance)
        rate = Rate(price_1="0.30", price_unit="minute", interval_1=1, interval_n=1)
        await publish_deck(database, "inbound", {"4977": rate})
        await warn_callers_of(url, "little-left")
        owned = {"owner": RINGS_OWNER, "forwarder": FORWARDS, "keeper": KEPT, "by-dialplan": OWNED}
        await give_numbers(url, owned)
        callers["forwarder"].on_call = busy
        engine = engine_for(
            url,
            session_servers.redis(),
            directory,
            ari_exchanges=[ari_url(http_port)],
            secret_keys=[SECRET_KEY],
            ari_silence_seconds=1,
            ari_ring_seconds=RING_SECONDS,
            ari_low_balance_sound=LOW_BALANCE,
            ami_warning_seconds=2,
            ami_warning_sound=WARNING,
            quota_seconds=60,
            reconcile_interval_seconds=1.0,
            reconcile_grace_seconds=1.0,
        )
        exchange = ari_exchange(
            asterisk_root,
            engine.fastagi_port,
            http_port,
            sip_port,
            phones=ports(callers),
            trunks=ports(trunks),
            more=f"{access_line(ACCESS)}\n{EXTERNAL}",
            besides="#include rating-inbound.conf",
        )
        recordings = give_music_and_a_place_for_recordings(exchange)
        give_tls(exchange, tls_port, certificate)
        try:
            async with phones(*callers.values(), *trunks.values()), exchange, engine:
                await started(engine)
                pbx = Pbx(database, engine, exchange)
                await until(lambda: held(pbx))
                yield World(pbx, url, callers, trunks, recordings, (tls_port, certificate))
        finally:
            await database.close()


async def held(pbx: Pbx) -> bool:
    """Whether an engine is connected and the exchange's calls are watched: then it grants in slices."""
    at = ("127.0.0.1", pbx.engine.fastagi_port)
    uniqueid = f"probe.{next(PROBES)}"
    asked = await agi_call(*at, f"callPrepare?exchange={NAME}", ["probe", "4910"], uniqueid=uniqueid)
    await agi_call(*at, f"callFinish?exchange={NAME}", ["probe", "4910", "0"], uniqueid=uniqueid)
    return asked["RATING_QUOTA"] == "1"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def played(world: World) -> dict[str, BaseException | None]:
    """All scenarios, side by side; what each said."""
    works = [scenario(world, name) for name, (scenario, _) in SCENARIOS.items()]
    outcomes = await asyncio.gather(*works, return_exceptions=True)
    return dict(zip(SCENARIOS, outcomes, strict=True))


@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_a_call_over_ari(played: dict[str, BaseException | None], scenario: str) -> None:
    if (problem := played[scenario]) is not None:
        raise problem


async def test_nothing_is_left_and_the_books_balance(world: World, played: dict[str, BaseException | None]) -> None:
    await until(world.pbx.exchange.idle)
    await until(lambda: no_bridge(world))  # a bridge is ended behind its channels
    assert not_saved(world) == {}
    async with httpx.AsyncClient() as client:
        metrics = (await client.get(f"http://127.0.0.1:{world.pbx.engine.http_port}/metrics")).text
    assert "\nrating_ari_limit_mismatch_total 0.0\n" in metrics  # of those that were lengthened
    assert await breaches(world.url) == []


async def no_bridge(world: World) -> bool:
    """Whether the exchange has none."""
    return len((await world.pbx.exchange.cli("bridge show all")).strip().splitlines()) == 1  # its head line


def not_saved(world: World) -> dict[str, int]:
    """The seconds of each login whose end no engine took, by the exchange's log."""
    found = [read_line(number, line) for number, line in enumerate(world.pbx.exchange.log().splitlines())]
    return {str(end.login): end.seconds for end in found if isinstance(end, ReportedEnd)}


async def test_an_engine_that_is_killed_is_missed_by_nobody_who_talks(
    world: World, played: dict[str, BaseException | None]
) -> None:
    """One hangs up meanwhile, the money of another one ends, and who goes on is adopted."""
    leaves, spends, stays = LASTING
    legs = {name: await (await world.caller(name).call(ANSWERS + name[-1])).answered() for name in LASTING}
    called = {name: await world.called("carrier", ANSWERS + name[-1]) for name in LASTING}
    await legs[stays].talk(1.2)  # their answers are written down
    await asyncio.to_thread(world.pbx.engine.kill)
    await legs[leaves].talk_on(1.7)
    await legs[leaves].hang_up()
    await called[leaves].ended()
    await wait_ended(called[spends])
    await legs[spends].ended()
    assert abs(called[spends].talked - 3) <= CUT_WITHIN
    assert not_saved(world) == {name: seconds_of(called[name]) for name in (leaves, spends)}
    await started(world.pbx.engine)
    await until(lambda: held(world.pbx))
    await legs[stays].hears(world.trunks["carrier"])
    await legs[stays].talk_on(1.7)
    await legs[stays].hang_up()
    await called[stays].ended()
    (cdr,) = await world.cdrs(stays)
    assert (cdr["seconds"], cdr["source"]) == (seconds_of(called[stays]), "finish")
    for name in (leaves, spends):
        (cdr,) = await world.cdrs(name)
        assert (cdr["state"], cdr["source"]) == ("settled", "reconciled")
    await until(world.pbx.exchange.idle)
    assert await breaches(world.url) == []


async def test_what_the_page_says_to_look_for_is_there(world: World) -> None:
    """All scenarios run on the blocks of docs/ari.md and the files that it has copied; this is its last step."""
    (told,) = re.findall(r"`curl -s http://127.0.0.1:8080/readyz` says\s+`(.+)`", page_part(PART))
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"http://127.0.0.1:{world.pbx.engine.http_port}/readyz")
    assert told in answer.text.replace(" ", "")


@pytest.mark.parametrize(
    ("host", "is_known", "secret", "why"),
    [
        ("localhost", True, SECRET, ""),
        ("localhost", True, "wrong", r"user or secret is refused \(401\)"),
        ("localhost", False, SECRET, "its certificate is not accepted: self-signed certificate"),
        ("127.0.0.1", True, SECRET, "its certificate is not accepted: IP address mismatch"),
    ],
)
async def test_over_tls_the_exchange_has_to_be_the_one_that_is_meant(
    world: World, host: str, is_known: bool, secret: str, why: str
) -> None:
    port, certificate = world.tls
    ca = f"&ca={certificate}" if is_known else ""
    address = parse_address(f"{NAME}=ari://rating-engine:{secret}@{host}:{port}?tls=1{ca}")
    connection = AriConnection(address, "rating-tls", lambda event: None)
    try:
        if why:
            with pytest.raises(Refused, match=why):
                await connection.open()
        else:
            await connection.open()
            assert (await connection.ask(Request("GET", "asterisk/ping"))).done
    finally:
        await connection.close()


async def test_the_types_are_those_that_asterisk_describes(asterisk_root: Path) -> None:
    assert MODEL.read_text() == rendered(described(asterisk_root)), "run: python -m tests.asterisk.ari_model"


ASKED = (
    CreateBridge("b"), CreateLeg("r-1", "PJSIP/1", "u1", {"A": "1"}), Join("b", ("x", "y")), Dial("x", 5),
    SetVariable("x", "n", "v"), Answer("x"), HangUp("x", 16), DeleteBridge("b"), Look("x"), StopPlay("p"),
    Play("x", "p", ("s",), early=True), StartWaiting("x", "", early=True), StartWaiting("x", "m", early=True),
    StopWaiting("x", ""), StopWaiting("x", "m"), Continue("x", "c", "s"), TellTransfer("x", Transfer.PROGRESS),
)  # fmt: skip


async def test_what_is_asked_is_what_asterisk_describes(asterisk_root: Path) -> None:
    """By ASTERISK_ROOT of any release; docs/ari.md says what older ones lack."""
    described_there = operations(asterisk_root)
    asked = [request for command in ASKED for request in requests_of(command, "rating-1")]
    for request in (*asked, event_filter("rating-1"), variable("x", "v")):
        known = [
            parameters
            for (method, path), parameters in described_there.items()
            if method == request.method and re.fullmatch(path, request.uri)
        ]
        assert any(set(request.query) <= parameters for parameters in known), request
