"""`rating-engine subscription`: who takes which service, and what is due."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import typer
from rich.table import Table

from rating_engine.cli import words
from rating_engine.cli.common import ConfigOption, JsonOption, out, print_json, reported_errors, say, with_services
from rating_engine.cli.lists import AfterOption, LimitOption, listed, next_json, say_next
from rating_engine.cli.parties.paid_services import price_words
from rating_engine.domain.subscription import (
    MoneyBack,
    NewSubscription,
    Subscription,
    SubscriptionChanges,
    SubscriptionFilter,
)
from rating_engine.rating.money import format_amount

subscriptions_app = typer.Typer(no_args_is_help=True, help="Who takes which service; what is due is taken by itself.")

Number = Annotated[int, typer.Argument(metavar="ID", help="As `subscription list` shows it.")]
Memo = Annotated[str | None, typer.Option("--memo", help="For people.")]
Since = Annotated[str | None, typer.Option("--from", metavar="MOMENT", help="When it begins; now.")]
Until = Annotated[str | None, typer.Option("--to", metavar="MOMENT", help="When it ends; none: until it is ended.")]
ByCalendar = Annotated[
    str | None,
    typer.Option(
        "--calendar", metavar="yes|no", help="Periods of the calendar, the first by its share; else whole ones."
    ),
]


@subscriptions_app.command(epilog="Example: rating-engine subscription add 3 anna --line 1001 --memo order-17")
def add(
    service: Annotated[int, typer.Argument(metavar="SERVICE", help="As `service list` shows it.")],
    user: Annotated[str, typer.Argument(metavar="USER", help="Who takes it, and pays.")],
    line: Annotated[
        str | None, typer.Option("--line", metavar="LOGIN", help="Whose account pays, and who has a flat rate.")
    ] = None,
    number: Annotated[str | None, typer.Option("--number", help="A number of the user that it is for.")] = None,
    memo: Memo = None,
    since: Since = None,
    until: Until = None,
    calendar: ByCalendar = None,
    owed: Annotated[
        bool, typer.Option("--owed", help="Begin it also where the money is not there: it is owed then.")
    ] = False,
    reference: Annotated[
        str | None, typer.Option("--reference", help="Asked again with the same one, it is done once.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Let a user take a service; its setup price and the first period are taken at once."""
    with reported_errors():
        new = NewSubscription(
            user,
            service,
            line,
            number,
            memo or "",
            None if since is None else words.moment(since, "since"),
            None if until in (None, words.NONE) else words.moment(str(until), "ends_at"),
            words.yes_or_no(calendar or "no", "calendar"),
            not owed,
            reference,
        )
    _say(with_services(config, lambda services: services.subscriptions.subscribe(new)))


@subscriptions_app.command("list", epilog="Example: rating-engine subscription list --user anna")
def list_(
    user: Annotated[str | None, typer.Option("--user", metavar="USER", help="Whose.")] = None,
    service: Annotated[int | None, typer.Option("--service", metavar="ID", help="Of which service.")] = None,
    limit: LimitOption = None,
    after: AfterOption = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Subscriptions, and how far they are paid."""
    wanted = SubscriptionFilter(user, service)
    page = with_services(
        config, lambda services: listed(lambda cursor: services.subscriptions.page(wanted, cursor), limit, after)
    )
    if json:
        print_json({"subscriptions": [subscription_json(each) for each in page.items], **next_json(page)})
        return
    table = Table("id", "user", "for", "service", "price", "state", "from", "to", "paid to", "memo")
    for each in page.items:
        table.add_row(
            str(each.subscription_id), each.owner, each.number or each.line or "", each.service.name,
            price_words(each.service), each.state, _moment(each.starts_at), _moment(each.ends_at),
            _moment(each.paid_to, "for good"), each.memo,
        )  # fmt: skip
    out.print(table)
    say_next(page)


@subscriptions_app.command(epilog="Example: rating-engine subscription show 17 --json")
def show(number: Number, json: JsonOption = False, config: ConfigOption = None) -> None:
    """One subscription."""
    found = with_services(config, lambda services: services.subscriptions.show(number))
    if json:
        print_json(subscription_json(found))
    else:
        _say(found)


@subscriptions_app.command("set", epilog="Example: rating-engine subscription set 17 --to 2026-12-31")
def set_(
    number: Number, memo: Memo = None, since: Since = None, until: Until = None, calendar: ByCalendar = None,
    config: ConfigOption = None,
) -> None:  # fmt: skip
    """Change a subscription; what is charged stays charged."""
    with reported_errors():
        changes = SubscriptionChanges(
            words.if_given(memo, str),
            words.if_given(since, lambda text: words.moment(text, "starts_at")),
            words.unless_none(until, lambda text: words.moment(text, "ends_at")),
            words.if_given(calendar, lambda text: words.yes_or_no(text, "calendar")),
        )
    _say(with_services(config, lambda services: services.subscriptions.change(number, changes)))


@subscriptions_app.command(epilog="Example: rating-engine subscription end 17 --money-back rest")
def end(
    number: Number,
    money_back: Annotated[
        str, typer.Option("--money-back", help="none, rest (of the period that is paid), or all it ever cost.")
    ] = "none",
    remove: Annotated[bool, typer.Option("--remove", help="And list it no more.")] = False,
    config: ConfigOption = None,
) -> None:
    """End a subscription now."""
    with reported_errors():
        back = words.choice(MoneyBack, money_back, "money_back")
    given_back = with_services(
        config, lambda services: services.subscriptions.end(number, remove=remove, money_back=back)
    )
    say(f"subscription {number} has ended; given back: {format_amount(given_back)}")


@subscriptions_app.command(epilog="Example: rating-engine subscription turn")
def turn(config: ConfigOption = None) -> None:
    """Take what is due now, as the leading engine does each minute."""
    done = with_services(config, lambda services: services.subscriptions.turn())
    say(f"{done.charged} periods charged, {done.unpaid} without money, {done.ended} ended")


def subscription_json(found: Subscription) -> dict[str, Any]:
    """A subscription as JSON has it."""
    return {
        "id": found.subscription_id, "user": found.owner, "line": found.line, "number": found.number,
        "service": found.service.service_id, "service_name": found.service.name, "state": found.state,
        "from": found.starts_at.isoformat(), "to": _iso(found.ends_at), "paid_to": _iso(found.paid_to),
        "calendar": found.is_calendar, "memo": found.memo,
    }  # fmt: skip


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _moment(moment: datetime | None, none: str = "") -> str:
    return none if moment is None else moment.strftime("%Y-%m-%d %H:%M:%SZ")


def _say(found: Subscription) -> None:
    paid = _moment(found.paid_to, "for good")
    say(f"subscription {found.subscription_id}: {found.service.name!r} of {found.owner}, {found.state}, paid to {paid}")
