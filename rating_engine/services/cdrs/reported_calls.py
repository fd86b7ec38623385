"""Which call an exchange's line is about, and when that ended: what is not certain is refused, with the reason.

Laws: a call of the engine takes one line; a record of the exchange is never priced by itself, only taken for the end of
a call that was asked for; where several could be meant, none is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from rating_engine.domain.outcomes import MAX_CALL_KEY_LENGTH, CallKey, FinishCall
from rating_engine.domain.reported_end import KnownCall, PostedEnd, PostOutcome, ReportedEnd
from rating_engine.services.cdrs.exchange_clock import ExchangeClock, channel_made_at, choose, has_year
from rating_engine.services.decks.file.dates import InvalidInstant

# An answer comes after the question. Clocks of two machines differ by less, and a second is cut off.
CLOCKS_DIFFER: Final = timedelta(seconds=60)
CUT_OFF: Final = timedelta(seconds=2)
LONGEST_RINGING: Final = timedelta(minutes=15)  # between the question and the answer
LONGEST_MENU: Final = timedelta(minutes=30)  # between the channel and the question, where nobody names the time zone
LONGEST_CHANNEL: Final = timedelta(days=7)  # the same where somebody does
ZONES_DIFFER: Final = timedelta(hours=26)  # at most: what lies further apart, no wrong zone has done
ROUNDED: Final = 2  # seconds by which the exchange's count may differ from the dialplan's


@dataclass(frozen=True, slots=True)
class Posting:
    """A line that can be posted, and the finish that it stands for."""

    line: int
    finish: FinishCall


@dataclass(frozen=True, slots=True)
class Matching:
    """What is known of the exchange. `exchange` None: nobody named it; `exchanges`: all that calls came from."""

    clock: ExchangeClock
    now: datetime
    exchange: str | None
    exchanges: Sequence[str]

    def lines(self, ends: Sequence[ReportedEnd], calls: Iterable[KnownCall]) -> list[Posting | PostedEnd]:
        """Lines of the dialplan, which name the attempt: one call each, or none yet."""
        by_attempt: dict[tuple[str, int], list[KnownCall]] = defaultdict(list)
        for call in calls:
            by_attempt[call.call_key.uniqueid, call.call_key.attempt].append(call)
        read = [(end, self._line(end, by_attempt.get((end.uniqueid, end.attempt or 1), []))) for end in ends]
        said: dict[CallKey, list[ReportedEnd]] = defaultdict(list)
        for end, one in read:
            if isinstance(one, Posting):
                said[one.finish.call_key].append(end)
        return [_once(end, one, said[one.finish.call_key]) if isinstance(one, Posting) else one for end, one in read]

    def records(self, ends: Sequence[ReportedEnd], calls: Iterable[KnownCall]) -> list[Posting | PostedEnd]:
        """The exchange's own records, all of each channel that is among them."""
        of_channel: dict[str, list[KnownCall]] = defaultdict(list)
        for call in calls:
            of_channel[call.call_key.uniqueid].append(call)
        rows: dict[str, list[ReportedEnd]] = defaultdict(list)
        for end in ends:
            rows[end.uniqueid].append(end)
        found: list[Posting | PostedEnd] = []
        for uniqueid, of_one in rows.items():
            found += self._channel(of_one, of_channel.get(uniqueid, []))
        return found

    def _line(self, end: ReportedEnd, calls: Sequence[KnownCall]) -> Posting | PostedEnd:
        if len(calls) > 1:
            return _refused(end, f"calls of {_names(calls)} have this channel: say which by --exchange")
        call = calls[0] if calls else None
        if call is not None:
            key = call.call_key
            if call.login not in ("", end.login):
                return _refused(end, f"the call is of login {call.login}", call)
        elif (exchange := self.exchange or (self.exchanges[0] if len(self.exchanges) == 1 else None)) is not None:
            key = CallKey(exchange, end.uniqueid, end.attempt or 1)
        else:
            known = f", one of {', '.join(self.exchanges[:10])}" if self.exchanges else ""
            return _refused(end, f"no call of it is known: say by --exchange which exchange it is of{known}")
        if len(str(key)) > MAX_CALL_KEY_LENGTH:
            return _refused(end, "its uniqueid is too long")
        try:
            ended_at = self._ended_at(end, call)
        except InvalidInstant as error:
            return _refused(end, str(error), call)
        return _posting(end, key, end.login or "", end.destination, ended_at)

    def _channel(self, ends: Sequence[ReportedEnd], calls: Sequence[KnownCall]) -> list[Posting | PostedEnd]:
        """The records of one channel against its calls."""
        if not calls:
            nothing = "no call of this uniqueid is known"
            return [_refused(end, nothing, outcome=PostOutcome.UNMATCHED) for end in ends]
        if len({call.call_key.exchange for call in calls}) > 1:
            return [
                _refused(end, f"calls of {_names(calls)} have this channel: say which by --exchange") for end in ends
            ]
        pairs = _pairs(ends, calls)
        if pairs is None and all(call.final for call in calls):
            return [_refused(end, "every call of its channel was", outcome=PostOutcome.KNOWN) for end in ends]
        if pairs is None:
            reason = f"the channel has {len(ends)} records and {len(calls)} calls, and which is which is not certain"
            return [_refused(end, reason) for end in ends]
        return [self._record(end, call) for end, call in pairs]

    def _record(self, end: ReportedEnd, call: KnownCall) -> Posting | PostedEnd:
        if call.final:
            differs = abs(call.seconds - end.seconds) > ROUNDED
            reason = f"with {call.seconds} seconds" if differs else ""
            return _about(end, PostOutcome.KNOWN, call, reason)
        if call.cap_seconds is not None and end.seconds > call.cap_seconds + ROUNDED:
            return _refused(end, f"lasted longer than it might ({call.cap_seconds} s)", call)
        try:
            ended_at = self._ended_at(end, call)
        except InvalidInstant as error:
            menu = "Or was the caller answered before, by a menu? Then billsec is not the call's"
            return _refused(end, f"{error} {menu}", call)
        return _posting(end, call.call_key, call.login, call.destination, ended_at)

    def _ended_at(self, end: ReportedEnd, call: KnownCall | None) -> datetime | None:
        """When it ended; None where the line does not say and it does not matter. Raises InvalidInstant."""
        made_at = channel_made_at(end.uniqueid)
        if not end.moment:
            if call is None:
                raise InvalidInstant("no call of it is known, and the line has no time to price it by")
            return None
        talked = timedelta(seconds=end.seconds)
        if call is not None:
            # Only a record of the exchange may have counted more than the call: from the answer of a menu before it.
            first = call.prepared_at + talked - CUT_OFF if end.is_cdr else call.prepared_at - CLOCKS_DIFFER
            last = call.prepared_at + talked + LONGEST_RINGING
            return choose(self.clock.instants(end.moment, call.prepared_at), first, last, "the call")
        soon = self.now + CLOCKS_DIFFER
        instants = self.clock.instants(end.moment, made_at or self.now)
        is_of_channel = made_at is not None and (
            not has_year(end.moment) or any(abs(one - made_at) <= ZONES_DIFFER for one in instants)
        )
        if made_at is None or not is_of_channel:  # its uniqueid tells no time
            return choose(instants, self.now - timedelta(days=366), soon, "the past year")
        longest = LONGEST_MENU if self.clock.zone is None else LONGEST_CHANNEL
        last = min(made_at + talked + longest, soon)
        return choose(instants, made_at + talked - CLOCKS_DIFFER, last, "its channel")


