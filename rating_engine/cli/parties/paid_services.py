"""`rating-engine service`: what is paid for besides calls."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.table import Column, Table

from rating_engine.cli import words
from rating_engine.cli.common import ConfigOption, JsonOption, out, print_json, reported_errors, say, with_services
from rating_engine.cli.lists import AfterOption, LimitOption, listed, next_json, say_next
from rating_engine.domain.subscription import NewService, Period, Service, ServiceChanges, ServiceKind
from rating_engine.rating.money import format_amount

services_app = typer.Typer(no_args_is_help=True, help="What is paid for besides calls, and what it costs.")

Number = Annotated[int, typer.Argument(metavar="ID", help="As `service list` shows it.")]
Price = Annotated[str | None, typer.Option("--price", metavar="AMOUNT", help="Of a period, or once.")]
PeriodOption = Annotated[str | None, typer.Option("--period", help="day, week, month or year.")]
Setup = Annotated[str | None, typer.Option("--setup", metavar="AMOUNT", help="Once, to begin with.")]
SelfCost = Annotated[str | None, typer.Option("--self-cost", metavar="AMOUNT", help="What it costs us, for reports.")]
Quantity = Annotated[str | None, typer.Option("--quantity", metavar="N", help="So many times the price.")]
Grace = Annotated[
    str | None,
    typer.Option("--grace-days", metavar="N", help="Ends when unpaid for so long; none: it waits, and owes."),
]
Public = Annotated[str | None, typer.Option("--public", metavar="yes|no", help="Whether users may take it themselves.")]


@services_app.command(epilog='Example: rating-engine service add "Fax mailbox" --price 2.50 --setup 5')
def add(
    name: Annotated[str, typer.Argument(help="As it stands on invoices.")],
    price: Price = None,
    kind: Annotated[
        str, typer.Option("--kind", help="periodic, one_time, or flat_rate (minutes of a line).")
    ] = "periodic",
    period: PeriodOption = None,
    setup: Setup = None,
    self_cost: SelfCost = None,
    quantity: Quantity = None,
    currency: Annotated[str | None, typer.Option("--currency", metavar="CODE", help="Of prices; the system's.")] = None,
    minutes: Annotated[
        str | None, typer.Option("--minutes", metavar="N", help="Of a flat rate: free ones a month, to everywhere.")
    ] = None,
    option: Annotated[
        str | None,
        typer.Option("--option", metavar="TARIFF", help="Of a flat rate: or the option a line has meanwhile."),
    ] = None,
    grace: Grace = None,
    public: Public = None,
    config: ConfigOption = None,
) -> None:
    """Make a service; `subscription add` gives it to a user."""
    with reported_errors():
        new = NewService(
            name,
            words.choice(ServiceKind, kind, "kind"),
            words.amount(price or "0", "price"),
            words.choice(Period, period or "month", "period"),
            words.amount(setup or "0", "setup_price"),
            words.amount(self_cost or "0", "self_cost"),
            words.whole(quantity or "1", "quantity"),
            currency,
            None if minutes is None else words.whole(minutes, "minutes"),
            option,
            None if grace in (None, words.NONE) else words.whole(str(grace), "grace_days"),
            words.yes_or_no(public or "no", "public"),
        )
    _say(with_services(config, lambda services: services.paid_services.add(new)))


@services_app.command("list", epilog="Example: rating-engine service list --json")
def list_(
    limit: LimitOption = None, after: AfterOption = None, json: JsonOption = False, config: ConfigOption = None
) -> None:
    """Services and their prices."""
    page = with_services(config, lambda services: listed(services.paid_services.page, limit, after))
    if json:
        print_json({"services": [service_json(each) for each in page.items], **next_json(page)})
        return
    table = Table("id", "name", "kind", Column("price", justify="right"), Column("setup", justify="right"), "public")
    for each in page.items:
        table.add_row(
            str(each.service_id), each.name, each.kind, price_words(each),
            f"{format_amount(each.setup_price)} {each.currency}", "yes" if each.is_public else "no",
        )  # fmt: skip
    out.print(table)
    say_next(page)


@services_app.command(epilog="Example: rating-engine service show 3 --json")
def show(number: Number, json: JsonOption = False, config: ConfigOption = None) -> None:
    """One service."""
    service = with_services(config, lambda services: services.paid_services.show(number))
    if json:
        print_json(service_json(service))
    else:
        _say(service)


@services_app.command("set", epilog="Example: rating-engine service set 3 --price 3.00 --public yes")
def set_(
    number: Number,
    name: Annotated[str | None, typer.Option("--name", help="As it stands on invoices.")] = None,
    price: Price = None,
    period: PeriodOption = None,
    setup: Setup = None,
    self_cost: SelfCost = None,
    quantity: Quantity = None,
    grace: Grace = None,
    public: Public = None,
    config: ConfigOption = None,
) -> None:
    """Change a service, from the next period of everybody who has it on."""
    with reported_errors():
        changes = ServiceChanges(
            words.if_given(name, str),
            words.if_given(price, lambda text: words.amount(text, "price")),
            words.if_given(period, lambda text: words.choice(Period, text, "period")),
            words.if_given(setup, lambda text: words.amount(text, "setup_price")),
            words.if_given(self_cost, lambda text: words.amount(text, "self_cost")),
            words.if_given(quantity, lambda text: words.whole(text, "quantity")),
            words.unless_none(grace, lambda text: words.whole(text, "grace_days")),
            words.if_given(public, lambda text: words.yes_or_no(text, "public")),
        )
    _say(with_services(config, lambda services: services.paid_services.change(number, changes)))


@services_app.command(epilog="Example: rating-engine service remove 3")
def remove(number: Number, config: ConfigOption = None) -> None:
    """Remove a service that nobody has any more; what was charged for it stays."""
    with_services(config, lambda services: services.paid_services.remove(number))
    say(f"service {number} is removed")


def price_words(service: Service) -> str:
    """Its price as people say it: 2.5 EUR a month."""
    price = f"{format_amount(service.cost)} {service.currency}"
    return f"{price} once" if service.kind is ServiceKind.ONE_TIME else f"{price} a {service.period}"


def service_json(service: Service) -> dict[str, Any]:
    """A service as JSON has it."""
    return {
        "id": service.service_id, "owner": service.owner, "name": service.name, "kind": service.kind,
        "period": service.period, "price": str(service.price), "setup_price": str(service.setup_price),
        "self_cost": str(service.self_cost), "quantity": service.quantity, "currency": service.currency,
        "minutes": service.minutes, "option": service.option, "grace_days": service.grace_days,
        "public": service.is_public,
    }  # fmt: skip


def _say(service: Service) -> None:
    say(f"service {service.service_id} {service.name!r}: {service.kind}, {price_words(service)}")
