"""Callers whose user wants it hear before a call that the balance is low."""

from __future__ import annotations

from decimal import Decimal

import pytest

from rating_engine.domain.account import NewAccount
from rating_engine.domain.errors import Refused
from rating_engine.domain.outcomes import Allowed, CallKey, PrepareCall
from rating_engine.domain.page import Cursor
from rating_engine.domain.party import NewParty, PartyChanges, PartyFilter
from rating_engine.domain.warning_sound import WarningSound
from tests.support.mor import mor_on


async def test_callers_hear_that_the_balance_is_below_the_limit_of_their_user(database_url):
    """user1, whom MOR's u6 and u10 are said of, has the lines 30001 and, later, 1007; each has ten euros."""
    async with mor_on(database_url) as mor:
        use, charging = mor.operator, mor.engine.charging
        user = (await use.parties.show("user1")).party_id
        lines = iter(range(1000))

        async def hears(login: str) -> str | bool:
            key = CallKey("pbx1", str(next(lines)))
            outcome = await charging.prepare_call(PrepareCall(key, login, "4912345"))
            assert isinstance(outcome, Allowed), outcome
            await charging.abandon_call(outcome.call_key, login, outcome.claim)
            return outcome.low_balance_sound or outcome.low_balance

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
        await hears_what_its_user_has_chosen(mor, said, hears)
        await said(u10=0)
        assert not await hears("30001")
        assert await mor.error("user_details_update", user_id=user, u6="x") == "Access Denied"


async def hears_what_its_user_has_chosen(mor, said, hears) -> None:
    """By the number of a sound (u24); and the other settings: the hour of the mail (u2), lists without it (u28)."""
    use = mor.operator
    sound = await use.warning_sounds.add(WarningSound("custom/low"))
    for wrong in ({"u24": sound + 1}, {"u24": "x"}, {"u2": 24}, {"u28": 2}):
        user = (await use.parties.show("user1")).party_id
        assert await mor.error("user_details_update", user_id=user, **wrong) == "Access Denied"
    await said(u24=sound, u2=0, u28=1)
    assert await hears("30001") == "custom/low"
    party = await use.parties.show("user1")
    assert (party.warn_sound, party.notify_hour, party.unlisted) == (sound, 0, True)
    await use.accounts.create(NewAccount("1008", "retail", owner="user1", balance=Decimal(1)))
    assert await hears("1008") == "custom/low"
    for unlisted in (False, True):
        found = (await use.parties.page(PartyFilter(unlisted=unlisted), Cursor())).items
        assert ("user1" in [each.login for each in found]) is unlisted
    with pytest.raises(Refused):
        await use.warning_sounds.remove(sound)
    await said(u24=0, u2=-1, u28=0)
    assert await hears("30001") is True
    await use.warning_sounds.remove(sound)
