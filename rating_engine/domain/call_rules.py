"""What happens to a call that comes in: one ordered list of rules a number or line, and the one function that reads it.

A list is named by its number in digits, or as `line:LOGIN` (`of_line`). A number without rules does nothing; a line
whose rules say nothing before it has rung rings, and goes on by them then.

Laws: `next_step` answers for every list, caller and ending; who asks again behind each step comes to an end; lists
that lead back to themselves are found (`Loop`), and so are chains of more than MAX_NUMBERS. After a conversation only
rules that ask for SUCCESS go on: nobody who has talked is sent to voicemail.

Sources: narayana-billing-api-2.2, DIDTables Filters; teleum-api-v3, editForward. Times of day are those of the rule's
time zone, without one those of its owner.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

MAX_RULES: Final = 100  # of a number: a caller hears none behind them any more
MAX_NUMBERS: Final = 10  # that one call is handed through
TRANSIT: Final = "TRANSIT"  # as a caller id: the caller's own
CALLED: Final = "CALLED"  # as a caller id: the number that was called
ANY: Final = "%"
ANONYMOUS: Final = "anonymous"  # as a pattern: callers without a number

_TALKED: Final = "ANSWER"
_DONE: Final = frozenset({_TALKED, "PLAYED"})
_UNAVAILABLE: Final = frozenset({"CHANUNAVAIL", "CONGESTION", "UNAVAIL"})
_INPUT: Final = "INPUT"
_LINE: Final = "line:"


class Policy(StrEnum):
    """Whether a caller whom a rule matches is let in."""

    ACCEPT = "ACCEPT"
    REJECT = "REJECT"


class Source(StrEnum):
    """What the pattern of a rule is compared with."""

    NUMBER = "number"  # the caller's; % stands for any digits
    INPUT = "input"  # what the caller has keyed in


class Condition(StrEnum):
    """How the step before must have ended; ALWAYS: however, but not in a conversation."""

    ALWAYS = ""
    SUCCESS = "SUCCESS"
    UNSUCCESS = "UNSUCCESS"
    BUSY = "BUSY"
    NOANSWER = "NOANSWER"
    UNAVAIL = "UNAVAIL"
    INPUT = "INPUT"


class Action(StrEnum):
    """What a rule does with a call. The dialplan in config/asterisk/inbound.conf carries each of them out."""

    CALL = "call"  # a line of the owner rings
    FORWARD = "forward"  # an outgoing call of the owner to a number outside
    NUMBER = "number"  # goes on by the rules of another number of the owner
    LINE = "line"  # goes on by those of a line of the owner
    PLAYFILE = "playfile"
    MENU = "menu"  # plays a file and reads what is keyed in
    VOICEMAIL = "voicemail"
    MESSAGE = "message"  # records what the caller has to say, for an e-mail address
    FAX = "fax"  # takes a fax, for an e-mail address
    DISA = "disa"  # asks for a calling card
    HANGUP = "hangup"


class SmsAction(StrEnum):
    """What a rule does with a message; NONE: it is kept for who reads it."""

    NONE = ""
    INTERNAL = "internal"  # as a SIP message to a line of the owner
    MAIL = "mail"  # to an e-mail address
    FORWARD = "forward"  # an SMS of the owner to a number
    HTTP = "http"  # posted to a URL, as a form


WRITTEN: Final = frozenset({Action.MESSAGE, Action.FAX})  # what is always kept as a file


@dataclass(frozen=True, slots=True)
class RuleTime:
    """Days of the week (1 Monday to 7 Sunday, both counted; 6 to 1 goes over Sunday) and the time, [starts, ends).

    What ends at or before its start goes on into the next day; equal ends are the whole day.
    """

    first_day: int
    last_day: int
    starts: time
    ends: time

    def holds(self, now: datetime) -> bool:
        """Whether this local instant is in it."""
        at = now.time().replace(tzinfo=None)
        if self.starts < self.ends:
            return self.starts <= at < self.ends and self._is_day(now.isoweekday())
        if at >= self.starts:
            return self._is_day(now.isoweekday())
        return at < self.ends and self._is_day((now.isoweekday() - 2) % 7 + 1)

    def _is_day(self, day: int) -> bool:
        return (day - self.first_day) % 7 <= (self.last_day - self.first_day) % 7


@dataclass(frozen=True, slots=True)
class CallRule:
    """One rule. `times`: when it counts; empty: always. `timeout`: seconds that a line or a number rings.

    `destination` '': the action's own (the owner's line). `callerid` '' or TRANSIT: the caller's, for a forward '' is
    the number that was called, as CALLED is for all. `exchange`: where it is carried out; '': on the one that asks.
    `time_zone`: of its times, as `Europe/Berlin`; '': its owner's. `music`: the class that the caller hears while it
    rings; '': ringing. `record`: the conversation is kept as a file.
    """

    rule_id: int = 0
    source: Source = Source.NUMBER
    pattern: str = ANY
    condition: Condition = Condition.ALWAYS
    input: str = ""
    policy: Policy = Policy.ACCEPT
    action: Action = Action.CALL
    destination: str = ""
    exchange: str = ""
    callerid: str = ""
    timeout: int = 30
    sms_action: str = ""
    sms_destination: str = ""
    time_zone: str = ""
    music: str = ""
    record: bool = False
    description: str = ""
    times: tuple[RuleTime, ...] = ()


@dataclass(frozen=True, slots=True)
class InboundCall:
    """A call where it stands: which list it goes by, and the `place` (from 1) of the first rule to be asked.

    Place 0: a line that has not rung. `came_by`: the lists that it was handed through before. `caller`: digits, ''
    where none is shown. `status`: how the step before ended, in the exchange's word (ANSWER, BUSY, PLAYED …); '': there
    was none. `input`: keyed in there.
    """

    number: str
    place: int = 1
    caller: str = ""
    status: str = ""
    input: str = ""
    came_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """Carry out `rule`, the one at `place` of `number`; then ask again from the next place on. 0: a line rings."""

    number: str
    place: int
    rule: CallRule
    came_by: tuple[str, ...] = ()

    def behind(self, call: InboundCall, status: str, keyed: str = "") -> InboundCall:
        """The call when this step has ended so."""
        return InboundCall(self.number, self.place + 1, call.caller, status, keyed, self.came_by)


@dataclass(frozen=True, slots=True)
class Finished:
    """No rule is left."""


@dataclass(frozen=True, slots=True)
class Loop:
    """`number` would be gone through once more, or is one too many."""

    number: str


Rules = Mapping[str, Sequence[CallRule]]


def next_step(rules: Rules, call: InboundCall, now: datetime) -> Step | Finished | Loop:
    """What to do with a call: the first rule from its place on that matches, following rules to other lists.

    `rules`: of its list and of those they lead to; one that is not there has none. `now`: local to the owner, with
    its offset.
    """
    while True:
        found = _first(rules.get(call.number, ()), call, now)
        if found is None:
            line = line_of(call.number)
            if line is None or call.place > 0:
                return Finished()
            found = 0, CallRule(destination=line)
        place, rule = found
        to = _list_of(rule)
        if to is None or rule.policy is Policy.REJECT:
            return Step(call.number, place, rule, call.came_by)
        path = (*call.came_by, call.number)
        if to in path or len(path) >= MAX_NUMBERS:
            return Loop(to)
        if rule.action is Action.LINE:
            call = InboundCall(to, 0, call.caller, came_by=path)
        else:
            call = InboundCall(to, 1, call.caller, call.status, call.input, path)


def of_line(login: str) -> str:
    """The name of a line's list of rules."""
    return _LINE + login


