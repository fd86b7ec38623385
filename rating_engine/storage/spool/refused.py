"""The finishes that were kept aside, taken up again by a command while engines go on.

Law: a record leaves the directory when it was charged, and not before. It is taken from under the engines by a rename
between two of their writes; a command that dies leaves it to the next one, where charging it twice is harmless.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rating_engine.storage.spool.spool_files import CORRUPT, POSTING, REFUSED, append_durably, names_with, take_over
from rating_engine.storage.spool.spool_records import Record, encode_record, scan


@dataclass(frozen=True, slots=True)
class RefusedFile:
    """The records of one file, held by this process alone."""

    path: Path
    records: Sequence[Record]
    damaged: bytes = b""

    def keep(self, payloads: Sequence[bytes]) -> None:
        """Put these back for a person; the rest is done with. Raises OSError, with nothing lost."""
        if self.damaged:
            append_durably(self.path.with_suffix(CORRUPT), self.damaged)
        if payloads:
            append_durably(self.path.with_suffix(REFUSED), b"".join(map(encode_record, payloads)))
        self.path.unlink()


@contextlib.contextmanager
def refused_files(directory: Path) -> Iterator[list[RefusedFile]]:
    """Every file of a spool directory with finishes kept aside, but those another command has. Raises OSError."""
    with contextlib.ExitStack() as held:
        for path in names_with(directory, REFUSED):
            if not path.with_suffix(POSTING).exists():  # else that one has to be done with first
                take_over(path, path.with_suffix(POSTING))
        files = []
        for path in names_with(directory, POSTING):
            descriptor = os.open(path, os.O_RDONLY)
            held.callback(os.close, descriptor)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            data = path.read_bytes()
            found = scan(data)
            damaged = b"\n".join(data[start:end] for start, end in found.damaged) + data[found.torn :]
            files.append(RefusedFile(path, found.records, damaged))
        yield files
