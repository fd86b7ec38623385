"""The requests and replies that follow from the document, of the methods that are made: cases.json, in its order.

All cases ask one installation: what a case changes, those after it have to bear; those that end something come last.
Who begins in the midst of them (a worker that was given the rest of the file) asks those before it first.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from rating_engine.domain.account import AccountChanges, NewAccount, NewSubscriber
from rating_engine.domain.api_key import AuthBy, KeyKind, NewKey
from rating_engine.domain.ban import WHITELIST
from rating_engine.domain.call_rules import Action, CallRule
from rating_engine.domain.did import NewDid, NewPool, PoolChanges
from rating_engine.domain.exchanges import NewExchange
from rating_engine.domain.message import MessageKind, MessagePrice
from rating_engine.domain.numbering import Alias
from rating_engine.domain.party import Level, NewParty, PartyChanges, PartyKind, PartyState
from rating_engine.domain.price_list import BillType
from rating_engine.domain.sip_account import SipChanges
from rating_engine.domain.tariff import Direction, RouteChanges
from rating_engine.rating.rate import Rate
from rating_engine.services.catalogue import UseCases
from rating_engine.storage.postgres.pool import Database
from tests.support.engines import engine_on
from tests.support.gateway import gateway_on
from tests.support.narayana import Narayana
from tests.support.servers import SessionServers
from tests.support.speech import speaker
from tests.support.world import publish_deck

CASES: list[dict[str, Any]] = json.loads(Path(__file__).with_name("cases.json").read_text("utf-8"))
SECRET_KEY = base64.urlsafe_b64encode(bytes(32)).decode()
SHORT = "ffffffff"  # the document's key; none so short is made here

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def installation(
    session_servers: SessionServers, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Narayana, Database, set[str]]]:
    with session_servers.database() as url:
        async with (
            gateway_on() as gateway,
            engine_on(
                url,
                secret_keys=(SECRET_KEY,),
                payment_minimal="5",
                payment_minimal_start="10",
                message_carriers=(
                    f"acme http http://127.0.0.1:{gateway.port}/?{{text}}",
                    f"where hlr http://127.0.0.1:{gateway.port}/?{{to}}",
                ),
                gsm_providers=(f"test sms http://127.0.0.1:{gateway.port}/?{{text}}",),
                speech_program=speaker(tmp_path_factory.mktemp("speech")),
            ) as engine,
        ):
            assert engine.http is not None
            host, port = engine.http.address
            database = Database(url)
            await database.open()
            async with httpx.AsyncClient(base_url=f"http://{host}:{port}", timeout=30) as http:
                narayana = Narayana(engine, http)
                narayana.gateway = gateway
                await furnish(narayana, database)
                yield narayana, database, set()
            await database.close()


async def furnish(narayana: Narayana, database: Database) -> None:
    """What the generic setup says: callers of each level, what they own, keys, a price and a route."""
    # What the document's examples name by number: tariffs 1 and 2 of the caller, routes 10 and 11, direction 600.
    await database.fetch(
        "INSERT INTO tariffs (tariff_id, name, currency, is_public) OVERRIDING SYSTEM VALUE "
        "VALUES (1, 'corp/one', 'EUR', true), (2, 'corp/two', 'EUR', false), (3, 'sold', 'EUR', true)"
    )
    await database.fetch("SELECT setval(pg_get_serial_sequence('tariffs', 'tariff_id'), 100)")
    await publish_deck(database, rates={"7901": Rate(price_1="0"), "7902": Rate(price_1="0")})
    use = narayana.operator
    await use.directions.set(Direction("somewhere", "Russia Mobile-Tele2"), ["7901", "7902"])
    await use.directions.set(Direction("megafon", "Russia Mobile - Megafon"), ["7927"])
    await database.fetch("UPDATE directions SET direction_id = 600 WHERE code = 'megafon'")
    await database.fetch("SELECT setval(pg_get_serial_sequence('routes', 'route_id'), 100)")
    await use.routes.add("route1-cli", RouteChanges(dial_prefix="outline/", position=1))
    await use.parties.create(NewParty("admin", PartyKind.ADMIN))
    await use.parties.create(NewParty("corp", PartyKind.RESELLER, tariff="retail"))
    for login, owner in (("10000", None), ("locked", None), ("test", "corp"), ("gone", "corp"),
                         ("second", None), ("phones", None)):  # fmt: skip
        await use.parties.create(NewParty(login, owner=owner))
    for login, line, balance in (
        ("admin", "20000", 1),
        ("10000", "10000", 1),
        ("test", "30000", 1),
        ("gone", "30001", 0),
    ):
        await use.accounts.create(
            NewAccount(line, "retail", balance=Decimal(balance), owner=login, callerid="79020000002")
        )
    await use.accounts.create(NewAccount("1000001", "retail", balance=Decimal(1), owner="10000"))
    await database.fetch(
        "UPDATE tariffs SET owner_id = parties.party_id FROM parties WHERE login = 'corp' AND tariffs.tariff_id < 3"
    )
    await database.fetch(
        "INSERT INTO routes (route_id, name, position, owner_id, shared) OVERRIDING SYSTEM VALUE "
        "SELECT number, 'corp.' || number, number, party_id, false FROM parties, unnest(ARRAY[1, 10, 11]) AS number "
        "WHERE login = 'corp'"
    )
    await database.fetch("INSERT INTO routes (route_id, name, position) OVERRIDING SYSTEM VALUE VALUES (7, 'other', 7)")
    await use.parties.change("corp", PartyChanges(tariff="corp/one"))
    await use.bill_types.add(BillType("custom", 0, 10))
    await use.accounts.create(NewAccount("40000", "retail", owner="phones"))
    await use.exchanges.add(NewExchange("pbx1", dns_name="sip.server.com"))
    await use.sip_accounts.change("40000", SipChanges(password="very-secret"))
    await use.parties.set_status("locked", PartyState.LOCKED)
    server = {"kind": KeyKind.SERVER, "level": Level.SERVER, "owner": "system"}
    for new in (
        NewKey("server", **server),
        NewKey("lines", auth_by=AuthBy.SIP_EXTENSION, **server),
        NewKey("few", methods=("getInfo",), **server),
        NewKey("client", owner="system"),
        NewKey("static", owner="system", default_user="test"),
        NewKey("TESTKEY1", **server),
        NewKey("greatest", **{**server, "level": Level.SYSTEM_SERVER}),
        NewKey("maintenance", **{**server, "level": Level.MAINTENANCE}),
    ):
        await narayana.add_key(new)
    await use.numbering.set_alias(Alias("10000", "111", "79010000001"))
    await give_numbers(use)
    await use.bans.add("192.0.2.1", permanent=True)  # flushing leaves it


async def give_numbers(use: UseCases) -> None:
    """A pool, and a number of the caller with two rules."""
    await use.parties.create(NewParty("user", owner="corp"))
    await use.did_pools.add(NewPool("Country", "Region"))
    await use.dids.add(NewDid("78005555550", "10000"))
    for rule in (CallRule(pattern="74955555550"), CallRule(action=Action.DISA)):
        await use.call_rules.add("78005555550", rule)


async def prepare(narayana: Narayana, database: Database) -> None:
    await narayana.ask("callPrepare", login="10000", destination="79020000002")


async def end_calls(narayana: Narayana, database: Database) -> None:
    await narayana.ask("callFinish", login="10000", destination="79010000001", length="0", status="0CANCEL")


async def with_another_callerid(narayana: Narayana, database: Database) -> None:
    await database.fetch("UPDATE subscribers SET callerid = '79010000001' WHERE login = '10000'")
    await prepare(narayana, database)


async def with_the_documents_key(narayana: Narayana, database: Database) -> None:
    await database.fetch(
        "UPDATE api_keys SET secret_hash = sha256($1), secure_only = false WHERE name = 'TESTKEY1'", SHORT.encode()
    )


async def with_a_pin(narayana: Narayana, database: Database) -> None:
    await database.fetch("INSERT INTO exchanges (name, realm) VALUES ('pbx9', 'pbx9')")
    await database.fetch(
        """INSERT INTO sip_accounts (bucket, subscriber_id, exchange_id, disa_pin)
           SELECT bucket, subscriber_id, exchange_id, '6666' FROM subscribers, exchanges
           WHERE login = '10000' AND name = 'pbx9'
           ON CONFLICT (bucket, subscriber_id) DO UPDATE SET disa_pin = '6666'"""
    )


async def with_prices(narayana: Narayana, database: Database) -> None:
    """Both numbers cost something for who has no money."""
    await publish_deck(database, "costly", rates={"7901": Rate(price_1="1"), "7902": Rate(price_1="1")})
    await database.fetch(
        "UPDATE subscribers SET tariff_id = (SELECT tariff_id FROM tariffs WHERE name = 'costly') WHERE login = '30001'"
    )


async def ticket_of(narayana: Narayana, argument: str) -> dict[str, str]:
    """A new ticket of the caller, or its message, in the place of the number that the document has."""
    ticket = await narayana.ask("createTicket", login="10000", message="Phone is not ringing!")
    (message,) = await narayana.ask("getTicket", login="10000", ticket=ticket)
    return {argument: message["msgid"] if argument == "id" else ticket}


async def of_nobody_there(narayana: Narayana, database: Database) -> None:
    await narayana.operator.did_pools.change(1, PoolChanges(provider="nobody"))


async def in_stock(narayana: Narayana, database: Database) -> None:
    await narayana.operator.did_pools.change(1, PoolChanges(provider="local"))
    await narayana.operator.dids.add(NewDid("7800555550", pool_id=1))


async def delete_gone(narayana: Narayana, database: Database) -> None:
    await narayana.operator.parties.delete("gone")


async def code_of(narayana: Narayana, balance: str) -> str:
    """A code of the caller's, who may make more."""
    await narayana.operator.parties.change("10000", PartyChanges(invites=5))
    return str(await narayana.ask("createPrepaidCode", login="10000", balance=balance))


