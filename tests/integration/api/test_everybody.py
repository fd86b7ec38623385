"""Everybody asks everything, of what belongs to somebody else: every method of Narayana and every operation of tenants,
as every role there is. What is declared is walked through as it is declared, so that what comes next is asked, too.

Law: no answer has a name of somebody else's that who asks has not said itself, a secret, or a word of our code; nothing
fails (500); and no log line has a secret or a traceback.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from rating_engine.api.narayana.declared import METHODS
from rating_engine.api.tenant.beyond import ALL_OPERATIONS, ALL_SCHEMAS
from rating_engine.api.tenant.contract import TOKEN_SCOPES
from rating_engine.domain.account import NewAccount
from rating_engine.domain.api_key import AuthBy, KeyKind, NewKey
from rating_engine.domain.party import Level, NewParty, PartyKind
from tests.support.narayana import MD5, WORD, Narayana, narayana_on
from tests.support.tenants import RATE, called, client_of, make_tenant

FOREIGN: dict[str, dict[str, str]] = json.loads(
    (Path(__file__).parent / "narayana" / "foreign.json").read_text(encoding="utf-8")
)
# Of the other house, each in something that could be shown.
THEIRS = ("otto", "other", "Ottokar", "2001", "49777", "0.777", "others-rate", "ottos", "7.7731")
CODE_WORDS = ("Traceback", "rating_engine", "asyncpg", "psycopg", ".py", "SELECT ", "argon2")
SYSTEM_LEVELS = (Level.SERVER, Level.MAINTENANCE, Level.SYSTEM_SERVER)
BELOW_ALL = (Level.SIMPLE_USER, Level.USER, Level.RESELLER, Level.PARTNER)


@dataclass
class World:
    """Two houses that know nothing of each other, and who asks."""

    narayana: Narayana
    secrets: set[str] = field(default_factory=set)
    numbers: dict[str, str] = field(default_factory=dict)
    roles: dict[str, tuple[str, dict[str, str]]] = field(default_factory=dict)  # secret of a key, what names who asks

    async def key(self, new: NewKey) -> str:
        secret = await self.narayana.add_key(new)
        self.secrets.add(secret)
        return secret

    def check(self, text: str, said: str, who: object) -> None:
        """No word of it is for who has said `said` alone."""
        for word in THEIRS:
            assert word in said or word not in text, (who, word, text[:300])
        self.check_secrets(text, said, who)

    def check_secrets(self, text: str, said: str, who: object) -> None:
        for secret in self.secrets:
            assert secret in said or secret not in text, (who, "a secret")
        assert MD5 not in text, who
        assert not [word for word in CODE_WORDS if word in text], (who, text[:300])


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    unlimited = {f"{each}_requests_per_minute": 0 for each in ("address", "client_key", "server_key")}
    async with narayana_on(database_url, ban_wrong_keys=0, **unlimited) as narayana:
        world = World(narayana, secrets={WORD, *narayana.keys.values()})
        await _make_theirs(world)
        await _make_ours(world)
        yield world


async def _make_theirs(world: World) -> None:
    ask, use = world.narayana.ask, world.narayana.operator
    await ask("updateUser", login="boss", user="otto", language="fr")
    await ask("addAlias", login="otto", alias="777", destination="49777")
    await world.key(NewKey("ottos", owner="otto"))
    call = {"login": "otto", "destination": "4912345", "callid": "theirs"}
    await ask("callPrepare", **call)
    await ask("callFinish", **call, length="7", status="16ANSWER")
    ticket = await ask("createTicket", login="otto", message="Ottokar asks") if "createTicket" in FOREIGN else 1
    await ask("addRates", login="other", table="t", name="others-rate")
    tariff = (await ask("getRatesList", login="other"))[-1]["id"]
    alias = (await ask("getAliases", login="otto"))[0]["id"]
    account = (await use.accounts.show("2001")).login
    account = str((await ask("getInfo", login="otto")).get("account", account))
    world.numbers = {"account": account, "alias": alias, "tariff": str(tariff), "ticket": str(ticket)}


async def _make_ours(world: World) -> None:
    use = world.narayana.operator
    server = world.narayana.keys["server"]
    for level in BELOW_ALL:
        name, owner = f"we{int(level)}", "firm" if level <= Level.RESELLER else None
        kind = PartyKind.USER if level <= Level.USER else PartyKind.RESELLER
        await use.parties.create(NewParty(name, kind, level, owner=owner), password=WORD)
        await use.accounts.create(NewAccount(f"31{int(level)}", "retail", owner=name))
        world.roles[name] = (server, {"login": name})
        key = await world.key(NewKey(f"key{int(level)}", KeyKind.SERVER, level, owner=name, default_user=name))
        world.roles[f"key of level {int(level)}"] = (key, {})
    for level in SYSTEM_LEVELS:  # the key may ask for every method, and its user is still who it is
        key = await world.key(NewKey(f"key{int(level)}", KeyKind.SERVER, level, owner="firm", default_user="we22"))
        world.roles[f"key of level {int(level)} of a reseller"] = (key, {})
    lines = await world.key(NewKey("ourlines", KeyKind.SERVER, Level.SERVER, AuthBy.SIP_EXTENSION, owner="firm"))
    world.roles["by extension"] = (lines, {"login": "3110"})
    # A password costs its hash each time, so that but one shows one.
    world.roles["by a password"] = (world.narayana.keys["client"], {"login": "we10", "password": MD5})
    world.roles["anonymous"] = (world.narayana.keys["client"], {})
    world.roles["a wrong key"] = ("no-such-key-at-all", {"login": "otto"})


def filled(text: str, numbers: dict[str, str]) -> str:
    for name, number in numbers.items():
        text = text.replace(f"{{{name}}}", number)
    return text


def example(schema: dict[str, Any]) -> Any:
    """A value of a JSON Schema."""
    if "$ref" in schema:
        return example(ALL_SCHEMAS[schema["$ref"].rpartition("/")[2]])
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type", "string")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        return {name: RATE.get(name, example(each)) for name, each in schema.get("properties", {}).items()}
    if kind == "array":
        return [example(schema.get("items", {}))]
    simple: dict[str, Any] = {"integer": schema.get("minimum", 1), "number": 1, "boolean": True}
    return simple.get(kind, "2001")


async def _ask(world: World, role: str, method: str) -> None:
    secret, named = world.roles[role]
    arguments = {name: filled(value, world.numbers) for name, value in FOREIGN.get(method, {}).items()}
    given = {**arguments, **named}
    answer = await world.narayana.raw(method, key=secret, **given)
    who = (role, method, answer.status_code)
    assert answer.status_code in (200, 400, 401, 403), (who, answer.text)
    assert "E_LUA_EXCEPTION" not in answer.text, who
    assert answer.status_code == 200 or not answer.text.startswith("{"), who
    world.check(answer.text, json.dumps(given), who)
    if role in ("anonymous", "a wrong key") and METHODS[method].level > 0:
        assert answer.status_code == 401 or not answer.json()["result"], who


async def test_nobody_hears_of_somebody_else_by_any_method(world, capfd):
    for method in METHODS:
        await asyncio.gather(*(_ask(world, role, method) for role in world.roles))
    # Who manages the installation sees all of it, and no secret; last, since it may change it.
    for level in (Level.ADMIN, Level.ROOT_ADMIN):
        name = f"admin{int(level)}"
        await world.narayana.operator.parties.create(NewParty(name, PartyKind.ADMIN, level))
        for method in METHODS:
            given = {each: filled(value, world.numbers) for each, value in FOREIGN.get(method, {}).items()}
            answer = await world.narayana.raw(method, login=name, **given)
            assert answer.status_code == 200, (name, method, answer.text)
            world.check_secrets(answer.text, json.dumps(given), (name, method))
    _check_logs(world, capfd.readouterr())


async def test_no_token_reaches_another_tenant_by_any_operation(world, capfd):
    engine = world.narayana.engine
    scopes = sorted(TOKEN_SCOPES)
    for tenant, line in (("otherco", "2701"), ("ourco", "3701")):
        world.secrets.add(await make_tenant(engine, tenant, line, scopes=tuple(scopes)))
        await called(engine, f"call-{tenant}", line, "4912345", 10)
    tokens = {"": "", "wrong": "x" * 43, "public": world.narayana.keys["client"]}
    for scope in scopes:
        tokens[scope] = await world.key(NewKey(f"only-{scope.replace(':', '-')}", owner="ourco", scopes=(scope,)))
    marks = ("otherco", "2701", *THEIRS)
    for name, token in tokens.items():
        async with client_of(engine, token) as client:
            for operation in ALL_OPERATIONS:
                for path in {operation.path.replace("{id}", each).replace("{login}", each) for each in ("2701", "1")}:
                    body = example({"$ref": f"/{operation.body}"}) if operation.body else None
                    answer = await client.request(operation.method, f"/api{path}", json=body)
                    who = (name, operation.name, path, answer.status_code)
                    assert answer.status_code < 500, (who, answer.text[:300])
                    assert name in scopes or answer.status_code == 401, who
                    for word in marks:
                        assert word in f"{path}{body}" or word not in answer.text, (who, word)
                    world.check_secrets(answer.text, str(body), who)
                    if "2701" in path and name in scopes:
                        assert answer.status_code in (400, 403, 404, 405, 409), (who, answer.text[:300])
    async with client_of(engine, tokens[scopes[0]]) as client:
        for path in ("/api/nothing", "/api/tenant/billing/x"):
            assert (await client.get(path)).status_code in (403, 404)
    _check_logs(world, capfd.readouterr())


def _check_logs(world: World, written: Any) -> None:
    text = written.out + written.err
    assert [secret for secret in world.secrets if secret in text] == []
    assert MD5 not in text
    assert "Traceback" not in text
