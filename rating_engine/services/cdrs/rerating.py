"""Re-rating: what past calls cost by a corrected deck is worked out and shown first, and posted as corrections then.

Laws: nothing is posted that was not shown. A call is corrected at most once by a re-rating, and by exactly the
difference between its new cost and its old one. What the deck does not serve is listed and left as it is. Reading and
posting may be cut off anywhere, and go on where they were.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from rating_engine.domain.errors import Hint, InvalidRequest, NotFound
from rating_engine.domain.past_call import CallRange, PastCall
from rating_engine.domain.principal import ENGINE, Principal
from rating_engine.domain.rerate import CorrectionOutcome, Rerate, RerateItem, RerateState
from rating_engine.domain.tariff import PublishedDeck, Tariff
from rating_engine.rating.matching import EVER_SINCE
from rating_engine.rating.rate import Rate
from rating_engine.services.cdrs.repricing import Problem, Repriced, Repricing
from rating_engine.services.facts.memory import CallMemory
from rating_engine.storage import audit_log
from rating_engine.storage.calls import rerates as store
from rating_engine.storage.calls.past_calls import about_how_many, read_portion
from rating_engine.storage.decks.deck_removal import decks_kept
from rating_engine.storage.decks.deck_versions import find_version
from rating_engine.storage.decks.rate_edits import load_edits
from rating_engine.storage.parties.subscribers import SubscriberReader
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.tariffs.tariffs import load_named_tariff

MAX_PREFIX: Final = 32  # digits; no destination has more


@dataclass(frozen=True, slots=True)
class RerateRequest:
    """Price the calls of a tariff again that were prepared in [calls_from, calls_to), and priced by it.

    `version`: of the deck; None: the one in force now. `login`, `prefix`: only those calls.
    """

    tariff: str
    calls_from: datetime
    calls_to: datetime
    version: int | None = None
    login: str | None = None
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class ReadingProgress:
    """CDRs gone through now, of `about` so many (None: not known); calls in range and calls to list, all in all."""

    gone_through: int
    about: int | None
    calls: int


@dataclass(frozen=True, slots=True)
class PostingProgress:
    """Calls asked for of those that were to be corrected, and what became of them."""

    done: int
    total: int
    corrected: int
    left_alone: int


async def begin(database: Database, principal: Principal, request: RerateRequest) -> Rerate:
    """A new re-rating, of which nothing is read yet. Errors: NotFound, InvalidRequest, Unavailable."""
    if len(request.prefix) > MAX_PREFIX or not (request.prefix + "0").isdecimal() or not request.prefix.isascii():
        raise InvalidRequest("prefix", f"{request.prefix!r} is not up to {MAX_PREFIX} digits")
    tariff = await tariff_named(database, request.tariff)
    async with database.connection() as connection:
        version = await find_version(connection, request.tariff, request.version)
    wanted = await call_range(
        database, tariff, request.calls_from, request.calls_to, login=request.login, prefix=request.prefix
    )
    if await store.resellers_were_charged(database, wanted):
        raise InvalidRequest(
            "tariff",
            f"resellers were charged by {request.tariff} for calls of that time, which no re-rating corrects; do it by"
            " account adjust, or take a time without such calls",
        )
    async with database.transaction(principal) as tx:
        rerate_id = await store.begin_rerate(
            tx, wanted, tariff_version=tariff.version, deck_id=version.deck_id, deck_version=version.version
        )
        asked = {"tariff": request.tariff, "deck": version.version, "from": wanted.calls_from, "to": wanted.calls_to}
        await audit_log.record(tx, "rerate.begin", str(rerate_id), asked)
    return await store.find_rerate(database, rerate_id)


async def read(
    database: Database,
    rerate: Rerate,
    *,
    international_prefix: str,
    on_progress: Callable[[ReadingProgress], None] = lambda progress: None,
) -> Rerate:
    """Price what was not read yet of its calls; then it is open. Takes two connections.

    Errors: InvalidRequest (its state, its tariff was changed since), NotFound (the deck was removed), Unavailable.
    """
    if rerate.state is not RerateState.READING:
        raise InvalidRequest("id", f"re-rating {rerate.rerate_id} is {rerate.state}: it was read whole")
    memory = CallMemory(database, international_prefix=international_prefix)
    async with decks_kept(database):
        tariff = await tariff_named(database, rerate.tariff)
        if tariff.version != rerate.tariff_version:
            raise InvalidRequest(
                "id",
                f"the tariff {rerate.tariff} was changed since re-rating {rerate.rerate_id} was begun, and one half of"
                f" it would be priced otherwise",
                hint=Hint.DISCARD_RERATE,
                about={"rerate_id": str(rerate.rerate_id)},
            )
        repricing = Repricing(memory.sources, tariff, await deck_of(database, rerate.tariff, rerate.deck_version))
        about, gone_through, calls = await about_how_many(database), 0, rerate.calls
        position = rerate.position
        while (portion := await read_portion(database, rerate.range, position)) is not None:
            items = [item for call in portion.calls if (item := await _item(repricing, call, rerate.deck_id))]
            async with database.transaction(ENGINE) as tx:
                await store.keep_portion(tx, rerate, position, portion.last, len(portion.calls), items)
            position = portion.last
            gone_through += portion.gone_through
            calls += len(portion.calls)
            on_progress(ReadingProgress(gone_through, about, calls))
    await store.end_reading(database, rerate.rerate_id)
    return await store.find_rerate(database, rerate.rerate_id)


async def post(
    database: Database,
    principal: Principal,
    rerate_id: int,
    *,
    on_progress: Callable[[PostingProgress], None] = lambda progress: None,
) -> PostingProgress:
    """Post the corrections that were not posted yet. That it was begun stands in the audit log before the first.

    Errors: NotFound, InvalidRequest (its state), Unavailable.
    """
    rerate = await store.find_rerate(database, rerate_id)
    if rerate.state is RerateState.READING:
        raise InvalidRequest(
            "id", "not all of it was read", hint=Hint.RESUME_RERATE, about={"rerate_id": str(rerate_id)}
        )
    if rerate.state is RerateState.DISCARDED:
        raise InvalidRequest("id", f"re-rating {rerate_id} was discarded")
    progress = PostingProgress(0, await store.unposted(database, rerate_id), 0, 0)
    async with database.transaction(principal) as tx:  # the corrections themselves commit by themselves, in batches
        await audit_log.record(tx, "rerate.post", str(rerate_id), {"calls": progress.total})
    for bucket in await store.buckets_of(database, rerate_id):
        after = ""
        while keys := await store.next_unposted(database, bucket, rerate_id, after):
            outcomes = await store.correct_calls(database, bucket, rerate_id, keys)
            if CorrectionOutcome.CLOSED in outcomes:
                raise InvalidRequest("id", f"re-rating {rerate_id} was discarded meanwhile")
            progress = replace(
                progress,
                done=progress.done + len(keys),
                corrected=progress.corrected + outcomes.count(CorrectionOutcome.CORRECTED),
                left_alone=progress.left_alone + outcomes.count(CorrectionOutcome.CHANGED),
            )
            on_progress(progress)
            after = keys[-1]
    await store.end_posting(database, rerate_id)
    return progress


async def discard(database: Database, principal: Principal, rerate_id: int) -> None:
    """Drop a re-rating of which nothing was posted. Errors: NotFound, InvalidRequest, Unavailable."""
    async with database.transaction(principal) as tx:
        await store.discard(tx, rerate_id)
        await audit_log.record(tx, "rerate.discard", str(rerate_id))
    await store.remove_items(database, rerate_id)


async def tariff_named(database: Database, name: str) -> Tariff:
    """The tariff of this name. Errors: NotFound, Unavailable."""
    tariff = await load_named_tariff(database, name)
    if tariff is None:
        raise NotFound(f"there is no tariff {name}", field="tariff", hint=Hint.SEE_DECKS)
    return tariff


async def deck_of(database: Database, tariff: str, version: int | None) -> PublishedDeck:
    """A version of a tariff's deck (None: the one in force), to look numbers up in. Errors: NotFound, Unavailable."""
    async with database.connection() as connection:
        found = await find_version(connection, tariff, version)
        edits = await load_edits(connection, found.deck_id)
    key = f"{found.deck_id}.{found.published_at.isoformat()}"
    return PublishedDeck(found.deck_id, found.version, EVER_SINCE, found.longest_prefix, key, edits)


