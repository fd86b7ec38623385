"""Numbers over HTTP: pooled, ordered, renewed, ruled; each answer in the words of the document."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest
import pytest_asyncio

from rating_engine.domain.did import NewDid
from rating_engine.domain.number_lists import ListKind, ListSide, NewNumberPool, NumberList, pool_number
from tests.support.narayana import Narayana, narayana_on
from tests.support.servers import SessionServers

pytestmark = pytest.mark.asyncio(loop_scope="module")
DID = "4930123456"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def narayana(session_servers: SessionServers) -> AsyncIterator[Narayana]:
    with session_servers.database() as url:
        async with narayana_on(url) as narayana:
            yield narayana


async def balance(narayana: Narayana, login: str) -> Decimal:
    return (await narayana.operator.accounts.show(login)).balance


async def test_a_number_is_pooled_ordered_renewed_switched_and_given_up(narayana):
    await narayana.ask("addDIDPool", login="boss", country="Germany", area="Berlin", cost="2.5", installcost="1")
    (pool,) = await narayana.ask("getDIDPools", login="boss")
    await narayana.operator.dids.add(NewDid(DID, pool_id=pool["id"]))
    assert await narayana.ask("getDIDPool", login="anna") == [{"country": "Germany"}]
    assert await narayana.ask("getDIDPool", login="anna", country="Germany") == [{"area": "Berlin"}]
    (offered,) = await narayana.ask("getDIDPool", login="anna", country="Germany", area="Berlin", search_pattern="123")
    assert (offered["did"], offered["cost"], offered["displayinstallcost"]) == (DID, 2.5, 1)

    await narayana.ask("orderDID", login="anna", pool_id=str(pool["id"]), did=DID)
    assert await narayana.code("orderDID", login="otto", pool_id=str(pool["id"]), did=DID) == "E_DID_ORDER_FAIL"
    assert await balance(narayana, "1001") == Decimal("6.5")
    (own,) = await narayana.ask("getDIDList", login="anna")
    assert (own["did"], own["owner"], own["auto_renew"], own["enabled"]) == (int(DID), "anna", True, True)
    assert (await narayana.ask("getInfo", login="anna"))["did_numbers"][0]["did"] == int(DID)

    first = own["expiration"]
    await narayana.ask("renewDID", login="firm", did=DID)
    assert (await narayana.ask("getDIDInfo", login="firm", did=f"+{DID}"))["expiration"] > first
    assert await balance(narayana, "1001") == Decimal(4)
    assert await narayana.ask("getDIDCount", login="anna", did=DID) == "1"
    await narayana.ask("updateDIDState", login="anna", did=DID, parameter="enabled", state="false")
    assert await narayana.ask("getDIDCount", login="anna", did=DID) == "0"
    await narayana.ask("updateDIDState", login="anna", did=DID, state="true")
    await narayana.ask("updateDIDState", login="anna", did=DID, parameter="auto_renew", state="false")
    assert not (await narayana.ask("getDIDList", login="anna"))[0]["auto_renew"]
    for _ in range(2):
        code = (await narayana.raw("renewDID", login="boss", did=DID)).json().get("response")
    assert code == "E_INSUFFICIENT_MONEY"
    await narayana.ask("deleteDID", login="firm", did=DID)
    assert await narayana.ask("getDIDList", login="anna") == []
    for method in ("getDIDInfo", "deleteDID"):
        for login in ("boss", "firm"):
            assert await narayana.code(method, login=login, did=DID) == "E_NOT_EXIST"
    # A reseller takes a number of its users for itself, and gives it on; what it costs then is not its to say.
    await narayana.ask("addDID", login="firm", did=DID, owner="anna", cost="3")
    await narayana.ask("updateDID", login="firm", did=DID, owner="firm")
    assert await narayana.code("updateDID", login="firm", did=DID, cost="0") == "E_INSUFFICIENT_ACCESS"
    assert await narayana.code("updateDID", login="firm", did=DID, expiration="2099-01-01") == "E_INSUFFICIENT_ACCESS"
    await narayana.ask("updateDID", login="firm", did=DID, owner="anna", comment="given on")
    assert (await narayana.ask("getDIDInfo", login="firm", did=DID))["owner"] == "anna"


async def test_rules_are_resolved_as_an_exchange_asks_for_them(narayana):
    did = "4930200"
    await narayana.ask("addDID", login="firm", did=did, owner="anna", comment="desk", cost="0")
    add = {"login": "anna", "did": did, "source": "number"}
    await narayana.ask("addDIDRule", **add, pattern="%", policy="ACCEPT", destination="1001", timeout="20")
    await narayana.ask("addDIDRule", **add, pattern="%", policy="ACCEPT", action="voicemail", condition="NOANSWER")
    await narayana.ask("addDIDRule", **add, pattern="4915%", policy="REJECT", position="start", action="hangup")

    async def resolve(**more: str) -> str:
        return str(await narayana.ask("resolveDIDRule", login="anna", did=did, **more))

    assert await resolve(callerid="4930999") == "SKIP 2"
    assert await resolve(callerid="4930999", rule="2") == "OK ACCEPT 1001 call - 1001 TRANSIT 20 - -"
    assert await resolve(callerid="+4915112") == "OK REJECT 1001 hangup - - TRANSIT 30 - -"
    assert await resolve(rule="3", status="16ANSWER") == "FIN"
    assert (await resolve(rule="3", status="19NOANSWER")).startswith("OK ACCEPT 1001 voicemail")
    assert await resolve(rule="4") == "FIN"
    await narayana.ask("updateDIDRule", login="anna", did=did, rule="3", pos="1", sms_action="internal")
    rules = await narayana.ask("getDIDRules", login="anna", did=did)
    assert next((rule["action"], rule["sms_action"]) for rule in rules) == ("voicemail", "internal")
    assert rules[2]["timeout"] == 20
    await narayana.ask("updateDIDRule", login="anna", did=did, rule="3", action="forward", destination="4940123")
    assert await resolve(rule="3") == f"OK ACCEPT 1001 forward - 4940123 {did} 20 - -"
    pools = narayana.operator.number_pools
    await pools.add(NewNumberPool("unwanted"))
    await pools.put("unwanted", [pool_number("4930999")])
    await pools.set_list("anna", ListSide.SOURCE, NumberList(ListKind.BLACKLIST, "unwanted"))
    assert (await resolve(rule="3", callerid="4930999")).startswith("OK REJECT 1001 hangup")
    await narayana.ask("deleteDIDRule", login="anna", did=did, rule="-1", pattern="4915%")
    assert len(await narayana.ask("getDIDRules", login="anna", did=did)) == 2


async def test_what_is_wrong_is_said_in_the_documents_codes(narayana):
    for number in ("4930301", "4930302"):
        await narayana.operator.dids.add(NewDid(number, "anna"))
    rule = {"login": "anna", "did": "4930301", "source": "number", "pattern": "%", "policy": "ACCEPT"}
    await narayana.ask("addDIDRule", **rule, action="number", destination="4930302")
    loop = "E_HAS_NO_ONE_TOLD_YOU_SHE_IS_NOT_BREATHING"
    for method, code, given in (
        ("addDIDRule", loop, {**rule, "did": "4930302", "action": "number", "destination": "4930301"}),
        ("addDIDRule", loop, {**rule, "action": "forward", "destination": "+4930301"}),
        ("addDIDRule", loop, {**rule, "did": "4930302", "action": "forward", "destination": "4930301"}),
        ("addDIDRule", "E_DATA_ABORT", {**rule, "action": "dance"}),
        ("addDIDRule", "E_DATA_ABORT", {**rule, "destination": "2001"}),
        ("addDIDRule", "E_DATA_ABORT", {**rule, "action": "playfile", "destination": "../voicemail/msg0000"}),
        ("addDIDRule", "E_DATA_ABORT", {**rule, "callerid": "4911833"}),
        ("addDIDRule", "E_DATA_ABORT", {**rule, "timeout": "99999"}),
        ("addDIDRule", "E_DATA_ABORT", {**rule, "pattern": "9" * 5000}),
        ("addDIDRule", "E_SIP_SERVER_NOT_EXIST", {**rule, "server": "nowhere"}),
        ("addDIDRule", "E_INVALID_ARGUMENT", {**rule, "policy": "MAYBE"}),
        ("addDIDRule", "E_MISSING_ARGUMENT", {**rule, "pattern": ""}),
        ("updateDIDRule", "E_NOT_EXIST", {"login": "anna", "did": "4930301", "rule": "7"}),
        ("updateDIDRule", "E_DATA_ABORT", {"login": "anna", "did": "4930301", "rule": "1", "pos": "-4"}),
        ("deleteDIDRule", "E_MISSING_ARGUMENT", {"login": "anna", "did": "4930301", "rule": "-1"}),
        ("getDIDRules", "E_NOT_EXIST", {"login": "anna", "did": "4930301", "rule": "7"}),
        ("getFilters", "E_NOT_EXIST", {"login": "anna", "resolver": "moon"}),
        ("getDIDInfo", "E_NOT_EXIST", {"login": "boss", "did": "4999"}),
        ("addDID", "E_DATA_ABORT", {"login": "boss", "did": "4930301", "owner": "otto"}),
        ("addDID", "E_DATA_ABORT", {"login": "boss", "did": "12", "owner": "otto"}),
        ("addDID", "E_DATA_ABORT", {"login": "boss", "did": "4930777", "owner": "otto", "cost": "-1"}),
        ("addDID", "E_INVALID_ARGUMENT", {"login": "boss", "did": "4930777", "owner": "otto", "expiration": "soon"}),
        ("addDID", "E_NOT_EXIST", {"login": "boss", "did": "4930777", "owner": "nobody"}),
        ("updateDID", "E_INSUFFICIENT_ACCESS", {"login": "anna", "did": "4930301", "comment": "x"}),
        ("orderDID", "E_NOT_EXIST", {"login": "anna", "did": "4930777", "pool_id": "77"}),
        ("orderDID", "E_NOT_EXIST", {"login": "anna", "did": "x" * 300, "pool_id": "77"}),
        ("addDIDPool", "E_DATA_ABORT", {"login": "boss", "country": "x", "area": "y", "qty": "0"}),
        ("addDIDPool", "E_DATA_ABORT", {"login": "boss", "country": "x", "area": "y", "pass": "secret"}),
        ("updateDIDPool", "E_NOT_EXIST", {"login": "boss", "id": "77"}),
        ("getDIDPools", "E_INSUFFICIENT_ACCESS", {"login": "firm"}),
    ):
        assert await narayana.code(method, **given) == code, (method, given)
