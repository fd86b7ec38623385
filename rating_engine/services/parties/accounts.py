"""Creating accounts, topping them up, and showing their money."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final

from rating_engine.domain.account import AccountKind, AccountState, LedgerEntry, PartyStatus
from rating_engine.domain.errors import InvalidRequest, NotFound
from rating_engine.rating.money import InvalidAmount, parse_amount
from rating_engine.rating.number import normalise_callerid
from rating_engine.storage.parties import accounts as store
from rating_engine.storage.parties.accounts import NewAccount
from rating_engine.storage.postgres.pool import Database

STATEMENT_LINES: Final = 50  # a screenful or two; ask for more by a flag
MAX_STATEMENT_LINES: Final = 10_000  # what is held in memory at once
MAX_REFERENCE_LENGTH: Final = 200  # the column's check

_LOGIN: Final = re.compile(r"[!-+\--~]{1,64}")  # printable ASCII without space or comma: it travels in AGI arguments
MAX_INTEGER: Final = 2**31 - 1  # of the columns
_PREFIX: Final = re.compile(r"[0-9]{1,32}")
_CURRENCY: Final = re.compile(r"[A-Z]{3}")


class Accounts:
    """The use cases of `rating-engine account`; amounts come as text and are checked here."""

    def __init__(self, database: Database, *, buckets: int = 1) -> None:
        self._database = database
        self._buckets = buckets

    async def create(
        self,
        login: str,
        tariff: str,
        *,
        currency: str | None = None,
        balance: str = "0",
        overdraft: str | None = None,
        postpaid: bool = False,
        max_calls: int | None = None,
        callerid: str = "",
    ) -> AccountState:
        """An account with one subscriber. `overdraft` None: 0 for prepaid, unlimited credit for postpaid.

        `currency`: the tariff's if None, or one that there is an exchange rate for. Errors: InvalidRequest naming the
        field, NotFound (tariff), AlreadyExists (login), Unavailable.
        """
        _check_login(login)
        if currency is not None and not _CURRENCY.fullmatch(currency):
            raise InvalidRequest("currency", f"{currency!r} is not an ISO 4217 code such as EUR")
        if max_calls is not None and not 0 <= max_calls <= MAX_INTEGER:
            raise InvalidRequest("max_calls", "must not be negative")
        _check_callerid(callerid)
        limit = None if overdraft is None else _amount(overdraft, "overdraft")
        new = NewAccount(
            login=login,
            tariff=tariff,
            currency=currency,
            balance=_amount(balance, "balance", allow_negative=postpaid),
            overdraft=Decimal(0) if limit is None and not postpaid else limit,
            kind=AccountKind.POSTPAID if postpaid else AccountKind.PREPAID,
            max_calls=max_calls,
            callerid=callerid,
        )
        await store.create_account(self._database, new, buckets=self._buckets)
        return await self.show(login)

    async def show(self, login: str) -> AccountState:
        """The account of a login. Errors: NotFound, Unavailable."""
        state = await store.account_state(self._database, login)
        if state is None:
            raise NotFound(f"login {login!r} does not exist")
        return state

    async def change(self, login: str, changes: Mapping[str, str], *, allow: Sequence[str] = (),
                     block: Sequence[str] = (), forget: Sequence[str] = ()) -> AccountState:  # fmt: skip
        """Set limits (`none` takes one away), mode, time zone, numbering plan or status, and rules for prefixes.

        Errors: InvalidRequest naming the field, NotFound, Unavailable; after any nothing has changed.
        """
        columns = {field: _setting(field, text) for field, text in changes.items()}
        rules: dict[str, bool | None] = {}
        for prefixes, says in ((allow, True), (block, False), (forget, None)):
            for prefix in prefixes:
                if not _PREFIX.fullmatch(prefix):
                    raise InvalidRequest("prefix", f"{prefix!r} is not 1 to 32 digits")
                rules[prefix] = says
        await store.change_account(self._database, login, columns, rules)
        return await self.show(login)

    async def add_subscriber(
        self, login: str, account_of: str, *, tariff: str | None = None, callerid: str = "",
        max_calls: int | None = None, max_seconds: int | None = None,
    ) -> AccountState:  # fmt: skip
        """One more login on the account of another. Errors: InvalidRequest, NotFound, AlreadyExists, Unavailable."""
        _check_login(login)
        _check_callerid(callerid)
        await store.add_subscriber(
            self._database, login, account_of, tariff=tariff, callerid=callerid, max_calls=max_calls,
            max_seconds=max_seconds,
        )  # fmt: skip
        return await self.show(login)

    async def top_up(self, login: str, amount: str, *, reference: str | None = None) -> tuple[Decimal, bool]:
        """Add money; returns (balance, whether it was posted now). A reference is posted once, however often given.

        Errors: InvalidRequest, NotFound, AlreadyExists (the reference had another amount), Unavailable.
        """
        value = _amount(amount, "amount")
        if value == 0:
            raise InvalidRequest("amount", "must be above zero")
        check_reference(reference)
        return await store.post_entry(self._database, login, "topup", value, reference)

    async def statement(self, login: str, limit: int = STATEMENT_LINES) -> list[LedgerEntry]:
        """The newest ledger entries, newest first. Errors: InvalidRequest, NotFound, Unavailable."""
        if not 1 <= limit <= MAX_STATEMENT_LINES:
            raise InvalidRequest("limit", f"must be from 1 to {MAX_STATEMENT_LINES}")
        entries = await store.statement(self._database, login, limit)
        if not entries:
            await self.show(login)  # tells an empty statement from an unknown login
        return entries


def check_reference(reference: str | None) -> None:
    """Whether an idempotency key fits its column. Raises InvalidRequest."""
    if reference is not None and not 1 <= len(reference) <= MAX_REFERENCE_LENGTH:
        raise InvalidRequest("reference", f"must have 1 to {MAX_REFERENCE_LENGTH} characters")


def _check_login(login: str) -> None:
    if not _LOGIN.fullmatch(login):
        raise InvalidRequest("login", "must be 1 to 64 printable ASCII characters without space or comma")


def _check_callerid(callerid: str) -> None:
    if callerid and normalise_callerid(callerid) != callerid:
        raise InvalidRequest("callerid", "may have digits, letters and + only, 40 at most")


def _setting(field: str, text: str) -> object:
    """The column value that `text` means for `field`; `none` is no limit."""
    if field == "time_zone":
        return text
    if field == "status":
        if text not in tuple(PartyStatus):
            raise InvalidRequest(field, f"{text!r} is neither active nor blocked")
        return text
    if text == "none" and field != "default_allowed":
        return None
    if field == "numbering_plan":
        return text
    if field in ("quota", "default_allowed"):
        if text not in ("yes", "no"):
            raise InvalidRequest(field, f"{text!r} is neither yes nor no")
        return text == "yes"
    if field in ("max_calls", "max_call_seconds"):
        if not (text.isascii() and text.isdigit() and int(text) <= MAX_INTEGER):
            raise InvalidRequest(field, f"{text!r} is not a whole number")
        if field == "max_call_seconds" and int(text) == 0:
            raise InvalidRequest(field, "must be above zero; set status to blocked to allow no calls")
        return int(text)
    return _amount(text, field)


def _amount(text: str, field: str, *, allow_negative: bool = False) -> Decimal:
    try:
        return parse_amount(text, field, allow_negative=allow_negative)
    except InvalidAmount as error:
        raise InvalidRequest(error.field, error.problem) from None
