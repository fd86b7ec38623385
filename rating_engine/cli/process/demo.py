"""`rating-engine demo`: the whole engine on servers of its own, a few hundred calls, and the proof of its ledger."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final

import typer

from rating_engine.cli.common import err, out, reported_errors, say
from rating_engine.cli.terminal import Screen

MAX_CALLS: Final = 100_000  # some ten minutes; every call is kept in memory for the tables
EXIT_INTERRUPTED: Final = 130  # what a shell says of a command that Ctrl-C ended
EXIT_TERMINATED: Final = 143
PICTURE_COLUMNS: Final = 88


def demo(
    calls: Annotated[int, typer.Option(min=1, max=MAX_CALLS, help="How many calls are placed.")] = 300,
    seed: Annotated[int, typer.Option(help="The same number places the same calls.")] = 1,
    save_deck: Annotated[
        Path | None,
        typer.Option(metavar="FILE.csv", help="Only write the demo's rate deck, for `rating-engine rates import`."),
    ] = None,
    picture: Annotated[Path | None, typer.Option(metavar="FILE.svg", help="Also draw what is shown.")] = None,
) -> None:
    """Start all of it on servers of its own, place calls as Asterisk would, show what became of them and of the money.

    Needs no configuration and leaves nothing behind. Exit status 1 if an answer or the ledger is wrong.
    """
    from rating_engine.demo.run import run_demo, write_deck  # an engine and its servers: not loaded by other commands

    with reported_errors(), ended_by_signals():
        if save_deck is not None:
            say(f"{write_deck(save_deck):,} rates written to {save_deck}")
            return
        console = out if picture is None else Screen(record=True, width=PICTURE_COLUMNS)
        run_demo(calls, seed, out=console, err=err, picture=picture)


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """Ctrl-C, SIGTERM and a closed terminal end the demo in order: everything it started is stopped first."""

    def end(_number: int, _frame: object) -> None:
        raise SystemExit(EXIT_TERMINATED)

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    except KeyboardInterrupt:
        err.print("interrupted; nothing of it runs any more")
        raise typer.Exit(EXIT_INTERRUPTED) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
