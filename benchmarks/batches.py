"""What a call costs PostgreSQL, reserved and settled in statements of exactly so many calls: the code as it is beside
that of an older commit, in turns, in one run. CPU is that of the server with its backends (user + system, from /proc).

    python benchmarks/batches.py
    python benchmarks/batches.py --rounds 7 --seconds 3
"""

from __future__ import annotations

import argparse
import sys
import time

from report import MARKDOWN, SCREEN, Figures, against, into_readme, print_table
from rich.console import Console
from sides import THEN, both

AIMS = {1: 0.55, 8: 0.65, 32: 0.7, 128: 0.9}


def main() -> None:
    """Parse the flags, measure in turns, print; exit status 0 when the ledger is balanced."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=11, help="of all sizes, the sides in turns")
    parser.add_argument("--seconds", type=float, default=1.0, help="of each measurement")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(AIMS), help="calls in a statement, at most 200")
    parser.add_argument("--alone", action="store_true", help=f"without {THEN} beside it")
    parser.add_argument("--readme", action="store_true", help="put the table into README.md, too")
    arguments = parser.parse_args()
    figures, console = Figures(), Console(stderr=True)
    with both(alone=arguments.alone) as sides:
        for side in sides:
            side.command("migrate")
            side.inside("batch_world", side.servers.database_url)
        for number in range(arguments.rounds):
            console.print(f"{time.strftime('%H:%M:%S')} batches: round {number + 1} of {arguments.rounds}")
            for size in arguments.sizes:
                for side in sides if number % 2 == 0 else sides[::-1]:
                    said = side.inside(
                        "batches", side.servers.database_url, size, arguments.seconds, side.servers.postgres.pid
                    )
                    figures.add(f"server CPU ms a call, statements of {size}", side.name, said["server_ms"])
        unbalanced = [side.name for side in sides if not side.balanced()]
    aims = {f"server CPU ms a call, statements of {size}": f"<={aim}" for size, aim in AIMS.items()}
    rows = against(figures, aims, now="now", then="then")
    table = ("Reserve and settle in batches", ["", "now", THEN, "ratio", "aim", "kept"], rows)
    print_table(*table, SCREEN)
    if arguments.readme:
        into_readme("batches", lambda: print_table(*table, MARKDOWN))
    print("ledger: NOT balanced" if unbalanced else "ledger: balanced on every side")
    sys.exit(1 if unbalanced else 0)


if __name__ == "__main__":
    main()
