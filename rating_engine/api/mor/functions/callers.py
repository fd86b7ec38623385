"""The callers (CLIs) of the section Device: numbers that are known to ring from a line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rating_engine.api.mor.asked import Asked, Handler
from rating_engine.api.mor.errors import ACCESS_DENIED, Failed
from rating_engine.api.mor.named import device_of, user_of
from rating_engine.api.mor.xml import Element, element, listed, page, said
from rating_engine.domain.errors import AlreadyExists, InvalidRequest, NotFound, NotYours
from rating_engine.domain.known_caller import KnownCaller, NewKnownCaller, check_caller

TAKEN: Final = "CLI already exists. It is assigned to user_name device"  # whose it is is nobody else's to know


async def device_clis_get(asked: Asked) -> Element:
    """Those of a line, of a user, or all that the asker may see; a status each."""
    line = await device_of(asked, "devices_id") if asked.text("devices_id") else None
    user = await user_of(asked, "users_id") if asked.text("users_id") else None
    found = await asked.use.known_callers.page(
        None if user is None else user.party_id, None if line is None else line.line_id
    )
    if not found:
        raise Failed("CLIs were not found")
    hidden = await asked.hides_usernames()
    return page(*(_status(asked, each, hidden=hidden) for each in found))


async def cli_info_get(asked: Asked) -> Element:
    """Whose line a number is known to ring from."""
    found = await _known(asked, asked.needed("cli", "CLI is empty"), "CLI not found")
    domain = asked.text("domain").strip()
    if domain and found.domain and found.domain != domain:
        raise Failed("CLI not found")
    return page(element("cli", listed("device", (("user_id", found.owner_id), ("device_id", found.line_id)))))


async def cli_add(asked: Asked) -> Element:
    """Know a number as a line's: calls from it that name nobody are the line's."""
    if not asked.text("device_id").strip():
        raise Failed("Device ID cannot be empty")
    line = await device_of(asked, "device_id", ACCESS_DENIED)
    number = asked.needed("cli_number", "CLI Number cannot be empty")
    try:
        check_caller(number)
    except InvalidRequest:
        raise Failed("CLI must be numeric") from None
    if asked.text("ivr_id").strip() not in ("", "0"):
        raise Failed("IVR was not found")  # callers are led by rules of numbers
    new = NewKnownCaller(
        number,
        domain=asked.text("cli_domain").strip(),
        description=asked.text("cli_description"),
        comment=asked.text("comment"),
        banned=asked.text("banned").strip() == "1",
    )
    try:
        await asked.use.known_callers.add(line.login, new)
    except AlreadyExists:
        raise Failed(TAKEN) from None
    return said("CLI successfully created")


async def cli_delete(asked: Asked) -> Element:
    """Know a number no more."""
    found = await _known(asked, asked.text("cli_number").strip(), "CLI was not found")
    await asked.use.known_callers.remove(found.number)
    return said("CLI successfully deleted")


async def _known(asked: Asked, number: str, error: str) -> KnownCaller:
    try:
        return await asked.use.known_callers.find(number)
    except (NotFound, NotYours):
        raise Failed(error) from None


def _status(asked: Asked, caller: KnownCaller, *, hidden: bool) -> Element:
    return listed("status", (
        ("cli_id", caller.caller_id),
        ("cli_cli", caller.number),
        ("cli_device", f"{caller.technology}/{'' if hidden else caller.login}"),
        ("cli_description", caller.description),
        ("cli_added_at", asked.shown(caller.added_at)),
        ("cli_updated_at", asked.shown(caller.updated_at)),
        ("cli_comment", caller.comment),
        ("cli_email_callback", 0),  # nobody asks for calls by mail here
        ("cli_banned", int(caller.banned)),
    ))  # fmt: skip


HANDLERS: Final[Mapping[str, Handler]] = {
    "device_clis_get": device_clis_get,
    "cli_info_get": cli_info_get,
    "cli_add": cli_add,
    "cli_delete": cli_delete,
}
