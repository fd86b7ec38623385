"""Which numbers share one answer of a deck, and a bounded memory of such answers.

A region is a run of leading digits within which every number has the same longest match: no prefix of the deck but
the matched one starts with it. An answer is kept under its region, so that one lookup serves every number of it:
what is kept depends on the deck's shape, and not on how many different numbers are called.

Law: regions of one deck never overlap unless their answers agree, so the first one found is right.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, Generic, TypeVar

# A number shorter than the deck's longest prefix may match otherwise than the numbers that go on from it: its end
# is part of what the answer depends on. No digit sorts or compares as this mark.
END_OF_NUMBER: Final = "$"

Answer = TypeVar("Answer")


def significant(destination: str, longest_prefix: int) -> str:
    """What an answer can depend on: the first `longest_prefix` digits, and the number's end where it comes before."""
    return (destination + END_OF_NUMBER)[:longest_prefix]


def regions_of(number: str) -> list[str]:
    """Every region that may hold `number` (as `significant` gives it), shortest first."""
    return [number[:length] for length in range(1, len(number) + 1)]


def region(number: str, matched: str | None, before: str | None, after: str | None) -> str:
    """The widest region around `number` that shares its answer.

    `matched`: its longest prefix in the deck. `before`, `after`: the deck's prefixes next to the number in text order,
    `before` being the number itself or less. No prefix shares more leading digits with the number than one of these,
    so one digit more than they share sets the number apart from every other prefix.
    """
    length = max(1, len(matched or ""))
    for neighbour in (before, after):
        if neighbour is not None and neighbour != matched:
            length = max(length, 1 + _shared_digits(number, neighbour))
    return number[:length]


class RegionMemory(Generic[Answer]):
    """Answers by deck and region; the least recently used leave when there are more than `limit`."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._answers: OrderedDict[str, Answer] = OrderedDict()

    def __len__(self) -> int:
        return len(self._answers)

    def find(self, deck_key: str, number: str) -> Answer | None:
        """The answer of the region that holds `number`, or None."""
        answers = self._answers
        start = deck_key + ":"
        for length in range(len(number), 0, -1):
            key = start + number[:length]
            answer = answers.get(key)
            if answer is not None:
                answers.move_to_end(key)
                return answer
        return None

    def keep(self, deck_key: str, region: str, answer: Answer) -> None:
        """Remember an answer; forgets the least recently used one when full."""
        self._answers[f"{deck_key}:{region}"] = answer
        if len(self._answers) > self._limit:
            self._answers.popitem(last=False)

    def clear(self) -> None:
        """Forget everything."""
        self._answers.clear()


def _shared_digits(number: str, prefix: str) -> int:
    shared = 0
    for digit, other in zip(number, prefix, strict=False):
        if digit != other:
            break
        shared += 1
    return shared
