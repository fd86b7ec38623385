"""What a tenant says of its billing decides who pays for the very next call of its lines, and when."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from rating_engine.domain.account import AccountChanges, NewAccount, NewSubscriber
from rating_engine.domain.audit import AuditFilter
from rating_engine.domain.errors import AlreadyExists, InvalidRequest, NotAllowed, NotFound, Refused
from rating_engine.domain.outcomes import Allowed, CallKey, DeclineReason, PrepareCall
from rating_engine.domain.page import Cursor
from rating_engine.domain.party import NewParty, PartyKind
from rating_engine.domain.price_list import PriceChange
from rating_engine.domain.principal import OPERATOR, Principal, principal_of
from rating_engine.domain.rate_edit import RateKey
from rating_engine.domain.rate_query import RateQuery
from rating_engine.domain.tariff_card import TariffChanges
from rating_engine.domain.tenant import (
    CALL_RATES_MAX,
    BillingChanges,
    CallRateChanges,
    ChargedAccount,
    Charging,
    NewCallRate,
)
from rating_engine.engine.engine import Engine
from rating_engine.rating.rate import Rate
from rating_engine.services.catalogue import UseCases
from rating_engine.services.decks.importing import import_deck
from tests.support.engines import engine_on, hear_nothing
from tests.support.tenants import called, finished, make_tenant

NUMBER = "3705551"
CENT = NewCallRate(
    prefix="370", free_seconds=0, grace_period=0, interval_1=1, interval_n=1, connect_fee=Decimal(0),
    postcall_surcharge=Decimal(0), price_1=Decimal("0.01"), price_n=Decimal("0.01"),
)  # fmt: skip


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[Engine]:
    """A tenant acme whose calls cost a cent a second, with the lines 101, which has the company's account, and 102."""
    async with engine_on(database_url) as engine:
        await make_tenant(engine, "acme", "101", "102")
        await (await acme(engine)).call_rates.add(CENT)
        yield engine


async def acme(engine: Engine, login: str = "acme") -> UseCases:
    return engine.services.of(await asking(engine, login))


async def asking(engine: Engine, login: str) -> Principal:
    return principal_of(await engine.services.of(OPERATOR).parties.show(login), "test")


async def say(engine: Engine, **changes: Any) -> None:
    await (await acme(engine)).tenant_billing.change(BillingChanges(**changes))


async def asked(engine: Engine, name: str, login: str) -> Allowed | DeclineReason:
    outcome = await engine.charging.prepare_call(PrepareCall(CallKey("pbx", name), login, NUMBER))
    return outcome if isinstance(outcome, Allowed) else outcome.reason


async def balances(engine: Engine) -> dict[str, Decimal]:
    """The account that each line is charged on now."""
    asked = engine.services.of(OPERATOR)
    return {login: (await asked.accounts.show(login)).balance for login in ("101", "102")}


async def top_up(engine: Engine, login: str, amount: int) -> None:
    await engine.services.of(OPERATOR).accounts.top_up(login, Decimal(amount))


@pytest.mark.parametrize("hears", [True, False])
async def test_calls_are_recorded_and_cost_nothing_until_billing_is_enabled(engine, hears):
    first = await called(engine, "a", "102", "999", 60)  # to where there is no rate at all
    if not hears:
        hear_nothing(engine)
    await say(engine, enabled=True)
    second = await called(engine, "b", "102", NUMBER, 60)
    await say(engine, enabled=False)
    third = await called(engine, "c", "102", NUMBER, 60)

    assert [first.cost, second.cost, third.cost] == [0, Decimal("0.6"), 0]
    assert second.direction == "LOCAL"


@pytest.mark.parametrize("hears", [True, False])
async def test_the_company_s_account_is_charged_or_that_of_the_line(engine, hears):
    await say(engine, enabled=True)
    await called(engine, "a", "102", NUMBER, 100)
    if not hears:
        hear_nothing(engine)
    await say(engine, account=ChargedAccount.USER)
    await called(engine, "b", "102", NUMBER, 10)
    apart = await balances(engine)
    await say(engine, account=ChargedAccount.TENANT)
    await called(engine, "c", "102", NUMBER, 1)

    assert apart == {"101": Decimal("-1"), "102": Decimal("-0.1")}
    assert await balances(engine) == {"101": Decimal("-1.01"), "102": Decimal("-1.01")}


