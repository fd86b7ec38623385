"""A carrier by SMPP on loopback: the server of the library smpp34, which shares no code with our client."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import smpp34

from tests.support.servers import free_port

PASSWORD = "secr3t"
RECEIPT = 0x04


@dataclass
class Smsc:
    """`got`: what was submitted; `refuses`: the status of the next ones, 0: they are taken as id-1, id-2 …"""

    port: int
    server: smpp34.Server
    got: list[smpp34.SubmitSmEvent] = field(default_factory=list)
    sessions: dict[str, smpp34.Esme] = field(default_factory=dict)
    refuses: int = 0

    @property
    def url(self) -> str:
        return f"smpp://esme:{PASSWORD}@127.0.0.1:{self.port}"

    async def serve(self) -> None:
        while True:
            event = await self.server.next()
            if isinstance(event, smpp34.Esme):
                self.sessions[event.session_id] = event
            elif isinstance(event, smpp34.Unbound):
                self.sessions.pop(event.session_id, None)
            elif self.refuses:
                event.reject(self.refuses)
            else:
                self.got.append(event)
                event.accept(f"id-{len(self.got)}")

    def is_bound(self) -> bool:
        return bool(self.sessions)

    async def deliver(self, **fields: object) -> int:
        """Bring something to whoever is bound; the status that it is answered."""
        (session,) = self.sessions.values()
        return (await session.deliver_sm(**fields)).command_status


@contextlib.asynccontextmanager
async def smsc_on() -> AsyncIterator[Smsc]:
    """One that listens until the block ends."""
    port = free_port()
    server = smpp34.Server(host="127.0.0.1", port=port, system_id="smsc")
    await server.start()
    smsc = Smsc(port, server)
    serving = asyncio.create_task(smsc.serve())
    try:
        yield smsc
    finally:
        serving.cancel()
        await server.stop()
