"""A phone with a password: it registers, and calls with what it was asked for when it did (RFC 2617, MD5)."""

from __future__ import annotations

import asyncio
import hashlib
import re
import uuid
from typing import Final

from tests.asterisk.phone import PATIENCE_SECONDS, Leg, Phone
from tests.asterisk.sip_message import Message, describe
from tests.asterisk.sound import HOST

_PART: Final = re.compile(r'(\w+)="?([^",]+)"?')


class DigestPhone(Phone):
    """`password` may be changed between two registrations."""

    USER_AGENT: Final = "A phone of the tests/1.0 (äöü)"

    def __init__(self, name: str, exchange_port: int, password: str) -> None:
        super().__init__(name, exchange_port)
        self.password = password
        self._challenge: dict[str, str] = {}
        self._answers: asyncio.Queue[Message] = asyncio.Queue()
        self._call_id = uuid.uuid4().hex
        self._cseq = 0

    async def register(self, seconds: int = 120) -> int:
        """Register for so long (0: no longer). The exchange's last word: 200; 401: it does not let the phone in."""
        answer = await self._ask_to_register(seconds)
        if answer.status == 401:
            self._challenge = dict(_PART.findall(answer.get("www-authenticate")))
            answer = await self._ask_to_register(seconds, self._authorization("REGISTER", self._home))
        return answer.status

    async def call(self, number: str) -> Leg:
        """Dial, with the password."""
        leg = Leg(self, f"{uuid.uuid4().hex}@{HOST}", number=number)
        self.calls.append(leg)
        leg.local = f"<sip:{self.name}@{HOST}:{self.port}>;tag={uuid.uuid4().hex[:8]}"
        leg.remote = f"<sip:{number}@{HOST}:{self.exchange[1]}>"
        leg.target = f"sip:{number}@{HOST}:{self.exchange[1]}"
        await leg.listen()
        extra = (("authorization", self._authorization("INVITE", leg.target)),) if self._challenge else ()
        leg.send("INVITE", describe(leg.sound.port), extra=extra)
        return leg

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        message = Message.parse(data) if data.strip() else None
        if message is not None and message.status >= 200 and message.method == "REGISTER":
            self._answers.put_nowait(message)
        else:
            super().datagram_received(data, addr)

    @property
    def _home(self) -> str:
        return f"sip:{HOST}:{self.exchange[1]}"

    async def _ask_to_register(self, seconds: int, authorization: str = "") -> Message:
        self._cseq += 1
        me = f"<sip:{self.name}@{HOST}:{self.exchange[1]}>"
        headers = [
            ("via", f"SIP/2.0/UDP {HOST}:{self.port};branch=z9hG4bK{uuid.uuid4().hex[:12]};rport"),
            ("max-forwards", "70"),
            ("from", f"{me};tag={uuid.uuid4().hex[:8]}"),
            ("to", me),
            ("call-id", self._call_id),
            ("cseq", f"{self._cseq} REGISTER"),
            ("contact", f"<sip:{self.name}@{HOST}:{self.port}>"),
            ("expires", str(seconds)),
            ("user-agent", self.USER_AGENT),
        ]
        if authorization:
            headers.append(("authorization", authorization))
        self.put(Message(f"REGISTER {self._home} SIP/2.0", tuple(headers)))
        return await asyncio.wait_for(self._answers.get(), PATIENCE_SECONDS)

    def _authorization(self, method: str, uri: str) -> str:
        asked, nc, cnonce = self._challenge, "00000001", uuid.uuid4().hex[:8]
        secret = _md5(f"{self.name}:{asked['realm']}:{self.password}")
        response = _md5(f"{secret}:{asked['nonce']}:{nc}:{cnonce}:auth:{_md5(f'{method}:{uri}')}")
        return (
            f'Digest username="{self.name}", realm="{asked["realm"]}", nonce="{asked["nonce"]}", uri="{uri}", '
            f'response="{response}", algorithm=MD5, qop=auth, nc={nc}, cnonce="{cnonce}", opaque="{asked["opaque"]}"'
        )


def _md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()
