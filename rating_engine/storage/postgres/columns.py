"""Statements over the columns that a change names: names come from constants, values as arguments, never as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def assignments(known: Sequence[str], values: Mapping[str, object], *, first: int) -> str:
    """`column = $first, …` for the columns of `values`, in their order. LookupError for one that is not `known`."""
    return ", ".join(f"{column} = ${place}" for place, column in enumerate(_known(known, values), start=first))


def columns_and_places(known: Sequence[str], values: Mapping[str, object], *, first: int) -> tuple[str, str]:
    """The columns of `values` and as many places, for an INSERT. LookupError for one that is not `known`."""
    columns = _known(known, values)
    return ", ".join(columns), ", ".join(f"${place}" for place in range(first, first + len(columns)))


def _known(known: Sequence[str], values: Mapping[str, object]) -> list[str]:
    if unknown := values.keys() - set(known):
        raise LookupError(f"no such column: {min(unknown)}")
    return list(values)
