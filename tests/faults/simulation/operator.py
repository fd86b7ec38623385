"""What an operator does to the books, done to the database and told to the auditor; and the books as they are seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from rating_engine.domain.account import AccountKind, NewAccount
from rating_engine.domain.principal import OPERATOR
from rating_engine.domain.tariff import Route
from rating_engine.rating.rate import Rate
from rating_engine.storage.laws import LAWS
from rating_engine.storage.parties.accounts import create_account
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.routes.routes import add_route
from tests.support.auditor import Auditor, Seen, Unexplained
from tests.support.auditor_nouns import Account, Price, Subscriber
from tests.support.world import publish_deck

TARIFF = "retail"

_LIMITS = (
    "overdraft", "max_calls", "max_call_seconds", "max_price", "daily_limit", "monthly_limit", "quota",
    "default_allowed",
)  # fmt: skip
_SET_LIMITS = ", ".join(f"{column} = ${position}" for position, column in enumerate(_LIMITS, 4))
_SEE = """
    SELECT
        ARRAY(SELECT ROW(account_id, balance, reserved, open_calls) FROM accounts WHERE bucket = 0),
        ARRAY(SELECT ROW(call_key, account_id, held, granted, quota, steered, expires_at, answered_at,
                         last_seen_at)
              FROM reservations WHERE bucket = 0 AND call_key = ANY ($1)),
        ARRAY(SELECT ROW(call_key, account_id, state::text, source, seconds, cost, overrun)
              FROM cdrs WHERE bucket = 0 AND call_key = ANY ($1))
"""
_ALL_LAWS = " UNION ALL ".join(f"SELECT '{law.name}', breach.* FROM ({law.query}) AS breach" for law in LAWS)
_ACCOUNT_TABLES = (
    "ledger_entries",
    "cdrs",
    "reservations",
    "account_prefixes",
    "subscribers",
    "subscriber_load",
    "logins",
    "accounts",
)


class Operator:
    """Accounts are named by the login of their first subscriber."""

    def __init__(self, database: Database, auditor: Auditor) -> None:
        self.tariff_id = 0
        self._database = database
        self._auditor = auditor
        self._ids: dict[str, int] = {}
        self._names: dict[int, str] = {}

    async def publish(self, prices: Mapping[str, Price]) -> None:
        """Replace the deck."""
        deck = await publish_deck(self._database, TARIFF, {prefix: _rate(price) for prefix, price in prices.items()})
        self.tariff_id = deck.tariff_id
        self._auditor.deck = prices
        self._auditor.timeline.append((self._auditor.now, prices))

    async def add_routes(self, *names: str) -> None:
        """For as many attempts of a call."""
        async with self._database.transaction(OPERATOR) as tx:
            for position, name in enumerate(names, 1):
                await add_route(tx, Route(name, "", "", position))

    async def add_account(self, account: Account, *subscribers: Subscriber) -> None:
        """With its subscribers."""
        new = NewAccount(
            login=account.name,
            tariff=TARIFF,
            currency=None,
            balance=account.balance,
            overdraft=account.overdraft,
            kind=AccountKind.PREPAID if account.overdraft is not None else AccountKind.POSTPAID,
            max_calls=account.max_calls,
            callerid="",
        )
        async with self._database.transaction(OPERATOR) as tx:
            await create_account(tx, new)
        async with self._database.connection() as connection:
            row = await connection.fetchrow("SELECT account_id FROM subscribers WHERE login = $1", account.name)
            assert row is not None
            others = [one.login for one in subscribers if one.login != account.name]
            await connection.executemany("INSERT INTO logins VALUES ($1, 0)", [(login,) for login in others])
            await connection.executemany(
                "INSERT INTO subscribers (login, bucket, account_id, tariff_id) VALUES ($1, 0, $2, $3)",
                [(login, row[0], self.tariff_id) for login in others],
            )
        self._ids[account.name] = row[0]
        self._names[row[0]] = account.name
        postpaid = new.kind is AccountKind.POSTPAID
        self._auditor.change_account(Account(account.name, account.balance, account.overdraft, postpaid=postpaid))
        await self.change_account(account)
        for subscriber in subscribers:
            await self.change_subscriber(subscriber)

    async def change_account(self, account: Account) -> None:
        """Its limits, rules and status. Its money and calls stay as they are."""
        number = self._ids[account.name]
        old = self._auditor.books.account(account.name)
        status = "active" if account.active else "blocked"
        limits = [getattr(account, name) for name in _LIMITS]
        async with self._database.connection() as connection:
            await connection.execute(
                f"UPDATE accounts SET status = $2, time_zone = $3, {_SET_LIMITS} WHERE account_id = $1",
                number, status, f"Etc/GMT{-account.hours_east:+d}", *limits,
            )  # fmt: skip
            if account.rules != old.rules:
                await connection.execute("DELETE FROM account_prefixes WHERE account_id = $1", number)
                await connection.executemany(
                    "INSERT INTO account_prefixes VALUES (0, $1, $2, $3)", [(number, *rule) for rule in account.rules]
                )
        self._auditor.change_account(
            replace(
                account,
                balance=old.balance,
                spent=old.spent,
                references=old.references,
                postpaid=old.postpaid,
                open_calls=old.open_calls,
            )
        )

    async def change_subscriber(self, subscriber: Subscriber) -> None:
        """Its limits and status."""
        async with self._database.connection() as connection:
            await connection.execute(
                "UPDATE subscribers SET status = $2, max_calls = $3, max_seconds = $4 WHERE login = $1",
                subscriber.login,
                "active" if subscriber.active else "blocked",
                subscriber.max_calls,
                subscriber.max_seconds,
            )
        self._auditor.change_subscriber(subscriber)

    async def see(self, keys: Sequence[str]) -> Seen:
        """Every account, and the calls of these keys."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(_SEE, keys)
        assert row is not None
        calls: dict[str, tuple[object, ...]] = {}
        for key, account, *facts in row[1]:
            calls[key] = ("open", self._names[account], *facts)
        for key, account, state, *facts in row[2]:
            if key in calls:
                raise Unexplained(f"call {key} is open and ended")
            calls[key] = (state, self._names[account], *facts)
        money = {self._names[account]: (balance, held, count) for account, balance, held, count in row[0]}
        return Seen(money, {key: calls.get(key) for key in keys})

    async def breaches(self) -> list[str]:
        """Of every law of storage/laws, over the whole database, in one round trip."""
        async with self._database.connection() as connection:
            return [f"law {row[0]}: {row[1]}" for row in await connection.fetch(_ALL_LAWS)]

    async def forget_everything(self) -> None:
        """Empty the account-scoped tables: a new world at the price of a few short deletes."""
        async with self._database.connection() as connection, connection.transaction():
            await connection.execute("SET LOCAL session_replication_role = replica")  # ledger_entries is append-only
            for table in _ACCOUNT_TABLES:
                await connection.execute(f"DELETE FROM {table}")
        # Virtual time begins anew: a deck of another world may be of later than now.
        await self._database.fetch("UPDATE rate_decks SET state = 'withdrawn' WHERE state = 'published'")


def _rate(price: Price) -> Rate:
    return Rate(
        price_1=price.price_1,
        price_n=price.price_n,
        price_unit="minute" if price.by_minute else "interval",
        interval_1=price.interval_1,
        interval_n=price.interval_n,
        connect_fee=price.connect_fee,
        free_seconds=price.free_seconds,
        grace_period=price.grace_period,
        postcall_surcharge=price.surcharge,
    )
