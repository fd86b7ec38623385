"""`rating-engine package`: free minutes and volume prices; and `rating-engine direction-group`."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Any

import typer
from rich.table import Table

from rating_engine.cli import words
from rating_engine.cli.common import ConfigOption, JsonOption, out, print_json, reported_errors, say, with_services
from rating_engine.cli.lists import AfterOption, LimitOption, listed, next_json, say_next
from rating_engine.cli.tariffs.tariff_words import counted, minutes_words, package_json, print_packages, times
from rating_engine.domain.errors import InvalidRequest
from rating_engine.domain.tariff import PackageKind
from rating_engine.domain.tariff import Period as PackagePeriod
from rating_engine.domain.tariff_card import CarryOver, ListedPackage, PackageUsage

packages_app = typer.Typer(no_args_is_help=True, help="Packages: free minutes and volume prices of tariffs.")
groups_app = typer.Typer(no_args_is_help=True, help="Groups of directions, for packages.")

Tariff = Annotated[str, typer.Argument(metavar="TARIFF", help="A tariff or an option.")]
Name = Annotated[str, typer.Argument(metavar="NAME")]
Group = Annotated[str, typer.Option(help="Of `rating-engine direction-group`; every direction if not given.")]
Period = Annotated[str, typer.Option(metavar="day|week|month", help="By the tariff's calendar; weeks from Monday.")]
Position = Annotated[
    int, typer.Option(help="Of a tariff's packages the lowest is used up first; options' come before.")
]


@packages_app.command(
    epilog="Example: rating-engine package add retail hundred --minutes 100 --group landlines --carry-over next"
)
def add(
    tariff: Tariff,
    name: Name,
    minutes: Annotated[int, typer.Option(help="Free ones in a period, for each login; billed seconds count.")],
    group: Group = "",
    period: Period = "month",
    carry_over: Annotated[
        str,
        typer.Option(metavar="none|next|all", help="What a period leaves: lost, for one more period, or for ever."),
    ] = "none",
    waives_fees: Annotated[
        bool, typer.Option("--waives-fees", help="A call covered whole has no connect fee and no surcharge.")
    ] = False,
    position: Position = 0,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Add free minutes to a tariff, for every login that has it."""
    with reported_errors():
        wanted = free_package(
            tariff, name, minutes=minutes, group=group, period=period, carry_over=carry_over, waives_fees=waives_fees,
            position=position,
        )  # fmt: skip
    package = with_services(config, lambda services: services.packages.add(wanted))
    print_json(package_json(package)) if json else print_packages([package])


