"""SQL dumps become rows, whatever stands in and between them, with little memory."""

from __future__ import annotations

import gzip
import re
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rating_engine.importers import dump_text
from rating_engine.importers.dump import Dump
from rating_engine.importers.dump_text import PIECE_BYTES, DumpError
from tests.support.rate_cards import bare_insert, mysql_value


def rows(path: Path, *wanted: str) -> list[tuple[str, dict[str, str | None]]]:
    found = []
    for part in Dump(path, wanted).tables():
        found += [(part.table, dict(zip(part.columns, values, strict=True))) for _, values in part.rows]
    return found


def written(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "dump.sql"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_names_of_columns_come_from_the_insert_or_from_create_table(tmp_path):
    text = (
        bare_insert("t", {"id": "int(11) NOT NULL", "name": "varchar(9) DEFAULT 'a,b)'"}, (1, "x"), (2, None))
        + "INSERT IGNORE INTO `db`.`t` (`name`, id) VALUES ('y', 3);"
    )

    assert rows(written(tmp_path, text), "t") == [
        ("t", {"id": "1", "name": "x"}),
        ("t", {"id": "2", "name": None}),
        ("t", {"name": "y", "id": "3"}),
    ]


def test_quotes_escapes_and_null_are_read_as_mysql_wrote_them(tmp_path):
    text = r"""INSERT INTO t (a) VALUES ('it''s'),('it\'s'),('a\\'),('\n\t\0'),("d""q\""),(NULL),('NULL'),(''),
        (-1.50),(1e-05),(_binary 'x'),('a),(b'),('; -- no # comment /* here */'),(0x41),(CURRENT_TIMESTAMP());"""

    values = [row["a"] for _, row in rows(written(tmp_path, text), "t")]

    assert values == [
        *("it's", "it's", "a\\", "\n\t\0", 'd"q"', None, "NULL", ""),
        *("-1.50", "1e-05", "x", "a),(b", "; -- no # comment /* here */", "0x41", "CURRENT_TIMESTAMP()"),
    ]


def test_a_backslash_of_postgresql_is_a_backslash(tmp_path):
    text = (
        "SET standard_conforming_strings = on;\n"
        "INSERT INTO other VALUES ('ends with one\\');\n"
        "INSERT INTO public.t (a, b) VALUES ('C:\\', 'it''s'), (E'a\\'b', 'x'::text);\n"
    )

    assert [list(row.values()) for _, row in rows(written(tmp_path, text), "t")] == [["C:\\", "it's"], ["a'b", "x"]]


def test_copy_of_postgresql_is_read_with_its_escapes(tmp_path):
    text = (
        "COPY public.other (id) FROM stdin;\n1\n\\.\n\n"
        "COPY public.t (id, name) FROM stdin;\n1\ta\\tb\\\\\\n\n2\t\\N\n3\t\n4\tINSERT INTO t VALUES ('x');\n\\.\n"
        "COPY public.t (id, name) FROM stdin;\n\\.\n"
        "SELECT 1;\nCOPY t (id, name) FROM stdin;\n5\t\\x41\\101\n\\.\n"
    )

    assert [list(row.values()) for _, row in rows(written(tmp_path, text), "t")] == [
        ["1", "a\tb\\\n"],
        ["2", None],
        ["3", ""],
        ["4", "INSERT INTO t VALUES ('x');"],
        ["5", "AA"],
    ]


def test_what_is_no_row_is_stepped_over(tmp_path):
    text = """\ufeff-- MySQL dump 10.13 ; INSERT INTO t VALUES ('comment');
# INSERT INTO t VALUES ('comment');
/*!50003 CREATE*/ /*!50003 TRIGGER x AFTER INSERT ON y FOR EACH ROW BEGIN INSERT INTO t (a) VALUES (NEW.a); END */;
DELIMITER ;;
CREATE PROCEDURE p() BEGIN INSERT INTO t (a) VALUES ('procedure'); SELECT ';;'; END ;;
DELIMITER $$
CREATE PROCEDURE q() BEGIN INSERT INTO t (a) VALUES ('another'); END $$
DELIMITER ;
CREATE TABLE t (a text, KEY `k` (a), CONSTRAINT c CHECK (a <> ');'));
CREATE FUNCTION f() RETURNS void AS $body$ BEGIN INSERT INTO t (a) VALUES ('function'); END $body$ LANGUAGE plpgsql;
INSERT INTO `not_t` VALUES ('it\\'s; INSERT INTO t VALUES (1)'),('`');
INSERT INTO t VALUES ('row') ON DUPLICATE KEY UPDATE a = 'x';
UPDATE t SET a = 5--3;
INSERT INTO t VALUES ('last')"""

    assert [row["a"] for _, row in rows(written(tmp_path, text), "t")] == ["row", "last"]


def test_a_timestamp_is_in_utc_where_the_dump_says_so(tmp_path):
    structure = {"id": "int", "at": "timestamp NOT NULL", "local": "datetime"}
    text = "/*!40103 SET TIME_ZONE='+00:00' */;\n" + bare_insert("t", structure, (1, "2026-01-01 00:00:00", "x"))

    (found,) = Dump(written(tmp_path, text), ["t"]).tables()

    assert found.utc == {"at"}


def test_bytes_of_no_encoding_are_windows_1252(tmp_path):
    assert rows(written(tmp_path, "INSERT INTO t (a) VALUES ('Côte');".encode("cp1252")), "t") == [("t", {"a": "Côte"})]


def test_a_gzipped_dump_is_read(tmp_path):
    path = tmp_path / "dump.sql.gz"
    path.write_bytes(gzip.compress(b"INSERT INTO t (a) VALUES (1);"))

    assert rows(path, "t") == [("t", {"a": "1"})]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("INSERT INTO t VALUES (1);", "no CREATE TABLE"),
        ("INSERT INTO t (a, b) VALUES (1);", "line 1: a row has 1 values for 2 columns"),
        ("\n\nINSERT INTO t (a) VALUES ('cut short", "line 3: cannot read the values"),
        ("INSERT INTO t (a) VALUES (1),('\n', ,);", "cannot read|empty value"),
        ("INSERT INTO t SELECT * FROM u;", "without VALUES"),
        ("COPY t (a) FROM stdin;\n1\n", "cut short"),
        (b"PGDMP\x01", "pg_dump --format=plain"),
        (b"PK\x03\x04", "unpack it first"),
    ],
)
def test_a_dump_that_cannot_be_read_says_where_and_what_to_do(tmp_path, text, problem):
    with pytest.raises(DumpError, match=problem):
        rows(written(tmp_path, text), "t")


