"""What is changed of an account, its subscribers and directions: checked, and effective at once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from rating_engine.domain.errors import AlreadyExists, InvalidRequest, NotFound
from rating_engine.domain.principal import OPERATOR
from rating_engine.domain.tariff import Direction
from rating_engine.services.tariffs.directions import Directions
from rating_engine.storage.decks.rate_decks import load_direction
from rating_engine.storage.postgres.pool import Database
from tests.support.operators import Accounts
from tests.support.world import add_account, publish_deck, subscriber_by_login


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    await database.open()
    await publish_deck(database)
    await add_account(database, balance="10")
    yield database
    await database.close()


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        ("max_calls", "3", 3),
        ("max_calls", "0", 0),
        ("max_call_seconds", "600", 600),
        ("max_price", "0.25", Decimal("0.25")),
        ("daily_limit", "20", Decimal(20)),
        ("monthly_limit", "300.50", Decimal("300.50")),
        ("time_zone", "Asia/Kathmandu", "Asia/Kathmandu"),
        ("quota", "yes", True),
        ("quota", "no", False),
        ("default_allowed", "no", False),
        ("status", "blocked", "blocked"),
        ("overdraft", "5", Decimal(5)),
    ],
)
async def test_a_setting_of_an_account_is_set(database, field, text, value):
    state = await Accounts(database).change("1001", {field: text})
    assert getattr(state, field) == value


@pytest.mark.parametrize("field", ["max_calls", "max_call_seconds", "max_price", "daily_limit", "monthly_limit"])
async def test_none_takes_a_limit_away(database, field):
    accounts = Accounts(database)
    await accounts.change("1001", {field: "7"})
    assert getattr(await accounts.change("1001", {field: "none"}), field) is None


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("max_calls", "-1"),
        ("max_calls", "two"),
        ("max_calls", str(2**31)),
        ("max_call_seconds", "0"),
        ("daily_limit", "-1"),
        ("daily_limit", "1e99"),
        ("max_price", "NaN"),
        ("quota", "maybe"),
        ("default_allowed", "none"),
        ("status", "gone"),
        ("time_zone", "Mars/Olympus"),
        ("overdraft", "none"),
    ],
)
async def test_a_wrong_setting_is_refused_by_name_and_nothing_changes(database, field, text):
    accounts = Accounts(database)
    before = await accounts.show("1001")
    with pytest.raises(InvalidRequest, match=f"^{field}: "):
        await accounts.change("1001", {"max_calls": "9", field: text} if field != "max_calls" else {field: text})
    assert await accounts.show("1001") == before


async def test_prefix_rules_are_set_replaced_and_forgotten(database):
    accounts = Accounts(database)
    await accounts.change("1001", {}, block=["881", "882"], allow=["88177"])
    await accounts.change("1001", {}, allow=["882"], forget=["881"])
    rows = await database.fetch("SELECT prefix, allowed FROM account_prefixes ORDER BY prefix")
    assert [tuple(row) for row in rows] == [("88177", True), ("882", True)]
    with pytest.raises(InvalidRequest, match=r"^prefix: "):
        await accounts.change("1001", {}, block=["+49"])


async def test_a_second_subscriber_shares_the_account(database):
    accounts = Accounts(database)
    await accounts.add_subscriber("1002", "1001", max_calls=1, max_seconds=60, callerid="4930")
    await accounts.top_up("1002", "5")
    assert (await accounts.show("1001")).balance == 15
    first, second = [await subscriber_by_login(database, login) for login in ("1001", "1002")]
    assert first is not None
    assert second is not None
    assert (second.account_id, second.max_seconds, second.callerid) == (first.account_id, 60, "4930")
    with pytest.raises(AlreadyExists):
        await accounts.add_subscriber("1002", "1001")
    with pytest.raises(NotFound):
        await accounts.add_subscriber("1003", "nobody")


async def test_a_direction_says_how_long_its_numbers_are(database):
    await Directions(database, OPERATOR).set(Direction("somewhere", "Somewhere else", 7, 11))
    assert await load_direction(database, "somewhere") == Direction("somewhere", "Somewhere else", 7, 11)
    with pytest.raises(InvalidRequest, match=r"^min_len: "):
        await Directions(database, OPERATOR).set(Direction("somewhere", "x", 9, 8))
