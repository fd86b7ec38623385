"""The section Calls."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime, time, timedelta
from typing import Final

from rating_engine.api.mor.asked import Asked, Handler, stored
from rating_engine.api.mor.declare import Role
from rating_engine.api.mor.errors import ACCESS_DENIED, Failed
from rating_engine.api.mor.named import NO_USER, device_of, user_of
from rating_engine.api.mor.xml import Element, element, listed, page
from rating_engine.domain.cdr import Cdr, CdrFilter
from rating_engine.domain.errors import InvalidRequest
from rating_engine.domain.page import MAX_LIMIT, Cursor

ALL: Final = ("", "all")
MOST: Final = 10_000  # calls of one answer: some five megabytes; who wants more asks for days
TYPES: Final = ("answered", "no answer", "busy", "failed")
# What the columns of the answer are ordered by.
ORDERS: Final[Mapping[str, str]] = {
    "": "ended_at", "time": "ended_at", "src": "callerid", "dst": "destination", "duration": "seconds",
    "hangupcause": "cause", "user_price": "cost",
}  # fmt: skip


async def user_calls_get(asked: Asked) -> Element:
    """Calls that ended in a time, today's by default: of a user and all below it, or of one device."""
    user = None
    if asked.text("s_user").strip().lower() not in ALL:
        user = (await user_of(asked, "s_user", NO_USER)).party_id
    elif asked.role in (Role.USER, Role.RESELLER):
        user = asked.asking.realm
    login = None
    if asked.text("s_device").strip().lower() not in ALL:
        login = (await device_of(asked, "s_device", NO_USER)).login
    since, until = _span(asked)
    try:
        wanted = CdrFilter(
            since, until, login=login, owner=None if login else user,
            prefix=asked.text("s_destination").strip().rstrip("%") or None,
            route=asked.text("s_provider").strip() or None,
        )  # fmt: skip
    except InvalidRequest as error:
        raise Failed(ACCESS_DENIED, str(error)) from None
    calls = [call for call in await _calls(asked, wanted) if _fits(asked, call)]
    order = ORDERS.get(asked.text("order_by").strip().lower(), "ended_at")
    calls.sort(key=lambda call: getattr(call, order), reverse=asked.text("order_desc").strip() == "1")
    hidden = await asked.hides_usernames()
    listed_calls = await asyncio.to_thread(
        lambda: element("calls", *(_listed(asked, call, hidden=hidden) for call in calls))
    )
    return page(
        element("pagename", "Calls"),
        element("userid", str(user or asked.who)),
        element("total_calls", str(len(calls))),
        listed_calls,
    )


def _span(asked: Asked) -> tuple[datetime, datetime]:
    """From the one second to the end of the other; today where they are not said."""
    midnight = datetime.combine(datetime.now(asked.zone).date(), time(), asked.zone)
    since = asked.moment("period_start", ACCESS_DENIED) or midnight
    until = asked.moment("period_end", ACCESS_DENIED)
    return since, midnight + timedelta(days=1) if until is None else until + timedelta(seconds=1)


async def _calls(asked: Asked, wanted: CdrFilter) -> list[Cdr]:
    found: list[Cdr] = []
    cursor = Cursor(MAX_LIMIT)
    while len(found) < MOST:
        part = await asked.use.cdrs.page(wanted, cursor)
        found += part.items
        if part.next is None:
            break
        cursor = Cursor(MAX_LIMIT, part.next)
    return found[:MOST]


def type_of(call: Cdr) -> str:
    """How it ended, in the exchange's words."""
    if call.seconds > 0 or call.answered_at is not None:
        return "answered"
    return {"BUSY": "busy", "NOANSWER": "no answer", "CANCEL": "no answer"}.get(call.disposition.upper(), "failed")


def _fits(asked: Asked, call: Cdr) -> bool:
    kind = asked.text("s_call_type").strip().lower().replace("_", " ")
    cause = asked.text("s_hgc").strip().lower()
    number = asked.text("s_did").strip().lower()
    if kind not in ALL and kind != type_of(call):
        return False
    if cause not in ALL and cause != str(call.cause):
        return False
    if number not in ALL and number != call.is_did:
        return False
    way = asked.text("direction").strip().lower()  # of older clients
    if way not in ALL and way != ("incoming" if call.is_did else "outgoing"):
        return False
    return asked.text("only_did").strip() != "1" or bool(call.is_did)


def _listed(asked: Asked, call: Cdr, *, hidden: bool) -> Element:
    return listed("call", (
        ("date", asked.shown(call.answered_at or call.prepared_at)),
        ("called_from", call.callerid),
        ("called_to", call.destination),
        ("duration", call.seconds),
        ("billsec", call.billed_seconds),
        ("hangup_cause", call.cause),
        ("call_type", type_of(call)),
        ("device", "" if hidden else call.login),
        ("did", call.is_did),
        ("direction", call.direction),
        ("prefix", call.prefix),
        ("user_price", stored(call.cost)),
        ("currency", call.currency),
        *((("provider", call.route),) if asked.is_admin else ()),
        ("uniqueid", str(call.call_key)),
    ))  # fmt: skip


HANDLERS: Final[Mapping[str, Handler]] = {"user_calls_get": user_calls_get}
