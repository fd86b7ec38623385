"""Money between accounts of two buckets, sent at once, again, and cut off between its steps: nothing is lost, nothing
is there twice, nobody sends what it has not."""

from __future__ import annotations

import asyncio
import itertools
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rating_engine.domain.account import AccountKind, NewAccount
from rating_engine.domain.errors import AlreadyExists, InvalidRequest
from rating_engine.domain.principal import OPERATOR
from rating_engine.domain.transfer import InsufficientMoney, Order
from rating_engine.services.finance.transfers import TransferKeeper, Transfers
from rating_engine.services.parties.accounts import Accounts
from rating_engine.storage.audit_log import note_of
from rating_engine.storage.finance import transfers as store
from rating_engine.storage.finance.purses import purse_of_line
from rating_engine.storage.postgres.pool import Database
from tests.support.servers import SessionServers
from tests.support.world import publish_deck

BUCKETS = 2
OPENING = Decimal(10)
RATE = Decimal("0.8")  # dollars in euros: nobody has both ways of making some by going around
KEPT = {"EUR": Decimal(1), "USD": RATE}
AMOUNTS = st.one_of(
    st.integers(1, 1200).map(lambda cents: Decimal(cents).scaleb(-2)),
    st.sampled_from([Decimal("0.000001"), Decimal("99999"), Decimal("3.333333")]),
)


@dataclass(frozen=True, slots=True)
class Step:
    """One transfer. `cut`: where its sender was killed: after taking (1), after giving (2); 0: nowhere."""

    sender: int
    receiver: int
    amount: Decimal
    reference: str | None
    cut: int


STEPS = st.builds(
    Step, st.integers(0, 3), st.integers(0, 3), AMOUNTS, st.sampled_from([None, None, "r1", "r2"]), st.integers(0, 2)
).filter(lambda step: step.sender != step.receiver)


class Office:
    """One database; every example has four accounts of its own: two in each bucket, one of them in dollars."""

    def __init__(self, runner: asyncio.Runner, database: Database) -> None:
        self.run = runner.run
        self._database = database
        self._accounts = Accounts(database, OPERATOR, buckets=BUCKETS)
        self._transfers = Transfers(database, OPERATOR)
        self._numbers = itertools.count(1000)

    async def prepare(self) -> None:
        await publish_deck(self._database)
        await self._database.fetch(
            "INSERT INTO exchange_rates (currency_from, currency_to, effective_from, rate) VALUES "
            "('USD', 'EUR', '2020-01-01', $1)", RATE,
        )  # fmt: skip

    async def gone_through(self, batches: list[list[Step]]) -> None:
        logins = await self._open()
        before = await self._worth(logins)
        for batch in batches:  # those of a batch at once
            await asyncio.gather(*(self._send(logins, step) for step in batch))
        while await TransferKeeper(self._database, late_seconds=0).turn():
            pass
        after = await self._worth(logins)
        steps = sum(map(len, batches))
        assert before - steps * Decimal("0.000002") <= after <= before  # what rounding down leaves
        for login in logins:
            assert (await self._accounts.show(login)).balance >= (-5 if login == logins[3] else 0)

    async def _open(self) -> list[str]:
        logins: list[str] = []
        for place in range(4):
            currency = "USD" if place == 1 else "EUR"
            login = await self._login_in(place % BUCKETS)
            new = NewAccount(
                login, "retail", currency=currency, balance=OPENING, overdraft=Decimal(5 if place == 3 else 0),
                kind=AccountKind.POSTPAID,
            )  # fmt: skip
            await self._accounts.create(new)
            logins.append(login)
        return logins

    async def _login_in(self, bucket: int) -> str:
        return next(str(n) for n in self._numbers if zlib.crc32(str(n).encode()) % BUCKETS == bucket)

    async def _send(self, logins: list[str], step: Step) -> None:
        try:
            if step.cut == 0:
                await self._transfers.between(
                    logins[step.sender], logins[step.receiver], step.amount, reference=step.reference
                )
            else:
                await self._cut(logins, step)
        except (InsufficientMoney, AlreadyExists, InvalidRequest):  # a millionth of a dollar is nothing in euros
            pass

    async def _cut(self, logins: list[str], step: Step) -> None:
        """The steps of a transfer as far as they came."""
        sender = await purse_of_line(self._database, logins[step.sender])
        receiver = await purse_of_line(self._database, logins[step.receiver])
        rates = {("USD", "EUR"): RATE, ("EUR", "USD"): 1 / RATE}
        rate = rates.get((sender.currency, receiver.currency), Decimal(1))
        order = Order(step.amount, reference=step.reference)
        note = note_of(OPERATOR, "account.transfer", logins[step.sender])
        sent = await store.send(self._database, sender, receiver, order, Decimal(0), rate, note)
        if step.cut == 2 and sent.state == "sent":
            await self._database.fetchval(
                "SELECT receive_transfer_v1($1, $2, $3, $4, '')", receiver.bucket, receiver.account_id,
                sent.transfer_id, sent.amount_to,
            )  # fmt: skip

    async def _worth(self, logins: list[str]) -> Decimal:
        """What all have together, in euros."""
        states = [await self._accounts.show(login) for login in logins]
        return sum((state.balance * KEPT[state.currency] for state in states), Decimal(0))


@pytest.fixture(scope="module")
def office(session_servers: SessionServers) -> Iterator[Office]:
    with session_servers.database(balanced=True) as url, asyncio.Runner() as runner:
        database = Database(url)
        runner.run(database.open())
        office = Office(runner, database)
        runner.run(office.prepare())
        yield office
        runner.run(database.close())


@settings(max_examples=40, deadline=None, derandomize=True, database=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])  # fmt: skip
@given(batches=st.lists(st.lists(STEPS, min_size=1, max_size=5), max_size=4))
def test_nothing_is_lost_nothing_is_there_twice_and_nobody_sends_what_it_has_not(office, batches):
    office.run(office.gone_through(batches))
