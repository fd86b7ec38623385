"""The section DID."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rating_engine.api.mor.asked import Asked, Handler
from rating_engine.api.mor.declare import Role
from rating_engine.api.mor.errors import Failed
from rating_engine.api.mor.named import NO_DID, did_of
from rating_engine.api.mor.xml import Element, done, element, listed, page
from rating_engine.domain.call_rules import digits_of, matches
from rating_engine.domain.did import Did, DidState, NewDid
from rating_engine.domain.errors import AlreadyExists, InvalidRequest, NotFound, NotYours, Refused
from rating_engine.domain.page import MAX_LIMIT, Cursor
from rating_engine.domain.party import SYSTEM
from rating_engine.domain.sip_account import SipAccount

LIMIT: Final = "Call limit is incorrect format"
NONE_FOUND: Final = "No DIDs found"
UNLIMITED: Final = "Unlimited"
TERMINATED: Final = "DID is terminated"
NO_DEVICE: Final = "Device was not found"
NOT_THIS_DEVICE: Final = "Your are not authorized to use this Device"
NOT_THIS_DID: Final = "Your are not authorized to use this DID"
NOT_THIS_PROVIDER: Final = "Your are not authorized to use this Provider"
NO_PROVIDER: Final = "Provider was not found"


async def did_details_update(asked: Asked) -> Element:
    """How many calls a number takes at a time; 0: any number."""
    did = await did_of(asked)
    limit = asked.needed_whole("call_limit", LIMIT) if asked.sent("call_limit") else None
    if limit is not None:
        try:
            await asked.use.dids.set_limit(did.number, limit)
        except InvalidRequest:
            raise Failed(LIMIT) from None
    return done("DID details successfully updated")


async def dids_get(asked: Asked) -> Element:
    """Those that fit all that is sent, by number; % stands for any digits."""
    first = asked.whole("from", NONE_FOUND) or 0
    most = asked.whole("max_results", NONE_FOUND) or MAX_LIMIT
    found = [did for did in await _all(asked) if _fits(asked, did)][first : first + most]
    if not found:
        raise Failed(NONE_FOUND)
    return page(element("dids", *map(_listed, found)))


async def did_create(asked: Asked) -> Element:
    """A number that is had from a provider: the system's, or a reseller's own."""
    route = None
    if asked.text("provider_id").strip() or asked.role is not Role.RESELLER:
        number = asked.needed_whole("provider_id", NO_PROVIDER)
        try:
            route = (await asked.use.gateways.show(number)).route_id
        except NotFound:
            raise Failed(NO_PROVIDER) from None
        except NotYours:
            raise Failed(NOT_THIS_PROVIDER) from None
    try:
        new = NewDid(digits_of(asked.text("did").strip()), owner=asked.asking.realm, route_id=route)
        did = await asked.use.dids.add(new)
    except AlreadyExists:
        raise Failed("DID already exists") from None
    except InvalidRequest:
        raise Failed("Invalid DID specified") from None
    return page(
        element("status", element("success", "DID created")), element("did_details", element("id", str(did.did_id)))
    )


async def did_device_assign(asked: Asked) -> Element:
    """An inbound call rings the device and is rated to its owner, whose number it becomes."""
    line = await _device(asked)
    did = await _number(asked)
    if did.state is DidState.CLOSED:
        raise Failed(TERMINATED)
    try:
        await asked.use.dids.assign(did.number, line.login)
    except NotYours:
        raise Failed(NOT_THIS_DID) from None
    except Refused:
        raise Failed("DID is not free") from None
    return done("Device assigned to DID")


async def did_device_unassign(asked: Asked) -> Element:
    """It rings no device any more."""
    did = await _number(asked)
    if did.state is DidState.CLOSED:
        raise Failed(TERMINATED)
    if did.line is None and not did.has_rules:
        raise Failed("DID is already free")
    try:
        await asked.use.dids.unassign(did.number)
    except Refused:
        raise Failed("DID is assigned to dialplan") from None
    return done("Device was unassigned from DID")


async def did_subscription_stop(asked: Asked) -> Element:
    """No further rent is charged, and inbound calls are refused."""
    did = await did_of(asked)
    if did.line is None and not did.has_rules:
        raise Failed("DID is not assigned to Device")
    await asked.use.dids.set_state(did.number, enabled=False, auto_renew=False)
    return done("DID was successfully closed")


async def _device(asked: Asked) -> SipAccount:
    try:
        return await asked.use.sip_accounts.numbered(asked.needed_whole("device_id", NO_DEVICE))
    except NotFound:
        raise Failed(NO_DEVICE) from None
    except NotYours:
        raise Failed(NOT_THIS_DEVICE) from None


async def _number(asked: Asked) -> Did:
    """The number that `did` names, in digits."""
    try:
        return await asked.use.dids.show(digits_of(asked.needed("did", NO_DID)))
    except NotFound:
        raise Failed(NO_DID) from None
    except NotYours:
        raise Failed(NOT_THIS_DID) from None


async def _all(asked: Asked) -> list[Did]:
    found: list[Did] = []
    cursor = Cursor(MAX_LIMIT)
    while True:
        part = await asked.use.dids.page(cursor)
        found += part.items
        if part.next is None:
            return found
        cursor = Cursor(MAX_LIMIT, part.next)


def _fits(asked: Asked, did: Did) -> bool:
    pattern = asked.text("search_did_number").strip()
    status = asked.text("search_status").strip().lower()
    wanted = {
        "search_did_owner": did.owner or "",
        "search_user": str(did.party_id or ""),
        "search_device": did.line or "",
        "search_provider": did.provider,
        "search_dialplan": plan_of(did),
        "search_language": "",  # numbers have none
    }
    if pattern and not matches(pattern if "%" in pattern else f"%{pattern}%", did.number):
        return False
    if status and status != status_of(did):
        return False
    if asked.text("search_hide_terminated_dids").strip() == "1" and status_of(did) == "terminated":
        return False
    return all(asked.text(name).strip() in ("", value) for name, value in wanted.items())


def status_of(did: Did) -> str:
    """In MOR's words: closed is one whose rent was stopped, terminated one that is nobody's any more."""
    if did.state is DidState.CLOSED:
        return "terminated"
    if did.state is DidState.UNPAID or (did.state is DidState.ACTIVE and not did.enabled and not did.auto_renew):
        return "closed"
    if did.line is not None or did.has_rules:
        return "active"
    return "free" if did.state is DidState.FREE or did.party_id == SYSTEM else "reserved"


def plan_of(did: Did) -> str:
    """What a number goes by that rings no device: its call rules, or nothing."""
    return "rules" if did.has_rules and did.line is None else ""


def _listed(did: Did) -> Element:
    return listed("did", (
        ("did", did.number),
        ("provider", did.provider),
        ("language", ""),
        ("status", status_of(did)),
        ("reseller", ""),
        ("owner", did.owner),
        ("device", "" if did.line is None else f"SIP/{did.line}"),
        ("dial_plan", plan_of(did)),
        ("simultaneous_call_limit", did.max_calls or UNLIMITED),
        ("tone_zone", ""),
        ("id", did.did_id),
    ))  # fmt: skip


HANDLERS: Final[Mapping[str, Handler]] = {
    "did_details_update": did_details_update,
    "dids_get": dids_get,
    "did_create": did_create,
    "did_device_assign": did_device_assign,
    "did_device_unassign": did_device_unassign,
    "did_subscription_stop": did_subscription_stop,
}
