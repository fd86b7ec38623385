"""Run as a script with the code of the old release (tests/upgrade/old_release.py): fills its database by its own means.

Every kind of row that an upgrade has to keep: accounts of both kinds with rules and limits, two logins of one account,
options, aliases, packages in use, calls that are open, ended, expired, unreserved and corrected, and a ledger in which
the accounts take turns. `python fill.py world URL` makes the small world of tests/faults instead: accounts and a deck;
`python fill.py manage URL` is an operator of the old release at a schema that was upgraded.
"""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from rating_engine.services.accounts import Accounts
from rating_engine.services.routing.routes import Routes
from rating_engine.services.tariffs.numbering import Numbering
from rating_engine.storage.open_calls import list_open, list_unfinished
from rating_engine.storage.pool import Database

from rating_engine.domain.outcomes import CallKey, FinishCall, PrepareCall
from rating_engine.rating.rate import Rate
from rating_engine.services.doctor import ledger_balanced
from rating_engine.services.tariffs.options import Options
from tests.support.engines import engine_on
from tests.support.world import CENT_A_SECOND, add_account, publish_deck

EXCHANGE = "pbx"
CALLS = 24
RETAIL = {
    "49": CENT_A_SECOND,
    "33": Rate(price_1="0.12", price_unit="minute", interval_1=60, interval_n=60),
    "7": Rate(price_1="0.02", price_unit="interval", interval_1=10, interval_n=10, connect_fee="0.05"),
}
NUMBERS = ("4912345678", "33123456789", "79161234567")


async def fill(url: str) -> None:
    """Everything."""
    async with engine_on(url, max_reserve_seconds=600) as engine:
        database = engine.database
        retail = await publish_deck(database, rates=RETAIL)
        await publish_deck(database, "gold", RETAIL | {"49": Rate(price_1="0.30", price_unit="minute")})
        carrier = await publish_deck(
            database, "carrier", dict.fromkeys(RETAIL, Rate(price_1="0.01", price_unit="minute"))
        )
        await publish_deck(database, "night", {"33": Rate(price_1="0.06", price_unit="minute")})
        await database.fetch("UPDATE tariffs SET is_option = true WHERE name = 'night'")
        await database.fetch(
            "INSERT INTO routes (name, position, cost_tariff_id, max_calls) VALUES ('limited', 1, $1, 50)",
            carrier.tariff_id,
        )
        await database.fetch(
            "INSERT INTO packages (tariff_id, name, kind, seconds, carry_over) "
            "VALUES ($1, 'free', 'free', 900, 'next')",
            retail.tariff_id,
        )
        await add_account(database, "1001", balance="100")
        await add_account(database, "office", overdraft=None, postpaid=True)
        await add_account(database, "1003", balance="50")
        accounts = Accounts(database)
        await accounts.add_subscriber("1002", "1001", callerid="4930123")
        await accounts.change("1001", {"daily_limit": "90", "max_calls": "40"}, allow=["49"], block=["881"])
        await Options(database).grant("1001", "night", reference="order-1")
        await Options(database).switch_tariff("1003", "gold", reference="order-2")
        await database.fetch(
            "INSERT INTO aliases (subscriber_id, alias, destination) "
            "SELECT subscriber_id, '*1', '4912345' FROM subscribers WHERE login = '1002' "
            "UNION ALL SELECT NULL, '*9', '33123'"
        )
        engine.memory.forget_all()
        await _call(engine, accounts)
        await _correct(database, retail.tariff_id, retail.deck_id)


async def _call(engine, accounts) -> None:  # type: ignore[no-untyped-def]  # of the old release, which nothing here knows
    charging = engine.charging
    logins = ("1001", "office", "1003", "1002")
    for number in range(CALLS):
        login, destination = logins[number % 4], NUMBERS[number % 3]
        key = CallKey(EXCHANGE, f"call-{number:03}", 1)
        said = await charging.prepare_call(PrepareCall(key, login, destination, None))
        assert type(said).__name__ == "Allowed", said
        if number % 8 == 7:
            continue  # it talks on, over the upgrade
        if number % 8 == 6:
            await engine.database.fetch(
                "UPDATE reservations SET expires_at = now() - interval '1 second' WHERE call_key = $1", str(key)
            )
            await engine.ledger.expire(0)
            continue
        seconds = 0 if number % 8 == 5 else 10 + number
        await charging.finish_call(_finish(key, login, destination, seconds))
        if number % 5 == 0:
            await accounts.top_up(login, "1.25", reference=f"topup-{number}")
    # Ends whose prepare never came: one with a rate, one without.
    await charging.finish_call(_finish(CallKey(EXCHANGE, "unreserved", 1), "office", NUMBERS[0], 30))
    await charging.finish_call(_finish(CallKey(EXCHANGE, "unrated", 1), "office", "88112345", 30))


