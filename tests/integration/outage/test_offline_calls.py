"""Calls while PostgreSQL is away: nobody by default; listed postpaid accounts, at the price they were promised."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from rating_engine.domain.errors import Unavailable
from rating_engine.domain.outcomes import Allowed, Declined, DeclineReason, Saved, Spooled
from rating_engine.engine.engine import Engine
from rating_engine.rating.rate import Rate
from rating_engine.services.doctor import ledger_balanced
from rating_engine.services.outage.spool_report import spool_findings
from rating_engine.storage.spool.promises import Promises
from tests.support.calls import NUMBER, finish, key_of, prepare
from tests.support.engines import engine_on
from tests.support.outage import Outage, metric, money, outage_on
from tests.support.servers import SessionServers
from tests.support.tcp_proxy import TcpProxy
from tests.support.waiting import until
from tests.support.world import CENT_A_SECOND, add_account, publish_deck

OTHER_NUMBER = "4812345"  # served by the deck, and never dialled before PostgreSQL goes
DEAR = Rate(price_1="6", price_unit="minute")
TRUSTED: dict[str, object] = {"on_database_down": "allow_postpaid", "allow_postpaid_logins": ["post", "pre", "blocked"]}


@pytest.fixture
async def outage(breakable: SessionServers, tmp_path: Path) -> AsyncIterator[Outage]:
    """A deck, and accounts: `post` and `other` (postpaid), `pre` (prepaid) and `blocked` (postpaid)."""
    async with outage_on(breakable, tmp_path / "spool") as outage:
        async with outage.database() as database:
            await publish_deck(database, rates={"49": CENT_A_SECOND, "48": CENT_A_SECOND})
            for login in ("post", "other", "blocked"):
                await add_account(database, login, overdraft=None, postpaid=True)
            await add_account(database, "pre", balance="10")
            await database.fetch("UPDATE subscribers SET status = 'blocked' WHERE login = 'blocked'")
        yield outage


@pytest.fixture
async def engine(outage: Outage) -> AsyncIterator[Engine]:
    """An engine that trusts some, has heard a call to NUMBER, and finds PostgreSQL gone."""
    async with outage.engine(**TRUSTED) as engine:
        await knowing(engine)
        await outage.begin()
        yield engine


async def knowing(engine: Engine) -> None:
    """Let the engine learn what it has to know beforehand, and the rate of NUMBER."""
    await engine.offline.refresh()
    await engine.charging.prepare_call(prepare("earlier", login="post"))
    await engine.charging.finish_call(finish("earlier", 0, login="post"))


async def allowed(engine: Engine, name: str = "1", **how: Any) -> Allowed:
    outcome = await engine.charging.prepare_call(prepare(name, **{"login": "post", **how}))
    assert isinstance(outcome, Allowed), outcome
    return outcome


async def declined(engine: Engine, name: str = "1", destination: str = NUMBER, **how: Any) -> DeclineReason:
    outcome = await engine.charging.prepare_call(prepare(name, destination, **{"login": "post", **how}))
    assert isinstance(outcome, Declined), outcome
    return outcome.reason


# --- who may


async def test_by_default_nobody_may_call_while_postgresql_is_away(outage):
    async with outage.engine() as engine:
        await knowing(engine)
        await outage.begin()

        assert await declined(engine) is DeclineReason.UNAVAILABLE


async def test_a_listed_postpaid_account_may_and_nothing_is_reserved(engine):
    outcome = await allowed(engine)

    assert outcome == Allowed(
        call_key=key_of("1"),
        max_seconds=3600,
        destination=NUMBER,
        callerid="",
        direction="Somewhere",
        route_prefix="",
        route_name="default",
        reserved=Decimal(0),
        currency="EUR",
    )
    assert metric(engine, "rating_offline_allowed_total") == 1


async def test_an_account_that_is_not_listed_or_not_postpaid_or_not_active_may_not(engine):
    for login in ("other", "pre", "blocked", "nobody"):
        assert await declined(engine, login=login) is DeclineReason.UNAVAILABLE, login


async def test_a_destination_whose_rate_is_in_no_cache_is_declined(engine):
    assert await declined(engine, destination=OTHER_NUMBER) is DeclineReason.UNAVAILABLE


async def test_a_destination_is_rated_from_redis_where_memory_has_forgotten_it(outage, breakable):
    redis_url = breakable.redis()
    async with (
        Redis.from_url(redis_url) as redis,
        outage.engine(**TRUSTED, redis_url=redis_url, rate_cache_entries=0) as engine,
    ):
        await knowing(engine)
        await until(lambda: redis.dbsize())
        await outage.begin()

        await allowed(engine)


async def test_an_engine_that_starts_while_postgresql_is_away_knows_nobody(outage):
    await outage.begin()
    async with outage.engine(**TRUSTED) as engine:
        assert await declined(engine) is DeclineReason.UNAVAILABLE


async def test_limits_that_need_no_money_hold(outage):
    async with outage.engine(**TRUSTED) as engine:
        await knowing(engine)
        for login, change in (
            ("post", "UPDATE accounts SET max_price = 0.1 WHERE account_id = $1"),
            ("pre", "UPDATE accounts SET kind = 'postpaid', default_allowed = false WHERE account_id = $1"),
            ("blocked", "INSERT INTO account_prefixes VALUES (0, $1, '49', false), (0, $1, '4', true)"),
        ):
            await engine.office.fetch("UPDATE subscribers SET status = 'active' WHERE login = $1", login)
            account = "SELECT account_id FROM subscribers WHERE login = $1"
            await engine.office.fetch(change, await engine.office.fetchval(account, login))
        await engine.offline.refresh()
        await outage.begin()

        assert await declined(engine, login="post") is DeclineReason.PRICE_TOO_HIGH
        assert await declined(engine, login="pre") is DeclineReason.BLOCKED_DESTINATION
        assert await declined(engine, login="blocked") is DeclineReason.BLOCKED_DESTINATION


async def test_no_call_is_longer_than_the_setting_or_the_subscribers_limit(outage):
    async with outage.engine(**TRUSTED, offline_max_seconds=100) as engine:
        await knowing(engine)
        await outage.begin()
        assert (await allowed(engine, "1")).max_seconds == 100
        await outage.end()
        await until(lambda: _up(engine))
        await engine.office.fetch("UPDATE subscribers SET max_seconds = 60")
        await engine.offline.refresh()
        await outage.begin()

        assert (await allowed(engine, "2")).max_seconds == 60


async def test_no_call_is_allowed_on_the_last_part_of_a_spool(outage):
    async with outage.engine(**TRUSTED, spool_max_bytes=65_536) as engine:
        await knowing(engine)
        await outage.begin()
        for number in range(230):
            await engine.charging.finish_call(finish(str(number), 1, login="post"))
        assert await declined(engine, "one more") is DeclineReason.UNAVAILABLE

        assert isinstance(await engine.charging.finish_call(finish("still taken", 1, login="post")), Spooled)


async def test_no_call_is_allowed_whose_promise_cannot_be_kept(engine, outage):
    outage.spool_dir.rename(outage.spool_dir.with_name("aside"))
    outage.spool_dir.write_text("a file in the way")

    assert await declined(engine) is DeclineReason.UNAVAILABLE


# --- what it costs


async def test_the_call_is_charged_what_was_promised_whatever_was_published_since(engine, outage):
    await allowed(engine)
    outcome = await engine.charging.finish_call(finish("1", 61, login="post"))
    assert isinstance(outcome, Spooled)
    assert (outcome.cost, outcome.currency) == (Decimal("0.61"), "EUR")
    await engine.finish_spool.close()  # so that the new deck comes before the charge
    await outage.end()
    async with outage.database() as database:
        await publish_deck(database, rates={"49": DEAR})
    async with outage.engine() as successor:
        await outage.all_charged(successor)

        assert await money(successor, "post") == (Decimal("-0.61"), 0)
        (row,) = await successor.office.fetch("SELECT source, state FROM cdrs WHERE call_key = 'test/1/1'")
        assert tuple(row) == ("unreserved", "settled")


async def test_another_process_of_the_machine_charges_what_was_promised(engine, outage):
    await allowed(engine)
    async with outage.engine() as other:
        outcome = await other.charging.finish_call(finish("1", 61, login="post"))
        assert isinstance(outcome, Spooled)
        assert (outcome.cost, outcome.currency) == (Decimal("0.61"), "EUR")


async def test_a_call_that_ends_when_postgresql_is_back_is_charged_what_was_promised_at_once(engine, outage):
    await allowed(engine)
    await outage.end()
    await until(lambda: _up(engine))
    await publish_deck(engine.office, rates={"49": DEAR})

    outcome = await engine.charging.finish_call(finish("1", 61, login="post"))

    assert isinstance(outcome, Saved)
    assert outcome.cost == Decimal("0.61")
    assert await money(engine, "post") == (Decimal("-0.61"), 0)


async def _up(engine: Engine) -> bool:
    return engine.calls_door.down is None


async def test_a_promise_goes_with_the_end_of_its_call(engine, outage):
    await allowed(engine)
    assert len(outage.files(".promise")) == 1
    await engine.charging.finish_call(finish("1", 61, login="post"))

    assert outage.files(".promise") == []


async def test_a_promise_goes_with_a_call_that_never_started(engine, outage):
    await allowed(engine)
    with contextlib.suppress(Unavailable):  # its subscriber is asked for too
        await engine.charging.abandon_call(key_of("1"), "post")

    assert outage.files(".promise") == []


async def test_a_repeated_question_gets_the_same_answer_from_any_process(engine, outage):
    first = await allowed(engine)

    assert await allowed(engine) == replace(first, repeated=True)
    assert metric(engine, "rating_offline_allowed_total") == 1


async def test_a_call_that_was_allowed_with_postgresql_is_told_the_same_without_it(outage):
    async with outage.engine(**TRUSTED) as engine:
        await knowing(engine)
        first = await allowed(engine)
        await outage.begin()

        again = await allowed(engine)
        assert again == replace(first, repeated=True, claim=again.claim)
        assert await declined(engine, destination=NUMBER + "6") is DeclineReason.CONFLICT
        assert outage.files(".promise") == []

        await outage.end()
        await until(lambda: _up(engine))
        await engine.charging.abandon_call(key_of("1"), "post", again.claim)  # nobody heard it; the first was heard
        await engine.charging.finish_call(finish("1", 61, login="post"))
        await outage.all_charged(engine)
        assert await money(engine, "post") == (Decimal("-0.61"), 0)


async def test_the_same_key_with_another_number_is_a_conflict(engine):
    await allowed(engine)

    assert await declined(engine, destination=NUMBER + "6") is DeclineReason.CONFLICT


async def test_a_reservation_whose_answer_was_lost_is_not_undone_under_an_allowed_call(outage):
    async with (
        TcpProxy("127.0.0.1", outage.servers.postgres.port) as proxy,
        engine_on(
            proxy.url(outage.url), spool_dir=str(outage.spool_dir), database_timeout_seconds=2, **TRUSTED
        ) as engine,
        outage.database() as direct,
    ):
        await knowing(engine)
        async with direct.connection() as connection, connection.transaction():
            await connection.execute("SELECT FROM accounts FOR UPDATE")
            asked = asyncio.create_task(allowed(engine))
            await until(lambda: direct.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))
            proxy.silence()
        await until(lambda: direct.fetchval("SELECT count(*) FROM reservations"))  # committed, and nobody heard
        await asked
        proxy.speak()
        proxy.cut()
        await until(lambda: _up(engine))
        await engine.undo.turn()

        outcome = await engine.charging.finish_call(finish("1", 61, login="post"))

        assert isinstance(outcome, Saved)
        assert await money(engine, "post") == (Decimal("-0.61"), 0)
        assert await ledger_balanced(engine.office) == []


# --- doctor


async def test_doctor_names_calls_without_an_end(engine, outage):
    await allowed(engine)
    assert spool_findings(outage.spool_dir, 1_000_000) == []
    promises = Promises(outage.spool_dir)
    (promise,) = promises.all()
    promises.keep(replace(promise, allowed_at=datetime.now(UTC) - timedelta(days=1)))

    (finding,) = spool_findings(outage.spool_dir, 1_000_000)

    assert "test/1/1 of post" in finding.what


async def test_a_promise_that_cannot_be_read_stops_nothing(engine, outage):
    await allowed(engine)
    (file,) = outage.files(".promise")
    file.write_bytes(b"garbage")

    assert isinstance(await engine.charging.finish_call(finish("1", 61, login="post")), Spooled)
    assert (await engine.charging.prepare_call(prepare("2", login="post"))).max_seconds == 3600
