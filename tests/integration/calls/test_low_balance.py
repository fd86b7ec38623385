"""Callers whose user wants it hear before a call that the balance is low."""

from __future__ import annotations

from decimal import Decimal

from rating_engine.domain.account import NewAccount
from rating_engine.domain.outcomes import Allowed, CallKey, PrepareCall
from rating_engine.domain.party import NewParty, PartyChanges
from tests.support.mor import mor_on


async def test_callers_hear_that_the_balance_is_below_the_limit_of_their_user(database_url):
    """user1, whom MOR's u6 and u10 are said of, has the lines 30001 and, later, 1007; each has ten euros."""
    async with mor_on(database_url) as mor:
        use, charging = mor.operator, mor.engine.charging
        user = (await use.parties.show("user1")).party_id
        lines = iter(range(1000))

        async def hears(login: str) -> bool:
            key = CallKey("pbx1", str(next(lines)))
            outcome = await charging.prepare_call(PrepareCall(key, login, "4912345"))
            assert isinstance(outcome, Allowed), outcome
            await charging.abandon_call(outcome.call_key, login, outcome.claim)
            return outcome.low_balance

        async def said(**given: object) -> None:
            assert await mor.done("user_details_update", user_id=user, **given)

        balance = (await use.accounts.show("30001")).balance
        assert not await hears("30001")
        await said(u6=balance + 1, warning_email_active=1)
        assert not await hears("30001")  # mail alone
        party = await use.parties.show(user)
        assert (party.notify_balance, party.notify_balance_limit, party.warn_calls) == (True, balance + 1, False)
        await said(u10=1)
        assert await hears("30001")
        await use.accounts.create(NewAccount("1007", "retail", balance=balance + 1, owner="user1"))
        assert not await hears("1007")
        await said(u6=balance + 2)
        assert await hears("1007")
        await use.parties.create(NewParty("user9"))
        await use.accounts.give("1007", "user9")
        assert not await hears("1007")
        await use.parties.change("user1", PartyChanges(notify_balance_limit=balance))
        assert not await hears("30001")
        await use.parties.change("user1", PartyChanges(notify_balance_limit=balance + Decimal("0.01")))
        assert await hears("30001")
        await said(u10=0)
        assert not await hears("30001")
        assert await mor.error("user_details_update", user_id=user, u6="x") == "Access Denied"
