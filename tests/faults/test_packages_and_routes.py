"""Packages and limited routes under calls that meet, expire, are reconciled and end late; and slips that must be found.

The simulation's auditor knows money alone; here laws are held against the books after every round: no second of a
package is spent twice, every other one is paid for, nothing stays held, and no route carries more than it may.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from decimal import Decimal

import pytest

from rating_engine.domain.outcomes import Allowed, Saved
from rating_engine.engine.engine import Engine
from rating_engine.services.doctor import ledger_balanced
from rating_engine.storage.calls.open_calls import open_calls_of
from tests.faults.simulation.planted import PlantedFault, apply_schema
from tests.faults.simulation.quiet import no_logs
from tests.support.calls import finish, prepare
from tests.support.engines import engine_on
from tests.support.servers import SessionServers
from tests.support.world import add_account, publish_deck

SEEDS = (1, 2, 3)
PLANTED_SEEDS_MAX = 5
ROUNDS = 8
TOGETHER = 8
FREE = 700  # seconds of the package: those of two and a bit of the longest call
AT_A_TIME = 2  # calls by the limited route
CENT = Decimal("0.01")

FAULTS = (
    PlantedFault(
        "more of a package is held than is left", [("WHERE p.allowance - p.used - p.held < u.seconds", "WHERE false")]
    ),
    PlantedFault(
        "what a call held of a package is not freed when it ends",
        [("PERFORM free_packages(p_bucket, p_call.subscriber_id, p_call.held);", "")],
    ),
    PlantedFault(
        "a call that is refused keeps its package",
        [("PERFORM free_packages(p_bucket, item.subscriber_id, item.packages);", "NULL;")],
    ),
    PlantedFault(
        "what was assumed of a call is used beside what is known of it",
        [("SET used = used - u.seconds", "SET used = used")],
    ),
    PlantedFault(
        "what ending calls ask of a package stays held",
        [("PERFORM free_packages(p_bucket, demand.subscriber_id, demand.more);", "NULL;")],
    ),
    PlantedFault(
        "calls that end at once are given the same seconds",
        [("IF hold_packages(p_bucket, demand.account_id, demand.subscriber_id, demand.more) THEN", "IF true THEN")],
    ),
    PlantedFault(
        "packages pay for seconds that a call did not use",
        [("ELSE GREATEST(LEAST(seconds, p_covered - before), 0)", "ELSE seconds")],
    ),
    PlantedFault(
        "a late end forgets what packages paid",
        [("margin = d.margin, packages = d.packages_used", "margin = d.margin, packages = '{}'")],
    ),
    PlantedFault("a route carries one call more", [("(l.open_calls < r.max_calls)", "(l.open_calls <= r.max_calls)")]),
    PlantedFault(
        "an ended call stays on its route",
        [("SET open_calls = GREATEST(open_calls - fewer[i], 0)", "SET open_calls = open_calls")],
    ),
    PlantedFault(
        "a call that the route has no room for is counted there",
        [("AND (l.open_calls < r.max_calls) IS NOT FALSE", "AND true")],
    ),
)


async def call_and_check(url: str, seed: int) -> None:
    rng = random.Random(seed)
    limits = {"max_reserve_seconds": 300}
    async with engine_on(url, **limits) as one, engine_on(url, **limits) as two:
        await set_up(one)
        for number in range(ROUNDS):
            await call((one, two), rng, number)
            await check(one)


async def set_up(engine: Engine) -> None:
    await publish_deck(engine.office)
    await engine.office.fetch(
        "INSERT INTO packages (tariff_id, name, kind, seconds) SELECT tariff_id, 'free', 'free', $1 FROM tariffs", FREE
    )
    await engine.office.fetch(
        "INSERT INTO routes (name, position, max_calls) VALUES ('small', 1, $1), ('large', 2, NULL)", AT_A_TIME
    )
    await add_account(engine.office, balance="8")


async def call(engines: tuple[Engine, Engine], rng: random.Random, number: int) -> None:
    """Calls are prepared at once; of some nobody tells the end until later; those that are told end at once."""
    names = [f"{number}-{n}" for n in range(TOGETHER)]
    outcomes = await asyncio.gather(*(rng.choice(engines).charging.prepare_call(prepare(name)) for name in names))
    await check(engines[0])
    longest = {
        name: outcome.max_seconds for name, outcome in zip(names, outcomes, strict=True) if isinstance(outcome, Allowed)
    }
    unheard = [name for name in longest if rng.random() < 0.4]
    await lose(engines[0], unheard[::2], reconciled=False)
    await lose(engines[0], unheard[1::2], reconciled=True)
    await check(engines[0])
    ends = [
        rng.choice(engines).charging.finish_call(finish(name, min(seconds, rng.choice((0, 5, 40, 90, 300)))))
        for name, seconds in longest.items()
    ]
    for outcome in await asyncio.gather(*ends):
        assert isinstance(outcome, Saved), outcome


async def lose(engine: Engine, names: list[str], *, reconciled: bool) -> None:
    """Nobody tells the end of these calls: they expire, or are charged by what was seen of them."""
    keys = [f"test/{name}/1" for name in names]
    if not reconciled:
        await engine.office.fetch("UPDATE reservations SET expires_at = now() WHERE call_key = ANY ($1)", keys)
        await engine.ledger.expire(0)
        return
    await engine.office.fetch(
        "UPDATE reservations SET answered_at = now() - interval '50 seconds', last_seen_at = now() "
        "WHERE call_key = ANY ($1)",
        keys,
    )
    for open_call in await open_calls_of(engine.office, "test"):
        if str(open_call.call_key) in keys:
            await engine.lasting.reconcile_call(open_call)


async def check(engine: Engine) -> None:
    [books] = await engine.office.fetch(
        """SELECT COALESCE(sum(billed_seconds), 0) AS talked, COALESCE(sum(cost), 0) AS cost,
                  (SELECT COALESCE(sum(used), 0) FROM package_usage) AS used,
                  (SELECT count(*) FROM reservations WHERE route_name = 'small') AS by_the_small_route
           FROM cdrs"""
    )
    assert books["used"] <= FREE
    assert books["cost"] == (books["talked"] - books["used"]) * CENT
    assert books["by_the_small_route"] <= AT_A_TIME
    assert await ledger_balanced(engine.office) == []


@pytest.mark.parametrize("seed", SEEDS)
def test_packages_and_routes_are_used_as_far_as_they_go_and_given_back(database_url: str, seed: int) -> None:
    with no_logs():
        asyncio.run(call_and_check(database_url, seed))


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_slips_in_how_packages_and_routes_are_used_are_found(session_servers: SessionServers, fault: PlantedFault):
    for seed in range(1, PLANTED_SEEDS_MAX + 1):
        with session_servers.database(template="template0") as url, no_logs():
            asyncio.run(apply_schema(url, fault))
            with contextlib.suppress(Exception):  # some of it the database itself refuses, by a CHECK
                asyncio.run(call_and_check(url, seed))
                continue
            return  # found
    pytest.fail(f"{PLANTED_SEEDS_MAX} runs did not find it")
