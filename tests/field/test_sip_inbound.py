"""Calls that come in by the office's numbers, on a real Asterisk by the shipped inbound.conf: the owner pays for it and
for the forward beside it; who is rejected, and a number that is not paid for, hear why.
"""

from __future__ import annotations

import asyncio
import json
import re
import shlex
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import pytest_asyncio
from PIL import Image
from typer.testing import CliRunner

from rating_engine.cli.app import app
from rating_engine.domain.call_rules import Action, CallRule, Condition, Policy, RuleTime, of_line
from rating_engine.domain.did import DidChanges, NewDid
from rating_engine.domain.errors import AlreadyExists
from rating_engine.domain.party import NewParty
from rating_engine.domain.principal import OPERATOR
from rating_engine.domain.recording import RecordingKind
from rating_engine.engine.services import open_services
from rating_engine.rating.rate import Rate
from rating_engine.services.catalogue import UseCases
from rating_engine.settings.model import Settings
from tests.asterisk.phone import Leg
from tests.field.conftest import Running
from tests.field.office import ALICE, ANSWERS, CAROL, DIALPLAN, Scene, charged, charged_for
from tests.support.waiting import HANG_SECONDS, until
from tests.support.world import publish_deck

pytestmark = [pytest.mark.asterisk, pytest.mark.asyncio(loop_scope="session")]
DID, SECOND, CLOSED, LIMITED = "4977001", "4977002", "4977003", "4977004"
PAGE: Final = Path(__file__).parents[2] / "docs" / "inbound.md"
NUMBERS: Final = (DID, SECOND, CLOSED, LIMITED)
MOBILE: Final = ANSWERS + "40"
INBOUND_PRICE: Final = Decimal("0.005")  # a second


@pytest_asyncio.fixture(loop_scope="session")
async def use(running_office: Running) -> AsyncIterator[UseCases]:
    """CAROL's line is a user's, who has four numbers without rules; calls coming in cost half a cent a second."""
    kept = str(running_office.recordings)
    settings = Settings(database_url=running_office.database_url, recordings_directory=kept)
    async with open_services(settings) as services:
        use = services.of(OPERATOR)
        try:
            await use.parties.create(NewParty("carol"))
        except AlreadyExists:
            for number in NUMBERS:
                await use.dids.remove(number)
        else:
            await use.accounts.give(CAROL, "carol")
            rate = Rate(price_1="0.30", price_unit="minute", interval_1=1, interval_n=1)
            await publish_deck(running_office.pbx.database, "inbound", {"4977": rate, "4930": rate})
            await use.dids.set_inbound_price("retail", "inbound")
        for number in NUMBERS:
            await use.dids.add(NewDid(number, "carol"))
        yield use


def inbound(cdrs: list[Any]) -> list[Any]:
    return [cdr for cdr in cdrs if cdr["route_name"] == "inbound"]


async def charges_of(scene: Scene, legs: list[Leg]) -> list[Any]:
    """CAROL's calls; what came in is charged by the caller's own trace."""
    cdrs = (await scene.charges())[CAROL]
    for leg, cdr in zip(legs, inbound(cdrs), strict=True):
        seconds = charged_for(leg.talked)
        assert (cdr["seconds"], cdr["cost"]) == (seconds, INBOUND_PRICE * seconds)
    return cdrs


