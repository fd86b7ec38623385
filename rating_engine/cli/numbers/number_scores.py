"""`rating-engine blacklist`: scores of numbers and addresses, and by which plan suspected calls go."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Column, Table

from rating_engine.cli import words
from rating_engine.cli.common import ConfigOption, JsonOption, out, print_json, reported_errors, say, with_services
from rating_engine.cli.lists import AfterOption, LimitOption, listed, next_json, say_next
from rating_engine.cli.numbers.number_pools import FileOption, lines_of, parts_of
from rating_engine.domain.change import LEAVE
from rating_engine.domain.number_scores import subject_of
from rating_engine.domain.route_plan import GlobalBlacklist
from rating_engine.services.catalogue import UseCases

blacklist_app = typer.Typer(
    no_args_is_help=True, help="What numbers and addresses are suspected of, and where such calls go."
)

Subjects = Annotated[list[str] | None, typer.Argument(metavar="[NUMBER|ADDRESS]...", help="79010000001, 192.0.2.7.")]
Score = Annotated[str, typer.Option("--score", metavar="N", help="How much each is suspected: 1 to 1000000.")]


@blacklist_app.command(epilog="Example: rating-engine blacklist put 79010000001 192.0.2.7 --score 30")
def put(score: Score, subjects: Subjects = None, file: FileOption = None, config: ConfigOption = None) -> None:
    """Give numbers and addresses a score; it counts from the next call on."""
    with reported_errors():
        points = words.whole(score, "score")
        wanted = _read(subjects, file)

    async def work(services: UseCases) -> int:
        return sum([await services.number_scores.put(part, points) for part in parts_of(wanted)])

    say(f"{with_services(config, work):,} changed")


@blacklist_app.command(epilog="Example: rating-engine blacklist take 79010000001")
def take(subjects: Subjects = None, file: FileOption = None, config: ConfigOption = None) -> None:
    """Take the scores of numbers and addresses away."""
    with reported_errors():
        wanted = _read(subjects, file)

    async def work(services: UseCases) -> int:
        return sum([await services.number_scores.take(part) for part in parts_of(wanted)])

    say(f"{with_services(config, work):,} fewer")


@blacklist_app.command("list", epilog="Example: rating-engine blacklist list --limit 100")
def list_(
    limit: LimitOption = None, after: AfterOption = None, json: JsonOption = False, config: ConfigOption = None
) -> None:
    """The scores, by number and address."""
    page = with_services(config, lambda services: listed(services.number_scores.page, limit, after))
    if json:
        scores = [{"subject": each.subject, "score": each.score} for each in page.items]
        print_json({"scores": scores, **next_json(page)})
        return
    table = Table("number or address", Column("score", justify="right"))
    for each in page.items:
        table.add_row(each.subject, str(each.score))
    out.print(table)
    say_next(page)


@blacklist_app.command("global", epilog="Example: rating-engine blacklist global --on --threshold 50 --plan suspects")
def global_(
    on: Annotated[bool | None, typer.Option("--on/--off", help="For everybody who has no own.")] = None,
    threshold: Annotated[
        str | None, typer.Option(metavar="N|none", help="Suspected: more than so much together.")
    ] = None,
    plan: Annotated[str | None, typer.Option(metavar="PLAN|none", help="By which suspected calls go.")] = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """The dynamic blacklist of all users that have none of their own (`user set --dynamic-blacklist`)."""
    with reported_errors():
        limit = words.unless_none(threshold, lambda text: words.whole(text, "threshold"))
        by = words.unless_none(plan, str)

    async def work(services: UseCases) -> GlobalBlacklist:
        found = await services.route_plans.blacklist()
        wanted = replace(
            found,
            enabled=found.enabled if on is None else on,
            threshold=found.threshold if limit is LEAVE else limit,
            plan=found.plan if by is LEAVE else by,
        )
        return found if wanted == found else await services.route_plans.set_blacklist(wanted)

    found = with_services(config, work)
    if json:
        print_json({"enabled": found.enabled, "threshold": found.threshold, "plan": found.plan})
        return
    say(f"{'on' if found.enabled else 'off'}: above {found.threshold or 0}, by {found.plan or 'no plan'}")


def _read(subjects: list[str] | None, file: Path | None) -> list[str]:
    return [subject_of(line) for line in lines_of(subjects, file)]
