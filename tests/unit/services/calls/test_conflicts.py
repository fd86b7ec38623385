"""Two calls under one key are counted for the doctor, and no count is lost or without bound."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import pytest

from rating_engine.domain.errors import Unavailable
from rating_engine.domain.outcomes import CallKey, PrepareCall
from rating_engine.services.calls.conflicts import MAX_NAMES, Conflicts
from tests.support.calls import prepare


class Kept:
    """What was written down; `away`: it cannot be."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.away = False

    async def __call__(self, counts: Mapping[str, int]) -> None:
        if self.away:
            raise Unavailable("away")
        self.counts.update(counts)


def of(exchange: str) -> PrepareCall:
    return replace(prepare("1"), call_key=CallKey(exchange, "1", 1))


async def test_what_could_not_be_written_down_is_with_the_next_turn():
    kept = Kept()
    conflicts = Conflicts(kept)
    conflicts.note(of("a"))
    kept.away = True
    with pytest.raises(Unavailable):
        await conflicts.turn()
    kept.away = False
    conflicts.note(of("a"))
    conflicts.note(of("b"))
    await conflicts.turn()
    await conflicts.turn()

    assert kept.counts == {"a": 2, "b": 1}


async def test_names_without_end_are_bounded_and_one_that_is_known_goes_on():
    kept = Kept()
    conflicts = Conflicts(kept)
    for number in range(2 * MAX_NAMES):
        conflicts.note(of(str(number)))
    conflicts.note(of("0"))
    await conflicts.turn()

    assert (len(kept.counts), kept.counts["0"]) == (MAX_NAMES, 2)