async def with_money(narayana: Narayana, amount: str, refill_allowed: int = 2) -> None:
    """The caller has so much more, and its money moves or not."""
    await narayana.operator.accounts.adjust("10000", Decimal(amount), reason="a case")
    await narayana.operator.accounts.change("10000", AccountChanges(refill_allowed=refill_allowed))
    await narayana.operator.parties.change("10000", PartyChanges(invites=5))


async def whitelist(narayana: Narayana, database: Database) -> None:
    await narayana.operator.bans.add("127.0.0.1", source=WHITELIST)
    await read_bans(narayana)


async def guess_keys(narayana: Narayana, database: Database) -> None:
    for number in range(5):
        await narayana.raw("getInfo", key=f"guessed{number}")
    await read_bans(narayana)


async def guess_keys_without_protection(narayana: Narayana, database: Database) -> None:
    await narayana.operator.bans.remove("127.0.0.1", source=WHITELIST)
    await read_bans(narayana)
    await guess_keys(narayana, database)


async def read_bans(narayana: Narayana) -> None:
    narayana.engine.services.access.bans.changed()
    await narayana.engine.services.access.bans.turn()


async def add_sim(narayana: Narayana, database: Database) -> None:
    """The card of the document, with the PUKs of its examples."""
    puks = {"puk1": "1111", "puk2": "2222"}
    await narayana.ask("addSIM", login="admin", provider="test", iccid="89372", msisdn="79020000009", **puks)


