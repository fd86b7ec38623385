"""Telephone numbers that calls come in by: whose they are, what they cost a month, and until when that is paid.

Laws: a number takes calls while it is active, enabled and paid for; what a month costs is posted once, by a reference
made of the number and the month; a number is closed and not deleted.
"""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final
from zoneinfo import available_timezones

from rating_engine.domain.call_rules import (
    ANONYMOUS,
    CALLED,
    MAX_NUMBERS,
    TRANSIT,
    Action,
    CallRule,
    Condition,
    Policy,
    RuleTime,
    SmsAction,
    Source,
)
from rating_engine.domain.change import LEAVE, Leave
from rating_engine.domain.checks import check_amount, check_currency, check_line, check_login, check_text, check_whole
from rating_engine.domain.errors import InvalidRequest

LOCAL: Final = "local"  # the provider of numbers that we have ourselves
MAX_TIMEOUT: Final = 600  # seconds that anything rings
MAX_QUANTITY: Final = 1_000  # numbers of a pool shown at a time
MAX_TIMES: Final = 50  # of a rule: more than hours of every day
MAX_DESTINATION: Final = 128  # of a rule: what a variable of a script holds
MAX_AHEAD: Final = timedelta(days=100 * 365)  # that a number is paid: further on is a slip of the pen
MAX_FIELD: Final = 200  # characters of what is handed to a provider

_NUMBER: Final = re.compile(r"[0-9]{3,15}")
_PATTERN: Final = re.compile(r"[0-9%*#]{0,32}")
_KEYED: Final = re.compile(r"[0-9%*#]{0,32}")
_FORWARD: Final = re.compile(r"\+?[0-9]{3,32}")
# Below the sounds of the exchange: nowhere else, such as where it keeps voicemail.
_SOUND: Final = re.compile(r"(?!.*\.\.)[A-Za-z0-9_][A-Za-z0-9_/.-]{0,79}(&[A-Za-z0-9_][A-Za-z0-9_/.-]{0,79}){0,9}")
_MAILBOX: Final = re.compile(r"[A-Za-z0-9_.-]{1,40}(@[A-Za-z0-9_.-]{1,40})?")
_MAIL: Final = re.compile(r"[A-Za-z0-9_.+-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63}){1,5}")
_MUSIC: Final = re.compile(r"[A-Za-z0-9_-]{0,40}")
_CAUSE: Final = re.compile(r"(?:[1-9][0-9]?|1[01][0-9]|12[0-7])?")
_WORD: Final = re.compile(r"[A-Za-z0-9_.@+-]{0,64}")
_PROVIDER: Final = re.compile(r"[a-z0-9_-]{1,32}")


class DidState(StrEnum):
    """FREE: in a pool, nobody's. ORDERED: its first month is being paid. UNPAID: the next month could not be had.

    CLOSED: for good, until somebody who may gives it anew.
    """

    FREE = "free"
    ORDERED = "ordered"
    ACTIVE = "active"
    UNPAID = "unpaid"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Did:
    """One number. `owner`, `party_id` None: nobody's. Prices a month and once, in `currency`.

    `notified`: its owner was told that the month ends. `line`: who pays and what rings; None: the owner's first.
    `max_calls` 0: any number at a time. `route_id`, `provider`: of the route that it is had from, where that is said.
    """

    did_id: int
    number: str
    party_id: int | None
    owner: str | None
    pool_id: int | None
    country: str
    area: str
    state: DidState
    enabled: bool
    auto_renew: bool
    monthly_price: Decimal
    setup_price: Decimal
    currency: str
    paid_to: datetime | None
    notified: bool
    orders: int
    line: str | None
    max_calls: int
    comment: str
    route_id: int | None = None
    provider: str = ""
    has_rules: bool = False

    def takes_calls(self, now: datetime) -> bool:
        """Whether calls come in by it."""
        return self.state is DidState.ACTIVE and self.enabled and self.paid_to is not None and now < self.paid_to


