"""Lines for phones: one more on its owner's account, or the first one with an account of its own."""

from __future__ import annotations

from decimal import Decimal

from rating_engine.domain.account import NewAccount, NewSubscriber
from rating_engine.domain.change import LEAVE
from rating_engine.domain.errors import AlreadyExists, InvalidRequest
from rating_engine.domain.party import Party
from rating_engine.domain.sip_account import ExtensionTaken, SipAccount, SipChanges
from rating_engine.services.parties.accounts import add_account, add_line, add_line_alone
from rating_engine.storage.finance.purses import purse_of_party
from rating_engine.storage.phones.sip_accounts import hold_line, tariff_of_first_line
from rating_engine.storage.postgres.transaction import Transaction


async def make_line(
    tx: Transaction, login: str, owner: Party, lines: list[SipAccount], settings: SipChanges, *, buckets: int,
    balance: Decimal = Decimal(0), account_of: str | None = None,
) -> int:  # fmt: skip
    """A line of a user: on the account of its first one, or its first one, with `balance`; or on the account of
    the login `account_of`. Its bucket.

    Errors: InvalidRequest (the user has no tariff), ExtensionTaken, NotFound (tariff), AccountClosed, Unavailable.
    """
    if await hold_line(tx, login) is not None:
        raise _taken(login)
    callerid = "" if settings.callerid is LEAVE else settings.callerid
    try:
        if account_of is not None:
            return await add_line(tx, NewSubscriber(login, account_of, owner.tariff, callerid), owner.party_id)
        if lines:
            return await add_line(tx, NewSubscriber(login, lines[0].login, lines[0].tariff, callerid), owner.party_id)
        tariff = await tariff_of_first_line(tx, owner.party_id)
        if tariff is None:
            raise InvalidRequest("owner", f"{owner.login!r} has neither a line nor a tariff for its first one")
        purse = await purse_of_party(tx, owner.party_id)
        if purse is not None and not balance:  # made when the user registered by a code that carried money
            return await add_line_alone(tx, NewSubscriber(login, login, tariff, callerid), purse, owner.party_id)
        new = NewAccount(login, tariff, owner.currency or None, balance, callerid=callerid)
        return await add_account(tx, new, owner.party_id, buckets=buckets)
    except AlreadyExists:  # somebody had it in this moment
        raise _taken(login) from None


def _taken(login: str) -> ExtensionTaken:
    return ExtensionTaken(f"number {login} is taken", field="sip_extension")
