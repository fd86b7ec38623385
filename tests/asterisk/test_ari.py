"""Calls that the engine holds over ARI, on a real Asterisk with real SIP: what is talked is charged, exactly once.

One exchange and one engine play all scenarios side by side, each with a caller and an account of its own.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal
from math import ceil
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from agi.fastagi.client import agi_call
from rating_engine.domain.callback import CallbackOutcome, NewCallback
from rating_engine.domain.outcomes import Balance, BalanceOutcome, PrepareCall
from rating_engine.domain.principal import OPERATOR
from rating_engine.domain.reported_end import ReportedEnd
from rating_engine.engine.services import open_services
from rating_engine.services.cdrs.asterisk_log import read_line
from rating_engine.services.parties.accounts import Accounts
from rating_engine.settings.model import Settings
from rating_engine.storage.postgres.pool import Database
from tests.asterisk.ari import NAME, ari_exchange, ari_url, ports, seed
from tests.asterisk.engine import engine_for, started
from tests.asterisk.pbx import PRICE, Pbx, until
from tests.asterisk.phone import Leg, Phone, phones
from tests.support.servers import SessionServers, breaches, free_port
from tests.support.world import add_account

pytestmark = [pytest.mark.asterisk, pytest.mark.asyncio(loop_scope="session")]

ROUTES = (("carrier", "491"), ("first", "494"), ("second", "494"), ("elsewhere", "496"))
ANSWERS, HANGS_UP, EARLY, RINGS, CROSSES = "4910001", "4911001", "4912001", "4913001", "4914001"
REFUSES, SILENT = "4941", "4940001"  # the first route says the SIP code behind it, or nothing; the second one answers
ELSEWHERE, BUSY_ELSEWHERE = "4960001", "4961001"
RING_SECONDS = 6
PROBES = itertools.count()
CUT_WITHIN = 0.35  # of a second


@dataclass(frozen=True)
class World:
    """The engine, the exchange, and everybody's phones."""

    pbx: Pbx
    url: str
    phones: dict[str, Phone]
    trunks: dict[str, Phone]

    def caller(self, scenario: str) -> Phone:
        return self.phones[scenario]

    async def called(self, trunk: str, number: str) -> Leg:
        """The leg of a call as its carrier has it, of a number that one scenario alone dials."""
        found: list[Leg] = []

        async def is_there() -> bool:
            found[:] = [leg for leg in self.trunks[trunk].calls if leg.number == number]
            return bool(found)

        await until(is_there)
        return found[0]

    async def cdrs(self, login: str) -> list[Any]:
        """What is written of a login once nothing of it is open."""
        await until(lambda: self.pbx.no_open_call(login))
        return await self.pbx.cdrs(login)


async def carrier(leg: Leg) -> None:
    """What a trunk does with a call, by the number."""
    number = leg.number
    if number.startswith(RINGS[:4]):
        await leg.ring()
    elif number.startswith(EARLY[:4]):
        await leg.play_early()
        await leg.talk(1)
        await leg.answer()
    elif number.startswith(CROSSES[:4]):
        await leg.ring()
        await leg.talk(1)
        await leg.answer()
    else:
        await leg.answer()
        if number.startswith(HANGS_UP[:4]):
            await leg.talk_on(1.7)
            await leg.hang_up()


async def first(leg: Leg) -> None:
    """A trunk that refuses, or says nothing."""
    if leg.number.startswith(REFUSES):
        await leg.refuse(int(leg.number[4:7]))


async def elsewhere(leg: Leg) -> None:
    """A trunk of those to whom calls are transferred."""
    if leg.number.startswith(BUSY_ELSEWHERE[:4]):
        await leg.refuse(486)
        return
    await leg.ring()
    await leg.talk(0.3)
    await leg.answer()


def seconds_of(leg: Leg) -> int:
    """What is charged of what the carrier saw."""
    return max(1, ceil(leg.talked - 0.2))


Scenario = Callable[[World, str], Awaitable[None]]


