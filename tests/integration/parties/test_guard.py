"""Everybody does what is theirs to do with what is theirs, and every use case about others is refused to them."""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import AsyncIterator
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from rating_engine.domain.access import ACTIONS
from rating_engine.domain.account import AccountChanges, AccountKind, NewAccount, NewSubscriber
from rating_engine.domain.api_key import NewKey
from rating_engine.domain.audit import AuditFilter
from rating_engine.domain.change import LEAVE
from rating_engine.domain.credit_note import NewCreditNote
from rating_engine.domain.did import NewDid, NewPool
from rating_engine.domain.errors import NotAllowed, NotFound, NotYours
from rating_engine.domain.page import Cursor
from rating_engine.domain.party import Level, NewParty, PartyChanges, PartyFilter, PartyKind, PartyState
from rating_engine.domain.payment import NewPayment
from rating_engine.domain.principal import OPERATOR, Principal, principal_of
from rating_engine.domain.rights import Named
from rating_engine.domain.tariff import RouteChanges
from rating_engine.engine.services import open_services
from rating_engine.services.catalogue import Services, UseCases
from rating_engine.services.parties.guard import Guard
from rating_engine.settings.model import Settings
from rating_engine.storage.postgres.pool import Database
from tests.support.world import publish_deck

# Two firms side by side, each with an accountant, a tenant, and a user with an account and a key of the user's name.
FIRMS = {"firm": ("anna", "1001"), "other": ("otto", "2001")}
ROLES = ("anna", "firm", "firm-books", "firm-tenant")


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    await database.open()
    await publish_deck(database)
    await publish_deck(database, "cheap")
    yield database
    await database.close()


@pytest.fixture
async def services(database: Database, database_url: str) -> AsyncIterator[Services]:
    async with open_services(Settings(database_url=database_url)) as services:
        asked = services.of(OPERATOR)
        await asked.parties.create(NewParty("admin", PartyKind.ADMIN))
        await asked.parties.create(NewParty("books", PartyKind.ACCOUNTANT))
        for firm, (user, login) in FIRMS.items():
            await asked.parties.create(NewParty(firm, PartyKind.RESELLER, tariff="retail"))
            await asked.parties.create(NewParty(user, owner=firm))
            await asked.parties.create(NewParty(f"{firm}-books", PartyKind.ACCOUNTANT, Level.RESELLER, owner=firm))
            await asked.parties.create(NewParty(f"{firm}-tenant", PartyKind.TENANT, owner=firm))
            await asked.accounts.create(NewAccount(login, "retail", balance=Decimal(10), owner=user))
            await asked.keys.add(NewKey(user, owner=user))
        await asked.dids.add(NewDid("4930200", "otto"))
        pool = await asked.did_pools.add(NewPool("Germany", "Berlin"))
        await asked.dids.add(NewDid("4930300", pool_id=pool.pool_id))
        await asked.accounts.create(NewAccount("3001", "retail", balance=Decimal(10)))
        yield services


async def role(services: Services, login: str) -> Principal:
    return principal_of(await services.of(OPERATOR).parties.show(login), "test")


async def of(services: Services, login: str) -> UseCases:
    return services.of(await role(services, login))


def arguments_of(action: str, value: Any, kind: Named) -> dict[str, Any]:
    """Arguments of a use case that name `value` wherever one of this kind is named, and nothing where they may."""
    field, _, name = action.partition(".")
    method = getattr(typing.get_type_hints(UseCases)[field], name)
    hints = typing.get_type_hints(method)
    found: dict[str, Any] = {
        parameter: SimpleNamespace(**_empty(hints.get(parameter)))
        for parameter in inspect.signature(method).parameters
        if dataclasses.is_dataclass(hints.get(parameter))
    }
    right = ACTIONS[action]
    for concern in right.concerns:
        argument, _, attribute = concern.path.partition(".")
        given = value if concern.kind is kind else None
        if attribute:
            setattr(found[argument], attribute, given)
        else:
            found[argument] = given
    for path in (*right.admins_only, *right.own_tariff):
        argument, _, attribute = path.partition(".")
        setattr(found[argument], attribute, LEAVE)
    return found


def _empty(kind: Any) -> dict[str, None]:
    return {each.name: None for each in dataclasses.fields(kind)}


FOREIGN = {
    Named.LINE: ("2001", "3001"),
    Named.PARTY: ("otto", "other", "other-books", "system"),
    Named.KEY: ("otto",),
    Named.NUMBER: ("4930200", "4930300"),
    Named.RULES: ("4930200", "4930300"),
}
SERVICE = """
    INSERT INTO services (party_id, name, kind, period, currency)
    SELECT party_id, 'line', 'periodic', 'month', 'EUR' FROM parties WHERE login = 'other' RETURNING service_id"""
