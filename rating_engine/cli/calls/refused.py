"""`rating-engine calls refused`: calls that black and white lists have kept out."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer
from rich.table import Column, Table

from rating_engine.cli.common import ConfigOption, JsonOption, out, print_json, with_services
from rating_engine.cli.lists import AfterOption, LimitOption, listed, next_json, say_next
from rating_engine.domain.page import DEFAULT_LIMIT
from rating_engine.domain.refused_call import RefusedCallFilter


def refused(
    login: Annotated[str | None, typer.Option(help="Calls of this line alone.")] = None,
    number: Annotated[str | None, typer.Option(help="Calls to this number, or by it, alone.")] = None,
    limit: LimitOption = DEFAULT_LIMIT,
    after: AfterOption = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Calls that a user's black or white list has kept out, the latest first, with MOR's hangup cause."""
    wanted = RefusedCallFilter(login, number)
    page = with_services(config, lambda services: listed(partial(services.refused_calls.page, wanted), limit, after))
    if json:
        calls = [
            {
                "at": call.at.isoformat(), "call": call.call_key, "login": call.login, "callerid": call.callerid,
                "number": call.number, "reason": call.reason.value, "cause": call.cause,
            }
            for call in page.items
        ]  # fmt: skip
        print_json({"calls": calls, **next_json(page)})
        return
    table = Table("at", "call", "login", "caller", "number", "reason", Column("cause", justify="right"))
    for call in page.items:
        at = call.at.strftime("%Y-%m-%d %H:%M:%SZ")
        table.add_row(at, call.call_key, call.login, call.callerid, call.number, call.reason.value, str(call.cause))
    out.print(table)
    say_next(page)
