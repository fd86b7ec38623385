"""What runs by itself, and can be asked for: a few steps, each of them by one engine of all at a time.

Laws: every step may be done again, or die anywhere, and does what is left to do; one that fails keeps no other from its
turn; one that somebody else is at is left to that one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

import structlog

from rating_engine.domain.errors import NotAllowed, RatingEngineError
from rating_engine.domain.party import Level
from rating_engine.domain.principal import ENGINE, Principal
from rating_engine.services.calls.ports import Now
from rating_engine.services.finance.invoice_mails import InvoiceMails
from rating_engine.services.finance.minimum_spends import MinimumSpends
from rating_engine.services.finance.monthly import MonthlyInvoices
from rating_engine.services.finance.printing import Printer
from rating_engine.services.finance.recurring import Recurring
from rating_engine.services.numbers.rents import Rents
from rating_engine.services.recordings import NO_RECORDINGS, RecordingFiles, mail_recordings
from rating_engine.services.support.balance_notices import BalanceNotices
from rating_engine.services.support.monitorings import Monitorings
from rating_engine.services.support.outbox import sweep_mail
from rating_engine.services.tariffs.rate_feed import AskRate, RateFeed
from rating_engine.storage.audit_log import record
from rating_engine.storage.idempotency import forget_old
from rating_engine.storage.messages.messages import forget_early
from rating_engine.storage.parties.keys import note_maintenance
from rating_engine.storage.postgres.one_at_a_time import one_at_a_time
from rating_engine.storage.postgres.pool import Database

RENTS: Final = "rents"
SUBSCRIPTIONS: Final = "subscriptions"
BALANCES: Final = "balance notices"
MINIMUMS: Final = "minimum spends"
MONITORINGS: Final = "monitorings"
RECORDINGS: Final = "recordings"

Step = Callable[[], Awaitable[object]]

_log = structlog.get_logger(__name__)


class StepOutcome(StrEnum):
    """What became of a step."""

    DONE = "done"
    RUNNING = "running"  # another engine is at it
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Upkeep:
    """How the settings have it. `did_grace`, `did_notice`: of rents. `ask_rate` None: nobody publishes rates."""

    did_grace: timedelta
    did_notice: timedelta
    ask_rate: AskRate | None
    rate_jump_percent: int
    system_currency: str
    invoice_days: int
    print_invoice: Printer
    recordings: RecordingFiles = NO_RECORDINGS


def steps_of(office: Database, now: Now, upkeep: Upkeep) -> dict[str, Step]:
    """All of them. Rents and fees go before the month is invoiced."""
    rents = Rents(office, ENGINE, now)
    invoices = MonthlyInvoices(office, ENGINE, now, days=upkeep.invoice_days)
    steps: dict[str, Step] = {
        "idempotency keys": lambda: forget_old(office),
        "mail": lambda: sweep_mail(office),
        "reports of messages": lambda: forget_early(office),
        RENTS: lambda: rents.turn(grace=upkeep.did_grace, notice=upkeep.did_notice),
        RECORDINGS: lambda: mail_recordings(office, upkeep.recordings, now),
        SUBSCRIPTIONS: Recurring(office, ENGINE, now).turn,
        MINIMUMS: MinimumSpends(office, ENGINE, now, system_currency=upkeep.system_currency).turn,
        BALANCES: BalanceNotices(office, ENGINE, now, system_currency=upkeep.system_currency).turn,
        MONITORINGS: Monitorings(office, ENGINE, now, system_currency=upkeep.system_currency).turn,
        "monthly invoices": invoices.turn,
        "invoice mails": InvoiceMails(office, ENGINE, upkeep.print_invoice).turn,
    }
    if upkeep.ask_rate is not None:
        feed = RateFeed(office, ENGINE, now, upkeep.ask_rate, jump_percent=upkeep.rate_jump_percent)
        steps["exchange rates"] = feed.turn
    return steps


class Maintenance:
    """Runs steps for one principal: the engine, or who has a key for it."""

    def __init__(self, database: Database, principal: Principal, steps: Mapping[str, Step]) -> None:
        self._database = database
        self._principal = principal
        self._steps = steps

    async def run(self, *names: str) -> dict[str, StepOutcome]:
        """These steps, or all, one after the other. Errors: NotAllowed (a key of too low a level)."""
        if self._principal.method_level < Level.MAINTENANCE:
            raise NotAllowed(f"takes a key of level {int(Level.MAINTENANCE)}")
        outcomes = {name: await self._run(name) for name in names or self._steps}
        if not names and self._principal is not ENGINE:
            async with self._database.transaction(self._principal) as tx:
                if self._principal.key is not None:
                    await note_maintenance(tx, self._principal.key)
                await record(tx, "maintenance.run", "all", dict(outcomes))
        return outcomes

    async def _run(self, name: str) -> StepOutcome:
        try:
            async with one_at_a_time(self._database, self._principal, name) as tx:
                if tx is None:
                    return StepOutcome.RUNNING
                await self._steps[name]()
        except RatingEngineError as error:  # a dependency is away, which others report
            _log.warning("maintenance_step_put_off", step=name, problem=str(error))
            return StepOutcome.FAILED
        except Exception:  # a fault of this step, which the others shall not suffer from
            _log.exception("maintenance_step_failed", step=name)
            return StepOutcome.FAILED
        return StepOutcome.DONE
