"""Calls a second and CPU a call, each a callPrepare and a callFinish over FastAGI, durable: the code as it is beside
that of an older commit and beside the floors under it, in turns, in one run.

Every login and number is looked up before anything is measured. CPU is user + system from /proc: of the engine with its
workers, of PostgreSQL with its backends, of the client. Under "now" the code is this tree's; the older commit is taken
out of the history, and has servers of its own.

    python benchmarks/calls.py                     # everything, about ten minutes
    python benchmarks/calls.py --parts calls       # one part
    python benchmarks/calls.py --alone --parts calls --at-a-time 1 128 --rounds 1    # a quick look at this tree alone
"""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cpu
from bare_pair import BarePair
from report import MARKDOWN, SCREEN, Figures, against, into_readme, kept, print_table, shown
from rich.console import Console
from sides import HERE, LOGINS, NUMBERS, THEN, Side, both, deck_and_numbers

PARTS = ("calls", "workers", "packages", "latency", "floors", "routes")
SOME_AT_A_TIME = (8, 128)  # of the parts that repeat the calls with something more
WARM_UP_PASSES = 4  # over every login and number where there are two workers: which one a call reaches is chance
WARM_UP_AT_A_TIME = 64
OFFERED = (400, 800)
LATENCY_SHARE = 2.0  # of --seconds: percentiles need more calls than means
AIMS = {
    **{f"calls/s, {n} at a time": f">={aim}" for n, aim in ((1, 1.25), (8, 1.25), (32, 1.25), (128, 1.35))},
    "prepare p99 ms, 800 calls/s offered": "<=0.35",
}
NULL_AIM, WORKERS_AIM = "<=0.7", ">=1"


