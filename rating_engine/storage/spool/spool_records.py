"""How records stand in a spool file: one line each, so that a person can read and cut them with any tool.

    <length of the payload, 8 hex digits> <crc32 of the payload, 8 hex digits> <payload: JSON on one line>\\n

Laws, for any bytes: what was written whole reads back whole; a damaged byte costs at most the record it belongs to;
what comes after the last line break was never acknowledged, since a record is acknowledged with its line break.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import Final

HEADER_BYTES: Final = 18
MAX_PAYLOAD_BYTES: Final = 65_536  # a finish with its frozen rate has about 1 kB; a longer length is a damaged one
LINE_BREAK: Final = b"\n"
_HEX: Final = frozenset(b"0123456789abcdef")


@dataclass(frozen=True, slots=True)
class Record:
    """One payload, and where its line starts and ends in the file."""

    start: int
    end: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Scan:
    """What a file holds. `damaged`: the ranges (start, end) that are no record; `torn`: where an unfinished last line
    begins, the file's length where there is none."""

    torn: int
    records: list[Record] = field(default_factory=list)
    damaged: list[tuple[int, int]] = field(default_factory=list)


def encode_record(payload: bytes) -> bytes:
    """The line of a payload. Raises ValueError for one that is empty, has a line break or is too long."""
    if not payload or LINE_BREAK in payload or len(payload) > MAX_PAYLOAD_BYTES:
        raise ValueError(f"a record has 1 to {MAX_PAYLOAD_BYTES} bytes without a line break")
    return b"%08x %08x %s\n" % (len(payload), zlib.crc32(payload), payload)


def scan(data: bytes, start: int = 0) -> Scan:
    """Every record of `data` from offset `start` on, in order; never fails, whatever the bytes are."""
    records: list[Record] = []
    damaged: list[tuple[int, int]] = []
    position = start
    while position < len(data):
        record = _record_at(data, position)
        if record is not None:
            records.append(record)
            position = record.end
            continue
        line_break = data.find(LINE_BREAK, position)
        if line_break < 0:
            return Scan(position, records, damaged)
        position = _add_damaged(damaged, position, line_break + 1)
    return Scan(len(data), records, damaged)


def _record_at(data: bytes, start: int) -> Record | None:
    """The record whose line starts here; None for anything else."""
    header = data[start : start + HEADER_BYTES]
    if len(header) < HEADER_BYTES or header[8] != 0x20 or header[17] != 0x20:
        return None
    if not (_HEX.issuperset(header[:8]) and _HEX.issuperset(header[9:17])):
        return None
    length, checksum = int(header[:8], 16), int(header[9:17], 16)
    end = start + HEADER_BYTES + length
    if not 0 < length <= MAX_PAYLOAD_BYTES or end > len(data):
        return None
    payload = data[start + HEADER_BYTES : end]
    if zlib.crc32(payload) != checksum:
        return None
    # The byte behind it is the line break, damaged or not: so the next line is found all the same.
    return Record(start, min(end + 1, len(data)), payload)


def _add_damaged(damaged: list[tuple[int, int]], start: int, end: int) -> int:
    """Note a damaged range, as one with the range before where they touch; returns its end."""
    if damaged and damaged[-1][1] == start:
        start = damaged.pop()[0]
    damaged.append((start, end))
    return end
