"""A tenant's webhooks: where its events are sent, and the secrets that sign them."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from rating_engine.api.tenant.answers import json_answer
from rating_engine.api.tenant.contract import ID, JSON, Field, Kind, Operation, Parameter, object_of
from rating_engine.api.tenant.reading import check_required, id_of, read_fields, read_id, read_parameters
from rating_engine.domain.errors import NotFound
from rating_engine.domain.page import DEFAULT_LIMIT, MAX_LIMIT, Cursor
from rating_engine.domain.webhook import MAX_EVENTS, MAX_URL, STATES, Event, NewWebhook
from rating_engine.services.catalogue import UseCases

PAGE: Final = (
    Parameter("limit", Kind.WHOLE, "Items of a page.", 1, MAX_LIMIT, DEFAULT_LIMIT),
    Parameter("after", Kind.TEXT, "The `next` of the page before."),
)
STATE: Final = Parameter("state", Kind.TEXT, f"Of these alone: {', '.join(STATES)}.", choices=tuple(STATES))
DELIVERY: Final = Parameter("delivery", Kind.TEXT, "The id of the delivery.", place="path")
NEW: Final = (
    Field("url", Kind.TEXT, "Where events are posted to: https.", 9, MAX_URL, required=True, pattern="^https?://"),
    Field("events", Kind.TEXT, f"By commas, of {', '.join(Event)}; empty: all.", most=MAX_EVENTS),
    Field("low_balance", Kind.AMOUNT, "balance.low is sent when a balance falls below it."),
)
_MADE: Final = (
    Field("id", Kind.TEXT, "The id of the webhook."),
    Field("secret", Kind.TEXT, "What signs its deliveries; shown this once."),
)
_LISTED: Final = (
    *(_MADE[0], *NEW),
    Field("created_at", Kind.TEXT, "Since when it hears."),
    Field("queued", Kind.WHOLE, "Deliveries that wait."),
    Field("failed", Kind.WHOLE, "Those given up within a week."),
    Field("error", Kind.TEXT, "Why the last one was not taken."),
)


def _nullable(schema: dict[str, Any], *names: str) -> dict[str, Any]:
    """The same, of which these may be null."""
    fields = schema["properties"]
    may = {name: {**fields[name], "type": [fields[name]["type"], "null"]} for name in names}
    return {**schema, "properties": {**fields, **may}}


_DELIVERED: Final = (
    Field("id", Kind.TEXT, "The id of the delivery."),
    Field("event_id", Kind.TEXT, "What its header webhook-id says, each time."),
    Field("event", Kind.TEXT, f"One of {', '.join(Event)}."),
    Field("state", Kind.TEXT, f"One of {', '.join(STATES)}."),
    Field("attempts", Kind.WHOLE, "Those that were not taken."),
    Field("created_at", Kind.TEXT, "When it was queued."),
    Field("due_at", Kind.TEXT, "When it is tried next; null where it is not queued."),
    Field("ended_at", Kind.TEXT, "When it was taken or given up; null while it is queued."),
    Field("error", Kind.TEXT, "Why the last attempt was not taken."),
)
SCHEMAS: Final[Mapping[str, Any]] = {
    "WebhookCreate": object_of(NEW, required=True),
    "WebhookMade": object_of(_MADE),
    "WebhookList": {
        "type": "object",
        "properties": {"items": {"type": "array", "items": object_of(_LISTED)}},
    },
}
SCHEMAS_OF_DELIVERIES: Final[Mapping[str, Any]] = {
    "DeliveryList": {
        "type": "object",
        "properties": {
            "items": {"type": "array", "items": _nullable(object_of(_DELIVERED), "due_at", "ended_at")},
            "next": {"type": ["string", "null"]},
        },
    },
}
OPERATIONS: Final = (
    Operation("list_deliveries", "GET", "/webhooks/{id}/deliveries", "List what became of a webhook's events", 200,
              (ID, STATE, *PAGE), answer="DeliveryList", media=JSON),
    Operation("redeliver", "POST", "/webhooks/{id}/deliveries/{delivery}/again", "Send an event once more", 204,
              (ID, DELIVERY)),
    Operation("list_webhooks", "GET", "/webhooks", "List webhooks", 200, answer="WebhookList", media=JSON),
    Operation("create_webhook", "POST", "/webhooks", "Create a webhook", 200, body="WebhookCreate",
              answer="WebhookMade", media=JSON),
    Operation("rotate_webhook", "POST", "/webhooks/{id}/rotate", "Give a webhook another secret", 200, (ID,),
              answer="WebhookMade", media=JSON),
    Operation("destroy_webhook", "POST", "/webhooks/{id}/destroy", "Delete a webhook", 204, (ID,)),
)  # fmt: skip


async def list_webhooks(use: UseCases, _request: Request) -> Response:
    """All of the tenant's, with what waits for them."""
    items = [
        {
            "id": id_of(each.webhook_id),
            "url": each.url,
            "events": ",".join(each.events),
            "low_balance": each.low_balance,
            "created_at": each.created_at,
            "queued": each.queued,
            "failed": each.failed,
            "error": each.error,
        }
        for each in await use.webhooks.page()
    ]
    return json_answer({"items": items})


async def list_deliveries(use: UseCases, request: Request) -> Response:
    """What became of its events within a week, the latest first."""
    given = read_parameters(request.query_params, (STATE, *PAGE))
    page = await use.webhooks.deliveries(
        _id(request), Cursor(given["limit"], given["after"] or None), given["state"] or None
    )
    items = [
        {
            "id": id_of(each.delivery_id),
            "event_id": each.event_id,
            "event": each.event,
            "state": each.state,
            "attempts": each.attempts,
            "created_at": each.created_at,
            "due_at": each.due_at,
            "ended_at": each.ended_at,
            "error": each.error,
        }
        for each in page.items
    ]
    return json_answer({"items": items, "next": page.next})


async def redeliver(use: UseCases, request: Request) -> Response:
    """It is sent once more, soon; 204."""
    delivery_id = read_id(request.path_params["delivery"])
    if delivery_id is None:
        raise NotFound("there is no such delivery", field="delivery")
    await use.webhooks.send_again(_id(request), delivery_id)
    return Response(status_code=HTTPStatus.NO_CONTENT)


async def create_webhook(use: UseCases, request: Request) -> Response:
    """One more; its id and its secret."""
    values = await read_fields(request, NEW)
    check_required(NEW, values)
    made = await use.webhooks.add(NewWebhook(**values))
    return json_answer({"id": id_of(made.webhook_id), "secret": made.secret})


async def rotate_webhook(use: UseCases, request: Request) -> Response:
    """Another secret; the old one signs for a day too."""
    made = await use.webhooks.rotate(_id(request))
    return json_answer({"id": id_of(made.webhook_id), "secret": made.secret})


async def destroy_webhook(use: UseCases, request: Request) -> Response:
    """It hears of nothing any more; 204."""
    await use.webhooks.remove(_id(request))
    return Response(status_code=HTTPStatus.NO_CONTENT)


def _id(request: Request) -> int:
    webhook_id = read_id(request.path_params["id"])
    if webhook_id is None:
        raise NotFound("there is no such webhook", field="id")
    return webhook_id
