"""How a party stands decides what its lines may call, from the next call on, whatever an engine remembers."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from rating_engine.domain.outcomes import Allowed, CallKey, DeclineReason, FinishCall, PrepareCall, Saved
from rating_engine.domain.party import NewParty, PartyKind, PartyState
from rating_engine.domain.principal import OPERATOR
from rating_engine.engine.engine import Engine
from rating_engine.rating.rate import Rate
from rating_engine.services.catalogue import UseCases
from rating_engine.storage.parties.offline import offline_accounts
from tests.support.engines import engine_on, hear_nothing
from tests.support.world import CENT_A_SECOND, add_account, publish_deck

OUTSIDE = "4912345"


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[Engine]:
    """A firm has a reseller, who has a user; 1001 and 1002 are the user's lines, 1003 is the reseller's."""
    async with engine_on(database_url, ledger_buckets=3) as engine:
        await publish_deck(engine.office, rates={"49": CENT_A_SECOND, "1": Rate(price_1="0.01", price_unit="minute")})
        asked = of(engine)
        await asked.parties.create(NewParty("reseller", PartyKind.RESELLER))
        await asked.parties.create(NewParty("anna", owner="reseller"))
        for login, owner in (("1001", "anna"), ("1002", "anna"), ("1003", "reseller"), ("1004", "system")):
            await add_account(engine.office, login, balance="100")
            await asked.accounts.give(login, owner)
        yield engine


def of(engine: Engine) -> UseCases:
    return engine.services.of(OPERATOR)


async def asked(engine: Engine, login: str, destination: str, uniqueid: str) -> str:
    """What a call is told: `allowed`, or the reason why not."""
    outcome = await engine.charging.prepare_call(PrepareCall(CallKey("pbx", uniqueid), login, destination))
    return "allowed" if isinstance(outcome, Allowed) else outcome.reason


@pytest.mark.parametrize("hears", [True, False])
@pytest.mark.parametrize("who", ["anna", "reseller"])
@pytest.mark.parametrize(
    ("state", "outside", "inside"),
    [
        (PartyState.LOCKED, "user_blocked", "user_blocked"),
        (PartyState.DEACTIVATED, "user_blocked", "user_blocked"),
        (PartyState.ALL_BLOCKED, "user_blocked", "user_blocked"),
        (PartyState.EXTERNAL_BLOCKED, "external_blocked", "allowed"),
        (PartyState.PROTECTED, "allowed", "allowed"),
    ],
)
async def test_the_state_of_a_party_counts_for_all_below_it_at_once(engine, who, state, outside, inside, hears):
    if not hears:
        hear_nothing(engine)
    assert await asked(engine, "1001", OUTSIDE, "before") == "allowed"

    await of(engine).parties.set_status(who, state)

    assert await asked(engine, "1001", OUTSIDE, "1") == outside
    assert await asked(engine, "1001", "1002", "2") == inside
    assert await asked(engine, "1004", OUTSIDE, "3") == "allowed"
    if who == "reseller":
        assert await asked(engine, "1003", OUTSIDE, "4") == outside

    await of(engine).parties.set_status(who, PartyState.ACTIVE)

    assert await asked(engine, "1001", OUTSIDE, "5") == "allowed"


async def test_only_lines_of_the_same_party_are_inside(engine):
    await of(engine).parties.set_status("anna", PartyState.EXTERNAL_BLOCKED)

    assert await asked(engine, "1001", "1003", "1") == "external_blocked"
    assert await asked(engine, "1001", "1004", "2") == "external_blocked"


async def test_calls_that_run_go_on_and_are_charged(engine):
    key = CallKey("pbx", "1")
    assert await asked(engine, "1001", OUTSIDE, "1") == "allowed"
    await of(engine).parties.set_status("anna", PartyState.LOCKED)

    ended = await engine.charging.finish_call(FinishCall(key, "1001", OUTSIDE, 60, "ANSWER", 16))

    assert isinstance(ended, Saved)
    assert ended.cost > 0


async def test_an_account_given_to_a_blocked_party_calls_no_more(engine):
    await of(engine).parties.set_status("reseller", PartyState.ALL_BLOCKED)
    assert await asked(engine, "1004", OUTSIDE, "1") == "allowed"

    await of(engine).accounts.give("1004", "anna")

    assert await asked(engine, "1004", OUTSIDE, "2") == DeclineReason.USER_BLOCKED
    await of(engine).accounts.give("1004", "system")
    assert await asked(engine, "1004", OUTSIDE, "3") == "allowed"


async def test_a_deleted_user_calls_no_more_and_its_money_stays(engine):
    await of(engine).parties.delete("anna")

    assert await asked(engine, "1001", OUTSIDE, "1") == DeclineReason.USER_BLOCKED
    assert (await of(engine).accounts.show("1001")).balance == 100


async def test_postpaid_lines_of_a_blocked_party_do_not_call_without_the_database(engine):
    await add_account(engine.office, "1005", overdraft=None, postpaid=True)
    await of(engine).accounts.give("1005", "anna")

    assert list(await offline_accounts(engine.office, ["1005"])) == ["1005"]
    await of(engine).parties.set_status("reseller", PartyState.EXTERNAL_BLOCKED)
    assert list(await offline_accounts(engine.office, ["1005"])) == []
