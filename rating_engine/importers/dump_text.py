"""The text of a dump as a window over its bytes, with the steps that a reader of statements takes.

Law: a token is never cut. Where a match could go on behind the window, more is read before it is believed.
"""

from __future__ import annotations

import codecs
import gzip
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from rating_engine.domain.errors import RatingEngineError
from rating_engine.services.decks.file.limits import ALWAYS_UNPACKED, MAX_TIMES_PACKED

PIECE_BYTES: Final = 256 * 1024  # read at a time
AHEAD_BYTES: Final = 64 * 1024  # in the window where a statement begins: its name and columns are shorter
MAX_TOKEN_BYTES: Final = 64 * 1024 * 1024  # the most that MySQL takes as one value by default; more is no dump

_SPACE: Final = re.compile(rb"(?:\s|\xef\xbb\xbf)+")  # with a byte order mark
_COMMENT: Final = re.compile(rb"--[^\n]*|#[^\n]*|/\*.*?\*/", re.DOTALL)
_COMMENT_START: Final = re.compile(rb"--|#|/\*")


def _piece(quoted: bytes, comment: bytes, minus: bytes) -> re.Pattern[bytes]:
    """What a statement is stepped over by: plain text, or something quoted, or a comment."""
    return re.compile(
        rb"""(?:[^'"`;/\-\#$]++|`[^`]*+`|"""
        + quoted
        + rb""")++
        |;|/(?!\*)|\$\w*+(?=[^\w$])|\$(?P<tag>\w*+)\$.*?\$(?P=tag)\$
        |(?P<comment>\#[^\n]*+\n|/\*.*?\*/|"""
        + comment
        + rb")|"
        + minus,
        re.DOTALL | re.VERBOSE,
    )


# Of MySQL a comment has a space behind its dashes; else they are two minus signs.
_PIECE: Final = _piece(
    rb"""'(?:[^'\\]++|\\.)*+'|"(?:[^"\\]++|\\.)*+\"""", rb"--(?:[^\S\n][^\n]*+)?\n", rb"-(?=[^-]|-\S)"
)
_STANDARD_PIECE: Final = _piece(rb"""'[^']*+'|"[^"]*+\"""", rb"--[^\n]*+\n", rb"-(?!-)")
_NOT_SQL: Final = {
    b"PGDMP": "is a dump in PostgreSQL's own format: write it again with pg_dump --format=plain",
    b"PK\x03\x04": "is a ZIP archive: unpack it first",
    b"SQLite format 3": "is an SQLite database",
}
_GZIP: Final = b"\x1f\x8b"


class DumpError(RatingEngineError):
    """A file that cannot be read as what it should be; says where and what to do. Nothing was imported."""

    code = "dump"


