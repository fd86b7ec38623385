"""Thousands of calls with lost, doubled, late and reordered events, crashes and outages, each run from one seed.

`pytest -s` prints what happened. A failure prints its seed, and how to make that run again: by SIM_SEED and SIM_CALLS
in the environment, or by `python -m tests.faults.simulation --seed 7 --calls 1000`.
"""

from __future__ import annotations

import contextlib
import os
import random
from collections.abc import Iterator

import pytest

from tests.faults.simulation.clock import run
from tests.faults.simulation.planted import FAULTS, PlantedFault, apply_schema
from tests.faults.simulation.quiet import no_logs
from tests.faults.simulation.report import SimulationFailed, Summary
from tests.faults.simulation.simulator import simulate
from tests.support.servers import SessionServers

SEEDS = [int(os.environ["SIM_SEED"])] if "SIM_SEED" in os.environ else [1, 2]
CALLS = int(os.environ.get("SIM_CALLS", "1000"))
SOAK_RUNS = 40
SOAK_CALLS = 5_000
SHORT_CALLS = 300  # a planted fault is not so rare that it takes more
PLANTED_SEEDS_MAX = 10
PATIENCE_SECONDS = 1_800.0  # for a run that hangs


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with no_logs():
        yield


def run_on_new_database(servers: SessionServers, seed: int, calls: int) -> Summary:
    with servers.database() as url:
        summary = run(simulate(url, seed, calls), PATIENCE_SECONDS)
    print(f"\n{summary}")
    return summary


@pytest.mark.parametrize("seed", SEEDS)
def test_every_law_holds_after_every_step_from_this_seed(session_servers: SessionServers, seed: int) -> None:
    summary = run_on_new_database(session_servers, seed, CALLS)

    assert summary.calls == CALLS
    assert summary.reported > 0


@pytest.mark.soak
@pytest.mark.parametrize("number", range(SOAK_RUNS))
def test_every_law_holds_after_every_step_of_long_runs(session_servers: SessionServers, number: int) -> None:
    run_on_new_database(session_servers, random.SystemRandom().randrange(2**32), SOAK_CALLS)


def test_a_seed_makes_the_same_run_again(session_servers: SessionServers) -> None:
    runs = [run_on_new_database(session_servers, seed, SHORT_CALLS) for seed in (7, 7, 8)]

    first, again, other = [summary.fingerprint for summary in runs]
    assert first == again != other


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_the_simulation_finds_planted_faults(session_servers: SessionServers, fault: PlantedFault) -> None:
    async def simulate_with_fault(url: str, seed: int) -> None:
        await apply_schema(url, fault)
        await simulate(url, seed, SHORT_CALLS, preparing=fault.preparing)

    for seed in range(1, PLANTED_SEEDS_MAX + 1):
        with session_servers.database(template="template0") as url:
            with contextlib.suppress(SimulationFailed):
                run(simulate_with_fault(url, seed), PATIENCE_SECONDS)
                continue
            return  # found
    pytest.fail(f"{PLANTED_SEEDS_MAX} runs did not find it")
