"""kill -9 in the middle of renewals, fees, orders, mail and invoices: each is done once, whatever was cut off."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from rating_engine.domain.account import NewAccount
from rating_engine.domain.did import DidState, NewDid, NewPool
from rating_engine.domain.page import Cursor
from rating_engine.domain.party import NewParty
from rating_engine.domain.principal import ENGINE, OPERATOR
from rating_engine.domain.subscription import NewService, NewSubscription, SubscriptionState
from rating_engine.engine.services import open_services
from rating_engine.services.catalogue import UseCases
from rating_engine.services.finance.monthly import MonthlyInvoices
from rating_engine.services.finance.recurring import Recurring
from rating_engine.services.finance.subscriptions import Subscriptions
from rating_engine.services.numbers.dids import Dids
from rating_engine.services.numbers.rents import Rents
from rating_engine.settings.model import Settings
from rating_engine.storage.laws import LAWS, breaches_of
from rating_engine.storage.postgres.pool import Database
from tests.architecture.source_tree import PROJECT
from tests.faults.cut_off import GRACE
from tests.support.mail_server import mail_server
from tests.support.world import publish_deck

START = datetime(2026, 1, 10, tzinfo=UTC)
LATER = datetime(2026, 4, 20, tzinfo=UTC)  # four months of fees are due
Cut = Callable[..., Any]


@asynccontextmanager
async def cutting(url: str) -> AsyncIterator[Cut]:
    """What has a piece of work done by a process that is killed at a statement."""
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.faults.cut_off", cwd=PROJECT, stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert program.stdin is not None
    assert program.stdout is not None
    sent, answers = program.stdin, program.stdout

    async def cut(work: str, place: int, **more: Any) -> bool:
        order = {"url": url, "work": work, "place": place, "moment": LATER.isoformat(), **more}
        sent.write(json.dumps(order).encode() + b"\n")
        answer = (await answers.readline()).strip()
        assert answer in (b"killed", b"done")
        return answer == b"killed"

    try:
        yield cut
    finally:
        sent.close()
        await program.wait()


@pytest.mark.parametrize("places", [(2, 5, 8, 11), pytest.param(tuple(range(1, 60)), marks=pytest.mark.soak)])
async def test_what_is_cut_off_is_done_once(database_url, places):
    database = Database(database_url)
    await database.open()
    await publish_deck(database)
    async with open_services(Settings(database_url=database_url)) as services, cutting(database_url) as cut:
        use = services.of(OPERATOR)
        await use.parties.create(NewParty("anna"))
        await use.accounts.create(NewAccount("1001", "retail", balance=Decimal(10_000), owner="anna"))
        killed = Counter[str]()
        for check in (_rents, _fees, _orders, _invoices, _mail):
            killed[check.__name__] += await check(use, database, cut, places)
        assert len(killed) == 5
        assert min(killed.values()) > 0
        assert [breach for law in LAWS for breach in await breaches_of(database, law)] == []
    await database.close()


async def _entries(use: UseCases, begin: str) -> list[tuple[str, Decimal]]:
    """References and amounts of fees."""
    page = await use.accounts.statement("1001", Cursor(1_000))
    return [(each.reference, each.amount) for each in page.items if each.reference and each.reference.startswith(begin)]


async def _rents(use: UseCases, database: Database, cut: Cut, places: tuple[int, ...]) -> int:
    numbers = [f"49301{place:03}" for place in range(6)]
    for number in numbers:
        new = NewDid(number, "anna", monthly_price=Decimal(2), paid_to=START)
        await Dids(database, OPERATOR, lambda: START, currency="EUR").add(new)
    killed = 0
    for month in range(4):
        moment = START.replace(month=month + 1)
        killed += sum([await cut("rents", place, moment=moment.isoformat()) for place in places[month::4]])
        for _ in range(2):
            await Rents(database, ENGINE, lambda moment=moment: moment).turn(grace=GRACE, notice=GRACE * 0)
    for number in numbers:
        assert (await use.dids.show(number)).paid_to == START.replace(month=5), number
    entries = await _entries(use, "did:")
    assert len(entries) == len(dict(entries)) == 4 * len(numbers)
    assert {amount for _, amount in entries} == {Decimal(-2)}
    return killed


async def _fees(use: UseCases, database: Database, cut: Cut, places: tuple[int, ...]) -> int:
    service = await use.paid_services.add(NewService("fax", price=Decimal(3)))
    begin = Subscriptions(database, OPERATOR, lambda: START)
    made = [await begin.subscribe(NewSubscription("anna", service.service_id, reference=f"s{n}")) for n in range(6)]
    killed = sum([await cut("fees", place) for place in places])
    await Recurring(database, ENGINE, lambda: LATER).turn()
    for each in made:
        found = await use.subscriptions.show(each.subscription_id)
        assert (found.state, found.paid_to) == (SubscriptionState.ACTIVE, START.replace(month=5))
    entries = await _entries(use, "subscription:")
    assert len(entries) == len(dict(entries)) == 4 * len(made)
    assert {amount for _, amount in entries} == {Decimal(-3)}
    return killed


async def _orders(use: UseCases, database: Database, cut: Cut, places: tuple[int, ...]) -> int:
    pool = (await use.did_pools.add(NewPool("Germany", "Berlin", Decimal(2), Decimal(1)))).pool_id
    numbers = [f"49302{place:03}" for place in places]
    killed = 0
    for place, number in zip(places, numbers, strict=True):
        await use.dids.add(NewDid(number, pool_id=pool))
        killed += await cut("orders", place, number=number, pool=pool)
    await database.fetch("UPDATE dids SET ordered_at = ordered_at - interval '1 hour'")
    await Rents(database, ENGINE, lambda: LATER).turn(grace=GRACE, notice=GRACE * 0)
    paid = [amount for reference, amount in await _entries(use, "did:") if ":order:" in reference]
    states = [(await use.dids.show(number)).state for number in numbers]
    assert set(states) <= {DidState.ACTIVE, DidState.FREE}
    assert paid == [Decimal(-3)] * states.count(DidState.ACTIVE)
    return killed


async def _invoices(use: UseCases, database: Database, cut: Cut, places: tuple[int, ...]) -> int:
    then = (datetime.now(UTC).replace(day=1) + timedelta(days=40)).replace(day=3)  # the present month has ended
    for place in range(6):
        await use.parties.create(NewParty(f"user{place}"))
        await use.accounts.create(NewAccount(f"500{place}", "retail", balance=Decimal(1), owner=f"user{place}"))
    killed = sum([await cut("invoices", place, moment=then.isoformat()) for place in places])
    await MonthlyInvoices(database, ENGINE, lambda: then, days=14).turn()
    rows = await database.fetch(
        "SELECT account_id, number, (SELECT count(*) FROM invoice_lines l WHERE l.invoice_id = i.invoice_id) AS lines"
        " FROM invoices i ORDER BY number"
    )
    assert len({row["account_id"] for row in rows}) == len(rows) == 7
    assert [row["number"] for row in rows] == [*range(1, 8)]
    assert all(row["lines"] > 0 for row in rows)
    return killed


async def _mail(use: UseCases, database: Database, cut: Cut, places: tuple[int, ...]) -> int:
    await database.fetch(
        "INSERT INTO mails (recipient, subject, body) SELECT 'a@example.org', n::text, '' FROM generate_series(1, 30) n"
    )
    killed = 0
    async with mail_server() as server:
        for place in (*places, 1_000):
            killed += await cut("mail", place, smtp=server.url)
            # As if its lease had passed.
            await database.fetch("UPDATE mails SET due_at = now() WHERE state = 'queued'")
        await cut("mail", 1_000, smtp=server.url)
    came = Counter(mail["Message-ID"] for mail in server.mails)
    tokens = {f"<{row['token']}@example.org>" for row in await database.fetch("SELECT token FROM mails")}
    assert came.keys() == tokens
    assert sum(came.values()) - len(came) <= killed  # who dies between the server's word and ours sends that one again
    return killed
