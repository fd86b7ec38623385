"""`rating-engine routes`: where calls are sent, and in which order that is tried."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any, Final

import typer
from rich.table import Table

from rating_engine.cli import words
from rating_engine.cli.common import (
    CommandError,
    ConfigOption,
    JsonOption,
    out,
    print_json,
    reported_errors,
    say,
    with_services,
)
from rating_engine.cli.lists import AfterOption, LimitOption, listed, next_json, say_next
from rating_engine.cli.option_groups import with_options
from rating_engine.domain.errors import InvalidRequest
from rating_engine.domain.tariff import CalleridPolicy, ListedRoute, Route, RouteChanges
from rating_engine.rating.schedule import Window, render_clock, render_days
from rating_engine.services.catalogue import UseCases

routes_app = typer.Typer(no_args_is_help=True, help="Where calls are sent, and in which order that is tried.")

POLICIES: Final = {"any": CalleridPolicy.ANY, "national": CalleridPolicy.NATIONAL,
                   "international": CalleridPolicy.INTERNATIONAL}  # fmt: skip
POLICY_NAMES: Final = {policy: name for name, policy in POLICIES.items()}

Name = Annotated[str, typer.Argument(metavar="NAME")]
Prefixes = Annotated[list[str], typer.Argument(metavar="PREFIX...", help="Destinations that begin so.")]
Position = Annotated[str | None, typer.Option(metavar="N", help="Its priority: the lowest is tried first.")]
Cost = Annotated[str | None, typer.Option("--cost", metavar="TARIFF|none", help="Whose deck says what it costs us.")]
DialPrefix = Annotated[str | None, typer.Option(help="RATING_ROUTE_PREFIX: goes before the number.")]
NumberPrefix = Annotated[str | None, typer.Option(help="Destinations it serves begin so; empty: all.")]
Weight = Annotated[str | None, typer.Option(metavar="N", help="Share of the calls among routes otherwise equal.")]
Percentage = Annotated[str | None, typer.Option(metavar="N|none", help="Of the calls it may serve at all, per cent.")]
MaxCalls = Annotated[str | None, typer.Option(metavar="N|none", help="Open calls at a time.")]
CallsPerSecond = Annotated[str | None, typer.Option(metavar="N|none", help="Calls it is given in one second.")]
Policy = Annotated[
    str | None,
    typer.Option(metavar="|".join(POLICIES), help="Caller ids: national are those of --country-code."),
]
CountryCode = Annotated[str | None, typer.Option(metavar="DIGITS", help="Whose caller ids are national.")]
DefaultAllowed = Annotated[
    str | None,
    typer.Option(metavar="yes|no", help="Destinations no rule names; no: `routes allow` names what it serves."),
]
Zone = Annotated[str | None, typer.Option(metavar="ZONE", help="Of its windows: Europe/Berlin.")]


def route_changes(
    position: Position = None,
    dial_prefix: DialPrefix = None,
    number_prefix: NumberPrefix = None,
    weight: Weight = None,
    percentage: Percentage = None,
    max_calls: MaxCalls = None,
    max_calls_per_second: CallsPerSecond = None,
    cost_tariff: Cost = None,
    callerid_policy: Policy = None,
    country_code: CountryCode = None,
    default_allowed: DefaultAllowed = None,
    time_zone: Zone = None,
) -> RouteChanges:
    """What the options of `routes add` and `routes set` mean; None: not given. Raises InvalidRequest."""
    given = dict(locals())

    def whole(field: str) -> Any:
        return words.if_given(given[field], partial(words.whole, field=field))

    def limit(field: str) -> Any:
        return words.unless_none(given[field], partial(words.whole, field=field))

    return RouteChanges(
        position=whole("position"),
        dial_prefix=words.if_given(dial_prefix, str),
        number_prefix=words.if_given(number_prefix, str),
        weight=whole("weight"),
        percentage=limit("percentage"),
        max_calls=limit("max_calls"),
        max_calls_per_second=limit("max_calls_per_second"),
        callerid_policy=words.if_given(callerid_policy, _policy),
        country_code=words.if_given(country_code, str),
        default_allowed=words.if_given(default_allowed, partial(words.yes_or_no, field="default_allowed")),
        time_zone=words.if_given(time_zone, str),
        cost_tariff=words.unless_none(cost_tariff, str),
    )


def _policy(text: str) -> CalleridPolicy:
    if text not in POLICIES:
        raise InvalidRequest("callerid_policy", f"{text[:40]!r} is none of {', '.join(POLICIES)}")
    return POLICIES[text]


@routes_app.command(epilog="Example: rating-engine routes add carrier1 --position 10 --number-prefix 7 --max-calls 30")
@with_options(route_changes)
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="RATING_ROUTE_NAME: the trunk the dialplan dials.")],
    options: RouteChanges,
    config: ConfigOption = None,
) -> None:
    """Add a route; used from the next call on. Its --position must be said."""
    with_services(config, lambda services: services.routes.add(name, options))
    say(f"route {name} added")


@routes_app.command("set", epilog="Example: rating-engine routes set carrier1 --weight 3 --max-calls none")
@with_options(route_changes)
def set_(name: Name, options: RouteChanges, config: ConfigOption = None) -> None:
    """Change a route; `none` takes a limit away."""
    with_services(config, lambda services: services.routes.change(name, options))
    say(f"route {name} set")


@routes_app.command("list", epilog="Example: rating-engine routes list --json")
def list_(
    limit: LimitOption = None, after: AfterOption = None, json: JsonOption = False, config: ConfigOption = None
) -> None:
    """Every route by position."""
    page = with_services(config, lambda services: listed(services.routes.page, limit, after))
    if json:
        print_json({"routes": [_route_json(route) for route in page.items], **next_json(page)})
        return
    if not page.items:
        say("no routes: every call takes the setting default_route")
        return
    table = Table("position", "name", "dial prefix", "serves", "share", "limits", "cost", "enabled")
    for each in page.items:
        table.add_row(
            str(each.route.position),
            each.route.name,
            each.route.dial_prefix,
            _serves(each.route),
            share_words(each.route),
            _limits(each.route),
            each.cost_tariff or "not known",
            "yes" if each.enabled else "no",
        )
    out.print(table)
    say_next(page)
    if without := [each.route.name for each in page.items if each.cost_tariff is None]:
        say(f"without a cost, and so without a margin guard: {', '.join(without)} (routes cost)")


@routes_app.command(epilog="Example: rating-engine routes show carrier1")
def show(name: Name, json: JsonOption = False, config: ConfigOption = None) -> None:
    """All there is to say of a route."""
    found = with_services(config, lambda services: services.routes.show(name))
    if json:
        print_json(_route_json(found))
        return
    for label, text in _details(found):
        say(f"{label:<15}{text}")


@routes_app.command(epilog="Example: rating-engine routes enable carrier1")
def enable(name: Name, config: ConfigOption = None) -> None:
    """Use a route again, from the next call on."""
    with_services(config, lambda services: services.routes.set_enabled(name, True))
    say(f"route {name} enabled")


@routes_app.command(epilog="Example: rating-engine routes disable carrier1")
def disable(name: Name, config: ConfigOption = None) -> None:
    """Send no new call to a route; calls that run go on."""
    with_services(config, lambda services: services.routes.set_enabled(name, False))
    say(f"route {name} disabled")


@routes_app.command(epilog="Example: rating-engine routes remove carrier1")
def remove(name: Name, config: ConfigOption = None) -> None:
    """Delete a route; CDRs keep its name."""
    with_services(config, lambda services: services.routes.remove(name))
    say(f"route {name} removed")


@routes_app.command(epilog="Example: rating-engine routes allow carrier1 7495 7499")
def allow(name: Name, prefixes: Prefixes, config: ConfigOption = None) -> None:
    """Serve destinations that begin so; the longest prefix of a destination counts."""
    found = with_services(config, lambda services: services.routes.rule_prefixes(name, dict.fromkeys(prefixes, True)))
    say(f"route {name} serves {_serves(found.route)}")


@routes_app.command(epilog="Example: rating-engine routes block carrier1 881 882")
def block(name: Name, prefixes: Prefixes, config: ConfigOption = None) -> None:
    """Serve no destination that begins so; the longest prefix of a destination counts."""
    found = with_services(config, lambda services: services.routes.rule_prefixes(name, dict.fromkeys(prefixes, False)))
    say(f"route {name} serves {_serves(found.route)}")


@routes_app.command(epilog="Example: rating-engine routes forget carrier1 881")
def forget(name: Name, prefixes: Prefixes, config: ConfigOption = None) -> None:
    """Take back what `allow` or `block` said of prefixes."""
    found = with_services(config, lambda services: services.routes.rule_prefixes(name, dict.fromkeys(prefixes, None)))
    say(f"route {name} serves {_serves(found.route)}")


@routes_app.command(epilog="Example: rating-engine routes window carrier1 --days mon-fri --from 08:00 --to 18:00")
def window(
    name: Name,
    days: Annotated[str | None, typer.Option(metavar="DAYS", help="mon-fri, or sat,sun.")] = None,
    starts: Annotated[str | None, typer.Option("--from", metavar="HH:MM", help="This minute belongs to it.")] = None,
    ends: Annotated[
        str | None, typer.Option("--to", metavar="HH:MM", help="This one doesn't; up to 24:00, or into the next day.")
    ] = None,
    always: Annotated[bool, typer.Option("--always", help="Take all windows away.")] = False,
    config: ConfigOption = None,
) -> None:
    """Use a route in one more window, in its time zone, and outside its windows no more; or always again."""
    with reported_errors():
        given = [text for text in (days, starts, ends) if text is not None]
        if len(given) != (0 if always else 3):
            raise CommandError("say --days, --from and --to, or --always")
    if days is None or starts is None or ends is None:
        with_services(config, lambda services: services.routes.clear_windows(name))
        say(f"route {name} is used always")
        return
    with reported_errors():
        on, first, end = words.days(days), words.clock(starts, "starts"), words.clock(ends, "ends")
    found = with_services(config, lambda services: services.routes.add_window(name, days=on, starts=first, ends=end))
    say(f"route {name} is used {_windows(found.route)}")


@routes_app.command(epilog="Example: rating-engine routes cost carrier1 carrier1-costs")
def cost(
    name: Name,
    tariff: Annotated[str, typer.Argument(metavar="TARIFF|none", help="Whose deck says what the route costs us.")],
    config: ConfigOption = None,
) -> None:
    """Say by which tariff a carrier charges us: for the order by cost, the margin guard and the margins of calls."""
    with reported_errors():
        settings = route_changes(cost_tariff=tariff)
    with_services(config, lambda services: services.routes.change(name, settings))
    say(f"the cost of route {name} is {'not known' if tariff == words.NONE else f'that of tariff {tariff}'}")


@routes_app.command("of", epilog="Example: rating-engine routes of retail carrier2 carrier1")
def of_tariff(
    tariff: Annotated[str, typer.Argument(metavar="TARIFF")],
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME...", help="The routes of its calls, in manual order.")
    ] = None,
    every: Annotated[bool, typer.Option("--every", help="Take the list away: it may use every route.")] = False,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Say which routes a tariff's calls may take; with no names, show it."""
    with reported_errors():
        if names and every:
            raise CommandError("say names, or --every")

    async def ask(services: UseCases) -> Sequence[str]:
        if names or every:
            await services.routes.set_tariff_routes(tariff, names or ())
        return await services.routes.tariff_routes(tariff)

    found = with_services(config, ask)
    if json:
        print_json({"tariff": tariff, "routes": list(found)})
    else:
        say(f"calls of tariff {tariff} may take {', '.join(found) if found else 'every route'}")