class Bench:
    """The sides, and what has been measured of them."""

    def __init__(self, arguments: argparse.Namespace, sides: list[Side], directory: Path) -> None:
        self.arguments = arguments
        self.sides = sides
        self.directory = directory
        self.console = Console(stderr=True)
        self.figures: dict[str, Figures] = {part: Figures() for part in (*PARTS, "pair")}
        self.numbers: list[str] = []
        self.seed = 0
        self.declined: dict[str, int] = {}

    def build(self) -> None:
        """A world on each side, engines, and every look-up done once."""
        deck, self.numbers = deck_and_numbers(self.directory, self.arguments.numbers)
        parts = self.arguments.parts
        with self.console.status("decks, logins, engines"), ThreadPoolExecutor() as pool:
            list(pool.map(lambda side: side.build(deck, self.arguments.logins), self.sides))
        for side in self.sides:
            self.console.print(f"{time.strftime('%H:%M:%S')} {side.name}: engines, and every look-up once")
            side.start(1)
            if "workers" in parts:
                side.start(2)
            for workers in side.engines:
                self.warm_up(side, workers, "p")
            if "packages" in parts:
                self.warm_up(side, 1, "k")

    def logins(self, family: str) -> list[str]:
        """The logins of a tariff: p are plain, k have packages."""
        return [f"{family}{number}" for number in range(self.arguments.logins)]

    def warm_up(self, side: Side, workers: int, family: str) -> None:
        """Every login and every number called, so that no look-up is measured."""
        calls = max(self.arguments.logins, len(self.numbers)) * (1 if workers == 1 else WARM_UP_PASSES)
        self.load(side.engines[workers].port, self.logins(family), at_a_time=WARM_UP_AT_A_TIME, calls=calls)

    def load(self, port: int, logins: list[str], **how: Any) -> dict[str, Any]:
        """What the client reports of one load."""
        self.seed += 1
        plan = {"port": port, "logins": logins, "numbers": self.numbers, "seed": self.seed, **how}
        file = self.directory / "plan.json"
        file.write_text(json.dumps(plan))
        done = subprocess.run([sys.executable, str(HERE / "client.py"), str(file)], stdout=subprocess.PIPE, check=False)
        if done.returncode:
            raise SystemExit("the client ended without a report")
        report: dict[str, Any] = json.loads(done.stdout)
        for outcome, count in report["outcomes"].items():
            if outcome != "SAVED":
                self.declined[outcome] = self.declined.get(outcome, 0) + count
        return report

    def closed(self, part: str, side: Side, workers: int, family: str, at_a_time: int) -> None:
        """So many calls at a time, for a while."""
        watch = side.watch(workers)
        report = self.load(
            side.engines[workers].port, self.logins(family), at_a_time=at_a_time, seconds=self.arguments.seconds
        )
        how = f"{at_a_time} at a time"
        self.figures[part].add(f"calls/s, {how}", side.name, report["calls"] / report["seconds"])
        self.add(part, side.name, report, watch, how)

    def add(self, part: str, name: str, report: dict[str, Any], watch: cpu.Watch, how: str) -> None:
        """CPU a call of each process, and how long callPrepare took."""
        figures = self.figures[part]
        for process in ("engine", "server"):
            figures.add(f"{process} CPU ms a call, {how}", name, watch.ms(process) / max(1, report["calls"]))
        figures.add(f"client CPU ms a call, {how}", name, report["cpu_ms"])
        for percentile in ("p50", "p99"):
            figures.add(f"prepare {percentile} ms, {how}", name, report["prepare_ms"][percentile])

    def offered(self, side: Side, a_second: int) -> None:
        """Calls that come by chance, so many a second."""
        watch = side.watch(1)
        report = self.load(
            side.engines[1].port, self.logins("p"), a_second=a_second, seconds=LATENCY_SHARE * self.arguments.seconds
        )
        self.add("latency", side.name, report, watch, f"{a_second} calls/s offered")

    def floors(self, ports: dict[str, tuple[int, int]]) -> None:
        """Servers that do nothing: our protocol without an engine, and a bare asyncio.Protocol."""
        for at_a_time in (1, 128):
            for name, (port, pid) in ports.items():
                watch = cpu.Watch(nothing=pid)
                report = self.load(port, self.logins("p"), at_a_time=at_a_time, seconds=self.arguments.seconds)
                figures, how = self.figures["floors"], f"{at_a_time} at a time"
                figures.add(f"calls/s, {how}", name, report["calls"] / report["seconds"])
                figures.add(f"CPU ms a call, {how}", name, watch.ms("nothing") / report["calls"])
        for a_second in self.arguments.offered:  # what of a percentile is the machine's and the client's own
            for name, (port, _) in ports.items():
                report = self.load(port, self.logins("p"), a_second=a_second, seconds=self.arguments.seconds)
                how = f"{a_second} calls/s offered"
                self.figures["floors"].add(f"prepare p99 ms, {how}", name, report["prepare_ms"]["p99"])

    def run(self) -> bool:
        """All rounds; whether the books of every side are balanced afterwards."""
        self.build()
        parts = self.arguments.parts
        with nothing_servers(self.sides if "floors" in parts else []) as ports:
            pair = BarePair(self.sides[0].servers, self.directory) if "floors" in parts else None
            for number in range(self.arguments.rounds):
                self.round(number, ports, pair)
        if "routes" in parts:
            for side in self.sides:
                side.limit_routes()
                self.warm_up(side, 1, "p")
            for number in range(self.arguments.rounds):
                self.say("routes", number)
                for at_a_time in SOME_AT_A_TIME:
                    for side in self.turn(number):
                        self.closed("routes", side, 1, "p", at_a_time)
        for side in self.sides:
            side.stop()
        unbalanced = [side.name for side in self.sides if not side.balanced()]
        return not unbalanced

    def round(self, number: int, ports: dict[str, tuple[int, int]], pair: BarePair | None) -> None:
        """Everything once that needs no limited route, the sides in turns."""
        parts = self.arguments.parts
        self.say("calls", number)
        for at_a_time in self.arguments.at_a_time:
            for side in self.turn(number):
                if "calls" in parts:
                    self.closed("calls", side, 1, "p", at_a_time)
                if "workers" in parts:
                    self.closed("workers", side, 2, "p", at_a_time)
            if pair is not None:
                pairs, server = pair.measure(at_a_time, self.arguments.seconds)
                self.figures["pair"].add(f"calls/s, {at_a_time} at a time", "pair", pairs)
                self.figures["pair"].add(f"server CPU ms a call, {at_a_time} at a time", "pair", server)
        if "packages" in parts:
            for at_a_time in SOME_AT_A_TIME:
                for side in self.turn(number):
                    self.closed("packages", side, 1, "k", at_a_time)
        if "latency" in parts:
            with cpu.before_others():
                for a_second in self.arguments.offered:
                    for side in self.turn(number):
                        self.offered(side, a_second)
        self.floors(ports)

    def turn(self, number: int) -> list[Side]:
        """The sides, each first in every other round."""
        return self.sides if number % 2 == 0 else self.sides[::-1]

    def say(self, what: str, number: int) -> None:
        """Progress, for who waits."""
        self.console.print(f"{time.strftime('%H:%M:%S')} {what}: round {number + 1} of {self.arguments.rounds}")


