"""The nouns of the auditor: prices, accounts, calls, what can be asked about them, and books that take a guess back.

Nothing that follows from something else is kept: what is reserved follows from the open calls, what was spent today
from what each day was charged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from math import floor

ZERO = Decimal(0)
COST_DECIMALS = 5  # what a rate of a deck is rounded to
PRICE_DECIMALS = 8

Answer = tuple[object, ...]
UNKNOWN: Answer = ("unknown",)  # no answer came
DONE: Answer = ("done",)


def decimal_of(value: Fraction, decimals: int) -> Decimal:
    """Rounded half up."""
    return Decimal(floor(value * 10**decimals + Fraction(1, 2))).scaleb(-decimals)


@dataclass(frozen=True, slots=True)
class Price:
    """A rate, metered as rating.md says it, in fractions."""

    price_1: Decimal
    price_n: Decimal
    by_minute: bool = True
    interval_1: int = 1
    interval_n: int = 1
    connect_fee: Decimal = ZERO
    free_seconds: int = 0
    grace_period: int = 0
    surcharge: Decimal = ZERO

    def cost(self, seconds: int) -> Decimal:
        """Of a call of so many seconds."""
        if seconds <= 0 or seconds <= self.grace_period:
            return ZERO
        total = Fraction(self.connect_fee) + Fraction(self.surcharge)
        chargeable = seconds - self.free_seconds
        if chargeable > 0:
            more = -(-max(0, chargeable - self.interval_1) // self.interval_n)
            total += self._of(self.price_1, self.interval_1) + more * self._of(self.price_n, self.interval_n)
        return decimal_of(total, COST_DECIMALS)

    def lasts(self, funds: Decimal, cap: int) -> int:
        """The most seconds up to `cap` that `funds` pay, by halving: a longer call never costs less."""
        low, high = 0, max(cap, 0)
        while low < high:
            middle = (low + high + 1) // 2
            if self.cost(middle) <= funds:
                low = middle
            else:
                high = middle - 1
        return low

    @property
    def least(self) -> Decimal:
        """What the shortest call that is charged costs."""
        return self.cost(self.grace_period + 1)

    @property
    def per_minute(self) -> Decimal:
        """By the dearer of first and later intervals, without fees."""
        first = self._of(self.price_1, self.interval_1) * 60 / self.interval_1
        later = self._of(self.price_n, self.interval_n) * 60 / self.interval_n
        return decimal_of(max(first, later), PRICE_DECIMALS)

    def _of(self, price: Decimal, interval: int) -> Fraction:
        return Fraction(price) * interval / 60 if self.by_minute else Fraction(price)


@dataclass(frozen=True, slots=True)
class Account:
    """Whose money. Nothing that can be derived is kept: what is reserved follows from `open_calls`."""

    name: str
    balance: Decimal = ZERO
    overdraft: Decimal | None = ZERO
    active: bool = True
    max_calls: int | None = None
    max_call_seconds: int | None = None
    max_price: Decimal | None = None
    daily_limit: Decimal | None = None
    monthly_limit: Decimal | None = None
    quota: bool | None = None
    default_allowed: bool = True
    rules: tuple[tuple[str, bool], ...] = ()
    hours_east: int = 0  # the account's calendar
    spent: tuple[tuple[date, Decimal], ...] = ()  # what each local day was charged
    references: tuple[tuple[str, Decimal], ...] = ()
    postpaid: bool = False
    open_calls: frozenset[str] = frozenset()

    @property
    def unlimited(self) -> bool:
        """Whether nothing bounds what it may spend."""
        return self.overdraft is None and self.daily_limit is None and self.monthly_limit is None

    def may_call(self, destination: str) -> bool:
        """By its longest prefix rule."""
        matching = [rule for rule in self.rules if destination.startswith(rule[0])]
        return max(matching, key=lambda rule: len(rule[0]))[1] if matching else self.default_allowed

    def today(self, now: datetime) -> date:
        """Its own date."""
        return (now.astimezone(UTC) + timedelta(hours=self.hours_east)).date()

    def charged(self, due: Decimal, day: date) -> Account:
        """After a charge (or, negative, a refund) that counts in what is spent on `day`."""
        days = dict(self.spent)
        days[day] = days.get(day, ZERO) + due
        return replace(self, balance=self.balance - due, spent=tuple(days.items()))

    def spent_in(self, now: datetime, *, month: bool) -> Decimal:
        """On its own day of `now`, or in that day's month so far."""
        today = self.today(now)
        same = (lambda day: (day.year, day.month) == (today.year, today.month)) if month else today.__eq__
        return sum((amount for day, amount in self.spent if same(day)), ZERO)


@dataclass(frozen=True, slots=True)
class Subscriber:
    """Who calls."""

    login: str
    account: str
    active: bool = True
    max_calls: int | None = None
    max_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """`state` is open, settled, voided or expired; `cost` and what follows it are of an ended call."""

    key: str
    login: str
    account: str
    destination: str
    price: Price | None
    held: Decimal = ZERO
    granted: Decimal = ZERO
    cap: int = 0
    quota: bool = False  # granted in slices
    steered: bool = False  # may be lengthened
    expires_at: datetime | None = None
    answered_at: datetime | None = None  # as its exchange was seen to say
    last_seen_at: datetime | None = None
    state: str = "open"
    source: str = ""
    seconds: int = 0
    cost: Decimal = ZERO
    charged_on: date | None = None  # the account's own day in which its cost counts, also where it is corrected later
    overrun: Decimal = ZERO
    seen: int | None = None  # seconds, as its exchange was seen to say
    said: int | None = None  # as its finish said, where what was seen is believed against it

    @property
    def final(self) -> bool:
        """Whether its end was told by a finish, so that another one changes nothing."""
        return self.state not in ("open", "expired") and self.source not in ("reconciled", "abandoned")

    def facts(self) -> tuple[object, ...]:
        """What is compared with the books as seen."""
        if self.state == "open":
            seen = (self.answered_at, self.last_seen_at)
            return self.state, self.account, self.held, self.granted, self.quota, self.steered, self.expires_at, *seen
        return self.state, self.account, self.source, self.seconds, self.cost, self.overrun