def line_of(name: str) -> str | None:
    """The line whose list has that name; None: it is a number's."""
    return name.removeprefix(_LINE) if name.startswith(_LINE) else None


def message_rule(rules: Sequence[CallRule], sender: str, now: datetime) -> CallRule | None:
    """What to do with a message: the first rule of all callers or of this sender that counts now and rejects it, or
    says what becomes of messages. None: it is kept. `sender`: digits, or a name. `now`: local to the owner.
    """
    came = InboundCall("", caller=sender)
    return next(
        (rule for rule in rules if (rule.sms_action or rule.policy is Policy.REJECT) and _counts(rule, came, now)), None
    )


def digits_of(number: str) -> str:
    """A number as rules and numbers of ours have it: +49 30 1234 and 0049301234 are 49301234."""
    digits = "".join(each for each in number if each in "0123456789")
    return digits.removeprefix("00") if not number.startswith("+") else digits


def leads_to(rules: Sequence[CallRule]) -> list[str]:
    """The lists by which calls may go on."""
    return [to for to in map(_list_of, rules) if to is not None]


def reaches(rules: Sequence[CallRule]) -> list[str]:
    """The same, and the numbers that calls are forwarded to, by which they may come in again."""
    return leads_to(rules) + [digits_of(rule.destination) for rule in rules if rule.action is Action.FORWARD]


