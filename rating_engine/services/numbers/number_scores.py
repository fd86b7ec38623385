"""Scores of numbers and addresses: put, taken away, listed. What is changed counts from the next call on.

Law: scores are the installation's: who manages it gives them.
"""

from __future__ import annotations

from collections.abc import Sequence

from rating_engine.domain.number_scores import NumberScore, subject_of
from rating_engine.domain.page import Cursor, Page
from rating_engine.domain.principal import Principal
from rating_engine.services.numbers.number_pools import SHOWN_IN_AUDIT, check_number
from rating_engine.storage.audit_log import record
from rating_engine.storage.numbers import number_scores as store
from rating_engine.storage.postgres.pool import Database


class NumberScores:
    """What one principal does with scores."""

    def __init__(self, database: Database, principal: Principal) -> None:
        self._database = database
        self._principal = principal

    async def put(self, subjects: Sequence[str], score: int) -> int:
        """One score for all of them; how many had another one, or none. Errors: InvalidRequest, Unavailable."""
        kept = [NumberScore(subject_of(each), score).subject for each in subjects]
        check_number(kept)
        async with self._database.transaction(self._principal) as tx:
            changed = await store.put_scores(tx, kept, score)
            detail = {"score": score, "changed": changed, "of": len(kept), "subjects": kept[:SHOWN_IN_AUDIT]}
            await record(tx, "number_score.put", "", detail)
        return changed

    async def take(self, subjects: Sequence[str]) -> int:
        """They are suspected of nothing; how many were of something. Errors: InvalidRequest, Unavailable."""
        kept = [subject_of(each) for each in subjects]
        check_number(kept)
        async with self._database.transaction(self._principal) as tx:
            changed = await store.take_scores(tx, kept)
            detail = {"changed": changed, "of": len(kept), "subjects": kept[:SHOWN_IN_AUDIT]}
            await record(tx, "number_score.take", "", detail)
        return changed

    async def page(self, cursor: Cursor) -> Page[NumberScore]:
        """By their subject. Errors: InvalidRequest (after), Unavailable."""
        return await store.list_scores(self._database, cursor)
