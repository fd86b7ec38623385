"""Engines whose transactions really run side by side: some order of the requests explains every answer and the books.

The simulation does one statement at a time, so that a seed makes a run again. Here three engines have connections of
their own, and row locks decide what comes first; the auditor takes any order that is right.
"""

from __future__ import annotations

import random
from decimal import Decimal

import pytest

from tests.faults.simulation.asking import Ask
from tests.faults.simulation.clock import run
from tests.faults.simulation.quiet import no_logs
from tests.faults.simulation.stage import Stage, opened
from tests.faults.simulation.world import DECK, DESTINATIONS, POLICY, accounts
from tests.support.auditor import Unexplained
from tests.support.auditor_nouns import Extend, Finish, GiveBack, Prepare, TopUp

SEEDS = (1, 2)
ENGINES = 3
CONNECTIONS = 9
ROUNDS = 80
TOGETHER_MAX = 10
KEYS_A_ROUND = 4  # new ones; each is asked about some rounds long
LOGINS = ("family", "family-2", "office", "daily", "unlimited", "prepaid")
PATIENCE_SECONDS = 600.0


async def ask_side_by_side(url: str, seed: int) -> None:
    rng = random.Random(seed)
    async with opened(url, POLICY, engines=ENGINES, connections=CONNECTIONS) as stage:
        await stage.publish(DECK, told=[])
        for account, subscribers in accounts():
            await stage.operator.add_account(account, *subscribers)
        for number in range(ROUNDS):
            stage.clock.move(number * 20)
            asks = [(rng.randrange(ENGINES), draw(rng, number)) for _ in range(rng.randint(2, TOGETHER_MAX))]
            try:
                await stage.perform(asks)
                await check(stage, number)
            except Unexplained as error:
                raise Unexplained(f"seed={seed}, round {number}: {error}") from error


async def check(stage: Stage, number: int) -> None:
    if number % 20 == 0 or number == ROUNDS - 1:
        await stage.check_all_laws()


def draw(rng: random.Random, number: int) -> Ask:
    """About one of the calls of the last rounds, so that requests meet."""
    key = f"seen/{max(0, number - rng.randrange(3))}-{rng.randrange(KEYS_A_ROUND)}/1"
    login, destination = rng.choice(LOGINS), rng.choice(DESTINATIONS)
    match rng.randrange(8):
        case 0 | 1 | 2:
            return Prepare(key, login, destination)
        case 3 | 4:
            return Finish(key, login, destination, rng.choice((0, 30, 30, 90, 2_000)))
        case 5:
            return Extend(key, rng.randrange(100))
        case 6:
            return GiveBack(key, 10, rng.randrange(10, 60))
        case _:
            return TopUp(
                rng.choice(("family", "office")), Decimal(1 + rng.randrange(2)), f"r{number - rng.randrange(2)}"
            )


@pytest.mark.parametrize("seed", SEEDS)
def test_some_order_explains_what_engines_did_side_by_side(database_url: str, seed: int) -> None:
    with no_logs():
        run(ask_side_by_side(database_url, seed), PATIENCE_SECONDS)
