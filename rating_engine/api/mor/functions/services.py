"""The section Services: what subscriptions charge."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from rating_engine.api.mor.asked import Asked, Handler, stored, whole_of
from rating_engine.api.mor.errors import ACCESS_DENIED, Failed
from rating_engine.api.mor.xml import Element, done, element, listed, page
from rating_engine.domain.errors import AlreadyExists, InvalidRequest, NotFound, NotYours, Refused
from rating_engine.domain.page import MAX_LIMIT, Cursor
from rating_engine.domain.subscription import NewService, Period, Service, ServiceChanges, ServiceKind

BAD_TYPE: Final = "Service Type is invalid"
NO_SERVICE: Final = "Service was not found"
NOT_SELECTED: Final = "Service was not selected"

KINDS: Final[Mapping[str, ServiceKind]] = {
    "periodic_fee": ServiceKind.PERIODIC,
    "one_time_fee": ServiceKind.ONE_TIME,
    "flat-rate": ServiceKind.FLAT_RATE,
    "flat_rate": ServiceKind.FLAT_RATE,
}
NAMES: Final = {kind: name for name, kind in KINDS.items()}
PERIODS: Final = {"month": Period.MONTH, "day": Period.DAY}


async def service_create(asked: Asked) -> Element:
    """A service in the system's currency."""
    name = asked.needed("service_name", NOT_SELECTED)
    kind = _kind(asked)
    is_flat = kind is ServiceKind.FLAT_RATE
    minutes = asked.whole("service_minutes_per_month", ACCESS_DENIED)
    try:
        new = NewService(
            name,
            kind,
            price=asked.amount("service_sell_price", ACCESS_DENIED) or Decimal(0),
            period=_period(asked) or Period.MONTH,
            self_cost=asked.amount("service_self_cost", ACCESS_DENIED) or Decimal(0),
            quantity=_quantity(asked) or 1,
            minutes=minutes if is_flat else None,
        )
        await asked.use.paid_services.add(new)
    except (InvalidRequest, AlreadyExists) as error:
        raise Failed(BAD_TYPE if error.field == "kind" else ACCESS_DENIED, str(error)) from None
    return done("Service successfully created")


async def service_update(asked: Asked) -> Element:
    """What is sent, from the next period of every subscription on; what a service is stays."""
    service = await service_of(asked, NOT_SELECTED)
    if asked.sent("service_type") and _kind(asked) is not service.kind:
        raise Failed(BAD_TYPE)
    minutes = asked.whole("service_minutes_per_month", ACCESS_DENIED)
    if minutes is not None and minutes != (service.minutes or 0):
        raise Failed(ACCESS_DENIED)  # of those who have it, they are what they were sold
    given: dict[str, Any] = {
        "name": asked.text("service_name").strip() or None,
        "price": asked.amount("service_sell_price", ACCESS_DENIED),
        "self_cost": asked.amount("service_self_cost", ACCESS_DENIED),
        "period": _period(asked),
        "quantity": _quantity(asked),
    }
    try:
        changes = ServiceChanges(**{name: value for name, value in given.items() if value is not None})
        await asked.use.paid_services.change(service.service_id, changes)
    except NotYours:
        raise Failed(NOT_SELECTED) from None
    except (InvalidRequest, AlreadyExists) as error:
        raise Failed(ACCESS_DENIED, str(error)) from None
    return done("Service successfully updated")


async def service_delete(asked: Asked) -> Element:
    """Gone, unless somebody has it."""
    service = await service_of(asked, NO_SERVICE)
    try:
        await asked.use.paid_services.remove(service.service_id)
    except NotYours:
        raise Failed(NO_SERVICE) from None
    except Refused:
        raise Failed(ACCESS_DENIED) from None
    return done("Service successfully deleted")


async def services_get(asked: Asked) -> Element:
    """Those of who asks."""
    services: list[Service] = []
    cursor = Cursor(MAX_LIMIT)
    while True:
        part = await asked.use.paid_services.page(cursor)
        services += part.items
        if part.next is None:
            break
        cursor = Cursor(MAX_LIMIT, part.next)
    return page(element("services", *map(_listed, services)))


async def service_of(asked: Asked, error: str) -> Service:
    """The service that a request names. Raises Failed(error)."""
    number = asked.needed_whole("service_id", error)
    own = asked.use.paid_services
    try:
        return await own.show(number)
    except (NotFound, NotYours):
        raise Failed(error) from None


def _kind(asked: Asked) -> ServiceKind:
    kind = KINDS.get(asked.text("service_type").strip().lower())
    if kind is None:
        raise Failed(BAD_TYPE)
    return kind


def _period(asked: Asked) -> Period | None:
    text = asked.text("service_period").strip().lower()
    if text and text not in PERIODS:
        raise Failed(ACCESS_DENIED)
    return PERIODS.get(text)


def _quantity(asked: Asked) -> int | None:
    text = asked.text("service_quantity").strip()
    if not text:
        return None
    if text.startswith("-") and text[1:].isdigit():
        raise Failed("Quantity must be greater than zero")
    quantity = whole_of(text, "Quantity must be numeric")
    if quantity == 0:
        raise Failed("Quantity must be greater than zero")
    return quantity


def _listed(service: Service) -> Element:
    return listed("service", (
        ("id", service.service_id),
        ("name", service.name),
        ("type", NAMES[service.kind]),
        ("period", "" if service.kind is ServiceKind.ONE_TIME else service.period),
        ("price", stored(service.price)),
        ("self_cost", stored(service.self_cost)),
        ("currency", service.currency),
        ("quantity", service.quantity if service.minutes is None else service.minutes),
    ))  # fmt: skip


HANDLERS: Final[Mapping[str, Handler]] = {
    "service_create": service_create,
    "service_update": service_update,
    "service_delete": service_delete,
    "services_get": services_get,
}
