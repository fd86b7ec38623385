"""Payments and papers, messages and mails, changes of users and of the API itself, by MOR's surface."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest
import pytest_asyncio

from rating_engine.domain.account import AccountKind
from rating_engine.domain.mail_template import MailTemplate
from rating_engine.domain.party import PartyChanges, PartyState
from rating_engine.domain.party_details import PartyDetailChanges
from rating_engine.domain.tax import PartyTax, Tax
from tests.support.mor import SECRET, Mor, mor_on
from tests.support.servers import SessionServers

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mor(session_servers: SessionServers) -> AsyncIterator[Mor]:
    with session_servers.database() as url:
        mail = {"smtp_url": "smtp+plain://127.0.0.1:9", "mail_from": "billing@example.org"}
        async with mor_on(url, mor_conflines=True, message_carriers=("house loopback",), **mail) as made:
            yield made


async def id_of(mor: Mor, login: str) -> int:
    return (await mor.operator.parties.show(login)).party_id


async def balance(mor: Mor, login: str) -> Decimal:
    return (await mor.operator.accounts.show(login)).balance


async def test_a_payment_is_in_the_account_once_for_a_transaction(mor):
    user1 = await id_of(mor, "user1")
    given = {"user_id": user1, "p_currency": "EUR", "amount": "5", "transaction": "t-1", "paymenttype": "bank"}
    root = await mor.ask("create_payment", **given)
    assert root.findtext("response/status") == "ok"
    assert root.findtext("response/payment/gross") == "5.0"
    assert (await mor.ask("payment_create", **given)).findtext("response/payment/payment_id") == root.findtext(
        "response/payment/payment_id"
    )
    assert await balance(mor, "30001") == 15
    twice = {**given, "transaction": "t-2", "amount": "1"}
    at_once = await asyncio.gather(
        *(mor.text("payment_create", "response/payment/payment_id", **twice) for _ in range(4))
    )
    assert len(set(at_once)) == 1
    # A payment without a transaction is never taken for another one's.
    number = await mor.text(
        "payment_create", "response/payment/payment_id", **{**given, "transaction": "", "amount": "1"}
    )
    await mor.ask("payment_create", **{**given, "transaction": number, "amount": "1"})
    assert await balance(mor, "30001") == 18
    assert await mor.error("payment_create", **{**given, "transaction": f"payment-{number}"}) == "Payment was not saved"
    for more, error in (
        ({"p_currency": ""}, "No currency"), ({"p_currency": "ZZZ"}, "No currency"),
        ({"amount": "-1"}, "Payment was not saved"), ({"amount": "much"}, "Payment was not saved"),
        ({"amount": "6"}, "Payment was not saved"), ({"user_id": 99999}, "Bad login"),
    ):  # fmt: skip
        assert await mor.error("payment_create", **{**given, **more}) == error
    shown = (await mor.ask("payments_list", s_user_id=user1, s_completed=1, s_amount_min=5)).find("payments/payment")
    assert shown is not None
    assert [shown.findtext(name) for name in ("user", "transaction_id", "type", "amount", "completed")] == [
        "user1", "t-1", "bank", "5.0", "1",
    ]  # fmt: skip
    assert (await mor.ask("payments_get", u="firm")).find("payments/payment") is None
    for filters in ({"s_first_name": "Otto"}, {"s_number": "1"}, {"s_paymenttype": "cash"}, {"s_completed": 0}):
        assert (await mor.ask("payments_get", **filters)).find("payments/payment") is None, filters
    assert await mor.error("payments_get", s_completed="x") == "Bad login"


async def test_a_credit_note_that_is_paid_is_credited_once_and_taken_back(mor):
    user1, now = await id_of(mor, "user1"), int(time.time())
    before = await balance(mor, "30001")
    made = {"user_id": user1, "price": "3", "issue_date": now, "number": "N7"}
    assert await mor.text("credit_note_create", "status", **made) == "Credit note was created"
    note = (await mor.ask("credit_notes", user_id=user1)).find("credit_notes/credit_note")
    assert note is not None
    assert [note.findtext(name) for name in ("number", "price", "status")] == ["N7", "3.0", "unpaid"]
    number = note.findtext("id")
    paid = {"credit_note_id": number, "status": "paid", "comment": "sorry"}
    for _ in range(2):
        assert await mor.text("credit_note_update", "status", **paid) == "Credit note was updated"
        assert await balance(mor, "30001") == before + 3
    statements = {
        (each.get("type"), each.findtext("status")): each.findtext("price")
        for each in (
            await mor.ask("financial_statements", user_id=user1, date_from=now - 100, date_till=now + 100)
        ).iter("statement")
    }
    assert statements["credit_notes", "paid"] == "3.0"
    assert statements["payments", "paid"] == "8.0"
    assert await mor.text("credit_note_delete", "status", credit_note_id=number) == "Credit note was deleted"
    assert await balance(mor, "30001") == before
    for function in ("credit_note_update", "credit_note_delete"):
        assert await mor.error(function, credit_note_id=number) == "Credit note was not found"
    for more, error in (
        ({"price": "-1"}, "Credit note was not created"), ({"issue_date": "today"}, "Credit note was not created"),
        ({"user_id": ""}, "User was not found"),
    ):  # fmt: skip
        assert await mor.error("credit_note_create", **{**made, **more}) == error
    assert await mor.error("credit_note_create", u="acc", **made) == "Access Denied"


async def test_invoices_are_listed_in_their_own_form(mor):
    assert (await mor.ask("invoices_get")).tag == "Error"
    assert (await mor.ask("invoices_get", u="nobody")).text == "user not found"
    await mor.operator.payments.request("user1", "manual", "bank", Decimal(20))
    root = await mor.ask("invoices", till=int(time.time()) + 100)
    assert root.tag == "Invoices"
    assert [root.findtext(f"Invoice/{name}") for name in ("paid", "Product/Sum")] == ["0", "20.0"]
    assert (await mor.ask("invoices_get", u="anna")).text == "no invoices found"


async def test_who_is_subscribed_sends_messages(mor):
    sent = {"u": "user1", "lcr_id": "1", "dst": "37061234567", "src": "", "message": "hello"}
    assert await mor.error("sms_send", **sent) == "User is not subscribed to sms service"
    text = "User successfully subscribed to SMS service"
    assert await mor.done("user_sms_service_subscribe", user_id=await id_of(mor, "user1")) == text
    for more, error in (
        ({"message": " "}, "There is no message or it is empty"), ({"lcr_id": 7}, "There is no such LCR"),
        ({"dst": "x"}, "Wrong destination"), ({"src": "%%"}, "Wrong source"),
        ({}, "1 - failed, admin does not have rate for this destination"),
    ):  # fmt: skip
        assert await mor.error("send_sms", **{**sent, **more}) == error
    assert (
        await mor.error("user_sms_service_subscribe", u="other", user_id=await id_of(mor, "anna"))
        == "User was not found"
    )


async def test_a_mail_from_a_template_waits_in_the_outbox(mor):
    await mor.operator.mail_templates.put(MailTemplate("hello", "Dear {first_name}", "{username} owes {amount}\n"))
    user1 = await id_of(mor, "user1")
    assert await mor.error("email_send", email_name="none") == "Email not found"
    assert await mor.error("send_email", email_name="hello", email_to_user_id=999) == "User not found"
    given = {"email_name": "hello", "email_to_user_id": user1, "amount": "7"}
    assert await mor.error("email_send", **given) == "Configuration error. Please consult this help link."
    await mor.operator.details.change("user1", PartyDetailChanges(email="u@example.org", first_name="Una"))
    assert await mor.text("email_send", "email_sending_status", **given) == "Email sent"
    row = await mor.database.fetchrow("SELECT recipient, subject, body FROM mails ORDER BY mail_id DESC LIMIT 1")
    assert tuple(row or ()) == ("u@example.org", "Dear Una", "user1 owes 7\n")


async def test_what_is_sent_of_a_user_is_changed_and_nothing_else(mor):
    user1 = await id_of(mor, "user1")
    given = {"user_id": user1, "u25": 1, "u18": 4, "credit": "30", "u17": "One", "u27": "A-1", "allow_loss_calls": 1}
    text = "User details successfully updated"
    assert await mor.done("user_update_api", **given, ay=2026, am=1, ad=31) == text
    account = await mor.operator.accounts.show("30001")
    assert (account.kind, account.max_calls, account.overdraft, account.allow_loss) == (
        AccountKind.POSTPAID, 4, Decimal(30), True,
    )  # fmt: skip
    details = await mor.operator.details.show("user1")
    assert (details.last_name, details.agreement_number, str(details.agreement_date)) == ("One", "A-1", "2026-01-31")
    assert await mor.done("user_details_update", user_id=user1, u15=1) == text
    assert (await mor.operator.parties.show("user1")).status is PartyState.ALL_BLOCKED
    assert await mor.done("user_details_update", user_id=user1, u15=0, credit=-1) == text
    assert (await mor.operator.accounts.show("30001")).overdraft is None
    for more in ({"u18": "many"}, {"credit": "x"}, {"u5": 99999}, {"u7": 3}, {"ay": 1}, {"u15": 2}, {"u11": 1},
                 {"pswd": "short"}, {"u8": "no language"}, {"u4": "EURO"}):  # fmt: skip
        given = {"user_id": user1, "u18": 9, "u17": "Nobody", **more}
        assert await mor.error("user_details_update", **given) == "Access Denied"
    assert (await mor.operator.details.show("user1")).last_name == "One"
    assert (await mor.operator.accounts.show("30001")).max_calls == 4
    await taxes_are_several_each_at_its_place(mor, user1)
    anna = await id_of(mor, "anna")
    assert await mor.error("user_details_update", u="other", user_id=anna, u17="x") == "User was not found"
    assert await mor.done("user_details_update", u="anna", user_id=anna, u17="Own") == text
    for more in ({"credit": 5}, {"u15": 0}, {"u27": "x"}, {"u18": 100}):
        assert await mor.error("user_details_update", u="anna", user_id=anna, **more) == "Access Denied"
    assert (await mor.operator.accounts.show("10001")).overdraft == 0


async def taxes_are_several_each_at_its_place(mor, user1) -> None:
    """What is not sent of them stays; a place of nothing is free again; one of `tax list` takes the place of all."""
    for given, there in (
        ({"tax1_name": "VAT", "tax1_value": "19", "tax3_value": "1.5"}, {1: ("VAT", "19"), 3: ("Tax 3", "1.5")}),
        ({"tax3_name": "City"}, {1: ("VAT", "19"), 3: ("City", "1.5")}),
        ({"tax1_value": ""}, {3: ("City", "1.5")}),
        ({"tax1_value": "20", "u17": "One"}, {1: ("Tax 1", "20"), 3: ("City", "1.5")}),
    ):
        assert await mor.done("user_details_update", user_id=user1, **given)
        found = {tax.position: (tax.name, f"{tax.percent.normalize():f}") for tax in (await taxes_of(mor))}
        assert found == there, given
    details = await mor.ask("user_details_get", user_id=user1)
    shown = [details.findtext(f"details/other_details/{name}") for name in ("vat_percent", "tax3_name", "tax3_value")]
    assert shown == ["21.5", "City", "1.5"]
    for wrong in ({"tax1_value": "101"}, {"tax1_value": "-1"}, {"tax2_value": "x"}, {"tax1_name": "City"},
                  {"tax1_value": "0.00001"}):  # fmt: skip
        assert await mor.error("user_details_update", user_id=user1, **wrong) == "Access Denied", wrong
    one = await mor.operator.taxes.add(Tax("VAT", Decimal(19)))
    await mor.operator.parties.change("user1", PartyChanges(tax_id=one))
    assert await taxes_of(mor) == (PartyTax(1, "VAT", Decimal(19)),)
    assert await mor.done("user_details_update", user_id=user1, tax1_value="0")
    assert await taxes_of(mor) == ()


async def taxes_of(mor) -> tuple[PartyTax, ...]:
    """Those of user1."""
    return (await mor.operator.parties.show("user1")).taxes


async def test_groups_of_resellers_and_settings_of_the_api(mor):
    group = {"name": "sellers", "rights": "calling_cards, devices"}
    assert await mor.done("reseller_group_create", **group) == "Reseller Group was successfully created"
    assert (await mor.operator.permission_groups.show("sellers")).permissions == {"calling_cards", "devices"}
    assert await mor.error("reseller_group_create", name="x", rights="everything") == "Access Denied"

    await mor.operator.hash_secrets.put("system", SECRET)
    done = "Settings successfully updated"
    assert await mor.done("conflines_update", secret_key=SECRET, default_user_call_limit=3) == done
    assert (await mor.operator.defaults.show()).values["call_limit"] == "3"
    assert await mor.error("conflines_update", secret_key="guess") == "Incorrect hash"
    for more in ({"default_device_grace_time": 9}, {"api_secret_key": "short"}, {"default_user_time_zone": "Nowhere"}):
        assert await mor.error("conflines_update", secret_key=SECRET, **more) == "Access Denied"
    assert await mor.error("conflines_update", u="acc2", secret_key=SECRET) == "Access Denied"
    assert await mor.done("conflines_update", secret_key=SECRET, allow_api=0) == done
    assert await mor.error("system_version_get") == "Access Denied"
    assert await mor.error("system_version_get", u="anna") == "Access Denied"
