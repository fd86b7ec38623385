"""Users: made below their owners, changed within the level of who asks, closed without losing anything."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from rating_engine.domain.errors import AlreadyExists, InvalidRequest, NotAllowed, NotFound, NotYours
from rating_engine.domain.page import Cursor
from rating_engine.domain.party import Level, NewParty, PartyChanges, PartyFilter, PartyKind, PartyState
from rating_engine.domain.principal import OPERATOR, Principal, principal_of
from rating_engine.services.parties.parties import Parties
from rating_engine.services.parties.passwords import Passwords, md5_of
from rating_engine.storage.parties.parties import password_hash
from rating_engine.storage.postgres.pool import Database
from tests.support.world import publish_deck

PASSWORDS = Passwords()


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    await database.open()
    yield database
    await database.close()


@pytest.fixture
def parties(database: Database) -> Parties:
    return by(database, OPERATOR)


def by(database: Database, principal: Principal) -> Parties:
    return Parties(database, principal, PASSWORDS)


async def test_a_user_is_as_it_was_made(database, parties):
    await publish_deck(database)
    new = NewParty(
        "Anna", name="Anna Example", language="de", utc_offset=330, currency="EUR", tariff="retail", comment="pays late"
    )

    made = await parties.create(new)

    assert made == await parties.show("anna") == await parties.show(made.party_id)
    assert (made.kind, made.level, made.owner, made.status) == (
        PartyKind.USER, Level.USER, "system", PartyState.ACTIVE,
    )  # fmt: skip
    assert (made.name, made.language, made.utc_offset, made.currency, made.tariff, made.comment) == (
        "Anna Example", "de", 330, "EUR", "retail", "pays late",
    )  # fmt: skip
    assert not made.has_password


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("login", {"login": "an na"}),
        ("login", {"login": "Operator"}),
        ("login", {"login": ""}),
        ("kind", {"kind": PartyKind.SYSTEM}),
        ("level", {"level": Level.ADMIN}),
        ("level", {"kind": PartyKind.ADMIN, "level": Level.USER}),
        ("language", {"language": "German"}),
        ("utc_offset", {"utc_offset": 900}),
        ("currency", {"currency": "euro"}),
        ("name", {"name": "a\nb"}),
        ("comment", {"comment": "\0"}),
    ],
)
def test_what_is_wrong_with_a_new_user_is_named(field, given):
    with pytest.raises(InvalidRequest) as error:
        NewParty(**{"login": "anna", **given})

    assert error.value.field == field


async def test_a_login_is_taken_in_whatever_case_it_is_written_and_for_ever(parties):
    await parties.create(NewParty("Anna"))
    with pytest.raises(AlreadyExists):
        await parties.create(NewParty("aNNA"))

    await parties.delete("ANNA")

    with pytest.raises(AlreadyExists):
        await parties.create(NewParty("anna"))
    assert (await parties.show("anna")).hidden


async def test_only_who_may_own_owns_and_nobody_owns_what_is_above_it(parties):
    await parties.create(NewParty("anna"))
    await parties.create(NewParty("firm", PartyKind.RESELLER))

    for owner, new in (
        ("anna", NewParty("x", owner="anna")),
        ("firm", NewParty("x", PartyKind.ADMIN, owner="firm")),
        ("firm", NewParty("x", PartyKind.RESELLER, Level.PARTNER, owner="firm")),
    ):
        with pytest.raises(InvalidRequest, match=r"owner|level"):
            await parties.create(new)
        assert owner
    with pytest.raises(NotFound):
        await parties.create(NewParty("x", owner="nobody"))


async def test_who_has_a_level_gives_and_changes_none_above_it(database, parties):
    admin = await parties.create(NewParty("admin", PartyKind.ADMIN))
    await parties.create(NewParty("root", PartyKind.ADMIN, Level.ROOT_ADMIN))
    asking = by(database, principal_of(admin, "test"))

    with pytest.raises(NotAllowed):
        await asking.create(NewParty("x", PartyKind.ADMIN, Level.ROOT_ADMIN))
    for refused in (
        asking.set_status("root", PartyState.LOCKED),
        asking.delete("root"),
        asking.set_password("root", password="12345678"),
        asking.change("root", PartyChanges(name="x")),
    ):
        with pytest.raises(NotAllowed):
            await refused
    assert (await asking.create(NewParty("x", PartyKind.RESELLER))).owner == "system"


async def test_nobody_changes_its_own_level_or_state_nor_deletes_itself(database, parties):
    root = await parties.create(NewParty("root", PartyKind.ADMIN, Level.ROOT_ADMIN))
    asking = by(database, principal_of(root, "test"))

    for refused in (
        asking.change("root", PartyChanges(level=Level.ADMIN)),
        asking.set_status("root", PartyState.PROTECTED),
        asking.delete("root"),
    ):
        with pytest.raises(InvalidRequest):
            await refused
    assert (await asking.change("root", PartyChanges(name="Me"))).name == "Me"


async def test_the_system_s_own_user_stays_as_it_is(parties):
    for refused in (
        parties.change("system", PartyChanges(name="x")),
        parties.set_status("system", PartyState.LOCKED),
        parties.delete("system"),
        parties.set_password("system", password="12345678"),
    ):
        with pytest.raises(InvalidRequest):
            await refused


async def test_what_owns_others_is_not_deleted(parties):
    await parties.create(NewParty("firm", PartyKind.RESELLER))
    await parties.create(NewParty("anna", owner="firm"))

    with pytest.raises(InvalidRequest, match="owns 1 user"):
        await parties.delete("firm")
    await parties.delete("anna")
    assert (await parties.delete("firm")).hidden
    with pytest.raises(InvalidRequest, match="deleted"):
        await parties.set_status("firm", PartyState.ACTIVE)


async def test_lists_have_what_is_below_who_asks(database, parties):
    firm = await parties.create(NewParty("firm", PartyKind.RESELLER))
    other = await parties.create(NewParty("other", PartyKind.RESELLER))
    for number in range(3):
        await parties.create(NewParty(f"anna-{number}", owner="firm"))
    await parties.delete("anna-2")
    await parties.set_status("anna-1", PartyState.LOCKED)

    async def logins(asking: Parties, wanted: PartyFilter, cursor: Cursor | None = None) -> list[str]:
        return [party.login for party in (await asking.page(wanted, cursor or Cursor())).items]

    assert await logins(parties, PartyFilter()) == ["firm", "other", "anna-0", "anna-1"]
    assert await logins(by(database, principal_of(firm, "test")), PartyFilter()) == ["firm", "anna-0", "anna-1"]
    assert await logins(by(database, principal_of(other, "test")), PartyFilter()) == ["other"]
    assert await logins(parties, PartyFilter(owner="firm", hidden=True)) == ["firm", "anna-0", "anna-1", "anna-2"]
    assert await logins(parties, PartyFilter(status=PartyState.LOCKED)) == ["anna-1"]
    assert await logins(parties, PartyFilter(kind=PartyKind.RESELLER)) == ["firm", "other"]
    page = await parties.page(PartyFilter(), Cursor(2))
    assert await logins(parties, PartyFilter(), Cursor(2, page.next)) == ["anna-0", "anna-1"]
    with pytest.raises(NotYours):
        await by(database, principal_of(other, "test")).page(PartyFilter(owner="firm"), Cursor())


async def test_a_password_is_kept_as_argon2_over_its_md5(database, parties):
    anna = await parties.create(NewParty("anna"), password="correct horse")
    hashed = await password_hash(database, anna.party_id)

    assert hashed.startswith("$argon2id$")
    assert await PASSWORDS.verify(md5_of("correct horse"), hashed)
    assert not await PASSWORDS.verify(md5_of("correct horsf"), hashed)
    await parties.set_password("anna", md5="D41D8CD98F00B204E9800998ECF8427E")
    assert await PASSWORDS.verify(md5_of(""), await password_hash(database, anna.party_id))
    for wrong in ({"password": "short"}, {"md5": "33 digits"}, {}):
        with pytest.raises(InvalidRequest) as error:
            await parties.set_password("anna", **wrong)
        assert error.value.field == "password"


async def test_every_change_stands_in_the_audit_log_without_a_secret(database, parties):
    await parties.create(NewParty("firm", PartyKind.RESELLER), password="correct horse")
    await parties.change("firm", PartyChanges(name="Firm"))
    await parties.set_status("firm", PartyState.LOCKED)
    await parties.set_password("firm", password="battery staple")
    await by(database, replace(OPERATOR, address="192.0.2.1")).delete("firm")

    rows = await database.fetch("SELECT action, subject, address, detail::text FROM audit_log ORDER BY audit_id")

    assert [(row["action"], row["subject"]) for row in rows] == [
        (f"user.{what}", "firm") for what in ("create", "change", "status", "password", "delete")
    ]
    assert rows[1]["detail"] == '{"after": {"name": "Firm"}, "before": {"name": ""}}'
    assert rows[4]["address"] == "192.0.2.1"
    assert not any(word in row["detail"] for row in rows for word in ("horse", "staple", "argon2", md5_of("x")[:4]))
