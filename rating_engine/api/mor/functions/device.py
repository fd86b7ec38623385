"""The section Device, but for callflows and callers: SIP accounts by their numbers."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Final

from rating_engine.api.mor.asked import Asked, Handler
from rating_engine.api.mor.errors import Failed
from rating_engine.api.mor.named import NO_DEVICE, device_of, user_called, user_of
from rating_engine.api.mor.xml import Element, done, element, listed, page, said
from rating_engine.domain.errors import InvalidRequest, NotFound, RatingEngineError
from rating_engine.domain.sip_account import SIP, TECHNOLOGIES, NewSipAccount, SipAccount, SipChanges

PIN_DIGITS: Final = 6
PIN_TRIES: Final = 20  # of a million; more are taken when there are as many phones
PASSWORD_BYTES: Final = 12


async def device_create(asked: Asked) -> Element:
    """A line of a user with a free number and a new password, which registers at once."""
    user = await user_of(asked)
    kind = asked.text("type").strip() or SIP
    technology = next((each for each in TECHNOLOGIES if each.lower() == kind.lower()), None)
    if technology is None:
        raise Failed("Device_type_invalid")
    account = asked.whole("devicegroup_id", "Device_group_invalid")
    settings = SipChanges(disa_pin=await _pin(asked), label=_label(asked.text("description")), technology=technology)
    phones = asked.use.sip_accounts
    new = NewSipAccount(
        login=await phones.available(),
        owner=user.party_id,
        password=secrets.token_urlsafe(PASSWORD_BYTES),
        settings=settings,
    )
    try:
        await phones.create(new, account=account)
    except InvalidRequest as error:
        raise Failed("Device_group_invalid" if error.field == "account" else "Device was not created") from None
    except RatingEngineError as error:
        if error.retryable:
            raise
        raise Failed("Device was not created", str(error)) from None
    return said("Device was created")


async def device_delete(asked: Asked) -> Element:
    """Taken from its exchange; its calls stay."""
    line = await device_of(asked, "device")
    try:
        await asked.use.sip_accounts.delete(line.login)
    except NotFound:
        raise Failed(NO_DEVICE) from None
    return said("Device was deleted")


async def devices_get(asked: Asked) -> Element:
    """The lines of one user."""
    user = await user_called(asked, asked.needed_whole("user_id", _empty_or_unknown(asked)), "User not found")
    lines = await asked.use.sip_accounts.of(user.party_id)
    return page(element("devices", *(_listed(asked, line) for line in lines)))


async def device_details_get(asked: Asked) -> Element:
    """All fields of one line, an element each."""
    line = await device_of(asked, "device_id")
    place = _place(line)
    return listed("page", (
        ("name", line.login),
        ("host", line.host or "dynamic"),
        ("secret", line.password or ""),
        ("context", line.context),
        ("ipaddr", place[0]),
        ("port", place[1]),
        ("regseconds", "" if line.state is None else int(line.state.registered_at.timestamp())),
        ("accountcode", line.line_id),
        ("callerid", line.callerid),
        ("extension", line.login),
        ("voicemail_active", 0),
        ("username", line.login),
        ("device_type", line.technology),
        ("user_id", line.owner_id),
        ("primary_did_id", 0),
        ("description", line.label),
        ("devicegroup_id", line.account_id),
        ("location_id", await location_of(asked, line)),
        ("max_timeout", line.max_seconds or 0),
        ("language", line.language),
        ("transport", line.transport),
        ("dtmfmode", line.dtmf_mode),
        ("allow", line.allow),
        ("encryption", "yes" if line.srtp else "no"),
        ("reachable", int(line.reachable)),
        ("tariff_id", line.tariff_id),
        ("pin", line.disa_pin),
    ))  # fmt: skip


async def device_update(asked: Asked) -> Element:
    """Another numbering plan of a line."""
    line = await device_of(asked, "device")
    number = asked.whole("new_location_id", "Location was not found")
    if number is not None:
        try:
            plan = None if number == 0 else await asked.use.numbering.numbered(number)
        except NotFound:
            raise Failed("Location was not found") from None
        await asked.use.sip_accounts.change(line.login, SipChanges(numbering_plan=plan))
    return done("Device successfully updated")


async def location_of(asked: Asked, line: SipAccount) -> int:
    """The number of a line's own numbering plan; 0: it is its account's."""
    number = None if line.numbering_plan is None else await asked.use.numbering.number_of(line.numbering_plan)
    return number or 0


async def _pin(asked: Asked) -> str:
    """As it is sent, '' for none; a random one where it is not sent. Raises Failed."""
    if asked.sent("pin"):
        pin = asked.text("pin").strip()
        if pin and not (pin.isascii() and pin.isdigit() and len(pin) <= 16):
            raise Failed("Pin_must_be_numeric")
        if pin and await asked.use.sip_accounts.pin_is_taken(pin):
            raise Failed("Pin_is_already_used")
        return pin
    for _ in range(PIN_TRIES):
        pin = f"{secrets.randbelow(10**PIN_DIGITS):0{PIN_DIGITS}}"
        if not await asked.use.sip_accounts.pin_is_taken(pin):
            return pin
    raise Failed("Device was not created", "no PIN is free")


def _label(description: str) -> str:
    """What a caller id can have of it."""
    return "".join(sign for sign in description if sign.isprintable() and sign not in '";<>')[:200]


def _empty_or_unknown(asked: Asked) -> str:
    return "User not found" if asked.text("user_id").strip() else "user_id is empty"


def _listed(asked: Asked, line: SipAccount) -> Element:
    address, port = _place(line)
    return listed("device", (
        ("device_id", line.line_id),
        ("device_type", line.technology),
        ("devicegroup_id", line.account_id),
        ("primary_device", "yes" if line.is_primary else "no"),
        ("username", line.login),
        ("secret", line.password or ""),
        ("ipaddr", address),
        ("port", port),
        ("callerid", line.callerid),
    ))  # fmt: skip


def _place(line: SipAccount) -> tuple[str, str]:
    """Address and port from which it has registered; '' where it has not."""
    if line.host:
        return line.host, ""
    if line.state is None or not line.state.online:
        return "", ""
    host, _, port = line.state.address.rpartition(":")
    return (host, port) if host else (port, "")


HANDLERS: Final[Mapping[str, Handler]] = {
    "device_create": device_create,
    "device_delete": device_delete,
    "devices_get": devices_get,
    "device_details_get": device_details_get,
    "device_update": device_update,
}
