"""The benchmarks run, and leave the ledger balanced: small here, since figures are theirs and no test asserts one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SMALL = {
    "calls.py": ["--rounds", "1", "--seconds", "1", "--warm-up", "0.5", "--accounts", "50", "--at-a-time", "8"],
    "hot_account.py": ["--rounds", "1", "--seconds", "1", "--warm-up", "0.5", "--accounts", "50", "--at-a-time", "8"],
    "rating.py": ["--rounds", "1"],
    "rates_import.py": ["--rows", "2000"],
    "deck_size.py": ["--rates", "12000", "--lookups", "200", "--entries", "500"],
}


def test_every_benchmark_is_run_here():
    helpers = {"world.py", "load.py", "null_server.py", "run_all.py"}
    assert {file.name for file in BENCHMARKS.glob("*.py")} - helpers == set(SMALL)


@pytest.mark.parametrize("name", SMALL)
def test_a_benchmark_runs_and_leaves_the_ledger_balanced(name):
    done = subprocess.run(
        [sys.executable, BENCHMARKS / name, *SMALL[name]], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "NOT balanced" not in done.stdout
