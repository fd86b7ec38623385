"""What a hash covers: the values of a function's parameters in the document's order. Pure.

Laws: values count as they were sent; an absent one counts as empty, or not at all where the hash covers what was sent.
What is hashed is what is executed: both read the same table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rating_engine.api.mor.declare import EACH, Function
from rating_engine.api.mor.query import plain_name


def signed_texts(function: Function, given: Mapping[str, str]) -> tuple[str, ...]:
    """What may be hashed before the secret. A function without a hash has none."""
    if function.hashed is None:
        return ()
    return tuple(dict.fromkeys(_text(function, names, given) for names in (function.hashed, *function.also_hashed)))


def weak_texts(function: Function, given: Mapping[str, str]) -> tuple[str, ...]:
    """What older clients hash of it: less than they should."""
    return tuple(dict.fromkeys(_text(function, names, given) for names in _weak(function)))


def value_of(function: Function, name: str, given: Mapping[str, str]) -> str | None:
    """The value of a parameter, by any of its names."""
    parameter = next((each for each in function.parameters if each.name == name), None)
    names = (name, *(() if parameter is None else parameter.also))
    return next((given[plain] for each in names if (plain := plain_name(each)) in given), None)


def _text(function: Function, names: tuple[str, ...], given: Mapping[str, str]) -> str:
    if names == EACH:
        names = tuple(each.name for each in function.parameters)
    return "".join(value_of(function, name, given) or "" for name in names)


def _weak(function: Function) -> Iterator[tuple[str, ...]]:
    yield from function.lenient
    if function.as_sent:
        yield tuple(each.name for each in function.parameters if each.required)
