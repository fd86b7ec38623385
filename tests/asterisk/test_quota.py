"""Quota mode on a real Asterisk: calls lengthened over AMI, cut at the second their money ends."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from agi.fastagi.client import agi_call
from rating_engine.domain.account import AccountChanges
from rating_engine.domain.principal import OPERATOR
from rating_engine.services.parties.accounts import Accounts
from rating_engine.storage.postgres.pool import Database
from tests.asterisk import exchange
from tests.asterisk import pbx as numbers
from tests.asterisk.conftest import Running
from tests.asterisk.engine import engine_for, started
from tests.asterisk.exchange import Call, Exchange
from tests.asterisk.pbx import PRICE, Pbx, charged_seconds, dialplan, seed, until
from tests.asterisk.tones import seconds_of_tone, write_tone
from tests.support.servers import SessionServers, free_port
from tests.support.tcp_proxy import TcpProxy

pytestmark = [pytest.mark.asterisk, pytest.mark.asyncio(loop_scope="session")]

EXCHANGE = "pbx1"
SLICE_SECONDS = 10  # the shortest there is
WARNING_SECONDS = 3
WITHIN_SECONDS = 1.0  # the issue: cut within 1 s of the moment the money ends
HUMS = "4970000000"  # its party is never silent: a whisper needs something to be mixed into
HUMMING = """
[hums]
exten => _X.,1,Answer()
 same => n,Milliwatt()
"""
WARNING_HERTZ = 440  # Milliwatt has 1004
MODULES = "app_chanspy app_playback app_record format_wav format_pcm"


@dataclass(frozen=True)
class Watched:
    """What the tests steer besides: the way between the engine and the manager interface."""

    engine_port: int
    exchange: Exchange
    proxy: TcpProxy


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def watched(asterisk_root: Path) -> AsyncIterator[Watched]:
    port = free_port()
    text = dialplan(port, f"RATING_QUERY=?exchange={EXCHANGE}") + HUMMING
    exchange = Exchange(asterisk_root, text, modules=MODULES)
    write_tone(exchange.spool / "warning.wav", WARNING_HERTZ)
    async with TcpProxy("127.0.0.1", exchange.manager_port) as proxy, exchange:
        yield Watched(port, exchange, proxy)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def running(
    watched: Watched, session_servers: SessionServers, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Running]:
    with session_servers.database() as database_url:
        database = Database(database_url)
        await database.open()
        await seed(database)
        await database.fetch("INSERT INTO routes (name, number_prefix, position) VALUES ('hums', '497', 9)")
        engine = engine_for(
            database_url,
            session_servers.redis(),
            tmp_path_factory.mktemp("engine"),
            port=watched.engine_port,
            ami_exchanges=[f"{EXCHANGE}={watched.exchange.manager_url(watched.proxy.port)}"],
            ami_warning_seconds=WARNING_SECONDS,
            ami_warning_sound=str(watched.exchange.spool_inside / "warning"),
            reservation_mode="quota",
            quota_seconds=SLICE_SECONDS,
            reconcile_interval_seconds=1.0,
            reconcile_grace_seconds=1.0,
        )
        try:
            async with engine:
                yield Running(database_url, database, engine, watched.exchange)
        finally:
            await database.close()


@pytest_asyncio.fixture(loop_scope="session")
async def pbx(pbx: Pbx, watched: Watched) -> Pbx:
    """The exchange is watched."""
    await watched.proxy.accept()
    await until_watched(pbx)
    return pbx


async def until_watched(pbx: Pbx) -> None:
    """Wait until the engine grants in slices: then it knows that the exchange is watched."""
    login = await pbx.account("10")
    uniqueids = (f"probe.{number}" for number in itertools.count())

    async def is_so() -> bool:
        uniqueid = next(uniqueids)
        at = ("127.0.0.1", pbx.engine.fastagi_port)
        asked = await agi_call(*at, f"callPrepare?exchange={EXCHANGE}", [login, "4910"], uniqueid=uniqueid)
        await agi_call(*at, f"callFinish?exchange={EXCHANGE}", [login, "4910", "0"], uniqueid=uniqueid)
        return asked["RATING_QUOTA"] == "1"

    await until(is_so)


def answered_at(call: Call) -> float:
    """By the exchange's clock, in seconds."""
    return int(call.value("RATING_ANSWERED_AT")) / 1000


