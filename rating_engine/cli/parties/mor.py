"""`rating-engine mor`: what requests of the MOR XML API are signed with, and for whom it is on."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from rating_engine.cli import words
from rating_engine.cli.common import ConfigOption, JsonOption, out, print_json, reported_errors, say, with_services
from rating_engine.cli.phones.password import read_password
from rating_engine.domain.change import LEAVE
from rating_engine.domain.hash_secret import SECRET_GOOD, HashSecret, HashSecretChanges
from rating_engine.domain.party import SYSTEM

mor_app = typer.Typer(no_args_is_help=True, help="The MOR XML API: secrets that its requests are signed with.")

User = Annotated[
    str | None, typer.Argument(metavar="USER", help="A reseller; the system's (admins, accountants) if not given.")
]
ANY = "any"  # takes a list away


@mor_app.command(epilog="Example: rating-engine mor secret reseller1")
def secret(
    user: User = None,
    stdin: Annotated[
        bool, typer.Option("--secret-stdin", help="Read its text from standard input, such as the one of before.")
    ] = False,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Make a secret, in place of the one before, and switch the API on for whom it is. It is shown this once."""
    with reported_errors():
        text = read_password() if stdin else None
    made = with_services(config, lambda services: services.hash_secrets.put(SYSTEM if user is None else user, text))
    if json:
        print_json({**_json(made.kept), "secret": made.secret})
        return
    _print([made.kept])
    say(("secret: ", "bold"), made.secret)
    say("keep it: it is not shown again")
    if made.kept.is_short:
        say(f"it is short: who sees one request guesses it; {SECRET_GOOD} characters are not guessed")


@mor_app.command("set", epilog="Example: rating-engine mor set reseller1 --enabled no")
def set_(
    user: User = None,
    enabled: Annotated[str | None, typer.Option(metavar="yes|no", help="no: nobody signs with it.")] = None,
    sources: Annotated[
        list[str] | None, typer.Option("--from", metavar="ADDRESS", help="192.0.2.7, 192.0.2.0/24 or any; repeat it.")
    ] = None,
    blocked: Annotated[
        list[str] | None, typer.Option("--block", metavar="FUNCTION", help="Not to be asked, or any; repeat it.")
    ] = None,
    hide_usernames: Annotated[
        str | None, typer.Option(metavar="yes|no", help="Users are not shown the names by which their phones register.")
    ] = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Switch it on or off, bind it to addresses, keep it from functions. The system's counts for everybody."""
    with reported_errors():
        changes = HashSecretChanges(
            enabled=LEAVE if enabled is None else words.yes_or_no(enabled, "enabled"),
            sources=LEAVE if sources is None else _list(sources),
            blocked=LEAVE if blocked is None else _list(blocked),
            hide_usernames=LEAVE if hide_usernames is None else words.yes_or_no(hide_usernames, "hide_usernames"),
        )
    kept = with_services(
        config, lambda services: services.hash_secrets.change(SYSTEM if user is None else user, changes)
    )
    if json:
        print_json(_json(kept))
        return
    _print([kept])


@mor_app.command("list", epilog="Example: rating-engine mor list --json")
def list_(json: JsonOption = False, config: ConfigOption = None) -> None:
    """For whom the API is on, from where and without what."""
    found = with_services(config, lambda services: services.hash_secrets.page())
    if json:
        print_json({"secrets": [_json(each) for each in found]})
        return
    _print(found)


def _print(secrets: list[HashSecret]) -> None:
    table = Table("user", "on", "from", "blocked", "short", "changed")
    for each in secrets:
        table.add_row(
            each.owner, "yes" if each.enabled else "no", ", ".join(map(str, each.sources)) or ANY,
            ", ".join(each.blocked), "yes" if each.is_short else "", f"{each.changed_at:%Y-%m-%d %H:%M}",
        )  # fmt: skip
    out.print(table)


def _json(secret: HashSecret) -> dict[str, object]:
    return {
        "user": secret.owner,
        "enabled": secret.enabled,
        "from": [str(source) for source in secret.sources],
        "blocked": list(secret.blocked),
        "is_short": secret.is_short,
        "hide_usernames": secret.hide_usernames,
        "changed_at": secret.changed_at.isoformat(),
    }


def _list(values: list[str]) -> tuple[str, ...]:
    return () if values == [ANY] else tuple(values)
