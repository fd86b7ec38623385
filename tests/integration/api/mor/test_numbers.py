"""Numbers that calls come in by, where they go on, rates and calls, by MOR's surface."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from rating_engine.domain.call_rules import Condition, InboundCall
from rating_engine.domain.exchanges import NewExchange
from rating_engine.domain.outcomes import Allowed, CallKey, FinishCall, PrepareCall
from rating_engine.domain.tariff import RouteChanges
from tests.support.mor import Mor, mor_on
from tests.support.servers import SessionServers

pytestmark = pytest.mark.asyncio(loop_scope="module")
NUMBER = "37051234567"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mor(session_servers: SessionServers) -> AsyncIterator[Mor]:
    with session_servers.database() as url:
        async with mor_on(url) as made:
            await made.operator.exchanges.add(NewExchange("pbx1", "192.0.2.10", "sip.example.com"))
            yield made


async def line_of(mor: Mor, login: str) -> int:
    return (await mor.operator.sip_accounts.show(login)).line_id


async def destination(mor: Mor, number: str, **asked: object) -> tuple[str, str]:
    """What is done with a call that comes in."""
    step = await mor.operator.call_rules.next(InboundCall(number, caller="4930", **asked))
    return step.rule.action.value, step.rule.destination


async def test_a_number_is_created_rings_a_device_is_limited_and_stopped(mor):
    route = await mor.operator.routes.add("carrier", RouteChanges(dial_prefix="outline/", position=1))
    provider = await mor.database.fetchval("SELECT route_id FROM routes WHERE name = 'carrier'")
    assert route is not None
    assert await mor.error("did_create", provider_id=999, did=NUMBER) == "Provider was not found"
    assert await mor.error("did_create", provider_id=provider, did="x") == "Invalid DID specified"
    root = await mor.ask("did_create", provider_id=provider, did=NUMBER)
    did = root.findtext("did_details/id")
    assert root.findtext("status/success") == "DID created"
    assert await mor.error("did_create", provider_id=provider, did=NUMBER) == "DID already exists"
    assert (await mor.ask("dids_get", search_did_number="3705%")).findtext("dids/did/status") == "free"
    assert await mor.error("did_subscription_stop", did_id=did) == "DID is not assigned to Device"
    assert await mor.error("did_device_unassign", did=NUMBER) == "DID is already free"

    device = await line_of(mor, "10001")
    assert await mor.error("did_device_assign", device_id=999, did=NUMBER) == "Device was not found"
    assert await mor.error("did_device_assign", device_id=device, did="111") == "DID was not found"
    assert await mor.done("did_assign_device", device_id=device, did=NUMBER) == "Device assigned to DID"
    assert await destination(mor, NUMBER) == ("call", "10001")
    assert await mor.error("did_device_assign", device_id=device, did=NUMBER) == "DID is not free"
    shown = (await mor.ask("dids_get", search_status="active")).find("dids/did")
    assert shown is not None
    assert [shown.findtext(name) for name in ("provider", "owner", "device", "simultaneous_call_limit")] == [
        "carrier", "anna", "SIP/10001", "Unlimited",
    ]  # fmt: skip

    assert (
        await mor.done("did_details_update", u="firm", did_id=did, call_limit=3) == "DID details successfully updated"
    )
    assert (await mor.operator.dids.show(NUMBER)).max_calls == 3
    assert (
        await mor.error("did_details_update", u="firm", did_id=did, call_limit="-1") == "Call limit is incorrect format"
    )
    assert await mor.error("did_details_update", u="other", did_id=did, call_limit=1) == "DID was not found"
    assert await mor.error("did_device_unassign", u="other", did=NUMBER) == "Your are not authorized to use this DID"

    assert await mor.done("did_device_unassign", u="firm", did=NUMBER) == "Device was unassigned from DID"
    assert (await mor.ask("dids_get", u="firm")).findtext("dids/did/status") == "reserved"
    assert await mor.done("did_device_assign", u="firm", device_id=device, did=NUMBER) == "Device assigned to DID"
    assert await mor.done("did_subscription_stop", u="firm", did_id=did) == "DID was successfully closed"
    assert (await mor.ask("dids_get", u="firm")).findtext("dids/did/status") == "closed"
    assert not (await mor.operator.dids.show(NUMBER)).enabled
    await mor.operator.dids.set_state(NUMBER, enabled=True, auto_renew=True)


async def test_a_quickforward_goes_before_all_else_and_is_taken_away(mor):
    root = await mor.ask("quickforwards_did_update", u="anna", did=NUMBER, forward_to="4930999", description="away")
    assert [each.text for each in root[0]] == [NUMBER, "4930999", "away"]
    assert await destination(mor, NUMBER) == ("forward", "4930999")
    assert (await mor.ask("quickforwards_dids_get", u="anna")).findtext("quick_forward_did/forward_to") == "4930999"
    await mor.ask("quickforwards_did_update", u="anna", did=NUMBER, forward_to="4930888")
    assert await destination(mor, NUMBER) == ("forward", "4930888")
    assert await mor.done("quickforwards_did_delete", u="anna", did=NUMBER) == "Quickforward successfully deleted"
    assert await destination(mor, NUMBER) == ("call", "10001")
    for u, given in (
        ("otto", {"did": NUMBER}),
        ("anna", {"did": "1"}),
        ("anna", {"did": NUMBER, "forward_to": "home"}),
    ):
        assert (
            await mor.error("quickforwards_did_update", u=u, **{"forward_to": "4930", **given}) == "DID was not found"
        )
    assert await mor.error("quickforwards_dids_get", u="otto") == "Quickforwards list is empty"
    assert await mor.error("quickforwards_did_delete", u="anna", did=NUMBER) == "DID was not found"


async def test_a_callflow_says_what_happens_when_the_phone_does_not_answer(mor):
    device = await line_of(mor, "10001")
    flow = {"device_id": device, "callflow_action": "forward"}
    done = "Callflow successfully updated"
    assert await mor.done("device_callflow_update", u="firm", **flow, state="busy", external_number="4930777") == done
    after = {"place": 1, "status": "BUSY"}
    assert await destination(mor, "line:10001", **after) == ("forward", "4930777")
    assert await mor.done("device_callflow_update", u="firm", device_id=device, callflow_action="voicemail",
                          state="no_answer") == done  # fmt: skip
    assert (
        await mor.done("device_callflow_update", u="firm", **flow, state="before_call", external_number="49301") == done
    )
    assert (await mor.operator.sip_accounts.show("10001")).redirect_to == "49301"
    flows = {
        each.findtext("state"): (each.findtext("action"), each.findtext("data1"))
        for each in (await mor.ask("device_callflow_get", u="anna", device_id=device)).findall("callflow")
    }
    assert flows == {
        "before_call": ("forward", "49301"), "answered": ("empty", ""), "busy": ("forward", "4930777"),
        "no_answer": ("voicemail", "10001"), "failed": ("empty", ""),
    }  # fmt: skip
    for state in ("busy", "no_answer", "before_call"):
        given = {"device_id": device, "callflow_action": "empty", "state": state}
        assert await mor.done("device_callflow_update", u="firm", **given) == done
    assert [rule for rule in await mor.operator.call_rules.list("line:10001") if rule.condition is Condition.BUSY] == []
    for given in ({"state": "asleep"}, {"state": "busy"}, {"state": "busy", "forward_to_device": 999}):
        assert await mor.error("device_callflow_update", u="firm", **flow, **given) == "Access Denied"
    assert await mor.error("device_callflow_update", u="other", **flow, state="busy") == "Device was not found"


async def test_a_rate_is_of_the_very_prefix_or_of_the_longest(mor):
    assert await mor.text("rate_get", "rate", username="anna", prefix="49") == "0.6#Somewhere#49"
    assert await mor.error("rate", username="anna", prefix="4930") == "Rate was not found"
    given = {"prefix": "4930", "by_full_dst": 1}
    assert await mor.text("rate_get", "rate", u="anna", username="anna", **given) == "0.6#Somewhere#49"
    assert await mor.error("rate_get", u="anna", username="otto", **given) == "User was not found"
    assert await mor.error("rate_get", username="anna", prefix="no digits") == "Rate was not found"


XML = """<page><tariff_name>imported</tariff_name><currency>EUR</currency><rates>
<rate><prefix>371</prefix><destination>Latvia</destination><tariff_rate>0.06</tariff_rate><con_fee>0.01</con_fee>
<min_time>60</min_time><increment>1</increment></rate>
<rate><prefix>372</prefix><destination>Estonia</destination><tariff_rate>{}</tariff_rate></rate></rates></page>"""


async def test_a_tariff_is_imported_from_xml_whole_or_not_at_all_and_read_again(mor):
    assert await mor.error("tariff_retail_import", xml=XML.format("cheap")) == "Access Denied"
    entity = '<!DOCTYPE page [<!ENTITY a "b">]>' + XML.format("0.05")
    assert await mor.error("tariff_retail_import", xml=entity) == "Access Denied"
    latin = '<?xml version="1.0" encoding="ISO-8859-1"?>' + XML.format("0.05").replace("Estonia", "Österreich")
    assert await mor.error("tariff_retail_import", xml=latin) == "Access Denied"  # it came as UTF-8
    assert await mor.error("tariff_retail_import", u="firm", xml=XML.format("0.05")) != "Tariff successfully imported"
    assert await mor.done("import_relail_tariff", xml=XML.format("0.05")) == "Tariff successfully imported"
    tariff = await mor.database.fetchval("SELECT tariff_id FROM tariffs WHERE name = 'imported'")
    rates = (await mor.ask("get_tariff", tariff_id=tariff)).findall("rates/rate")
    assert [[rate.findtext(name) for name in ("prefix", "tariff_rate", "con_fee", "min_time")] for rate in rates] == [
        ["371", "0.06", "0.01", "60"], ["372", "0.05", "0.0", "1"],
    ]  # fmt: skip
    assert await mor.error("tariff_rates_get", tariff_id=99999) == "No tariff found"
    assert await mor.text("tariff_rates_get", "tariff_name", u="anna") == "retail"  # of her line
    assert await mor.error("tariff_rates_get", u="anna", tariff_id=tariff) == "No tariff found"
    assert (await mor.ask("tariff_rates_get", user_id=(await mor.operator.parties.show("firm")).party_id)).findtext(
        "rates/rate/prefix"
    ) == "49"


async def test_a_wholesale_tariff_is_made_and_renamed(mor):
    root = await mor.ask("wholesale_tariff", name="whole", currency="EUR")
    number = root.findtext("response/tariff_id")
    assert root.findtext("response/status") == "ok"
    assert (await mor.ask("tariff_wholesale_update", id=number, name="sale")).findtext("response/status") == "ok"
    assert await mor.database.fetchval("SELECT name FROM tariffs WHERE tariff_id = $1", int(number or 0)) == "sale"
    assert (await mor.ask("tariff_wholesale_update", name="sale")).findtext("response/error/message")
    assert await mor.error("tariff_wholesale_update", id=99999, name="x") == "Tariff not found"
    own = (await mor.ask("tariff_wholesale_update", u="firm", name="mine")).findtext("response/tariff_id")
    assert await mor.error("tariff_wholesale_update", u="other", id=own, name="yours") == "Tariff not found"


async def test_calls_are_listed_by_user_device_and_how_they_ended(mor):
    for number, seconds, word in (("4930111", 7, "ANSWER"), ("4930222", 0, "BUSY")):
        call = PrepareCall(CallKey("pbx", number), "10001", number)
        assert isinstance(await mor.engine.charging.prepare_call(call), Allowed)
        await mor.engine.charging.finish_call(FinishCall(call.call_key, "10001", number, seconds, word))
    anna = (await mor.operator.parties.show("anna")).party_id
    for u, given, numbers in (
        ("admin", {"s_user": anna, "order_by": "dst"}, ["4930111", "4930222"]),
        ("firm", {"s_call_type": "busy"}, ["4930222"]),
        ("anna", {"calltype": "answered"}, ["4930111"]),
        ("anna", {"direction": "incoming"}, []),
        ("anna", {"device": await line_of(mor, "10001"), "s_destination": "49302%"}, ["4930222"]),
        ("otto", {}, []),
        ("anna", {"period_start": 1, "period_end": 2}, []),
    ):
        calls = (await mor.ask("user_calls", u=u, **given)).findall("calls/call")
        assert [call.findtext("called_to") for call in calls] == numbers
    assert await mor.error("user_calls_get", u="otto", user_id=anna) == "User was not found"
    far = {"period_start": 1, "period_end": int(time.time())}
    assert await mor.error("user_calls_get", u="otto", **far) == "Access Denied"


async def test_a_callback_that_no_exchange_begins_is_a_bad_device(mor):
    device = await line_of(mor, "10001")
    assert await mor.error("callback_init", u="anna", device=999, src="1") == "Bad device"
    assert await mor.error("callback_init", u="anna", device=device) == "No source"
    assert await mor.error("callback_init", u="anna", device=device, src="home") == "No source"
    assert await mor.error("callback", u="anna", device=device, src="4930", dst="4931") == "Bad device"
    assert await mor.error("callback_init", u="otto", device=device, src="4930", dst="4931") == "Bad device"
    assert await mor.error("callback_init", u="anna", device=device, src="1", hash="0") == "Not authenticated"
