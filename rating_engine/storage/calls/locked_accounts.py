"""Accounts whose rows another transaction holds open: their calls wait by themselves, and all others go on.

A batch that meets such a row fails after the lock timeout of its door (a share of the deadline) and has done nothing.
Then it is found out whose rows are held, the rest of the batch is asked again at once, and further calls of those
accounts wait here, outside the batches, until the row is free.

Law: a call waits for its own account and for nobody else's, and no longer than the deadline of a statement; what is
answered `AccountLocked` was not done.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final, Protocol, TypeVar

import structlog

from rating_engine.domain.errors import AccountLocked, Overloaded, RatingEngineError
from rating_engine.storage.postgres.connecting import LOCK_TRIES, LockTimeout
from rating_engine.storage.postgres.pool import Database

LOOK_SECONDS: Final = 0.1  # how soon a row that is free is noticed; one cheap statement each while any is held
LOCKED_MAX: Final = 10_000  # accounts kept in mind; with more held than this it is not about accounts

_THERE: Final = "SELECT account_id FROM accounts WHERE bucket = $1 AND account_id = ANY ($2)"
_FREE: Final = f"{_THERE} FOR NO KEY UPDATE SKIP LOCKED"

AccountKey = tuple[int, int]  # bucket, account_id
_log = structlog.get_logger(__name__)


class OfAccounts(Protocol):
    """A request that changes accounts of one bucket: that of a call, and those of who pays for it besides."""

    @property
    def bucket(self) -> int:
        """The accounts' bucket."""

    @property
    def account_ids(self) -> tuple[int, ...]:
        """The accounts, at least one."""


Request = TypeVar("Request", bound=OfAccounts)
Answer = TypeVar("Answer")


class LockedAccounts:
    """One for the queues of a door. `patience_seconds`: how long a call waits for its account.

    `waiting_max`: how many may; more are told at once.
    """

    def __init__(self, database: Database, *, patience_seconds: float, waiting_max: int) -> None:
        self._database = database
        self._patience = patience_seconds
        self._waiting_max = waiting_max
        self._waiting = 0
        self._locked: dict[AccountKey, asyncio.Event] = {}
        self._look: asyncio.Task[None] | None = None

    async def submit(self, request: Request, submit: Callable[[Request], Awaitable[Answer]]) -> Answer:
        """What `submit` answers once the account is free.

        Errors: AccountLocked (nothing done), and those of `submit`.
        """
        if not self._locked:
            try:
                return await submit(request)
            except AccountLocked:
                pass
        keys = _keys(request)
        deadline = time.monotonic() + self._patience
        while True:
            for key in keys:
                await self._wait(key, deadline)
            try:
                return await submit(request)
            except AccountLocked:  # held again, or still
                if time.monotonic() >= deadline:
                    raise

    async def spare_others(
        self, requests: Sequence[Request], execute: Callable[[Sequence[Request]], Awaitable[Sequence[Answer]]]
    ) -> Sequence[Answer | AccountLocked]:
        """The answers of one statement, where those whose account is held are told so and the others are asked again.

        Errors: Overloaded when it is not an account that is held, such as a table; those of `execute`.
        """
        try:
            return await execute(requests)
        except LockTimeout:
            return await self._without_locked(requests, execute)

    async def _without_locked(
        self, requests: Sequence[Request], execute: Callable[[Sequence[Request]], Awaitable[Sequence[Answer]]]
    ) -> list[Answer | AccountLocked]:
        answers: dict[int, Answer | AccountLocked] = {}
        waiting = list(enumerate(requests))
        for _ in range(LOCK_TRIES - 1):
            held = await self._find({key for _, request in waiting for key in _keys(request)})
            for place, request in waiting:
                if not held.isdisjoint(_keys(request)):
                    answers[place] = _locked()
            waiting = [one for one in waiting if one[0] not in answers]
            try:
                given = await execute([request for _, request in waiting]) if waiting else ()
            except LockTimeout:
                continue
            answers.update(zip((place for place, _ in waiting), given, strict=True))
            return [answers[place] for place in range(len(requests))]
        raise Overloaded("PostgreSQL: another transaction holds what the ledger needs, and not only accounts")

    async def stop(self) -> None:
        """Look no more."""
        if self._look is not None:
            self._look.cancel()
            await asyncio.wait([self._look])  # awaited itself, its cancellation would hide our own

    async def _wait(self, key: AccountKey, deadline: float) -> None:
        free = self._locked.get(key)
        if free is None:
            return
        if self._waiting >= self._waiting_max:
            raise _locked()
        self._waiting += 1
        try:
            async with asyncio.timeout(deadline - time.monotonic()):
                await free.wait()
        except TimeoutError:
            raise _locked() from None
        finally:
            self._waiting -= 1

    async def _find(self, keys: set[AccountKey]) -> set[AccountKey]:
        """Which of these are held now; they are kept in mind until they are free."""
        held = await self._held(keys)
        for key in held:
            if key not in self._locked and len(self._locked) < LOCKED_MAX:
                self._locked[key] = asyncio.Event()
                _log.warning("account_locked", bucket=key[0], account_id=key[1])
        if self._locked and (self._look is None or self._look.done()):
            self._look = asyncio.create_task(self._look_until_free(), name="locked-accounts")
        return held

    async def _held(self, keys: Iterable[AccountKey]) -> set[AccountKey]:
        held: set[AccountKey] = set()
        buckets: dict[int, list[int]] = {}
        for bucket, account_id in keys:
            buckets.setdefault(bucket, []).append(account_id)
        for bucket, accounts in buckets.items():
            free = {row[0] for row in await self._database.fetch(_FREE, bucket, accounts)}
            there = await self._database.fetch(_THERE, bucket, accounts) if len(free) < len(accounts) else []
            held |= {(bucket, row[0]) for row in there if row[0] not in free}
        return held

    async def _look_until_free(self) -> None:
        while self._locked:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                held = await self._held(self._locked)
            except RatingEngineError as error:  # the database is away, which others report
                _log.debug("locked_accounts_not_seen", error=str(error))
                continue
            for key in set(self._locked) - held:
                self._locked.pop(key).set()
                _log.info("account_free", bucket=key[0], account_id=key[1])


def _keys(request: OfAccounts) -> list[AccountKey]:
    return [(request.bucket, account_id) for account_id in request.account_ids]


def _locked() -> AccountLocked:
    return AccountLocked("another transaction holds the account's row")