def _pairs(ends: Sequence[ReportedEnd], calls: Sequence[KnownCall]) -> list[tuple[ReportedEnd, KnownCall]] | None:
    """Each record with its call: by the trunk where both name it, in their order; None where that is not certain."""
    if len(ends) == len(calls) == 1:
        [end], [call] = ends, calls
        return None if end.route and call.route and end.route != call.route else [(end, call)]
    by_route: dict[str, list[KnownCall]] = defaultdict(list)
    for call in sorted(calls, key=lambda one: one.call_key.attempt):
        by_route[call.route].append(call)
    pairs: list[tuple[ReportedEnd, KnownCall]] = []
    for route in {end.route for end in ends}:
        of_route = sorted((end for end in ends if end.route == route), key=lambda one: one.line)
        if not route or len(of_route) != len(by_route.get(route, [])):
            return None
        pairs += zip(of_route, by_route[route], strict=True)
    return sorted(pairs, key=lambda pair: pair[0].line)


def _once(end: ReportedEnd, one: Posting, said: Sequence[ReportedEnd]) -> Posting | PostedEnd:
    """The first of all lines of a call, where they agree: the dialplan tries twice to say an end."""
    if len({other.seconds for other in said}) > 1:
        lines = ", ".join(f"{other.line} ({other.seconds} s)" for other in said)
        return _refused(end, f"lines say different seconds of this call: {lines}")
    if end is said[0]:
        return one
    return _refused(end, f"stands in line {said[0].line} too", outcome=PostOutcome.KNOWN)


def _posting(end: ReportedEnd, key: CallKey, login: str, destination: str, ended_at: datetime | None) -> Posting:
    return Posting(
        end.line,
        FinishCall(
            key, login, destination, end.seconds, end.disposition, end.cause, ended_at=ended_at, is_did=end.is_did
        ),
    )


def _names(calls: Sequence[KnownCall]) -> str:
    return " and ".join(sorted({call.call_key.exchange for call in calls}))


def _refused(
    end: ReportedEnd, reason: str, call: KnownCall | None = None, *, outcome: PostOutcome = PostOutcome.REFUSED
) -> PostedEnd:
    return _about(end, outcome, call, reason)


def _about(end: ReportedEnd, outcome: PostOutcome, call: KnownCall | None, reason: str) -> PostedEnd:
    return PostedEnd(
        end.line,
        outcome,
        call=end.uniqueid if call is None else str(call.call_key),
        login=(end.login or "") if call is None else call.login,
        destination=end.destination if call is None else call.destination,
        seconds=end.seconds,
        reason=reason,
    )
