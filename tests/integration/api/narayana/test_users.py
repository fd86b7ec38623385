"""Users and accounts as Narayana's methods show and change them, by what the engine does next."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest

from rating_engine.api.narayana.methods import MADE
from rating_engine.domain.account import NewAccount
from rating_engine.domain.api_key import KeyKind, NewKey
from rating_engine.domain.did import NewDid
from rating_engine.domain.exchanges import NewExchange
from rating_engine.domain.party import Level, NewParty, PartyKind
from rating_engine.services.parties.passwords import md5_of
from tests.conformance.narayana.test_declared import DOCUMENT
from tests.support.narayana import MD5, Narayana, narayana_on

CALLED = "4912345"


@pytest.fixture
async def narayana(database_url: str) -> AsyncIterator[Narayana]:
    async with narayana_on(database_url) as narayana:
        yield narayana


async def account_of(narayana: Narayana, login: str) -> str:
    return str(await narayana.ask("getValue", login=login, property="account"))


async def test_the_user_object_has_every_attribute_of_the_document(narayana):
    info = await narayana.ask("getInfo", login="anna")

    assert set(DOCUMENT["user_attributes"]) <= info.keys()
    assert (info["username"], info["manager"], info["accesslevel"], info["active"]) == ("anna", "firm", 11, 1)
    assert (info["balance"], info["actualbalance"], info["displaycurrency"]) == (10, 10, "€")
    assert (info["sip_extension"], info["sip_callerid"], info["password"]) == ("1001", "49301", "")
    assert [line["sip_extension"] for line in info["sip_extensions"]] == ["1001"]
    assert info["did_numbers"] == info["sim_cards"] == info["broadcasts"] == []


async def test_every_attribute_can_be_asked_for_alone_and_is_a_text(narayana):
    for name in DOCUMENT["user_attributes"]:
        assert isinstance(await narayana.ask("getValue", login="anna", property=name), str), name
    assert await narayana.ask("getValue", login="anna", property="balance") == "10.00"
    assert await narayana.ask("getValue", login="anna", property="timezone") == "1"
    assert await narayana.ask("getValue", login="firm", property="sip_extension") == ""  # it has no line
    assert await narayana.code("getValue", login="anna", property="nosuch") == "E_NOT_EXIST"


async def test_a_user_that_is_blocked_calls_no_more_from_the_next_call_on(narayana):
    for active, outcome in (("0", "Declined E_USER_LOCKED"), ("99", "Allowed"), ("2", "Declined E_USER_LOCKED"),
                            ("-1", "Declined E_USER_LOCKED")):  # fmt: skip
        await narayana.ask("updateUser", login="firm", user="anna", active=active)
        answer = (await narayana.raw("callPrepare", login="anna", destination=CALLED, callid=active)).json()
        assert answer["response"].startswith(outcome), active


async def test_user_and_username_name_the_target_and_without_them_it_is_who_asks(narayana):
    await narayana.ask("updateUser", login="firm", username="anna", language="english", timezone="5.5")
    await narayana.ask("updateUser", login="firm", language="ru")

    assert await narayana.ask("getValue", login="anna", property="language") == "en"
    assert await narayana.ask("getValue", login="anna", property="timezone") == "5.5"
    assert await narayana.ask("getValue", login="firm", property="language") == "ru"


async def test_another_password_counts_at_once(narayana):
    fresh = md5_of("battery staple")
    await narayana.ask("updateUser", key="client", login="anna", password=MD5, web_password=fresh.upper())

    assert await narayana.code("getInfo", key="client", login="anna", password=MD5) == "E_AUTH_FAILED"
    assert (await narayana.ask("getInfo", key="client", login="anna", password=fresh))["username"] == "anna"


OF_ONESELF = [
    ({"accesslevel": "10"}, "E_INSUFFICIENT_ACCESS"),
    ({"active": "1"}, "E_INSUFFICIENT_ACCESS"),
    ({"comment": "x"}, "E_INSUFFICIENT_ACCESS"),
    ({"id": "5"}, "E_INVALID_ARGUMENT"),
    ({"displaybalance": "5"}, "E_INVALID_ARGUMENT"),
    ({"web_password": "5f4dcc3b5aa765d61d8327deb882cf996"}, "E_INVALID_ARGUMENT"),
    ({"timezone": "0.01"}, "E_DATA_ABORT"),
    ({"timezone": "99"}, "E_DATA_ABORT"),
    ({"currency": "gold"}, "E_NOT_EXIST"),
    ({"currency": "XYZ"}, "E_NOT_EXIST"),
    ({"notify_balance": "2"}, "E_DATA_ABORT"),
    ({"notify_balance": "x"}, "E_INVALID_ARGUMENT"),
    ({"notify_balance_limit": "1e3"}, "E_INVALID_ARGUMENT"),
    ({"notify_balance_limit": "9" * 40}, "E_INVALID_ARGUMENT"),
    ({"notify_did": "91"}, "E_DATA_ABORT"),
    ({"notify_did": "-2"}, "E_DATA_ABORT"),
    ({"allowed_call_len": "1"}, "E_INSUFFICIENT_ACCESS"),
    ({"account": "1"}, "E_INSUFFICIENT_ACCESS"),
    ({"invites": "5"}, "E_INSUFFICIENT_ACCESS"),
]
OF_OTHERS = [
    ({"accesslevel": "33"}, "E_DATA_ABORT"),  # no level of a user
    ({"accesslevel": "12"}, "E_DATA_ABORT"),
    ({"active": "7"}, "E_DATA_ABORT"),
    ({"comment": "pays late"}, "E_INSUFFICIENT_ACCESS"),
    ({"manager": "other"}, "E_INVALID_ARGUMENT"),
    ({"allowed_call_len": "-1"}, "E_DATA_ABORT"),
    ({"allowed_call_len": "1.5"}, "E_INVALID_ARGUMENT"),
]


@pytest.mark.parametrize("login", ["anna", "firm", "boss"])
async def test_of_oneself_what_is_harmless_and_nothing_is_half_done(narayana, login):
    before = await narayana.ask("getInfo", login=login)

    for given, code in OF_ONESELF:
        assert await narayana.code("updateUser", login=login, **{"language": "fr", **given}) == code, given
    assert await narayana.ask("getInfo", login=login) == before


async def test_what_makes_no_sense_of_a_user_changes_nothing(narayana):
    before = await narayana.ask("getInfo", login="anna")

    for given, code in OF_OTHERS:
        assert await narayana.code("updateUser", login="firm", user="anna", **{"language": "fr", **given}) == code, (
            given
        )
    assert await narayana.ask("getInfo", login="anna") == before


async def test_a_key_with_scopes_sets_no_password_it_has_no_scope_for(narayana):
    await narayana.add_key(NewKey("scoped", KeyKind.SERVER, Level.SERVER, owner="boss", scopes=("users:write",)))

    assert await narayana.code("updateUser", key="scoped", login="firm", user="anna", web_password=MD5) == (
        "E_INSUFFICIENT_ACCESS"
    )
    assert await narayana.ask("updateUser", key="scoped", login="firm", user="anna", language="de") is True


async def test_users_are_listed_below_who_asks(narayana):
    assert [user["username"] for user in await narayana.ask("getUsers", login="firm")] == ["anna"]
    (anna,) = await narayana.ask("getUsers", login="firm")
    info = await narayana.ask("getInfo", login="anna")
    lists = {"sip_extensions", "did_numbers", "sim_cards", "broadcasts"}
    assert anna.keys() == info.keys() - lists
    assert {name: value for name, value in anna.items() if value != info[name]} == {"unread_tickets": None}
    listed = await narayana.ask("getUsers", login="boss", all="true")
    assert [user["username"] for user in listed] == ["firm", "other"]
    assert await narayana.code("getUsers", login="anna") == "E_INSUFFICIENT_ACCESS"


async def test_a_user_and_then_its_empty_account_are_closed(narayana):
    await narayana.operator.parties.create(NewParty("berta", owner="firm"))
    await narayana.operator.accounts.create(NewAccount("1009", "retail", owner="berta"))
    account, annas = await account_of(narayana, "berta"), await account_of(narayana, "anna")

    assert await narayana.code("deleteAccount", login="firm", account=account) == "E_ACCOUNT_HAS_USERS"
    assert await narayana.ask("deleteUser", login="firm", user="berta") is True
    assert await narayana.code("getInfo", login="berta") == "E_AUTH_FAILED"
    assert await narayana.ask("deleteAccount", login="firm", account=account) is True
    assert [each["users"] for each in await narayana.ask("getAccounts", login="firm")] == [["anna"]]

    await narayana.ask("deleteUser", login="firm", user="anna")
    assert await narayana.code("deleteAccount", login="firm", account=annas) == "E_DATA_ABORT"  # it has money
    assert (await narayana.operator.accounts.show("1001")).balance == Decimal(10)


async def test_accounts_are_shown_with_their_money(narayana):
    number = await account_of(narayana, "anna")
    info = await narayana.ask("getAccountInfo", login="firm", account=number)

    assert info == {
        "account": int(number), "users": ["anna"], "balance": 10, "displaybalance": 10, "overdraft": 0,
        "displayoverdraft": 0, "displaycurrency": "€", "refill_allowed": 2, "postpaid": 0,
    }  # fmt: skip
    assert await narayana.ask("getAccounts", login="firm") == [info]
    assert {each["users"][0] for each in await narayana.ask("getAccounts", login="boss", all="true")} == {
        "anna",
        "otto",
    }
    assert await narayana.ask("getAccounts", login="boss") == []
    assert await narayana.code("getAccountInfo", login="firm", account="999999") == "E_NOT_EXIST"


# Each made method that can name somebody's thing, tried on what is another firm's. `{account}`, `{alias}`: otto's.
FOREIGN = json.loads(Path(__file__).with_name("foreign.json").read_text("utf-8"))
# The others: about the key itself, or about what is the whole installation's.
NAMES_NOBODY = {
    "registerRequest",
    "registerByCode",
    "authorizeRealm",
    "resolveDirection",
    "getDirections",
    "getCourse",
    "getCurrencies",
    "addRates",
    "addRoute",
    "getBillTypes",
    "getBillType",
    "addBillType",
    "updateBillType",
    "deleteBillType",
    "addKey",
    "getBans",
    "flushBans",
    "banIP",
    "unbanIP",
    "updateBanPermanent",
    "flushAllBans",
    "receiveDeliveryReport",
    "receiveSMS",
    "setDeliveryReport",  # of keys of level 95, as getSMS: test_sms tries them on other firms' messages
    "getSMS",
    "getNews",
    "addNews",
    "updateNews",
    "deleteNews",
    "deleteTicket",
    "deleteMessage",
    "getDisaDIDList",
    "getDIDPool",
    "addDIDPool",
    "updateDIDPool",
    "getDIDPools",
    "getDIDPoolInfo",
    "deleteDIDPool",
    "getDIDCount",
    "getDIDActions",
    "getFilters",
    "doMaintenance",
    "updateDialplan",
    "restoreDialplan",
    "updateInterface",
    "asteriskRequest",
    "addSIM",
    "deleteSIM",
    "gsmRequest",
    "getPaymentMethods",
    "finishInvoice",  # of payments that a handler signs: test_invoices
}
ROLES = {"firm": Level.RESELLER, "anna": Level.USER, "books": Level.RESELLER, "tent": Level.RESELLER}


def test_every_made_method_is_tried_on_what_is_somebody_elses_or_names_nobody():
    assert MADE.keys() - NAMES_NOBODY == FOREIGN.keys()


def filled(text: str, numbers: dict[str, object]) -> str:
    """A text with the numbers that it names; other braces are JSON's."""
    for name, number in numbers.items():
        text = text.replace(f"{{{name}}}", str(number))
    return text