@dataclass(frozen=True, slots=True)
class NewDid:
    """A number to be given to an owner, or (None) put into a pool. `paid_to` None: a month from now.
    `currency` None: the system's. Raises InvalidRequest naming the field.
    """

    number: str
    owner: str | int | None = None
    pool_id: int | None = None
    monthly_price: Decimal = Decimal(0)
    currency: str | None = None
    paid_to: datetime | None = None
    comment: str = ""
    route_id: int | None = None

    def __post_init__(self) -> None:
        check_number(self.number)
        if (self.owner is None) == (self.pool_id is None):
            raise InvalidRequest("owner", "a number has an owner, or is in a pool to be ordered")
        _check_price(self.monthly_price, "cost")
        if self.currency is not None:
            check_currency(self.currency)
        check_text(self.comment, "comment")


@dataclass(frozen=True, slots=True)
class DidChanges:
    """What is to be changed of a number; LEAVE: as it is. Raises InvalidRequest naming the field."""

    owner: str | int | Leave = LEAVE
    comment: str | Leave = LEAVE
    monthly_price: Decimal | Leave = LEAVE
    paid_to: datetime | Leave = LEAVE
    max_calls: int | Leave = LEAVE
    line: str | Leave | None = LEAVE

    def __post_init__(self) -> None:
        if self.comment is not LEAVE:
            check_text(self.comment, "comment")
        if self.monthly_price is not LEAVE:
            _check_price(self.monthly_price, "cost")
        if self.max_calls is not LEAVE:
            check_whole(self.max_calls, "max_calls", most=10_000)
        if self.line is not LEAVE and self.line is not None:
            check_login(self.line, "line")


@dataclass(frozen=True, slots=True)
class DidPool:
    """Numbers of one place and price. `free`: how many are to be had; `quantity`: how many are shown at a time.

    `username` and `params` go to the provider. `region` and `kind`: by which they are offered, '' where by none.
    """

    pool_id: int
    country: str
    area: str
    monthly_price: Decimal
    setup_price: Decimal
    currency: str
    provider: str
    username: str
    params: tuple[str, str, str]
    quantity: int
    free: int = 0
    region: str = ""
    kind: str = ""


@dataclass(frozen=True, slots=True)
class NewPool:
    """A pool to be made. `currency` None: the system's. Raises InvalidRequest naming the field."""

    country: str
    area: str
    monthly_price: Decimal = Decimal(0)
    setup_price: Decimal = Decimal(0)
    currency: str | None = None
    provider: str = LOCAL
    username: str = ""
    params: tuple[str, str, str] = ("", "", "")
    quantity: int = 100
    region: str = ""
    kind: str = ""

    def __post_init__(self) -> None:
        _check_pool(self)
        if self.currency is not None:
            check_currency(self.currency)


@dataclass(frozen=True, slots=True)
class PoolChanges:
    """What is to be changed of a pool; LEAVE: as it is. Numbers that have an owner keep their price."""

    country: str | Leave = LEAVE
    area: str | Leave = LEAVE
    monthly_price: Decimal | Leave = LEAVE
    setup_price: Decimal | Leave = LEAVE
    provider: str | Leave = LEAVE
    username: str | Leave = LEAVE
    params: tuple[str | Leave, str | Leave, str | Leave] = (LEAVE, LEAVE, LEAVE)
    quantity: int | Leave = LEAVE
    region: str | Leave = LEAVE
    kind: str | Leave = LEAVE

    def __post_init__(self) -> None:
        _check_pool(self)


