"""`rating-engine account adjust` and `close`: balances put right by hand, and accounts that are used no more."""

from __future__ import annotations

import asyncpg
import pytest

from rating_engine.storage.postgres.pool import Database
from tests.support.calls import finish, prepare
from tests.support.commands import Commands
from tests.support.engines import engine_on
from tests.support.world import add_account, publish_deck


@pytest.fixture
async def cli(database_url, tmp_path):
    database = Database(database_url)
    await database.open()
    await publish_deck(database)
    await add_account(database, "1001", balance="10")
    await add_account(database, "1002", balance="-5", postpaid=True, overdraft=None)
    await database.close()
    return Commands(tmp_path, database_url=database_url)


def entries(cli, login):
    found = cli.json("account", "statement", login)["entries"]
    return [(entry["kind"], entry["amount"], entry["subject"], entry["reference"]) for entry in found]


async def audited(database_url, action):
    connection = await asyncpg.connect(database_url)
    try:
        return await connection.fetch("SELECT subject, detail FROM audit_log WHERE action = $1", action)
    finally:
        await connection.close()


async def test_a_mistaken_top_up_is_taken_back_once_for_a_reference(cli, database_url):
    cli.json("account", "topup", "1001", "25")
    command = ("account", "adjust", "1001", "-25.00", "--reason", "topped up twice", "--reference", "undo-1")

    first, again = cli.json(*command), cli.json(*command)

    assert first == {"login": "1001", "balance": "10", "posted": True}
    assert again == {"login": "1001", "balance": "10", "posted": False}
    assert entries(cli, "1001")[0] == ("adjustment", "-25", "topped up twice", "undo-1")
    assert [row["subject"] for row in await audited(database_url, "account.adjust")] == ["1001"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["1001", "-10.01", "--reason", "x"], "amount: is more than is available, 10: "),
        (["1001", "0", "--reason", "x"], "amount: must not be zero"),
        (["1001", "5", "--reason", " "], "reason: must be a line of 1 to 200"),
        (["1001", "ten", "--reason", "x"], "amount: 'ten' is not"),
        (["nobody", "5", "--reason", "x"], "login 'nobody' does not exist"),
    ],
)
def test_what_cannot_be_adjusted_is_said_and_nothing_changes(cli, arguments, said):
    assert said in cli.refused("account", "adjust", *arguments)
    assert len(entries(cli, "1001")) == 1


def test_a_reference_stands_for_one_adjustment_with_its_reason(cli):
    cli.json("account", "adjust", "1001", "1", "--reason", "a", "--reference", "r")

    for amount, reason in (("2", "a"), ("1", "b")):
        assert "was used before" in cli.refused(
            "account", "adjust", "1001", amount, "--reason", reason, "--reference", "r"
        )  # fmt: skip


async def test_what_calls_hold_is_not_taken_away(cli, database_url):
    async with engine_on(database_url) as engine:
        await engine.charging.prepare_call(prepare("held-1"))
        state = cli.json("account", "show", "1001")

        refused = cli.refused("account", "adjust", "1001", "-10", "--reason", "x")

    assert f"more than is available, {state['available']}" in refused


def test_an_account_with_money_is_closed_when_somebody_says_what_becomes_of_it(cli):
    assert "its balance is 10; say what becomes of it: " in cli.refused("account", "close", "1001")
    done = cli.json("account", "close", "1001", "--paid-out", "transfer 815")

    assert (done["balance"], done["settled"], done["status"]) == ("0", "10", "blocked")
    assert done["closed_at"] is not None
    assert entries(cli, "1001")[0] == ("adjustment", "-10", "closed, paid out: transfer 815", None)
    assert cli.json("account", "close", "1001")["repeated"] is True
    assert len(entries(cli, "1001")) == 2


def test_a_debt_is_paid_or_written_off_and_cannot_be_paid_out(cli):
    for given in ((), ("--paid-out", "x")):
        assert "its balance is -5; say first: rating-engine account topup 1002" in cli.refused(
            "account", "close", "1002", *given
        )  # fmt: skip
    assert cli.json("account", "close", "1002", "--written-off", "insolvent")["balance"] == "0"
    assert entries(cli, "1002")[0] == ("adjustment", "5", "closed, written off: insolvent", None)


def test_a_closed_account_changes_no_more_and_its_login_is_not_given_again(cli):
    cli.json("account", "close", "1001", "--written-off", "test account")

    for command in (
        ("account", "unblock", "1001"), ("account", "topup", "1001", "5"), ("account", "set", "1001", "--max-calls", 1),
        ("account", "add-subscriber", "--login", "1003", "--account-of", "1001"),
    ):  # fmt: skip
        assert "the account of '1001' was closed on" in cli.refused(*command)
    assert "is taken" in cli.refused("account", "create", "--login", "1001", "--tariff", "retail")
    assert [one["closed_at"] is None for one in cli.json("account", "list")["accounts"]] == [False, True]


async def test_an_account_with_open_calls_is_not_closed_and_one_that_is_starts_no_calls(cli, database_url):
    async with engine_on(database_url) as engine:
        await engine.charging.prepare_call(prepare("open-1"))
        refused = cli.refused("account", "close", "1001", "--written-off", "x")
        await engine.charging.finish_call(finish("open-1", 0))
        cli.json("account", "close", "1001", "--written-off", "x")

        declined = await engine.charging.prepare_call(prepare("late-1"))

    assert "1 of its calls are open; say first: rating-engine account block 1001" in refused
    assert declined.reason == "inactive"
