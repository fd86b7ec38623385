"""`rating-engine direction`."""

from __future__ import annotations

from typing import Annotated

import typer

from rating_engine.cli.common import ConfigOption, load_settings, open_database, out, run
from rating_engine.services.tariffs.directions import set_direction


def direction(
    code: Annotated[str, typer.Argument(metavar="CODE", help="As in the deck's direction column.")],
    name: Annotated[str | None, typer.Option(help="RATING_DIRECTION; the code if not given.")] = None,
    min_len: Annotated[int | None, typer.Option(help="Fewest digits of its numbers, country code included.")] = None,
    max_len: Annotated[int | None, typer.Option(help="Most digits of its numbers.")] = None,
    config: ConfigOption = None,
) -> None:
    """Name a direction, and decline numbers that are too short or too long for it."""

    async def work() -> None:
        async with open_database(load_settings(config)) as database:
            await set_direction(database, code, name or code, min_len=min_len, max_len=max_len)

    run(work())
    out.print(f"direction {code} set", highlight=False)
