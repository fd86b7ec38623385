"""The benchmarks run, and leave the ledger balanced: small here, since figures are theirs and no test asserts one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
HANG_SECONDS = 500  # a guard: the longest takes a minute
SMALL_WORLD = ["--logins", "50", "--numbers", "50", "--at-a-time", "8"]
SMALL = {
    "calls.py": ["--rounds", "1", "--seconds", "0.3", *SMALL_WORLD, "--offered", "50", "--alone"],
    "batches.py": ["--rounds", "1", "--seconds", "0.2", "--sizes", "2"],
    "http_calls.py": ["--rounds", "1", "--seconds", "0.3", "--beside-seconds", "0.5", "--requests", "50", *SMALL_WORLD],
    "hot_account.py": ["--rounds", "1", "--seconds", "0.3", *SMALL_WORLD],
    "rating.py": ["--rounds", "1"],
    "rates_import.py": ["--rows", "2000"],
    "ari.py": ["--calls", "10", "--a-second", "10", "--rounds", "1"],
    "deck_size.py": ["--rates", "12000", "--lookups", "200", "--entries", "500"],
}
# With the long tests: an installation of its own to time what calls.py times too, or an Asterisk.
LONG = ("ari.py", "hot_account.py", "batches.py")


def test_every_benchmark_is_run_here():
    helpers = {"bare_pair.py", "bare_server.py", "client.py", "cpu.py", "inside.py", "null_server.py", "report.py"}
    helpers |= {"http_client.py", "run_all.py", "sides.py"}
    assert {file.name for file in BENCHMARKS.glob("*.py")} - helpers == set(SMALL)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.soak if name in LONG else ()) for name in SMALL],
)
def test_a_benchmark_runs_and_leaves_the_ledger_balanced(name):
    done = subprocess.run(
        [sys.executable, BENCHMARKS / name, *SMALL[name]], capture_output=True, text=True, timeout=HANG_SECONDS
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "NOT balanced" not in done.stdout
