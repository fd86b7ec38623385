"""The end of a whole engine: both ports at once, and one limit for all of it."""

from __future__ import annotations

import asyncio
import contextlib

import structlog

from agi.fastagi import server as fastagi_server
from agi.fastagi.client import CallFailedError, agi_call
from rating_engine.api import server as http_server
from rating_engine.engine import engine as runtime
from rating_engine.engine.engine import Engine
from rating_engine.process import supervisor
from tests.support.blocking import locked_accounts
from tests.support.calls import NUMBER
from tests.support.engines import engine_on
from tests.support.waiting import HANG_SECONDS, until
from tests.support.world import add_account, publish_deck


async def ask(engine: Engine) -> dict[str, str]:
    """A call of account 1001."""
    assert engine.fastagi is not None
    arguments = ["1001", NUMBER]
    return await agi_call(
        "127.0.0.1", engine.fastagi.port, "callPrepare", arguments, uniqueid="1", timeout=HANG_SECONDS
    )


async def refuses(port: int) -> bool:
    """Whether nobody listens there."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:  # it closes at this moment
        return False
    writer.close()
    return False


async def test_both_ports_are_closed_while_a_call_that_was_asked_is_finished(database_url):
    async with engine_on(database_url, database_timeout_seconds=60.0) as engine:
        await publish_deck(engine.office)
        await add_account(engine.office, balance="10")
        assert engine.fastagi is not None
        assert engine.http is not None
        ports = engine.fastagi.port, engine.http.address[1]
        async with locked_accounts(database_url) as is_waited_for:
            asked = asyncio.create_task(ask(engine))
            await until(is_waited_for)
            stopping = asyncio.create_task(engine.stop())
            for port in ports:
                await until(lambda port=port: refuses(port))
            assert not stopping.done()
        assert (await asked)["RATING_STATUS"] == "ALLOWED"
        await stopping


async def test_a_stop_ends_although_the_database_hangs(database_url, monkeypatch):
    monkeypatch.setattr(runtime, "SETTLE_SECONDS", 0.1)
    monkeypatch.setattr(runtime, "CLOSE_SECONDS", 0.1)
    settings = {"shutdown_seconds": 0.0, "database_timeout_seconds": 60.0}
    async with engine_on(database_url, **settings) as engine:
        await publish_deck(engine.office)
        await add_account(engine.office, balance="10")
        async with locked_accounts(database_url) as is_waited_for:
            asked = asyncio.create_task(ask(engine))
            await until(is_waited_for)
            with structlog.testing.capture_logs() as log:
                async with asyncio.timeout(HANG_SECONDS):
                    await engine.stop()
            with contextlib.suppress(CallFailedError):
                await asked

    events = [line for line in log if line["event"].startswith("engine_stop")]
    assert [line.get("step", line.get("cut")) for line in events] == ["settle", "close", 1]


def test_a_stop_is_over_before_the_supervisor_kills():
    cutting = max(fastagi_server.CANCEL_SECONDS, http_server.CUT_SECONDS)

    assert cutting + runtime.SETTLE_SECONDS + runtime.CLOSE_SECONDS < supervisor.STOP_MARGIN_SECONDS