async def answers(narayana: Narayana, answer: bytes, status: int = 200, price: str = "0") -> None:
    """What the carrier says of messages from now on, and what they cost."""
    assert narayana.gateway is not None
    narayana.gateway.answer, narayana.gateway.status = answer, status
    tariff_id = await narayana.engine.office.fetchval("SELECT tariff_id FROM tariffs WHERE name = 'retail'")
    for kind in (MessageKind.SMS, MessageKind.HLR):
        await narayana.operator.message_prices.set(tariff_id, MessagePrice(kind, "", Decimal(price)))


async def ask_to_pay(narayana: Narayana, database: Database) -> None:
    """An invoice of the caller; the first one is that of the examples."""
    await narayana.ask("createInvoice", login="10000", payment_method="manual", payment_type="bank", payment_amount="5")


async def add_newcomer(narayana: Narayana, database: Database) -> None:
    await narayana.operator.parties.create(NewParty("newcomer10", level=Level.SIMPLE_USER))
    await narayana.operator.accounts.create(NewAccount("60010", "retail", owner="newcomer10"))


async def add_extension(narayana: Narayana, database: Database) -> None:
    await narayana.operator.accounts.add_subscriber(NewSubscriber("12345", "10000"))


async def free_the_number(narayana: Narayana, database: Database) -> None:
    """The number of the example is that of other cases before."""
    await database.fetch("UPDATE subscribers SET login = 'before' WHERE login = '40000'")
    await database.fetch("DELETE FROM logins WHERE login = '40000'")
    await database.fetch("INSERT INTO logins VALUES ('before', 0)")
    await narayana.operator.accounts.create(NewAccount("60000", "corp/one", balance=Decimal(20), owner="corp"))


