"""`rating-engine code …`: codes that carry money to whoever activates them, or invite somebody to register."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

import typer

from rating_engine.cli import words
from rating_engine.cli.common import ConfigOption, JsonOption, print_json, reported_errors, say, with_services
from rating_engine.domain.code import NewCode
from rating_engine.domain.page import MAX_LIMIT, Cursor
from rating_engine.rating.money import format_amount

codes_app = typer.Typer(
    help="Codes that carry money to whoever activates them, or invite somebody to register.", no_args_is_help=True
)

User = Annotated[str, typer.Argument(metavar="USER", help="Who makes the code: the login of a user.")]
Number = Annotated[str, typer.Argument(metavar="CODE", help="Its 16 digits.")]


@codes_app.command(epilog="Example: rating-engine code create firm --balance 10")
def create(
    user: User,
    balance: Annotated[str, typer.Option(metavar="AMOUNT", help="Taken from the user's own account.")] = "0",
    level: Annotated[str, typer.Option(metavar="LEVEL", help="Of who registers by it: 10, 11, 22 or 25.")] = "10",
    target: Annotated[str, typer.Option(metavar="USER", help="Who alone may activate it; anybody if not given.")] = "",
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Make a code with money of a user's account; the code is printed, and shown later to who made it alone."""
    with reported_errors():
        amount: Decimal = words.amount(balance, "balance")
        new = NewCode(amount, words.whole(level, "level"), target)
    number = with_services(config, lambda services: services.codes.create(user, new))
    if json:
        print_json({"code": number, "balance": format_amount(amount)})
    else:
        say(number)


@codes_app.command("list", epilog="Example: rating-engine code list firm --unused --json")
def list_(
    user: User,
    unused: Annotated[bool, typer.Option("--unused", help="Only those that nobody has activated.")] = False,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List codes that a user made, the oldest first."""
    page = with_services(
        config, lambda services: services.codes.page(Cursor(MAX_LIMIT), who=user, unused=unused)
    )  # fmt: skip
    if json:
        print_json({"codes": [
            {"code": code.number, "balance": format_amount(code.balance), "currency": code.currency,
             "level": int(code.level), "target": code.target, "activated_by": code.activated_by,
             "created_at": code.created_at.isoformat(timespec="seconds")}
            for code in page.items
        ]})  # fmt: skip
        return
    for code in page.items:
        used = f", activated by {code.activated_by}" if code.activated_by else ""
        say(f"{code.number or '(its key is not there)'}  {format_amount(code.balance)} {code.currency}{used}")
    if page.next is not None:
        say(f"and more than {MAX_LIMIT}")


@codes_app.command(epilog="Example: rating-engine code activate anna 1234567812345678")
def activate(user: User, number: Number, config: ConfigOption = None) -> None:
    """Move all money of a code into a user's account."""
    done = with_services(config, lambda services: services.codes.activate(user, number))
    say(f"{format_amount(done.amount_to)} {done.currency_to} for {user}")


@codes_app.command(epilog="Example: rating-engine code delete firm 1234567812345678")
def delete(user: User, number: Number, config: ConfigOption = None) -> None:
    """Delete a code that nobody activated; its money goes back."""
    with_services(config, lambda services: services.codes.delete(user, number))
    say("the code is deleted")