async def test_online_calls_hold_money_first_and_offline_ones_do_not(engine):
    await say(engine, enabled=True)
    offline = await asked(engine, "a", "102")
    await say(engine, type=Charging.ONLINE)
    without_money = await asked(engine, "b", "102")
    await top_up(engine, "102", 1)
    online = await asked(engine, "c", "102")

    assert isinstance(offline, Allowed)
    assert without_money is DeclineReason.INSUFFICIENT_FUNDS
    assert isinstance(online, Allowed)
    assert online.max_seconds == 100
    for name in ("a", "c"):
        await finished(engine, CallKey("pbx", name), "102", NUMBER, 10)
    assert (await balances(engine))["101"] == Decimal("0.8")

    await say(engine, type=Charging.OFFLINE)
    accounts = engine.services.of(OPERATOR).accounts
    await accounts.change("101", AccountChanges(overdraft=Decimal(5)))
    for way in (Charging.ONLINE, Charging.OFFLINE):
        await say(engine, type=way)
        assert (await accounts.show("101")).overdraft == 5  # no token takes away the limit that an operator gave


@pytest.mark.parametrize("remembers", [True, False])
async def test_a_call_in_progress_ends_on_the_account_and_at_the_price_that_it_began_with(engine, remembers):
    await say(engine, enabled=True)
    assert isinstance(await asked(engine, "a", "102"), Allowed)
    await say(engine, account=ChargedAccount.USER, enabled=False, type=Charging.ONLINE)
    if not remembers:
        engine.finishing.remembered.drop(CallKey("pbx", "a"))

    saved = await finished(engine, CallKey("pbx", "a"), "102", NUMBER, 60)
    again = await finished(engine, CallKey("pbx", "a"), "102", NUMBER, 60)

    assert (saved.cost, again.cost, again.repeated) == (Decimal("0.6"), Decimal("0.6"), True)
    assert await balances(engine) == {"101": Decimal("-0.6"), "102": 0}


async def test_a_line_that_comes_later_is_charged_as_the_others_are(engine):
    await say(engine, enabled=True, account=ChargedAccount.USER)
    asked = engine.services.of(OPERATOR)
    await asked.parties.create(NewParty("anna", owner="acme"))
    await asked.accounts.create(NewAccount("103", "call_rates:acme", owner="anna"))
    await asked.accounts.add_subscriber(NewSubscriber("104", "101"))
    await asked.accounts.create(NewAccount("105", "call_rates:acme"))
    await asked.accounts.give("105", "acme")

    for login in ("103", "104", "105"):
        assert (await called(engine, login, login, NUMBER, 10)).cost == Decimal("0.1")
        assert (await asked.accounts.show(login)).balance == Decimal("-0.1")
    assert await balances(engine) == {"101": 0, "102": 0}


async def test_blocked_destinations_stay_blocked_whoever_pays(engine):
    asked = engine.services.of(OPERATOR)
    await asked.accounts.add_subscriber(NewSubscriber("103", "101"))
    await asked.accounts.change("101", AccountChanges(), {"370": False})
    await say(engine, account=ChargedAccount.USER)

    outcome = await engine.charging.prepare_call(PrepareCall(CallKey("pbx", "a"), "103", NUMBER))

    assert getattr(outcome, "reason", None) is DeclineReason.BLOCKED_DESTINATION


async def test_a_line_of_a_tenant_does_not_go_to_others(engine):
    asked = engine.services.of(OPERATOR)
    await asked.parties.create(NewParty("anna", owner="acme"))
    await asked.parties.create(NewParty("other", PartyKind.TENANT))

    await asked.accounts.give("102", "anna")
    with pytest.raises(InvalidRequest) as refused:
        await asked.accounts.give("102", "other")

    assert refused.value.field == "owner"
    assert (await asked.accounts.show("102")).login == "102"


