"""All 40 codes of the document: those that its cases end in, and one request for each of the others."""

from __future__ import annotations

import json
import re
from decimal import Decimal

from rating_engine.api.narayana.errors import Code
from rating_engine.domain.account import AccountChanges, NewAccount
from rating_engine.domain.did import NewDid
from rating_engine.domain.outcomes import Allowed, CallKey, PrepareCall
from rating_engine.domain.party import NewParty
from tests.conformance.narayana.test_cases import CASES
from tests.conformance.narayana.test_cases_apart import APART
from tests.integration.api.narayana.test_surface import broken
from tests.support.narayana import MD5, Narayana, narayana_on
from tests.support.waiting import until_holds

PHONE = {"sip_extension": "50000", "sip_password": "verysecret"}
NEW = {"user": "nina", "web_password": MD5, "accesslevel": "11", "sip_server": "pbx1", **PHONE}
RULE = {"login": "anna", "source": "number", "pattern": "%", "policy": "ACCEPT", "action": "number"}
BACK = {**RULE, "destination": "4930301"}
LEGS = {"login": "anna", "destination1": "4911", "destination2": "4912"}
# In their order, in one installation.
WALK: tuple[tuple[Code, str, dict[str, str]], ...] = (
    (Code.E_INCORRECT_API_VERSION, "getInfo", {"version": "1.0"}),
    (Code.E_SIP_SERVER_NOT_EXIST, "registerUser", {"login": "boss", **NEW, "sip_server": "sip.nowhere.com"}),
    (Code.E_WRONG_EXTENSION, "registerUser", {"login": "boss", **NEW, "sip_extension": "1001"}),
    (Code.E_CANT_CREATE_ASTERISK_ACCOUNT, "registerUser", {"login": "boss", **NEW}),
    (Code.E_CANT_CREATE_ASTERISK_EXTENSION, "createExtension", {"login": "firm", "owner": "anna", **PHONE}),
    (Code.E_CANT_DELETE_EXTENSION, "deleteExtension", {"login": "firm", "sip_extension": "50000"}),
    (Code.E_HAS_NO_ONE_TOLD_YOU_SHE_IS_NOT_BREATHING, "addDIDRule", {**BACK, "did": "4930302"}),
    (Code.E_INITIATE_ASTERISK_CALL_FAIL, "createCallback", LEGS),
    (Code.E_INVITE_LIMIT_REACHED, "createPrepaidCode", {"login": "otto", "balance": "1"}),
    (Code.E_UNDEFINED_INSTRUCTION, "gsmRequest", {"provider": "test", "action": "nosuch"}),
    (Code.E_ALREADY_ON_THIS_TARIFF, "switchRates", {"login": "alone", "id": "retail"}),
    (Code.E_TRANSACTIONS_LIMITED, "transferMoney", {"login": "anna", "destination": "otto", "amount": "1"}),
    (Code.E_TRANSACTION_FAILED, "transferMoney", {"login": "foreign", "destination": "anna", "amount": "1"}),
    (Code.E_MAXIMUM_PAYMENT, "createInvoice",
     {"login": "alone", "payment_method": "manual", "payment_type": "bank", "payment_amount": "501"}),
    (Code.E_SQL_ERROR, "getNews", {"login": "anna"}),
)  # fmt: skip


GSM = "test default http://127.0.0.1:1/"  # of one action, which nobody hears


async def test_every_code_of_the_document_is_answered(database_url, monkeypatch):
    async with narayana_on(database_url, payment_maximum="500", gsm_providers=(GSM,)) as narayana:
        await _furnish(narayana)
        office = narayana.engine.office
        tariff = str(await office.fetchval("SELECT tariff_id FROM tariffs WHERE name = 'retail'"))
        await office.fetch("UPDATE tariffs SET is_public = true")
        await office.fetch("ALTER TABLE news RENAME TO news_elsewhere")
        reached = set()
        for code, method, given in WALK:
            if given.get("id") == "retail":
                given = {**given, "id": tariff}
            answer = (await narayana.raw(method, **given)).json()
            assert (answer["result"], answer.get("response")) == (False, code), (method, given, answer)
            reached.add(code)
        await until_holds(lambda: office.down is None)  # who misses a table is closed for a while
        await office.fetch("ALTER TABLE news_elsewhere RENAME TO news")
        with broken(monkeypatch, RuntimeError("nobody foresaw it")):
            answer = (await narayana.raw("getInfo", login="anna")).json()
        assert answer["response"] == Code.E_LUA_EXCEPTION

    of_cases = {Code(word) for word in re.findall(r"\bE_[A-Z_]+[A-Z]", json.dumps([*CASES, *APART]))}
    assert reached | of_cases | {Code.E_LUA_EXCEPTION} == set(Code)
    assert len(Code) == 40


async def _furnish(narayana: Narayana) -> None:
    """Two numbers whose rules would lead back, a line in a call, accounts between which nothing may go."""
    use = narayana.operator
    for number in ("4930301", "4930302"):
        await use.dids.add(NewDid(number, "anna"))
    await narayana.ask("addDIDRule", **RULE, did="4930301", destination="4930302")
    await use.accounts.create(NewAccount("50000", "retail", balance=Decimal(1), owner="anna"))
    held = await narayana.engine.charging.prepare_call(PrepareCall(CallKey("pbx1", "1"), "50000", "4911833"))
    assert isinstance(held, Allowed)
    for login, currency in (("alone", "EUR"), ("foreign", "CHF")):
        await use.parties.create(NewParty(login))
        await use.accounts.create(NewAccount(f"9{login}", "retail", balance=Decimal(9), owner=login))
        await narayana.engine.office.fetch(
            "UPDATE accounts SET currency = $2 WHERE party_id = (SELECT party_id FROM parties WHERE login = $1)",
            login, currency,
        )  # fmt: skip
    await use.accounts.change("2001", AccountChanges(refill_allowed=1))
