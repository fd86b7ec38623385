"""The services of calls, wired: what plans them, holds and charges their money, and what helps in an outage.

Made in one order, each of what stands before it: finishing knows no spool, the spool replays by finishing, and charging
is given both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Final

from rating_engine.services.calls.charging import Charging
from rating_engine.services.calls.conflicts import Conflicts
from rating_engine.services.calls.finish import Finishing
from rating_engine.services.calls.hold import ChargingPolicy
from rating_engine.services.calls.inbound import InboundCalls
from rating_engine.services.calls.low_balance import LowBalances
from rating_engine.services.calls.observed import Observed
from rating_engine.services.calls.plan import Planning
from rating_engine.services.calls.ports import Cards, ExchangeWatch, Now, utc_now
from rating_engine.services.calls.prepare import CallBack, Preparing
from rating_engine.services.calls.refused_calls import RefusedNotes
from rating_engine.services.calls.undo import Undo
from rating_engine.services.facts.memory import CallMemory
from rating_engine.services.outage.finish_spool import FinishSpool
from rating_engine.services.outage.local_outage import LocalOutage
from rating_engine.services.outage.offline_calls import OfflineCalls
from rating_engine.services.outage.refused import Posted, post_refused
from rating_engine.settings.model import Settings
from rating_engine.settings.sources import SHARED_CALLS_VARIABLE
from rating_engine.storage.calls.exchange_watch import count_conflicts
from rating_engine.storage.calls.ledger import Ledger
from rating_engine.storage.calls.refused_calls import keep_refused
from rating_engine.storage.calls.reseller_funds import reseller_funds
from rating_engine.storage.calls.shared_calls import SharedCalls
from rating_engine.storage.parties.accounts import account_state
from rating_engine.storage.parties.offline import offline_accounts
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.spool.promises import Promises
from rating_engine.storage.spool.spool import Spool
from rating_engine.storage.spool.unheard import UnheardFile
from rating_engine.telemetry.metrics import Metrics

POSTING_CONNECTIONS: Final = 2  # of a command that posts finishes one after the other


@dataclass(frozen=True, slots=True)
class Calling:
    """What an engine does with calls."""

    charging: Observed
    finishing: Finishing
    undo: Undo
    finish_spool: FinishSpool
    offline: OfflineCalls
    conflicts: Conflicts
    refused: RefusedNotes


@dataclass(frozen=True, slots=True)
class Doors:
    """To PostgreSQL: for calls, and for everything else."""

    calls: Database
    office: Database


@dataclass(frozen=True, slots=True)
class Grounds:
    """What it stands on."""

    doors: Doors
    ledger: Ledger
    memory: CallMemory
    spool: Spool
    metrics: Metrics
    unheard: UnheardFile
    now: Now
    is_watched: ExchangeWatch
    is_banned: Callable[[str], bool]
    call_back: CallBack
    cards: Cards
    shared_calls: SharedCalls | None = None


def wire_calls(settings: Settings, grounds: Grounds) -> Calling:
    """Every service of calls; nothing is asked of anybody yet."""
    ledger, memory, metrics, now = grounds.ledger, grounds.memory, grounds.metrics, grounds.now
    calls_door = grounds.doors.calls
    policy = policy_of(settings)
    planning = Planning(memory.sources, policy, is_watched=grounds.is_watched)
    finishing = Finishing(
        ledger=ledger,
        planning=planning,
        sources=memory.sources,
        now=now,
        shared=grounds.shared_calls,
        on_suspicion=metrics.suspicious,
    )
    finish_spool = FinishSpool(
        grounds.spool, finishing.finish, is_up=lambda: calls_door.down is None, observer=metrics, now=now
    )
    offline = _offline_calls(settings, policy, grounds)
    undo = Undo(ledger, grounds.unheard)
    conflicts = Conflicts(partial(count_conflicts, grounds.doors.office))
    preparing = Preparing(
        ledger=ledger,
        planning=planning,
        sources=memory.sources,
        stale=memory,
        remembered=finishing.remembered,
        undo=undo,
        now=now,
        funds_of=partial(reseller_funds, calls_door),
        conflict=conflicts.note,
        is_banned=grounds.is_banned,
        call_back=grounds.call_back,
        is_low=LowBalances(calls_door, memory.exchange_rates.get, now, settings.system_currency),
    )
    charging = Charging(
        preparing=preparing,
        finishing=finishing,
        undo=undo,
        outage=LocalOutage(finish_spool, offline),
        read_account=lambda login: account_state(calls_door, login),
        inbound=InboundCalls(calls_door, preparing, now),
        cards=grounds.cards,
    )
    refused = RefusedNotes(partial(keep_refused, grounds.doors.office), now)
    observed = Observed(charging, metrics, refused.note)
    return Calling(observed, finishing, undo, finish_spool, offline, conflicts, refused)


def _offline_calls(settings: Settings, policy: ChargingPolicy, grounds: Grounds) -> OfflineCalls:
    return OfflineCalls(
        settings.allow_postpaid_logins if settings.on_database_down == "allow_postpaid" else (),
        Promises(grounds.spool.directory),
        load_accounts=lambda logins: offline_accounts(grounds.doors.office, logins),
        memory=grounds.memory,
        has_room=lambda: grounds.spool.has_room,
        on_allowed=grounds.metrics.offline_allowed,
        policy=policy,
        max_seconds=settings.offline_max_seconds,
        now=grounds.now,
    )


def policy_of(settings: Settings) -> ChargingPolicy:
    """How calls are planned, by the settings."""
    return ChargingPolicy(
        max_call_seconds=settings.max_call_seconds,
        max_reserve_seconds=settings.max_reserve_seconds,
        reservation_grace_seconds=settings.reservation_grace_seconds,
        international_prefix=settings.international_prefix,
        quota=settings.reservation_mode == "quota",
        quota_seconds=settings.quota_seconds,
        reservation_share=Decimal(settings.reservation_share_percent) / 100,
        reservation_floor_seconds=settings.reservation_floor_seconds,
        watches_exchanges=bool(settings.ami_exchanges or settings.ari_exchanges),
    )


async def post_refused_finishes(settings: Settings, directory: Path) -> list[Posted]:
    """What was kept aside in a spool directory, charged by the services of calls. Errors: Unavailable, OSError."""
    database = Database(settings.database_url, pool_size=POSTING_CONNECTIONS)
    await database.open()
    try:
        sources = CallMemory(database, international_prefix=settings.international_prefix).sources
        ledger = Ledger(database)
        planning = Planning(sources, policy_of(settings))
        finishing = Finishing(ledger=ledger, planning=planning, sources=sources, now=utc_now)
        return await post_refused(directory, finishing.finish)
    finally:
        await database.close()


def inherited_calls(environment: Mapping[str, str]) -> SharedCalls | None:
    """The memory of calls that this process shares with other workers; None: it is alone."""
    return SharedCalls.inherited(environment, SHARED_CALLS_VARIABLE)