async def test_accounts_in_another_currency_than_the_rates_are_refused_and_nothing_changes(engine):
    asked = engine.services.of(OPERATOR)
    await asked.parties.create(NewParty("inc", PartyKind.TENANT, currency="USD"))

    assert (await asked.parties.show("inc")).tariff == "call_rates:inc"
    await asked.accounts.create(NewAccount("201", "call_rates:inc", owner="inc"))
    assert (await asked.accounts.show("201")).currency == "USD"
    with pytest.raises(InvalidRequest) as refused:
        await asked.accounts.create(NewAccount("103", "call_rates:inc", owner="acme"))
    assert refused.value.field == "currency"


async def test_only_a_tenant_has_billing(engine):
    with pytest.raises(NotAllowed):
        await engine.services.of(OPERATOR).tenant_billing.show()


async def test_nothing_but_its_api_changes_the_prices_of_a_tenant(engine, database_url, tmp_path):
    """What the API shows is what is charged."""
    asked = engine.services.of(OPERATOR)
    tariff = "call_rates:acme"
    number = await engine.office.fetchval("SELECT tariff_id FROM tariffs WHERE name = $1", tariff)
    direction = await engine.office.fetchval("SELECT direction_id FROM directions WHERE code = 'LOCAL'")
    route = await engine.office.fetchval("INSERT INTO routes (name, position) VALUES ('r', 1) RETURNING route_id")
    (tmp_path / "deck.csv").write_text("prefix,price_1\n370,9\n")
    for refused in (
        import_deck(database_url, tmp_path / "deck.csv", tariff),
        asked.rate_edits.set_rate(tariff, RateKey("370"), Rate(price_1="9"), direction="LOCAL"),
        asked.direction_prices.add(number, PriceChange(direction, 1, Decimal(9), route)),
    ):
        with pytest.raises(Refused, match="of the call rates of a tenant"):
            await refused
    await say(engine, enabled=True)
    assert (await called(engine, "a", "102", NUMBER, 60)).cost == Decimal("0.6")


async def test_a_rate_counts_for_the_next_call_and_a_call_in_progress_keeps_its_own(engine):
    use = await acme(engine)
    await say(engine, enabled=True)
    count, (rate,) = await use.call_rates.search(RateQuery())
    assert isinstance(await asked(engine, "a", "102"), Allowed)

    await use.call_rates.change(rate.rate_id, CallRateChanges(price_n=Decimal("0.02"), price_1=Decimal("0.02")))
    dearer = await called(engine, "b", "102", NUMBER, 10)
    await use.call_rates.change(rate.rate_id, CallRateChanges(prefix="371"))
    moved = await asked(engine, "c", "102")
    await use.call_rates.remove(rate.rate_id)
    kept = await finished(engine, CallKey("pbx", "a"), "102", NUMBER, 10)

    assert count == 1
    assert (kept.cost, dearer.cost) == (Decimal("0.1"), Decimal("0.2"))
    assert moved is DeclineReason.NO_RATE
    assert await use.call_rates.export() == []


async def test_a_tenant_has_so_many_rates_and_no_more(engine):
    use = await acme(engine)
    party = await engine.services.of(OPERATOR).parties.show("acme")
    await engine.office.fetch(
        """INSERT INTO call_rates (party_id, prefix, free_seconds, grace_period, interval_1, interval_n, connect_fee,
                                   postcall_surcharge, price_1, price_n)
           SELECT $1, (100000 + n)::text, 0, 0, 1, 1, 0, 0, 0, 0 FROM generate_series(2, $2::integer) AS n""",
        party.party_id, CALL_RATES_MAX,
    )  # fmt: skip

    with pytest.raises(Refused):
        await use.call_rates.add(replace(CENT, prefix="371"))
    assert len(await use.call_rates.export()) == CALL_RATES_MAX


