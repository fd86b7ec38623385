"""Phones from the engine: a real Asterisk with the shipped realtime files, or with the file rendered for it, and
phones that register with a password, call through the shipped dialplan and are charged."""

from __future__ import annotations

import base64
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx
import pytest

from rating_engine.domain.api_key import KeyKind, NewKey
from rating_engine.domain.exchanges import NewExchange
from rating_engine.domain.party import Level, NewParty, PartyKind, PartyState
from rating_engine.domain.principal import OPERATOR
from rating_engine.domain.sip_account import NewSipAccount, SipChanges
from rating_engine.engine.services import make_services
from rating_engine.services.catalogue import UseCases
from rating_engine.settings.model import Settings
from rating_engine.storage.postgres.pool import Database
from tests.asterisk.digest_phone import DigestPhone
from tests.asterisk.engine import engine_for, started
from tests.asterisk.exchange import CONFIG, Exchange
from tests.asterisk.pbx import until
from tests.asterisk.phone import Phone
from tests.asterisk.sip import MODULES, RTP
from tests.support.servers import SessionServers, breaches, free_port
from tests.support.world import publish_deck

pytestmark = [pytest.mark.asterisk]

KEY: Final = base64.urlsafe_b64encode(bytes(32)).decode()
REALTIME: Final = " res_config_pgsql res_sorcery_realtime"
PHONES: Final = " res_pjsip_messaging res_pjsip_authenticator_digest res_pjsip_registrar res_pjsip_nat"
DIALPLAN: Final = """
[globals](+)
RATING_ENGINE=127.0.0.1:{port}
RATING_QUERY=?exchange=pbx1
#include rating-phones.conf
[phones]
include => rating-phones
include => rating-outbound
"""
PJSIP: Final = """
[loopback]
type=transport
protocol=udp
bind=127.0.0.1:{port}
[carrier]
type=endpoint
context=nobody-calls-in
disallow=all
allow=ulaw
aors=carrier
[carrier]
type=aor
contact=sip:127.0.0.1:{carrier}
"""
CALLED: Final = "4912345"


@dataclass
class World:
    """A running exchange whose phones the engine has, and who manages it."""

    use: UseCases
    database_url: str
    database: Database
    exchange: Exchange
    http: httpx.AsyncClient
    key: str
    port: int

    async def ask(self, method: str, **given: str) -> object:
        """Narayana's answer."""
        answer = (await self.http.post(f"/billing/api/2.2/{self.key}/{method}", data=given)).json()
        assert answer["result"] is True, answer
        return answer.get("response")

    async def failed(self, method: str, **given: str) -> object:
        """The code of what Narayana does not do."""
        return (await self.http.post(f"/billing/api/2.2/{self.key}/{method}", data=given)).json()["response"]

    async def charged(self, login: str) -> tuple[Decimal, int]:
        """What the calls of a line have cost, and how many there were."""
        row = await self.database.fetchrow(
            "SELECT COALESCE(sum(cost), 0) AS cost, count(*) AS calls FROM cdrs JOIN subscribers s "
            "USING (bucket, subscriber_id) WHERE s.login = $1", login,
        )  # fmt: skip
        assert row is not None
        return row["cost"], row["calls"]


async def furnish(use: UseCases, database: Database) -> str:
    """Firm north with anna on 40000, a route, and a key; its secret."""
    await publish_deck(database)
    await database.fetch("INSERT INTO routes (name, position) VALUES ('carrier', 1)")
    await use.parties.create(NewParty("boss", PartyKind.ADMIN))
    await use.parties.create(NewParty("anna", tariff="retail"))
    await use.exchanges.add(NewExchange("pbx1"))
    await use.sip_accounts.create(NewSipAccount(login="40000", owner="anna", password="very-secret"))
    await use.accounts.top_up("40000", Decimal(10))
    return (await use.keys.add(NewKey("server", KeyKind.SERVER, Level.SERVER, owner="boss"))).secret