# -- what can be asked -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Prepare:
    """callPrepare."""

    key: str
    login: str
    destination: str


@dataclass(frozen=True, slots=True)
class Extend:
    """One more slice past `talked` seconds."""

    key: str
    talked: int
    answered_at: datetime | None = None  # as the exchange was seen to say


@dataclass(frozen=True, slots=True)
class Finish:
    """callFinish."""

    key: str
    login: str
    destination: str
    seconds: int


@dataclass(frozen=True, slots=True)
class GiveBack:
    """Hold no more than second `keep` costs; the exchange has been told."""

    key: str
    talked: int
    keep: int


@dataclass(frozen=True, slots=True)
class Notice:
    """Its channel lives, and was answered then (None: not known to be)."""

    key: str
    answered_at: datetime | None


@dataclass(frozen=True, slots=True)
class Reconcile:
    """Its channel is gone: settle it by what is known of its answer and its end."""

    key: str
    answered_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class Lapse:
    """If its time is up, void it, or charge what was seen of it."""

    key: str


@dataclass(frozen=True, slots=True)
class Void:
    """Nobody heard that the call is allowed: its money may be freed (or was not yet)."""

    key: str


@dataclass(frozen=True, slots=True)
class TopUp:
    """Post an amount once per reference."""

    account: str
    amount: Decimal
    reference: str


Request = Prepare | Extend | GiveBack | Notice | Finish | Reconcile | Void | Lapse | TopUp


def key_of(request: Request) -> str | None:
    """The call that a request is about, if it is about one."""
    return None if isinstance(request, TopUp) else request.key


@dataclass(frozen=True, slots=True)
class Policy:
    """The settings that decide money."""

    max_call_seconds: int = 14_400
    max_reserve_seconds: int = 3600
    grace_seconds: int = 300
    quota: bool = False
    quota_seconds: int = 120
    share: Decimal = Decimal("0.5")  # of what is available, for a call that nobody can lengthen
    floor_seconds: int = 300  # whose money it holds at least
    expiry: str = "seen"  # how a call is charged that was answered and has expired: seen, granted, void
    unseen_seconds: int = 180  # a call seen alive more recently does not expire
    watched: frozenset[str] = frozenset()  # exchanges on which a call can be lengthened


@dataclass(slots=True)
class Books:
    """Accounts and calls. A page laid over them takes what a guess changes; `turn` keeps it."""

    accounts: dict[str, Account] = field(default_factory=dict)
    calls: dict[str, Call] = field(default_factory=dict)
    under: Books | None = None

    def account(self, name: str) -> Account:
        """Must exist."""
        found = self.accounts.get(name)
        if found is None:
            assert self.under is not None, name
            return self.under.account(name)
        return found

    def call(self, key: str) -> Call | None:
        """None: never heard of."""
        found = self.calls.get(key)
        return self.under.call(key) if found is None and self.under is not None else found

    def with_account(self, account: Account) -> Books:
        """A page with this account changed."""
        return Books({account.name: account}, {}, self)

    def with_call(self, call: Call, account: Account | None = None) -> Books:
        """A page with this call changed, and which calls of its account are open."""
        owner = self.account(call.account) if account is None else account
        keys = owner.open_calls - {call.key} if call.state != "open" else owner.open_calls | {call.key}
        return Books({owner.name: replace(owner, open_calls=keys)}, {call.key: call}, self)

    def open_calls(self, account: Account) -> Iterator[Call]:
        """Of one account."""
        for key in account.open_calls:
            call = self.call(key)
            assert call is not None
            yield call

    def reserved(self, account: Account) -> Decimal:
        """What its open calls hold."""
        return sum((call.held for call in self.open_calls(account)), ZERO)

    def laid_over(self) -> Iterator[Books]:
        """The pages above the lowest one."""
        page = self
        while page.under is not None:
            yield page
            page = page.under

    def laid_over_facts(self) -> tuple[frozenset[Account], frozenset[Call]]:
        """What the pages above the lowest one say in the end."""
        accounts: dict[str, Account] = {}
        calls: dict[str, Call] = {}
        for page in self.laid_over():
            accounts = page.accounts | accounts
            calls = page.calls | calls
        return frozenset(accounts.values()), frozenset(calls.values())

    def every_account(self) -> list[Account]:
        """As they are on this page."""
        bottom = self
        while bottom.under is not None:
            bottom = bottom.under
        return [self.account(name) for name in bottom.accounts]

    def turn(self) -> Books:
        """The lowest page, with everything laid over it written down."""
        bottom = self
        while bottom.under is not None:
            bottom = bottom.under
        for over in reversed(list(self.laid_over())):
            bottom.accounts.update(over.accounts)
            bottom.calls.update(over.calls)
        return bottom


def price_of(deck: Mapping[str, Price], destination: str) -> Price | None:
    """By the longest prefix."""
    matching = [prefix for prefix in deck if destination.startswith(prefix)]
    return deck[max(matching, key=len)] if matching else None
