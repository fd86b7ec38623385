"""Whatever calls there were and whatever a deck says: the corrections are the new costs less the old ones, once."""

from __future__ import annotations

import asyncio
from decimal import Decimal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rating_engine.domain.principal import OPERATOR
from rating_engine.rating.charge import charge
from rating_engine.rating.rate import Rate
from rating_engine.services.cdrs.rerating import post
from rating_engine.services.doctor import ledger_balanced
from rating_engine.storage.postgres.pool import Database
from tests.support.past_calls import Past, balance_of, charge_calls, costs, preview
from tests.support.servers import SessionServers
from tests.support.world import add_account, publish_deck

BALANCE = Decimal(10)  # which some of the calls exceed
PREFIXES = ("491", "492", "493")
RATES = st.builds(
    Rate,
    price_1=st.sampled_from(["0", "0.10", "0.6", "7"]),
    price_unit=st.just("minute"),
    interval_1=st.sampled_from([1, 60]),
    connect_fee=st.sampled_from(["0", "0.05"]),
    free_seconds=st.sampled_from([0, 30]),
)
CALLS = st.lists(
    st.tuples(st.sampled_from(PREFIXES), st.sampled_from([0, 1, 59, 60, 61, 600]), st.one_of(st.none(), RATES)),
    max_size=12,
)
DECKS = st.lists(st.dictionaries(st.sampled_from(PREFIXES), RATES, min_size=1), min_size=1, max_size=2)


@settings(
    max_examples=25,
    deadline=None,  # each example has a database of its own
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(calls=CALLS, decks=DECKS)
def test_corrections_are_the_new_costs_less_the_old_ones_and_posting_twice_is_posting_once(
    session_servers: SessionServers, calls: list[tuple[str, int, Rate | None]], decks: list[dict[str, Rate]]
) -> None:
    with session_servers.database() as url:
        asyncio.run(_correct(url, calls, decks))


async def _correct(url: str, calls: list[tuple[str, int, Rate | None]], decks: list[dict[str, Rate]]) -> None:
    database = Database(url, timeout_seconds=60)
    await database.open()
    first = await publish_deck(database)
    subscriber = await add_account(database, balance=str(BALANCE))
    past = [
        Past(str(number), seconds, f"{prefix}55", rate if seconds else rate or Rate(price_1="1"))
        for number, (prefix, seconds, rate) in enumerate(calls)
    ]
    await charge_calls(database, subscriber, first, past)
    for deck in decks:
        before = await balance_of(database, subscriber)
        old = await costs(database)
        await publish_deck(database, rates=deck)
        rerate = await preview(database)
        for _ in range(2):
            await post(database, OPERATOR, rerate.rerate_id)
        new = await costs(database)
        for call in past:
            rate = deck.get(call.destination[:3])
            expected = old[call.name] if rate is None else charge(rate, call.seconds).cost
            assert new[call.name] == expected, call
        assert await balance_of(database, subscriber) - before == sum(old.values()) - sum(new.values())
    broken = [finding for finding in await ledger_balanced(database) if "without a rate" not in finding.what]
    assert broken == []
    await database.close()
