"""What was read of a rate card, in a file on disk: a dump has its tables in any order, and rates need those of others.

Law: memory does not grow with the rate card; the rows are read back joined and in order by SQL. The file is removed at
the end, whatever ends the work. Values stay the text they were.
"""

from __future__ import annotations

import contextlib
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeAlias

BATCH_ROWS: Final = 2_000  # written at a time: some hundred kilobytes

Tables: TypeAlias = Mapping[str, tuple[str, ...]]  # names of tables, and of their columns that are looked at
Record: TypeAlias = sqlite3.Row


class Scratch:
    """Tables of text. Each row has besides its columns the `line` of the file it was read from."""

    def __init__(self, connection: sqlite3.Connection, tables: Tables) -> None:
        self.tables = tables
        self._connection = connection
        connection.row_factory = sqlite3.Row
        connection.execute("CREATE TABLE noted (of_table TEXT, row_id INTEGER, line INTEGER, reason TEXT)")
        for table, columns in tables.items():
            named = ", ".join(f'"{name}" TEXT' for name in columns)
            connection.execute(f'CREATE TABLE "{table}" (rowid INTEGER PRIMARY KEY, line INTEGER, {named})')

    def add(self, table: str, columns: Sequence[str], rows: Iterator[tuple[int, Sequence[str | None]]]) -> int:
        """Store rows whose values are in the order of `columns`, of which any may be unknown here; how many."""
        known = [(name, at) for at, name in enumerate(columns) if name in self.tables[table]]
        names = "".join(f', "{name}"' for name, _ in known)
        insert = f'INSERT INTO "{table}" (line{names}) VALUES (?{", ?" * len(known)})'  # noqa: S608  # our own names
        count, batch = 0, []
        for line, values in rows:
            batch.append((line, *(values[at] for _, at in known)))
            count += 1
            if len(batch) == BATCH_ROWS:
                self._connection.executemany(insert, batch)
                batch.clear()
        self._connection.executemany(insert, batch)
        return count

    def index(self, table: str, *columns: str) -> None:
        """Make lookups by these columns fast."""
        names = ", ".join(f'"{name}"' for name in columns)
        self._connection.execute(f'CREATE INDEX "{table}_{"_".join(columns)}" ON "{table}" ({names})')

    def rows(self, query: str, *values: object) -> Iterator[Record]:
        """The rows of a query, one after the other."""
        yield from self._connection.execute(query, values)

    def note(self, table: str, row_id: int, line: int, reason: str) -> None:
        """Remember that a row was rejected; `table` and `row_id` are '' and 0 for a line of a CSV file."""
        self._connection.execute("INSERT INTO noted VALUES (?, ?, ?, ?)", (table, row_id, line, reason))

    def notes(self) -> Iterator[tuple[str, int, int, str]]:
        """What was noted, in the order of the lines."""
        yield from self._connection.execute("SELECT * FROM noted ORDER BY line, row_id")

    def noted_tables(self) -> Iterator[str]:
        """The tables with rejected rows."""
        for record in self._connection.execute("SELECT DISTINCT of_table FROM noted ORDER BY 1"):
            yield record[0]

    def record(self, table: str, row_id: int) -> Record:
        """One row."""
        found: Record = self._connection.execute(f'SELECT * FROM "{table}" WHERE rowid = ?', (row_id,)).fetchone()  # noqa: S608  # ours
        return found

    def count(self, table: str) -> int:
        """How many rows a table has."""
        number: int = self._connection.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0]  # noqa: S608  # ours
        return number


@contextlib.contextmanager
def open_scratch(tables: Tables) -> Iterator[Scratch]:
    """An empty scratch file for these tables."""
    with tempfile.TemporaryDirectory(prefix="rating-engine-") as directory:
        connection = sqlite3.connect(Path(directory) / "scratch.sqlite", isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode = OFF")  # nobody looks at it after a crash
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute("BEGIN")
            yield Scratch(connection, tables)
        finally:
            connection.close()