def ended_at(call: Call) -> float:
    """By the same clock, as the exchange measured the conversation."""
    return answered_at(call) + int(call.value("RATING_MS")) / 1000


async def has_cdr(pbx: Pbx, login: str) -> bool:
    return await pbx.cdrs(login) != []


async def charged(pbx: Pbx, login: str, count: int = 1) -> list[Any]:
    """The CDRs of a login once none of its calls is open."""
    await until(lambda: pbx.no_open_call(login))
    cdrs = await pbx.cdrs(login)
    assert len(cdrs) == count
    return cdrs


async def test_an_engine_that_logs_in_leaves_no_notice_in_the_exchanges_log(pbx: Pbx) -> None:
    logged = pbx.exchange.log().splitlines()
    assert [line for line in logged if "NOTICE" in line and "manager.c" in line] == []


async def test_two_calls_share_one_balance_and_are_both_cut_when_it_ends(pbx: Pbx) -> None:
    """Each holds a slice of its own, begun at another time; what is left of both is shared out."""
    seconds = 2 * SLICE_SECONDS
    alice = await pbx.account(str(PRICE * seconds))
    first = await pbx.exchange.originate(numbers.ANSWERED + "0", alice)
    await first.answered()
    await asyncio.sleep(4)
    second = await pbx.exchange.originate(numbers.ANSWERED + "0", alice)
    await first.ended()
    await second.ended()
    money_ends = (seconds + answered_at(first) + answered_at(second)) / 2
    for call in (first, second):
        assert "U(rating-answered^" in call.apps("Dial")[0]
        assert abs(ended_at(call) - money_ends) <= WITHIN_SECONDS
    cdrs = await charged(pbx, alice, 2)
    assert [(cdr["state"], cdr["source"], cdr["overrun"]) for cdr in cdrs] == [("settled", "finish", 0)] * 2
    # A begun second is a whole one: neither call may begin one that isn't paid.
    assert PRICE * (seconds - 1) <= sum(cdr["cost"] for cdr in cdrs) <= PRICE * seconds
    assert (await pbx.money(alice))[1] == 0


async def test_a_top_up_in_between_lengthens_both_calls(pbx: Pbx) -> None:
    alice = await pbx.account(str(PRICE * 12))
    calls = [await pbx.exchange.originate(numbers.ANSWERED + "0", alice) for _ in range(2)]
    for call in calls:
        await call.answered()
    await asyncio.sleep(2)
    await Accounts(pbx.database, OPERATOR).top_up(alice, PRICE * 6)
    for call in calls:
        await call.ended()
    money_ends = (18 + sum(map(answered_at, calls))) / 2
    assert [abs(ended_at(call) - money_ends) <= WITHIN_SECONDS for call in calls] == [True, True]
    cdrs = await charged(pbx, alice, 2)
    assert [cdr["overrun"] for cdr in cdrs] == [0, 0]


async def test_a_call_reserved_in_full_that_gets_to_its_end_goes_on_when_there_is_money_again(pbx: Pbx) -> None:
    alice = await pbx.account(str(PRICE * 5))
    await Accounts(pbx.database, OPERATOR).change(alice, AccountChanges(quota=False), {})
    call = await pbx.exchange.originate(numbers.ANSWERED + "0", alice)
    await call.answered()
    await Accounts(pbx.database, OPERATOR).top_up(alice, PRICE * 6)
    await call.ended()
    assert abs(ended_at(call) - answered_at(call) - 11) <= WITHIN_SECONDS
    (cdr,) = await charged(pbx, alice)
    assert (cdr["source"], cdr["overrun"], (await pbx.money(alice))[1]) == ("finish", 0, 0)