SETUPS: dict[str, Callable[[Narayana, Database], Awaitable[None]]] = {
    "narayana-034": prepare,
    "narayana-073": end_calls,
    "narayana-135": add_sim,
    "narayana-137": add_extension,
    "narayana-084": lambda narayana, database: answers(narayana, b"AAAAAAAAAAAAAAAA"),
    "narayana-085": lambda narayana, database: answers(narayana, b"OK,999881111111111,999,888,000000"),
    "narayana-215": lambda narayana, database: answers(narayana, b"no", 500),
    "narayana-216": lambda narayana, database: answers(narayana, b"AAAAAAAAAAAAAAAB"),
    "narayana-218": lambda narayana, database: answers(narayana, b"AAAAAAAAAAAAAAAC", price="0.01"),
    "narayana-120": ask_to_pay,
    "narayana-147": ask_to_pay,
    "narayana-226": add_newcomer,
    "narayana-092": free_the_number,
    "narayana-189": with_another_callerid,
    "narayana-207": with_the_documents_key,
    "narayana-219": of_nobody_there,
    "narayana-043": in_stock,
    "narayana-036": with_a_pin,
    "narayana-221": with_prices,
    "narayana-127": delete_gone,
    "narayana-078": lambda narayana, database: with_money(narayana, "20"),
    "narayana-190": lambda narayana, database: with_money(narayana, "-6"),
    "narayana-118": lambda narayana, database: with_money(narayana, "100"),
    "narayana-200": lambda narayana, database: with_money(narayana, "100", refill_allowed=0),
    "narayana-193": whitelist,
    "narayana-155": guess_keys,
    "narayana-154": guess_keys_without_protection,
}
KEYS = {
    "narayana-158": "few", "narayana-159": "client", "narayana-164": "static", "narayana-167": "lines",
    "narayana-188": "lines", "narayana-189": "lines", "narayana-145": "maintenance", "narayana-090": "greatest",
}  # fmt: skip
TICKETS = {
    "narayana-112": "ticket", "narayana-196": "ticket", "narayana-197": "ticket", "narayana-113": "ticket",
    "narayana-114": "id",
}  # fmt: skip
EMPTY = {"narayana-192", "narayana-194"}  # codes that carry nothing
ACCOUNTS = {"narayana-124": "test", "narayana-126": "test", "narayana-127": "gone", "narayana-199": "test"}


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
async def test_a_case_is_answered_as_it_has_to_be(installation, case):
    narayana, database, asked = installation
    for each in CASES[: CASES.index(case) + 1]:
        if each["id"] not in asked:
            asked.add(each["id"])
            answer = await answer_to(narayana, database, each)
    check(answer, case["expect"])


async def answer_to(narayana: Narayana, database: Database, case: dict[str, Any]) -> httpx.Response:
    """What a case is answered, after its own setup."""
    number = None
    if owner := ACCOUNTS.get(case["id"]):
        number = str((await narayana.operator.accounts.lines(owner))[0].account_id)
    if case["id"] == "narayana-014":  # tariff 1 is the reseller's here; one that he may choose is the system's
        case["request"]["query"]["id"] = "3"
    if case["id"] == "narayana-066":
        case["request"]["query"]["id"] = (await narayana.ask("getAliases", login="10000"))[0]["id"]
    if case["request"].get("query", {}).get("code") == "0" * 16:
        case["request"]["query"]["code"] = await code_of(narayana, "0" if case["id"] in EMPTY else "1")
    if case["id"] == "narayana-194":
        case["request"]["query"]["user"] = "newcomer"  # the document's own name is somebody's here
    if "destination" in case["request"].get("query", {}) and "amount" in case["request"]["query"]:
        receiver = (await narayana.operator.accounts.lines("test"))[0]
        case["request"]["query"]["destination"] = str(receiver.account_id)
    if case["id"] in TICKETS:
        case["request"]["query"] |= await ticket_of(narayana, TICKETS[case["id"]])
    if setup := SETUPS.get(case["id"]):
        await setup(narayana, database)
    request = case["request"]
    secret = narayana.keys[KEYS.get(case["id"], "server")]

    def filled(text: str) -> str:
        return text.replace("{key}", secret).replace("{caller}", case["caller"])

    query = {name: filled(value) for name, value in request.get("query", {}).items()}
    if number is not None:
        query["account"] = number
    async with httpx.AsyncClient(base_url=narayana.http.base_url, timeout=30) as http:
        return await http.request(
            request["method"], filled(request["path"]), params=query, headers=request.get("headers"),
            content=filled(request["body"]) if "body" in request else None,
        )  # fmt: skip


def check(answer: httpx.Response, expected: dict[str, Any]) -> None:
    """Whether an answer is what a case expects of it."""
    assert answer.status_code == expected["status"], answer.text
    assert expected.get("body_contains", "") in answer.text
    assert answer.content.startswith(expected.get("body_starts_with", "").encode())
    assert re.search(expected.get("body_matches", ""), answer.text), answer.text
    for name, begin in expected.get("headers", {}).items():
        assert answer.headers[name].startswith(begin)
    known = {"status", "body_contains", "body_matches", "headers", "fields", "response_is", "response_has_keys",
             "body_starts_with",
             "response_like", "response_matches"}  # fmt: skip
    assert expected.keys() <= known
    if not expected.keys() & {"fields", "response_is", "response_has_keys", "response_like", "response_matches"}:
        return
    envelope = answer.json()
    assert {name: envelope.get(name) for name in expected.get("fields", {})} == expected.get("fields", {}), envelope
    response = envelope.get("response")
    assert re.search(expected.get("response_matches", ""), str(response))
    if "response_is" in expected:
        assert isinstance(response, {"list": list, "object": dict}[expected["response_is"]])
    if keys := expected.get("response_has_keys"):
        assert set(keys) <= (response[0] if isinstance(response, list) else response).keys()
    if "response_like" in expected:
        assert len(re.split("[ &.]", response)) == len(re.split("[ &.]", expected["response_like"])), response
