"""The event log: the calls of one user, hidden and never deleted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from rating_engine.domain.cdr import CdrFilter
from rating_engine.domain.page import Cursor
from tests.support.narayana import Narayana, narayana_on

CALLED = "4912345"


@pytest.fixture
async def narayana(database_url: str) -> AsyncIterator[Narayana]:
    async with narayana_on(database_url) as narayana:
        for login, length in (("anna", "60"), ("anna", "0"), ("otto", "30")):
            asked = {"login": login, "destination": CALLED, "callid": length}
            await narayana.ask("callPrepare", **asked)
            await narayana.ask("callFinish", **asked, length=length, status="16ANSWER")
        yield narayana


async def test_the_calls_of_a_user_are_shown_the_latest_first(narayana):
    last, first = await narayana.ask("getLogs", login="anna", resolve_info="true")

    assert (first["cost"], first["time"], first["status"], first["username"]) == (0.6, "60", "16ANSWER", "anna")
    assert (first["destination"], first["sip_extension"], first["displaycurrency"]) == (CALLED, "1001", "€")
    ended = datetime.fromisoformat(first["date"])
    assert datetime.fromisoformat(first["clientdate"]) - ended == timedelta(hours=1)
    assert last["time"] == "0"
    assert await narayana.ask("getLogs", login="anna", only_completed="true") == [{**first, "info": ""}]
    assert await narayana.ask("getLogs", login="anna", limit="1") == [{**last, "info": ""}]
    for limit in ("0", "1001", "-1"):
        assert await narayana.code("getLogs", login="anna", limit=limit) == "E_DATA_ABORT"


async def test_of_others_those_of_whom_one_owns(narayana):
    assert len(await narayana.ask("getLogs", login="firm", user="anna")) == 2
    assert await narayana.ask("getLogs", login="firm") == []
    for login in ("firm", "anna"):
        for method in ("getLogs", "deleteLogs"):
            assert await narayana.code(method, login=login, user="otto") == "E_DOES_NOT_BELONG_TO_YOU"


async def test_what_is_deleted_is_hidden_and_stays_charged(narayana):
    assert await narayana.ask("deleteLogs", login="anna") is True

    assert await narayana.ask("getLogs", login="anna") == []
    assert len(await narayana.ask("getLogs", login="otto")) == 1
    now = datetime.now(UTC)
    kept = CdrFilter(now - timedelta(hours=1), now + timedelta(hours=1), login="1001")
    assert len((await narayana.operator.cdrs.page(kept, Cursor())).items) == 2
    assert (await narayana.operator.accounts.show("1001")).balance == Decimal("9.4")
    await narayana.ask("callPrepare", login="anna", destination=CALLED, callid="later")
    await narayana.ask("callFinish", login="anna", destination=CALLED, callid="later", length="1", status="16ANSWER")
    assert [call["time"] for call in await narayana.ask("getLogs", login="anna")] == ["1"]
