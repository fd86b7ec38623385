"""Transfers of money, and whoever sends them dies in between: two accounts in different buckets."""

from __future__ import annotations

import asyncio
import random
import signal
import sys
import zlib
from collections import Counter
from decimal import Decimal

import pytest

from rating_engine.domain.account import AccountChanges, AccountKind, Closing, NewAccount, Settlement
from rating_engine.domain.errors import AccountClosed, AlreadyExists, InvalidRequest, NotFound
from rating_engine.domain.page import Cursor
from rating_engine.domain.party import NewParty, PartyKind
from rating_engine.domain.principal import OPERATOR
from rating_engine.domain.transfer import (
    InsufficientMoney,
    NoExchangeRate,
    Order,
    TransfersLimited,
    TransfersLocked,
    TransferState,
)
from rating_engine.engine.services import open_services
from rating_engine.services.catalogue import UseCases
from rating_engine.services.doctor import ledger_balanced
from rating_engine.services.finance.transfers import TransferKeeper
from rating_engine.settings.model import Settings
from rating_engine.storage.audit_log import note_of
from rating_engine.storage.finance import transfers as store
from rating_engine.storage.finance.purses import purse_of_line
from rating_engine.storage.postgres.pool import Database
from tests.support.calls import prepare
from tests.support.commands import Commands
from tests.support.engines import engine_on
from tests.support.world import publish_deck

