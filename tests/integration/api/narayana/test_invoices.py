"""Invoices and payments by Narayana: asked for, paid once by the handler's word, printed, and refused as documented."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from rating_engine.domain.account import AccountChanges, NewAccount
from rating_engine.domain.api_key import NewKey
from rating_engine.domain.party import Level, NewParty, PartyChanges
from rating_engine.services.doctor import ledger_balanced
from rating_engine.services.finance import payments
from tests.support.narayana import Narayana, narayana_on

SECRET = "a-secret-that-is-long-enough"
HANDLERS = (f"pay public 2.5 {SECRET} https://pay.example.org/x", f"gold private 0 {SECRET} https://gold.example.org/")
HUGE = "9" * 30


@pytest.fixture
async def narayana(database_url: str) -> AsyncIterator[Narayana]:
    """carla belongs to the root, with ten; anna to a reseller."""
    settings = {"payment_minimal": "5", "payment_minimal_start": "10", "payment_maximum": "500"}
    async with narayana_on(database_url, payment_handlers=HANDLERS, **settings) as narayana:
        use = narayana.operator
        await use.parties.create(NewParty("carla", name="Кáрла Żółć", language="pl", utc_offset=120))
        await use.accounts.create(NewAccount("4001", "retail", balance=Decimal(10), owner="carla"))
        await narayana.engine.office.fetch("UPDATE accounts SET created_at = '2020-01-01'")
        await use.parties.change("system", PartyChanges(billing_name="Example Telecom", billing_bank_account="DE89"))
        yield narayana
        assert await ledger_balanced(narayana.engine.office) == []


async def asked(narayana: Narayana, method: str = "manual", kind: str = "bank", amount: str = "50") -> dict:
    given = {"payment_method": method, "payment_type": kind, "payment_amount": amount}
    return await narayana.ask("createInvoice", login="carla", **given)


def signed(*said: str) -> str:
    return hmac.new(SECRET.encode(), "\n".join(said).encode(), hashlib.sha256).hexdigest()


async def test_a_payment_is_asked_for_paid_once_and_its_invoice_shown_and_printed(narayana):
    assert await narayana.ask("getPaymentMethods") == {
        "private": {"gold": "gold"},
        "public": {"manual": "Bank transfer or cash", "pay": "pay"},
        "default": "manual",
    }
    by_hand = await asked(narayana)
    assert by_hand["msg"] == "Transfer 50.00 EUR to DE89, quoting PRO-000001"
    form = await asked(narayana, "pay", "card", "100")
    assert (form["comission"], form["url"], form["method"]) == (2.5, "https://pay.example.org/x", "POST")
    assert form["signature"] == signed(form["payment"], "102.50", "EUR", "pay")
    told = {"payment": form["payment"], "amount": "102.50", "currency": "EUR", "status": "paid"}
    word = {"payment_method": "pay", **told, "signature": signed(*told.values())}

    answers = await asyncio.gather(*(narayana.ask("finishInvoice", **word) for _ in range(10)))

    assert answers == ["ok"] * 10
    assert (await narayana.operator.accounts.show("4001")).balance == 110
    info = await narayana.ask("getInvoiceInfo", login="carla", id=str(form["transaction"]))
    assert (info["status"], info["amount"], info["owner"], info["handler"]) == (1, 102.5, "carla", "pay")
    odd = await asked(narayana, "pay", "card", "12.13")  # 2.5 % in cents are 2.47 % of it
    assert (await narayana.ask("getInvoiceInfo", login="carla", id=str(odd["transaction"])))["comission"] == 2.5
    await narayana.ask("deleteInvoice", login="boss", invoice=str(odd["transaction"]))
    assert info["clientdate"] > info["date"]
    found = [await narayana.ask("getInvoices", login="carla", **more) for more in ({}, {"bank": "1"}, {"done": "true"})]
    assert [[each["id"] for each in page] for page in found] == [
        [form["transaction"], by_hand["transaction"]], [by_hand["transaction"]], [form["transaction"]],
    ]  # fmt: skip
    assert len(await narayana.ask("getInvoices", login="boss", own="false")) == 2
    assert await narayana.ask("getInvoices", login="boss") == []
    for method, more in (
        ("viewInvoice", {"invoice": str(form["transaction"])}), ("monthlyInvoice", {"email": "false"}),
        ("generateInvoice", {"invoice": str(form["transaction"]), "services": "Line@2@month@4.50,Rent@1@piece@1"}),
    ):  # fmt: skip
        paper = await narayana.raw(method, login="carla", **more)
        assert (paper.headers["content-type"], paper.content[:5]) == ("application/pdf", b"%PDF-")
    assert await narayana.ask("deleteInvoice", login="boss", invoice=str(by_hand["transaction"])) is True
    assert await narayana.code("deleteInvoice", login="boss", invoice=str(form["transaction"])) == "E_DATA_ABORT"


async def test_what_is_refused_is_refused_by_its_code(narayana, monkeypatch):
    use = narayana.operator
    form = await asked(narayana, "pay", "card", "100")
    own = str(form["transaction"])
    service = {"invoice": own, "services": "Service@1@Unit@100"}
    create = {"payment_method": "manual", "payment_type": "bank", "payment_amount": "50"}
    told = {"payment_method": "pay", "payment": form["payment"], "amount": "102.50", "currency": "EUR"}
    cases = [
        ("createInvoice", {**create, "payment_amount": "0.01"}, "E_MINIMAL_PAYMENT"),
        ("createInvoice", {**create, "payment_amount": "501"}, "E_MAXIMUM_PAYMENT"),
        *(("createInvoice", {**create, "payment_amount": wrong}, code) for wrong, code in (
            ("0", "E_DATA_ABORT"), ("-5", "E_DATA_ABORT"), ("5.0000001", "E_DATA_ABORT"), (HUGE, "E_DATA_ABORT"),
            ("much", "E_INVALID_ARGUMENT"), ("", "E_INVALID_ARGUMENT"))),
        ("createInvoice", {**create, "payment_method": "qiwi"}, "E_DATA_ABORT"),
        ("createInvoice", {**create, "payment_type": "shells"}, "E_DATA_ABORT"),
        ("createInvoice", {"payment_method": "manual"}, "E_MISSING_ARGUMENT"),
        ("createInvoice", {**create, "login": "anna"}, "E_CONTACT_RESELLER"),
        ("createInvoice", {**create, "login": "boss"}, "E_NOT_EXIST"),
        ("finishInvoice", {}, "E_MISSING_ARGUMENT"),
        ("finishInvoice", {**told, "status": "paid"}, "E_INSUFFICIENT_ACCESS"),
        ("finishInvoice", {**told, "payment_method": "manual"}, "E_INSUFFICIENT_ACCESS"),
        ("finishInvoice", {**told, "payment_method": "nobody"}, "E_DATA_ABORT"),
        ("finishInvoice", {"key": "client"}, "E_INSUFFICIENT_ACCESS"),
        *((method, {**service, "invoice": number}, code) for method in ("getInvoiceInfo", "viewInvoice",
          "generateInvoice", "deleteInvoice") for number, code in (("4711", "E_NOT_EXIST"), (HUGE, "E_DATA_ABORT"),
          ("1.5", "E_INVALID_ARGUMENT"), ("", "E_MISSING_ARGUMENT"))),
        *(("generateInvoice", {**service, "services": wrong}, "E_DATA_ABORT") for wrong in (
            "Service", "Service@x@Unit@1", "@1@Unit@1", f"A@{HUGE}@Unit@1", "A@1@U@1," * 300)),
        ("generateInvoice", {**service, "date": "2017-06-24", "deadline": "2017-06-23"}, "E_DATA_ABORT"),
        ("generateInvoice", {**service, "date": "yesterday"}, "E_INVALID_ARGUMENT"),
        *(("monthlyInvoice", {"month": wrong}, code) for wrong, code in (
            ("0", "E_DATA_ABORT"), ("13", "E_DATA_ABORT"), ("x", "E_INVALID_ARGUMENT"), (HUGE, "E_DATA_ABORT"))),
        ("getInvoices", {"done": "maybe"}, "E_INVALID_ARGUMENT"),
        ("deleteInvoice", {"invoice": own, "login": "carla"}, "E_INSUFFICIENT_ACCESS"),
        ("getInvoiceInfo", {"invoice": own, "login": "anna"}, "E_DOES_NOT_BELONG_TO_YOU"),
    ]  # fmt: skip
    for method, given, code in cases:
        who = {"login": "boss" if method == "deleteInvoice" else "carla", **given}
        if method == "finishInvoice":
            who.pop("login")
        assert await narayana.code(method, **who) == code, (method, given)
    await use.parties.change("carla", PartyChanges(level=Level.SIMPLE_USER))
    assert await narayana.code("createInvoice", login="carla", **{**create, "payment_amount": "6"}) == (
        "E_MINIMAL_START_PAYMENT"
    )
    await use.accounts.change("4001", AccountChanges(refill_allowed=1))
    assert await narayana.code("createInvoice", login="carla", **{**create, "payment_method": "gold"}) == "E_DATA_ABORT"
    monkeypatch.setattr(payments, "MAX_OPEN_REQUESTS", 1)
    assert await narayana.code("createInvoice", login="carla", **{**create, "payment_amount": "50"}) == "E_DATA_ABORT"
    await use.accounts.change("4001", AccountChanges(refill_allowed=0))
    assert await narayana.code("createInvoice", login="carla", **create) == "E_TRANSACTIONS_LOCKED"
    await narayana.add_key(NewKey("gate", owner="boss", methods=("finishInvoice",)))
    failed = {**told, "status": "failed"}
    failed["signature"] = signed(*(failed[name] for name in ("payment", "amount", "currency", "status")))
    assert await narayana.ask("finishInvoice", key="gate", **failed) == "ok"
    paid = {**told, "status": "paid"}
    paid["signature"] = signed(*(paid[name] for name in ("payment", "amount", "currency", "status")))
    assert await narayana.code("finishInvoice", key="gate", **paid) == "E_DATA_ABORT"  # it was cancelled
    assert (await use.accounts.show("4001")).balance == 10
