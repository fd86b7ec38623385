"""Lines with their phones: what is kept of a password, what exchanges are told, and who may change what."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import os
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import asyncpg
import pytest

from rating_engine.domain.account import NewAccount
from rating_engine.domain.errors import AlreadyExists, NotAllowed, NotYours, Refused
from rating_engine.domain.exchanges import ExchangeChanges, NewExchange
from rating_engine.domain.gateway import GatewayChanges, RouteKind
from rating_engine.domain.party import Level, NewParty, PartyKind, PartyState
from rating_engine.domain.principal import OPERATOR, principal_of
from rating_engine.domain.registration import NewRegistration
from rating_engine.domain.sip_account import (
    ExtensionTaken,
    NewSipAccount,
    NoSecretKey,
    NoSuchExchange,
    SipChanges,
    WrongExtension,
)
from rating_engine.engine.services import make_services
from rating_engine.services.catalogue import Services, UseCases
from rating_engine.services.finance.moving import Moving
from rating_engine.services.routes.pjsip_trunks import sections_text
from rating_engine.settings.model import Settings
from rating_engine.storage.phones.take_back import take_back
from rating_engine.storage.postgres.pool import Database
from tests.support.world import publish_deck

KEY, OTHER_KEY = (base64.urlsafe_b64encode(os.urandom(32)).decode() for _ in range(2))
VIEWS = ("ps_endpoints", "ps_auths", "ps_aors", "ps_endpoint_id_ips")


class House:
    """Firm north with anna (main line 40000) at exchange pbx1, and otto of nobody."""

    def __init__(self, url: str, database: Database, services: Services) -> None:
        self.url, self.database, self.services = url, database, services
        self.operator = services.of(OPERATOR)

    async def of(self, login: str) -> UseCases:
        """The use cases of a user."""
        return self.services.of(principal_of(await self.operator.parties.show(login), "test"))

    def with_keys(self, *keys: str) -> UseCases:
        """The operator's, with other keys in the settings."""
        return make_services(Settings(database_url=self.url, secret_keys=keys), self.database).of(OPERATOR)

    async def told(self, view: str, login: str) -> dict[str, object] | None:
        """What an exchange is told of a phone."""
        row = await self.database.fetchrow(f"SELECT * FROM {view} WHERE id = $1", login)
        return None if row is None else dict(row)

    async def is_told(self, login: str) -> bool:
        return await self.told("ps_endpoints", login) is not None


@pytest.fixture
async def house(database_url: str) -> AsyncIterator[House]:
    database = Database(database_url, pool_size=8)
    await database.open()
    await publish_deck(database)
    house = House(
        database_url, database, make_services(Settings(database_url=database_url, secret_keys=(KEY,)), database)
    )
    use = house.operator
    await use.parties.create(NewParty("boss", PartyKind.ADMIN))
    await use.parties.create(NewParty("north", PartyKind.RESELLER, tariff="retail"))
    await use.parties.create(NewParty("anna", owner="north", tariff="retail"))
    await use.parties.create(NewParty("otto", tariff="retail"))
    await use.exchanges.add(NewExchange("pbx1", "192.0.2.10", "sip.example.com"))
    await use.sip_accounts.create(NewSipAccount(login="40000", owner="anna", password="very-secret"))
    yield house
    await database.close()


def md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


async def test_a_phone_is_known_to_its_exchange_by_the_hash_of_its_password_alone(house: House):
    assert await house.told("ps_auths", "40000") == {
        "id": "40000", "auth_type": "md5", "username": "40000", "realm": "pbx1",
        "md5_cred": md5("40000:pbx1:very-secret"),
    }  # fmt: skip
    endpoint = await house.told("ps_endpoints", "40000")
    assert endpoint is not None
    assert (endpoint["accountcode"], endpoint["aors"], endpoint["auth"], endpoint["context"]) == (
        "40000", "40000", "40000", "phones",
    )  # fmt: skip
    sealed = await house.database.fetchval("SELECT secret FROM sip_accounts")
    assert b"very-secret" not in sealed
    assert (await house.operator.sip_accounts.show("40000")).password == "very-secret"
    notes = await house.database.fetch("SELECT detail::text FROM audit_log")
    assert not any("very-secret" in row["detail"] for row in notes)


NORTH, OF = "UPDATE parties SET status =", "WHERE login = 'north'"
BLOCKED = {
    "UPDATE subscribers SET status = 'blocked'": "UPDATE subscribers SET status = 'active'",
    "UPDATE accounts SET status = 'blocked'": "UPDATE accounts SET status = 'active'",
    f"{NORTH} 'locked' {OF}": f"{NORTH} 'active' {OF}",
    f"{NORTH} 'all_blocked' {OF}": f"{NORTH} 'active' {OF}",
    "UPDATE exchanges SET enabled = false": "UPDATE exchanges SET enabled = true",
}