def has_loop(rules: Rules, number: str, came_by: tuple[str, ...] = ()) -> bool:
    """Whether some call to `number` could come back to where it was, handed on or forwarded, or through too many
    numbers.
    """
    path = (*came_by, number)
    if number in came_by or len(path) > MAX_NUMBERS:
        return True
    return any(has_loop(rules, to, path) for to in dict.fromkeys(reaches(rules.get(number, ()))))


def matches(pattern: str, text: str) -> bool:
    """Whether a pattern (% stands for any characters, also none) is the whole text."""
    first, *others = pattern.split(ANY)
    if not others:
        return text == first
    if not text.startswith(first):
        return False
    at, last = len(first), others.pop()
    for part in others:
        at = text.find(part, at)
        if at < 0:
            return False
        at += len(part)
    return len(text) - len(last) >= at and text.endswith(last)


def _list_of(rule: CallRule) -> str | None:
    if rule.action is Action.LINE:
        return of_line(rule.destination)
    return rule.destination if rule.action is Action.NUMBER else None


def _first(rules: Sequence[CallRule], call: InboundCall, now: datetime) -> tuple[int, CallRule] | None:
    for place, rule in enumerate(rules, start=1):
        if place >= call.place and _counts(rule, call, now):
            return place, rule
    return None


def _counts(rule: CallRule, call: InboundCall, now: datetime) -> bool:
    local = now.astimezone(ZoneInfo(rule.time_zone)) if rule.times and rule.time_zone else now
    if rule.times and not any(each.holds(local) for each in rule.times):
        return False
    return _has_ended_so(rule, call) and _is_from(rule, call)


def _is_from(rule: CallRule, call: InboundCall) -> bool:
    if rule.source is Source.INPUT:
        return bool(call.input) and matches(rule.pattern, call.input)
    if rule.pattern == ANONYMOUS:
        return not call.caller
    return rule.pattern == "" or matches(rule.pattern, call.caller)


def _has_ended_so(rule: CallRule, call: InboundCall) -> bool:
    word = call.status.upper()
    match rule.condition:
        case Condition.ALWAYS:
            return word != _TALKED
        case Condition.SUCCESS:
            return word in _DONE
        case Condition.INPUT:
            return word == _INPUT and (rule.input == "" or matches(rule.input, call.input))
        case Condition.BUSY:
            return word == "BUSY"
        case Condition.NOANSWER:
            return word == "NOANSWER"
        case Condition.UNAVAIL:
            return word in _UNAVAILABLE
        case Condition.UNSUCCESS:
            return word != "" and word != _INPUT and word not in _DONE
