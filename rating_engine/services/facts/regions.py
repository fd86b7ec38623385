"""Which numbers share one answer of a deck, and a bounded memory of such answers.

A region is a run of leading digits within which every number begins with the same prefixes of the deck: no prefix that
is not one of the number's own starts with it, and the longest of those is no longer than it. So every number of a
region has the same rows to choose from, whatever conditions (caller, time of day, date) each of them has. An answer is
kept under its region, so that one lookup serves every number of it: what is kept depends on the deck's shape, and not
on how many different numbers are called.

Law: regions of one deck never overlap unless their answers agree, so the first one found is right.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
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

    `matched`: its longest prefix in the deck, of whatever row. `before`, `after`: the deck's prefixes next to the
    number in text order, `before` being the number itself or less. No prefix shares more leading digits with the number
    than one of these, so one digit more than they share sets the number apart from every prefix that is not its own.
    """
    length = max(1, len(matched or ""))
    for neighbour in (before, after):
        if neighbour is not None and neighbour != matched:
            length = max(length, 1 + _shared_digits(number, neighbour))
    return number[:length]


class RegionMemory(Generic[Answer]):
    """Answers by deck and region; the least recently used leave when together they weigh more than `limit`."""

    def __init__(self, limit: int, weigh: Callable[[Answer], int] = lambda answer: 1) -> None:
        self._limit = limit
        self._weigh = weigh
        self._weight = 0
        self._answers: OrderedDict[str, Answer] = OrderedDict()

    def __len__(self) -> int:
        return len(self._answers)

    def find(self, deck_key: str, number: str) -> Answer | None:
        """The answer of the region that holds `number`, or None."""
        answers = self._answers
        longest = f"{deck_key}:{number}"
        for end in range(len(longest), len(deck_key) + 1, -1):
            key = longest[:end]
            answer = answers.get(key)
            if answer is not None:
                answers.move_to_end(key)
                return answer
        return None

    def keep(self, deck_key: str, region: str, answer: Answer) -> None:
        """Remember an answer; forgets the least recently used ones when full."""
        key = f"{deck_key}:{region}"
        replaced = self._answers.pop(key, None)
        if replaced is not None:
            self._weight -= self._weigh(replaced)
        self._answers[key] = answer
        self._weight += self._weigh(answer)
        while self._weight > self._limit:
            _, oldest = self._answers.popitem(last=False)
            self._weight -= self._weigh(oldest)

    def clear(self) -> None:
        """Forget everything."""
        self._answers.clear()
        self._weight = 0


def _shared_digits(number: str, prefix: str) -> int:
    shared = 0
    for digit, other in zip(number, prefix, strict=False):
        if digit != other:
            break
        shared += 1
    return shared
