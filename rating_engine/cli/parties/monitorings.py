"""`rating-engine monitoring`: users who spend more than they should within some minutes are told, and blocked."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from rating_engine.cli import words
from rating_engine.cli.common import ConfigOption, JsonOption, out, print_json, reported_errors, say, with_services
from rating_engine.domain.change import LEAVE, Leave
from rating_engine.domain.monitoring import Monitoring, MonitoringChanges, NewMonitoring, Watched
from rating_engine.rating.money import format_amount
from rating_engine.services.catalogue import UseCases

monitorings_app = typer.Typer(no_args_is_help=True, help="Who spends more than an amount within some minutes.")

EVERYBODY = "everybody"
Number = Annotated[int, typer.Argument(metavar="NUMBER", help="As `monitoring list` has it.")]
UserOption = Annotated[
    list[str] | None, typer.Option("--user", metavar="USER", help=f"Of these alone; repeat it. {EVERYBODY}: of all.")
]


@monitorings_app.command(epilog="Example: rating-engine monitoring add 50.00 --minutes 60 --of postpaid --block yes")
def add(
    amount: Annotated[str, typer.Argument(metavar="AMOUNT", help="In the system's currency.")],
    minutes: Annotated[int, typer.Option(help="Within how many; a day at the most.")],
    of: Annotated[str, typer.Option(metavar="WORD", help=f"Accounts: {', '.join(Watched)}.")] = Watched.ALL.value,
    block: Annotated[str, typer.Option(metavar="yes|no", help="Whether who spends more is blocked.")] = "no",
    user: UserOption = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Look at users from now on; who is caught is told by mail, and who owns them."""
    with reported_errors():
        total, watched = words.amount(amount, "amount"), words.choice(Watched, of, "of")
        blocks = words.yes_or_no(block, "block")

    async def make(services: UseCases) -> Monitoring:
        users = await _numbers(services, user or [])
        return await services.monitorings.add(NewMonitoring(total, minutes, watched, blocks, users))

    _print([with_services(config, make)], as_json=json)


@monitorings_app.command("set", epilog="Example: rating-engine monitoring set 1 --block yes --on yes")
def set_(
    number: Number,
    on: Annotated[str | None, typer.Option(metavar="yes|no", help="Whether it looks at anybody.")] = None,
    block: Annotated[str | None, typer.Option(metavar="yes|no", help="Whether it blocks.")] = None,
    user: UserOption = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Change one; what is not named stays as it is."""
    with reported_errors():
        enabled = words.if_given(on, lambda text: words.yes_or_no(text, "on"))
        blocks = words.if_given(block, lambda text: words.yes_or_no(text, "block"))

    async def change(services: UseCases) -> Monitoring:
        users: tuple[int, ...] | Leave = LEAVE if user is None else await _numbers(services, user)
        return await services.monitorings.change(number, MonitoringChanges(enabled, blocks, users))

    _print([with_services(config, change)], as_json=json)


@monitorings_app.command(epilog="Example: rating-engine monitoring remove 1")
def remove(number: Number, config: ConfigOption = None) -> None:
    """Take one away; who was blocked stays so."""
    with_services(config, lambda services: services.monitorings.remove(number))
    say(f"monitoring {number} is gone")


@monitorings_app.command("list", epilog="Example: rating-engine monitoring list")
def list_(json: JsonOption = False, config: ConfigOption = None) -> None:
    """All of them."""
    _print(with_services(config, lambda services: services.monitorings.page()), as_json=json)


async def _numbers(services: UseCases, users: list[str]) -> tuple[int, ...]:
    if users == [EVERYBODY]:
        return ()
    return tuple([(await services.parties.show(login)).party_id for login in users])


def _print(found: list[Monitoring], *, as_json: bool) -> None:
    if as_json:
        print_json({"monitorings": [_json(each) for each in found]})
        return
    table = Table("number", "amount", "minutes", "of", "users", "blocks", "on")
    for each in found:
        table.add_row(
            str(each.monitoring_id), format_amount(each.amount), str(each.minutes), each.watched,
            ", ".join(map(str, each.users)) or EVERYBODY, "yes" if each.block else "no",
            "yes" if each.enabled else "no",
        )  # fmt: skip
    out.print(table)


def _json(each: Monitoring) -> dict[str, object]:
    return {
        "monitoring": each.monitoring_id,
        "amount": format_amount(each.amount),
        "minutes": each.minutes,
        "of": each.watched.value,
        "users": list(each.users),
        "block": each.block,
        "on": each.enabled,
    }
