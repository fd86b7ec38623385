"""The requests and replies that follow from the document: cases.json, in its order.

All cases ask one installation; what a case needs beside is made before it. The user of the cases has the number 1,
which is the system's here: its own is put in that place.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from rating_engine.api.teleum.commands import COMMANDS
from rating_engine.domain.account import NewSubscriber
from tests.support.servers import SessionServers
from tests.support.teleum import EMAIL, LINE, OTHER, RECORDING, SHORT_LINE, Teleum, teleum_on

CASES: list[dict[str, Any]] = json.loads(Path(__file__).with_name("cases.json").read_text("utf-8"))
PRINTED = datetime(2015, 7, 17, 9, 12, 35, tzinfo=UTC)  # 12:12:35 on the user's clock
ENDED = "f3765d40fecd44ee0a03480ba0043bb2"  # the token of the document's example

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def teleum(session_servers: SessionServers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Teleum]:
    with session_servers.database() as url:
        async with teleum_on(url, tmp_path_factory.mktemp("recordings")) as teleum:
            await teleum.keep(RECORDING)
            await teleum.database.fetch("UPDATE recordings SET begun_at = $1", PRINTED)
            await teleum.operator.accounts.add_subscriber(NewSubscriber(SHORT_LINE, LINE))
            await teleum.ask("connectTariff", tarid="2")
            await teleum.operator.accounts.adjust(LINE, 3, reason="what the tariff has cost")
            yield teleum


async def one_call(teleum: Teleum) -> None:
    await teleum.database.fetch("DELETE FROM call_records")
    await teleum.call("printed", 105, "ANSWER", PRINTED)


async def one_of_each(teleum: Teleum) -> None:
    await one_call(teleum)
    for word in ("BUSY", "NOANSWER", "CONGESTION"):
        await teleum.call(word, 0, word, PRINTED)


async def three_calls(teleum: Teleum) -> None:
    await one_call(teleum)
    for key in ("second", "third"):
        await teleum.call(key, 5, "ANSWER", PRINTED + timedelta(hours=1))


async def two_spans_of_14_minutes(teleum: Teleum) -> None:
    """As if 14 minutes had passed, twice, with a command between."""
    for _ in range(2):
        await teleum.database.fetch("UPDATE sessions SET expires_at = expires_at - interval '14 minutes'")
        await teleum.ask("balance")


SETUPS: dict[str, Callable[[Teleum], Awaitable[None]]] = {
    "teleum-387": one_call,
    "teleum-437": one_call,
    "teleum-441": one_of_each,
    "teleum-443": three_calls,
    "teleum-432": two_spans_of_14_minutes,
}


async def answer_to(teleum: Teleum, case: dict[str, Any]) -> httpx.Response:
    request, session = case["request"], await teleum.login()
    query = {name: text.replace("{token}", session["token"]) for name, text in request["query"].items()}
    query = {name: text.replace("{vivaid}", session["vivaid"]) for name, text in query.items()}
    if case["id"] == "teleum-425":  # number 1 is the user's here; one that is free is another one
        query["numid"] = (await teleum.ask("getFreeNumbers", limit="1"))["freeNumbers"][0]["id"]
    if case["id"] == "teleum-434":
        query["vivaid"] = (await teleum.login(OTHER))["vivaid"]
    return await teleum.http.request(request["method"], request["path"], params=query)


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
async def test_a_case_is_answered_as_it_has_to_be(teleum: Teleum, case: dict[str, Any]) -> None:
    if case["id"] in SETUPS:
        await teleum.login()
        await SETUPS[case["id"]](teleum)

    answer = await answer_to(teleum, case)

    own = teleum.sessions[EMAIL]["vivaid"]
    check(answer, json.loads(json.dumps(case["expect"])), own)
    if answer.status_code == 200:
        check_shape(case["request"]["query"].get("cmd", ""), answer.json())


def check(answer: httpx.Response, expected: dict[str, Any], own: str) -> None:
    """Whether an answer is what a case expects of it; `own`: the number of its user here."""
    assert answer.status_code == expected["status"], answer.text
    assert expected.get("body_contains", "") in answer.text
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    body = answer.json()
    own_number = {"1": own, 1: int(own)}
    for name, value in expected.get("fields", {}).items():
        assert body[name] == (own_number[value] if name == "vivaid" else value), name
    for name, pattern in expected.get("field_matches", {}).items():
        assert re.search(pattern, body[name]), name
    assert body.keys() >= set(expected.get("has_keys", [])), body
    assert not body.keys() & set(expected.get("lacks_keys", [])), body
    for name, keys in expected.get("array_item_keys", {}).items():
        assert body[name], f"{name} is empty"
        assert all(item.keys() >= set(keys) for item in body[name])
    for name, length in expected.get("array_lengths", {}).items():
        assert len(body[name]) == length
    for name, item in expected.get("item", {}).items():
        wanted = {key: own if key == "vivaid" else value for key, value in item.items()}
        assert wanted.items() <= body[name][0].items(), body[name][0]


def check_shape(cmd: str, body: dict[str, Any]) -> None:
    """Scalars of lists are text, and a command that is done answers all that the document lists."""
    if body.get("err"):
        return
    command = COMMANDS["getTariffs" if cmd == "getTariffGroups" and "tariffs" in body else cmd]
    assert body.keys() >= set(command.reply) - {"errormsg"}, cmd
    for name, keys in command.arrays.items():
        for item in body[name]:
            assert item.keys() == set(keys)
            assert all(isinstance(value, str) for key, value in item.items() if key != "name_lng")