def test_lines_are_counted(tmp_path):
    text = "-- one\n\nINSERT INTO t (a) VALUES\n(1),\n(2),\n\n(3);\n"

    lines = [line for part in Dump(written(tmp_path, text), ["t"]).tables() for line, _ in part.rows]

    assert lines == [4, 5, 7]


@settings(max_examples=100)
@given(st.lists(st.lists(st.none() | st.text(), min_size=2, max_size=2), min_size=1, max_size=5))
def test_what_mysql_wrote_is_read_back(tmp_path_factory, values):
    inserted = ",".join(f"({','.join(map(mysql_value, row))})" for row in values)
    path = written(tmp_path_factory.mktemp("dump"), f"INSERT INTO t (a, b) VALUES {inserted};")

    assert [list(row.values()) for _, row in rows(path, "t")] == values


def test_a_dump_of_any_length_is_read_with_the_memory_of_a_short_one(tmp_path):
    path = tmp_path / "long.sql"
    with path.open("w") as file:
        file.write("CREATE TABLE `t` (\n  `id` int,\n  `name` text\n);\n")
        for table in ("cdrs", "t"):
            for start in range(0, 50_000, 5_000):
                rows_ = ",".join(
                    f"({number},'row {number} of it''s {'x' * 60}')" for number in range(start, start + 5_000)
                )
                file.write(f"INSERT INTO `{table}` VALUES {rows_};\n")
    assert path.stat().st_size > 20 * PIECE_BYTES

    tracemalloc.start()
    count = total = 0
    for part in Dump(path, ["t"]).tables():
        for _, values in part.rows:
            count += 1
            total += int(values[0] or 0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert (count, total) == (50_000, 49_999 * 25_000)
    assert peak < 10 * PIECE_BYTES


def test_a_quote_that_is_never_closed_is_looked_at_a_few_times_and_not_once_a_piece(tmp_path, monkeypatch):
    path = written(tmp_path, b"INSERT INTO t (a) VALUES ('" + b"x" * 6_000_000)
    monkeypatch.setattr(dump_text, "PIECE_BYTES", 4096)
    looked_at = 0

    class Counted:
        """A pattern that counts the bytes it is given to look at."""

        def __init__(self, pattern):
            self._pattern = pattern

        def match(self, text, at):
            nonlocal looked_at
            looked_at += len(text) - at
            return self._pattern.match(text, at)

    text = dump_text.DumpText(path)
    assert text.statement()
    with pytest.raises(DumpError, match="cannot read the values"):
        text.token(Counted(re.compile(rb"INSERT[^']*'[^']*',")))
    text.close()
    assert looked_at < 4 * 6_000_000


def test_what_unpacks_without_end_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "dump.sql.gz"
    with gzip.open(path, "wb") as file:
        file.write(b"-- nothing\n" * 4_000_000)
    assert path.stat().st_size * 250 < 11 * 4_000_000
    with pytest.raises(DumpError, match="unpacks to more than 250 times its size"):
        rows(path, "t")
