"""`rating-engine tariff`: add, set, markup, list, and show with all that belongs to a tariff."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from rating_engine.cli.common import ConfigOption, JsonOption, out, print_json, say, with_database
from rating_engine.cli.tariffs.tariff_words import (
    card_json,
    print_card,
    print_settings,
    settings_json,
    yes_no,
)
from rating_engine.domain.tariff_card import ListedTariff
from rating_engine.rating.money import format_amount
from rating_engine.services.tariffs.settings import Tariffs

tariffs_app = typer.Typer(no_args_is_help=True, help="Tariffs: their settings, and all that belongs to them.")

Name = Annotated[str, typer.Argument(metavar="NAME")]
Currency = Annotated[str | None, typer.Option(help="ISO 4217; fixed once it has rates or subscribers.")]
Description = Annotated[str | None, typer.Option(help="For people.")]
IsOption = Annotated[
    str | None, typer.Option("--option", metavar="yes|no", help="To be had beside a tariff, not as one.")
]
Multiplier = Annotated[str | None, typer.Option(metavar="FACTOR", help="Of every price and fee: 1.2 adds a fifth.")]
SwitchPrice = Annotated[str | None, typer.Option(metavar="AMOUNT", help="What changing to it, or granting it, costs.")]
Decimals = Annotated[str | None, typer.Option(metavar="0-6", help="Places of a call's cost; rounded half up, once.")]
Increments = Annotated[
    str | None,
    typer.Option("--increment-mode", metavar="interval|total", help="total: as A2Billing and MagnusBilling count."),
]
Rounding = Annotated[
    str | None,
    typer.Option(
        "--duration-rounding", metavar="up|nearest", help="Of a fraction of a second; calls come in whole ones."
    ),
]
MinimumCharge = Annotated[
    str | None, typer.Option(metavar="AMOUNT", help="The least an answered call costs, where its rate says none.")
]
TimeZone = Annotated[str | None, typer.Option(metavar="ZONE", help="Of bands and package periods: Europe/Berlin.")]
Mode = Annotated[
    str | None,
    typer.Option("--band-mode", metavar="start|split", help="A call has the band it starts in, or each band's price."),
]
Holidays = Annotated[str | None, typer.Option(metavar="CALENDAR|none", help="Of `rating-engine holidays`.")]
ByRouting = Annotated[
    str | None, typer.Option("--by-routing-number", metavar="yes|no", help="Price by the routing number (LRN).")
]
Order = Annotated[
    str | None,
    typer.Option("--route-order", metavar="priority|cost|quality|manual", help="Which route is tried first."),
]
AllowLoss = Annotated[
    str | None, typer.Option(metavar="yes|no", help="Use routes that cost more than the call is sold for.")
]


@tariffs_app.command(epilog="Example: rating-engine tariff add weekend --currency EUR --option yes --switch-price 5")
def add(
    name: Name,
    currency: Currency = None,
    description: Description = None,
    option: IsOption = None,
    multiplier: Multiplier = None,
    switch_price: SwitchPrice = None,
    decimals: Decimals = None,
    increment_mode: Increments = None,
    duration_rounding: Rounding = None,
    minimum_charge: MinimumCharge = None,
    time_zone: TimeZone = None,
    band_mode: Mode = None,
    holidays: Holidays = None,
    by_routing_number: ByRouting = None,
    route_order: Order = None,
    allow_loss: AllowLoss = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Add a tariff without rates; `rating-engine rates import` fills it. In EUR unless said otherwise."""
    given = _given(
        currency=currency,
        description=description,
        is_option=option,
        multiplier=multiplier,
        switch_price=switch_price,
        decimals=decimals,
        increment_mode=increment_mode,
        duration_rounding=duration_rounding,
        minimum_charge=minimum_charge,
        time_zone=time_zone,
        band_mode=band_mode,
        holiday_calendar=holidays,
        by_routing_number=by_routing_number,
        route_order=route_order,
        allow_loss=allow_loss,
    )
    _print_listed(with_database(config, lambda database: Tariffs(database).add(name, given)), as_json=json)


