"""`python -m tests.faults.simulation --seed 7 --calls 5000`: one run, on servers of its own."""

from __future__ import annotations

import argparse

from rating_engine.embedded import EmbeddedServers
from rating_engine.storage.postgres.migrate import migrate
from tests.faults.simulation.clock import run
from tests.faults.simulation.quiet import no_logs
from tests.faults.simulation.simulator import simulate

PATIENCE_SECONDS = 3_600.0


async def _migrate_and_simulate(database_url: str, seed: int, calls: int) -> None:
    await migrate(database_url)
    print(await simulate(database_url, seed, calls))


def main() -> None:
    """Prints the summary, or fails with the seed and what led to it."""
    arguments = argparse.ArgumentParser(prog="python -m tests.faults.simulation", description=__doc__)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--calls", type=int, default=1_000)
    given = arguments.parse_args()
    with no_logs(), EmbeddedServers() as servers:
        run(_migrate_and_simulate(servers.database_url, given.seed, given.calls), PATIENCE_SECONDS)


if __name__ == "__main__":
    main()
