"""docs/asterisk.md, done as it stands: on an Asterisk as Debian brings it, after docs/getting-started.md; then
docs/freepbx.md on it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.asterisk.engine import engine_for
from tests.asterisk.exchange import Exchange
from tests.asterisk.page import Block, Machine, blocks
from tests.asterisk.pbx import until
from tests.support.servers import SessionServers, breaches

pytestmark = pytest.mark.asterisk
TRY = "Try it without a trunk"
NOT_DONE = ["rating: NOT SAVED: callFinish of 1763779024.1"]  # output that is shown; every other block is done
GETTING_STARTED = ("3. Prices", "4. An account")  # what stands when the page begins; the rest is servers and a demo
NUMBER = "442079460123"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def machine(
    asterisk_root: Path, session_servers: SessionServers, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Machine]:
    with session_servers.database() as database_url:
        redis_url = session_servers.redis()
        engine = engine_for(database_url, redis_url, tmp_path_factory.mktemp("page-engine"))
        exchange = Exchange(asterisk_root, "", sample=True)
        environment = {"RATING_DATABASE_URL": database_url, "RATING_REDIS_URL": redis_url}
        environment["RATING_FASTAGI_PORT"] = str(engine.fastagi_port)
        async with engine, exchange:
            yield Machine(exchange, engine.fastagi_port, environment)
        assert await breaches(database_url) == []


def test_every_block_of_the_page_is_done_or_listed_as_not() -> None:
    examples = [block.text for block in blocks("asterisk.md") if block.kind == "example"]
    assert [text.startswith(start) for text, start in zip(examples, NOT_DONE, strict=True)] == [True] * len(examples)
    assert {block.kind for block in blocks("asterisk.md")} == {
        "shell", "sql", "example", "extensions.conf", "pjsip.conf", "extensions.ael", "extensions.lua",
        "extconfig.conf", "res_config_sqlite3.conf",
    }  # fmt: skip


async def charges(machine: Machine, login: str) -> list[str]:
    """What an account was charged, by the page's own command."""
    said = await machine.type(f"rating-engine account statement {login}")
    return [line for line in said.splitlines() if "\tcharge\t" in line]


async def get_started(machine: Machine) -> None:
    for block in blocks("getting-started.md"):
        if block.heading in GETTING_STARTED:
            lines = [line.removeprefix("$ ") for line in block.text.splitlines()]
            await machine.do(Block("shell", "\n".join(line for line in lines if line.startswith("rating-")), ""))
    (Path(__file__).parents[2] / "deck.csv").unlink()


@pytest.mark.asyncio(loop_scope="session")
async def test_the_page_as_it_stands_leads_to_a_rated_call(machine: Machine) -> None:
    began = time.monotonic()
    await get_started(machine)
    page = [block for block in blocks("asterisk.md") if block.kind != "example"]
    of_the_trial = [block for block in page if block.heading == TRY]
    for block in (*[block for block in page if block.heading != TRY], *of_the_trial[:2]):
        await machine.do(block)
    exchange = machine.exchange
    await exchange.ami.wait_event(lambda e: e.get("Event") == "Hangup" and "@rating-test-" in e["Channel"], 30)
    await until(exchange.idle)
    said = await machine.do(of_the_trial[2])
    assert "\tcharge\t-0.0006\t" in said  # 6 seconds
    print(f"from the deck to the first rated call, all of the page done: {time.monotonic() - began:.0f} s")
    assert "RATING_" not in await machine.type("rating-engine doctor")
    assert await charged_from(machine, "phones-ael", "phones-lua", "phones-realtime") == 4
    await machine.do(of_the_trial[3])


