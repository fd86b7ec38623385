"""The tenant surface over HTTP: the order of its checks, its one form of errors, and exact amounts."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator, Coroutine, Iterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from rating_engine.api.tenant.contract import MAX_BODY
from rating_engine.domain.api_key import KeyChanges, NewKey
from rating_engine.domain.party import NewParty, PartyState
from rating_engine.domain.principal import OPERATOR
from rating_engine.engine.engine import Engine
from rating_engine.services.catalogue import UseCases
from rating_engine.services.decks.importing import import_deck
from tests.support.engines import engine_on
from tests.support.servers import SessionServers
from tests.support.tenants import RATE, client_of, make_tenant

pytestmark = pytest.mark.asyncio(loop_scope="module")

JSON = {"content-type": "application/json"}
UNKNOWN = "OTk5OTk5"


@pytest.fixture(scope="module")
def url(session_servers: SessionServers) -> Iterator[str]:
    with session_servers.database() as url:
        yield url


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(url: str) -> AsyncIterator[Engine]:
    async with engine_on(url, ban_wrong_keys=100) as engine:
        yield engine


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(engine: Engine) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(engine, await make_tenant(engine, "acme")) as client:
        yield client


@pytest_asyncio.fixture(loop_scope="module")
async def rate_id(client: httpx.AsyncClient) -> AsyncIterator[str]:
    """The one rate of the tenant, gone afterwards."""
    made = (await client.post("/api/call_rates", json=RATE)).json()["id"]
    yield made
    await client.post(f"/api/call_rates/{made}/destroy")


def operator(engine: Engine) -> UseCases:
    return engine.services.of(OPERATOR)


def error_of(answer: httpx.Response) -> tuple[int, str, str | None]:
    error = answer.json()["error"]
    assert error.keys() - {"field"} == {"code", "message"}
    return answer.status_code, error["code"], error.get("field")


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "expected"),
    [
        ("GET", "/api/nothing", {"authorization": "Bearer wrong"}, b"", (401, "unauthorized", None)),
        ("GET", "/api/call_rates", {"authorization": "Basic x"}, b"", (401, "unauthorized", None)),
        ("GET", "/api/nothing", {}, b"", (404, "not_found", None)),
        ("GET", "/api/call_rates/", {}, b"", (404, "not_found", None)),
        ("GET", "/api/call_rates%0A", {}, b"", (404, "not_found", None)),
        ("GET", "/api/call_rates/a%0Ab", {}, b"", (404, "not_found", None)),
        ("GET", "/api/call_rates/a%0Ab", {"authorization": "x"}, b"", (401, "unauthorized", None)),
        ("GET", "/api/call_rates/%C3%A4%2F", {}, b"", (404, "not_found", None)),
        ("DELETE", "/api/call_rates", {}, b"", (405, "method_not_allowed", None)),
        ("DELETE", f"/api/call_rates/{UNKNOWN}", {}, b"", (405, "method_not_allowed", None)),
        ("POST", "/api/call_rates/export", {}, b"", (405, "method_not_allowed", None)),
        ("GET", f"/api/call_rates/{UNKNOWN}/destroy", {}, b"", (405, "method_not_allowed", None)),
        ("POST", "/api/call_rates", {}, b"{}", (415, "unsupported_media_type", None)),
        ("POST", "/api/call_rates", {"content-type": "text/json"}, b"{}", (415, "unsupported_media_type", None)),
        ("POST", "/api/call_rates", {"content-type": "application/json; charset=latin1"}, b"{}",
         (415, "unsupported_media_type", None)),
        ("POST", "/api/call_rates", {"content-type": "text/plain"}, b"x" * (MAX_BODY + 1),
         (415, "unsupported_media_type", None)),
        ("POST", f"/api/call_rates/{UNKNOWN}", JSON, b"x" * (MAX_BODY + 1), (413, "too_large", None)),
        ("POST", f"/api/call_rates/{UNKNOWN}", JSON, b'{"price_n": -1}', (400, "invalid", "price_n")),
        ("POST", f"/api/call_rates/{UNKNOWN}", JSON, b"{}", (404, "not_found", "id")),
        ("GET", "/api/call_rates/x", {}, b"", (404, "not_found", "id")),
        ("GET", "/api/call_rates/MQ==", {}, b"", (404, "not_found", "id")),
        ("POST", "/api/tenant/billing", JSON, b"[]", (400, "invalid", "body")),
        ("POST", "/api/tenant/billing", JSON, b"", (400, "invalid", "body")),
        ("POST", "/api/tenant/billing", JSON, b"\xef\xbb\xbf{}", (400, "invalid", "body")),
        ("POST", "/api/tenant/billing", JSON, b'{"x": NaN}', (400, "invalid", "body")),
        ("POST", "/api/tenant/billing", JSON, b"[" * 50_000, (400, "invalid", "body")),
        ("POST", "/api/tenant/billing", JSON, b'{"enabled": true, "enabled": false}', (400, "invalid", "enabled")),
        ("POST", "/api/tenant/billing", JSON, b'{"enabled": null}', (400, "invalid", "enabled")),
        ("POST", "/api/tenant/billing", JSON, b'{"enabled": 1}', (400, "invalid", "enabled")),
        ("GET", "/api/call_rates?top=0", {}, b"", (400, "invalid", "top")),
        ("GET", "/api/call_rates?top=101", {}, b"", (400, "invalid", "top")),
        ("GET", "/api/call_rates?top=1&top=2", {}, b"", (400, "invalid", "top")),
        ("GET", "/api/call_rates?skip=2147483648", {}, b"", (400, "invalid", "skip")),
        ("GET", "/api/call_rates?skip=1.5", {}, b"", (400, "invalid", "skip")),
        ("GET", "/api/call_rates?orderby=price", {}, b"", (400, "invalid", "orderby")),
        ("GET", "/api/call_rates?search=%00", {}, b"", (400, "invalid", "search")),
    ],
)  # fmt: skip
async def test_what_is_wrong_is_answered_in_one_form_and_one_order(client, method, path, headers, body, expected):
    answer = await client.request(method, path, headers=headers, content=body)

    assert error_of(answer) == expected
    assert ("www-authenticate" in answer.headers) == (answer.status_code == 401)
    assert ("allow" in answer.headers) == (answer.status_code == 405)


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("prefix", ["", "3" * 65, "37a", "++37", " 37", "３７", 370, None]),
        ("type", ["local", "", 1, None, "LOCAL "]),
        ("free_seconds", [-1, 2**31, 10**30, 1.5, "1", True, None, [1]]),
        ("interval_1", [0, -1, 2**31, "1"]),
        ("interval_n", [0]),
        ("price_1", [-0.00001, 0.000001, 10**10, 10**40, "1", True, None, {}]),
        ("connect_fee", [-1, 1e-6]),
        ("description", ["x" * 1025, "\0", 1, None]),
    ],
)
async def test_a_value_beyond_its_limits_is_refused_by_the_name_of_its_field(client, field, values):
    for value in values:
        answer = await client.post("/api/call_rates", json=RATE | {field: value})
        assert error_of(answer) == (400, "invalid", field), value


@pytest.mark.parametrize("text", ["1e5", "1E+2", "1.50", "0.00001", "-0", "9999999999.99999", "1e-5", "100000000.1"])
async def test_an_amount_is_answered_as_a_number_with_every_digit(client, text):
    body = json.dumps(RATE | {"price_1": "AMOUNT"}).replace('"AMOUNT"', text)
    made = (await client.post("/api/call_rates", content=body, headers=JSON)).json()["id"]

    answer = (await client.get(f"/api/call_rates/{made}")).text

    plain = {"1e5": "100000", "1E+2": "100", "1.50": "1.5", "-0": "0", "1e-5": "0.00001"}.get(text, text)
    assert f'"price_1":{plain},' in answer
    assert (await client.post(f"/api/call_rates/{made}/destroy")).status_code == 204


@pytest.mark.parametrize("number", ["1e400", "1e999999999", "1e99999999999999999999", "1e-999999999", "9" * 5_000])
async def test_a_number_that_no_column_holds_is_refused_at_once(client, number):
    for field in ("price_1", "interval_1"):
        body = json.dumps(RATE | {field: "NUMBER"}).replace('"NUMBER"', number)
        answer = await client.post("/api/call_rates", content=body, headers=JSON)
        assert answer.status_code == 400, answer.text


async def test_a_body_without_a_length_is_bounded_too(client):
    async def parts(number: int) -> AsyncIterator[bytes]:
        for _ in range(number):
            yield b" " * 1_024

    def send(number: int) -> Coroutine[Any, Any, httpx.Response]:
        return client.post("/api/tenant/billing", content=parts(number), headers=JSON)

    assert error_of(await send(64)) == (400, "invalid", "body")
    assert error_of(await send(65)) == (413, "too_large", None)


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/api/call_rates", {"authorization": "Bearer wrong", **JSON}, 401),
        ("/api/nothing", JSON, 404),
        ("/api/call_rates", {"content-type": "text/plain"}, 415),
        ("/api/call_rates", JSON, 413),
        ("/api/call_rates/OTk5OTk5/destroy", JSON, 404),
    ],
)
@pytest.mark.parametrize("size", [1, MAX_BODY, 4 * MAX_BODY])
async def test_a_request_after_one_whose_body_was_not_read_is_answered(client, path, headers, status, size):
    answer = await client.post(path, content=b"x" * size, headers=headers)

    assert answer.status_code == (400 if status == 413 and size <= MAX_BODY else status)
    assert (await client.get("/api/tenant/billing")).status_code == 200


async def test_what_was_read_can_be_sent_back_changed(client, rate_id):
    rate: dict[str, Any] = (await client.get(f"/api/call_rates/{rate_id}")).json()
    answer = await client.post(f"/api/call_rates/{rate_id}", json=rate | {"prefix": "+371", "unknown": [1]})

    assert (answer.status_code, answer.content) == (200, b"")
    assert (await client.get(f"/api/call_rates/{rate_id}")).json() == rate | {"prefix": "371"}


async def test_a_second_rate_of_a_prefix_is_a_conflict(client, rate_id):
    other = (await client.post("/api/call_rates", json=RATE | {"prefix": "371"})).json()["id"]

    made = await client.post("/api/call_rates", json=RATE | {"prefix": "+370"})
    changed = await client.post(f"/api/call_rates/{other}", json={"prefix": "370"})
    await client.post(f"/api/call_rates/{other}/destroy")

    assert error_of(made) == error_of(changed) == (409, "already_exists", "prefix")


async def test_head_is_answered_as_get_without_its_body(client, rate_id):
    head = await client.head("/api/call_rates")
    get = await client.get("/api/call_rates")

    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == get.headers["content-length"]


async def test_lists_are_filtered_searched_ordered_and_paged(client):
    kinds = {"1": "LOCAL", "44": "MOBILE", "7": "MOBILE"}
    made = [
        (await client.post("/api/call_rates", json=RATE | {"prefix": p, "type": k, "description": f"o'{p}"})).json()
        for p, k in kinds.items()
    ]

    async def prefixes(**query: Any) -> list[str]:
        answer = (await client.get("/api/call_rates", params=query)).json()
        assert answer["count"] >= len(answer["items"])
        return [item["prefix"] for item in answer["items"]]

    assert await prefixes(orderby="type desc, prefix desc") == ["7", "44", "1"]
    assert await prefixes(filter="type eq 'MOBILE' and prefix gt '5' or prefix eq '1'") == ["1", "7"]
    assert await prefixes(filter="contains(description,'o''4')") == ["44"]
    assert await prefixes(filter="price_1 ge 0.5 and price_1 lt 1") == []
    assert await prefixes(search="O'7") == ["7"]
    assert await prefixes(skip=1, top=1) == ["44"]
    assert await prefixes(skip=2**31 - 1) == []
    for each in made:
        await client.post(f"/api/call_rates/{each['id']}/destroy")


async def test_an_export_is_taken_back_by_imports_and_no_spreadsheet_works_it_out(url, client, tmp_path):
    odd = {"description": '=1+1,"x"\ny', "interval_1": 2**31 - 1, "free_seconds": 2**31 - 1}
    made = (await client.post("/api/call_rates", json=RATE | odd)).json()["id"]

    answer = await client.get("/api/call_rates/export")
    await client.post(f"/api/call_rates/{made}/destroy")

    (row,) = csv.DictReader(io.StringIO(answer.text))
    assert (row["description"], row["price_1"], row["direction"]) == ('\'=1+1,"x" y', "1", "LOCAL")
    assert answer.headers["content-disposition"] == 'attachment; filename="call_rates.csv"'
    (tmp_path / "call_rates.csv").write_bytes(answer.content)
    taken = await import_deck(url, tmp_path / "call_rates.csv", "copy")
    assert (taken.taken, taken.rejected) == (1, 0)


async def test_a_tenant_sees_and_changes_nothing_of_another(engine, client, rate_id):
    async with client_of(engine, await make_tenant(engine, "other")) as other:
        for method, path in (("GET", ""), ("POST", ""), ("POST", "/destroy")):
            answer = await other.request(method, f"/api/call_rates/{rate_id}{path}", json={"price_1": 2})
            assert error_of(answer) == (404, "not_found", "id")
        assert (await other.get("/api/call_rates")).json() == {"count": 0, "items": []}
        assert len((await other.get("/api/call_rates/export")).text.splitlines()) == 1
        assert (await other.post("/api/call_rates", json=RATE)).status_code == 200  # a prefix is of one tenant each


async def test_a_token_does_what_its_scopes_say_until_it_is_revoked(engine):
    token = await make_tenant(engine, "reader", scopes=("call_rates:read",))
    async with client_of(engine, token) as reader:
        assert (await reader.get("/api/call_rates")).status_code == 200
        assert error_of(await reader.post("/api/call_rates", json=RATE)) == (403, "forbidden", None)
        assert error_of(await reader.get("/api/tenant/billing")) == (403, "forbidden", None)
        await operator(engine).keys.revoke("reader-token")
        assert error_of(await reader.get("/api/call_rates")) == (401, "unauthorized", None)


async def test_a_locked_tenant_a_public_key_and_who_is_no_tenant_do_not_get_in(engine):
    asked = operator(engine)
    token = await make_tenant(engine, "locked")
    await asked.keys.add(NewKey("public", owner="locked"))
    await asked.parties.create(NewParty("anna"))
    annas = (await asked.keys.add(NewKey("annas", default_user="anna", owner="system"))).secret
    async with client_of(engine, token) as client:
        await asked.keys.change("locked-token", KeyChanges(scopes=()))
        assert error_of(await client.get("/api/call_rates")) == (401, "unauthorized", None)
        await asked.keys.change("locked-token", KeyChanges(scopes=("call_rates:read",)))
        await asked.parties.set_status("locked", PartyState.LOCKED)
        assert error_of(await client.get("/api/call_rates")) == (403, "forbidden", None)
    async with client_of(engine, annas) as client:
        assert error_of(await client.get("/api/call_rates")) == (403, "forbidden", None)


async def test_the_documents_page_needs_no_token_and_nothing_from_elsewhere(engine):
    async with client_of(engine) as anybody:
        page = await anybody.get("/api/docs")
        assert '"validatorUrl": null' in page.text  # nothing from elsewhere
        assert page.status_code == 200
        assert "//" not in page.text.replace("data:,", "").split("<script>")[0].replace("<!DOCTYPE html>", "")
        for file in ("swagger-ui-bundle.js", "swagger-ui.css"):
            assert f"/api/docs/{file}" in page.text
            assert (await anybody.get(f"/api/docs/{file}")).status_code == 200
        assert (await anybody.get("/api/docs/../../secret")).status_code in (401, 404)
        assert (await anybody.get("/api/openapi.json")).json()["openapi"].startswith("3.1")


async def test_no_token_is_in_the_log(engine, client, capsys):
    token = client.headers["authorization"].split()[1]
    await client.get("/api/call_rates")
    await client.get(f"/api/call_rates/{UNKNOWN}")

    said = capsys.readouterr()
    assert token not in said.out + said.err
