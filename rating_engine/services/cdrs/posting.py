"""`calls post`: ends of calls that no engine took, read from the exchange's files and charged as if they were said now.

Laws: an end is charged by the same path as any other, so once, however often a file is posted, and whatever else tells
of the same call; all of the file is read and understood before the first is charged; what is not certain is listed with
its line and the reason, and left alone. A preview answers the same and changes nothing.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from rating_engine.domain.errors import AccountLocked, InvalidRequest, RatingEngineError
from rating_engine.domain.outcomes import NotSaved, Saved
from rating_engine.domain.principal import Principal
from rating_engine.domain.reported_end import PostedEnd, PostOutcome, ReportedEnd
from rating_engine.services.calls.finish import Finishing
from rating_engine.services.calls.hold import ChargingPolicy
from rating_engine.services.calls.plan import Planning
from rating_engine.services.cdrs.end_file import EndFile, Line
from rating_engine.services.cdrs.exchange_clock import ExchangeClock
from rating_engine.services.cdrs.reported_calls import Matching, Posting
from rating_engine.services.decks.file.dates import zone_of
from rating_engine.services.facts.memory import CallMemory
from rating_engine.storage.audit_log import record
from rating_engine.storage.calls.known_calls import calls_of_channels, known_exchanges
from rating_engine.storage.calls.ledger import Ledger
from rating_engine.storage.postgres.pool import Database

AT_ONCE: Final = 20  # ends charged side by side, in batches: some hundreds a second, and calls go on beside them
MAX_ENDS: Final = 200_000  # ends of one file held until all are understood: some 100 MB
MAX_LISTED: Final = 10_000  # lines listed of each outcome but charged; those beyond are counted


@dataclass(frozen=True, slots=True)
class PostOptions:
    """`exchange`: whose file it is, as call keys name it; None: as far as its calls are known. `time_zone`: of its
    times; None: this machine's. `columns`: of call records in another order than Asterisk's own.
    """

    exchange: str | None = None
    time_zone: str | None = None
    columns: tuple[str, ...] | None = None
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class PostProgress:
    """While reading, bytes of the file; while charging, ends."""

    charging: bool
    done: int
    total: int


@dataclass(slots=True)
class PostReport:
    """What became of each line that says how a call ended, in their order; `counts` of all, listed or not.

    `is_log`: the file was Asterisk's log, else its call records.
    """

    is_log: bool
    listed: list[PostedEnd] = field(default_factory=list)
    counts: Counter[PostOutcome] = field(default_factory=Counter)

    def add(self, one: PostedEnd) -> None:
        """Count a line, and list it while there is room for its like; what was charged is always listed."""
        self.counts[one.outcome] += 1
        if one.outcome is PostOutcome.CHARGED or self.counts[one.outcome] <= MAX_LISTED:
            self.listed.append(one)


class CallPosting:
    """What one principal posts."""

    def __init__(self, office: Database, principal: Principal, *, buckets: int, international_prefix: str) -> None:
        self._office = office
        self._principal = principal
        self._buckets = buckets
        self._international_prefix = international_prefix

    async def post(
        self, path: Path, options: PostOptions, on_progress: Callable[[PostProgress], None] = lambda progress: None
    ) -> PostReport:
        """Charge the calls whose ends a file tells, each once; or say what would be charged.

        Errors: InvalidRequest (file, time_zone, exchange, columns), Unavailable, Overloaded (what was charged is, and
        is not again).
        """
        clock = ExchangeClock(None if options.time_zone is None else zone_of(options.time_zone))
        if options.exchange is not None and ("/" in options.exchange or not options.exchange):
            raise InvalidRequest("exchange", "is the name before the first slash of a call, such as pbx1")
        file = await asyncio.to_thread(EndFile, path, options.columns)
        exchanges = await known_exchanges(self._office, buckets=self._buckets)
        matching = Matching(clock, datetime.now(UTC), options.exchange, exchanges)
        report = PostReport(file.is_log)
        found = await self._read(file, matching, report, on_progress)
        finishing = self._finishing()
        if not options.dry_run and found:
            await self._note(path, file, found, options)
        for start in range(0, len(found), AT_ONCE):
            on_progress(PostProgress(True, start, len(found)))
            some = found[start : start + AT_ONCE]
            done = await asyncio.gather(
                *(_post(one, finishing, dry_run=options.dry_run) for one in some), return_exceptions=True
            )
            for one in done:
                if isinstance(one, BaseException):
                    raise _cut_off(one, report, len(found))
                report.add(one)
        report.listed.sort(key=lambda one: one.line)
        return report

    async def _read(
        self, file: EndFile, matching: Matching, report: PostReport, on_progress: Callable[[PostProgress], None]
    ) -> list[Posting]:
        """The finishes that the file stands for; all other lines go into the report."""
        kept: list[ReportedEnd] = []
        portions = file.portions()
        while (portion := await asyncio.to_thread(next, portions, None)) is not None:
            on_progress(PostProgress(False, file.read, file.size))
            kept += await self._unknown_ends(portion, matching, report)
            if len(kept) > MAX_ENDS:
                raise InvalidRequest("file", f"tells of more than {MAX_ENDS:,} ends that are not charged: divide it")
        uniqueids = sorted({end.uniqueid for end in kept})
        calls = await calls_of_channels(self._office, self._asked(matching), uniqueids, buckets=self._buckets)
        matched = matching.lines(kept, calls) if file.is_log else matching.records(kept, calls)
        for told in matched:
            if isinstance(told, PostedEnd):
                report.add(told)
        return [one for one in matched if isinstance(one, Posting)]

    async def _unknown_ends(self, portion: Sequence[Line], matching: Matching, report: PostReport) -> list[ReportedEnd]:
        """Those that have to be looked at with all of the file; records of what is long charged, or of no call of ours,
        are not."""
        ends = []
        for one in portion:
            if isinstance(one, PostedEnd):
                report.add(one)
            else:
                ends.append(one)
        records = [end for end in ends if end.is_cdr]
        if not records:
            return ends
        uniqueids = sorted({end.uniqueid for end in records})
        calls = await calls_of_channels(self._office, self._asked(matching), uniqueids, buckets=self._buckets)
        waiting = {call.call_key.uniqueid for call in calls if not call.final}
        for told in matching.records([end for end in records if end.uniqueid not in waiting], calls):
            assert isinstance(told, PostedEnd), "a call that is charged is posted by nothing"
            report.add(told)
        return [end for end in records if end.uniqueid in waiting]

    def _asked(self, matching: Matching) -> Sequence[str]:
        return matching.exchanges if matching.exchange is None else [matching.exchange]

    def _finishing(self) -> Finishing:
        sources = CallMemory(self._office, international_prefix=self._international_prefix).sources
        planning = Planning(sources, ChargingPolicy(international_prefix=self._international_prefix))
        return Finishing(ledger=Ledger(self._office), planning=planning, sources=sources, now=lambda: datetime.now(UTC))

    async def _note(self, path: Path, file: EndFile, found: Sequence[Posting], options: PostOptions) -> None:
        """In the audit log before anything is charged: the ledger names the calls, this names who said so."""
        detail = {
            "sha256": await asyncio.to_thread(file.digest),
            "ends": len(found),
            "first": str(found[0].finish.call_key),
            "exchange": options.exchange,
        }
        async with self._office.transaction(self._principal) as tx:
            await record(tx, "calls.post", path.name, detail)


async def _post(one: Posting, finishing: Finishing, *, dry_run: bool) -> PostedEnd:
    call = one.finish
    told = PostedEnd(one.line, PostOutcome.REFUSED, str(call.call_key), call.login, call.destination, call.seconds)
    try:
        outcome = await (finishing.foresee(call) if dry_run else finishing.finish(call))
    except AccountLocked as error:
        return replace(told, reason=f"{error.code}: somebody's transaction holds the account; post the file again")
    if isinstance(outcome, NotSaved):
        return replace(told, reason=f"{outcome.reason.value}: {outcome.detail}".removesuffix(": "))
    assert isinstance(outcome, Saved)
    return replace(
        told,
        outcome=PostOutcome.KNOWN if outcome.repeated else PostOutcome.CHARGED,
        cost=outcome.cost,
        currency=outcome.currency,
        destination=outcome.destination,
        seconds=outcome.seconds,
        reason="" if outcome.seconds == call.seconds else f"by what was seen of it, not by {call.seconds} s as told",
    )


def _cut_off(error: BaseException, report: PostReport, total: int) -> BaseException:
    if isinstance(error, RatingEngineError):
        charged = report.counts[PostOutcome.CHARGED]
        error.problem = f"{error.problem}; {charged} of {total} ends were charged: post the file again, and no call is"
        error.problem += " charged twice"
        error.args = (error.problem,)
    return error
