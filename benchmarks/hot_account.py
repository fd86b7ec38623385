"""Many parallel calls on ONE account, beside as many spread over all accounts, in the same run.

An engine that locks an account per call serves a hot account one call after the other. A batch locks it once.

    python benchmarks/hot_account.py
    python benchmarks/hot_account.py --at-a-time 512 --rounds 5 --seconds 5
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from calls import Bench
from report import SCREEN, Figures, kept, print_table, shown
from sides import LOGINS, NUMBERS, both

AIM = ">=0.7"
FIGURE = "calls/s"


def main() -> None:
    """Parse the flags, measure in turns, print; exit status 0 when the ledger is balanced."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="of both, in turn")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement")
    parser.add_argument("--at-a-time", type=int, default=1000, help="calls in flight")
    parser.add_argument("--logins", type=int, default=LOGINS, help="with an account each")
    parser.add_argument("--numbers", type=int, default=NUMBERS, help="that are called")
    arguments = parser.parse_args()
    arguments.parts = []
    figures = Figures()
    with tempfile.TemporaryDirectory(prefix="rating-bench-") as name, both(alone=True) as sides:
        bench = Bench(arguments, sides, Path(name))
        bench.build()
        port = sides[0].engines[1].port
        for number in range(arguments.rounds):
            bench.say("calls", number)
            for which, logins in (("spread", bench.logins("p")), ("one", ["p0"])):
                report = bench.load(port, logins, at_a_time=arguments.at_a_time, seconds=arguments.seconds)
                figures.add(FIGURE, which, report["calls"] / report["seconds"])
        sides[0].stop()
        balanced = sides[0].balanced()
    ratio = figures.ratio(FIGURE, (FIGURE, "spread"), "one")
    row = [f"{FIGURE}, {arguments.at_a_time} at a time", *(shown(figures.median(FIGURE, w)) for w in ("one", "spread"))]
    columns = ["", "on one account", f"over {arguments.logins:,}", "ratio", "aim", "kept"]
    print_table("Many calls on one account", columns, [[*row, f"{ratio:.2f}", AIM, kept(ratio, AIM)]], SCREEN)
    print("ledger: balanced" if balanced else "ledger: NOT balanced")
    sys.exit(0 if balanced else 1)


if __name__ == "__main__":
    main()
