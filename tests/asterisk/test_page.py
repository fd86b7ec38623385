"""docs/asterisk.md, done as it stands: on an Asterisk as Debian brings it, after docs/getting-started.md."""

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
