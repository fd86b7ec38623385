"""Section SIP accounts and registerUser, by what exchanges are told and what the engine does next."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from rating_engine.api.narayana.declared import METHODS
from rating_engine.domain.account import NewAccount
from rating_engine.domain.party import PartyKind
from rating_engine.storage.postgres.pool import Database
from tests.support.narayana import MD5, Narayana, narayana_on
from tests.support.world import publish_deck

CALLED = "4912345"
NEW = {"user": "nina", "web_password": MD5, "accesslevel": "11", "sip_server": "SIP.example.com",
       "sip_extension": "40000", "sip_password": "verysecret"}  # fmt: skip


@pytest.fixture
async def narayana(database_url: str) -> AsyncIterator[Narayana]:
    async with narayana_on(database_url) as narayana:
        yield narayana


async def told(database_url: str, login: str) -> str | None:
    """What an exchange is told of a password; None: it knows no such phone."""
    database = Database(database_url)
    await database.open()
    hashed: str | None = await database.fetchval("SELECT md5_cred FROM ps_auths WHERE id = $1", login)
    await database.close()
    return hashed


def ha1(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


async def test_a_user_is_registered_with_account_and_phone_and_calls_on_what_it_was_given(narayana, database_url):
    assert await narayana.ask("registerUser", login="boss", **NEW, balance="2.50", language="english") is True

    info = await narayana.ask("getInfo", login="nina")
    assert (info["manager"], info["accesslevel"], info["language"], info["balance"]) == ("system", 11, "en", 2.5)
    phone = [info[name] for name in ("sip_extension", "sip_server", "sip_address", "sip_realm", "sip_password")]
    assert phone == ["40000", "192.0.2.10", "sip.example.com", "pbx1", "verysecret"]
    assert await told(database_url, "40000") == ha1("40000:pbx1:verysecret")
    assert (await narayana.raw("getInfo", key="client", login="nina", password=MD5)).json()["result"] is True
    line = await narayana.ask("callPrepare", login="nina", destination=CALLED)
    assert line.startswith("Allowed 250 ")


REFUSED = [
    ({"user": "anna"}, "E_DATA_ABORT"),
    ({"sip_extension": "1001"}, "E_WRONG_EXTENSION"),
    ({"sip_extension": "4000001"}, "E_WRONG_EXTENSION"),
    ({"sip_extension": "50000"}, "E_CANT_CREATE_ASTERISK_ACCOUNT"),
    ({"sip_server": "sip.nowhere.com"}, "E_SIP_SERVER_NOT_EXIST"),
    ({"sip_password": "short"}, "E_DATA_ABORT"),
    ({"web_password": "5f4dcc3b5aa765d61d8327deb882cf996"}, "E_INVALID_ARGUMENT"),
    ({"accesslevel": "33"}, "E_INSUFFICIENT_ACCESS"),
    ({"accesslevel": "12"}, "E_DATA_ABORT"),
    ({"balance": "-1"}, "E_DATA_ABORT"),
    ({"balance": "0.0000001"}, "E_DATA_ABORT"),
    ({"account": "999999"}, "E_NOT_EXIST"),
    ({"account": "mine"}, "E_DATA_ABORT"),
    ({"user": "x" * 65}, "E_DATA_ABORT"),
]


async def test_what_makes_no_sense_registers_nothing(narayana, database_url):
    assert (
        await narayana.ask("registerUser", login="firm", **{**NEW, "user": "first", "sip_extension": "50000"}) is True
    )
    for given, code in REFUSED:
        assert await narayana.code("registerUser", login="firm", **{**NEW, **given}) == code, given
    assert [user["username"] for user in await narayana.ask("getUsers", login="firm")] == ["anna", "first"]
    assert await told(database_url, "40000") is None
    assert await narayana.code("registerUser", login="anna", **NEW) == "E_INSUFFICIENT_ACCESS"


async def test_another_tariff_is_for_whom_it_is_offered_and_set_alone(narayana, database_url):
    await phone_of_nina(narayana)
    database = Database(database_url)
    await database.open()
    await publish_deck(database, "cheap")
    cheap = str(await database.fetchval("SELECT tariff_id FROM tariffs WHERE name = 'cheap'"))
    await database.close()
    await narayana.operator.accounts.top_up("40000", Decimal(1))
    line = {"sip_extension": "40000", "sip_rates_id": cheap}
    for login, more, code in (("nina", {}, "E_DOES_NOT_BELONG_TO_YOU"), ("boss", {"sip_reach": "0"}, "E_DATA_ABORT"),
                              ("boss", {"sip_rates_id": "99999"}, "E_NOT_EXIST")):  # fmt: skip
        assert await narayana.code("updateExtension", login=login, **{**line, **more}) == code, (login, more)
    info = await narayana.ask("getExtensionInfo", login="nina", sip_extension="40000")
    assert (info["rates_name"], info["sip_reach"]) == ("retail", 2)
    assert await narayana.ask("updateExtension", login="boss", **line) is True
    assert await narayana.ask("updateExtension", login="nina", **line, sip_language="de") is True  # it has that
    info = await narayana.ask("getExtensionInfo", login="nina", sip_extension="40000")
    assert (info["rates_name"], info["sip_rates_id"], info["sip_language"]) == ("cheap", int(cheap), "de")


async def test_what_a_reseller_gives_a_new_user_comes_from_its_own_account(narayana):
    operator = narayana.operator
    await operator.accounts.create(NewAccount("50001", "retail", balance=Decimal(4), owner="firm"))

    await narayana.ask("registerUser", login="firm", **NEW, balance="2.5")
    more = {**NEW, "user": "more", "sip_extension": "40001", "balance": "1.51"}
    assert await narayana.code("registerUser", login="firm", **more) == "E_INSUFFICIENT_MONEY"
    more["currency"] = "CHF"
    assert await narayana.code("registerUser", login="firm", **{**more, "balance": "1"}) == "E_NOT_EXIST"

    assert [(await operator.accounts.show(login)).balance for login in ("50001", "40000")] == [
        Decimal("1.5"), Decimal("2.5"),
    ]  # fmt: skip
    assert await narayana.code("getInfo", login="more") == "E_AUTH_FAILED"


async def test_a_new_user_of_an_account_that_is_there_calls_on_that(narayana):
    account = await narayana.ask("getValue", login="anna", property="account")
    await narayana.ask("registerUser", login="firm", **NEW, account=account)

    assert await narayana.ask("getValue", login="nina", property="account") == account


async def phone_of_nina(narayana: Narayana) -> None:
    await narayana.ask("registerUser", login="firm", **NEW)


async def test_extensions_are_made_beside_the_main_one_shown_changed_and_deleted(narayana, database_url):
    await phone_of_nina(narayana)
    free = await narayana.ask("getAvailExtension", login="nina", own="true")
    assert free == "4000001"
    await narayana.ask("createExtension", login="nina", sip_extension=free, sip_password="password", sip_srtp="true")

    shown = await narayana.ask("getExtensions", login="nina")
    assert [line["sip_extension"] for line in shown] == ["40000", "4000001"]
    assert (shown[1]["sip_password"], shown[1]["sip_srtp"], shown[1]["sip_reach"], shown[1]["owner"]) == (
        "password", "1", 2, "nina",
    )  # fmt: skip
    assert await told(database_url, free) == ha1("4000001:pbx1:password")
    set_to = {"sip_password": "another-one", "disa_pin": "0042", "sip_reach": "0", "sip_transport": "tls",
              "sip_language": "de", "sip_max_call_len": "60"}  # fmt: skip
    await narayana.ask("updateExtension", login="nina", sip_extension=free, sip_srt="0", **set_to)
    info = await narayana.ask("getExtensionInfo", login="nina", sip_extension=free)
    assert {name: str(info[name]) for name in set_to} == set_to
    assert info["sip_srtp"] == "0"
    assert await told(database_url, free) == ha1("4000001:pbx1:another-one")
    assert await narayana.ask("getExtensionInfo", login="nina", sip_extension=free, property="sip_reach") == "0"

    assert await narayana.ask("deleteExtension", login="nina", sip_extension=free) is True
    assert await told(database_url, free) is None
    assert await narayana.code("deleteExtension", login="nina", sip_extension=free) == "E_NOT_EXIST"
    assert await narayana.code("getExtensionInfo", login="nina", sip_extension=free) == "E_NOT_EXIST"
    assert [line["sip_extension"] for line in await narayana.ask("getExtensions", login="nina")] == ["40000"]
    assert {line["owner"] for line in await narayana.ask("getExtensions", login="boss", all="true")} == {
        "anna", "otto", "nina",
    }  # fmt: skip
    assert [line["owner"] for line in await narayana.ask("getExtensions", login="firm", owner="nina")] == ["nina"]
    assert await narayana.ask("getExtensions", login="firm") == []


NOT_OF_ONESELF = [
    ({"sip_callerid": "4930999"}, "E_INSUFFICIENT_ACCESS"),
    ({"sip_host": "192.0.2.5"}, "E_INSUFFICIENT_ACCESS"),
    ({"sip_options": "direct_media=yes"}, "E_INSUFFICIENT_ACCESS"),
    ({"sip_server": "pbx1"}, "E_INSUFFICIENT_ACCESS"),
    ({"sip_max_call_len": "0"}, "E_INSUFFICIENT_ACCESS"),
    ({"extension": "40001"}, "E_INSUFFICIENT_ACCESS"),
    ({"extension": "4000"}, "E_WRONG_EXTENSION"),
    ({"sip_realm": "x"}, "E_INVALID_ARGUMENT"),
    ({"sip_reach": "1"}, "E_DATA_ABORT"),
    ({"sip_reach": "yes"}, "E_INVALID_ARGUMENT"),
    ({"sip_srtp": "2"}, "E_DATA_ABORT"),
    ({"sip_transport": "sctp"}, "E_INVALID_ARGUMENT"),
    ({"sip_password": "pass word"}, "E_DATA_ABORT"),
    ({"sip_password": "x" * 33}, "E_DATA_ABORT"),
    ({"sip_redirect": "4930;set_var=x"}, "E_DATA_ABORT"),
    ({"disa_pin": "-1"}, "E_DATA_ABORT"),
    ({"disa_pin": "12345678901234567"}, "E_DATA_ABORT"),
    ({"sip_max_call_len": "99999999999"}, "E_DATA_ABORT"),
    ({"sip_language": "en;context=x"}, "E_DATA_ABORT"),
    ({"sip_force_callback": "1"}, "E_DATA_ABORT"),  # nobody to call back
    ({"sip_force_callback": "2"}, "E_DATA_ABORT"),
    ({"sip_rates_options": "1"}, "E_DATA_ABORT"),  # with something else
    ({"sip_rates_options": "1,x"}, "E_INVALID_ARGUMENT"),
    ({"sip_rates_options": "1,,2"}, "E_INVALID_ARGUMENT"),
    ({"sip_rates_options": "9" * 19}, "E_INVALID_ARGUMENT"),
]


async def test_what_is_not_for_a_user_to_change_changes_nothing(narayana):
    await phone_of_nina(narayana)
    before = await narayana.ask("getExtensions", login="nina")

    for given, code in NOT_OF_ONESELF:
        answer = await narayana.code(
            "updateExtension", login="nina", sip_extension="40000", **{"sip_reach": "0", **given}
        )
        assert answer == code, given
    assert await narayana.code("createExtension", login="nina", sip_extension="40001", sip_password="password") == (
        "E_INSUFFICIENT_ACCESS"
    )
    assert await narayana.code("createExtension", login="nina", sip_extension="1001", sip_password="password") == (
        "E_WRONG_EXTENSION"
    )
    assert await narayana.code("createExtension", login="firm", owner="nina", sip_extension="40000",
                               sip_password="password") == "E_CANT_CREATE_ASTERISK_EXTENSION"  # fmt: skip
    assert await narayana.ask("getExtensions", login="nina") == before


async def test_a_line_that_is_called_back_makes_no_call_itself_until_that_is_ended(narayana):
    await phone_of_nina(narayana)
    await narayana.operator.accounts.top_up("40000", Decimal(1))
    line = {"login": "nina", "sip_extension": "40000"}

    async def asked(callid: str) -> str:
        return await narayana.ask("callPrepare", login="nina", destination=CALLED, callid=callid)

    assert (await asked("0")).startswith("Allowed")  # the line is remembered from here on
    await narayana.ask("callFinish", login="nina", destination=CALLED, callid="0", length="0", status="0CANCEL")
    await narayana.ask("updateExtension", **line, sip_force_callback="1", disa_trusted_cli="+4930777")
    info = await narayana.ask("getExtensionInfo", **line)
    assert (info["sip_force_callback"], info["disa_trusted_cli"]) == (1, "+4930777")
    refused = await narayana.raw("callPrepare", login="nina", destination=CALLED, callid="1")
    assert refused.json()["response"] == "Declined E_SQL_ERROR"  # no exchange is there that could call back
    began = {"destination": CALLED, "callid": "2", "from_originate": "true"}  # by nobody's phone
    assert (await narayana.ask("callPrepare", login="nina", **began)).startswith("Allowed")
    await narayana.ask("callFinish", login="nina", destination=CALLED, callid="2", length="0", status="0CANCEL")
    assert await narayana.code("updateExtension", **line, disa_trusted_cli="") == "E_DATA_ABORT"
    await narayana.ask("updateExtension", **line, sip_force_callback="0", disa_trusted_cli="")
    assert (await asked("3")).startswith("Allowed")


async def test_the_options_of_a_line_are_set_as_one_list_and_paid_or_none_is(narayana, database_url):
    await phone_of_nina(narayana)
    database = Database(database_url)
    await database.open()
    options = {}
    for name, price in (("night", "0.5"), ("weekend", "0.75"), ("secret", "0")):
        await publish_deck(database, name)
        options[name] = str(await database.fetchval(
            "UPDATE tariffs SET is_option = true, switch_price = $2, is_public = $3 WHERE name = $1 "
            "RETURNING tariff_id", name, Decimal(price), name != "secret"))  # fmt: skip
    await database.close()
    await narayana.operator.accounts.top_up("40000", Decimal(1))
    line = {"sip_extension": "40000"}
    both = f"{options['weekend']}, {options['night']}"
    await narayana.operator.price_lists.allow("nina", [int(options["night"]), int(options["weekend"])])

    async def had() -> tuple[object, Decimal]:
        info = await narayana.ask("getExtensionInfo", login="nina", **line)
        return info["sip_rates_options"], (await narayana.operator.accounts.show("40000")).balance

    for wanted, code in ((options["secret"], "E_DOES_NOT_BELONG_TO_YOU"), ("99999", "E_NOT_EXIST"),
                         (both, "E_INSUFFICIENT_MONEY"), (f"{options['night']},99999", "E_NOT_EXIST")):  # fmt: skip
        assert await narayana.code("updateExtension", login="nina", **line, sip_rates_options=wanted) == code, wanted
    assert await had() == ("", Decimal(1))
    await narayana.ask("updateExtension", login="nina", **line, sip_rates_options=options["weekend"])
    assert await had() == (options["weekend"], Decimal("0.25"))
    await narayana.ask("updateExtension", login="nina", **line, sip_rates_options=options["weekend"], sip_reach="2")
    assert await had() == (options["weekend"], Decimal("0.25"))  # as it was: nothing to pay
    await narayana.operator.accounts.top_up("40000", Decimal(1))
    await narayana.ask("updateExtension", login="nina", **line, sip_rates_options=options["night"])
    assert await had() == (options["night"], Decimal("0.75"))
    await narayana.ask("updateExtension", login="nina", **line, sip_rates_options="")
    assert await had() == ("", Decimal("0.75"))


async def test_an_extension_with_a_call_in_progress_is_neither_deleted_nor_renamed(narayana, database_url):
    await phone_of_nina(narayana)
    await narayana.operator.accounts.top_up("40000", Decimal(1))
    await narayana.ask("updateExtension", login="nina", sip_extension="40000", sip_pitch_shift="8")
    line = await narayana.ask("callPrepare", login="nina", destination=CALLED, callid="1")
    assert line.endswith(" -1 8")

    assert await narayana.code("deleteExtension", login="nina", sip_extension="40000") == "E_CANT_DELETE_EXTENSION"
    assert await narayana.code("updateExtension", login="firm", sip_extension="40000", extension="40001") == (
        "E_CANT_DELETE_EXTENSION"
    )
    await narayana.ask("callFinish", login="nina", destination=CALLED, callid="1", length="1", status="16ANSWER")
    await narayana.ask("updateExtension", login="firm", sip_extension="40000", extension="40001")
    assert await told(database_url, "40001") == ha1("40001:pbx1:verysecret")
    await narayana.ask("deleteExtension", login="nina", sip_extension="40001")
    answer = (await narayana.raw("callPrepare", key="lines", login="40001", destination=CALLED)).text
    assert answer.startswith("Declined")


async def test_without_a_key_for_passwords_extensions_are_shown_and_not_made(database_url):
    async with narayana_on(database_url, secret_keys=()) as narayana:
        assert await narayana.code("registerUser", login="firm", **NEW) == "E_UNDEFINED_INSTRUCTION"
        made = {"owner": "anna", "sip_extension": "40000", "sip_password": "password"}
        assert await narayana.code("createExtension", login="firm", **made) == "E_UNDEFINED_INSTRUCTION"
        assert (await narayana.ask("getExtensions", login="anna"))[0]["sip_password"] == ""
        assert [user["username"] for user in await narayana.ask("getUsers", login="firm")] == ["anna"]
        parties = await narayana.operator.parties.show("firm")
        assert parties.kind is PartyKind.RESELLER


METHODS_HERE = ("getExtensions", "getExtensionInfo", "getAvailExtension", "createExtension", "updateExtension",
                "deleteExtension", "registerUser")  # fmt: skip


async def test_every_argument_missing_huge_or_of_other_digits_is_answered_with_a_code(narayana):
    await phone_of_nina(narayana)
    usual = {**NEW, "user": "more", "sip_extension": "40009"}
    for method in METHODS_HERE:
        arguments = METHODS[method].arguments
        given = {each.name: usual[each.name] for each in arguments if each.name in usual}
        given |= {} if method in ("createExtension", "registerUser") else {"sip_extension": "40000"}
        for each in arguments:
            for value in (*([None] if each.required else []), "x" * 9_000, "٤٠٠٠٠"):
                sent = {name: text for name, text in {**given, each.name: value}.items() if text is not None}
                url = f"/billing/api/2.2/{narayana.keys['server']}/{method}"
                answer = await narayana.http.post(url, data={"login": "firm", **sent})
                assert answer.status_code == 200, (method, each.name)
                envelope = answer.json()
                assert envelope["result"] is False, (method, each.name, envelope)
                assert envelope["response"] not in ("E_LUA_EXCEPTION", "E_SQL_ERROR"), (method, each.name)
