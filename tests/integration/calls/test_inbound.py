"""Calls that come in: held and charged on the owner's line, by the rate that his inbound tariff has for the number."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from rating_engine.domain.call_rules import Action, CallRule, Condition, InboundCall, Policy, of_line
from rating_engine.domain.did import DidChanges, NewDid, RuleChanges
from rating_engine.domain.outcomes import (
    CallKey,
    Declined,
    DeclineReason,
    FinishCall,
    InboundAllowed,
    InboundDone,
    InboundStep,
    PrepareCall,
    Saved,
)
from rating_engine.domain.principal import OPERATOR
from rating_engine.services.catalogue import UseCases
from rating_engine.services.cdrs import rerating
from rating_engine.storage.calls import rerates
from rating_engine.storage.laws import LAWS, breaches_of
from rating_engine.storage.postgres.pool import Database
from tests.support.narayana import narayana_on
from tests.support.world import CENT_A_SECOND, publish_deck

DID, LIMITED, CLOSED = "4930200", "4930201", "4930202"


async def test_calls_that_come_in_go_by_number_owner_and_price(database_url):
    """anna, a reseller's user, has the line 1001 with ten euros on the tariff `retail`."""
    async with narayana_on(database_url) as narayana:
        use, charging = narayana.operator, narayana.engine.charging
        database = Database(database_url)
        await database.open()
        await three_numbers(use)

        async def call(uniqueid: str, number: str, caller: str = "4930999"):
            return await charging.prepare_inbound(PrepareCall(CallKey("pbx1", uniqueid), "", number, caller))

        async def finish(uniqueid: str, number: str, seconds: int) -> Decimal:
            ended = FinishCall(CallKey("pbx1", uniqueid), "1001", number, seconds, "ANSWER", 16, is_did=number)
            saved = await charging.finish_call(ended)
            assert isinstance(saved, Saved), saved
            return saved.cost

        for number, caller, reason in (
            ("4999", "1", DeclineReason.UNKNOWN_NUMBER),
            (CLOSED, "1", DeclineReason.NUMBER_CLOSED),
            (DID, "4915112", DeclineReason.SOURCE_REJECTED),
        ):
            declined = await call("0", number, caller)
            assert isinstance(declined, Declined)
            assert declined.reason is reason

        free = await call("1", f"+{DID}")
        assert isinstance(free, InboundAllowed)
        assert (free.number, free.login, free.allowed.reserved) == (DID, "1001", 0)
        assert await finish("1", DID, 60) == 0

        assert isinstance(await call("3", LIMITED), InboundAllowed)
        full = await call("4", LIMITED)
        assert isinstance(full, Declined)
        assert full.reason is DeclineReason.TOO_MANY_CALLS
        await finish("3", LIMITED, 1)
        assert isinstance(await call("5", LIMITED), InboundAllowed)
        await finish("5", LIMITED, 0)

        await publish_deck(database, "inbound", {"4930": CENT_A_SECOND})
        await use.dids.set_inbound_price("retail", "inbound")
        await database.fetch("UPDATE tariffs SET did_multiplier = 2 WHERE name = 'retail'")
        priced = await call("2", f"00{DID}")
        assert isinstance(priced, InboundAllowed)
        assert priced.allowed.max_seconds == 500  # ten euros at two cents
        assert await finish("2", DID, 61) == Decimal("1.22")

        unheard = await ends_nobody_prepared(charging)

        step = await charging.next_inbound(InboundCall(DID, caller="4930999"), CallKey("pbx1", "2"))
        assert step == InboundStep("forward", "4911111", DID, 30, "", f"{DID}/3")
        done = await charging.next_inbound(InboundCall(DID, 3, status="BUSY"), CallKey("pbx1", "2"))
        assert done == InboundDone()

        await goes_on_by_a_line(use, charging)
        assert (await use.accounts.show("1001")).balance == Decimal(10) - Decimal("1.22") - unheard
        await are_rated_again_as_they_came_in(database)
        assert [breach for law in LAWS for breach in await breaches_of(database, law)] == []
        await database.close()


