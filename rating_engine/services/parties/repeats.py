"""Requests without a key of their own that are done once within a time, as whoever sends one again is told.

Laws: the request is taken before anything is done, and what it is told is kept after: where that is missing (it runs,
or its engine died) nobody knows how it ended, and nothing is done until the time is over. Answers may hold PINs: they
are kept encrypted.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

from rating_engine.domain.errors import Unavailable
from rating_engine.domain.principal import Principal
from rating_engine.services.phones.secrets import SecretBox
from rating_engine.storage.idempotency import digest_of, keep_answer, once_within
from rating_engine.storage.postgres.pool import Database

ANSWER: Final = "sealed"


class Repeats:
    """What was asked lately, and answered."""

    def __init__(self, database: Database, box: SecretBox) -> None:
        self._database = database
        self._box = box

    async def answer(self, asker: Principal, request: object, seconds: int, do: Callable[[], Awaitable[str]]) -> str:
        """What `do` answers, or has answered to the same request of the same asker within so many seconds.

        Errors: Unavailable (nobody knows what the first one did), NoSecretKey, those of `do`.
        """
        digest = digest_of(request)
        key = f"again:{digest.hex()}"
        async with self._database.transaction(asker) as tx:
            told = await once_within(tx, key, digest, timedelta(seconds=seconds))
        if told is not None:
            if ANSWER not in told:
                raise Unavailable("the same was asked a moment ago, and nobody knows yet what came of it")
            return self._box.open(told[ANSWER].encode())
        answered = await do()
        async with self._database.transaction(asker) as tx:
            await keep_answer(tx, key, {ANSWER: self._box.seal(answered).decode()})
        return answered