BUCKETS = 2
NEAR = [str(n) for n in range(1001, 1040) if zlib.crc32(str(n).encode()) % BUCKETS == 0][:2]
FAR = [str(n) for n in range(1001, 1040) if zlib.crc32(str(n).encode()) % BUCKETS == 1][:2]
SENDER = NEAR[0]
ROUNDS = 3  # of kills
# Sends a cent again and again, from one bucket to the other, until it is killed.
FOR_EVER = """
import asyncio, sys
from decimal import Decimal
from rating_engine.domain.principal import OPERATOR
from rating_engine.services.finance.transfers import Transfers
from rating_engine.storage.postgres.pool import Database

async def main(url, login, to_login):
    database = Database(url)
    await database.open()
    transfers = Transfers(database, OPERATOR)
    print("begun", flush=True)
    while True:
        await transfers.between(login, to_login, Decimal("0.01"))

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture
async def database(database_url):
    database = Database(database_url)
    await database.open()
    await publish_deck(database)
    yield database
    assert await ledger_balanced(database) == []
    await database.close()


@pytest.fixture
async def use(database, database_url) -> UseCases:
    """Ten on each of four accounts, two in each bucket."""
    async with open_services(Settings(database_url=database_url, ledger_buckets=BUCKETS)) as services:
        use = services.of(OPERATOR)
        for login in (*NEAR, *FAR):
            await use.accounts.create(NewAccount(login, "retail", balance=Decimal(10)))
        yield use


async def balance_of(use, login):
    return (await use.accounts.show(login)).balance


async def cut_off(database, login, to_login, amount):
    """A transfer whose sender died after taking the money."""
    sender, receiver = await purse_of_line(database, login), await purse_of_line(database, to_login)
    note = note_of(OPERATOR, "account.transfer", login)
    return await store.send(database, sender, receiver, Order(amount), Decimal(0), Decimal(1), note)


@pytest.mark.parametrize("to_login", [NEAR[1], FAR[0]])
async def test_what_one_sends_the_other_has_and_both_statements_say_so(use, database, to_login):
    sent = await use.transfers.between(SENDER, to_login, Decimal(4), comment="for lunch", reference="lunch")
    again = await use.transfers.between(SENDER, to_login, Decimal(4), comment="for lunch", reference="lunch")

    assert (sent.state, sent.repeated, again.repeated) == (TransferState.DONE, False, True)
    assert again.transfer_id == sent.transfer_id
    assert [await balance_of(use, login) for login in (SENDER, to_login)] == [6, 14]
    for login, amount, end in ((SENDER, -4, "out"), (to_login, 4, "in")):
        entry = (await use.accounts.statement(login, Cursor())).items[0]
        assert (entry.kind, entry.amount, entry.subject) == ("transfer", amount, "for lunch")
        assert entry.reference == f"transfer:{sent.transfer_id}:{end}"
    audited = await database.fetch("SELECT subject FROM audit_log WHERE action = 'account.transfer'")
    assert len(audited) == 1


@pytest.mark.parametrize("to_login", [NEAR[1], FAR[0]])
async def test_twenty_at_once_send_no_more_than_there_is(use, to_login):
    async def send() -> str:
        try:
            return (await use.transfers.between(SENDER, to_login, Decimal(3))).state.value
        except InsufficientMoney:
            return "refused"

    said = Counter(await asyncio.gather(*(send() for _ in range(20))))

    assert said == Counter(done=3, refused=17)
    assert [await balance_of(use, login) for login in (SENDER, to_login)] == [1, 19]


async def test_what_calls_hold_is_not_sent_and_credit_without_a_limit_is_no_money(use, database_url, database):
    await use.accounts.create(
        NewAccount("3001", "retail", balance=Decimal(2), kind=AccountKind.POSTPAID)  # unlimited credit
    )
    with pytest.raises(InsufficientMoney):
        await use.transfers.between("3001", SENDER, Decimal("2.01"))
    await use.transfers.between("3001", SENDER, Decimal(2))
    async with engine_on(database_url, ledger_buckets=BUCKETS, max_reserve_seconds=500) as engine:
        await engine.charging.prepare_call(prepare("a-call", login=SENDER))  # holds 5 of 12
        with pytest.raises(InsufficientMoney, match="7"):
            await use.transfers.between(SENDER, FAR[0], Decimal("7.01"))
        await use.transfers.between(SENDER, FAR[0], Decimal(7))


@pytest.mark.parametrize(
    "amount", [Decimal(0), Decimal(-1), Decimal("0.0000001"), Decimal("1E15"), Decimal("NaN"), Decimal("Infinity")]
)
async def test_what_is_no_amount_is_refused_by_its_name(use, amount):
    with pytest.raises(InvalidRequest) as refused:
        await use.transfers.between(SENDER, FAR[0], amount)
    assert refused.value.field == "amount"


async def test_what_cannot_be_is_refused_and_nothing_moves(use, database):
    await use.accounts.create(NewAccount("3001", "retail", balance=Decimal(5)))
    await use.accounts.close("3001", Closing(Settlement.PAID_OUT, "paid"))
    await database.fetch("UPDATE accounts SET currency = 'CHF' WHERE account_id = "
                         "(SELECT account_id FROM subscribers WHERE login = $1)", FAR[1])  # fmt: skip
    await use.transfers.between(SENDER, FAR[0], Decimal(1), reference="once")
    wrong = (
        ({"to_login": "3001"}, AccountClosed),
        ({"to_login": FAR[1]}, NoExchangeRate),
        ({"to_login": "nobody"}, NotFound),
        ({"to_login": SENDER}, InvalidRequest),
        ({"reference": "transfer:1:in"}, InvalidRequest),
        ({"reference": "card:1:sale:2"}, InvalidRequest),
        ({"reference": "register:7"}, InvalidRequest),
        ({"reference": "once", "amount": Decimal(2)}, AlreadyExists),
        ({"reference": "once", "to_login": NEAR[1]}, AlreadyExists),
        ({"amount": Decimal("9.01")}, InsufficientMoney),
    )
    for change, error in wrong:
        asked = {"to_login": FAR[0], "amount": Decimal(1), "reference": None, **change}
        with pytest.raises(error):
            await use.transfers.between(SENDER, **asked)
    assert await balance_of(use, SENDER) == 9


async def test_refill_allowed_says_whose_money_moves(use):
    for login in (SENDER, FAR[0]):
        for allowed, error in ((0, TransfersLocked), (1, TransfersLimited)):
            await use.accounts.change(login, AccountChanges(refill_allowed=allowed))
            with pytest.raises(error):
                await use.transfers.between(SENDER, FAR[0], Decimal(1))
        await use.accounts.change(login, AccountChanges(refill_allowed=2))
    await use.transfers.between(SENDER, FAR[0], Decimal(1))


async def test_a_transfer_that_was_cut_off_is_ended_by_whoever_looks_next(use, database):
    await cut_off(database, SENDER, FAR[0], Decimal(3))
    await cut_off(database, SENDER, FAR[1], Decimal(2))
    await use.accounts.close(FAR[1], Closing(Settlement.PAID_OUT, "moved away"))

    keepers = [TransferKeeper(database, late_seconds=0) for _ in range(4)]
    await asyncio.gather(*(keeper.turn() for keeper in keepers))

    assert await keepers[0].turn() == 0
    assert [await balance_of(use, login) for login in (SENDER, *FAR)] == [7, 13, 0]
    states = await database.fetch("SELECT state FROM transfers ORDER BY transfer_id")
    assert [row["state"] for row in states] == ["done", "returned"]


async def test_a_sender_killed_at_any_moment_loses_nothing_and_doubles_nothing(use, database, database_url):
    moments = random.Random(10)
    for _ in range(ROUNDS):
        program = await asyncio.create_subprocess_exec(
            sys.executable, "-c", FOR_EVER, database_url, SENDER, FAR[0], stdout=asyncio.subprocess.PIPE
        )
        assert program.stdout is not None
        await program.stdout.readline()
        sent = await database.fetchval("SELECT count(*) FROM transfers")
        while await database.fetchval("SELECT count(*) FROM transfers") < sent + moments.randint(3, 30):
            pass
        program.send_signal(signal.SIGKILL)
        await program.wait()
    await TransferKeeper(database, late_seconds=0).turn()

    left = await balance_of(use, SENDER)
    assert left < 10
    assert left + await balance_of(use, FAR[0]) == 20


async def test_a_login_that_is_also_an_accounts_number_is_not_guessed_at(use):
    await use.parties.create(NewParty("firm", PartyKind.RESELLER))
    number = str((await use.accounts.lines("system"))[0].account_id)
    for name, line in ((number, "4001"), ("anna", "4002")):
        await use.parties.create(NewParty(name, owner="firm"))
        await use.accounts.create(NewAccount(line, "retail", balance=Decimal(5), owner=name))

    with pytest.raises(InvalidRequest, match="number of another"):
        await use.transfers.send("anna", number, Decimal(1))
    sent = await use.transfers.send(number, "anna", Decimal(1))
    assert (sent.amount_to, await balance_of(use, "4002")) == (1, 6)
    with pytest.raises(NotFound):
        await use.transfers.send("anna", "9" * 30, Decimal(1))


async def test_the_command_says_what_was_sent(use, database_url, tmp_path):
    cli = Commands(tmp_path, database_url=database_url)

    def commands():
        told = cli.json("account", "transfer", SENDER, FAR[0], "4", "--reference", "r")
        again = cli.run("account", "transfer", SENDER, FAR[0], "4", "--reference", "r")
        refused = cli.refused("account", "transfer", SENDER, FAR[0], "7")
        return told, again.stdout, refused

    told, again, refused = await asyncio.to_thread(commands)
    assert (told["state"], told["amount_to"], told["repeated"]) == ("done", "4", False)
    assert again == f"reference 'r' was sent before; 4 EUR of {SENDER}: {FAR[0]} gets 4 EUR (transfer 1, done)\n"
    assert refused == "6 EUR can be sent: calls keep what they hold"
