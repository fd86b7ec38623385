"""SQL dumps as rows of tables: what mysqldump, phpMyAdmin, mariadb-dump and pg_dump (plain) write.

Law: nothing is executed, and memory stays the same however long the dump is: a token at a time is held. Only the wanted
tables are taken apart, everything else is stepped over with its quotes and comments.

A parser of our own: those there are build a tree of each statement, and an INSERT of mysqldump holds megabytes of rows.
What a dump says is a small part of SQL: CREATE TABLE for the names, INSERT ... VALUES and COPY for the rows.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rating_engine.importers.dump_text import DumpError, DumpText
from rating_engine.importers.dump_values import MYSQL, POSTGRESQL, Dialect, Value, copy_values, row_values

Row = tuple[int, Sequence[Value]]  # the line of the dump it begins in, and its values

_NAME: Final = rb"(?:`[^`]*`|\"[^\"]*\"|[\w$]+)"
_DOTTED: Final = rb"(" + _NAME + rb"(?:\s*\.\s*" + _NAME + rb")*)"
_INSERT: Final = re.compile(
    rb"(?:INSERT|REPLACE)\s+(?:(?:LOW_PRIORITY|DELAYED|HIGH_PRIORITY|IGNORE)\s+)*INTO\s+"
    + _DOTTED
    + rb"\s*(?:\(([^()]*)\))?\s*VALUES?\s*",
    re.IGNORECASE,
)
_OTHER_INSERT: Final = re.compile(rb"(?:INSERT|REPLACE)\s+(?:IGNORE\s+)?INTO\s+" + _DOTTED, re.IGNORECASE)
_COPY: Final = re.compile(
    rb"COPY\s+" + _DOTTED + rb"\s*(?:\(([^()]*)\))?\s+FROM\s+stdin\b[^;]*;[^\n]*\n", re.IGNORECASE
)
_CREATE: Final = re.compile(rb"CREATE\s+(?:UNLOGGED\s+)?TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?" + _DOTTED + rb"\s*\(", re.I)
_DELIMITER: Final = re.compile(rb"DELIMITER[ \t]+([^\s]+)[^\n]*(?:\n|$)", re.IGNORECASE)
_STANDARD_STRINGS: Final = re.compile(rb"SET\s+standard_conforming_strings\s*=\s*'?on", re.IGNORECASE)
_UTC: Final = re.compile(rb"SET\s+TIME_ZONE\s*=\s*'\+00:00'", re.IGNORECASE)
_COLUMN: Final = re.compile(rb"\s*(" + _NAME + rb")\s+([A-Za-z]+)")
# What begins an item of CREATE TABLE that is no column.
_NO_COLUMN: Final = frozenset(
    (b"primary", b"key", b"unique", b"index", b"constraint", b"fulltext", b"spatial", b"foreign", b"check", b"exclude")
)


@dataclass(frozen=True, slots=True)
class TableRows:
    """Some rows of a table, as the dump has them. `columns`: their names, `utc`: those that hold instants in UTC."""

    table: str
    columns: tuple[str, ...]
    utc: frozenset[str]
    rows: Iterator[Row]


class Dump:
    """One dump, read once from its beginning to its end."""

    def __init__(self, path: Path, wanted: Collection[str]) -> None:
        """`wanted`: names of tables, in lower case and without their schema."""
        self._text = DumpText(path)
        self._wanted = frozenset(wanted)
        self._dialect: Dialect = MYSQL
        self._utc = False
        self._columns: dict[str, tuple[tuple[str, bytes], ...]] = {}

    @property
    def read(self) -> int:
        """Bytes of the file so far."""
        return self._text.read

    def tables(self) -> Iterator[TableRows]:
        """The rows of the wanted tables, statement by statement; rows that were not taken are stepped over.

        Raises DumpError: unreadable, no plain SQL, or a wanted table that cannot be taken apart, with its line.
        """
        text = self._text
        try:
            while text.statement():
                self._settings()
                if match := text.match(_DELIMITER):
                    text.delimiter = match[1]
                    text.take(match)
                elif match := text.match(_CREATE):
                    self._create(match)
                elif match := text.match(_COPY):
                    yield from self._copy(match)
                elif match := text.match(_INSERT):
                    yield from self._insert(match)
                elif (match := text.match(_OTHER_INSERT)) and _table(match[1]) in self._wanted:
                    raise DumpError(
                        f"line {text.line}: an INSERT into {_table(match[1])} without VALUES: dump the rows"
                    )
                else:
                    if text.match(_STANDARD_STRINGS):
                        self._dialect, text.backslash = POSTGRESQL, False
                    text.skip_statement()
        finally:
            text.close()

    def _settings(self) -> None:
        """What comments in between said: mysqldump sets the time zone in one."""
        self._utc = self._utc or any(_UTC.search(comment) for comment in self._text.comments)
        self._text.comments.clear()

    def _create(self, match: re.Match[bytes]) -> None:
        table = _table(match[1])
        if table not in self._wanted:
            self._text.skip_statement()
            return
        begin = match[0]
        body = self._text.whole_statement()[len(begin) :]
        columns = []
        for item in _items(body):
            column = _COLUMN.match(item)
            if column and (column[1][:1] in b'`"' or column[1].lower() not in _NO_COLUMN):
                columns.append((_plain(column[1]), column[2].lower()))
        self._columns[table] = tuple(columns)

    def _copy(self, match: re.Match[bytes]) -> Iterator[TableRows]:
        table = _table(match[1])
        self._text.take(match)
        lines = self._text.copy_lines()
        if table in self._wanted:
            columns = self._named(table, match[2])
            rows = ((number, copy_values(line, len(columns), number)) for number, line in lines)
            yield TableRows(table, columns, self._utc_columns(table), rows)
        for _ in lines:
            pass

    def _insert(self, match: re.Match[bytes]) -> Iterator[TableRows]:
        table = _table(match[1])
        if table not in self._wanted:
            self._text.skip_statement()
            return
        columns = self._named(table, match[2])
        self._text.take(match)
        rows = self._inserted(len(columns))
        yield TableRows(table, columns, self._utc_columns(table), rows)
        for _ in rows:
            pass
        self._text.skip_statement()  # ON DUPLICATE KEY ..., and the delimiter

    def _inserted(self, width: int) -> Iterator[Row]:
        text = self._text
        while text.next_is(b"("):
            line = text.line
            values = row_values(text, self._dialect)
            if len(values) != width:
                raise DumpError(f"line {line}: a row has {len(values)} values for {width} columns")
            yield line, values
            if not text.next_is(b","):
                return

    def _named(self, table: str, columns: bytes | None) -> tuple[str, ...]:
        if columns is not None:
            return tuple(_plain(name.strip()) for name in columns.split(b","))
        known = self._columns.get(table)
        if not known:
            raise DumpError(
                f"line {self._text.line}: the rows of {table} come without names of their columns, and no CREATE TABLE"
                " before them says any: dump the table's structure too, or with --complete-insert"
            )
        return tuple(name for name, _ in known)

    def _utc_columns(self, table: str) -> frozenset[str]:
        """mysqldump writes `timestamp` in UTC and `datetime` as it was stored; PostgreSQL's has its offset in it."""
        if not self._utc:
            return frozenset()
        return frozenset(name for name, kind in self._columns.get(table, ()) if kind == b"timestamp")


def _table(dotted: bytes) -> str:
    return _plain(re.findall(_NAME, dotted)[-1])


def _plain(name: bytes) -> str:
    return name.strip(b'`"').decode("utf-8", "replace").lower()


def _items(body: bytes) -> Iterator[bytes]:
    """What stands between the commas of the outer parentheses."""
    depth, begin = 0, 0
    for token in re.finditer(rb"'(?:[^'\\]|\\.|'')*'|`[^`]*`|\"[^\"]*\"|[(),]", body, re.DOTALL):
        mark = token[0]
        if mark == b"(":
            depth += 1
        elif mark == b")":
            depth -= 1
        if (mark == b"," and depth == 0) or depth < 0:
            yield body[begin : token.start()]
            begin = token.end()
        if depth < 0:
            return
