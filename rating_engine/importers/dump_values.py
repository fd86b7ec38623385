"""The values of a row as text: quotes, escapes and NULL of MySQL and PostgreSQL taken away."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from rating_engine.importers.dump_text import DumpError, DumpText

Value = str | None  # None is NULL


@dataclass(frozen=True, slots=True)
class Dialect:
    """How strings are written. `value`: one value and the comma or parenthesis behind it."""

    backslash: bool
    value: re.Pattern[bytes]


def _pattern(inside: bytes) -> re.Pattern[bytes]:
    """One value. A string may have a character set before it, or a type behind it; E'...' always has escapes."""
    return re.compile(
        rb"\s*+(?:(?:[Ee]'(?P<escaped>(?:[^'\\]++|\\.|'')*+)'"
        rb"|(?:_\w+\s*+|[NnXxBb](?='))?+(?:'(?P<single>(?:"
        + inside
        + rb"|'')*+)'|\"(?P<double>(?:[^\"\\]++|\\.|\"\")*+)\"))(?:::[\w .\[\]]++(?:\([\d,]*+\))?)?"
        rb"|(?P<bare>[^'\",()\s;][^'\",()]*+(?:\([^()']*+\))?[^'\",()]*+)|(?P<nothing>))\s*+(?P<end>[,)])",
        re.DOTALL,
    )


MYSQL: Final = Dialect(True, _pattern(rb"[^'\\]++|\\."))
POSTGRESQL: Final = Dialect(False, _pattern(rb"[^']++"))

# MySQL's escapes; of any other letter the letter itself counts.
_ESCAPES: Final = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"0": b"\0", b"b": b"\b", b"Z": b"\x1a"}
_COPY_ESCAPES: Final = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"b": b"\b", b"f": b"\f", b"v": b"\v"}
_ESCAPE: Final = re.compile(rb"(\\.)", re.DOTALL)
_COPY_BACKSLASH: Final = re.compile(rb"\\([0-7]{1,3}|x[0-9A-Fa-f]{1,2}|.)", re.DOTALL)


def row_values(text: DumpText, dialect: Dialect) -> list[Value]:
    """The values up to the parenthesis that closes the row. Raises DumpError."""
    values: list[Value] = []
    while True:
        match = text.token(dialect.value)
        if match["nothing"] is None:
            values.append(_value(match, dialect))
        elif match["end"] == b",":
            raise DumpError(f"line {text.line}: a row has an empty value")
        if match["end"] == b")":
            return values


def copy_values(line: bytes, width: int, number: int) -> list[Value]:
    """The values of a line of COPY. Raises DumpError with its number."""
    cells = line.split(b"\t")
    if len(cells) != width:
        raise DumpError(f"line {number}: a row has {len(cells)} values for {width} columns")
    return [None if cell == b"\\N" else _text(_copied(cell)) for cell in cells]


def _value(match: re.Match[bytes], dialect: Dialect) -> Value:
    if (bare := match["bare"]) is not None:
        word = bare.strip()
        return None if word.upper() == b"NULL" else _text(word)
    if (quoted := match["escaped"]) is not None:
        return _text(_unescaped(quoted, b"'"))
    quote = b"'" if match["single"] is not None else b'"'
    quoted = match["single"] if quote == b"'" else match["double"]
    return _text(_unescaped(quoted, quote) if dialect.backslash else quoted.replace(quote * 2, quote))


def _unescaped(quoted: bytes, quote: bytes) -> bytes:
    if b"\\" not in quoted:
        return quoted.replace(quote * 2, quote)
    # piece by piece: an escaped quote beside a quote is not a doubled one
    parts = _ESCAPE.split(quoted)
    return b"".join(
        _ESCAPES.get(part[1:], part[1:]) if part[:1] == b"\\" else part.replace(quote * 2, quote) for part in parts
    )


def _copied(cell: bytes) -> bytes:
    if b"\\" not in cell:
        return cell

    def plain(match: re.Match[bytes]) -> bytes:
        code = match[1]
        if code[:1].isdigit():
            return bytes((int(code, 8) & 0xFF,))
        if code[:1] == b"x" and len(code) > 1:
            return bytes((int(code[1:], 16),))
        return _COPY_ESCAPES.get(code, code)

    return _COPY_BACKSLASH.sub(plain, cell)


def _text(data: bytes) -> str:
    """UTF-8 where it is that, else Windows-1252: dumps of old databases hold both."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")
