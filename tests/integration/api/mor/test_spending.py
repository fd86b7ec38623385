"""What keeps money as MOR has it: monitorings, the least that calls cost in a month, the same money asked again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal

import pytest
import pytest_asyncio

from rating_engine.domain.account import NewAccount
from rating_engine.domain.errors import InvalidRequest, NotFound
from rating_engine.domain.minimum_spend import first_month, month_after
from rating_engine.domain.monitoring import MonitoringChanges, NewMonitoring, Watched
from rating_engine.domain.outcomes import Allowed, CallKey, Declined, FinishCall, PrepareCall
from rating_engine.domain.party import NewParty, PartyChanges, PartyState
from rating_engine.domain.principal import ENGINE
from rating_engine.services.finance.minimum_spends import MinimumSpends
from rating_engine.services.maintenance import MONITORINGS
from tests.support.mor import Mor, mor_on
from tests.support.servers import SessionServers

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mor(session_servers: SessionServers) -> AsyncIterator[Mor]:
    with session_servers.database() as url:
        async with mor_on(url, mor_repeat_seconds=600) as made:
            yield made


async def id_of(mor: Mor, login: str) -> int:
    return (await mor.operator.parties.show(login)).party_id


async def spend(mor: Mor, login: str, key: str, seconds: int = 60) -> None:
    call = PrepareCall(CallKey("pbx", key), login, "4930123456")
    assert isinstance(await mor.engine.charging.prepare_call(call), Allowed)
    await mor.engine.charging.finish_call(FinishCall(call.call_key, login, call.destination, seconds, "ANSWER"))


async def mails(mor: Mor) -> list[tuple[str, str]]:
    rows = await mor.database.fetch("SELECT recipient, subject FROM mails ORDER BY mail_id")
    return [tuple(row) for row in rows]


async def test_who_spends_more_than_a_monitoring_lets_is_told_and_blocked_once(mor):
    use = mor.operator
    for login in ("anna", "firm", "user1"):
        await use.parties.change(login, PartyChanges(notify_email=f"{login}@example.org"))
    await spend(mor, "10001", "a", 600)
    await spend(mor, "30001", "b")
    cost = await mor.database.fetchval("SELECT sum(cost) FROM call_records WHERE call_key LIKE '%a%'")
    assert cost > 0
    anna, user1 = await id_of(mor, "anna"), await id_of(mor, "user1")
    for new in (
        NewMonitoring(cost, 60),  # as much is not more
        NewMonitoring(cost / 2, 60, Watched.POSTPAID),  # hers is prepaid
        NewMonitoring(cost / 2, 60, users=(user1,)),
    ):
        await use.monitorings.add(new)
    watch = await use.monitorings.add(NewMonitoring(cost / 2, 60, Watched.PREPAID))
    await use.monitorings.change(watch.monitoring_id, MonitoringChanges(enabled=False))
    await use.maintenance.run(MONITORINGS)
    assert await mails(mor) == []

    given = {"monitoring_id": watch.monitoring_id, "users": f"{anna}, {user1}", "block": 1}
    assert await mor.done("ma_activate", **given) == "Monitoring successfully activated"
    assert await use.monitorings.show(watch.monitoring_id) == watch.__class__(
        watch.monitoring_id, watch.amount, 60, Watched.PREPAID, True, (anna, user1), True
    )
    await use.maintenance.run(MONITORINGS)
    assert [address for address, _ in await mails(mor)] == ["anna@example.org", "firm@example.org"]
    assert {subject.partition(" has ")[0] for _, subject in await mails(mor)} == {"anna"}
    assert (await use.parties.show("anna")).status is PartyState.ALL_BLOCKED
    assert (await use.parties.show("user1")).status is PartyState.ACTIVE
    declined = await mor.engine.charging.prepare_call(PrepareCall(CallKey("pbx", "c"), "10001", "4930123456"))
    assert isinstance(declined, Declined)

    await use.parties.set_status("anna", PartyState.ACTIVE)
    await use.maintenance.run(MONITORINGS)
    assert (await use.parties.show("anna")).status is PartyState.ACTIVE  # what was counted counts no more
    assert len(await mails(mor)) == 2
    written = await mor.database.fetch("SELECT action FROM audit_log WHERE action LIKE 'monitoring.c%' ORDER BY at")
    assert [row[0] for row in written] == ["monitoring.change", "monitoring.change", "monitoring.caught"]
    await use.monitorings.remove(watch.monitoring_id)
    with pytest.raises(NotFound):
        await use.monitorings.show(watch.monitoring_id)


async def test_what_no_monitoring_can_be_is_refused(mor):
    watch = await mor.operator.monitorings.add(NewMonitoring(Decimal(1), 1))
    for wrong in ({"monitoring_id": 9999}, {"monitoring_id": "x"}, {"users": "1,x"}, {"users": 99_999}, {"block": 2}):
        assert await mor.error("ma_activate", **{"monitoring_id": watch.monitoring_id, **wrong}) == "Access Denied"
    assert await mor.error("ma_activate", u="firm", monitoring_id=watch.monitoring_id) == "Access Denied"
    assert await mor.operator.monitorings.show(watch.monitoring_id) == watch
    for amount, minutes in ((0, 60), (-1, 60), (1, 0), (1, 1_441)):
        with pytest.raises(InvalidRequest):
            NewMonitoring(Decimal(amount), minutes)


async def test_the_same_money_asked_again_is_told_what_it_was_told_and_moves_nothing(mor):
    async def total() -> Decimal:
        return (await mor.operator.accounts.show("20001")).balance

    given = {"user_id": await id_of(mor, "otto"), "p_currency": "EUR", "amount": "5", "paymenttype": "bank"}
    begin = await total()
    first = await mor.raw("payment_create", **given)
    assert "<status>ok</status>" in first.text
    assert (await mor.raw("payment_create", **given)).content == first.content
    assert await total() == begin + 5
    assert "<status>ok</status>" in (await mor.raw("payment_create", **given, description="a second one")).text
    assert await total() == begin + 10
    refused = {**given, "amount": "-1"}
    assert (await mor.raw("payment_create", **refused)).text == (await mor.raw("payment_create", **refused)).text
    at_once = await asyncio.gather(*(mor.raw("payment_create", **{**given, "amount": "2"}) for _ in range(5)))
    assert {response.status_code for response in at_once} <= {200, 503}
    assert await total() == begin + 12
    kept = await mor.database.fetch("SELECT answer::text FROM idempotency_keys WHERE key LIKE 'again:%'")
    assert len(kept) == 4
    assert not any("ok" in row[0] and "<" in row[0] for row in kept)

    await mor.database.fetch("UPDATE idempotency_keys SET created_at = now() - interval '601 s'")
    assert "<status>ok</status>" in (await mor.raw("payment_create", **given)).text
    assert await total() == begin + 17
    # Who began it died: nobody knows what came of it.
    await mor.database.fetch("UPDATE idempotency_keys SET answer = '{}'")
    assert (await mor.raw("payment_create", **given)).status_code == 503
    assert await total() == begin + 17


async def test_what_calls_of_a_month_cost_less_than_the_minimum_is_one_fee(mor):
    use, office = mor.operator, mor.engine.office
    today = datetime.now(UTC).date()
    begin = today.replace(day=1)
    end = datetime.combine(month_after(begin), time(), UTC)

    async def turn(at: datetime) -> None:
        """By two engines at once, and again."""
        two = [MinimumSpends(office, ENGINE, lambda: at, system_currency="EUR") for _ in range(2)]
        await asyncio.gather(*(each.turn() for each in two))

    async def fees(login: str) -> list[Decimal]:
        place = "SELECT l.amount FROM ledger_entries l JOIN subscribers s USING (bucket, account_id)"
        rows = await mor.database.fetch(
            f"{place} WHERE s.login = $1 AND l.reference LIKE 'minimum:%' ORDER BY 1", login
        )
        return [row[0] for row in rows]

    await use.parties.create(NewParty("least", tariff="retail"))
    await use.accounts.create(NewAccount("40001", "retail", balance=Decimal(5), owner="least"))
    await spend(mor, "40001", "m")
    cost = 5 - (await use.accounts.show("40001")).balance
    assert cost > 0
    await use.minimum_spends.put("least", cost + 3, begin)
    await use.minimum_spends.put("user1", Decimal("0.01"), begin)  # whose calls cost more
    await turn(end + timedelta(hours=12))
    assert await fees("40001") == []
    for _ in range(2):
        await turn(end + timedelta(hours=14))
    assert await fees("40001") == [Decimal(-3)]
    assert await fees("30001") == []
    found = await use.minimum_spends.show("least")
    assert found is not None
    assert found.next_month == end.date()

    later = datetime.combine(month_after(end.date()), time(14), UTC)
    await turn(later)  # the whole of it, which is not there
    assert await fees("40001") == [Decimal(-3)]
    await use.accounts.top_up("40001", Decimal(10))
    await use.minimum_spends.put("least", Decimal(2), today)  # what is settled stays so
    await turn(later)
    assert await fees("40001") == [Decimal(-3), Decimal(-2)]
    await use.minimum_spends.remove("least")
    assert await use.minimum_spends.show("least") is None
    for wrong in ({"amount": Decimal(0)}, {"amount": Decimal(1), "since": begin - timedelta(days=1)}):
        with pytest.raises(InvalidRequest):
            await use.minimum_spends.put("least", **wrong)
    assert first_month(begin) == begin
    assert first_month(begin + timedelta(days=1)) == end.date()
