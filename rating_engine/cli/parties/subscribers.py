"""`rating-engine subscriber`: the logins that call, listed and blocked one by one."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.table import Column, Table

from rating_engine.cli.common import ConfigOption, JsonOption, out, print_json, with_services
from rating_engine.cli.lists import AfterOption, LimitOption, listed, next_json, say_next
from rating_engine.cli.parties.accounts import Login, print_state
from rating_engine.domain.account import ListedSubscriber

subscribers_app = typer.Typer(no_args_is_help=True, help="Subscribers: the logins that call, on the money of accounts.")


@subscribers_app.command("list", epilog="Example: rating-engine subscriber list --account-of 1001")
def list_(
    account_of: Annotated[
        str | None, typer.Option(metavar="LOGIN", help="Those on this login's account; every one if not given.")
    ] = None,
    limit: LimitOption = None,
    after: AfterOption = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Logins in their order, with their tariff and who of them is blocked."""
    page = with_services(
        config,
        lambda services: listed(lambda cursor: services.accounts.subscribers(cursor, account_of), limit, after),
    )
    if json:
        print_json({"subscribers": [_json(subscriber) for subscriber in page.items], **next_json(page)})
        return
    table = Table("login", "tariff", "caller id", Column("max calls", justify="right"), "status", "its account")
    for subscriber in page.items:
        table.add_row(
            subscriber.login,
            subscriber.tariff,
            subscriber.callerid,
            "no limit" if subscriber.max_calls is None else str(subscriber.max_calls),
            subscriber.status,
            subscriber.account_status,
        )
    out.print(table)
    say_next(page)


@subscribers_app.command(epilog="Example: rating-engine subscriber block 1002")
def block(login: Login, json: JsonOption = False, config: ConfigOption = None) -> None:
    """Let one login start no calls; its account's other logins call on, and calls that run go on."""
    print_state(with_services(config, lambda services: services.accounts.block_subscriber(login)), as_json=json)


@subscribers_app.command(epilog="Example: rating-engine subscriber unblock 1002")
def unblock(login: Login, json: JsonOption = False, config: ConfigOption = None) -> None:
    """Let one login call again, if its account may."""
    print_state(with_services(config, lambda services: services.accounts.unblock_subscriber(login)), as_json=json)


def _json(subscriber: ListedSubscriber) -> dict[str, Any]:
    return {
        "login": subscriber.login,
        "account_id": subscriber.account_id,
        "tariff": subscriber.tariff,
        "callerid": subscriber.callerid,
        "max_calls": subscriber.max_calls,
        "max_seconds": subscriber.max_seconds,
        "status": subscriber.status.value,
        "account_status": subscriber.account_status.value,
    }
