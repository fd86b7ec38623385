"""A tenant's webhooks: where its events are sent, and the secrets that sign them."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from rating_engine.api.tenant.answers import json_answer
from rating_engine.api.tenant.contract import ID, JSON, Field, Kind, Operation, object_of
from rating_engine.api.tenant.reading import check_required, id_of, read_fields, read_id
from rating_engine.domain.errors import NotFound
from rating_engine.domain.webhook import MAX_EVENTS, MAX_URL, Event, NewWebhook
from rating_engine.services.catalogue import UseCases

NEW: Final = (
    Field("url", Kind.TEXT, "Where events are posted to: https.", 9, MAX_URL, required=True),
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
SCHEMAS: Final[Mapping[str, Any]] = {
    "WebhookCreate": object_of(NEW, required=True),
    "WebhookMade": object_of(_MADE),
    "WebhookList": {
        "type": "object",
        "properties": {"items": {"type": "array", "items": object_of(_LISTED)}},
    },
}
OPERATIONS: Final = (
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
