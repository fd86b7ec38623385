"""Who takes which service: begun, changed, ended. What is due meanwhile, `recurring` takes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from rating_engine.domain.change import given
from rating_engine.domain.errors import AlreadyExists, Hint, InvalidRequest, NotAllowed, NotFound, Refused
from rating_engine.domain.page import Cursor, Page
from rating_engine.domain.party import Level
from rating_engine.domain.principal import Principal
from rating_engine.domain.subscription import (
    Charge,
    MoneyBack,
    NewSubscription,
    Service,
    Subscription,
    SubscriptionChanges,
    SubscriptionFilter,
    SubscriptionState,
    next_charge,
)
from rating_engine.domain.transfer import InsufficientMoney
from rating_engine.services.finance.recurring import AHEAD, Recurring, RecurringTurn
from rating_engine.storage.audit_log import note_of, record
from rating_engine.storage.finance import subscriptions as store
from rating_engine.storage.finance.paid_services import find_service
from rating_engine.storage.finance.purses import Purse, purse_of_line, purse_of_party
from rating_engine.storage.finance.subscriptions import Answer, Done, SubscriptionOrder
from rating_engine.storage.numbers.dids import find_did
from rating_engine.storage.parties.owners import owner_of_login
from rating_engine.storage.parties.parties import find_party, is_below, tree_of
from rating_engine.storage.postgres.pool import Database

NOTHING: Final = Decimal(0)


class Subscriptions:
    """What one principal does with subscriptions. `now`: the instant that periods are counted by."""

    def __init__(self, database: Database, principal: Principal, now: Callable[[], datetime]) -> None:
        self._database = database
        self._principal = principal
        self._now = now
        self._recurring = Recurring(database, principal, now)

    async def subscribe(self, new: NewSubscription) -> Subscription:
        """Let a user take a service: its setup price and, where it begins by now, the first period are taken at once.

        Errors: InvalidRequest naming the field, NotFound, NotAllowed (not for everybody), AlreadyExists (the line has
        that flat rate; the reference was used otherwise), InsufficientMoney, NoExchangeRate, Refused, Unavailable.
        """
        service = await find_service(self._database, new.service_id)
        party = await find_party(self._database, new.who)
        if party.hidden:
            raise InvalidRequest("user", f"{party.login!r} was deleted")
        await self._check_may_take(service, party.party_id)
        if new.line is not None and await owner_of_login(self._database, new.line) != party.party_id:
            raise InvalidRequest("line", f"{new.line!r} is no line of {party.login!r}")
        if service.option_id is not None and new.line is None:
            raise InvalidRequest("line", "a flat rate is of a line: say which")
        if new.number is not None and (await find_did(self._database, new.number)).party_id != party.party_id:
            raise InvalidRequest("number", f"{new.number!r} is no number of {party.login!r}")
        purse = await self._purse(party.party_id, new.line)
        return await self.subscribe_account(purse, service, party.party_id, new)

    async def subscribe_account(
        self, purse: Purse, service: Service, party_id: int, new: NewSubscription
    ) -> Subscription:
        """The same on an account that is known, as a card's is; who may has been asked before. Errors: as above."""
        starts_at = self._now() if new.starts_at is None else new.starts_at
        if new.ends_at is not None and new.ends_at <= starts_at:
            raise InvalidRequest("ends_at", "must be after the start")
        due = next_charge(service, starts_at, starts_at, new.ends_at, is_calendar=new.is_calendar, zone=purse.time_zone)
        begins_now = new.pay_now and starts_at <= self._now() + AHEAD
        setup = await self._setup_fee(service, purse)
        first = await self._recurring.fee(service, service.cost, due, purse.currency) if begins_now else NOTHING
        order = SubscriptionOrder(
            service.service_id, party_id, new.line, new.number, new.memo, new.is_calendar, starts_at, new.ends_at,
            due.ends if begins_now else starts_at, setup, first, service.option_id, 0, new.reference,
            _subject(service, new),
        )  # fmt: skip
        note = note_of(
            self._principal, "subscription.add", new.line or str(purse.account_id),
            {"service": service.name, "from": starts_at, "to": new.ends_at, "taken": setup + first},
        )  # fmt: skip
        answer = await store.subscribe(self._database, purse.bucket, purse.account_id, order, note)
        subscription_id = _made(answer, service, new, purse)
        if not new.pay_now:
            await self._recurring.catch_up(subscription_id)
        return await self.show(subscription_id)

    async def show(self, subscription_id: int) -> Subscription:
        """One subscription. Errors: NotFound, Unavailable."""
        return await store.find_subscription(self._database, subscription_id)

    async def page(self, wanted: SubscriptionFilter, cursor: Cursor) -> Page[Subscription]:
        """Subscriptions by number, of those that may be seen. Errors: NotFound, InvalidRequest (after), Unavailable."""
        parties: list[int] | None = None
        if wanted.who is not None:
            parties = [(await find_party(self._database, wanted.who)).party_id]
        elif not self._principal.sees_all:
            parties = await tree_of(self._database, self._principal.realm)
        return await store.list_subscriptions(self._database, parties, wanted, cursor)

    async def change(self, subscription_id: int, changes: SubscriptionChanges) -> Subscription:
        """Its memo, its end (what is charged stays charged), and, while nothing is charged, its start.

        Errors: InvalidRequest naming the field, Refused (it has ended), NotFound, Unavailable.
        """
        found = await self.show(subscription_id)
        async with self._database.transaction(self._principal) as tx:
            held = await store.hold_subscription(tx, found)
            if not held.counts:
                raise Refused(f"subscription {subscription_id} has ended")
            values = _changed(held, changes)
            await store.change_subscription(tx, held, values)
            await record(tx, "subscription.change", str(subscription_id), given(changes), bucket=held.bucket)
        return await self.show(subscription_id)

    async def end(
        self, subscription_id: int, *, remove: bool = False, money_back: MoneyBack = MoneyBack.NONE
    ) -> Decimal:
        """End one now, and list it no more if `remove`; what was given back, in the account's currency.

        Errors: NotFound, Unavailable.
        """
        found = await self.show(subscription_id)
        state = SubscriptionState.REMOVED if remove else SubscriptionState.ENDED
        answer = await self._recurring.end(found, state, money_back, "asked")
        return -answer.amount if answer.amount else NOTHING

    async def turn(self) -> RecurringTurn:
        """Take what is due now, as the engine does each minute. Errors: Unavailable."""
        return await self._recurring.turn()

    async def _check_may_take(self, service: Service, party_id: int) -> None:
        """An administrator gives any, who made it gives it below; everybody takes what those above offer everybody."""
        who = self._principal
        if who.sees_all and who.level >= Level.ADMIN:
            return
        if who.level >= Level.RESELLER and await is_below(self._database, service.party_id, who.realm):
            return
        if not (service.is_public and await is_below(self._database, party_id, service.party_id)):
            raise NotAllowed(f"service {service.name!r} is not for everybody to take", field="service")

    async def _purse(self, party_id: int, line: str | None) -> Purse:
        purse = await (
            purse_of_party(self._database, party_id) if line is None else purse_of_line(self._database, line)
        )
        if purse is None:
            raise NotFound("the user has no account that could pay", field="account")
        purse.check_open()
        return purse

    async def _setup_fee(self, service: Service, purse: Purse) -> Decimal:
        once = Charge(self._now(), None)
        return await self._recurring.fee(service, service.setup_price, once, purse.currency)