async def test_who_is_blocked_deleted_or_locked_has_no_phone_in_any_view(house: House):
    for block, let_go in BLOCKED.items():
        await house.database.fetch(block)
        assert [await house.told(view, "40000") for view in VIEWS] == [None] * 4, block
        await house.database.fetch(let_go)
        assert await house.is_told("40000"), let_go
    await house.operator.parties.set_status("anna", PartyState.EXTERNAL_BLOCKED)
    assert await house.is_told("40000")  # it calls its own lines
    await house.operator.parties.delete("anna")
    assert not await house.is_told("40000")


async def test_a_line_that_is_unreachable_takes_no_calls_and_one_with_a_host_has_no_password(house: House):
    use = house.operator.sip_accounts
    await use.change("40000", SipChanges(reachable=False))
    assert await house.told("ps_aors", "40000") is None
    assert (await house.told("ps_endpoints", "40000") or {})["aors"] is None
    await use.change("40000", SipChanges(reachable=True, host="192.0.2.77", srtp=True, transport="tls"))

    endpoint = await house.told("ps_endpoints", "40000") or {}
    assert (endpoint["auth"], endpoint["identify_by"]) == (None, "ip")  # never by its name without a password
    assert (endpoint["transport"], endpoint["media_encryption"]) == ("transport-tls", "sdes")
    assert await house.told("ps_auths", "40000") is None
    assert (await house.told("ps_endpoint_id_ips", "40000") or {})["match"] == "192.0.2.77"
    assert (await house.told("ps_aors", "40000") or {})["contact"] == "sip:192.0.2.77"


async def test_another_password_number_or_exchange_is_another_hash_at_once(house: House):
    use = house.operator
    await use.sip_accounts.change("40000", SipChanges(password="another-one"))
    assert (await house.told("ps_auths", "40000") or {})["md5_cred"] == md5("40000:pbx1:another-one")
    await use.sip_accounts.change("40000", SipChanges(login="40005"))
    assert (await house.told("ps_auths", "40005") or {})["md5_cred"] == md5("40005:pbx1:another-one")
    assert not await house.is_told("40000")
    await use.exchanges.add(NewExchange("pbx2", realm="sip.two"))
    await use.sip_accounts.change("40005", SipChanges(exchange="sip.two"))
    assert (await house.told("ps_auths", "40005") or {})["md5_cred"] == md5("40005:sip.two:another-one")
    with pytest.raises(Refused):
        await use.exchanges.change("pbx2", ExchangeChanges(realm="new"))


async def test_keys_are_changed_one_after_the_other_and_without_one_all_else_works(house: House, tmp_path: Path):
    await house.operator.gateways.add(
        "carrier", RouteKind.SIP, "pbx1", GatewayChanges(host="192.0.2.9", username="us", secret="of-carrier")
    )
    both = house.with_keys(OTHER_KEY, KEY)
    assert (await both.sip_accounts.show("40000")).password == "very-secret"
    assert await both.sip_accounts.reseal() == 2
    (trunk,) = await house.with_keys(OTHER_KEY).gateways.trunks("pbx1")
    file = tmp_path / "pjsip_rating.conf"
    whole = await house.with_keys(OTHER_KEY).exchanges.render("pbx1", output=file, trunks=True)
    assert "password=…" in " ".join(whole.difference)
    assert "of-carrier" not in " ".join(whole.difference)
    assert whole.text == (await house.operator.exchanges.render("pbx1", output=tmp_path / "x")).text + sections_text(
        [trunk]
    )
    assert "[carrier]\ntype=endpoint" in file.read_text()
    await house.operator.gateways.add("40000", RouteKind.SIP, "pbx1", GatewayChanges(host="192.0.2.8"))
    with pytest.raises(Refused, match="called as a phone"):
        await house.with_keys(OTHER_KEY).exchanges.render("pbx1", output=file, trunks=True)
    assert trunk.secret == "of-carrier"
    assert (await house.with_keys(OTHER_KEY).sip_accounts.show("40000")).password == "very-secret"
    assert (await house.with_keys(KEY).sip_accounts.show("40000")).password is None

    none = house.with_keys()
    with pytest.raises(NoSecretKey):
        await none.sip_accounts.create(NewSipAccount(login="40001", owner="anna", password="very-secret"))
    with pytest.raises(NoSecretKey):
        await none.sip_accounts.change("40000", SipChanges(password="another-one"))
    with pytest.raises(NoSecretKey):
        await none.sip_accounts.change("40000", SipChanges(login="40009"))
    assert (await none.sip_accounts.change("40000", SipChanges(srtp=True))).password is None
    assert await house.is_told("40000")
    assert [line.login for line in await none.sip_accounts.of("anna")] == ["40000"]


