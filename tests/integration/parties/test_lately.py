"""Who is let in is remembered for a moment, by every engine; and who is let in no more is so from the answer on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from rating_engine.domain.api_key import KeyChanges, KeyKind, NewKey
from rating_engine.domain.party import Level, NewParty, PartyKind, PartyState
from rating_engine.domain.principal import OPERATOR
from rating_engine.domain.refusal import NotAdmitted, Refusal
from rating_engine.engine.engine import Engine
from rating_engine.services.catalogue import UseCases
from rating_engine.services.parties.access import Door
from rating_engine.services.parties.lately import LATELY_SECONDS, Lately
from tests.support.engines import engine_on, hear_nothing

DOOR = Door("test", "192.0.2.7")


@pytest.fixture
async def engines(database_url: str) -> AsyncIterator[tuple[Engine, Engine]]:
    """Two that hear nothing of each other's changes."""
    unlimited = {"server_key_requests_per_minute": 0, "address_requests_per_minute": 0}
    async with engine_on(database_url, **unlimited) as one, engine_on(database_url, **unlimited) as other:
        for engine in (one, other):
            hear_nothing(engine)
        yield one, other


async def told(engine: Engine, secret: str) -> Refusal | None:
    asking = await engine.services.access.authenticate(secret, DOOR)
    return asking.reason if isinstance(asking, NotAdmitted) else None


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        (lambda use: use.keys.revoke("pbx"), Refusal.UNKNOWN_KEY),
        (lambda use: use.keys.change("pbx", KeyChanges(enabled=False)), Refusal.UNKNOWN_KEY),
        (lambda use: use.keys.change("pbx", KeyChanges(sources=("198.51.100.1",))), Refusal.WRONG_ADDRESS),
        (lambda use: use.keys.change("pbx", KeyChanges(secure_only=True)), Refusal.NOT_SECURE),
        (lambda use: use.parties.set_status("firm", PartyState.LOCKED), Refusal.LOCKED),
        (lambda use: use.parties.delete("firm"), Refusal.UNKNOWN_KEY),
    ],
    ids=["revoked", "switched off", "from elsewhere", "encrypted alone", "owner locked", "owner deleted"],
)
async def test_the_next_request_on_any_engine_goes_by_a_change_that_was_answered(
    engines: tuple[Engine, Engine], change: Callable[[UseCases], Awaitable[object]], refusal: Refusal
):
    use = engines[0].services.of(OPERATOR)
    await use.parties.create(NewParty("firm", PartyKind.RESELLER))
    made = await use.keys.add(NewKey("pbx", KeyKind.SERVER, Level.RESELLER, owner="firm"))
    done = asyncio.Event()
    heard: list[Refusal | None] = []

    async def ask_on(engine: Engine) -> None:
        """As a busy exchange does: what is known is known from a moment ago, whenever the change comes."""
        while not done.is_set():
            await told(engine, made.secret)
            await asyncio.sleep(0)  # what is remembered suspends nobody
        heard.append(await told(engine, made.secret))

    busy = [asyncio.create_task(ask_on(engine)) for engine in engines]
    assert [await told(engine, made.secret) for engine in engines] == [None, None]
    await change(use)
    done.set()
    await asyncio.gather(*busy)

    assert heard == [refusal, refusal]


async def test_what_is_asked_again_and_again_is_read_once_a_moment_and_what_is_not_there_each_time():
    now, reads = [0.0], []
    lately = Lately(monotonic=lambda: now[0])

    async def read() -> int | None:
        reads.append(now[0])
        return None if len(reads) == 1 else 7

    for moment in (0.0, 0.1, 0.2, 0.3, 0.2 + LATELY_SECONDS, 0.3 + LATELY_SECONDS):
        now[0] = moment
        await lately.ask("key", read)

    assert reads == [0.0, 0.1, 0.2 + LATELY_SECONDS]
