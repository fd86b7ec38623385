"""Broken requests and broken dependencies. Business answers are return values (see `outcomes`).

Every error has a stable `code` and says whether the same request may succeed later (`retryable`).
"""

from __future__ import annotations

from typing import ClassVar


class RatingEngineError(Exception):
    """Base of every error this package raises on purpose."""

    code: ClassVar[str] = "error"
    retryable: ClassVar[bool] = False


class InvalidRequest(RatingEngineError):
    """A field of a request is missing or malformed; names the field and what was wrong."""

    code = "bad_request"

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


class NotFound(RatingEngineError):
    """The named thing does not exist."""

    code = "not_found"


class AlreadyExists(RatingEngineError):
    """The name is taken, or the reference was used with other content."""

    code = "already_exists"


class Unavailable(RatingEngineError):
    """A dependency (PostgreSQL) did not answer in time; nothing is known to have been done."""

    code = "unavailable"
    retryable = True


class Overloaded(RatingEngineError):
    """A bounded queue is full; nothing was done."""

    code = "overloaded"
    retryable = True
