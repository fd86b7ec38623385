"""Money sent from one account to another over HTTP while faults strike: a few transfers, each noted with its answer."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

import httpx

from rating_engine.domain.api_key import KeyKind, NewKey
from rating_engine.domain.party import Level
from rating_engine.domain.principal import OPERATOR
from rating_engine.services.parties.keys import Keys
from rating_engine.storage.postgres.pool import Database

HOST = "127.0.0.1"
PAUSE_SECONDS = 0.1  # between two: faults find some on the wire, and calls have the machine
PATIENCE_SECONDS = 60.0  # an answer may have to wait until a fault is over
MOST_CENTS = 30


@dataclass
class Sent:
    """One transfer between the accounts of two logins. `done`: as was answered; None: nobody did, or nobody knows."""

    name: str  # stands in both entries
    sender: str
    receiver: str
    amount: Decimal
    done: bool | None = None


class Transfers:
    """One after the other, between the users LOGIN-user of some logins, until `stop`."""

    def __init__(self, port: Callable[[], int], logins: list[str], seed: int) -> None:
        self.all: list[Sent] = []
        self._numbers = itertools.count()
        self._port = port
        self._logins = logins
        self._random = random.Random(seed)
        self._secret = ""
        self._task: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()

    async def start(self, database: Database) -> None:
        """Make the key that asks, and begin."""
        key = NewKey("transfers", KeyKind.SERVER, Level.SYSTEM_SERVER, rate_limit=0)
        self._secret = (await Keys(database, OPERATOR).add(key)).secret
        self._task = asyncio.create_task(self._send_on(), name="transfers")

    async def stop(self) -> None:
        """No more; the last one has been answered, or lost."""
        self._stopping.set()
        if self._task is not None:
            await self._task

    async def _send_on(self) -> None:
        async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as http:
            while not self._stopping.is_set():
                sender, receiver = self._random.sample(self._logins, 2)
                amount = Decimal(self._random.randint(1, MOST_CENTS)) / 100
                await self._send(http, Sent(f"transfer {next(self._numbers)}", sender, receiver, amount))
                await asyncio.wait([asyncio.ensure_future(self._stopping.wait())], timeout=PAUSE_SECONDS)

    async def _send(self, http: httpx.AsyncClient, sent: Sent) -> None:
        url = f"http://{HOST}:{self._port()}/billing/api/2.2/{self._secret}/transferMoney"
        given = {
            "login": f"{sent.sender}-user",
            "destination": f"{sent.receiver}-user",
            "amount": str(sent.amount),
            "comment": sent.name,
        }
        try:
            answer = (await http.post(url, data=given)).json()
        except httpx.ConnectError:  # nobody was there to be asked
            return
        except (httpx.HTTPError, ValueError):
            self.all.append(sent)
            return
        self.all.append(sent)
        if answer["result"] is True:
            sent.done = True
        elif answer["response"] == "E_INSUFFICIENT_MONEY":
            sent.done = False
