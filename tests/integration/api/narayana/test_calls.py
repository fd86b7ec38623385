"""Calls asked for over HTTP: held, named, ended and charged once, as those of FastAGI are."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest
import structlog

from rating_engine.cli.words import call_key
from rating_engine.domain.account import AccountChanges, NewAccount, NewSubscriber
from rating_engine.domain.api_key import AuthBy, KeyKind, NewKey
from rating_engine.domain.live_call import LiveCallFilter
from rating_engine.domain.page import Cursor
from rating_engine.domain.party import Level, PartyState
from tests.support.narayana import Narayana, narayana_on

CALLED = "4912345"


@pytest.fixture
async def narayana(database_url: str) -> AsyncIterator[Narayana]:
    async with narayana_on(database_url) as narayana:
        yield narayana


async def balance(narayana: Narayana, login: str = "1001") -> Decimal:
    return (await narayana.operator.accounts.show(login)).balance


async def open_calls(narayana: Narayana) -> int:
    return len((await narayana.operator.live_calls.page(LiveCallFilter(), Cursor())).items)


async def test_a_call_is_allowed_for_what_its_user_has_and_charged_when_it_ends(narayana):
    prepared = await narayana.ask("callPrepare", login="anna", destination=CALLED)
    finished = await narayana.ask("callFinish", login="anna", destination=CALLED, length="60", status="16ANSWER")

    assert prepared == f"Allowed 1000 {CALLED} 49301 Somewhere - default -1 -1"
    assert finished == f"Saved Somewhere [49301/{CALLED}] via [default] 60 0.6 EUR 16ANSWER"
    assert await balance(narayana) == Decimal("9.4")
    assert await open_calls(narayana) == 0


async def test_a_key_that_authorises_by_extension_names_the_line_and_hears_bare_text(narayana):
    await narayana.operator.accounts.add_subscriber(NewSubscriber("1002", "1001", callerid="49302"))

    prepared = await narayana.raw("callPrepare", key="lines", login="1002", destination=CALLED)

    assert re.fullmatch(rf"Allowed 1000 {CALLED} 49302 Somewhere - default -1 -1", prepared.text)
    finished = await narayana.raw(
        "callFinish", key="lines", login="1002", destination=CALLED, length="0", status="0CANCEL"
    )
    assert finished.text == f"Saved Somewhere [49302/{CALLED}] via [default] 0 0 EUR 0CANCEL"


async def test_a_line_that_is_nobody_s_is_asked_for_by_the_system_s_own_keys_alone(narayana):
    await narayana.operator.accounts.create(NewAccount("3001", "retail", balance=Decimal(1)))
    await narayana.add_key(NewKey("theirs", KeyKind.SERVER, Level.RESELLER, AuthBy.SIP_EXTENSION, owner="firm"))

    assert (await narayana.raw("callPrepare", key="lines", login="3001", destination=CALLED)).text.startswith("Allowed")
    assert (await narayana.raw("resolveCallerid", key="theirs", login="3001")).text == "E_DOES_NOT_BELONG_TO_YOU"
    assert (await narayana.raw("resolveCallerid", key="theirs", login="2001")).text == "E_DOES_NOT_BELONG_TO_YOU"
    assert (await narayana.raw("resolveCallerid", key="theirs", login="1001")).text == "49301"


@pytest.mark.parametrize(
    ("destination", "state", "code"),
    [
        ("99999999999", PartyState.ACTIVE, "E_UNROUTABLE"),
        (CALLED, PartyState.ALL_BLOCKED, "E_USER_LOCKED"),
        (CALLED, PartyState.EXTERNAL_BLOCKED, "E_USER_LOCKED"),
        ("", PartyState.ACTIVE, "E_MISSING_ARGUMENT"),
    ],
)
async def test_a_call_that_may_not_start_is_declined_in_one_line(narayana, destination, state, code):
    await narayana.operator.parties.set_status("anna", state)

    answer = await narayana.raw("callPrepare", key="lines", login="1001", destination=destination)

    assert (answer.status_code, answer.text) == (200, f"Declined {code}")


async def test_how_a_call_began_is_in_its_cdr_and_in_the_log(narayana):
    asked = {"login": "anna", "destination": CALLED, "callid": "1700000000.9"}
    began = {"from_originate": "49555", "source": "10.0.0.7", "originated_by": "user"}

    await narayana.ask("callPrepare", **asked, **began)
    await narayana.ask("callFinish", **asked, length="30", status="16ANSWER", is_did="true")

    (logged,) = await narayana.ask("getLogs", login="anna")
    assert logged["debug"] == "from_originate=49555 source=10.0.0.7 originated_by=user is_did=true"
    cdr = (await narayana.operator.cdrs.show(call_key(logged["id"], "id"))).cdr
    assert (cdr.from_originate, cdr.source_address, cdr.originated_by, cdr.is_did) == (*began.values(), "true")


@pytest.mark.parametrize("name", ["from_originate", "source", "originated_by"])
@pytest.mark.parametrize("value", ["x" * 81, "a\nb"])
async def test_what_only_describes_a_call_has_a_limit_too(narayana, name, value):
    answer = await narayana.code("callPrepare", login="anna", destination=CALLED, **{name: value})

    assert answer == "Declined E_DATA_ABORT"


async def test_without_money_nothing_is_held(narayana):
    await narayana.ask("callPrepare", login="anna", destination=CALLED)

    assert await narayana.code("callPrepare", login="anna", destination=CALLED) == "Declined E_INSUFFICIENT_MONEY"
    assert await open_calls(narayana) == 1


async def test_a_call_with_a_name_is_answered_again_and_charged_once(narayana):
    asked = {"login": "anna", "destination": CALLED, "callid": "1700000000.1"}
    ended = {**asked, "length": "30", "status": "16ANSWER"}

    prepared = [await narayana.ask("callPrepare", **asked) for _ in range(2)]
    finished = [await narayana.ask("callFinish", **ended) for _ in range(3)]

    assert len({*prepared}) == len({*finished}) == 1
    assert await balance(narayana) == Decimal("9.7")
    assert await narayana.code("callFinish", **{**ended, "length": "31"}) == "E_DATA_ABORT"


async def test_the_name_of_a_call_is_within_its_key_and_prior(narayana):
    await narayana.add_key(NewKey("pbx/2", KeyKind.SERVER, Level.SERVER, owner="boss"))
    asked = {"login": "anna", "destination": CALLED, "callid": "1"}
    await narayana.ask("callPrepare", **asked)

    assert await narayana.code("callPrepare", key="pbx/2", **asked) == "Declined E_INSUFFICIENT_MONEY"
    assert await narayana.code("callPrepare", **asked, prior="2") == "Declined E_UNROUTABLE"  # there is one route


async def test_a_finish_without_a_name_ends_the_oldest_call_of_line_number_and_prior(narayana):
    for login in ("anna", "otto"):
        await narayana.ask("callPrepare", login=login, destination=CALLED)

    asked = {"login": "anna", "destination": f"+{CALLED}", "length": "10", "status": "16ANSWER"}
    assert await narayana.code("callFinish", **asked, prior="2") == "E_NOT_EXIST"
    assert await narayana.code("callFinish", **{**asked, "destination": "49999"}) == "E_NOT_EXIST"
    assert "10 0.1 EUR" in await narayana.ask("callFinish", **asked)
    assert await narayana.code("callFinish", **asked) == "E_NOT_EXIST"
    assert (await balance(narayana), await balance(narayana, "2001")) == (Decimal("9.9"), Decimal(10))


async def test_as_many_finishes_at_once_end_as_many_calls_and_each_once(narayana):
    await narayana.operator.accounts.change("1001", AccountChanges(max_call_seconds=60))
    for _ in range(5):
        await narayana.ask("callPrepare", login="anna", destination=CALLED)

    asked = {"login": "anna", "destination": CALLED, "length": "10", "status": "16ANSWER"}
    answers = await asyncio.gather(*(narayana.raw("callFinish", **asked) for _ in range(5)))

    assert [answer.json()["result"] for answer in answers] == [True] * 5
    assert await open_calls(narayana) == 0
    assert await balance(narayana) == Decimal("9.5")


@pytest.mark.parametrize(
    ("name", "value"),
    [("prior", "0"), ("prior", "100"), ("length", "-1"), ("length", "99999999"), ("callid", "x" * 200),
     ("callid", "a\nb"), ("destination", "4" * 81), ("callerid", "4" * 81)],
)  # fmt: skip
async def test_what_is_out_of_range_is_named_and_nothing_is_done(narayana, name, value):
    asked = {"login": "anna", "destination": CALLED, "length": "1", "status": "16ANSWER", name: value}

    answer = (await narayana.raw("callFinish", **asked)).json()

    assert (answer["response"], answer["description"].partition(":")[0]) == ("E_DATA_ABORT", name)


async def test_a_balance_is_said_in_sounds(narayana):
    assert await narayana.ask("getTextBalance", login="anna") == "balance&digits/10&euro&null&cents&tadam3s"
    assert await narayana.ask("getTextBalance", login="anna", balance="0", currency="EUR") == (
        "balance&null&euro&null&cents&tadam3s"
    )
    for unknown in ({"balance": "USD"}, {"balance": "1", "currency": "euro&tt-monkeys"}):
        assert await narayana.code("getTextBalance", login="anna", **unknown) == "E_NOT_EXIST"
    await narayana.operator.exchange.set("EUR", "USD", Decimal("1.5"))
    dollars = "balance&digits/15&dollars&null&cents&tadam3s"
    assert await narayana.ask("getTextBalance", login="anna", balance="USD") == dollars
    assert await narayana.ask("getTextBalance", login="anna", currency="usd") == dollars
    assert await narayana.ask("getTextBalance", login="anna", balance="15", currency="USD") == dollars
    assert await narayana.code("getTextBalance", login="anna", balance="15", currency="us&d") == "E_NOT_EXIST"
    await narayana.ask("updateUser", login="anna", language="german")
    assert "&digits/1-and&digits/20&euro&" in await narayana.ask("getTextBalance", login="anna", balance="21")
    await narayana.ask("updateUser", login="anna", currency="USD")
    assert await narayana.ask("getTextBalance", login="anna") == dollars


async def test_an_exchange_proves_that_it_knows_the_key(narayana):
    await narayana.ask("addKey", login="boss", name="TESTKEY1", auth_by="username", apikey="f" * 16, accessLevel="50")
    proof = hashlib.md5(b"ffffffffffffffff10.0.0.5TESTKEY1").hexdigest()
    asked = {"key": "f" * 16, "login": "boss", "source": "10.0.0.5"}

    assert await narayana.ask("authorizeRealm", **asked, auth=proof) is True
    assert await narayana.code("authorizeRealm", **asked, auth="0" * 32) == "E_AUTH_FAILED"


async def give_pin(narayana: Narayana, login: str, pin: str, trusted: str = "") -> None:
    await narayana.engine.office.fetch(
        "INSERT INTO exchanges (name, realm) VALUES ('pbx1', 'pbx1') ON CONFLICT DO NOTHING RETURNING 1"
    )
    await narayana.engine.office.fetch(
        """INSERT INTO sip_accounts (bucket, subscriber_id, exchange_id, disa_pin, trusted_cli)
           SELECT bucket, subscriber_id, exchange_id, $2, $3 FROM subscribers, exchanges WHERE login = $1
           RETURNING 1""",
        login, pin, trusted,
    )  # fmt: skip


WRONG_PIN = "Declined E_AUTH_FAILED"


async def test_who_rings_in_is_let_use_a_line_by_number_and_pin_or_from_its_trusted_number(narayana):
    await narayana.operator.accounts.add_subscriber(NewSubscriber("10", "1001"))
    await give_pin(narayana, "1001", "66", "+49 170 1".replace(" ", ""))
    await give_pin(narayana, "10", "0177")
    await give_pin(narayana, "2001", "66")
    ask = {"login": "firm"}

    assert await narayana.ask("authorizeCall", **ask, auth="100166") == "1001"
    assert await narayana.ask("authorizeCall", **ask, auth="100177") == "10"  # 1001 with 77, or 10 with 0177
    assert await narayana.ask("authorizeCall", **ask, auth="1001", callerid="49170 1") == "1001"
    for auth, callerid in (("1001", "491702"), ("1001", ""), ("10", "+491701"), ("1001660", ""), ("200166", ""),
                           ("", "+491701"), ("9", ""), ("x" * 200, "")):  # fmt: skip
        code = await narayana.code("authorizeCall", **ask, auth=auth, callerid=callerid)
        assert code == (WRONG_PIN if auth else "Declined E_MISSING_ARGUMENT"), auth
    assert await narayana.ask("authorizeCall", login="other", auth="200166") == "2001"


async def test_five_wrong_pins_lock_the_line_for_a_quarter_of_an_hour_however_many_ask_at_once(narayana):
    await give_pin(narayana, "1001", "6666")
    guesses = [f"{number:04}" for number in range(12)]

    with structlog.testing.capture_logs() as logs:
        codes = await asyncio.gather(
            *(narayana.code("authorizeCall", login="firm", auth=f"1001{guess}") for guess in guesses)
        )
    assert {*codes} == {WRONG_PIN}
    assert await narayana.code("authorizeCall", login="firm", auth="10016666") == WRONG_PIN
    assert [log["login"] for log in logs if log["event"] == "pin_locked"] == ["1001"]
    tries = await narayana.engine.office.fetchrow("SELECT * FROM pin_tries")
    assert tries["wrong"] == 5
    assert (tries["locked_until"] - tries["since"]).total_seconds() >= 900

    await narayana.engine.office.fetch("UPDATE pin_tries SET since = now() - interval '1 hour', locked_until = now()")
    assert await narayana.ask("authorizeCall", login="firm", auth="10016666") == "1001"
    assert await narayana.engine.office.fetchval("SELECT count(*) FROM pin_tries") == 0


async def test_a_callback_without_a_followed_exchange_says_first_what_a_leg_lacks(narayana):
    legs = {"login": "anna", "destination1": CALLED, "destination2": CALLED}

    assert await narayana.code("createCallback", **legs) == "E_INITIATE_ASTERISK_CALL_FAIL"
    assert await narayana.code("createCallback", **{**legs, "destination2": "99999999999"}) == "E_UNROUTABLE"
    assert await narayana.code("createCallback", **{**legs, "destination1": "49&50"}) == "E_DATA_ABORT"
    assert await narayana.code("createCallback", **legs, epitch="7") == "E_DATA_ABORT"
    assert await narayana.code("createCallback", **legs, epitch="x") == "E_INVALID_ARGUMENT"
    assert await narayana.code("createCallback", **legs, callerid="49999") == "E_DOES_NOT_BELONG_TO_YOU"
    assert await open_calls(narayana) == 0
