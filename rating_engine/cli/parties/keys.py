"""`rating-engine key`: what programs ask with: made, shown once, listed, changed, revoked."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

import typer
from rich.table import Table

from rating_engine.cli import words
from rating_engine.cli.common import ConfigOption, JsonOption, out, print_json, reported_errors, say, with_services
from rating_engine.cli.lists import AfterOption, LimitOption, listed, next_json, say_next
from rating_engine.domain.api_key import ApiKey, AuthBy, KeyChanges, KeyKind, NewKey
from rating_engine.domain.change import LEAVE
from rating_engine.domain.errors import InvalidRequest
from rating_engine.domain.party import Level

keys_app = typer.Typer(no_args_is_help=True, help="API keys: what programs prove themselves with.")

Name = Annotated[str, typer.Argument(metavar="KEY", help="Its name.")]
SourcesOption = Annotated[
    list[str] | None, typer.Option("--from", metavar="ADDRESS", help="192.0.2.7, 192.0.2.0/24, 192.0.2.*; repeat it.")
]
MethodsOption = Annotated[list[str] | None, typer.Option("--method", metavar="NAME", help="May be repeated.")]
ScopesOption = Annotated[list[str] | None, typer.Option("--scope", metavar="SCOPE", help="accounts:read; repeat it.")]
RateLimitOption = Annotated[
    str | None,
    typer.Option("--rate-limit", metavar="N|usual", help="Requests a minute; 0: any number, usual: by the settings."),
]
USUAL = "usual"  # takes a figure of its own away
ANY = "any"  # takes a list away


@keys_app.command(epilog="Example: rating-engine key add --name pbx1 --server --level 50 --from 192.0.2.7")
def add(
    name: Annotated[str, typer.Option(help="Of the key, for people and the audit log.")],
    server: Annotated[bool, typer.Option("--server", help="Between two machines: names whom it asks for.")] = False,
    level: Annotated[int | None, typer.Option(help="Of a server key: 10 to 50, 90 or 95.")] = None,
    owner: Annotated[str | None, typer.Option(metavar="USER", help="Whose key; the system's if not given.")] = None,
    user: Annotated[str | None, typer.Option(metavar="USER", help="Who asks where a request names nobody.")] = None,
    auth_by: Annotated[str, typer.Option(metavar="WORD", help=", ".join(AuthBy))] = AuthBy.USERNAME.value,
    sources: SourcesOption = None,
    methods: MethodsOption = None,
    scopes: ScopesOption = None,
    secure_only: Annotated[bool, typer.Option("--secure-only", help="Over encrypted connections alone.")] = False,
    rate_limit: RateLimitOption = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Make a key. Its secret is shown this once: what is kept cannot be turned back."""
    with reported_errors():
        new = NewKey(
            name=name,
            kind=KeyKind.SERVER if server else KeyKind.CLIENT,
            level=Level.ANYBODY if level is None else level_of(level),
            auth_by=words.choice(AuthBy, auth_by, "auth_by"),
            owner=owner,
            default_user=user,
            sources=tuple(sources or ()),
            methods=tuple(methods or ()),
            scopes=tuple(scopes or ()),
            secure_only=secure_only,
            rate_limit=None if rate_limit is None else _rate_limit(rate_limit),
        )
    made = with_services(config, lambda services: services.keys.add(new))
    if json:
        print_json({**key_json(made.key), "secret": made.secret})
        return
    _print(made.key)
    say(("secret: ", "bold"), made.secret)
    say("keep it: it is not shown again")


