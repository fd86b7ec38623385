"""`rating-engine mail list`, `ticket list`, `sim list`: what users were written, asked and hold."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Column, Table

from rating_engine.cli import words
from rating_engine.cli.common import ConfigOption, JsonOption, out, print_json, reported_errors, with_services
from rating_engine.cli.lists import AfterOption, LimitOption, listed, next_json, say_next
from rating_engine.domain.mail import MailState

mails_app = typer.Typer(no_args_is_help=True, help="Mail to users: what waits, was sent or failed.")
tickets_app = typer.Typer(no_args_is_help=True, help="Tickets: questions of users, and their answers.")
sims_app = typer.Typer(no_args_is_help=True, help="SIM cards, and whose they are.")

TIME = "%Y-%m-%d %H:%M:%SZ"


@mails_app.command("list", epilog="Example: rating-engine mail list --state failed")
def list_mails(
    state: Annotated[str | None, typer.Option("--state", help="queued, sent or failed; all.")] = None,
    limit: LimitOption = None,
    after: AfterOption = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Mails of the last month, the newest first, and why one was not sent."""
    with reported_errors():
        wanted = None if state is None else words.choice(MailState, state, "state")
    page = with_services(
        config, lambda services: listed(lambda cursor: services.mails.page(cursor, state=wanted), limit, after)
    )
    if json:
        shown = [
            {
                "id": each.mail_id, "user": each.user, "to": each.recipient, "subject": each.subject,
                "state": each.state, "attempts": each.attempts, "error": each.error,
                "created_at": each.created_at.isoformat(),
            }
            for each in page.items
        ]  # fmt: skip
        print_json({"mails": shown, **next_json(page)})
        return
    table = Table("id", "user", "to", "subject", "state", Column("tries", justify="right"), "queued", "error")
    for each in page.items:
        table.add_row(
            str(each.mail_id), each.user or "", each.recipient, each.subject, each.state, str(each.attempts),
            each.created_at.strftime(TIME), each.error,
        )  # fmt: skip
    out.print(table)
    say_next(page)


@tickets_app.command("list", epilog="Example: rating-engine ticket list --json")
def list_tickets(
    limit: LimitOption = None, after: AfterOption = None, json: JsonOption = False, config: ConfigOption = None
) -> None:
    """All tickets, the latest first."""
    page = with_services(
        config, lambda services: listed(lambda cursor: services.tickets.page(cursor, everything=True), limit, after)
    )
    if json:
        shown = [
            {
                "id": each.ticket_id, "user": each.party, "desk": each.desk, "subject": each.subject,
                "closed": each.closed, "assigned": list(each.assigned), "last_from": each.sender,
                "last_at": each.at.isoformat(),
            }
            for each in page.items
        ]  # fmt: skip
        print_json({"tickets": shown, **next_json(page)})
        return
    table = Table("id", "user", "desk", "subject", "state", "assigned to", "last message")
    for each in page.items:
        state = "closed" if each.closed else "unread" if each.unread_by_desk else "open"
        table.add_row(
            str(each.ticket_id), each.party, each.desk, each.subject, state, ", ".join(each.assigned),
            f"{each.at.strftime(TIME)} {each.sender}",
        )  # fmt: skip
    out.print(table)
    say_next(page)


@sims_app.command("list", epilog="Example: rating-engine sim list --json")
def list_sims(
    limit: LimitOption = None, after: AfterOption = None, json: JsonOption = False, config: ConfigOption = None
) -> None:
    """SIM cards by number; their PUKs are shown by the Narayana API alone."""
    page = with_services(config, lambda services: listed(services.sim_cards.page, limit, after))
    if json:
        shown = [
            {
                "iccid": each.iccid, "msisdn": each.msisdn, "provider": each.provider, "owner": each.owner,
                "line": each.line, "enabled": each.enabled,
            }
            for each in page.items
        ]  # fmt: skip
        print_json({"sim_cards": shown, **next_json(page)})
        return
    table = Table("iccid", "msisdn", "provider", "owner", "line", "state")
    for each in page.items:
        table.add_row(
            each.iccid, each.msisdn, each.provider, each.owner or "", each.line or "", "on" if each.enabled else "off"
        )
    out.print(table)
    say_next(page)
