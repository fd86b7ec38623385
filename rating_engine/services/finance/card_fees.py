"""What used cards pay but calls: the fee of the first use and the days, each posted once; and lines of cards that end.

Laws: a fee is taken by a reference that says what it is for, and then the card is moved on, so that who comes after a
crash takes nothing twice. Less than the fee is taken where there is no more, and nothing where there is nothing: a card
never owes. What a call holds is not taken: the fee waits for its end.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Final

import structlog

from rating_engine.domain.account import PartyStatus
from rating_engine.domain.card import A_DAY, days_due
from rating_engine.domain.errors import Refused
from rating_engine.domain.principal import ENGINE, Principal
from rating_engine.storage.audit_log import note_of, record
from rating_engine.storage.finance import calling_cards as store
from rating_engine.storage.finance.calling_cards import KeptCard
from rating_engine.storage.finance.card_groups import find_group
from rating_engine.storage.finance.purses import purse_at
from rating_engine.storage.numbers.rents import Taken, take_fee_of
from rating_engine.storage.parties.accounts import set_subscriber_status
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.postgres.transaction import Transaction

CARDS_SECONDS: Final = 60.0  # how late a line hears at the most that its card ends, and a day is charged
BATCH: Final = 200  # cards read at a time
TRIES: Final = 3  # a call may take what was seen a moment ago

_log = structlog.get_logger(__name__)


class FeeWaits(Refused):
    """A call holds what the fee would be taken of."""

    code = "fee_waits"


class CardFees:
    """Takes what used cards owe."""

    def __init__(self, database: Database, principal: Principal, now: Callable[[], datetime]) -> None:
        self._database = database
        self._principal = principal
        self._now = now

    async def take(self, card: KeptCard) -> None:
        """All that is due of one card. Errors: FeeWaits, Unavailable."""
        if card.first_used_at is None:
            return
        if card.setup_due:
            await self._taken(card, card.setup_due, f"card:{card.card_id}:setup", "first use of a card")
            await self._note(card.card_id, {"setup_due": Decimal(0)})
        group = await find_group(self._database, card.group_id)
        if not group.daily_charge:
            return
        days = days_due(card.daily_paid_to, card.first_used_at, self._now())
        for day in days:
            reference = f"card:{card.card_id}:day:{day:%Y-%m-%d}"
            await self._taken(card, group.daily_charge, reference, f"card: {day:%Y-%m-%d}")
            await self._note(card.card_id, {"daily_paid_to": day + A_DAY})

    async def _taken(self, card: KeptCard, fee: Decimal, reference: str, subject: str) -> None:
        for _ in range(TRIES):
            purse = await purse_at(self._database, card.bucket, card.account_id)
            amount = min(fee, purse.sendable)
            if amount < fee and purse.reserved > 0:
                raise FeeWaits(f"card {card.card_id}: a call holds its money")
            if amount <= 0:
                return
            note = note_of(self._principal, "card.fee", str(card.card_id), {"fee": amount, "reference": reference})
            taken = await take_fee_of(self._database, card.bucket, card.account_id, amount, reference, subject, note)
            if taken is not Taken.NOT_THERE:
                return
        raise FeeWaits(f"card {card.card_id}: its money changes as it is taken")

    async def _note(self, card_id: int, values: dict[str, object]) -> None:
        """Never back: who was slower has the same or less to say."""
        async with self._database.transaction(self._principal) as tx:
            held = await store.hold_card(tx, card_id)
            if "daily_paid_to" not in values or held.daily_paid_to < values["daily_paid_to"]:  # type: ignore[operator]
                await store.change_card(tx, card_id, values)


class CardKeeper:
    """Each minute on every engine: days are charged, and lines hear that their cards end or begin to count."""

    def __init__(self, database: Database, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now
        self._fees = CardFees(database, ENGINE, now)

    async def turn(self) -> None:
        """Errors: Unavailable, Overloaded (the rest at the next turn)."""
        at, after = self._now(), 0
        while cards := await store.cards_turned(self._database, at, after, BATCH):
            for card_id in cards:
                async with self._database.transaction(ENGINE) as tx:
                    await turn_line(tx, await store.hold_card(tx, card_id), at)
            after = cards[-1]
        after = 0
        while cards := await store.cards_owing(self._database, at, after, BATCH):
            for card_id in cards:
                async with self._database.transaction(ENGINE) as tx:
                    card = await store.hold_card(tx, card_id)
                try:
                    await self._fees.take(card)
                except FeeWaits as error:
                    _log.info("card_fee_waits", card_id=card_id, problem=str(error))
            after = cards[-1]


async def turn_line(tx: Transaction, card: KeptCard, at: datetime) -> None:
    """Let the line of a used card call, or call no more, as the card counts. Errors: Unavailable."""
    if card.line is None:
        return
    is_open = await store.is_open(tx, card.card_id, at)
    await set_subscriber_status(tx, card.line, PartyStatus.ACTIVE if is_open else PartyStatus.BLOCKED)
    await store.change_card(tx, card.card_id, {"line_open": is_open})
    await record(tx, "card.line", str(card.card_id), {"line": card.line, "open": is_open})