def _finish(key: CallKey, login: str, destination: str, seconds: int) -> FinishCall:
    disposition, cause = ("ANSWER", 16) if seconds else ("NOANSWER", 19)
    return FinishCall(key, login, destination, seconds, disposition, cause)


async def _correct(database, tariff_id: int, deck_id: int) -> None:  # type: ignore[no-untyped-def]
    """A re-rating that is posted in part: one call is corrected, another one waits."""
    now = datetime.now(UTC)
    rerate_id = await database.fetchval(
        "INSERT INTO rerates (tariff_id, tariff_version, deck_id, deck_version, calls_from, calls_to, state) "
        "SELECT $1, version, $2, 1, $3, $4, 'open' FROM tariffs WHERE tariff_id = $1 RETURNING rerate_id",
        tariff_id, deck_id, now - timedelta(days=1), now + timedelta(days=1),
    )  # fmt: skip
    await database.fetch(
        "INSERT INTO rerate_items (bucket, rerate_id, call_key, account_id, subscriber_id, currency, destination, "
        "seconds, old_cost, new_cost, billed_seconds, rate, deck_id, prefix, direction) "
        "SELECT bucket, $1, call_key, account_id, subscriber_id, currency, destination, seconds, cost, cost / 2, "
        "billed_seconds, $2, deck_id, prefix, direction FROM cdrs WHERE cost > 0 ORDER BY call_key LIMIT 2",
        rerate_id, Rate(price_1="0.01", price_unit="minute").to_json(),
    )  # fmt: skip
    first = await database.fetchval("SELECT call_key FROM rerate_items ORDER BY call_key LIMIT 1")
    await database.fetchval("SELECT correct_calls(0::smallint, $1, $2)", rerate_id, [first])


async def make_world(url: str, deck: dict[str, dict[str, object]], balances: dict[str, str]) -> None:
    """A deck of rates (prefix -> fields), and accounts with a balance; '0': postpaid without a limit."""
    async with engine_on(url) as engine:
        await publish_deck(engine.database, rates={prefix: Rate(**fields) for prefix, fields in deck.items()})
        for login, balance in balances.items():
            postpaid = Decimal(balance) == 0
            overdraft = None if postpaid else "0"
            await add_account(engine.database, login, balance=balance, overdraft=overdraft, postpaid=postpaid)


async def manage(url: str) -> None:
    """What an operator does from day to day, and what the books say then."""
    database = Database(url)
    await database.open()
    accounts, options, numbering = Accounts(database), Options(database), Numbering(database)
    await accounts.create("2001", "retail", balance="5")
    await accounts.add_subscriber("2002", "2001")
    assert await accounts.top_up("2001", "5", reference="once") == (Decimal(10), True)
    assert await accounts.top_up("2001", "5", reference="once") == (Decimal(10), False)
    await accounts.change("2001", {"max_calls": "3"}, allow=["49"])
    await options.grant("2002", "night", reference="order-3")
    await options.revoke("2002", "night")
    await options.switch_tariff("2002", "gold")
    await numbering.set_alias("*7", "4912345", login="2002")
    await Routes(database).add("another", {"position": "9", "cost_tariff": "carrier", "max_calls": "5"})
    assert [entry.kind for entry in await accounts.statement("2001")] == ["fee", "topup", "opening"]
    assert len(await list_open(database, 100)) == 3
    assert len(await list_unfinished(database, 100)) == 3
    assert ["without a rate" in finding.what for finding in await ledger_balanced(database)] == [True]
    await database.close()


if __name__ == "__main__":
    if sys.argv[1] == "manage":
        asyncio.run(manage(sys.argv[2]))
    elif sys.argv[1] == "world":
        asyncio.run(make_world(sys.argv[2], json.loads(sys.argv[3]), json.loads(sys.argv[4])))
    else:
        asyncio.run(fill(sys.argv[1]))
