"""Keys and bans as Narayana's methods change them, by what the engine does next."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from rating_engine.domain.account import NewAccount, NewSubscriber
from rating_engine.domain.api_key import KeyKind, NewKey
from rating_engine.domain.audit import AuditFilter
from rating_engine.domain.page import Cursor
from rating_engine.domain.party import Level
from tests.support.narayana import MD5, Narayana, narayana_on

SECRET = "0123456789abcdef"


@pytest.fixture
async def narayana(database_url: str) -> AsyncIterator[Narayana]:
    async with narayana_on(database_url) as narayana:
        yield narayana


async def test_a_key_is_made_with_its_secret_used_changed_and_revoked(narayana):
    ask, raw = narayana.ask, narayana.raw
    assert await ask("addKey", login="boss", name="app", auth_by="username", apikey=SECRET, accessLevel="0") is True
    assert await ask("resolveCallerid", key=SECRET, login="anna", password=MD5) == "49301"

    assert await ask("updateKey", login="boss", name="app", apikey=SECRET[::-1], **{"default user": "anna"}) is True
    assert (await raw("resolveCallerid", key=SECRET)).status_code == 401
    assert await ask("resolveCallerid", key=SECRET[::-1]) == "49301"

    await ask("updateKey", login="boss", name="app", source="192.0.2.*, 198.51.100.7")
    assert (await raw("resolveCallerid", key=SECRET[::-1])).status_code == 403
    shown = await ask("getKey", login="boss", name="app")
    assert (shown["source"], shown["default_user"]) == ("192.0.2.*, 198.51.100.7", "anna")
    assert shown["key"] == "fedc****"

    assert await ask("revokeKey", login="boss", name="app") is True
    assert (await raw("resolveCallerid", key=SECRET[::-1])).status_code == 401
    assert await narayana.code("getKey", login="boss", name="app") == "E_NOT_EXIST"


async def test_a_key_says_when_maintenance_was_asked_for_with_it_and_where_its_exchange_is(narayana):
    await narayana.add_key(NewKey("pbx1", KeyKind.SERVER, Level.MAINTENANCE, owner="boss"))
    shown = await narayana.ask("getKey", login="boss", name="pbx1")
    assert (shown["maintenance"], shown["dnsname"]) == ("", "sip.example.com")

    assert await narayana.ask("doMaintenance", key="pbx1", login="boss") is True

    assert (await narayana.ask("getKey", login="boss", name="pbx1"))["maintenance"].startswith("20")


async def test_no_secret_is_in_an_answer_or_in_the_audit_log(narayana):
    await narayana.ask("addKey", login="boss", name="app", auth_by="username", apikey=SECRET)
    await narayana.ask("updateKey", login="boss", name="app", apikey=SECRET[::-1])

    listed = await narayana.ask("getKeys", login="boss")
    audit = await narayana.operator.audit.page(AuditFilter(), Cursor())

    for secret in (SECRET, SECRET[::-1], *narayana.keys.values()):
        assert secret not in repr(listed)
        assert secret not in repr(audit)
    assert {key["name"] for key in listed} == {"server", "lines", "client", "app"}
    assert audit.items[0].surface == "narayana"


NO_KEYS = [
    ({"apikey": "short"}, "E_DATA_ABORT"),
    ({"apikey": "with a blank in it"}, "E_DATA_ABORT"),
    ({"auth_by": "colour"}, "E_DATA_ABORT"),
    ({"accessLevel": "51"}, "E_DATA_ABORT"),
    ({"accessLevel": "90"}, "E_INSUFFICIENT_ACCESS"),
    ({"source": "nowhere"}, "E_DATA_ABORT"),
    ({"secure_only": "2"}, "E_DATA_ABORT"),
    ({"default_user": "nobody"}, "E_NOT_EXIST"),
    ({"name": "server"}, "E_DATA_ABORT"),
    ({"allowed_methods": "getInfo, getinfo"}, "E_DATA_ABORT"),
    ({"auth_by": "id", "default_user": "999"}, "E_NOT_EXIST"),
    ({"name": ""}, "E_MISSING_ARGUMENT"),
]


async def test_what_makes_no_key_says_so_and_makes_none(narayana):
    for given, code in NO_KEYS:
        asked = {"login": "boss", "name": "app", "auth_by": "username", "apikey": SECRET, **given}
        assert await narayana.code("addKey", **asked) == code, given
        assert await narayana.code("getKey", login="boss", name="app") == "E_NOT_EXIST"
    short = await narayana.raw("addKey", login="boss", name="app", auth_by="username", apikey="short")
    assert short.json()["description"].startswith("apikey: ")


async def test_a_default_user_is_named_as_the_key_authorises_and_its_line_is_the_one_that_is_named(narayana):
    ask, key = narayana.ask, {"login": "boss", "name": "phone", "apikey": SECRET, "source": "*.*.*.*"}
    await narayana.operator.accounts.add_subscriber(NewSubscriber("1002", "1001", callerid="49302"))

    await ask("addKey", **key, auth_by="sip_extension", default_user="1002")
    told = [(await narayana.raw(*asked, key=SECRET)).text for asked in (["resolveCallerid"], ["getInfo"])]
    assert (told[0], json.loads(told[1])["sip_extension"], json.loads(told[1])["username"]) == ("49302", "1002", "anna")
    assert (await ask("getKey", login="boss", name="phone"))["default_user"] == "1002"

    await narayana.operator.accounts.create(NewAccount("2002", "retail", owner="otto"))
    await ask("updateKey", login="boss", name="phone", default_user="2002")
    assert (await narayana.raw("getValue", key=SECRET, property="sip_extension")).text == "2002"
    number = await ask("getValue", login="anna", property="id")
    await ask("updateKey", login="boss", name="phone", auth_by="id", default_user=number)
    assert (await narayana.raw("getValue", key=SECRET, property="username")).text == "anna"


async def test_a_secret_is_of_one_key_alone(narayana):
    for name in ("one", "two"):
        await narayana.ask("addKey", login="boss", name=name, auth_by="username", apikey=SECRET + name)

    assert await narayana.code("updateKey", login="boss", name="two", apikey=f"{SECRET}one") == "E_DATA_ABORT"
    assert await narayana.code("addKey", login="boss", name="3", auth_by="id", apikey=f"{SECRET}one") == "E_DATA_ABORT"


async def test_a_firm_changes_its_own_keys_alone(narayana):
    await narayana.add_key(NewKey("firms", KeyKind.SERVER, Level.SERVER, owner="boss"))
    await narayana.add_key(NewKey("annas", owner="anna"))

    assert await narayana.ask("updateKey", login="firm", name="annas", enabled="0") is True
    assert [key["name"] for key in await narayana.ask("getKeys", login="firm")] == ["annas"]
    for method in ("getKey", "updateKey", "revokeKey"):
        assert await narayana.code(method, login="firm", name="server") == "E_DOES_NOT_BELONG_TO_YOU"
        assert await narayana.code(method, login="anna", name="annas") == "E_INSUFFICIENT_ACCESS"


async def ban_of(narayana: Narayana, target: str) -> dict[str, str]:
    return next(ban for ban in await narayana.ask("getBans", login="boss") if ban["target"] == target)


async def test_an_address_is_banned_kept_and_let_in_again(narayana):
    ask, banned = narayana.ask, narayana.engine.services.access.bans.refuses

    await ask("banIP", login="boss", source="server", target="192.0.2.9", reason="guesses")
    assert banned("192.0.2.9")
    ban = await ban_of(narayana, "192.0.2.9")
    assert (ban["reason"], ban["source"], ban["permanent"]) == ("guesses", "server", "0")

    await ask("updateBanPermanent", login="boss", id=ban["id"], state="true")
    await ask("flushBans", login="boss")
    await ask("flushAllBans", login="boss")
    assert banned("192.0.2.9")

    await ask("updateBanPermanent", login="boss", id=ban["id"], state="0")
    await ask("flushBans", login="boss")
    assert not banned("192.0.2.9")

    await ask("banIP", login="boss", source="elsewhere", target="192.0.2.10")
    await ask("unbanIP", login="boss", id=(await ban_of(narayana, "192.0.2.10"))["id"])
    assert not banned("192.0.2.10")


async def test_what_is_whitelisted_is_banned_by_nobody(narayana):
    await narayana.ask("banIP", login="boss", source="whitelist", target="127.0.0.1", reason="ya je localhost")

    assert await narayana.code("banIP", login="boss", source="x", target="127.0.0.1") == "E_TARGET_WHITELISTED"
    assert await narayana.code("banIP", login="boss", source="x", target="nowhere") == "E_DATA_ABORT"
    for method, more in (("unbanIP", {}), ("updateBanPermanent", {"state": "true"})):
        assert await narayana.code(method, login="boss", id="9999", **more) == "E_NOT_EXIST"


async def test_bans_are_the_whole_installation_s_and_for_who_manages_it(narayana):
    asked = {"id": "1", "state": "true", "source": "x", "target": "192.0.2.1"}

    for method in ("getBans", "flushBans", "banIP", "unbanIP", "updateBanPermanent", "flushAllBans"):
        for login in ("firm", "anna"):
            assert await narayana.code(method, login=login, **asked) == "E_INSUFFICIENT_ACCESS", method


async def test_channels_are_closed_through_their_exchange_or_it_is_said_that_it_is_not_reached(narayana):
    assert await narayana.ask("closeChannels", login="anna") is True
    await narayana.ask("callPrepare", login="anna", destination="4912345", callid="1.1")

    assert await narayana.code("closeChannels", login="anna") == "E_ASTERISK_QUERY_ERROR"
    assert await narayana.ask("closeChannels", login="otto") is True
