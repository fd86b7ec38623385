"""`rating-engine account import`: a file of accounts, all of them or none, once."""

from __future__ import annotations

import csv

import pytest

from rating_engine.storage.postgres.pool import Database
from tests.support.commands import Commands
from tests.support.world import add_account, publish_deck


@pytest.fixture
async def cli(database_url, tmp_path):
    database = Database(database_url)
    await database.open()
    await publish_deck(database)
    await add_account(database, "1000", balance="1")
    await database.close()
    return Commands(tmp_path, database_url=database_url)


def logins(cli):
    return [one["login"] for one in cli.json("account", "list")["accounts"]]


def written(cli, text, name="accounts.csv"):
    (cli.directory / name).write_text(text, encoding="utf-8")
    return name


def test_thousands_are_made_in_one_go_with_their_balances_and_the_file_counts_once(cli):
    rows = "\n".join(f"{login},retail,{login}.25,2" for login in range(2001, 5001))
    file = written(cli, f"login,tariff,balance,max_calls\n{rows}\n")

    preview = cli.json("account", "import", file, "--dry-run")
    assert logins(cli) == ["1000"]
    done, again = cli.json("account", "import", file), cli.json("account", "import", file)

    total = str(sum(range(2001, 5001)) + 3000 // 4)
    assert (preview["created"], done["created"], done["balances"]) == (3000, 3000, {"EUR": total})
    assert (again["repeated"], len(logins(cli))) == (True, 3001)
    [entry] = cli.json("account", "statement", "4999")["entries"]
    assert (entry["kind"], entry["amount"]) == ("opening", "4999.25")
    assert cli.json("account", "show", "4999")["max_calls"] == 2


def test_every_field_of_an_account_is_taken_by_the_name_of_its_column(cli):
    file = written(
        cli,
        "Login;Balance;Credit limit;Kind;Caller ID;Max calls;Customer\n"
        "1001;-7.5;100;postpaid;4930123;;Jones\n1002;;unlimited;postpaid;;;\n1003;5;;;;1;\n",
    )

    done = cli.run("account", "import", file, "--tariff", "retail")

    assert done.returncode == 0, done.stderr
    assert "columns not used: Customer" in done.stdout
    shown = [cli.json("account", "show", login) for login in ("1001", "1002", "1003")]
    fields = ("balance", "overdraft", "postpaid", "callerid", "max_calls")
    assert [tuple(one[name] for name in fields) for one in shown] == [
        ("-7.5", "100", True, "4930123", None), ("0", None, True, "", None), ("5", "0", False, "", 1),
    ]  # fmt: skip


BAD = (
    "login,tariff,balance,currency\n"
    "1001,retail,1,\n1000,retail,1,\n1001,retail,1,\n1002,nix,1,\n1003,retail,\"1,5\",\n1 4,retail,1,\n"
    "1005,retail,-1,\n"
    "1006,retail,1,USD\n1007,retail,\"1\n"
)  # fmt: skip
REASONS = {
    "3": "login: '1000' is taken",
    "4": "login: stands in line 2 too",
    "5": "tariff 'nix' does not exist; import its rates first",
    "6": "balance: '1,5' is not a plain number",
    "7": "login: must be 1 to 64 printable ASCII",
    "8": "balance: -1 is ",
    "9": "currency: tariff 'retail' is in EUR, not in USD",
    "10": "a quote is not closed on its line",
}


def test_a_row_that_cannot_be_taken_holds_all_back_and_is_written_beside_the_file(cli):
    file = written(cli, BAD)

    done = cli.run("account", "import", file)

    assert done.returncode == 1
    assert logins(cli) == ["1000"]
    with (cli.directory / "accounts.rejected.csv").open(encoding="utf-8-sig") as stream:
        found = {row["line"]: row["reason"] for row in csv.DictReader(stream)}
    assert found.keys() == REASONS.keys()
    for line, reason in REASONS.items():
        assert reason in found[line]


def test_the_others_are_made_if_so_said_and_what_was_mended_later_on_is_made_then(cli):
    file = written(cli, BAD)

    assert cli.run("account", "import", file, "--skip-rejected").returncode == 2
    assert logins(cli) == ["1000", "1001"]
    again = cli.run("account", "import", file, "--skip-rejected", "--json")

    assert '"created": 0' in again.stdout
    assert logins(cli) == ["1000", "1001"]
    mended = written(cli, "login,tariff\n1002,retail\n")
    assert cli.json("account", "import", mended)["created"] == 1
    assert not (cli.directory / "accounts.rejected.csv").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "file: accounts.csv is empty"),
        ("name,tariff\nx,retail\n", "file: accounts.csv has no column login"),
        ("login,balance\n1001,1\n", "tariff: accounts.csv has no column tariff"),
        ("login,tariff,kind,postpaid\n1001,retail,prepaid,no\n", "kind and postpaid"),
        ("login,login\n1,2\n", "has the column login twice"),
    ],
)
def test_a_file_that_is_none_is_refused_in_a_line(cli, text, said):
    assert said in cli.refused("account", "import", written(cli, text))
    assert "No such file" in cli.refused("account", "import", "nowhere.csv")
