"""`rating-engine account` as a user runs it: what it shows, what it refuses and how it says so."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rating_engine.storage.postgres.pool import Database
from tests.support.commands import Commands
from tests.support.servers import SessionServers
from tests.support.world import publish_deck


async def with_tariff(database_url: str) -> None:
    database = Database(database_url)
    await database.open()
    await publish_deck(database)
    await database.close()


@pytest.fixture
async def cli(database_url: str, tmp_path: Path) -> Commands:
    """Commands on a database with the tariff `retail`."""
    await with_tariff(database_url)
    return Commands(tmp_path, database_url=database_url)


@pytest.fixture(scope="module")
def unchanging(session_servers: SessionServers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    """The same with the account 1001, one database for all commands that change nothing."""
    with session_servers.database() as url, asyncio.Runner() as runner:
        runner.run(with_tariff(url))
        commands = Commands(tmp_path_factory.mktemp("cli"), database_url=url)
        create(commands, "1001")
        yield commands


def create(cli: Commands, login: str, *more: str) -> dict[str, object]:
    return cli.json("account", "create", "--login", login, "--tariff", "retail", *more)


def test_an_account_is_created_and_shown_with_amounts_as_text(cli):
    created = create(cli, "1001", "--balance", "10.50", "--overdraft", "2", "--max-calls", "3", "--callerid", "4930")

    shown = cli.json("account", "show", "1001")

    assert shown == created
    expected = {
        "login": "1001",
        "tariff": "retail",
        "currency": "EUR",
        "balance": "10.5",
        "reserved": "0",
        "available": "12.5",
        "overdraft": "2",
        "postpaid": False,
        "max_calls": 3,
        "open_calls": 0,
        "callerid": "4930",
        "status": "active",
    }
    assert {key: shown[key] for key in expected} == expected


def test_a_postpaid_account_is_unlimited_unless_it_is_given_a_credit_limit(cli):
    assert create(cli, "1001", "--postpaid")["available"] is None
    assert create(cli, "1002", "--postpaid", "--overdraft", "50")["available"] == "50"


def test_a_person_is_shown_words(cli):
    create(cli, "1001", "--postpaid", "--balance", "-3.5")

    shown = cli.run("account", "show", "1001")

    lines = [" ".join(line.strip("│ ").replace("│", " ").split()) for line in shown.stdout.splitlines()]
    assert shown.returncode == 0
    for line in ("balance -3.5", "available unlimited", "postpaid yes", "max calls none", "status active"):
        assert line in lines


def test_topping_up_adds_once_for_a_reference_and_stands_in_the_statement(cli):
    create(cli, "1001", "--balance", "1")

    first = cli.json("account", "topup", "1001", "25.00", "--reference", "invoice-7")
    again = cli.json("account", "topup", "1001", "25.00", "--reference", "invoice-7")
    statement = cli.json("account", "statement", "1001")

    assert first == {"login": "1001", "balance": "26", "posted": True}
    assert again == {"login": "1001", "balance": "26", "posted": False}
    assert [(entry["kind"], entry["amount"], entry["balance_after"]) for entry in statement["entries"]] == [
        ("topup", "25", "26"),
        ("opening", "1", "1"),
    ]
    assert statement["entries"][0]["reference"] == "invoice-7"
    assert "invoice-7" in cli.run("account", "statement", "1001").stdout


def test_a_top_up_in_words_says_what_became_of_the_balance(cli):
    create(cli, "1001")

    done = cli.run("account", "topup", "1001", "0.000001")

    assert (done.returncode, done.stdout) == (0, "topped up; balance 0.000001\n")


def test_a_statement_is_as_long_as_asked(cli):
    create(cli, "1001", "--balance", "1")
    for amount in ("2", "3"):
        cli.run("account", "topup", "1001", amount)

    entries = cli.json("account", "statement", "1001", "--limit", "2")["entries"]

    assert [entry["amount"] for entry in entries] == ["3", "2"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["show", "nobody"], "login 'nobody' does not exist"),
        (["statement", "nobody"], "login 'nobody' does not exist"),
        (["topup", "nobody", "1"], "login 'nobody' does not exist"),
        (["topup", "1001", "1,50"], "amount: '1,50' is not a plain number"),
        (["topup", "1001", "0"], "amount: must be above zero"),
        (["topup", "1001", "1e99"], "amount: "),
        (["topup", "1001", "0.0000001"], "amount: 1E-7 has more than 6 decimals"),
        (["statement", "1001", "--limit", "0"], "limit: must be 1 or more"),
        (["create", "--login", "1001", "--tariff", "retail"], "login '1001'"),
        (["create", "--login", "1,2", "--tariff", "retail"], "login: must be "),
        (["create", "--login", "1002", "--tariff", "nix"], "tariff 'nix' does not exist"),
        (["create", "--login", "1002", "--tariff", "retail", "--currency", "eur"], "currency: 'eur' is not"),
        (["create", "--login", "1002", "--tariff", "retail", "--currency", "USD"], "is in EUR, not in USD"),
        (["create", "--login", "1002", "--tariff", "retail", "--balance", "ten"], "balance: 'ten' is not"),
        (["create", "--login", "1002", "--tariff", "retail", "--overdraft", "x"], "overdraft: 'x' is not"),
        (["create", "--login", "1002", "--tariff", "retail", "--callerid", "a b"], "callerid: may have "),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_done_is_one_line_that_names_the_field(unchanging, arguments, said):
    assert said in unchanging.refused("account", *arguments)


def test_four_who_create_the_same_login_at_once_make_one_account(cli):
    def one(_: int) -> int:
        return cli.run("account", "create", "--login", "1001", "--tariff", "retail", "--balance", "5").returncode

    with ThreadPoolExecutor() as threads:
        assert sorted(threads.map(one, range(4))) == [0, 1, 1, 1]
    assert cli.json("account", "show", "1001")["balance"] == "5"
