"""Accounts and logins in lists and one by one: pages, blocked logins, hostile names, and who did what."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from rating_engine.storage.postgres.pool import Database
from tests.support.commands import COMMAND, Commands, environment
from tests.support.world import add_account, publish_deck

HOSTILE = "[b]x[/]\x1b[2J"


@pytest.fixture
async def cli(database_url: str, tmp_path: Path) -> Commands:
    """Commands on a database with the tariff `retail` and the accounts 1001 to 1003."""
    database = Database(database_url)
    await database.open()
    await publish_deck(database)
    for login in ("1001", "1002", "1003"):
        await add_account(database, login, balance="5")
    await database.close()
    return Commands(tmp_path, database_url=database_url)


def test_accounts_are_listed_in_pages(cli):
    first = cli.json("account", "list", "--limit", 2)
    last = cli.json("account", "list", "--limit", 2, "--after", first["next"])

    assert [account["login"] for account in first["accounts"]] == ["1001", "1002"]
    assert [account["login"] for account in last["accounts"]] == ["1003"]
    assert "next" not in last
    assert cli.json("account", "list")["accounts"] == [*first["accounts"], *last["accounts"]]
    assert cli.refused("account", "list", "--after", "nonsense").startswith("after: ")
    assert cli.refused("account", "list", "--limit", 0).startswith("limit: ")


def test_one_login_is_blocked_and_its_account_is_not(cli):
    cli.run("account", "add-subscriber", "--login", "1001a", "--account-of", "1001")

    blocked = cli.json("subscriber", "block", "1001a")

    assert (blocked["status"], blocked["subscriber_status"]) == ("active", "blocked")
    assert cli.json("account", "show", "1001")["subscriber_status"] == "active"
    cli.json("account", "block", "1001")
    both = cli.json("account", "show", "1001a")
    assert (both["status"], both["subscriber_status"]) == ("blocked", "blocked")
    cli.json("account", "unblock", "1001")
    listed = cli.json("subscriber", "list", "--account-of", "1001")["subscribers"]
    assert [(one["login"], one["status"], one["account_status"]) for one in listed] == [
        ("1001", "active", "active"), ("1001a", "blocked", "active"),
    ]  # fmt: skip
    assert cli.json("subscriber", "unblock", "1001a")["subscriber_status"] == "active"
    assert "does not exist" in cli.refused("subscriber", "block", "nobody")


def test_a_top_up_beyond_what_an_account_can_have_is_refused(cli):
    largest = "99999999999999.999999"

    assert cli.refused("account", "topup", "1001", largest).startswith("amount: is too much")
    assert cli.refused("account", "topup", "1001", f"9{largest}").startswith("amount: ")
    assert cli.json("account", "show", "1001")["balance"] == "5"


async def test_what_was_changed_stands_in_the_audit_log_with_who_did_it(cli, database_url):
    cli.run("account", "topup", "1001", "1", "--reference", "r")
    cli.run("account", "topup", "1001", "1", "--reference", "r")
    cli.run("account", "set", "1001", "--max-calls", "2", "--block", "881")
    cli.refused("account", "set", "1001", "--numbering-plan", "nix")
    cli.run("routes", "add", "carrier1", "--position", "1")

    database = Database(database_url)
    await database.open()
    rows = await database.fetch(
        "SELECT party, surface, action, subject FROM audit_log WHERE action <> 'account.create' ORDER BY 1, 2, 3, 4"
    )
    await database.close()
    assert [tuple(row) for row in rows] == [
        ("operator", "cli", "account.change", "1001"),
        ("operator", "cli", "account.topup", "1001"),
        ("operator", "cli", "route.add", "carrier1"),
    ]


async def test_names_are_no_markup_and_give_the_terminal_no_orders(cli, database_url):
    database = Database(database_url)
    await database.open()
    await database.fetch("UPDATE tariffs SET name = $1", HOSTILE)
    await database.close()
    cli.run("account", "add-subscriber", "--login", "[/]", "--account-of", "1001")

    shown = "".join(
        cli.run(*command).stdout
        for command in (["tariff", "list"], ["account", "show", "[/]"], ["subscriber", "list"], ["rates", "list"])
    )

    assert "\x1b" not in shown
    assert "[b]x[/]\\x1b[2J" in shown
    assert "account of [/]" in shown
    assert HOSTILE.partition("\x1b")[0] in cli.refused("account", "show", HOSTILE)


def test_a_list_in_a_pipe_is_not_cut(cli):
    description = "x" * 300
    cli.run("tariff", "set", "retail", "--description", description)
    without_width = {name: value for name, value in environment(**cli.settings).items() if name != "COLUMNS"}

    done = subprocess.run(
        [*COMMAND, "tariff", "list"], env=without_width, cwd=cli.directory, capture_output=True, text=True, check=True
    )

    assert description in done.stdout
