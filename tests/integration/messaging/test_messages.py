"""Messages: what they cost on every level, whom they are handed to, and that nobody pays for what was not sent."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from urllib.parse import parse_qs, urlsplit

import pytest

from rating_engine.adapters.carriers import carriers_of
from rating_engine.domain.account import AccountChanges
from rating_engine.domain.errors import AlreadyExists, NotYours
from rating_engine.domain.message import (
    CarrierFailed,
    MessageDeclined,
    MessageDimension,
    MessageFilter,
    MessageKind,
    MessagePrice,
    MessageState,
    NewMessage,
)
from rating_engine.domain.outcomes import DeclineReason
from rating_engine.domain.page import Cursor
from rating_engine.domain.party import PartyState
from rating_engine.domain.principal import OPERATOR, principal_of
from rating_engine.domain.tariff_card import TariffChanges
from rating_engine.engine.engine import Engine
from rating_engine.services.calls.ports import utc_now
from rating_engine.services.catalogue import UseCases
from rating_engine.services.messaging.handing import MessageQueue
from rating_engine.services.messaging.messages import Messages
from rating_engine.storage.messages import messages as store
from tests.support.engines import engine_on
from tests.support.gateway import Gateway, gateway_on
from tests.support.resellers import House
from tests.support.waiting import until_holds
from tests.support.world import publish_deck

SMS = MessageKind.SMS
TO = "4915112345678"


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    async with gateway_on() as gateway:
        yield gateway


@pytest.fixture
async def engine(database_url: str, gateway: Gateway) -> AsyncIterator[Engine]:
    """A reseller who pays 0.05 a part, and its user 1001 who pays 0.10 (0.20 to 4915); numbers of 4916 by `http`."""
    async with engine_on(database_url, message_carriers=("demo loopback", acme(gateway.port))) as engine:
        for tariff in ("retail", "bulk"):
            await publish_deck(engine.office, tariff)
        house = House(engine.office)
        await house.reseller("firm", "bulk", balance="10")
        await house.user("1001", "retail", "firm", balance="1")
        for tariff, prefix, price in (("bulk", "", "0.05"), ("retail", "", "0.10"), ("retail", "4915", "0.20")):
            tariff_id = await engine.office.fetchval("SELECT tariff_id FROM tariffs WHERE name = $1", tariff)
            await use(engine).message_prices.set(tariff_id, MessagePrice(SMS, prefix, Decimal(price)))
        yield engine


def acme(port: int) -> str:
    """A carrier of numbers of 4916, asked at a port."""
    url = f"http://127.0.0.1:{port}/send?to={{to}}&from={{from}}&text={{text}}&ref={{id}}"
    return f"acme http {url} to=4916 ok=^OK:(.+)$"


def sending_by(engine: Engine, *carriers: str) -> Messages:
    """What an operator sends where there are these carriers alone."""
    return Messages(engine.office, OPERATOR, carriers_of(carriers), utc_now)


def use(engine: Engine) -> UseCases:
    return engine.services.of(OPERATOR)


async def balances(engine: Engine) -> tuple[Decimal, Decimal]:
    """Of the user and of its reseller."""
    user, firm = [(await use(engine).accounts.show(login)).balance for login in ("1001", "firm-money")]
    return user.normalize(), firm.normalize()


def new(to: str = TO, text: str = "Hello", **values: str) -> NewMessage:
    return NewMessage("1001", to, text, **{"sender": "4930", **values})


async def test_each_level_pays_its_own_price_of_each_part_once(engine):
    one = await use(engine).messages.send(new(reference="order-1"))
    two_parts = await use(engine).messages.send(new("4940123", "я" * 71))
    again = await use(engine).messages.send(new(reference="order-1"))

    assert (one.state, one.carrier, one.parts, one.price) == (MessageState.SENT, "demo", 1, Decimal("0.2"))
    assert (two_parts.parts, two_parts.price, two_parts.encoding) == (2, Decimal("0.2"), "ucs2")
    assert again == one
    assert await balances(engine) == (Decimal("0.6"), Decimal("9.85"))
    with pytest.raises(AlreadyExists):
        await use(engine).messages.send(new(text="another", reference="order-1"))
    statement = (await use(engine).accounts.statement("1001", Cursor())).items
    assert {entry.kind for entry in statement if entry.amount < 0} == {"fee"}


async def test_a_carrier_that_takes_more_than_the_message_brings_is_not_asked(engine):
    """The reseller pays 0.05: `cheap` takes 0.03 of it, `dear` 0.06, `abroad` a currency that nobody converts."""
    costs = {"cheap": ("0.03", "EUR"), "dear": ("0.06", "EUR"), "abroad": ("0.01", "USD")}
    for tariff, (price, currency) in costs.items():
        await use(engine).tariffs.add(tariff, TariffChanges(currency=currency))
        tariff_id = await engine.office.fetchval("SELECT tariff_id FROM tariffs WHERE name = $1", tariff)
        await use(engine).message_prices.set(tariff_id, MessagePrice(SMS, "49", Decimal(price)))
    cheap, dear, abroad, unsaid = (f"{name} loopback cost={name}" for name in ("cheap", "dear", "abroad", "nobody"))
    before = await balances(engine)
    for carriers in ((dear,), (unsaid,)):
        with pytest.raises(MessageDeclined) as declined:
            await sending_by(engine, *carriers).send(new())
        assert declined.value.reason is DeclineReason.NO_ROUTE
    with pytest.raises(MessageDeclined):
        await sending_by(engine, cheap).send(new("33123456"))  # its cost tariff has no such number
    assert await balances(engine) == before

    sending = sending_by(engine, dear, cheap, abroad)
    told = [(offer.carrier, offer.cost, offer.margin) for offer in (await sending.quote(new())).offers]
    assert told == [("cheap", Decimal("0.03"), Decimal("0.02")), ("abroad", Decimal("0.01"), None)]
    one = await sending.send(new(text="a" * 161))  # two parts
    assert (one.carrier, one.carrier_cost, one.margin, one.margin_currency) == (
        "cheap", Decimal("0.06"), Decimal("0.04"), "EUR",
    )  # fmt: skip
    far = await sending_by(engine, abroad).send(new("4940123"))
    assert (far.carrier_cost, far.carrier_currency, far.margin) == (Decimal("0.01"), "USD", None)
    assert carriers_of([dear, cheap]).for_message(one)[0].name == "cheap"  # and no other, whoever hands it over
    await engine.office.fetch("UPDATE tariffs SET allow_loss = true WHERE name = 'bulk'")
    assert (await sending_by(engine, dear).send(new("4940123"))).margin == Decimal("-0.01")

    since, until = datetime.now(UTC) - timedelta(hours=1), datetime.now(UTC) + timedelta(hours=1)
    sums = await use(engine).messages.sums(since, until, [MessageDimension.CARRIER])
    assert {one.carrier: (one.sent, one.parts, one.sold, one.carrier_cost, one.costed, one.margin) for one in sums} == {
        "abroad": (1, 1, Decimal("0.05"), Decimal("0.01"), 0, 0),
        "cheap": (1, 2, Decimal("0.10"), Decimal("0.06"), 1, Decimal("0.04")),
        "dear": (1, 1, Decimal("0.05"), Decimal("0.06"), 1, Decimal("-0.01")),
    }


# What is in the way, and how it is taken away again.
IN_THE_WAY = (
    ("message_prices SET price = 0.51 WHERE prefix = '4915'", "price = 0.20", DeclineReason.INSUFFICIENT_FUNDS),
    ("accounts SET daily_limit = 0.4 WHERE balance < 5", "daily_limit = NULL", DeclineReason.DAILY_LIMIT),
    ("accounts SET monthly_limit = 0.4 WHERE balance < 5", "monthly_limit = NULL", DeclineReason.MONTHLY_LIMIT),
    ("message_prices SET prefix = '33' WHERE price = 0.05", "prefix = ''", DeclineReason.NO_RATE),
    ("message_prices SET price = 0.21 WHERE price = 0.05", "price = 0.05", DeclineReason.NO_ROUTE),
    ("accounts SET default_allowed = false WHERE balance < 5", "default_allowed = true", DeclineReason.BLOCKED_DESTINATION),  # noqa: E501
    ("accounts SET status = 'blocked' WHERE balance < 5", "status = 'active'", DeclineReason.INACTIVE),
    ("accounts SET status = 'blocked' WHERE balance > 5", "status = 'active'", DeclineReason.RESELLER_INACTIVE),
    ("accounts SET daily_limit = 0.01 WHERE balance > 5", "daily_limit = NULL", DeclineReason.RESELLER_INSUFFICIENT_FUNDS),  # noqa: E501
)  # fmt: skip


async def test_what_may_not_be_sent_costs_nobody_anything(engine):
    await use(engine).messages.send(new("4940123"))
    await use(engine).messages.send(new(text="a" * 161))
    before = await balances(engine)
    for statement, undo, reason in IN_THE_WAY:
        table, _, where = statement.partition(" SET ")
        await engine.office.fetch(f"UPDATE {statement}")
        with pytest.raises(MessageDeclined) as declined:
            await use(engine).messages.send(new())
        assert declined.value.reason is reason, statement
        assert await balances(engine) == before
        old = where.partition(" WHERE ")[0] if "message_prices" in table else where.partition(" WHERE ")[2]
        await engine.office.fetch(f"UPDATE {table} SET {undo} WHERE {old}")
    await use(engine).messages.send(new())


async def test_a_carrier_is_handed_what_was_said_and_what_it_refuses_is_given_back(engine, gateway):
    gateway.answer = b"OK:abc-1\r\n"
    sent = await use(engine).messages.send(new("4916555", "a&b=я €"))
    asked = parse_qs(urlsplit(gateway.asked[-1]).query)
    assert asked == {"to": ["4916555"], "from": ["4930"], "text": ["a&b=я €"], "ref": [str(sent.number)]}
    assert (sent.carrier, sent.carrier_id) == ("acme", "abc-1")
    before = await balances(engine)

    gateway.answer, gateway.status = b"no credit", 200
    assert (await use(engine).messages.send(new("4916555"))).carrier == "demo"  # the next one that serves the number
    await use(engine).accounts.change("1001", AccountChanges(daily_limit=Decimal("0.4")))
    after = await balances(engine)
    alone = sending_by(engine, acme(gateway.port))
    for status in (200, 403, 500):
        gateway.status = status
        with pytest.raises(CarrierFailed):  # thrice, though the limit of the day is for two more alone
            await alone.send(new("4916555"))
    assert await balances(engine) == after != before

    with pytest.raises(CarrierFailed, match="no carrier serves"):
        await alone.send(new("4940123"))


async def test_reports_count_whenever_they_come_and_by_whichever_id(engine, gateway):
    messages = use(engine).messages
    gateway.answer = b"OK:abc-1"
    first = await messages.send(new("4916555"))
    await messages.report("acme", "abc-1", "ACCEPTED")
    assert (await messages.show(first.number)).state is MessageState.SENT
    await messages.report("acme", "abc-1", "UNDELIV")
    await messages.report(None, "abc-1", "DELIVRD")  # after all
    await messages.report("acme", "abc-1", "UNDELIV")
    assert (await messages.show(first.number)).state is MessageState.DELIVERED

    second = await messages.send(new("4916556"))
    gateway.answer = b"OK:abc-2"
    await messages.report("acme", str(second.number), "EXPIRED")
    assert (await messages.show(second.number)).state is MessageState.UNDELIVERED

    await engine.office.fetch(
        "UPDATE messages SET state = 'sending', lease_until = now(), carrier_id = '' WHERE message_id = $1",
        second.number,
    )
    await messages.report("acme", "abc-2", "DELIVERED")  # before its answer was read
    await store.end_sent(engine.office, second.bucket, second.number, "acme", "abc-2")
    assert (await messages.show(second.number)).state is MessageState.DELIVERED


async def test_what_a_carrier_has_not_heard_waits_and_is_sent_once(engine, gateway, database_url):
    nobody = 9  # listens at that port
    waiting = await sending_by(engine, acme(nobody)).send(new("4916555"))
    assert (waiting.state, await balances(engine)) == (MessageState.QUEUED, (Decimal("0.9"), Decimal("9.95")))

    gateway.answer = b"OK:1"
    await engine.office.fetch("UPDATE messages SET due_at = now()")
    queues = [MessageQueue(engine.office, carriers_of([acme(gateway.port)])) for _ in range(3)]
    await asyncio.gather(*(queue.turn() for queue in queues))

    assert len(gateway.asked) == 1
    assert (await use(engine).messages.show(waiting.number)).state is MessageState.SENT
    assert await balances(engine) == (Decimal("0.9"), Decimal("9.95"))


async def test_users_send_as_themselves_and_see_their_own(engine):
    boss = use(engine)
    anna = await boss.parties.show("1001-user")
    own = engine.services.of(principal_of(anna, "test"))
    sent = await own.messages.send(NewMessage("1001", TO, "Hello"))
    assert sent.sender == "1001"
    with pytest.raises(NotYours):
        await own.messages.send(NewMessage("1001", TO, "Hello", "4999"))
    with pytest.raises(NotYours):
        await own.messages.send(NewMessage("firm-money", TO, "Hello"))
    assert [each.number for each in (await own.messages.page(MessageFilter(), Cursor())).items] == [sent.number]

    await boss.parties.set_status("1001-user", PartyState.EXTERNAL_BLOCKED)
    with pytest.raises(MessageDeclined, match="external_blocked"):
        await boss.messages.send(new())


FOR_EVER = """
import asyncio, sys
from rating_engine.domain.message import NewMessage
from rating_engine.domain.principal import OPERATOR, principal_of
from rating_engine.domain.tariff_card import TariffChanges
from rating_engine.engine.services import open_services
from rating_engine.settings.model import Settings

