"""A FastAGI server that does nothing: our own, with a service that allows every call out of thin air.

What it serves a second is the most that any charging behind the same protocol could.
"""

from __future__ import annotations

import asyncio
import sys
from decimal import Decimal

import uvloop

from agi.fastagi.server import FastAgiServer
from rating_engine.domain.outcomes import (
    Allowed,
    Balance,
    CallKey,
    Declined,
    DeclineReason,
    FinishCall,
    PrepareCall,
    Saved,
)
from rating_engine.process.sockets import listen


class NothingService:
    """Allows, saves, and keeps nothing."""

    async def prepare_call(self, call: PrepareCall) -> Allowed:
        """Allowed, for an hour."""
        return Allowed(call.call_key, 3600, call.destination, "", "Nowhere", "", "route", Decimal(1), "EUR")

    async def finish_call(self, call: FinishCall) -> Saved:
        """Saved, at one euro."""
        return Saved(
            call.call_key, Decimal(1), "EUR", 60, call.seconds, "Nowhere", call.destination, "", "route", "ANSWER", 16
        )

    async def balance(self, login: str, call: PrepareCall | None = None) -> Balance:
        """Nothing."""
        return Balance(login, "EUR", Decimal(0), Decimal(0), Decimal(0), Decimal(0))

    async def prepare_inbound(self, call: PrepareCall) -> Declined:
        """No number is ours."""
        return Declined(DeclineReason.UNKNOWN_NUMBER)

    async def next_inbound(self, call: object, exchange: str) -> Declined:
        """No number is ours."""
        return Declined(DeclineReason.UNKNOWN_NUMBER)

    async def abandon_call(self, call_key: CallKey, login: str, claim: object = None) -> None:
        """Nothing was held."""


async def run(port: int) -> None:
    server = FastAgiServer(NothingService(), sock=listen("127.0.0.1", port, reuse_port=True))
    await server.start()
    print(server.port, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(run(int(sys.argv[1]) if len(sys.argv) > 1 else 0))
