"""`rating-engine card-group …`: what cards of one kind cost, how long they count, and what is told of their money."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Annotated, Any

import typer

from rating_engine.cli import words
from rating_engine.cli.common import ConfigOption, JsonOption, print_json, reported_errors, say, with_services
from rating_engine.cli.lists import AfterOption, LimitOption, listed, next_json, say_next
from rating_engine.domain.card import CardGroup, GroupTerms, NewCardGroup
from rating_engine.rating.money import format_amount

groups_app = typer.Typer(no_args_is_help=True, help="Groups of calling cards: price, fees, validity, what is told.")

Group = Annotated[int, typer.Argument(metavar="GROUP", help="Its number, as `card-group list` has it.")]
Tariff = Annotated[str | None, typer.Option(metavar="TARIFF", help="By which calls of its cards are charged.")]
Description = Annotated[str | None, typer.Option(metavar="TEXT", help="For people.")]
Price = Annotated[str | None, typer.Option(metavar="AMOUNT", help="Of a card, tax included.")]
TaxOption = Annotated[str | None, typer.Option("--tax", metavar="NUMBER|none", help="As `tax list` has it.")]
SetupFee = Annotated[str | None, typer.Option(metavar="AMOUNT", help="At the first use of a card.")]
DailyCharge = Annotated[str | None, typer.Option(metavar="AMOUNT", help="Each day from its first use on.")]
Plan = Annotated[str | None, typer.Option(metavar="PLAN|none", help="How its callers write numbers.")]
From = Annotated[str | None, typer.Option("--valid-from", metavar="WHEN", help="2027-01-01 or with T08:00, UTC.")]
To = Annotated[str | None, typer.Option("--valid-to", metavar="WHEN|none", help="When they count no more.")]
Days = Annotated[str | None, typer.Option("--days", metavar="N", help="So long from its first use; 0: any time.")]
GhostBalance = Annotated[str | None, typer.Option(metavar="PERCENT", help="Of the balance that is told; 100: all.")]
GhostMinutes = Annotated[str | None, typer.Option(metavar="PERCENT", help="That is told more of the minutes; 0: none.")]
TellCents = Annotated[str | None, typer.Option(metavar="yes|no", help="no: whole units are told.")]
TellCurrency = Annotated[str | None, typer.Option(metavar="CODE|none", help="In which the balance is told.")]
MaxCalls = Annotated[str | None, typer.Option(metavar="N|none", help="Of one card at a time; 1 if not given.")]
External = Annotated[str | None, typer.Option(metavar="yes|no", help="Ask [rating-cards-external] before each call.")]
AllowLoss = Annotated[str | None, typer.Option(metavar="yes|no", help="Calls that cost more than they bring.")]
Solo = Annotated[str | None, typer.Option(metavar="yes|no", help="A caller's number opens one card only.")]
NoVoucher = Annotated[str | None, typer.Option("--disable-voucher", metavar="yes|no", help="yes: for calls alone.")]
Leave = Annotated[
    str | None, typer.Option("--callerid-leave", metavar="yes|no", help="Calls show the caller's number.")
]
Hidden = Annotated[str | None, typer.Option(metavar="yes|no", help="Not listed unless asked for.")]
RoutePlan = Annotated[
    str | None, typer.Option(metavar="PLAN|none", help="By which its cards' calls go, in place of the tariff's routes.")
]
Context = Annotated[
    str | None, typer.Option("--dialplan", metavar="CONTEXT", help="Where the exchange's menu goes on.")
]


@groups_app.command(
    epilog="Example: rating-engine card-group create holiday --tariff retail --price 12 --daily-charge 0.10"
)
def create(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    tariff: Annotated[str, typer.Option(metavar="TARIFF", help="By which calls of its cards are charged.")],
    owner: Annotated[str | None, typer.Option(metavar="USER", help="A reseller; the system if not given.")] = None,
    number_length: Annotated[str, typer.Option(metavar="N", help="Digits of a card's number: 6 to 20.")] = "10",
    pin_length: Annotated[str, typer.Option(metavar="N", help="Digits of a PIN: up to 10; 0: cards have none.")] = "4",
    description: Description = None, price: Price = None, tax: TaxOption = None, setup_fee: SetupFee = None,
    daily_charge: DailyCharge = None, numbering_plan: Plan = None, valid_from: From = None, valid_to: To = None,
    days: Days = None, ghost_balance: GhostBalance = None, ghost_minutes: GhostMinutes = None,
    tell_cents: TellCents = None, tell_currency: TellCurrency = None, max_calls: MaxCalls = None,
    external_function: External = None, allow_loss: AllowLoss = None, solo_pinless: Solo = None,
    disable_voucher: NoVoucher = None, callerid_leave: Leave = None, hidden: Hidden = None, dialplan: Context = None,
    route_plan: RoutePlan = None,
    json: JsonOption = False, config: ConfigOption = None,
) -> None:  # fmt: skip
    """Make a group; numbers and PINs of its cards keep their lengths for good."""
    with reported_errors():
        terms = terms_of(
            name=name, tariff=tariff, description=description, price=price, tax=tax, setup_fee=setup_fee,
            daily_charge=daily_charge, numbering_plan=numbering_plan, valid_from=valid_from, valid_to=valid_to,
            days=days, ghost_balance=ghost_balance, ghost_minutes=ghost_minutes, tell_cents=tell_cents,
            tell_currency=tell_currency, max_calls=max_calls, external_function=external_function,
            allow_loss=allow_loss, solo_pinless=solo_pinless, disable_voucher=disable_voucher,
            callerid_leave=callerid_leave, hidden=hidden, dialplan=dialplan, route_plan=route_plan,
        )  # fmt: skip
        lengths = words.whole(number_length, "number_length"), words.whole(pin_length, "pin_length")
        new = NewCardGroup(terms, *lengths, owner)
    _print(with_services(config, lambda services: services.card_groups.add(new)), as_json=json)


@groups_app.command("set", epilog="Example: rating-engine card-group set 2 --price 15 --valid-to none")
def set_(
    group: Group,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="For people.")] = None,
    tariff: Tariff = None,
    description: Description = None, price: Price = None, tax: TaxOption = None, setup_fee: SetupFee = None,
    daily_charge: DailyCharge = None, numbering_plan: Plan = None, valid_from: From = None, valid_to: To = None,
    days: Days = None, ghost_balance: GhostBalance = None, ghost_minutes: GhostMinutes = None,
    tell_cents: TellCents = None, tell_currency: TellCurrency = None, max_calls: MaxCalls = None,
    external_function: External = None, allow_loss: AllowLoss = None, solo_pinless: Solo = None,
    disable_voucher: NoVoucher = None, callerid_leave: Leave = None, hidden: Hidden = None, dialplan: Context = None,
    route_plan: RoutePlan = None,
    json: JsonOption = False, config: ConfigOption = None,
) -> None:  # fmt: skip
    """Set what is given; it counts for the next call of every card of the group."""
    with reported_errors():
        terms = terms_of(
            name=name, tariff=tariff, description=description, price=price, tax=tax, setup_fee=setup_fee,
            daily_charge=daily_charge, numbering_plan=numbering_plan, valid_from=valid_from, valid_to=valid_to,
            days=days, ghost_balance=ghost_balance, ghost_minutes=ghost_minutes, tell_cents=tell_cents,
            tell_currency=tell_currency, max_calls=max_calls, external_function=external_function,
            allow_loss=allow_loss, solo_pinless=solo_pinless, disable_voucher=disable_voucher,
            callerid_leave=callerid_leave, hidden=hidden, dialplan=dialplan, route_plan=route_plan,
        )  # fmt: skip
    _print(with_services(config, lambda services: services.card_groups.change(group, terms)), as_json=json)


@groups_app.command(epilog="Example: rating-engine card-group show 2 --json")
def show(group: Group, json: JsonOption = False, config: ConfigOption = None) -> None:
    """Show a group, how many cards it has, and how many nobody has bought."""
    _print(with_services(config, lambda services: services.card_groups.show(group)), as_json=json)


@groups_app.command("list", epilog="Example: rating-engine card-group list --hidden")
def list_(
    hidden: Annotated[bool, typer.Option("--hidden", help="Hidden ones too.")] = False,
    limit: LimitOption = None,
    after: AfterOption = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List groups, the oldest first."""
    page = with_services(
        config, lambda services: listed(partial(services.card_groups.page, hidden=hidden), limit, after)
    )
    if json:
        print_json({"card_groups": [_json(group) for group in page.items], **next_json(page)})
        return
    for group in page.items:
        say(
            f"{group.group_id}  {group.name}  {format_amount(group.price_with_tax)} {group.currency}, "
            f"{group.free} of {group.cards} cards free, {group.owner}"
        )
    say_next(page)


