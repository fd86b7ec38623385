"""Users, their money, phonebooks and what they are subscribed to, by MOR's surface."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest
import pytest_asyncio

from rating_engine.domain.account import AccountKind, NewAccount
from rating_engine.domain.exchanges import NewExchange
from rating_engine.domain.outcomes import Allowed, CallKey, FinishCall, PrepareCall
from rating_engine.domain.party import PartyChanges
from rating_engine.domain.tariff_card import TariffChanges
from tests.support.mor import Mor, mor_on
from tests.support.servers import SessionServers

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mor(session_servers: SessionServers) -> AsyncIterator[Mor]:
    with session_servers.database() as url:
        async with mor_on(url, mor_telephone_balances=True, mor_conflines=True) as made:
            await made.operator.exchanges.add(NewExchange("pbx1", "192.0.2.10", "sip.example.com"))
            await made.operator.accounts.create(NewAccount("firm", "retail", balance=Decimal(50), owner="firm"))
            await made.operator.parties.change("firm", PartyChanges(account="firm"))
            yield made


async def id_of(mor: Mor, login: str) -> int:
    return (await mor.operator.parties.show(login)).party_id


async def balance(mor: Mor, login: str) -> Decimal:
    return (await mor.operator.accounts.show(login)).balance


NEW = {
    "username": "newcomer", "password": "long enough", "password2": "long enough", "first_name": "Ona",
    "last_name": "Onaitė", "country_id": "123", "email": "ona@example.org", "device_type": "SIP", "city": "Vilnius",
    "caller_id": "37052", "vat_number": "LT1",
}  # fmt: skip


async def test_a_new_user_has_what_new_users_begin_with_and_a_device_that_registers(mor):
    await mor.operator.defaults.set({"postpaid": "1", "credit": "20", "call_limit": "2", "balance": "3"})
    root = await mor.ask("user_register", id=await id_of(mor, "admin"), **NEW)
    assert root.findtext("status") == "Registration successful"
    device = root.findtext("user_device_settings/username")
    phone = await mor.operator.sip_accounts.show(device)
    account = await mor.operator.accounts.show(device)
    assert phone.password == root.findtext("user_device_settings/password")
    assert (account.kind, account.overdraft, account.max_calls, account.balance) == (
        AccountKind.POSTPAID, Decimal(20), 2, Decimal(3),
    )  # fmt: skip
    queued = "SELECT count(*) FROM mails WHERE recipient = 'ona@example.org'"
    assert await mor.database.fetchval(queued) == 1

    details = await mor.ask("user_details_get", username="newcomer")
    shown = {each.tag: each.text for each in details.iter() if each.text}
    assert shown["surname"] == "Onaitė"
    assert (shown["reg_city"], shown["vat_reg_number"], shown["account"]) == ("Vilnius", "LT1", "Postpaid")
    assert (shown["balance_number"], shown["credit"]) == ("3.0", "20.0")
    await mor.operator.defaults.set({"balance": "0"})


async def test_a_reseller_registers_below_itself_alone(mor):
    firm = {"u": "firm", **NEW}
    assert await mor.error("registration", **firm, id=await id_of(mor, "other")) == "User was not found"
    given = {**firm, "username": "of-firm"}
    assert await mor.text("user_register", "status", **given, id="firm") == "Registration successful"
    assert (await mor.operator.parties.show("of-firm")).owner == "firm"
    assert await mor.error("user_register", **given, id="firm") == "Access Denied"
    for wrong in ({"password2": "other words"}, {"device_type": "pigeon"}):
        assert await mor.error("user_register", **{**firm, "username": "w", **wrong}, id="firm") == "Access Denied"


async def test_where_there_are_several_tariffs_a_user_of_the_systems_gets_that_of_who_asks(mor):
    await mor.operator.tariffs.add("another", TariffChanges(currency="EUR"))
    given = {**NEW, "username": "of-system", "id": "admin"}
    assert await mor.error("user_register", **given) == "Access Denied"
    await mor.operator.parties.change("admin", PartyChanges(tariff="retail"))
    assert await mor.text("user_register", "status", **given) == "Registration successful"
    assert (await mor.operator.parties.show("of-system")).tariff == "retail"


async def test_a_balance_is_changed_by_a_signed_amount_and_a_resellers_comes_from_his_own(mor):
    anna, user1 = await id_of(mor, "anna"), await id_of(mor, "user1")
    root = await mor.ask("user_balance_update", user_id=user1, balance="2.5")
    assert root.findtext("page/status") == "User balance updated"
    assert root.findtext("page/user/balance") == "12.5"
    await mor.ask("change_user_balance", user_id=user1, balance="-2.5")
    assert await balance(mor, "30001") == 10

    await mor.ask("user_balance_update", u="firm", user_id=anna, balance="7")
    assert (await balance(mor, "10001"), await balance(mor, "firm")) == (17, 43)
    await mor.ask("user_balance_update", u="firm", user_id=anna, balance="-7")
    assert (await balance(mor, "10001"), await balance(mor, "firm")) == (10, 50)
    given = {"u": "firm", "user_id": anna, "balance": "1"}  # each of them counts, and is told what came of it
    await asyncio.gather(*(mor.ask("user_balance_update", **given) for _ in range(4)))
    assert (await balance(mor, "10001"), await balance(mor, "firm")) == (14, 46)
    await mor.ask("user_balance_update", u="firm", user_id=anna, balance="-4")
    for u, amount in (("firm", "60"), ("firm", "x"), ("firm", "0"), ("firm", "9" * 60)):
        given = {"u": u, "user_id": anna, "balance": amount}
        assert await mor.error("user_balance_update", **given) == "User balance not updated"
    assert (await balance(mor, "10001"), await balance(mor, "firm")) == (10, 50)
    assert await mor.error("user_balance_update", u="acc", user_id=anna, balance=1) == "Access Denied"
    assert await mor.error("user_balance_update", u="anna", user_id=anna, balance=1) == "Access Denied"
    assert await mor.error("user_balance_update", u="firm", user_id=99999, balance=1) == "User was not found"


async def test_a_balance_is_shown_in_the_systems_currency_and_in_another(mor):
    assert await mor.text("user_balance_get", "balance", username="user1") == "10.0000"
    assert await mor.text("balance", "balance", u="anna", username="anna", currency="USER") == "10.0000"
    assert await mor.error("user_balance_get", u="anna", username="otto") == "User was not found"
    assert await mor.error("user_balance_get", username="user1", currency="ZZZ") == "Access Denied"


async def test_telephones_hear_a_balance_by_number_and_password_without_a_hash(mor):
    get = mor.http.post
    await mor.ask("device_create", user_id=await id_of(mor, "user1"), pin="")
    devices = (await mor.ask("devices_get", user_id=await id_of(mor, "user1"))).findall("devices/device")
    secret = devices[-1].findtext("secret")
    assert (await get("/billing/api/simple_balance", data={"username": "user1"})).text == "10.0000"
    for path in ("user_balance_get_by_username/30001", f"user_balance_get_by_psw/{secret}"):
        assert "<balance>10.0000</balance>" in (await get(f"/billing/api/{path}")).text
    assert "User was not found" in (await get("/billing/api/user_balance_get_by_psw/nobodys")).text
    assert (await get("/billing/api/simple_balance")).text == "User was not found"


async def test_a_short_number_of_a_phonebook_is_dialled_by_every_line_of_the_user(mor):
    anna = await id_of(mor, "anna")
    given = {"u": "anna", "user_id": anna}
    assert await mor.error("phonebooks_get", **given) == "No Phonebooks"
    entry = {"name": "Bo", "number": "4930123456", "speeddial": "*7"}
    assert await mor.text("phonebook_record_create", "status", **given, **entry) == "Phonebook record created"
    assert await mor.error("phonebook_record_create", **given, **entry) == "Phonebook was not saved"
    assert await mor.error("phonebook_record_create", **given, name="x", number="call me") == "Phonebook was not saved"
    number = (await mor.ask("phonebooks", **given)).findtext("phonebooks/phonebook/id")
    call = await mor.engine.charging.prepare_call(PrepareCall(CallKey("pbx", "book"), "10001", "*7"))
    assert isinstance(call, Allowed)
    assert call.destination == "4930123456"

    await mor.engine.charging.finish_call(FinishCall(CallKey("pbx", "book"), "10001", "*7", 0, "CANCEL"))
    saved = await mor.text("phonebook_edit_api", "status", u="anna", phonebook_id=number, number="4930999999")
    assert saved == "Phonebook saved"
    call = await mor.engine.charging.prepare_call(PrepareCall(CallKey("pbx", "book2"), "10001", "*7"))
    assert isinstance(call, Allowed)
    assert call.destination == "4930999999"
    await mor.engine.charging.finish_call(FinishCall(CallKey("pbx", "book2"), "10001", "*7", 0, "CANCEL"))
    assert await mor.error("phonebook_edit", u="otto", phonebook_id=number) == "Phonebook was not found"
    assert await mor.error("phonebooks_get", u="otto", user_id=anna) == "User was not found"


async def test_a_service_is_subscribed_to_charged_and_given_back(mor):
    anna = await id_of(mor, "anna")
    made = {"u": "firm", "service_name": "rent", "service_type": "one_time_fee", "service_sell_price": "4"}
    assert await mor.done("service_create", **made) == "Service successfully created"
    for given, error in (
        ({"service_type": "yearly"}, "Service Type is invalid"),
        ({"service_quantity": "x"}, "Quantity must be numeric"),
        ({"service_quantity": "0"}, "Quantity must be greater than zero"),
        ({"service_name": ""}, "Service was not selected"),
        ({"service_type": "flat-rate"}, "Service Type is invalid"),
    ):
        assert await mor.error("service_create", **{**made, **given}) == error
    service = (await mor.ask("services_get", u="firm")).findtext("services/service/id")
    before = await balance(mor, "10001")
    given = {"u": "firm", "service_id": service, "user_id": anna, "subscription_memo": "first"}
    assert await mor.done("subscription_create", **given) == "Subscription was successfully created"
    assert await balance(mor, "10001") == before - 4

    listed = (await mor.ask("subscriptions_get", u="firm", user_id=anna)).find("status/subscriptions/subscription")
    assert listed is not None
    assert (listed.findtext("memo"), listed.findtext("type"), listed.findtext("price")) == (
        "first",
        "one_time_fee",
        "4.0",
    )
    number = listed.findtext("id")
    changed = {"u": "firm", "subscription_id": number, "subscription_memo": "second"}
    assert await mor.done("subscription_update", **changed) == "Subscription was successfully updated"
    assert await mor.error("service_delete", u="firm", service_id=service) == "Access Denied"
    ends = {"u": "firm", "subscription_id": number}
    error = await mor.error("subscription_delete", **ends, subscription_delete_action=9)
    assert error == "Subscription delete action was not found"
    text = await mor.done("subscription_delete", **ends, subscription_delete_action=3)
    assert text == "Subscription deleted and money returned"
    assert await balance(mor, "10001") == before
    assert await mor.error("subscriptions_get", u="firm", user_id=anna) == "No Subscriptions found"
    assert await mor.error("subscription_update", u="other", subscription_id=number) == "Subscription was not found"
    assert await mor.error("service_update", u="other", service_id=service) == "Service was not selected"
    assert await mor.error("service_delete", u="other", service_id=service) == "Service was not found"
