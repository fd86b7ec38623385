"""`rating-engine account tariff`: change to another tariff; and `rating-engine option`."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.table import Table

from rating_engine.cli import words
from rating_engine.cli.common import EXIT_FAILED, ConfigOption, JsonOption, err, out, print_json, say, with_services
from rating_engine.cli.hints import problem_of
from rating_engine.cli.lists import AfterOption, LimitOption, listed, next_json, say_next
from rating_engine.cli.tariffs.tariff_words import yes_no
from rating_engine.cli.terminal import styled
from rating_engine.domain.errors import Hint, RatingEngineError
from rating_engine.domain.tariff_card import ListedOption, Switched, SwitchOutcome
from rating_engine.rating.money import format_amount
from rating_engine.services.catalogue import UseCases

options_app = typer.Typer(no_args_is_help=True, help="Options: tariffs that a login has beside its own.")

Login = Annotated[str, typer.Argument(metavar="LOGIN")]
Option = Annotated[str, typer.Argument(metavar="OPTION", help="A tariff that is an option.")]
Reference = Annotated[str | None, typer.Option(help="Charged once, however often the command is repeated with it.")]


def tariff(
    login: Login,
    tariff: Annotated[str, typer.Argument(metavar="TARIFF", help="The new one.")],
    reference: Reference = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Change a login to another tariff from the next call on; its account pays the switch price."""
    switched = with_services(config, lambda services: services.options.switch_tariff(login, tariff, reference))
    _print_switched(login, tariff, switched, as_json=json)


@options_app.command(epilog="Example: rating-engine option grant 1001 weekend --to 2027-01-01")
def grant(
    login: Login,
    option: Option,
    begins: Annotated[
        str | None, typer.Option("--from", metavar="WHEN", help="2026-03-01 or 2026-03-01T08:00; now if not given.")
    ] = None,
    ends: Annotated[
        str | None, typer.Option("--to", metavar="WHEN", help="Not included; until it is revoked if not given.")
    ] = None,
    position: Annotated[
        int | None, typer.Option(help="Of options with a rate of the same prefix the lowest counts.")
    ] = None,
    reference: Reference = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Give a login an option; its account pays the switch price at once. Times are the option's time zone's."""

    async def work(services: UseCases) -> Switched:
        zone = await services.tariffs.time_zone(option) if begins or ends else "UTC"
        return await services.options.grant(
            login,
            option,
            begins=None if begins is None else words.moment(begins, "effective_from", zone),
            ends=None if ends is None else words.moment(ends, "effective_to", zone),
            position=position,
            reference=reference,
        )

    switched = with_services(config, work)
    _print_switched(login, option, switched, "now" if begins is None else f"from {begins} on", as_json=json)


@options_app.command(epilog="Example: rating-engine option revoke 1001 weekend")
def revoke(login: Login, option: Option, config: ConfigOption = None) -> None:
    """Take an option away from the next call on; nothing is paid back."""
    with_services(config, lambda services: services.options.revoke(login, option))
    say(f"{login}: {option} revoked")


@options_app.command("list", epilog="Example: rating-engine option list 1001")
def list_(
    login: Login,
    past: Annotated[bool, typer.Option("--past", help="Also those that ended.")] = False,
    limit: LimitOption = None,
    after: AfterOption = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """The options of a login in the order in which they count."""
    page = with_services(
        config, lambda services: listed(lambda cursor: services.options.page(login, cursor, past=past), limit, after)
    )
    if json:
        options = [_option_json(option) for option in page.items]
        print_json({"login": login, "options": options, **next_json(page)})
        return
    table = Table("option", "position", "from", "to", "in force", title=f"options of {login}")
    for option in page.items:
        table.add_row(
            option.tariff,
            str(option.position),
            option.effective_from.strftime("%Y-%m-%d %H:%M:%SZ"),
            "until revoked" if option.effective_to is None else option.effective_to.strftime("%Y-%m-%d %H:%M:%SZ"),
            yes_no(option.in_force),
        )
    out.print(table)
    say_next(page)


def _print_switched(login: str, tariff: str, switched: Switched, when: str = "now", *, as_json: bool) -> None:
    """What became of it; exit status 1 where there was not the money."""
    price, balance = format_amount(switched.price), format_amount(switched.balance)
    if switched.outcome is SwitchOutcome.INSUFFICIENT_FUNDS:
        short = RatingEngineError(
            f"{tariff} costs {price} {switched.currency}, which the account of {login} has not "
            f"(balance {balance}, and open calls hold their part); nothing was changed",
            hint=Hint.TOP_UP,
            about={"login": login},
        )
        err.print(styled(("error", "bold red"), f" {problem_of(short)}"), soft_wrap=True)
        raise typer.Exit(EXIT_FAILED)
    if as_json:
        print_json(
            {
                "login": login,
                "tariff": tariff,
                "outcome": switched.outcome.value,
                "charged": price if switched.outcome is SwitchOutcome.SWITCHED else "0",
                "currency": switched.currency,
                "balance": balance,
            }
        )
        return
    said = {
        SwitchOutcome.SWITCHED: f"{login} has {tariff} {when}; charged {price} {switched.currency}, balance {balance}",
        SwitchOutcome.UNCHANGED: f"{login} has {tariff} already; nothing was changed or charged",
        SwitchOutcome.REPEATED: f"that reference was charged before; nothing was changed, balance {balance}",
    }
    say(said[switched.outcome])


def _option_json(option: ListedOption) -> dict[str, Any]:
    return {
        "option": option.tariff,
        "position": option.position,
        "from": option.effective_from.isoformat(),
        "to": None if option.effective_to is None else option.effective_to.isoformat(),
        "in_force": option.in_force,
    }
