"""The money functions by their shapes, and what is prepared of them on each connection of the calls door before it
serves: every one, for its types."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_SHAPES: Final = {"reserve": "v5", "extend": "v3", "settle": "v5"}

FUNCTIONS: Final[Mapping[str, str]] = MappingProxyType({name: f"{name}_{shape}" for name, shape in _SHAPES.items()})
FUNCTIONS_OF_BUCKETS: Final[Mapping[str, str]] = MappingProxyType(
    {name: f"{name}_of_buckets_{shape}" for name, shape in _SHAPES.items()}
)
# Calls that begin and calls that end in one transaction: of one bucket, and of several.
RESERVE_AND_SETTLE: Final = "SELECT reserve_and_settle_v1($1, $2, $3)"
RESERVE_AND_SETTLE_OF_BUCKETS: Final = "SELECT reserve_and_settle_of_buckets_v1($1, $2, $3, $4, $5)"
FIRST_STATEMENTS: Final = (*(f"SELECT {function}($1, $2)" for function in FUNCTIONS.values()), RESERVE_AND_SETTLE)
