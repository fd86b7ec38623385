"""`rating-engine exchange`: the Asterisk servers whose phones come from here, beside the rates of currencies."""

from __future__ import annotations

import secrets
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.table import Table

from rating_engine.cli import words
from rating_engine.cli.common import (
    EXIT_FAILED,
    ConfigOption,
    JsonOption,
    out,
    print_json,
    reported_errors,
    say,
    with_services,
)
from rating_engine.cli.lists import AfterOption, LimitOption, listed, next_json, say_next
from rating_engine.cli.phones.password import read_password
from rating_engine.domain.errors import InvalidRequest
from rating_engine.domain.exchanges import DEFAULT_CONTEXT, ExchangeChanges, NewExchange, SipExchange

ROLE_PASSWORD_BYTES: Final = 24
PJSIP: Final = "pjsip"  # all that is rendered

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


def role(
    name: Name,
    role: Annotated[str | None, typer.Option(metavar="ROLE", help="Its name; rating_EXCHANGE if not given.")] = None,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read its password from standard input.")
    ] = False,
    sql: Annotated[bool, typer.Option("--sql", help="Make no role: print what makes it, for who may.")] = False,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Let an Asterisk server read its phones in the database, by a role that reads nothing else. Again: a new word."""
    with reported_errors():
        password = read_password() if password_stdin else secrets.token_urlsafe(ROLE_PASSWORD_BYTES)
    made = with_services(
        config, lambda services: services.exchanges.give_role(name, password=password, role=role, make=not sql)
    )
    shown = {} if password_stdin else {"password": password}
    if json:
        print_json({"role": made.role, **shown, "statements": list(made.statements) if sql else []})
        return
    if sql:
        for statement in made.statements:
            say(f"{statement};")
    say(("-- role: " if sql else "role: ", "bold"), made.role)
    for word in shown.values():
        say(("-- password: " if sql else "password: ", "bold"), word)


def render(
    what: Annotated[str, typer.Argument(metavar="pjsip", help="What of Asterisk is written: pjsip.")],
    name: Name,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Instead of pjsip_rating.conf in its config directory.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing, print what would change; exit code 1 if anything would.")
    ] = False,
    reload: Annotated[bool, typer.Option("--reload", help="Have the exchange read it, over AMI.")] = False,
    trunks: Annotated[
        bool, typer.Option("--trunks", help="With the gateways of its routes, in place of `routes trunks`.")
    ] = False,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """The phones of an exchange as a file that its pjsip.conf includes, for one that does not read the database."""
    with reported_errors():
        if what != PJSIP:
            raise InvalidRequest("what", f"{what[:40]!r} is not {PJSIP}")
    done = with_services(
        config,
        lambda services: services.exchanges.render(name, output=output, write=not check, reload=reload, trunks=trunks),
    )
    if json:
        print_json({
            "file": str(done.path), "changed": bool(done.difference), "written": done.written, "reloaded": done.reloaded
        })  # fmt: skip
    elif check:
        for line in done.difference:
            say(line)
    else:
        say(f"{done.path}: {'written' if done.written else 'is as it has to be'}")
        if done.written and not done.reloaded:
            say("have Asterisk read it: asterisk -rx 'pjsip reload'")
    if check and done.difference:
        raise typer.Exit(EXIT_FAILED)


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
