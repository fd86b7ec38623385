"""`rating-engine webhook`: tenants' webhooks, and what became of the events that they are sent."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.table import Table

from rating_engine.cli.common import ConfigOption, JsonOption, out, print_json, say, with_services
from rating_engine.cli.lists import AfterOption, LimitOption, listed, next_json, say_next
from rating_engine.domain.webhook import STATES, ListedDelivery, Webhook

webhooks_app = typer.Typer(no_args_is_help=True, help="Webhooks of tenants, and what became of their events.")

Number = Annotated[int, typer.Argument(metavar="WEBHOOK", help="Its number in `webhook list`.", min=1)]


@webhooks_app.command("list", epilog="Example: rating-engine webhook list")
def list_(json: JsonOption = False, config: ConfigOption = None) -> None:
    """Everybody's webhooks, what waits for each, and why the last delivery was not taken."""
    found = with_services(config, lambda services: services.webhooks.every())
    if json:
        print_json({"webhooks": [_webhook_json(each) for each in found]})
        return
    table = Table("webhook", "party", "url", "queued", "failed", "last error")
    for each in found:
        table.add_row(
            str(each.webhook_id), str(each.party_id), each.url, str(each.queued), str(each.failed), each.error
        )
    out.print(table)


@webhooks_app.command(epilog="Example: rating-engine webhook deliveries 1 --state failed --limit 20")
def deliveries(
    webhook: Number,
    state: Annotated[str | None, typer.Option(metavar="WORD", help=f"Of these alone: {', '.join(STATES)}.")] = None,
    limit: LimitOption = None,
    after: AfterOption = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """What became of a webhook's events within a week, the latest first."""
    page = with_services(
        config,
        lambda services: listed(lambda cursor: services.webhooks.deliveries(webhook, cursor, state), limit, after),
    )
    if json:
        print_json({"deliveries": [_delivery_json(each) for each in page.items], **next_json(page)})
        return
    table = Table("delivery", "event", "queued at", "state", "attempts", "error")
    for each in page.items:
        table.add_row(
            str(each.delivery_id), each.event, f"{each.created_at:%Y-%m-%d %H:%M:%S}", each.state, str(each.attempts),
            each.error,
        )  # fmt: skip
    out.print(table)
    say_next(page)


@webhooks_app.command(epilog="Example: rating-engine webhook again 1 4711")
def again(
    webhook: Number,
    delivery: Annotated[int, typer.Argument(metavar="DELIVERY", help="Its number in `webhook deliveries`.", min=1)],
    config: ConfigOption = None,
) -> None:
    """Send an event once more, under the id that it had."""
    with_services(config, lambda services: services.webhooks.send_again(webhook, delivery))
    say(f"delivery {delivery} is sent again within seconds, by the engine that leads")


def _webhook_json(webhook: Webhook) -> dict[str, Any]:
    return {
        "webhook": webhook.webhook_id,
        "party": webhook.party_id,
        "url": webhook.url,
        "events": list(webhook.events),
        "queued": webhook.queued,
        "failed": webhook.failed,
        "error": webhook.error,
        "created_at": webhook.created_at.isoformat(),
    }


def _delivery_json(delivery: ListedDelivery) -> dict[str, Any]:
    return {
        "delivery": delivery.delivery_id,
        "event_id": delivery.event_id,
        "event": delivery.event,
        "state": delivery.state,
        "attempts": delivery.attempts,
        "created_at": delivery.created_at.isoformat(),
        "due_at": None if delivery.due_at is None else delivery.due_at.isoformat(),
        "ended_at": None if delivery.ended_at is None else delivery.ended_at.isoformat(),
        "error": delivery.error,
    }
