"""Faults of every kind by chance, under load: nothing lost, nothing charged twice, nothing overspent, nothing held.

`make soak` injects 1,000 (SOAK_FAULTS says how many, SOAK_SECONDS when to begin no more rounds); the short form here
takes every kind once.
"""

from __future__ import annotations

import os

import pytest

from tests.faults.books import Audit
from tests.faults.load import ALLOWED, SPOOLED, UNAVAILABLE, Call, Heard, Load
from tests.faults.soaking import BETWEEN, Report, soak
from tests.faults.striking import FAULTS

LONG_FAULTS = int(os.environ.get("SOAK_FAULTS") or 1_000)
LONG_SECONDS = float(os.environ.get("SOAK_SECONDS") or "inf")


def check(report: Report) -> None:
    assert report.complaints == [], "\n".join(report.lines())
    assert (report.overspent, report.left_open) == (0, 0)
    assert sum(tally.lost + tally.doubled for tally in report.kinds.values()) == 0


async def test_every_kind_of_fault_under_load_costs_no_money(breakable, servers, tmp_path, seed):
    report = await soak(breakable, tmp_path, seed, faults=len(FAULTS))

    print("\n".join(report.lines()))

    check(report)
    assert all(report.kinds[kind].injected == 1 for kind in FAULTS)


@pytest.mark.soak
async def test_a_thousand_faults_under_load_cost_no_money(breakable, servers, tmp_path, seed, capfd):
    def say(line: str) -> None:
        with capfd.disabled():
            print(line, flush=True)

    say(f"seed {seed}: FAULTS_SEED={seed} repeats the order of the faults")
    report = await soak(breakable, tmp_path, seed, faults=LONG_FAULTS, seconds=LONG_SECONDS, say=say)
    say("\n".join(["", *report.lines()]))

    check(report)
    assert report.injected == LONG_FAULTS or float("inf") > LONG_SECONDS


def test_what_goes_wrong_with_a_call_counts_for_every_kind_of_fault_it_met():
    load = Load(lambda: 0, ["office0"], 1)
    for uniqueid in ("000000", "000001"):
        load.calls.append(Call(uniqueid, "office0", "4912345678", 10, 0, False, False, False, False))
    load.heard += [
        Heard("prepare", ALLOWED, "PostgreSQL: kill -9 #1", "PostgreSQL: kill -9 # over 1", "000000"),
        Heard("finish", SPOOLED, "engine: kill -9 #2", f"{BETWEEN} 2", "000000"),
        Heard("prepare", UNAVAILABLE, "Valkey: kill -9 #3", "Valkey: kill -9 #3", "000001"),
    ]
    report = Report()

    report.add(0, load, Audit([f"{load.calls[0]}: nothing in the ledger"], [], ["poor1: -3"], []), 1, "")

    lost = {kind for kind, tally in report.kinds.items() if tally.lost}
    assert lost == {"PostgreSQL: kill -9", "engine: kill -9", BETWEEN}
    assert (report.kinds["Valkey: kill -9"].declined, report.overspent, report.left_open) == (1, 1, 1)
    assert len(report.complaints) == 2
