"""Balances put right by hand, and accounts that are used no more."""

from __future__ import annotations

from decimal import Decimal

import pytest

from rating_engine.domain.account import AccountChanges, Closing, NewAccount, NewSubscriber, Settlement
from rating_engine.domain.errors import AccountClosed, AlreadyExists, InvalidRequest, NotFound, Refused
from rating_engine.domain.page import Cursor
from rating_engine.domain.principal import OPERATOR
from rating_engine.services.parties.accounts import Accounts
from rating_engine.storage.postgres.pool import Database
from tests.support.calls import finish, prepare
from tests.support.commands import Commands
from tests.support.engines import engine_on
from tests.support.world import add_account, publish_deck

TEN = Decimal(10)


@pytest.fixture
async def database(database_url):
    """1001 has 10, the postpaid 1002 owes 5."""
    database = Database(database_url)
    await database.open()
    await publish_deck(database)
    await add_account(database, "1001", balance="10")
    await add_account(database, "1002", balance="-5", postpaid=True, overdraft=None)
    yield database
    await database.close()


@pytest.fixture
def accounts(database):
    return Accounts(database, OPERATOR)


async def entries(accounts, login):
    page = await accounts.statement(login, Cursor())
    return [(entry.kind, entry.amount, entry.subject, entry.reference) for entry in page.items]


async def audited(database, action):
    return [row["subject"] for row in await database.fetch("SELECT subject FROM audit_log WHERE action = $1", action)]


async def test_a_mistaken_top_up_is_taken_back_once_for_a_reference(accounts, database):
    await accounts.top_up("1001", Decimal(25))

    said = [await accounts.adjust("1001", Decimal(-25), reason="twice", reference="undo-1") for _ in range(2)]

    assert [(one.balance, one.posted) for one in said] == [(TEN, True), (TEN, False)]
    assert (await entries(accounts, "1001"))[0] == ("adjustment", -25, "twice", "undo-1")
    assert await audited(database, "account.adjust") == ["1001"]


@pytest.mark.parametrize(
    ("login", "amount", "reason", "error", "said"),
    [
        ("1001", "-10.01", "x", InvalidRequest, "amount: is more than is available, 10: "),
        ("1001", "0", "x", InvalidRequest, "amount: must not be zero"),
        ("1001", "5", " ", InvalidRequest, "reason: must be a line of 1 to 200"),
        ("1001", "5", "a\nb", InvalidRequest, "reason: must be a line of 1 to 200"),
        ("nobody", "5", "x", NotFound, "login 'nobody' does not exist"),
    ],
)
async def test_what_cannot_be_adjusted_is_said_and_nothing_changes(accounts, login, amount, reason, error, said):
    with pytest.raises(error, match=said):
        await accounts.adjust(login, Decimal(amount), reason=reason)
    assert len(await entries(accounts, "1001")) == 1


async def test_a_reference_stands_for_one_adjustment_with_its_reason(accounts):
    await accounts.adjust("1001", Decimal(1), reason="a", reference="r")

    for amount, reason in ((2, "a"), (1, "b")):
        with pytest.raises(AlreadyExists, match="was used before"):
            await accounts.adjust("1001", Decimal(amount), reason=reason, reference="r")


async def test_unlimited_credit_goes_as_far_down_as_is_said(accounts):
    assert (await accounts.adjust("1002", Decimal(-100), reason="an old debt")).balance == -105


async def test_what_calls_hold_is_not_taken_away(accounts, database_url):
    async with engine_on(database_url) as engine:
        await engine.charging.prepare_call(prepare("held"))
        available = (await accounts.show("1001")).available

        with pytest.raises(InvalidRequest, match=f"more than is available, {available.normalize():f}"):
            await accounts.adjust("1001", Decimal(-10), reason="x")


async def test_an_account_with_money_is_closed_when_somebody_says_what_becomes_of_it(accounts, database):
    with pytest.raises(Refused, match="its balance is 10"):
        await accounts.close("1001")

    done = await accounts.close("1001", Closing(Settlement.PAID_OUT, "transfer 815"))

    assert (done.settled, done.repeated, done.state.balance, done.state.status) == (10, False, 0, "blocked")
    assert done.state.closed_at is not None
    assert (await entries(accounts, "1001"))[0] == ("adjustment", -10, "closed, paid out: transfer 815", None)
    assert (await accounts.close("1001")).repeated
    assert len(await entries(accounts, "1001")) == 2
    assert await audited(database, "account.close") == ["1001"]


async def test_a_debt_is_paid_or_written_off_and_cannot_be_paid_out(accounts):
    for closing in (None, Closing(Settlement.PAID_OUT, "x")):
        with pytest.raises(Refused, match="its balance is -5"):
            await accounts.close("1002", closing)

    assert (await accounts.close("1002", Closing(Settlement.WRITTEN_OFF, "insolvent"))).state.balance == 0
    assert (await entries(accounts, "1002"))[0] == ("adjustment", 5, "closed, written off: insolvent", None)


async def test_a_closed_account_changes_no_more_and_its_login_is_not_given_again(accounts):
    await accounts.close("1001", Closing(Settlement.WRITTEN_OFF, "a test account"))

    for change in (
        accounts.unblock("1001"),
        accounts.top_up("1001", Decimal(5)),
        accounts.change("1001", AccountChanges(max_calls=1)),
        accounts.add_subscriber(NewSubscriber("1003", "1001")),
    ):
        with pytest.raises(AccountClosed, match="the account of '1001' was closed on"):
            await change
    with pytest.raises(AlreadyExists):
        await accounts.create(NewAccount("1001", "retail"))
    assert [one.closed_at is None for one in (await accounts.page(Cursor())).items] == [False, True]


async def test_an_account_with_open_calls_is_not_closed_and_one_that_is_starts_none_though_a_late_end_counts(
    accounts, database_url
):
    closing = Closing(Settlement.WRITTEN_OFF, "x")
    async with engine_on(database_url) as engine:
        await engine.charging.prepare_call(prepare("open"))
        with pytest.raises(Refused, match="1 of its calls are open"):
            await accounts.close("1001", closing)
        await engine.charging.finish_call(finish("open", 0))
        await accounts.close("1001", closing)

        assert (await engine.charging.prepare_call(prepare("new"))).reason == "inactive"
        await engine.charging.finish_call(finish("unheard of", 7))

    assert (await accounts.show("1001")).balance == Decimal("-0.07")
    await accounts.adjust("1001", Decimal("0.07"), reason="a late end")
    assert (await accounts.show("1001")).balance == 0


def test_the_commands_say_what_became_of_the_balance(database, database_url, tmp_path):
    cli = Commands(tmp_path, database_url=database_url)

    adjusted = cli.run("account", "adjust", "1001", "-2.50", "--reason", "a gift taken back")
    refused = cli.refused("account", "close", "1001")
    closed = cli.run("account", "close", "1001", "--paid-out", "transfer 815")

    assert adjusted.stdout == "adjusted; balance 7.5\n"
    assert refused == (
        "its balance is 7.5; say what becomes of it: rating-engine account close 1001 --paid-out REFERENCE, or"
        " --written-off REASON"
    )
    assert closed.stdout == "the account of 1001 is closed; 7.5 EUR paid out\n"
