"""Payments, invoices and credit notes: each done once, and equal to the ledger to the last digit."""

from __future__ import annotations

import asyncio
import random
import signal
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from rating_engine.adapters.paper.printer import InvoicePrinter
from rating_engine.adapters.smtp import Smtp
from rating_engine.domain.account import AccountKind, NewAccount
from rating_engine.domain.credit_note import CreditNoteFilter, CreditNoteState, NewCreditNote
from rating_engine.domain.did import NewDid
from rating_engine.domain.errors import AlreadyExists, InvalidRequest, NotAllowed, NotFound, NotYours, Refused
from rating_engine.domain.invoice import Invoice, InvoiceFilter, InvoiceKind, InvoiceState, LineKind
from rating_engine.domain.outcomes import Allowed
from rating_engine.domain.page import Cursor
from rating_engine.domain.party import NewParty, PartyChanges, PartyKind
from rating_engine.domain.payment import (
    ContactReseller,
    MaximumPayment,
    MinimalPayment,
    MinimalStartPayment,
    NewPayment,
    PaymentFilter,
    PaymentState,
)
from rating_engine.domain.principal import OPERATOR, Principal, principal_of
from rating_engine.domain.subscription import NewService, NewSubscription
from rating_engine.domain.tax import PartyTax, Tax
from rating_engine.domain.transfer import InsufficientMoney, NoExchangeRate
from rating_engine.engine.services import open_services
from rating_engine.services.calls.ports import utc_now
from rating_engine.services.catalogue import UseCases
from rating_engine.services.doctor import ledger_balanced
from rating_engine.services.finance.invoice_mails import InvoiceMails
from rating_engine.services.finance.monthly import MonthlyInvoices
from rating_engine.services.finance.printing import PrintFailed
from rating_engine.services.finance.recurring import Recurring
from rating_engine.services.numbers.dids import Dids
from rating_engine.services.numbers.rents import Rents
from rating_engine.services.support.outbox import Outbox
from rating_engine.settings.model import Settings
from rating_engine.storage.postgres.pool import Database
from tests.support.calls import finish, prepare
from tests.support.engines import engine_on
from tests.support.mail_server import mail_server
from tests.support.world import publish_deck

ACCOUNTS = 40
PAPERS = "SELECT (SELECT count(*) FROM payments) + (SELECT count(*) FROM invoices)"
RENT, FEE = Decimal("1.25"), Decimal("2.000001")
GATEWAY = "pay public 2.5 a-secret-that-is-long-enough https://pay.example.org/start"
LAST_MONTH = (datetime.now(UTC).replace(day=1) - timedelta(days=1)).date().replace(day=1)


@pytest.fixture
async def database(database_url):
    database = Database(database_url)
    await database.open()
    await publish_deck(database)
    yield database
    assert await ledger_balanced(database) == []
    await database.close()


@pytest.fixture
async def services(database, database_url):
    """anna belongs to the system, ben to the reseller firm, who has 100."""
    settings = Settings(
        database_url=database_url, payment_minimal="5", payment_minimal_start="10", payment_maximum="1000",
        payment_handlers=(GATEWAY,), ledger_buckets=2,
    )  # fmt: skip
    async with open_services(settings) as services:
        use = services.of(OPERATOR)
        await use.parties.create(NewParty("firm", PartyKind.RESELLER))
        await use.parties.create(NewParty("anna", name="Anna Example"))
        await use.parties.create(NewParty("ben", owner="firm"))
        for login, owner, balance in (("2001", "firm", 100), ("1001", "anna", 0), ("3001", "ben", 0)):
            await use.accounts.create(NewAccount(login, "retail", balance=Decimal(balance), owner=owner))
        yield services


@pytest.fixture
def use(services) -> UseCases:
    return services.of(OPERATOR)


async def asker(use: UseCases, login: str) -> Principal:
    return principal_of(await use.parties.show(login), "test")


async def balance_of(use: UseCases, login: str) -> Decimal:
    return (await use.accounts.show(login)).balance