async def charged_from(machine: Machine, *contexts: str) -> int:
    """Let the phone of 1001 dial in each of them, and from the menu of the first; return how many were charged."""
    await machine.exchange.stop()  # extconfig.conf is read at the start
    await machine.exchange.start()
    ami = machine.exchange.ami
    await ami.action("Setvar", Variable="RATING_TECH", Value="Local")
    for number, context in [*((NUMBER, context) for context in contexts), (f"8{NUMBER}", contexts[0])]:
        call = {"Channel": f"Local/{number}@{context}/n", "Application": "Wait", "Data": "20", "Account": "1001"}
        await ami.action("Originate", Async="true", **call)
        await ami.wait_event(lambda e, at=f"@{context}-": e.get("Event") == "Newchannel" and at in e["Channel"])
    await until(machine.exchange.idle, 30)
    return len(await charges(machine, "1001"))


# After FreePBX 17: a route's trunks in order, the hook before each, OUT_<n> as the configuration has them; and an
# extension that follow-me sends outside.
FREEPBX = """
[globals]
OUT_1=AMP:Local/$OUTNUM$@rating-freepbx/n
OUT_2=PJSIP/carrier1
OUT_3=PJSIP/rating-test-trunk
[from-internal]
exten => 1009,1,Set(__EXTTOCALL=${EXTEN})
 same => n,Dial(Local/442079460123@from-internal/n)
exten => _44X.,1,Gosub(macro-dialout-trunk,s,1(1,${EXTEN}))
 same => n,Congestion(5)
exten => _944X.,1,Gosub(macro-dialout-trunk,s,1(2,${EXTEN:1}))
 same => n,Gosub(macro-dialout-trunk,s,1(3,${EXTEN:1}))
 same => n,Congestion(5)
[macro-dialout-trunk]
exten => s,1,MSet(DIAL_TRUNK=${ARG1},OUTNUM=${ARG2},PREDIAL_HOOK_RET=)
 same => n,Set(custom=${CUT(OUT_${DIAL_TRUNK},:,1)})
 same => n,GotoIf($["${custom}" = "AMP"]?customtrunk)
 same => n,Gosub(macro-dialout-trunk-predial-hook,s,1)
 same => n,GotoIf($["${PREDIAL_HOOK_RET}" = "BYPASS"]?bypass)
 same => n,Dial(${OUT_${DIAL_TRUNK}}/${OUTNUM},60)
 same => n(bypass),Return
 same => n(customtrunk),Set(the_string=${CUT(OUT_${DIAL_TRUNK},:,2)})
 same => n,Dial(${CUT(the_string,$,1)}${OUTNUM}${CUT(the_string,$,3)},60)
 same => n,Return
"""


@pytest.mark.asyncio(loop_scope="session")
async def test_freepbx_by_a_custom_trunk_by_its_own_trunks_and_follow_me(machine: Machine) -> None:
    for block in blocks("freepbx.md"):
        await machine.do(block)
    await machine.do(Block("extensions.conf", FREEPBX, ""))
    ami = machine.exchange.ami
    for login in ("2001", "2002", "1009"):
        await machine.type(f"rating-engine account create --login {login} --tariff retail --balance 1")
    await machine.type("rating-engine routes add rating-test-trunk --position 99 --number-prefix 442079460")
    await machine.type("asterisk -rx 'dialplan reload'")
    await ami.action("Setvar", Variable="RATING_TECH", Value="Local")
    for number, login in ((NUMBER, "2001"), (f"9{NUMBER}", "2002"), ("1009", "2001")):
        call = {"Channel": f"Local/{number}@from-internal/n", "Application": "Wait", "Data": "20", "Account": login}
        await ami.action("Originate", Async="true", **call)
        await ami.wait_event(lambda e, at=f"/{number}@from-i": e.get("Event") == "Newchannel" and at in e["Channel"])
    await until(machine.exchange.idle, 30)
    assert {login: len(await charges(machine, login)) for login in ("2001", "2002", "1009")} == {
        "2001": 1,  # the custom trunk, and not the forward
        "2002": 1,
        "1009": 1,
    }
    for route in ("carrier1", "rating-test-trunk"):
        said = await machine.type(f"rating-engine cdrs list --login 2002 --route {route}")
        assert said.count(NUMBER) == 1