def terms_of(**given: str | None) -> GroupTerms:
    """What the options mean; None: not given. Raises InvalidRequest."""

    def text(name: str) -> Any:
        return words.if_given(given.get(name), str)

    def amount(name: str) -> Any:
        return words.if_given(given.get(name), partial(words.amount, field=name))

    def flag(name: str) -> Any:
        return words.if_given(given.get(name), partial(words.yes_or_no, field=name))

    def or_none(name: str, read: Any) -> Any:
        return words.unless_none(given.get(name), partial(read, field=name))

    currency = words.unless_none(given.get("tell_currency"), str)
    return GroupTerms(
        name=text("name"), tariff=text("tariff"), description=text("description"), price_with_tax=amount("price"),
        tax_id=or_none("tax", words.whole), setup_fee=amount("setup_fee"), daily_charge=amount("daily_charge"),
        numbering_plan=words.unless_none(given.get("numbering_plan"), str), dialplan=text("dialplan"),
        valid_from=words.if_given(given.get("valid_from"), partial(words.moment, field="valid_from")),
        valid_to=or_none("valid_to", words.moment),
        days_after_first_use=words.if_given(given.get("days"), partial(words.whole, field="days")),
        ghost_balance_percent=amount("ghost_balance"), ghost_min_percent=amount("ghost_minutes"),
        tell_cents=flag("tell_cents"), tell_currency="" if currency is None else currency,
        max_calls=or_none("max_calls", words.whole), external_function=flag("external_function"),
        allow_loss=flag("allow_loss"), solo_pinless=flag("solo_pinless"), disable_voucher=flag("disable_voucher"),
        callerid_leave=flag("callerid_leave"), hidden=flag("hidden"),
        route_plan=words.unless_none(given.get("route_plan"), str),
    )  # fmt: skip


def _json(group: CardGroup) -> dict[str, Any]:
    """Amounts are text."""
    return {"group": group.group_id} | {
        name: _plain(value) for name, value in asdict(group).items() if name not in ("group_id", "owner_id")
    } | {"price_without_tax": format_amount(group.price_without_tax)}  # fmt: skip


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return format_amount(value)
    return value.isoformat(timespec="seconds") if isinstance(value, datetime) else value


def _print(group: CardGroup, *, as_json: bool) -> None:
    if as_json:
        print_json(_json(group))
        return
    for name, value in _json(group).items():
        say(f"{name:22} {'' if value is None else words.plain(value)}")
