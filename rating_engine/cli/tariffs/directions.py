"""`rating-engine direction`."""

from __future__ import annotations

from typing import Annotated

import typer

from rating_engine.cli.common import ConfigOption, say, with_services
from rating_engine.domain.tariff import Direction


def direction(
    code: Annotated[str, typer.Argument(metavar="CODE", help="As in the deck's direction column.")],
    name: Annotated[str | None, typer.Option(help="RATING_DIRECTION; the code if not given.")] = None,
    min_len: Annotated[int | None, typer.Option(help="Fewest digits of its numbers, country code included.")] = None,
    max_len: Annotated[int | None, typer.Option(help="Most digits of its numbers.")] = None,
    prefix: Annotated[
        list[str] | None,
        typer.Option(help="Its numbers begin so, in the directory of all tariffs; several: give it several times."),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Name a direction, say which numbers belong to it, and decline those that are too short or too long for it."""
    named = Direction(code, name or code, min_len, max_len)
    with_services(config, lambda services: services.directions.set(named, prefix or ()))
    say(f"direction {code} set")
