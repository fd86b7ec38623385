"""Transfers between accounts as people ask for them, and the end of those that a crash left on their way.

Law: nobody makes money by it but who may: below an administrator of the system every amount comes from an account.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Final

import structlog

from rating_engine.domain.account import RefillAllowed
from rating_engine.domain.checks import check_amount, check_reference
from rating_engine.domain.errors import InvalidRequest, NotFound
from rating_engine.domain.party import Level
from rating_engine.domain.principal import Principal
from rating_engine.domain.transfer import Order, Transfer
from rating_engine.services.finance.moving import NO_FEE, Moving
from rating_engine.storage.audit_log import note_of
from rating_engine.storage.finance import transfers as store
from rating_engine.storage.finance.purses import Purse, purse_numbered, purse_of_line, purse_of_party
from rating_engine.storage.parties.parties import find_party
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.tariffs.currencies import load_currencies

LATE_SECONDS: Final = 5.0  # who sends it gives it within milliseconds; later somebody else has to
TRANSFERS_SECONDS: Final = 5.0  # how often that is looked for
BATCH: Final = 200  # a turn; the rest at the next one
MAX_NUMBER: Final = 2**63 - 1  # of a column
SET: Final = "balance set"

_log = structlog.get_logger(__name__)


class Transfers:
    """What one principal does with money of accounts."""

    def __init__(self, database: Database, principal: Principal, *, system_currency: str = "EUR") -> None:
        self._database = database
        self._principal = principal
        self._moving = Moving(database, principal)
        self._system_currency = system_currency

    async def send(
        self, who: str | int, destination: str, amount: Decimal, *, comment: str = "", reference: str | None = None,
        currency: str | None = None,
    ) -> Transfer:  # fmt: skip
        """From a user's own account to that of another: its login, or the number of an account.

        `currency` of the amount; None: the sending account's. The other one has it in its own. What the sender's
        currency says of a fee is taken besides. Errors: InvalidRequest naming the field, NotFound, AccountClosed,
        InsufficientMoney, TransfersLocked, TransfersLimited, NoExchangeRate, AlreadyExists (the reference was used
        otherwise), Unavailable.
        """
        check_reference(reference)
        order = Order(amount, comment, reference)
        sender = await self._moving.own(who)
        taken = await self._moving.converted(amount, currency or sender.currency, sender.currency)
        order = replace(order, amount=taken)
        receiver = await self._destination(destination)
        return await self._moving.move(sender, receiver, order, fee=await self._fee(sender))

    async def between(
        self, login: str, to_login: str, amount: Decimal, *, comment: str = "", reference: str | None = None
    ) -> Transfer:
        """From the account of one login to that of another, as an operator does. Errors: as of `send`."""
        check_reference(reference)
        order = Order(amount, comment, reference)
        sender = await purse_of_line(self._database, login)
        return await self._moving.move(sender, await purse_of_line(self._database, to_login), order)

    async def top_up(
        self, who: str | int, login: str, amount: Decimal, *, comment: str = "", reference: str | None = None
    ) -> Transfer:
        """From a user's own account to that of a login below it. Errors: as of `send`."""
        check_reference(reference)
        order = Order(amount, comment, reference)
        sender = await self._moving.own(who)
        return await self._moving.move(sender, await purse_of_line(self._database, login), order)

    async def set_balance(self, number: int, balance: Decimal, *, currency: str | None = None) -> None:
        """Let an account have this balance: an administrator by an adjustment, who owns it from or to its own account.

        `currency` None: the account's. Asked twice at once, it is done once. Errors: as of `send`.
        """
        check_amount(balance, "balance", allow_negative=True)
        purse = await purse_numbered(self._database, number)
        if purse is None:
            raise NotFound(f"there is no account {number}", field="account")
        purse.check_open()
        target = await self._moving.converted(balance, currency or purse.currency, purse.currency)
        if self._makes_money:
            note = note_of(self._principal, "account.set_balance", str(number), {"balance": target})
            await store.set_balance(self._database, purse, target, SET, note)
            return
        assert self._principal.party_id is not None
        await self._even_out(purse, await self._moving.own(self._principal.party_id), target)

    async def shift(self, number: int, amount: Decimal) -> None:
        """Let an account that one owns have so much more from one's own account, or, negative, so much less.

        `amount` in the account's currency; asked twice, it is done twice. Errors: as of `send`.
        """
        purse = await purse_numbered(self._database, number)
        if purse is None or self._principal.party_id is None:
            raise NotFound(f"there is no account {number}, or nobody's own beside it", field="account")
        await self._give(purse, await self._moving.own(self._principal.party_id), amount, None)

    async def converted(self, amount: Decimal, currency_from: str, currency_to: str) -> Decimal:
        """An amount in another currency now. Errors: NoExchangeRate, Unavailable."""
        return await self._moving.converted(amount, currency_from, currency_to)

    async def _fee(self, sender: Purse) -> Decimal:
        """What sending costs in the sender's currency: said of that in the system's. Errors: NoExchangeRate."""
        currency = (await load_currencies(self._database)).get(sender.currency)
        if currency is None or not currency.transfer_fee:
            return NO_FEE
        return await self._moving.converted(currency.transfer_fee, self._system_currency, sender.currency)

    @property
    def _makes_money(self) -> bool:
        who = self._principal
        return who.level >= Level.ADMIN and who.sees_all and who.moves_money

    async def _even_out(self, purse: Purse, own: Purse, target: Decimal) -> None:
        """By a transfer whose reference is the account's last entry: who read the same sends the same."""
        reference = None if purse.last_entry is None else f"balance:{purse.account_id}:{purse.last_entry}"
        await self._give(purse, own, target - purse.balance, reference)

    async def _give(self, purse: Purse, own: Purse, amount: Decimal, reference: str | None) -> None:
        if amount > 0:
            taken = await self._moving.converted(amount, purse.currency, own.currency)
            await self._moving.move(own, purse, Order(taken, SET, reference, RefillAllowed.ANONYMOUS))
        elif amount < 0:
            await self._moving.move(purse, own, Order(-amount, SET, reference, RefillAllowed.ANONYMOUS))

    async def _destination(self, destination: str) -> Purse:
        """By the login of a user, or the number of an account; where both are there, nobody knows which is meant."""
        is_number = destination.isascii() and destination.isdigit() and len(destination) < len(str(MAX_NUMBER))
        by_number = await purse_numbered(self._database, int(destination)) if is_number else None
        try:
            party = await find_party(self._database, destination)
        except NotFound:
            party = None
        by_login = None if party is None or party.hidden else await purse_of_party(self._database, party.party_id)
        if by_login is not None and by_number is not None and by_login.account_id != by_number.account_id:
            raise InvalidRequest(
                "destination", "is a user, and the number of another one's account: name the account by its own number"
            )
        found = by_login or by_number
        if found is None:
            raise NotFound("no user and no account is named so", field="destination")
        return found


class TransferKeeper:
    """Ends what a crash left on its way. Every engine does it; two at once do it once."""

    def __init__(self, database: Database, *, late_seconds: float = LATE_SECONDS) -> None:
        self._database = database
        self._late_seconds = late_seconds

    async def turn(self) -> int:
        """Give, or give back, what has been on its way for too long; how many. Errors: Unavailable, Overloaded."""
        late = await store.late_transfers(self._database, seconds=self._late_seconds, limit=BATCH)
        for way in late:
            state = await store.deliver(self._database, way)
            _log.info("transfer_ended", transfer_id=way.transfer_id, state=state.value)
        return len(late)
