"""The requests and replies that follow from the document, of cases.json: all ask one installation.

What a case's setup says beside the generic one stands in SETUPS, by its id; numbers are those of the document.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, fromstring
from zoneinfo import ZoneInfo

import httpx
import pytest
import pytest_asyncio

from agi.fastagi.client import agi_call
from rating_engine.api.mor.declare import Source
from rating_engine.api.mor.declared import FUNCTIONS, NAMED
from rating_engine.api.mor.surface import Mor as Surface
from rating_engine.api.mor.surface import MorRules
from rating_engine.domain.account import NewAccount
from rating_engine.domain.did import NewDid
from rating_engine.domain.exchanges import NewExchange
from rating_engine.domain.number_lists import ListKind, ListSide, NewNumberPool, NumberList, pool_number
from rating_engine.domain.party import NewParty, PartyKind
from rating_engine.domain.permission import Permission
from rating_engine.domain.permission_group import NewPermissionGroup
from rating_engine.services.catalogue import UseCases
from rating_engine.storage.postgres.pool import Database
from tests.conformance.mor.card_setups import CARD_SETUPS, settle
from tests.support.engines import engine_on
from tests.support.mor import SECRET_KEY, Mor
from tests.support.servers import SessionServers
from tests.support.world import publish_deck

CASES: list[dict[str, Any]] = json.loads(Path(__file__).with_name("cases.json").read_text("utf-8"))
ZONE = "Europe/Vilnius"
GET = "mor-342"  # GET is allowed


def function_of(case: dict[str, Any]) -> str:
    path = [part for part in case["request"]["path"].split("/") if part]
    return NAMED[path[2]].name if len(path) > 2 and path[2] in NAMED else ""


OVER_HTTP = [case for case in CASES if case["request"]["method"] != "FASTAGI"]
LISTED = [case for case in CASES if case["request"]["method"] == "FASTAGI" and "list is a" in case["setup"]]

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mor(session_servers: SessionServers) -> AsyncIterator[Mor]:
    with session_servers.database() as url:
        async with engine_on(url, secret_keys=(SECRET_KEY,), mor_time_zone=ZONE) as engine:
            assert engine.http is not None
            host, port = engine.http.address
            database = Database(url)
            await database.open()
            await publish_deck(database)
            async with httpx.AsyncClient(base_url=f"http://{host}:{port}", timeout=30) as http:
                made = Mor(engine, http, database, {})
                await furnish(made.operator, database)
                yield made
            await database.close()


async def furnish(use: UseCases, database: Database) -> None:
    """Users 2 and 3, device 6 with the document's CLI, DIDs 6511 and 10007, and the callers."""
    await use.parties.create(NewParty("user2", name="Test User #1"))
    await use.parties.create(NewParty("user3"))
    await use.parties.create(NewParty("admin", PartyKind.ADMIN))
    await use.parties.create(NewParty("user1"))
    for login in ("acc", "acc2"):
        await use.parties.create(NewParty(login, PartyKind.ACCOUNTANT))
    await use.permission_groups.add(NewPermissionGroup("none", PartyKind.ACCOUNTANT))
    await use.permission_groups.add(NewPermissionGroup("all", PartyKind.ACCOUNTANT, frozenset(Permission)))
    await use.permission_groups.add(NewPermissionGroup("cards", PartyKind.RESELLER, frozenset(Permission)))
    await use.parties.create(NewParty("reseller1", PartyKind.RESELLER, tariff="retail"))
    for login, group in (("acc", "none"), ("acc2", "all"), ("reseller1", "cards")):
        await use.permission_groups.give(login, group)
    await use.hash_secrets.put("system", "secret")
    await use.hash_secrets.put("reseller1", "resellersecret")
    await use.exchanges.add(NewExchange("pbx1", "192.0.2.10", "sip.example.com"))
    await database.fetch("SELECT setval(pg_get_serial_sequence('subscribers', 'subscriber_id'), 6, false)")
    await use.accounts.create(NewAccount("ipauth4aa73a4300", "retail", balance=Decimal(1), owner="user3"))
    await database.fetch(
        "INSERT INTO sip_accounts (bucket, subscriber_id, exchange_id, technology) "
        "SELECT bucket, subscriber_id, exchange_id, 'IAX2' FROM subscribers, exchanges WHERE subscriber_id = 6"
    )
    for number, did in (("37056511", 6511), ("370510007", 10007)):
        await database.fetch("SELECT setval(pg_get_serial_sequence('dids', 'did_id'), $1, false)", did)
        await use.dids.add(NewDid(number, owner="system"))
    await with_the_documents_cli(Mor(None, None, database, {}))  # type: ignore[arg-type]  # its database alone


