"""`rating-engine permission`: groups of what accountants and resellers may manage, and who is in them."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from rating_engine.cli import words
from rating_engine.cli.common import ConfigOption, JsonOption, out, print_json, reported_errors, say, with_services
from rating_engine.domain.party import PartyKind
from rating_engine.domain.permission import Permission
from rating_engine.domain.permission_group import KINDS, NewPermissionGroup, PermissionGroup

permissions_app = typer.Typer(no_args_is_help=True, help="What accountants and resellers may manage, by groups.")

Name = Annotated[str, typer.Argument(metavar="GROUP", help="Its name.")]
MayOption = Annotated[
    list[str] | None, typer.Option("--may", metavar="WORD", help=f"{', '.join(Permission)}; repeat it.")
]
NONE = "none"


@permissions_app.command(epilog="Example: rating-engine permission add cards --kind reseller --may calling_cards")
def add(
    name: Name,
    kind: Annotated[str, typer.Option(metavar="WORD", help=f"Of whom: {', '.join(KINDS)}.")] = KINDS[0].value,
    may: MayOption = None,
    description: Annotated[str, typer.Option(help="For people.")] = "",
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Make a group."""
    with reported_errors():
        new = NewPermissionGroup(name, words.choice(PartyKind, kind, "kind"), _permissions(may), description)
    _print(with_services(config, lambda services: services.permission_groups.add(new)), as_json=json)


@permissions_app.command("set", epilog="Example: rating-engine permission set cards --may calling_cards --may devices")
def set_(name: Name, may: MayOption = None, json: JsonOption = False, config: ConfigOption = None) -> None:
    """What its members may manage, in place of what they might before; nothing where nothing is named."""
    with reported_errors():
        wanted = _permissions(may)
    _print(with_services(config, lambda services: services.permission_groups.set(name, wanted)), as_json=json)


@permissions_app.command(epilog="Example: rating-engine permission give reseller1 cards")
def give(
    user: Annotated[str, typer.Argument(metavar="USER", help="An accountant or a reseller.")],
    name: Annotated[str, typer.Argument(metavar="GROUP|none", help="none: out of its group.")],
    config: ConfigOption = None,
) -> None:
    """Put a user into a group; it is in one at the most."""
    group = None if name == NONE else name
    with_services(config, lambda services: services.permission_groups.give(user, group))
    say(f"{user} is in no group" if group is None else f"{user} is in {name}")


@permissions_app.command(epilog="Example: rating-engine permission remove cards")
def remove(name: Name, config: ConfigOption = None) -> None:
    """Take a group away; its members manage nothing beyond the usual then."""
    with_services(config, lambda services: services.permission_groups.remove(name))
    say(f"{name} is gone")


@permissions_app.command("list", epilog="Example: rating-engine permission list")
def list_(json: JsonOption = False, config: ConfigOption = None) -> None:
    """All groups."""
    groups = with_services(config, lambda services: services.permission_groups.page())
    if json:
        print_json({"groups": [_json(group) for group in groups]})
        return
    _table(groups)


def _permissions(given: list[str] | None) -> frozenset[Permission]:
    return frozenset(words.choice(Permission, word, "may") for word in given or ())


def _print(group: PermissionGroup, *, as_json: bool) -> None:
    if as_json:
        print_json(_json(group))
    else:
        _table([group])


def _table(groups: list[PermissionGroup]) -> None:
    table = Table("group", "of", "may manage", "description")
    for group in groups:
        table.add_row(group.name, group.kind, ", ".join(sorted(group.permissions)), group.description)
    out.print(table)


def _json(group: PermissionGroup) -> dict[str, object]:
    return {
        "group": group.name,
        "id": group.group_id,
        "kind": group.kind,
        "may": sorted(group.permissions),
        "description": group.description,
    }
