"""Calls a second, each a callPrepare and a callFinish over FastAGI, durable; beside what bounds it, in the same run.

(a) pgbench on the same server, which reserves and settles as two transactions and spends no time on AGI;
(b) a FastAGI server that does nothing, in as many processes as the engine has.

python benchmarks/calls.py
python benchmarks/calls.py --rounds 5 --seconds 10 --workers 2 --at-a-time 256
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys

from rich.console import Console
from rich.progress import track
from rich.table import Table
from world import World, load, null_server, servers

OF_PGBENCH_AIM = 0.6
OF_NOTHING_AIM = 0.35


async def run(world: World, arguments: argparse.Namespace) -> int:
    console = Console()
    with console.status("a deck of real prefixes, accounts, an engine"):
        await world.build()
        engine = await world.engine(arguments.workers)
    figures: dict[str, list[float]] = {"engine": [], "pgbench": [], "nothing": []}
    latencies = {}
    try:
        with null_server(arguments.workers) as nothing_port:
            shape = (arguments.at_a_time, arguments.clients, world)
            await load(engine.fastagi_port, arguments.warm_up, *shape)  # accounts and rates into memory
            for _ in track(range(arguments.rounds), "rounds", console=console):
                figures["pgbench"].append(
                    await asyncio.to_thread(world.pgbench, arguments.seconds, arguments.clients * 32)
                )
                figures["nothing"].append((await load(nothing_port, arguments.seconds, *shape))["calls_per_second"])
                report = await load(engine.fastagi_port, arguments.seconds, *shape)
                figures["engine"].append(report["calls_per_second"])
                latencies = report
    finally:
        await engine.stop()
    balanced = await world.balanced()
    show(console, world, arguments, figures, latencies)
    console.print("ledger: balanced" if balanced else "[red]ledger: NOT balanced")
    return 0 if balanced else 1


def show(console: Console, world: World, arguments: argparse.Namespace, figures: dict, latencies: dict) -> None:
    table = Table(title=f"{arguments.workers} worker(s), {arguments.at_a_time} calls at a time, "
                        f"{world.prefixes:,} prefixes, {world.accounts:,} accounts, fsync on")  # fmt: skip
    for column in ("", "calls/s (median)", "least", "most", "engine's ratio", "aim"):
        table.add_column(column, justify="left" if not column else "right")
    middle = {name: statistics.median(values) for name, values in figures.items()}
    names = {
        "engine": ("rating-engine", None),
        "pgbench": ("(a) pgbench, reserve and settle", OF_PGBENCH_AIM),
        "nothing": ("(b) FastAGI server doing nothing", OF_NOTHING_AIM),
    }
    for name, (title, aim) in names.items():
        pairs = [ours / theirs for ours, theirs in zip(figures["engine"], figures[name], strict=True)]
        ratio = "" if aim is None else f"{statistics.median(pairs):.2f}"
        table.add_row(title, f"{middle[name]:,.0f}", f"{min(figures[name]):,.0f}", f"{max(figures[name]):,.0f}", ratio,
                      "" if aim is None else f"{aim}")  # fmt: skip
    console.print(table)
    console.print(f"callPrepare p50 {latencies['prepare_ms']['p50']} ms, p99 {latencies['prepare_ms']['p99']} ms; "
                  f"callFinish p50 {latencies['finish_ms']['p50']} ms, p99 {latencies['finish_ms']['p99']} ms; "
                  f"outcomes of the last round: {latencies['outcomes']}")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="of all three, in turn")
    parser.add_argument("--seconds", type=float, default=6.0, help="of each measurement")
    parser.add_argument("--warm-up", type=float, default=10.0, help="seconds before the first round")
    parser.add_argument("--workers", type=int, default=1, help="engine processes, and do-nothing processes")
    parser.add_argument("--clients", type=int, default=1, help="load processes")
    parser.add_argument("--at-a-time", type=int, default=128, help="calls in flight")
    parser.add_argument("--accounts", type=int, default=10_000)
    arguments = parser.parse_args()
    with servers(arguments.accounts) as world:
        sys.exit(asyncio.run(run(world, arguments)))


if __name__ == "__main__":
    main()