async def caller_hangs_up(world: World, login: str) -> None:
    leg = await (await world.caller(login).call(ANSWERS)).answered()
    called = await world.called("carrier", ANSWERS)
    await leg.hears(world.trunks["carrier"])
    await called.hears(world.caller(login))
    await leg.talk_on(1.7)
    await leg.hang_up()
    await called.ended()
    (cdr,) = await world.cdrs(login)
    assert (cdr["state"], cdr["destination"], cdr["route_name"], cdr["source"], cdr["disposition"]) == (
        "settled", ANSWERS, "carrier", "finish", "ANSWER",
    )  # fmt: skip
    assert cdr["seconds"] == seconds_of(called)
    assert await world.pbx.money(login) == (10 - PRICE * cdr["seconds"], 0)


async def called_party_hangs_up(world: World, login: str) -> None:
    leg = await (await world.caller(login).call(HANGS_UP)).answered()
    called = await world.called("carrier", HANGS_UP)
    await leg.ended()
    (cdr,) = await world.cdrs(login)
    assert (cdr["seconds"], cdr["cause"]) == (seconds_of(called), 16)


async def sound_before_the_answer_reaches_the_caller(world: World, login: str) -> None:
    leg = await world.caller(login).call(EARLY)
    await leg.hears(world.trunks["carrier"])
    assert leg.answered_at is None
    await leg.answered()
    called = await world.called("carrier", EARLY)
    await leg.talk_on(1.7)
    await leg.hang_up()
    await called.ended()
    (cdr,) = await world.cdrs(login)
    assert cdr["seconds"] == seconds_of(called)


async def caller_cancels(world: World, login: str) -> None:
    leg = await (await world.caller(login).call(RINGS)).rings()
    await leg.hang_up()
    called = await world.called("carrier", RINGS)
    await called.ended()
    (cdr,) = await world.cdrs(login)
    assert (cdr["state"], cdr["seconds"], cdr["disposition"]) == ("voided", 0, "CANCEL")


async def cancel_crosses_the_answer(world: World, login: str) -> None:
    leg = await (await world.caller(login).call(CROSSES)).rings()
    called = await world.called("carrier", CROSSES)
    await called.answered()
    await leg.hang_up()
    await called.ended()
    (cdr,) = await world.cdrs(login)
    assert cdr["seconds"] in (0, 1)


async def nobody_answers(world: World, login: str) -> None:
    leg = await world.caller(login).call(RINGS + "9")
    await wait_ended(leg)
    (cdr,) = await world.cdrs(login)
    assert (cdr["seconds"], cdr["disposition"], leg.answers[-1]) == (0, "NOANSWER", 480)


async def wait_ended(leg: Leg) -> None:
    async def is_over() -> bool:
        return leg.ended_at is not None

    await until(is_over)


def refused_with(status: int, tries: int, told: int) -> Scenario:
    async def scenario(world: World, login: str) -> None:
        number = f"{REFUSES}{status}"
        leg = await world.caller(login).call(number)
        if tries == 2:
            await leg.answered()
            await leg.hang_up()
        await leg.ended()
        cdrs = await world.cdrs(login)
        assert [cdr["route_name"] for cdr in cdrs] == ["first", "second"][:tries]
        assert (cdrs[0]["state"], cdrs[0]["seconds"]) == ("voided", 0)
        if tries == 1:
            assert leg.answers[-1] == told
            assert await world.pbx.money(login) == (10, 0)

    return scenario


async def a_silent_route_gives_way(world: World, login: str) -> None:
    leg = await (await world.caller(login).call(SILENT)).answered()
    called = await world.called("second", SILENT)
    await leg.talk_on(0.7)
    await leg.hang_up()
    await called.ended()
    silent, answered = await world.cdrs(login)
    assert (silent["route_name"], silent["state"]) == ("first", "voided")
    assert (answered["route_name"], answered["seconds"]) == ("second", seconds_of(called))