SUBSCRIPTION = """
    INSERT INTO service_subscriptions (bucket, account_id, service_id, party_id, starts_at)
    SELECT a.bucket, a.account_id, s.service_id, a.party_id, now() FROM services s, accounts a
    JOIN parties p USING (party_id) WHERE p.login = 'otto' LIMIT 1 RETURNING subscription_id"""
# A group of cards of the other firm, and a card of it.
GROUP = """
    INSERT INTO card_groups (name, owner_id, tariff_id)
    SELECT 'others', party_id, (SELECT min(tariff_id) FROM tariffs) FROM parties WHERE login = 'other'
    RETURNING group_id"""
CARD = """
    INSERT INTO calling_cards (group_id, number_hash, number_sealed, owner_id)
    SELECT group_id, sha256('1'), '1', owner_id FROM card_groups WHERE name = 'others' RETURNING card_id"""
CONCERNED = [(action, kind) for action, right in ACTIONS.items() for kind in {each.kind for each in right.concerns}]


async def number_of(database: Database, login: str) -> int:
    return int(await database.fetchval("SELECT account_id FROM subscribers WHERE login = $1", login))


async def papers_of(asked: UseCases, database: Database, user: str) -> dict[Named, list[int]]:
    """A payment, an invoice and a credit note of a user."""
    await database.fetch("UPDATE accounts SET created_at = '2020-01-01'")
    payment, invoice = await asked.payments.create(NewPayment(user, Decimal(5))), await asked.invoices.monthly(user)
    note = await asked.credit_notes.create(NewCreditNote(user, Decimal(5)))
    return {
        Named.PAYMENT: [payment.payment_id],
        Named.INVOICE: [invoice.invoice_id],
        Named.CREDIT_NOTE: [note.credit_note_id],
    }


async def is_refused(guard: Guard, action: str, arguments: dict[str, Any]) -> bool:
    try:
        await guard.check(action, arguments)
    except (NotYours, NotAllowed):
        return True
    return False


@pytest.mark.parametrize("who", ROLES)
async def test_every_use_case_about_others_is_refused_to_every_role(services, database, who):
    guard = Guard(database, await role(services, who))
    await services.of(OPERATOR).routes.add("carrier", RouteChanges(position=1))
    of_kind = {
        **FOREIGN,
        Named.ROUTE: [await database.fetchval("SELECT route_id FROM routes")],
        Named.ACCOUNT: [await number_of(database, login) for login in FOREIGN[Named.LINE]],
        Named.TARIFF: [await database.fetchval("SELECT tariff_id FROM tariffs WHERE name = 'cheap'")],
        Named.CARD_GROUP: [await database.fetchval(GROUP)],
        Named.CARD: [await database.fetchval(CARD)],
        Named.SERVICE: [await database.fetchval(SERVICE)],
        Named.SUBSCRIPTION: [await database.fetchval(SUBSCRIPTION)],
        **await papers_of(services.of(OPERATOR), database, "otto"),
    }

    for action, kind in CONCERNED:
        for foreign in of_kind[kind]:
            assert await is_refused(guard, action, arguments_of(action, foreign, kind)), (who, action, foreign)


@pytest.mark.parametrize("who", ROLES)
async def test_every_use_case_about_the_whole_is_refused_to_every_role(services, database, who):
    guard = Guard(database, await role(services, who))

    for action, right in ACTIONS.items():
        if not right.concerns and not right.own:
            with pytest.raises(NotAllowed):
                await guard.check(action, {})


async def test_lists_have_what_is_below_who_asks_and_nothing_else(services):
    firm, anna, admin = [await of(services, who) for who in ("firm", "anna", "admin")]

    async def logins(asked: UseCases) -> list[str]:
        return [line.login for line in (await asked.accounts.subscribers(Cursor())).items]

    assert await logins(firm) == await logins(anna) == ["1001"]
    assert await logins(admin) == ["1001", "2001", "3001"]
    assert [account.login for account in (await firm.accounts.page(Cursor())).items] == ["1001"]
    assert [party.login for party in (await firm.parties.page(PartyFilter(), Cursor())).items] == [
        "firm", "anna", "firm-books", "firm-tenant",
    ]  # fmt: skip
    assert [account.login for account in (await admin.accounts.page(Cursor(), owner="other")).items] == ["2001"]
    with pytest.raises(NotYours):
        await firm.accounts.page(Cursor(), owner="other")
    assert [key.name for key in (await firm.keys.page(Cursor())).items] == ["anna"]
    await firm.accounts.block("1001")
    audit = AuditFilter()
    assert [entry.subject for entry in (await firm.audit.page(audit, Cursor())).items] == ["1001"]
    other = await of(services, "other")
    assert (await other.audit.page(audit, Cursor())).items == ()
    with pytest.raises(NotAllowed):
        await anna.accounts.page(Cursor())


