"""`rating-engine phone`: lines with their phones: what registers at an exchange, and calls."""

from __future__ import annotations

import secrets
from functools import partial
from typing import Annotated, Any, Final

import typer
from rich.table import Table

from rating_engine.cli import words
from rating_engine.cli.common import ConfigOption, JsonOption, out, print_json, reported_errors, say, with_services
from rating_engine.cli.phones.password import read_password
from rating_engine.domain.change import LEAVE, Leave
from rating_engine.domain.phone_state import PhoneState
from rating_engine.domain.sip_account import TRANSPORTS, NewSipAccount, SipAccount, SipChanges

phones_app = typer.Typer(no_args_is_help=True, help="Phones of lines, which Asterisk gets from here.")

PASSWORD_BYTES: Final = 15  # of one that is made here: 20 characters
Number = Annotated[str, typer.Argument(metavar="NUMBER", help="5 digits, or 7 beside a main number.")]
PasswordOption = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input; a command line is seen by all.")
]
ExchangeOption = Annotated[str | None, typer.Option(metavar="EXCHANGE", help="Where it registers.")]
SrtpOption = Annotated[str | None, typer.Option(metavar="yes|no", help="Encrypted sound alone.")]
TransportOption = Annotated[str | None, typer.Option(metavar="WORD", help=" or ".join(TRANSPORTS))]
CalleridOption = Annotated[str | None, typer.Option(metavar="NUMBER", help="What it shows.")]
HostOption = Annotated[str | None, typer.Option(metavar="ADDRESS", help="Calls from there without a password.")]