class DumpText:
    """A window over the bytes of a dump, also of a gzipped one.

    `delimiter`: what ends a statement. `backslash`: whether a backslash in a string escapes what comes after it.
    `comments`: those between statements so far, to be cleared by who has read them.
    """

    def __init__(self, path: Path) -> None:
        self.delimiter = b";"
        self.backslash = True
        self.comments: list[bytes] = []
        self._path = path
        self._window = b""
        self._at = 0
        self._lines = 1  # of the file before `_counted`
        self._counted = 0
        self._ended = False
        self._unpacked = 0
        self._raw, self._file = _opened(path)

    @property
    def line(self) -> int:
        """Of the place read next, from 1."""
        self._lines += self._window.count(b"\n", self._counted, self._at)
        self._counted = self._at
        return self._lines

    @property
    def read(self) -> int:
        """Bytes of the file so far, of a gzipped one as it is stored."""
        return self._raw.tell()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        self._raw.close()

    def begins_with(self, pattern: re.Pattern[bytes]) -> bool:
        """Whether the text begins so, past a byte order mark."""
        self._ahead()
        return pattern.match(self._window.removeprefix(codecs.BOM_UTF8)) is not None

    def statement(self) -> bool:
        """Go to the beginning of the next statement, past spaces, comments and empty statements. False at the end."""
        while True:
            self._ahead()
            if self._at == len(self._window):
                return False
            if space := _SPACE.match(self._window, self._at):
                self._at = space.end()
            elif _COMMENT_START.match(self._window, self._at):
                self._comment()
            elif self._window.startswith(self.delimiter, self._at):
                self._at += len(self.delimiter)
            else:
                return True

    def match(self, pattern: re.Pattern[bytes]) -> re.Match[bytes] | None:
        """The pattern at the beginning of a statement."""
        return pattern.match(self._window, self._at)

    def take(self, match: re.Match[bytes]) -> None:
        """Go behind what was matched."""
        self._at = match.end()

    def token(self, pattern: re.Pattern[bytes]) -> re.Match[bytes]:
        """The pattern here, whole however long it is; it has to end with something certain, as a comma.

        Raises DumpError where it is not here.
        """
        while True:
            match = pattern.match(self._window, self._at)
            if match and (match.end() < len(self._window) or self._ended):
                self._at = match.end()
                return match
            if not self._more():
                found = self._window[self._at : self._at + 40].decode("utf-8", "replace")
                raise DumpError(f"{self._path}, line {self.line}: cannot read the values that begin with {found!r}")

    def next_is(self, mark: bytes) -> bool:
        """Whether `mark` comes next, spaces aside; if so, it is behind us then."""
        self._ahead()
        while space := _SPACE.match(self._window, self._at):
            self._at = space.end()
            self._ahead()
        if not self._window.startswith(mark, self._at):
            return False
        self._at += len(mark)
        return True

    def skip_statement(self) -> None:
        """Go behind the delimiter of the statement here."""
        for _ in self._pieces():
            pass

    def whole_statement(self) -> bytes:
        """The statement here, without its delimiter. For those that are short: CREATE TABLE."""
        return b"".join(self._pieces())

    def copy_lines(self) -> Iterator[tuple[int, bytes]]:
        """The lines of a COPY with their numbers, up to the one that ends it."""
        while True:
            end = self._window.find(b"\n", self._at)
            if end < 0:
                if self._more():
                    continue
                raise DumpError(f"{self._path}: ends within the rows of a COPY: it was cut short")
            number, data = self.line, self._window[self._at : end].removesuffix(b"\r")
            self._at = end + 1
            if data == b"\\.":
                return
            yield number, data

    def _pieces(self) -> Iterator[bytes]:
        """The rest of a statement in pieces, quotes and comments whole."""
        pattern = _PIECE if self.backslash else _STANDARD_PIECE
        while True:
            if len(self._window) - self._at < len(self.delimiter):
                self._more()
            if self._window.startswith(self.delimiter, self._at):
                self._at += len(self.delimiter)
                return
            match = pattern.match(self._window, self._at)
            if match is None or match.end() == len(self._window):
                if self._more():
                    continue
                if match is None:  # the end of the file, perhaps within quotes
                    self._at = len(self._window)
                    return
            self._at = match.end()
            if match["comment"] is None:
                yield match[0]

    def _comment(self) -> None:
        while True:
            match = _COMMENT.match(self._window, self._at)
            if match and (match.end() < len(self._window) or self._ended):
                self._at = match.end()
                self.comments.append(match[0][:AHEAD_BYTES])
                return
            if not self._more():
                self._at = len(self._window)
                return

    def _ahead(self) -> None:
        while len(self._window) - self._at < AHEAD_BYTES and self._more():
            pass

    def _more(self) -> bool:
        """Read on, letting go of what is behind. False at the end of the file."""
        if self._ended:
            return False
        if len(self._window) - self._at > MAX_TOKEN_BYTES:
            raise DumpError(f"{self._path}, line {self.line}: a value has more than {MAX_TOKEN_BYTES:,} bytes")
        self._lines = self.line
        try:
            # as much again as is held: a value that goes on and on is looked at twice, and not once a piece
            data = self._file.read(max(PIECE_BYTES, len(self._window) - self._at))
        except (OSError, EOFError) as error:
            raise DumpError(f"{self._path} cannot be read: {error}") from error
        self._unpacked += len(data)
        check_unpacked(self._path, self._unpacked)
        self._window = self._window[self._at :] + data
        self._at = self._counted = 0
        self._ended = not data
        return bool(data)


def check_unpacked(path: Path, unpacked: int) -> None:
    """Whether so many bytes may have come out of a file. Raises DumpError for what was made to grow without end."""
    if unpacked > ALWAYS_UNPACKED and unpacked > MAX_TIMES_PACKED * path.stat().st_size:
        raise DumpError(f"{path} unpacks to more than {MAX_TIMES_PACKED} times its size: it is no dump")


def is_gzipped(path: Path) -> bool:
    """Whether a file is gzipped. Raises DumpError: unreadable."""
    return _start(path).startswith(_GZIP)


def _opened(path: Path) -> tuple[BinaryIO, BinaryIO]:
    """The file, and the text in it."""
    start = _start(path)
    for magic, problem in _NOT_SQL.items():
        if start.startswith(magic):
            raise DumpError(f"{path} {problem}")
    raw = path.open("rb")
    return raw, gzip.GzipFile(fileobj=raw) if start.startswith(_GZIP) else raw  # type: ignore[return-value]


def _start(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(16)
    except OSError as error:
        raise DumpError(f"{path}: {error.strerror or error}") from error
