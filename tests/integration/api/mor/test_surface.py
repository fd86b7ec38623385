"""Who is let in by MOR's surface, in which order it is looked, and what is answered where nothing is done."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from rating_engine.domain.ban import ENGINE_SOURCE
from rating_engine.domain.hash_secret import HashSecretChanges
from rating_engine.domain.party import PartyState
from tests.support.mor import WORD, Mor, mor_on
from tests.support.servers import SessionServers

pytestmark = pytest.mark.asyncio(loop_scope="module")
VERSION = "system_version_get"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mor(session_servers: SessionServers) -> AsyncIterator[Mor]:
    with session_servers.database() as url:
        async with mor_on(url, mor_lenient_hashes=True) as made:
            yield made


@pytest.mark.parametrize("u", ["admin", "acc", "acc2", "firm", "anna", "user1"])
async def test_each_role_signs_with_its_secret_or_its_owners(mor, u):
    assert await mor.text(VERSION, "version", u=u)


@pytest.mark.parametrize("u", ["", "nobody", "system"])
async def test_who_is_not_known_is_denied_access(mor, u):
    assert await mor.error("services_get", u=u) == "Access Denied"


async def test_a_hash_of_another_secret_or_none_is_incorrect(mor):
    assert await mor.error("services_get", hash="0" * 40) == "Incorrect hash"
    assert await mor.error("services_get", hash="") == "Incorrect hash"
    assert (
        await mor.error("services_get", u="firm", hash="e5e9fa1ba31ecd1ae84f75caaa474f3a663f05f4") == "Incorrect hash"
    )


async def test_a_path_is_a_function_whatever_slashes_it_has_and_only_one_that_there_is(mor):
    given = {"u": "admin", "hash": "e5e9fa1ba31ecd1ae84f75caaa474f3a663f05f4"}
    for path in ("/billing//api/get_version/", "/billing/api/system_version_get"):
        assert (await mor.http.post(path, data=given)).text.endswith("</version></page>")
    for path in ("/billing/api/no_such", "/billing/api/system_version_get/more", "/billing/api/services_get/1/2"):
        assert (await mor.http.post(path, data=given)).status_code == 404
    assert (await mor.http.get("/billing/api/2.2/key/getInfo")).headers["content-type"].startswith("text/plain")


async def test_methods_of_http_that_are_not_taken(mor):
    assert "GET Requests are disabled" in (await mor.http.get(f"/billing/api/{VERSION}")).text
    response = await mor.http.put(f"/billing/api/{VERSION}")
    assert (response.status_code, response.headers["allow"]) == (405, "POST")


async def test_an_answer_is_xml_with_its_declaration(mor):
    response = await mor.raw(VERSION)

    assert response.headers["content-type"] == "application/xml; charset=utf-8"
    assert response.text.startswith('<?xml version="1.0" encoding="UTF-8"?>\n<page>')


async def test_a_secret_counts_from_its_addresses_for_its_functions_and_while_it_is_on(mor):
    use = mor.operator.hash_secrets
    for changes, back, error in (
        (HashSecretChanges(enabled=False), HashSecretChanges(enabled=True), "Access Denied"),
        (HashSecretChanges(sources=("192.0.2.0/24",)), HashSecretChanges(sources=()), "Access Denied"),
        (HashSecretChanges(blocked=(VERSION,)), HashSecretChanges(blocked=()), "Access Denied"),
    ):
        for owner, u in (("firm", "anna"), ("system", "admin")):
            await use.change(owner, changes)
            assert await mor.error(VERSION, u=u) == error
            await use.change(owner, back)
            assert await mor.text(VERSION, "version", u=u)


async def test_who_is_locked_or_below_one_that_is_stays_out(mor):
    await mor.operator.parties.set_status("firm", PartyState.LOCKED)
    assert await mor.error(VERSION, u="anna") == "Access Denied"
    await mor.operator.parties.set_status("firm", PartyState.ACTIVE)


async def test_a_body_that_cannot_be_read_is_a_bad_request(mor):
    for content, kind in ((b"\xff\xfe", "application/x-www-form-urlencoded"), (b"{}", "application/json")):
        response = await mor.http.post(f"/billing/api/{VERSION}", content=content, headers={"content-type": kind})
        assert response.status_code == 400
    assert (await mor.http.post(f"/billing/api/{VERSION}", content=b"a" * 70_000)).status_code == 400
    assert (await mor.http.post(f"/billing/api/{VERSION}", data={"u": "a\0"})).status_code == 400


async def test_an_address_that_guesses_is_banned(mor):
    for number in range(30):
        await mor.raw("services_get", hash=f"{number:040x}")
    book = mor.engine.services.access.bans
    book.changed()
    await book.turn()

    assert (await mor.raw(VERSION)).status_code == 403
    await mor.operator.bans.flush(source=ENGINE_SOURCE)
    book.changed()
    await book.turn()
    assert await mor.text(VERSION, "version")


async def test_a_password_opens_a_session_which_its_cookie_alone_ends(mor):
    post = mor.http.post
    assert "<status>failed</status>" in (await post("/billing/api/login", data={"u": "anna", "p": "wrong"})).text
    answer = await post("/billing/api/user_login", data={"u": "anna", "p": WORD})
    assert answer.text.endswith("<action><name>login</name><status>ok</status></action>")
    token = answer.cookies["mor_session"]
    mor.http.cookies.clear()

    assert "<status>failed</status>" in (await post("/billing/api/logout", data={"u": "anna"})).text
    cookie = {"cookie": f"mor_session={token}"}
    assert "<status>ok</status>" in (await post("/billing/api/user_logout", headers=cookie)).text
    assert "<status>failed</status>" in (await post("/billing/api/user_logout", headers=cookie)).text
