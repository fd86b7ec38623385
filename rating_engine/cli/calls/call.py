"""`rating-engine call`: one call as Asterisk would place it, against a running engine."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated

import typer
from rich.table import Table

from agi import channel_variables as var
from agi.channel_variables import RatingStatus
from agi.fastagi.client import agi_call
from rating_engine.cli.common import EXIT_FAILED, ConfigOption, JsonOption, load_settings, out, print_json, run


def call(
    number: Annotated[str, typer.Argument(metavar="NUMBER", help="As dialled.")],
    login: Annotated[str, typer.Option(help="Who calls.")],
    seconds: Annotated[int, typer.Option(min=0, help="Answered seconds to report; 0: nobody answered.")],
    callerid: Annotated[str, typer.Option(help="Caller id; the profile's if not given.")] = "",
    routing_number: Annotated[str, typer.Option(metavar="NUMBER", help="The number as translated (LRN).")] = "",
    route: Annotated[str, typer.Option(metavar="NAME", help="The route that the exchange has chosen.")] = "",
    prior: Annotated[int, typer.Option(min=1, max=99, help="Which attempt this is: 1 is the first route.")] = 1,
    status: Annotated[str, typer.Option(help="Cause and disposition, as in 16ANSWER or 17BUSY.")] = "",
    wait: Annotated[bool, typer.Option("--wait", help="Let the seconds pass between prepare and finish.")] = False,
    host: Annotated[str | None, typer.Option(help="Engine; the settings' fastagi_host if not given.")] = None,
    port: Annotated[int | None, typer.Option(help="Engine; the settings' fastagi_port if not given.")] = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Ask callPrepare, and if the call is allowed report its end by callFinish. Exit status 1 if it is declined."""

    async def work() -> tuple[dict[str, str], dict[str, str]]:
        settings = load_settings(config)
        at = (host or settings.fastagi_host, port or settings.fastagi_port)
        uniqueid = f"call-{time.time_ns()}"
        asked = [login, number, callerid, str(prior)]
        asked += [routing_number, route] if route else [routing_number] if routing_number else []
        prepared = await agi_call(*at, "callPrepare", asked, uniqueid=uniqueid)
        if prepared[var.RATING_STATUS] != RatingStatus.ALLOWED:
            return prepared, {}
        talked = min(seconds, int(prepared[var.RATING_MAX_SECONDS]))  # the dialplan's Dial would cut it there
        if wait:
            await asyncio.sleep(talked)
        ended = status or ("16ANSWER" if talked else "19NOANSWER")
        told = [login, number, str(talked), ended, callerid, str(prior)]
        return prepared, await agi_call(*at, "callFinish", told, uniqueid=uniqueid)

    prepared, finished = run(work())
    if json:
        print_json({"prepare": prepared, "finish": finished or None})
    else:
        out.print(_table("callPrepare", prepared))
        if finished:
            out.print(_table("callFinish", finished))
    if finished.get(var.RATING_STATUS) != RatingStatus.SAVED:
        raise typer.Exit(EXIT_FAILED)


def _table(title: str, variables: dict[str, str]) -> Table:
    table = Table(title=title, show_header=False, title_justify="left")
    table.add_column(style="bold")
    table.add_column()
    for name, value in variables.items():
        table.add_row(name, value)
    return table