def realtime_files(database_url: str, role: str, password: str) -> dict[str, str]:
    """The shipped files, as docs/phones.md has them edited."""
    url = urlsplit(database_url)
    name = url.path.removeprefix("/")
    shipped = {path.name: path.read_text().replace("RATING", name) for path in (CONFIG / "realtime").glob("*.conf")}
    connection = shipped["res_pgsql.conf"]
    for line, value in (("dbhost = 127.0.0.1", f"dbhost = {url.hostname}"), ("dbport = 5432", f"dbport = {url.port}"),
                        ("dbuser = rating_pbx1", f"dbuser = {role}"), ("change-me", password)):  # fmt: skip
        assert line in connection
        connection = connection.replace(line, value)
    return {**shipped, "res_pgsql.conf": connection}


@asynccontextmanager
async def world(
    root: Path, servers: SessionServers, directory: Path, carrier: Phone, *, realtime: bool
) -> AsyncIterator[World]:
    with servers.database() as url:
        database = Database(url)
        await database.open()
        use = make_services(Settings(database_url=url, secret_keys=(KEY,)), database).of(OPERATOR)
        secret = await furnish(use, database)
        fastagi = free_port()
        role, files = f"rating_{uuid.uuid4().hex[:8]}", {}
        if realtime:
            await use.exchanges.give_role("pbx1", password="word-of-role", role=role)
            files = realtime_files(url, role, "word-of-role")
        pjsip = PJSIP.format(port=carrier.exchange[1], carrier=carrier.port)
        exchange = Exchange(
            root,
            DIALPLAN.format(port=fastagi),
            modules=MODULES + PHONES + (REALTIME if realtime else ""),
            files={
                **files,
                "pjsip.conf": pjsip + ("" if realtime else "#include pjsip_rating.conf\n"),
                "rtp.conf": RTP,
            },
        )
        exchange.add_file("rating-phones.conf", (CONFIG / "phones.conf").read_text())
        if not realtime:
            exchange.add_file("pjsip_rating.conf", "")
        followed = [f"pbx1={exchange.manager_url()}"] if realtime else []
        engine = engine_for(url, "", directory, port=fastagi, secret_keys=[KEY], ami_exchanges=followed)
        try:
            async with engine, exchange, httpx.AsyncClient(base_url=f"http://127.0.0.1:{engine.http_port}") as http:
                await started(engine)
                yield World(use, url, database, exchange, http, secret, carrier.exchange[1])
                await until(exchange.idle)
            assert await breaches(url) == []
        finally:
            if realtime:
                await database.fetch(f"DROP OWNED BY {role}")
                await database.fetch(f"DROP ROLE {role}")
            await database.close()


async def talk(phone: DigestPhone) -> None:
    """A call of some tenths of a second, to its end."""
    leg = await (await phone.call(CALLED)).answered()
    await leg.talk_on(0.6)
    await leg.hang_up()


async def refused(phone: DigestPhone) -> list[int]:
    """What the exchange says to a call that it does not put through."""
    return (await (await phone.call(CALLED)).ended()).answers


async def write_to_one_another(world_: World, fresh: DigestPhone, main: DigestPhone) -> None:
    """A SIP message to a telephone that is there has arrived when it is answered; to one that is not it has failed."""
    await world_.ask("sendSIPMessage", login="anna", to="4000001", text="Grüße; a,b ${EXTEN}\nя")
    assert fresh.messages == [("40000", "Grüße; a,b ${EXTEN}\nя")]
    assert await fresh.register(seconds=0) == 200
    assert await world_.failed("sendSIPMessage", login="anna", to="4000001", text="Hello") == "E_ASTERISK_QUERY_ERROR"
    assert await fresh.register() == 200
    assert main.messages == []


async def call_one_another(world_: World, fresh: DigestPhone, main: DigestPhone, carrier: Phone) -> None:
    """From phone to phone, and then to one that is redirected."""
    leg = await (await fresh.call("40000")).answered()  # from phone to phone, and nobody pays
    await (await main.next_call()).hang_up()
    await leg.ended()
    forced = {"sip_force_callback": "1", "disa_trusted_cli": "4930777"}  # of what it dials itself alone
    await world_.ask("updateExtension", login="anna", sip_extension="40000", sip_redirect=CALLED, **forced)
    before = len(carrier.calls)
    leg = await (await fresh.call("40000")).answered()
    await leg.talk_on(0.6)
    await leg.hang_up()
    await until(world_.exchange.idle)
    assert [each.number for each in carrier.calls[before:]] == [CALLED]
    assert [(await world_.charged(login))[1] for login in ("40000", "4000001")] == [
        1,
        1,
    ]  # who is redirected pays
    await world_.ask("updateExtension", login="anna", sip_extension="40000", sip_redirect="", sip_force_callback="0")


