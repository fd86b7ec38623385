"""Numbers: given, ordered, renewed by the month, closed without money; their rules, and who may touch them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal

import pytest

from rating_engine.domain.account import NewAccount
from rating_engine.domain.call_rules import (
    Action,
    CallRule,
    Condition,
    Finished,
    InboundCall,
    Policy,
    RuleTime,
    Step,
    of_line,
)
from rating_engine.domain.did import Did, DidChanges, DidState, NewDid, NewPool, PoolChanges, RuleChanges
from rating_engine.domain.errors import (
    AlreadyExists,
    InvalidRequest,
    LeadsBack,
    NotAllowed,
    NotFound,
    NotYours,
    OrderFailed,
    Refused,
)
from rating_engine.domain.page import Cursor
from rating_engine.domain.party import NewParty, PartyKind
from rating_engine.domain.principal import ENGINE, OPERATOR, principal_of
from rating_engine.domain.transfer import InsufficientMoney
from rating_engine.engine.services import open_services
from rating_engine.services.catalogue import Services, UseCases
from rating_engine.services.numbers.dids import Dids
from rating_engine.services.numbers.rents import Rents
from rating_engine.settings.model import Settings
from rating_engine.storage.laws import LAWS, breaches_of
from rating_engine.storage.postgres.pool import Database
from tests.support.world import publish_deck

NUMBER, OTHER = "4930123456", "4930123457"


def at(database: Database, moment: datetime) -> Dids:
    """What an operator did with numbers then."""
    return Dids(database, OPERATOR, lambda: moment, currency="EUR")


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    await database.open()
    await publish_deck(database)
    yield database
    await database.close()


@pytest.fixture
async def services(database: Database, database_url: str) -> AsyncIterator[Services]:
    async with open_services(Settings(database_url=database_url)) as services:
        asked = services.of(OPERATOR)
        await asked.parties.create(NewParty("firm", PartyKind.RESELLER, tariff="retail"))
        for user, login in (("anna", "1001"), ("otto", "2001")):
            await asked.parties.create(NewParty(user, owner="firm" if user == "anna" else None))
            await asked.accounts.create(NewAccount(login, "retail", balance=Decimal(10), owner=user))
        yield services


@pytest.fixture
def operator(services: Services) -> UseCases:
    return services.of(OPERATOR)


async def as_(services: Services, login: str) -> UseCases:
    return services.of(principal_of(await services.of(OPERATOR).parties.show(login), "test"))


async def balance(operator: UseCases, login: str = "1001") -> Decimal:
    return (await operator.accounts.show(login)).balance


async def breaches(database: Database) -> list[object]:
    return [breach for law in LAWS for breach in await breaches_of(database, law)]


async def pool_with(operator: UseCases, *numbers: str, provider: str = "local") -> int:
    pool = await operator.did_pools.add(NewPool("Germany", "Berlin", Decimal("2.50"), Decimal(1), provider=provider))
    for number in numbers:
        await operator.dids.add(NewDid(number, pool_id=pool.pool_id))
    return pool.pool_id


async def test_a_number_is_ordered_from_a_pool_and_paid_once(operator):
    pool = await pool_with(operator, NUMBER)
    assert await operator.dids.countries() == ["Germany"]
    assert await operator.dids.areas("Germany") == ["Berlin"]
    assert [did.number for did in await operator.dids.offered("Germany", "Berlin", "3012")] == [NUMBER]

    did = await operator.dids.order(NUMBER, pool, "anna")

    assert (did.owner, did.state) == ("anna", DidState.ACTIVE)
    assert await balance(operator) == Decimal("6.50")
    assert await operator.dids.offered("Germany", "Berlin") == []
    with pytest.raises(OrderFailed):
        await operator.dids.order(NUMBER, pool, "otto")
    entries = await operator.accounts.statement("1001", Cursor())
    assert next((entry.kind, entry.amount) for entry in entries.items) == ("fee", Decimal("-3.50"))


async def test_the_multiplier_of_the_payers_tariff_makes_the_rent(operator, database):
    await database.fetch("UPDATE tariffs SET did_multiplier = 1.5 WHERE name = 'retail'")
    await operator.dids.add(NewDid(NUMBER, "anna", monthly_price=Decimal("2.01")))
    await operator.dids.renew(NUMBER)
    assert await balance(operator) == Decimal(10) - Decimal("3.015")


async def test_what_cannot_be_paid_or_had_goes_back_and_costs_nothing(operator):
    pool = await pool_with(operator, NUMBER)
    await operator.did_pools.change(pool, PoolChanges(monthly_price=Decimal(10)))
    with pytest.raises(InsufficientMoney):
        await operator.dids.order(NUMBER, pool, "anna")
    assert (await operator.dids.show(NUMBER)).state is DidState.FREE
    elsewhere = await pool_with(operator, OTHER, provider="nobody")
    with pytest.raises(OrderFailed):
        await operator.dids.order(OTHER, elsewhere, "anna")
    with pytest.raises(OrderFailed):
        await operator.dids.order(OTHER, pool, "anna")
    await operator.parties.create(NewParty("lineless"))
    with pytest.raises(Refused):
        await operator.dids.order(NUMBER, pool, "lineless")
    assert await balance(operator) == Decimal(10)


async def test_of_many_who_order_one_number_at_once_one_has_it(operator, database):
    pool = await pool_with(operator, NUMBER)
    asked = [operator.dids.order(NUMBER, pool, user) for user in ("anna", "otto") * 3]
    found = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(one, Did) for one in found) == 1
    assert await balance(operator) + await balance(operator, "2001") == Decimal("16.50")
    assert await breaches(database) == []


class Died(Exception):
    """Who was at it is gone."""


class DiesWhile:
    """A provider during whose order the process ends."""

    async def order(self, *order: object) -> None:
        raise Died


async def test_an_order_that_died_half_way_is_ended_by_the_next_turn_and_paid_once(operator, database):
    pool = await pool_with(operator, NUMBER)
    now = datetime.now(UTC)
    dying = Rents(database, OPERATOR, lambda: now, {"local": DiesWhile()})
    anna = (await operator.parties.show("anna")).party_id
    with pytest.raises(Died):
        await dying.begin_order(NUMBER, pool, anna, ("", "", ""))
    assert (await operator.dids.show(NUMBER)).state is DidState.ORDERED

    later = Rents(database, ENGINE, lambda: now + timedelta(minutes=3))
    turn = await later.turn(grace=timedelta(days=1), notice=timedelta(0))

    assert turn.orders == 1
    assert (await operator.dids.show(NUMBER)).state is DidState.ACTIVE
    assert await balance(operator) == Decimal("6.50")


async def test_a_year_of_rents_is_twelve_months_posted_once_each(operator, database):
    """By a clock that is moved; each turn is said twice, and once by two engines at the same time."""
    start = datetime(2026, 1, 15, 12, tzinfo=UTC)
    await at(database, start).add(NewDid(NUMBER, "anna", monthly_price=Decimal("0.70"), paid_to=start))
    await at(database, start).add(NewDid(OTHER, "otto", monthly_price=Decimal("3.00"), paid_to=start))
    for day in range(0, 365, 5):
        moment = start + timedelta(days=day)
        one, two = (Rents(database, ENGINE, lambda moment=moment: moment) for _ in range(2))
        limits = {"grace": timedelta(days=14), "notice": timedelta(days=3)}
        await asyncio.gather(one.turn(**limits), two.turn(**limits))
        await one.turn(**limits)

    assert await balance(operator) == Decimal(10) - 12 * Decimal("0.70")
    assert (await operator.dids.show(NUMBER)).paid_to == start.replace(year=2027)
    # three months were there, the fourth was not: unpaid, and after the grace nobody's
    assert await balance(operator, "2001") == Decimal(1)
    assert (await operator.dids.show(OTHER)).state is DidState.CLOSED
    assert await breaches(database) == []


async def test_months_that_are_over_are_charged_to_nobody(operator, database):
    """An engine that was away for a year, or a number that waited for money: one month, from now on."""
    start, now = datetime(2026, 1, 15, 12, tzinfo=UTC), datetime(2027, 3, 20, tzinfo=UTC)
    await at(database, start).add(NewDid(NUMBER, "anna", monthly_price=Decimal("0.70"), paid_to=start))
    for _ in range(3):
        await Rents(database, ENGINE, lambda: now).turn(grace=timedelta(days=14), notice=timedelta(0))
    did = await operator.dids.show(NUMBER)
    assert (did.state, did.paid_to, did.takes_calls(now)) == (DidState.ACTIVE, datetime(2027, 4, 20, tzinfo=UTC), True)
    assert await balance(operator) == Decimal("9.30")
    for paid_to, said in (
        (datetime(2019, 1, 1, tzinfo=UTC), "more than a month ago"),
        (datetime(9999, 12, 31, tzinfo=UTC), "years ahead"),
    ):
        for write in (
            operator.dids.add(NewDid(OTHER, "anna", paid_to=paid_to)),
            operator.dids.change(NUMBER, DidChanges(paid_to=paid_to)),
        ):
            with pytest.raises(InvalidRequest, match=said) as refused:
                await write
            assert refused.value.field == "expiration"
    await database.fetch("UPDATE dids SET paid_to = '9999-12-20' WHERE number = $1", NUMBER)
    with pytest.raises(Refused):
        await operator.dids.renew(NUMBER)


async def test_a_number_without_money_is_unpaid_and_has_its_calls_back_with_the_money(operator, database):
    start = datetime(2026, 1, 15, 12, tzinfo=UTC)
    await at(database, start).add(NewDid(NUMBER, "anna", monthly_price=Decimal(11), paid_to=start))
    rents = Rents(database, ENGINE, lambda: start + timedelta(hours=1))
    assert (await rents.turn(grace=timedelta(days=14), notice=timedelta(0))).unpaid == 1
    did = await operator.dids.show(NUMBER)
    assert did.state is DidState.UNPAID
    assert not did.takes_calls(start)
    await operator.accounts.top_up("1001", Decimal(5))
    assert (await rents.turn(grace=timedelta(days=14), notice=timedelta(0))).renewed == 1
    assert (await operator.dids.show(NUMBER)).takes_calls(start + timedelta(hours=2))
    assert await balance(operator) == Decimal(4)


async def test_who_does_not_renew_loses_it_without_paying(operator, database):
    start = datetime(2026, 1, 15, 12, tzinfo=UTC)
    await at(database, start).add(NewDid(NUMBER, "anna", monthly_price=Decimal(1), paid_to=start))
    await operator.dids.set_state(NUMBER, auto_renew=False)
    limits = {"grace": timedelta(days=2), "notice": timedelta(days=3)}
    told = await Rents(database, ENGINE, lambda: start - timedelta(days=2)).turn(**limits)
    assert (told.notified, (await operator.dids.show(NUMBER)).notified) == (1, True)
    assert (await Rents(database, ENGINE, lambda: start + timedelta(days=3)).turn(**limits)).closed == 1
    assert await balance(operator) == Decimal(10)
    again = await operator.dids.add(NewDid(NUMBER, "otto"))
    assert again.owner == "otto"


async def test_rules_are_written_a_field_at_a_time_and_gone_through_in_their_order(operator):
    await operator.dids.add(NewDid(NUMBER, "anna"))
    rules = operator.call_rules
    night = (RuleTime(1, 7, time(22), time(6)),)
    await rules.add(NUMBER, CallRule(timeout=20, times=night))
    await rules.add(NUMBER, CallRule(condition=Condition.BUSY, action=Action.VOICEMAIL))
    await rules.add(NUMBER, CallRule(pattern="4915%", policy=Policy.REJECT, action=Action.HANGUP), first=True)

    await rules.change(NUMBER, 2, RuleChanges(destination="1001", callerid="TRANSIT"))

    changed = (await rules.list(NUMBER))[1]
    assert (changed.destination, changed.timeout, changed.times) == ("1001", 20, night)
    rejected = await rules.next(InboundCall(NUMBER, caller="4915112345678"))
    assert isinstance(rejected, Step)
    assert rejected.rule.policy is Policy.REJECT
    await rules.change(NUMBER, 2, RuleChanges(times=()))
    rings = await rules.next(InboundCall(NUMBER, caller="4930999"))
    assert isinstance(rings, Step)
    assert rings.place == 2
    busy = await rules.next(rings.behind(InboundCall(NUMBER), "BUSY"))
    assert isinstance(busy, Step)
    assert busy.rule.action is Action.VOICEMAIL
    assert isinstance(await rules.next(rings.behind(InboundCall(NUMBER), "NOANSWER")), Finished)
    await rules.change(NUMBER, 3, RuleChanges(), to=1)
    assert [rule.action for rule in await rules.list(NUMBER)] == [Action.VOICEMAIL, Action.HANGUP, Action.CALL]
    await rules.remove(NUMBER, pattern="4915%")
    with pytest.raises(NotFound):
        await rules.remove(NUMBER, 3)


async def test_rules_that_lead_back_or_name_what_is_somebody_elses_are_refused(operator):
    for number in (NUMBER, OTHER):
        await operator.dids.add(NewDid(number, "anna"))
    await operator.dids.add(NewDid("4930777", "otto"))
    rules = operator.call_rules
    await rules.add(NUMBER, CallRule(action=Action.NUMBER, destination=OTHER))
    with pytest.raises(LeadsBack):
        await rules.add(OTHER, CallRule(action=Action.NUMBER, destination=NUMBER))
    with pytest.raises(LeadsBack):
        await rules.add(OTHER, CallRule(action=Action.NUMBER, destination=OTHER))
    assert await rules.list(OTHER) == []
    for rule in (CallRule(destination="2001"), CallRule(action=Action.NUMBER, destination="4930777")):
        with pytest.raises(InvalidRequest, match="destination"):
            await rules.add(NUMBER, rule)
    for wrong in ({"pattern": "4(9"}, {"timeout": 0}, {"action": Action.FORWARD, "destination": "1&2"}):
        with pytest.raises(InvalidRequest):
            await rules.add(NUMBER, CallRule(**wrong))


async def test_lines_have_rules_of_their_own_which_go_with_their_owner(services, operator):
    anna, otto = [await as_(services, who) for who in ("anna", "otto")]
    line = of_line("1001")
    await operator.dids.add(NewDid(NUMBER, "anna"))
    first = await anna.call_rules.add(line, CallRule(condition=Condition.BUSY, action=Action.VOICEMAIL, record=True))
    second = await anna.call_rules.add(
        line, CallRule(condition=Condition.NOANSWER, action=Action.NUMBER, destination=NUMBER)
    )
    await anna.call_rules.change(line, None, RuleChanges(timeout=7, description="abroad"), rule_id=second)
    await anna.call_rules.step(line, second, -1)
    await anna.call_rules.step(line, second, -1)
    found = await anna.call_rules.find(second)
    assert (found.of, found.place, found.rule.timeout, found.rule.description) == (line, 1, 7, "abroad")
    assert (await anna.call_rules.find(first)).rule.record
    with pytest.raises(LeadsBack):
        await anna.call_rules.add(NUMBER, CallRule(action=Action.LINE, destination="1001"))
    for refused in (
        lambda: otto.call_rules.list(line),
        lambda: otto.call_rules.find(first),
        lambda: otto.call_rules.add(line, CallRule()),
    ):
        with pytest.raises(NotYours):
            await refused()
    with pytest.raises(InvalidRequest, match="destination"):
        await operator.call_rules.add(of_line("2001"), CallRule(action=Action.LINE, destination="1001"))
    for wrong in ({"time_zone": "Mars"}, {"music": "a b"}, {"action": Action.MESSAGE, "destination": "700"}):
        with pytest.raises(InvalidRequest, match=next(iter(wrong)) if len(wrong) == 1 else "destination"):
            await anna.call_rules.add(line, CallRule(**wrong))
    await operator.accounts.give("1001", "otto")
    assert await otto.call_rules.list(line) == []


async def test_everybody_touches_what_is_theirs_and_nothing_else(services, operator):
    pool = await pool_with(operator, OTHER)
    await operator.dids.add(NewDid(NUMBER, "anna"))
    anna, otto, firm = [await as_(services, who) for who in ("anna", "otto", "firm")]
    await anna.call_rules.add(NUMBER, CallRule())
    await anna.dids.set_state(NUMBER, enabled=False)
    for refused in (
        lambda: otto.call_rules.add(NUMBER, CallRule()),
        lambda: otto.dids.set_state(NUMBER, enabled=True),
        lambda: otto.dids.show(NUMBER),
        lambda: otto.dids.order(OTHER, pool, "anna"),
        lambda: firm.dids.add(NewDid("4930888", "otto")),
    ):
        with pytest.raises(NotYours):
            await refused()
    for refused in (
        lambda: anna.dids.change(NUMBER, DidChanges(monthly_price=Decimal(0))),
        lambda: anna.dids.add(NewDid("4930888", "anna")),
        lambda: firm.dids.add(NewDid("4930888", pool_id=pool)),
        lambda: firm.did_pools.page(Cursor()),
    ):
        with pytest.raises(NotAllowed):
            await refused()
    assert [did.number for did in (await otto.dids.page(Cursor())).items] == []
    await firm.dids.change(NUMBER, DidChanges(comment="of the firm", monthly_price=Decimal(2)))
    await anna.dids.order(OTHER, pool, "anna")
    with pytest.raises(NotAllowed):  # what a pool's number costs is the operator's to say
        await firm.dids.change(OTHER, DidChanges(monthly_price=Decimal(0)))
    own = await firm.dids.add(NewDid("4930999", "firm"))
    with pytest.raises(NotAllowed):
        await firm.dids.change(own.number, DidChanges(paid_to=datetime(2099, 1, 1, tzinfo=UTC)))
    with pytest.raises(AlreadyExists):
        await firm.dids.add(NewDid(NUMBER, "firm"))


async def test_a_new_owner_gets_the_number_without_its_rules(operator):
    await operator.dids.add(NewDid(NUMBER, "anna"))
    await operator.call_rules.add(NUMBER, CallRule(action=Action.FORWARD, destination="4915112345678"))
    changed = await operator.dids.change(NUMBER, DidChanges(owner="otto", max_calls=1))
    assert (changed.owner, changed.max_calls) == ("otto", 1)
    assert await operator.call_rules.list(NUMBER) == []
    await operator.dids.remove(NUMBER)
    with pytest.raises(Refused):
        await operator.call_rules.add(NUMBER, CallRule())
