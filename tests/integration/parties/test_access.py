"""Who is let in, as whom, and what those hear who are not."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from rating_engine.domain.party import Level, NewParty, PartyKind, PartyState
from rating_engine.domain.principal import OPERATOR, Principal
from rating_engine.domain.refusal import NotAdmitted, Refusal
from rating_engine.engine.services import open_services
from rating_engine.services.catalogue import Services
from rating_engine.services.parties.access import WRONG_PASSWORDS, Door
from rating_engine.services.parties.passwords import md5_of
from rating_engine.settings.model import Settings

WORD = "correct horse"


@pytest.fixture
async def services(database_url: str) -> AsyncIterator[Services]:
    """A firm with a user anna, whose password is WORD."""
    async with open_services(Settings(database_url=database_url)) as services:
        asked = services.of(OPERATOR)
        await asked.parties.create(NewParty("firm", PartyKind.RESELLER))
        await asked.parties.create(NewParty("anna", owner="firm"), password=WORD)
        yield services


async def enter(services: Services, login: str = "anna", word: str = WORD) -> Principal | Refusal:
    found = await services.access.by_password(login, md5_of(word), Door("test", "192.0.2.1"))
    return found.reason if isinstance(found, NotAdmitted) else found


async def test_who_has_the_password_asks_as_itself_within_its_own_tree(services):
    anna = await services.of(OPERATOR).parties.show("anna")

    asking = await enter(services, "ANNA")

    assert asking == Principal(
        "anna", Level.USER, "test", None, "192.0.2.1", party_id=anna.party_id, realm=anna.party_id, kind=PartyKind.USER
    )


async def test_who_manages_asks_within_what_is_its_owner_s_and_an_accountant_moves_no_money(services):
    asked = services.of(OPERATOR)
    firm = await asked.parties.show("firm")
    await asked.parties.create(NewParty("books", PartyKind.ACCOUNTANT, Level.RESELLER, owner="firm"), password=WORD)
    await asked.parties.create(NewParty("boss", PartyKind.ADMIN), password=WORD)

    books, boss = await enter(services, "books"), await enter(services, "boss")

    assert (books.realm, books.moves_money, books.sees_all) == (firm.party_id, False, False)
    assert (boss.moves_money, boss.sees_all) == (True, True)


@pytest.mark.parametrize(("login", "word"), [("anna", "wrong"), ("nobody", WORD), ("firm", WORD), ("system", WORD)])
async def test_a_wrong_password_and_a_wrong_login_hear_the_same(services, login, word):
    assert await enter(services, login, word) is Refusal.NO_USER


@pytest.mark.parametrize("who", ["anna", "firm"])
async def test_who_is_locked_or_below_who_is_locked_is_not_let_in(services, who):
    await services.of(OPERATOR).parties.set_status(who, PartyState.LOCKED)

    assert await enter(services) is Refusal.LOCKED


@pytest.mark.parametrize("state", [PartyState.ALL_BLOCKED, PartyState.DEACTIVATED, PartyState.EXTERNAL_BLOCKED])
async def test_who_may_not_call_may_ask(services, state):
    await services.of(OPERATOR).parties.set_status("anna", state)

    assert isinstance(await enter(services), Principal)


async def test_another_password_counts_at_once_though_the_old_one_was_remembered(services):
    assert isinstance(await enter(services), Principal)
    await services.of(OPERATOR).parties.set_password("anna", password="battery staple")

    assert await enter(services) is Refusal.NO_USER
    assert isinstance(await enter(services, word="battery staple"), Principal)


async def test_who_was_deleted_is_not_let_in(services):
    await services.of(OPERATOR).parties.delete("anna")

    assert await enter(services) is Refusal.NO_USER


async def test_who_guesses_passwords_of_a_login_hears_no_for_a_while_and_others_do_not(services):
    for number in range(WRONG_PASSWORDS):
        assert await enter(services, "ANNA" if number % 2 else "anna", f"guess-{number}") is Refusal.NO_USER

    assert await enter(services) is Refusal.NO_USER
    elsewhere = await services.access.by_password("anna", md5_of(WORD), Door("test", "192.0.2.9"))
    assert isinstance(elsewhere, Principal)


async def test_an_old_password_said_again_and_again_locks_nobody_out(services):
    for _ in range(2 * WRONG_PASSWORDS):
        assert await enter(services, word="old") is Refusal.NO_USER

    assert isinstance(await enter(services), Principal)
