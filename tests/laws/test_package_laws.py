"""No second of a package is spent twice: whatever calls do at once, on two engines, in whatever order they end."""

from __future__ import annotations

import asyncio
from decimal import Decimal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rating_engine.domain.outcomes import Allowed, Saved
from rating_engine.engine.engine import Engine
from rating_engine.services.doctor import ledger_balanced
from tests.faults.simulation.quiet import no_logs
from tests.support.calls import finish, prepare
from tests.support.engines import engine_on
from tests.support.world import add_account, publish_deck

CENT = Decimal("0.01")  # a second, as tests/support/world sells it

# Each wave is a set of calls prepared at once, then ended at once: (engine, seconds; None: it expires, and ends late).
CALLS = st.tuples(st.integers(0, 1), st.one_of(st.integers(0, 400), st.none()))
WAVES = st.lists(st.lists(CALLS, min_size=1, max_size=8), min_size=1, max_size=3)


@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(seconds=st.integers(1, 1_500), balance=st.integers(0, 20), waves=WAVES)
def test_calls_pay_for_every_second_that_no_package_paid_and_packages_for_each_once(
    database_url: str, redis_url: str, seconds: int, balance: int, waves: list[list[tuple[int, int | None]]]
) -> None:
    with no_logs():
        asyncio.run(_spend(database_url, redis_url, seconds, balance, waves))


async def _spend(
    database_url: str, redis_url: str, seconds: int, balance: int, waves: list[list[tuple[int, int | None]]]
) -> None:
    limits = {"max_reserve_seconds": 300}
    async with engine_on(database_url, redis_url, **limits) as one, engine_on(database_url, redis_url, **limits) as two:
        await one.office.fetch(
            "TRUNCATE open_calls, call_records, package_usage, accounts, subscribers, logins, packages, package_terms "
            "CASCADE"
        )
        await one.office.fetch("ALTER TABLE ledger_entries DISABLE TRIGGER append_only")
        await one.office.fetch("TRUNCATE ledger_entries")
        await publish_deck(one.office)
        await one.office.fetch(
            "INSERT INTO packages (tariff_id, name, kind, seconds) SELECT tariff_id, 'free', 'free', $1 FROM tariffs",
            seconds,
        )
        await add_account(one.office, balance=str(balance))
        for engine in (one, two):
            engine.memory.forget_all()
        for number, wave in enumerate(waves):
            await _run_wave((one, two), number, wave)
        await _check(one, seconds)


async def _run_wave(engines: tuple[Engine, Engine], number: int, wave: list[tuple[int, int | None]]) -> None:
    names = [f"{number}-{n}" for n in range(len(wave))]
    outcomes = await asyncio.gather(
        *(engines[which].charging.prepare_call(prepare(name)) for name, (which, _) in zip(names, wave, strict=True))
    )
    allowed = {name: outcome for name, outcome in zip(names, outcomes, strict=True) if isinstance(outcome, Allowed)}
    late = [name for name, (_, talked) in zip(names, wave, strict=True) if name in allowed and talked is None]
    for name in late:
        await engines[0].office.fetch(
            "UPDATE reservations SET expires_at = now() WHERE call_key = $1", f"test/{name}/1"
        )
    await engines[0].ledger.expire(0)
    ends = [
        # the other engine than the one that allowed it, so that nothing is remembered of it
        engines[1 - which].charging.finish_call(
            finish(name, min(allowed[name].max_seconds, 100 if talked is None else talked))
        )
        for name, (which, talked) in zip(names, wave, strict=True)
        if name in allowed
    ]
    for outcome in await asyncio.gather(*ends):
        assert isinstance(outcome, Saved), outcome


async def _check(engine: Engine, seconds: int) -> None:
    used = await engine.office.fetchval("SELECT COALESCE(sum(used), 0) FROM package_usage")
    held = await engine.office.fetchval("SELECT COALESCE(sum(held), 0) FROM package_usage")
    talked, cost = tuple(
        (await engine.office.fetch("SELECT COALESCE(sum(billed_seconds), 0), COALESCE(sum(cost), 0) FROM cdrs"))[0]
    )
    assert (held, used <= seconds) == (0, True)
    assert cost == (talked - used) * CENT
    assert await ledger_balanced(engine.office) == []