def share_words(route: Route) -> str:
    """Percentage and weight in one cell."""
    words = [] if route.percentage is None else [f"{route.percentage} %"]
    if route.weight != 1:
        words.append(f"weight {route.weight}")
    return ", ".join(words)


def _serves(route: Route) -> str:
    prefix = f"{route.number_prefix}…" if route.number_prefix else "all"
    allowed = sorted(prefix for prefix, allows in route.prefixes.items() if allows)
    blocked = sorted(prefix for prefix, allows in route.prefixes.items() if not allows)
    words = [prefix] if route.default_allowed else [f"of {prefix}" if allowed else "nothing"]
    if allowed:
        words.append(("also " if route.default_allowed else "") + _few(allowed))
    if blocked:
        words.append(f"not {_few(blocked)}")
    return ", ".join(words)


def _few(prefixes: list[str]) -> str:
    shown = " ".join(f"{prefix}…" for prefix in prefixes[:5])
    return shown if len(prefixes) <= 5 else f"{shown} and {len(prefixes) - 5} more"


def _limits(route: Route) -> str:
    words = [] if route.max_calls is None else [f"{route.max_calls} calls"]
    if route.max_calls_per_second is not None:
        words.append(f"{route.max_calls_per_second} a second")
    return ", ".join(words)


