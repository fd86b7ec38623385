"""`rating-engine card …`: calling cards, made in ranges, sold, and changed one by one."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

import typer

from rating_engine.cli import words
from rating_engine.cli.common import ConfigOption, JsonOption, print_json, reported_errors, say, with_services
from rating_engine.cli.lists import AfterOption, LimitOption, listed, next_json, say_next
from rating_engine.domain.card import Card, CardChanges, CardFilter, CardSale, NewCards
from rating_engine.domain.change import Leave
from rating_engine.rating.money import format_amount

cards_app = typer.Typer(no_args_is_help=True, help="Calling cards: numbers and PINs that carry money to call by.")

Number = Annotated[int, typer.Argument(metavar="CARD", help="Its number in lists, not the one on it.")]
Group = Annotated[int, typer.Argument(metavar="GROUP", help="As `card-group list` has it.")]


@cards_app.command(epilog="Example: rating-engine card create 2 1000000000 1000000099 --batch spring --language de")
def create(
    group: Group,
    first: Annotated[str, typer.Argument(metavar="FIRST", help="The first number, of the group's length.")],
    last: Annotated[str, typer.Argument(metavar="LAST", help="The last one; 10,000 at a time.")],
    batch: Annotated[str, typer.Option(metavar="TEXT", help="A word for cards made together.")] = "",
    min_balance: Annotated[str, typer.Option(metavar="AMOUNT", help="With less nobody calls by them.")] = "0",
    language: Annotated[str, typer.Option(metavar="CODE", help="Of what callers hear, as de.")] = "",
    distributor: Annotated[str | None, typer.Option(metavar="USER", help="Who hands them out.")] = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Make cards, each with a PIN of its own; they carry nothing until they are sold."""
    with reported_errors():
        new = NewCards(group, first, last, batch, words.amount(min_balance, "min_balance"), language, distributor)
    made = with_services(config, lambda services: services.cards.create(new))
    if json:
        print_json({"made": made.made, "asked": made.asked})
    else:
        say(f"{made.made} of {made.asked} cards made")


