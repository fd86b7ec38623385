"""`rating-engine routes` and `rating-engine direction`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer
from rich.table import Table

from rating_engine.cli.common import ConfigOption, JsonOption, load_settings, open_database, out, print_json, run
from rating_engine.domain.tariff import ListedRoute
from rating_engine.services.routes import Routes

routes_app = typer.Typer(no_args_is_help=True, help="Where calls are sent, in the order of attempts.")

Name = Annotated[str, typer.Argument(metavar="NAME")]
T = TypeVar("T")


def _with_routes(config: ConfigOption, ask: Callable[[Routes], Awaitable[T]]) -> T:
    async def work() -> T:
        async with open_database(load_settings(config)) as database:
            return await ask(Routes(database))

    return run(work())


@routes_app.command(epilog="Example: rating-engine routes add carrier1 --position 10 --number-prefix 7")
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="RATING_ROUTE_NAME: the trunk the dialplan dials.")],
    position: Annotated[int, typer.Option(help="The lowest that serves a destination is attempt 1.")],
    dial_prefix: Annotated[str, typer.Option(help="RATING_ROUTE_PREFIX: goes before the number.")] = "",
    number_prefix: Annotated[str, typer.Option(help="Destinations it serves begin so; all if not given.")] = "",
    config: ConfigOption = None,
) -> None:
    """Add a route; used from the next call on."""
    _with_routes(
        config,
        lambda routes: routes.add(name, position=position, dial_prefix=dial_prefix, number_prefix=number_prefix),
    )
    out.print(f"route {name} added", highlight=False)


@routes_app.command("list", epilog="Example: rating-engine routes list --json")
def list_(json: JsonOption = False, config: ConfigOption = None) -> None:
    """Every route, in the order of attempts."""
    found: list[ListedRoute] = _with_routes(config, lambda routes: routes.list())
    if json:
        print_json({"routes": [_route_json(listed) for listed in found]})
        return
    if not found:
        out.print("no routes: every call takes the setting default_route", highlight=False)
        return
    table = Table("position", "name", "dial prefix", "serves", "enabled")
    for listed in found:
        route = listed.route
        serves = f"{route.number_prefix}…" if route.number_prefix else "all"
        table.add_row(str(route.position), route.name, route.dial_prefix, serves, "yes" if listed.enabled else "no")
    out.print(table)


@routes_app.command(epilog="Example: rating-engine routes enable carrier1")
def enable(name: Name, config: ConfigOption = None) -> None:
    """Use a route again, from the next call on."""
    _with_routes(config, lambda routes: routes.set_enabled(name, True))
    out.print(f"route {name} enabled", highlight=False)


@routes_app.command(epilog="Example: rating-engine routes disable carrier1")
def disable(name: Name, config: ConfigOption = None) -> None:
    """Send no new call to a route; calls that run go on."""
    _with_routes(config, lambda routes: routes.set_enabled(name, False))
    out.print(f"route {name} disabled", highlight=False)


@routes_app.command(epilog="Example: rating-engine routes remove carrier1")
def remove(name: Name, config: ConfigOption = None) -> None:
    """Delete a route; CDRs keep its name."""
    _with_routes(config, lambda routes: routes.remove(name))
    out.print(f"route {name} removed", highlight=False)


def direction(
    code: Annotated[str, typer.Argument(metavar="CODE", help="As in the deck's direction column.")],
    name: Annotated[str | None, typer.Option(help="RATING_DIRECTION; the code if not given.")] = None,
    min_len: Annotated[int | None, typer.Option(help="Fewest digits of its numbers, country code included.")] = None,
    max_len: Annotated[int | None, typer.Option(help="Most digits of its numbers.")] = None,
    config: ConfigOption = None,
) -> None:
    """Name a direction, and decline numbers that are too short or too long for it."""
    _with_routes(config, lambda routes: routes.set_direction(code, name or code, min_len=min_len, max_len=max_len))
    out.print(f"direction {code} set", highlight=False)


def _route_json(listed: ListedRoute) -> dict[str, object]:
    route = listed.route
    return {
        "name": route.name,
        "position": route.position,
        "dial_prefix": route.dial_prefix,
        "number_prefix": route.number_prefix,
        "enabled": listed.enabled,
    }