async def money_ends(world: World, login: str) -> None:
    leg = await (await world.caller(login).call(ANSWERS + "3")).answered()
    called = await world.called("carrier", ANSWERS + "3")
    await wait_ended(called)
    await leg.ended()
    assert abs(called.talked - 3) <= CUT_WITHIN
    (cdr,) = await world.cdrs(login)
    assert (cdr["seconds"], cdr["overrun"]) == (3, 0)
    assert await world.pbx.money(login) == (Decimal(0), 0)


async def a_top_up_lengthens_the_call(world: World, login: str) -> None:
    leg = await (await world.caller(login).call(ANSWERS + "5")).answered()
    called = await world.called("carrier", ANSWERS + "5")
    await leg.talk(1.5)
    await Accounts(world.pbx.database, OPERATOR).top_up(login, PRICE * 4)
    await wait_ended(called)
    await leg.ended()
    assert abs(called.talked - 9) <= CUT_WITHIN
    assert await world.pbx.money(login) == (Decimal(0), 0)


async def hold_does_not_stop_the_charge(world: World, login: str) -> None:
    leg = await (await world.caller(login).call(ANSWERS + "6")).answered()
    called = await world.called("carrier", ANSWERS + "6")
    await leg.hold()
    await leg.talk(1)
    await leg.resume()
    await leg.hears(world.trunks["carrier"])
    await leg.talk_on(2.7)
    await leg.hang_up()
    await called.ended()
    (cdr,) = await world.cdrs(login)
    assert cdr["seconds"] == seconds_of(called)


async def who_has_no_money_is_refused(world: World, login: str) -> None:
    leg = await world.caller(login).call(ANSWERS + "7")
    await leg.ended()
    assert leg.answers[-1] == 403
    assert await world.cdrs(login) == []


class Yes:
    """Who is asked before a callback whether it may be made."""

    async def balance(self, login: str, call: PrepareCall | None = None) -> BalanceOutcome:
        return Balance(login, "EUR", Decimal(10), Decimal(0), Decimal(0), Decimal(10), 100)


async def two_numbers_are_called_back(world: World, login: str) -> None:
    async with open_services(Settings(database_url=world.url)) as services:
        new = NewCallback(login, ANSWERS + "81", ANSWERS + "82", exchange=NAME)
        callback = await services.of(OPERATOR).callbacks.begin(new, Yes())
    assert callback.outcome is CallbackOutcome.STARTED, callback
    one, two = await world.called("carrier", ANSWERS + "81"), await world.called("carrier", ANSWERS + "82")
    await two.answered()
    await two.talk_on(1.7)
    await two.hang_up()
    await one.ended()
    cdrs = {cdr["destination"]: cdr["seconds"] for cdr in await world.cdrs(login)}
    assert cdrs == {leg.number: seconds_of(leg) for leg in (one, two)}


async def nobody_takes_the_callback(world: World, login: str) -> None:
    async with open_services(Settings(database_url=world.url)) as services:
        new = NewCallback(login, BUSY_ELSEWHERE + "1", ANSWERS + "83", exchange=NAME)
        callback = await services.of(OPERATOR).callbacks.begin(new, Yes())
    assert callback.outcome is CallbackOutcome.STARTED, callback
    cdrs = await world.cdrs(login)
    assert [(cdr["state"], cdr["seconds"]) for cdr in cdrs] == [("voided", 0), ("voided", 0)]
    assert await world.pbx.money(login) == (10, 0)


async def a_call_is_transferred_blind(world: World, login: str) -> None:
    leg = await (await world.caller(login).call(ANSWERS + "84")).answered()
    called = await world.called("carrier", ANSWERS + "84")
    await leg.talk(0.5)
    assert await leg.transfer(ELSEWHERE + "4") == 202
    target = await world.called("elsewhere", ELSEWHERE + "4")
    await leg.ended()
    await target.hears(world.trunks["carrier"])
    await called.hears(world.trunks["elsewhere"])
    await target.talk_on(1.7)
    await called.hang_up()
    await target.ended()
    cdrs = {cdr["destination"]: cdr["seconds"] for cdr in await world.cdrs(login)}
    assert cdrs == {each.number: seconds_of(each) for each in (called, target)}


