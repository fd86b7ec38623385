"""`rating-engine numbering`: how phones write numbers; and `rating-engine alias`: short numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Any

import typer
from rich.table import Table

from rating_engine.cli import words
from rating_engine.cli.common import ConfigOption, JsonOption, out, print_json, reported_errors, say, with_services
from rating_engine.cli.lists import AfterOption, LimitOption, listed, next_json, say_next
from rating_engine.domain.change import LEAVE
from rating_engine.domain.numbering import Alias, PlanChanges
from rating_engine.domain.ready_plans import READY_PLANS
from rating_engine.rating.numbering import NumberingPlan
from rating_engine.services.catalogue import UseCases

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
Length = Annotated[
    int | None,
    typer.Option(
        "--national-length", metavar="DIGITS", help="Digits of a national number dialled without a prefix; 0: none is."
    ),
]
Technical = Annotated[
    list[str] | None,
    typer.Option("--technical-prefix", metavar="PREFIX", help="Dialled first and taken off; may be repeated."),
]
AliasArgument = Annotated[str, typer.Argument(metavar="ALIAS", help="As dialled, whole: digits, *, # and +.")]
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
    length: Length = None,
    config: ConfigOption = None,
) -> None:
    """Add a plan; rating-engine account set LOGIN --numbering-plan gives it to an account."""
    with reported_errors():
        settings = plan_changes(international, national, country, technical, length)
    with_services(config, lambda services: services.numbering.add(plan, settings))
    say(f"numbering plan {plan} added")


@numbering_app.command(epilog="Example: rating-engine numbering ready nanp germany")
def ready(
    plans: Annotated[
        list[str] | None, typer.Argument(metavar="[PLAN]...", help="Those to add; none: list all.")
    ] = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Add ready plans of usual countries, or list which there are."""
    if plans:

        async def work(services: UseCases) -> None:
            for name in plans:
                await services.numbering.add_ready(name)
                say(f"numbering plan {name} added")

        with_services(config, work)
    else:
        _show(READY_PLANS, json=json)


@numbering_app.command("set", epilog="Example: rating-engine numbering set germany --international-prefix 00")
def set_(
    plan: Name,
    international: International = None,
    national: National = None,
    country: Country = None,
    technical: Technical = None,
    length: Length = None,
    config: ConfigOption = None,
) -> None:
    """Change a plan, for the next call everywhere; technical prefixes that are given replace all it has."""
    with reported_errors():
        settings = plan_changes(international, national, country, technical, length)
    with_services(config, lambda services: services.numbering.change(plan, settings))
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
    with_services(config, lambda services: services.numbering.rewrite(plan, prefix, replacement))
    say(f"{plan}: {prefix} is rewritten no more" if forget else f"{plan}: {prefix} becomes {replacement or 'nothing'}")


@numbering_app.command("list", epilog="Example: rating-engine numbering list")
def list_(
    limit: LimitOption = None, after: AfterOption = None, json: JsonOption = False, config: ConfigOption = None
) -> None:
    """Every plan with its rewrites."""
    page = with_services(config, lambda services: listed(services.numbering.page, limit, after))
    _show(page.items, json=json, further=next_json(page))
    if not json:
        say_next(page)


def _show(plans: Iterable[NumberingPlan], *, json: bool, further: Mapping[str, Any] = MappingProxyType({})) -> None:
    if json:
        told = [
            {
                "plan": plan.name,
                "international_prefix": plan.international_prefix,
                "national_prefix": plan.national_prefix,
                "country_code": plan.country_code,
                "technical_prefixes": list(plan.technical_prefixes),
                "national_length": plan.national_length,
                "rewrites": dict(sorted(plan.rewrites.items())),
            }
            for plan in plans
        ]
        print_json({"plans": told, **further})
        return
    table = Table("plan", "international", "national", "country code", "technical", "length", "rewrites")
    for plan in plans:
        table.add_row(
            plan.name,
            plan.international_prefix,
            plan.national_prefix,
            plan.country_code,
            ", ".join(plan.technical_prefixes),
            str(plan.national_length or ""),
            ", ".join(f"{prefix} > {replacement}" for prefix, replacement in sorted(plan.rewrites.items())),
        )
    out.print(table)


@numbering_app.command(epilog="Example: rating-engine numbering remove germany")
def remove(plan: Name, config: ConfigOption = None) -> None:
    """Delete a plan that no account has."""
    with_services(config, lambda services: services.numbering.remove(plan))
    say(f"numbering plan {plan} removed")


@aliases_app.command("add", epilog="Example: rating-engine alias add *7 +4930123456 --login 1001")
def add_alias(
    alias: AliasArgument,
    destination: Annotated[str, typer.Argument(metavar="DESTINATION", help="Read as if it had been dialled.")],
    login: Owner = None,
    config: ConfigOption = None,
) -> None:
    """What a short number stands for; a login's own counts before everybody's."""
    short = Alias(login, alias, destination)
    with_services(config, lambda services: services.numbering.set_alias(short))
    say(f"{alias} stands for {destination}, for {login or 'everybody'}")


@aliases_app.command("list", epilog="Example: rating-engine alias list --login 1001")
def list_aliases(
    login: Owner = None,
    limit: LimitOption = None,
    after: AfterOption = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """The short numbers of a login, or all."""
    page = with_services(
        config, lambda services: listed(lambda cursor: services.numbering.aliases(cursor, login), limit, after)
    )
    if json:
        aliases = [{"login": each.login, "alias": each.alias, "destination": each.destination} for each in page.items]
        print_json({"aliases": aliases, **next_json(page)})
        return
    table = Table("login", "alias", "stands for")
    for each in page.items:
        table.add_row("everybody" if each.login is None else each.login, each.alias, each.destination)
    out.print(table)
    say_next(page)


@aliases_app.command("remove", epilog="Example: rating-engine alias remove *7 --login 1001")
def remove_alias(alias: AliasArgument, login: Owner = None, config: ConfigOption = None) -> None:
    """Forget a short number."""
    with_services(config, lambda services: services.numbering.remove_alias(alias, login))
    say(f"alias {alias} removed")


def plan_changes(
    international: str | None,
    national: str | None,
    country: str | None,
    technical: Sequence[str] | None,
    length: int | None = None,
) -> PlanChanges:
    """What the options of `numbering set` mean; None: not given. Raises InvalidRequest."""
    return PlanChanges(
        international_prefix=words.if_given(international, str),
        national_prefix=words.if_given(national, str),
        country_code=words.if_given(country, str),
        technical_prefixes=LEAVE if technical is None else tuple(technical),
        national_length=LEAVE if length is None else length,
    )
