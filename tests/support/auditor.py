"""What the engine must answer, and what its books must say: a plain model that shares no code with it.

It knows accounts, subscribers, prices and calls, and nothing of SQL, batches, caches or processes. Given what was
asked at one moment and what was answered, `Auditor.explain` looks for an order of the requests in which every answer
is right and the books end as they were seen. A request whose answer never came was carried out or was not: both are
tried. No such order: the engine is wrong (`Unexplained`).

Laws held against every explanation, so that the model cannot agree with the engine on breaking them:
- what an account may still spend falls below zero by counted overruns alone;
- what it spent and holds exceeds its daily and monthly limits by counted overruns alone.
Operators' changes (a lower overdraft, a lower limit) come in by `change_account`, outside of these laws.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from tests.support.auditor_nouns import (
    DONE,
    UNKNOWN,
    ZERO,
    Account,
    Answer,
    Books,
    Call,
    Extend,
    Finish,
    GiveBack,
    Lapse,
    Notice,
    Policy,
    Prepare,
    Price,
    Reconcile,
    Request,
    Subscriber,
    TopUp,
    Void,
    key_of,
)
from tests.support.auditor_rules import Rules

TRIES_MAX = 20_000  # requests tried by one explanation: a second of work, and far beyond what a right engine needs
LATEST_FINISH = timedelta(hours=1)  # how long after its end a finish may be told: longer than any outage here

Asked = tuple[Request, Answer]


class Unexplained(AssertionError):
    """No order of the requests gives the answers and books that were seen, or the one that does breaks a law."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the database says: accounts as (balance, reserved, open calls), calls as `Call.facts`; None: no such one."""

    accounts: Mapping[str, tuple[Decimal, Decimal, int]]
    calls: Mapping[str, tuple[object, ...] | None]


