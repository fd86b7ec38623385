"""SIM cards and GSM providers as Narayana's methods have them: whose a card is, and what it is for from then on."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from rating_engine.domain.account import NewSubscriber
from rating_engine.domain.api_key import AuthBy, KeyKind, NewKey
from rating_engine.domain.party import Level
from rating_engine.domain.sim_card import WRONG_PUKS
from rating_engine.storage.postgres.pool import Database
from tests.support.gateway import Gateway, gateway_on
from tests.support.narayana import Narayana, narayana_on

CARD = {"iccid": "89372", "provider": "test", "msisdn": "447700900001", "puk1": "11111111", "puk2": "22222222"}
PUKS = {"iccid": "89372", "puk1": "11111111", "puk2": "22222222"}
CALLED = "4912345"


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    async with gateway_on() as gateway:
        yield gateway


@pytest.fixture
async def narayana(database_url: str, gateway: Gateway) -> AsyncIterator[Narayana]:
    url = f"http://127.0.0.1:{gateway.port}"
    providers = (f"test sms {url}/sms?to={{to}}&from={{from}}&text={{text}}", f"test default {url}/{{number}}/x?{{b}}",
                 "gone default http://127.0.0.1:1/")  # fmt: skip
    async with narayana_on(database_url, gsm_providers=providers) as narayana:
        await narayana.ask("addSIM", login="boss", **CARD)
        yield narayana


async def iccids(narayana: Narayana, login: str, **given: str) -> list[str]:
    return [card["iccid"] for card in await narayana.ask("getSIMList", login=login, **given)]


async def test_a_card_is_bound_by_its_puks_and_then_its_owner_asks_and_calls_by_it(narayana):
    ask = narayana.ask
    await narayana.add_key(NewKey("cards", KeyKind.SERVER, Level.SERVER, AuthBy.ICCID, owner="boss"))
    await narayana.add_key(NewKey("numbers", KeyKind.SERVER, Level.SERVER, AuthBy.MSISDN, owner="boss"))
    await narayana.operator.accounts.add_subscriber(NewSubscriber("1002", "1001"))
    balance = {"property": "username"}
    assert (await narayana.raw("getValue", key="cards", login="89372", **balance)).text == "E_AUTH_FAILED"  # nobody's

    assert await ask("bindSIM", login="anna", **PUKS) is True
    assert await ask("bindSIM", login="anna", **PUKS) is True
    assert await narayana.code("bindSIM", login="otto", **PUKS) == "E_DOES_NOT_BELONG_TO_YOU"
    (card,) = (await ask("getInfo", login="anna"))["sim_cards"]
    assert (card["owner"], card["puk1"], card["puk2"], card["enabled"]) == ("anna", "11111111", "22222222", "1")
    assert await ask("getSIMInfo", login="anna", iccid="89372") == card
    assert (await ask("getSIMInfo", login="firm", iccid="89372"))["puk1"] == ""
    assert [await iccids(narayana, login) for login in ("anna", "firm", "boss", "otto", "other")] == [
        ["89372"], ["89372"], ["89372"], [], [],
    ]  # fmt: skip
    assert await iccids(narayana, "firm", own="true") == []

    for key, login in (("cards", "89372"), ("numbers", "447700900001")):
        assert (await narayana.raw("getValue", key=key, login=login, **balance)).text == "anna"
    await ask("updateSIM", login="anna", iccid="89372", sip_extension="1002", callback_cid="49301")
    call = {"key": "cards", "login": "89372", "destination": CALLED, "callid": "1"}
    assert (await narayana.raw("callPrepare", **call)).text.startswith("Allowed")
    lines = await narayana.engine.office.fetch(
        "SELECT s.login FROM reservations JOIN subscribers s USING (bucket, subscriber_id)"
    )
    assert [line["login"] for line in lines] == ["1002"]
    await narayana.raw("callFinish", **call, length="0", status="0CANCEL")

    await ask("updateSIM", login="firm", iccid="89372", enabled="0")
    assert (await narayana.raw("getValue", key="cards", login="89372", **balance)).text == "E_AUTH_FAILED"
    assert await iccids(narayana, "anna", all="false") == []
    assert await ask("unbindSIM", login="anna", iccid="89372") is True
    assert await iccids(narayana, "anna") == []


async def test_puks_are_kept_encrypted_and_who_guesses_them_is_told_no_with_the_right_ones_too(narayana, database_url):
    database = Database(database_url)
    await database.open()
    (row,) = await database.fetch("SELECT puk1, puk2 FROM sim_cards")
    assert b"11111111" not in row["puk1"]
    assert b"22222222" not in row["puk2"]
    for number in range(WRONG_PUKS):
        wrong = {**PUKS, "puk2": f"2222222{number + 3}"}
        assert await narayana.code("bindSIM", login="otto", **wrong) == "E_DATA_ABORT"
    assert await narayana.code("bindSIM", login="otto", **PUKS) == "E_DATA_ABORT"
    assert await iccids(narayana, "otto") == []
    await database.fetch("UPDATE sim_cards SET locked_until = now() - interval '1 second'")
    assert await narayana.ask("bindSIM", login="otto", **PUKS) is True
    audit = str(await database.fetch("SELECT detail::text FROM audit_log"))
    assert "11111111" not in audit
    assert "22222222" not in audit
    assert await narayana.operator.sim_cards.reseal() == 1
    assert (await narayana.ask("getSIMInfo", login="otto", iccid="89372"))["puk2"] == "22222222"
    await database.close()


REFUSED = [
    ("anna", "bindSIM", {"iccid": "89372", "puk1": "11111111"}, "E_MISSING_ARGUMENT"),
    ("anna", "bindSIM", {**PUKS, "iccid": "1"}, "E_NOT_EXIST"),
    ("anna", "bindSIM", {**PUKS, "puk1": "x" * 900}, "E_DATA_ABORT"),
    ("anna", "getSIMInfo", {"iccid": "89372"}, "E_DOES_NOT_BELONG_TO_YOU"),
    ("firm", "updateSIM", {"iccid": "89372", "owner": "firm"}, "E_DOES_NOT_BELONG_TO_YOU"),
    ("firm", "unbindSIM", {"iccid": "89372"}, "E_DOES_NOT_BELONG_TO_YOU"),
    ("firm", "addSIM", CARD, "E_INSUFFICIENT_ACCESS"),
    ("firm", "deleteSIM", {"iccid": "89372"}, "E_INSUFFICIENT_ACCESS"),
    ("boss", "addSIM", CARD, "E_DATA_ABORT"),
    ("boss", "addSIM", {**CARD, "iccid": "1"}, "E_DATA_ABORT"),  # its number is there
    ("boss", "addSIM", {**CARD, "iccid": "1x", "msisdn": ""}, "E_DATA_ABORT"),
    ("boss", "addSIM", {**CARD, "iccid": "9" * 23, "msisdn": ""}, "E_DATA_ABORT"),
    ("boss", "addSIM", {"iccid": "2"}, "E_MISSING_ARGUMENT"),
    ("boss", "updateSIM", {"iccid": "89372"}, "E_DATA_ABORT"),
    ("boss", "updateSIM", {"iccid": "89372", "enabled": "2"}, "E_DATA_ABORT"),
    ("boss", "updateSIM", {"iccid": "89372", "owner": "nobody"}, "E_NOT_EXIST"),
    ("boss", "updateSIM", {"iccid": "89372", "sip_extension": "1001"}, "E_DATA_ABORT"),  # nobody's card
    ("boss", "deleteSIM", {"iccid": "1"}, "E_NOT_EXIST"),
]
OF_ONES_OWN = [
    ({"owner": "firm"}, "E_INSUFFICIENT_ACCESS"),
    ({"owner": ""}, "E_INSUFFICIENT_ACCESS"),
    ({"puk1": "12345678"}, "E_INSUFFICIENT_ACCESS"),
    ({"enabled": "1"}, "E_INSUFFICIENT_ACCESS"),
    ({"directsms": "1"}, "E_INSUFFICIENT_ACCESS"),
    ({"sip_extension": "2001"}, "E_DATA_ABORT"),
    ({"callback_cid": "49999"}, "E_INSUFFICIENT_ACCESS"),
    ({"callback_cid": "4 9"}, "E_DATA_ABORT"),
]


async def test_what_makes_no_sense_or_is_not_theirs_is_refused(narayana):
    for login, method, given, code in REFUSED:
        assert await narayana.code(method, login=login, **given) == code, (login, method, given)
    await narayana.ask("updateSIM", login="boss", iccid="89372", owner="anna", sip_extension="1001")
    before = await narayana.ask("getSIMInfo", login="anna", iccid="89372")
    for given, code in OF_ONES_OWN:
        assert await narayana.code("updateSIM", login="anna", iccid="89372", **given) == code, given
    for given in ({"owner": "otto"}, {"puk1": "12345678"}):
        assert await narayana.code("updateSIM", login="firm", iccid="89372", **given) in (
            "E_DOES_NOT_BELONG_TO_YOU", "E_INSUFFICIENT_ACCESS",
        )  # fmt: skip
    assert await narayana.ask("getSIMInfo", login="anna", iccid="89372") == before
    await narayana.ask("updateSIM", login="boss", iccid="89372", owner="otto")
    assert (await narayana.ask("getSIMInfo", login="otto", iccid="89372"))["sip_extension"] == ""


async def test_a_card_is_notified_by_its_provider_or_the_error_is_told_at_once(narayana, gateway):
    await narayana.ask("addSIM", login="boss", iccid="5", provider="gone")
    await narayana.ask("addSIM", login="boss", iccid="6", provider="gone", msisdn="447700900006")
    notice = {"sim": "89372", "from": "Billing", "text": "50 % & more?\n"}

    assert await narayana.ask("notifySIM", login="boss", **notice) is True
    assert gateway.asked == ["/sms?to=447700900001&from=Billing&text=50%20%25%20%26%20more%3F%0A"]
    for login, given, code in (
        ("boss", {"from": "x" * 12}, "E_INVALID_SMS_FROM"),
        ("boss", {"text": "x" * 4001}, "E_DATA_ABORT"),
        ("boss", {"sim": "1"}, "E_NOT_EXIST"),
        ("boss", {"sim": "5"}, "E_INVALID_SMS_TO"),
        ("boss", {"sim": "6"}, "E_CARRIER_ERROR"),
        ("anna", {}, "E_DOES_NOT_BELONG_TO_YOU"),
    ):
        assert await narayana.code("notifySIM", login=login, **{**notice, **given}) == code, given
    gateway.status = 503
    assert await narayana.code("notifySIM", login="boss", **notice) == "E_CARRIER_ERROR"


async def test_a_provider_is_asked_what_the_settings_say_and_for_keys_that_may(narayana, gateway):
    await narayana.add_key(NewKey("carrier", owner="boss", methods=("gsmRequest",)))
    gateway.answer = b"balance=5"
    asked = {"provider": "test", "number": "../a b", "b": "c&d"}

    assert await narayana.ask("gsmRequest", **asked) == "balance=5"
    assert await narayana.ask("gsmRequest", key="carrier", provider="test", action="Default", number="1") == "balance=5"
    assert gateway.asked == ["/..%2Fa%20b/x?c%26d", "/1/x?"]
    for key, given, code in (
        ("server", {"provider": "nosuch"}, "E_NOT_EXIST"),
        ("server", {"provider": "test", "action": "nosuch"}, "E_UNDEFINED_INSTRUCTION"),
        ("server", {"provider": "gone"}, "E_CARRIER_ERROR"),
        ("server", {}, "E_MISSING_ARGUMENT"),
        ("client", {"provider": "test"}, "E_INSUFFICIENT_ACCESS"),
    ):
        assert await narayana.code("gsmRequest", key=key, **given) == code, given
    for status, answer in ((302, b""), (200, b"x" * 70_000)):
        gateway.status, gateway.answer = status, answer
        assert await narayana.code("gsmRequest", **asked) == "E_CARRIER_ERROR"
