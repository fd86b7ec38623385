"""`rating-engine routes try`: where a call would go, at what margin, and why nowhere else."""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction
from typing import Annotated, Any, Final

import typer
from rich.table import Column, Table

from rating_engine.cli import words
from rating_engine.cli.common import ConfigOption, JsonOption, out, print_json, with_services
from rating_engine.cli.routes.routes import share_words
from rating_engine.rating.lcr import Refusal
from rating_engine.rating.money import AMOUNT_DECIMALS, format_amount, quantise_fraction
from rating_engine.rating.number import normalise_callerid
from rating_engine.services.calls.route_trial import DISABLED, NOT_IN_COST_DECK, Trial, Verdict
from rating_engine.services.catalogue import UseCases

_REASONS: Final = {
    DISABLED: "disabled",
    Refusal.NOT_LISTED: "not on the list of the tariff or its plan",
    Refusal.NUMBER: "does not serve the number",
    Refusal.BLOCKED: "its lists block the number",
    Refusal.CALLERID: "does not take the caller id",
    Refusal.CLOSED: "outside its windows",
    Refusal.PERCENTAGE: "not among its share of calls",
    Refusal.LOSS: "costs more than the call is sold for",
    NOT_IN_COST_DECK: "its cost deck does not serve the number",
}


def try_(
    number: Annotated[str, typer.Argument(metavar="NUMBER", help="As dialled.")],
    tariff: Annotated[str, typer.Option(help="Whose call it is.")],
    callerid: Annotated[str, typer.Option(help="The caller's number, as it is sent to the carrier.")] = "",
    at: Annotated[
        str | None,
        typer.Option(
            metavar="WHEN", help="When it starts, as 2026-12-01T08:00, in the tariff's time zone; now if not given."
        ),
    ] = None,
    call: Annotated[
        str | None, typer.Option(metavar="EXCHANGE/UNIQUEID", help="A very call: its draws by weight and percentage.")
    ] = None,
    attempt: Annotated[int, typer.Option(min=1, help="The how manieth of the call, where prices depend on it.")] = 1,
    plan: Annotated[str | None, typer.Option(metavar="PLAN", help="As if the call went by this route plan.")] = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Which routes a call would try in which order, with cost, price and margin of a minute; and why not the others."""

    async def work(services: UseCases) -> Trial:
        zone = "UTC" if at is None else await services.tariffs.time_zone(tariff)
        moment = datetime.now(UTC) if at is None else words.moment(at, "at", zone)
        return await services.route_trials.try_call(
            number,
            tariff=tariff,
            at=moment,
            callerid=normalise_callerid(callerid),
            call_seed=call,
            attempt=attempt,
            plan=plan,
        )

    trial = with_services(config, work)
    if json:
        print_json(_trial_json(trial))
    else:
        _print_trial(trial)


def _print_trial(trial: Trial) -> None:
    out.print(
        f"{trial.destination} on {trial.tariff.name}: prefix {trial.prefix}, a minute is sold for "
        f"{_amount(trial.sell_minute)} {trial.currency}; routes by {trial.tariff.route_order}",
        highlight=False,
        soft_wrap=True,
    )
    if not trial.verdicts:
        out.print("no routes: every call takes the setting default_route")
        return
    costs = (Column(f"{name} {trial.currency}", justify="right") for name in ("cost", "margin"))
    table = Table(Column("attempt", justify="right"), "route", "position", "share", *costs, "not tried because")
    for verdict in trial.verdicts:
        table.add_row(
            "" if verdict.place is None else str(verdict.place),
            verdict.route.name,
            str(verdict.route.position),
            share_words(verdict.route),
            _cell(verdict.minute_cost, verdict),
            _cell(verdict.margin, verdict),
            _REASONS.get(verdict.reason, ""),
        )
    out.print(table)


def _cell(value: Fraction | None, verdict: Verdict) -> str:
    if value is None:
        return "not known" if verdict.place else ""
    return _amount(value)


def _amount(value: Fraction) -> str:
    return format_amount(quantise_fraction(value, AMOUNT_DECIMALS))


def _trial_json(trial: Trial) -> dict[str, Any]:
    return {
        "destination": trial.destination,
        "tariff": trial.tariff.name,
        "prefix": trial.prefix,
        "currency": trial.currency,
        "sell_minute": _amount(trial.sell_minute),
        "order": trial.tariff.route_order.value,
        "routes": [
            {
                "attempt": verdict.place,
                "name": verdict.route.name,
                "refusal": verdict.reason or None,
                "minute_cost": None if verdict.minute_cost is None else _amount(verdict.minute_cost),
                "margin": None if verdict.margin is None else _amount(verdict.margin),
            }
            for verdict in trial.verdicts
        ],
    }
