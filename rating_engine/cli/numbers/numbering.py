"""`rating-engine numbering`: how phones write numbers; and `rating-engine alias`: short numbers."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from rating_engine.cli.common import ConfigOption, JsonOption, out, print_json, say, with_database
from rating_engine.services.numbers.numbering import Numbering

numbering_app = typer.Typer(no_args_is_help=True, help="Numbering plans: how the phones of an account write numbers.")
aliases_app = typer.Typer(no_args_is_help=True, help="Short numbers, of one login or for everybody.")

Name = Annotated[str, typer.Argument(metavar="PLAN")]
International = Annotated[
    str | None, typer.Option("--international-prefix", metavar="DIGITS", help="Before a country code, as 00 or 011.")
]
National = Annotated[
    str | None, typer.Option("--national-prefix", metavar="DIGITS", help="Before a number of the country, as 0.")
]
Country = Annotated[
    str | None, typer.Option("--country-code", metavar="DIGITS", help="What the national prefix becomes.")
]
Technical = Annotated[
    list[str] | None,
    typer.Option("--technical-prefix", metavar="PREFIX", help="Dialled first and taken off; may be repeated."),
]
Alias = Annotated[str, typer.Argument(metavar="ALIAS", help="As dialled, whole: digits, *, # and +.")]
Owner = Annotated[str | None, typer.Option("--login", help="Whose; everybody's if not given.")]


@numbering_app.command(
    epilog="Example: rating-engine numbering add germany --national-prefix 0 --country-code 49 --technical-prefix 99#"
)
def add(
    plan: Name,
    international: International = None,
    national: National = None,
    country: Country = None,
    technical: Technical = None,
    config: ConfigOption = None,
) -> None:
    """Add a plan; rating-engine account set LOGIN --numbering-plan gives it to an account."""
    given = _given(international, national, country)
    with_database(config, lambda database: Numbering(database).add(plan, given, technical))
    say(f"numbering plan {plan} added")


@numbering_app.command("set", epilog="Example: rating-engine numbering set germany --international-prefix 00")
def set_(
    plan: Name,
    international: International = None,
    national: National = None,
    country: Country = None,
    technical: Technical = None,
    config: ConfigOption = None,
) -> None:
    """Change a plan, for the next call everywhere; technical prefixes that are given replace all it has."""
    given = _given(international, national, country)
    with_database(config, lambda database: Numbering(database).set(plan, given, technical))
    say(f"numbering plan {plan} set")


@numbering_app.command(epilog="Example: rating-engine numbering rewrite germany 110 +49110")
def rewrite(
    plan: Name,
    prefix: Annotated[str, typer.Argument(metavar="PREFIX", help="What is dialled begins with: digits, *, # and +.")],
    replacement: Annotated[
        str | None, typer.Argument(metavar="REPLACEMENT", help="Digits, with + for an international number.")
    ] = None,
    forget: Annotated[bool, typer.Option("--forget", help="Rewrite this prefix no more.")] = False,
    config: ConfigOption = None,
) -> None:
    """Replace the leading digits of what is dialled; of several that fit the longest counts."""
    if forget is (replacement is not None):
        raise typer.BadParameter("give either REPLACEMENT or --forget", param_hint="REPLACEMENT")
    with_database(config, lambda database: Numbering(database).rewrite(plan, prefix, replacement))
    say(f"{plan}: {prefix} is rewritten no more" if forget else f"{plan}: {prefix} becomes {replacement or 'nothing'}")


@numbering_app.command("list", epilog="Example: rating-engine numbering list")
def list_(json: JsonOption = False, config: ConfigOption = None) -> None:
    """Every plan with its rewrites."""
    found = with_database(config, lambda database: Numbering(database).list())
    if json:
        plans = [
            {
                "plan": plan.name,
                "international_prefix": plan.international_prefix,
                "national_prefix": plan.national_prefix,
                "country_code": plan.country_code,
                "technical_prefixes": list(plan.technical_prefixes),
                "rewrites": dict(sorted(plan.rewrites.items())),
            }
            for plan in found.values()
        ]
        print_json({"plans": plans})
        return
    table = Table("plan", "international", "national", "country code", "technical", "rewrites")
    for plan in found.values():
        table.add_row(
            escape(plan.name),
            plan.international_prefix,
            plan.national_prefix,
            plan.country_code,
            ", ".join(plan.technical_prefixes),
            ", ".join(f"{prefix} > {replacement}" for prefix, replacement in sorted(plan.rewrites.items())),
        )
    out.print(table)


@numbering_app.command(epilog="Example: rating-engine numbering remove germany")
def remove(plan: Name, config: ConfigOption = None) -> None:
    """Delete a plan that no account has."""
    with_database(config, lambda database: Numbering(database).remove(plan))
    say(f"numbering plan {plan} removed")


@aliases_app.command("add", epilog="Example: rating-engine alias add *7 +4930123456 --login 1001")
def add_alias(
    alias: Alias,
    destination: Annotated[str, typer.Argument(metavar="DESTINATION", help="Read as if it had been dialled.")],
    login: Owner = None,
    config: ConfigOption = None,
) -> None:
    """What a short number stands for; a login's own counts before everybody's."""
    with_database(config, lambda database: Numbering(database).set_alias(alias, destination, login))
    say(f"{alias} stands for {destination}, for {login or 'everybody'}")


@aliases_app.command("list", epilog="Example: rating-engine alias list --login 1001")
def list_aliases(login: Owner = None, json: JsonOption = False, config: ConfigOption = None) -> None:
    """The short numbers of a login, or all."""
    found = with_database(config, lambda database: Numbering(database).aliases(login))
    if json:
        print_json(
            {"aliases": [{"login": whose, "alias": alias, "destination": number} for whose, alias, number in found]}
        )
        return
    table = Table("login", "alias", "stands for")
    for whose, alias, number in found:
        table.add_row("everybody" if whose is None else escape(whose), alias, number)
    out.print(table)


@aliases_app.command("remove", epilog="Example: rating-engine alias remove *7 --login 1001")
def remove_alias(alias: Alias, login: Owner = None, config: ConfigOption = None) -> None:
    """Forget a short number."""
    with_database(config, lambda database: Numbering(database).remove_alias(alias, login))
    say(f"alias {alias} removed")


def _given(international: str | None, national: str | None, country: str | None) -> dict[str, str]:
    given = {"international_prefix": international, "national_prefix": national, "country_code": country}
    return {field: text for field, text in given.items() if text is not None}
