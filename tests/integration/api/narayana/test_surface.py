"""The Narayana surface over real HTTP: what is asked first, who is let in, and what never gets out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import contextmanager

import pytest
import structlog

from rating_engine.api.narayana.methods import MADE
from rating_engine.domain.api_key import AuthBy, KeyChanges, KeyKind, NewKey
from rating_engine.domain.party import Level, NewParty, PartyState
from rating_engine.services.parties.access import Access
from tests.support.narayana import MD5, Narayana, narayana_on


@pytest.fixture
async def narayana(database_url: str) -> AsyncIterator[Narayana]:
    async with narayana_on(database_url) as narayana:
        yield narayana


async def test_things_are_asked_in_the_documents_order(narayana):
    raw, code = narayana.raw, narayana.code
    await narayana.add_key(NewKey("bound", KeyKind.SERVER, Level.SERVER, owner="boss", sources=("192.0.2.0/24",)))
    await narayana.add_key(NewKey("crypt", KeyKind.SERVER, Level.SERVER, owner="boss", secure_only=True))
    await narayana.add_key(NewKey("few", KeyKind.SERVER, Level.SERVER, owner="boss", methods=("getKeys",)))

    # 400 before the key, the key before the version, the version before the method, and so on.
    assert (await narayana.http.get("/billing/api/1.0/wrong/a/b")).status_code == 400
    assert (await raw("nosuch", key="wrong", version="1.0")).status_code == 401
    assert (await raw("nosuch", key="bound", version="1.0")).status_code == 403
    assert (await raw("nosuch", key="crypt", version="1.0")).status_code == 403
    assert (await raw("nosuch", version="1.0")).json()["response"] == "E_INCORRECT_API_VERSION"
    assert await code("nosuch", login="nobody") == "E_UNKNOWN_METHOD"
    assert await code("getKey", login="nobody") == "E_AUTH_FAILED"
    assert await code("getKey") == "E_AUTH_FAILED"
    assert await code("doMaintenance", login="boss") == "E_INSUFFICIENT_ACCESS"
    assert await code("getKey", key="few", login="boss") == "E_INSUFFICIENT_ACCESS"
    assert await code("getKey", login="boss") == "E_MISSING_ARGUMENT"
    assert await code("unbanIP", login="boss", id="x") == "E_INVALID_ARGUMENT"
    assert await code("getKey", login="boss", name="nosuch") == "E_NOT_EXIST"


async def test_get_and_post_are_alike_the_body_wins_and_nothing_else_is_taken(narayana):
    path = f"/billing/api/2.2/{narayana.keys['server']}/getKey"

    posted = await narayana.http.post(path, params={"name": "nosuch"}, data={"login": "boss", "name": "server"})
    as_json = await narayana.http.post(path, json={"login": "boss", "name": "server"})
    slashes = await narayana.http.get(path.replace("/getKey", "//getKey/"), params={"login": "boss", "name": "server"})

    assert posted.json() == as_json.json() == slashes.json()
    assert posted.json()["response"]["name"] == "server"
    for method in ("PUT", "DELETE", "OPTIONS", "HEAD"):
        answer = await narayana.http.request(method, path)
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")


async def test_what_cannot_be_read_or_is_too_much_is_400(narayana):
    path = f"/billing/api/2.2/{narayana.keys['server']}/getKey"

    for content, kind in ((b"a" * 65_537, "application/x-www-form-urlencoded"), (b"[1]", "application/json"),
                          (b"x", "text/xml"), (b"%ff", "application/x-www-form-urlencoded")):  # fmt: skip
        answer = await narayana.http.post(path, content=content, headers={"content-type": kind})
        assert answer.status_code == 400
    assert (await narayana.http.get(path, params={f"a{n}": "" for n in range(201)})).status_code == 400


async def test_a_client_key_s_user_shows_a_password_and_may_ask_at_its_own_level_alone(narayana):
    assert await narayana.code("resolveCallerid", key="client", login="anna") == "E_AUTH_FAILED"
    assert await narayana.code("resolveCallerid", key="client", login="anna", password="0" * 32) == "E_AUTH_FAILED"
    assert await narayana.ask("resolveCallerid", key="client", login="anna", password=MD5.upper()) == "49301"
    assert (
        await narayana.code("callPrepare", key="client", login="anna", password=MD5) == "Declined E_INSUFFICIENT_ACCESS"
    )
    assert await narayana.code("resolveCallerid", key="client") == "E_AUTH_FAILED"


async def test_a_default_user_counts_before_what_is_named_and_speaks_for_others_of_the_key_s_owner(narayana):
    await narayana.operator.parties.create(NewParty("berta", owner="firm"))
    await narayana.add_key(NewKey("static", owner="firm", default_user="anna"))

    assert await narayana.ask("resolveCallerid", key="static", login="otto", password="wrong") == "49301"
    assert await narayana.code("resolveCallerid", key="static", username="berta") == "E_NOT_EXIST"  # she has no line
    for other in ("otto", "firm", "boss"):  # not below the key's owner, or of a higher level than the default user
        assert await narayana.code("resolveCallerid", key="static", username=other) == "E_DOES_NOT_BELONG_TO_YOU"
    assert await narayana.code("resolveCallerid", key="static", username="nobody") == "E_AUTH_FAILED"


async def test_a_server_key_asks_for_whom_its_owner_owns_and_for_nobody_else(narayana):
    await narayana.add_key(NewKey("firms", KeyKind.SERVER, Level.RESELLER, owner="firm"))

    assert await narayana.ask("resolveCallerid", key="firms", login="anna") == "49301"
    assert await narayana.code("resolveCallerid", key="firms", login="otto") == "E_DOES_NOT_BELONG_TO_YOU"
    assert await narayana.code("resolveCallerid", key="firms", login="boss") == "E_DOES_NOT_BELONG_TO_YOU"
    assert (
        await narayana.code("resolveCallerid", key="firms", login="firm", username="otto") == "E_DOES_NOT_BELONG_TO_YOU"
    )


@pytest.mark.parametrize(("auth_by", "found"), [(AuthBy.ID, True), (AuthBy.MSISDN, False), (AuthBy.ICCID, False)])
async def test_other_ways_to_name_a_user_answer_in_text(narayana, auth_by, found):
    await narayana.add_key(NewKey("other", KeyKind.SERVER, Level.SERVER, auth_by, owner="boss"))
    number = (await narayana.operator.parties.show("anna")).party_id

    answer = await narayana.raw("resolveCallerid", key="other", login=str(number))

    assert answer.text == ("49301" if found else "E_AUTH_FAILED")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    for wrong in ("0", "9" * 30, "anna", "1e3"):
        assert (await narayana.raw("resolveCallerid", key="other", login=wrong)).text == "E_AUTH_FAILED"


async def test_who_is_locked_asks_for_nothing(narayana):
    await narayana.operator.parties.set_status("anna", PartyState.LOCKED)

    assert await narayana.code("resolveCallerid", login="anna") == "E_USER_LOCKED"


async def test_a_key_that_is_off_or_revoked_is_401_and_different_wrong_ones_ban_their_address(narayana):
    await narayana.operator.keys.change("client", KeyChanges(enabled=False))
    assert (await narayana.raw("getKeys", key="client")).status_code == 401

    for number in range(5):
        assert (await narayana.raw("getKeys", key=f"wrong{number}")).status_code in (401, 403)
    await narayana.engine.services.access.bans.turn()

    async with type(narayana.http)(base_url=narayana.http.base_url) as fresh:
        answer = await fresh.get(f"/billing/api/2.2/{narayana.keys['server']}/getKeys?login=boss")
    assert answer.status_code == 403


@contextmanager
def broken(monkeypatch: pytest.MonkeyPatch, error: Exception):
    async def fail(*args: object, **named: object) -> None:
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(Access, "as_user", fail)
        yield


async def test_what_nobody_foresaw_is_told_by_its_code_and_the_key_is_in_no_log(narayana, monkeypatch):
    with structlog.testing.capture_logs() as lines, broken(monkeypatch, RuntimeError("secret words")):
        answer = await narayana.raw("getKeys", login="boss", password=MD5)

    assert (answer.status_code, answer.json()) == (500, {"result": False, "response": "E_LUA_EXCEPTION"})
    assert [line["event"] for line in lines] == ["narayana_method_failed"]
    assert narayana.keys["server"] not in repr(lines)
    assert MD5 not in repr(lines)


async def test_every_made_method_answers_anything_by_an_envelope_and_never_by_a_traceback(narayana):
    names = (
        "name", "id", "target", "source", "destination", "prior", "length", "status", "balance", "callid", "callerid",
        "auth", "auth_by", "apikey", "limit", "user", "account", "property", "alias",
    )  # fmt: skip
    for place, method in enumerate(sorted(MADE)):
        odd = [dict.fromkeys(names, value) for value in ("", "x", "-1", "9" * 30, "\x00", "'; DROP --", "\U0001f600")]
        for given in (*odd, {names[place % len(names)]: "a" * 60_000}):
            path = f"/billing/api/2.2/{narayana.keys['server']}/{method}"
            answer = await narayana.http.post(path, data={**given, "login": "boss"})
            assert answer.status_code in (200, 400), (method, repr(given)[:60], answer.text)
            assert "Traceback" not in answer.text
