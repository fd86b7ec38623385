"""The small operator the tests play: numbers that stand for trunks, phones, and what the database says of a call."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from math import ceil
from typing import Any, ClassVar, Final

from rating_engine.process.engine_process import EngineProcess
from rating_engine.storage.postgres.pool import Database
from tests.asterisk.exchange import Exchange
from tests.support.world import add_account, publish_deck

PRICE: Final = Decimal("0.01")  # a second, on every 49 number (world.CENT_A_SECOND)
TOLERANCE_MS: Final = 200  # RATING_TOLERANCE_MS as shipped
UNTIL_SECONDS: Final = 15.0  # nothing waited for here takes longer than a few

# A number's first digits choose the routes, a route's name is the context that plays the trunk,
# and the last digit of the number is how long its party talks before hanging up (0: for ever).
ANSWERED: Final = "49100000"
RINGS: Final = "4920000000"
FULL_THEN_ANSWERED: Final = "49300000"
FULL_EVERYWHERE: Final = "4940000000"
RINGS_A_SECOND_THEN_ANSWERS: Final = "49500000"
ANSWERED_BY_LOCAL_CHANNEL: Final = "4960000000"
ROUTES: Final = (
    ("answers", "491", 1),
    ("rings", "492", 2),
    ("full", "493", 3),
    ("answers-after-full", "493", 4),
    ("full-first", "494", 5),
    ("full-second", "494", 6),
    ("rings-first", "495", 7),
    ("leaves-a-local-channel", "496", 8),
)

_DIALPLAN: Final = """
[globals](+)
RATING_ENGINE=127.0.0.1:{port}
RATING_TECH=Local
RATING_RING_SECONDS=2
; the phones of these tests are Local channels with /n, which want no leg of their own
RATING_OWN_LEG=never
{settings}

[phones]
include => rating-outbound
; after a menu that has answered the caller
exten => _8X.,1,Answer()
 same => n,Wait(1)
 same => n,Goto(rating-outbound,${{EXTEN:1}},1)
; a dialplan that chooses the trunks itself: full, then one of unknown name, then one that answers
exten => _6X.,1,Gosub(rating-call,s,1(${{EXTEN:1}},,,,full))
 same => n,Set(FIRST=${{RATING_OUTCOME}} ${{RATING_CAUSE}})
 same => n,Gosub(rating-call,s,1(${{EXTEN:1}},,,,nobody))
 same => n,Set(SECOND=${{RATING_OUTCOME}} ${{RATING_REASON}})
 same => n,Set(RATING_NUMBER=${{EXTEN:1}})
 same => n,Gosub(rating-dialled,s,1(,,,answers-after-full))
; dialled within a subroutine that has arguments of its own
exten => _5X.,1,Gosub(has-arguments,s,1(somebody,4930222,4930333,full))
; two calls one after the other on the caller's channel
exten => _7X.,1,Gosub(rating-call,s,1(${{EXTEN:1}}))
 same => n,Set(FIRST=${{RATING_OUTCOME}} ${{RATING_CAUSE}})
 same => n,Gosub(rating-call,s,1(${{EXTEN:1}}))
 same => n,Set(SECOND=${{RATING_OUTCOME}} ${{RATING_CAUSE}})

; where transferred calls go: stays as many seconds as the extension says, then dials something that is not rated
[elsewhere]
exten => _0X!,1,Answer()
 same => n,Wait(${{EXTEN:1}})
 same => n,Dial(Local/1234@busy/n)
 same => n,Hangup(16)
; a rated call, on the channel that was transferred here: of the operator's own accord, and as shipped
exten => _9X.,1,Gosub(rating-call,s,1(${{EXTEN:1}},${{CHANNEL(accountcode)}}))
exten => _8X.,1,Gosub(rating-call,s,1(${{EXTEN:1}}))

; the same with a pattern that matches h too, the extension that is run when a call has ended
[greedy]
exten => 01,1,Wait(1)
 same => n,Hangup(16)
exten => _.,1,Gosub(rating-call,s,1(${{EXTEN}},${{CHANNEL(accountcode)}}))