async def test_numbers_have_five_digits_or_seven_beside_a_main_one_and_are_had_once(house: House):
    anna, north = (await house.of("anna")).sip_accounts, (await house.of("north")).sip_accounts
    assert await anna.available(main="40000") == "4000001"
    await anna.create(NewSipAccount(login="4000001", owner="anna", password="very-secret"))
    assert await anna.available(main="40000") == "4000002"
    for who, login, error in ((anna, "40001", NotAllowed), (north, "5000001", WrongExtension),
                              (north, "40000", ExtensionTaken), (north, "4000001", ExtensionTaken)):  # fmt: skip
        with pytest.raises(error):
            await who.create(NewSipAccount(login=login, owner="anna", password="very-secret"))
    with pytest.raises(WrongExtension):
        NewSipAccount(login="400001", password="very-secret")
    with pytest.raises(NoSuchExchange):
        await anna.create(NewSipAccount(login="4000002", owner="anna", password="very-secret", exchange="pbx9"))
    with pytest.raises(NotYours):
        await anna.create(NewSipAccount(login="4000002", owner="otto", password="very-secret"))
    assert not await house.is_told("4000002")  # nothing half done
    with pytest.raises(NotYours):
        await (await house.of("otto")).sip_accounts.change("40000", SipChanges(password="stolen-one"))
    assert (await house.told("ps_auths", "40000") or {})["md5_cred"] == md5("40000:pbx1:very-secret")
    both = await anna.of("anna")
    assert both[0].account_id == both[1].account_id


async def test_a_deleted_line_calls_no_more_and_its_owner_alone_may_have_the_number_again(house: House):
    anna, north = (await house.of("anna")).sip_accounts, (await house.of("north")).sip_accounts
    await anna.create(NewSipAccount(login="4000001", owner="anna", password="very-secret"))
    await anna.delete("4000001")
    assert not await house.is_told("4000001")
    assert not (await house.operator.accounts.show("4000001")).may_call
    assert [line.login for line in await anna.of("anna")] == ["40000"]
    await anna.create(NewSipAccount(login="4000001", owner="anna", password="fresh-secret"))
    assert await house.is_told("4000001")
    assert (await house.operator.accounts.show("4000001")).may_call

    await house.operator.accounts.block_subscriber("4000001")
    with pytest.raises(Refused):  # or deleting and making it again would let it go
        await anna.delete("4000001")
    await north.delete("4000001")


OWN = [
    (SipChanges(host="192.0.2.1"), NotAllowed),
    (SipChanges(endpoint_options={"direct_media": "yes"}), NotAllowed),
    (SipChanges(exchange="pbx1"), NotAllowed),
    (SipChanges(login="40007"), NotAllowed),
    (SipChanges(callerid="4930999"), NotAllowed),
    (SipChanges(max_seconds=None), NotAllowed),
    (SipChanges(max_seconds=600), None),
    (SipChanges(max_seconds=601), NotAllowed),
    (SipChanges(max_seconds=60), None),
    (SipChanges(trusted_cli="4930999"), None),
    (SipChanges(callerid="4930999"), NotAllowed),  # whom it trusts itself is no number of its own
    (SipChanges(callerid="40000"), None),
    (SipChanges(reachable=False, password="another-one", disa_pin="1234"), None),
]


async def test_of_oneself_limits_are_lowered_and_nothing_is_raised(house: House):
    anna = (await house.of("anna")).sip_accounts
    for changes, error in OWN:
        with pytest.raises(error) if error else contextlib.nullcontext():
            await anna.change("40000", changes)
    await (await house.of("north")).sip_accounts.change("40000", SipChanges(trusted_cli="4930999"))
    assert (await anna.change("40000", SipChanges(callerid="4930999"))).callerid == "4930999"


async def test_a_line_that_an_operator_made_gets_its_phone_with_its_first_password(house: House):
    await house.operator.accounts.create(NewAccount("1001", "retail", balance=Decimal(1), owner="otto"))
    assert (await house.operator.sip_accounts.show("1001")).exchange is None
    await house.operator.sip_accounts.change("1001", SipChanges(password="very-secret"))
    assert await house.is_told("1001")


async def test_nothing_that_is_kept_ends_a_field_and_begins_another():
    for text in ("a;b", 'a"b', "a\nb", "<1>"):
        with pytest.raises(Exception, match="label"):
            SipChanges(label=text)
    for options in ({"context": "other"}, {"direct_media": "yes;context=x"}, {"set_var": "a"}):
        with pytest.raises(Exception, match="sip_options"):
            SipChanges(endpoint_options=options)