async def with_the_documents_cli(mor: Mor) -> None:
    zone = ZoneInfo(ZONE)
    added, updated = (
        datetime(2015, 8, 31, *clock, tzinfo=zone).astimezone(UTC) for clock in ((12, 40, 23), (16, 14, 48))
    )
    await mor.database.fetch(
        "INSERT INTO known_callers (caller_id, number, bucket, subscriber_id, description, comment, added_at,"
        " updated_at) OVERRIDING SYSTEM VALUE"
        " VALUES (3, '45456464', 0, 6, 'Test Reseller', 'rhrtghg', $1, $2) ON CONFLICT DO NOTHING",
        added, updated,
    )  # fmt: skip


async def without_clis(mor: Mor) -> None:
    await mor.database.fetch("DELETE FROM known_callers")


SETUPS: dict[str, Callable[[Mor], Awaitable[None]]] = {
    "mor-260": with_the_documents_cli,
    "mor-263": with_the_documents_cli,
    "mor-333": without_clis,
    **CARD_SETUPS,
}


@pytest.mark.parametrize("case", OVER_HTTP, ids=[case["id"] for case in OVER_HTTP])
async def test_a_case_is_answered_as_it_has_to_be(mor, case):
    if setup := SETUPS.get(case["id"]):
        await setup(mor)
    answer = await asked(mor, case["request"], case["request"]["path"], get=case["id"] == GET)

    check(answer, case["expect"])
    if path := case["expect"].get("same_as_path"):
        assert answer.text == (await asked(mor, case["request"], path)).text


async def asked(mor: Mor, request: dict[str, Any], path: str, *, get: bool = False) -> httpx.Response:
    given = {"params": request.get("query"), "headers": request.get("headers"), "content": request.get("body")}
    if not get:
        return await mor.http.request(request["method"], path, **given)
    surface = Surface(mor.engine.services, mor.engine.charging, MorRules(get=True))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(surface), base_url="http://test") as http:
        return await http.request(request["method"], path.removeprefix("/billing/api"), **given)


def check(answer: httpx.Response, expected: dict[str, Any]) -> None:
    """Whether an answer is what a case expects of it."""
    assert answer.status_code == expected["status"], answer.text
    assert answer.status_code != expected.get("not_status")
    for name, value in expected.get("headers", {}).items():
        assert answer.headers[name].startswith(value)
    if not {"xml", "xml_document", "xml_count"} & expected.keys():
        return
    root = fromstring(answer.content)
    for path, text in expected.get("xml", {}).items():
        assert root.findtext(below(root, path)) == text, answer.text
    for path, count in expected.get("xml_count", {}).items():
        assert len(root.findall(below(root, path))) == count, answer.text
    if document := expected.get("xml_document"):
        assert plain(root) == plain(fromstring(document.encode())), answer.text


def below(root: Element, path: str) -> str:
    """A path from the document's root as one from its root element."""
    first, _, rest = path.removeprefix("/").partition("/")
    assert root.tag == first
    return rest


def plain(element: Element) -> tuple[object, ...]:
    """An element without the white space between elements."""
    text = (element.text or "").strip()
    return element.tag, tuple(sorted(element.attrib.items())), text, tuple(map(plain, element))


async def test_every_case_of_the_document_is_there_in_its_order():
    numbers = [int(re.sub(r"\D", "", case["id"])) for case in CASES]
    assert numbers == sorted(numbers)
    assert len(CASES) == 111


