"""Narayana's section SMS over HTTP: what each method answers, to whom, and every error it can give."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest

from rating_engine.domain.api_key import KeyKind, NewKey
from rating_engine.domain.call_rules import CallRule, Policy
from rating_engine.domain.did import NewDid
from rating_engine.domain.message import MessageKind, MessagePrice
from rating_engine.domain.party import Level, NewParty, PartyChanges, PartyKind
from rating_engine.services.messaging.incoming import COMES_BACK
from tests.support.gateway import Gateway, gateway_on
from tests.support.narayana import Narayana, narayana_on
from tests.support.speech import speaker, write_sound
from tests.support.waiting import until

TO = "4915112345678"


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    async with gateway_on() as gateway:
        yield gateway


@pytest.fixture
async def narayana(database_url: str, gateway: Gateway, tmp_path: Path) -> AsyncIterator[Narayana]:
    """Messages to 49 by `acme`, to 7 by loopback, at 0.10 a part and 0.01 a query; the key `full` has level 95."""
    carriers = (
        f"acme http http://127.0.0.1:{gateway.port}/?to={{to}}&text={{text}} to=49",
        f"where hlr http://127.0.0.1:{gateway.port}/hlr?{{to}} ok=^OK,(.+)",
        "demo loopback to=7",
    )
    async with narayana_on(
        database_url,
        message_carriers=carriers,
        webhook_private_hosts=("localhost",),
        speech_program=spoken(tmp_path),
        voice_directory=str(tmp_path),
    ) as narayana:
        narayana.gateway = gateway
        tariff_id = await narayana.engine.office.fetchval("SELECT tariff_id FROM tariffs WHERE name = 'retail'")
        for kind, price in ((MessageKind.SMS, "0.10"), (MessageKind.HLR, "0.01")):
            await narayana.operator.message_prices.set(tariff_id, MessagePrice(kind, "", Decimal(price)))
        await narayana.operator.parties.create(NewParty("chief", PartyKind.ADMIN))
        await narayana.add_key(NewKey("full", KeyKind.SERVER, Level.SYSTEM_SERVER, owner="boss"))
        yield narayana


def spoken(directory: Path) -> str:
    """A program that says a tenth of a second of silence, and cannot say `fail`."""
    sound = directory / "said.wav"
    write_sound(sound, bytes(4_410))
    return speaker(directory, f'grep -q fail "{directory}/said" && exit 1\ncat "{sound}"')


async def balance(narayana: Narayana) -> Decimal:
    return (await narayana.operator.accounts.show("1001")).balance.normalize()


async def test_a_message_is_sent_reported_and_listed(narayana, gateway):
    gateway.answer = b"abc-1"
    number = await narayana.ask("sendSMS", login="anna", to="+49 151 12345678", text="Hello World!", callid="one")
    again = await narayana.ask("sendSMS", login="anna", to=TO, text="Hello World!", callid="one")

    assert (number, len(gateway.asked), await balance(narayana)) == (again, 1, Decimal("9.9"))
    assert gateway.asked == [f"/?to={TO}&text=Hello%20World%21"]
    assert await narayana.ask("deliveryReport", login="anna", id=number) == "SMS Sent"
    await narayana.ask("receiveDeliveryReport", id="abc-1", status="DELIVERED")
    assert await narayana.ask("deliveryReport", login="anna", string=number) == "SMS Deliv"
    await narayana.ask("setDeliveryReport", key="full", login="anna", id=number, status="0")
    assert await narayana.ask("deliveryReport", login="firm", id=number) == "SMS Undeliv"
    (listed,) = await narayana.ask("getSMS", key="full", login="anna", status="0")
    assert {**listed, "date": ""} == {
        "id": number, "date": "", "src": "49301", "dest": TO, "msg": "Hello World!", "status": "0", "type": "out",
    }  # fmt: skip
    assert await narayana.ask("getSMS", key="full", login="anna", status="1") == []
    assert await narayana.ask("getSMS", key="full", login="otto") == []

    gateway.answer = b"OK,999881111111111,999,888,000000"
    assert await narayana.ask("sendHLR", login="anna", to="18005555550") == "OK,999881111111111,999,888,000000"
    assert await balance(narayana) == Decimal("9.89")
    await narayana.ask("addSIM", login="boss", iccid="893720", provider="nobody", msisdn="18005555550")
    await narayana.ask("sendHLR", login="anna", to="18005555550")
    card = await narayana.ask("getSIMInfo", login="boss", iccid="893720")
    assert card["lastnetwork"] == "999-888"

    # A notice to a card whose provider takes none goes by a carrier, and costs nobody anything.
    await narayana.ask("addSIM", login="boss", iccid="893721", provider="nobody", msisdn="4915100000001")
    await narayana.ask("notifySIM", login="boss", sim="893721", **{"from": "Shop", "text": "hi"})
    assert gateway.asked[-1] == "/?to=4915100000001&text=hi"
    notice = {"sim": "893720", "from": "Shop", "text": "hi"}
    assert await narayana.code("notifySIM", login="boss", **notice) == "E_CARRIER_ERROR"


async def test_the_event_log_and_the_statistics_have_messages_beside_calls(narayana, gateway):
    await narayana.operator.dids.add(NewDid("4930200", "anna"))
    await narayana.ask("receiveSMS", **{"from": "331", "to": "4930200", "text": "in", "id": "1"})
    called = {"login": "anna", "destination": "4912345", "callid": "1"}
    await narayana.ask("callPrepare", **called)
    await narayana.ask("callFinish", **called, length="60", status="16ANSWER")
    gateway.answer = b"OK,1,2,3,4"
    await narayana.ask("sendHLR", login="anna", to="18005555550")
    gateway.answer = b"abc-1"
    sent = await narayana.ask("sendSMS", login="anna", to=TO, text="я" * 71)
    gateway.status = 403
    assert await narayana.code("sendSMS", login="anna", to=TO, text="x") == "E_CARRIER_ERROR"
    await narayana.ask("sendSMS", login="otto", to="7901", text="another's")

    lost, sms, _, call, came = log = await narayana.ask("getLogs", login="anna", resolve_info="true")
    assert all(each.keys() == call.keys() for each in log)
    assert [(each["direction"], each["status"], each["cost"], each["destination"]) for each in log] == [
        ("SMS", "SMS Undeliv", 0, TO), ("SMS", "SMS Sent", 0.2, TO), ("HLR", "SMS Sent", 0.01, "18005555550"),
        (call["direction"], "16ANSWER", 0.6, "4912345"), ("SMS", "SMS Received", 0, "4930200"),
    ]  # fmt: skip
    assert {**sms, "date": "", "clientdate": "", "info": ""} == {
        "id": sent, "direction": "SMS", "route": "acme", "cost": 0.2, "displaycost": 0.2, "displaycurrency": "€",
        "date": "", "clientdate": "", "username": "anna", "status": "SMS Sent", "destination": TO, "time": "0",
        "callerid": "49301", "sip_extension": "1001", "info": "", "debug": "parts=2",
    }  # fmt: skip
    assert (came["callerid"], came["sip_extension"], "403" in lost["debug"]) == ("331", "1001", True)
    assert await narayana.ask("getLogs", login="anna", only_completed="true", resolve_info="true") == log[1:]
    assert await narayana.ask("getLogs", login="anna", limit="2", resolve_info="true") == log[:2]
    assert await narayana.ask("getLogs", login="firm") == []
    assert [each["id"] for each in await narayana.ask("getLogs", login="firm", user="anna", limit="2")] == [
        lost["id"], sent,
    ]  # fmt: skip

    stats = await narayana.ask("getStats", login="anna")
    names = ("sms_cost", "display_sms_cost", "call_cost", "other_cost", "total_cost")
    assert [stats["financials"][name] for name in names] == [0.21, 0.21, 0.6, 0, 0.81]
    names = ("total_calls", "total_sms", "success_sms", "success_sms_percent")
    assert [stats["stat"][name] for name in names] == [1, 3, 2, 66.66]

    await narayana.ask("deleteLogs", login="anna")
    assert await narayana.ask("getLogs", login="anna") == []
    gateway.status = 200
    again = await narayana.ask("sendSMS", login="anna", to=TO, text="later")
    assert [each["id"] for each in await narayana.ask("getLogs", login="anna")] == [again]
    assert len(await narayana.ask("getSMS", key="full", login="anna")) == 4


async def test_what_comes_in_is_kept_and_done_with_as_the_rules_of_the_number_say(narayana, gateway):
    use, office = narayana.operator, narayana.engine.office
    await use.parties.change("anna", PartyChanges(notify_email="anna@example.org"))
    await use.dids.add(NewDid("4930200", "anna"))
    rules = [  # the first one that matches who writes
        CallRule(pattern="4999%", policy=Policy.REJECT),
        CallRule(pattern="331", sms_action="mail"),
        CallRule(pattern="332", sms_action="forward", sms_destination=f"+{TO}"),
        CallRule(pattern="333", sms_action="http", sms_destination=f"http://localhost:{gateway.port}/crm"),
        CallRule(pattern="334", sms_action="internal"),
    ]
    for rule in rules:
        await use.call_rules.add("4930200", rule)
    gateway.answer = b"abc"
    for sender in ("330", "331", "332", "333", "334"):
        told = {"from": f"+{sender}", "to": "+49 30 200", "text": f"Hi from {sender}", "id": f"id-{sender}"}
        await narayana.ask("receiveSMS", **told)
        await narayana.ask("receiveSMS", **told)  # the carrier has not heard us
    assert await narayana.code("receiveSMS", **{"from": "49991", "to": "4930200", "text": "x"}) == "E_UNROUTABLE"

    async def done() -> bool:
        return not await office.fetch(
            "SELECT FROM messages WHERE state = 'queued' AND attempts = 0 OR state = 'sending'"
        )

    await until(done)
    (mail,) = await office.fetch("SELECT recipient, subject, body FROM mails")
    assert tuple(mail) == ("anna@example.org", "SMS from 331 to 4930200", "Hi from 331")
    assert sorted(gateway.asked) == [f"/?to={TO}&text=Hi%20from%20332", "/crm"]
    assert await balance(narayana) == Decimal("9.9")  # the one that was sent on
    states = await office.fetch("SELECT sender, state, error FROM messages WHERE direction = 'in' ORDER BY sender")
    assert [tuple(row)[:2] for row in states] == [
        ("330", "received"), ("331", "received"), ("332", "received"), ("333", "received"), ("334", "queued"),
    ]  # fmt: skip
    assert "has no telephone" in states[-1]["error"]  # and is tried again

    # The number that it was sent on to forwards to this one: it comes back once, and goes no further.
    await use.dids.add(NewDid("332", "otto"))
    told = {"from": "332", "to": "4930200", "text": "Hi from 332", "id": "id-back"}
    await narayana.ask("receiveSMS", **told)
    await until(done)
    assert await office.fetchval("SELECT error FROM messages WHERE reference LIKE '%id-back'") == COMES_BACK
    assert await balance(narayana) == Decimal("9.9")
    await office.fetch("DELETE FROM messages WHERE reference LIKE '%id-back'")

    listed = await narayana.ask("getSMS", key="full", login="anna", status="0")
    assert [each["src"] for each in listed if each["type"] == "in"] == ["334", "333", "332", "331", "330"]
    await narayana.ask("readSMS", login="otto")
    await narayana.ask("readSMS", login="anna", did="+49 30 200", status="0")
    listed = await narayana.ask("getSMS", key="full", login="anna", status="1")
    assert [each["src"] for each in listed] == ["334", "333", "332", "331", "330"]


HUGE = "1" * 40
SMS = {"to": TO, "text": "x"}
# What is asked by anna with a key of level 95 while the carrier refuses, and the code; {otto}: a message of otto's.
ERRORS = (
    ("sendSMS", {"text": "x"}, "E_MISSING_ARGUMENT"),
    ("sendSMS", {"to": TO}, "E_MISSING_ARGUMENT"),
    ("sendSMS", {"to": TO, "text": ""}, "E_MISSING_ARGUMENT"),
    ("sendSMS", {**SMS, "to": "abc"}, "E_INVALID_SMS_TO"),
    ("sendSMS", {**SMS, "to": "12"}, "E_INVALID_SMS_TO"),
    ("sendSMS", {**SMS, "to": HUGE}, "E_INVALID_SMS_TO"),
    ("sendSMS", {**SMS, "callerid": "not a sender!"}, "E_INVALID_SMS_FROM"),
    ("sendSMS", {**SMS, "callerid": "twelve chars"}, "E_INVALID_SMS_FROM"),
    ("sendSMS", {**SMS, "callerid": "4999"}, "E_DOES_NOT_BELONG_TO_YOU"),
    ("sendSMS", {**SMS, "callerid": "MyBank"}, "E_DOES_NOT_BELONG_TO_YOU"),
    ("sendSMS", {**SMS, "text": "x" * 4_001}, "E_DATA_ABORT"),
    ("sendSMS", {**SMS, "text": "я" * 1_341}, "E_DATA_ABORT"),  # 21 parts
    ("sendSMS", {**SMS, "callid": "x" * 201}, "E_DATA_ABORT"),
    ("sendSMS", SMS, "E_CARRIER_ERROR"),  # it refuses
    ("sendSMS", {**SMS, "to": "331234"}, "E_CARRIER_ERROR"),  # nobody serves it
    ("sendHLR", {}, "E_MISSING_ARGUMENT"),
    ("sendHLR", {"to": "x"}, "E_INVALID_SMS_TO"),
    ("sendHLR", {"to": "49301"}, "E_UNROUTABLE"),  # it has no price
    ("sendHLR", {"to": "89301"}, "E_CARRIER_ERROR"),
    ("deliveryReport", {"id": "{otto}"}, "E_DOES_NOT_BELONG_TO_YOU"),
    ("deliveryReport", {"id": "77777"}, "E_NOT_EXIST"),
    ("deliveryReport", {"id": HUGE}, "E_NOT_EXIST"),
    ("deliveryReport", {"id": "uniqueid"}, "E_NOT_EXIST"),
    ("deliveryReport", {}, "E_MISSING_ARGUMENT"),
    ("setDeliveryReport", {"id": "{otto}", "status": "1"}, "E_DOES_NOT_BELONG_TO_YOU"),
    ("setDeliveryReport", {"id": "77777", "status": "1"}, "E_NOT_EXIST"),
    ("setDeliveryReport", {"id": HUGE, "status": "1"}, "E_INVALID_ARGUMENT"),
    ("setDeliveryReport", {"id": "9" * 25, "status": "1"}, "E_DATA_ABORT"),
    ("setDeliveryReport", {"id": "{otto}", "status": "2"}, "E_DATA_ABORT"),
    ("setDeliveryReport", {"id": "{otto}"}, "E_MISSING_ARGUMENT"),
    ("setDeliveryReport", {"id": "1.5", "status": "1"}, "E_INVALID_ARGUMENT"),
    ("getSMS", {"status": "x"}, "E_INVALID_ARGUMENT"),
    ("readSMS", {"status": "7"}, "E_DATA_ABORT"),
    ("readSMS", {"did": "4930999"}, "E_NOT_EXIST"),
    ("receiveDeliveryReport", {"id": "nobody's", "status": "DELIVERED"}, "E_NOT_EXIST"),
    ("receiveDeliveryReport", {"id": "1", "status": "FROBNICATED"}, "E_DATA_ABORT"),
    ("receiveDeliveryReport", {"id": "1", "status": "1", "msg_handler": "nobody"}, "E_NOT_EXIST"),
    ("receiveDeliveryReport", {"status": "1"}, "E_MISSING_ARGUMENT"),
    ("receiveSMS", {"from": "1", "to": "4930999", "text": "x"}, "E_NOT_EXIST"),
    ("receiveSMS", {"from": "1", "to": "4930200", "text": "x"}, "E_NOT_EXIST"),  # it is switched off
    ("receiveSMS", {"from": "1", "to": "none", "text": "x"}, "E_INVALID_SMS_TO"),
    ("receiveSMS", {"from": "1", "to": "4930200"}, "E_MISSING_ARGUMENT"),
    ("receiveSMS", {"from": "x" * 41, "to": "4930200", "text": "x"}, "E_DATA_ABORT"),
    ("sendSIPMessage", {"to": "1001", "text": "x"}, "E_ASTERISK_QUERY_ERROR"),  # it has no telephone
    ("sendSIPMessage", {"to": "9999", "text": "x"}, "E_NOT_EXIST"),
    ("sendSIPMessage", {"to": "a b", "text": "x"}, "E_INVALID_SMS_TO"),
    ("sendSIPMessage", {"to": "1001", "text": "x", "callerid": "4999"}, "E_DOES_NOT_BELONG_TO_YOU"),
    ("sendSIPMessage", {"to": "1001", "text": "x", "callerid": "!"}, "E_INVALID_SMS_FROM"),
    ("sendSIPMessage", {"to": "1001", "text": "x" * 1_301}, "E_DATA_ABORT"),
    ("sendSIPMessage", {"to": "1001"}, "E_MISSING_ARGUMENT"),
    ("sendVoiceMessage", {"to": "4912345"}, "E_MISSING_ARGUMENT"),
    ("sendVoiceMessage", {"to": "abc", "text": "x"}, "E_INVALID_SMS_TO"),
    ("sendVoiceMessage", {"to": "331234", "text": "x"}, "E_UNROUTABLE"),  # it has no rate
    ("sendVoiceMessage", {"to": "4912345", "text": "x", "callerid": "4999"}, "E_DOES_NOT_BELONG_TO_YOU"),
    ("sendVoiceMessage", {"to": "4912345", "text": "x" * 1_001}, "E_DATA_ABORT"),
    ("sendVoiceMessage", {"to": "4912345", "text": "https://192.0.2.1/a.wav"}, "E_DATA_ABORT"),  # not listed
    ("sendVoiceMessage", {"to": "4912345", "text": "fail"}, "E_TTS_ERROR"),
    ("sendVoiceMessage", {"to": "4912345", "text": "x"}, "E_INITIATE_ASTERISK_CALL_FAIL"),  # no exchange is followed
    ("msgCallback", {"msisdn": "4911", "text": "1001 1111 4912345"}, "E_AUTH_FAILED"),  # no PIN is set
    ("msgCallback", {"msisdn": "4911", "text": "1001 1111"}, "E_DATA_ABORT"),
    ("msgCallback", {"msisdn": "4911", "text": "1 2 3 4 5 6"}, "E_DATA_ABORT"),
    ("msgCallback", {"text": "1001 1111 4912345"}, "E_MISSING_ARGUMENT"),
)


async def test_every_error_of_the_section(narayana, gateway):
    """A table, since each needs nothing but the one installation: what is asked, by whom, and the code."""
    await narayana.operator.dids.add(NewDid("4930200", "anna"))
    await narayana.operator.dids.set_state("4930200", enabled=False)
    otto = await narayana.ask("sendSMS", login="otto", to="7901", text="mine")
    await narayana.engine.office.fetch("UPDATE message_prices SET prefix = '8' WHERE kind = 'hlr'")
    before = await balance(narayana)
    gateway.status = 403
    for method, arguments, code in ERRORS:
        given = {name: value.replace("{otto}", otto) for name, value in arguments.items()}
        assert await narayana.code(method, key="full", login="anna", **given) == code, (method, given)
    assert await balance(narayana) == before
    assert await narayana.code("getSMS", login="anna") == "E_INSUFFICIENT_ACCESS"  # a key of level 50
    assert await narayana.code("receiveDeliveryReport", key="client", id="1", status="1") == "E_INSUFFICIENT_ACCESS"

    for method in ("receiveSMS", "msgCallback"):
        given = {"msisdn": "1", "text": "1001 1111 4912345"}
        assert await narayana.code(method, key="client", **given) == "E_INSUFFICIENT_ACCESS"

    gateway.status = 200
    await narayana.operator.accounts.adjust("1001", -before, reason="spent")
    assert await narayana.code("sendSMS", login="anna", **SMS) == "E_INSUFFICIENT_MONEY"
    voice = {"to": "4912345", "text": "x"}
    assert await narayana.code("sendVoiceMessage", login="anna", **voice) == "E_INSUFFICIENT_MONEY"
    await narayana.ask("updateUser", login="boss", user="anna", active="3")
    assert await narayana.code("sendSMS", login="anna", **SMS) == "E_USER_LOCKED"
