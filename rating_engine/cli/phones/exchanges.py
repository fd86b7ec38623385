"""`rating-engine exchange`: the Asterisk servers whose phones come from here, beside the rates of currencies."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

import typer
from rich.table import Table

from rating_engine.cli import words
from rating_engine.cli.common import ConfigOption, JsonOption, out, print_json, reported_errors, say, with_services
from rating_engine.cli.lists import AfterOption, LimitOption, listed, next_json, say_next
from rating_engine.domain.exchanges import DEFAULT_CONTEXT, ExchangeChanges, NewExchange, SipExchange

Name = Annotated[str, typer.Argument(metavar="EXCHANGE", help="Its name, as in ?exchange=NAME and ami_exchanges.")]
AddressOption = Annotated[str | None, typer.Option(metavar="ADDRESS", help="Of its SIP port, for getExtensions.")]
DnsOption = Annotated[str | None, typer.Option("--dns-name", metavar="HOST", help="What phones register at.")]
RealmOption = Annotated[str | None, typer.Option(metavar="REALM", help="Of its phones' passwords; its name at first.")]
ContextOption = Annotated[str | None, typer.Option(metavar="CONTEXT", help="Where its phones dial.")]
DirectoryOption = Annotated[
    str | None, typer.Option("--config-directory", metavar="DIRECTORY", help="Where `exchange render` writes.")
]


def add(
    name: Name,
    address: AddressOption = None,
    dns_name: DnsOption = None,
    realm: RealmOption = None,
    context: ContextOption = None,
    config_directory: DirectoryOption = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Make an Asterisk server known, so that lines can have their phones there."""
    with reported_errors():
        new = NewExchange(
            name, address or "", dns_name or "", realm or "", context or DEFAULT_CONTEXT, config_directory or ""
        )
    _print(with_services(config, lambda services: services.exchanges.add(new)), as_json=json)


def servers(
    limit: LimitOption = None, after: AfterOption = None, json: JsonOption = False, config: ConfigOption = None
) -> None:
    """The Asterisk servers that are known, by name."""
    page = with_services(config, lambda services: listed(services.exchanges.page, limit, after))
    if json:
        print_json({"exchanges": [exchange_json(each) for each in page.items], **next_json(page)})
        return
    table = Table("exchange", "address", "dns name", "realm", "context", "role", "phones", "state")
    for each in page.items:
        table.add_row(
            each.name, each.address, each.dns_name, each.realm, each.context, each.database_role or "",
            str(each.phones), "on" if each.enabled else "off",
        )  # fmt: skip
    out.print(table)
    say_next(page)


def show(name: Name, json: JsonOption = False, config: ConfigOption = None) -> None:
    """One Asterisk server."""
    _print(with_services(config, lambda services: services.exchanges.show(name)), as_json=json)


def change(
    name: Name,
    address: AddressOption = None,
    dns_name: DnsOption = None,
    realm: RealmOption = None,
    context: ContextOption = None,
    config_directory: DirectoryOption = None,
    enabled: Annotated[str | None, typer.Option(metavar="yes|no", help="no: none of its phones calls.")] = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Change what is given. The realm changes only while no phone has a password of it."""
    with reported_errors():
        changes = ExchangeChanges(
            address=words.if_given(address, str),
            dns_name=words.if_given(dns_name, str),
            realm=words.if_given(realm, str),
            context=words.if_given(context, str),
            config_directory=words.if_given(config_directory, str),
            enabled=words.if_given(enabled, partial(words.yes_or_no, field="enabled")),
        )
    _print(with_services(config, lambda services: services.exchanges.change(name, changes)), as_json=json)


def exchange_json(exchange: SipExchange) -> dict[str, Any]:
    """As machines read it."""
    return {
        "exchange": exchange.name,
        "address": exchange.address,
        "dns_name": exchange.dns_name,
        "realm": exchange.realm,
        "context": exchange.context,
        "config_directory": exchange.config_directory,
        "database_role": exchange.database_role,
        "enabled": exchange.enabled,
        "phones": exchange.phones,
        "created_at": exchange.created_at.isoformat(),
    }


def _print(exchange: SipExchange, *, as_json: bool = False) -> None:
    fields = exchange_json(exchange)
    if as_json:
        print_json(fields)
        return
    for name, value in fields.items():
        say((f"{name.replace('_', ' ')}: ", "bold"), "" if value is None else str(value))
