"""Narayana's section SMS over HTTP: what each method answers, to whom, and every error it can give."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from rating_engine.domain.api_key import KeyKind, NewKey
from rating_engine.domain.message import MessageKind, MessagePrice
from rating_engine.domain.party import Level, NewParty, PartyKind
from tests.support.gateway import Gateway, gateway_on
from tests.support.narayana import Narayana, narayana_on

TO = "4915112345678"


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    async with gateway_on() as gateway:
        yield gateway


@pytest.fixture
async def narayana(database_url: str, gateway: Gateway) -> AsyncIterator[Narayana]:
    """Messages to 49 by `acme`, to 7 by loopback, at 0.10 a part and 0.01 a query; the key `full` has level 95."""
    carriers = (
        f"acme http http://127.0.0.1:{gateway.port}/?to={{to}}&text={{text}} to=49",
        f"where hlr http://127.0.0.1:{gateway.port}/hlr?{{to}} ok=^OK,(.+)",
        "demo loopback to=7",
    )
    async with narayana_on(database_url, message_carriers=carriers) as narayana:
        narayana.gateway = gateway
        tariff_id = await narayana.engine.office.fetchval("SELECT tariff_id FROM tariffs WHERE name = 'retail'")
        for kind, price in ((MessageKind.SMS, "0.10"), (MessageKind.HLR, "0.01")):
            await narayana.operator.message_prices.set(tariff_id, MessagePrice(kind, "", Decimal(price)))
        await narayana.operator.parties.create(NewParty("chief", PartyKind.ADMIN))
        await narayana.add_key(NewKey("full", KeyKind.SERVER, Level.SYSTEM_SERVER, owner="boss"))
        yield narayana


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


async def test_every_error_of_the_section(narayana, gateway):
    """A table, since each needs nothing but the one installation: what is asked, by whom, and the code."""
    otto = await narayana.ask("sendSMS", login="otto", to="7901", text="mine")
    await narayana.engine.office.fetch("UPDATE message_prices SET prefix = '8' WHERE kind = 'hlr'")
    huge = "1" * 40
    before = await balance(narayana)
    gateway.status = 403
    sms = {"to": TO, "text": "x"}
    for method, given, code in (
        ("sendSMS", {"text": "x"}, "E_MISSING_ARGUMENT"),
        ("sendSMS", {"to": TO}, "E_MISSING_ARGUMENT"),
        ("sendSMS", {"to": TO, "text": ""}, "E_MISSING_ARGUMENT"),
        ("sendSMS", {**sms, "to": "abc"}, "E_INVALID_SMS_TO"),
        ("sendSMS", {**sms, "to": "12"}, "E_INVALID_SMS_TO"),
        ("sendSMS", {**sms, "to": huge}, "E_INVALID_SMS_TO"),
        ("sendSMS", {**sms, "callerid": "not a sender!"}, "E_INVALID_SMS_FROM"),
        ("sendSMS", {**sms, "callerid": "twelve chars"}, "E_INVALID_SMS_FROM"),
        ("sendSMS", {**sms, "callerid": "4999"}, "E_DOES_NOT_BELONG_TO_YOU"),
        ("sendSMS", {**sms, "callerid": "MyBank"}, "E_DOES_NOT_BELONG_TO_YOU"),
        ("sendSMS", {**sms, "text": "x" * 4_001}, "E_DATA_ABORT"),
        ("sendSMS", {**sms, "text": "я" * 1_341}, "E_DATA_ABORT"),  # 21 parts
        ("sendSMS", {**sms, "callid": "x" * 201}, "E_DATA_ABORT"),
        ("sendSMS", sms, "E_CARRIER_ERROR"),  # it refuses
        ("sendSMS", {**sms, "to": "331234"}, "E_CARRIER_ERROR"),  # nobody serves it
        ("sendHLR", {}, "E_MISSING_ARGUMENT"),
        ("sendHLR", {"to": "x"}, "E_INVALID_SMS_TO"),
        ("sendHLR", {"to": "49301"}, "E_UNROUTABLE"),  # it has no price
        ("sendHLR", {"to": "89301"}, "E_CARRIER_ERROR"),
        ("deliveryReport", {"id": otto}, "E_DOES_NOT_BELONG_TO_YOU"),
        ("deliveryReport", {"id": "77777"}, "E_NOT_EXIST"),
        ("deliveryReport", {"id": huge}, "E_NOT_EXIST"),
        ("deliveryReport", {"id": "uniqueid"}, "E_NOT_EXIST"),
        ("deliveryReport", {}, "E_MISSING_ARGUMENT"),
        ("setDeliveryReport", {"id": otto, "status": "1"}, "E_DOES_NOT_BELONG_TO_YOU"),
        ("setDeliveryReport", {"id": "77777", "status": "1"}, "E_NOT_EXIST"),
        ("setDeliveryReport", {"id": huge, "status": "1"}, "E_INVALID_ARGUMENT"),
        ("setDeliveryReport", {"id": "9" * 25, "status": "1"}, "E_DATA_ABORT"),
        ("setDeliveryReport", {"id": otto, "status": "2"}, "E_DATA_ABORT"),
        ("setDeliveryReport", {"id": otto}, "E_MISSING_ARGUMENT"),
        ("setDeliveryReport", {"id": "1.5", "status": "1"}, "E_INVALID_ARGUMENT"),
        ("getSMS", {"status": "x"}, "E_INVALID_ARGUMENT"),
        ("readSMS", {"status": "7"}, "E_DATA_ABORT"),
        ("readSMS", {"did": "4930999"}, "E_NOT_EXIST"),
        ("receiveDeliveryReport", {"id": "nobody's", "status": "DELIVERED"}, "E_NOT_EXIST"),
        ("receiveDeliveryReport", {"id": "1", "status": "FROBNICATED"}, "E_DATA_ABORT"),
        ("receiveDeliveryReport", {"id": "1", "status": "1", "msg_handler": "nobody"}, "E_NOT_EXIST"),
        ("receiveDeliveryReport", {"status": "1"}, "E_MISSING_ARGUMENT"),
    ):
        assert await narayana.code(method, key="full", login="anna", **given) == code, (method, given)
    assert await balance(narayana) == before
    assert await narayana.code("getSMS", login="anna") == "E_INSUFFICIENT_ACCESS"  # a key of level 50
    assert await narayana.code("receiveDeliveryReport", key="client", id="1", status="1") == "E_INSUFFICIENT_ACCESS"

    gateway.status = 200
    await narayana.operator.accounts.adjust("1001", -before + Decimal("0.09"), reason="spent")
    assert await narayana.code("sendSMS", login="anna", **sms) == "E_INSUFFICIENT_MONEY"
    await narayana.ask("updateUser", login="boss", user="anna", active="3")
    assert await narayana.code("sendSMS", login="anna", **sms) == "E_USER_LOCKED"
