"""`rating-engine spool`: finishes that wait on this machine's disk for a person."""

from __future__ import annotations

from typing import Any, Final

import typer

from rating_engine.cli.common import EXIT_INCOMPLETE, CommandError, ConfigOption, JsonOption, load_settings, run
from rating_engine.cli.terminal import out, print_json
from rating_engine.engine.calling import post_refused_finishes
from rating_engine.services.outage.refused import Posted
from rating_engine.settings.spool_directory import spool_directory

spool_app = typer.Typer(no_args_is_help=True, help="Finishes on this machine's disk that a person has to look at.")

NOBODY: Final = "unreadable record"


@spool_app.command("post-refused", epilog="Example: rating-engine spool post-refused")
def post_refused(json: JsonOption = False, config: ConfigOption = None) -> None:
    """Charge the finishes that were kept aside (.refused), once what kept them from it is mended. Harmless to repeat.

    Run it on the engine's machine, as its user. What still cannot be charged stays, with the reason: exit status 2.
    """

    async def work() -> list[Posted]:
        settings = load_settings(config)
        directory = spool_directory(settings.spool_dir, settings.database_url)
        try:
            return await post_refused_finishes(settings, directory)
        except OSError as error:
            raise CommandError(f"{directory}: {error.strerror or error}") from error

    posted = run(work())
    left = sum(one.cost is None for one in posted)
    if json:
        print_json({"charged": len(posted) - left, "left": left, "finishes": [_posted_json(one) for one in posted]})
    else:
        for one in posted:
            name = NOBODY if one.call_key is None else f"{one.call_key} of {one.login}"
            what = one.reason if one.cost is None else f"charged {one.cost} {one.currency}"
            out.print(f"{name}: {what}", highlight=False, markup=False, soft_wrap=True)
        out.print(f"charged: {len(posted) - left}, left: {left}", highlight=False)
    if left:
        raise typer.Exit(EXIT_INCOMPLETE)


def _posted_json(one: Posted) -> dict[str, Any]:
    key = None if one.call_key is None else str(one.call_key)
    return {"call_key": key, "login": one.login, "cost": one.cost, "currency": one.currency, "reason": one.reason}
