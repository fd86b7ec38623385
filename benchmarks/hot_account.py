"""Many parallel calls on ONE account, beside as many spread over all accounts, in the same run.

An engine that locks an account per call serves a hot account one call after the other. A batch locks it once.

python benchmarks/hot_account.py
python benchmarks/hot_account.py --at-a-time 1000 --rounds 5 --seconds 10
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys

from rich.console import Console
from rich.progress import track
from rich.table import Table
from world import World, load, servers

AIM = 0.7


async def run(world: World, arguments: argparse.Namespace) -> int:
    """Build, measure in turn, print; 0 when the ledger is balanced."""
    console = Console()
    with console.status("a deck of real prefixes, accounts, an engine"):
        await world.build()
        engine = await world.engine(1)
    shape = (arguments.at_a_time, arguments.clients, world)
    one: list[float] = []
    spread: list[float] = []
    try:
        await load(engine.fastagi_port, arguments.warm_up, *shape)
        for _ in track(range(arguments.rounds), "rounds", console=console):
            spread.append((await load(engine.fastagi_port, arguments.seconds, *shape))["calls_per_second"])
            one.append((await load(engine.fastagi_port, arguments.seconds, *shape, "--hot"))["calls_per_second"])
    finally:
        await engine.stop()
    table = Table(title=f"{arguments.at_a_time} parallel calls, fsync on")
    for column in ("", "calls/s (median)", "least", "most"):
        table.add_column(column, justify="right" if column else "left")
    for title, figures in (("on one account", one), (f"over {world.accounts:,} accounts", spread)):
        row = (statistics.median(figures), min(figures), max(figures))
        table.add_row(title, *(f"{figure:,.0f}" for figure in row))
    console.print(table)
    ratio = statistics.median(a / b for a, b in zip(one, spread, strict=True))
    console.print(f"ratio {ratio:.2f} (aim: at least {AIM})")
    balanced = await world.balanced()
    console.print("ledger: balanced" if balanced else "[red]ledger: NOT balanced")
    return 0 if balanced else 1


def main() -> None:
    """Parse the flags and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="of both, in turn")
    parser.add_argument("--seconds", type=float, default=6.0, help="of each measurement")
    parser.add_argument("--warm-up", type=float, default=10.0, help="seconds before the first round")
    parser.add_argument("--clients", type=int, default=1, help="load processes")
    parser.add_argument("--at-a-time", type=int, default=1000, help="calls in flight")
    parser.add_argument("--accounts", type=int, default=10_000)
    arguments = parser.parse_args()
    with servers(arguments.accounts) as world:
        sys.exit(asyncio.run(run(world, arguments)))


if __name__ == "__main__":
    main()