@phones_app.command(epilog="Example: rating-engine phone add 40000 --owner anna --exchange pbx1")
def add(
    number: Number,
    owner: Annotated[str | None, typer.Option(metavar="USER", help="Whose line; the system's if not given.")] = None,
    exchange: ExchangeOption = None,
    callerid: CalleridOption = None,
    srtp: SrtpOption = None,
    transport: TransportOption = None,
    password_stdin: PasswordOption = False,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Make a line with a phone, on its owner's account. Without a password it gets one, which is shown."""
    with reported_errors():
        settings = SipChanges(
            callerid=words.if_given(callerid, str),
            srtp=words.if_given(srtp, partial(words.yes_or_no, field="srtp")),
            transport=words.if_given(transport, str),
        )
        password = read_password() if password_stdin else secrets.token_urlsafe(PASSWORD_BYTES)
        new = NewSipAccount(login=number, owner=owner, exchange=exchange, password=password, settings=settings)
    made = with_services(config, lambda services: services.sip_accounts.create(new))
    _print(made, as_json=json, password=None if password_stdin else password)


@phones_app.command("list", epilog="Example: rating-engine phone list --owner anna")
def list_(
    owner: Annotated[str | None, typer.Option(metavar="USER", help="Of this user alone.")] = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Lines with their phones, 1000 at most."""
    found = with_services(config, lambda use: use.sip_accounts.below() if owner is None else use.sip_accounts.of(owner))
    if json:
        print_json({"phones": [phone_json(each) for each in found]})
        return
    table = Table("number", "owner", "exchange", "callerid", "transport", "state", "phone")
    for each in found:
        table.add_row(
            each.login, each.owner, each.exchange or "", each.callerid, each.transport, _state(each), _online(each)
        )
    out.print(table)


@phones_app.command(epilog="Example: rating-engine phone show 40000 --json")
def show(number: Number, json: JsonOption = False, config: ConfigOption = None) -> None:
    """A line and its phone, without the password."""
    _print(with_services(config, lambda services: services.sip_accounts.show(number)), as_json=json)


@phones_app.command("set", epilog="Example: rating-engine phone set 40000 --srtp yes --transport tls")
def set_(
    number: Number,
    exchange: ExchangeOption = None,
    callerid: CalleridOption = None,
    srtp: SrtpOption = None,
    transport: TransportOption = None,
    reachable: Annotated[str | None, typer.Option(metavar="yes|no", help="no: it takes no calls.")] = None,
    host: HostOption = None,
    max_contacts: Annotated[int | None, typer.Option(help="Telephones that may register by it at a time.")] = None,
    trusted_cli: Annotated[str | None, typer.Option(metavar="NUMBER", help="Its owner's other number; none.")] = None,
    force_callback: Annotated[
        str | None, typer.Option(metavar="yes|no", help="yes: what it dials is refused, and called back.")
    ] = None,
    password_stdin: PasswordOption = False,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Change what is given; it counts from the next registration or call on."""
    with reported_errors():
        changes = SipChanges(
            exchange=words.if_given(exchange, str),
            callerid=words.if_given(callerid, str),
            srtp=words.if_given(srtp, partial(words.yes_or_no, field="srtp")),
            transport=words.if_given(transport, str),
            reachable=words.if_given(reachable, partial(words.yes_or_no, field="reachable")),
            host=_or_none(host),
            max_contacts=LEAVE if max_contacts is None else max_contacts,
            trusted_cli=_or_none(trusted_cli),
            force_callback=words.if_given(force_callback, partial(words.yes_or_no, field="force_callback")),
            password=read_password() if password_stdin else LEAVE,
        )
    _print(with_services(config, lambda services: services.sip_accounts.change(number, changes)), as_json=json)


@phones_app.command(epilog="Example: rating-engine phone delete 4000001")
def delete(number: Number, config: ConfigOption = None) -> None:
    """Nobody registers or calls by it any more; its calls and its number stay."""

    with_services(config, lambda services: services.sip_accounts.delete(number))
    say(f"{number} is deleted")


@phones_app.command(epilog="Example: rating-engine phone reseal")
def reseal(config: ConfigOption = None) -> None:
    """Keep every password, code, and PUK of a SIM card under the first of secret_keys: the others can go then."""
    count = with_services(config, lambda services: services.sip_accounts.reseal())
    cards = with_services(config, lambda services: services.sim_cards.reseal())
    codes = with_services(config, lambda services: services.codes.reseal())
    say(f"{count} passwords, {codes} codes and the PUKs of {cards} SIM cards are under the first key")


def phone_json(phone: SipAccount) -> dict[str, Any]:
    """As machines read it, without password and PIN."""
    return {
        "number": phone.login,
        "owner": phone.owner,
        "exchange": phone.exchange,
        "realm": phone.realm,
        "callerid": phone.callerid,
        "tariff": phone.tariff,
        "has_password": phone.has_password,
        "host": phone.host,
        "transport": phone.transport,
        "srtp": phone.srtp,
        "reachable": phone.reachable,
        "max_contacts": phone.max_contacts,
        "in_service": phone.in_service,
        **_registration(phone.state),
    }


def _registration(state: PhoneState | None) -> dict[str, Any]:
    """Null where it is not known."""
    if state is None:
        names = ("online", "address", "user_agent", "registered_phones", "registered_at", "online_changed_at")
        return dict.fromkeys(names)
    return {
        "online": state.online,
        "address": state.address,
        "user_agent": state.user_agent,
        "registered_phones": state.contacts,
        "registered_at": state.registered_at.isoformat(),
        "online_changed_at": state.changed_at.isoformat(),
    }


def _online(phone: SipAccount) -> str:
    return "" if phone.state is None else "online" if phone.state.online else "offline"


def _state(phone: SipAccount) -> str:
    return "in service" if phone.in_service else "no phone" if phone.exchange is None else "blocked"


def _or_none(text: str | None) -> str | Leave:
    return LEAVE if text is None else "" if text == "none" else text


def _print(phone: SipAccount, *, as_json: bool = False, password: str | None = None) -> None:
    fields = phone_json(phone) | ({} if password is None else {"password": password})
    if as_json:
        print_json(fields)
        return
    for name, value in fields.items():
        say((f"{name.replace('_', ' ')}: ", "bold"), "" if value is None else str(value))
