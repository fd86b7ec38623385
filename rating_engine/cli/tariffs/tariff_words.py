"""How tariffs and what belongs to them are shown: in tables for people, in JSON for machines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from rich.table import Table

from rating_engine.cli.common import out
from rating_engine.domain.tariff_card import ListedPackage, ListedTariff, TariffCard, TariffSettings, TimelineDeck
from rating_engine.rating.money import format_amount
from rating_engine.rating.schedule import MINUTES_PER_DAY, Window, render_clock, render_days


def yes_no(value: bool) -> str:
    """The word for a setting that is on or off."""
    return "yes" if value else "no"


def counted(number: int, thing: str) -> str:
    """So many of them: `1 direction`, `2 directions`."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def minutes_words(seconds: int) -> str:
    """So many seconds in minutes: `100 min`, `1 min 30 s`."""
    minutes, rest = divmod(seconds, 60)
    return f"{minutes:,} min {rest} s" if rest else f"{minutes:,} min"


def settings_json(settings: TariffSettings) -> dict[str, Any]:
    """The settings of a tariff by the names of their columns; amounts are text."""
    return {
        "tariff": settings.name,
        "currency": settings.currency,
        "description": settings.description,
        "is_option": settings.is_option,
        "multiplier": format_amount(settings.multiplier),
        "switch_price": format_amount(settings.switch_price),
        "decimals": settings.decimals,
        "increment_mode": settings.increment_mode.value,
        "duration_rounding": settings.duration_rounding.value,
        "minimum_charge": format_amount(settings.minimum_charge),
        "time_zone": settings.time_zone,
        "band_mode": settings.band_mode.value,
        "holiday_calendar": settings.holiday_calendar or None,
        "by_routing_number": settings.by_routing_number,
        "route_order": settings.route_order.value,
        "allow_loss": settings.allow_loss,
        "route_plan": settings.route_plan,
        "version": settings.version,
    }


def card_json(card: TariffCard) -> dict[str, Any]:
    """Everything of a tariff."""
    return {
        **settings_json(card.listed.settings),
        "users": card.listed.users,
        "decks": [_deck_json(deck) for deck in card.decks],
        "bands": windows_json(card.bands),
        "holidays": [{"day": holiday.day.isoformat(), "name": holiday.name} for holiday in card.holidays],
        "packages": [package_json(package) for package in card.packages],
        "routes": [{"position": position, "route": name} for position, name in card.routes],
        "cost_of": list(card.cost_of),
    }


def windows_json(windows: Sequence[Window]) -> list[dict[str, Any]]:
    """Windows with their positions, days and clock as they are given to commands."""
    return [
        {
            "position": position,
            "band": window.band,
            "days": render_days(window.days),
            "from": render_clock(window.starts),
            "to": render_clock(window.ends),
        }
        for position, window in enumerate(windows, start=1)
    ]


def package_json(package: ListedPackage) -> dict[str, Any]:
    """A package; `seconds` is null for a volume."""
    return {
        "tariff": package.tariff,
        "package": package.name,
        "kind": package.kind.value,
        "group": package.group or None,
        "seconds": package.seconds,
        "period": package.period.value,
        "carry_over": package.carry_over.value,
        "waives_fees": package.waives_fees,
        "position": package.position,
        "steps": [{"after_seconds": after, "factor": format_amount(factor)} for after, factor in package.steps],
    }


def print_settings(listed: ListedTariff) -> None:
    """The settings of a tariff, a line each."""
    fields = settings_json(listed.settings)
    del fields["version"]
    table = Table(title=f"tariff {fields.pop('tariff')}", show_header=False)
    table.add_column(style="bold")
    table.add_column(justify="right")
    for name, value in fields.items():
        text = "none" if value is None else yes_no(value) if isinstance(value, bool) else str(value)
        table.add_row(name.replace("_", " "), text)
    table.add_row("subscribers that have it", f"{listed.users:,}")
    out.print(table)


def print_card(card: TariffCard) -> None:
    """Everything of a tariff; what it has nothing of is one line."""
    print_settings(card.listed)
    decks = [
        (deck.effective_from.strftime("%Y-%m-%d %H:%M:%SZ"), str(deck.version), deck.place.value, f"{deck.rates:,}")
        for deck in card.decks
    ]
    _print_rows("decks", ("from", "version", "state", "rates"), decks, "no rates: say rating-engine rates import")
    if card.bands:
        print_windows(card.bands)
    else:
        out.print("no bands: one price at all times")
    _print_rows("holidays", ("day", "name"), [(holiday.day.isoformat(), holiday.name) for holiday in card.holidays], "")
    if card.packages:
        print_packages(card.packages)
    else:
        out.print("no packages")
    routes = [(str(position), name) for position, name in card.routes]
    _print_rows("routes", ("position", "route"), routes, "routes: every enabled one")
    _print_rows("cost of", ("route",), [(name,) for name in card.cost_of], "")


def print_windows(windows: Sequence[Window]) -> None:
    """The windows of bands in the order in which they are tried."""
    table = Table("", "band", "days", "from", "to (not included)", title="bands, the first that holds counts")
    for position, window in enumerate(windows, start=1):
        next_day = " next day" if window.ends <= window.starts and window.ends != MINUTES_PER_DAY else ""
        table.add_row(
            str(position),
            window.band,
            render_days(window.days),
            render_clock(window.starts),
            render_clock(window.ends) + next_day,
        )
    out.print(table)


def print_packages(packages: Iterable[ListedPackage]) -> None:
    """Packages, the first used first."""
    table = Table("tariff", "package", "position", "gives", "to", "each", "carries over", "waives fees")
    table.columns[2].justify = "right"
    for package in packages:
        table.add_row(
            package.tariff,
            package.name,
            str(package.position),
            package_gives(package),
            package.group or "every direction",
            package.period.value,
            package.carry_over.value,
            yes_no(package.waives_fees),
        )
    out.print(table)


def package_gives(package: ListedPackage) -> str:
    """What a package is worth, in words."""
    if package.seconds is not None:
        return f"{minutes_words(package.seconds)} free"
    return ", ".join(f"{times(factor)} after {minutes_words(after)}" for after, factor in package.steps)


def times(factor: Decimal) -> str:
    """A factor of prices."""
    return f"x {format_amount(factor)}"


def _deck_json(deck: TimelineDeck) -> dict[str, Any]:
    return {
        "version": deck.version,
        "state": deck.place.value,
        "effective_from": deck.effective_from.isoformat(),
        "rates": deck.rates,
    }


def _print_rows(title: str, columns: Sequence[str], rows: Sequence[tuple[str, ...]], nothing: str) -> None:
    """A table, or a line (perhaps none) where there is nothing to put into it."""
    if not rows:
        if nothing:
            out.print(nothing)
        return
    table = Table(*columns, title=title)
    for row in rows:
        table.add_row(*row)
    out.print(table)