@keys_app.command("list", epilog="Example: rating-engine key list --revoked")
def list_(
    revoked: Annotated[bool, typer.Option("--revoked", help="Revoked ones too.")] = False,
    limit: LimitOption = None,
    after: AfterOption = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Keys, the oldest first, each by the first characters of its secret."""
    page = with_services(
        config,
        lambda services: listed(lambda cursor: services.keys.page(cursor, revoked=revoked), limit, after),
    )
    if json:
        print_json({"keys": [key_json(key) for key in page.items], **next_json(page)})
        return
    table = Table("key", "secret", "kind", "level", "owner", "asks for", "from", "methods", "state")
    for key in page.items:
        table.add_row(
            key.name, f"{key.shown}…", key.kind, str(int(key.level)) if key.level else "", key.owner,
            key.default_user or "", ", ".join(map(str, key.sources)), ", ".join(key.methods), _state(key),
        )  # fmt: skip
    out.print(table)
    say_next(page)


@keys_app.command(epilog="Example: rating-engine key show pbx1 --json")
def show(name: Name, json: JsonOption = False, config: ConfigOption = None) -> None:
    """A key, without its secret."""
    _print(with_services(config, lambda services: services.keys.show(name)), as_json=json)


@keys_app.command("set", epilog="Example: rating-engine key set pbx1 --from 192.0.2.0/24 --enabled no")
def set_(
    name: Name,
    level: Annotated[int | None, typer.Option(help="Of a server key.")] = None,
    user: Annotated[str | None, typer.Option(metavar="USER|none", help="Who asks where nobody is named.")] = None,
    auth_by: Annotated[str | None, typer.Option(metavar="WORD", help=", ".join(AuthBy))] = None,
    sources: SourcesOption = None,
    methods: MethodsOption = None,
    scopes: ScopesOption = None,
    secure_only: Annotated[str | None, typer.Option(metavar="yes|no", help="Encrypted connections alone.")] = None,
    rate_limit: RateLimitOption = None,
    enabled: Annotated[str | None, typer.Option(metavar="yes|no", help="no: it is refused until it is yes.")] = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Change what is given; lists are replaced whole, and `any` takes one away."""
    with reported_errors():
        changes = KeyChanges(
            level=LEAVE if level is None else level_of(level),
            default_user=words.unless_none(user, str),
            auth_by=words.if_given(auth_by, partial(words.choice, AuthBy, field="auth_by")),
            sources=LEAVE if sources is None else _entries(sources),
            methods=LEAVE if methods is None else _entries(methods),
            scopes=LEAVE if scopes is None else _entries(scopes),
            secure_only=words.if_given(secure_only, partial(words.yes_or_no, field="secure_only")),
            rate_limit=words.if_given(rate_limit, _rate_limit),
            enabled=words.if_given(enabled, partial(words.yes_or_no, field="enabled")),
        )
    _print(with_services(config, lambda services: services.keys.change(name, changes)), as_json=json)


@keys_app.command(epilog="Example: rating-engine key revoke pbx1")
def revoke(name: Name, json: JsonOption = False, config: ConfigOption = None) -> None:
    """Refuse a key from the next request on, for good; its name is not used again."""
    _print(with_services(config, lambda services: services.keys.revoke(name)), as_json=json)


def level_of(number: int) -> Level:
    """A level of keys. Raises InvalidRequest."""
    try:
        return Level(number)
    except ValueError:
        levels = ", ".join(str(int(level)) for level in Level if Level.ANYBODY < level <= Level.SYSTEM_SERVER)
        raise InvalidRequest("level", f"is none of {levels}") from None


def key_json(key: ApiKey) -> dict[str, Any]:
    """As machines read it."""
    return {
        "key": key.name,
        "shown": key.shown,
        "kind": key.kind.value,
        "level": int(key.level),
        "auth_by": key.auth_by.value,
        "owner": key.owner,
        "user": key.default_user,
        "from": [str(source) for source in key.sources],
        "methods": list(key.methods),
        "scopes": list(key.scopes),
        "secure_only": key.secure_only,
        "rate_limit": key.rate_limit,
        "enabled": key.enabled,
        "created_at": key.created_at.isoformat(),
        "revoked_at": None if key.revoked_at is None else key.revoked_at.isoformat(),
    }


def _rate_limit(given: str) -> int | None:
    return None if given == USUAL else words.whole(given, "rate_limit")


def _entries(given: list[str]) -> tuple[str, ...]:
    return () if given == [ANY] else tuple(given)


def _state(key: ApiKey) -> str:
    return "revoked" if key.revoked_at is not None else "on" if key.enabled else "off"


def _print(key: ApiKey, *, as_json: bool = False) -> None:
    fields = key_json(key)
    if as_json:
        print_json(fields)
        return
    for name, value in fields.items():
        text = ", ".join(value) or ANY if isinstance(value, list) else "" if value is None else str(value)
        say((f"{name.replace('_', ' ')}: ", "bold"), text)
