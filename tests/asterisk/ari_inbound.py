"""What callers from outside do in the scenarios of test_ari, and what the owners of the numbers are charged of it."""

from __future__ import annotations

import wave
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from rating_engine.domain.call_rules import Action, CallRule, Condition
from rating_engine.domain.did import NewDid
from rating_engine.domain.party import NewParty
from rating_engine.domain.principal import OPERATOR
from rating_engine.domain.recording import Recording
from rating_engine.engine.services import open_services
from rating_engine.settings.model import Settings
from tests.asterisk.ari import MAILBOX, MUSIC, MUSIC_VOICE
from tests.asterisk.ari_world import (
    ANSWERS,
    BY_DIALPLAN,
    DID_PRICE,
    FORWARDS,
    KEPT,
    RINGS_OWNER,
    World,
    charges,
    fits,
    seconds_of,
)
from tests.asterisk.pbx import until
from tests.asterisk.phone import Leg


async def a_number_rings_its_owners_phone(world: World, login: str) -> None:
    caller = await (await world.trunks["elsewhere"].call(RINGS_OWNER)).answered()
    await caller.hears(world.caller(login))
    await caller.talk_on(1.7)
    await caller.hang_up()
    (phone,) = world.caller(login).calls
    await phone.ended()
    (cdr,) = await world.cdrs(login)
    seconds = seconds_of(caller)
    assert (cdr["seconds"], cdr["cost"], cdr["is_did"]) == (seconds, DID_PRICE * seconds, RINGS_OWNER)


async def a_busy_owners_call_is_forwarded_and_both_are_charged(world: World, login: str) -> None:
    caller = await (await world.trunks["elsewhere"].call(FORWARDS)).answered()
    theirs = await world.called("carrier", ANSWERS + "87")
    await caller.hears(world.trunks["carrier"])
    await theirs.talk_on(1.7)
    await theirs.hang_up()
    await caller.ended()
    cdrs = {cdr["route_name"]: cdr for cdr in await world.cdrs(login)}
    assert fits(caller, cdrs["inbound"]["seconds"])
    assert fits(theirs, cdrs["carrier"]["seconds"])
    assert cdrs["carrier"]["from_originate"] == FORWARDS


async def a_conversation_is_kept_and_who_waits_hears_music(world: World, login: str) -> None:
    """The phone is busy at first: of that nothing is kept, nor of the forward behind it, whose rule keeps nothing."""
    phone = world.caller(login)
    phone.on_call = busy
    caller = await (await world.trunks["elsewhere"].call(KEPT)).answered()
    theirs = await world.called("carrier", ANSWERS + "88")
    await caller.hears(world.trunks["carrier"])
    await caller.talk_on(0.7)
    await theirs.hang_up()
    await caller.ended()
    assert await recordings_of(world, login) == []
    waits: list[Leg] = []
    phone.on_call = lambda leg: rings_only(leg, waits)
    caller = await world.trunks["elsewhere"].call(KEPT)

    async def hears_music() -> bool:
        return bool(waits) and caller.sound.heard.get(MUSIC_VOICE, 0) > 10

    await until(hears_music)
    assert caller.answered_at is None
    await waits[0].answer()
    await caller.answered()
    await caller.hears(phone)
    await waits[0].hears(world.trunks["elsewhere"])
    music = caller.sound.heard[MUSIC_VOICE]
    await caller.talk_on(1.7)
    assert caller.sound.heard[MUSIC_VOICE] == music
    await caller.hang_up()
    await waits[0].ended()
    cdrs = [cdr for cdr in await world.cdrs(login) if cdr["route_name"] == "inbound"]
    assert cdrs[-1]["seconds"] == seconds_of(caller)
    (kept,) = await recordings_of(world, login)
    with wave.open(str(world.recordings / f"{kept.name}.wav")) as sound:
        assert abs(sound.getnframes() / sound.getframerate() - caller.talked) < 0.5


async def the_dialplan_does_what_it_does_better(world: World, login: str) -> None:
    """Voicemail, a message and a fax, by inbound.conf: each comes back, or is charged until the caller ends."""
    rules = (
        CallRule(action=Action.VOICEMAIL, destination=f"{MAILBOX}@default"),
        CallRule(action=Action.MESSAGE, destination="anna@example.com"),
        CallRule(action=Action.FAX, destination="anna@example.com"),
        CallRule(action=Action.DISA),
    )
    numbers = {f"{BY_DIALPLAN}{place}": rule for place, rule in enumerate(rules)}
    async with open_services(Settings(database_url=world.url)) as services:
        use = services.of(OPERATOR)
        for number, rule in numbers.items():
            await use.dids.add(NewDid(number, f"of-{login}"))
            await use.call_rules.add(number, rule)
    legs = [await (await world.trunks["elsewhere"].call(number)).answered() for number in numbers]
    voicemail, message, fax, disa = legs
    await disa.ended()  # calling-card.conf is not included: it comes back at once
    for leg in (voicemail, message, fax):
        await leg.talk_on(3.7)
        await leg.hang_up()
    assert charges(await world.cdrs(login), *legs)
    box = world.recordings.parent / f"voicemail/default/{MAILBOX}"
    assert [path.name for path in box.rglob("*.wav")] == ["msg0000.wav"]
    (kept,) = [each.name for each in await recordings_of(world, login) if each.called == message.number]
    with wave.open(str(world.recordings / f"{kept}.wav")) as sound:
        assert abs(sound.getnframes() / sound.getframerate() - message.talked) < 0.7


async def recordings_of(world: World, login: str) -> Sequence[Recording]:
    """Those that an owner has, as he is shown them."""
    async with open_services(Settings(database_url=world.url, recordings_directory=str(world.recordings))) as services:
        day = timedelta(days=1)
        now = datetime.now(UTC)
        return await services.of(OPERATOR).recordings.of(f"of-{login}", now - day, now + day)


async def rings_only(leg: Leg, them: list[Leg]) -> None:
    await leg.ring()
    them.append(leg)


async def busy(leg: Leg) -> None:
    await leg.refuse(486)


async def give_numbers(world_url: str, owners: Mapping[str, str]) -> None:
    """A number for each login; the second one's rules forward where its phone is busy."""
    async with open_services(Settings(database_url=world_url)) as services:
        use = services.of(OPERATOR)
        for login, number in owners.items():
            await use.parties.create(NewParty(f"of-{login}"))
            await use.accounts.give(login, f"of-{login}")
            await use.dids.add(NewDid(number, f"of-{login}"))
            kept = {"music": MUSIC, "record": True} if number == KEPT else {}
            await use.call_rules.add(number, CallRule(timeout=10, **kept))
        for number, destination in ((FORWARDS, ANSWERS + "87"), (KEPT, ANSWERS + "88")):
            forward = CallRule(condition=Condition.BUSY, action=Action.FORWARD, destination=destination)
            await use.call_rules.add(number, forward)
        await use.dids.set_inbound_price("retail", "inbound")