async def test_a_payment_confirmed_by_twenty_at_once_is_one_top_up(use, services):
    waiting = await use.payments.create(NewPayment("anna", Decimal("12.34"), transaction="T1", comment="cash"))
    again = await use.payments.create(NewPayment("anna", Decimal("12.34"), transaction="T1"))
    assert (again.payment_id, waiting.state) == (waiting.payment_id, PaymentState.PENDING)
    with pytest.raises(AlreadyExists):
        await use.payments.create(NewPayment("anna", Decimal(13), transaction="T1"))
    assert await balance_of(use, "1001") == 0

    done = await asyncio.gather(*(use.payments.confirm(waiting.payment_id) for _ in range(20)))

    assert {each.state for each in done} == {PaymentState.CONFIRMED}
    entry, *rest = (await use.accounts.statement("1001", Cursor())).items
    assert (entry.kind, entry.amount, entry.reference, rest) == ("topup", Decimal("12.34"), "payment:manual:T1", [])
    with pytest.raises(Refused, match="was confirmed"):
        await use.payments.cancel(waiting.payment_id)
    with pytest.raises(InvalidRequest, match="payment:"):
        await use.accounts.top_up("1001", Decimal(1), reference="payment:manual:T2")


async def test_what_was_cancelled_is_never_confirmed(use):
    waiting = await use.payments.create(NewPayment("anna", Decimal(5)))
    assert (await use.payments.cancel(waiting.payment_id)).state is PaymentState.CANCELLED
    with pytest.raises(Refused, match="cancelled"):
        await use.payments.confirm(waiting.payment_id)
    with pytest.raises(NotFound):
        await use.payments.confirm(4711)
    assert await balance_of(use, "1001") == 0


async def test_a_reseller_confirms_and_credits_with_money_of_its_own_and_for_nobody_elses_users(use, services):
    firm = services.of(await asker(use, "firm"))
    paid = await firm.payments.create(NewPayment("ben", Decimal(60)))
    await asyncio.gather(*(firm.payments.confirm(paid.payment_id) for _ in range(5)))
    assert [await balance_of(use, login) for login in ("2001", "3001")] == [40, 60]
    more = await firm.payments.create(NewPayment("ben", Decimal(41)))
    with pytest.raises(InsufficientMoney):
        await firm.payments.confirm(more.payment_id)

    note = await firm.credit_notes.create(NewCreditNote("ben", Decimal(30), "EUR", comment="sorry"))
    await asyncio.gather(*(firm.credit_notes.set_paid(note.credit_note_id) for _ in range(5)))
    assert [await balance_of(use, login) for login in ("2001", "3001")] == [10, 90]
    await use.credit_notes.set_paid(note.credit_note_id, paid=False)  # by the operator: it goes back to the firm
    assert [await balance_of(use, login) for login in ("2001", "3001")] == [40, 60]
    await firm.credit_notes.set_paid(note.credit_note_id)
    await firm.credit_notes.delete(note.credit_note_id)
    assert [await balance_of(use, login) for login in ("2001", "3001")] == [40, 60]
    with pytest.raises(Refused):
        await firm.credit_notes.set_paid(note.credit_note_id)

    foreign = await use.payments.create(NewPayment("anna", Decimal(5)))
    own = await use.payments.create(NewPayment("firm", Decimal(5)))
    ben, anna = services.of(await asker(use, "ben")), services.of(await asker(use, "anna"))
    for asking, payment, error in (
        (firm, foreign, NotYours), (firm, own, NotAllowed), (ben, more, NotAllowed), (anna, foreign, NotAllowed),
    ):  # fmt: skip
        with pytest.raises(error):
            await asking.payments.confirm(payment.payment_id)
    with pytest.raises(NotYours):
        await ben.payments.show(foreign.payment_id)
    assert (await anna.payments.show(foreign.payment_id)).amount == 5
    assert [each.login for each in (await firm.payments.page(PaymentFilter(), Cursor())).items] == [
        "firm",
        "ben",
        "ben",
    ]