@dataclass(frozen=True, slots=True)
class RuleChanges:
    """What is to be changed of a rule; LEAVE: as it is, also where this surface has no word for it."""

    source: Source | Leave = LEAVE
    pattern: str | Leave = LEAVE
    condition: Condition | Leave = LEAVE
    input: str | Leave = LEAVE
    policy: Policy | Leave = LEAVE
    action: Action | Leave = LEAVE
    destination: str | Leave = LEAVE
    exchange: str | Leave = LEAVE
    callerid: str | Leave = LEAVE
    timeout: int | Leave = LEAVE
    sms_action: str | Leave = LEAVE
    sms_destination: str | Leave = LEAVE
    time_zone: str | Leave = LEAVE
    music: str | Leave = LEAVE
    record: bool | Leave = LEAVE
    description: str | Leave = LEAVE
    times: tuple[RuleTime, ...] | Leave = LEAVE


def check_number(number: str, field: str = "did") -> None:
    """A number in digits, the country first. Raises InvalidRequest."""
    if not _NUMBER.fullmatch(number):
        raise InvalidRequest(field, f"{number[:40]!r} is not 3 to 15 digits")


def check_rule(rule: CallRule) -> None:
    """Whether a rule can be carried out. Raises InvalidRequest naming the field."""
    if not (_PATTERN.fullmatch(rule.pattern) or rule.pattern == ANONYMOUS):
        raise InvalidRequest("pattern", f"{rule.pattern[:40]!r} is neither digits with % for any of them nor anonymous")
    if not _KEYED.fullmatch(rule.input):
        raise InvalidRequest("input", f"{rule.input[:40]!r} is not what a telephone can key in, with % for any of it")
    if rule.callerid not in ("", TRANSIT, CALLED) and not _FORWARD.fullmatch(rule.callerid):
        raise InvalidRequest("callerid", f"{rule.callerid[:40]!r} is neither a number nor {TRANSIT} nor {CALLED}")
    check_whole(rule.timeout, "timeout", least=1, most=MAX_TIMEOUT)
    if not _WORD.fullmatch(rule.exchange):
        raise InvalidRequest("server", f"{rule.exchange[:40]!r} is no word of 64 letters and digits at the most")
    if rule.sms_action not in list(SmsAction):
        raise InvalidRequest("sms_action", f"{rule.sms_action[:40]!r} is none of {', '.join(filter(None, SmsAction))}")
    pattern, what = _SMS_DESTINATIONS[SmsAction(rule.sms_action)]
    if not pattern.fullmatch(rule.sms_destination):
        raise InvalidRequest("sms_destination", f"{rule.sms_destination[:40]!r}: {rule.sms_action} takes {what}")
    if not _MUSIC.fullmatch(rule.music):
        raise InvalidRequest("music", f"{rule.music[:40]!r} is no class of music on hold")
    check_text(rule.description, "description")
    if rule.time_zone and rule.time_zone not in available_timezones():
        raise InvalidRequest("time_zone", f"{rule.time_zone[:40]!r} is no zone such as Europe/Berlin")
    if len(rule.times) > MAX_TIMES:
        raise InvalidRequest("times", f"may be {MAX_TIMES} at most")
    pattern, what = _DESTINATIONS[rule.action]
    if not pattern.fullmatch(rule.destination):
        raise InvalidRequest("destination", f"{rule.destination[:40]!r}: {rule.action} takes {what}")
    if len(rule.destination) > MAX_DESTINATION:
        raise InvalidRequest("destination", f"may have {MAX_DESTINATION} characters: so many reach the exchange")
    if rule.exchange and rule.action is not Action.CALL:
        raise InvalidRequest("server", "only a line can be called on another server")


