"""The SMPP client against the server of another hand: messages, receipts, refusals, what comes in, outages."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest
import smpp34

from rating_engine.adapters.smpp_pdu import InvalidPdu, read_delivered, read_head
from rating_engine.domain.did import NewDid
from rating_engine.domain.message import (
    CarrierFailed,
    MessageFilter,
    MessageKind,
    MessagePrice,
    MessageState,
    NewMessage,
)
from rating_engine.domain.page import Cursor
from rating_engine.domain.principal import OPERATOR
from rating_engine.engine.engine import Engine
from rating_engine.services.catalogue import UseCases
from tests.support.engines import engine_on
from tests.support.resellers import House
from tests.support.smsc import RECEIPT, Smsc, smsc_on
from tests.support.waiting import until, until_holds
from tests.support.world import publish_deck

TO = "4915112345678"
NUMBER = "4930200"


@pytest.fixture
async def smsc() -> AsyncIterator[Smsc]:
    async with smsc_on() as smsc:
        yield smsc


@pytest.fixture
async def engine(database_url: str, smsc: Smsc) -> AsyncIterator[Engine]:
    """1001 with 10 EUR and the number 4930200; 0.10 a part; bound."""
    async with engine_on(database_url, message_carriers=(f"smsc smpp {smsc.url}",)) as engine:
        await publish_deck(engine.office)
        await House(engine.office).user("1001", "retail", "system", balance="10")
        await use(engine).dids.add(NewDid(NUMBER, "1001-user"))
        tariff_id = await engine.office.fetchval("SELECT tariff_id FROM tariffs")
        await use(engine).message_prices.set(tariff_id, MessagePrice(MessageKind.SMS, "", Decimal("0.10")))
        await until_holds(smsc.is_bound)
        yield engine


def use(engine: Engine) -> UseCases:
    return engine.services.of(OPERATOR)


async def balance(engine: Engine) -> Decimal:
    return (await use(engine).accounts.show("1001")).balance.normalize()


async def test_messages_go_and_come_by_smpp(engine, smsc):
    messages = use(engine).messages
    one = await messages.send(NewMessage("1001", TO, "Grüße {€}", "MyShop"))
    long = await messages.send(NewMessage("1001", TO, "я" * 68 + "ab", "4930"))

    first, *parts = smsc.got
    assert (one.state, one.carrier_id, long.carrier_id) == (
        MessageState.SENT,
        "id-1",
        "id-2",
    )
    assert (first.source_addr, first.source_addr_ton, first.destination_addr) == ("MyShop", 5, TO)
    assert (first.short_message, first.data_coding) == (b"Gr~\x1ee \x1b(\x1be\x1b)", 0)
    (part,) = parts  # 70 units are one
    assert (part.short_message, part.data_coding, part.source_addr_ton) == (("я" * 68 + "ab").encode("utf-16-be"), 8, 1)
    assert await balance(engine) == Decimal("9.8")

    very_long = await messages.send(NewMessage("1001", TO, "a" * 152 + "€" + "b" * 8, "4930"))
    head, tail = smsc.got[2:]
    assert (very_long.parts, head.esm_class, head.registered_delivery, tail.registered_delivery) == (2, 0x40, 0, 1)
    assert head.short_message[:3] == b"\x05\x00\x03"
    assert head.short_message[3] == tail.short_message[3]
    assert (head.short_message[4:6], tail.short_message[4:6]) == (b"\x02\x01", b"\x02\x02")
    assert (head.short_message[6:], tail.short_message[6:]) == (b"a" * 152, b"\x1be" + b"b" * 8)
    assert very_long.carrier_id == "id-4"  # whose receipt was asked for

    receipt = f"id:{very_long.carrier_id} sub:001 dlvrd:001 stat:DELIVRD err:000 text:aaa".encode()
    addresses = {"source_addr": TO, "destination_addr": "4930"}
    assert await smsc.deliver(**addresses, esm_class=RECEIPT, short_message=receipt) == smpp34.ESME_ROK
    assert (await messages.show(very_long.number)).state is MessageState.DELIVERED
    fields = [smpp34.Tlv(smpp34.TLV_RECEIPTED_MESSAGE_ID, b"id-1\0"), smpp34.Tlv(smpp34.TLV_MESSAGE_STATE, b"\x05")]
    assert await smsc.deliver(**addresses, esm_class=RECEIPT, tlvs=fields) == smpp34.ESME_ROK
    assert (await messages.show(one.number)).state is MessageState.UNDELIVERED

    from_somebody = {"source_addr": "331234", "destination_addr": NUMBER}
    assert await smsc.deliver(**from_somebody, short_message=b"Gr~\x1ee") == smpp34.ESME_ROK
    text, udh = ("я" * 80).encode("utf-16-be"), b"\x05\x00\x03\x07\x02"
    for place, content in ((2, text[120:]), (1, text[:120])):  # in whatever order
        answer = await smsc.deliver(
            **from_somebody, short_message=udh + bytes([place]) + content, esm_class=0x40, data_coding=8
        )
        assert answer == smpp34.ESME_ROK
    assert await smsc.deliver(source_addr="1", destination_addr="4999", short_message=b"x") == smpp34.ESME_RINVDSTADR
    came = (await messages.page(MessageFilter(number=NUMBER), Cursor())).items
    assert [(each.sender, each.text) for each in came] == [("331234", "я" * 80), ("331234", "Grüße")]


async def test_refusals_are_given_back_and_an_outage_is_waited_for(engine, smsc, database_url):
    messages = use(engine).messages
    smsc.refuses = smpp34.ESME_RINVDSTADR
    with pytest.raises(CarrierFailed, match="0x0b"):
        await messages.send(NewMessage("1001", TO, "x"))
    assert await balance(engine) == 10

    smsc.refuses = smpp34.ESME_RTHROTTLED
    waits = await messages.send(NewMessage("1001", TO, "later"))
    assert waits.state is MessageState.QUEUED
    smsc.refuses = 0
    (session,) = smsc.sessions.values()
    await session.unbind()
    await until_holds(lambda: not smsc.is_bound())
    await until_holds(smsc.is_bound)  # by itself
    await engine.office.fetch("UPDATE messages SET due_at = now() WHERE state = 'queued'")

    async def sent() -> bool:
        return (await messages.show(waits.number)).state is MessageState.SENT

    await until(sent)
    assert [event.short_message for event in smsc.got] == [b"later"]
    assert await balance(engine) == Decimal("9.9")


@pytest.mark.parametrize("length", [0, 15, 65_537, 2**32 - 1])
def test_a_length_that_no_pdu_has_is_refused(length):
    with pytest.raises(InvalidPdu):
        read_head(length.to_bytes(4, "big") + bytes(12))


def test_a_deliver_sm_that_ends_too_early_is_told():
    whole = b"\0\1\x01331234\0\1\x014930200\0\0\0\0\0\0\0\0\0\0\x14" + b"x" * 20
    assert read_delivered(whole).text == "x" * 20
    for size in range(len(whole)):
        with pytest.raises(InvalidPdu):
            read_delivered(whole[:size])