async def test_what_somebody_asks_to_pay_is_a_numbered_invoice_that_its_payment_pays(use, services):
    await use.parties.change("anna", PartyChanges(tax_id=await use.taxes.add(Tax("VAT", Decimal(19)))))
    anna = services.of(await asker(use, "anna"))
    payment, form = await anna.payments.request("anna", "pay", "card", Decimal(50))
    assert (payment.tax, payment.commission, payment.gross) == (Decimal("9.50"), Decimal("1.49"), Decimal("60.99"))
    assert form.fields["payment"] == str(payment.payment_id)
    for wrong, error in (
        (("pay", "card", Decimal("4.99")), MinimalPayment), (("pay", "card", Decimal(1001)), MaximumPayment),
        (("qiwi", "card", Decimal(50)), InvalidRequest), (("manual", "card", Decimal(50)), InvalidRequest),
    ):  # fmt: skip
        with pytest.raises(error):
            await anna.payments.request("anna", *wrong)
    with pytest.raises(ContactReseller):
        await services.of(await asker(use, "ben")).payments.request("ben", "manual", "bank", Decimal(50))
    await use.parties.change("anna", PartyChanges(level=10))
    with pytest.raises(MinimalStartPayment):
        await anna.payments.request("anna", "manual", "bank", Decimal(6))

    told = {"payment": str(payment.payment_id), "amount": "60.99", "currency": "EUR", "status": "paid"}
    for change in ({"signature": "0" * 64}, {"signature": ""}):
        with pytest.raises(NotAllowed):
            await use.payments.tell("pay", {**told, **change})
    handler = services._ways.payments.handlers["pay"]
    less = {**told, "amount": "0.99"}
    with pytest.raises(Refused, match=r"60\.99"):
        await use.payments.tell("pay", {**less, "signature": handler._signature(*less.values())})
    word = {**told, "signature": handler._signature(*told.values())}
    assert await asyncio.gather(*(use.payments.tell("pay", word) for _ in range(5))) == ["ok"] * 5
    assert await balance_of(use, "1001") == 50
    (invoice,) = (await anna.invoices.page(InvoiceFilter(own=True), Cursor())).items
    assert (invoice.label, invoice.state, invoice.due) == ("PRO-000001", InvoiceState.PAID, Decimal("60.99"))
    rest = await use.payments.create(NewPayment("anna", Decimal(5), invoice_id=invoice.invoice_id))
    with pytest.raises(Refused, match="credit note"):
        await use.invoices.cancel(invoice.invoice_id)
    assert (await use.payments.show(rest.payment_id)).state is PaymentState.PENDING  # refused is not half done


async def test_invoices_of_an_issuer_have_no_gaps_and_a_month_has_one_whoever_makes_it(use, database):
    with pytest.raises(Refused, match="was made after"):
        await use.invoices.monthly("anna")
    await database.fetch("UPDATE accounts SET overdraft = 2, created_at = '2020-01-01'")
    await move(database, "1001", LAST_MONTH, "-1.234567", "fee", "rent")
    made = await asyncio.gather(*(use.invoices.monthly("anna") for _ in range(8)))
    assert len({invoice.invoice_id for invoice in made}) == 1
    assert (made[0].label, made[0].net, made[0].closing) == ("INV-000001", Decimal("1.234567"), Decimal("-1.234567"))
    # Each tax is rounded by itself, and what is paid is the sum of its lines: 7.7 % of it at once would be 0.10.
    taxes = (PartyTax(1, "State", Decimal("4.4")), PartyTax(3, "City <b>", Decimal("3.3")))
    await use.parties.change("anna", PartyChanges(taxes=taxes))
    await use.invoices.cancel(made[0].invoice_id)
    again = await use.invoices.monthly("anna")
    assert (again.label, again.net) == ("INV-000002", made[0].net)
    shown = [(tax.name, tax.percent, tax.amount) for tax in again.taxes]
    assert shown == [("State", Decimal("4.4"), Decimal("0.05")), ("City <b>", Decimal("3.3"), Decimal("0.04"))]
    assert (again.tax_percent, again.tax, again.due) == (Decimal("7.7"), Decimal("0.09"), Decimal("1.324567"))
    states = [each.state for each in (await use.invoices.page(InvoiceFilter(), Cursor())).items]
    assert states == [InvoiceState.OPEN]
    now = datetime.now(UTC)
    with pytest.raises(Refused, match="not ended"):
        await use.invoices.monthly("anna", now.month, now.year)
    for month in (0, 13, 10**9):
        with pytest.raises(InvalidRequest):
            await use.invoices.monthly("anna", month)