class Auditor(Rules):
    """The model, kept in step with the engine by `explain`."""

    def __init__(self, policy: Policy, deck: Mapping[str, Price], now: datetime) -> None:
        super().__init__(policy, deck, now)
        self.books = Books()
        self.earlier_decks: tuple[
            Mapping[str, Price], ...
        ] = ()  # an engine that missed a publication may rate by these
        self.timeline: list[tuple[datetime, Mapping[str, Price]]] = []  # every deck, and when it came into force
        self._tries = 0
        self._dead_ends: set[tuple[object, ...]] = set()  # what is left to explain, and the books at that point

    def change_account(self, account: Account) -> None:
        """Create or change it."""
        self.books.accounts[account.name] = account

    def change_subscriber(self, subscriber: Subscriber) -> None:
        """Create or change it."""
        self.subscribers[subscriber.login] = subscriber

    def explain(self, asked: Sequence[Asked], seen: Seen) -> None:
        """Bring the books to what was seen, by an order of the requests that gives their answers, or raise Unexplained.

        The requests were under way together, so their order is free; it is tried as given first. Requests that have
        neither a call nor an account in common cannot influence each other: each such part is explained by itself.
        """
        found: Books | None = self.books
        for part in self._parts(asked):
            self._tries = 0
            self._dead_ends = set()
            assert found is not None
            found = self._search(found, tuple(part), self._concerning(part, seen))
            if found is None:
                raise Unexplained(self._complaint(part, self._concerning(part, seen)))
        assert found is not None
        differences = self._differences(found, seen)
        if differences:
            raise Unexplained("\n".join(["the books are not as they should be:", *differences]))
        self._check_laws(found)
        self.books = found.turn()

    # -- the search --------------------------------------------------------------------------------------------

    def _parts(self, asked: Sequence[Asked]) -> list[list[Asked]]:
        """By what they share, each part in the order given."""
        parts: list[tuple[set[str], list[Asked]]] = []
        for one in asked:
            names = self._names(one[0])
            touching = [part for part in parts if part[0] & names]
            parts = [part for part in parts if not part[0] & names]
            merged = [other for part in touching for other in part[1]]
            parts.append((names.union(*(part[0] for part in touching)), [*merged, one]))
        order = {id(one): position for position, one in enumerate(asked)}
        return [sorted(part, key=lambda one: order[id(one)]) for _, part in parts]

    def _names(self, request: Request) -> set[str]:
        """Of the call and the accounts that a request is about."""
        if isinstance(request, TopUp):
            return {request.account}
        names = {request.key}
        call = self.books.call(request.key)
        if call is not None:
            names.add(call.account)
        if isinstance(request, Prepare | Finish) and request.login in self.subscribers:
            names.add(self.subscribers[request.login].account)
        return names

    def _concerning(self, part: Sequence[Asked], seen: Seen) -> Seen:
        names = set().union(*(self._names(request) for request, _ in part))
        return Seen(
            {name: money for name, money in seen.accounts.items() if name in names},
            {key: facts for key, facts in seen.calls.items() if key in names},
        )

    def _search(self, books: Books, left: tuple[Asked, ...], seen: Seen) -> Books | None:
        if not left:
            return None if self._differences(books, seen) else books
        point = (tuple(map(id, left)), books.laid_over_facts())
        if point in self._dead_ends:
            return None
        for position, (request, answer) in enumerate(left):
            rest = left[:position] + left[position + 1 :]
            for predicted, after in self._outcomes(books, request, answer):
                self._tries += 1
                if self._tries > TRIES_MAX:
                    return None
                if answer in (UNKNOWN, predicted) and _may_be(after, key_of(request), rest, seen):
                    found = self._search(after, rest, seen)
                    if found is not None:
                        return found
        self._dead_ends.add(point)
        return None

    def _outcomes(self, books: Books, request: Request, answer: Answer) -> Iterable[tuple[Answer, Books]]:
        """What may come of a request: mostly one thing."""
        match request:
            case Prepare():
                outcomes = [self.prepare(books, request)]
            case Extend():
                outcomes = [self.extend(books, request)]
            case Finish():
                decks = (self.deck, *self.earlier_decks, *self._in_force_since(request.seconds))
                outcomes = [self.finish(books, request, deck) for deck in decks]
            case GiveBack():
                outcomes = [self.give_back(books, request)]
            case Notice():
                outcomes = [self.notice(books, request)]
            case Reconcile():
                outcomes = [self.reconcile(books, request, read) for read in self._readings(books, request.key)]
            case Lapse():
                outcomes = [self.lapse(books, request, read) for read in self._readings(books, request.key)]
            case Void():
                outcomes = [self.void(books, request), (DONE, books)]
            case TopUp():
                outcomes = [self.top_up(books, request)]
        if answer == UNKNOWN and all(after is not books for _, after in outcomes):
            outcomes.append((UNKNOWN, books))
        return outcomes

    def _in_force_since(self, seconds: int) -> list[Mapping[str, Price]]:
        """The decks that may have been in force when a call began that lasted so long, and was told some time ago.

        A call that was never prepared is priced by its start.
        """
        start = self.now - timedelta(seconds=seconds) - LATEST_FINISH
        ends = [begins for begins, _ in self.timeline[1:]] + [self.now]
        return [deck for (_, deck), end in zip(self.timeline, ends, strict=False) if end >= start]

    def _readings(self, books: Books, key: str) -> list[Call | None]:
        """A call as it may have been read before it was acted upon: now, or before all that is asked at once."""
        now, before = books.call(key), self.books.call(key)
        return [now] if now == before else [now, before]

    def _differences(self, books: Books, seen: Seen) -> list[str]:
        found = []
        for name, money in seen.accounts.items():
            account = books.account(name)
            expected = (account.balance, books.reserved(account), len(account.open_calls))
            if expected != money:
                found.append(f"account {name} (balance, reserved, open): {_plain(money)}, not {_plain(expected)}")
        for key, facts in seen.calls.items():
            expected_facts = _facts(books, key)
            if expected_facts != facts:
                found.append(f"call {key}: {_plain(facts)}, not {_plain(expected_facts)}")
        return found

    def _complaint(self, asked: Sequence[Asked], seen: Seen) -> str:
        """The requests in the order given, each with what the model would have answered."""
        tried = "none that was tried" if self._tries > TRIES_MAX else "no"
        lines = [f"{tried} order of these requests explains their answers and the books:"]
        books = self.books
        for request, answer in asked:
            predicted, after = next(iter(self._outcomes(books, request, answer)))
            right = answer in (UNKNOWN, predicted)
            lines.append(f"  {'  ' if right else '! '}{request}: {_plain(answer)}")
            if not right:
                lines.append(f"      should be {_plain(predicted)}")
            books = after
        lines.extend(f"  ! {difference}" for difference in self._differences(books, seen))
        return "\n".join(lines)

    # -- the laws ----------------------------------------------------------------------------------------------

    def _check_laws(self, after: Books) -> None:
        """Of the accounts that an explanation changed."""
        keys = {key for page in after.laid_over() for key in page.calls}
        for name in {name for page in after.laid_over() for name in page.accounts}:
            counted = _overruns(after, name, keys) - _overruns(self.books, name, keys)
            for law, shortage in (("available >= 0", self._deficit), ("spent and held <= limits", self._excess)):
                before = shortage(self.books, self.books.account(name))
                short = shortage(after, after.account(name))
                if short > before + max(counted, ZERO):
                    raise Unexplained(
                        f"{law} is broken for {name}: by {short}, of which {counted} are counted overruns"
                    )

    def _deficit(self, books: Books, account: Account) -> Decimal:
        available = self.available(books, account)
        return ZERO if available is None else max(-available, ZERO)

    def _excess(self, books: Books, account: Account) -> Decimal:
        left = [self.left(books, account, month=month) for month in (False, True)]
        return max([ZERO, *(-amount for amount in left if amount is not None)])


def _facts(books: Books, key: str) -> tuple[object, ...] | None:
    call = books.call(key)
    return None if call is None else call.facts()


def _may_be(books: Books, key: str | None, rest: tuple[Asked, ...], seen: Seen) -> bool:
    """Whether a call can still become what was seen, by what is left; no call was ever less than it has been."""
    if key is None or key not in seen.calls:
        return True
    call, facts = books.call(key), seen.calls[key]
    if _stage(None if call is None else call.facts()) > _stage(facts):
        return False
    if any(key_of(other) == key for other, _ in rest):
        return True
    return _facts(books, key) == facts


def _stage(facts: tuple[object, ...] | None) -> int:
    """Not heard of, open, ended: a call goes one way."""
    return 0 if facts is None else 1 if facts[0] == "open" else 2


def _overruns(books: Books, account: str, keys: Iterable[str]) -> Decimal:
    calls = (books.call(key) for key in keys)
    return sum((call.overrun for call in calls if call is not None and call.account == account), ZERO)


def _plain(value: Any) -> str:
    """Without the noise of Decimal('...') and datetime.datetime(...)."""
    if isinstance(value, tuple):
        return "(" + ", ".join(map(_plain, value)) + ")"
    if isinstance(value, datetime):
        return f"{value:%d %H:%M:%S}"
    return str(value)
