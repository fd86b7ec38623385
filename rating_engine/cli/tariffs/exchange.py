"""`rating-engine exchange`: what one unit of a currency is in another, from an instant on."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.table import Table

from rating_engine.cli.common import ConfigOption, JsonOption, out, print_json, say, with_database
from rating_engine.rating.exchange import ExchangeRow
from rating_engine.rating.money import format_amount
from rating_engine.services.tariffs.exchange import Exchange

exchange_app = typer.Typer(no_args_is_help=True, help="Exchange rates, where accounts and tariffs differ in currency.")

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
    moment = with_database(config, lambda database: Exchange(database).set(currency_from, currency_to, rate, since))
    if json:
        print_json({"from": currency_from, "to": currency_to, "rate": rate, "effective_from": moment.isoformat()})
    else:
        say(f"1 {currency_from} = {rate} {currency_to} from {_when(moment)} on")


@exchange_app.command("list", epilog="Example: rating-engine exchange list")
def list_(json: JsonOption = False, config: ConfigOption = None) -> None:
    """Every rate; of a pair the newest first, the one in force marked."""
    found = with_database(config, lambda database: Exchange(database).list())
    states = _states(found, datetime.now(UTC))
    if json:
        print_json(
            {
                "rates": [
                    {
                        "from": currency_from,
                        "to": currency_to,
                        "rate": format_amount(rate),
                        "effective_from": since.isoformat(),
                        "state": state,
                    }
                    for (currency_from, currency_to, since, rate), state in zip(found, states, strict=True)
                ]
            }
        )
        return
    table = Table("from", "to", "rate", "since", "state")
    table.columns[2].justify = "right"
    for (currency_from, currency_to, since, rate), state in zip(found, states, strict=True):
        table.add_row(currency_from, currency_to, format_amount(rate), _when(since), state)
    out.print(table)


@exchange_app.command(epilog="Example: rating-engine exchange remove EUR USD --from 2027-01-01")
def remove(
    currency_from: From,
    currency_to: To,
    since: Annotated[str, typer.Option("--from", metavar="WHEN", help="As exchange list shows it.")],
    config: ConfigOption = None,
) -> None:
    """Take back a rate that is not yet in force."""
    with_database(config, lambda database: Exchange(database).remove(currency_from, currency_to, since))
    say(f"rate of {currency_from} in {currency_to} from {since} removed")


def _states(rows: list[ExchangeRow], now: datetime) -> list[str]:
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
