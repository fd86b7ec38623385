"""Telephones that show wrong passwords to a real Asterisk: their address is banned, the right ones go on."""

from __future__ import annotations

import asyncio
import hashlib
import re
import uuid
from pathlib import Path

import pytest

from rating_engine.domain.ban import Ban
from rating_engine.domain.page import Cursor
from rating_engine.domain.principal import OPERATOR
from rating_engine.engine.engine import Engine
from tests.asterisk.exchange import Exchange
from tests.asterisk.sip import MODULES
from tests.support.engines import engine_on
from tests.support.servers import free_port
from tests.support.waiting import until, until_holds

pytestmark = pytest.mark.asterisk

GUESSES = 5
PJSIP = """
[loopback]
type=transport
protocol=udp
bind=127.0.0.1:{port}
[anna]
type=endpoint
auth=anna
aors=anna
[anna]
type=auth
username=anna
password=right
[anna]
type=aor
max_contacts=1
remove_existing=yes
"""


class Telephone(asyncio.DatagramProtocol):
    """Registers from an address of its own."""

    def __init__(self, address: str, exchange_port: int) -> None:
        self.address = address
        self.exchange = ("127.0.0.1", exchange_port)
        self.heard: asyncio.Queue[str] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.heard.put_nowait(data.decode())

    async def register(self, name: str, password: str) -> int:
        """The last status of one registration, its challenge answered."""
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(
            lambda: self, local_addr=(self.address, 0), remote_addr=self.exchange
        )
        port, call = transport.get_extra_info("sockname")[1], uuid.uuid4().hex
        try:
            status, said = await self._ask(transport, name, port, call, 1, "")
            nonce = re.search(r'nonce="([^"]+)"', said)
            if status == 401 and nonce is not None:
                realm = re.search(r'realm="([^"]+)"', said)
                assert realm is not None
                status, _ = await self._ask(
                    transport, name, port, call, 2, _digest(name, password, realm[1], nonce[1], said)
                )
            return status
        finally:
            transport.close()

    async def _ask(
        self, transport: asyncio.DatagramTransport, name: str, port: int, call: str, number: int, more: str
    ) -> tuple[int, str]:
        me = f"sip:{name}@{self.address}:{port}"
        transport.sendto(
            f"REGISTER sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {self.address}:{port};branch=z9hG4bK{call}{number}\r\n"
            f"From: <sip:{name}@127.0.0.1>;tag={call[:8]}\r\nTo: <sip:{name}@127.0.0.1>\r\nCall-ID: {call}\r\n"
            f"CSeq: {number} REGISTER\r\nContact: <{me}>\r\nMax-Forwards: 70\r\nExpires: 60\r\n{more}"
            "Content-Length: 0\r\n\r\n".encode()
        )
        async with asyncio.timeout(10):
            while True:
                said = await self.heard.get()
                status = int(said.split(" ", 2)[1])
                if status >= 200 and f"CSeq: {number} " in said:
                    return status, said


def _digest(name: str, password: str, realm: str, nonce: str, said: str) -> str:
    def md5(text: str) -> str:
        return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()

    known = md5(f"{name}:{realm}:{password}")
    asked = md5("REGISTER:sip:127.0.0.1")
    opaque = re.search(r'opaque="([^"]+)"', said)
    response = md5(f"{known}:{nonce}:00000001:abcdef:auth:{asked}")
    return (
        f'Authorization: Digest username="{name}", realm="{realm}", nonce="{nonce}", uri="sip:127.0.0.1", qop=auth, '
        f'nc=00000001, cnonce="abcdef", algorithm=MD5, response="{response}"'
        + (f', opaque="{opaque[1]}"' if opaque else "")
        + "\r\n"
    )


async def bans(engine: Engine) -> dict[str, Ban]:
    return {str(ban.target): ban for ban in (await engine.services.of(OPERATOR).bans.page(Cursor())).items}


async def test_who_guesses_passwords_or_names_is_banned_and_who_knows_them_is_not(
    asterisk_root: Path, database_url: str
):
    port = free_port()
    modules = f"{MODULES} res_pjsip_authenticator_digest res_pjsip_registrar"
    exchange = Exchange(asterisk_root, "", modules=modules, files={"pjsip.conf": PJSIP.format(port=port)})
    async with (
        exchange,
        engine_on(
            database_url,
            ami_exchanges=(f"pbx1={exchange.manager_url()}",),
            ban_failed_logins=GUESSES,
            fastagi_allowed_networks=("127.0.0.0/8",),
        ) as engine,
    ):
        watched = "rating_exchanges_watched 1.0"
        await until(lambda: _says(engine, watched))
        guesser, stranger, owner, clumsy, here = (
            Telephone(address, port) for address in ("127.0.0.7", "127.0.0.8", "127.0.0.9", "127.0.0.10", "127.0.0.1")
        )
        for number in range(GUESSES):
            assert await guesser.register("anna", f"wrong{number}") == 401
            assert await stranger.register(f"nobody{number}", "x") == 401
            assert await owner.register("anna", "right") == 200
            assert await here.register("anna", "wrong") == 401
        for _ in range(GUESSES - 1):
            assert await clumsy.register("anna", "wrong") == 401

        async def both_are_banned() -> bool:
            return {"127.0.0.7/32", "127.0.0.8/32"} <= set(await bans(engine))

        await until(both_are_banned)
        found = await bans(engine)
        assert set(found) == {"127.0.0.7/32", "127.0.0.8/32"}
        assert found["127.0.0.7/32"].source == "pbx1"
        assert found["127.0.0.7/32"].expires_at is not None
        assert found["127.0.0.7/32"].reason == "5 failed logins (PJSIP ChallengeResponseFailed, last as 'anna')"
        assert re.fullmatch(r"5 failed logins \(PJSIP \w+, last as 'nobody\d'\)", found["127.0.0.8/32"].reason)
        book = engine.services.access.bans
        await until_holds(lambda: book.refuses("127.0.0.7"))
        assert not book.refuses("127.0.0.9")


async def _says(engine: Engine, line: str) -> bool:
    return line in engine.metrics.exposition()[0].decode()