async def test_a_prefix_longer_than_any_number_is_kept_and_meets_no_call(engine):
    use = await acme(engine)
    await say(engine, enabled=True)
    kept = await use.call_rates.add(replace(CENT, prefix="370" + "5" * 61, price_1=Decimal(9)))

    assert (await called(engine, "a", "101", NUMBER, 1)).cost == Decimal("0.01")
    await use.call_rates.change(kept.rate_id, CallRateChanges(prefix=NUMBER))
    assert (await called(engine, "b", "101", NUMBER, 1)).cost == 9
    await use.call_rates.change(kept.rate_id, CallRateChanges(prefix="370" + "5" * 61))
    assert (await called(engine, "c", "101", NUMBER, 1)).cost == Decimal("0.01")


async def test_seconds_longer_than_any_call_are_what_they_say(engine):
    use = await acme(engine)
    await say(engine, enabled=True)
    most = 2**31 - 1
    await use.call_rates.add(replace(CENT, prefix="371", free_seconds=most))
    await use.call_rates.add(replace(CENT, prefix="372", interval_1=most, price_1=Decimal(5)))

    assert (await called(engine, "a", "101", "3711", 3600)).cost == 0
    assert (await called(engine, "b", "101", "3721", 3600)).cost == 5


async def test_what_was_changed_stands_in_the_audit_log_without_a_secret(engine):
    await say(engine, enabled=True)
    asked = engine.services.of(OPERATOR)

    entries = (await asked.audit.page(AuditFilter(party="acme"), Cursor())).items

    assert [(entry.action, entry.subject) for entry in entries] == [
        ("tenant_billing.change", "acme"),
        ("call_rate.add", "acme/370"),
    ]
    assert entries[0].detail == {"before": {"enabled": False}, "after": {"enabled": True}}


async def test_lines_rates_and_settings_that_come_at_once_do_not_hinder_one_another(engine):
    use, asked = await acme(engine), engine.services.of(OPERATOR)
    await say(engine, enabled=True)

    await asyncio.gather(
        *(asked.accounts.create(NewAccount(f"2{n}", "call_rates:acme", owner="acme")) for n in range(6)),
        *(use.call_rates.add(replace(CENT, prefix=f"44{n}")) for n in range(6)),
        *(say(engine, account=account) for account in (*ChargedAccount, ChargedAccount.USER)),
    )
    await say(engine, account=ChargedAccount.USER)
    same = (use.call_rates.add(replace(CENT, prefix="7")) for _ in range(4))
    twice = await asyncio.gather(*same, return_exceptions=True)

    assert [type(each) for each in twice if isinstance(each, Exception)] == [AlreadyExists] * 3
    assert (await called(engine, "a", "25", "445", 10)).cost == Decimal("0.1")
    assert (await asked.accounts.show("25")).balance == Decimal("-0.1")


async def test_lines_that_are_imported_for_a_tenant_are_charged_as_its_own_are(engine, tmp_path):
    await say(engine, enabled=True)
    file = tmp_path / "lines.csv"
    file.write_text("login,tariff,balance,owner\n301,call_rates:acme,5,acme\n302,call_rates:acme,5,acme\n")

    await engine.services.of(OPERATOR).account_imports.import_file(file)
    await called(engine, "a", "301", NUMBER, 10)

    assert await balances(engine) == {"101": Decimal("-0.1"), "102": Decimal("-0.1")}
    await say(engine, account=ChargedAccount.USER)
    assert (await engine.services.of(OPERATOR).accounts.show("301")).balance == 5


async def test_a_tariff_of_the_name_that_a_tenant_s_would_have_is_not_taken_over(engine):
    asked = engine.services.of(OPERATOR)
    await asked.tariffs.add("call_rates:late", TariffChanges(is_option=True))

    with pytest.raises(AlreadyExists) as refused:
        await asked.parties.create(NewParty("late", PartyKind.TENANT))

    assert refused.value.field == "login"
    with pytest.raises(NotFound):
        await asked.parties.show("late")