def _changed(held: Subscription, changes: SubscriptionChanges) -> dict[str, Any]:
    """The columns that become others. Raises InvalidRequest naming the field."""
    values = given(changes)
    if "is_calendar" in values:
        values["calendar"] = values.pop("is_calendar")
    starts_at = values.get("starts_at", held.starts_at)
    ends_at = values.get("ends_at", held.ends_at)
    if starts_at != held.starts_at:
        if held.paid_to != held.starts_at:
            raise InvalidRequest("starts_at", "is past: it is charged from then on")
        values["paid_to"] = starts_at
    if ends_at is not None and ends_at <= starts_at:
        raise InvalidRequest("ends_at", "must be after the start")
    paid_to = held.paid_to if held.service.option_id is not None else None
    if paid_to is not None and ends_at is not None and ends_at < paid_to:
        raise InvalidRequest("ends_at", f"is paid to {paid_to:%Y-%m-%d %H:%M:%SZ}: end it then, or at once")
    return values


def _made(answer: Answer, service: Service, new: NewSubscription, purse: Purse) -> int:
    """The number of what was begun. Raises why it was not."""
    match answer.outcome:
        case Done.NOT_THERE:
            raise InsufficientMoney(
                f"{answer.amount} {purse.currency} for {service.name!r} is more than is available",
                hint=None if new.line is None else Hint.TOP_UP,
                about={} if new.line is None else {"login": new.line},
            )
        case Done.CONFLICT:
            raise AlreadyExists(f"reference {new.reference!r} was used for another subscription", field="reference")
        case Done.TAKEN:
            raise AlreadyExists(f"{new.line!r} has {service.name!r} already", field="service")
        case Done.TOO_MANY:
            raise Refused(f"{new.line!r} has as many options as a line may have")
        case Done.UNKNOWN:
            raise NotFound("there is no such account any more", field="account")
    assert answer.subscription_id is not None
    return answer.subscription_id


def _subject(service: Service, new: NewSubscription) -> str:
    of = new.number or new.line
    return f"{service.name}: begun" if of is None else f"{service.name} of {of}: begun"