@tariffs_app.command("set", epilog="Example: rating-engine tariff set retail --time-zone Europe/Berlin --holidays de")
def set_(
    name: Name,
    currency: Currency = None,
    description: Description = None,
    option: IsOption = None,
    multiplier: Multiplier = None,
    switch_price: SwitchPrice = None,
    decimals: Decimals = None,
    increment_mode: Increments = None,
    duration_rounding: Rounding = None,
    minimum_charge: MinimumCharge = None,
    time_zone: TimeZone = None,
    band_mode: Mode = None,
    holidays: Holidays = None,
    by_routing_number: ByRouting = None,
    route_order: Order = None,
    allow_loss: AllowLoss = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Change settings, for the next call everywhere; calls that run keep what they were begun with."""
    given = _given(
        currency=currency,
        description=description,
        is_option=option,
        multiplier=multiplier,
        switch_price=switch_price,
        decimals=decimals,
        increment_mode=increment_mode,
        duration_rounding=duration_rounding,
        minimum_charge=minimum_charge,
        time_zone=time_zone,
        band_mode=band_mode,
        holiday_calendar=holidays,
        by_routing_number=by_routing_number,
        route_order=route_order,
        allow_loss=allow_loss,
    )
    _print_listed(with_database(config, lambda database: Tariffs(database).set(name, given)), as_json=json)


@tariffs_app.command(epilog="Example: rating-engine tariff markup retail 1.2")
def markup(
    name: Name,
    factor: Annotated[str, typer.Argument(metavar="FACTOR", help="1.2: a fifth dearer than now; 0.9: a tenth off.")],
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Multiply every price and fee, on top of the multiplier there is. Said twice it counts twice."""
    before, after = with_database(config, lambda database: Tariffs(database).mark_up(name, factor))
    if json:
        print_json({"tariff": name, "before": format_amount(before), "multiplier": format_amount(after)})
    else:
        say(f"{name}: multiplier {format_amount(after)}, was {format_amount(before)}")


@tariffs_app.command("list", epilog="Example: rating-engine tariff list --json")
def list_(json: JsonOption = False, config: ConfigOption = None) -> None:
    """Every tariff, with the deck in force and who has it."""
    found = with_database(config, lambda database: Tariffs(database).list())
    if json:
        print_json({"tariffs": [_listed_json(listed) for listed in found]})
        return
    table = Table("tariff", "currency", "option", "multiplier", "switch price", "deck", "rates", "users", "description")
    for position in (3, 4, 5, 6, 7):
        table.columns[position].justify = "right"
    for listed in found:
        settings = listed.settings
        table.add_row(
            escape(settings.name),
            settings.currency,
            yes_no(settings.is_option),
            format_amount(settings.multiplier),
            format_amount(settings.switch_price),
            "none" if listed.deck_version is None else str(listed.deck_version),
            f"{listed.rates:,}",
            f"{listed.users:,}",
            escape(settings.description),
        )
    out.print(table)


@tariffs_app.command(epilog="Example: rating-engine tariff show retail")
def show(name: Name, json: JsonOption = False, config: ConfigOption = None) -> None:
    """Settings, the timeline of decks, bands, holidays, packages and routes."""
    card = with_database(config, lambda database: Tariffs(database).show(name))
    if json:
        print_json(card_json(card))
    else:
        print_card(card)


def _given(**settings: str | None) -> dict[str, str]:
    return {field: text for field, text in settings.items() if text is not None}


def _listed_json(listed: ListedTariff) -> dict[str, object]:
    return {
        **settings_json(listed.settings),
        "deck_version": listed.deck_version,
        "rates": listed.rates,
        "users": listed.users,
    }


def _print_listed(listed: ListedTariff, *, as_json: bool) -> None:
    if as_json:
        print_json(_listed_json(listed))
    else:
        print_settings(listed)
