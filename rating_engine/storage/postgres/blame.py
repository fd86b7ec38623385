"""Whose fault it is that a statement failed: what it was given, or anything else.

Law: only what no repetition can mend is blamed on the data: a value that no column holds, a text that no database
encodes, a rate that is none. Whatever may pass (a lock, a right that is missing after a restore, a schema between two
versions, a fault of ours that the next release mends) is not.
"""

from __future__ import annotations

import asyncpg

from rating_engine.rating.checks import InvalidRate


def blames_data(error: BaseException) -> bool:
    """Whether the same request would fail in the same way for ever."""
    if isinstance(error, InvalidRate | UnicodeError | asyncpg.DataError):
        return True
    # asyncpg's own word for an argument that it cannot encode: also for one that does not fit a type of a newer schema.
    return isinstance(error, asyncpg.InterfaceError) and isinstance(error.__cause__, UnicodeError | OverflowError)
