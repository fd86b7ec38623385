"""Registered phones as they are kept: by the whole list at each connection, by events in between."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from rating_engine.domain.errors import Unavailable
from rating_engine.domain.exchanges import NewExchange
from rating_engine.domain.party import NewParty
from rating_engine.domain.phone_state import HeardPhone, PhoneState
from rating_engine.domain.principal import OPERATOR
from rating_engine.domain.sip_account import NewSipAccount
from rating_engine.engine.services import make_services
from rating_engine.services.catalogue import UseCases
from rating_engine.services.watch.phone_watch import PhoneWatch
from rating_engine.settings.model import Settings
from rating_engine.storage.calls.exchange_watch import say_watched
from rating_engine.storage.postgres.pool import Database
from tests.support.scripted_exchange import ScriptedExchange
from tests.support.world import publish_deck

ENDS = datetime(2030, 1, 1, tzinfo=UTC)
HEARD = HeardPhone("40000", True, "sip:40000@192.0.2.7:5060", "Snom/1", 1, ENDS)
GONE = HeardPhone("40000", online=False)


@dataclass
class World:
    use: UseCases
    database: Database
    exchange: ScriptedExchange
    watch: PhoneWatch
    counted: list[int] = field(default_factory=list)

    async def state(self, login: str = "40000") -> PhoneState | None:
        return (await self.use.sip_accounts.show(login)).state

    async def online(self, login: str = "40000") -> bool | None:
        state = await self.state(login)
        return None if state is None else state.online

    async def hear(self, *phones: HeardPhone) -> None:
        self.exchange.heard_phones.extend(phones)
        await self.watch.turn()


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    database = Database(database_url)
    await database.open()
    key = base64.urlsafe_b64encode(bytes(32)).decode()
    use = make_services(Settings(database_url=database_url, secret_keys=(key,)), database).of(OPERATOR)
    await publish_deck(database)
    await use.exchanges.add(NewExchange("pbx1"))
    await use.parties.create(NewParty("anna", tariff="retail"))
    for login in ("40000", "40001"):
        await use.sip_accounts.create(NewSipAccount(login=login, owner="anna", password="very-secret"))
    await say_watched(database, ["pbx1"], 600)
    exchange = ScriptedExchange("pbx1", phones=[HEARD, replace(HEARD, login="trunk")])
    counted: list[int] = []
    yield World(use, database, exchange, PhoneWatch(exchange, database, counted.append), counted)
    await database.close()


async def test_the_list_is_kept_for_lines_and_an_event_changes_what_it_says(world: World):
    assert await world.online() is None  # nobody has read it
    await world.watch.turn()
    state = await world.state()
    assert state is not None
    assert (state.online, state.address, state.user_agent, state.contacts) == (True, "192.0.2.7:5060", "Snom/1", 1)
    assert await world.online("40001") is None  # never seen
    assert await world.database.fetchval("SELECT count(*) FROM phone_states") == 1  # no row for what is nobody's

    await world.hear(GONE)
    left = await world.state()
    assert left is not None
    assert (left.online, left.contact, left.user_agent) == (False, state.contact, "Snom/1")  # the last known
    assert left.changed_at > state.changed_at
    assert left.registered_at == state.registered_at

    elsewhere = HeardPhone("40000", True, "sip:40000@192.0.2.9", contacts=1)
    await world.hear(elsewhere)
    back = await world.state()
    assert back is not None
    assert (back.online, back.address, back.user_agent) == (True, "192.0.2.9", "")  # another telephone perhaps
    assert back.registered_at > state.registered_at
    assert world.counted == [2, 1, 2]


async def test_a_registration_that_goes_on_is_seen_by_its_end(world: World):
    await world.watch.turn()
    first = await world.state()
    await world.hear(HEARD)
    assert await world.state() == first
    await world.hear(replace(HEARD, expires_at=ENDS + timedelta(minutes=2)))
    second = await world.state()
    assert first is not None
    assert second is not None
    assert second.registered_at > first.registered_at
    assert second.changed_at == first.changed_at


async def test_another_leader_reads_it_all_and_forgets_who_left_meanwhile(world: World):
    await world.watch.turn()
    world.exchange.phones = [replace(HEARD, login="40001")]
    await PhoneWatch(world.exchange, world.database, world.counted.append).turn()
    assert (await world.online(), await world.online("40001")) == (False, True)


async def test_a_new_connection_and_what_could_not_be_kept_are_read_anew(world: World, monkeypatch):
    await world.watch.turn()
    world.exchange.phones = []
    await world.watch.turn()
    assert await world.online() is True  # no event, and the list is not due
    world.exchange.session = 2
    await world.watch.turn()
    assert await world.online() is False

    async def away(*_: object) -> None:
        raise Unavailable("the database is away")

    with monkeypatch.context() as patch:
        patch.setattr("rating_engine.services.watch.phone_watch.note_phones", away)
        world.exchange.phones = [HEARD]
        with pytest.raises(Unavailable):
            await world.hear(HEARD)
    await world.watch.turn()
    assert await world.online() is True


async def test_nothing_is_said_of_phones_that_nobody_watches_or_can_list(world: World):
    world.exchange.unreachable = True
    with pytest.raises(Unavailable):
        await world.watch.turn()
    await world.hear(HEARD)
    assert await world.online() is None
    world.exchange.unreachable = False
    world.exchange.session = 2
    await world.watch.turn()
    assert await world.online() is True
    await say_watched(world.database, ["pbx1"], -120)
    assert await world.online() is None
    world.exchange.session = 0
    await world.watch.turn()
    assert world.counted[-1] == 0


async def test_a_number_that_was_given_up_tells_its_next_owner_nothing(world: World):
    await world.watch.turn()
    await world.database.fetch("UPDATE sip_accounts SET created_at = now()")
    assert await world.state() is None