async def test_a_call_outlives_its_first_slice_while_there_is_money_though_ami_is_lost_and_comes_back(
    pbx: Pbx, watched: Watched
) -> None:
    alice = await pbx.account("10")
    call = await pbx.exchange.originate(numbers.ANSWERED + "0", alice)
    await call.answered()
    watched.proxy.cut()
    await watched.proxy.refuse()
    await asyncio.sleep(3)
    await watched.proxy.accept()
    await asyncio.sleep(SLICE_SECONDS - 1)  # past the end of the first slice
    assert not await pbx.exchange.idle()
    await call.hang_up()
    await call.ended()
    (cdr,) = await charged(pbx, alice)
    assert cdr["seconds"] > SLICE_SECONDS
    assert (cdr["source"], cdr["overrun"]) == ("finish", 0)


async def test_a_call_whose_answer_nobody_heard_is_lengthened_once_ami_is_back(pbx: Pbx, watched: Watched) -> None:
    alice = await pbx.account("10")
    call = await pbx.exchange.originate(numbers.RINGS_A_SECOND_THEN_ANSWERS + "0", alice)
    await call.reached(lambda event: event.get("Application") == "Dial")
    watched.proxy.silence()
    await call.answered()
    watched.proxy.cut()
    watched.proxy.speak()
    await asyncio.sleep(SLICE_SECONDS + 1)
    assert not await pbx.exchange.idle()
    await call.hang_up()
    await call.ended()
    (cdr,) = await charged(pbx, alice)
    assert cdr["seconds"] > SLICE_SECONDS


async def test_what_the_exchange_was_seen_to_say_is_believed_against_a_finish_that_cannot_be_true(pbx: Pbx) -> None:
    alice = await pbx.account("10")
    call = await pbx.exchange.originate(numbers.ANSWERED + "0", alice)
    await call.answered()
    told = [alice, numbers.ANSWERED + "0", "43201", "16ANSWER", "", "1"]
    at = ("127.0.0.1", pbx.engine.fastagi_port)
    await agi_call(*at, f"callFinish?exchange={EXCHANGE}", told, uniqueid=call.uniqueid)
    await call.hang_up()
    await call.ended()
    talked = charged_seconds(call.value("RATING_MS"))

    async def is_put_right() -> bool:
        (cdr,) = await pbx.cdrs(alice)
        return abs(cdr["seconds"] - talked) <= 1

    await until(is_put_right)
    (cdr,) = await charged(pbx, alice)
    assert (cdr["said_seconds"], cdr["suspicion"]) == (43_201, "unseen")
    assert await pbx.money(alice) == (10 - cdr["seconds"] * PRICE, 0)


async def test_a_call_whose_engine_was_killed_is_cut_by_the_exchange_at_the_end_of_its_slice(pbx: Pbx) -> None:
    alice = await pbx.account("10")
    call = await pbx.exchange.originate(numbers.ANSWERED + "0", alice)
    await call.answered()
    await asyncio.sleep(1.5)  # its answer is written down
    await asyncio.to_thread(pbx.engine.kill)
    await call.ended()
    granted = int(call.value("RATING_MAX_SECONDS"))  # a slice, and what it was lengthened by until then
    assert SLICE_SECONDS <= granted <= SLICE_SECONDS + 3
    # The engine may die between moving the limit and noting it: then the limit is a lengthening further than the note.
    lasted = int(call.value("RATING_MS")) / 1000
    assert granted - WITHIN_SECONDS <= lasted <= SLICE_SECONDS + 3 + WITHIN_SECONDS
    await started(pbx.engine)
    (cdr,) = await charged(pbx, alice)
    assert (cdr["state"], cdr["source"], cdr["disposition"]) == ("settled", "reconciled", "ANSWER")
    assert 1 <= cdr["seconds"] <= SLICE_SECONDS
    assert await pbx.money(alice) == (10 - cdr["cost"], 0)


