"""The rules of the auditor: what each request must come to, one at a time, given the books."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from math import ceil

from tests.support.auditor_nouns import (
    DONE,
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
    Subscriber,
    TopUp,
    Void,
    price_of,
)

TOLERANCE = 0.2  # seconds


class Rules:
    """Each method answers with what is said and with the books afterwards; the books given are left as they are."""

    def __init__(self, policy: Policy, deck: Mapping[str, Price], now: datetime) -> None:
        self.policy = policy
        self.deck = deck
        self.now = now
        self.subscribers: dict[str, Subscriber] = {}

    # -- money -------------------------------------------------------------------------------------------------

    def available(self, books: Books, account: Account) -> Decimal | None:
        """What it may still spend; None: no bound."""
        if account.overdraft is None:
            return None
        return account.balance + account.overdraft - books.reserved(account)

    def left(self, books: Books, account: Account, *, month: bool) -> Decimal | None:
        """Of the daily or monthly limit; what is held counts as spent."""
        limit = account.monthly_limit if month else account.daily_limit
        return None if limit is None else limit - books.reserved(account) - account.spent_in(self.now, month=month)

    def _bounds(self, books: Books, account: Account) -> list[tuple[str, Decimal]]:
        """What bounds a call's money, by the reason it is declined with."""
        bounds = [
            ("insufficient_funds", self.available(books, account)),
            ("daily_limit", self.left(books, account, month=False)),
            ("monthly_limit", self.left(books, account, month=True)),
        ]
        return [(reason, amount) for reason, amount in bounds if amount is not None]

    # -- requests ----------------------------------------------------------------------------------------------

    def prepare(self, books: Books, request: Prepare) -> tuple[Answer, Books]:
        """Allowed with its seconds and money, or declined with the reason."""
        subscriber = self.subscribers.get(request.login)
        if subscriber is None:
            return ("declined", "unknown_login"), books
        price = price_of(self.deck, request.destination)
        if price is None:
            return ("declined", "no_rate"), books
        account = books.account(subscriber.account)
        known = books.call(request.key)
        if known is not None:
            if (known.account, known.login, known.destination) != (account.name, request.login, request.destination):
                return ("declined", "conflict"), books
            if known.state != "open":
                return ("declined", "already_finished"), books
            return _allowed(known, repeated=True), books
        refusal = self._refusal(books, subscriber, account, request, price)
        if refusal is not None:
            return ("declined", refusal), books
        return self._reserve(books, subscriber, account, request, price)

    def _refusal(
        self, books: Books, subscriber: Subscriber, account: Account, request: Prepare, price: Price
    ) -> str | None:
        if not (account.active and subscriber.active):
            return "inactive"
        if not account.may_call(request.destination):
            return "blocked_destination"
        if account.max_price is not None and price.per_minute > account.max_price:
            return "price_too_high"
        if account.max_calls is not None and len(account.open_calls) >= account.max_calls:
            return "too_many_calls"
        own = sum(call.login == subscriber.login for call in books.open_calls(account))
        if subscriber.max_calls is not None and own >= subscriber.max_calls:
            return "too_many_calls"
        short = (reason for reason, amount in self._bounds(books, account) if amount < price.least)
        return next(short, None) if price.least > 0 else None

    def _reserve(
        self, books: Books, subscriber: Subscriber, account: Account, request: Prepare, price: Price
    ) -> tuple[Answer, Books]:
        policy = self.policy
        wants_quota = policy.quota if account.quota is None else account.quota
        steered = request.key.split("/")[0] in policy.watched
        default = policy.max_call_seconds
        if not (steered or account.postpaid):
            default = min(default, policy.max_reserve_seconds)
        cap = min((limit for limit in (subscriber.max_seconds, account.max_call_seconds) if limit), default=default)
        ahead = cap
        if steered:
            ahead = min(cap, policy.quota_seconds if wants_quota else policy.max_reserve_seconds)
        wish = max(price.least, price.cost(ahead))  # the longest call may end inside the grace of its rate
        bounds = [amount for _, amount in self._bounds(books, account)]
        granted = max(min([wish, *bounds]), ZERO)
        others_may_come = account.max_calls is None or account.max_calls - len(account.open_calls) > 1
        if wants_quota and not steered and bounds and others_may_come:
            part = (min(bounds) * policy.share).quantize(Decimal("0.000001"), ROUND_DOWN)
            granted = min(granted, max(part, price.least, price.cost(min(cap, policy.floor_seconds))))
        # What pays for a slice may pay for more: a started interval, or seconds that cost nothing.
        lasts = max(ahead, price.lasts(wish, cap)) if steered else cap
        call = Call(
            key=request.key,
            login=subscriber.login,
            account=account.name,
            destination=request.destination,
            price=price,
            held=ZERO if account.unlimited else granted,
            granted=granted,
            cap=cap,
            quota=wants_quota and steered,
            steered=steered,
            expires_at=self.now + timedelta(seconds=lasts + self.policy.grace_seconds),
        )
        return _allowed(call, repeated=False), books.with_call(call)

    def extend(self, books: Books, request: Extend) -> tuple[Answer, Books]:
        """How long the call may last in all, and whether that is final; or that it has ended."""
        call = books.call(request.key)
        if call is None or call.state != "open":
            return ("ended",), books
        assert call.price is not None
        account = books.account(call.account)
        wanted = min(call.cap, request.talked + self.policy.quota_seconds)
        if account.active:
            wish = call.price.cost(wanted) - call.granted
            more = max(min([wish, *(amount for _, amount in self._bounds(books, account))]), ZERO)
            call = self._lengthened(call, account, more, wanted - request.talked)
            call = replace(call, answered_at=call.answered_at or request.answered_at)
            books = books.with_call(call)
        return _extended(call, wanted), books

    def give_back(self, books: Books, request: GiveBack) -> tuple[Answer, Books]:
        """The same, for what it holds then."""
        call = books.call(request.key)
        if call is None or call.state != "open":
            return ("ended",), books
        assert call.price is not None
        keep = min(call.cap, request.keep)
        less = max(min(call.price.cost(keep) - call.granted, ZERO), -call.held)
        call = self._lengthened(call, books.account(call.account), less, keep - request.talked)
        return _extended(call, keep), books.with_call(call)

    def _lengthened(self, call: Call, account: Account, more: Decimal, lasts: int) -> Call:
        expiry = self.now + timedelta(seconds=max(lasts, 0) + self.policy.grace_seconds)
        assert call.expires_at is not None
        return replace(
            call,
            granted=call.granted + more,
            held=call.held if account.unlimited else call.held + more,
            expires_at=max(call.expires_at, expiry),
        )

    def notice(self, books: Books, request: Notice) -> tuple[Answer, Books]:
        """Noted, while it is open."""
        call = books.call(request.key)
        if call is None or call.state != "open":
            return ("ended",), books
        seen = replace(call, answered_at=call.answered_at or request.answered_at, last_seen_at=self.now)
        return ("noted",), books.with_call(seen)

    def finish(self, books: Books, request: Finish, deck: Mapping[str, Price]) -> tuple[Answer, Books]:
        """Saved with its cost, or not saved with the reason; `deck` rates a call that was never prepared."""
        subscriber = self.subscribers.get(request.login)
        if subscriber is None:
            return ("not_saved", "unknown_login"), books
        call = books.call(request.key)
        if call is None:
            price = price_of(deck, request.destination)
            unrated = price is None and request.seconds > 0
            call = Call(request.key, subscriber.login, subscriber.account, request.destination, price)
            return self._settle(books, call, request.seconds, "unrated" if unrated else "unreserved")
        if call.account != subscriber.account:
            return ("not_saved", "conflict"), books
        if call.state == "open":
            return self._finish_open(books, call, request.seconds)
        contradicted = call.source == "reconciled" and _contradicts(request.seconds, call.seen)
        if call.state != "expired" and request.seconds in (call.seconds, call.said) and not contradicted:
            return ("saved", call.seconds, call.cost, ZERO, True), books
        if call.final and not (call.source == "finish" and call.said is not None):
            return ("not_saved", "conflict"), books
        if contradicted:
            assert call.seen is not None
            return self._settle(books, replace(call, said=request.seconds), call.seen, "late")
        return self._settle(books, call, request.seconds, "late")

    def _finish_open(self, books: Books, call: Call, seconds: int) -> tuple[Answer, Books]:
        """An answer that was seen is believed against a finish that says there was none."""
        if seconds == 0 and call.answered_at is not None and (self.now - call.answered_at).total_seconds() >= 1:
            talked = _seconds_between(call, call.answered_at, self.now, assumed=True)
            return self._settle(books, replace(call, said=seconds), talked, "finish")
        return self._settle(books, call, seconds, "finish")

    def reconcile(self, books: Books, request: Reconcile, read: Call | None) -> tuple[Answer, Books]:
        """Settled, unless it has ended; by what was `read` of it, which may be some moments old."""
        call = books.call(request.key)
        if read is None or read.state != "open" or call is None or call.state != "open":
            return DONE, books
        read = replace(read, answered_at=read.answered_at or request.answered_at)
        seconds = 0
        if read.answered_at is not None:
            end = request.ended_at or read.last_seen_at or read.answered_at
            seconds = _seconds_between(read, read.answered_at, end, assumed=request.ended_at is None)
            if request.ended_at is not None:
                call = replace(call, seen=seconds)
        return DONE, self._settle(books, call, seconds, "reconciled")[1]

    def lapse(self, books: Books, request: Lapse, read: Call | None) -> tuple[Answer, Books]:
        """Ended, if its time is up and it was not seen lately; by what was `read` of it, as above."""
        call = books.call(request.key)
        if call is None or call.state != "open" or read is None or read.state != "open":
            return DONE, books
        voided = books.with_call(replace(call, state="expired", source="expired"))
        assert call.expires_at is not None
        if read.answered_at is None:
            return DONE, voided if call.answered_at is None and call.expires_at <= self.now else books
        if not self._is_due(read):
            return DONE, books
        if self.policy.expiry == "void":
            return DONE, voided if call.expires_at <= self.now else books
        assert read.price is not None
        seconds = max(read.price.lasts(read.granted, read.cap), 1)
        if self.policy.expiry == "seen":
            end = read.last_seen_at or read.answered_at
            seconds = _seconds_between(read, read.answered_at, end, assumed=True)
        return DONE, self._settle(books, call, seconds, "reconciled")[1]

    def _is_due(self, call: Call) -> bool:
        """Of one that was answered."""
        assert call.expires_at is not None
        unseen_since = self.now - timedelta(seconds=self.policy.unseen_seconds)
        return call.expires_at <= self.now and (call.last_seen_at is None or call.last_seen_at <= unseen_since)

    def void(self, books: Books, request: Void) -> tuple[Answer, Books]:
        """Freed, if it is open."""
        call = books.call(request.key)
        if call is None or call.state != "open":
            return DONE, books
        return DONE, books.with_call(replace(call, state="voided", source="abandoned"))

    def top_up(self, books: Books, request: TopUp) -> tuple[Answer, Books]:
        """Posted once per reference."""
        account = books.account(request.account)
        earlier = dict(account.references).get(request.reference)
        if earlier is not None:
            return ("repeated" if earlier == request.amount else "conflict",), books
        return ("posted",), books.with_account(
            replace(
                account,
                balance=account.balance + request.amount,
                references=(*account.references, (request.reference, request.amount)),
            )
        )

    def _settle(self, books: Books, call: Call, seconds: int, source: str) -> tuple[Answer, Books]:
        """Charge what the call costs beyond what was charged before; what exceeds its hold is counted."""
        account = books.account(call.account)
        cost = ZERO if call.price is None else call.price.cost(seconds)
        due = cost - call.cost
        day = call.charged_on if call.cost > 0 and call.charged_on is not None else account.today(self.now)
        beyond = ZERO if account.unlimited else max(due - (call.held if call.state == "open" else ZERO), ZERO)
        overrun = call.overrun
        if not account.unlimited:
            overrun = beyond if call.state == "open" else max(call.overrun + due, ZERO)
        ended = replace(
            call,
            state="settled" if seconds > 0 else "voided",
            source=source,
            seconds=seconds,
            cost=cost,
            charged_on=day,
            overrun=overrun,
        )
        return ("saved", seconds, cost, beyond, False), books.with_call(ended, account.charged(due, day))


def _allowed(call: Call, *, repeated: bool) -> Answer:
    assert call.price is not None
    return "allowed", call.price.lasts(call.granted, call.cap), call.granted, call.steered, repeated


def _contradicts(said: int, seen: int | None) -> bool:
    return seen is not None and ((said == 0) != (seen == 0) or abs(said - seen) > 10)


def _extended(call: Call, wanted: int) -> Answer:
    assert call.price is not None
    longest = call.price.lasts(call.granted, call.cap)
    return "extended", longest, longest < wanted or longest >= call.cap


def _seconds_between(call: Call, answered_at: datetime, ended_at: datetime, *, assumed: bool) -> int:
    """A begun second counts from its TOLERANCE on; a call is not charged past its money where its end is a guess."""
    assert call.price is not None
    talked = max(1, ceil((ended_at - answered_at).total_seconds() - TOLERANCE))
    longest = call.price.lasts(call.granted, call.cap)
    return max(1, min(talked, longest)) if assumed or talked == longest + 1 else talked