async def move(database, login, day, amount, kind, subject):
    """One entry of an account on a day, as a money function writes it."""
    await database.fetch(
        "WITH a AS (SELECT s.bucket, s.account_id FROM subscribers s WHERE login = $1), moved AS ("
        " UPDATE accounts c SET balance = balance + $2, last_entry = last_entry + 1 FROM a"
        " WHERE c.bucket = a.bucket AND c.account_id = a.account_id"
        " RETURNING c.bucket, c.account_id, last_entry, balance)"
        " INSERT INTO ledger_entries (bucket, account_id, entry_id, kind, amount, balance_after, subject, created_at)"
        " SELECT bucket, account_id, last_entry, $3::ledger_entry_kind, $2, balance, $4, $5 FROM moved",
        login, Decimal(amount), kind, subject, datetime(day.year, day.month, 15, tzinfo=UTC),
    )  # fmt: skip


async def test_a_year_of_rents_fees_and_invoices_by_a_moved_clock_is_the_sum_of_its_entries(use, database):
    clock = [datetime(2025, 1, 20, tzinfo=UTC)]
    await database.fetch("UPDATE accounts SET created_at = '2024-01-01'")
    await database.fetch("ALTER TABLE ledger_entries DISABLE TRIGGER ALL")  # entries are of the database's time
    begin = datetime(2025, 1, 10, tzinfo=UTC)
    new = NewDid("4930200", "anna", monthly_price=RENT, paid_to=begin)
    await Dids(database, OPERATOR, lambda: begin, currency="EUR").add(new)
    service = await use.paid_services.add(NewService("line", price=FEE))
    await use.subscriptions.subscribe(NewSubscription("anna", service.service_id, starts_at=begin, pay_now=False))
    rents = Rents(database, OPERATOR, lambda: clock[0])
    fees = Recurring(database, OPERATOR, lambda: clock[0])
    runners = [MonthlyInvoices(database, OPERATOR, lambda: clock[0], days=14) for _ in range(3)]
    sold = moved = Decimal(0)
    for month in range(1, 13):
        day = datetime(2025, month, 15, tzinfo=UTC)
        for amount, kind, subject in (
            (f"-{month}.000001", "fee", "rent"), (f"-0.{month:06d}", "fee", f"number {month}"), ("20", "topup", ""),
            ("-0.5", "adjustment", "gift"), ("0.25", "adjustment", "sorry"),
        ):  # fmt: skip
            await move(database, "1001", day, amount, kind, subject)
            moved += Decimal(amount)
            sold -= Decimal(amount) if kind == "fee" else 0
        clock[0] = day
        await asyncio.gather(rents.turn(grace=timedelta(1), notice=timedelta(0)), fees.turn())
        await database.fetch("UPDATE ledger_entries SET created_at = $1 WHERE created_at > '2026-01-01'", day)
        sold, moved = sold + RENT + FEE, moved - RENT - FEE
        clock[0] = datetime(2025 + month // 12, month % 12 + 1, 2, tzinfo=UTC)
        await asyncio.gather(*(runner.turn() for runner in runners))
        assert [await runner.turn() for runner in runners] == [0, 0, 0]
    await database.fetch("ALTER TABLE ledger_entries ENABLE TRIGGER ALL")
    wanted = InvoiceFilter("anna", kind=InvoiceKind.MONTHLY)
    invoices = (await use.invoices.page(wanted, Cursor(), lines=True)).items[::-1]
    assert [invoice.period_start.month for invoice in invoices] == list(range(1, 13))
    assert sum(invoice.net for invoice in invoices) == sold
    assert (invoices[0].opening, invoices[-1].closing) == (0, moved)
    assert [each.opening for each in invoices[1:]] == [each.closing for each in invoices[:-1]]
    march = {(line.kind, line.name): line.amount for line in invoices[2].lines}
    assert march[LineKind.FEES, "rent"] == Decimal("3.000001")
    assert march[LineKind.ADJUSTMENTS, "gift"] == Decimal("-0.5")


async def test_what_is_paid_in_another_currency_is_credited_by_the_rate_of_its_day_and_taken_whole_of_a_reseller(
    use, services
):
    await use.exchange.set("EUR", "USD", Decimal("1.1"))
    await use.parties.create(NewParty("carla", owner="firm"))
    await use.accounts.create(NewAccount("3002", "retail", "USD", owner="carla"))
    paid = await use.payments.create(NewPayment("carla", Decimal(10), "EUR"))
    assert (paid.credited, paid.account_currency) == (11, "USD")
    firm = services.of(await asker(use, "firm"))
    await firm.payments.confirm(paid.payment_id)
    assert await balance_of(use, "3002") == 11
    assert Decimal("89.99") < await balance_of(use, "2001") <= 90
    with pytest.raises(NoExchangeRate):
        await use.payments.create(NewPayment("carla", Decimal(10), "CHF"))


async def test_statements_count_papers_by_what_is_paid(use, services):
    paid = await use.payments.create(NewPayment("anna", Decimal(7)))
    await use.payments.confirm(paid.payment_id)
    await use.payments.create(NewPayment("anna", Decimal(3)))
    await use.credit_notes.create(NewCreditNote("ben", Decimal(2)))
    now = datetime.now(UTC)
    lines = await use.statements.of(now - timedelta(hours=1), now + timedelta(hours=1))
    found = {(line.kind, line.paid): (line.count, line.price_with_tax) for line in lines}
    assert found["payments", True] == (1, 7)
    assert found["payments", False] == (1, 3)
    assert found["credit_notes", False] == (1, 2)
    firm = services.of(await asker(use, "firm"))
    of_firm = await firm.statements.of(now - timedelta(hours=1), now + timedelta(hours=1))
    assert sum(line.count for line in of_firm) == 1
    with pytest.raises(NotYours):
        await firm.statements.of(now - timedelta(hours=1), now, "anna")
    notes = (await firm.credit_notes.page(CreditNoteFilter(state=CreditNoteState.UNPAID), Cursor())).items
    assert [note.login for note in notes] == ["ben"]
    assert replace(notes[0], comment="x").number == 1


async def test_a_month_of_calls_stands_by_direction_on_the_users_invoice_and_on_its_resellers(
    use, database, database_url
):
    await use.parties.change("firm", PartyChanges(tariff="retail", account="2001"))
    await use.accounts.top_up("3001", Decimal(20))
    async with engine_on(database_url, ledger_buckets=2) as engine:
        for name, seconds in (("one", 61), ("two", 120), ("none", 0)):
            assert isinstance(await engine.charging.prepare_call(prepare(name, login="3001")), Allowed)
            await engine.charging.finish_call(finish(name, seconds, login="3001"))
    await database.fetch("ALTER TABLE ledger_entries DISABLE TRIGGER ALL")
    await database.fetch("UPDATE ledger_entries SET created_at = $1", datetime(*LAST_MONTH.timetuple()[:3], tzinfo=UTC))
    await database.fetch("ALTER TABLE ledger_entries ENABLE TRIGGER ALL")
    await database.fetch("UPDATE accounts SET created_at = '2020-01-01'")

    for login, balance in (("3001", 20), ("2001", 100)):
        invoice = await use.invoices.monthly_of(login)
        (line,) = [each for each in invoice.lines if each.kind is LineKind.CALLS]
        assert (line.name, line.quantity, line.seconds) == ("Somewhere", 2, 181)
        assert line.amount == invoice.net == balance - await balance_of(use, login)
    assert (invoice.issuer_id, (await use.invoices.monthly_of("3001")).issuer.name) == (1, "firm")


async def test_an_invoice_is_mailed_as_a_pdf_to_who_has_an_address(use, database):
    payment, _ = await use.payments.request("anna", "manual", "bank", Decimal(50))
    assert payment.invoice_id is not None
    for address in ("nobody", "a@b.de\nBcc: c@d.de"):
        with pytest.raises(InvalidRequest):
            PartyChanges(billing_email=address)
    assert await use.invoices.mail(payment.invoice_id) == ""
    await use.parties.change("anna", PartyChanges(billing_email="anna@example.org"))
    assert await use.invoices.mail(payment.invoice_id) == "anna@example.org"
    async with mail_server() as server:
        await Outbox(database, Smtp(server.url, sender="billing@example.org", timeout_seconds=5)).turn()
    (mail,) = server.mails
    (attached,) = mail.iter_attachments()
    assert (attached.get_content_type(), attached.get_filename()) == ("application/pdf", "PRO-000001.pdf")
    assert attached.get_content().startswith(b"%PDF-")


async def test_months_of_postpaid_accounts_are_mailed_by_themselves_once_each(use, database):
    await use.parties.change("anna", PartyChanges(billing_email="anna@example.org", language="de"))
    await use.accounts.create(NewAccount("6001", "retail", kind=AccountKind.POSTPAID, owner="anna"))
    await database.fetch("UPDATE accounts SET overdraft = 2, created_at = '2020-01-01'")
    for login in ("1001", "6001"):
        await move(database, login, LAST_MONTH, "-1", "fee", "rent")
    await MonthlyInvoices(database, OPERATOR, utc_now, days=14).turn()
    printer = InvoicePrinter()

    async def broken(invoice: Invoice, *, draft: bool = False) -> bytes:
        raise PrintFailed("no paper")

    assert await InvoiceMails(database, OPERATOR, broken).turn() == 0
    await asyncio.gather(*(InvoiceMails(database, OPERATOR, printer).turn() for _ in range(2)))
    assert await InvoiceMails(database, OPERATOR, printer).turn() == 0

    (mail,) = await database.fetch("SELECT recipient, subject, attachment_name FROM mails")
    assert (mail["recipient"], mail["subject"]) == ("anna@example.org", f"Rechnung {mail['attachment_name'][:-4]}")


# Confirms payments and makes invoices until it is killed.
FOR_EVER = """
import asyncio, sys
from datetime import datetime, UTC
from decimal import Decimal
from rating_engine.domain.payment import NewPayment
from rating_engine.domain.principal import OPERATOR
from rating_engine.services.calls.ports import utc_now
from rating_engine.services.finance.monthly import MonthlyInvoices
from rating_engine.services.finance.payments import Payments, PaymentWays
from rating_engine.storage.postgres.pool import Database

async def pay(payments):
    while True:
        made = await payments.create(NewPayment("anna", Decimal("0.01")))
        await payments.confirm(made.payment_id)

async def main(url):
    database = Database(url)
    await database.open()
    months = MonthlyInvoices(database, OPERATOR, utc_now, days=14)
    print("begun", flush=True)
    await asyncio.gather(pay(Payments(database, OPERATOR, PaymentWays(), utc_now)), months.turn())

asyncio.run(main(*sys.argv[1:]))
"""


async def test_who_is_killed_meanwhile_has_every_payment_and_every_invoice_done_once(use, database, database_url):
    for number in range(ACCOUNTS):
        await use.accounts.create(NewAccount(f"5{number:03}", "retail", overdraft=Decimal(9), owner="anna"))
        await move(database, f"5{number:03}", LAST_MONTH, "-1", "fee", "rent")
    await database.fetch("UPDATE accounts SET created_at = '2020-01-01'")
    moments = random.Random(11)
    for _ in range(2):
        program = await asyncio.create_subprocess_exec(
            sys.executable, "-c", FOR_EVER, database_url, stdout=asyncio.subprocess.PIPE
        )
        assert program.stdout is not None
        await program.stdout.readline()
        papers = await database.fetchval(PAPERS)
        while await database.fetchval(PAPERS) < papers + moments.randint(5, 20):
            pass
        program.send_signal(signal.SIGKILL)
        await program.wait()
    waiting = (await use.payments.page(PaymentFilter(state=PaymentState.PENDING), Cursor(100))).items
    for payment in waiting:
        await use.payments.confirm(payment.payment_id)
    await MonthlyInvoices(database, OPERATOR, utc_now, days=14).turn()

    paid = await database.fetchval("SELECT count(*) FROM payments WHERE state = 'confirmed'")
    assert await balance_of(use, "1001") == paid * Decimal("0.01") > 0
    made = await database.fetch("SELECT account_id, count(*) FROM invoices GROUP BY 1")
    assert [row["count"] for row in made] == [1] * ACCOUNTS
    numbers = await database.fetch("SELECT number FROM invoices ORDER BY number")
    assert [row["number"] for row in numbers] == list(range(1, ACCOUNTS + 1))
