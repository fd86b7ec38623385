"""Two exchanges under one name are noticed, and one exchange is not taken for two."""

from __future__ import annotations

import pytest

from rating_engine.domain.look_alikes import look_alikes
from rating_engine.domain.outcomes import CallKey

START = 1_763_779_000


def keys(*uniqueids: str, exchange: str = "10.0.0.1") -> list[CallKey]:
    return [CallKey(exchange, uniqueid) for uniqueid in uniqueids]


def calls_of(first: int, *, count: int = 20, system: str = "") -> list[str]:
    """Calls of one exchange, one every two seconds."""
    prefix = f"{system}-" if system else ""
    return [f"{prefix}{START + 2 * number}.{first + number}" for number in range(count)]


@pytest.mark.parametrize(
    ("uniqueids", "shared"),
    [
        (calls_of(5), False),
        (list(reversed(calls_of(5))), False),  # in whatever order they ended
        (calls_of(5, count=10) + [f"{START + 100 + number}.{number}" for number in range(10)], False),  # restarted once
        (calls_of(5) + calls_of(900), True),
        (calls_of(5, system="pbx1") + calls_of(5, system="pbx2"), True),
        (calls_of(5, system="pbx1"), False),
        (["a", "1.2", "call-1"], False),  # no Asterisk's
        ([f"{START}.{number}" for number in (9, 1, 5, 3)], False),  # of one second
    ],
)
def test_a_name_is_shared_where_systems_differ_or_counters_fall_again_and_again(uniqueids, shared):
    assert list(look_alikes(keys(*uniqueids))) == (["10.0.0.1"] if shared else [])


def test_each_name_is_looked_at_alone():
    other = keys(*calls_of(900), exchange="10.0.0.2")
    assert look_alikes(keys(*calls_of(5)) + other) == {}
