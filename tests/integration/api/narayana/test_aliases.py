"""Short numbers as Narayana's methods set them, by what a call to them reaches."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator

import pytest

from rating_engine.domain.account import NewSubscriber
from tests.support.narayana import Narayana, narayana_on

CALLED = "4912345"

_numbers = itertools.count()  # of calls, each with a key of its own


@pytest.fixture
async def narayana(database_url: str) -> AsyncIterator[Narayana]:
    async with narayana_on(database_url) as narayana:
        yield narayana


async def reached(narayana: Narayana, alias: str, login: str = "1001") -> str:
    """The number that a call to an alias is for; the call is over at once."""
    asked = {"login": login, "destination": alias, "callid": f"{login}{alias}-{next(_numbers)}"}
    words = (await narayana.raw("callPrepare", key="lines", **asked)).text.split()
    if words[0] == "Allowed":
        await narayana.raw("callFinish", key="lines", **asked, length="0", status="0CANCEL")
    return words[2] if words[0] == "Allowed" else words[1]


async def test_an_alias_is_set_changed_moved_and_deleted(narayana):
    ask = narayana.ask
    await narayana.operator.accounts.add_subscriber(NewSubscriber("1002", "1001"))
    assert await ask("addAlias", login="anna", alias="111", destination=CALLED) is True
    (alias,) = await ask("getAliases", login="anna")
    assert (alias["owner"], alias["alias"], alias["global"], alias["sip_extension"]) == ("anna", "111", "0", "1001")
    assert await ask("getAlias", login="anna", id=alias["id"]) == alias
    assert await reached(narayana, "111") == CALLED
    assert await narayana.code("addAlias", login="anna", alias="111", destination="4999") == "E_DATA_ABORT"

    await ask("updateAlias", login="anna", alias="111", destination="4999")
    assert await reached(narayana, "111") == "4999"
    assert [each["id"] for each in await ask("getAliases", login="anna")] == [alias["id"]]

    await ask("updateAlias", login="anna", id=alias["id"], sip_extension="1002")
    assert await reached(narayana, "111", "1002") == "4999"
    assert await reached(narayana, "111") == "E_UNROUTABLE"

    (moved,) = await ask("getAliases", login="anna")
    await ask("deleteAlias", login="anna", id=moved["id"])
    assert await reached(narayana, "111", "1002") == "E_UNROUTABLE"
    assert await narayana.code("getAlias", login="anna", id=moved["id"]) == "E_NOT_EXIST"


async def test_everybodys_aliases_are_for_administrators_to_set_and_for_all_to_dial(narayana):
    given = {"alias": "112", "destination": CALLED, "global": "true"}
    for login in ("anna", "firm"):
        assert await narayana.code("addAlias", login=login, **given) == "E_INSUFFICIENT_ACCESS"
    await narayana.ask("addAlias", login="boss", **given)

    (alias,) = [each for each in await narayana.ask("getAliases", login="anna", all="true") if each["global"] == "1"]
    assert await narayana.ask("getAliases", login="anna") == []
    for login in ("anna", "firm"):
        for method in ("updateAlias", "deleteAlias"):
            assert await narayana.code(method, login=login, id=alias["id"]) == "E_INSUFFICIENT_ACCESS"
    assert await narayana.ask("deleteAlias", login="boss", id=alias["id"]) is True


async def test_nobody_reaches_the_aliases_of_somebody_else(narayana):
    await narayana.ask("addAlias", login="otto", alias="113", destination=CALLED)
    (alias,) = await narayana.ask("getAliases", login="otto")
    await narayana.ask("addAlias", login="anna", alias="114", destination=CALLED)
    (own,) = await narayana.ask("getAliases", login="anna")

    for login in ("anna", "firm"):
        for method in ("getAlias", "updateAlias", "deleteAlias"):
            assert await narayana.code(method, login=login, id=alias["id"]) == "E_DOES_NOT_BELONG_TO_YOU"
        foreign = {"alias": "115", "destination": CALLED, "sip_extension": "2001"}
        assert await narayana.code("addAlias", login=login, **foreign) == "E_DOES_NOT_BELONG_TO_YOU"
        moved = {"id": own["id"], "sip_extension": "2001"}
        assert await narayana.code("updateAlias", login=login, **moved) == "E_DOES_NOT_BELONG_TO_YOU"
        assert all(each["owner"] != "otto" for each in await narayana.ask("getAliases", login=login, all="true"))
    assert await narayana.ask("getAliases", login="otto") == [alias]


async def test_what_is_no_number_is_no_alias(narayana):
    for given in ({"alias": "abc"}, {"destination": "x"}, {"alias": "1" * 33}, {"sip_extension": "9999"}):
        asked = {"alias": "116", "destination": CALLED, **given}
        assert await narayana.code("addAlias", login="anna", **asked) in ("E_DATA_ABORT", "E_NOT_EXIST")
    assert await narayana.ask("getAliases", login="anna") == []
