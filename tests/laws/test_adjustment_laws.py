"""Money put in and put right by hand, in any order and however often: a reference counts once, nothing goes below what
there is, and a closed account has a balance of 0 that is the sum of its entries."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rating_engine.domain.account import AccountKind, Closing, NewAccount, Settlement
from rating_engine.domain.errors import AccountClosed, AlreadyExists, InvalidRequest, Refused
from rating_engine.domain.page import MAX_LIMIT, Cursor
from rating_engine.domain.principal import OPERATOR
from rating_engine.services.parties.accounts import Accounts
from rating_engine.storage.postgres.pool import Database
from tests.support.servers import SessionServers
from tests.support.world import publish_deck

ZERO = Decimal(0)
AMOUNTS = st.one_of(
    st.integers(-500, 500).filter(bool).map(lambda cents: Decimal(cents).scaleb(-2)),
    st.sampled_from([Decimal("0.000001"), Decimal("-0.000001"), Decimal("99999")]),
)


@dataclass(frozen=True, slots=True)
class Entry:
    """A top-up (no reason), or an adjustment."""

    amount: Decimal
    reference: str | None
    reason: str | None


ENTRIES = st.builds(
    Entry, AMOUNTS, st.sampled_from([None, "r1", "r2"]), st.sampled_from([None, "a mistake", "a gift"])
).filter(lambda entry: entry.reason is not None or entry.amount > 0)
ACCOUNTS = st.tuples(  # balance, overdraft
    st.sampled_from([ZERO, Decimal("2.5")]), st.sampled_from([ZERO, Decimal(1), None])
)


class Office:
    """One database; every example has an account of its own."""

    def __init__(self, runner: asyncio.Runner, database: Database) -> None:
        self.run = runner.run
        self.accounts = Accounts(database, OPERATOR)
        self._logins = map(str, itertools.count(1))

    async def gone_through(self, balance: Decimal, overdraft: Decimal | None, entries: list[Entry]) -> None:
        login = next(self._logins)
        await self.accounts.create(
            NewAccount(login, "retail", balance=balance, overdraft=overdraft, kind=AccountKind.POSTPAID)
        )
        seen: dict[str, Entry] = {}
        for entry in entries:
            said = await self._said(login, entry)
            earlier = seen.get(entry.reference or "")
            if earlier is not None:
                assert said == ("repeated" if earlier == entry else "conflict")
                continue
            if entry.amount < 0 and overdraft is not None and balance + entry.amount + overdraft < 0:
                assert said == "refused"
                continue
            assert said == "posted"
            balance += entry.amount
            if entry.reference is not None:
                seen[entry.reference] = entry
            assert (await self.accounts.show(login)).balance == balance
        await self._closed(login, balance)

    async def _said(self, login: str, entry: Entry) -> str:
        try:
            if entry.reason is None:
                done = await self.accounts.top_up(login, entry.amount, reference=entry.reference)
            else:
                done = await self.accounts.adjust(
                    login, entry.amount, reason=entry.reason, reference=entry.reference
                )  # fmt: skip
        except AlreadyExists:
            return "conflict"
        except InvalidRequest:
            return "refused"
        return "posted" if done.posted else "repeated"

    async def _closed(self, login: str, balance: Decimal) -> None:
        if balance != 0:
            with pytest.raises(Refused):
                await self.accounts.close(login)
        closed = await self.accounts.close(login, Closing(Settlement.WRITTEN_OFF, "the end"))
        assert (closed.settled, closed.state.balance) == (balance, 0)
        entries = (await self.accounts.statement(login, Cursor(MAX_LIMIT))).items
        assert sum((entry.amount for entry in entries), ZERO) == 0
        with pytest.raises(AccountClosed):
            await self.accounts.top_up(login, Decimal(1))


@pytest.fixture(scope="module")
def office(session_servers: SessionServers) -> Iterator[Office]:
    with session_servers.database(balanced=True) as url, asyncio.Runner() as runner:
        database = Database(url)
        runner.run(database.open())
        runner.run(publish_deck(database))
        yield Office(runner, database)
        runner.run(database.close())


@settings(max_examples=40, deadline=None, derandomize=True, database=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])  # fmt: skip
@given(account=ACCOUNTS, entries=st.lists(ENTRIES, max_size=8))
def test_a_reference_counts_once_and_nothing_goes_below_what_there_is(office, account, entries):
    office.run(office.gone_through(*account, entries))
