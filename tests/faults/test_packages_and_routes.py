"""Packages and limited routes under calls that meet, expire, are reconciled and end late; and slips that must be found.

The simulation's auditor knows money alone; here laws are held against the books after every round: no second of a
package is spent twice, every other one is paid for, nothing stays held, and no route carries more than it may.
"""

from __future__ import annotations

import asyncio
import random
import re
from decimal import Decimal

import asyncpg
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

# Without what the database itself refuses, so that the law has to see it: an end that it refuses is spooled, which says
# nothing of why.
UNCHECKED = (
    ("CHECK (used + held <= allowance)", "CHECK (true)"),
    ("held           bigint NOT NULL DEFAULT 0 CHECK (held >= 0)", "held           bigint NOT NULL DEFAULT 0"),
)
DATABASE_REFUSES = r'violates check constraint "package_usage_check"'
PACKAGES_DIFFER = r"package 1 of subscriber 1 .*: held -?\d+, but open calls hold \d+; used \d+, but CDRs used \d+"
ROUTES_DIFFER = r"route 1 in bucket 0: open_calls \d+, but \d+ are open"
COST_DIFFERS = r"calls cost"
ROUTE_OVERFULL = r"the small route carries \d+"

# Each with what has to find it: another reason is no proof that this slip is seen.
FAULTS = (
    (
        PlantedFault(
            "more of a package is held than is left",
            [("IF usage.allowance - usage.used - usage.held < use.seconds\n", "IF false\n")],
        ),
        DATABASE_REFUSES,
    ),
    (
        PlantedFault(
            "what a call held of a package is not freed when it ends",
            [("PERFORM free_packages(p_bucket, p_subscriber_id, p_held);", ""), *UNCHECKED],
        ),
        PACKAGES_DIFFER,
    ),
    (
        PlantedFault(
            "a call that is refused keeps its package",
            [("PERFORM free_packages(p_bucket, item.subscriber_id, item.packages);", "NULL;")],
        ),
        PACKAGES_DIFFER,
    ),
    (
        PlantedFault(
            "what was assumed of a call is used beside what is known of it",
            [("SET used = p.used - u.seconds", "SET used = p.used"), *UNCHECKED],
        ),
        PACKAGES_DIFFER,
    ),
    (
        PlantedFault(
            "what ending calls ask of a package stays held",
            [("PERFORM free_packages(p_bucket, help.subscriber_id, help.more);", "NULL;"), *UNCHECKED],
        ),
        PACKAGES_DIFFER,
    ),
    (
        PlantedFault(
            "calls that end at once are given the same seconds",
            [
                ("AND NOT hold_packages(p_bucket, item.account_id, item.subscriber_id, item.more);", "AND false;"),
                *UNCHECKED,
            ],
        ),
        PACKAGES_DIFFER,
    ),
    (
        PlantedFault(
            "packages pay for seconds that a call did not use",
            [("GREATEST(LEAST(use.seconds, p_covered - before), 0)", "use.seconds")],
        ),
        COST_DIFFERS,
    ),
    (
        PlantedFault(
            "a late end forgets what packages paid",
            [("margin = e.margin, packages = (e.details).packages", "margin = e.margin, packages = '{}'")],
        ),
        PACKAGES_DIFFER,
    ),
    (
        PlantedFault(
            "a route carries one call more",
            [("OR open_calls < CASE WHEN limits.shared", "OR open_calls <= CASE WHEN limits.shared")],
        ),
        ROUTE_OVERFULL,
    ),
    (
        PlantedFault(
            "an ended call stays on its route",
            [
                (
                    "UPDATE route_load l SET open_calls = GREATEST(l.open_calls - n.calls, 0)",
                    "UPDATE route_load l SET open_calls = l.open_calls",
                )
            ],
        ),
        ROUTES_DIFFER,
    ),
    (
        PlantedFault(
            "a call that the route has no room for is counted there",  # counted first, and then the limit is looked at
            [
                ("AND (limits.max_calls IS NULL\n", "AND (true\n"),
                (
                    "RETURN FOUND;\nEND $$;\n\n-- Lock what limited routes",
                    "RETURN COALESCE((SELECT open_calls <= limits.max_calls FROM route_load WHERE bucket = p_bucket"
                    " AND route_id = p_route_id), true);\nEND $$;\n\n-- Lock what limited routes",
                ),
            ],
        ),
        ROUTES_DIFFER,
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
    ended = await asyncio.gather(*ends)
    await check(engines[0])  # before the answers: that a law is broken says more than that an end had to wait
    for outcome in ended:
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
    assert await ledger_balanced(engine.office) == []
    assert books["used"] <= FREE
    cost = (books["talked"] - books["used"]) * CENT
    assert books["cost"] == cost, f"calls cost {books['cost']}, not {cost}"
    on_route = books["by_the_small_route"]
    assert on_route <= AT_A_TIME, f"the small route carries {on_route}"


@pytest.mark.parametrize("seed", SEEDS)
def test_packages_and_routes_are_used_as_far_as_they_go_and_given_back(database_url: str, seed: int) -> None:
    with no_logs():
        asyncio.run(call_and_check(database_url, seed))


def what_is_found(url: str, seed: int) -> str:
    """What the laws, or the database itself, say is wrong; empty: nothing. Anything else that fails is no finding."""
    try:
        asyncio.run(call_and_check(url, seed))
    except (AssertionError, asyncpg.CheckViolationError) as error:
        return str(error)
    return ""


@pytest.mark.parametrize(("fault", "found_by"), FAULTS, ids=[fault.name for fault, _ in FAULTS])
def test_slips_in_how_packages_and_routes_are_used_are_found(
    session_servers: SessionServers, fault: PlantedFault, found_by: str
) -> None:
    for seed in range(1, PLANTED_SEEDS_MAX + 1):
        with session_servers.database(template="template0") as url, no_logs():
            asyncio.run(apply_schema(url, fault))
            found = what_is_found(url, seed)
        if found:
            assert re.search(found_by, found), f"found, but not by {found_by}: {found}"
            return
    pytest.fail(f"{PLANTED_SEEDS_MAX} runs did not find it")
