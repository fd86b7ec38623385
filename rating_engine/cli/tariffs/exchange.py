"""`rating-engine exchange`: what one unit of a currency is in another, from an instant on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.table import Table

from rating_engine.cli import words
from rating_engine.cli.common import ConfigOption, JsonOption, out, print_json, reported_errors, say, with_services
from rating_engine.cli.lists import AfterOption, LimitOption, listed, next_json, say_next
from rating_engine.domain.price_list import Currency
from rating_engine.rating.exchange import ExchangeRate
from rating_engine.rating.money import format_amount

exchange_app = typer.Typer(
    no_args_is_help=True,
    help="Asterisk servers whose phones come from here; and rates of currencies (set, list, remove).",
)

From = Annotated[str, typer.Argument(metavar="FROM", help="ISO 4217, as EUR.")]
To = Annotated[str, typer.Argument(metavar="TO", help="ISO 4217, as USD.")]


@exchange_app.command("set", epilog="Example: rating-engine exchange set EUR USD 1.08 --from 2027-01-01")
def set_(
    currency_from: From,
    currency_to: To,
    rate: Annotated[str, typer.Argument(metavar="RATE", help="How many of TO one of FROM is.")],
    since: Annotated[
        str | None,
        typer.Option("--from", metavar="WHEN", help="2027-01-01 or 2027-01-01T08:00, UTC; now if not given."),
    ] = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Set a rate from now on, or ahead. The opposite way it is one over it, unless that is set itself."""
    with reported_errors():
        factor = words.amount(rate, "rate")
        begins = None if since is None else words.moment(since, "effective_from")
    done = with_services(config, lambda services: services.exchange.set(currency_from, currency_to, factor, begins))
    moment = done.effective_from
    if json:
        print_json({"from": currency_from, "to": currency_to, "rate": rate, "effective_from": moment.isoformat()})
    else:
        say(f"1 {currency_from} = {rate} {currency_to} from {_when(moment)} on")


@exchange_app.command(epilog="Example: rating-engine exchange currency RUB --sign rub. --transfer-fee 0.50")
def currency(
    code: Annotated[str, typer.Argument(metavar="CODE", help="ISO 4217, as RUB.")],
    sign: Annotated[str, typer.Option(metavar="SIGN", help="As people write it; its code if not given.")] = "",
    transfer_fee: Annotated[
        str, typer.Option(metavar="AMOUNT", help="Of a transfer between accounts, in the system's currency.")
    ] = "0",
    referral_reward: Annotated[
        str, typer.Option(metavar="AMOUNT", help="Of an invitation, in the system's currency.")
    ] = "0",
    enabled: Annotated[bool, typer.Option("--enabled/--disabled", help="Whether it is listed.")] = True,
    config: ConfigOption = None,
) -> None:
    """Say how a currency is written, and what transfers and invitations in it cost; what is not given is forgotten."""
    with reported_errors():
        said = Currency(
            code, sign, enabled, words.amount(transfer_fee, "transfer_fee"),
            words.amount(referral_reward, "referral_reward"),
        )  # fmt: skip
    with_services(config, lambda services: services.currencies.set(said))
    say(f"currency {code} set")


@exchange_app.command("list", epilog="Example: rating-engine exchange list")
def list_(
    limit: LimitOption = None, after: AfterOption = None, json: JsonOption = False, config: ConfigOption = None
) -> None:
    """Every rate; of a pair the newest first, the one in force marked."""
    page = with_services(config, lambda services: listed(services.exchange.page, limit, after))
    states = _states(page.items, datetime.now(UTC))
    if json:
        rates = [_json(rate, state) for rate, state in zip(page.items, states, strict=True)]
        print_json({"rates": rates, **next_json(page)})
        return
    table = Table("from", "to", "rate", "since", "state")
    table.columns[2].justify = "right"
    for rate, state in zip(page.items, states, strict=True):
        table.add_row(rate.currency_from, rate.currency_to, format_amount(rate.rate), _when(rate.effective_from), state)
    out.print(table)
    say_next(page)


@exchange_app.command(epilog="Example: rating-engine exchange remove EUR USD --from 2027-01-01")
def remove(
    currency_from: From,
    currency_to: To,
    since: Annotated[str, typer.Option("--from", metavar="WHEN", help="As exchange list shows it.")],
    config: ConfigOption = None,
) -> None:
    """Take back a rate that is not yet in force."""
    with reported_errors():
        begins = words.moment(since, "effective_from")
    with_services(config, lambda services: services.exchange.remove(currency_from, currency_to, begins))
    say(f"rate of {currency_from} in {currency_to} from {since} removed")


def _json(rate: ExchangeRate, state: str) -> dict[str, Any]:
    return {
        "from": rate.currency_from,
        "to": rate.currency_to,
        "rate": format_amount(rate.rate),
        "effective_from": rate.effective_from.isoformat(),
        "state": state,
    }


def _states(rows: Sequence[ExchangeRate], now: datetime) -> list[str]:
    """Of rows ordered by pair, the newest first: ahead, in force or past."""
    states = []
    in_force: set[tuple[str, str]] = set()
    for currency_from, currency_to, since, _ in rows:
        pair = (currency_from, currency_to)
        states.append("ahead" if since > now else "past" if pair in in_force else "in force")
        if since <= now:
            in_force.add(pair)
    return states


def _when(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
