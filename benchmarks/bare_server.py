"""A bare asyncio.Protocol that answers every FastAGI request with the same bytes: the floor under any Python server.

It neither reads what it is asked nor what is replied: request, one command, reply, close.
"""

from __future__ import annotations

import asyncio
import sys

import uvloop

BACKLOG = 1024  # connections that come at once, above any --at-a-time
ANSWER = (
    b'EXEC MSet "RATING_STATUS=ALLOWED,RATING_REASON=,RATING_MAX_SECONDS=3600,RATING_NUMBER=79010000001,'
    b'RATING_CALLERID=,RATING_DIRECTION=Nowhere,RATING_ROUTE_PREFIX=,RATING_ROUTE_NAME=route"\n'
)
SAVED = b'EXEC MSet "RATING_STATUS=SAVED,RATING_REASON=,RATING_COST=1,RATING_CURRENCY=EUR"\n'


class Bare(asyncio.Protocol):
    """One connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep it."""
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """The request, which comes in one read, or the reply."""
        if data.endswith(b"\n\n"):
            self.transport.write(ANSWER if b"callPrepare" in data else SAVED)
        else:
            self.transport.close()


async def run(port: int) -> None:
    """Serve until killed."""
    server = await asyncio.get_running_loop().create_server(Bare, "127.0.0.1", port, reuse_port=True, backlog=BACKLOG)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(run(int(sys.argv[1]) if len(sys.argv) > 1 else 0))
