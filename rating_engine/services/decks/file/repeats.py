"""Which keys may have been in the file before: exact where it says no, in memory that does not grow.

A key is a prefix, with the origin and the band where a rate has them; windows of time don't tell rates apart here.

One slot holds the line of the first key that hashed to it. A key that finds its slot empty is new for certain; one that
does not is a *suspect*, most often of a key it only shares the slot with. PostgreSQL settles suspects (see
storage/decks/deck_load), and where the key was indeed there before, the slot tells the line.
"""

from __future__ import annotations

from array import array
from typing import Final

SLOTS_PER_ROW: Final = 8  # one row in sixteen is then a suspect without being a repeat
USUAL_ROW_BYTES: Final = 32  # of a short row, so that the guess of how many there are is rather too high
MIN_SLOTS: Final = 1 << 12
MAX_SLOTS: Final = 1 << 23  # 32 MB; a deck of ten million rows then has half of them suspected, and is still right


class SeenKeys:
    """The lines where keys stood first, by slot."""

    def __init__(self, file_bytes: int) -> None:
        wanted = SLOTS_PER_ROW * (file_bytes // USUAL_ROW_BYTES)
        slots = min(MAX_SLOTS, max(MIN_SLOTS, 1 << wanted.bit_length()))
        self._mask = slots - 1
        self._lines = array("I", bytes(4 * slots))

    def line_of(self, key: str, line: int) -> int:
        """0 where `key` is certainly new: it is noted as standing in `line` (from 1). Else the line in its slot."""
        slot = hash(key) & self._mask
        earlier = self._lines[slot]
        if not earlier:
            self._lines[slot] = line
        return earlier
