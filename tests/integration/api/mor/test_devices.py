"""Devices and callers by MOR's surface: what they change is what registers and who calls."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from rating_engine.domain.exchanges import NewExchange
from rating_engine.domain.hash_secret import HashSecretChanges
from rating_engine.domain.known_caller import NewKnownCaller
from rating_engine.domain.numbering import PlanChanges
from rating_engine.domain.outcomes import Allowed, CallKey, Declined, DeclineReason, FinishCall, PrepareCall, Saved
from tests.support.mor import Mor, mor_on
from tests.support.servers import SessionServers

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mor(session_servers: SessionServers) -> AsyncIterator[Mor]:
    with session_servers.database() as url:
        async with mor_on(url) as made:
            await made.operator.exchanges.add(NewExchange("pbx1", "192.0.2.10", "sip.example.com"))
            yield made


async def id_of(mor: Mor, login: str) -> int:
    return (await mor.operator.parties.show(login)).party_id


async def line_of(mor: Mor, login: str) -> int:
    return (await mor.operator.sip_accounts.show(login)).line_id


async def test_a_device_is_made_with_a_password_and_a_pin_of_nobody_else_registers_and_is_deleted(mor):
    anna = await id_of(mor, "anna")
    assert (
        await mor.text("device_create", "status", u="firm", user_id=anna, description='a "b"') == "Device was created"
    )
    devices = (await mor.ask("devices_get", u="firm", user_id=anna)).findall("devices/device")
    device, username, secret = (devices[-1].findtext(name) for name in ("device_id", "username", "secret"))
    assert len(devices) == 2
    assert secret

    details = await mor.ask("device_details_get", u="firm", device_id=device)
    pin = details.findtext("pin")
    assert (details.findtext("username"), details.findtext("secret"), details.findtext("device_type")) == (
        username, secret, "SIP",
    )  # fmt: skip
    assert pin
    assert pin.isdigit()
    assert (await mor.operator.sip_accounts.show(username)).in_service
    made = {"u": "firm", "user_id": anna}
    assert await mor.error("device_create", **made, pin=pin) == "Pin_is_already_used"
    assert await mor.error("device_create", **made, pin="x") == "Pin_must_be_numeric"
    assert await mor.error("device_create", **made, type="Fridge") == "Device_type_invalid"
    assert await mor.error("device_create", **made, devicegroup_id=1) == "Device_group_invalid"
    account = (await mor.operator.accounts.lines("anna"))[0].account_id
    given = {"pin": "", "type": "iax2", "devicegroup_id": account}
    assert await mor.text("device_create", "status", **made, **given) == "Device was created"
    last = (await mor.ask("devices_get", u="firm", user_id=anna)).findall("devices/device")[-1]
    assert (last.findtext("device_type"), last.findtext("devicegroup_id")) == ("IAX2", str(account))
    assert not (await mor.operator.sip_accounts.show(last.findtext("username"))).in_service

    assert await mor.text("device_destroy", "status", u="firm", device=device) == "Device was deleted"
    assert await mor.error("device_details_get", u="firm", device_id=device) == "Device was not found"


async def test_a_location_is_how_the_phone_writes_numbers(mor):
    await mor.operator.numbering.add("german", PlanChanges(national_prefix="0", country_code="49"))
    location = await mor.operator.numbering.number_of("german")
    device = await line_of(mor, "30001")
    assert await mor.error("device_update", device=device, new_location_id=99) == "Location was not found"
    assert await mor.done("device_update", device=device, location_id=location) == "Device successfully updated"

    outcome = await mor.engine.charging.prepare_call(PrepareCall(CallKey("pbx", "place"), "30001", "030 123456"))
    assert isinstance(outcome, Allowed)
    assert outcome.destination == "4930123456"
    assert (await mor.ask("device_details_get", device_id=device)).findtext("location_id") == str(location)
    assert await mor.done("device_update", device=device, new_location_id=0) == "Device successfully updated"


async def test_a_call_that_names_nobody_is_of_the_line_that_its_number_is_known_to_ring_from(mor):
    charging = mor.engine.charging
    device = await line_of(mor, "10001")
    call = PrepareCall(CallKey("pbx", "cli"), "", "4930123456", callerid="+370 5 1234567")
    assert (await charging.prepare_call(call)) == Declined(
        DeclineReason.UNKNOWN_LOGIN, "no login is named, and the caller id is known as nobody's"
    )

    given = {"device_id": device, "cli_number": "37051234567", "cli_description": "home", "comment": "x"}
    assert await mor.text("cli_add", "status", u="firm", **given) == "CLI successfully created"
    outcome = await charging.prepare_call(call)
    assert isinstance(outcome, Allowed)
    finish = FinishCall(call.call_key, "", call.destination, 5, "ANSWER", callerid="0037051234567")
    before = (await mor.operator.accounts.show("10001")).balance
    saved = await charging.finish_call(finish)
    assert isinstance(saved, Saved)
    assert (await mor.operator.accounts.show("10001")).balance == before - saved.cost

    root = await mor.ask("cli_get_info", u="firm", cli="37051234567")
    assert root.findtext("cli/device/device_id") == str(device)
    assert await mor.error("cli_add", u="firm", **given) == "CLI already exists. It is assigned to user_name device"
    status = (await mor.ask("device_clis_get", u="firm", devices_id=device)).find("status")
    assert status is not None
    shown = [(each.tag, each.text) for each in status if each.tag not in ("cli_id", "cli_added_at", "cli_updated_at")]
    assert shown == [
        ("cli_cli", "37051234567"), ("cli_device", "SIP/10001"), ("cli_description", "home"), ("cli_comment", "x"),
        ("cli_email_callback", "0"), ("cli_banned", "0"),
    ]  # fmt: skip
    assert await mor.text("cli_delete", "status", u="firm", cli_number="37051234567") == "CLI successfully deleted"
    assert await mor.text("cli_add", "status", u="firm", **given, banned=1) == "CLI successfully created"
    declined = await charging.prepare_call(PrepareCall(CallKey("pbx", "banned"), "", "4930123456", "37051234567"))
    assert declined == Declined(DeclineReason.INACTIVE, "the caller id is banned")


@pytest.mark.parametrize(
    ("function", "given", "error"),
    [
        ("cli_add", {}, "Device ID cannot be empty"),
        ("cli_add", {"device_id": "99999", "cli_number": "1"}, "Access Denied"),
        ("cli_add", {"device_id": "DEVICE"}, "CLI Number cannot be empty"),
        ("cli_add", {"device_id": "DEVICE", "cli_number": "a1"}, "CLI must be numeric"),
        ("cli_add", {"device_id": "DEVICE", "cli_number": "1", "ivr_id": "7"}, "IVR was not found"),
        ("cli_info_get", {}, "CLI is empty"),
        ("cli_info_get", {"cli": "999"}, "CLI not found"),
        ("cli_delete", {"cli_number": "999"}, "CLI was not found"),
        ("device_clis_get", {"devices_id": "999999"}, "Device was not found"),
        ("device_clis_get", {"device_id": "x" * 300}, "Device was not found"),
        ("device_clis_get", {"users_id": "9" * 40}, "User was not found"),
        ("device_clis_get", {"devices_id": "DEVICE", "users_id": "ANNA"}, "CLIs were not found"),
        ("devices_get", {}, "user_id is empty"),
        ("devices_get", {"user_id": "99999"}, "User not found"),
        ("device_create", {"user_id": "-1"}, "User was not found"),
        ("device_delete", {"device": "99999"}, "Device was not found"),
        ("device_update", {"device": ""}, "Device was not found"),
    ],
)
async def test_what_is_wrong_is_said_in_the_documents_words(mor, function, given, error):
    named = {"DEVICE": str(await line_of(mor, "30001")), "ANNA": str(await id_of(mor, "anna"))}

    assert await mor.error(function, **{name: named.get(value, value) for name, value in given.items()}) == error


@pytest.mark.parametrize("u", ["firm", "anna", "user1", "acc2", "admin"])
async def test_what_belongs_to_others_is_as_if_it_were_not_there(mor, u):
    device, otto = await line_of(mor, "20001"), await id_of(mor, "otto")
    for function, given, error in (
        ("device_clis_get", {"devices_id": device}, "Device was not found"),
        ("device_clis_get", {"users_id": otto}, "User was not found"),
        ("device_details_get", {"device_id": device}, "Device was not found"),
        ("device_create", {"user_id": otto}, "User was not found"),
        ("device_update", {"device": device}, "Device was not found"),
        ("devices_get", {"user_id": otto}, "User not found"),
    ):
        answer = (await mor.ask(function, u=u, **given)).findtext("status/error")
        if u in ("admin", "acc2"):
            assert answer != error
        else:
            assert answer in {error, "Access Denied", "You are not authorized to use this functionality"}, function


@pytest.mark.parametrize("owner", ["firm", "system"])
async def test_users_are_not_shown_the_names_of_their_phones_where_their_owner_hides_them(mor, owner):
    anna = await id_of(mor, "anna")
    device = await line_of(mor, "10001")
    if owner == "firm":
        await mor.operator.known_callers.add("10001", NewKnownCaller("4915177777"))
        held = await mor.engine.charging.prepare_call(PrepareCall(CallKey("pbx9", "1"), "10001", "4912345"))
        assert isinstance(held, Allowed)
        await mor.engine.charging.finish_call(FinishCall(CallKey("pbx9", "1"), "10001", "4912345", 1, "ANSWER", 16))

    async def shown(u: str) -> set[str | None]:
        flow = (await mor.ask("device_callflow_get", u=u, device_id=device)).findtext("device")
        callers = [each.findtext("cli_device") for each in await mor.ask("device_clis_get", u=u, devices_id=device)]
        calls = (await mor.ask("user_calls_get", u=u, s_user=anna)).findall("calls/call")
        assert flow
        assert all(callers), "each has a technology at least"
        assert len(callers) * len(calls) > 0
        return {flow[4:], *(name[4:] for name in callers), *(call.findtext("device") for call in calls)}

    before = await shown("anna")
    assert before == await shown("firm") == {"10001"}
    await mor.operator.hash_secrets.change(owner, HashSecretChanges(hide_usernames=True))
    assert await shown("anna") == {""}
    assert await shown("firm") == before
    await mor.operator.hash_secrets.change(owner, HashSecretChanges(hide_usernames=False))
    assert await shown("anna") == before