async def message_of(narayana: Narayana, login: str) -> object:
    """A message that came in for a user."""
    return await narayana.engine.office.fetchval(
        """INSERT INTO messages (bucket, kind, direction, state, party_id, did, sender, recipient, content)
           SELECT 0, 'sms', 'in', 'received', party_id, '4930200', '1', '4930200', 'Hi' FROM parties WHERE login = $1
           RETURNING message_id""",
        login,
    )


async def of_otto(narayana: Narayana) -> list[object]:
    """What somebody else could have changed or read."""
    asked = [("getInfo", {}), ("getAliases", {}), ("getLogs", {}), ("getTickets", {}), ("getSIMList", {}),
             ("getDIDList", {})]  # fmt: skip
    own = [await narayana.ask(method, login="otto", **more) for method, more in asked]
    return [*own, await narayana.ask("getKey", login="boss", name="ottos")]


async def test_nobody_reaches_what_belongs_to_somebody_else(narayana):
    parties = narayana.operator.parties
    await parties.create(NewParty("books", PartyKind.ACCOUNTANT, Level.RESELLER, owner="firm"))
    await parties.create(NewParty("tent", PartyKind.TENANT, owner="firm"))
    await narayana.add_key(NewKey("ottos", owner="otto"))
    await narayana.ask("addAlias", login="otto", alias="117", destination=CALLED)
    ended = {"login": "otto", "destination": CALLED, "callid": "1"}
    await narayana.ask("callPrepare", **ended)
    await narayana.ask("callFinish", **ended, length="1", status="16ANSWER")
    ticket = await narayana.ask("createTicket", login="otto", message="mine")
    await narayana.ask("addSIM", login="boss", iccid="893720", provider="test", puk1="11111111", puk2="22222222")
    await narayana.ask("bindSIM", login="otto", iccid="893720", puk1="11111111", puk2="22222222")
    await narayana.operator.dids.add(NewDid("4930200", "otto"))
    await narayana.ask("addDIDRule", login="otto", did="4930200", source="number", pattern="%", policy="ACCEPT")
    await narayana.engine.office.fetch("UPDATE accounts SET created_at = '2020-01-01'")
    await narayana.ask("addRates", login="other", table="t", name="others")
    tariff = str((await narayana.ask("getRatesList", login="other"))[-1]["id"])
    await narayana.operator.exchanges.add(NewExchange("pbx9"))
    await narayana.ask("addRoute", login="other", route="others", type="sip", sip_server="pbx9", prefix="o/")
    route = (await narayana.ask("getRoutes", login="other"))[0]["id"]
    numbers = {
        "account": await account_of(narayana, "otto"),
        "alias": (await of_otto(narayana))[1][0]["id"],
        "tariff": tariff,
        "route": route,
        "ticket": ticket,
        "did": "4930200",
        "message": await message_of(narayana, "otto"),
        "invoice": (await narayana.operator.invoices.monthly("otto")).invoice_id,
    }

    before = await of_otto(narayana)
    for login, level in ROLES.items():
        for method, arguments in FOREIGN.items():
            given = {name: filled(value, numbers) for name, value in arguments.items()}
            answer = await narayana.raw(method, login=login, **given)
            code = answer.json()["response"].removeprefix("Declined ")
            assert code in ("E_DOES_NOT_BELONG_TO_YOU", "E_INSUFFICIENT_ACCESS"), (login, method)
            if (login, method) == ("books", "renewDID"):
                continue  # an accountant moves no money, whoever's
            assert level < Level.RESELLER or code == "E_DOES_NOT_BELONG_TO_YOU", (login, method)
            assert "49301" not in answer.text
    assert await of_otto(narayana) == before