async def shown_online(world_: World, fresh: DigestPhone, main: DigestPhone) -> None:
    """A registered phone is online within a second or two, and one that leaves offline; others are not touched."""
    lines = world_.use.sip_accounts
    first = (await lines.show("40000")).updated_at

    async def online() -> dict[str, bool | None]:
        return {each.login: None if each.state is None else each.state.online for each in await lines.of("anna")}

    await until_shown(online, {"40000": True, "4000001": True})
    state = (await lines.show("4000001")).state
    assert state is not None
    assert (state.address, state.contacts) == (f"127.0.0.1:{fresh.port}", 1)

    async def user_agent() -> str:
        state = (await lines.show("4000001")).state
        return "" if state is None else state.user_agent

    await until_shown(user_agent, DigestPhone.USER_AGENT)
    told = await world_.ask("getExtensionInfo", sip_extension="40000", login="anna", property="lastupdated")
    assert first is not None
    assert str(told) > f"{first:%Y-%m-%d %H:%M:%S}"
    assert await fresh.register(seconds=0) == 200
    await until_shown(online, {"40000": True, "4000001": False})
    state = (await lines.show("4000001")).state
    assert state is not None
    assert (state.address, state.user_agent) == (f"127.0.0.1:{fresh.port}", DigestPhone.USER_AGENT)  # the last known
    assert await fresh.register() == 200
    await until_shown(online, {"40000": True, "4000001": True})


async def until_shown(ask: Callable[[], Awaitable[object]], wanted: object) -> None:
    async def holds() -> bool:
        return await ask() == wanted

    await until(holds)


async def made_anew(world_: World, fresh: DigestPhone) -> None:
    """Who is deleted is gone at once; the number is its owner's to make again, with another password; and under another
    number the password stays."""
    await world_.ask("deleteExtension", login="anna", sip_extension="4000001")
    assert await fresh.register() == 401
    assert await refused(fresh) == [401]
    await world_.ask("createExtension", login="anna", sip_extension="4000001", sip_password="third-secret")
    assert await fresh.register() == 401  # the password of before
    fresh.password = "third-secret"
    assert await fresh.register() == 200
    for number in ("4000002", "4000001"):
        await world_.use.sip_accounts.change(fresh.name, SipChanges(login=number))
        assert await fresh.register() == 401
        fresh.name = number
        assert await fresh.register() == 200


async def call_by_address(world_: World) -> None:
    """A line without a password is known by where it calls from."""
    await world_.use.parties.set_status("anna", PartyState.ACTIVE)
    await world_.use.accounts.unblock_subscriber("4000001")
    await world_.use.sip_accounts.change("4000001", SipChanges(host="127.0.0.1"))
    async with DigestPhone("anybody", world_.port, "") as neighbour:  # known by where it calls from
        await talk(neighbour)
        await until(world_.exchange.idle)
    assert (await world_.charged("4000001"))[1] == 2