@packages_app.command(
    epilog="Example: rating-engine package volume retail loyal --step 1000:0.9 --step 5000:0.8 --period month"
)
def volume(
    tariff: Tariff,
    name: Name,
    step: Annotated[
        list[str] | None,
        typer.Option(metavar="MINUTES:FACTOR", help="After so many minutes prices are so many times; may be repeated."),
    ] = None,
    group: Group = "",
    period: Period = "month",
    position: Position = 0,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Add a price that falls with use: a call that starts after so many minutes of the period is cheaper."""
    with reported_errors():
        wanted = volume_package(tariff, name, steps=step or (), group=group, period=period, position=position)
    package = with_services(config, lambda services: services.packages.add(wanted))
    print_json(package_json(package)) if json else print_packages([package])


@packages_app.command("list", epilog="Example: rating-engine package list retail")
def list_(
    tariff: Annotated[str | None, typer.Argument(metavar="TARIFF", help="Every one if not given.")] = None,
    limit: LimitOption = None,
    after: AfterOption = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """The packages of a tariff or of all, the first used first."""
    page = with_services(
        config, lambda services: listed(lambda cursor: services.packages.page(cursor, tariff), limit, after)
    )
    if json:
        print_json({"packages": [package_json(package) for package in page.items], **next_json(page)})
        return
    print_packages(page.items)
    say_next(page)


@packages_app.command(epilog="Example: rating-engine package remove retail hundred")
def remove(tariff: Tariff, name: Name, config: ConfigOption = None) -> None:
    """Take a package from a tariff, for the next call everywhere; calls that run keep what they hold of it."""
    with_services(config, lambda services: services.packages.remove(tariff, name))
    say(f"package {name} removed from {tariff}")


@packages_app.command(epilog="Example: rating-engine package usage 1001")
def usage(
    login: Annotated[str, typer.Argument(metavar="LOGIN")], json: JsonOption = False, config: ConfigOption = None
) -> None:
    """What a login has used of its packages in the present periods, and what is left."""
    found = with_services(config, lambda services: services.packages.usage(login))
    if json:
        print_json({"login": login, "packages": [_usage_json(one) for one in found]})
        return
    if not found:
        say(f"{login} has no packages: neither its tariff nor its options have any")
        return
    table = Table("package", "until", "gives", "carried", "used", "held", "left", title=login)
    table.columns[1].no_wrap = True
    for column in table.columns[2:]:
        column.justify = "right"
    for one in found:
        is_volume = one.allowance is None
        table.add_row(
            f"{one.package.name} of {one.package.tariff}",
            one.ends.isoformat(),
            times(one.multiplier) if one.allowance is None else minutes_words(one.allowance),
            "" if is_volume else minutes_words(one.carried),
            minutes_words(one.used),
            "" if is_volume else minutes_words(one.held),
            "" if one.left is None else minutes_words(one.left),
        )
    out.print(table)


@groups_app.command("set", epilog="Example: rating-engine direction-group set landlines GermanyFixed FranceFixed")
def set_group(
    name: Name,
    directions: Annotated[list[str], typer.Argument(metavar="DIRECTION...", help="Codes, as decks have them.")],
    config: ConfigOption = None,
) -> None:
    """The directions of a group from now on; created if need be."""
    group = with_services(config, lambda services: services.packages.set_group(name, directions))
    say(f"direction group {name} has {counted(len(group.directions), 'direction')}")


@groups_app.command("list", epilog="Example: rating-engine direction-group list")
def list_groups(
    limit: LimitOption = None, after: AfterOption = None, json: JsonOption = False, config: ConfigOption = None
) -> None:
    """Every group with its directions."""
    page = with_services(config, lambda services: listed(services.packages.groups, limit, after))
    if json:
        print_json({"groups": {group.name: list(group.directions) for group in page.items}, **next_json(page)})
        return
    table = Table("group", "directions")
    for group in page.items:
        table.add_row(group.name, ", ".join(group.directions))
    out.print(table)
    say_next(page)


@groups_app.command("remove", epilog="Example: rating-engine direction-group remove landlines")
def remove_group(name: Name, config: ConfigOption = None) -> None:
    """Forget a group that no package is for."""
    with_services(config, lambda services: services.packages.remove_group(name))
    say(f"direction group {name} removed")


def free_package(
    tariff: str, name: str, *, minutes: int, group: str = "", period: str = "month", carry_over: str = "none",
    waives_fees: bool = False, position: int = 0,
) -> ListedPackage:  # fmt: skip
    """What `package add` means. Raises InvalidRequest."""
    return ListedPackage(
        tariff=tariff,
        name=name,
        kind=PackageKind.FREE,
        group=group,
        seconds=minutes * 60,
        period=words.choice(PackagePeriod, period, "period"),
        carry_over=words.choice(CarryOver, carry_over, "carry_over"),
        waives_fees=waives_fees,
        position=position,
    )


def volume_package(
    tariff: str, name: str, *, steps: Sequence[str], group: str = "", period: str = "month", position: int = 0
) -> ListedPackage:
    """What `package volume` means. Raises InvalidRequest."""
    return ListedPackage(
        tariff=tariff,
        name=name,
        kind=PackageKind.VOLUME,
        group=group,
        seconds=None,
        period=words.choice(PackagePeriod, period, "period"),
        carry_over=CarryOver.NONE,
        waives_fees=False,
        position=position,
        steps=tuple(sorted(map(_step, steps))),
    )


def _step(text: str) -> tuple[int, Decimal]:
    """(after so many seconds, factor) of text like 1000:0.9. Raises InvalidRequest."""
    minutes, colon, factor = text.partition(":")
    if not colon:
        raise InvalidRequest("step", f"{text[:64]!r} is not MINUTES:FACTOR, as 1000:0.9")
    return 60 * words.whole(minutes, "step"), words.amount(factor, "step")


def _usage_json(one: PackageUsage) -> dict[str, Any]:
    return {
        **package_json(one.package),
        "begins": one.begins.isoformat(),
        "ends": one.ends.isoformat(),
        "allowance": one.allowance,
        "carried": one.carried,
        "used": one.used,
        "held": one.held,
        "left": one.left,
        "factor": str(one.multiplier.normalize()) if one.allowance is None else "1",
    }