async def test_the_longest_call_of_a_user_is_that_of_its_account(narayana):
    assert await narayana.ask("updateUser", login="firm", user="anna", allowed_call_len="90", language="de") is True
    info = await narayana.ask("getInfo", login="anna")
    assert (info["allowed_call_len"], info["language"]) == (90, "de")
    line = info["sip_extension"]
    assert (await narayana.operator.accounts.show(line)).max_call_seconds == 90

    assert await narayana.ask("updateUser", login="firm", user="anna", allowed_call_len="0") is True
    assert (await narayana.ask("getInfo", login="anna"))["allowed_call_len"] is None


async def test_every_line_of_a_user_is_charged_on_the_account_that_is_said(narayana):
    await narayana.operator.parties.create(NewParty("lotte", owner="firm"))
    await narayana.operator.accounts.create(NewAccount("1002", "retail", balance=Decimal(3), owner="lotte"))
    of_lotte, of_otto = [await account_of(narayana, login) for login in ("lotte", "otto")]
    before = await account_of(narayana, "anna")

    for login, user, account, code in (
        ("anna", "anna", of_lotte, "E_INSUFFICIENT_ACCESS"),
        ("firm", "anna", of_otto, "E_DOES_NOT_BELONG_TO_YOU"),
        ("boss", "anna", of_otto, "E_DOES_NOT_BELONG_TO_YOU"),  # of another house, whoever asks
        ("firm", "anna", "999999", "E_NOT_EXIST"),
        ("other", "anna", of_otto, "E_DOES_NOT_BELONG_TO_YOU"),
    ):
        given = {} if user == login else {"user": user}
        assert await narayana.code("updateUser", login=login, **given, account=account) == code, (login, account)
    both = {"account": of_lotte, "language": "de"}
    assert await narayana.code("updateUser", login="firm", user="anna", **both) == "E_DATA_ABORT"
    assert await account_of(narayana, "anna") == before

    assert await narayana.ask("updateUser", login="firm", user="anna", account=of_lotte) is True
    assert await account_of(narayana, "anna") == of_lotte
    call = {"login": "anna", "destination": CALLED, "callid": "on-lottes"}
    await narayana.ask("callPrepare", **call)
    await narayana.ask("callFinish", **call, length="60", status="16ANSWER")
    assert (await narayana.operator.accounts.show("1002")).balance < 3
    balance = "SELECT balance FROM accounts WHERE account_id = $1"
    assert await narayana.engine.office.fetchval(balance, int(before)) == 10