async def test_a_reseller_manages_its_users_and_makes_no_money(services):
    firm = await of(services, "firm")

    await firm.parties.create(NewParty("berta", owner="firm"))
    await firm.accounts.create(NewAccount("1002", "retail", owner="berta"))
    await firm.accounts.add_subscriber(NewSubscriber("1003", "1002"))
    await firm.accounts.change("1002", AccountChanges(max_calls=2, overdraft=Decimal(0)))
    await firm.parties.set_status("berta", PartyState.ALL_BLOCKED)
    refused = [
        firm.accounts.create(NewAccount("1004", "retail", balance=Decimal(1), owner="berta")),
        firm.accounts.create(NewAccount("1004", "retail", overdraft=Decimal(1), owner="berta")),
        firm.accounts.create(NewAccount("1004", "retail", kind=AccountKind.POSTPAID, owner="berta")),
        firm.accounts.create(NewAccount("1004", "cheap", owner="berta")),
        firm.accounts.add_subscriber(NewSubscriber("1004", "1002", "cheap")),
        firm.accounts.change("1002", AccountChanges(overdraft=Decimal(5))),
        firm.accounts.change("1002", AccountChanges(overdraft=None)),
        firm.accounts.top_up("1002", Decimal(1)),
        firm.options.switch_tariff("1002", "cheap"),
        firm.parties.change("berta", PartyChanges(tariff="cheap")),
        firm.parties.create(NewParty("x", PartyKind.ADMIN)),
    ]
    for each in refused:
        with pytest.raises(NotAllowed):
            await each
    with pytest.raises(NotFound):
        await firm.accounts.show("1004")


async def test_nobody_changes_of_itself_what_is_for_others_to_change(services):
    operator = services.of(OPERATOR)
    await operator.accounts.create(NewAccount("1005", "retail", owner="firm"))
    firm, books, anna = [await of(services, who) for who in ("firm", "firm-books", "anna")]

    for asked in (firm, books):
        for each in (
            asked.accounts.change("1005", AccountChanges(max_calls=9)),
            asked.accounts.unblock("1005"),
            asked.parties.set_status("firm", PartyState.PROTECTED),
            asked.parties.delete("firm"),
        ):
            with pytest.raises(NotAllowed):
                await each
    assert (await anna.parties.change("anna", PartyChanges(language="de"))).language == "de"
    for changes in (PartyChanges(comment="x"), PartyChanges(tariff=None), PartyChanges(level=Level.SIMPLE_USER)):
        with pytest.raises(NotAllowed):
            await anna.parties.change("anna", changes)
    await anna.parties.set_password("anna", password="correct horse")


async def test_an_accountant_reads_what_is_its_owner_s_and_moves_no_money(services):
    books = await of(services, "books")

    assert (await books.accounts.show("2001")).balance == 10
    assert (await books.accounts.statement("2001", Cursor())).items
    for each in (
        books.accounts.top_up("2001", Decimal(1)),
        books.accounts.create(NewAccount("4001", "retail", balance=Decimal(1))),
    ):
        with pytest.raises(NotAllowed):
            await each


async def test_an_administrator_does_what_the_operator_does(services):
    admin = await of(services, "admin")

    await admin.accounts.top_up("2001", Decimal(5))
    await admin.accounts.change("2001", AccountChanges(overdraft=Decimal(5)))
    assert (await admin.accounts.show("2001")).available == 20
    assert {tariff.settings.name for tariff in (await admin.tariffs.page(Cursor())).items} >= {"cheap", "retail"}
    assert [check async for check in admin.doctor.prove_laws()]


async def test_a_key_gives_no_key_more_scopes_than_its_own(services):
    asking = dataclasses.replace(await role(services, "firm"), scopes=frozenset({"keys:write"}))
    keys = services.of(asking).keys

    with pytest.raises(NotAllowed):
        await keys.add(NewKey("x"))
    with pytest.raises(NotAllowed):
        await keys.add(NewKey("x", scopes=("accounts:read",)))
    assert (await keys.add(NewKey("x", scopes=("keys:write",)))).key.scopes == ("keys:write",)
    with pytest.raises(NotAllowed):
        await services.of(asking).accounts.show("1001")
