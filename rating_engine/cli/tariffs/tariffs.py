"""`rating-engine tariff`: add, set, markup, list, and show with all that belongs to a tariff."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

import typer
from rich.table import Table

from rating_engine.cli import words
from rating_engine.cli.common import ConfigOption, JsonOption, out, print_json, reported_errors, say, with_services
from rating_engine.cli.lists import AfterOption, LimitOption, listed, next_json, say_next
from rating_engine.cli.option_groups import with_options
from rating_engine.cli.tariffs.tariff_words import (
    card_json,
    print_card,
    print_settings,
    settings_json,
    yes_no,
)
from rating_engine.domain.tariff import BandMode, RouteOrder
from rating_engine.domain.tariff_card import ListedTariff, TariffChanges
from rating_engine.rating.money import format_amount
from rating_engine.rating.rate import DurationRounding, IncrementMode

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
Holidays = Annotated[
    str | None, typer.Option("--holidays", metavar="CALENDAR|none", help="Of `rating-engine holidays`.")
]
ByRouting = Annotated[
    str | None, typer.Option("--by-routing-number", metavar="yes|no", help="Price by the routing number (LRN).")
]
Order = Annotated[
    str | None,
    typer.Option("--route-order", metavar="priority|cost|quality|manual", help="Which route is tried first."),
]
RoutePlan = Annotated[
    str | None,
    typer.Option(metavar="PLAN|none", help="Its calls go by this plan, not by its own list and order of routes."),
]
AllowLoss = Annotated[
    str | None, typer.Option(metavar="yes|no", help="Use routes that cost more than the call is sold for.")
]


def tariff_changes(
    currency: Currency = None,
    description: Description = None,
    is_option: IsOption = None,
    multiplier: Multiplier = None,
    switch_price: SwitchPrice = None,
    decimals: Decimals = None,
    increment_mode: Increments = None,
    duration_rounding: Rounding = None,
    minimum_charge: MinimumCharge = None,
    time_zone: TimeZone = None,
    band_mode: Mode = None,
    holiday_calendar: Holidays = None,
    by_routing_number: ByRouting = None,
    route_order: Order = None,
    allow_loss: AllowLoss = None,
    route_plan: RoutePlan = None,
) -> TariffChanges:
    """What the options of `tariff add` and `tariff set` mean; None: not given. Raises InvalidRequest."""
    given = dict(locals())

    def read(parse: Any, field: str) -> Any:
        return words.if_given(given[field], partial(parse, field=field))

    def choice(kind: Any, field: str) -> Any:
        return read(partial(words.choice, kind), field)

    return TariffChanges(
        currency=words.if_given(currency, str),
        description=words.if_given(description, str),
        is_option=read(words.yes_or_no, "is_option"),
        multiplier=read(words.amount, "multiplier"),
        switch_price=read(words.amount, "switch_price"),
        decimals=read(words.whole, "decimals"),
        increment_mode=choice(IncrementMode, "increment_mode"),
        duration_rounding=choice(DurationRounding, "duration_rounding"),
        minimum_charge=read(words.amount, "minimum_charge"),
        time_zone=words.if_given(time_zone, str),
        band_mode=choice(BandMode, "band_mode"),
        holiday_calendar=words.if_given(holiday_calendar, lambda text: "" if text == words.NONE else text),
        by_routing_number=read(words.yes_or_no, "by_routing_number"),
        route_order=choice(RouteOrder, "route_order"),
        allow_loss=read(words.yes_or_no, "allow_loss"),
        route_plan=words.unless_none(route_plan, str),
    )


@tariffs_app.command(epilog="Example: rating-engine tariff add weekend --currency EUR --option yes --switch-price 5")
@with_options(tariff_changes)
def add(name: Name, options: TariffChanges, json: JsonOption = False, config: ConfigOption = None) -> None:
    """Add a tariff without rates; `rating-engine rates import` fills it. In EUR unless said otherwise."""
    _print_listed(with_services(config, lambda services: services.tariffs.add(name, options)), as_json=json)


@tariffs_app.command("set", epilog="Example: rating-engine tariff set retail --time-zone Europe/Berlin --holidays de")
@with_options(tariff_changes)
def set_(name: Name, options: TariffChanges, json: JsonOption = False, config: ConfigOption = None) -> None:
    """Change settings, for the next call everywhere; calls that run keep what they were begun with."""
    _print_listed(with_services(config, lambda services: services.tariffs.change(name, options)), as_json=json)


@tariffs_app.command(epilog="Example: rating-engine tariff markup retail 1.2")
def markup(
    name: Name,
    factor: Annotated[str, typer.Argument(metavar="FACTOR", help="1.2: a fifth dearer than now; 0.9: a tenth off.")],
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Multiply every price and fee, on top of the multiplier there is. Said twice it counts twice."""
    with reported_errors():
        times = words.amount(factor, "markup")
    done = with_services(config, lambda services: services.tariffs.mark_up(name, times))
    before, after = format_amount(done.before), format_amount(done.after)
    if json:
        print_json({"tariff": name, "before": before, "multiplier": after})
    else:
        say(f"{name}: multiplier {after}, was {before}")


@tariffs_app.command("list", epilog="Example: rating-engine tariff list --json")
def list_(
    limit: LimitOption = None, after: AfterOption = None, json: JsonOption = False, config: ConfigOption = None
) -> None:
    """Every tariff, with the deck in force and who has it."""
    page = with_services(config, lambda services: listed(services.tariffs.page, limit, after))
    if json:
        print_json({"tariffs": [_listed_json(tariff) for tariff in page.items], **next_json(page)})
        return
    table = Table("tariff", "currency", "option", "multiplier", "switch price", "deck", "rates", "users", "description")
    for position in (3, 4, 5, 6, 7):
        table.columns[position].justify = "right"
    for tariff in page.items:
        settings = tariff.settings
        table.add_row(
            settings.name,
            settings.currency,
            yes_no(settings.is_option),
            format_amount(settings.multiplier),
            format_amount(settings.switch_price),
            "none" if tariff.deck_version is None else str(tariff.deck_version),
            f"{tariff.rates:,}",
            f"{tariff.users:,}",
            settings.description,
        )
    out.print(table)
    say_next(page)


@tariffs_app.command(epilog="Example: rating-engine tariff show retail")
def show(name: Name, json: JsonOption = False, config: ConfigOption = None) -> None:
    """Settings, the timeline of decks, bands, holidays, packages and routes."""
    card = with_services(config, lambda services: services.tariffs.show(name))
    if json:
        print_json(card_json(card))
    else:
        print_card(card)


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