async def call_range(
    database: Database, tariff: Tariff, calls_from: datetime, calls_to: datetime, *, login: str | None, prefix: str = ""
) -> CallRange:
    """The calls of a tariff that were prepared in [calls_from, calls_to). Errors: NotFound (the login), InvalidRequest,
    Unavailable.
    """
    if calls_from >= calls_to:
        raise InvalidRequest("calls_to", f"{calls_to.isoformat()} is not after {calls_from.isoformat()}")
    subscriber_id = None
    if login is not None:
        subscriber = await SubscriberReader(database).by_login(login)
        if subscriber is None:
            raise NotFound(f"login {login!r} does not exist")
        subscriber_id = subscriber.subscriber_id
    return CallRange(tariff.tariff_id, calls_from, calls_to, subscriber_id, prefix)


async def _item(repricing: Repricing, call: PastCall, deck_id: int) -> RerateItem | None:
    """What becomes of a call; None where it stays as it is.

    A call that was not answered costs nothing by any deck. But where its end is only assumed, its rate has to be right,
    since a finish that comes late is charged by it.
    """
    if call.seconds == 0 and not call.provisional:
        return None
    found = await repricing.price(call)
    item = RerateItem(
        bucket=call.bucket,
        call_key=call.call_key,
        account_id=call.account_id,
        subscriber_id=call.subscriber_id,
        currency=call.currency,
        destination=call.destination,
        seconds=call.seconds,
        old_cost=call.cost,
        new_cost=None,
        direction=call.direction,
    )
    if isinstance(found, Problem):
        return replace(item, problem=found.value)
    if found.charge.cost == call.cost and call.rate and not (call.provisional and _is_other_rate(found, call)):
        return None
    return replace(
        item,
        new_cost=found.charge.cost,
        billed_seconds=found.charge.billed_seconds,
        rate=found.rate.to_json(),
        deck_id=deck_id,
        prefix=found.prefix,
        direction=found.direction,
    )


def _is_other_rate(found: Repriced, call: PastCall) -> bool:
    """Whether another end of the call would cost otherwise; what packages pay then is not of the rate."""
    before = Rate.from_json(call.rate)
    return replace(found.rate, covered_seconds=0) != replace(before, covered_seconds=0)
