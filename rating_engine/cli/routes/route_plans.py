"""`rating-engine route-plan`: named lists of routes, by which tariffs, users and cards may go."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.table import Column, Table

from rating_engine.cli import words
from rating_engine.cli.common import ConfigOption, JsonOption, out, print_json, reported_errors, say, with_services
from rating_engine.cli.lists import AfterOption, LimitOption, listed, next_json, say_next
from rating_engine.domain.change import LEAVE
from rating_engine.domain.route_plan import ListedRoutePlan, NewRoutePlan, RoutePlanChanges
from rating_engine.domain.tariff import RouteOrder

route_plans_app = typer.Typer(no_args_is_help=True, help="Named lists of routes, each with an order of its own.")

Name = Annotated[str, typer.Argument(metavar="PLAN")]
Routes = Annotated[list[str], typer.Argument(metavar="ROUTE...", help="Its routes, in their manual order.")]
MaybeRoutes = Annotated[
    list[str] | None, typer.Argument(metavar="[ROUTE]...", help="All its routes, in their manual order.")
]
Order = Annotated[
    str | None, typer.Option("--order", metavar="manual|priority|cost|quality", help="Which route is tried first.")
]
Description = Annotated[str | None, typer.Option(help="For people.")]


@route_plans_app.command(epilog="Example: rating-engine route-plan add premium carrier1 carrier2 --order cost")
def add(
    name: Name,
    routes: Routes,
    order: Order = None,
    description: Description = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Make a plan of routes; in the order that they are named in, unless said otherwise."""
    with reported_errors():
        by = words.choice(RouteOrder, order or RouteOrder.MANUAL.value, "order")
        new = NewRoutePlan(name, tuple(routes), by, description or "")
    _print(with_services(config, lambda services: services.route_plans.add(new)), as_json=json)


@route_plans_app.command("set", epilog="Example: rating-engine route-plan set premium carrier2 carrier1 --order manual")
def set_(
    name: Name,
    routes: MaybeRoutes = None,
    order: Order = None,
    rename: Annotated[str | None, typer.Option(metavar="NAME", help="Another name.")] = None,
    description: Description = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Change what is given, from the next call on; its routes are replaced whole."""
    with reported_errors():
        changes = RoutePlanChanges(
            name=words.if_given(rename, str),
            routes=tuple(routes) if routes else LEAVE,
            order=words.if_given(order, lambda text: words.choice(RouteOrder, text, "order")),
            description=words.if_given(description, str),
        )
    _print(with_services(config, lambda services: services.route_plans.change(name, changes)), as_json=json)


@route_plans_app.command("list", epilog="Example: rating-engine route-plan list")
def list_(
    limit: LimitOption = None, after: AfterOption = None, json: JsonOption = False, config: ConfigOption = None
) -> None:
    """The plans by name; `number` is what MOR's API calls lcr_id."""
    page = with_services(config, lambda services: listed(services.route_plans.page, limit, after))
    if json:
        print_json({"route_plans": [_json(plan) for plan in page.items], **next_json(page)})
        return
    table = Table(Column("number", justify="right"), "plan", "order", "routes", Column("used by", justify="right"))
    for plan in page.items:
        table.add_row(str(plan.plan_id), plan.name, plan.order.value, ", ".join(plan.routes), str(plan.users))
    out.print(table)
    say_next(page)


@route_plans_app.command(epilog="Example: rating-engine route-plan show premium --json")
def show(name: Name, json: JsonOption = False, config: ConfigOption = None) -> None:
    """A plan, and how many tariffs, users and card groups go by it."""
    _print(with_services(config, lambda services: services.route_plans.show(name)), as_json=json)


@route_plans_app.command(epilog="Example: rating-engine route-plan remove premium")
def remove(name: Name, config: ConfigOption = None) -> None:
    """Delete a plan that nothing goes by."""
    with_services(config, lambda services: services.route_plans.remove(name))
    say(f"route plan {name} is gone")


def _print(plan: ListedRoutePlan, *, as_json: bool) -> None:
    if as_json:
        print_json(_json(plan))
        return
    say(f"route plan {plan.name} ({plan.plan_id}): {', '.join(plan.routes) or 'no routes'}, by {plan.order.value}")
    if plan.description:
        say(plan.description)
    say(f"used by {plan.users} tariffs, users and card groups")


def _json(plan: ListedRoutePlan) -> dict[str, Any]:
    return {
        "number": plan.plan_id,
        "route_plan": plan.name,
        "order": plan.order.value,
        "description": plan.description,
        "routes": list(plan.routes),
        "users": plan.users,
    }
