"""Scores of numbers and addresses as they are kept: what calls ask is one indexed statement, never remembered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rating_engine.domain.number_scores import NumberScore
from rating_engine.domain.page import Cursor, Page, page_of_rows
from rating_engine.storage.postgres.pool import Questions
from rating_engine.storage.postgres.transaction import Transaction

# A subject that is asked twice counts twice: who calls itself is source and destination.
_SUM: Final = """
    SELECT COALESCE(sum(score), 0)::integer
    FROM unnest($1::text[]) AS asked(subject) JOIN number_scores USING (subject)"""
_LIST: Final = """
    SELECT subject, score FROM number_scores WHERE $1::text IS NULL OR subject > $1 ORDER BY subject LIMIT $2"""
_PUT: Final = """
    INSERT INTO number_scores (subject, score) SELECT subject, $2 FROM unnest($1::text[]) AS given(subject)
    ON CONFLICT (subject) DO UPDATE SET score = EXCLUDED.score WHERE number_scores.score <> EXCLUDED.score
    RETURNING 1"""
_TAKE: Final = "DELETE FROM number_scores WHERE subject = ANY ($1::text[]) RETURNING 1"


async def sum_of_scores(questions: Questions, subjects: Sequence[str]) -> int:
    """What numbers and addresses have together. Errors: Unavailable."""
    return int(await questions.fetchval(_SUM, list(subjects)))


async def list_scores(questions: Questions, cursor: Cursor) -> Page[NumberScore]:
    """By their subject. Errors: InvalidRequest (after), Unavailable."""
    rows = await questions.fetch(_LIST, *cursor.position(str), cursor.rows)
    return page_of_rows(rows, cursor, lambda row: (row["subject"],), lambda row: NumberScore(**row))


async def put_scores(tx: Transaction, subjects: Sequence[str], score: int) -> int:
    """How many had another one, or none. Errors: Unavailable."""
    return len(await tx.fetch(_PUT, sorted(set(subjects)), score))


async def take_scores(tx: Transaction, subjects: Sequence[str]) -> int:
    """How many had one. Errors: Unavailable."""
    return len(await tx.fetch(_TAKE, list(subjects)))
