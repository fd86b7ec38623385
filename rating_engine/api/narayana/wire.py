"""One value of an object, answered alone."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import orjson

from rating_engine.api.narayana.answer import money


def scalar(value: Any) -> Any:
    """A scalar as text, nothing as an empty one; lists as they are."""
    if isinstance(value, list):
        return value
    if isinstance(value, Decimal):
        return money(value)
    return "" if value is None else value if isinstance(value, str) else orjson.dumps(value).decode()
