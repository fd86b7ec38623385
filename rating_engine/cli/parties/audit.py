"""`rating-engine audit`: what was changed, by whom, when and from where."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

import typer
from rich.table import Column, Table

from rating_engine.cli import words
from rating_engine.cli.common import ConfigOption, JsonOption, out, print_json, reported_errors, with_services
from rating_engine.cli.lists import AfterOption, listed, next_json, say_next
from rating_engine.domain.audit import AuditEntry, AuditFilter
from rating_engine.domain.page import DEFAULT_LIMIT


def audit(
    user: Annotated[
        str | None, typer.Option(metavar="USER", help="What this one did; `operator`: who has the settings.")
    ] = None,
    action: Annotated[str | None, typer.Option(metavar="WORD", help="account.topup; account: all of accounts.")] = None,
    subject: Annotated[
        str | None, typer.Option(metavar="NAME", help="What was done to this login, key, tariff …")
    ] = None,
    key: Annotated[str | None, typer.Option(metavar="KEY", help="What was done with this key.")] = None,
    since: Annotated[
        str | None, typer.Option("--from", metavar="MOMENT", help="2026-03-01 or 2026-03-01T08:00, UTC.")
    ] = None,
    until: Annotated[str | None, typer.Option("--to", metavar="MOMENT", help="Before this moment.")] = None,
    limit: Annotated[int, typer.Option(help="Newest entries shown.")] = DEFAULT_LIMIT,
    after: AfterOption = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """What was changed, the newest first: who, how, when, from where, and what it was before."""
    with reported_errors():
        wanted = AuditFilter(
            party=user,
            action=action,
            subject=subject,
            key=key,
            since=None if since is None else words.moment(since, "from"),
            until=None if until is None else words.moment(until, "to"),
        )
    page = with_services(config, lambda services: listed(partial(services.audit.page, wanted), limit, after))
    if json:
        print_json({"entries": [_json(entry) for entry in page.items], **next_json(page)})
        return
    table = Table(Column("when", no_wrap=True), "who", "by", "did", "to", "what")
    for entry in page.items:
        by = " ".join(part for part in (entry.surface, entry.key, entry.address) if part)
        table.add_row(
            entry.at.strftime("%Y-%m-%d %H:%M:%SZ"), entry.party, by, entry.action, entry.subject, _told(entry.detail)
        )
    out.print(table)
    say_next(page)


def _told(detail: Any) -> str:
    return ", ".join(f"{name} {value}" for name, value in detail.items() if value not in (None, "", {}, []))


def _json(entry: AuditEntry) -> dict[str, Any]:
    return {
        "entry": entry.audit_id,
        "at": entry.at.isoformat(),
        "user": entry.party,
        "level": entry.level,
        "surface": entry.surface,
        "key": entry.key,
        "address": entry.address,
        "action": entry.action,
        "subject": entry.subject,
        "detail": dict(entry.detail),
    }
