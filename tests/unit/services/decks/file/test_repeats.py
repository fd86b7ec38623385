"""Which prefixes may have been there before."""

from __future__ import annotations

import pytest

from rating_engine.services.decks.file import repeats
from rating_engine.services.decks.file.repeats import SeenKeys


def test_a_prefix_that_was_there_is_never_called_new() -> None:
    seen = SeenKeys(file_bytes=10_000)
    prefixes = [str(number) for number in range(20_000)]  # more than there are slots
    for line, prefix in enumerate(prefixes, start=2):
        seen.line_of(prefix, line)
    assert all(seen.line_of(prefix, 99_999) for prefix in prefixes)


def test_the_line_of_a_prefix_that_found_its_slot_empty_is_kept() -> None:
    seen = SeenKeys(file_bytes=10_000)
    first = {str(number): number + 2 for number in range(500) if not seen.line_of(str(number), number + 2)}
    assert len(first) > 400
    assert {prefix: seen.line_of(prefix, 99_999) for prefix in first} == first


@pytest.mark.parametrize("file_bytes", [0, 10**6, 10**12])
def test_memory_is_bounded_whatever_the_size_of_the_file(file_bytes: int) -> None:
    slots = len(SeenKeys(file_bytes)._lines)
    assert repeats.MIN_SLOTS <= slots <= repeats.MAX_SLOTS
    assert slots & (slots - 1) == 0


def test_few_rows_of_a_usual_deck_are_suspected() -> None:
    rows = 20_000
    seen = SeenKeys(file_bytes=rows * repeats.USUAL_ROW_BYTES)
    suspected = sum(bool(seen.line_of(str(number), number + 2)) for number in range(rows))
    assert suspected < rows / 10
