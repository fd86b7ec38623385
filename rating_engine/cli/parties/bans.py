"""`rating-engine ban`: addresses that are not served, and those that nothing bans by itself."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

import typer
from rich.table import Column, Table

from rating_engine.cli.common import ConfigOption, JsonOption, out, print_json, say, with_services
from rating_engine.cli.lists import AfterOption, LimitOption, listed, next_json, say_next
from rating_engine.domain.ban import ENGINE_SOURCE, WHITELIST, Ban

bans_app = typer.Typer(no_args_is_help=True, help="Bans: addresses that neither FastAGI nor HTTP is served to.")

Target = Annotated[str, typer.Argument(metavar="ADDRESS", help="192.0.2.7, 192.0.2.0/24 or 192.0.2.*")]
Source = Annotated[str | None, typer.Option(metavar="NAME", help="An exchange, `engine` or `whitelist`.")]


@bans_app.command("list", epilog="Example: rating-engine ban list --source whitelist")
def list_(
    source: Source = None,
    ended: Annotated[bool, typer.Option("--ended", help="Those that are over too.")] = False,
    limit: LimitOption = None,
    after: AfterOption = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Bans and protected addresses, the oldest first, and how often each has refused somebody."""
    page = with_services(
        config,
        lambda services: listed(
            lambda cursor: services.bans.page(cursor, source=source, ended=ended), limit, after
        ),
    )  # fmt: skip
    if json:
        print_json({"bans": [ban_json(ban) for ban in page.items], **next_json(page)})
        return
    table = Table("address", "source", "until", Column("hits", justify="right"), "reason")
    for ban in page.items:
        until = "for ever" if ban.expires_at is None else ban.expires_at.strftime("%Y-%m-%d %H:%M:%SZ")
        table.add_row(
            str(ban.target), ban.source, until + (", kept" if ban.permanent else ""), f"{ban.hits:,}", ban.reason
        )
    out.print(table)
    say_next(page)


@bans_app.command(epilog="Example: rating-engine ban add 192.0.2.7 --reason 'guesses keys' --hours 24")
def add(
    target: Target,
    protect: Annotated[bool, typer.Option("--protect", help="The opposite: nothing bans it by itself.")] = False,
    source: Annotated[str, typer.Option(metavar="NAME", help="For which exchange it is said.")] = ENGINE_SOURCE,
    reason: Annotated[str, typer.Option(help="For people.")] = "",
    hours: Annotated[int | None, typer.Option(min=1, max=876_000, help="How long; for ever if not given.")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="`ban flush` leaves it alone.")] = False,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Serve an address nothing any more, within a second, on every engine."""
    lasts = None if hours is None else timedelta(hours=hours)
    ban = with_services(
        config,
        lambda services: services.bans.add(
            target, source=WHITELIST if protect else source, reason=reason, permanent=keep, lasts=lasts
        ),
    )
    if json:
        print_json(ban_json(ban))
    else:
        say(f"{ban.target} is {'protected' if ban.protects else 'banned'}")


@bans_app.command(epilog="Example: rating-engine ban remove 192.0.2.7")
def remove(target: Target, source: Source = None, config: ConfigOption = None) -> None:
    """Take the bans of this very address or network away."""
    removed = with_services(config, lambda services: services.bans.remove(target, source=source))
    say(f"{removed} taken away")


@bans_app.command(epilog="Example: rating-engine ban flush --source pbx1")
def flush(source: Source = None, config: ConfigOption = None) -> None:
    """Take all bans away that are not kept; protected addresses stay."""
    removed = with_services(config, lambda services: services.bans.flush(source=source))
    say(f"{removed} taken away")


def ban_json(ban: Ban) -> dict[str, Any]:
    """As machines read it."""
    return {
        "address": str(ban.target),
        "source": ban.source,
        "reason": ban.reason,
        "permanent": ban.permanent,
        "expires_at": None if ban.expires_at is None else ban.expires_at.isoformat(),
        "hits": ban.hits,
        "created_at": ban.created_at.isoformat(),
    }