@contextlib.contextmanager
def nothing_servers(sides: list[Side]) -> Iterator[dict[str, tuple[int, int]]]:
    """(port, pid) of servers that do nothing: a bare Protocol, and each side's FastAGI server with nothing behind."""
    commands = {"bare": (str(HERE / "bare_server.py"), sides[0].tree)} if sides else {}
    commands |= {side.name: (str(side.tree / "benchmarks" / "null_server.py"), side.tree) for side in sides}
    running = {
        name: subprocess.Popen(
            [sys.executable, script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(tree)},
        )
        for name, (script, tree) in commands.items()
    }  # fmt: skip
    try:
        ports = {}
        for name, process in running.items():
            assert process.stdout is not None
            ports[name] = (int(process.stdout.readline()), process.pid)
        yield ports
    finally:
        for process in running.values():
            process.terminate()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()


def show(bench: Bench, form: str = SCREEN) -> None:
    """Every table; ratios are those of the medians that stand beside them."""
    columns = ["", "now", THEN, "ratio", "aim", "kept"]
    titles = {
        "calls": "Plain calls, one worker", "workers": "Plain calls, two workers",
        "packages": "Calls of logins with two packages, one worker",
        "routes": "Calls by two routes that count open calls and calls a second, one worker",
        "latency": "Calls that come by chance (Poisson), one worker",
    }  # fmt: skip
    for part, title in titles.items():
        rows = against(bench.figures[part], AIMS if part in ("calls", "latency") else {}, now="now", then="then")
        if part == "workers":
            rows += two_over_one(bench)
        if rows:
            print_table(title, columns, rows, form)
    floors(bench, form)


def two_over_one(bench: Bench) -> list[list[str]]:
    """Two workers beside one, of the code as it is."""
    figure = "calls/s, 128 at a time"
    two, one = bench.figures["workers"].median(figure, "now"), bench.figures["calls"].median(figure, "now")
    if two is None or one is None:
        return []
    ratio = two / one
    return [[f"{figure}: two workers over one, both now", shown(two), f"(one) {shown(one)}", f"{ratio:.2f}",
             WORKERS_AIM, kept(ratio, WORKERS_AIM)]]  # fmt: skip


def floors(bench: Bench, form: str) -> None:
    """What bounds an engine from below: servers that do nothing, and the bare pair."""
    figures = bench.figures["floors"]
    rows = []
    for figure in figures.figures():
        values = [figures.median(figure, name) for name in ("bare", "now", "then")]
        ratio = figures.ratio(figure, (figure, "then"), "now")
        aim = NULL_AIM if figure == "CPU ms a call, 128 at a time" else ""
        rows.append([figure, *("" if value is None else shown(value) for value in values),
                     "" if ratio is None else f"{ratio:.2f}", aim, kept(ratio, aim)])  # fmt: skip
    if rows:
        columns = ["", "bare Protocol", "ours, now", f"ours, {THEN}", "now/then", "aim", "kept"]
        print_table("FastAGI servers that do nothing", columns, rows, form)
    rows = []
    for figure in bench.figures["pair"].figures():
        pair, now = bench.figures["pair"].median(figure, "pair"), bench.figures["calls"].median(figure, "now")
        if pair is not None and now is not None:
            rows.append([figure, shown(now), shown(pair), f"{now / pair:.2f}"])
    if rows:
        print_table("Beside the bare pair: two hand-written transactions, pgbench, the same PostgreSQL",
                    ["", "engine, now", "bare pair", "ratio"], rows, form)  # fmt: skip


def main() -> None:
    """Parse the flags and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=4, help="of everything, the sides in turns")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART",
                        help=", ".join(PARTS))  # fmt: skip
    parser.add_argument("--at-a-time", type=int, nargs="+", default=[1, 8, 32, 128], help="calls in flight")
    parser.add_argument("--offered", type=int, nargs="+", default=list(OFFERED), help="calls/s, for the part latency")
    parser.add_argument("--logins", type=int, default=LOGINS, help="of each tariff, an account each")
    parser.add_argument("--numbers", type=int, default=NUMBERS, help="that are called")
    parser.add_argument("--alone", action="store_true", help=f"without {THEN} beside it")
    parser.add_argument("--readme", action="store_true", help="put the tables into README.md, too")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started ends, too
    with tempfile.TemporaryDirectory(prefix="rating-bench-") as name, both(alone=arguments.alone) as sides:
        bench = Bench(arguments, sides, Path(name))
        balanced = bench.run()
    show(bench)
    if arguments.readme:
        into_readme("calls", lambda: show(bench, MARKDOWN))
    if bench.declined:
        print(f"calls that were not saved: {bench.declined}")
    print("ledger: balanced on every side" if balanced else "ledger: NOT balanced")
    sys.exit(0 if balanced else 1)


if __name__ == "__main__":
    main()