async def test_the_page_pasted_as_it_is_makes_a_number_that_rings(
    scene: Scene, running_office: Running, use: UseCases
) -> None:
    blocks = re.findall(r"^```(\S*)\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    environment = {"RATING_DATABASE_URL": running_office.database_url}
    for kind, block in blocks:
        if kind:  # the office has it so
            assert set(block.split("\n")) <= set(DIALPLAN.split("\n"))
            continue
        for line in block.splitlines():
            typed = await asyncio.to_thread(CliRunner().invoke, app, shlex.split(line)[1:], env=environment)
            assert typed.exit_code == 0, (line, typed.output)
    caller = await (await scene.carrier(2).call("4930123456")).answered()
    await caller.hears(scene.phone(ALICE))
    await caller.hang_up()
    (cdr,) = (await scene.charges())[ALICE]
    seconds = charged_for(caller.talked)
    assert (cdr["seconds"], cdr["cost"]) == (seconds, INBOUND_PRICE * seconds)


async def test_a_call_rings_the_owners_phone_and_is_charged_to_him(scene: Scene, use: UseCases) -> None:
    await use.call_rules.add(DID, CallRule(timeout=10))
    caller = await (await scene.carrier(2).call(DID)).answered()
    await caller.hears(scene.phone(CAROL))
    await caller.talk_on()
    await caller.hang_up()
    (cdr,) = await charges_of(scene, [caller])
    assert (cdr["destination"], cdr["is_did"]) == (DID, DID)


async def test_a_busy_phone_s_call_is_forwarded_as_an_outgoing_call_of_the_owner(scene: Scene, use: UseCases) -> None:
    async def busy(leg: Leg) -> None:
        await leg.refuse(486)

    scene.phone(CAROL).on_call = busy
    await use.call_rules.add(DID, CallRule(action=Action.NUMBER, destination=SECOND))
    await use.call_rules.add(SECOND, CallRule(timeout=10))
    await use.call_rules.add(SECOND, CallRule(condition=Condition.BUSY, action=Action.FORWARD, destination=MOBILE))
    caller = await (await scene.carrier(2).call(f"+{DID}")).answered()
    theirs = await scene.carrier_leg(MOBILE)
    await caller.hears(scene.carrier())
    await theirs.talk_on()
    await caller.hang_up()
    cdrs = await charges_of(scene, [caller])
    (forward,) = [cdr for cdr in cdrs if cdr["route_name"] != "inbound"]
    assert charged(theirs, forward)
    assert (forward["from_originate"], forward["callerid"]) == (DID, SECOND)


async def test_a_number_goes_by_its_schedule_over_two_destinations_and_keeps_the_conversation(
    scene: Scene, use: UseCases
) -> None:
    async def busy(leg: Leg) -> None:
        await leg.refuse(486)

    scene.phone(CAROL).on_call = busy
    exchange = scene.office.exchange
    begun = datetime.now(UTC)  # another test may have kept a conversation of hers before
    now = begun + timedelta(hours=2)
    closed = (RuleTime(1, 7, now.time().replace(second=0, microsecond=0), (now + timedelta(hours=1)).time()),)
    elsewhere = CallRule(action=Action.FORWARD, destination=ANSWERS + "50", times=closed, time_zone="UTC")
    await use.call_rules.add(DID, elsewhere)
    await use.call_rules.add(DID, CallRule(action=Action.LINE, destination=CAROL))
    line = of_line(CAROL)
    kept = CallRule(
        condition=Condition.BUSY, action=Action.FORWARD, destination=MOBILE, callerid="TRANSIT", music="default",
        record=True, timeout=10,
    )  # fmt: skip
    await use.call_rules.add(line, kept)
    caller = await (await scene.carrier(2).call(DID)).answered()
    theirs = await scene.carrier_leg(MOBILE)
    await caller.hears(scene.carrier())
    await theirs.talk_on()
    await caller.hang_up()
    (forward,) = [cdr for cdr in await charges_of(scene, [caller]) if cdr["route_name"] != "inbound"]
    assert charged(theirs, forward)
    dials = [event["AppData"] for event in exchange.ami.events if event.get("Application") == "Dial"]
    assert any(MOBILE in each and "m(default)" in each for each in dials)
    (recording,) = await use.recordings.of("carol", begun, now)
    assert recording.seconds > 0
    colleague = await (await scene.phone(ALICE).call(f"*8{CAROL}")).answered()
    await (await scene.carrier_leg(MOBILE)).talk_on()
    await colleague.hang_up()
    assert len(await use.recordings.of("carol", begun, now)) == 2
    assert len((await scene.charges())[CAROL]) == 3  # the call that came in, and both that were forwarded
    await use.call_rules.remove(line, 1)


async def test_forwards_made_by_teleum_ring_in_turn_and_the_recording_is_fetched_by_its_link(
    scene: Scene, running_office: Running, use: UseCases
) -> None:
    async def busy(leg: Leg) -> None:
        await leg.refuse(486)

    scene.phone(CAROL).on_call = busy
    await use.parties.set_password("carol", password="correct horse")
    later = (datetime.now(UTC).hour + 2) % 24
    closed = [{"ttsh": later, "ttsm": 0, "ttfh": later, "ttfm": 59, "dts": 1, "dtf": 7}]
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{running_office.pbx.engine.http_port}") as http:

        async def ask(cmd: str, **given: str) -> dict[str, Any]:
            answer = (await http.post("/api/v3/", data={"cmd": cmd, **session, **given})).json()
            assert "err" not in answer, answer
            return dict(answer)

        session: dict[str, str] = {}
        entered = await ask("login", email="carol", paswd="correct horse")
        session = {"token": entered["token"], "vivaid": str(entered["vivaid"])}
        (nid,) = [each["id"] for each in (await ask("getConnectedNumbers"))["numbers"] if each["number"] == DID]
        forward = {"id": "0", "nid": nid, "timeout": "10", "rcid": "1"}
        await ask("editForward", **forward, rtype="2", rnum=ANSWERS + "50", dowjs2=json.dumps(closed))
        await ask("editForward", **forward, rtype="1", rnum=CAROL)
        await ask("editForward", **forward, rtype="2", rnum=MOBILE, rec="1", moh="1")
        caller = await (await scene.carrier(2).call(DID)).answered()
        theirs = await scene.carrier_leg(MOBILE)
        await caller.hears(scene.carrier())
        await theirs.talk_on()
        await caller.hang_up()
        await charges_of(scene, [caller])
        now = datetime.now(UTC)

        async def kept() -> list[dict[str, Any]]:  # once the exchange has closed the file
            return list((await ask("getRecordsList", y=str(now.year), m=str(now.month)))["records"])

        record = (await until(kept))[-1]
        assert (record["dst"], record["disposition"], int(record["billsecu"]) > 0) == (DID, "ANSWERED", True)
        link = (await ask("getRecordLink", fileid=record["id"]))["link"]
        part = await http.get(link, headers={"range": "bytes=0-3"})
        assert (part.status_code, part.content) == (206, b"RIFF")
        assert len((await http.get(link)).content) > 8_000  # half a second of it at the least
        calls = (await ask("reportCalls", y=str(now.year), m=str(now.month), limit="1000"))["calls"]
        assert calls[-1]["rdr"] == f"Переадресация на: {MOBILE}"


async def test_what_a_caller_says_for_an_address_is_kept_and_to_be_mailed(
    scene: Scene, running_office: Running, use: UseCases
) -> None:
    box = "box@example.org"
    await use.call_rules.add(LIMITED, CallRule(action=Action.MESSAGE, destination=box))
    caller = await (await scene.carrier(2).call(LIMITED)).answered()
    await caller.talk(1)
    await caller.hang_up()
    await charges_of(scene, [caller])
    now = datetime.now(UTC)
    kept = await use.recordings.of("carol", now - timedelta(minutes=5), now)
    (message,) = [each for each in kept if each.kind is RecordingKind.MESSAGE]
    assert (message.called, message.seconds > 0) == (LIMITED, True)
    mail_to = await running_office.pbx.database.fetchval("SELECT mail_to FROM recordings WHERE name = $1", message.name)
    assert mail_to == box


def takes_faxes(root: Path) -> bool:
    return any(root.glob("usr/lib*/**/res_fax_spandsp.so"))


async def test_a_fax_for_an_address_is_kept_and_to_be_mailed(
    scene: Scene, running_office: Running, use: UseCases, asterisk_root: Path
) -> None:
    if not takes_faxes(asterisk_root):
        pytest.skip("this Asterisk has no res_fax_spandsp")
    await use.call_rules.add(LIMITED, CallRule(action=Action.FAX, destination="fax@example.org"))
    exchange = scene.office.exchange
    Image.new("1", (1728, 100), 1).save(exchange.spool / "page.tif", compression="group4", dpi=(204, 98))
    await exchange.ami.action(
        "Originate", {}, Channel=f"Local/{LIMITED}@from-trunk/n", CallerID="<4930123456>", Application="SendFAX",
        Data=f"{exchange.spool_inside / 'page.tif'},f", Async="true",
    )  # fmt: skip
    received = await exchange.ami.wait_event(lambda event: event.get("Event") == "ReceiveFAX", HANG_SECONDS)
    assert received["PagesTransferred"] == "1"
    (cdr,) = inbound((await scene.charges())[CAROL])  # about fourteen seconds: T.30 has its pace
    assert (cdr["destination"], cdr["cost"]) == (LIMITED, INBOUND_PRICE * cdr["seconds"])
    now = datetime.now(UTC)
    kept = await use.recordings.of("carol", now - timedelta(minutes=5), now)
    (fax,) = [each for each in kept if each.kind is RecordingKind.FAX]
    assert (running_office.recordings / f"{fax.name}.tif").read_bytes()[:2] == b"II"
    mail_to = await running_office.pbx.database.fetchval("SELECT mail_to FROM recordings WHERE name = $1", fax.name)
    assert mail_to == "fax@example.org"


async def test_who_is_rejected_and_what_is_closed_hear_why_and_cost_nothing(scene: Scene, use: UseCases) -> None:
    rejected = CallRule(pattern="2", policy=Policy.REJECT, action=Action.HANGUP)
    await use.call_rules.add(DID, rejected)
    await use.dids.change(CLOSED, DidChanges(paid_to=datetime.now(UTC) - timedelta(seconds=1)))
    for number, answer in ((DID, 403), (CLOSED, 410), ("4977999", 404)):
        leg = await (await scene.carrier(2).call(number)).ended()
        assert leg.answers[-1] == answer, number
    assert CAROL not in await scene.charges()


async def test_what_is_played_is_charged_and_a_number_takes_so_many_calls(scene: Scene, use: UseCases) -> None:
    await use.dids.change(LIMITED, DidChanges(max_calls=1))
    await use.call_rules.add(LIMITED, CallRule(action=Action.PLAYFILE, destination="hello"))
    await use.call_rules.add(LIMITED, CallRule(timeout=10))
    first = await (await scene.carrier(2).call(LIMITED)).answered()
    await first.hears(scene.phone(CAROL))
    second = await (await scene.carrier(1).call(LIMITED)).ended()
    assert second.answers[-1] == 486
    await first.hang_up()
    await scene.over()
    again = await (await scene.carrier(2).call(LIMITED)).answered()
    await again.hang_up()
    await charges_of(scene, [first, again])
