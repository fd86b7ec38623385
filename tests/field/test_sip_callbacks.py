"""Callbacks asked for over HTTP, begun by the engine over AMI, on an exchange that has the shipped dialplan."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import pytest_asyncio

from rating_engine.domain.api_key import AuthBy, KeyKind, NewKey
from rating_engine.domain.party import Level, NewParty, PartyKind
from rating_engine.domain.principal import OPERATOR
from rating_engine.engine.services import open_services
from rating_engine.settings.model import Settings
from rating_engine.storage.calls.exchange_watch import read_watched
from tests.asterisk.engine import started
from tests.asterisk.pbx import PRICE, until
from tests.field.conftest import Running
from tests.field.mor import mor
from tests.field.office import ALICE, ANSWERS, BOB, BUSY, POOR, RINGS, Scene, charged
from tests.support.speech import speaker, write_sound
from tests.support.tcp_proxy import TcpProxy
from tests.support.waiting import HANG_SECONDS

pytestmark = [pytest.mark.asterisk, pytest.mark.asyncio(loop_scope="session")]
FIRST, SECOND = ANSWERS + "10", ANSWERS + "20"
LOUD = 9_000  # a sample that is no silence
FAILED = "E_INITIATE_ASTERISK_CALL_FAIL"


@dataclass
class Api:
    """Asks as an operator's web page does."""

    running: Running
    secret: str
    ami: TcpProxy  # between the engine and the exchange's manager

    async def create_callback(self, first: str, second: str, login: str = ALICE, **more: str) -> str:
        """The text that is answered."""
        return await self.ask("createCallback", login=login, destination1=first, destination2=second, **more)

    async def ask(self, method: str, **given: str) -> str:
        """The text that a method is answered."""
        url = f"http://127.0.0.1:{self.running.pbx.engine.http_port}/billing/api/2.2/{self.secret}/{method}"
        async with httpx.AsyncClient(timeout=40) as client:
            return (await client.post(url, data=given)).text

    async def watched(self) -> None:
        """Wait until the exchange is followed."""

        async def is_watched() -> bool:
            return "office" in await read_watched(self.running.pbx.database)

        await until(is_watched)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def api(running_office: Running, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    """The office's engine, which follows its exchange for the time of these tests."""
    settings = Settings(database_url=running_office.database_url)
    async with open_services(settings) as services:
        use = services.of(OPERATOR)
        await use.parties.create(NewParty("web", PartyKind.ADMIN))
        new = NewKey("web", KeyKind.SERVER, Level.SERVER, AuthBy.SIP_EXTENSION, owner="web")
        secret = (await use.keys.add(new)).secret
    exchange = running_office.office.exchange
    async with TcpProxy("127.0.0.1", exchange.manager_port) as proxy:
        spoken = tmp_path_factory.mktemp("spoken")
        write_sound(spoken / "said.wav", LOUD.to_bytes(2, "little") * 22_050)
        await running_office.take_over(
            ami_exchanges=[f"office={exchange.manager_url(proxy.port)}"],
            speech_program=speaker(spoken, f"cat {spoken}/said.wav"),
            voice_directory=str(exchange.spool),
        )
        await exchange.ami.action("Setvar", Variable="RATING_VOICES", Value=str(exchange.spool_inside))
        yield Api(running_office, secret, proxy)
        await running_office.take_over()


async def cdrs_by_number(scene: Scene, login: str = ALICE) -> dict[str, Any]:
    return {cdr["destination"]: cdr for cdr in (await scene.charges()).get(login, [])}


async def test_two_numbers_are_connected_and_both_legs_charged_exactly(scene: Scene, api: Api) -> None:
    await api.watched()
    await scene.pbx.database.fetch(
        "INSERT INTO sim_cards (iccid, provider, party_id, line, callback_cid) "
        "SELECT '1', 'any', party_id, login, '49777' FROM subscribers WHERE login = $1", ALICE,
    )  # fmt: skip
    assert await api.create_callback(FIRST, SECOND, epitch="5") == "true"  # shown as its SIM card says
    await scene.pbx.database.fetch("DELETE FROM sim_cards")
    one, two = await scene.carrier_leg(FIRST), await scene.carrier_leg(SECOND)
    await one.hears(scene.carrier())
    await two.hears(scene.carrier())
    await two.talk_on()
    await one.hang_up()
    await two.ended()
    cdrs = await cdrs_by_number(scene)
    assert (charged(one, cdrs[FIRST]), charged(two, cdrs[SECOND])) == (True, True)
    assert {(cdr["callerid"], cdr["from_originate"], cdr["originated_by"]) for cdr in cdrs.values()} == {
        ("49777", "true", "callback")
    }


async def test_a_spoken_message_is_heard_by_who_answers_and_charged_as_a_call(scene: Scene, api: Api) -> None:
    await api.watched()
    # Of a line that is nobody's: an owner's shows numbers of its own alone.
    number = await api.ask("sendVoiceMessage", login=BOB, to=FIRST, text="hello, world", callerid="49777")
    assert number.isdigit(), number
    leg = await scene.carrier_leg(FIRST)
    await leg.ended()
    assert max(leg.sound.heard.values()) > 40  # packets of a second that is one tone
    cdrs = await cdrs_by_number(scene, BOB)
    assert charged(leg, cdrs[FIRST])
    assert (cdrs[FIRST]["callerid"], cdrs[FIRST]["originated_by"]) == ("49777", "callback")


async def test_who_is_called_back_without_a_number_keys_it_in(scene: Scene, api: Api) -> None:
    await api.watched()
    device = await phone_of_alice(scene)
    try:
        answer = await mor(scene, "callback_init", f"{device}{FIRST}", device=device, src=FIRST)
        assert (answer.tag, answer.text) == ("Status", "Ok")
        one = await scene.carrier_leg(FIRST)
        events = scene.pbx.exchange.ami
        await events.wait_event(
            lambda event: event.get("AppData", "").startswith("RATING_CALLBACK_ASKED"), HANG_SECONDS
        )
        await one.press(SECOND + "#")
        two = await scene.carrier_leg(SECOND)
        await two.hears(scene.carrier())
        await two.talk_on()
        await two.hang_up()
        await one.ended()
        cdrs = await cdrs_by_number(scene)
    finally:
        await scene.pbx.database.fetch("DELETE FROM sip_accounts")
        await scene.pbx.database.fetch("DELETE FROM exchanges")
    assert (charged(one, cdrs[FIRST]), charged(two, cdrs[SECOND])) == (True, True)


async def phone_of_alice(scene: Scene) -> int:
    """Its number, with the PIN 2468."""
    database = scene.pbx.database
    await database.fetch("INSERT INTO exchanges (name, realm) VALUES ('office', 'office')")
    await database.fetch(
        "INSERT INTO sip_accounts (bucket, subscriber_id, exchange_id, disa_pin) "
        "SELECT bucket, subscriber_id, exchange_id, '2468' FROM subscribers, exchanges "
        "WHERE login = $1 AND exchanges.name = 'office'", ALICE,
    )  # fmt: skip
    return int(await database.fetchval("SELECT subscriber_id FROM subscribers WHERE login = $1", ALICE))


async def test_a_callback_asked_for_by_sms_connects_who_wrote_and_takes_the_pin(scene: Scene, api: Api) -> None:
    await api.watched()
    database = scene.pbx.database
    await phone_of_alice(scene)
    try:
        assert await api.ask("msgCallback", msisdn=FIRST, text=f"{ALICE} 2467 {SECOND}") == "E_AUTH_FAILED"
        assert await api.ask("msgCallback", msisdn=FIRST, text=f"{ALICE} 2468 {SECOND}") == "true"
        one, two = await scene.carrier_leg(FIRST), await scene.carrier_leg(SECOND)
        await one.hears(scene.carrier())
        await two.talk_on()
        await one.hang_up()
        await two.ended()
        await scene.over()
    finally:
        await database.fetch("DELETE FROM sip_accounts")
        await database.fetch("DELETE FROM exchanges")
    cdrs = await cdrs_by_number(scene)
    assert (charged(one, cdrs[FIRST]), charged(two, cdrs[SECOND])) == (True, True)


async def test_the_same_by_one_name_is_one_callback_and_without_a_name_two(scene: Scene, api: Api) -> None:
    await api.watched()
    said = await asyncio.gather(*(api.create_callback(RINGS + "10", SECOND, callid="web-1") for _ in range(3)))
    assert said == ["true"] * 3
    assert await api.create_callback(RINGS + "11", SECOND, callid="web-1") == "E_DATA_ABORT"
    said = await asyncio.gather(*(api.create_callback(RINGS + "12", SECOND) for _ in range(2)))
    assert said == ["true"] * 2
    await scene.over()
    rung = sorted(leg.number for leg in scene.carrier().calls)
    assert rung == [RINGS + "10", RINGS + "12", RINGS + "12"]


async def test_a_line_that_has_to_be_called_back_is_refused_and_called_back_once(scene: Scene, api: Api) -> None:
    await api.watched()
    database = scene.pbx.database
    await database.fetch("INSERT INTO exchanges (name, realm) VALUES ('office', 'office')")
    await database.fetch(
        "INSERT INTO sip_accounts (bucket, subscriber_id, exchange_id, force_callback, trusted_cli) "
        "SELECT bucket, subscriber_id, exchange_id, true, $2 FROM subscribers, exchanges "
        "WHERE login = $1 AND exchanges.name = 'office'", ALICE, f"+{FIRST}",
    )  # fmt: skip
    await database.fetch("UPDATE subscribers SET version = version WHERE login = $1", ALICE)
    try:
        dialled = await (await scene.phone(ALICE).call(SECOND)).ended()
        assert dialled.answers[-1] == 403
        one, two = await scene.carrier_leg(FIRST), await scene.carrier_leg(SECOND)
        await one.hears(scene.carrier())
        await two.talk_on()
        await one.hang_up()
        await two.ended()
        await scene.over()
    finally:
        await database.fetch("DELETE FROM sip_accounts")
        await database.fetch("DELETE FROM exchanges")
        await database.fetch("UPDATE subscribers SET version = version WHERE login = $1", ALICE)
    cdrs = await cdrs_by_number(scene)
    assert (charged(one, cdrs[FIRST]), charged(two, cdrs[SECOND])) == (True, True)
    assert sorted(leg.number for leg in scene.carrier().calls) == sorted([FIRST, SECOND])


async def test_a_second_number_that_is_busy_costs_nothing_and_the_first_what_it_talked(scene: Scene, api: Api) -> None:
    await api.watched()
    assert await api.create_callback(FIRST, BUSY + "10") == "true"
    one = await scene.carrier_leg(FIRST)
    await one.ended()
    cdrs = await cdrs_by_number(scene)
    assert charged(one, cdrs[FIRST])
    assert (cdrs[BUSY + "10"]["state"], cdrs[BUSY + "10"]["cost"]) == ("voided", 0)


@pytest.mark.parametrize(
    ("first", "second", "login", "answer"),
    [
        (FIRST, "8110000010", ALICE, "E_UNROUTABLE"),
        ("8110000010", SECOND, ALICE, "E_UNROUTABLE"),
        (FIRST, SECOND, POOR, "E_INSUFFICIENT_MONEY"),
        (FIRST, "49100000&4912", ALICE, "E_DATA_ABORT"),
        (f"{FIRST}@phones", SECOND, ALICE, "E_DATA_ABORT"),
    ],
)
async def test_a_leg_that_may_not_start_leaves_nothing_held_and_nobody_rung(
    scene: Scene, api: Api, first: str, second: str, login: str, answer: str
) -> None:
    await api.watched()
    if login == POOR:  # two seconds of one leg, which holds all of it
        assert await scene.pbx.money(POOR) == (PRICE * 2, 0)
    assert await api.create_callback(first, second, login) == answer
    await scene.over()
    assert scene.carrier().calls == []
    assert (await scene.pbx.money(login))[1] == 0


async def test_a_dialplan_that_is_not_there_is_said_and_nothing_stays_held(scene: Scene, api: Api) -> None:
    await api.watched()
    exchange = scene.office.exchange
    await exchange.cli("dialplan remove context rating-callback-first")
    try:
        assert await api.create_callback(FIRST, SECOND) == FAILED
    finally:
        await exchange.cli("dialplan reload")
    await scene.over()
    assert scene.carrier().calls == []
    assert (await scene.pbx.money(ALICE))[1] == 0


async def test_what_a_killed_engine_held_is_given_back_by_the_next_one_and_nobody_is_rung(
    scene: Scene, api: Api
) -> None:
    """The order was taken and both legs are held; the engine dies before the exchange hears of it."""
    await api.watched()
    engine = scene.pbx.engine
    api.ami.silence()
    asked = asyncio.create_task(api.create_callback(FIRST, SECOND))

    async def held() -> bool:
        return len(await scene.pbx.open_calls(ALICE)) == 2

    await until(held)
    engine.kill()
    await asyncio.gather(asked, return_exceptions=True)
    api.ami.cut()  # what it had said is lost with it
    api.ami.speak()
    await scene.pbx.database.fetch(
        "UPDATE callbacks SET expires_at = now() - interval '1 minute' WHERE outcome IS NULL"
    )
    await started(engine)
    await scene.over()
    assert scene.carrier().calls == []
    assert (await scene.pbx.money(ALICE))[1] == 0
    outcomes = await scene.pbx.database.fetch("SELECT outcome FROM callbacks ORDER BY callback_id DESC LIMIT 1")
    assert [row["outcome"] for row in outcomes] == ["expired"]


async def test_without_its_exchange_the_answer_comes_at_once_and_nothing_is_held(scene: Scene, api: Api) -> None:
    await api.watched()
    await scene.office.exchange.kill()

    async def is_lost() -> bool:
        return "office" not in await read_watched(scene.pbx.database)

    await until(is_lost)
    assert await api.create_callback(FIRST, SECOND) == FAILED
    assert await scene.pbx.open_calls(ALICE) == []
    await scene.office.exchange.start()
