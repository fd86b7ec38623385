"""Keys let in whom they are for, from where and for what they are for, and nobody a moment longer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from rating_engine.domain.api_key import KeyChanges, KeyKind, NewKey
from rating_engine.domain.errors import AlreadyExists, InvalidRequest, NotAllowed, NotYours
from rating_engine.domain.page import Cursor
from rating_engine.domain.party import Level, NewParty, PartyKind, PartyState
from rating_engine.domain.principal import OPERATOR, Principal, principal_of
from rating_engine.domain.refusal import NotAdmitted, Refusal
from rating_engine.engine.services import open_services
from rating_engine.services.catalogue import Services
from rating_engine.services.parties.access import Door
from rating_engine.services.parties.passwords import md5_of
from rating_engine.settings.model import Settings
from rating_engine.storage.postgres.pool import Database

HOME = "192.0.2.7"
WORD = "correct horse"


@pytest.fixture
async def services(database_url: str) -> AsyncIterator[Services]:
    """Two firms, each with a user: anna of `firm`, with the password WORD, and otto of `other`."""
    async with open_services(Settings(database_url=database_url, ban_wrong_keys=0)) as services:
        asked = services.of(OPERATOR)
        for firm, user in (("firm", "anna"), ("other", "otto")):
            await asked.parties.create(NewParty(firm, PartyKind.RESELLER))
            await asked.parties.create(NewParty(user, owner=firm), password=WORD)
        yield services


async def made(services: Services, name: str = "k", **more: Any) -> str:
    return (await services.of(OPERATOR).keys.add(NewKey(name, **{"owner": "firm", **more}))).secret


async def enter(
    services: Services, secret: str, user: str | None = None, *, password: str | None = None, **door: Any
) -> Principal | Refusal:
    md5 = None if password is None else md5_of(password)
    at = Door(**{"surface": "test", "address": HOME, **door})
    found = await services.access.authenticate(secret, at, user=user, md5=md5)
    return found.reason if isinstance(found, NotAdmitted) else found


async def test_a_secret_is_kept_as_its_hash_and_shown_once(services, database_url):
    secret = await made(services)

    database = Database(database_url)
    await database.open()
    kept = [str(dict(row)) for row in await database.fetch("SELECT * FROM api_keys")]
    logged = [str(dict(row)) for row in await database.fetch("SELECT * FROM audit_log")]
    await database.close()
    assert len(secret) >= 43
    assert not any(secret in text for text in kept + logged)
    assert (await services.of(OPERATOR).keys.show("k")).shown == secret[:4]


SERVER = {"kind": KeyKind.SERVER, "level": Level.SERVER}


async def test_a_server_key_asks_for_whom_it_names_with_its_own_level_for_methods(services):
    secret = await made(services, **SERVER, scopes=("accounts:read",))
    anna = await services.of(OPERATOR).parties.show("anna")

    asking = await enter(services, secret, "anna")

    assert (asking.party, asking.party_id, asking.realm) == ("anna", anna.party_id, anna.party_id)
    assert (asking.level, asking.method_level) == (Level.USER, Level.SERVER)
    assert (asking.key, asking.address, asking.scopes) == ("k", HOME, frozenset({"accounts:read"}))
    assert (await enter(services, secret)).party == "firm"


async def test_a_client_key_asks_for_nobody_without_a_password(services):
    secret = await made(services)

    assert (await enter(services, secret, "anna", password=WORD)).party == "anna"
    assert await enter(services, secret, "anna") is Refusal.NO_USER
    assert await enter(services, secret, "anna", password="wrong") is Refusal.NO_USER
    assert await enter(services, secret, "nobody", password=WORD) is Refusal.NO_USER
    nobody = await enter(services, secret)
    assert (nobody.level, nobody.party_id, nobody.sees_all) == (Level.ANYBODY, None, False)


async def test_a_key_with_a_user_of_its_own_needs_none_named(services):
    secret = await made(services, default_user="anna")

    assert (await enter(services, secret)).party == "anna"


@pytest.mark.parametrize("user", ["otto", "other", "system"])
async def test_a_key_asks_for_nobody_who_does_not_belong_to_its_owner(services, user):
    secret = await made(services, **SERVER)

    assert await enter(services, secret, user) is Refusal.NOT_YOURS


async def test_the_key_of_an_administrator_is_no_way_to_one_above_it(services):
    asked = services.of(OPERATOR)
    await asked.parties.create(NewParty("admin", PartyKind.ADMIN))
    await asked.parties.create(NewParty("root", PartyKind.ADMIN, Level.ROOT_ADMIN))
    secret = await made(services, **SERVER, owner="admin")

    assert await enter(services, secret, "root") is Refusal.NOT_YOURS
    assert (await enter(services, secret, "otto")).party == "otto"
    await asked.parties.set_status("admin", PartyState.LOCKED)
    assert await enter(services, secret, "otto") is Refusal.LOCKED


@pytest.mark.parametrize(
    ("key", "door", "refusal"),
    [
        ({"sources": ("192.0.2.*",)}, {"address": "192.0.3.1"}, Refusal.WRONG_ADDRESS),
        ({"sources": ("192.0.2.0/29", "2001:db8::/32")}, {"address": "2001:db9::1"}, Refusal.WRONG_ADDRESS),
        ({"sources": ("192.0.2.7",)}, {"address": None}, Refusal.WRONG_ADDRESS),
        ({"sources": ("192.0.2.*",)}, {"address": "192.0.2.200"}, None),
        ({"sources": ("192.0.2.*",)}, {"address": "::ffff:192.0.2.200"}, None),
        ({"sources": ("2001:db8::/32",)}, {"address": "2001:db8::1"}, None),
        ({"secure_only": True}, {"secure": False}, Refusal.NOT_SECURE),
        ({"secure_only": True}, {"secure": True}, None),
        ({"methods": ("getInfo",)}, {"method": "getUsers"}, Refusal.WRONG_METHOD),
        ({"methods": ("getInfo",)}, {"method": "getInfo"}, None),
    ],
)
async def test_a_key_is_for_its_addresses_connections_and_methods_alone(services, key, door, refusal):
    secret = await made(services, **SERVER, **key)

    entered = await enter(services, secret, **door)

    assert (entered if isinstance(entered, Refusal) else None) is refusal


async def test_what_is_changed_of_a_key_counts_for_the_next_request(services):
    secret = await made(services, **SERVER)
    keys = services.of(OPERATOR).keys

    await keys.change("k", KeyChanges(enabled=False))
    assert await enter(services, secret) is Refusal.UNKNOWN_KEY
    await keys.change("k", KeyChanges(enabled=True, sources=("198.51.100.0/24",), level=Level.MAINTENANCE))
    assert await enter(services, secret) is Refusal.WRONG_ADDRESS
    await keys.change("k", KeyChanges(sources=(), default_user="anna"))
    assert (await enter(services, secret)).method_level is Level.MAINTENANCE
    await keys.revoke("k")
    assert await enter(services, secret) is Refusal.UNKNOWN_KEY
    with pytest.raises(InvalidRequest, match="revoked"):
        await keys.change("k", KeyChanges(enabled=True))
    with pytest.raises(AlreadyExists):
        await made(services)


async def test_nobody_makes_a_key_that_may_do_more_than_itself(services):
    asked = services.of(OPERATOR)
    firm = services.of(principal_of(await asked.parties.show("firm"), "test")).keys
    admin = services.of(principal_of(await asked.parties.create(NewParty("admin", PartyKind.ADMIN)), "test")).keys

    with pytest.raises(NotAllowed):
        await firm.add(NewKey("a", KeyKind.SERVER, Level.SERVER))
    with pytest.raises(NotAllowed):
        await admin.add(NewKey("a", KeyKind.SERVER, Level.MAINTENANCE))
    with pytest.raises(NotYours):
        await firm.add(NewKey("a", default_user="otto"))
    assert (await firm.add(NewKey("a", KeyKind.SERVER, Level.RESELLER, default_user="anna"))).key.owner == "firm"
    assert (await admin.add(NewKey("b", KeyKind.SERVER, Level.SERVER))).key.owner == "admin"


async def test_lists_have_the_keys_of_who_asks_and_of_all_below(services):
    asked = services.of(OPERATOR)
    for name, owner in (("a", "firm"), ("b", "anna"), ("c", "other"), ("d", "system")):
        await made(services, name, owner=owner)
    await asked.keys.revoke("b")
    firm = services.of(principal_of(await asked.parties.show("firm"), "test")).keys

    async def names(keys: Any, **more: bool) -> list[str]:
        return [key.name for key in (await keys.page(Cursor(), **more)).items]

    assert await names(firm) == ["a"]
    assert await names(firm, revoked=True) == ["a", "b"]
    assert await names(asked.keys) == ["a", "c", "d"]


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("level", {"kind": KeyKind.SERVER}),
        ("level", {"level": Level.USER}),
        ("level", {"kind": KeyKind.SERVER, "level": Level.OPERATOR}),
        ("sources", {"sources": ("192.0.2.7/24",)}),
        ("sources", {"sources": ("192.*.2.7",)}),
        ("sources", {"sources": ("example.org",)}),
        ("methods", {"methods": ("get info",)}),
        ("scopes", {"scopes": ("accounts",)}),
        ("name", {"name": ""}),
    ],
)
def test_what_is_wrong_with_a_new_key_is_named(field, given):
    with pytest.raises(InvalidRequest) as error:
        NewKey(**{"name": "k", **given})

    assert error.value.field == field


async def test_a_session_lasts_as_long_as_it_is_used_and_is_of_its_surface(services, database_url):
    anna = await services.access.by_password("anna", md5_of(WORD), Door("portal", HOME))
    token = await services.access.start_session(anna, idle_seconds=900)
    portal, other = Door("portal", HOME), Door("api", HOME)
    database = Database(database_url)
    await database.open()

    assert (await services.access.by_session(token, portal)) == anna
    assert (await services.access.by_session(token, other)).reason is Refusal.NO_SESSION
    assert (await services.access.by_session(token + "x", portal)).reason is Refusal.NO_SESSION
    await database.fetch("UPDATE sessions SET expires_at = now() + interval '1 second'")
    await services.access.by_session(token, portal)
    left = await database.fetchval("SELECT extract(epoch FROM expires_at - now()) FROM sessions")
    assert left > 800
    await database.fetch("UPDATE sessions SET expires_at = now()")
    assert (await services.access.by_session(token, portal)).reason is Refusal.NO_SESSION
    again = await services.access.start_session(anna, idle_seconds=900)
    assert await database.fetchval("SELECT count(*) FROM sessions") == 1  # the one that was over is gone
    await services.access.end_session(again)
    assert (await services.access.by_session(again, portal)).reason is Refusal.NO_SESSION
    await database.close()


async def test_sessions_end_with_another_password_and_with_a_lock(services):
    asked = services.of(OPERATOR).parties
    anna = await services.access.by_password("anna", md5_of(WORD), Door("portal", HOME))
    first = await services.access.start_session(anna, idle_seconds=900)

    await asked.set_password("anna", password="battery staple")
    second = await services.access.start_session(anna, idle_seconds=900)
    assert (await services.access.by_session(first, Door("portal", HOME))).reason is Refusal.NO_SESSION
    await asked.set_status("firm", PartyState.LOCKED)
    assert (await services.access.by_session(second, Door("portal", HOME))).reason is Refusal.LOCKED
