"""`rating-engine tax …`: percents that prices include."""

from __future__ import annotations

from typing import Annotated

import typer

from rating_engine.cli import words
from rating_engine.cli.common import ConfigOption, JsonOption, print_json, reported_errors, say, with_services
from rating_engine.cli.lists import listed
from rating_engine.domain.tax import Tax
from rating_engine.rating.money import format_amount

taxes_app = typer.Typer(no_args_is_help=True, help="Taxes: percents that prices of cards and invoices include.")


@taxes_app.command(epilog="Example: rating-engine tax add vat 19")
def add(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    percent: Annotated[str, typer.Argument(metavar="PERCENT", help="Of the price without it.")],
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """One more tax; its number is what groups of cards name it by."""
    with reported_errors():
        new = Tax(name, words.amount(percent, "percent"))
    tax_id = with_services(config, lambda services: services.taxes.add(new))
    if json:
        print_json({"tax": tax_id, "name": name, "percent": format_amount(new.percent)})
    else:
        say(f"tax {tax_id}: {name}, {format_amount(new.percent)} percent")


@taxes_app.command("list", epilog="Example: rating-engine tax list --json")
def list_(json: JsonOption = False, config: ConfigOption = None) -> None:
    """List taxes, the oldest first."""
    page = with_services(config, lambda services: listed(services.taxes.page))
    if json:
        print_json({"taxes": [
            {"tax": tax.tax_id, "name": tax.name, "percent": format_amount(tax.percent)} for tax in page.items
        ]})  # fmt: skip
        return
    for tax in page.items:
        say(f"{tax.tax_id}  {tax.name}  {format_amount(tax.percent)} percent")


@taxes_app.command(epilog="Example: rating-engine tax remove 1")
def remove(
    tax: Annotated[int, typer.Argument(metavar="NUMBER", help="As `tax list` has it.")], config: ConfigOption = None
) -> None:
    """Forget a tax that nothing has any more."""
    with_services(config, lambda services: services.taxes.remove(tax))
    say("the tax is removed")
