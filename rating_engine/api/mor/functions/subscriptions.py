"""The section Subscriptions: users who take services."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from rating_engine.api.mor.asked import Asked, Handler, stored
from rating_engine.api.mor.errors import ACCESS_DENIED, Failed
from rating_engine.api.mor.functions.services import NAMES, service_of
from rating_engine.api.mor.named import user_of
from rating_engine.api.mor.xml import Element, done, element, listed, page
from rating_engine.domain.errors import NotAllowed, NotFound, NotYours, RatingEngineError
from rating_engine.domain.page import MAX_LIMIT, Cursor
from rating_engine.domain.subscription import (
    MoneyBack,
    NewSubscription,
    Subscription,
    SubscriptionChanges,
    SubscriptionFilter,
)

NOT_FOUND: Final = "Subscription was not found"
NONE_FOUND: Final = "No Subscriptions found"
START: Final = "subscription_activation_start"
END: Final = "subscription_activation_end"
# How one ends: whether it is listed no more, what is given back, and what is said.
ENDS: Final[Mapping[str, tuple[bool, MoneyBack, str]]] = {
    "1": (True, MoneyBack.NONE, "Subscription deleted"),
    "2": (False, MoneyBack.NONE, "Subscription disabled"),
    "3": (True, MoneyBack.ALL, "Subscription deleted and money returned"),
}


async def subscription_create(asked: Asked) -> Element:
    """A user takes a service: what is due now is taken; what is missing is owed."""
    service = await service_of(asked, ACCESS_DENIED)
    user = await user_of(asked, error=ACCESS_DENIED)
    until_canceled = asked.flag("subscription_until_canceled", ACCESS_DENIED)
    new = NewSubscription(
        who=user.party_id,
        service_id=service.service_id,
        memo=asked.text("subscription_memo"),
        starts_at=asked.moment(START, ACCESS_DENIED),
        ends_at=None if until_canceled else asked.moment(END, ACCESS_DENIED),
        is_calendar=not asked.flag("subscription_no_expiration_at_the_end_of_a_month", ACCESS_DENIED),
        pay_now=False,
    )
    try:
        await asked.use.subscriptions.subscribe(new)
    except NotAllowed:
        raise
    except RatingEngineError as error:
        if error.retryable:
            raise
        raise Failed(ACCESS_DENIED, str(error)) from None
    return done("Subscription was successfully created")


async def subscription_update(asked: Asked) -> Element:
    """What is sent; the start only while nothing is charged."""
    found = await _subscription_of(asked)
    given: dict[str, Any] = {}
    if asked.sent("subscription_memo"):
        given["memo"] = asked.text("subscription_memo")
    if (starts_at := asked.moment(START, ACCESS_DENIED)) is not None:
        given["starts_at"] = starts_at
    if (ends_at := asked.moment(END, ACCESS_DENIED)) is not None:
        given["ends_at"] = ends_at
    if asked.flag("subscription_until_canceled", ACCESS_DENIED):
        given["ends_at"] = None
    no_month_end = asked.flag("subscription_no_expiration_at_the_end_of_a_month", ACCESS_DENIED)
    if no_month_end is not None:
        given["is_calendar"] = not no_month_end
    try:
        await asked.use.subscriptions.change(found.subscription_id, SubscriptionChanges(**given))
    except NotAllowed:
        raise
    except RatingEngineError as error:
        if error.retryable:
            raise
        raise Failed(ACCESS_DENIED, str(error)) from None
    return done("Subscription was successfully updated")


async def subscription_delete(asked: Asked) -> Element:
    """1: deleted, 2: disabled, 3: deleted, and all that it ever cost is given back by one ledger entry."""
    found = await _subscription_of(asked)
    action = ENDS.get(asked.text("subscription_delete_action").strip())
    if action is None:
        raise Failed("Subscription delete action was not found")
    remove, money_back, text = action
    try:
        await asked.use.subscriptions.end(found.subscription_id, remove=remove, money_back=money_back)
    except NotFound:  # somebody has deleted it meanwhile
        raise Failed(NOT_FOUND) from None
    return done(text)


async def subscriptions_get(asked: Asked) -> Element:
    """Those that fit all that is sent."""
    user = await user_of(asked, error=NONE_FOUND) if asked.text("user_id").strip() else None
    wanted = SubscriptionFilter(
        who=None if user is None else user.party_id,
        service_id=asked.whole("service_id", NONE_FOUND),
        memo=asked.text("subscription_memo") or None,
        since=asked.moment(START, NONE_FOUND),
        until=asked.moment(END, NONE_FOUND),
        until_canceled=asked.flag("subscription_until_canceled", NONE_FOUND),
    )
    found = (await asked.use.subscriptions.page(wanted, Cursor(MAX_LIMIT))).items
    if not found:
        raise Failed(NONE_FOUND)
    now = datetime.now(UTC)
    return page(element("status", element("subscriptions", *(_listed(asked, each, now) for each in found))))


async def _subscription_of(asked: Asked) -> Subscription:
    number = asked.needed_whole("subscription_id", NOT_FOUND)
    try:
        return await asked.use.subscriptions.show(number)
    except (NotFound, NotYours):
        raise Failed(NOT_FOUND) from None


def _listed(asked: Asked, each: Subscription, now: datetime) -> Element:
    left = "" if each.ends_at is None else max(0, int((each.ends_at - now).total_seconds()))
    return listed("subscription", (
        ("id", each.subscription_id),
        ("user", each.owner),
        ("device", each.line),
        ("service", each.service.name),
        ("from", asked.shown(each.starts_at)),
        ("till", asked.shown(each.ends_at)),
        ("time_left", left),
        ("memo", each.memo),
        ("type", NAMES[each.service.kind]),
        ("price", stored(each.service.price)),
        ("user_id", each.party_id),
    ))  # fmt: skip


HANDLERS: Final[Mapping[str, Handler]] = {
    "subscription_create": subscription_create,
    "subscription_update": subscription_update,
    "subscription_delete": subscription_delete,
    "subscriptions_get": subscriptions_get,
}
