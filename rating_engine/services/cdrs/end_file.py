"""A file of ends of calls: Asterisk's log, or its call records as CSV, also packed as a rotation of logs leaves it.

Law: it is read in portions, memory the same however long it is.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final, cast

from rating_engine.domain.errors import InvalidRequest
from rating_engine.domain.reported_end import PostedEnd, ReportedEnd
from rating_engine.services.cdrs.asterisk_cdr import CdrColumns
from rating_engine.services.cdrs.asterisk_log import read_line

MAX_LINE_BYTES: Final = 64 * 1024  # of a line; Asterisk's own limit of a message is far below
PORTION: Final = 1_000  # ends looked up together
SIGN_EVERY: Final = 50_000  # lines between two signs of progress, where nothing is found

Line = ReportedEnd | PostedEnd


class EndFile:
    """Opened for one reading; `size` and `read` are in bytes of the file on disk. `is_log`: it is Asterisk's log."""

    def __init__(self, path: Path, columns: Sequence[str] | None = None) -> None:
        """`columns`: of call records in another order. Errors: InvalidRequest (file, columns)."""
        self._path = path
        self.read = 0
        try:
            self.size = os.path.getsize(path)
            with self._open() as stream:
                first = _text(stream.readline(MAX_LINE_BYTES))
        except (OSError, EOFError) as error:
            raise self._unreadable(error) from None
        self._columns = CdrColumns.found(first) if columns is None else CdrColumns.named(columns)
        self.is_log = self._columns is None

    def digest(self) -> str:
        """Tells this file from others, in the audit log. Errors: InvalidRequest."""
        try:
            with self._path.open("rb") as stream:
                return hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError as error:
            raise self._unreadable(error) from None

    def portions(self) -> Iterator[list[Line]]:
        """What stands in its lines, in their order; some portions may be empty. Errors: InvalidRequest."""
        read: Callable[[int, str], Line | None] = read_line if self._columns is None else self._columns.read
        portion: list[Line] = []
        try:
            with self._path.open("rb") as raw, self._unpacked(raw) as stream:
                for number, line in enumerate(_lines(stream), 1):
                    if (one := read(number, _text(line))) is not None:
                        portion.append(one)
                    if len(portion) >= PORTION or number % SIGN_EVERY == 0:
                        self.read = raw.tell()
                        yield portion
                        portion = []
        except (OSError, EOFError) as error:
            raise self._unreadable(error) from None
        self.read = self.size
        yield portion

    def _open(self) -> BinaryIO:
        return cast(BinaryIO, gzip.open(self._path)) if self._path.suffix == ".gz" else self._path.open("rb")

    def _unpacked(self, raw: BinaryIO) -> BinaryIO:
        if self._path.suffix == ".gz":
            return cast(BinaryIO, io.BufferedReader(cast(io.RawIOBase, gzip.GzipFile(fileobj=raw))))
        return raw

    def _unreadable(self, error: OSError | EOFError) -> InvalidRequest:
        return InvalidRequest("file", f"{self._path}: {getattr(error, 'strerror', None) or error}")


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    """Each line; one that goes on and on is cut, and its rest passed over."""
    while line := stream.readline(MAX_LINE_BYTES):
        yield line
        while not line.endswith(b"\n") and len(line) == MAX_LINE_BYTES:
            line = stream.readline(MAX_LINE_BYTES)


def _text(line: bytes) -> str:
    return line.decode("utf-8-sig", "replace")