async def test_the_lists_of_a_user_refuse_calls_with_the_documented_causes(mor):
    """10000 is the line of `listed`, whose number 4930500 is called; 79010000001 is in the pool, 79020000002 is not."""
    use, pool_of = mor.operator, {"is in its pool": "with", "is not in its pool": "without"}
    await use.parties.create(NewParty("listed"))
    await use.accounts.create(NewAccount("10000", "retail", balance=Decimal(10), owner="listed"))
    await use.dids.add(NewDid("4930500", "listed"))
    for pool, number in (("with", "79010000001"), ("without", "79020000002")):
        await use.number_pools.add(NewNumberPool(pool))
        await use.number_pools.put(pool, [pool_number(number)])
    assert len(LISTED) == 4
    for case in LISTED:
        setup, prepares = case["setup"], case["request"]["path"] == "callPrepare"
        side = ListSide.DESTINATION if "destination list" in setup else ListSide.SOURCE
        kind = ListKind.BLACKLIST if "blacklist" in setup else ListKind.WHITELIST
        pool = next(pool for text, pool in pool_of.items() if setup.endswith(text))
        await use.number_pools.set_list("listed", side, NumberList(kind, pool))
        arguments = ["10000", "79010000001"] if prepares else ["4930500", "79010000001"]
        said = await agi_call(
            "127.0.0.1", mor.engine.fastagi.port, case["request"]["path"], arguments, uniqueid=case["id"]
        )
        assert said | {f"RATING_{name}": text for name, text in case["expect"]["variables"].items()} == said
        await use.number_pools.set_list("listed", side, None)


# The documented errors that no case asks for: function, what is sent, by whom, and the text. Group 1 is there.
RANGE = {"card_group_id": "1", "cards_from": "1000000025", "cards_till": "1000000035"}
OTHERS = (
    ("calling_cards_create", {**RANGE, "cards_from": "12"}, "admin", "Cards from is in incorrect format"),
    ("calling_cards_create", {**RANGE, "cards_till": "x"}, "admin", "Cards till is in incorrect format"),
    ("calling_card_update", {"card_id": "1"}, "acc", "You are not authorized to use this functionality"),
    ("calling_cards_get", {"number": "9"}, "admin", "Cards were not found"),
    ("cc_group_create", {"name": "h", "date_from": "x"}, "admin", "Invalid date from"),
    ("cc_group_create", {"name": "h", "date_till": "x"}, "admin", "Invalid date till"),
    ("cc_group_update", {"cc_Group_id": "1"}, "user1", "Access Denied"),
    ("cc_group_update", {"cc_Group_id": "1"}, "nobody", "Bad login"),
    ("cc_group_update", {"cc_Group_id": "x"}, "admin", "Wrong Card Group ID"),
    ("cc_group_update", {"cc_Group_id": "1", "tariff_id": "999999"}, "admin", "Invalid Tariff id"),
    ("cc_group_update", {"cc_Group_id": "1", "dialplan_id": "999999"}, "admin", "Invalid Dialplan id"),
    ("cc_group_update", {"cc_Group_id": "1", "date_from": "x"}, "admin", "Invalid date from"),
    ("cc_group_update", {"cc_Group_id": "1", "use_external_function": "2"}, "admin",
     "Invalid use external function parameter, should be: 0 or 1"),
    ("cc_group_update", {"cc_Group_id": "1", "disable_voucher": "2"}, "admin",
     "Invalid disable voucher parameter, should be: 0 or 1"),
    ("cc_groups_get", {}, "acc", "You are not authorized to use this functionality"),
    ("did_details_update", {"did_id": "999999"}, "admin", "DID was not found"),
)  # fmt: skip


async def test_every_documented_error_is_reached(mor):
    await settle(mor, "card group 1")
    for function, given, u, text in OTHERS:
        assert await mor.error(function, u=u, **given) == text, (function, given)

    reached = {(function, text) for function, _, _, text in OTHERS}
    reached |= {(function_of(case), text) for case in OVER_HTTP for text in case["expect"].get("xml", {}).values()}
    documented = [each for each in FUNCTIONS.values() if each.source is Source.DOCUMENTED]
    printed = {(each.name, text) for each in documented for text in each.errors if text != "Tax was not found"}
    assert len(printed) == 75
    assert printed <= reached
