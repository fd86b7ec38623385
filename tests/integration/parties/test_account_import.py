"""A file of accounts: all of them or none, once."""

from __future__ import annotations

import csv
from decimal import Decimal

import pytest

from rating_engine.domain.account import AccountKind
from rating_engine.domain.errors import InvalidRequest
from rating_engine.domain.page import MAX_LIMIT, Cursor
from rating_engine.domain.principal import OPERATOR
from rating_engine.services.parties.account_import import AccountImports
from rating_engine.services.parties.accounts import Accounts
from rating_engine.storage.postgres.pool import Database
from tests.support.commands import Commands
from tests.support.world import add_account, publish_deck


class Office:
    """A database with the tariff `retail` and the account 1000, and a directory for files."""

    def __init__(self, database, directory):
        self.database = database
        self.directory = directory
        self.accounts = Accounts(database, OPERATOR)

    async def import_text(self, text, *, buckets=1, **options):
        (self.directory / "accounts.csv").write_text(text, encoding="utf-8")
        imports = AccountImports(self.database, OPERATOR, buckets=buckets)
        return await imports.import_file(self.directory / "accounts.csv", **options)

    async def logins(self):
        return [one.login for one in (await self.accounts.page(Cursor(MAX_LIMIT))).items]


@pytest.fixture
async def office(database_url, tmp_path):
    database = Database(database_url)
    await database.open()
    await publish_deck(database)
    await add_account(database, "1000", balance="1")
    yield Office(database, tmp_path)
    await database.close()


@pytest.mark.parametrize("buckets", [1, 3])
async def test_thousands_are_made_in_one_go_with_their_balances_and_the_file_counts_once(office, buckets):
    rows = "\n".join(f"{login},retail,{login}.25,2" for login in range(2001, 4501))
    text = f"login,tariff,balance,max_calls\n{rows}\n"

    preview = await office.import_text(text, buckets=buckets, dry_run=True)
    assert await office.logins() == ["1000"]
    done, again = [await office.import_text(text, buckets=buckets) for _ in range(2)]

    total = sum(range(2001, 4501)) + Decimal(2500) / 4
    assert (preview.created, done.created, done.balances) == (2500, 2500, {"EUR": total})
    assert (again.repeated, again.created) == (True, 2500)
    assert await office.database.fetchval("SELECT count(*) FROM accounts") == 2501
    [entry] = (await office.accounts.statement("4321", Cursor())).items
    assert (entry.kind, entry.amount) == ("opening", Decimal("4321.25"))
    assert (await office.accounts.show("4321")).max_calls == 2
    created = "SELECT count(*) FROM audit_log WHERE action = 'account.create' AND subject = '4321'"
    assert await office.database.fetchval(created) == 1


async def test_every_field_of_an_account_is_taken_by_the_name_of_its_column(office):
    done = await office.import_text(
        "Login;Balance;Credit limit;Kind;Caller ID;Max calls;Customer\n"
        "1001;-7.5;100;postpaid;4930123;;Jones\n1002;;unlimited;postpaid;;;\n1003;5;;;;1;\n",
        tariff="retail",
    )

    assert (done.created, done.unused) == (3, ("Customer",))
    shown = [await office.accounts.show(login) for login in ("1001", "1002", "1003")]
    assert [(one.balance, one.overdraft, one.kind, one.callerid, one.max_calls) for one in shown] == [
        (Decimal("-7.5"), 100, AccountKind.POSTPAID, "4930123", None), (0, None, AccountKind.POSTPAID, "", None),
        (5, 0, AccountKind.PREPAID, "", 1),
    ]  # fmt: skip


BAD = (
    "login,tariff,balance,currency,owner\n"
    "1001,retail,1,,\n1000,retail,1,,\n1001,retail,1,,\n1002,nix,1,,\n1003,retail,\"1,5\",,\n1 4,retail,1,,\n"
    "1005,retail,-1,,\n1006,retail,1,USD,\n1008,retail,1,,nobody\n1007,retail,\"1\n"
)  # fmt: skip
REASONS = {
    "3": "login: '1000' is taken",
    "4": "login: stands in line 2 too",
    "5": "tariff 'nix' does not exist; import its rates first",
    "6": "balance: '1,5' is not a plain number",
    "7": "login: must be 1 to 64 printable ASCII",
    "8": "balance: -1 is ",
    "9": "currency: tariff 'retail' is in EUR, not in USD",
    "10": "owner: ",
    "11": "a quote is not closed on its line",
}


async def test_a_row_that_cannot_be_taken_holds_all_back_and_is_written_beside_the_file(office):
    done = await office.import_text(BAD)

    assert (done.created, done.held) == (0, True)
    assert await office.logins() == ["1000"]
    with done.rejected_file.open(encoding="utf-8-sig") as stream:
        found = {row["line"]: row["reason"] for row in csv.DictReader(stream)}
    assert found.keys() == REASONS.keys()
    for line, reason in REASONS.items():
        assert reason in found[line]


async def test_the_others_are_made_if_so_said_and_what_was_mended_later_on_is_made_then(office):
    done = await office.import_text(BAD, skip_rejected=True)
    assert (done.created, len(done.rejected), done.held) == (1, 9, False)
    await publish_deck(office.database, "nix")

    again = await office.import_text(BAD, skip_rejected=True)

    assert (again.created, again.repeated) == (1, False)
    assert await office.logins() == ["1000", "1001", "1002"]
    await office.import_text("login,tariff\n1009,retail\n")
    assert not (office.directory / "accounts.rejected.csv").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "file: .* is empty"),
        ("name,tariff\nx,retail\n", "file: .* has no column login"),
        ("login,balance\n1001,1\n", "tariff: .* has no column tariff"),
        ("login,tariff,kind,postpaid\n1001,retail,prepaid,no\n", "kind and postpaid"),
        ("login,login\n1,2\n", "has the column login twice"),
    ],
)
async def test_a_file_that_is_none_is_refused(office, text, said):
    with pytest.raises(InvalidRequest, match=said):
        await office.import_text(text)


def test_the_command_says_how_it_went_by_words_and_exit_status(office, database_url, tmp_path):
    cli = Commands(tmp_path, database_url=database_url)
    (tmp_path / "bad.csv").write_text(BAD)

    held = cli.run("account", "import", "bad.csv")
    taken = cli.run("account", "import", "bad.csv", "--skip-rejected")

    assert (held.returncode, taken.returncode) == (1, 2)
    assert "line 5: tariff 'nix' does not exist" in held.stdout
    assert "nothing was created: mend the rows" in held.stdout
    assert "created 1 accounts, opening balances 1 EUR" in taken.stdout
    assert "No such file" in cli.refused("account", "import", "nowhere.csv")
