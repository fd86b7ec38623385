"""`rating-engine routes load` and `routes quality`: what goes over the routes now, and how it went lately."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.table import Column, Table

from rating_engine.cli.common import ConfigOption, JsonOption, out, print_json, with_services
from rating_engine.domain.route_figures import RouteFigures, RouteLoad, RouteMoney
from rating_engine.domain.tariff import RouteQuality
from rating_engine.rating.money import format_amount
from rating_engine.services.catalogue import UseCases
from rating_engine.services.routes.figures import MAX_WINDOW_SECONDS


def load(json: JsonOption = False, config: ConfigOption = None) -> None:
    """Open calls, and calls of this second, of the routes that have a limit."""
    found = with_services(config, lambda services: services.route_reports.loads())
    if json:
        print_json({"routes": [_load_json(route) for route in found]})
        return
    if not found:
        out.print("no route has a limit (routes set --max-calls, --max-calls-per-second)")
        return
    table = Table("route", *(Column(name, justify="right") for name in ("open", "of", "this second", "of")))
    for route in found:
        table.add_row(
            route.name,
            str(route.open_calls),
            _limit(route.max_calls),
            str(route.started),
            _limit(route.max_calls_per_second),
        )
    out.print(table)


def quality(
    window: Annotated[
        int | None,
        typer.Option(
            min=1, max=MAX_WINDOW_SECONDS, metavar="SECONDS", help="route_quality_window_seconds if not given."
        ),
    ] = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """How calls went by each route lately: attempts, the share answered (ASR), how long (ACD), and what was left."""

    async def work(services: UseCases) -> tuple[int, Sequence[RouteFigures]]:
        seconds = window or services.route_reports.window_seconds
        return seconds, await services.route_reports.quality(seconds)

    seconds, found = with_services(config, work)
    if json:
        print_json({"window_seconds": seconds, "routes": [_figures_json(route) for route in found]})
        return
    if not found:
        out.print(f"no call ended in the last {seconds} s")
        return
    right = [Column(name, justify="right") for name in ("attempts", "answered", "ASR", "ACD", "sold", "margin", "")]
    table = Table("route", *right, title=f"the last {seconds} s", title_justify="left")
    for route in found:
        for line, money in enumerate(route.money):
            cells = _quality_cells(route) if line == 0 else [""] * 5
            table.add_row(*cells, f"{format_amount(money.sold)} {money.currency}", *_margin_cells(money))
    out.print(table)


def asr_percent(quality: RouteQuality) -> int | None:
    """The share of attempts that were answered, in whole per cent as the order by quality counts it."""
    return 100 * quality.answered // quality.attempts if quality.attempts else None


def acd_seconds(quality: RouteQuality) -> int | None:
    """How long answered calls last on average, in whole seconds."""
    return quality.seconds // quality.answered if quality.answered else None


def _limit(limit: int | None) -> str:
    return "no limit" if limit is None else str(limit)


def _quality_cells(route: RouteFigures) -> list[str]:
    asr, acd = asr_percent(route.quality), acd_seconds(route.quality)
    return [
        route.name,
        str(route.quality.attempts),
        str(route.quality.answered),
        "" if asr is None else f"{asr} %",
        "" if acd is None else f"{acd} s",
    ]


def _margin_cells(money: RouteMoney) -> list[str]:
    """The margin of what is known, and how many calls are not."""
    if money.sold_known == 0 and money.margin == 0 and money.unknown:
        return ["not known", ""]
    missing = f"without {money.unknown} calls" if money.unknown else ""
    return [f"{format_amount(money.margin)} {money.currency}", missing]


def _load_json(route: RouteLoad) -> dict[str, Any]:
    return {
        "name": route.name,
        "open_calls": route.open_calls,
        "max_calls": route.max_calls,
        "calls_this_second": route.started,
        "max_calls_per_second": route.max_calls_per_second,
    }


def _figures_json(route: RouteFigures) -> dict[str, Any]:
    return {
        "name": route.name,
        "attempts": route.quality.attempts,
        "answered": route.quality.answered,
        "seconds": route.quality.seconds,
        "asr_percent": asr_percent(route.quality),
        "acd_seconds": acd_seconds(route.quality),
        "money": [
            {
                "currency": money.currency,
                "sold": format_amount(money.sold),
                "sold_of_known_cost": format_amount(money.sold_known),
                "margin": format_amount(money.margin),
                "calls_of_unknown_cost": money.unknown,
            }
            for money in route.money
        ],
    }
