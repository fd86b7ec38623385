"""Composite types that keep their shape.

Law: a type that is there is never dropped and made anew, since a running engine has statements prepared with it, and
its calls would fail ("cache lookup failed for type"). Another shape has another name.
"""

from __future__ import annotations

import re
from typing import Final

from rating_engine.domain.errors import RatingEngineError
from rating_engine.storage.postgres.connecting import Connection

_CREATE_TYPE: Final = re.compile(r"(?:--[^\n]*\n|\s)*CREATE TYPE (\w+) AS \(")
_SHAPE: Final = """
    SELECT array_agg((attname, format_type(atttypid, atttypmod))::text ORDER BY attnum)
    FROM pg_attribute WHERE attrelid = (SELECT typrelid FROM pg_type WHERE oid = to_regtype($1)) AND attnum > 0
"""


class TypeChangedShape(RatingEngineError):
    """A type of schema.sql was changed without a new name: a fault of the release."""

    code = "type_changed_shape"


async def is_there(connection: Connection, statement: str) -> bool:
    """Whether a statement would make a composite type that is there as it is; in a transaction of the caller's.

    Errors: TypeChangedShape.
    """
    match = _CREATE_TYPE.match(statement)
    if match is None or await connection.fetchval("SELECT to_regtype($1)", match[1]) is None:
        return False
    there = await connection.fetchval(_SHAPE, match[1])
    # Made once more, as a temporary one, to be compared; then it is gone again.
    made = f"pg_temp.{match[1]}"
    savepoint = connection.transaction()
    await savepoint.start()
    await connection.execute(statement[: match.start(1)] + made + statement[match.end(1) :])
    wanted = await connection.fetchval(_SHAPE, made)
    await savepoint.rollback()
    if wanted != there:
        raise TypeChangedShape(f"type {match[1]} is there in another shape: a new shape needs a new name")
    return True