def _windows(route: Route) -> str:
    if not route.windows.windows:
        return "always"
    return f"{'; '.join(map(_window, route.windows.windows))} ({route.windows.zone})"


def _window(window: Window) -> str:
    return f"{render_days(window.days)} {render_clock(window.starts)} to {render_clock(window.ends)}"


def _details(listed: ListedRoute) -> list[tuple[str, str]]:
    route = listed.route
    policy = POLICY_NAMES[CalleridPolicy(route.callerid_policy)]
    return [
        ("route", f"{route.name}, {'enabled' if listed.enabled else 'disabled'}"),
        ("position", str(route.position)),
        ("dial prefix", route.dial_prefix or "none"),
        ("serves", _serves(route)),
        ("used", _windows(route)),
        ("caller ids", f"{policy}{f' ({route.country_code})' if route.country_code else ''}"),
        ("share", share_words(route) or "all, weight 1"),
        ("limits", _limits(route) or "none"),
        ("cost", f"tariff {listed.cost_tariff}" if listed.cost_tariff else "not known"),
    ]


def _route_json(listed: ListedRoute) -> dict[str, Any]:
    route = listed.route
    return {
        "name": route.name,
        "position": route.position,
        "dial_prefix": route.dial_prefix,
        "number_prefix": route.number_prefix,
        "enabled": listed.enabled,
        "weight": route.weight,
        "percentage": route.percentage,
        "max_calls": route.max_calls,
        "max_calls_per_second": route.max_calls_per_second,
        "cost_tariff": listed.cost_tariff,
        "callerid_policy": POLICY_NAMES[CalleridPolicy(route.callerid_policy)],
        "country_code": route.country_code,
        "default_allowed": route.default_allowed,
        "prefixes": dict(sorted(route.prefixes.items())),
        "time_zone": route.windows.zone,
        "windows": [
            {"days": render_days(each.days), "from": render_clock(each.starts), "to": render_clock(each.ends)}
            for each in route.windows.windows
        ],
    }