[has-arguments]
exten => s,1,Set(RATING_NUMBER=49100000#)
 same => n,Gosub(rating-dialled,s,1)
 same => n,Return

[answers]
exten => _X.,1,Answer()
 same => n,GotoIf($[${{EXTEN:-1}} = 0]?ever)
 same => n,Wait(${{EXTEN:-1}})
 same => n,Hangup(16)
 same => n(ever),Wait(60)

[answers-after-full]
include => answers

[busy]
exten => _X.,1,Hangup(17)

[full]
exten => _X.,1,Hangup(34)

[full-first]
include => full

[full-second]
include => full

[rings]
exten => _X.,1,Ringing()
 same => n,Wait(60)

[rings-first]
exten => _X.,1,Ringing()
 same => n,Wait(1)
 same => n,Goto(answers,${{EXTEN}},1)

; its Local channel takes itself out of the call once both sides are answered
[leaves-a-local-channel]
exten => _X.,1,Answer()
 same => n,Dial(Local/${{EXTEN}}@answers/n)
"""


def dialplan(engine_port: int, settings: str = "") -> str:
    """What stands below the shipped file: globals as an operator sets them, phones, and trunks that play."""
    return _DIALPLAN.format(port=engine_port, settings=settings)


async def seed(database: Database) -> None:
    """A tariff with one cent a second on 49, and the routes above."""
    await publish_deck(database)
    for name, prefix, position in ROUTES:
        await database.fetch(
            "INSERT INTO routes (name, number_prefix, position) VALUES ($1, $2, $3)", name, prefix, position
        )


@dataclass
class Pbx:
    """The engine, the exchange and the database for one test; its logins are its own."""

    database: Database
    engine: EngineProcess
    exchange: Exchange
    _numbers: ClassVar[Iterator[int]] = itertools.count(1)

    async def account(self, balance: str) -> str:
        """Make a prepaid account with one subscriber; return the login."""
        login = f"caller-{next(self._numbers)}"
        await add_account(self.database, login, balance=balance)
        return login

    @contextlib.asynccontextmanager
    async def global_variable(self, name: str, value: str) -> AsyncIterator[None]:
        """Set one of the exchange's [globals] for calls that begin meanwhile."""
        before = await self.exchange.ami.action("Getvar", Variable=name)
        await self.exchange.ami.action("Setvar", Variable=name, Value=value)
        try:
            yield
        finally:
            await self.exchange.ami.action("Setvar", Variable=name, Value=before[0]["Value"])

    async def money(self, login: str) -> tuple[Any, Any]:
        """Return the balance and what is reserved of it, Decimals both."""
        (row,) = await self.database.fetch(
            "SELECT balance, reserved FROM accounts JOIN subscribers USING (account_id) WHERE login = $1", login
        )
        return row["balance"], row["reserved"]

    async def cdrs(self, login: str) -> list[Any]:
        """Return the CDRs of a login in the order of its attempts."""
        return await self.database.fetch(
            "SELECT c.* FROM cdrs c JOIN subscribers USING (subscriber_id) WHERE login = $1 "
            "ORDER BY prepared_at, attempt",
            login,
        )

    async def open_calls(self, login: str) -> list[str]:
        """Return the keys of a login's open reservations."""
        rows = await self.database.fetch(
            "SELECT call_key FROM reservations JOIN subscribers USING (subscriber_id) WHERE login = $1", login
        )
        return [row["call_key"] for row in rows]

    async def no_open_call(self, login: str) -> bool:
        return await self.open_calls(login) == []

    async def expire_now(self, login: str) -> None:
        """Let the time of a login's open reservations run out; the engine finds them at its next turn."""
        await self.database.fetch(
            "UPDATE reservations SET expires_at = now() - interval '1 second' "
            "WHERE subscriber_id = (SELECT subscriber_id FROM subscribers WHERE login = $1)",
            login,
        )


def charged_seconds(milliseconds: str) -> int:
    """What the shipped file counts of a conversation it measured."""
    return max(1, ceil((int(milliseconds) - TOLERANCE_MS) / 1000))


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = UNTIL_SECONDS) -> None:
    """Wait for a condition; raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while True:
            if await condition():
                return
            await asyncio.sleep(0.05)