async def a_transfer_to_who_is_busy_moves_nothing(world: World, login: str) -> None:
    leg = await (await world.caller(login).call(ANSWERS + "85")).answered()
    called = await world.called("carrier", ANSWERS + "85")
    assert await leg.transfer(BUSY_ELSEWHERE + "5") == 202

    async def is_told() -> bool:
        return any(said.startswith(("SIP/2.0 4", "SIP/2.0 5")) for said in leg.said)

    await until(is_told)
    await leg.hears(world.trunks["carrier"])
    await leg.hang_up()
    await called.ended()
    cdrs = {cdr["destination"]: cdr["seconds"] for cdr in await world.cdrs(login)}
    assert cdrs == {called.number: seconds_of(called), BUSY_ELSEWHERE + "5": 0}


async def two_calls_are_connected_by_their_phone(world: World, login: str) -> None:
    one = await (await world.caller(login).call(ANSWERS + "86")).answered()
    called = await world.called("carrier", ANSWERS + "86")
    two = await (await world.caller(login).call(ELSEWHERE + "6")).answered()
    other = await world.called("elsewhere", ELSEWHERE + "6")
    await two.talk(0.5)
    assert await one.transfer_to(two) == 202
    await one.ended()
    await two.ended()
    await other.hears(world.trunks["carrier"])
    await called.hears(world.trunks["elsewhere"])
    await other.talk_on(1.7)
    await other.hang_up()
    await called.ended()
    cdrs = {cdr["destination"]: cdr["seconds"] for cdr in await world.cdrs(login)}
    assert cdrs == {each.number: seconds_of(each) for each in (called, other)}


SCENARIOS: dict[str, tuple[Scenario, str]] = {
    "caller-hangs-up": (caller_hangs_up, "10"),
    "called-hangs-up": (called_party_hangs_up, "10"),
    "early-media": (sound_before_the_answer_reaches_the_caller, "10"),
    "cancel": (caller_cancels, "10"),
    "crossing": (cancel_crosses_the_answer, "10"),
    "no-answer": (nobody_answers, "10"),
    "busy": (refused_with(486, 1, 486), "10"),
    "gone": (refused_with(404, 1, 404), "10"),
    "declined": (refused_with(603, 1, 403), "10"),
    "congested": (refused_with(503, 2, 0), "10"),
    "silent": (a_silent_route_gives_way, "10"),
    "money-ends": (money_ends, "0.03"),
    "top-up": (a_top_up_lengthens_the_call, "0.05"),
    "hold": (hold_does_not_stop_the_charge, "10"),
    "callback": (two_numbers_are_called_back, "10"),
    "no-callback": (nobody_takes_the_callback, "10"),
    "blind": (a_call_is_transferred_blind, "10"),
    "blind-busy": (a_transfer_to_who_is_busy_moves_nothing, "10"),
    "attended": (two_calls_are_connected_by_their_phone, "10"),
    "no-money": (who_has_no_money_is_refused, "0"),
}


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
    with session_servers.database() as url:
        database = Database(url)
        await database.open()
        await seed(database, ROUTES)
        for login, balance in {"probe": "10", **balances}.items():
            await add_account(database, login, balance=balance)
        engine = engine_for(
            url,
            session_servers.redis(),
            tmp_path_factory.mktemp("engine"),
            ari_exchanges=[ari_url(http_port)],
            ari_silence_seconds=1,
            ari_ring_seconds=RING_SECONDS,
            quota_seconds=10,
            reconcile_interval_seconds=1.0,
            reconcile_grace_seconds=1.0,
        )
        exchange = ari_exchange(
            asterisk_root, engine.fastagi_port, http_port, sip_port, phones=ports(callers), trunks=ports(trunks)
        )
        try:
            async with phones(*callers.values(), *trunks.values()), exchange, engine:
                await started(engine)
                pbx = Pbx(database, engine, exchange)
                await until(lambda: held(pbx))
                yield World(pbx, url, callers, trunks)
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
    assert len((await world.pbx.exchange.cli("bridge show all")).strip().splitlines()) == 1  # its head line
    assert not_saved(world) == {}
    assert await breaches(world.url) == []


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