async def main(url, carrier):
    settings = Settings.model_validate({"database_url": url, "message_carriers": (carrier,)})
    async with open_services(settings) as services:
        print("begun", flush=True)
        while True:
            await services.of(OPERATOR).messages.send(NewMessage("1001", "4916555", "Hello", "4930"))

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.parametrize("rounds", [1, pytest.param(20, marks=pytest.mark.soak)])
async def test_who_is_killed_between_hold_and_answer_has_sent_once_or_gives_back(engine, gateway, database_url, rounds):
    gateway.answer = b"OK"
    await use(engine).accounts.top_up("1001", Decimal(1000))
    await use(engine).accounts.top_up("firm-money", Decimal(1000))
    carrier = f"acme http http://127.0.0.1:{gateway.port}/?ref={{id}}"
    for _ in range(rounds):
        program = await asyncio.create_subprocess_exec(
            sys.executable, "-c", FOR_EVER, database_url, carrier, stdout=asyncio.subprocess.PIPE
        )
        assert program.stdout is not None
        await program.stdout.readline()
        wanted = len(gateway.asked) + 3
        await until_holds(partial(gateway.was_asked, wanted))
        program.send_signal(signal.SIGKILL)
        await program.wait()

    await engine.office.fetch("UPDATE messages SET lease_until = now() - interval '1 second' WHERE state = 'sending'")
    await MessageQueue(engine.office, carriers_of([carrier])).give_back()

    handed = Counter(urlsplit(target).query for target in gateway.asked)
    assert set(handed.values()) == {1}
    states = {
        row["message_id"]: row["state"] for row in await engine.office.fetch("SELECT message_id, state FROM messages")
    }
    assert set(states.values()) <= {"sent", "failed"}
    sent = [number for number, state in states.items() if state == "sent"]
    assert {f"ref={number}" for number in sent} <= handed.keys()
    cost = Decimal("0.1") * len(sent)
    assert await balances(engine) == ((1001 - cost).normalize(), (1010 - cost / 2).normalize())