async def test_a_call_of_an_exchange_that_was_killed_is_charged_until_it_was_last_seen(pbx: Pbx) -> None:
    alice, bob = await pbx.account("10"), await pbx.account("10")
    talking = await pbx.exchange.originate(numbers.ANSWERED + "0", alice)
    await talking.answered()
    await asyncio.sleep(4)
    ringing = await pbx.exchange.originate(numbers.RINGS, bob)
    await ringing.reached(lambda event: event.get("Application") == "Dial")
    await pbx.exchange.kill()
    await pbx.exchange.start()
    (cdr,) = await charged(pbx, alice)
    assert (cdr["state"], cdr["source"]) == ("settled", "reconciled")
    assert 3 <= cdr["seconds"] <= 6
    assert await pbx.money(alice) == (10 - cdr["cost"], 0)
    (cdr,) = await charged(pbx, bob)
    assert (cdr["state"], cdr["source"], cdr["disposition"]) == ("voided", "reconciled", "LOST")
    assert await pbx.money(bob) == (10, 0)


async def test_a_call_whose_engine_and_exchange_died_together_is_charged_by_what_was_written_down(pbx: Pbx) -> None:
    alice = await pbx.account("10")
    call = await pbx.exchange.originate(numbers.ANSWERED + "0", alice)
    await call.answered()
    await asyncio.sleep(4)
    await asyncio.gather(asyncio.to_thread(pbx.engine.kill), pbx.exchange.kill())
    await pbx.exchange.start()
    await started(pbx.engine)
    (cdr,) = await charged(pbx, alice)
    assert (cdr["state"], cdr["source"]) == ("settled", "reconciled")
    assert 1 <= cdr["seconds"] <= 6
    assert await pbx.money(alice) == (10 - cdr["cost"], 0)


async def test_where_the_limit_cannot_be_set_a_call_in_quota_mode_ends_the_moment_it_is_answered(
    pbx: Pbx, watched: Watched, asterisk_root: Path
) -> None:
    """An exchange without func_timeout. It goes by the name of the one that is watched, so that slices are granted."""
    alice = await pbx.account("10")
    loaded = [name for name in exchange.MODULES.split() if name != "func_timeout"]
    modules = "[modules]\nautoload=no\n" + "".join(f"load = {name}.so\n" for name in loaded)
    text = dialplan(watched.engine_port, f"RATING_QUERY=?exchange={EXCHANGE}")
    async with Exchange(asterisk_root, text, files={"modules.conf": modules}) as other:
        call = await other.originate(numbers.ANSWERED + "0", alice)
        await call.ended()
    assert call.value("RATING_QUOTA") == "1"
    (cdr,) = await charged(pbx, alice)
    assert cdr["seconds"] <= 1


async def record(pbx: Pbx, login: str, number: str) -> Path:
    """A phone calls; return the recording of what it heard."""
    recording = pbx.exchange.spool_inside / f"heard-{login}.wav"
    await pbx.exchange.ami.action(
        "Originate",
        Channel=f"Local/{number}@phones/n",
        Application="Record",
        Data=f"{recording},0,0,kq",
        Account=login,
        Async="true",
    )
    await until(lambda: has_cdr(pbx, login), 20)
    await until(pbx.exchange.idle)
    return pbx.exchange.spool / recording.name


async def test_the_caller_hears_the_warning_before_the_money_ends_and_nothing_before(pbx: Pbx) -> None:
    seconds = 7
    alice = await pbx.account(str(PRICE * seconds))
    heard = seconds_of_tone(await record(pbx, alice, HUMS), WARNING_HERTZ)
    assert heard
    assert min(heard) >= seconds - WARNING_SECONDS - WITHIN_SECONDS


async def test_a_call_on_a_leg_of_its_own_is_lengthened_and_warned_and_cut_like_any_other(pbx: Pbx) -> None:
    seconds = SLICE_SECONDS + 2
    alice = await pbx.account(str(PRICE * seconds))
    async with pbx.global_variable("RATING_OWN_LEG", "yes"):
        heard = seconds_of_tone(await record(pbx, alice, HUMS), WARNING_HERTZ)
    assert heard
    assert min(heard) >= seconds - WARNING_SECONDS - WITHIN_SECONDS
    (cdr,) = await charged(pbx, alice)
    assert (cdr["seconds"], cdr["source"], cdr["overrun"]) == (seconds, "finish", 0)
