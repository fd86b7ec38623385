"""`rating-engine user minimum`: the least that the calls of a user cost in a month."""

from __future__ import annotations

from typing import Annotated

import typer

from rating_engine.cli import words
from rating_engine.cli.common import ConfigOption, JsonOption, print_json, reported_errors, say, with_services
from rating_engine.rating.money import format_amount


def minimum(
    user: Annotated[str, typer.Argument(metavar="USER", help="Its login.")],
    amount: Annotated[
        str | None,
        typer.Argument(metavar="AMOUNT|none", help="Of a month (system's currency); not given: shown."),
    ] = None,
    since: Annotated[
        str | None, typer.Option("--from", metavar="DAY", help="The first whole month from then on; else from today.")
    ] = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """What its calls of a month cost less than this is taken as a fee when the month has ended."""
    with reported_errors():
        wanted = None if amount in (None, words.NONE) else words.amount(str(amount), "amount")
        day = None if since is None else words.day(since, "since")
    if amount == words.NONE:
        with_services(config, lambda services: services.minimum_spends.remove(user))
    found = with_services(
        config,
        lambda services: (
            services.minimum_spends.show(user) if wanted is None else services.minimum_spends.put(user, wanted, day)
        ),
    )
    if json:
        print_json({
            "user": user, "minimum": None if found is None else format_amount(found.amount),
            "from": None if found is None else found.since.isoformat(),
            "next_month": None if found is None else found.next_month.isoformat(),
        })  # fmt: skip
    elif found is None:
        say(f"{user} has no minimum")
    else:
        say(f"{user}: {format_amount(found.amount)} a month, next of {found.next_month:%Y-%m}")