_URL: Final = re.compile(r"https?://[^\s/]{1,255}(?:/\S{0,1000})?")
_SMS_DESTINATIONS: Final = {
    SmsAction.NONE: (_WORD, "nothing"),
    SmsAction.INTERNAL: (_WORD, "a line of the owner, or nothing: the owner's first"),
    SmsAction.MAIL: (re.compile(f"(?:{_MAIL.pattern})?"), "an e-mail address, or nothing: that of the owner"),
    SmsAction.FORWARD: (_FORWARD, "a telephone number"),
    SmsAction.HTTP: (_URL, "a URL with https://"),
}
_DESTINATIONS: Final = {
    Action.CALL: (_WORD, "a line, or nothing: the owner's first"),
    Action.FORWARD: (_FORWARD, "a telephone number"),
    Action.NUMBER: (_NUMBER, f"another number of the owner, {MAX_NUMBERS} in a row at the most"),
    Action.LINE: (re.compile(r"[^\s,]{1,64}"), "a line of the owner"),
    Action.MESSAGE: (_MAIL, "an e-mail address"),
    Action.FAX: (_MAIL, "an e-mail address"),
    Action.PLAYFILE: (_SOUND, "a sound file, or several: a&b"),
    Action.MENU: (_SOUND, "a sound file, or several: a&b"),
    Action.VOICEMAIL: (re.compile(f"(?:{_MAILBOX.pattern})?"), "a mailbox, or nothing: that of the owner's first line"),
    Action.DISA: (re.compile(""), "nothing"),
    Action.HANGUP: (_CAUSE, "a hangup cause from 1 to 127, or nothing"),
}


def a_month_after(moment: datetime) -> datetime:
    """The same day and time of the next month; its last day where that is shorter."""
    year, month = divmod(moment.year * 12 + moment.month, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return moment.replace(year=year, month=month + 1, day=min(moment.day, last))


def check_paid_to(paid_to: datetime, now: datetime) -> None:
    """Until when a number may be said to be paid at `now`. Raises InvalidRequest."""
    if paid_to < now and a_month_after(paid_to) <= now:
        raise InvalidRequest("expiration", f"{paid_to:%Y-%m-%d} is more than a month ago: say until when it is paid")
    if paid_to > now + MAX_AHEAD:
        raise InvalidRequest("expiration", f"{paid_to:%Y-%m-%d} is more than {MAX_AHEAD.days // 365} years ahead")


def next_month(paid_to: datetime, now: datetime) -> datetime:
    """Until when a number is paid by one month more: from where it is paid to; from `now`, where that month would be
    over already. What it was not there for nobody owes.
    """
    return a_month_after(paid_to if a_month_after(paid_to) > now else now)


def rent_reference(did: Did) -> str:
    """What names the rent of the month behind `paid_to` in the ledger, once however often it is asked for."""
    assert did.paid_to is not None
    return f"did:{did.did_id}:{did.orders}:{did.paid_to:%Y-%m-%dT%H:%M:%S}"


def order_reference(did: Did) -> str:
    """The same of what an order costs."""
    return f"did:{did.did_id}:order:{did.orders}"


def _check_price(price: Decimal, field: str) -> None:
    check_amount(price, field)


def _check_pool(pool: NewPool | PoolChanges) -> None:
    for field in ("country", "area"):
        text = getattr(pool, field)
        if text is not LEAVE and not (1 <= len(text) <= MAX_FIELD and text.isprintable() and text == text.strip()):
            raise InvalidRequest(field, f"must have 1 to {MAX_FIELD} characters")
    for field in ("region", "kind"):
        text = getattr(pool, field)
        if text is not LEAVE:
            check_line(text, field, empty=True)
    for field, price in (("cost", pool.monthly_price), ("installcost", pool.setup_price)):
        if price is not LEAVE:
            _check_price(price, field)
    if pool.provider is not LEAVE and not _PROVIDER.fullmatch(pool.provider):
        raise InvalidRequest("provider", f"{pool.provider[:40]!r} is not 1 to 32 of a-z, 0-9, _ and -")
    for field, text in (("user", pool.username), *((f"param{n}", text) for n, text in enumerate(pool.params, 1))):
        if text is not LEAVE and (len(text) > MAX_FIELD or not text.isprintable()):
            raise InvalidRequest(field, f"may have {MAX_FIELD} characters at most")
    if pool.quantity is not LEAVE:
        check_whole(pool.quantity, "qty", least=1, most=MAX_QUANTITY)
