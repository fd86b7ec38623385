"""`rating-engine message`: SMS sent, tried and listed, what they cost, and their carriers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Final

import typer
from rich.table import Column, Table

from rating_engine.cli import words
from rating_engine.cli.common import ConfigOption, JsonOption, out, print_json, reported_errors, say, with_services
from rating_engine.cli.lists import AfterOption, LimitOption, listed, next_json, say_next
from rating_engine.domain.message import (
    CarrierOffer,
    Direction,
    Message,
    MessageDimension,
    MessageFilter,
    MessageKind,
    MessagePrice,
    MessageSum,
    NewMessage,
)
from rating_engine.rating.money import format_amount
from rating_engine.services.catalogue import UseCases

USUAL_RANGE: Final = timedelta(days=31)  # of sums, where nobody says

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
    say(f"message {message.number} is {message.state} ({message.carrier}): {_money(message.price, message.currency)}")


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
                "offers": [{n: words.plain(v) for n, v in offer._asdict().items()} for offer in quote.offers],
            }
        )  # fmt: skip
        return
    say(f"{quote.parts} part(s) of {quote.encoding} ({quote.units} units): {_money(quote.price, quote.currency)}")
    told = ", then ".join(_offer_words(offer) for offer in quote.offers)
    say(f"carried by {told}" if told else "no carrier serves the number")


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
        "id", "at", "kind", "state", "from", "to", "parts", Column("price", justify="right"), "carrier",
        Column("cost", justify="right"), Column("margin", justify="right"), "error",
    )  # fmt: skip
    for each in page.items:
        table.add_row(
            str(each.number), f"{each.created_at:%Y-%m-%d %H:%M:%S}", each.kind, each.state, each.sender,
            each.recipient, str(each.parts), _money(each.price, each.currency), each.carrier,
            _money(each.carrier_cost, each.carrier_currency), _money(each.margin, each.margin_currency), each.error,
        )  # fmt: skip
    out.print(table)
    say_next(page)


@messages_app.command(epilog="Example: rating-engine message carriers")
def carriers(json: JsonOption = False, config: ConfigOption = None) -> None:
    """The carriers of the settings (message_carriers), in the order in which they are tried."""
    found = with_services(config, lambda services: services.messages.carriers())
    if json:
        names = ("name", "kinds", "prefixes", "cost_tariff")
        print_json({"carriers": [{name: getattr(each, name) for name in names} for each in found]})
        return
    table = Table("carrier", "takes", "numbers of", "cost")
    for each in found:
        table.add_row(each.name, ", ".join(each.kinds), ", ".join(each.prefixes) or "all", each.cost_tariff or "-")
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


@messages_app.command(epilog="Example: rating-engine message sums --by day --by carrier --from 2026-11-01")
def sums(
    by: Annotated[list[MessageDimension], typer.Option("--by", help="Give it again for a further one.")],
    since: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="Written at or after; a month ago if not given.")
    ] = None,
    until: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Written before; now if not given.")] = None,
    time_zone: Annotated[
        str, typer.Option("--time-zone", metavar="ZONE", help="Of the times given, and of the days that are summed.")
    ] = "UTC",
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """SMS and queries sent: what they brought, what their carriers took, and what that left, by day, kind, carrier or
    login."""
    with reported_errors():
        ends = datetime.now(UTC) if until is None else words.moment(until, "until", time_zone)
        begins = ends - USUAL_RANGE if since is None else words.moment(since, "since", time_zone)
    found = with_services(config, lambda services: services.messages.sums(begins, ends, by, time_zone=time_zone))
    if json:
        print_json({"sums": [_sum_json(one, by) for one in found]})
        return
    right = [Column(name, justify="right") for name in ("messages", "sent", "parts", "sold", "cost", "margin")]
    table = Table(*(dimension.value for dimension in by), *right)
    for one in found:
        table.add_row(
            *(str(getattr(one, dimension)) for dimension in by), f"{one.messages:,}", f"{one.sent:,}", f"{one.parts:,}",
            _money(one.sold, one.currency),
            _money(one.carrier_cost if one.carrier_currency else None, one.carrier_currency),
            _money(one.margin if one.costed else None, one.currency),
        )  # fmt: skip
    out.print(table)


def _sum_json(one: MessageSum, by: list[MessageDimension]) -> dict[str, Any]:
    names = ("currency", "carrier_currency", "messages", "sent", "parts", "sold", "carrier_cost", "costed", "margin")
    return {name: words.plain(getattr(one, name)) for name in (*(dimension.value for dimension in by), *names)}


def _money(amount: Decimal | None, currency: str) -> str:
    return "-" if amount is None else f"{format_amount(amount)} {currency}".strip()


def _offer_words(offer: CarrierOffer) -> str:
    if offer.cost is None:
        return offer.carrier
    return f"{offer.carrier} (costs {_money(offer.cost, offer.currency)}, leaves {_money(offer.margin, '')})"


def message_json(message: Message) -> dict[str, Any]:
    """A message without its text, which is its owner's."""
    return {
        "id": message.number, "kind": message.kind, "direction": message.direction, "state": message.state,
        "login": message.login, "from": message.sender, "to": message.recipient, "encoding": message.encoding,
        "parts": message.parts, "price": message.price, "currency": message.currency, "carrier": message.carrier,
        "carrier_id": message.carrier_id, "carrier_cost": message.carrier_cost,
        "carrier_currency": message.carrier_currency, "margin": message.margin,
        "margin_currency": message.margin_currency, "error": message.error, "at": message.created_at,
    }  # fmt: skip