async def test_who_reads_for_an_exchange_reads_its_phones_and_nothing_else(house: House, database_url: str):
    use = house.operator
    await use.exchanges.add(NewExchange("pbx2"))
    await use.sip_accounts.create(NewSipAccount(login="50000", owner="otto", password="very-secret", exchange="pbx2"))
    role = f"rating_reader_{uuid.uuid4().hex[:8]}"  # roles are the whole server's
    await use.exchanges.give_role("pbx1", password="word-of-role", role=role)
    try:
        reader = await asyncpg.connect(database_url, user=role, password="word-of-role")
        try:
            for view in VIEWS[:3]:
                assert [row["id"] for row in await reader.fetch(f"SELECT id FROM {view}")] == ["40000"]
            relations = await reader.fetch(
                "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = ANY ('{r,v,S}')"
            )
            assert len(relations) > 40
            for name in {row["relname"] for row in relations} - set(VIEWS):
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await reader.fetch(f"SELECT * FROM {name}")
            for view in VIEWS:
                with pytest.raises((asyncpg.InsufficientPrivilegeError, asyncpg.ObjectNotInPrerequisiteStateError)):
                    await reader.execute(f"DELETE FROM {view}")
            # A cheap function of its own would be asked of every row, before the view has sorted them out.
            await reader.execute(
                "CREATE FUNCTION pg_temp.tell(text) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS "
                "$$ BEGIN IF $1 = '50000' THEN RAISE 'told'; END IF; RETURN true; END $$"
            )
            assert len(await reader.fetch("SELECT id FROM ps_auths WHERE pg_temp.tell(id)")) == 1
        finally:
            await reader.close()
    finally:
        await house.database.fetch(f"DROP OWNED BY {role}")
        await house.database.fetch(f"DROP ROLE {role}")


async def test_a_registration_that_is_taken_back_leaves_its_names_and_no_line(house: House):
    phone = NewSipAccount(login="50000", password="very-secret")
    new = NewRegistration(login="nina", md5="0" * 32, level=Level.USER, phone=phone)
    nina = await (await house.of("north")).registrations.register(new)
    assert await house.is_told("50000")
    async with house.database.transaction(OPERATOR) as tx:
        await take_back(tx, nina.party_id, "50000")
    assert not await house.is_told("50000")
    assert await house.database.fetchval("SELECT count(*) FROM accounts WHERE party_id = $1", nina.party_id) == 0
    await (await house.of("north")).registrations.register(new)
    assert await house.is_told("50000")


async def test_a_registration_cut_off_before_its_money_is_gone_on_with_by_asking_again(house: House, monkeypatch):
    await house.operator.accounts.create(NewAccount("60000", "retail", balance=Decimal(5), owner="north"))
    phone = NewSipAccount(login="50000", password="very-secret")
    new = NewRegistration(login="nina", md5="0" * 32, level=Level.USER, phone=phone, balance=Decimal(2))
    registrations = (await house.of("north")).registrations

    async def cut_off(*_: object) -> None:
        raise RuntimeError("the process ended here")

    with monkeypatch.context() as patch:
        patch.setattr(Moving, "move", cut_off)
        with pytest.raises(RuntimeError):
            await registrations.register(new)
    with pytest.raises(AlreadyExists, match="taken"):
        await registrations.register(new)  # whoever asked first may be at it still
    monkeypatch.setattr("rating_engine.services.phones.registration.CUT_OFF", timedelta(0))
    for other in (replace(new, balance=Decimal(1)), replace(new, login="NINA")):
        with pytest.raises(AlreadyExists, match="taken"):
            await registrations.register(other)
    with monkeypatch.context() as patch:  # the money is moved, and nobody hears of it
        patch.setattr("rating_engine.services.phones.registration.forget", cut_off)
        with pytest.raises(RuntimeError):
            await registrations.register(new)
    nina = await registrations.register(new)
    assert nina.login == "nina"
    balances = [(await house.operator.accounts.show(login)).balance for login in ("60000", "50000")]
    assert balances == [Decimal(3), Decimal(2)]
    with pytest.raises(AlreadyExists):
        await registrations.register(new)  # it is whole: the same once more is another one


async def test_lines_made_at_once_are_one_each_and_on_one_account(house: House):
    use = house.operator.sip_accounts
    numbers = ("50000", *(str(number) for number in range(50_000, 50_006)))
    made = [NewSipAccount(login=number, owner="otto", password="very-secret") for number in numbers]
    done = await asyncio.gather(*map(use.create, made), return_exceptions=True)

    assert sorted(type(each).__name__ for each in done) == ["ExtensionTaken", *["SipAccount"] * 6]
    assert len({line.account_id for line in await use.of("otto")}) == 1
