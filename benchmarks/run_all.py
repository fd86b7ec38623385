"""Every benchmark in turn, each with the figures it prints: `make bench`. About a quarter of an hour.

Quote ratios and medians: absolute figures are of one machine at one hour.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
RUNS = (
    ("rating.py",),
    ("rates_import.py",),
    ("deck_size.py",),
    ("batches.py", "--readme"),
    ("calls.py", "--readme"),
    ("hot_account.py",),
    ("http_calls.py", "--readme"),
    ("ari.py", "--readme"),
)


def main() -> None:
    """Run them; the exit status is the first failure's."""
    for number, (name, *flags) in enumerate(RUNS, 1):
        print(f"\n[{number}/{len(RUNS)}] {name} {' '.join(flags)}", flush=True)
        status = subprocess.run([sys.executable, HERE / name, *flags], check=False).returncode
        if status:
            sys.exit(status)


if __name__ == "__main__":
    main()