@cards_app.command(
    epilog="Example: rating-engine card sell 2 --quantity 3 --email anna@example.org --reference till-1-77"
)
def sell(
    group: Group,
    quantity: Annotated[str, typer.Option(metavar="N", help="So many free ones, or none.")] = "1",
    number: Annotated[str | None, typer.Option(metavar="NUMBER", help="That card, and no other.")] = None,
    email: Annotated[str, typer.Option(metavar="ADDRESS", help="Where numbers and PINs are mailed to.")] = "",
    reference: Annotated[str | None, typer.Option(metavar="TEXT", help="Said again: the same cards, once.")] = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Sell free cards of a group: each is given its price without tax, and numbers and PINs are printed."""
    with reported_errors():
        wanted = CardSale(group, words.whole(quantity, "quantity"), number, email, reference)
    sold = with_services(config, lambda services: services.card_sales.sell(wanted))
    if json:
        print_json({"sale": sold.sale_id, "price": format_amount(sold.price), "net": format_amount(sold.net),
                    "currency": sold.currency, "cards": [_json(card) for card in sold.cards]})  # fmt: skip
        return
    for card in sold.cards:
        say(f"{card.number}  {card.pin}".rstrip())
    say(f"sale {sold.sale_id}: {len(sold.cards)} at {format_amount(sold.price)} {sold.currency}")


@cards_app.command("list", epilog="Example: rating-engine card list --group 2 --sold no --json")
def list_(
    group: Annotated[int | None, typer.Option(metavar="GROUP", help="Of that group.")] = None,
    number: Annotated[str | None, typer.Option(metavar="NUMBER", help="Whole.")] = None,
    batch: Annotated[str | None, typer.Option(metavar="TEXT", help="A word for cards made together.")] = None,
    callerid: Annotated[str | None, typer.Option(metavar="NUMBER", help="That opens them.")] = None,
    sold: Annotated[str | None, typer.Option(metavar="yes|no", help="Whether somebody has bought them.")] = None,
    distributor: Annotated[str | None, typer.Option(metavar="USER", help="Who hands them out.")] = None,
    limit: LimitOption = None,
    after: AfterOption = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List cards, the oldest first; PINs with --json alone."""
    with reported_errors():
        is_sold = None if sold is None else words.yes_or_no(sold, "sold")
    wanted = CardFilter(group, number, batch=batch, callerid=callerid, sold=is_sold, distributor=distributor)
    page = with_services(config, lambda services: listed(partial(services.cards.page, wanted), limit, after))
    if json:
        print_json({"cards": [_json(card) for card in page.items], **next_json(page)})
        return
    for card in page.items:
        state = "blocked" if card.blocked else "used" if card.line else "sold" if card.sold_at else "free"
        number_ = card.number or "(its key is not there)"
        say(f"{card.card_id}  {number_}  {format_amount(card.balance)} {card.currency}, {state}, {card.group}")
    say_next(page)


@cards_app.command(epilog="Example: rating-engine card show 7")
def show(card: Number, json: JsonOption = False, config: ConfigOption = None) -> None:
    """Show a card, with its PIN."""
    _print(with_services(config, lambda services: services.cards.show(card)), as_json=json)


@cards_app.command("set", epilog="Example: rating-engine card set 7 --callerid 4930123456 --language de")
def set_(
    card: Number,
    number: Annotated[str | None, typer.Option(metavar="NUMBER", help="The one on it, of the group's length.")] = None,
    pin: Annotated[str | None, typer.Option(metavar="PIN", help="Of the group's length.")] = None,
    name: Annotated[str | None, typer.Option(metavar="TEXT", help="For people.")] = None,
    batch: Annotated[str | None, typer.Option(metavar="TEXT", help="A word for cards made together.")] = None,
    callerid: Annotated[str | None, typer.Option(metavar="NUMBER|none", help="Opens the card without a PIN.")] = None,
    min_balance: Annotated[str | None, typer.Option(metavar="AMOUNT", help="With less nobody calls by it.")] = None,
    daily_paid_to: Annotated[str | None, typer.Option(metavar="WHEN", help="No daily charge until then.")] = None,
    language: Annotated[str | None, typer.Option(metavar="CODE|none", help="Of what its caller hears.")] = None,
    distributor: Annotated[str | None, typer.Option(metavar="USER|none", help="Who hands it out.")] = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Set what is given."""
    with reported_errors():
        changes = CardChanges(
            number=words.if_given(number, str), pin=words.if_given(pin, str), name=words.if_given(name, str),
            batch=words.if_given(batch, str), callerid=_or_empty(callerid),
            min_balance=words.if_given(min_balance, partial(words.amount, field="min_balance")),
            daily_paid_to=words.if_given(daily_paid_to, partial(words.moment, field="daily_paid_to")),
            language=_or_empty(language), distributor=words.unless_none(distributor, str),
        )  # fmt: skip
    _print(with_services(config, lambda services: services.cards.change(card, changes)), as_json=json)


@cards_app.command(epilog="Example: rating-engine card pay 7 5 --reference till-1-78")
def pay(
    card: Number,
    amount: Annotated[str, typer.Argument(metavar="AMOUNT", help="In the card's currency, tax not included.")],
    reference: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Posted once, however often it is said.")
    ] = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Give a sold card more money."""
    with reported_errors():
        value = words.amount(amount, "amount")
    _print(with_services(config, lambda services: services.cards.pay(card, value, reference=reference)), as_json=json)


@cards_app.command(epilog="Example: rating-engine card block 7")
def block(card: Number, json: JsonOption = False, config: ConfigOption = None) -> None:
    """Let nobody call by a card; calls that run go on."""
    _print(with_services(config, lambda services: services.cards.set_blocked(card, blocked=True)), as_json=json)


@cards_app.command(epilog="Example: rating-engine card unblock 7")
def unblock(card: Number, json: JsonOption = False, config: ConfigOption = None) -> None:
    """Let a card be used again; the days between cost nothing."""
    _print(with_services(config, lambda services: services.cards.set_blocked(card, blocked=False)), as_json=json)


@cards_app.command(epilog="Example: rating-engine card delete 7")
def delete(card: Number, config: ConfigOption = None) -> None:
    """Delete a card that nobody has bought."""
    with_services(config, lambda services: services.cards.delete(card))
    say("the card is deleted")


def _or_empty(text: str | None) -> str | Leave:
    """`none` takes a text away."""
    value = words.unless_none(text, str)
    return "" if value is None else value


def _json(card: Card) -> dict[str, Any]:
    """Amounts are text."""
    return {
        "card": card.card_id, "group": card.group_id, "number": card.number, "pin": card.pin, "name": card.name,
        "batch": card.batch, "callerid": card.callerid, "balance": format_amount(card.balance),
        "currency": card.currency, "min_balance": format_amount(card.min_balance),
        "sold_at": None if card.sold_at is None else card.sold_at.isoformat(timespec="seconds"),
        "first_used_at": None if card.first_used_at is None else card.first_used_at.isoformat(timespec="seconds"),
        "daily_paid_to": card.daily_paid_to.isoformat(timespec="seconds"), "language": card.language,
        "distributor": card.distributor, "blocked": card.blocked, "line": card.line,
    }  # fmt: skip


def _print(card: Card, *, as_json: bool) -> None:
    if as_json:
        print_json(_json(card))
        return
    for name, value in _json(card).items():
        say(f"{name:14} {'' if value is None else words.plain(value)}")