async def test_an_extension_that_is_made_registers_and_calls_and_who_is_blocked_does_not(
    asterisk_root: Path, session_servers: SessionServers, tmp_path: Path
):
    async with Phone("carrier", free_port()) as carrier:
        port = carrier.exchange[1]
        async with (
            world(asterisk_root, session_servers, tmp_path, carrier, realtime=True) as world_,
            DigestPhone("4000001", port, "fresh-secret") as fresh,
            DigestPhone("40000", port, "very-secret") as main,
        ):
            use = world_.use
            assert await fresh.register() == 401  # there is none yet
            await world_.ask("createExtension", login="anna", sip_extension="4000001", sip_password="fresh-secret")
            assert await fresh.register() == 200
            await talk(fresh)
            await until(world_.exchange.idle)
            assert await world_.charged("4000001") == (Decimal("0.01"), 1)

            fresh.password = "guessed-one"
            assert await fresh.register() == 401
            await world_.ask("updateExtension", login="anna", sip_extension="4000001", sip_password="another-one")
            fresh.password = "fresh-secret"
            assert await fresh.register() == 401  # the old one
            fresh.password = "another-one"
            assert await fresh.register() == 200

            assert await main.register() == 200
            await shown_online(world_, fresh, main)
            await write_to_one_another(world_, fresh, main)
            await call_one_another(world_, fresh, main, carrier)
            await made_anew(world_, fresh)
            await use.accounts.block_subscriber("4000001")
            assert await fresh.register() == 401
            assert await refused(fresh) == [401]
            await talk(main)
            await use.sip_accounts.change("40000", SipChanges(reachable=False))
            assert await main.register() in (403, 404)
            await talk(main)  # it may call
            await use.parties.set_status("anna", PartyState.LOCKED)
            assert await main.register() == 401
            assert await refused(main) == [401]
            await until(world_.exchange.idle)
            assert (await world_.charged("40000"))[1] == 3
            assert (await world_.charged("4000001"))[1] == 1

            await call_by_address(world_)


async def test_the_rendered_file_says_the_same_to_an_exchange_without_the_database(
    asterisk_root: Path, session_servers: SessionServers, tmp_path: Path
):
    async with Phone("carrier", free_port()) as carrier:
        port = carrier.exchange[1]
        async with (
            world(asterisk_root, session_servers, tmp_path, carrier, realtime=False) as world_,
            DigestPhone("40000", port, "very-secret") as main,
        ):
            file = world_.exchange.home / "etc/pjsip_rating.conf"
            reached = make_services(
                Settings(
                    database_url=world_.database_url,
                    ami_exchanges=(f"pbx1={world_.exchange.manager_url().replace('rating-engine', 'test')}",),
                ),
                world_.database,
            ).of(OPERATOR)
            assert await main.register() == 401
            checked = await reached.exchanges.render("pbx1", output=file, write=False)
            assert (checked.written, "+accountcode=40000" in checked.difference) == (False, True)
            assert file.read_text() == ""
            done = await reached.exchanges.render("pbx1", output=file, reload=True)
            assert (done.written, done.reloaded) == (True, True)
            await until_registered(main)
            await talk(main)
            assert await reached.exchange_queries.ask("pbx1", "interface", "ping") == "Pong"
            assert await reached.exchange_queries.ask("127.0.0.1", "interface", "version")
            assert await reached.exchange_queries.ask("127.0.0.1", "interface", "calls") in ("0", "1")
            for what in (("sipreload", "sipreload"), ("dialplan", "reload")):
                assert await reached.exchange_queries.ask("pbx1", *what) == "ok"
            again = await reached.exchanges.render("pbx1", output=file, reload=True)
            assert (again.difference, again.written, again.reloaded) == ((), False, None)

            await world_.use.accounts.block("40000")
            assert (await reached.exchanges.render("pbx1", output=file, reload=True)).reloaded
            await until_refused(main)
            assert await refused(main) == [401]
            await until(world_.exchange.idle)
            assert (await world_.charged("40000"))[1] == 1

            await world_.use.accounts.unblock("40000")
            await world_.use.sip_accounts.change(
                "40000", SipChanges(host="127.0.0.1", callerid="4930", label="A \\, B")
            )
            assert (await reached.exchanges.render("pbx1", output=file, reload=True)).reloaded
            await until_known_by_address(world_.exchange, "40000")
            async with DigestPhone("anybody", port, "") as neighbour:
                await talk(neighbour)
            await until(world_.exchange.idle)
            assert (await world_.charged("40000"))[1] == 2


async def until_registered(phone: DigestPhone) -> None:
    """A reload takes Asterisk a moment."""

    async def holds() -> bool:
        return await phone.register() == 200

    await until(holds)


async def until_known_by_address(exchange: Exchange, endpoint: str) -> None:
    """Asterisk has read it."""

    async def holds() -> bool:
        return "Match: 127.0.0.1" in await exchange.cli(f"pjsip show endpoint {endpoint}")

    await until(holds)


async def until_refused(phone: DigestPhone) -> None:
    async def holds() -> bool:
        return await phone.register() == 401

    await until(holds)
