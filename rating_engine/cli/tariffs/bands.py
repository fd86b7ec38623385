"""`rating-engine tariff band`, `bands` and `unband`: time of day; and `rating-engine holidays`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from rating_engine.cli import words
from rating_engine.cli.common import ConfigOption, JsonOption, out, print_json, reported_errors, say, with_services
from rating_engine.cli.lists import AfterOption, LimitOption, listed, next_json, say_next
from rating_engine.cli.tariffs.tariff_words import print_windows, windows_json
from rating_engine.cli.tariffs.tariffs import Name
from rating_engine.domain.tariff_card import Holiday
from rating_engine.rating.schedule import Window

holidays_app = typer.Typer(no_args_is_help=True, help="Calendars of holidays, for the bands of tariffs.")

Calendar = Annotated[str, typer.Argument(metavar="CALENDAR", help="Its name, as tariff set --holidays takes it.")]
Day = Annotated[str, typer.Argument(metavar="DATE", help="As 2026-12-25.")]


def band(
    name: Name,
    band: Annotated[str, typer.Option(help="As in the band column of decks: peak.")],
    days: Annotated[str, typer.Option(help="mon-fri, sat,sun, or holiday: on which the other days don't count.")],
    starts: Annotated[str, typer.Option("--from", metavar="HH:MM", help="Included; the tariff's time zone.")],
    ends: Annotated[str, typer.Option("--to", metavar="HH:MM", help="Not included; 24:00 is the end of the day.")],
    position: Annotated[
        int | None, typer.Option(help="Where it is tried, 1 first; after all others if not given.")
    ] = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Add a window [from, to) of a time-of-day band; one that ends at or before its start goes on into the next day."""
    with reported_errors():
        window = Window(band, words.days(days), words.clock(starts, "starts"), words.clock(ends, "ends"))
    windows = with_services(config, lambda services: services.bands.add(name, window, position=position))
    _print(name, windows, as_json=json)


def bands(name: Name, json: JsonOption = False, config: ConfigOption = None) -> None:
    """The windows of a tariff in the order in which they are tried; any other time has no band."""
    _print(name, with_services(config, lambda services: services.bands.windows(name)), as_json=json)


def unband(
    name: Name,
    position: Annotated[int, typer.Argument(metavar="POSITION", help="As tariff bands shows it.")],
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Remove a window; those after it move up."""
    _print(name, with_services(config, lambda services: services.bands.remove(name, position)), as_json=json)


@holidays_app.command(epilog='Example: rating-engine holidays add de 2026-10-03 "Tag der Deutschen Einheit"')
def add(
    calendar: Calendar,
    day: Day,
    name: Annotated[str, typer.Argument(metavar="NAME", help="For people.")] = "",
    config: ConfigOption = None,
) -> None:
    """Add a day to a calendar, created if need be."""
    with reported_errors():
        holiday = Holiday(calendar, words.day(day, "day"), name)
    changed = with_services(config, lambda services: services.bands.add_holiday(holiday))
    say(f"{calendar}: {day} added" if changed else f"{calendar}: {day} was there already")


@holidays_app.command("list", epilog="Example: rating-engine holidays list de")
def list_(
    calendar: Annotated[str | None, typer.Argument(metavar="CALENDAR", help="Every one if not given.")] = None,
    limit: LimitOption = None,
    after: AfterOption = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """The days of a calendar or of all."""
    page = with_services(
        config, lambda services: listed(lambda cursor: services.bands.holidays(cursor, calendar), limit, after)
    )
    if json:
        days = [{"calendar": each.calendar, "day": each.day.isoformat(), "name": each.name} for each in page.items]
        print_json({"holidays": days, **next_json(page)})
        return
    table = Table("calendar", "day", "name")
    for each in page.items:
        table.add_row(each.calendar, f"{each.day.isoformat()} {each.day.strftime('%a')}", each.name)
    out.print(table)
    say_next(page)


@holidays_app.command(epilog="Example: rating-engine holidays remove de 2026-10-03")
def remove(calendar: Calendar, day: Day, config: ConfigOption = None) -> None:
    """Take a day from a calendar."""
    with reported_errors():
        removed = words.day(day, "day")
    with_services(config, lambda services: services.bands.remove_holiday(calendar, removed))
    say(f"{calendar}: {day} removed")


@holidays_app.command("import", epilog="Example: rating-engine holidays import de holidays.csv")
def import_(
    calendar: Calendar,
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", help="Lines of date,name; a heading may come first.")],
    config: ConfigOption = None,
) -> None:
    """Add the days of a file, all or none; days that are there already stay."""
    changed = with_services(config, lambda services: services.bands.import_holidays(calendar, file))
    say(f"{calendar}: {changed} days added or renamed")


def _print(name: str, windows: Sequence[Window], *, as_json: bool) -> None:
    if as_json:
        print_json({"tariff": name, "bands": windows_json(windows)})
    elif windows:
        print_windows(windows)
    else:
        say(f"{name} has no bands: one price at all times")