async def ends_nobody_prepared(charging: Any) -> Decimal:
    """What ends of calls cost whose beginning nobody heard: as what they say they were, and never as another."""
    total = Decimal(0)
    for place, (login, number, is_did, route, cost) in enumerate(
        [
            ("1001", DID, DID, "inbound", "1.22"),
            ("1001", f"+{DID}", "true", "inbound", "1.22"),
            ("", DID, DID, "inbound", "1.22"),  # who pays for the number
            ("1001", "4911111", DID, "", "0.61"),  # a forward went out
            ("1001", "4911111", "true", "", "0.61"),
        ]
    ):
        key, ended_at = CallKey("pbx1", f"u{place}"), datetime.now(UTC) + timedelta(seconds=65)  # begun with the prices
        ended = FinishCall(key, login, number, 61, "ANSWER", 16, "4930999", ended_at, is_did=is_did)
        saved = await charging.finish_call(ended)
        assert isinstance(saved, Saved), saved
        assert (saved.route_name, saved.cost) == (route, Decimal(cost)), (place, saved)
        total += saved.cost
    return total


async def are_rated_again_as_they_came_in(database: Database) -> None:
    """By the tariff and multiplier that they were priced by; what was free is no call of the owner's own tariff."""
    await database.fetch("UPDATE call_records SET prepared_at = now() - interval '1 day'")
    span = (datetime.now(UTC) - timedelta(days=2), datetime.now(UTC))
    for tariff, calls in (("retail", 2), ("inbound", 4)):
        begun = await rerating.begin(database, OPERATOR, rerating.RerateRequest(tariff, *span))
        found = await rerating.read(database, begun, international_prefix="00")
        sums = await rerates.sums_of(database, found.rerate_id, 10)
        assert (tariff, found.calls, sums.calls, sums.unpriced) == (tariff, calls, [], {}), sums


async def goes_on_by_a_line(use: UseCases, charging: Any) -> None:
    """The rules of the line 1001 that the number is handed to: it rings first, then they say what is done."""
    await use.call_rules.change(
        DID, 2, RuleChanges(action=Action.LINE, destination="1001", pattern="4930%", callerid="CALLED")
    )
    line = of_line("1001")
    recorded = CallRule(
        condition=Condition.NOANSWER, action=Action.FORWARD, destination="4922222", callerid="TRANSIT", timeout=9,
        music="waiting", record=True,
    )  # fmt: skip
    rule_id = await use.call_rules.add(line, recorded)
    rings = await charging.next_inbound(InboundCall(DID, caller="4930999"), CallKey("pbx1", "2"))
    assert rings == InboundStep("call", "1001", "4930999", 30, "", "line:1001/1")
    then = InboundCall(line, 1, "4930999", "NOANSWER")
    step = await charging.next_inbound(then, CallKey("pbx1", "2.7"))
    kept = f"pbx1_2.7_{rule_id}"
    assert step == InboundStep("forward", "4922222", "4930999", 9, "", "line:1001/2", "waiting", kept)
    nobody = await charging.next_inbound(InboundCall(of_line("nobody"), 0), CallKey("pbx1", "2"))
    assert isinstance(nobody, Declined)


async def three_numbers(use: UseCases) -> None:
    """anna's: one with rules, one that takes a call at a time, one whose rent has ended."""
    for number in (DID, LIMITED, CLOSED):
        await use.dids.add(NewDid(number, "anna"))
    await use.dids.change(LIMITED, DidChanges(max_calls=1))
    await use.dids.change(CLOSED, DidChanges(paid_to=datetime.now(UTC) - timedelta(seconds=1)))
    await use.call_rules.add(DID, CallRule(pattern="4915%", policy=Policy.REJECT, action=Action.HANGUP))
    await use.call_rules.add(DID, CallRule(action=Action.FORWARD, destination="4911111"))
