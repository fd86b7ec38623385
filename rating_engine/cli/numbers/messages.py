"""`rating-engine message`: SMS sent, tried and listed, what they cost, and their carriers."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.table import Column, Table

from rating_engine.cli import words
from rating_engine.cli.common import ConfigOption, JsonOption, out, print_json, reported_errors, say, with_services
from rating_engine.cli.lists import AfterOption, LimitOption, listed, next_json, say_next
from rating_engine.domain.message import Direction, Message, MessageFilter, MessageKind, MessagePrice, NewMessage
from rating_engine.services.catalogue import UseCases

messages_app = typer.Typer(no_args_is_help=True, help="SMS: sent, tried and listed; their prices and carriers.")

Login = Annotated[str, typer.Argument(metavar="LOGIN", help="The line that sends, and whose account pays.")]
To = Annotated[str, typer.Argument(metavar="NUMBER", help="Digits, the country first: 4915112345678.")]
Text = Annotated[str, typer.Argument(metavar="TEXT", help="What it says.")]
Sender = Annotated[str | None, typer.Option("--from", metavar="SENDER", help="A number, or up to 11 letters.")]
Tariff = Annotated[str, typer.Argument(metavar="TARIFF", help="Its name.")]
Prefix = Annotated[str, typer.Option("--prefix", metavar="DIGITS", help="Of the numbers; every number if not given.")]
Kind = Annotated[str, typer.Option("--kind", help="sms (a part) or hlr (a query).")]


@messages_app.command(epilog='Example: rating-engine message send 1001 4915112345678 "Your order is ready"')
def send(
    login: Login,
    number: To,
    text: Text,
    sender: Sender = None,
    reference: Annotated[
        str | None, typer.Option("--reference", metavar="NAME", help="The same again is the same message.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Send an SMS; its price is taken first, and given back where no carrier takes it."""
    with reported_errors():
        new = NewMessage(login, number, text, sender, reference)
    message = with_services(config, lambda services: services.messages.send(new))
    say(f"message {message.number} is {message.state} ({message.carrier}): {message.price} {message.currency}")


@messages_app.command("try", epilog='Example: rating-engine message try 1001 4915112345678 "Grüße aus Berlin"')
def try_(
    login: Login, number: To, text: Text, sender: Sender = None, json: JsonOption = False, config: ConfigOption = None
) -> None:
    """What an SMS would take and cost now, and who would carry it; nothing is sent."""
    with reported_errors():
        new = NewMessage(login, number, text, sender)
    quote = with_services(config, lambda services: services.messages.quote(new))
    if json:
        print_json(
            {
                "encoding": quote.encoding, "units": quote.units, "parts": quote.parts, "price": quote.price,
                "currency": quote.currency, "carriers": list(quote.carriers),
            }
        )  # fmt: skip
        return
    say(f"{quote.parts} part(s) of {quote.encoding} ({quote.units} units): {quote.price} {quote.currency}")
    say(f"carried by {', then '.join(quote.carriers)}" if quote.carriers else "no carrier serves the number")


@messages_app.command("list", epilog="Example: rating-engine message list --login 1001 --limit 20")
def list_(
    login: Annotated[str | None, typer.Option("--login", metavar="LOGIN", help="Of this line alone.")] = None,
    owner: Annotated[str | None, typer.Option("--owner", metavar="USER", help="Of a user and all below.")] = None,
    direction: Annotated[str | None, typer.Option("--direction", help="in or out; both if not given.")] = None,
    limit: LimitOption = None,
    after: AfterOption = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Messages, the latest first, and what became of them."""
    with reported_errors():
        way = None if direction is None else words.choice(Direction, direction, "direction")
    wanted = MessageFilter(direction=way, login=login, owner=owner)
    page = with_services(
        config, lambda services: listed(lambda cursor: services.messages.page(wanted, cursor), limit, after)
    )
    if json:
        print_json({"messages": [message_json(each) for each in page.items], **next_json(page)})
        return
    table = Table(
        "id", "at", "kind", "state", "from", "to", "parts", Column("price", justify="right"), "carrier", "error"
    )  # fmt: skip
    for each in page.items:
        table.add_row(
            str(each.number), f"{each.created_at:%Y-%m-%d %H:%M:%S}", each.kind, each.state, each.sender,
            each.recipient, str(each.parts), f"{each.price} {each.currency}".strip(), each.carrier, each.error,
        )  # fmt: skip
    out.print(table)
    say_next(page)


@messages_app.command(epilog="Example: rating-engine message carriers")
def carriers(json: JsonOption = False, config: ConfigOption = None) -> None:
    """The carriers of the settings (message_carriers), in the order in which they are tried."""
    found = with_services(config, lambda services: services.messages.carriers())
    if json:
        print_json({"carriers": [{"name": c.name, "kinds": c.kinds, "prefixes": c.prefixes} for c in found]})
        return
    table = Table("carrier", "takes", "numbers of")
    for each in found:
        table.add_row(each.name, ", ".join(each.kinds), ", ".join(each.prefixes) or "all")
    out.print(table)


@messages_app.command(epilog="Example: rating-engine message price retail 0.07 --prefix 49")
def price(
    tariff: Tariff,
    amount: Annotated[str, typer.Argument(metavar="AMOUNT", help="In the tariff's currency; `none`: no price.")],
    prefix: Prefix = "",
    kind: Kind = "sms",
    config: ConfigOption = None,
) -> None:
    """What a tariff takes for each part to a prefix; where it has none, nothing is sent."""
    with reported_errors():
        what = words.choice(MessageKind, kind, "kind")
        cost = None if amount == "none" else words.amount(amount, "amount")

    async def work(services: UseCases) -> None:
        tariff_id = await services.message_prices.tariff_named(tariff)
        if cost is None:
            await services.message_prices.remove(tariff_id, what, prefix)
        else:
            await services.message_prices.set(tariff_id, MessagePrice(what, prefix, cost))

    with_services(config, work)
    say(f"{tariff}: {what} to {prefix or 'every number'}: {'no price' if cost is None else cost}")


@messages_app.command(epilog="Example: rating-engine message prices retail")
def prices(
    tariff: Tariff,
    limit: LimitOption = None,
    after: AfterOption = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """What a tariff takes for messages; the longest prefix counts."""

    async def work(services: UseCases) -> Any:
        tariff_id = await services.message_prices.tariff_named(tariff)
        return await listed(lambda cursor: services.message_prices.page(tariff_id, cursor), limit, after)

    page = with_services(config, work)
    if json:
        found = [{"kind": each.kind, "prefix": each.prefix, "price": each.price} for each in page.items]
        print_json({"prices": found, **next_json(page)})
        return
    table = Table("kind", "prefix", Column("price", justify="right"))
    for each in page.items:
        table.add_row(each.kind, each.prefix or "all", str(each.price))
    out.print(table)
    say_next(page)


def message_json(message: Message) -> dict[str, Any]:
    """A message without its text, which is its owner's."""
    return {
        "id": message.number, "kind": message.kind, "direction": message.direction, "state": message.state,
        "login": message.login, "from": message.sender, "to": message.recipient, "encoding": message.encoding,
        "parts": message.parts, "price": message.price, "currency": message.currency, "carrier": message.carrier,
        "carrier_id": message.carrier_id, "error": message.error, "at": message.created_at,
    }  # fmt: skip
