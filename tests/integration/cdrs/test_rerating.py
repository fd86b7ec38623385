"""Past calls by a corrected deck: shown first, posted once, and every account right to the last digit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from rating_engine.domain.account import Subscriber
from rating_engine.domain.errors import InvalidRequest, NotFound
from rating_engine.domain.outcomes import Allowed, Saved
from rating_engine.domain.principal import OPERATOR
from rating_engine.domain.rerate import RerateState
from rating_engine.domain.reservation import SettleSource
from rating_engine.engine.engine import Engine
from rating_engine.rating.rate import Rate
from rating_engine.services.cdrs.rerating import ReadingProgress, RerateRequest, begin, discard, post, read
from rating_engine.storage.calls import rerates as store
from rating_engine.storage.calls.past_calls import PORTION
from rating_engine.storage.postgres.pool import Database
from tests.support.calls import finish, prepare
from tests.support.decks import BLOCKED, DeckRow, publish_rows, replace_deck
from tests.support.engines import engine_on
from tests.support.past_calls import NOON, Past, balance_of, charge_calls, costs, preview, rerate
from tests.support.world import CENT_A_SECOND, Deck, add_account, audited, publish_deck, settle_request

SHOWN = 10
HALF_A_CENT = Rate(price_1="0.30", price_unit="minute")

MARCH, APRIL = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with audited(Database(database_url, timeout_seconds=60)) as database:
        yield database


@pytest.fixture
async def deck(database: Database) -> Deck:
    return await publish_deck(database)


@pytest.fixture
async def subscriber(database: Database, deck: Deck) -> Subscriber:
    return await add_account(database, balance="100")


async def test_a_preview_says_what_would_be_corrected_and_touches_no_money(database, deck, subscriber):
    await charge_calls(database, subscriber, deck, [Past("1", 60), Past("2", 30), Past("3", 0)])
    await publish_deck(database, rates={"49": HALF_A_CENT})

    found = await preview(database)

    sums = await store.sums_of(database, found.rerate_id, SHOWN)
    assert (found.state, found.calls) == (RerateState.OPEN, 3)
    assert [(row.currency, row.calls, row.difference) for row in sums.totals] == [("EUR", 2, Decimal("-0.45"))]
    assert [(row.name, row.calls) for row in sums.directions] == [("Somewhere", 2)]
    assert [(row.name, row.difference) for row in sums.logins] == [("1001", Decimal("-0.45"))]
    assert [(call.call_key, call.new_cost) for call in sums.calls] == [
        ("test/1/1", Decimal("0.30")),
        ("test/2/1", Decimal("0.15")),
    ]
    assert await balance_of(database, subscriber) == Decimal("99.10")


async def test_a_posting_writes_an_entry_for_each_call_and_the_cdr_says_the_new_price(database, deck, subscriber):
    await charge_calls(database, subscriber, deck, [Past("1", 60)])
    corrected = await publish_deck(database, rates={"491": HALF_A_CENT})
    await database.fetch("UPDATE cdrs SET carrier_cost = 0.1, margin = 0.5")

    assert await rerate(database) == 1

    entry = await database.fetchrow("SELECT * FROM ledger_entries ORDER BY entry_id DESC LIMIT 1")
    assert (entry["kind"], entry["amount"], entry["balance_after"], entry["call_key"]) == (
        "correction", Decimal("0.30"), Decimal("99.70"), "test/1/1",
    )  # fmt: skip
    cdr = await database.fetchrow("SELECT * FROM cdrs")
    assert (cdr["cost"], cdr["deck_id"], cdr["prefix"], cdr["margin"]) == (
        Decimal("0.30"), corrected.deck_id, "491", Decimal("0.20"),
    )  # fmt: skip
    assert Rate.from_json(cdr["rate"]).price_1 == Decimal("0.30")
    assert await balance_of(database, subscriber) == Decimal("99.70")


async def test_posting_again_and_rerating_again_correct_nothing_more(database, deck, subscriber):
    await charge_calls(database, subscriber, deck, [Past("1", 60)])
    await publish_deck(database, rates={"49": HALF_A_CENT})
    found = await preview(database)

    assert (await post(database, OPERATOR, found.rerate_id)).corrected == 1
    assert (await store.find_rerate(database, found.rerate_id)).state is RerateState.POSTED
    assert (await post(database, OPERATOR, found.rerate_id)).corrected == 0
    assert await store.correct_calls(database, 0, found.rerate_id, ["test/1/1"]) == ["repeated"]
    assert await rerate(database) == 0
    assert await balance_of(database, subscriber) == Decimal("99.70")


async def test_of_two_postings_at_once_each_call_is_corrected_by_one(database, deck, subscriber):
    calls = [Past(str(number), 60) for number in range(3 * store.POST_BATCH)]
    await charge_calls(database, subscriber, deck, calls)
    await publish_deck(database, rates={"49": HALF_A_CENT})
    found = await preview(database)

    done = await asyncio.gather(*(post(database, OPERATOR, found.rerate_id) for _ in range(3)))

    assert sum(each.corrected for each in done) == len(calls)
    assert await balance_of(database, subscriber) == 100 - Decimal("0.30") * len(calls)


async def test_only_the_calls_asked_for_are_touched(database, deck, subscriber):
    other = await add_account(database, "1002", balance="100")
    day = timedelta(days=1)
    await charge_calls(
        database,
        subscriber,
        deck,
        [
            Past("at the start", started_at=NOON),
            Past("before", started_at=NOON - timedelta(seconds=1)),
            Past("at the end", started_at=NOON + day),
            Past("elsewhere", destination="4999"),
        ],
    )
    await charge_calls(database, other, deck, [Past("of another")])
    await publish_deck(database, rates={"49": HALF_A_CENT})

    await rerate(database, calls_from="2026-03-02 12:00", calls_to="2026-03-03 12:00", login="1001", prefix="491")

    corrected = {name for name, cost in (await costs(database)).items() if cost == Decimal("0.3")}
    assert corrected == {"at the start"}


async def test_what_the_deck_does_not_serve_is_listed_and_stays_as_it_is(database, deck, subscriber):
    await charge_calls(database, subscriber, deck, [Past("1"), Past("2", destination="4412"), Past("3", 0, "4412")])
    await replace_deck(database, deck.tariff_id, {"44": BLOCKED})

    found = await preview(database)

    sums = await store.sums_of(database, found.rerate_id, SHOWN)
    assert dict(sums.unpriced) == {"no_rate": 1, "blocked": 1}
    assert {(call.destination, call.problem) for call in sums.unpriced_calls} == {
        ("4912345", "no_rate"),
        ("4412", "blocked"),
    }
    assert (await post(database, OPERATOR, found.rerate_id)).corrected == 0
    assert await costs(database) == {"1": Decimal("0.6"), "2": Decimal("0.6"), "3": 0}


async def test_a_call_that_had_no_rate_gets_one(database, deck, subscriber):
    await charge_calls(database, subscriber, deck, [Past("1", 60, "4412", rate=None)])
    await publish_deck(database, rates={"49": CENT_A_SECOND, "44": HALF_A_CENT})

    assert await rerate(database) == 1

    assert await balance_of(database, subscriber) == Decimal("99.70")
    assert await database.fetchval("SELECT source FROM cdrs") == "unreserved"


async def test_the_dates_origin_and_time_of_day_of_a_rate_are_those_of_the_calls_start(database, deck, subscriber):
    await database.fetch(
        "INSERT INTO tariff_bands VALUES ($1, 1, 'night', '{1,2,3,4,5,6,7}', '20:00', '08:00')", deck.tariff_id
    )
    await charge_calls(
        database,
        subscriber,
        deck,
        [
            Past("before", started_at=NOON - timedelta(seconds=1)),
            Past("after"),
            Past("by night", started_at=NOON + timedelta(hours=9)),
            Past("from Berlin", callerid="493012345"),
        ],
    )
    await publish_rows(
        database,
        deck.tariff_id,
        [
            DeckRow("49", "0.01", until=NOON),
            DeckRow("49", "0.02", since=NOON),
            DeckRow("49", "0.03", band="night"),
            DeckRow("49", "0.04", origin="4930"),
        ],
    )

    assert await rerate(database) == 4
    assert await costs(database) == {
        "before": Decimal("0.01"),
        "after": Decimal("0.02"),
        "by night": Decimal("0.03"),
        "from Berlin": Decimal("0.04"),
    }


async def test_a_version_that_is_not_in_force_may_be_named(database, deck, subscriber):
    await charge_calls(database, subscriber, deck, [Past("1", rate=HALF_A_CENT)])
    await publish_deck(database, rates={"49": HALF_A_CENT})

    assert (await store.sums_of(database, (await preview(database)).rerate_id, SHOWN)).totals == []
    first = await preview(database, version=1)
    assert [row.new_cost for row in (await store.sums_of(database, first.rerate_id, SHOWN)).totals] == [Decimal("0.6")]
    with pytest.raises(NotFound, match="no version 7"):
        await preview(database, version=7)


async def test_the_tariff_counts_as_it_is_set_now_and_the_exchange_rate_as_of_the_calls_start(
    database, deck, subscriber
):
    await charge_calls(database, subscriber, deck, [Past("early"), Past("late", started_at=NOON + timedelta(hours=1))])
    await database.fetch("UPDATE tariffs SET currency = 'USD', multiplier = 1.5")
    for hours, rate in ((-1, "0.5"), (1, "2")):
        await database.fetch(
            "INSERT INTO exchange_rates VALUES ('USD', 'EUR', $1, $2)", NOON + timedelta(hours=hours), Decimal(rate)
        )

    assert await rerate(database) == 2
    assert await costs(database) == {"early": Decimal("0.45"), "late": Decimal("1.8")}


async def test_a_call_without_an_exchange_rate_is_listed(database, deck, subscriber):
    await charge_calls(database, subscriber, deck, [Past("1")])
    await database.fetch("UPDATE tariffs SET currency = 'USD'")

    found = await preview(database)

    assert dict((await store.sums_of(database, found.rerate_id, SHOWN)).unpriced) == {"no_exchange_rate": 1}


async def test_a_cdr_that_changed_since_it_was_read_is_left_alone_and_listed(database, deck, subscriber):
    await charge_calls(database, subscriber, deck, [Past("1"), Past("2")])
    await publish_deck(database, rates={"49": HALF_A_CENT})
    first, second = await preview(database), await preview(database)
    await post(database, OPERATOR, first.rerate_id)

    done = await post(database, OPERATOR, second.rerate_id)

    assert (done.corrected, done.left_alone) == (0, 2)
    sums = await store.sums_of(database, second.rerate_id, SHOWN)
    assert [call.call_key for call in sums.left_alone_calls] == ["test/1/1", "test/2/1"]
    assert await balance_of(database, subscriber) == Decimal("99.40")


async def test_what_a_prepaid_account_cannot_pay_is_counted_as_overrun(database, deck):
    poor = await add_account(database, "poor", balance="0.60")
    await charge_calls(database, poor, deck, [Past("1")])
    dearer = Rate(price_1="6", price_unit="minute")
    await publish_deck(database, rates={"49": dearer})
    before = await database.fetchval("SELECT overrun FROM cdrs")

    await rerate(database)

    assert await balance_of(database, poor) == Decimal("-5.40")
    assert await database.fetchval("SELECT overrun FROM cdrs") == before + Decimal("5.40")

    await publish_deck(database, rates={"49": CENT_A_SECOND})
    await rerate(database)
    assert await database.fetchval("SELECT overrun FROM cdrs") == before
    assert await balance_of(database, poor) == 0


async def test_what_is_discarded_is_never_posted_and_what_was_posted_is_never_discarded(database, deck, subscriber):
    await charge_calls(database, subscriber, deck, [Past("1")])
    await publish_deck(database, rates={"49": HALF_A_CENT})
    dropped, kept = await preview(database), await preview(database)

    await discard(database, OPERATOR, dropped.rerate_id)
    assert await database.fetchval("SELECT count(*) FROM rerate_items WHERE rerate_id = $1", dropped.rerate_id) == 0
    with pytest.raises(InvalidRequest, match="was discarded"):
        await post(database, OPERATOR, dropped.rerate_id)
    await post(database, OPERATOR, kept.rerate_id)
    with pytest.raises(InvalidRequest, match="corrections stand"):
        await discard(database, OPERATOR, kept.rerate_id)


async def test_a_reading_that_was_cut_off_goes_on_where_it_was_and_reads_each_call_once(database, deck, subscriber):
    calls = [Past(f"{number:05}", 6) for number in range(PORTION + 500)]
    await charge_calls(database, subscriber, deck, calls)
    await publish_deck(database, rates={"49": HALF_A_CENT})
    begun = await begin(database, OPERATOR, RerateRequest("retail", MARCH, APRIL))

    def cut_off(progress: ReadingProgress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await read(database, begun, international_prefix="00", on_progress=cut_off)
    halfway = await store.find_rerate(database, begun.rerate_id)
    assert (halfway.state, halfway.calls) == (RerateState.READING, PORTION)
    with pytest.raises(InvalidRequest, match="not all of it was read"):
        await post(database, OPERATOR, begun.rerate_id)

    whole = await read(database, halfway, international_prefix="00")

    assert (whole.state, whole.calls) == (RerateState.OPEN, len(calls))
    assert await store.unposted(database, whole.rerate_id) == len(calls)
    with pytest.raises(InvalidRequest, match="read on, or discarded"):
        async with database.transaction(OPERATOR) as tx:
            await store.keep_portion(tx, halfway, halfway.position, halfway.position, 1, [])


async def test_a_tariff_that_was_changed_meanwhile_ends_the_reading(database, deck, subscriber):
    begun = await begin(database, OPERATOR, RerateRequest("retail", MARCH, APRIL))
    await database.fetch("UPDATE tariffs SET multiplier = 2")

    with pytest.raises(InvalidRequest, match="was changed since"):
        await read(database, begun, international_prefix="00")


@pytest.mark.parametrize(
    ("request_", "problem"),
    [
        (RerateRequest("retail", APRIL, MARCH), "calls_to: "),
        (RerateRequest("retail", MARCH, APRIL, prefix="+49"), "prefix: "),
    ],
)
async def test_what_makes_no_range_is_refused_by_name(database, deck, request_, problem):
    with pytest.raises(InvalidRequest, match=problem):
        await begin(database, OPERATOR, request_)


async def test_who_is_not_there_is_said_so(database, deck):
    with pytest.raises(NotFound, match="no tariff nobody"):
        await begin(database, OPERATOR, RerateRequest("nobody", MARCH, APRIL))
    with pytest.raises(NotFound, match="'9999'"):
        await begin(database, OPERATOR, RerateRequest("retail", MARCH, APRIL, login="9999"))
    with pytest.raises(NotFound, match="no re-rating 7"):
        await discard(database, OPERATOR, 7)


class TestOnAnEngine:
    """Re-rating beside calls that an engine serves."""

    RANGE = ("2026-01-01", "2100-01-01")

    @pytest.fixture
    async def engine(self, database_url: str, redis_url: str) -> AsyncIterator[Engine]:
        async with engine_on(database_url, redis_url) as engine:
            yield engine

    async def rerate(self, database: Database) -> int:
        calls_from, calls_to = self.RANGE
        return await rerate(database, calls_from=calls_from, calls_to=calls_to)

    async def end_unheard(self, engine: Engine, subscriber: Subscriber, name: str, seconds: int, cost: str) -> None:
        """Its end is assumed, as by reconciliation: the CDR is provisional, and the engine remembers the call."""
        assumed = replace(settle_request(subscriber, name, seconds=seconds, cost=cost), source=SettleSource.RECONCILED)
        await engine.ledger.settle(assumed)

    async def test_calls_that_run_are_not_touched(self, database, engine, deck, subscriber):
        assert isinstance(await engine.charging.prepare_call(prepare("1")), Allowed)
        await publish_deck(database, rates={"49": HALF_A_CENT})

        assert await self.rerate(database) == 0

        saved = await engine.charging.finish_call(finish("1", 60))
        assert isinstance(saved, Saved)
        assert saved.cost == Decimal("0.60")

    @pytest.mark.parametrize(("price", "late_cost"), [("0.30", "0.45"), ("0", "0"), ("1.20", "1.80")])
    async def test_a_finish_that_comes_after_the_correction_is_charged_by_the_corrected_rate(
        self, database, engine, deck, subscriber, price, late_cost
    ):
        await engine.charging.prepare_call(prepare("1"))
        await self.end_unheard(engine, subscriber, "1", 60, "0.60")
        await publish_deck(database, rates={"49": Rate(price_1=price, price_unit="minute")})
        assert await self.rerate(database) == 1

        saved = await engine.charging.finish_call(finish("1", 90))

        assert isinstance(saved, Saved)
        assert saved.cost == Decimal(late_cost)
        assert await costs(database) == {"1": Decimal(late_cost).normalize()}
        assert await balance_of(database, subscriber) == 100 - Decimal(late_cost)

    async def test_a_call_corrected_to_nothing_has_one_charge_whatever_it_turns_out_to_cost(
        self, database, engine, deck, subscriber
    ):
        await engine.charging.prepare_call(prepare("1"))
        await self.end_unheard(engine, subscriber, "1", 60, "0.60")
        await publish_deck(database, rates={"49": replace(CENT_A_SECOND, free_seconds=60)})
        await self.rerate(database)

        await engine.charging.finish_call(finish("1", 90))

        kinds = await database.fetch(
            "SELECT kind::text, amount FROM ledger_entries WHERE call_key IS NOT NULL ORDER BY 2"
        )
        assert [tuple(row) for row in kinds] == [
            ("charge", Decimal("-0.60")), ("correction", Decimal("-0.30")), ("correction", Decimal("0.60")),
        ]  # fmt: skip

    async def test_a_call_that_nobody_heard_of_since_is_charged_by_the_corrected_rate_when_its_finish_comes(
        self, database, engine, deck, subscriber
    ):
        await engine.charging.prepare_call(prepare("1"))
        await database.fetch("UPDATE reservations SET expires_at = now()")
        assert await engine.ledger.expire(0) == 1
        await publish_deck(database, rates={"49": HALF_A_CENT})
        assert await self.rerate(database) == 1

        saved = await engine.charging.finish_call(finish("1", 60))

        assert isinstance(saved, Saved)
        assert saved.cost == Decimal("0.30")
        assert await balance_of(database, subscriber) == Decimal("99.70")

    async def test_seconds_that_a_package_paid_stay_paid_and_a_volume_keeps_its_step(
        self, database, engine, deck, subscriber
    ):
        for name, kind, seconds in (("free", "free", 40), ("much", "volume", None)):
            await database.fetch(
                "INSERT INTO packages (tariff_id, name, kind, seconds) VALUES ($1, $2, $3, $4)",
                deck.tariff_id, name, kind, seconds,
            )  # fmt: skip
        await database.fetch("INSERT INTO package_steps SELECT package_id, 30, 0.5 FROM packages WHERE name = 'much'")
        for name, seconds in (("1", 60), ("2", 60)):  # 20 s are paid of the first, at its half the second
            await engine.charging.prepare_call(prepare(name))
            await engine.charging.finish_call(finish(name, seconds))
        assert await costs(database) == {"1": Decimal("0.2"), "2": Decimal("0.3")}
        await publish_deck(database, rates={"49": Rate(price_1="1.20", price_unit="minute")})
        used = await database.fetch("SELECT package_id, used FROM package_usage ORDER BY 1")

        assert await self.rerate(database) == 2

        assert await costs(database) == {"1": Decimal("0.4"), "2": Decimal("0.6")}
        assert await database.fetch("SELECT package_id, used FROM package_usage ORDER BY 1") == used


async def test_who_began_posted_and_dropped_a_rerating_is_in_the_audit_log(database, deck, subscriber):
    await charge_calls(database, subscriber, deck, [Past("1", 60)])
    await publish_deck(database, rates={"49": HALF_A_CENT})
    request_ = RerateRequest("retail", MARCH, APRIL)
    kept, dropped = [await begin(database, OPERATOR, request_) for _ in range(2)]
    await read(database, kept, international_prefix="00")
    await post(database, OPERATOR, kept.rerate_id)
    await discard(database, OPERATOR, dropped.rerate_id)

    rows = await database.fetch("SELECT party, action, subject FROM audit_log ORDER BY audit_id")
    assert [tuple(row) for row in rows] == [
        ("operator", "rerate.begin", str(kept.rerate_id)),
        ("operator", "rerate.begin", str(dropped.rerate_id)),
        ("operator", "rerate.post", str(kept.rerate_id)),
        ("operator", "rerate.discard", str(dropped.rerate_id)),
    ]
